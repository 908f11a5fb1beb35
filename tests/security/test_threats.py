"""The four patterns of docs/threat-model.md, each held by a regression test of its name."""

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynkr.secret import Secret
from lynkr_server.access import KeyCheck, Unauthorised
from tests.dashboard.seeded import ADMIN_KEY
from tests.server.conftest import serve
from tests.server.running import House, message

__all__ = ["serve"]

ROOT = Path(__file__).resolve().parents[2]
Serve = Callable[..., House]
KEY, TENANTS, METRICS = "client-key-0123456789", "tenant-key-0123456789", "metrics-key-0123456789"
VISIBLE = st.characters(min_codepoint=33, max_codepoint=126)
# Whatever a proxy, or somebody who poses as one, may say of where a request comes from.
CLAIMS = {
    "host": "127.0.0.1",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": "localhost",
    "x-forwarded-proto": "https",
    "x-real-ip": "127.0.0.1",
    "forwarded": "for=127.0.0.1;host=localhost",
    "x-original-url": "/health/live",
    "x-rewrite-url": "/health/live",
    "origin": "http://localhost",
    "x-lynkr-tenant": "acme",
}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


# --- (a) an authorisation that depends on a parsed or shortened string --------------------------------


@given(st.text(VISIBLE, min_size=21, max_size=80), st.text(VISIBLE, min_size=1, max_size=80))
@example("sk-12345678901234567890-mine", "sk-12345678901234567890-other")  # equal in the first 20 signs
def test_pattern_a_keys_that_begin_alike_are_others(key: str, other: str) -> None:
    check = KeyCheck((Secret(key),), {"acme": KeyCheck((Secret(key + "!"),))._digests[0][:1]})  # type: ignore[dict-item]  # reason: the digest alone
    shown = (key[:20], key[:-1], key + other, other + key, f"{key}:{other}", key.swapcase(), other)
    for token in shown:
        if token not in (key, key + "!"):
            with pytest.raises(Unauthorised):
                check.admit(bearer(token))


def test_pattern_a_nothing_a_request_says_of_itself_lets_it_in(serve: Serve) -> None:
    running = serve(**{"server.api_key": KEY, "server.admin_key": ADMIN_KEY, "server.metrics_key": METRICS})
    for path in ("/v1/models", "/v1/messages", "/dashboard/api/overview", "/metrics"):
        for claims in (CLAIMS, *({name: value} for name, value in CLAIMS.items())):
            method = "POST" if path == "/v1/messages" else "GET"
            answer = running.client.request(method, path, headers=claims)
            assert answer.status_code in (401, 403), (path, claims)
    assert not running.simulator.requests


@pytest.mark.parametrize(
    "path",
    ["/health/live/../../v1/models", "//v1/models", "/v1/models/", "/V1/models", "/health/live;/v1/models",
     "/%76%31/models", "/metrics/../v1/models", "/health/live%00/v1/models"],
)  # fmt: skip
def test_pattern_a_no_spelling_of_a_path_opens_it(serve: Serve, path: str) -> None:
    running = serve(**{"server.api_key": KEY})
    answer = running.client.get(path)
    assert answer.status_code in (400, 401, 404)
    assert "data" not in answer.text


# --- (b) an admin surface on the listener that serves inference ---------------------------------------


def test_pattern_b_each_key_opens_its_own_surface(serve: Serve) -> None:
    settings = {"server.api_key": KEY, "server.admin_key": ADMIN_KEY, "server.metrics_key": METRICS}
    tenant = {"tenants.acme.api_key": TENANTS, "tenants.acme.requests_per_minute": 1000}
    running = serve(**settings, **tenant)
    surfaces = {"/v1/models": (KEY, TENANTS), "/metrics": (METRICS,), "/dashboard/api/overview": (ADMIN_KEY,)}
    for path, openers in surfaces.items():
        for key in (KEY, TENANTS, ADMIN_KEY, METRICS):
            for headers in (bearer(key), {"x-api-key": key}):
                status = running.client.get(path, headers=headers).status_code
                may = key in openers and (not path.startswith("/dashboard") or "authorization" in headers)
                assert (status == 200) is may or (may and status == 404), (path, key, status)
                if not may:
                    assert status in (401, 403, 429)


