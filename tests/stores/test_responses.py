"""The store of answers: bounded in number, bytes and time, one tenant apart from another."""

import sqlite3
from collections import OrderedDict
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

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
from lynkr.stores.saved import restored, saved
from lynkr.stores.sqlite_responses import SqliteResponses
from lynkr.testing.strategies import messages


def conversation(length: int) -> StoredResponse:
    return StoredResponse((Message.user("x" * length),))


UNIT = conversation(0).size
ids = st.sampled_from("abcdef")
tenants = st.sampled_from(("", "t"))
steps = st.lists(
    st.tuples(st.booleans(), tenants, ids, st.integers(0, 900), st.sampled_from((0.0, 1.0, 9.0, 10.0))),
    max_size=40,
)


@contextmanager
def store_of(kind, **bounds):
    if kind == "memory":
        yield MemoryResponses(**bounds)
        return
    with TemporaryDirectory() as folder:
        one, two = (SqliteResponses(Path(folder) / "responses.sqlite3", **bounds) for _ in range(2))
        with closing(one), closing(two):
            yield Alternating(one, two)
            assert (one.faults, two.faults) == (0, 0)


class Alternating:
    """Two processes' views of one file, asked in turns."""

    def __init__(self, *stores):
        self.stores = stores
        self.asked = 0

    def __getattr__(self, name):
        self.asked += 1
        return getattr(self.stores[self.asked % 2], name)

    def __len__(self):
        return len(self.stores[0])


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(steps, st.integers(0, 4), st.sampled_from((UNIT - 1, 2 * UNIT, 5000)))
def test_it_does_what_a_plain_list_would(kind, steps, most, max_bytes):
    """Against a model that recomputes everything."""
    with store_of(kind, most=most, max_bytes=max_bytes, ttl=10.0) as store:
        against_a_plain_list(store, steps, most, max_bytes)


def against_a_plain_list(store, steps, most, max_bytes):
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


@given(st.lists(messages(), max_size=3), st.sampled_from((None, "openai")))
def test_what_is_saved_comes_back_the_same(conversation, provider):
    stored = StoredResponse(tuple(conversation), provider)
    assert restored(saved(stored)) == stored


@pytest.mark.parametrize("text", ["", "[]", "[null, [[1]]]", '[null, [["user", [["no"]], null]]]', "{}"])
def test_what_is_no_answer_is_refused(text):
    with pytest.raises((ValueError, TypeError, KeyError, IndexError)):
        restored(text)


def test_the_file_is_made_with_the_first_answer_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "responses.sqlite3"
    with closing(SqliteResponses(path)) as store:
        assert store.get("t", "a", 0.0) is None
        assert not path.exists()
        store.put("t", "a", conversation(5), 0.0)
        assert store.get("t", "a", 1.0) == conversation(5)
        assert path.stat().st_mode & 0o777 == 0o600


def test_without_its_file_nothing_is_kept_or_found_and_that_is_counted(tmp_path):
    path = tmp_path / "responses.sqlite3"
    path.write_bytes(b"this is no database, and longer than a header would be " * 40)
    with closing(SqliteResponses(path)) as store:
        store.put("t", "a", conversation(5), 0.0)
        assert store.get("t", "a", 1.0) is None
        assert (store.faults, "not a database" in store.last_fault) == (2, True)
    with closing(SqliteResponses(tmp_path / "other")) as store:
        store.put("t", "a", conversation(5), 0.0)
        with closing(sqlite3.connect(tmp_path / "other", isolation_level=None)) as other:
            other.execute("UPDATE responses SET body = '{}'")
        assert store.get("t", "a", 1.0) is None
        assert store.faults == 1
