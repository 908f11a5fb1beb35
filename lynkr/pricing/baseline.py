"""What the same tokens would have cost on a flagship: the figure savings are measured against."""

from attrs import frozen

from lynkr.model import Usage
from lynkr.pricing.price import Price, PriceTable, cost_microusd
from lynkr.routing.decision import Target


@frozen
class Cost:
    """What a request cost and what the same tokens would have cost on the flagship.

    Money in micro-USD; None is unknown, which is not free.  *baseline* is the
    flagship's name, *price_version* names the price snapshot both figures came from.
    """

    cost_microusd: int | None = None
    baseline_microusd: int | None = None
    baseline: str | None = None
    price_version: str | None = None

    @property
    def saved_microusd(self) -> int | None:
        """Baseline minus cost; negative when routing cost more; None when either is unknown."""
        if self.cost_microusd is None or self.baseline_microusd is None:
            return None
        return self.baseline_microusd - self.cost_microusd


def baseline_microusd(usage: Usage, flagship: Price | None) -> int | None:
    """What *usage* would have cost at the flagship's price; None when that is unknown.

    An estimate, and to be shown as one.  It assumes that the flagship would
    have counted, emitted and cached exactly these tokens: another model has
    another tokenizer, writes answers of another length, and a flagship that
    had served the whole session might have read from its cache what was
    written or missed here.  Cached tokens are priced at the flagship's own
    cache prices.  Nothing is made up: a request whose output is unknown has
    no baseline.
    """
    return cost_microusd(usage, flagship)


def cost_of(usage: Usage, target: Target, flagship: Target | None, prices: PriceTable) -> Cost:
    """The cost of *usage* on *target*, next to its baseline on *flagship*, from one version of the prices."""
    return Cost(
        cost_microusd=cost_microusd(usage, prices.price(target)),
        baseline_microusd=None if flagship is None else baseline_microusd(usage, prices.price(flagship)),
        baseline=None if flagship is None else str(flagship),
        price_version=prices.version,
    )
