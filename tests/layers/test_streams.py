"""A reply under other streams is the same reply."""

import attrs

from lynkr.model import Loss
from lynkr.service import Reply, Tally
from tests.layers.scripted import A, ScriptedStream


def test_only_the_streams_of_a_reply_are_exchanged() -> None:
    """`Reply.over` names the fields itself, for speed: a new one must not be forgotten there."""
    tally, stream = Tally(), ScriptedStream
    reply = Reply(A, tally, None, None, 201, {"x": "y"}, "text/x", (Loss("a", "b"),))
    changed = {f.name for f in attrs.fields(Reply) if getattr(reply, f.name) == f.default}
    assert changed == {"events", "raw"}, "every other field differs from its default here"
    events = stream.__new__(stream)
    other = reply.over(events, None)
    assert other.events is events
    assert attrs.evolve(other, events=None) == reply
