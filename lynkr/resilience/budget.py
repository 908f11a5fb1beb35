"""How many second tries a provider's trouble may cost: a token bucket that first tries fill.

Each first attempt at a provider deposits *ratio* of a token, which is good for
*ttl* seconds.  Each further attempt of a request, retry, fallback or hedge,
costs one whole token: of the deposits, the oldest first, then of a *reserve*.
Success fills the reserve again: a second try that succeeds gives its token back,
because it was no part of an avalanche, and a first one adds its *ratio*.  And it
is full once nobody has asked the provider anything for *ttl* seconds, so sparse
traffic always has some.

Hence the law: while everything fails and requests overlap, or follow each
other within *ttl* seconds, attempts <= (1 + ratio) x requests + reserve.

The 20 % and the reserve of three are Envoy's retry budget (`budget_percent`,
`min_retry_concurrency`), the time to live is Finagle's (`RetryBudget`, ttl 10 s;
both read 2026-11).  Unlike theirs the reserve is spent, not concurrent:
concurrency would let a lone client triple its load for as long as it likes.
"""

from collections import OrderedDict, deque
from typing import Final, TypeAlias

from attrs import define, field, frozen
from attrs.validators import and_, ge, gt, le

# Tokens are counted in whole thousandths, so that fifteen deposits of 0.2 are three tokens exactly.
_TOKEN: Final = 1000
_TICKS: Final = 10

Domain: TypeAlias = tuple[str, str | None]
"""(provider of the request's first target, tenant)"""


@frozen
class BudgetConfig:
    """*ratio* and *reserve* in tokens, *ttl* in seconds."""

    ratio: float = field(default=0.2, validator=and_(ge(0), le(1)))
    reserve: int = field(default=3, validator=ge(0))
    ttl: float = field(default=10.0, validator=gt(0))


class RetryBudget:
    """One domain's bucket.  One event loop's: not safe to call from several threads at once."""

    __slots__ = ("_config", "_deposit", "_deposits", "_idle_since", "_reserve", "_under_way", "overflow")

    def __init__(self, config: BudgetConfig) -> None:
        self._config = config
        self._deposit = round(config.ratio * _TOKEN)
        self._deposits: deque[list[int]] = deque()  # [tick, thousandths], a tick is a tenth of the ttl
        self._reserve = config.reserve * _TOKEN
        self._under_way = 0
        self._idle_since: float | None = None
        self.overflow: int = 0
        """Second tries that were refused."""

    def enter(self, now: float) -> None:
        """A request begins."""
        idle = None if self._under_way or self._idle_since is None else now - self._idle_since
        if idle is not None and idle >= self._config.ttl:
            self._reserve = self._config.reserve * _TOKEN
        self._under_way += 1

    def leave(self, now: float) -> None:
        """A request has made its last attempt; exactly once for each that began."""
        self._under_way -= 1
        self._idle_since = now

    def deposit(self, now: float, *, succeeded: bool = False) -> None:
        """A first attempt has ended."""
        if succeeded:
            self._fill(self._deposit)
        tick = int(now * _TICKS // self._config.ttl)
        deposits = self._deposits
        if deposits and deposits[-1][0] >= tick:
            deposits[-1][1] += self._deposit
            return
        deposits.append([tick, self._deposit])
        self._expire(tick)

    def withdraw(self, now: float) -> bool:
        """Whether a second try may be made; if so, it is paid for."""
        self._expire(int(now * _TICKS // self._config.ttl))
        if self._reserve + sum(amount for _, amount in self._deposits) < _TOKEN:
            self.overflow += 1
            return False
        due = _TOKEN
        while due and self._deposits:
            taken = min(due, self._deposits[0][1])
            due -= taken
            if taken == self._deposits[0][1]:
                self._deposits.popleft()
            else:
                self._deposits[0][1] -= taken
        self._reserve -= due
        return True

    def refund(self) -> None:
        """A second try that was paid for succeeded, or was never sent."""
        self._fill(_TOKEN)

    def _fill(self, amount: int) -> None:
        self._reserve = min(self._config.reserve * _TOKEN, self._reserve + amount)

    def _expire(self, tick: int) -> None:
        while self._deposits and self._deposits[0][0] <= tick - _TICKS:
            self._deposits.popleft()


@define
class RetryBudgets:
    """The budgets of a gateway, by domain; at most *max_domains*, the longest unused forgotten first."""

    config: BudgetConfig = field(factory=BudgetConfig)
    max_domains: int = field(default=1024, validator=ge(1))
    _budgets: OrderedDict[Domain, RetryBudget] = field(
        factory=OrderedDict[Domain, RetryBudget], init=False, eq=False, repr=False
    )
    _forgotten: int = field(default=0, init=False, eq=False, repr=False)

    def budget(self, domain: Domain, /) -> RetryBudget:
        """The budget of *domain*, made on first use."""
        found = self._budgets.get(domain)
        if found is not None:
            self._budgets.move_to_end(domain)
            return found
        if len(self._budgets) >= self.max_domains:
            _, oldest = self._budgets.popitem(last=False)
            self._forgotten += oldest.overflow
        made = self._budgets[domain] = RetryBudget(self.config)
        return made

    @property
    def overflow(self) -> int:
        """Second tries refused so far for want of a token."""
        return self._forgotten + sum(budget.overflow for budget in self._budgets.values())
