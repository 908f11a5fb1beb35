"""Savings against a flagship: an estimate that flatters nobody."""

from decimal import Decimal

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Usage
from lynkr.pricing import Cost, Price, SnapshotPrices, baseline_microusd, cost_of
from lynkr.routing.decision import Target

D = Decimal
CHEAP, FLAGSHIP, UNKNOWN = Target("local", "small"), Target("cloud", "large"), Target("cloud", "unheard-of")
PRICES = SnapshotPrices(
    {"date": "2026-11-23", "models": {}},
    {
        CHEAP: Price(D(1), D(2)),
        FLAGSHIP: Price(D(5), D(25), cache_read=D("0.5"), cache_write=D("6.25")),
    },
)
amounts = st.none() | st.integers(0, 10**9)


@given(amounts, amounts)
def test_saved_is_baseline_less_cost_and_unknown_if_either_is(cost: int | None, baseline: int | None) -> None:
    saved = Cost(cost_microusd=cost, baseline_microusd=baseline).saved_microusd
    assert saved == (None if cost is None or baseline is None else baseline - cost)


def test_the_same_tokens_are_priced_twice_from_one_version() -> None:
    usage = Usage(input=1_000, output=100, cache_read=800)
    assert cost_of(usage, CHEAP, FLAGSHIP, PRICES) == Cost(
        cost_microusd=1_000 * 1 + 100 * 2,
        baseline_microusd=200 * 5 + 400 + 100 * 25,  # the flagship's own cache price for what was cached
        baseline="cloud:large",
        price_version=PRICES.version,
    )


def test_routing_to_a_dearer_model_is_a_negative_saving() -> None:
    swapped = cost_of(Usage(input=1_000, output=0), FLAGSHIP, CHEAP, PRICES)
    assert swapped.saved_microusd == 1_000 - 5_000


def test_the_flagship_itself_saves_nothing() -> None:
    usage = Usage(input=123_456, output=789, cache_read=1_000, cache_write=2_000)
    assert cost_of(usage, FLAGSHIP, FLAGSHIP, PRICES).saved_microusd == 0


def test_an_unknown_price_on_either_side_leaves_the_saving_unknown() -> None:
    usage = Usage(input=10, output=10)
    assert cost_of(usage, UNKNOWN, FLAGSHIP, PRICES).saved_microusd is None
    assert cost_of(usage, CHEAP, UNKNOWN, PRICES).saved_microusd is None
    assert cost_of(usage, CHEAP, None, PRICES) == Cost(30, None, None, PRICES.version)


def test_an_unknown_output_is_never_made_up() -> None:
    usage = evolve(Usage(input=1_000), output=None)
    assert baseline_microusd(usage, PRICES.price(FLAGSHIP)) is None
    assert baseline_microusd(evolve(usage, output=0), PRICES.price(FLAGSHIP)) == 5_000
