"""What several workers share out among them, and which of them forgets what is old."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.assembly import build_recorder
from lynkr.settings import Settings
from lynkr.settings.sharing import share_of
from lynkr.shared import Shared
from lynkr.telemetry import Query
from tests.telemetry.made import record

BOUNDS = ("max_in_flight", "max_streams", "max_queued")


@given(
    workers=st.integers(1, 16),
    bounds=st.tuples(*[st.integers(16, 5_000)] * 3),
    of_provider=st.none() | st.integers(16, 500),
)
def test_shares_add_up_to_the_bound_and_are_as_even_as_they_can_be(
    workers: int, bounds: tuple[int, int, int], of_provider: int | None
) -> None:
    tree: dict[str, object] = {"server.workers": workers, "tiers.SIMPLE": ["host:m"]}
    tree |= {f"server.{name}": most for name, most in zip(BOUNDS, bounds, strict=True)}
    tree |= {"providers.host.kind": "openai", "providers.host.base_url": "http://127.0.0.1:9/v1"}
    if of_provider is not None:
        tree["providers.host.max_in_flight"] = of_provider
    settings = Settings.load(None, {}, overrides=tree)
    parts = [share_of(settings, number) for number in range(workers)]
    for name, most in zip(BOUNDS, bounds, strict=True):
        shares = [getattr(part.server, name) for part in parts]
        assert sum(shares) == most
        assert max(shares) - min(shares) <= 1
    at_host = [part.providers["host"].max_in_flight for part in parts]
    assert at_host == [None] * workers if of_provider is None else sum(filter(None, at_host)) == of_provider


@pytest.mark.parametrize(("number", "kept"), [(0, ["new"]), (1, ["new", "old"])])
def test_one_worker_alone_forgets_what_is_old(tmp_path: Path, number: int, kept: list[str]) -> None:
    tree = {"telemetry.path": str(tmp_path / "ledger.db"), "telemetry.retention_days": 1.0}
    settings = Settings.load(None, {}, overrides=tree)
    now = time.time()
    recorder = build_recorder(settings, prunes=Shared(tmp_path, b"key", number, 2).prunes)
    try:
        recorder.store.write([record("old", now - 3 * 86_400.0)])
        recorder.record(record("new", now))
        assert recorder.close(10.0)
        assert [each.id for each in recorder.store.read(Query())] == kept
    finally:
        recorder.close()
        recorder.store.close()
