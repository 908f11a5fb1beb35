"""Savings against a flagship: an estimate that flatters nobody."""

from decimal import Decimal

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Usage
from lynkr.pricing import Cost, Price, SnapshotPrices, baseline_bounds, baseline_microusd, cost_of
from lynkr.pricing.baseline import least_microusd
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
        uncached_microusd=1_000 * 1 + 100 * 2,
        baseline_uncached_microusd=1_000 * 5 + 100 * 25,
        baseline_low_microusd=1_000 // 2 + 100 * 25,  # all of it read from the flagship's cache
        baseline_high_microusd=200 * 5 + 5_000 + 100 * 25,  # what was read here it writes
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
    assert cost_of(usage, CHEAP, None, PRICES) == Cost(30, None, None, PRICES.version, uncached_microusd=30)


def test_an_unknown_output_is_never_made_up() -> None:
    usage = evolve(Usage(input=1_000), output=None)
    assert baseline_microusd(usage, PRICES.price(FLAGSHIP)) is None
    assert baseline_microusd(evolve(usage, output=0), PRICES.price(FLAGSHIP)) == 5_000


counts = st.integers(0, 300_000)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, write, rest = draw(counts), draw(counts), draw(counts)
    return Usage(
        read + write + rest, draw(counts), draw(st.sampled_from((read, None))) and read, write or None
    )


@given(usages(), st.none() | counts)
def test_the_baseline_lies_within_its_bounds(usage: Usage, prefix: int | None) -> None:
    price = PRICES.price(FLAGSHIP)
    point = baseline_microusd(usage, price)
    low, high = baseline_bounds(usage, price, prefix_tokens=prefix)
    assert (low is None) == (high is None) == (point is None)
    if point is not None and low is not None and high is not None:
        assert low <= point <= high


@given(usages(), counts, counts)
def test_a_longer_prefix_only_widens_the_bounds(usage: Usage, one: int, other: int) -> None:
    price = PRICES.price(FLAGSHIP)
    short, _ = baseline_bounds(usage, price, prefix_tokens=min(one, other))
    long, _ = baseline_bounds(usage, price, prefix_tokens=max(one, other))
    unknown, _ = baseline_bounds(usage, price)
    if short is not None and long is not None and unknown is not None:
        assert unknown <= long <= short


def test_what_was_counted_is_owed_even_where_the_rest_is_unknown() -> None:
    price = PRICES.price(FLAGSHIP)
    assert least_microusd(Usage(input=1_000), price) == 5_000
    assert least_microusd(Usage(input=1_000, cache_read=1_000), price) == 500
    assert least_microusd(Usage(output=10), price) == 250
    assert least_microusd(Usage(), price) is None
    assert least_microusd(Usage(input=1_000), None) is None


def test_attempts_that_did_not_serve_count_against_the_saving() -> None:
    assert Cost(cost_microusd=10, baseline_microusd=100, overhead_microusd=40).saved_microusd == 50
