"""``GET /v1/models`` and ``GET /v1/models/{id}``, in both dialects' shapes.

Anthropic: "List Models" and `ModelInfo` of anthropic 2.12 (type, id, display_name,
created_at, lifecycle, max_input_tokens, max_tokens; has_more, first_id, last_id).  OpenAI: "List models"
(object, id, created, owned_by), with the limits where OpenRouter has them (context_length,
top_provider.max_completion_tokens).  A limit nobody knows is left out, or null in Anthropic's
shape (all read 2026-11).
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Final
from urllib.parse import parse_qs

from attrs import frozen

from lynkr.errors import ClientWireError
from lynkr.routing.decision import Profile

# The list describes configuration, not releases, so there is no true date: the epoch says "unknown".
_UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"
_MOST_A_PAGE: Final = 1_000


class UnknownModel(ClientWireError):
    """No model of that name is listed (404)."""

    code: ClassVar[str | None] = "model_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The model {name!r} is not served here; GET /v1/models lists those that are", status=404
        )


@frozen
class ServedModel:
    """A name a client may ask for; its limits are in tokens, None where unknown."""

    id: str
    max_input: int | None = None
    max_output: int | None = None

    @classmethod
    def of(cls, id: str, profiles: Iterable[Profile]) -> "ServedModel":
        """A name that one of several targets serves: what the largest takes, which is chosen for its size."""
        known = tuple(profiles)
        windows = [one.context_window for one in known if one.context_window is not None]
        outputs = [one.max_output for one in known if one.max_output is not None]
        return cls(id, max(windows, default=None), max(outputs, default=None))


@frozen
class ServedModels:
    """What is served to whom: to each tenant what it may use, to *everyone* else what all may."""

    everyone: tuple[ServedModel, ...] = ()
    by_tenant: Mapping[str, tuple[ServedModel, ...]] = MappingProxyType({})

    def of(self, tenant: str | None) -> tuple[ServedModel, ...]:
        return self.everyone if tenant is None else self.by_tenant.get(tenant, self.everyone)


def model_list(models: Sequence[ServedModel], *, anthropic: bool, query: str = "") -> dict[str, object]:
    """The list in one dialect's shape.

    *query* is the URL's.  Anthropic's pages are given as asked for (``limit``,
    ``after_id``, ``before_id``); who asks for no page gets all, also those that never turn one.

    Raises:
        ClientWireError: there is no such page.
    """
    if not anthropic:
        return {"object": "list", "data": [_openai(model) for model in models]}
    page, has_more = _page(models, {name: values[-1] for name, values in parse_qs(query).items()})
    return {
        "data": [_anthropic(model) for model in page],
        "has_more": has_more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def one_model(models: Sequence[ServedModel], id: str, *, anthropic: bool) -> dict[str, object]:
    """One model in one dialect's shape.

    Raises:
        UnknownModel: none has that id.
    """
    for model in models:
        if model.id == id:
            return _anthropic(model) if anthropic else _openai(model)
    raise UnknownModel(id)


def _page(models: Sequence[ServedModel], asked: Mapping[str, str]) -> tuple[Sequence[ServedModel], bool]:
    limit = _limit(asked["limit"]) if "limit" in asked else max(len(models), 1)
    places = {model.id: at for at, model in enumerate(models)}
    for name in ("after_id", "before_id"):
        if name in asked and asked[name] not in places:
            raise ClientWireError(f"no model has the id {asked[name]!r}", field=name)
    start = places[asked["after_id"]] + 1 if "after_id" in asked else 0
    end = len(models)
    if "before_id" in asked:
        end = places[asked["before_id"]]
        page = models[start:end][-limit:]
        return page, end - start > len(page)
    return models[start : start + limit], end - start > limit


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MOST_A_PAGE:
        return int(text)
    raise ClientWireError(f"must be a number from 1 to {_MOST_A_PAGE}", field="limit")


def _anthropic(model: ServedModel) -> dict[str, object]:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
        "max_input_tokens": model.max_input,
        "max_tokens": model.max_output,
    }


def _openai(model: ServedModel) -> dict[str, object]:
    shown: dict[str, object] = {"id": model.id, "object": "model", "created": 0, "owned_by": "lynkr"}
    if model.max_input is not None:
        shown["context_length"] = model.max_input
    if model.max_output is not None:
        shown["top_provider"] = {"max_completion_tokens": model.max_output}
    return shown
