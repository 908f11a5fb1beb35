"""What a decision was drawn from, as JSON: enough to draw it again, and no word of the prompt.

`features_json` and `snapshot_json` write numbers and codes, leaving out what
is at its default; `features_of_json` and `snapshot_of_json` give them back.  The
one text among the features, the ask, is written only where the owner keeps
text.  Without it `RecordedFeatures` come back: whoever reads their `ask`
gets `TextNotRecorded`, never an empty text that would be taken for an ask.

::

    features_of_json(features_json(f, with_text=True))  == f
    snapshot_of_json(snapshot_json(s))  == s, but for the tariffs, of which the version is kept
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NoReturn, cast

from attrs import NOTHING, Attribute, evolve, field, fields, frozen

from lynkr.errors import LynkrError
from lynkr.model import Json, WireFormat
from lynkr.routing.context import NO_CONTEXT, RequestClass, RequestContext, SessionKey, SessionSource
from lynkr.routing.decision import (
    NO_CONSTRAINTS,
    Constraints,
    Decision,
    Keep,
    Pin,
    Rates,
    Snapshot,
    Step,
    Target,
    Tier,
    TurnShape,
)
from lynkr.routing.features import Features, Traffic
from lynkr.routing.media import Media, MediaKind
from lynkr.routing.protocols import Scorer
from lynkr.routing.reading import AskKind, Format, Reading, read_words

VERSION: Final = 1
"""Of the JSON's shape; a reader refuses any other."""


class TextNotRecorded(LynkrError):
    """A scorer, policy or rule needs the ask's words, and the ledger holds none."""

    kind = "unavailable"


@frozen
class RecordedFeatures(Features):
    """Features whose ask was not kept: everything but its words; *asks* says whether there was one.

    *heard* are the steps that scorers gave when they had the words.
    """

    ask: str = field(init=False, repr=False, eq=False)
    words: Sequence[bytes] = field(init=False, repr=False, eq=False)
    asks: bool = False
    heard: tuple[Step, ...] = field(default=(), repr=False, eq=False)

    def __getattr__(self, name: str) -> NoReturn:
        # Reached only for what is not there: the slots of *ask* and *words* are never filled.
        if name in ("ask", "words"):
            raise TextNotRecorded("the words of the ask are needed, and telemetry.record_text was off")
        raise AttributeError(name)

    @property
    def has_ask(self) -> bool:
        return self.asks

    def opinion_of(self, scorer: Scorer) -> Step:
        """What *scorer* says, or said then if it needs the words and is of the version that was heard.

        Raises:
            TextNotRecorded: it needs the words, and was not heard.
        """
        try:
            return scorer(self)
        except TextNotRecorded:
            version: object = getattr(scorer, "version", None)
            for step in self.heard:
                if version is not None and step.data.get("version") == version:
                    return step
            raise


def opinions(scorers: Sequence[Scorer], features: Features) -> tuple[Step, ...]:
    """A step of each scorer.

    Raises:
        TextNotRecorded: one needs words that were not kept.
    """
    if isinstance(features, RecordedFeatures):
        return tuple([features.opinion_of(scorer) for scorer in scorers])
    return tuple([scorer(features) for scorer in scorers])


class Deferred(Mapping[str, Json]):
    """A JSON object that *encode* makes when it is first looked at.

    So what is to be recorded costs the request a reference, and whoever
    writes it down the encoding.  Safe to look at from several threads.
    """

    __slots__ = ("_encode", "_made")

    def __init__(self, encode: Callable[[], Mapping[str, Json]]) -> None:
        self._encode: Callable[[], Mapping[str, Json]] | None = encode
        self._made: Mapping[str, Json] | None = None

    def made(self) -> Mapping[str, Json]:
        """The object itself."""
        encode = self._encode
        if self._made is None and encode is not None:
            self._made = encode()
            self._encode = None  # what it was made from, the ask's words above all, is let go
        return {} if self._made is None else self._made

    def __getitem__(self, key: str) -> Json:
        return self.made()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.made())

    def __len__(self) -> int:
        return len(self.made())

    def __repr__(self) -> str:
        return repr(dict(self.made()))


def seen_json(features: Features, snapshot: Snapshot, *, with_text: bool = False) -> dict[str, Json]:
    """Both, under one version: what `lynkr.telemetry.Record.features` holds."""
    return {
        "version": VERSION,
        "features": features_json(features, with_text=with_text),
        "snapshot": snapshot_json(snapshot),
    }


