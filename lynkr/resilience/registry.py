"""Every breaker of a gateway, by key."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from attrs import field, frozen
from attrs.validators import ge

from lynkr.resilience.breaker import BreakerConfig, WindowBreaker
from lynkr.resilience.protocols import BreakerState, BreakerStatus, CircuitBreaker

_SHUT: Final = frozenset({BreakerState.OPEN, BreakerState.FORCED_OPEN})
_NONE: Final[frozenset[str]] = frozenset()


def credential_key(provider: str) -> str:
    """The key of the breaker of *provider*'s credential, of which it has one."""
    return f"{provider}:*"


class BreakerRegistry(Protocol):
    """Breakers by key: ``provider:model`` for a target, ``provider:*`` for a provider's credential.

    Keys never come from a client's own words: a breaker per tenant would let a
    caller make thousands, and one caller's bad luck is not another's.
    """

    def breaker(self, key: str, /) -> CircuitBreaker:
        """The breaker of *key*, made on first use."""
        ...

    def statuses(self, now: float, /) -> tuple[BreakerStatus, ...]:
        """The state of every breaker that has been asked for a permit, by name."""
        ...

    def refusing(self, now: float, /) -> frozenset[str]:
        """The keys of breakers that refuse every call now; what a router leaves out.

        Asked for each decision, so it must be cheap.  A half-open breaker is
        not among them, or nothing would ever probe it.
        """
        ...

    def force(self, key: str, state: BreakerState, now: float, /) -> None:
        """Set a breaker's state by hand; `CLOSED` resets it.

        Raises:
            ValueError: *state* is `OPEN` or `HALF_OPEN`.
        """
        ...


def shut(statuses: Iterable[BreakerStatus]) -> frozenset[str]:
    """The names of breakers that refuse every call now."""
    return frozenset(status.name for status in statuses if status.state in _SHUT)


@frozen
class MemoryBreakers:
    """A `BreakerRegistry` of one process.

    Holds at most *max_keys* breakers; beyond that the least recently used
    closed one is forgotten (its state is what a new one begins with anyway),
    and only if all are open or forced the least recently used of those.
    """

    config: BreakerConfig = field(factory=BreakerConfig)
    max_keys: int = field(default=1024, validator=ge(1))
    _breakers: OrderedDict[str, WindowBreaker] = field(
        factory=OrderedDict[str, WindowBreaker], init=False, eq=False, repr=False
    )

    def breaker(self, key: str, /) -> WindowBreaker:
        found = self._breakers.get(key)
        if found is not None:
            self._breakers.move_to_end(key)
            return found
        if len(self._breakers) >= self.max_keys:
            self._forget_one()
        made = self._breakers[key] = WindowBreaker(key, self.config)
        return made

    def statuses(self, now: float, /) -> tuple[BreakerStatus, ...]:
        return tuple(
            self._breakers[key].status(now)
            for key in sorted(self._breakers)
            if self._breakers[key].data.changed is not None
        )

    def refusing(self, now: float, /) -> frozenset[str]:
        shut_now = [
            key
            for key, breaker in self._breakers.items()
            if not breaker.is_closed and breaker.state(now) in _SHUT
        ]
        return frozenset(shut_now) if shut_now else _NONE

    def force(self, key: str, state: BreakerState, now: float, /) -> None:
        self.breaker(key).force(state, now)

    def _forget_one(self) -> None:
        for key, breaker in self._breakers.items():
            if breaker.is_closed:
                del self._breakers[key]
                return
        self._breakers.popitem(last=False)


@frozen
class ForcedBreakers:
    """*registry*, but for the keys in *states*, which are in the state the owner's settings say.

    Those live in this process alone: a state shared through a file would
    outlast the setting.
    """

    registry: BreakerRegistry
    states: Mapping[str, BreakerState]
    now: float
    _forced: MemoryBreakers = field(factory=MemoryBreakers, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for key, state in self.states.items():
            self._forced.force(key, state, self.now)

    def breaker(self, key: str, /) -> CircuitBreaker:
        return self._registry(key).breaker(key)

    def statuses(self, now: float, /) -> tuple[BreakerStatus, ...]:
        others = (status for status in self.registry.statuses(now) if status.name not in self.states)
        return tuple(sorted((*others, *self._forced.statuses(now)), key=lambda status: status.name))

    def refusing(self, now: float, /) -> frozenset[str]:
        return (self.registry.refusing(now) - self.states.keys()) | self._forced.refusing(now)

    def force(self, key: str, state: BreakerState, now: float, /) -> None:
        self._registry(key).force(key, state, now)

    def _registry(self, key: str) -> BreakerRegistry:
        return self._forced if key in self.states else self.registry
