"""The dashboard over real sockets: its files, its door, and what no answer lacks."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lynkr_server.dashboard import Dashboard
from lynkr_server.dashboard.assets import read_assets
from lynkr_server.dashboard.door import COOKIE, GUESSES
from tests.dashboard.seeded import ADMIN_KEY, settings_of
from tests.server.running import Running, serving

API = ("overview", "usage", "routing", "logs", "recommendations", "sessions")
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(settings_of(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3")) as running:
        yield running


@pytest.fixture
def keyless(tmp_path: Path) -> Iterator[Running]:
    settings = settings_of(tmp_path / "ledger.sqlite3", **{"server.admin_key": None})
    with serving(settings) as running:
        yield running


@pytest.fixture
def browser(open_house: Running) -> Iterator[httpx.Client]:
    """A client that has shown nothing yet, and keeps what cookies it gets."""
    with httpx.Client(base_url=open_house.url, timeout=10) as client:
        yield client


def test_without_a_key_there_is_nothing_but_how_to_get_one(keyless: Running):
    page = keyless.client.get("/dashboard")
    assert page.status_code == 403
    assert "LYNKR_SERVER_ADMIN_KEY" in page.text
    for name in API:
        answer = keyless.client.get(f"/dashboard/api/{name}", headers={"authorization": "Bearer x"})
        assert (answer.status_code, answer.json()["error"]) == (403, "dashboard_off")
        assert "admin_key" in answer.json()["detail"]
    for key in ("", "x" * 40):
        assert keyless.client.post("/dashboard/api/login", json={"key": key}).status_code == 403


def test_every_figure_is_behind_the_door(browser: httpx.Client):
    for name in API:
        answer = browser.get(f"/dashboard/api/{name}")
        assert (answer.status_code, answer.json()["error"]) == (401, "not_admitted"), name
        assert answer.headers["www-authenticate"] == "Bearer"


def test_an_api_key_does_not_open_it(tmp_path: Path):
    api_key = "a-client-key-0123456789"
    with serving(settings_of(tmp_path / "ledger.sqlite3", **{"server.api_key": api_key})) as running:
        shown = {"authorization": f"Bearer {api_key}", "x-api-key": api_key}
        assert running.client.get("/v1/models", headers=shown).status_code == 200
        assert running.client.get("/dashboard/api/overview", headers=shown).status_code == 401
        admin = {"authorization": f"Bearer {ADMIN_KEY}"}
        assert running.client.get("/dashboard/api/overview", headers=admin).status_code == 200
        assert running.client.get("/v1/models", headers=admin).status_code == 401


def test_a_browser_logs_in_once_and_out_again(browser: httpx.Client):
    assert browser.get("/dashboard/api/session").json() == {"admitted": False}
    wrong = browser.post("/dashboard/api/login", json={"key": "not this one, surely"})
    assert wrong.status_code == 401
    assert not browser.cookies
    right = browser.post("/dashboard/api/login", json={"key": ADMIN_KEY})
    assert right.status_code == 200
    cookie = set(right.headers["set-cookie"].split("; "))
    assert cookie >= {"HttpOnly", "SameSite=Strict", "Path=/dashboard"}
    assert ADMIN_KEY not in right.headers["set-cookie"]
    assert browser.get("/dashboard/api/session").json() == {"admitted": True}
    assert browser.get("/dashboard/api/overview").status_code == 200
    token = browser.cookies[COOKIE]
    assert browser.post("/dashboard/api/logout", json={}).status_code == 200
    assert not browser.cookies
    kept = browser.get("/dashboard/api/overview", headers={"cookie": f"{COOKIE}={token}"})
    assert kept.status_code == 401


def test_too_many_wrong_keys_are_told_when_to_come_back(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with serving(settings_of(tmp_path / "ledger.sqlite3")) as running:
        for _ in range(GUESSES):
            wrong = running.client.post("/dashboard/api/login", json={"key": "a-wrong-key"})
            assert wrong.status_code == 401
        assert "127.0.0.1: the key is not this dashboard's" in caplog.messages
        assert "a-wrong-key" not in caplog.text
        late = running.client.post("/dashboard/api/login", json={"key": ADMIN_KEY})
        assert late.status_code == 429
        assert 1 <= int(late.headers["retry-after"]) <= 7


def test_what_host_or_proxy_say_changes_nothing(browser: httpx.Client):
    for name in ("127.0.0.1", "evil.example", "localhost"):
        headers = {"host": name, "x-forwarded-for": "127.0.0.1", "x-forwarded-host": name}
        assert browser.get("/dashboard/api/overview", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/dashboard", "/dashboard/", "/dashboard/assets/app.css", "/dashboard/api/overview", "/dashboard/api/x"],
)
def test_every_answer_keeps_foreign_script_and_frames_out(browser: httpx.Client, path: str):
    answer = browser.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = dict(part.partition(" ")[::2] for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_every_file_is_there_once_and_fresh(open_house: Running):
    for name, asset in read_assets().items():
        first = open_house.client.get(f"/dashboard/assets/{name}")
        assert (first.status_code, first.content) == (200, asset.body), name
        again = open_house.client.get(
            f"/dashboard/assets/{name}", headers={"if-none-match": first.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")
    for name in ("../door.py", "..%2fdoor.py", "js/", "", "nothing.js", "/etc/passwd"):
        assert open_house.client.get(f"/dashboard/assets/{name}").status_code == 404, name


def test_the_files_name_no_foreign_origin_and_no_inline_script():
    for name, asset in read_assets().items():
        text = asset.body.decode()
        if name.startswith("vendor/"):
            continue
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"']+", text) == [], name
        for dangerous in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
        ):
            assert dangerous not in text, (name, dangerous)
        if name.endswith(".html"):
            assert re.findall(r"<script(?![^>]*src=)|<style|style=|\son\w+=", text) == [], name


def test_wrong_paths_methods_and_bodies_are_told(open_house: Running):
    client, admin = open_house.client, {"authorization": f"Bearer {ADMIN_KEY}"}
    assert client.get("/dashboard/nothing").json()["error"] == "not_found"
    assert client.get("/dashboardx").status_code == 404
    assert client.post("/dashboard/api/overview", headers=admin).json()["error"] == "wrong_method"
    assert client.get("/dashboard/api/login").status_code == 405
    for body in (b"", b"[]", b"{}", b'{"key": 5}', b"\xff"):
        assert client.post("/dashboard/api/login", content=body).status_code == 400, body
    assert client.post("/dashboard/api/login", content=b"{" + b" " * 20_000 + b"}").status_code == 413
    assert client.head("/dashboard").status_code == 200


def test_settings_read_again_keep_sessions_unless_the_key_is_another(tmp_path: Path):
    settings = settings_of(tmp_path / "ledger.sqlite3")
    dashboard = Dashboard(settings)
    door = dashboard._door
    assert door is not None
    dashboard.obey(settings_of(tmp_path / "other.sqlite3"))
    assert dashboard._door is door
    dashboard.obey(settings_of(tmp_path / "ledger.sqlite3", **{"server.admin_key": ADMIN_KEY + "!"}))
    assert dashboard._door not in (None, door)
    dashboard.obey(settings_of(tmp_path / "ledger.sqlite3", **{"server.admin_key": None}))
    assert dashboard._door is None
