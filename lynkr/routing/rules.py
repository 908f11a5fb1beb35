"""Target rules: which targets may serve a request, and in which order.

A rule keeps, drops or reorders targets and says what it did.  Rules that drop
a target for lack of a capability drop it only when its profile *says* that it
lacks it: None is unknown and excludes nothing.  Their step's code is one of
`CAPABILITY_CODES`; where such a rule leaves nothing, the router raises
`CapabilityError`.

A rule of one's own is a function:

>>> def no_cloud(targets: tuple[Target, ...], features: Features, snapshot: Snapshot):
...     local = tuple(target for target in targets if target.provider == "ollama")
...     return local, Step("no_cloud", "kept local targets", code="local_only")
>>> no_cloud((Target("ollama", "qwen3"), Target("openai", "gpt")), Features(), Snapshot())[0]
(Target(provider='ollama', model='qwen3'),)
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import field, frozen

from lynkr.model import Json
from lynkr.routing.constraints import meets_deadline, obeys_policy, within_budget
from lynkr.routing.decision import ANY_MODEL, Profile, Snapshot, Step, Target
from lynkr.routing.features import Features
from lynkr.routing.media import MediaKind, lacking
from lynkr.routing.protocols import TargetRule

Profiles: TypeAlias = Callable[[Target], Profile]
"""What each target can do; must give the same answer for the same target."""

LACKS_VISION: Final = "lacks_vision"
LACKS_TOOLS: Final = "lacks_tools"
LACKS_STRUCTURED_OUTPUT: Final = "lacks_structured_output"
CONTEXT_TOO_SMALL: Final = "context_too_small"
LACKS_MEDIA: Final[Mapping[MediaKind, str]] = MappingProxyType(
    {
        MediaKind.AUDIO: "lacks_audio",
        MediaKind.DOCUMENT: "lacks_documents",
        MediaKind.VIDEO: "lacks_video",
        MediaKind.ANSWERS: "lacks_several_answers",
    }
)
CAPABILITY_CODES: Final = frozenset(
    (LACKS_VISION, LACKS_TOOLS, LACKS_STRUCTURED_OUTPUT, CONTEXT_TOO_SMALL, *LACKS_MEDIA.values())
)

_Ladder: TypeAlias = tuple[Target, ...]


@frozen
class _Requires:
    """Drop targets whose profile says no to a capability the request needs."""

    name: str
    needed_by: Callable[[Features], object] = field(repr=False)
    has: Callable[[Profile], bool | None] = field(repr=False)
    code: str
    profiles: Profiles = field(repr=False)
    known: _Ladder = field(repr=False)
    not_needed: Step = field(init=False, repr=False)
    all_can: Step = field(init=False, repr=False)
    nobody_lacks_it: bool = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "not_needed", _not_needed(self.name))
        object.__setattr__(self, "all_can", Step(self.name, "all can", code="all_can"))
        lacks = [self.has(self.profiles(target)) is False for target in self.known]
        object.__setattr__(self, "nobody_lacks_it", bool(lacks) and not any(lacks))

    def __call__(self, targets: _Ladder, features: Features, _snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
        if not self.needed_by(features):
            return targets, self.not_needed
        if self.nobody_lacks_it:
            return targets, self.all_can
        has, profiles = self.has, self.profiles
        kept = tuple([target for target in targets if has(profiles(target)) is not False])
        if len(kept) == len(targets):
            return targets, self.all_can
        return kept, _exclusion(self.name, self.code, targets, kept)


def _not_needed(name: str) -> Step:
    return Step(name, "not needed", code="not_needed")


_NO_MEDIA: Final = _not_needed("media")


def requires_vision(profiles: Profiles, known: _Ladder = ()) -> TargetRule:
    """Images, also inside tool results, go to targets that can see."""
    return _Requires("vision", attrgetter("images"), attrgetter("vision"), LACKS_VISION, profiles, known)


def requires_tools(profiles: Profiles, known: _Ladder = ()) -> TargetRule:
    """Tools offered, or called earlier in the conversation, go to targets that know tools."""
    return _Requires("tools", attrgetter("needs_tools"), attrgetter("tools"), LACKS_TOOLS, profiles, known)


def requires_structured_output(profiles: Profiles, known: _Ladder = ()) -> TargetRule:
    return _Requires(
        "structured_output",
        attrgetter("needs_structured_output"),
        attrgetter("structured_output"),
        LACKS_STRUCTURED_OUTPUT,
        profiles,
        known,
    )


@frozen
class _CarriesMedia:
    profiles: Profiles = field(repr=False)

    def __call__(self, targets: _Ladder, features: Features, _snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
        media = features.media
        if not media:
            return targets, _NO_MEDIA
        kept: list[Target] = []
        excluded: dict[str, str] = {}
        for target in targets:
            lacked = lacking(self.profiles(target), media)
            if lacked is None:
                kept.append(target)
            else:
                excluded[str(target)] = LACKS_MEDIA[lacked.kind]
        names: list[Json] = [str(one) for one in media]
        if not excluded:
            return targets, Step("media", "all can", code="all_can", data={"media": names})
        code = next(iter(excluded.values()))
        data: dict[str, Json] = {"excluded": excluded, "media": names}
        return tuple(kept), Step("media", f"excluded {', '.join(excluded)}", code=code, data=data)


def carries_media(profiles: Profiles) -> TargetRule:
    """Audio, documents, video and wishes for several answers go to targets of their own dialect.

    See `lynkr.routing.media`.
    """
    return _CarriesMedia(profiles)


@frozen
class _FitsContext:
    profiles: Profiles = field(repr=False)
    room: float
    """What so many tokens fill, prompt and answer, fits every target."""

    def __call__(self, targets: _Ladder, features: Features, _snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
        tokens, wanted = features.input_tokens, features.max_output_tokens or 0
        if tokens + wanted <= self.room:
            return targets, Step("window", "all can", None, "all_can", {"tokens": tokens})
        fitting: list[Target] = []
        possible: list[Target] = []
        for target in targets:
            profile = self.profiles(target)
            window, most = profile.context_window, profile.max_output
            if window is None or tokens + (wanted if most is None or wanted < most else most) <= window:
                fitting.append(target)
            elif features.least_input_tokens < window:
                possible.append(target)
        if targets and len(fitting) == len(targets):
            # The very tuple, where nothing is dropped: the router then need not look its tiers up again.
            return targets, Step("window", "all can", None, "all_can", {"tokens": tokens})
        kept = tuple(fitting or possible)
        if fitting or not possible:
            facts = {"tokens": tokens}
            if targets and not kept:
                facts["limit"] = max(self.profiles(target).context_window or 0 for target in targets)
            return kept, _exclusion("window", CONTEXT_TOO_SMALL, targets, kept, **facts)
        reason = f"about {tokens} tokens and the output asked for fit nowhere for sure"
        excluded: dict[str, str] = {
            str(target): CONTEXT_TOO_SMALL for target in targets if target not in kept
        }
        return kept, Step("window", reason, code="context_doubtful", data={"excluded": excluded})


def fits_context(profiles: Profiles, known: _Ladder = ()) -> TargetRule:
    """The prompt and the output asked for fit the window.

    The prompt's size is an estimate, and the output a client allows is often
    more than it needs.  So if nothing fits, targets are kept which the prompt does
    not surely overflow (at eight bytes a token), with code ``context_doubtful``.
    """
    windows = [profiles(target).context_window for target in known]
    room = min([inf if window is None else window for window in windows], default=0.0)
    return _FitsContext(profiles, room)


def prefers_available(targets: _Ladder, _features: Features, snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
    """Drop targets the snapshot calls unavailable, unless that leaves none: then all are kept (panic)."""
    unavailable = snapshot.unavailable
    if not unavailable:
        return targets, _ALL_AVAILABLE
    kept = tuple(
        target
        for target in targets
        if target not in unavailable and Target(target.provider, ANY_MODEL) not in unavailable
    )
    if len(kept) == len(targets):
        return targets, _ALL_AVAILABLE
    if kept:
        return kept, _exclusion("availability", "unavailable", targets, kept)
    return targets, Step("availability", "none is available; all are kept", code="panic")


_ALL_AVAILABLE: Final = Step("availability", "all are available", code="all_available")


def default_rules(profiles: Profiles, known: _Ladder = ()) -> tuple[TargetRule, ...]:
    """What is banned, then capabilities and the budget, then availability and the deadline.

    *known* are all the targets that will ever be asked about, if that is known beforehand: what
    every one of them can do is then not looked up for each request.
    """
    return (
        obeys_policy,
        requires_vision(profiles, known),
        requires_tools(profiles, known),
        requires_structured_output(profiles, known),
        carries_media(profiles),
        fits_context(profiles, known),
        within_budget,
        prefers_available,
        meets_deadline,
    )


def _exclusion(name: str, code: str, before: Sequence[Target], after: Sequence[Target], **facts: int) -> Step:
    if len(before) == len(after):
        return Step(name, "all can", code="all_can", data=facts)
    excluded: dict[str, str] = {str(target): code for target in before if target not in after}
    return Step(name, f"excluded {', '.join(excluded)}", code=code, data={"excluded": excluded, **facts})
