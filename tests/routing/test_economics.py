"""What a switch costs, for every mechanism a cache is paid by."""

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from lynkr.routing import (
    CacheKind,
    Pin,
    Rates,
    Snapshot,
    Target,
    Tariff,
    TurnShape,
    expected_microusd,
    switch_cost,
)
from lynkr.testing.policy import price_tables, tariffs

OLD, NEW = Target("a", "old"), Target("b", "new")
TARGETS = (OLD, NEW)
_TURNS = st.builds(
    TurnShape,
    new_tokens=st.sampled_from((0, 500, 2_000)),
    output_tokens=st.sampled_from((0, 800)),
    remaining=st.sampled_from((0.0, 1.0, 2.5, 10.0, 40.0)),
)
_PINS = st.builds(
    Pin,
    served=st.just(OLD),
    home=st.just(OLD),
    tokens=st.sampled_from((0, 1, 5_000, 180_000)),
    at=st.just(0.0),
)
_MOMENTS = st.builds(
    Snapshot,
    now=st.sampled_from((0.0, 299.0, 300.0, 301.0)),
    rates=price_tables(TARGETS),
    pin=st.none() | _PINS,
    turn=_TURNS,
)


def stepped(tariff: Tariff, prefix: int, held: float, turn: TurnShape) -> float:
    """The model the closed sum is held against: one turn after the other."""
    spent = 0.0
    for _ in range(int(max(1, turn.remaining))):
        prompt = prefix + turn.new_tokens
        fresh = prompt - held
        spent += held * tariff.warm + fresh * tariff.cold + turn.output_tokens * tariff.output
        held, prefix = prompt, prompt + turn.output_tokens
    return spent


def flat(tariff: Tariff, prefix: int, turn: TurnShape) -> float:
    """The same where there is no cache at all."""
    spent = 0.0
    for _ in range(int(max(1, turn.remaining))):
        prompt = prefix + turn.new_tokens
        spent += prompt * tariff.input + turn.output_tokens * tariff.output
        prefix = prompt + turn.output_tokens
    return spent


@given(_MOMENTS)
def test_regret_is_never_negative_and_staying_has_none(snapshot):
    cost = switch_cost(snapshot, OLD, NEW)
    assert cost.regret_microusd is None or cost.regret_microusd >= 0
    same = switch_cost(snapshot, OLD, OLD)
    assert same.regret_microusd in (0.0, None)
    assert same.saving_microusd in (0.0, None)
    assert not same.pays(0.0)


@given(_MOMENTS)
def test_an_unknown_price_makes_no_saving(snapshot):
    cost = switch_cost(snapshot, OLD, NEW)
    if not {OLD, NEW} <= set(snapshot.rates.tariffs):
        assert cost.saving_microusd is None
        assert not cost.pays(0.0)


@given(tariffs(), _PINS, _TURNS, st.sampled_from((0.0, 400.0)))
def test_moving_between_equal_tariffs_never_saves(tariff, pin, turn, now):
    snapshot = Snapshot(now=now, rates=Rates({OLD: tariff, NEW: tariff}), pin=pin, turn=turn)
    assert switch_cost(snapshot, OLD, NEW).saving_microusd <= 1e-6


@given(_MOMENTS, st.sampled_from((0, 10_000)))
def test_a_longer_cached_prefix_is_never_less_regretted(snapshot, more):
    assume(snapshot.pin is not None)
    longer = evolve(snapshot, pin=evolve(snapshot.pin, tokens=snapshot.pin.tokens + more))
    short, long = (switch_cost(moment, OLD, NEW).regret_microusd for moment in (snapshot, longer))
    assert (short is None) == (long is None)
    if short is not None:
        assert long >= short


@given(tariffs(), tariffs(), _PINS, _TURNS)
def test_the_closed_sum_is_the_turns_one_by_one(old, new, pin, turn):
    turn = evolve(turn, remaining=float(int(turn.remaining)))
    snapshot = Snapshot(now=1.0, rates=Rates({OLD: old, NEW: new}), pin=pin, turn=turn)
    cost = switch_cost(snapshot, OLD, NEW)
    held = 0 if old.cache is CacheKind.NONE else pin.tokens
    assert cost.stay_microusd == pytest.approx(stepped(old, pin.tokens, held, turn))
    assert cost.move_microusd == pytest.approx(stepped(new, pin.tokens, 0, turn))
    if new.cache is CacheKind.NONE:
        assert cost.move_microusd == pytest.approx(flat(new, pin.tokens, turn))