def test_pattern_b_without_an_admin_key_there_is_no_admin_surface(serve: Serve) -> None:
    running = serve(**{"server.api_key": KEY})
    for path in ("/dashboard", "/dashboard/api/overview", "/metrics", "/admin", "/admin/reload", "/config"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = running.client.request(method, path, headers=bearer(KEY))
            assert answer.status_code in (401, 403, 404, 405), (method, path)


def test_pattern_b_cors_is_closed(serve: Serve) -> None:
    running = serve(**{"server.api_key": KEY, "server.admin_key": ADMIN_KEY})
    asking = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    for path in (
        "/v1/messages",
        "/v1/models",
        "/dashboard",
        "/dashboard/api/overview",
        "/health/live",
        "/metrics",
    ):
        for method in ("OPTIONS", "GET", "POST"):
            for key in (KEY, ADMIN_KEY):
                answer = running.client.request(method, path, headers=asking | bearer(key))
                assert not [name for name in answer.headers if name.startswith("access-control-")]


# --- (c) a URL or a command of a client's that reaches a socket or a process --------------------------

ELSEWHERE = "http://127.0.0.2:9/v1"
SEEN: list[tuple[str, Any]] = []
WATCHING = [False]
EVENTS = frozenset({"socket.connect", "subprocess.Popen", "os.system", "os.exec", "socket.getaddrinfo"})


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if WATCHING[0] and event in (
        "socket.connect",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "socket.getaddrinfo",
    ):
        SEEN.append((event, arguments[1] if event == "socket.connect" else arguments[0]))


@contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """What this process, the gateway's threads included, connects to, looks up and starts."""
    if "hooked" not in WATCHING:
        sys.addaudithook(_hook)  # cannot be taken away again, but ignores what is not watched
        WATCHING.append("hooked")  # type: ignore[arg-type]  # reason: a mark
    SEEN.clear()
    WATCHING[0] = True
    try:
        yield SEEN
    finally:
        WATCHING[0] = False


def test_pattern_c_no_url_or_command_of_a_clients_is_followed(serve: Serve) -> None:
    running = serve()
    names = (
        "x-portkey-custom-host",
        "x-lynkr-base-url",
        "x-base-url",
        "x-upstream",
        "x-target-url",
        "base-url",
    )
    headers = dict.fromkeys(names, ELSEWHERE) | {"referer": ELSEWHERE, "location": ELSEWHERE}
    fields = dict.fromkeys(
        ("base_url", "api_base", "api_url", "url", "endpoint", "webhook", "spec_path", "callback"), ELSEWHERE
    )
    picture = {"type": "image", "source": {"type": "url", "url": f"{ELSEWHERE}/a.png"}}
    tool = {"type": "mcp", "server_label": "x", "server_url": ELSEWHERE, "command": "touch /tmp/owned"}
    with watched() as seen:
        for path in ("/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/route"):
            for more in (
                fields,
                {"tools": [tool], "mcp_servers": [{"type": "url", "url": ELSEWHERE, "name": "x"}]},
                {"messages": [{"role": "user", "content": [picture, {"type": "text", "text": "see"}]}]},
                {"model": f"{ELSEWHERE}:m"},
                {"model": "chat:../../admin?x=", "metadata": {"base_url": ELSEWHERE}},
            ):
                body = message("hi") | {"input": "hi"} | more
                running.client.post(path, json=body, headers=headers)
    ports = {running.port, int(running.upstream.url.rpartition(":")[2])}
    connected = [address for event, address in seen if event == "socket.connect"]
    assert connected
    assert {address[1] for address in connected} <= ports
    assert {address[0] for address in connected} == {"127.0.0.1"}
    assert not [event for event, _ in seen if event in ("subprocess.Popen", "os.system", "os.exec")]
    assert {host for event, host in seen if event == "socket.getaddrinfo"} <= {"127.0.0.1", b"127.0.0.1"}
    # What did go out went to the paths of the settings' hosts.
    assert {request.path for request in running.simulator.requests} <= {
        "/v1/messages", "/v1/chat/completions", "/v1/embeddings", "/v1/messages/count_tokens",
    }  # fmt: skip


def test_pattern_c_the_watch_sees_what_it_is_for() -> None:
    with watched() as seen, pytest.raises(httpx.ConnectError):
        httpx.get(ELSEWHERE)
    assert ("socket.connect", ("127.0.0.2", 9)) in seen


# --- (d) the way a release is made --------------------------------------------------------------------

REQUIREMENTS = ROOT / ".ci" / "requirements-release.txt"


def test_pattern_d_what_a_release_is_made_of_is_pinned_by_hash() -> None:
    text = REQUIREMENTS.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 10
    for line in lines:
        assert re.fullmatch(r"[a-z0-9._-]+==\S+(?: ;[^\\]*?)?(?:\s+--hash=sha256:[0-9a-f]{64})+\s*", line), (
            line
        )
        assert "://" not in line
    pinned = {line.partition("==")[0] for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    needed = {re.split(r"[\[<>=;~! ]", name, maxsplit=1)[0].lower() for name in asked} - {"lynkr-router"}
    assert needed <= pinned | {"uvloop"}


def test_pattern_d_nothing_runs_when_it_is_installed_or_python_starts() -> None:
    """The 2026 attack was a `.pth` file in a wheel; ours are made of the two packages and nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["build-system"]["build-backend"] == "hatchling.build"
    build = project["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"] == {"packages": ["lynkr", "lynkr_server"]}
    assert "hooks" not in build
    assert not (ROOT / "setup.py").exists()
    for package in ("lynkr", "lynkr_server"):
        names = [path.name for path in (ROOT / package).rglob("*")]
        assert names
        assert not [
            name for name in names if name.endswith((".pth", ".so", ".pyd")) or "sitecustomize" in name
        ]
