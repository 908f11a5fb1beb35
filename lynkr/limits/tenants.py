"""The limits of every tenant, decided together: a request passes all of its tenant's, or takes from none."""

from collections.abc import Callable, Mapping
from functools import partial
from math import ceil
from types import MappingProxyType
from typing import ClassVar, Final, Protocol, Self

from attrs import define, field, frozen

from lynkr.errors import ClientWireError, LynkrError
from lynkr.limits.rate import Rate
from lynkr.limits.spending import Period, Reserved, Spending

_NOTHING_SPENT: Final[Mapping[str, "Spent"]] = MappingProxyType({})


class RateLimited(ClientWireError):
    """The tenant asks more than it may (429); *retry_after* is in seconds, *limit* the setting's key."""

    code: ClassVar[str | None] = "rate_limit_exceeded"

    def __init__(self, tenant: str, limit: str, most: int, retry_after: float) -> None:
        unit = "requests" if limit == "requests_per_minute" else "tokens"
        seconds = max(1, ceil(retry_after))
        super().__init__(
            f"tenant {tenant!r} may use {most} {unit} a minute ({limit}); try again in {seconds} s",
            status=429,
        )
        self.limit = limit
        self.retry_after = retry_after


class BudgetSpent(ClientWireError):
    """The tenant has no money left for this request (402); *limit* is the setting's key.

    Waiting seconds does not help, so clients must not retry: no 429.  *retry_after* is when the next
    period begins, in seconds.
    """

    code: ClassVar[str | None] = "insufficient_quota"

    def __init__(self, tenant: str, budget: "Budget", needed: int, retry_after: float) -> None:
        period = budget.spending.period
        super().__init__(
            f"tenant {tenant!r} may spend {_usd(budget.most)} a {period} ({budget.limit}), of which "
            f"{_usd(budget.most - budget.used)} is left; this request can cost up to {_usd(needed)}: "
            f"ask for less output, or wait for the next {period} (UTC)",
            status=402,
        )
        self.limit: str = budget.limit
        self.retry_after = retry_after


@frozen
class Budget:
    """*used* of *most* micro-USD are gone; *limit* is the setting's key."""

    limit: str
    most: int
    used: int
    spending: Spending


def _usd(microusd: int) -> str:
    dollars, rest = divmod(max(0, microusd), 1_000_000)
    return f"${dollars}.{rest:06d}".rstrip("0").rstrip(".")


