"""Every route, over real HTTP."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lynkr.routing import Tier
from lynkr.telemetry.record import Ending
from lynkr.testing.faults import script, status
from tests.gateway.house import EASY, HARD
from tests.server.running import House, house, message, read_to_end

MESSAGES, CHAT, COUNT = "/v1/messages", "/v1/chat/completions", "/v1/messages/count_tokens"
DECISION = ("decision-id", "tier", "provider", "model", "score", "reason")


def kind_of(path: str, answer: Any) -> str:
    """The type in the dialect's own error envelope; fails if it is not that."""
    body = answer if isinstance(answer, dict) else answer.json()
    error = body["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    if path.startswith(MESSAGES):
        assert body["type"] == "error"
    else:
        assert set(body) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
    kind = error["type"]
    assert isinstance(kind, str)
    return kind


# --- Answers and their headers ------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "field"), [(MESSAGES, "content"), (CHAT, "choices")])
@pytest.mark.parametrize(("text", "tier"), [(EASY, "SIMPLE"), (HARD, "REASONING")])
def test_an_answer_comes_in_the_clients_dialect_with_the_decision(
    shared: House, path: str, field: str, text: str, tier: str
) -> None:
    answer = shared.client.post(path, json=message(text))
    assert answer.status_code == 200
    assert answer.json()[field]
    headers = {name: answer.headers[f"x-lynkr-{name}"] for name in DECISION}
    assert headers["tier"] == tier
    assert 0.0 <= float(headers["score"]) <= 1.0
    record = shared.record_of(answer)
    assert (record.tier, record.status, record.ending) == (Tier[tier], 200, Ending.OK)
    assert f"{headers['provider']}:{headers['model']}" == str(record.target)
    assert headers["reason"]


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_stream_has_the_decision_too(shared: House, path: str) -> None:
    answer = shared.client.post(path, json=message(EASY, stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    assert all(f"x-lynkr-{name}" in answer.headers for name in DECISION)
    assert shared.record_of(answer).stream


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_an_error_of_the_upstream_has_the_decision_too(shared: House, path: str) -> None:
    shared.fails("failing", script(then=status(400)))
    answer = shared.client.post(path, json=message(EASY, "chat:failing"))
    assert answer.status_code == 400
    assert answer.headers["x-lynkr-provider"] == "chat"
    assert answer.headers["x-lynkr-model"] == "failing"
    assert shared.record_of(answer).ending is Ending.FAILED


def test_a_query_string_changes_nothing(shared: House) -> None:
    assert shared.client.post(f"{MESSAGES}?beta=true", json=message(EASY)).status_code == 200


def test_counting_says_whether_it_is_an_estimate(shared: House) -> None:
    body = message("How many tokens is this?", "messages:claude-x")
    counted = shared.client.post(COUNT, json=body)
    direct = shared.simulator.requests[-1]
    estimated = shared.client.post(COUNT, json={**body, "model": "chat:gpt-x"})
    assert direct.path == COUNT
    assert (counted.status_code, counted.headers["x-lynkr-estimated"]) == (200, "false")
    assert (estimated.status_code, estimated.headers["x-lynkr-estimated"]) == (200, "true")
    assert counted.json()["input_tokens"] > 0
    assert set(estimated.json()) == {"input_tokens"}


def test_counting_writes_no_record(shared: House) -> None:
    before = len(shared.records())
    shared.client.post(COUNT, json=message("count me"))
    assert len(shared.records()) == before


# --- Models and health --------------------------------------------------------------------------------


def test_models_are_listed_in_openais_shape(shared: House) -> None:
    listed = shared.client.get("/v1/models").json()
    assert listed["object"] == "list"
    ids = [entry["id"] for entry in listed["data"]]
    assert {"lynkr-auto", "claude-lynkr-auto", "chat:gpt-4.1-nano"} <= set(ids)
    assert len(set(ids)) == len(ids)
    assert {entry["object"] for entry in listed["data"]} == {"model"}


def test_models_are_listed_in_anthropics_shape_for_its_clients(shared: House) -> None:
    listed = shared.client.get("/v1/models?limit=1000", headers={"anthropic-version": "2023-06-01"}).json()
    assert listed["has_more"] is False
    assert listed["first_id"] == listed["data"][0]["id"]
    assert listed["last_id"] == listed["data"][-1]["id"]
    assert {entry["type"] for entry in listed["data"]} == {"model"}
    assert all(entry["display_name"] and entry["created_at"] for entry in listed["data"])


CLAUDE = {"anthropic-version": "2023-06-01"}


def test_limits_are_those_of_the_models(shared: House) -> None:
    theirs = {e["id"]: e for e in shared.client.get("/v1/models", headers=CLAUDE).json()["data"]}
    opus = theirs["messages:claude-opus-4-5"]
    assert (opus["max_input_tokens"], opus["max_tokens"], opus["lifecycle"]) == (200_000, 64_000, "active")
    ours = {e["id"]: e for e in shared.client.get("/v1/models").json()["data"]}
    assert ours["messages:claude-opus-4-5"]["context_length"] == 200_000
    assert ours["messages:claude-opus-4-5"]["top_provider"] == {"max_completion_tokens": 64_000}
    # The largest of the routed targets: the router sends there what fits nowhere else.
    windows = [e["max_input_tokens"] for name, e in theirs.items() if ":" in name and e["max_input_tokens"]]
    assert theirs["claude-lynkr-auto"]["max_input_tokens"] == max(windows)


def test_pages_of_the_list_put_together_are_the_list(shared: House) -> None:
    def page(**query: str) -> Any:
        return shared.client.get("/v1/models", params={"limit": "2", **query}, headers=CLAUDE).json()

    whole = [e["id"] for e in shared.client.get("/v1/models", headers=CLAUDE).json()["data"]]
    got = page()
    ids = [e["id"] for e in got["data"]]
    while got["has_more"]:
        got = page(after_id=got["last_id"])
        ids += [e["id"] for e in got["data"]]
    assert ids == whole
    before = page(before_id=whole[3])
    assert ([e["id"] for e in before["data"]], before["has_more"]) == (whole[1:3], True)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=many", "after_id=nobody", "before_id=x"])
def test_a_page_that_cannot_be_is_refused_by_its_parameter(shared: House, query: str) -> None:
    answer = shared.client.get(f"/v1/models?{query}", headers=CLAUDE)
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]["message"]


@pytest.mark.parametrize("headers", [{}, CLAUDE], ids=["openai", "anthropic"])
def test_one_model_is_told_as_in_the_list(shared: House, headers: dict[str, str]) -> None:
    for entry in shared.client.get("/v1/models", headers=headers).json()["data"]:
        assert shared.client.get(f"/v1/models/{entry['id']}", headers=headers).json() == entry
    for name in ("nobody:m", "a/b", "chat:gpt-4.1-nano/x"):
        missing = shared.client.get(f"/v1/models/{name}", headers=headers)
        assert missing.status_code == 404
        assert name in missing.json()["error"]["message"]
        kind_of(MESSAGES if headers else CHAT, missing)


@pytest.mark.parametrize("path", ["/", "/api/hello", "/health/live", "/health/ready"])
def test_probes_are_answered(shared: House, path: str) -> None:
    whole, head = shared.client.get(path), shared.client.head(path)
    assert (whole.status_code, head.status_code) == (200, 200)
    assert whole.json()["status"] in ("alive", "ready")
    assert head.content == b""
    assert head.headers["content-type"] == "application/json"


def test_readiness_tells_counts_but_no_words(shared: House) -> None:
    ready = shared.client.get("/health/ready").json()
    assert ready["circuits_open"] == 0
    assert ready["ledger"]["dropped"] == 0
    assert all(isinstance(value, int) for value in ready["ledger"].values())


# --- Bad requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages"),
        ({"model": 3}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"tools": {}}, "tools"),
    ],
)
def test_a_bad_field_is_named_in_the_dialects_envelope(
    shared: House, path: str, change: dict[str, Any], field: str
) -> None:
    answer = shared.client.post(path, json={**message(EASY), **change})
    assert answer.status_code == 400
    assert kind_of(path, answer) == "invalid_request_error"
    assert field in answer.json()["error"]["message"]
    if path == CHAT:
        assert answer.json()["error"]["param"].startswith(field)
    assert shared.record_of(answer).status == 400


