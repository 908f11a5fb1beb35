"""What usage costs: the laws, then bills worked out by hand."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from lynkr.model import Json, Usage
from lynkr.pricing import FREE, Price, cost_microusd
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.openai_chat import OpenAIChatCodec

D = Decimal
counts = st.integers(0, 5_000_000)
money = st.decimals(min_value=0, max_value=1_000, places=4)
maybe = st.none() | money
flat_prices = st.builds(Price, money, money, maybe, maybe, maybe)
whole_prices = st.builds(Price, *[st.integers(0, 100).map(D)] * 5)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Consistent counts: cached tokens are part of the input, one-hour writes of the writes."""
    read, write, fresh, output = draw(counts), draw(counts), draw(counts), draw(counts)
    return Usage(
        input=read + write + fresh,
        output=output,
        cache_read=read or draw(st.sampled_from((None, 0))),
        cache_write=write or draw(st.sampled_from((None, 0))),
        cache_write_1h=draw(st.integers(0, write)) or None,
    )


def sum_of(a: Usage, b: Usage) -> Usage:
    return Usage(
        input=(a.input or 0) + (b.input or 0),
        output=(a.output or 0) + (b.output or 0),
        cache_read=(a.cache_read or 0) + (b.cache_read or 0),
        cache_write=(a.cache_write or 0) + (b.cache_write or 0),
        cache_write_1h=(a.cache_write_1h or 0) + (b.cache_write_1h or 0),
    )


@given(usages(), usages(), whole_prices)
def test_cost_is_additive_over_usage(a: Usage, b: Usage, price: Price) -> None:
    parts = cost_microusd(a, price), cost_microusd(b, price)
    assert None not in parts
    assert cost_microusd(sum_of(a, b), price) == sum(part or 0 for part in parts)


@given(usages(), usages(), flat_prices)
def test_where_prices_have_fractions_only_rounding_comes_between(a: Usage, b: Usage, price: Price) -> None:
    parts = (cost_microusd(a, price) or 0) + (cost_microusd(b, price) or 0)
    assert abs((cost_microusd(sum_of(a, b), price) or 0) - parts) <= 1


@given(usages(), st.builds(Price, *[st.decimals(0, 1_000, allow_nan=False)] * 5))
def test_reckoning_with_integers_gives_what_decimals_give_to_the_last_digit(
    usage: Usage, price: Price
) -> None:
    read, write, long_write = usage.cache_read or 0, usage.cache_write or 0, usage.cache_write_1h or 0
    with localcontext() as exact:
        exact.prec = 400
        total = (
            (usage.uncached_input or 0) * price.input
            + read * (price.cache_read or 0)
            + (write - long_write) * (price.cache_write or 0)
            + long_write * (price.cache_write_1h or 0)
            + (usage.output or 0) * price.output
        )
        assert cost_microusd(usage, price) == int(total.to_integral_value(rounding=ROUND_HALF_EVEN))


@given(flat_prices)
def test_a_known_price_times_nothing_is_zero(price: Price) -> None:
    assert cost_microusd(Usage(input=0, output=0), price) == 0


@given(usages(), flat_prices)
def test_what_is_unknown_stays_unknown(usage: Usage, price: Price) -> None:
    assert cost_microusd(usage, None) is None
    assert cost_microusd(evolve(usage, input=None), price) is None
    assert cost_microusd(evolve(usage, output=None), price) is None


@given(usages())
def test_free_is_zero_and_not_unknown(usage: Usage) -> None:
    assert cost_microusd(usage, FREE) == 0


@given(usages(), flat_prices, st.integers(1, 1_000))
def test_no_token_is_ever_a_gain(usage: Usage, price: Price, more: int) -> None:
    before = cost_microusd(usage, price)
    for grown in (
        evolve(usage, input=(usage.input or 0) + more),
        evolve(usage, output=(usage.output or 0) + more),
    ):
        assert (cost_microusd(grown, price) or 0) >= (before or 0) >= 0


@given(usages(), flat_prices)
def test_where_no_cache_price_is_stated_cached_tokens_cost_what_input_costs(
    usage: Usage, price: Price
) -> None:
    plain = Price(price.input, price.output)
    uncached = Usage(input=usage.input, output=usage.output)
    assert cost_microusd(usage, plain) == cost_microusd(uncached, plain)


@given(usages(), st.integers(1, 10_000_000), whole_prices, whole_prices)
def test_above_a_threshold_every_token_pays_the_long_context_price(
    usage: Usage, above: int, low: Price, high: Price
) -> None:
    tiered = evolve(low, tiers=((above, high),))
    paid = high if (usage.input or 0) > above else low
    assert cost_microusd(usage, tiered) == cost_microusd(usage, paid)


