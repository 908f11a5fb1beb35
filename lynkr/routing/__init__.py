"""Pure routing: `Request` and `Snapshot` in, `Decision` out.

::

    Request -> features_of -> Scorer* -> TierPolicy -> ladder -> TargetRule* -> Decision

`PipelineRouter` is the pipeline; every station is a plain function that can be
replaced.  Nothing here reads a clock, a file, a socket or a random number.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from lynkr.routing.decision import UNKNOWN_PROFILE, Decision, Profile, Snapshot, Step, Target, Tier

if TYPE_CHECKING:
    from lynkr.routing.classifier import Classifier, LinearClassifier, Success, classified, load_classifier
    from lynkr.routing.features import Features, Traffic, features_of
    from lynkr.routing.policy import at_least, at_most, default_policy, first_match, fixed, weighted
    from lynkr.routing.protocols import Scorer, TargetRule, TierPolicy, TierRouter
    from lynkr.routing.reading import AskKind, Reading
    from lynkr.routing.router import PipelineRouter
    from lynkr.routing.rules import (
        default_rules,
        fits_context,
        prefers_available,
        prefers_pinned,
        requires_structured_output,
        requires_tools,
        requires_vision,
    )
    from lynkr.routing.scorers import DEFAULT_SCORERS, default_scorers
    from lynkr.routing.tiers import THRESHOLDS, Rung, TierMap, tier_of

# `import lynkr` needs only what a decision is; the word lists load with the first router.
_HOMES: Final = {
    "classifier": ("Classifier", "LinearClassifier", "Success", "classified", "load_classifier"),
    "features": ("Features", "Traffic", "features_of"),
    "policy": ("at_least", "at_most", "default_policy", "first_match", "fixed", "weighted"),
    "protocols": ("Scorer", "TargetRule", "TierPolicy", "TierRouter"),
    "reading": ("AskKind", "Reading"),
    "router": ("PipelineRouter",),
    "rules": (
        "default_rules",
        "fits_context",
        "load_classifier",
    "prefers_available",
        "prefers_pinned",
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
    "Classifier",
    "Decision",
    "Features",
    "LinearClassifier",
    "PipelineRouter",
    "Profile",
    "Reading",
    "Rung",
    "Scorer",
    "Snapshot",
    "Step",
    "Success",
    "Target",
    "TargetRule",
    "Tier",
    "TierMap",
    "TierPolicy",
    "TierRouter",
    "Traffic",
    "at_least",
    "at_most",
    "classified",
    "default_policy",
    "default_rules",
    "default_scorers",
    "features_of",
    "first_match",
    "fits_context",
    "fixed",
    "prefers_available",
    "prefers_pinned",
    "requires_structured_output",
    "requires_tools",
    "requires_vision",
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