def _scaled(tariff: Tariff, by: float) -> Tariff:
    rates = {
        name: None if getattr(tariff, name) is None else getattr(tariff, name) * by
        for name in ("input", "output", "cache_read", "cache_write")
    }
    return evolve(tariff, **rates)


@given(tariffs(), st.sampled_from((0.05, 0.5, 0.8, 0.95, 1.5)), _PINS, _TURNS)
def test_after_the_break_even_turn_moving_has_paid_and_before_it_has_not(old, by, pin, turn):
    snapshot = Snapshot(now=1.0, rates=Rates({OLD: old, NEW: _scaled(old, by)}), pin=pin, turn=turn)
    turns = switch_cost(snapshot, OLD, NEW).break_even_turns

    def saved(after: float) -> float:
        there = evolve(snapshot, turn=evolve(turn, remaining=float(after)))
        return switch_cost(there, OLD, NEW).saving_microusd

    if turns is None:
        assert saved(turn.remaining) <= 1e-6
    else:
        assert saved(int(turns) + 1) >= -1e-6
        assert turns <= 1 or saved(int(turns)) <= 1e-6


@given(_MOMENTS, st.integers(0, 200_000), st.none() | st.integers(1, 2_000))
def test_an_expected_cost_is_known_exactly_where_the_price_is(snapshot, tokens, output):
    for target in TARGETS:
        cost = expected_microusd(snapshot, target, tokens, output)
        assert (cost is None) == (target not in snapshot.rates.tariffs)
        assert cost is None or cost >= 0


# 100 000 tokens cached at a model of 5/25 USD (0.5 read, 6.25 write).
OPUS = Tariff(5.0, 25.0, 0.5, 6.25, CacheKind.EXPLICIT)
PINNED = Pin(OLD, OLD, tokens=100_000)


@pytest.mark.parametrize(
    ("to", "regret"),
    [
        (Tariff(3.0, 15.0, 0.3, 3.75, CacheKind.EXPLICIT), 100_000 * (3.75 - 0.3)),
        # The reference prices this one at nothing, because writing is free (lynkr-js 3.14).
        (Tariff(0.25, 2.0, 0.025, None, CacheKind.AUTOMATIC), 100_000 * (0.25 - 0.025)),
        (Tariff(1.0, 2.0), 0.0),
        (Tariff(0.0, 0.0, cache=CacheKind.LOCAL), 0.0),
    ],
    ids=["explicit", "automatic", "none", "local"],
)
def test_the_cold_read_is_priced_for_each_mechanism(to, regret):
    snapshot = Snapshot(rates=Rates({OLD: OPUS, NEW: to}), pin=PINNED)
    assert switch_cost(snapshot, OLD, NEW).regret_microusd == pytest.approx(regret)


def test_a_cache_that_has_expired_is_not_regretted():
    snapshot = Snapshot(now=301.0, rates=Rates({OLD: OPUS, NEW: OPUS}), pin=PINNED)
    assert switch_cost(snapshot, OLD, NEW).regret_microusd == 0.0


def test_a_cheaper_automatic_cache_does_not_break_even_at_once():
    rates = Rates(
        {
            OLD: Tariff(1.25, 10.0, 0.125, None, CacheKind.AUTOMATIC),
            NEW: Tariff(1.0, 8.0, 0.1, None, CacheKind.AUTOMATIC),
        }
    )
    cost = switch_cost(Snapshot(rates=rates, pin=PINNED), OLD, NEW)
    assert cost.break_even_turns > 5
    assert not cost.pays(0.1)


def test_moving_to_a_local_model_costs_the_time_to_read_the_prompt():
    local = Tariff(0.0, 0.0, cache=CacheKind.LOCAL, prefill_tokens_per_second=2_000.0)
    snapshot = Snapshot(rates=Rates({OLD: OPUS, NEW: local}), pin=PINNED)
    assert switch_cost(snapshot, OLD, NEW).cold_seconds == 50.0
