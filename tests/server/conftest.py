"""The real application under the real server, in front of a simulator over real sockets."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.seeded import ADMIN_KEY
from tests.server.running import House, house


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One running gateway for the tests of a module that change nothing but their own models."""
    ledger = tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"
    with house(ledger, **{"server.admin_key": ADMIN_KEY}) as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Starts gateways of the test's own; arguments as of `house`."""
    numbers = count()
    with ExitStack() as stack:

        def start(*arguments: Any, **settings: Any) -> House:
            ledger = tmp_path / f"ledger-{next(numbers)}.sqlite3"
            return stack.enter_context(house(ledger, *arguments, **settings))

        yield start
