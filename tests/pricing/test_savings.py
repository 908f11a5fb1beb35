"""The parts of the savings: they add up, they go below zero, and what is not in use says so."""

from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Usage
from lynkr.pricing import Cost, Price, Savings, cost_of
from lynkr.routing.decision import Target
from lynkr.telemetry import Record
from lynkr.telemetry.queries import savings_of
from lynkr.telemetry.sums import Sums, sums_of
from tests.pricing.test_baseline import CHEAP, FLAGSHIP, PRICES, D, usages
from tests.telemetry.made import record, records


def parts_of(savings: Savings) -> int:
    return (
        savings.routing_microusd
        + savings.prompt_cache_microusd
        + savings.attempts_microusd
        + (savings.response_cache_microusd or 0)
        + (savings.compression_microusd or 0)
        + savings.not_itemised_microusd
    )


@given(st.lists(records(st.just("r")), max_size=6))
def test_criterion_21_the_parts_add_up_to_the_total_of_any_ledger(found: list[Record]) -> None:
    savings = savings_of(Sums.total(map(sums_of, found)))
    assert parts_of(savings) == savings.total_microusd
    compared = [r.cost.saved_microusd for r in found if r.cost.saved_microusd is not None]
    assert savings.total_microusd == sum(compared)
    assert (savings.requests, savings.requests_without) == (len(compared), len(found) - len(compared))


def priced(usage: Usage, target: Target, prefix: int | None = None) -> Savings:
    return savings_of(sums_of(record(cost=cost_of(usage, target, FLAGSHIP, PRICES, prefix_tokens=prefix))))


@given(usages(), st.none() | st.integers(0, 300_000))
def test_whatever_is_priced_today_is_itemised_to_the_last_unit(usage: Usage, prefix: int | None) -> None:
    savings = priced(usage, CHEAP, prefix)
    assert savings.not_itemised_microusd == 0
    assert savings.low_microusd <= savings.total_microusd <= savings.high_microusd


@given(usages())
def test_the_flagship_itself_saves_nothing_by_any_part(usage: Usage) -> None:
    savings = priced(usage, FLAGSHIP)
    assert (savings.total_microusd, savings.routing_microusd, savings.prompt_cache_microusd) == (0, 0, 0)


def test_a_cache_that_the_flagship_would_have_had_too_is_no_saving_of_the_gateways() -> None:
    # 1000 tokens read here at a tenth of 1 USD, there at a tenth of 5: routing saves 4000, but the cache
    # would have saved 4500 there and saves 900 here.
    cached = Price(D(1), D(2), cache_read=D("0.1"))
    here = Target("here", "small")

    class Prices:
        version = "v"

        def price(self, target: Target) -> Price | None:
            return cached if target == here else PRICES.price(target)

    usage = Usage(input=1_000, output=0, cache_read=1_000)
    savings = savings_of(sums_of(record(cost=cost_of(usage, here, FLAGSHIP, Prices()))))
    assert savings.routing_microusd == 4_000
    assert savings.prompt_cache_here_microusd == 900
    assert savings.prompt_cache_microusd == 900 - 4_500
    assert savings.total_microusd == 500 - 100


def test_a_loss_stays_a_loss_beside_a_gain() -> None:
    loss = record("loss", cost=Cost(100, 30, overhead_microusd=5))
    gain = record("gain", cost=Cost(10, 50))
    savings = savings_of(Sums.total(map(sums_of, (loss, gain))))
    assert savings.total_microusd == -75 + 40
    assert savings.attempts_microusd == -5
    assert savings.percent == -35 / 80 * 100


def test_what_is_not_in_use_is_not_zero_but_nothing() -> None:
    without = savings_of(sums_of(record(cost=Cost(10, 50))))
    assert (without.response_cache_microusd, without.compression_microusd) == (None, None)
    used = savings_of(sums_of(record(cost=Cost(0, 50, response_cache_microusd=0, compression_microusd=7))))
    assert (used.response_cache_microusd, used.compression_microusd) == (0, 7)
    assert savings_of(Sums()).percent is None
