"""Holds tenants to what they may ask and spend: before a request is sent, and when it has ended.

`lynkr.limits` counts; this knows what a request may come to.  The most it can
cost is its input, estimated generously, at the dearest input rate (what is
written to a cache costs more), and all the output it may have: the client's
limit, or the model's.
"""

import time
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, Decimal
from functools import partial
from typing import Final

from lynkr.errors import TargetNotAllowed
from lynkr.exchange import Exchange, WireExchange
from lynkr.limits import Grant, Limits, TenantLimits, rules_of
from lynkr.model import Request, WireFormat
from lynkr.pricing import Price, PriceTable
from lynkr.routing import Profile, Target
from lynkr.routing.decision import UNKNOWN_PROFILE
from lynkr.telemetry.record import AttemptRecord, Record
from lynkr.token_count import estimated_tokens

# "Another model's own tokenizer may count a fifth more or less" (lynkr.token_count).
_MARGIN: Final = Decimal("1.25")
UNSAID_OUTPUT: Final = 8_192
"""Tokens of output counted on where neither the client nor the model's profile limits them."""


class Meter:
    """Asks *limits* about each request.  *prices* and *profiles* say what its targets can come to.

    *clock* is in Unix seconds, *monotonic* in seconds.
    """

    def __init__(
        self,
        limits: Limits,
        prices: PriceTable | None,
        profiles: Callable[[Target], Profile] = lambda _: UNKNOWN_PROFILE,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits: Limits = limits
        self._prices = prices
        self._profiles = profiles
        self._clock = clock
        self._monotonic = monotonic

    def close(self) -> None:
        """Close what the limits have open."""
        self.limits.close()

    def admit(self, exchange: Exchange) -> None:
        """Let a planned exchange go on, for less money by fewer targets if it must be.

        Raises:
            RateLimited: its tenant asks too much.
            BudgetSpent: its tenant has too little left for every target.
            TargetNotAllowed: its tenant has a budget, and what every target costs is unknown.
        """
        tenant, plan = exchange.context.tenant, exchange.plan
        rules = rules_of(self.limits, tenant)
        if tenant is None or plan is None or rules is None:
            return
        now = self._clock()
        tokens = 0 if rules.tokens_per_minute is None and not rules.counts_money else _input_tokens(exchange)
        most = 0
        if rules.counts_money:
            request = exchange.checked_request()
            costs = {
                target: self._most(request, target, tokens, exchange.operation) for target in plan.targets
            }
            most = self._afford(exchange, costs, self.limits.room(tenant, now) or 0)
        grant = self.limits.admit(tenant, now=now, elapsed=self._monotonic(), tokens=tokens, microusd=most)
        exchange.settle = partial(_settle, grant)

    def _most(self, request: Request, target: Target, tokens: int, operation: str) -> int | None:
        price = None if self._prices is None else self._prices.price(target)
        if price is not None and operation == "embeddings":
            return most_microusd(price, tokens, 0)
        return most_of(request, price, self._profiles(target), tokens)

    @staticmethod
    def _afford(exchange: Exchange, costs: Mapping[Target, int | None], room: int) -> int:
        """Leave only the targets there is money for; the most the dearest of them can cost.

        If there is enough for none, that is the cheapest's, to be refused.
        """
        plan = exchange.plan
        known = {target: cost for target, cost in costs.items() if cost is not None}
        if plan is None or not known:
            names = ", ".join(map(str, costs))
            raise TargetNotAllowed(
                f"{names}: no price is known, and tenant {exchange.context.tenant!r} has a budget; "
                "set [pricing.overrides], or leave budget_usd_per_day and budget_usd_per_month out"
            )
        fitting = tuple(target for target, cost in known.items() if cost <= room)
        if not fitting:
            return min(known.values())
        if len(fitting) < len(plan.targets):
            exchange.plan = plan.only(fitting)
        return max(known[target] for target in fitting)


NO_METER: Final = Meter(TenantLimits({}), None)
"""One that holds nobody to anything."""


def most_microusd(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that so many tokens can cost, cached in whatever way, rounded up."""
    rate = price.at(input_tokens)
    dearest = max(cost for cost in (rate.input, rate.cache_write, rate.cache_write_1h) if cost is not None)
    return int((input_tokens * dearest + output_tokens * rate.output).to_integral_value(ROUND_CEILING))


def most_of(
    request: Request, price: Price | None, profile: Profile, input_tokens: int | None = None
) -> int | None:
    """The most a chat *request* can cost, in micro-USD, where its target has *price* and *profile*.

    *input_tokens* where they have been counted, else an estimate on the high side.  None without a price.
    """
    if price is None:
        return None
    tokens = _most_input(request) if input_tokens is None else input_tokens
    limits = [limit for limit in (request.max_output_tokens, profile.max_output) if limit]
    answers = request.extras.of(WireFormat.OPENAI_CHAT).get("n")
    several = answers if isinstance(answers, int) and answers > 1 else 1
    return most_microusd(price, tokens, several * min(limits, default=UNSAID_OUTPUT))


def _most_input(request: Request) -> int:
    return int(estimated_tokens(request) * _MARGIN) + 1


def _input_tokens(exchange: Exchange) -> int:
    """An estimate on the high side."""
    request = exchange.checked_request()
    if exchange.operation == "embeddings" and isinstance(exchange, WireExchange) and exchange.raw is not None:
        return len(exchange.raw.body.data)  # a token is a byte at least
    return _most_input(request)


def _settle(grant: Grant, record: Record) -> None:
    grant.settle(used_tokens(record), used_microusd(record))


def used_tokens(record: Record) -> int | None:
    """Input and output of all attempts; None where one of them is unknown."""
    used = 0
    for attempt in record.attempts:
        usage = attempt.usage
        if usage.input is not None and usage.output is not None:
            used += usage.input + usage.output
        elif _may_be_billed(attempt):
            return None
    return used


def used_microusd(record: Record) -> int | None:
    """What all attempts cost; None where one's cost is unknown, and it may be billed."""
    if any(attempt.cost_microusd is None and _may_be_billed(attempt) for attempt in record.attempts):
        return None
    return sum(attempt.cost_microusd or 0 for attempt in record.attempts)


def _may_be_billed(attempt: AttemptRecord) -> bool:
    """Whether a provider may have worked: it began an answer, or was at it when nobody waited any more."""
    return attempt.partial is not None or bool(attempt.cancelled)
