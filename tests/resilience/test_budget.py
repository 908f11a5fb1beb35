"""The retry budget: its law, and a state machine against a plain model of the documentation."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lynkr.resilience.budget import BudgetConfig, RetryBudget, RetryBudgets

# Sixteenths of a second: sums of them are exact.
_STEPS = [Fraction(n, 16) for n in (0, 1, 15, 16, 17, 144, 159, 160, 161, 480)]


class ModelBudget:
    """Every deposit by its moment; tokens as fractions."""

    def __init__(self, ratio: Fraction, reserve: int) -> None:
        self.ratio, self.full = ratio, Fraction(reserve)
        self.reserve = self.full
        self.deposits: list[list[Fraction]] = []  # [tick, what is left of it]
        self.under_way = 0
        self.idle_since: Fraction | None = None

    def enter(self, now: Fraction) -> None:
        if self.under_way == 0 and self.idle_since is not None and now - self.idle_since >= 10:
            self.reserve = self.full
        self.under_way += 1

    def leave(self, now: Fraction) -> None:
        self.under_way -= 1
        self.idle_since = now

    def live(self, now: Fraction) -> list[list[Fraction]]:
        return [entry for entry in self.deposits if entry[0] > now // 1 - 10]

    def withdraw(self, now: Fraction) -> bool:
        live = self.live(now)
        if sum(entry[1] for entry in live) + self.reserve < 1:
            return False
        due = Fraction(1)
        for entry in live:
            taken = min(due, entry[1])
            entry[1] -= taken
            due -= taken
        self.reserve -= due
        return True


class BudgetMachine(RuleBasedStateMachine):
    @initialize(ratio=st.sampled_from([0.0, 0.1, 0.2, 1.0]), reserve=st.sampled_from([0, 1, 3]))
    def begin(self, ratio: float, reserve: int) -> None:
        self.real = RetryBudget(BudgetConfig(ratio=ratio, reserve=reserve))
        self.model = ModelBudget(Fraction(str(ratio)), reserve)
        self.now = Fraction(1_000)
        self.refused = 0
        # Of the present run of trouble: none of its second tries succeeds.
        self.firsts, self.granted = 0, Fraction(0)
        self.paid = self.begun = self.ended = 0

    @rule(step=st.sampled_from(_STEPS))
    def time_passes(self, step: Fraction) -> None:
        self.now += step

    @rule(times=st.integers(1, 20))
    def requests_begin(self, times: int) -> None:
        for _ in range(times):
            since = self.now if self.model.idle_since is None else self.model.idle_since
            if not self.model.under_way and self.now - since >= 10:  # a new run of trouble
                self.firsts, self.granted = len(self.model.live(self.now)), Fraction(0)
            self.real.enter(float(self.now))
            self.model.enter(self.now)
        self.begun += times

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), succeeded=st.sampled_from([False, False, True]))
    def first_attempts_end(self, data: st.DataObject, succeeded: bool) -> None:
        times = data.draw(st.integers(1, self.begun))
        for _ in range(times):
            self.real.deposit(float(self.now), succeeded=succeeded)
            self.model.deposits.append([self.now // 1, self.model.ratio])
            if succeeded:
                self.model.reserve = min(self.model.full, self.model.reserve + self.model.ratio)
                self.granted -= self.model.ratio
        self.begun -= times
        self.ended += times
        self.firsts += times

    @rule(times=st.integers(1, 8))
    def second_tries(self, times: int) -> None:
        for _ in range(times):
            granted = self.real.withdraw(float(self.now))
            assert granted == self.model.withdraw(self.now)
            self.refused += not granted
            self.granted += granted
            self.paid += granted
        assert self.real.overflow == self.refused
        assert self.granted <= self.model.ratio * self.firsts + self.model.full

    @rule()
    def one_succeeds(self) -> None:
        if self.paid:
            self.paid -= 1
            self.granted -= 1
            self.real.refund()
            self.model.reserve = min(self.model.full, self.model.reserve + 1)

    @precondition(lambda self: self.ended)
    @rule()
    def requests_end(self) -> None:
        for _ in range(self.ended):
            self.real.leave(float(self.now))
            self.model.leave(self.now)
        self.ended = 0


TestBudgetAgainstItsModel = BudgetMachine.TestCase


@given(st.lists(st.tuples(st.floats(0, 9.9), st.integers(0, 5)), max_size=300))
def test_under_total_failure_attempts_are_at_most_1_2_times_requests_and_3(
    requests: list[tuple[float, int]],
) -> None:
    """Each request comes at most 9.9 s after the one before and would like so many more tries."""
    budget, now, attempts = RetryBudget(BudgetConfig()), 0.0, 0
    for number, (gap, wished) in enumerate(requests, start=1):
        now += gap
        attempts += 1
        budget.enter(now)
        budget.deposit(now)
        for _ in range(wished):
            attempts += budget.withdraw(now)
        budget.leave(now)
        assert attempts * 10 <= 12 * number + 30


def test_sparse_traffic_always_has_its_reserve() -> None:
    budget = RetryBudget(BudgetConfig())
    for minute in range(100):
        budget.enter(minute * 60.0)
        budget.deposit(minute * 60.0)
        assert [budget.withdraw(minute * 60.0) for _ in range(4)] == [True, True, True, False]
        budget.leave(minute * 60.0 + 50.0)


def test_steady_traffic_earns_its_reserve_by_succeeding() -> None:
    """A question every five seconds, after an outage that used everything up."""
    budget = RetryBudget(BudgetConfig())
    while budget.withdraw(0.0):
        pass
    for number in range(15):
        budget.enter(number * 5.0)
        budget.deposit(number * 5.0, succeeded=True)
        budget.leave(number * 5.0)
    assert [budget.withdraw(71.0) for _ in range(4)] == [True, True, True, False]


def test_second_tries_that_succeed_cost_nothing() -> None:
    budget = RetryBudget(BudgetConfig())
    for second in range(1_000):
        budget.deposit(float(second))
        assert budget.withdraw(float(second))
        budget.refund()
    assert budget.overflow == 0


def test_a_deposit_is_good_for_ten_seconds() -> None:
    for wait, still_good in ((9.0, True), (10.0, False)):
        budget = RetryBudget(BudgetConfig(reserve=0))
        for _ in range(5):
            budget.deposit(100.0)
        assert budget.withdraw(100.0 + wait) == still_good


def test_domains_do_not_draw_on_each_other_and_the_longest_unused_is_forgotten() -> None:
    budgets = RetryBudgets(max_domains=2)
    for _ in range(5):
        budgets.budget(("one", None)).withdraw(0.0)
    assert budgets.overflow == 2
    assert budgets.budget(("one", "acme")).withdraw(0.0)
    budgets.budget(("two", None))  # there is room for two
    assert budgets.overflow == 2, "what was counted stays counted"
    assert budgets.budget(("one", None)).withdraw(0.0)
