"""Finished requests reach whoever watches, and nobody who watches can harm a request."""

import logging
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.telemetry import Ended, Ending, Observers, Record

PATIENCE = 10.0


def ended(name: str) -> Ended:
    return Ended(Record(name, 0.0, None, "m", stream=False, ending=Ending.OK, status=200))


class Seen:
    """Keeps what it was shown."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def observe(self, ended: Sequence[Ended], /) -> None:
        self.ids += [one.record.id for one in ended]


class Broken:
    """Raises a new complaint each time, or the same one."""

    def __init__(self, *, same: bool) -> None:
        self._same = same
        self.calls = 0

    def observe(self, ended: Sequence[Ended], /) -> None:
        self.calls += 1
        raise RuntimeError("always this" if self._same else f"number {self.calls}")


class Stuck:
    """Does not come back until it may."""

    def __init__(self) -> None:
        self.entered, self.may_go = threading.Event(), threading.Event()

    def observe(self, ended: Sequence[Ended], /) -> None:
        self.entered.set()
        assert self.may_go.wait(PATIENCE)


@given(st.lists(st.lists(st.text("ab", min_size=1, max_size=3), max_size=20), max_size=4))
def test_everyone_sees_every_request_once_in_order(batches: list[list[str]]) -> None:
    first, second = Seen(), Seen()
    observers = Observers((first, second), interval=0.001)
    for batch in batches:
        for name in batch:
            observers.tell(ended(name))
        assert observers.flush(PATIENCE)
    assert observers.close(PATIENCE)
    told = [name for batch in batches for name in batch]
    assert first.ids == second.ids == told
    stats = observers.stats()
    assert (stats.seen, stats.queued, stats.dropped) == (len(told), 0, 0)


def test_flush_does_not_wait_for_the_interval_and_close_drains() -> None:
    seen = Seen()
    observers = Observers((seen,), interval=3600)
    observers.tell(ended("a"))
    assert observers.flush(PATIENCE)
    assert seen.ids == ["a"]
    observers.tell(ended("b"))
    assert observers.close(PATIENCE)
    assert seen.ids == ["a", "b"]
    observers.tell(ended("late"))
    assert (observers.stats().dropped, seen.ids) == (1, ["a", "b"])
    assert observers.close(PATIENCE)


def test_an_observer_that_hangs_holds_up_nobody_and_what_is_too_much_is_counted() -> None:
    stuck = Stuck()
    observers = Observers((stuck,), capacity=3, interval=0)
    observers.tell(ended("0"))
    assert stuck.entered.wait(PATIENCE)
    for number in range(1, 6):
        observers.tell(ended(str(number)))
    assert (observers.stats().queued, observers.stats().dropped) == (3, 3)
    assert not observers.flush(0.01)
    assert not observers.close(0.01)
    stuck.may_go.set()
    assert observers.close(PATIENCE)
    assert observers.stats().seen == 3


@pytest.mark.parametrize("same", [True, False])
def test_a_broken_observer_is_told_of_and_the_next_one_still_sees(
    same: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broken, seen = Broken(same=same), Seen()
    observers = Observers((broken, seen), interval=0)
    with caplog.at_level(logging.ERROR, "lynkr.telemetry"):
        for name in "abc":
            observers.tell(ended(name))
            assert observers.flush(PATIENCE)
        observers.close(PATIENCE)
    stats = observers.stats()
    assert seen.ids == ["a", "b", "c"]
    assert stats.failures == broken.calls == 3
    assert stats.last_error == ("RuntimeError: always this" if same else "RuntimeError: number 3")
    # The same complaint again says nothing new.
    assert len(caplog.records) == (1 if same else 3)
    assert all("Broken" in record.getMessage() for record in caplog.records)


def test_observers_nobody_told_anything_end_without_a_thread() -> None:
    assert Observers((Seen(),)).close(0)
    with pytest.raises(ValueError, match="capacity"):
        Observers((), capacity=0)


def test_an_observer_with_something_to_finish_is_closed_once_also_when_nothing_was_told() -> None:
    class Finishing(Seen):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    for told in ([], ["a"]):
        observer = Finishing()
        observers = Observers((Broken(same=True), observer), interval=0)
        for name in told:
            observers.tell(ended(name))
        assert observers.close(PATIENCE)
        assert observers.close(PATIENCE)
        assert (observer.closed, observer.ids) == (1, told)


def test_without_threads_left_requests_wait_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    observers = Observers((seen,), interval=0)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        observers.tell(ended("a"))
    assert observers.stats().last_error == "RuntimeError: can't start new thread"
    observers.tell(ended("b"))
    assert observers.flush(PATIENCE)
    assert seen.ids == ["a", "b"]
    observers.close(PATIENCE)