@pytest.mark.parametrize("path", [MESSAGES, CHAT, COUNT])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"a":NaN}', b"[" * 100_000, b'{"a":' * 50_000])
def test_a_body_that_is_no_json_object_is_refused(shared: House, path: str, body: bytes) -> None:
    answer = shared.client.post(path, content=body)
    assert answer.status_code == 400
    assert kind_of(path, answer) == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/messages/", "/v1/completions", "/V1/messages", "/v1"])
def test_an_unknown_path_is_404_naming_it(shared: House, path: str) -> None:
    answer = shared.client.post(path, json=message(EASY))
    assert answer.status_code == 404
    kind_of(path, answer)
    assert path in answer.json()["error"]["message"]


def test_an_unknown_path_is_told_in_anthropics_envelope_to_its_clients(shared: House) -> None:
    answer = shared.client.get("/nowhere", headers={"anthropic-version": "2023-06-01"})
    assert kind_of(MESSAGES, answer) == "not_found_error"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", MESSAGES, "POST"),
        ("PUT", CHAT, "POST"),
        ("HEAD", COUNT, "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("OPTIONS", MESSAGES, "POST"),
        ("DELETE", "/health/live", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_405_naming_the_right_ones(
    shared: House, method: str, path: str, allowed: str
) -> None:
    answer = shared.client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        kind_of(path, answer)


def test_a_compressed_body_is_415(shared: House) -> None:
    answer = shared.client.post(MESSAGES, content=b"x", headers={"content-encoding": "zstd"})
    assert answer.status_code == 415
    assert "content-encoding" in answer.json()["error"]["message"]


# --- Keys and pages -----------------------------------------------------------------------------------

KEY = "sk-gateway-1234567890"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("keyed")
    with house(
        folder / "ledger.sqlite3", **{"server.api_key": KEY, "server.max_body_bytes": 4096}
    ) as running:
        yield running


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "wrong"},
        {"x-api-key": KEY[:-1]},
        {"x-api-key": KEY + "x"},
        {"x-api-key": KEY.upper()},
        {"authorization": f"Bearer {KEY[:20]}"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Bearer"},
        {"host": "localhost", "x-forwarded-for": "127.0.0.1"},
    ],
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT, COUNT, "/v1/models"])
def test_without_the_whole_key_nothing_is_read(keyed: House, path: str, headers: dict[str, str]) -> None:
    sent = len(keyed.simulator.requests)
    method = "GET" if path == "/v1/models" else "POST"
    answer = keyed.client.request(method, path, json=message(EASY), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    expected = "authentication_error" if path.startswith(MESSAGES) else "invalid_request_error"
    assert kind_of(path, answer) == expected
    assert KEY not in answer.text
    assert len(keyed.simulator.requests) == sent


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"x-api-key": "sk-ant-stale", "authorization": f"Bearer {KEY}"},
    ],
)
def test_the_whole_key_lets_in_and_goes_no_further(keyed: House, headers: dict[str, str]) -> None:
    assert keyed.client.post(MESSAGES, json=message(EASY), headers=headers).status_code == 200
    seen = keyed.simulator.requests[-1]
    assert KEY not in str(seen.headers)
    assert "sk-ant-stale" not in str(seen.headers)


