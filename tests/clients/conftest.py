"""Real clients: ``nox -s clients`` installs them and runs the files named ``client_*.py`` here."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lynkr.testing.faults import Script
from tests.clients.harness import Clients, Stand, stand
from tests.clients.upstream import Step

Start = Callable[..., Stand]
_HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", type=Path, required=True, help="where the session installed the clients")
    parser.addoption("--only", default="", help="the names of the clients to run, all if empty")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "client(name): which of the clients the test runs")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the clients asked for; pytest shows this hook those of other folders too."""
    wanted = config.getoption("--only", "").split()

    def is_wanted(item: pytest.Item) -> bool:
        if not item.path.is_relative_to(_HERE):
            return True
        mark = item.get_closest_marker("client")
        assert mark is not None, f"{item.nodeid} names no client"
        return not wanted or mark.args[0] in wanted

    if unwanted := [item for item in items if not is_wanted(item)]:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = filter(is_wanted, items)


@pytest.fixture(scope="session")
def clients(request: pytest.FixtureRequest) -> Clients:
    root: Path = request.config.getoption("--clients")
    return Clients(root.resolve())


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The folder the client works in."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def start(clients: Clients, tmp_path: Path, workspace: Path) -> Iterator[Start]:
    """``start("chat", *steps)``: a gateway before an upstream of that dialect, which follows the steps."""
    with ExitStack() as stack:

        def begin(kind: str, *steps: Step, faults: Script | None = None) -> Stand:
            return stack.enter_context(stand(clients, tmp_path, workspace, kind, steps, faults=faults))

        yield begin
