"""What people do with the dashboard, from logging in to changing colours; and what attackers hope for."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.browser_pages import overflow, violations
from tests.browser.conftest import Tab, watched
from tests.dashboard.seeded import ADMIN_KEY, HOSTILE, settings_of
from tests.dashboard.test_live import lose_records
from tests.server.running import Running, house, serving


@pytest.fixture
def stranger(chromium: Browser) -> Iterator[Tab]:
    """A tab of a browser that has never logged in."""
    context = chromium.new_context(reduced_motion="reduce")
    with watched(context) as made:
        yield made
    context.close()


def unhurt(page: Page) -> None:
    """Nothing that was recorded ran, or became an element."""
    assert page.evaluate("window.stolen") is None
    assert page.locator("main img, main script, main [onerror], main [onmouseover]").count() == 0


def test_the_key_opens_it_and_logging_out_closes_it(
    stranger: Tab, gateway: Running, picture: Callable[..., None]
) -> None:
    page = stranger.page
    page.goto(f"{gateway.url}/dashboard")
    expect(page.locator("h1")).to_have_text("Log in")
    picture(page, "login")
    assert violations(page) == []
    page.get_by_label("Key").fill(ADMIN_KEY)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Overview")
    assert "lynkr_admin" not in page.evaluate("document.cookie")
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("h1")).to_have_text("Log in")
    page.reload()
    expect(page.locator("h1")).to_have_text("Log in")


def test_a_wrong_key_is_told(stranger: Tab, gateway: Running) -> None:
    page = stranger.page
    page.goto(f"{gateway.url}/dashboard")
    page.get_by_label("Key").fill("not the key of this dashboard")
    page.get_by_role("button", name="Open the dashboard").click()
    expect(page.get_by_role("alert")).to_have_text("That is not this dashboard's key.")
    stranger.complaints.clear()  # the browser's own line about the 401


def test_without_a_key_the_page_says_how_to_set_one(
    stranger: Tab, tmp_path: Path, picture: Callable[..., None]
) -> None:
    with serving(settings_of(tmp_path / "ledger.sqlite3", **{"server.admin_key": None})) as running:
        stranger.page.goto(f"{running.url}/dashboard")
        expect(stranger.page.locator("h1")).to_have_text("The dashboard is off")
        picture(stranger.page, "off")
        assert violations(stranger.page) == []
    stranger.complaints.clear()  # the browser's own line about the 403


@pytest.mark.parametrize("place", ["overview", "usage", "routing", "requests", "sessions", "insights"])
def test_hostile_records_are_shown_as_the_text_they_are(
    place: str, tab: Callable[..., Tab], gateway: Running
) -> None:
    opened = tab()
    opened.go(gateway.url, f"{place}?window=1d")
    expect(opened.page.locator("main")).to_contain_text("<img src=x onerror=")
    unhurt(opened.page)


def test_a_hostile_request_and_session_open_and_hurt_nobody(
    tab: Callable[..., Tab], gateway: Running, picture: Callable[..., None]
) -> None:
    opened = tab("light", "phone")
    page = opened.page
    opened.go(gateway.url, "requests?window=1d")
    page.locator("tbody a").first.click()
    expect(page.locator("h1")).to_contain_text("Request hostile<b")
    expect(page.locator(".prose").first).to_have_text(HOSTILE)
    unhurt(page)
    assert overflow(page) <= 0
    assert violations(page) == []
    picture(page, "request-hostile-light-phone")
    page.locator(".heading a").click()
    expect(page.locator("h1")).to_have_text(f"Session session{HOSTILE}")
    unhurt(page)
    assert overflow(page) <= 0
    assert violations(page) == []


def test_the_policy_of_the_page_refuses_inline_and_foreign_script(
    tab: Callable[..., Tab], gateway: Running
) -> None:
    opened = tab()
    opened.go(gateway.url, "overview")
    refused = opened.page.evaluate(
        """() => {
            try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.stolen=1'>"); }
            catch (error) { return error.name; }
            return "allowed";
        }"""
    )
    assert refused == "TypeError"
    added = opened.page.evaluate(
        """() => new Promise((done) => {
            const script = document.createElement("script");
            script.onerror = () => done("refused");
            script.onload = () => done("loaded");
            try { script.src = "https://foreign.example/x.js"; document.head.append(script); }
            catch (error) { done(error.name); }
        })"""
    )
    assert added in ("refused", "TypeError")
    assert opened.page.evaluate("window.stolen") is None
    opened.complaints.clear()  # the browser's own lines about what it refused
    opened.foreign.clear()


@pytest.mark.parametrize(
    "look", [("light", "desktop"), ("dark", "desktop"), ("light", "phone"), ("dark", "phone")]
)
def test_a_request_opens_its_trace_and_attempts(
    look: tuple[str, str], tab: Callable[..., Tab], gateway: Running, picture: Callable[..., None]
) -> None:
    opened = tab(*look)
    page = opened.page
    opened.go(gateway.url, "requests?window=30d&tier=COMPLEX&provider=openai")
    page.locator("tbody a").first.click()
    expect(page.locator("h1")).to_contain_text("Request ")
    expect(page.locator(".timeline > li")).to_have_count(2)
    assert page.locator(".steps > li").count() > 3
    page.locator(".steps summary").first.click()
    picture(page, f"request-{'-'.join(look)}")
    assert overflow(page) <= 0
    assert violations(page) == []


@pytest.mark.parametrize("look", [("light", "desktop"), ("dark", "phone")])
def test_a_session_shows_cost_and_context_per_call(
    look: tuple[str, str], tab: Callable[..., Tab], gateway: Running, picture: Callable[..., None]
) -> None:
    opened = tab(*look)
    page = opened.page
    opened.go(gateway.url, "sessions?window=30d&order=cost")
    page.locator("tbody a").first.click()
    expect(page.locator("h1")).to_contain_text("Session ")
    expect(page.locator(".uplot canvas")).to_have_count(2)
    page.get_by_text("The figures as a table").first.click()
    expect(page.locator("details[open] table")).to_be_visible()
    picture(page, f"session-{'-'.join(look)}")
    assert overflow(page) <= 0
    assert violations(page) == []


def test_filters_and_windows_are_in_the_address_and_survive_a_reload(
    tab: Callable[..., Tab], gateway: Running
) -> None:
    opened = tab()
    page = opened.page
    opened.go(gateway.url, "requests?window=30d")
    page.get_by_label("Tier").select_option("REASONING")
    expect(page.locator("tbody .tier").first).to_have_text("REASONING")
    page.get_by_label("Errors only").check()
    expect(page).to_have_url(re.compile("error=true"))
    page.reload()
    page.wait_for_selector("main:not([aria-busy]) h1")
    assert page.get_by_label("Tier").input_value() == "REASONING"
    assert page.get_by_label("Errors only").is_checked()
    page.get_by_role("button", name="1 day").click()
    expect(page).to_have_url(re.compile("window=1d"))


def test_older_requests_are_a_page_away(tab: Callable[..., Tab], gateway: Running) -> None:
    opened = tab()
    page = opened.page
    opened.go(gateway.url, "requests?window=30d")
    first = page.locator("tbody tr").first.inner_text()
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    assert page.locator("tbody tr").first.inner_text() != first
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("tbody tr").first).to_have_text(page.locator("tbody tr").first.text_content() or "")


def test_the_theme_is_chosen_kept_and_given_back_to_the_system(
    tab: Callable[..., Tab], gateway: Running
) -> None:
    opened = tab("light")
    page = opened.page
    opened.go(gateway.url, "usage?window=30d")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.get_by_role("button", name="Theme")
    expect(button).to_have_text("Theme: system")
    button.click()
    button.click()
    expect(button).to_have_text("Theme: dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("main:not([aria-busy]) h1")
    assert page.evaluate(ground) == dark
    button.click()
    expect(button).to_have_text("Theme: system")
    assert page.evaluate(ground) == light


def test_the_keyboard_reaches_everything_and_focus_follows_the_page(
    tab: Callable[..., Tab], gateway: Running
) -> None:
    opened = tab()
    page = opened.page
    opened.go(gateway.url, "overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the figures"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Usage"
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Usage")
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("#status")).to_have_text("Usage loaded")
    expect(page.locator("nav [aria-current=page]")).to_have_text("Usage")


def test_a_plot_tells_its_figures_under_the_pointer(tab: Callable[..., Tab], gateway: Running) -> None:
    opened = tab()
    page = opened.page
    opened.go(gateway.url, "usage?window=30d")
    plot = page.locator(".plot .u-over").first
    plot.scroll_into_view_if_needed()
    plot.hover()
    expect(page.locator(".hover").first).not_to_be_empty()


def test_the_dial_replays_what_was_recorded(tab: Callable[..., Tab], gateway: Running) -> None:
    opened = tab()
    page = opened.page
    opened.go(gateway.url, "policy?window=30d")
    changed = page.locator(".stat", has_text="Decided otherwise").locator(".value")
    expect(changed).to_have_text("0")
    slider = page.get_by_label("Difficulty counts for")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(changed).not_to_have_text("0")
    expect(page.locator(".dial output")).to_have_text("60 %")


def test_the_whole_dial_is_drawn_position_by_position(
    tab: Callable[..., Tab], gateway: Running, picture: Callable[..., None]
) -> None:
    opened = tab()
    page = opened.page
    opened.go(gateway.url, "policy?window=1d")
    page.get_by_role("button", name="Draw the whole dial").click()
    expect(page.locator("figure .uplot canvas")).to_be_visible(timeout=60_000)
    picture(page, "policy-whole-dial")
    assert violations(page) == []


def test_lost_records_are_told_of_above_the_figures(
    stranger: Tab, tmp_path: Path, picture: Callable[..., None]
) -> None:
    ledger, page = tmp_path / "ledger.sqlite3", stranger.page
    with house(ledger, **{"server.admin_key": ADMIN_KEY, "telemetry.queue_size": 1}) as served:
        lose_records(served, ledger)
        page.goto(f"{served.url}/dashboard")
        page.get_by_label("Key").fill(ADMIN_KEY)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Overview")
        expect(page.locator("main")).to_contain_text(re.compile(r"\d+ records? lost since the start"))
        expect(page.locator("main")).to_contain_text("these figures are too low")
        picture(page, "overview-lost-records")
        assert violations(page) == []


def test_a_gateway_that_went_away_is_told(stranger: Tab, tmp_path: Path) -> None:
    page = stranger.page
    with serving(settings_of(tmp_path / "ledger.sqlite3")) as running:
        page.goto(f"{running.url}/dashboard")
        page.get_by_label("Key").fill(ADMIN_KEY)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Overview")
        expect(page.locator("main")).to_contain_text("No request yet")
    page.get_by_role("link", name="Usage").click()
    expect(page.locator("h1")).to_have_text("This page could not be read")
    expect(page.locator("main")).to_contain_text("the gateway does not answer")
    stranger.complaints.clear()  # the browser's own line about the connection