def test_probes_need_no_key(keyed: House) -> None:
    assert keyed.client.get("/health/live").status_code == 200
    assert keyed.client.get("/health/ready").status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://10.0.0.1:8081", "null", "http://[", "http://"]
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_foreign_web_page_cannot_spend_the_owners_money(shared: House, path: str, origin: str) -> None:
    sent = len(shared.simulator.requests)
    headers = {"origin": origin, "content-type": "text/plain"}
    answer = shared.client.post(path, content=json.dumps(message(EASY)), headers=headers)
    assert answer.status_code == 403
    kind_of(path, answer)
    assert len(shared.simulator.requests) == sent


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:1", "vscode-webview://x", "app://y"]
)
def test_local_pages_and_programs_may_ask(shared: House, origin: str) -> None:
    answer = shared.client.post(MESSAGES, json=message(EASY), headers={"origin": origin})
    assert answer.status_code == 200


def test_with_a_key_the_key_decides(keyed: House) -> None:
    headers = {"origin": "https://app.example", "x-api-key": KEY}
    assert keyed.client.post(MESSAGES, json=message(EASY), headers=headers).status_code == 200


# --- Limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [MESSAGES, CHAT, COUNT])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413_and_the_connection_lives(
    keyed: House, path: str, chunked: bool
) -> None:
    data = json.dumps(message("x" * 200_000)).encode()
    pieces = (data[at : at + 1000] for at in range(0, len(data), 1000))
    headers = {"x-api-key": KEY}
    answer = keyed.client.post(path, content=pieces if chunked else data, headers=headers)
    assert answer.status_code == 413
    assert "4096 bytes" in answer.json()["error"]["message"]
    if path != CHAT:
        assert kind_of(path, answer) == "request_too_large"
    assert keyed.client.post(MESSAGES, json=message(EASY), headers=headers).status_code == 200


