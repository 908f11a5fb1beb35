"""A session's course under another policy: its pin and its caches, beside those it really had.

Theory.  As long as every decision of a session came out as it did, the
recorded pin is taken: it is exact, whatever happened between the requests.
From the first request that another target would have served, the pin is the
one that the other course leaves behind (`lynkr.routing.pin_after`), for as long
as it would have been kept.

Caches are simulated on both courses, by the same function with the same
prompts, so that how far the simulation can be trusted is measured on the real one.
"""

from collections.abc import Iterator
from typing import Final

from attrs import define, evolve, field

from lynkr.model import WireFormat
from lynkr.pricing.prompt_cache import CacheTerms, CacheUse, Held, after_prompt
from lynkr.replay.costs import Calibration
from lynkr.routing import Decision, Features, Pin, Rates, Snapshot, Target, pin_after
from lynkr.routing.decision import CacheKind
from lynkr.telemetry.record import Record

_HOUR: Final = 3_600.0


@define
class Caches:
    """What targets hold of one session, on one course."""

    held: dict[Target, Held] = field(factory=dict[Target, Held])
    sent: dict[Target, int] = field(factory=dict[Target, int])

    def prompt(self, target: Target, terms: CacheTerms, tokens: int, now: float, *, marked: bool) -> CacheUse:
        """The next prompt of the session goes to *target*."""
        shared = self.sent.get(target, 0)
        use, held = after_prompt(self.held.get(target), terms, tokens, shared, now, marked=marked)
        if held is None:
            self.held.pop(target, None)
        else:
            self.held[target] = held
        self.sent[target] = tokens
        return use

    def cut(self) -> None:
        """The history was shortened: nothing of what is held is the beginning of what comes."""
        self.held.clear()
        self.sent.clear()


@define
class Course:
    """One session (or a request without one) along both courses.

    *marked* says whether its client marks what an explicit cache is to keep, *hour* whether
    for an hour; None until it is known.
    """

    seen: float
    diverged: bool = False
    pin: Pin | None = None
    pinned_at: float = 0.0
    messages: int = 0
    marked: bool | None = None
    hour: bool = False
    real: Caches = field(factory=Caches)
    other: Caches = field(factory=Caches)
    reported: float = 0.0
    simulated: float = 0.0

    def snapshot(self, recorded: Snapshot, rates: Rates, ttl: float) -> Snapshot:
        """The moment as the policy would have found it."""
        if not self.diverged:
            return evolve(recorded, rates=rates)
        is_kept = self.pin is not None and recorded.now - self.pinned_at < ttl
        return evolve(recorded, rates=rates, pin=self.pin if is_kept else None)

    def served(
        self, record: Record, before: Decision, after: Decision, moment: Snapshot, target: Target
    ) -> None:
        """*target* serves what *record* says another (or the same) did."""
        if after.keep is None and before.keep is None:
            return
        now = moment.now
        if target != record.target or after.keep != before.keep:
            self.diverged = True
        pin = pin_after(moment.pin, after.keep, target, now)
        if pin is not None:
            self.pin, self.pinned_at = pin, now

    def prompts(
        self, record: Record, features: Features, real: Target, other: Target, rates: Rates
    ) -> tuple[CacheUse, CacheUse, CacheTerms]:
        """What the prompt reads and writes at *real* and at *other*, and the terms of the latter."""
        usage = record.usage
        tokens = features.input_tokens if usage.input is None else usage.input
        terms = {target: self._terms(rates, target) for target in (real, other)}
        self._learn(record, terms[real])
        if features.is_side_traffic and not features.is_compaction:
            # A prompt of its own, which shares nothing with the session's and is not sent again.
            return CacheUse(fresh=tokens), CacheUse(fresh=tokens), terms[other]
        if features.messages < self.messages:
            self.real.cut()
            self.other.cut()
        self.messages = features.messages
        marked = self._marks(record)
        was = self.real.prompt(real, terms[real], tokens, record.at, marked=marked)
        would = self.other.prompt(other, terms[other], tokens, record.at, marked=marked)
        if usage.cache_read is not None:
            self.reported += usage.cache_read
            self.simulated += was.read
        return was, would, terms[other]

    def _terms(self, rates: Rates, target: Target) -> CacheTerms:
        terms = CacheTerms.of(rates.tariffs.get(target))
        return evolve(terms, seconds=_HOUR) if self.hour and terms.kind is CacheKind.EXPLICIT else terms

    def _learn(self, record: Record, terms: CacheTerms) -> None:
        usage = record.usage
        if usage.cache_write_1h:
            self.hour = True
        if terms.kind is CacheKind.EXPLICIT and usage.cache_write is not None:
            used = usage.cache_write + (usage.cache_read or 0) > 0
            self.marked = used or bool(self.marked)

    def _marks(self, record: Record) -> bool:
        """Where it was not seen: marks are Anthropic's, and go nowhere from a client of another dialect."""
        if self.marked is not None:
            return self.marked
        return record.client_format is WireFormat.ANTHROPIC_MESSAGES


@define
class Courses:
    """Every session under way; one unseen for *patience* seconds is over, and goes into the calibration."""

    patience: float
    calibration: Calibration = field(factory=Calibration)
    _courses: dict[str, Course] = field(factory=dict[str, Course])

    def of(self, session: str | None, now: float) -> Course:
        if session is None:
            return Course(now)
        course = self._courses.pop(session, None)
        if course is None:
            course = Course(now)
        course.seen = now
        self._courses[session] = course  # last again: the first is the one unseen for longest
        for name in list(self._over(now)):
            self._end(name)
        return course

    def close(self) -> Calibration:
        """The calibration with the sessions still under way."""
        for name in list(self._courses):
            self._end(name)
        return self.calibration

    def _over(self, now: float) -> Iterator[str]:
        for name, course in self._courses.items():
            if now - course.seen <= self.patience:
                return
            yield name

    def _end(self, name: str) -> None:
        course = self._courses.pop(name)
        self.calibration.add(course.reported, course.simulated)
