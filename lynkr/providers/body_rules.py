"""What a host wants different from its dialect's plain body, as data."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from lynkr.model import Json, Loss
from lynkr.wire.json_body import JsonBody


@frozen
class BodyRules:
    """How bodies are changed on their way to one host; the default changes nothing.

    *stream_usage*: ask for usage at the end of a stream, which OpenAI Chat
    leaves out by default.  *completion_tokens_prefixes*: models whose names
    begin so refuse ``max_tokens`` and want ``max_completion_tokens``.

    *leave_out*: fields the host does not take in a body, such as the ``model``
    that stands in its path.  *fixed*: fields every body must hold, the
    client's own of that name notwithstanding.  *betas_field*: where the host
    wants a list of what others take in the ``anthropic-beta`` header.
    *settled*: fields that models whose names begin with one of
    *settled_prefixes* have settled themselves, and refuse to be told.
    """

    stream_usage: bool = False
    completion_tokens_prefixes: tuple[str, ...] = ()
    leave_out: frozenset[str] = frozenset()
    fixed: Mapping[str, Json] = field(factory=lambda: MappingProxyType({}))
    betas_field: str | None = None
    settled: frozenset[str] = frozenset()
    settled_prefixes: tuple[str, ...] = ()

    def apply(self, body: Mapping[str, Json], model: str, betas: Sequence[str] = ()) -> Mapping[str, Json]:
        """*body* as the host wants it; the same object when nothing is to change.

        *betas* are those the headers ask for.
        """
        left_out = self._left_out(model)
        changed = {name: value for name, value in body.items() if name not in left_out}
        if self.refuses(body, model):
            limit = changed.pop("max_tokens")
            changed.setdefault("max_completion_tokens", limit)
        if self.stream_usage and body.get("stream") is True:
            # OpenAI Chat, "stream_options": usage comes in the last chunk (read 2026-11).
            match body.get("stream_options"):
                case Mapping() as asked:
                    changed["stream_options"] = {**asked, "include_usage": True}
                case _:
                    changed["stream_options"] = {"include_usage": True}
        changed.update(self._put(body, betas))
        return body if changed == body else changed

    def splice(self, body: JsonBody, model: str, betas: Sequence[str] = ()) -> bytes:
        """The client's own text with its model and what the host insists on put in, and no other change.

        Its very bytes when there is nothing to do.
        """
        put = dict(self._put(body.value, betas))
        if "model" not in self.leave_out:
            put["model"] = model
        put = {name: value for name, value in put.items() if value != body.value.get(name, _ABSENT)}
        left_out = self._left_out(model)
        if not put and left_out.isdisjoint(body.value):
            return body.text.encode()
        return body.edit(put, left_out)

    def losses(self, body: Mapping[str, Json], model: str) -> tuple[Loss, ...]:
        """What of a client's wishes in *body* falls by these rules: the fields the model settles itself."""
        if not self.settled or not model.startswith(self.settled_prefixes):
            return ()
        found = (name for name in body if name in self.settled)
        reason = f"{model} settles it itself and refuses to be told"
        return tuple(Loss(_PATHS.get(name, f"extras.{name}"), reason) for name in found)

    def refuses(self, body: Mapping[str, Json], model: str) -> bool:
        """Whether the host would answer 400 to *body* as it stands: it cannot go through untouched."""
        return "max_tokens" in body and model.startswith(self.completion_tokens_prefixes)

    def _left_out(self, model: str) -> frozenset[str]:
        is_settled = bool(self.settled) and model.startswith(self.settled_prefixes)
        return self.leave_out | self.settled if is_settled else self.leave_out

    def _put(self, body: Mapping[str, Json], betas: Sequence[str]) -> Mapping[str, Json]:
        """The fields this host wants in every body."""
        if self.betas_field is None or not betas:
            return self.fixed
        own = body.get(self.betas_field)
        asked = [*own, *betas] if isinstance(own, list | tuple) else betas
        return {**self.fixed, self.betas_field: _distinct(asked)}


def _distinct(items: Sequence[Json]) -> list[Json]:
    """*items* without what came before; they need not be hashable."""
    seen: list[Json] = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return seen


_ABSENT: Final = object()
_PATHS: Final = {"temperature": "sampling.temperature", "top_p": "sampling.top_p"}
PLAIN_BODIES = BodyRules()
CHAT_BODIES = BodyRules(stream_usage=True)
