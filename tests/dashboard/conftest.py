"""A running gateway over a month of records, shared by the tests that only read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from lynkr.telemetry import Query, Record
from tests.dashboard.seeded import ADMIN_KEY, seed, settings_of
from tests.server.running import Running, serving


@frozen
class Seeded:
    """The gateway, and all that its ledger holds, newest first."""

    running: Running
    records: tuple[Record, ...]

    def get(self, path: str, **parameters: object) -> Any:
        """The JSON of one of the dashboard's routes."""
        asked = {name: str(value) for name, value in parameters.items()}
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        answer = self.running.client.get(f"/dashboard/api/{path}", params=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    def only(self, holds: Callable[[Record], bool]) -> list[Record]:
        return [record for record in self.records if holds(record)]


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    settings = settings_of(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3")
    written = seed(settings, sessions=60)
    with serving(settings) as running:
        assert running.gateway.recorder is not None
        records = tuple(running.gateway.recorder.store.read(Query(limit=None)))
        assert len(records) == written
        yield Seeded(running, records)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Seeded]:
    """A gateway that has served nothing yet."""
    with serving(settings_of(tmp_path / "ledger.sqlite3")) as running:
        yield Seeded(running, ())