@given(usages(), flat_prices, st.sampled_from(["cache_read", "cache_write_1h"]), st.integers(1, 1_000))
def test_counts_that_contradict_each_other_are_not_priced(
    usage: Usage, price: Price, field: str, excess: int
) -> None:
    limit = usage.input if field == "cache_read" else usage.cache_write
    assume(limit is not None)
    broken = evolve(usage, **{field: (limit or 0) + excess})
    assert cost_microusd(broken, price) is None


CLAUDE_OPUS = Price(
    input=D("5"), output=D("25"), cache_read=D("0.5"), cache_write=D("6.25"), cache_write_1h=D("10")
)
CLAUDE_HAIKU_55 = Price(
    input=D("0.1"), output=D("0.5"), cache_read=D("0.01"), cache_write=D("0.125"), cache_write_1h=D("0.2"),
    tiers=(
        (100_000, Price(D("0.5"), D("2.5"), D("0.05"), D("0.625"), D("1"))),
    ),
)  # fmt: skip
GPT_4O = Price(input=D("2.5"), output=D("10"), cache_read=D("1.25"))


def usage_of_anthropic(usage: dict[str, Json]) -> Usage:
    """The counts in an Anthropic answer, as the gateway reads them."""
    body: dict[str, Json] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "content": [],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    return AnthropicCodec().decode_response(body).usage


def usage_of_openai(usage: dict[str, Json]) -> Usage:
    """The counts in an OpenAI Chat answer, as the gateway reads them."""
    body: dict[str, Json] = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_795_000_000, "model": "gpt-4o",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"},
        ],
        "usage": usage,
    }  # fmt: skip
    return OpenAIChatCodec().decode_response(body).usage


def test_an_anthropic_bill_with_five_minute_and_one_hour_cache_writes() -> None:
    usage = usage_of_anthropic(
        {
            "input_tokens": 2095,  # leaves the cached ones out, which ours does not
            "cache_creation_input_tokens": 3000,
            "cache_read_input_tokens": 100_000,
            "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 2000},
            "output_tokens": 503,
        }
    )
    # 2095 x 5 + 1000 x 6.25 + 2000 x 10 + 100000 x 0.5 + 503 x 25 = 10475 + 6250 + 20000 + 50000 + 12575
    assert cost_microusd(usage, CLAUDE_OPUS) == 99_300


def test_an_openai_bill_with_cached_tokens() -> None:
    usage = usage_of_openai(
        {
            "prompt_tokens": 2006,  # includes the cached ones, as ours does
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920},
        }
    )
    # 86 x 2.5 + 1920 x 1.25 + 300 x 10 = 215 + 2400 + 3000
    assert cost_microusd(usage, GPT_4O) == 5_615


def test_openai_reasoning_tokens_are_output_and_paid_once() -> None:
    usage = usage_of_openai(
        {
            "prompt_tokens": 100,
            "completion_tokens": 1_000,
            "total_tokens": 1_100,
            "completion_tokens_details": {"reasoning_tokens": 900},
        }
    )
    assert cost_microusd(usage, GPT_4O) == 250 + 10_000


def test_one_token_more_than_the_threshold_makes_the_whole_request_dearer() -> None:
    at = Usage(input=100_000, output=1_000, cache_read=90_000)
    over = Usage(input=100_001, output=1_000, cache_read=90_000)
    # 10000 x 0.1 + 90000 x 0.01 + 1000 x 0.5 = 1000 + 900 + 500; then 10001 x 0.5 + 90000 x 0.05 + 1000 x 2.5
    assert cost_microusd(at, CLAUDE_HAIKU_55) == 2_400
    assert cost_microusd(over, CLAUDE_HAIKU_55) == 12_000  # 5000.5 + 4500 + 2500 = 12000.5, half to even


@pytest.mark.parametrize(("tokens", "cost"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_half_a_microdollar_goes_to_the_even_one(tokens: int, cost: int) -> None:
    assert cost_microusd(Usage(input=tokens, output=0), Price(D("0.5"), D(0))) == cost


def test_the_largest_bill_is_exact() -> None:
    usage = Usage(input=10**12, output=10**12)
    assert (
        cost_microusd(usage, Price(D("0.123456"), D("987.654321"))) == 123_456_000_000 + 987_654_321_000_000
    )


@pytest.mark.parametrize("bad", [D(-1), D("NaN"), D("Infinity")])
def test_a_price_is_a_finite_number_not_below_zero(bad: Decimal) -> None:
    with pytest.raises(ValueError, match="output: a price"):
        Price(input=D(1), output=bad)


@pytest.mark.parametrize(
    "tiers",
    [((0, FREE),), ((2, FREE), (1, FREE)), ((1, FREE), (1, FREE)), ((1, evolve(FREE, tiers=((2, FREE),))),)],
)
def test_thresholds_rise_and_do_not_nest(tiers: tuple[tuple[int, Price], ...]) -> None:
    with pytest.raises(ValueError, match="tiers"):
        Price(input=D(1), output=D(1), tiers=tiers)
