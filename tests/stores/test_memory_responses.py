"""The store of answers: bounded in number, bytes and time, one tenant apart from another."""

from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import (
    Foreign,
    Image,
    ImageSource,
    Message,
    Opaque,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from lynkr.model import WireFormat as F
from lynkr.stores import MemoryResponses, StoredResponse, tenant_of


def conversation(length: int) -> StoredResponse:
    return StoredResponse((Message.user("x" * length),))


UNIT = conversation(0).size
ids = st.sampled_from("abcdef")
tenants = st.sampled_from(("", "t"))
steps = st.lists(
    st.tuples(st.booleans(), tenants, ids, st.integers(0, 900), st.sampled_from((0.0, 1.0, 9.0, 10.0))),
    max_size=40,
)


@given(steps, st.integers(0, 4), st.sampled_from((UNIT - 1, 2 * UNIT, 5000)))
def test_it_does_what_a_plain_list_would(steps, most, max_bytes):
    """Against a model that recomputes everything."""
    store = MemoryResponses(most=most, max_bytes=max_bytes, ttl=10.0)
    model: OrderedDict[tuple[str, str], tuple[StoredResponse, float]] = OrderedDict()
    now = 0.0
    for puts, tenant, name, length, wait in steps:
        now += wait
        key = (tenant, name)
        if puts:
            stored = conversation(length)
            store.put(tenant, name, stored, now)
            model.pop(key, None)
            if most and stored.size <= max_bytes:
                model[key] = (stored, now + 10.0)
            while len(model) > most or sum(kept.size for kept, _ in model.values()) > max_bytes:
                model.popitem(last=False)
        else:
            found = store.get(tenant, name, now)
            kept = model.get(key)
            if kept is not None and kept[1] <= now:
                del model[key]
                kept = None
            assert found == (None if kept is None else kept[0])
            if kept is not None:
                model.move_to_end(key)
        assert len(store) == len(model) <= most
        assert store.size == sum(kept.size for kept, _ in model.values()) <= max_bytes


@pytest.mark.parametrize(
    "part",
    [
        Text("x" * 100),
        Reasoning("", Opaque(F.GEMINI, "x" * 100)),
        Image(ImageSource.BASE64, "x" * 100),
        ToolCall("c", "f", "x" * 100),
        ToolResult("c", (Text("x" * 100),)),
        Foreign(F.OPENAI_RESPONSES, {"type": "x", "y": "x" * 100}),
    ],
)
def test_what_is_large_counts(part):
    small = StoredResponse((Message(Role.USER, ()),)).size
    assert StoredResponse((Message(Role.USER, (part,)),)).size > small + 100


def test_a_tenant_is_who_shows_a_credential():
    alice = tenant_of({"authorization": "Bearer a"})
    assert alice == tenant_of({"authorization": "Bearer a", "x-other": "1"})
    assert (
        len({alice, tenant_of({"authorization": "Bearer b"}), tenant_of({"x-api-key": "a"}), tenant_of({})})
        == 4
    )
    assert "Bearer" not in alice