def test_a_body_of_exactly_the_limit_is_read(keyed: House) -> None:
    data = json.dumps(message(EASY)).encode()
    padded = data + b" " * (4096 - len(data))
    headers = {"x-api-key": KEY}
    assert keyed.client.post(MESSAGES, content=padded, headers=headers).status_code == 200
    assert keyed.client.post(MESSAGES, content=padded + b" ", headers=headers).status_code == 413


def test_headers_over_the_limit_are_431(serve: Callable[..., House]) -> None:
    running = serve(**{"server.max_header_bytes": 2000})
    fits = running.client.post(MESSAGES, json=message(EASY), headers={"x-pad": "x" * 1500})
    answer = running.client.post(MESSAGES, json=message(EASY), headers={"x-pad": "x" * 2000})
    assert fits.status_code == 200
    assert answer.status_code == 431
    assert "2000 bytes" in kind_and_text(answer)
    assert running.client.post(MESSAGES, json=message(EASY)).status_code == 200


def kind_and_text(answer: Any) -> str:
    kind_of(MESSAGES, answer)
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize("endless", [b"x" * 1000, b"x-a: " + b"y" * 995 + b"\r\n"], ids=["one line", "many"])
def test_a_head_without_end_is_refused_before_it_fills_the_memory(shared: House, endless: bytes) -> None:
    sent = 0
    with shared.connect() as sock:
        sock.sendall(b"POST /v1/messages HTTP/1.1\r\nx: ")
        try:
            while sent < 50_000_000:
                sock.sendall(endless)
                sent += len(endless)
        except OSError:
            pass
        received = read_to_end(sock)
    assert sent < 20_000_000
    assert received == b"" or received.startswith(b"HTTP/1.1 431 ")


def test_a_large_head_in_one_piece_is_refused_in_words(shared: House) -> None:
    with shared.connect() as sock:
        sock.sendall(b"POST /v1/messages HTTP/1.1\r\nx: " + b"y" * 70_000)
        received = read_to_end(sock)
    assert received.startswith(b"HTTP/1.1 431 ")
    body = json.loads(received.rpartition(b"\r\n\r\n")[2])
    assert body["type"] == "error"
    assert "65536 bytes" in body["error"]["message"]
