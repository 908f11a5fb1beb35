"""All of a tenant's limits together, as a state machine against plain sums."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from lynkr.layers.sqlite_limits import LimitsFile, SqliteLimits
from lynkr.limits import (
    BudgetSpent,
    Grant,
    Limits,
    LimitsUnavailable,
    Period,
    RateLimited,
    Spent,
    TenantLimits,
    TenantRules,
    rules_of,
)

DAY = 86_400
DAILY, MONTHLY, REQUESTS, TOKENS = 1_000, 4_000, 7, 500
RULES = TenantRules(REQUESTS, TOKENS, DAILY, MONTHLY)
START = 1_767_225_600.0  # 2026-01-01 00:00 UTC


class InMemory(RuleBasedStateMachine):
    """Requests of several tenants begin and end in whatever order, while days pass."""

    def make(self) -> Limits:
        return TenantLimits({"a": RULES, "b": RULES}, now=START)

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.limits = self.make()
        self.spent: dict[tuple[str, int, Period], int] = {}
        self.open: dict[tuple[str, int, Period], int] = {}
        self.admitted: dict[str, list[float]] = {"a": [], "b": []}

    grants = Bundle("grants")

    def used(self, tenant: str, period: Period) -> int:
        key = (tenant, period.began(self.now), period)
        return self.spent.get(key, 0) + self.open.get(key, 0)

    @rule(
        target=grants,
        tenant=st.sampled_from("ab"),
        microusd=st.integers(0, DAILY + 1),
        tokens=st.integers(0, 100),
    )
    def ask(self, tenant: str, microusd: int, tokens: int) -> tuple[Grant, str, float, int, int] | None:
        before = {period: self.used(tenant, period) for period in Period}
        fits = all(
            before[period] + microusd <= most and before[period] < most
            for period, most in ((Period.DAY, DAILY), (Period.MONTH, MONTHLY))
        )
        try:
            grant = self.limits.admit(
                tenant, now=self.now, elapsed=self.now, tokens=tokens, microusd=microusd
            )
        except BudgetSpent:
            fits_none = not fits
            assert fits_none
            return None
        except RateLimited:
            return None
        assert fits
        for period in Period:
            key = (tenant, period.began(self.now), period)
            self.open[key] = self.open.get(key, 0) + microusd
        self.admitted[tenant].append(self.now)
        return grant, tenant, self.now, microusd, tokens

    @rule(entry=consumes(grants), share=st.floats(0, 1), known=st.booleans())
    def end(self, entry: tuple[Grant, str, float, int, int] | None, share: float, known: bool) -> None:
        if entry is None:
            return
        grant, tenant, at, microusd, tokens = entry
        paid = int(microusd * share)
        grant.settle(tokens if known else None, paid if known else None)
        grant.settle(0, 0)  # only the first counts
        for period in Period:
            key = (tenant, period.began(at), period)
            self.open[key] -= microusd
            self.spent[key] = self.spent.get(key, 0) + (paid if known else microusd)

    @rule(seconds=st.sampled_from((0.5, 9, 60, 3_600, DAY, 20 * DAY)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def reload(self) -> None:
        self.limits = self.limits.successor({"a": RULES, "b": RULES}, {}, self.now)

    @rule()
    def reload_with_another_rate(self) -> None:
        """Money is remembered by whatever rules; the rate begins anew, in the model too."""
        other = TenantRules(REQUESTS + 1, TOKENS, DAILY, MONTHLY)
        changed = self.limits.successor({"a": other, "b": other}, {}, self.now)
        self.limits = changed.successor({"a": RULES, "b": RULES}, {}, self.now)
        self.admitted = {"a": [], "b": []}

    @invariant()
    def no_budget_is_exceeded(self) -> None:
        for tenant in "ab":
            assert self.used(tenant, Period.DAY) <= DAILY
            assert self.used(tenant, Period.MONTH) <= MONTHLY
            left = min(DAILY - self.used(tenant, Period.DAY), MONTHLY - self.used(tenant, Period.MONTH))
            assert self.limits.room(tenant, self.now) == left

    @invariant()
    def no_minute_holds_too_many(self) -> None:
        for times in self.admitted.values():
            for end in range(len(times)):
                recent = [at for at in times[: end + 1] if times[end] - at < 1]
                assert len(recent) <= REQUESTS + REQUESTS / 60


class InAFile(InMemory):
    """The same, by several processes' books: whichever of two is asked."""

    def make(self) -> Limits:
        self.folder = TemporaryDirectory()
        self.file = Path(self.folder.name) / "limits.sqlite3"
        self.idle = self.another()
        return self.another()

    def another(self) -> Limits:
        return SqliteLimits(LimitsFile(self.file), {"a": RULES, "b": RULES}, now=START)

    @rule()
    def ask_the_other(self) -> None:
        self.limits, self.idle = self.idle, self.limits

    @rule()
    def restart_one(self) -> None:
        self.limits.close()
        self.limits = self.another()

    def teardown(self) -> None:
        self.limits.close()
        self.idle.close()
        self.folder.cleanup()


