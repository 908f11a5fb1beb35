"""Every page, in both themes and at both widths: complete, quiet, accessible."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Tab
from tests.server.running import Running

PAGES = {
    "overview": "Overview",
    "usage?window=30d": "Usage",
    "routing?window=30d": "Routing",
    "requests": "Requests",
    "sessions": "Sessions",
    "insights": "Insights",
    "policy?dial=70": "Policy",
}
LOOKS = [("light", "desktop"), ("dark", "desktop"), ("light", "phone"), ("dark", "phone")]


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA, and against good practice."""
    options: dict[str, Any] = {
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    }
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for one in found
        for node in one["nodes"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the screen."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("look", LOOKS, ids="-".join)
@pytest.mark.parametrize("place", PAGES)
def test_a_page_is_whole_quiet_and_accessible(
    place: str,
    look: tuple[str, str],
    tab: Callable[..., Tab],
    gateway: Running,
    picture: Callable[..., None],
) -> None:
    opened = tab(*look)
    opened.go(gateway.url, place)
    page = opened.page
    expect(page.locator("h1")).to_have_text(PAGES[place])
    picture(page, f"{place.partition('?')[0]}-{'-'.join(look)}")
    assert page.locator(".notice.bad", has_text="could not be read").count() == 0
    assert "undefined" not in page.locator("main").inner_text()
    assert "NaN" not in page.locator("main").inner_text()
    assert overflow(page) <= 0
    assert violations(page) == []