@frozen
class TenantRules:
    """None is no limit; *day_microusd* and *month_microusd* are per UTC day and month."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    day_microusd: int | None = None
    month_microusd: int | None = None

    @property
    def counts_money(self) -> bool:
        return self.day_microusd is not None or self.month_microusd is not None


@frozen
class Spent:
    """What a tenant had spent when it began to be counted, in micro-USD."""

    day: int = 0
    month: int = 0


class LimitsUnavailable(LynkrError):
    """What tenants have used cannot be read or written down, so nobody is let in on trust (503)."""

    status_hint = 503
    kind = "busy"


@frozen
class Reservation:
    """What one request took; its *microusd* in both periods."""

    tokens: int
    microusd: int
    day: Reserved
    month: Reserved


@define
class Account:
    """What one tenant has used."""

    day: Spending
    month: Spending
    requests: Rate | None = None
    tokens: Rate | None = None

    @classmethod
    def new(cls, rules: TenantRules, spent: Spent, now: float) -> Self:
        requests, tokens = rules.requests_per_minute, rules.tokens_per_minute
        return cls(
            Spending(Period.DAY, spent=spent.day, now=now),
            Spending(Period.MONTH, spent=spent.month, now=now),
            None if requests is None else Rate(requests),
            None if tokens is None else Rate(tokens),
        )

    def room(self, rules: TenantRules, now: float) -> int | None:
        """See `Limits.room`."""
        lefts = [budget.most - budget.used for budget in self._budgets(rules, now)]
        return max(0, min(lefts)) if lefts else None

    def reserve(
        self, tenant: str, rules: TenantRules, *, now: float, elapsed: float, tokens: int, microusd: int
    ) -> Reservation:
        """See `Limits.admit`.

        Raises:
            RateLimited, BudgetSpent: nothing was taken.
        """
        for rate, amount, limit in (
            (self.requests, 1, "requests_per_minute"),
            (self.tokens, tokens, "tokens_per_minute"),
        ):
            wait = 0.0 if rate is None else rate.wait(amount, elapsed)
            if rate is not None and wait > 0:
                raise RateLimited(tenant, limit, rate.per_minute, wait)
        for budget in self._budgets(rules, now):
            if budget.used + microusd > budget.most or budget.used >= budget.most:
                raise BudgetSpent(tenant, budget, microusd, budget.spending.period.ends(now) - now)
        if self.requests is not None:
            self.requests.take(1)
        if self.tokens is not None:
            self.tokens.take(tokens)
        reserved = microusd if rules.counts_money else 0
        return Reservation(
            tokens, reserved, self.day.reserve(reserved, now), self.month.reserve(reserved, now)
        )

    def settle(self, reserved: Reservation, tokens: int | None, microusd: int | None) -> None:
        """See `Grant.settle`."""
        if tokens is not None and self.tokens is not None:
            self.tokens.take(tokens - reserved.tokens)
        paid = reserved.microusd if microusd is None else microusd
        self.day.settle(reserved.day, paid)
        self.month.settle(reserved.month, paid)

    def _budgets(self, rules: TenantRules, now: float) -> list[Budget]:
        pairs = (
            ("budget_usd_per_day", rules.day_microusd, self.day),
            ("budget_usd_per_month", rules.month_microusd, self.month),
        )
        return [
            Budget(limit, most, spending.used(now), spending)
            for limit, most, spending in pairs
            if most is not None
        ]


@define
class Grant:
    """Leave to send one request; whoever got it settles it, once, whatever became of the request."""

    _settle: Callable[[int | None, int | None], None] = field(repr=False)
    _open: bool = True

    def settle(self, tokens: int | None, microusd: int | None) -> None:
        """Say what it did use; None where that is unknown, and what was taken stays taken."""
        if self._open:
            self._open = False
            self._settle(tokens, microusd)


class Limits(Protocol):
    """Who may still ask, by *rules*."""

    @property
    def rules(self) -> Mapping[str, TenantRules]: ...

    def successor(
        self, rules: Mapping[str, TenantRules], spent: Mapping[str, Spent] = ..., now: float = ..., /
    ) -> "Limits":
        """The same by other *rules*: what tenants that stay have used is not forgotten.

        *spent* and *now* (Unix seconds) are for tenants that are new.
        """
        ...

    def room(self, tenant: str, now: float, /) -> int | None:
        """Micro-USD that *tenant* may still spend, None if that is not limited."""
        ...

    def admit(self, tenant: str, /, *, now: float, elapsed: float, tokens: int, microusd: int) -> Grant:
        """Leave to send a request of about *tokens* that costs at most *microusd*.

        *now* is in Unix seconds, *elapsed* in seconds of a clock that does not step.

        Raises:
            RateLimited: too many requests or tokens in the last minute; nothing was taken.
            BudgetSpent: it may cost more than is left; nothing was taken.
        """
        ...

    def close(self) -> None:
        """Let go of what it has open; it can still be used.  Idempotent."""
        ...


def rules_of(limits: Limits, tenant: str | None) -> TenantRules | None:
    """The tenant's rules, None where it has none that count anything."""
    rules = None if tenant is None else limits.rules.get(tenant)
    return None if rules is None or rules == TenantRules() else rules


class TenantLimits:
    """`Limits` in this process.  *spent* is what each had spent by *now* (Unix seconds) already.

    One event loop's: not safe to call from several threads at once.  A process counts for itself.
    """

    def __init__(
        self, rules: Mapping[str, TenantRules], spent: Mapping[str, Spent] = _NOTHING_SPENT, now: float = 0.0
    ) -> None:
        self.rules: Mapping[str, TenantRules] = dict(rules)
        self._accounts = {name: Account.new(rules[name], spent.get(name, Spent()), now) for name in rules}

    def successor(
        self, rules: Mapping[str, TenantRules], spent: Mapping[str, Spent] = _NOTHING_SPENT, now: float = 0.0
    ) -> "TenantLimits":
        made = TenantLimits(rules, spent, now)
        for name, account in self._accounts.items():
            if name not in rules:
                continue
            if rules[name] == self.rules[name]:
                made._accounts[name] = account
            else:
                made._accounts[name].day, made._accounts[name].month = account.day, account.month
        return made

    def room(self, tenant: str, now: float, /) -> int | None:
        return self._accounts[tenant].room(self.rules[tenant], now)

    def admit(self, tenant: str, /, *, now: float, elapsed: float, tokens: int, microusd: int) -> Grant:
        account = self._accounts[tenant]
        reserved = account.reserve(
            tenant, self.rules[tenant], now=now, elapsed=elapsed, tokens=tokens, microusd=microusd
        )
        return Grant(partial(account.settle, reserved))

    def close(self) -> None:
        """Nothing is open."""