TestInMemory = InMemory.TestCase
TestInMemory.settings = settings(stateful_step_count=40, deadline=None)
TestInAFile = InAFile.TestCase
TestInAFile.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)  # each opens a file


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Limits]]:
    made: list[Limits] = []

    def build(*arguments: Any) -> Limits:
        limits = (
            TenantLimits(*arguments)
            if request.param == "memory"
            else SqliteLimits(LimitsFile(tmp_path / "limits.sqlite3"), *arguments)
        )
        made.append(limits)
        return limits

    yield build
    for limits in made:
        limits.close()


def test_a_refusal_takes_nothing(make: Callable[..., Limits]) -> None:
    limits = make({"a": TenantRules(requests_per_minute=2, day_microusd=10)})
    for _ in range(5):
        with pytest.raises(BudgetSpent, match=r"budget_usd_per_day.*\$0\.00001 is left.*up to \$0\.000011"):
            limits.admit("a", now=0, elapsed=0, tokens=0, microusd=11)
    limits.admit("a", now=0, elapsed=0, tokens=0, microusd=5)
    limits.admit("a", now=0, elapsed=0, tokens=0, microusd=5)
    with pytest.raises(RateLimited, match=r"'a' may use 2 requests a minute \(requests_per_minute\)"):
        limits.admit("a", now=0, elapsed=0, tokens=0, microusd=0)
    with pytest.raises(BudgetSpent):  # spent to the last cent: not even what costs nothing
        limits.admit("a", now=0, elapsed=60, tokens=0, microusd=0)


def test_what_was_spent_before_the_start_counts(make: Callable[..., Limits]) -> None:
    limits = make({"a": RULES}, {"a": Spent(day=300, month=3_900)}, START)
    assert limits.room("a", START) == 100
    assert limits.room("a", START + DAY) == 100
    assert limits.room("a", START + 31 * DAY) == DAILY


def test_tokens_wait_for_what_was_used_beyond_the_estimate(make: Callable[..., Limits]) -> None:
    limits = make({"a": TenantRules(tokens_per_minute=600)})
    grant = limits.admit("a", now=0, elapsed=0, tokens=100, microusd=0)
    grant.settle(1_200, None)
    with pytest.raises(RateLimited, match="600 tokens a minute") as refused:
        limits.admit("a", now=0, elapsed=0, tokens=10, microusd=0)
    assert refused.value.retry_after == pytest.approx(61)


def test_a_tenant_without_limits_has_no_rules(make: Callable[..., Limits]) -> None:
    limits = make({"a": TenantRules(), "b": RULES})
    assert rules_of(limits, None) is None
    assert rules_of(limits, "a") is None
    assert rules_of(limits, "unknown") is None
    assert rules_of(limits, "b") == RULES
    assert limits.room("a", 0.0) is None


