"""Any request to any route gets a well-formed answer of a known type, never a 500 and never silence."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr.settings import Settings
from lynkr_server.app import App, create_app
from lynkr_server.dashboard import Dashboard
from tests.dashboard.seeded import ADMIN_KEY

KEY = ADMIN_KEY
# Nothing listens there: what is sent on fails at once, as a provider that is down does.
NOWHERE = {
    "providers.chat.kind": "openai",
    "providers.chat.base_url": "http://127.0.0.1:9/v1",
    "providers.chat.api_key": "k",
    "tiers.SIMPLE": ["chat:m"],
    "server.admin_key": KEY,
    "resilience.max_attempts": 1,
    "telemetry.path": ":memory:",
}
KNOWN_TYPES = ("application/json", "text/", "image/", "font/", "application/javascript")
FIELDS = st.sampled_from(
    ["model", "messages", "input", "role", "content", "type", "text", "tools", "stream", "max_tokens",
     "request_id", "verdict", "note", "system"]
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
bodies = st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode())
header_values = st.binary(max_size=30).filter(lambda value: not set(value) & {0, 10, 13})
headers = st.lists(
    st.tuples(
        st.sampled_from(
            [
                b"content-type",
                b"content-encoding",
                b"anthropic-version",
                b"anthropic-beta",
                b"origin",
                b"host",
                b"cookie",
                b"x-forwarded-for",
                b"x-lynkr-hops",
                b"x-claude-code-session-id",
                b"accept",
                b"authorization",
                b"x-api-key",
                b"content-length",
                b"range",
                b"x-anything",
            ]
        ),
        header_values | st.just(f"Bearer {KEY}".encode()),
    ),
    max_size=5,
)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"])


def routes() -> list[str]:
    loaded = Settings.load(None, {}, overrides=NOWHERE)
    return sorted({*create_app(loaded)._routes, *Dashboard(loaded).routes})


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[asyncio.Runner, App]]:
    app = create_app(Settings.load(None, {}, overrides=NOWHERE))
    with asyncio.Runner() as runner:
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def begin() -> "asyncio.Task[None]":
            task = asyncio.ensure_future(app({"type": "lifespan"}, told.get, said.put))
            await told.put({"type": "lifespan.startup"})
            assert (await said.get())["type"] == "lifespan.startup.complete"
            return task

        async def end(task: "asyncio.Task[None]") -> None:
            await told.put({"type": "lifespan.shutdown"})
            await asyncio.wait_for(task, 10)

        task = runner.run(begin())
        yield runner, app
        runner.run(end(task))


async def answered(app: App, scope: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async with asyncio.timeout(20):
        await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("path", routes())
@settings(max_examples=25)
@given(
    method=methods, tail=st.just("") | st.text(max_size=12), query=st.binary(max_size=30), more=headers,
    body=bodies, opened=st.booleans(),
)  # fmt: skip
def test_any_request_is_answered_in_good_form(
    *, running: tuple[asyncio.Runner, App], path: str, method: str, tail: str, query: bytes,
    more: list[tuple[bytes, bytes]], body: bytes, opened: bool,
) -> None:  # fmt: skip
    runner, app = running
    key = [(b"authorization", f"Bearer {KEY}".encode())] if opened else []
    scope = {
        "type": "http", "method": method, "path": path + tail, "raw_path": path.encode(),
        "query_string": query, "headers": [(b"host", b"127.0.0.1"), *key, *more],
        "client": ("127.0.0.1", 5), "http_version": "1.1",
        "scheme": "http", "server": ("127.0.0.1", 80), "asgi": {"version": "3.0"}, "root_path": "",
    }  # fmt: skip
    start, *rest = runner.run(answered(app, scope, body))
    assert start["type"] == "http.response.start"
    assert rest, "an answer has an end"
    assert not rest[-1].get("more_body", False)
    assert 200 <= start["status"] < 600
    assert start["status"] != 500, rest
    given_headers = {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in start["headers"]}
    data = b"".join(message.get("body", b"") for message in rest)
    if data:
        kind = given_headers[b"content-type"]
        assert kind.startswith(KNOWN_TYPES), kind
        if kind.startswith("application/json"):
            json.loads(data)
