"""All of a tenant's limits together, as a state machine against plain sums."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from lynkr.limits import BudgetSpent, Grant, Period, RateLimited, Spent, TenantLimits, TenantRules

DAY = 86_400
DAILY, MONTHLY, REQUESTS, TOKENS = 1_000, 4_000, 7, 500
RULES = TenantRules(REQUESTS, TOKENS, DAILY, MONTHLY)
START = 1_767_225_600.0  # 2026-01-01 00:00 UTC


class Limits(RuleBasedStateMachine):
    """Requests of several tenants begin and end in whatever order, while days pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.limits = TenantLimits({"a": RULES, "b": RULES}, now=START)
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
        self.limits = self.limits.successor({"a": RULES, "b": RULES}, now=self.now)

    @rule()
    def reload_with_another_rate(self) -> None:
        """Money is remembered by whatever rules; the rate begins anew, in the model too."""
        other = TenantRules(REQUESTS + 1, TOKENS, DAILY, MONTHLY)
        changed = self.limits.successor({"a": other, "b": other}, now=self.now)
        self.limits = changed.successor({"a": RULES, "b": RULES}, now=self.now)
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


TestLimits = Limits.TestCase
TestLimits.settings = settings(stateful_step_count=40, deadline=None)


def test_a_refusal_takes_nothing() -> None:
    limits = TenantLimits({"a": TenantRules(requests_per_minute=2, day_microusd=10)})
    for _ in range(5):
        with pytest.raises(BudgetSpent, match=r"budget_usd_per_day.*\$0\.00001 is left.*up to \$0\.000011"):
            limits.admit("a", now=0, elapsed=0, tokens=0, microusd=11)
    limits.admit("a", now=0, elapsed=0, tokens=0, microusd=5)
    limits.admit("a", now=0, elapsed=0, tokens=0, microusd=5)
    with pytest.raises(RateLimited, match=r"'a' may use 2 requests a minute \(requests_per_minute\)"):
        limits.admit("a", now=0, elapsed=0, tokens=0, microusd=0)
    with pytest.raises(BudgetSpent):  # spent to the last cent: not even what costs nothing
        limits.admit("a", now=0, elapsed=60, tokens=0, microusd=0)


def test_what_was_spent_before_the_start_counts() -> None:
    limits = TenantLimits({"a": RULES}, {"a": Spent(day=300, month=3_900)}, START)
    assert limits.room("a", START) == 100
    assert limits.room("a", START + DAY) == 100
    assert limits.room("a", START + 31 * DAY) == DAILY


def test_tokens_wait_for_what_was_used_beyond_the_estimate() -> None:
    limits = TenantLimits({"a": TenantRules(tokens_per_minute=600)})
    grant = limits.admit("a", now=0, elapsed=0, tokens=100, microusd=0)
    grant.settle(1_200, None)
    with pytest.raises(RateLimited, match="600 tokens a minute") as refused:
        limits.admit("a", now=0, elapsed=0, tokens=10, microusd=0)
    assert refused.value.retry_after == pytest.approx(61)


def test_a_tenant_without_limits_has_no_rules() -> None:
    limits = TenantLimits({"a": TenantRules(), "b": RULES})
    assert limits.of(None) is None
    assert limits.of("a") is None
    assert limits.of("unknown") is None
    assert limits.of("b") == RULES
    assert limits.room("a", 0.0) is None
