"""What a request is expected to cost, and what it costs to change a session's target.

A provider's cache belongs to a model.  The first turn at another target reads
the whole prefix cold:

::

    mechanism   a cold token costs         a warm one   so switching costs
    explicit    cache_write (a premium)    cache_read   prefix * (cache_write - cache_read)
    automatic   input: the write is free,  cache_read   prefix * (input - cache_read)
                the reading is not
    none        input                      input        nothing: it never was any cheaper
    local       no money                   no money     the time to read the prefix

Money in micro-USD; a tariff's USD per million tokens are micro-USD a token.
"""

from typing import Final

from attrs import frozen

from lynkr.routing.decision import CacheKind, Pin, Snapshot, Target, Tariff, TurnShape

_UNCACHED: Final = CacheKind.NONE


@frozen
class SwitchCost:
    """What moving a session from one target to another does to its costs.

    *regret_microusd* is paid once, for the cache that is left behind.
    *stay_microusd* and *move_microusd* are the whole expected rest of the session,
    that included.  All three are None when either price is unknown.
    *break_even_turns* is after how many turns moving has paid for itself, 0 if
    at once, None if never or unknown.  *cold_seconds* is the time to read the prefix
    anew, None if unknown.
    """

    regret_microusd: float | None = None
    stay_microusd: float | None = None
    move_microusd: float | None = None
    break_even_turns: float | None = None
    cold_seconds: float | None = None

    @property
    def saving_microusd(self) -> float | None:
        """What moving saves over the rest of the session, regret deducted; negative if it costs."""
        if self.stay_microusd is None or self.move_microusd is None:
            return None
        return self.stay_microusd - self.move_microusd

    def pays(self, margin: float) -> bool:
        """Whether moving surely saves more than *margin*, a share of what staying costs."""
        saving = self.saving_microusd
        return saving is not None and saving > margin * (self.stay_microusd or 0.0)


def switch_cost(snapshot: Snapshot, from_: Target, to: Target, /) -> SwitchCost:
    """Price moving this snapshot's session *from_* one target *to* another.

    The prefix is that of `Snapshot.pin`; it counts as cached at *from_* if that is who
    served it and its cache still holds, and as cold at *to*.  The turns to come are
    `Snapshot.turn`.  Pure.

    >>> from lynkr.routing import Rates
    >>> mini = Target("openai", "gpt-5-mini")
    >>> opus = Target("anthropic", "opus")
    >>> rates = Rates({
    ...     opus: Tariff(5.0, 25.0, 0.5, 6.25, CacheKind.EXPLICIT),
    ...     mini: Tariff(0.25, 2.0, 0.025, None, CacheKind.AUTOMATIC),
    ... })
    >>> snapshot = Snapshot(rates=rates, pin=Pin(opus, opus, tokens=100_000))
    >>> cost = switch_cost(snapshot, opus, mini)  # 100 000 * (0.25 - 0.025), not nothing
    >>> round(cost.regret_microusd), cost.pays(0.1)
    (22500, True)
    >>> switch_cost(snapshot, mini, mini).regret_microusd
    0.0
    """
    old, new = snapshot.rates.tariffs.get(from_), snapshot.rates.tariffs.get(to)
    prefix = 0 if snapshot.pin is None else snapshot.pin.tokens
    held = 0 if from_ == to else _cached(snapshot.pin, from_, old, snapshot.now)
    speed = None if new is None else new.prefill_tokens_per_second
    seconds = 0.0 if not held else (None if not speed else held / speed)
    if old is None or new is None:
        return SwitchCost(cold_seconds=seconds)
    regret = held * max(0.0, new.cold - new.warm)
    stay = _trajectory(old, prefix, _cached(snapshot.pin, from_, old, snapshot.now), snapshot.turn)
    if from_ == to:
        return SwitchCost(0.0, stay, stay, None, 0.0)
    move = _trajectory(new, prefix, 0, snapshot.turn)
    return SwitchCost(regret, stay, move, _break_even(old, new, prefix, held, snapshot.turn), seconds)


def expected_microusd(
    snapshot: Snapshot, target: Target, input_tokens: int, output_tokens: int | None
) -> float | None:
    """What one request is expected to cost at *target*; None if its price is unknown.

    The output is the turn's usual, or less if the client allows less.
    """
    tariff = snapshot.rates.tariffs.get(target)
    if tariff is None:
        return None
    usual = snapshot.turn.output_tokens
    output = usual if output_tokens is None else min(usual, output_tokens)
    warm = min(input_tokens, _cached(snapshot.pin, target, tariff, snapshot.now))
    return warm * tariff.warm + (input_tokens - warm) * tariff.cold + output * tariff.output


def _cached(pin: Pin | None, target: Target, tariff: Tariff | None, now: float) -> int:
    """How many tokens of the session's prefix *target* still has cached."""
    if pin is None or pin.served != target:
        return 0
    if tariff is None:
        return pin.tokens
    if tariff.cache is _UNCACHED or now - pin.at > tariff.cache_seconds:
        return 0
    return pin.tokens


def _turn_cost(tariff: Tariff, prefix: float, held: float, turn: TurnShape) -> float:
    fresh = prefix - held + turn.new_tokens
    return held * tariff.warm + fresh * tariff.cold + turn.output_tokens * tariff.output


def _trajectory(tariff: Tariff, prefix: int, held: int, turn: TurnShape) -> float:
    """The session's remaining turns, each of which adds to the prefix of the next.

    Every turn after the first finds the prefix of the one before cached, so the
    sum is closed: no loop over turns, whose number need not be whole.
    """
    turns = max(1.0, turn.remaining)
    first = _turn_cost(tariff, prefix, held, turn)
    growth = turn.new_tokens + turn.output_tokens
    later = turns - 1.0
    # Turn k (k = 2, 3, ...) finds prefix + new + (k - 2) * growth tokens cached, and adds growth to them.
    prefixes = later * (prefix + turn.new_tokens) + growth * later * (later - 1.0) / 2.0
    each = growth * tariff.cold + turn.output_tokens * tariff.output
    return first + prefixes * tariff.warm + later * each


def _break_even(old: Tariff, new: Tariff, prefix: int, held: int, turn: TurnShape) -> float | None:
    """After how many turns the sums of both paths meet, looking no further than ten times the horizon."""
    first = _turn_cost(new, prefix, 0, turn) - _turn_cost(old, prefix, held, turn)
    if first <= 0:
        return 0.0
    growth = turn.new_tokens + turn.output_tokens
    context = float(prefix + turn.new_tokens)
    extra = first
    for number in range(1, 10 * max(1, int(turn.remaining)) + 1):
        saved = (
            context * (old.warm - new.warm)
            + growth * (old.cold - new.cold)
            + turn.output_tokens * (old.output - new.output)
        )
        if saved >= extra > 0:
            return number + extra / saved
        extra -= saved
        context += growth
    return None
