"""Adaptive throttling against a plain model of the SRE book's formula."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lynkr.resilience.throttle import AdaptiveThrottle, ThrottleConfig, Throttles


class ThrottleMachine(RuleBasedStateMachine):
    @initialize(k=st.sampled_from([1.0, 1.5, 2.0]), least=st.sampled_from([1, 10]))
    def begin(self, k: float, least: int) -> None:
        self.config = ThrottleConfig(k=k, min_requests=least)
        self.real = AdaptiveThrottle(self.config)
        self.now = 600.0
        self.seen: list[tuple[int, bool]] = []  # (slice of five seconds, accepted)
        self.refused = 0

    def recent(self) -> list[bool]:
        newest = max([int(self.now // 5), *(when for when, _ in self.seen)])
        return [accepted for when, accepted in self.seen if when > newest - 6]

    def note(self, accepted: bool) -> None:
        newest = max([int(self.now // 5), *(when for when, _ in self.seen)])
        self.seen.append((newest, accepted))

    def expected(self) -> float:
        recent = self.recent()
        if len(recent) < self.config.min_requests:
            return 0.0
        return max(0.0, (len(recent) - self.config.k * sum(recent)) / (len(recent) + 1))

    @rule(step=st.sampled_from([0.0, 1.0, 5.0, 29.0, 30.0, 60.0]))
    def time_passes(self, step: float) -> None:
        self.now += step

    @rule(verdicts=st.lists(st.booleans(), min_size=1, max_size=12))
    def answers_come(self, verdicts: list[bool]) -> None:
        for accepted in verdicts:
            self.real.settle(self.now, accepted=accepted)
            self.note(accepted)

    @rule(draw=st.floats(0, 1, exclude_max=True))
    def a_request_wants_out(self, draw: float) -> None:
        expected = draw >= self.expected()
        assert self.real.admits(self.now, draw) == expected
        if not expected:
            self.refused += 1
            self.note(False)
        assert self.real.refused == self.refused

    @invariant()
    def it_holds_back_by_the_formula(self) -> None:
        if hasattr(self, "real"):
            assert self.real.refusal(self.now) == pytest.approx(self.expected())
            assert 0 <= self.real.refusal(self.now) < 1


TestThrottleAgainstItsModel = ThrottleMachine.TestCase


def test_nothing_is_held_back_while_half_of_the_requests_are_accepted() -> None:
    throttle = AdaptiveThrottle(ThrottleConfig())
    for number in range(1_000):
        throttle.settle(0.0, accepted=number % 2 == 0)
    assert throttle.refusal(0.0) == 0.0
    assert throttle.admits(0.0, 0.0)


def test_of_a_provider_that_accepts_nothing_ever_less_is_asked_but_never_nothing() -> None:
    throttle = AdaptiveThrottle(ThrottleConfig())
    for _ in range(10):
        throttle.settle(0.0, accepted=False)
    sent = sum(throttle.admits(0.0, (number * 0.618_033_988_7) % 1) for number in range(1_000))
    assert 0 < sent < 100
    assert throttle.refused == 1_000 - sent
    assert throttle.admits(30.0, 0.0), "after half a minute all is forgotten"


def test_requests_under_way_are_no_sign_of_trouble() -> None:
    throttle = AdaptiveThrottle(ThrottleConfig())
    assert all(throttle.admits(0.0, 0.0) for _ in range(1_000))


def test_credentials_do_not_answer_for_each_other() -> None:
    throttles = Throttles(max_keys=2)
    for _ in range(10):
        throttles.throttle("one").settle(0.0, accepted=False)
    assert not throttles.throttle("one").admits(0.0, 0.0)
    assert throttles.throttle("two").admits(0.0, 0.0)
    throttles.throttle("three")
    assert throttles.refused == 1, "what was counted stays counted"
