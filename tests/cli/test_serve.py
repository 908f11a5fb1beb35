"""``lynkr serve`` hands over to the gateway."""

import json
import signal
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from lynkr.settings import process_environment
from lynkr.testing.children import Child, clean_environment
from tests.server.running import eventually


def test_it_serves_and_says_where(tmp_path):
    config = tmp_path / "lynkr.toml"
    config.write_text("[tiers]\nSIMPLE = 'ollama:a'\n", encoding="utf-8")
    environ = clean_environment(process_environment()) | {"HOME": str(tmp_path)}
    with Child("lynkr.cli", ["serve", "--config", str(config), "--port", "0"], environ=environ) as child:
        with urllib.request.urlopen(f"{child.url}/health/live", timeout=20) as answer:
            assert answer.status == 200
        assert (tmp_path / ".local" / "state" / "lynkr" / "ledger.sqlite3").is_file()


def test_sigterm_ends_it_cleanly(tmp_path):
    environ = clean_environment(process_environment()) | {"HOME": str(tmp_path), "TIER_SIMPLE": "ollama:a"}
    with subprocess.Popen(
        [sys.executable, "-m", "lynkr.cli", "serve", "--port", "0"], env=environ, stdout=subprocess.PIPE
    ) as process:
        try:
            assert b"listening on http://127.0.0.1:" in process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def asked(url: str, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return json.load(answer)


def overview(url: str, key: str) -> Any:
    return asked(f"{url}/dashboard/api/overview", authorization=f"Bearer {key}")


def printed(process: subprocess.Popen[str], lines: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(lines)]


@pytest.mark.parametrize("own_key", [None, "a-key-of-the-owners-own"])
def test_the_dashboard_opens_with_the_owners_key_or_one_for_this_run(tmp_path, own_key):
    environ = clean_environment(process_environment()) | {"HOME": str(tmp_path), "TIER_SIMPLE": "ollama:a"}
    if own_key is not None:
        environ["LYNKR_SERVER_ADMIN_KEY"] = own_key
    command = [sys.executable, "-m", "lynkr.cli", "serve", "--port", "0", "--dashboard"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            listening, dashboard, *rest = printed(process, 2 if own_key else 3)
            url = listening.removeprefix("listening on ")
            assert dashboard.startswith(f"dashboard: {url}/dashboard")
            key = own_key or rest[0].removeprefix("dashboard key, for this run only: ")
            assert own_key is None or own_key not in dashboard
            assert overview(url, key)["metrics"]["requestsTotal"] == 0
            process.send_signal(signal.SIGHUP)
            eventually(lambda: asked(f"{url}/health/ready")["configuration"]["reloads"] == 1)
            assert overview(url, key)["metrics"]["requestsTotal"] == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_an_address_others_can_reach_needs_a_key(lynkr):
    ran = lynkr("serve", "--host", "0.0.0.0", "--port", "0")
    assert ran.status == 2
    assert "option --host: server.host is an address others can reach" in ran.err


@pytest.mark.parametrize("wheel", ["uvicorn", "aiohttp"])
def test_a_missing_extra_is_one_line(lynkr, monkeypatch, wheel):
    for name in [name for name in sys.modules if name.split(".")[0] in (wheel, "lynkr_server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "lynkr.providers.aiohttp_transport", raising=False)
    monkeypatch.setitem(sys.modules, wheel, None)
    ran = lynkr("serve")
    assert ran.status == 2
    assert ran.err == f"lynkr: {wheel} is not installed; run: pip install 'lynkr-router[server]'\n"
