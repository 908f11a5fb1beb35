"""A real Chromium before the real gateway over a seeded ledger; run by ``nox -s browser``."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from attrs import frozen
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from lynkr.telemetry import SQLiteStore
from lynkr_server.dashboard.door import COOKIE
from tests.dashboard.seeded import ADMIN_KEY, hostile, seed, settings_of
from tests.server.running import Running, serving

PATIENCE = 15_000.0  # milliseconds
CHROMIUM = "/usr/bin/chromium"
# No sandbox for root, and nothing in the background that looks for the internet.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
WIDTHS = {"desktop": (1280, 900), "phone": (375, 740)}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, default=None, help="the folder that keeps the pictures")


@frozen
class Tab:
    """A page of the browser, and everything it complained of."""

    page: Page
    complaints: list[str]
    foreign: list[str]

    def go(self, url: str, place: str) -> None:
        """Open *place* (what is behind the ``#/``) and wait until its figures stand."""
        self.page.goto(f"{url}/dashboard#/{place}")
        self.page.wait_for_selector("main:not([aria-busy]) h1")
        expect(self.page.locator("[aria-busy]")).to_have_count(0, timeout=PATIENCE)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway over a month of records; the last of them is an attack on whoever reads it."""
    settings = settings_of(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3")
    seed(settings)
    assert settings.telemetry.file is not None
    store = SQLiteStore(settings.telemetry.file)
    store.write([hostile(time.time())])
    store.close()
    with serving(settings) as running:
        yield running


@contextmanager
def watched(context: BrowserContext) -> Iterator[Tab]:
    """A tab whose console and connections are looked at when it closes."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    tab = Tab(page, [], [])

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            tab.complaints.append(message.text)

    def see(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:")):
            tab.foreign.append(request.url)

    page.on("console", hear)
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    page.on("request", see)
    try:
        yield tab
    finally:
        page.close()
    assert tab.complaints == []
    assert tab.foreign == []


@pytest.fixture(scope="session")
def session_cookie(gateway: Running) -> str:
    answer = gateway.client.post("/dashboard/api/login", json={"key": ADMIN_KEY})
    return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]


@pytest.fixture
def tab(chromium: Browser, gateway: Running, session_cookie: str) -> Iterator[Callable[..., Tab]]:
    """Makes tabs that are logged in: ``tab(theme, width)``."""
    with ExitStack() as stack:

        def make(theme: str = "light", width: str = "desktop") -> Tab:
            across, down = WIDTHS[width]
            context = stack.enter_context(
                chromium.new_context(
                    viewport={"width": across, "height": down},
                    color_scheme="dark" if theme == "dark" else "light",
                    device_scale_factor=1 if width == "desktop" else 2,
                    reduced_motion="reduce",
                )
            )
            cookie = {"name": COOKIE, "value": session_cookie, "domain": "127.0.0.1", "path": "/dashboard"}
            context.add_cookies([cookie])
            return stack.enter_context(watched(context))

        yield make


@pytest.fixture
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Page, str], None]:
    """Keeps a picture of a whole page under a name."""
    folder: Path = request.config.getoption("--screenshots") or tmp_path
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.evaluate("window.scrollTo(0, 0)")  # or the bar that stays on top is in the middle
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return take