def seen_of_json(value: Mapping[str, Json]) -> tuple[Features, Snapshot]:
    """What `seen_json` wrote.

    Raises:
        ValueError: it is of another version, or damaged.
    """
    if value.get("version") != VERSION:
        raise ValueError(f"features of version {value.get('version')} are not those of version {VERSION}")
    try:
        return (
            features_of_json(cast("Mapping[str, Any]", value["features"])),
            snapshot_of_json(cast("Mapping[str, Any]", value["snapshot"])),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"recorded features cannot be read: {error!r}") from error


# --- Features -----------------------------------------------------------------------------------------


def features_json(features: Features, *, with_text: bool = False) -> dict[str, Json]:
    """The features, those at their default left out; the ask only *with_text*."""
    plain = _told(features, _FEATURES)
    if with_text and not isinstance(features, RecordedFeatures):
        plain["ask"] = features.ask
    elif features.has_ask:
        plain["asks"] = True
    return plain


def features_of_json(value: Mapping[str, Any]) -> Features:
    """What `features_json` wrote: `Features` where the text was kept, else `RecordedFeatures`.

    Raises:
        TypeError, ValueError, KeyError: it wrote no such thing.
    """
    kept: dict[str, Any] = {}
    for name, item in value.items():
        read = _READERS.get(name)
        kept[name] = item if read is None else read(item)
    if "ask" not in kept:
        return RecordedFeatures(**kept)
    return Features(**kept, words=read_words(kept["ask"])[1])


def _reading(value: Mapping[str, Any]) -> Reading:
    told = dict(value)
    if "kind" in told:
        told["kind"] = AskKind(told["kind"])
    if "format" in told:
        told["format"] = Format(told["format"])
    return Reading(**told)


def _media(value: Sequence[str]) -> Media:
    return Media(WireFormat(value[0]), MediaKind(value[1]), value[2])


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "reading": _reading,
    "earlier": lambda value: tuple(map(_reading, value)),
    "traffic": Traffic,
    "touched": tuple,
    "request_class": RequestClass,
    "media": lambda value: tuple(map(_media, value)),
}


# --- Snapshot -----------------------------------------------------------------------------------------


def snapshot_json(snapshot: Snapshot) -> dict[str, Json]:
    """The snapshot without its tariffs: of them the version is kept."""
    plain: dict[str, Json] = {"now": snapshot.now, "seed": snapshot.seed}
    if snapshot.session is not None:
        plain["session"] = snapshot.session
    if snapshot.unavailable:
        plain["unavailable"] = sorted(map(str, snapshot.unavailable))
    if snapshot.pin is not None:
        plain["pin"] = _pin_json(snapshot.pin)
    if snapshot.rates.version is not None:
        plain["price_version"] = snapshot.rates.version
    if snapshot.latencies:
        plain["latencies"] = {str(target): seconds for target, seconds in snapshot.latencies.items()}
    if snapshot.constraints is not NO_CONSTRAINTS and (told := _told(snapshot.constraints, _CONSTRAINTS)):
        plain["constraints"] = told
    if snapshot.turn is not _USUAL_TURN and (told := _told(snapshot.turn, _TURN)):
        plain["turn"] = told
    if snapshot.context is not NO_CONTEXT and (told := _context_json(snapshot.context)):
        plain["context"] = told
    return plain


def snapshot_of_json(value: Mapping[str, Any]) -> Snapshot:
    """What `snapshot_json` wrote; its rates have a version and no tariffs.

    Raises:
        TypeError, ValueError, KeyError: it wrote no such thing.
    """
    limits = dict(value.get("constraints", {}))
    for name in ("allowed", "blocked"):
        if name in limits:
            limits[name] = frozenset(limits[name])
    latencies = {Target.parse(name): seconds for name, seconds in value.get("latencies", {}).items()}
    pin = value.get("pin")
    return Snapshot(
        now=value["now"],
        unavailable=frozenset(map(Target.parse, value.get("unavailable", ()))),
        session=value.get("session"),
        seed=value["seed"],
        context=_context_of(value.get("context", {})),
        pin=None if pin is None else _pin_of(pin),
        rates=Rates(version=value.get("price_version")),
        latencies=latencies,
        constraints=Constraints(**limits),
        turn=TurnShape(**value.get("turn", {})),
    )


def _pin_json(pin: Pin) -> list[Json]:
    home = None if pin.home is None else str(pin.home)
    return [str(pin.served), home, pin.tokens, pin.messages, pin.at]


def _pin_of(value: Sequence[Any]) -> Pin:
    served, home, tokens, messages, at = value
    return Pin(Target.parse(served), None if home is None else Target.parse(home), tokens, messages, at)


def _context_json(context: RequestContext) -> dict[str, Json]:
    plain = _told(context, _CONTEXT)
    if context.session is not None:
        plain["session"] = [str(context.session), context.session.source.value]
    return plain


