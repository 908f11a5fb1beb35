"""What a host wants different from its dialect's plain body, as data.

Theory of operation.  Rules never rewrite a body step by step: they read it once
and say which of its top-level fields to set and which to leave out (`Changes`).
The same answer is put into a translated body (`BodyRules.apply`) and into a
client's own text (`BodyRules.splice`), so that both ways mean the same.  What a
client asked for and does not get is a `Loss`.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import evolve, field, frozen

from lynkr.model import Json, Loss
from lynkr.providers.betas import ALL_BETAS, KnownBetas, without_switched
from lynkr.wire.json_body import JsonBody

# A version has one or two digits a part: what is longer is a date (``claude-opus-4-20250514`` is 4.0).
_VERSIONED: Final = re.compile(r"(?:^|[./])claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


@frozen
class Since:
    """Claude's models from a family's *first* version on, such as ``{"opus": (4, 7)}``.

    A host may put something before the name (``eu.anthropic.claude-opus-5``) and
    behind it.  *also* are names without a version.  A name that is neither is none of them.
    """

    first: Mapping[str, tuple[int, int]]
    also: tuple[str, ...] = ()

    def holds(self, model: str) -> bool:
        if model.endswith(self.also):
            return True
        found = _VERSIONED.search(model)
        first = None if found is None else self.first.get(found[1])
        return found is not None and first is not None and (int(found[2]), int(found[3] or 0)) >= first


@frozen
class Settled:
    """Fields that some models have settled themselves, and refuse to be told.

    A field within another is named by both: ``inferenceConfig.topP``.
    *models* are beginnings of names, and so are *but*, the exceptions among
    them; or they are told by their version.  *when_thinking*: only where the body asks for
    reasoning (Chat's ``reasoning_effort``, Responses' ``reasoning.effort``, other than ``none``).
    """

    fields: frozenset[str]
    models: tuple[str, ...] | Since
    but: tuple[str, ...] = ()
    when_thinking: bool = False

    def names(self, model: str) -> bool:
        """Whether *model* is one of those."""
        is_one = self.models.holds(model) if isinstance(self.models, Since) else model.startswith(self.models)
        return is_one and not (self.but and model.startswith(self.but))

    def holds(self, model: str, body: Mapping[str, Json]) -> bool:
        if not self.names(model):
            return False
        return not self.when_thinking or _effort(body) not in (None, "none")


def _effort(body: Mapping[str, Json]) -> Json:
    reasoning = body.get("reasoning")
    nested = reasoning.get("effort") if isinstance(reasoning, Mapping) else None
    return body.get("reasoning_effort", nested)


@frozen
class Changes:
    """What to do to a body: fields to set, fields to leave out, and what of the client's wishes falls."""

    put: Mapping[str, Json]
    drop: frozenset[str] = frozenset()
    losses: tuple[Loss, ...] = ()


_NO_CHANGES: Final = Changes(MappingProxyType({}))


