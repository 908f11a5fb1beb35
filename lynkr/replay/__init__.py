"""Decide recorded requests again: what would last month have cost, and been worth, under another policy.

::

    records, oldest first -> features and snapshot -> the policy -> changed decisions, by reason
                                                   -> pins and caches along its own path -> cost, as a range
                                                   -> explored sessions -> quality, where it can be known

Nothing is sent.  `replay` takes records, `replay_ledger` a store; both give a `ReplayReport`.
"""

from lynkr.replay.costs import CostRange
from lynkr.replay.policies import load_policy
from lynkr.replay.quality import (
    Estimate,
    Overlap,
    Quality,
    Sample,
    estimate_quality,
    judged_by,
    outcome_of,
)
from lynkr.replay.replaying import replay, replay_ledger
from lynkr.replay.report import Change, ReplayReport

__all__ = [
    "Change",
    "CostRange",
    "Estimate",
    "Overlap",
    "Quality",
    "ReplayReport",
    "Sample",
    "estimate_quality",
    "judged_by",
    "load_policy",
    "outcome_of",
    "replay",
    "replay_ledger",
]
