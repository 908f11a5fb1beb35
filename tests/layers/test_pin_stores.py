"""Every pin store keeps the same promises; a state machine holds them against a plain model."""

import sqlite3
import stat
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lynkr.layers.sqlite_pins import SqlitePins
from lynkr.routing import MemoryPins, Pin, Target
from lynkr.testing.strategies import pins

PIN = Pin(Target("a", "é"), None, 10, 2, 1.5)
OTHER = Pin(Target("b", "y:z"), Target("c", "w"), 0, 0, 0.25)
KEYS = ("/s/", "acme/s/a%2F1", "//odd", "né")


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path):
    made = []

    def build(**options):
        store = (
            MemoryPins(**options) if request.param == "memory" else SqlitePins(tmp_path / "p.db", **options)
        )
        made.append(store)
        return store

    yield build
    for store in made:
        store.close()


def test_what_was_put_is_what_is_got(make):
    store = make()
    store.put("s", PIN, 0.0)
    store.put("t", OTHER, 0.0)
    store.put("t", PIN, 1.0)
    store.put("u", OTHER, 0.0)
    assert [store.get(key, 1.0) for key in "stuv"] == [PIN, PIN, OTHER, None]


def test_a_pin_lives_as_long_as_it_is_written(make):
    store = make(ttl=10.0)
    store.put("s", PIN, 0.0)
    assert store.get("s", 9.9) == PIN
    assert store.get("s", 10.0) is None
    store.put("s", PIN, 12.0)
    store.put("s", PIN, 20.0)
    assert store.get("s", 29.0) == PIN


def test_a_forgotten_pin_is_gone(make):
    store = make()
    store.put("s", PIN, 0.0)
    store.forget("s")
    store.forget("t")
    assert store.get("s", 0.0) is None


def test_sessions_are_bounded_and_the_youngest_stay(make):
    store = make(most_sessions=8)
    for number in range(600):
        store.put(f"s{number}", PIN, float(number))
    assert store.get("s599", 600.0) == PIN
    assert store.get("s0", 600.0) is None


def test_several_threads_may_use_it(make):
    store = make()
    wrong = []

    def work(name):
        for at in range(50):
            store.put(name, PIN, float(at))
            if store.get(name, float(at)) != PIN:
                wrong.append((name, at))

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class PinMachine(RuleBasedStateMachine):
    """Memory, SQLite and a dictionary, through the same calls."""

    @initialize(ttl=st.sampled_from((5.0, 60.0)))
    def begin(self, ttl):
        self.directory = TemporaryDirectory()
        self.file = Path(self.directory.name) / "pins.db"
        self.stores = [MemoryPins(ttl), SqlitePins(self.file, ttl=ttl)]
        self.model, self.ttl, self.now = {}, ttl, 100.0

    @rule(key=st.sampled_from(KEYS), pin=pins())
    def put(self, key, pin):
        self.model[key] = (pin, self.now)
        for store in self.stores:
            store.put(key, pin, self.now)

    @rule(key=st.sampled_from(KEYS))
    def forget(self, key):
        self.model.pop(key, None)
        for store in self.stores:
            store.forget(key)

    @rule(seconds=st.sampled_from((0.0, 1.0, 4.999, 5.0, 59.0, 60.0)))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def reopen(self):
        self.stores[1].close()
        self.stores[1] = SqlitePins(self.file, ttl=self.ttl)

    @invariant()
    def agree(self):
        for key in KEYS:
            pin, at = self.model.get(key, (None, 0.0))
            expected = pin if pin is not None and self.now - at < self.ttl else None
            assert [store.get(key, self.now) for store in self.stores] == [expected, expected]

    def teardown(self):
        if hasattr(self, "stores"):
            self.stores[1].close()
            self.directory.cleanup()


TestPinMachine = PinMachine.TestCase
TestPinMachine.settings = settings(max_examples=15, stateful_step_count=20)  # each opens a file


# --- the file


def test_pins_survive_a_restart_and_are_shared(tmp_path):
    one, two = SqlitePins(tmp_path / "p"), SqlitePins(tmp_path / "p")
    one.put("s", PIN, 0.0)
    assert two.get("s", 0.0) == PIN
    one.close()
    assert one.get("s", 0.0) == PIN
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o600
    one.close()
    two.close()


def test_without_its_file_a_store_works_from_memory_and_counts(tmp_path):
    store = SqlitePins(tmp_path / "no" / "such" / "p", pause=1.0)
    store.put("s", PIN, 0.0)
    assert store.get("s", 0.5) == PIN
    assert (store.faults, "FileNotFoundError" in store.last_fault) == (1, True)
    (tmp_path / "no" / "such").mkdir(parents=True)
    store.put("s", OTHER, 2.0)
    assert store.get("s", 2.0) == OTHER
    assert store.faults == 1
    store.close()


def test_a_damaged_row_is_no_pin_and_a_damaged_file_no_failure(tmp_path):
    path = tmp_path / "p"
    store = SqlitePins(path)
    store.put("s", PIN, 0.0)
    with sqlite3.connect(path) as other:
        other.execute("UPDATE pins SET pin = '{}'")
    other.close()
    assert store.get("s", 0.0) == PIN  # from memory
    assert store.faults == 1
    store.close()
    broken = tmp_path / "b"
    broken.write_bytes(b"this is no database" * 100)
    store = SqlitePins(broken)
    assert store.get("s", 0.0) is None
    assert store.faults == 1
    store.close()
