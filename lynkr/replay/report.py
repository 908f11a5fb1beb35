"""What a replay found."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from lynkr.replay.costs import CostRange, Share
from lynkr.replay.quality import Quality


@frozen
class Change:
    """The decisions that came out otherwise for one reason.

    *code* is the reason the policy gives: of its tier where that differs, else of the
    session rule, or of the rule that leaves the former target out.  *difference* is in micro-USD,
    over the *priced* ones among them, None if there are none.  *moves* counts ``from -> to``,
    *examples* are ids for `lynkr why`.
    """

    code: str
    requests: int
    priced: int
    difference: CostRange | None
    moves: Mapping[str, int]
    examples: tuple[str, ...]


@frozen
class ReplayReport:
    """What the recorded requests would have been under the policy.

    *requests* are all that were read: *decided* again, *named* by their
    clients (no policy decides those), or *undecidable*, counted by cause.  *changed* decisions are
    split by reason in *changes*, the most frequent first; *refused* counts those (among the
    changed) for which the policy has no target.

    *recorded_microusd* is what the *compared* requests cost (their tokens at
    the prices *price_version*), *replayed* what they would have cost and *difference* that minus
    the recorded: None where nothing could be compared.  *unpriced* requests were decided, but failed, lack
    a count of tokens, or have a target of unknown price.  *hits* is the share of
    simulated cache hits that came true.  The method stands in `lynkr.replay.costs`.
    """

    requests: int
    decided: int
    named: int
    undecidable: Mapping[str, int]
    changed: int
    refused: int
    changes: tuple[Change, ...]
    compared: int
    unpriced: int
    recorded_microusd: float | None
    replayed: CostRange | None
    difference: CostRange | None
    hits: Share
    price_version: str
    quality: Quality

    @property
    def cost_increase(self) -> float | None:
        """The expected difference as a share of what was paid; None where unknown or nothing was paid."""
        if self.difference is None or not self.recorded_microusd:
            return None
        return self.difference.expected / self.recorded_microusd

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object; None is unknown."""
        return {
            "requests": self.requests,
            "decided": self.decided,
            "named": self.named,
            "undecidable": dict(self.undecidable),
            "changed": self.changed,
            "refused": self.refused,
            "changes": [
                {
                    "code": change.code,
                    "requests": change.requests,
                    "priced": change.priced,
                    "difference_microusd": _range(change.difference),
                    "moves": dict(change.moves),
                    "examples": list(change.examples),
                }
                for change in self.changes
            ],
            "compared": self.compared,
            "unpriced": self.unpriced,
            "recorded_microusd": self.recorded_microusd,
            "replayed_microusd": _range(self.replayed),
            "difference_microusd": _range(self.difference),
            "cost_increase": self.cost_increase,
            "cache_hits": {
                "expected": self.hits.expected,
                "low": self.hits.low,
                "high": self.hits.high,
                "sessions": self.hits.sessions,
            },
            "price_version": self.price_version,
            "quality": self.quality.as_json(),
        }


def _range(cost: CostRange | None) -> dict[str, float] | None:
    return None if cost is None else {"low": cost.low, "expected": cost.expected, "high": cost.high}
