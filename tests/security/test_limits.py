"""Bounds on what a client sends, and files that are nobody else's."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lynkr.layers.sqlite_breakers import SqliteBreakers
from lynkr.layers.sqlite_pins import SqlitePins
from lynkr.telemetry import SQLiteStore
from tests.server.conftest import serve
from tests.server.running import House, message

__all__ = ["serve"]

Serve = Callable[..., House]
TOOL = {"name": "t", "description": "d", "input_schema": {"type": "object"}}
FUNCTION = {"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}
FLAT = {"type": "function", "name": "t", "parameters": {"type": "object"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.server.running import house  # reason: one house for this module alone

    bounds = {"server.max_messages": 5, "server.max_tools": 3, "server.max_json_depth": 20}
    more = {"server.max_body_bytes": 20_000, "server.max_header_bytes": 4_000}
    with house(tmp_path_factory.mktemp("ledger") / "l.sqlite3", **bounds, **more) as made:
        yield made


@pytest.mark.parametrize(
    ("path", "field", "item", "most", "setting"),
    [
        ("/v1/messages", "messages", {"role": "user", "content": "x"}, 5, "max_messages"),
        ("/v1/chat/completions", "messages", {"role": "user", "content": "x"}, 5, "max_messages"),
        ("/v1/responses", "input", {"role": "user", "content": "x"}, 5, "max_messages"),
        ("/v1/messages", "tools", TOOL, 3, "max_tools"),
        ("/v1/chat/completions", "tools", FUNCTION, 3, "max_tools"),
        ("/v1/responses", "tools", FLAT, 3, "max_tools"),
        ("/v1/messages/count_tokens", "messages", {"role": "user", "content": "x"}, 5, "max_messages"),
    ],
)
def test_as_many_as_allowed_pass_and_one_more_does_not(  # noqa: PLR0917  # reason: a table
    running: House, path: str, field: str, item: Any, most: int, setting: str
) -> None:
    whole = {"input": "hi"} if path == "/v1/responses" else {}
    body = (message("hi") if not whole else {"model": "lynkr-auto"}) | whole
    assert running.client.post(path, json=body | {field: [item] * most}).status_code == 200
    refused = running.client.post(path, json=body | {field: [item] * (most + 1)})
    assert refused.status_code == 413
    said = refused.json()
    assert said["error"]["message"].startswith(f"{field}: holds {most + 1} items")
    assert f"(server.{setting})" in said["error"]["message"]
    assert (said.get("type") == "error") is path.startswith("/v1/messages")


def test_depth_size_and_headers_are_bound(running: House) -> None:
    deep = json.dumps(message("hi")).removesuffix("}") + ', "x": ' + "[" * 30 + "]" * 30 + "}"
    answer = running.client.post("/v1/messages", content=deep)
    assert answer.status_code == 400
    assert "nested more than 20 levels deep" in answer.text
    assert running.client.post("/v1/messages", json=message("x" * 20_000)).status_code == 413
    assert running.client.get("/v1/models", headers={"x-a": "b" * 5_000}).status_code in (400, 431)


def test_databases_are_nobody_elses(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "ledger.sqlite3")
    pins, breakers = SqlitePins(tmp_path / "pins.sqlite3"), SqliteBreakers(tmp_path / "breakers.sqlite3")
    breakers.breaker("a:b").try_acquire(1.0)
    try:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        for opened in (store, pins, breakers):
            opened.close()
    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}, modes
