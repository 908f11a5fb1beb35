"""Bulkheads against a plain model, and their layer: a place is held until the answer's stream has ended."""

from collections import Counter

import anyio
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lynkr.errors import BulkheadFull, UpstreamFailed
from lynkr.layers import bulkhead
from lynkr.resilience.bulkhead import Bulkheads
from lynkr.service import Reply
from tests.layers.scripted import A, Answer, B, Scripted, call_to, read

PROVIDERS = ("bounded", "narrow", "free")


class BulkheadMachine(RuleBasedStateMachine):
    @initialize(bounded=st.integers(1, 5))
    def begin(self, bounded: int) -> None:
        self.limits = {"bounded": bounded, "narrow": 1}
        self.real = Bulkheads(self.limits)
        self.inside: Counter[str] = Counter()
        self.refused = 0

    @rule(provider=st.sampled_from(PROVIDERS), calls=st.integers(1, 4))
    def calls_come(self, provider: str, calls: int) -> None:
        for _ in range(calls):
            has_room = self.inside[provider] < self.limits.get(provider, 1_000)
            assert self.real.enter(provider) == has_room
            self.inside[provider] += has_room
            self.refused += not has_room

    @precondition(lambda self: self.inside.total())
    @rule(data=st.data())
    def a_call_ends(self, data: st.DataObject) -> None:
        provider = data.draw(st.sampled_from([name for name in PROVIDERS if self.inside[name]]))
        self.real.leave(provider)
        self.inside[provider] -= 1

    @rule(provider=st.sampled_from(PROVIDERS))
    def nobody_leaves_who_did_not_enter(self, provider: str) -> None:
        if not self.inside[provider]:
            with pytest.raises(ValueError, match="no call"):
                self.real.leave(provider)

    @invariant()
    def as_many_are_inside_as_came_and_have_not_gone(self) -> None:
        if hasattr(self, "real"):
            assert +self.real.under_way == +self.inside
            assert all(self.inside[name] <= limit for name, limit in self.limits.items())
            assert self.real.refused == self.refused


TestBulkheadsAgainstTheirModel = BulkheadMachine.TestCase


class LayerMachine(RuleBasedStateMachine):
    """Calls that succeed, fail, are left halfway: the place is given back with each, once."""

    @initialize(limit=st.integers(1, 3))
    def begin(self, limit: int) -> None:
        self.limit = limit
        self.bulkheads = Bulkheads({A.provider: limit})
        self.open: list[Reply] = []
        self.service = Scripted({A: [Answer()], B: [UpstreamFailed("no", target="b", status=500)]})
        self.send = bulkhead(self.bulkheads)(self.service)

    @rule()
    def an_answer_begins(self) -> None:
        sent = len(self.service.calls)
        if len(self.open) < self.limit:
            self.open.append(anyio.run(self.send, call_to(A)))
            return
        with pytest.raises(BulkheadFull, match=rf"providers\.{A.provider}\.max_in_flight"):
            anyio.run(self.send, call_to(A))
        assert len(self.service.calls) == sent, "nothing was sent"

    @rule()
    def another_provider_fails(self) -> None:
        with pytest.raises(UpstreamFailed):
            anyio.run(self.send, call_to(B))

    @precondition(lambda self: self.open)
    @rule(whole=st.booleans(), again=st.booleans())
    def an_answer_ends(self, whole: bool, again: bool) -> None:
        reply = self.open.pop(0)
        if whole:
            anyio.run(read, reply)
        else:
            anyio.run(reply.aclose)
        if again:
            anyio.run(reply.aclose)

    @invariant()
    def places_taken_are_answers_under_way(self) -> None:
        if hasattr(self, "bulkheads"):
            assert self.bulkheads.under_way[A.provider] == len(self.open) <= self.limit


TestTheLayerGivesEveryPlaceBack = LayerMachine.TestCase