@frozen
class BodyRules:
    """How bodies are changed on their way to one host; the default changes nothing.

    *stream_usage*: ask for usage at the end of a stream, which OpenAI Chat
    leaves out by default.  *completion_tokens_prefixes*: models whose names
    begin so refuse ``max_tokens`` and want ``max_completion_tokens``.

    *leave_out*: fields the host does not take in a body, such as the ``model``
    that stands in its path.  *fixed*: fields every body must hold, the
    client's own of that name notwithstanding.  *settled*: what some of its
    models refuse to be told.

    *takes*: all fields of a body the host knows, where it refuses any other
    (None where it does not).  *renames*: its names of fields that the dialect
    calls otherwise.  *message_takes* and *message_renames* are the same for the
    fields of each message.

    *betas*: the betas of Anthropic's dialect the host knows.  *betas_field*:
    where it wants them in the body and not in the ``anthropic-beta`` header.
    """

    stream_usage: bool = False
    completion_tokens_prefixes: tuple[str, ...] = ()
    leave_out: frozenset[str] = frozenset()
    fixed: Mapping[str, Json] = field(factory=lambda: MappingProxyType({}))
    settled: tuple[Settled, ...] = ()
    takes: frozenset[str] | None = None
    renames: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))
    message_takes: frozenset[str] | None = None
    message_renames: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))
    betas: KnownBetas = ALL_BETAS
    betas_field: str | None = None

    def of_model(self, model: str) -> "BodyRules":
        """What of these rules can concern *model*: they change its bodies alike, and are sooner asked."""
        prefixes = self.completion_tokens_prefixes
        return evolve(
            self,
            settled=tuple(settled for settled in self.settled if settled.names(model)),
            completion_tokens_prefixes=prefixes if model.startswith(prefixes) else (),
        )

    @property
    def _change_nothing(self) -> bool:
        """Whether these rules leave any body that asks for no beta as it is."""
        return (
            self.takes is None
            and self.message_takes is None
            and self.betas_field is None
            and not (
                self.leave_out
                or self.fixed
                or self.settled
                or self.renames
                or self.completion_tokens_prefixes
            )
        )

    def apply(self, body: Mapping[str, Json], model: str, betas: Sequence[str] = ()) -> Mapping[str, Json]:
        """*body* as the host wants it; the same object when nothing is to change.

        *betas* are those the headers ask for.
        """
        return self.applied(body, self.changes(body, model, betas))

    def applied(self, body: Mapping[str, Json], changes: Changes) -> Mapping[str, Json]:
        """As `apply`, by *changes* that are known already."""
        changed = {name: value for name, value in body.items() if name not in changes.drop}
        changed.update(changes.put)
        if self.stream_usage and body.get("stream") is True:
            # OpenAI Chat, "stream_options": usage comes in the last chunk (read 2026-11).
            match changed.get("stream_options"):
                case Mapping() as asked:
                    changed["stream_options"] = {**asked, "include_usage": True}
                case _:
                    changed["stream_options"] = {"include_usage": True}
        return body if changed == body else changed

    def splice(
        self,
        body: JsonBody,
        model: str,
        betas: Sequence[str] = (),
        also: Mapping[str, Json] = MappingProxyType({}),
    ) -> bytes:
        """The client's own text with its model and what the host insists on put in, and no other change.

        Its very bytes when there is nothing to do.  *also* is put in too.
        """
        return self.put_in(body, model, self.changes(body.value, model, betas), also)

    def put_in(
        self,
        body: JsonBody,
        model: str,
        changes: Changes,
        also: Mapping[str, Json] = MappingProxyType({}),
    ) -> bytes:
        """As `splice`, by *changes* that are known already."""
        put = {**changes.put, **also}
        if "model" not in self.leave_out:
            put["model"] = model
        put = {name: value for name, value in put.items() if value != body.value.get(name, _ABSENT)}
        if not put and changes.drop.isdisjoint(body.value):
            return body.data
        return body.edit(put, changes.drop)

    def losses(self, body: Mapping[str, Json], model: str, betas: Sequence[str] = ()) -> tuple[Loss, ...]:
        """What of a client's wishes in *body* and in its betas falls by these rules."""
        return self.changes(body, model, betas).losses

    def refuses(self, name: str, body: Mapping[str, Json], model: str) -> bool:
        """Whether the host or *model* is known to refuse the top-level field *name*."""
        if name in self.leave_out or (self.takes is not None and name not in self.takes):
            return True
        return any(name in settled.fields and settled.holds(model, body) for settled in self.settled)

    def header_betas(self, betas: Sequence[str]) -> list[str]:
        """Those of *betas* that go on in the header, as the host calls them."""
        return [] if self.betas_field is not None else list(self.betas.split(betas)[0])

    def changes(self, body: Mapping[str, Json], model: str, betas: Sequence[str] = ()) -> Changes:
        """What is to be done to *body* for *model*; *betas* are those the headers ask for."""
        if not betas and self._change_nothing:
            return _NO_CHANGES
        put: dict[str, Json] = dict(self.fixed)
        drop = set(self.leave_out)
        losses: list[Loss] = []
        self._tell_betas(body, betas, put, drop, losses)
        for settled in self.settled:
            if settled.holds(model, body):
                losses.extend(
                    _loss(name, f"{model} settles it itself and refuses to be told")
                    for name in _left_out(settled.fields, body, put, drop)
                )
        self._rename(body, model, put, drop)
        if self.takes is not None:
            unknown = [name for name in body if not (name in self.takes or name in drop or name in put)]
            drop.update(unknown)
            losses.extend(_loss(name, "the host refuses a field it does not know") for name in unknown)
        if self.message_takes is not None:
            self._tidy_messages(body.get("messages"), self.message_takes, put, losses)
        put.update(self.fixed)
        return Changes(put, frozenset(drop), tuple(losses))

    def _rename(self, body: Mapping[str, Json], model: str, put: dict[str, Json], drop: set[str]) -> None:
        renames = dict(self.renames)
        if model.startswith(self.completion_tokens_prefixes):
            renames["max_tokens"] = "max_completion_tokens"
        for name, theirs in renames.items():
            if name in body and name not in drop:
                drop.add(name)
                if theirs not in body:
                    put[theirs] = body[name]

    def _tidy_messages(
        self, messages: Json, takes: frozenset[str], put: dict[str, Json], losses: list[Loss]
    ) -> None:
        """Set the messages without what the host refuses in them, where there is any of it."""
        if not isinstance(messages, list | tuple):
            return
        tidied: list[Json] = []
        for at, message in enumerate(messages):
            if not isinstance(message, Mapping) or takes.issuperset(message):
                tidied.append(message)
                continue
            kept = {name: value for name, value in message.items() if name in takes}
            for name in message.keys() - kept.keys():
                theirs = self.message_renames.get(name)
                if theirs is not None:
                    kept.setdefault(theirs, message[name])
                elif message[name] is not None:
                    losses.append(Loss(f"messages[{at}].extras.{name}", "the host refuses it in a message"))
            tidied.append(kept)
        if tidied != list(messages):
            put["messages"] = tidied

    def _tell_betas(
        self,
        body: Mapping[str, Json],
        betas: Sequence[str],
        put: dict[str, Json],
        drop: set[str],
        losses: list[Loss],
    ) -> None:
        """Set the betas of the body, and take out what those switch on that the host does not know."""
        own = body.get(self.betas_field) if self.betas_field is not None else None
        named = [beta for beta in own if isinstance(beta, str)] if isinstance(own, list | tuple) else []
        kept, fallen = self.betas.split(list(dict.fromkeys((*named, *betas))))
        if fallen:
            switched = without_switched(body, fallen)
            put.update(switched.put)
            drop.update(switched.drop)
            losses.extend(
                Loss("headers.anthropic-beta", f"{beta!r} is a beta the host does not know")
                for beta in fallen
            )
            losses.extend(switched.losses)
        if self.betas_field is None or not (betas or fallen):
            return
        if kept:
            odd = [beta for beta in own if not isinstance(beta, str)] if isinstance(own, list | tuple) else []
            put[self.betas_field] = [*kept, *odd]
        elif self.betas_field in body:
            drop.add(self.betas_field)


