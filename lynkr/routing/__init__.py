"""Pure routing: `Request` and `Snapshot` in, `Decision` out.

::

    Request -> features_of -> Scorer* -> TierPolicy -> ladder -> TargetRule* -> Decision

`PipelineRouter` is the pipeline; every station is a plain function that can be
replaced.  Nothing here reads a clock, a file, a socket or a random number.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from lynkr.routing.context import RequestClass, RequestContext, SessionKey
from lynkr.routing.decision import (
    UNKNOWN_PROFILE,
    CacheKind,
    Constraints,
    Decision,
    Keep,
    Pin,
    Profile,
    Rates,
    Snapshot,
    Step,
    Target,
    Tariff,
    Tier,
    TurnShape,
)

if TYPE_CHECKING:
    from lynkr.routing.classifier import Classifier, LinearClassifier, Success, classified, load_classifier
    from lynkr.routing.economics import SwitchCost, expected_microusd, switch_cost
    from lynkr.routing.features import Features, Traffic, features_of
    from lynkr.routing.media import Media, MediaKind, media_in
    from lynkr.routing.pins import MemoryPins, PinStore
    from lynkr.routing.policy import at_least, at_most, default_policy, first_match, fixed, weighted
    from lynkr.routing.protocols import Redecides, Scorer, TargetRule, TierPolicy, TierRouter
    from lynkr.routing.reading import AskKind, Reading
    from lynkr.routing.recorded import RecordedFeatures, TextNotRecorded
    from lynkr.routing.router import PipelineRouter
    from lynkr.routing.rules import (
        carries_media,
        default_rules,
        fits_context,
        prefers_available,
        requires_structured_output,
        requires_tools,
        requires_vision,
    )
    from lynkr.routing.scorers import DEFAULT_SCORERS, default_scorers
    from lynkr.routing.session import context_of, session_of
    from lynkr.routing.stickiness import SessionRule, Verdict, pin_after, session_rules
    from lynkr.routing.tiers import THRESHOLDS, Rung, TierMap, tier_of

# `import lynkr` needs only what a decision is; the word lists load with the first router.
_HOMES: Final = {
    "classifier": ("Classifier", "LinearClassifier", "Success", "classified", "load_classifier"),
    "economics": ("SwitchCost", "expected_microusd", "switch_cost"),
    "pins": ("MemoryPins", "PinStore"),
    "session": ("context_of", "session_of"),
    "stickiness": ("SessionRule", "Verdict", "pin_after", "session_rules"),
    "features": ("Features", "Traffic", "features_of"),
    "policy": ("at_least", "at_most", "default_policy", "first_match", "fixed", "weighted"),
    "protocols": ("Redecides", "Scorer", "TargetRule", "TierPolicy", "TierRouter"),
    "reading": ("AskKind", "Reading"),
    "recorded": ("RecordedFeatures", "TextNotRecorded"),
    "router": ("PipelineRouter",),
    "media": ("Media", "MediaKind", "media_in"),
    "rules": (
        "carries_media",
        "default_rules",
        "fits_context",
        "prefers_available",
        "requires_structured_output",
        "requires_tools",
        "requires_vision",
    ),
    "scorers": ("DEFAULT_SCORERS", "default_scorers"),
    "tiers": ("THRESHOLDS", "Rung", "TierMap", "tier_of"),
}
_LAZY: Final = {name: f"lynkr.routing.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "DEFAULT_SCORERS",
    "THRESHOLDS",
    "UNKNOWN_PROFILE",
    "AskKind",
    "CacheKind",
    "Classifier",
    "Constraints",
    "Decision",
    "Features",
    "Keep",
    "LinearClassifier",
    "Media",
    "MediaKind",
    "MemoryPins",
    "Pin",
    "PinStore",
    "PipelineRouter",
    "Profile",
    "Rates",
    "Reading",
    "RecordedFeatures",
    "Redecides",
    "RequestClass",
    "RequestContext",
    "Rung",
    "Scorer",
    "SessionKey",
    "SessionRule",
    "Snapshot",
    "Step",
    "Success",
    "SwitchCost",
    "Target",
    "TargetRule",
    "Tariff",
    "TextNotRecorded",
    "Tier",
    "TierMap",
    "TierPolicy",
    "TierRouter",
    "Traffic",
    "TurnShape",
    "Verdict",
    "at_least",
    "at_most",
    "carries_media",
    "classified",
    "context_of",
    "default_policy",
    "default_rules",
    "default_scorers",
    "expected_microusd",
    "features_of",
    "first_match",
    "fits_context",
    "fixed",
    "load_classifier",
    "media_in",
    "pin_after",
    "prefers_available",
    "requires_structured_output",
    "requires_tools",
    "requires_vision",
    "session_of",
    "session_rules",
    "switch_cost",
    "tier_of",
    "weighted",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
