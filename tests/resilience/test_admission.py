"""The queue at the door against a plain model of what the documentation says."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from lynkr.resilience.admission import Admission, AdmissionLimits, Place, Ticket


class AdmissionMachine(RuleBasedStateMachine):
    tickets = Bundle("tickets")

    @initialize(
        limits=st.builds(
            AdmissionLimits,
            under_way=st.integers(1, 3),
            streams=st.integers(1, 2),
            queued=st.integers(0, 4),
            wait=st.just(8.0),
        )
    )
    def begin(self, limits: AdmissionLimits) -> None:
        self.limits = limits
        self.real = Admission(limits)
        self.now = 100.0
        self.inside: list[Ticket] = []
        self.streaming: list[Ticket] = []
        self.waiting: list[Ticket] = []  # in the order they came

    def let_in(self, admitted: tuple[Ticket, ...]) -> None:
        """Who is let in, and in which order, is what the model says."""
        expected: list[Ticket] = []
        alive = [t for t in self.waiting if self.now < t.until]
        for ticket in sorted(alive, key=lambda t: t.is_side):  # stable: first come first
            if len(self.inside) + len(expected) < self.limits.under_way:
                expected.append(ticket)
        assert list(admitted) == expected
        for ticket in admitted:
            assert ticket.place is Place.UNDER_WAY
            self.waiting.remove(ticket)
            self.inside.append(ticket)

    @rule(step=st.sampled_from([0.0, 1.0, 4.0, 8.0]))
    def time_passes(self, step: float) -> None:
        self.now += step

    @rule(target=tickets, is_side=st.booleans(), patience=st.sampled_from([0.5, 4.0, float("inf")]))
    def asks(self, is_side: bool, patience: float) -> Any:
        ticket, shed = self.real.ask(self.now, is_side=is_side, patience=patience)
        sides = [t for t in self.waiting if t.is_side]
        if len(self.inside) < self.limits.under_way and not self.waiting:
            assert ticket is not None
            assert ticket.place is Place.UNDER_WAY
            self.inside.append(ticket)
        elif len(self.waiting) < self.limits.queued:
            assert ticket is not None
            assert shed is None
            self.waiting.append(ticket)
        elif is_side or not sides:
            assert ticket is None
        else:
            assert shed is sides[-1], "the youngest side request makes room"
            assert shed.place is Place.GONE
            self.waiting.remove(shed)
            assert ticket is not None
            self.waiting.append(ticket)
        if ticket is not None and ticket.place is Place.WAITING:
            assert ticket.until == self.now + min(8.0, patience)
        return ticket

    @rule(ticket=tickets)
    def turns_out_to_stream(self, ticket: Any) -> None:
        if ticket is None:
            return
        if ticket not in self.inside:
            with pytest.raises(ValueError, match="cannot begin to stream"):
                self.real.stream(ticket, self.now)
            return
        ok, admitted = self.real.stream(ticket, self.now)
        assert ok == (len(self.streaming) < self.limits.streams)
        if ok:
            self.inside.remove(ticket)
            self.streaming.append(ticket)
        self.let_in(admitted)

    @rule(ticket=consumes(tickets), times=st.integers(1, 2))
    def leaves(self, ticket: Any, times: int) -> None:
        if ticket is None:
            return
        for _ in range(times):
            admitted = self.real.leave(ticket, self.now)
            was_there = any(ticket in group for group in (self.inside, self.streaming, self.waiting))
            for group in (self.inside, self.streaming, self.waiting):
                if ticket in group:
                    group.remove(ticket)
            if was_there:
                self.let_in(admitted)
            else:
                assert admitted == ()

    @rule()
    def the_late_are_dropped(self) -> None:
        late = self.real.expire(self.now)
        assert set(map(id, late)) == {id(t) for t in self.waiting if self.now >= t.until}
        self.waiting = [t for t in self.waiting if self.now < t.until]

    @invariant()
    def it_counts_right_and_keeps_its_bounds(self) -> None:
        if hasattr(self, "real"):
            real = self.real
            assert (real.under_way, real.streaming) == (len(self.inside), len(self.streaming))
            assert real.queued == len(self.waiting)
            assert real.under_way <= self.limits.under_way
            assert real.streaming <= self.limits.streams
            assert real.queued <= self.limits.queued


TestAdmissionAgainstItsModel = AdmissionMachine.TestCase