def _left_out(
    fields: frozenset[str], body: Mapping[str, Json], put: dict[str, Json], drop: set[str]
) -> list[str]:
    """Those of *fields* that are in *body*, which *put* and *drop* are made to leave out."""
    found = [name for name in body if name in fields]
    drop.update(found)
    for path in sorted(fields):
        outer, dot, inner = path.partition(".")
        node = put.get(outer, body.get(outer)) if dot else None
        if isinstance(node, Mapping) and inner in node:
            found.append(path)
            rest = {name: value for name, value in node.items() if name != inner}
            put[outer] = rest
            if not rest:
                del put[outer]
                drop.add(outer)
    return found


def _loss(name: str, reason: str) -> Loss:
    return Loss(_PATHS.get(name, f"extras.{name}"), reason)


_ABSENT: Final = object()
# Where the canonical request has what a body calls so.
_PATHS: Final = MappingProxyType(
    {
        "temperature": "sampling.temperature",
        "top_p": "sampling.top_p",
        "top_k": "sampling.top_k",
        "seed": "sampling.seed",
        "stop": "sampling.stop",
        "parallel_tool_calls": "parallel_tool_calls",
        "reasoning_effort": "reasoning.effort",
        "reasoning": "reasoning",
        "response_format": "output_format",
        "user": "user",
        "inferenceConfig.temperature": "sampling.temperature",
        "inferenceConfig.topP": "sampling.top_p",
        "additionalModelRequestFields.top_k": "sampling.top_k",
    }
)
PLAIN_BODIES: Final = BodyRules()
CHAT_BODIES: Final = BodyRules(stream_usage=True)