# --- the file


PROCESS = """
import sys
from lynkr.layers.sqlite_limits import LimitsFile, SqliteLimits
from lynkr.limits import BudgetSpent, RateLimited, TenantRules
rules = {"a": TenantRules(day_microusd=1_000), "b": TenantRules(requests_per_minute=100)}
limits = SqliteLimits(LimitsFile(sys.argv[1]), rules, {}, 0.0)
grants, asked = [], 0
print("ready", flush=True)
sys.stdin.readline()
try:
    while True:
        grants.append(limits.admit("a", now=1.0, elapsed=1.0, tokens=0, microusd=7))
        if len(grants) % 2:
            grants[-1].settle(None, 5)
except BudgetSpent:
    pass
try:
    while True:
        limits.admit("b", now=1.0, elapsed=1.0, tokens=0, microusd=0)
        asked += 1
except RateLimited:
    pass
print(len(grants), sum(5 if place % 2 == 0 else 7 for place in range(len(grants))), asked)
"""


def test_several_processes_let_in_together_what_one_would(tmp_path: Path) -> None:
    path = tmp_path / "limits.sqlite3"
    command = [sys.executable, "-c", PROCESS, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    told = []
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=30)
        told.append(tuple(map(int, out.split())))
    taken = sum(paid for _, paid, _ in told)
    assert 1_000 - 7 < taken <= 1_000
    assert sum(asked for *_, asked in told) == 100
    with closing(SqliteLimits(LimitsFile(path), {"a": TenantRules(day_microusd=1_000)})) as limits:
        assert limits.room("a", 1.0) == 1_000 - taken
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_its_file_nobody_is_let_in_and_what_ended_is_settled_later(tmp_path: Path) -> None:
    path = tmp_path / "limits.sqlite3"
    rules = {"a": TenantRules(day_microusd=1_000)}
    with closing(SqliteLimits(LimitsFile(path, busy_timeout=0.01), rules)) as limits:
        grant = limits.admit("a", now=1.0, elapsed=1.0, tokens=0, microusd=900)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(LimitsUnavailable, match=r"limits\.sqlite3.*locked"):
                limits.admit("a", now=1.0, elapsed=1.0, tokens=0, microusd=1)
            grant.settle(None, 100)
            other.execute("ROLLBACK")
        assert limits.room("a", 1.0) == 100
        limits.admit("a", now=1.0, elapsed=1.0, tokens=0, microusd=50)
        assert limits.room("a", 1.0) == 850
        limits.admit("a", now=1.0, elapsed=1.0, tokens=0, microusd=50)
        assert limits.room("a", 1.0) == 800, "settled once"


def test_what_the_ledger_knows_of_a_tenant_that_comes_back_counts(tmp_path: Path) -> None:
    rules = {"a": TenantRules(day_microusd=1_000)}
    with closing(SqliteLimits(LimitsFile(tmp_path / "limits.sqlite3"), rules)) as limits:
        limits.admit("a", now=1.0, elapsed=1.0, tokens=0, microusd=100).settle(None, 100)
        away = limits.successor({}, {}, 1.0)
        back = away.successor(rules, {"a": Spent(300, 300)}, 1.0)
        assert back.room("a", 1.0) == 700
        again = back.successor(rules, {"a": Spent(200, 200)}, 1.0)
        assert again.room("a", 1.0) == 700


def test_a_damaged_count_is_no_free_pass(tmp_path: Path) -> None:
    path = tmp_path / "limits.sqlite3"
    rules = {"a": TenantRules(day_microusd=1_000)}
    with closing(SqliteLimits(LimitsFile(path), rules)) as limits:
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE used SET state = 'much'")
        with pytest.raises(LimitsUnavailable, match="mend it"):
            limits.admit("a", now=1.0, elapsed=1.0, tokens=0, microusd=1)
        with pytest.raises(LimitsUnavailable):
            limits.room("a", 1.0)