def _context_of(value: Mapping[str, Any]) -> RequestContext:
    if not value:
        return NO_CONTEXT
    told = dict(value)
    if "session" in told:
        text, source = told["session"]
        told["session"] = evolve(SessionKey.parse(text), source=SessionSource(source))
    if "request_class" in told:
        told["request_class"] = RequestClass(told["request_class"])
    return RequestContext(**told)


# --- Decisions ----------------------------------------------------------------------------------------


def decision_json(decision: Decision) -> dict[str, Json]:
    """What a record does not hold anyway (tier, score and trace it does): `Record.decision`."""
    plain: dict[str, Json] = {
        "version": VERSION,
        "targets": [str(target) for target in decision.targets],
        "tiers": [None if tier is None else _TIERS[tier] for tier in decision.tiers],
        "propensity": decision.propensity,
        "expected_microusd": decision.expected_microusd,
        "price_version": decision.price_version,
    }
    if decision.keep is not None:
        plain["keep"] = [decision.keep.as_home, decision.keep.tokens, decision.keep.messages]
    return plain


def decision_of_json(
    value: Mapping[str, Json], *, tier: Tier, score: float, trace: Sequence[Step]
) -> Decision:
    """The decision that `decision_json` wrote, with what the record holds beside it; it has the same digest.

    Raises:
        ValueError: it is of another version, or damaged.
    """
    told = cast("Mapping[str, Any]", value)
    if told.get("version") != VERSION:
        raise ValueError(f"a decision of version {told.get('version')} is not one of version {VERSION}")
    try:
        keep = told.get("keep")
        return Decision(
            tier=tier,
            score=score,
            targets=tuple(map(Target.parse, told["targets"])),
            tiers=tuple(None if name is None else Tier[name] for name in told["tiers"]),
            trace=tuple(trace),
            propensity=told["propensity"],
            expected_microusd=told["expected_microusd"],
            price_version=told["price_version"],
            keep=None if keep is None else Keep(*keep),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a recorded decision cannot be read: {error!r}") from error


# --- Plain values -------------------------------------------------------------------------------------


@frozen
class _Written:
    """The attributes of a class that are written, in order, each with its default."""

    names: tuple[str, ...]
    defaults: tuple[Any, ...]
    values_of: Callable[[object], tuple[Any, ...]]


def _written(cls: type, *left_out: str) -> _Written:
    kept = [attribute for attribute in fields(cls) if attribute.name not in left_out]
    names = tuple(attribute.name for attribute in kept)
    return _Written(names, tuple(map(_default_of, kept)), attrgetter(*names))


def _default_of(attribute: "Attribute[Any]") -> Any:  # noqa: ANN401  # reason: any attribute's
    default = attribute.default
    made = getattr(default, "factory", None)
    return NOTHING if default is NOTHING else default if made is None else made()


def _told(value: object, written: _Written) -> dict[str, Json]:
    plain: dict[str, Json] = {}
    # Three tuples of one length by construction.
    for name, item, default in zip(written.names, written.values_of(value), written.defaults, strict=False):
        if item is not default and item != default:
            plain[name] = item if type(item) in _AS_THEY_ARE else _plain(item)
    return plain


def _plain(value: Any) -> Json:  # noqa: ANN401  # reason: any attribute's
    kind = cast("type[object]", type(value))
    if kind in _AS_THEY_ARE:
        kept: Json = value
        return kept
    if kind is Reading:
        return _told(value, _READING)
    if kind is tuple:
        return [_plain(item) for item in value]
    if kind in _OF_NUMBERS:
        numbers: dict[str, Json] = value.copy()  # by name; four times as fast as `dict` of a proxy
        return numbers
    if isinstance(value, str):  # an enumeration's
        return str(value)
    if kind is Media:
        return [value.format.value, value.kind.value, value.name]
    if kind is frozenset:
        return sorted(map(str, value))
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"{kind.__name__} is neither number nor code, so it is not recorded")


_AS_THEY_ARE: Final = frozenset((int, float, bool, str, type(None)))
_OF_NUMBERS: Final = frozenset((dict, MappingProxyType))
_FEATURES: Final = _written(Features, "ask", "words")
_READING: Final = _written(Reading)
_CONSTRAINTS: Final = _written(Constraints)
_TURN: Final = _written(TurnShape)
_CONTEXT: Final = _written(RequestContext, "session")
_TIERS: Final[Mapping[Tier, str]] = MappingProxyType({tier: tier.name for tier in Tier})  # `name` is slow
_USUAL_TURN: Final[object] = fields(Snapshot).turn.default
