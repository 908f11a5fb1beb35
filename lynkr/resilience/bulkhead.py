"""At most so many calls at once to one provider, so that a slow one cannot take up every connection."""

from collections import Counter
from collections.abc import Mapping

from attrs import define, field


@define
class Bulkheads:
    """*limits* are calls under way by provider; a provider without one has none."""

    limits: Mapping[str, int]
    under_way: Counter[str] = field(factory=Counter[str], init=False)
    refused: int = field(default=0, init=False)

    def enter(self, provider: str) -> bool:
        """Take a place; False if there is none."""
        limit = self.limits.get(provider)
        if limit is not None and self.under_way[provider] >= limit:
            self.refused += 1
            return False
        self.under_way[provider] += 1
        return True

    def leave(self, provider: str) -> None:
        """Give the place back; exactly once for each that was taken."""
        if self.under_way[provider] < 1:
            raise ValueError(f"no call to {provider} is under way")
        self.under_way[provider] -= 1
