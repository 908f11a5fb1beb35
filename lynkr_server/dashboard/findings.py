"""What a finding is, and how its JSON looks."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from lynkr.model import Json
from lynkr_server.dashboard.finding_words import Words


class State(StrEnum):
    ACTIONABLE = "actionable"
    CLEAN = "clean"
    NOT_MEASURED = "not_measured"


@frozen
class Column:
    """*kind* is how its cells are written: as ``text``, ``count``, ``tokens``, ``percent`` or ``money``."""

    label: str
    kind: str = "text"


@frozen
class Evidence:
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Json, ...], ...] = ()


NO_EVIDENCE = Evidence()


@frozen
class Finding:
    """One thing that money went to and need not have.

    *overspend_microusd* looks back: it was paid already; None where the
    finding is not about money, and both are where there is nothing to act on.
    """

    id: str
    words: Words
    state: State
    overspend_microusd: int | None = None
    overspend_tokens: int | None = None
    evidence: Evidence = field(default=NO_EVIDENCE)

    @property
    def weight(self) -> tuple[int, int, int]:
        """What findings are ranked by: actionable ones first, then by money."""
        rank = list(State).index(self.state)
        return (-rank, self.overspend_microusd or 0, self.overspend_tokens or 0)

    def as_json(self) -> dict[str, Any]:
        money = self.overspend_microusd
        return {
            "id": self.id,
            "title": self.words.title,
            "mechanism": "info",
            "state": self.state.value,
            "framing": "tokens" if money is None and self.overspend_tokens is not None else "usd",
            "pastOverspendUsd": None if money is None else money / 1e6,
            "pastOverspendMicrousd": money,
            "pastOverspendTokens": self.overspend_tokens,
            "stats": [],
            "evidence": {
                "columns": [{"label": column.label, "kind": column.kind} for column in self.evidence.columns],
                "rows": [list(row) for row in self.evidence.rows],
            },
            "says": self.words.says,
            "fix": self.words.fix if self.state is State.ACTIONABLE else None,
            "caveat": self.words.caveat,
            "estimateBasis": self.words.basis,
        }


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """The ones to act on first, of those the dearest."""
    return sorted(findings, key=lambda finding: finding.weight, reverse=True)
