"""A real model behind a real server: llama.cpp's, with SmolLM2, on this machine's processor."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from lynkr.settings import Settings
from lynkr.telemetry.record import Ending
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.llama import MODEL, LlamaServer, llama_is_installed
from tests.server.running import Running, eventually, message, raw_request, serving

pytestmark = [
    pytest.mark.llama,
    pytest.mark.skipif(not llama_is_installed(), reason="the extra 'demo' is not installed"),
]

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
WINDOW = 1024
EACH_WAY = [
    pytest.param(path, f"{provider}:{MODEL}", id=f"{path.rpartition('/')[2]} from {provider}")
    for path in (MESSAGES, CHAT)
    for provider in ("chat", "messages")
]
LONG = "Write a very long story about a river, with as many chapters as you can."
# llama.cpp's own field, which goes through as any unknown field does: no end before max_tokens.
ENDLESS = {"ignore_eos": True}
STOPS_WITHIN = 1.0  # seconds; llama.cpp looks for its client between two tokens


@pytest.fixture(scope="module")
def llama() -> Iterator[httpx.Client]:
    """The real server, asked directly."""
    with (
        LlamaServer(context_window=WINDOW) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def running(llama: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The gateway in front of it, by its own dialect and by Anthropic's, which it speaks too."""
    url = str(llama.base_url).rstrip("/")
    settings = Settings.load(
        None,
        {},
        overrides={
            "tiers.SIMPLE": [f"chat:{MODEL}"],
            "providers.chat.kind": "llamacpp",
            "providers.chat.base_url": f"{url}/v1",
            "providers.messages.kind": "anthropic-compatible",
            "providers.messages.base_url": url,
            "telemetry.path": str(tmp_path_factory.mktemp("llama") / "ledger.sqlite3"),
            "server.drain_seconds": 1,
        },
    )
    with serving(settings) as found:
        yield found


def tokens_of(llama: httpx.Client, text: str) -> int:
    """The server's own count of a prompt."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    counted = llama.post("/v1/messages/count_tokens", json=body).json()["input_tokens"]
    assert isinstance(counted, int)
    return counted


def is_generating(llama: httpx.Client) -> bool:
    return any(slot["is_processing"] for slot in llama.get("/slots").json())


def events_of(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: {")]


# --- Text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_text_and_its_tokens(running: Running, llama: httpx.Client, path: str, model: str) -> None:
    answer = running.client.post(path, json=message(LONG, model, max_tokens=12))
    assert answer.status_code == 200
    body = answer.json()
    if path == MESSAGES:
        assert body["content"][0]["text"]
        assert body["stop_reason"] == "max_tokens"
        told = body["usage"]["input_tokens"] + body["usage"].get("cache_read_input_tokens", 0)
    else:
        assert body["choices"][0]["message"]["content"]
        assert body["choices"][0]["finish_reason"] == "length"
        told = body["usage"]["prompt_tokens"]
    record = running.record_of(answer)
    assert record.ending is Ending.OK
    # The second request of its prompt finds it in the server's cache, and usage says so: 1 and 46 of 47.
    assert told == tokens_of(llama, LONG) == record.usage.input
    assert record.usage.output == 12


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_a_stream_and_its_tokens(running: Running, llama: httpx.Client, path: str, model: str) -> None:
    options = {"stream_options": {"include_usage": True}} if path == CHAT else {}
    answer = running.client.post(path, json=message(LONG, model, max_tokens=12, stream=True, **options))
    events = events_of(answer.content)
    if path == MESSAGES:
        validate_anthropic_stream(answer.content)
        words = [event["delta"].get("text") for event in events if "delta" in event]
    else:
        assert answer.content.endswith(b"data: [DONE]\n\n")
        words = [choice["delta"].get("content") for event in events for choice in event["choices"]]
    assert sum(map(bool, words)) > 3
    record = running.record_of(answer)
    assert record.ending is Ending.OK
    assert record.usage.input == tokens_of(llama, LONG)
    assert record.usage.output == 12
    assert record.seconds_to_first_event is not None
    assert record.cost.cost_microusd == 0 or not model.startswith("chat")


def test_a_routed_request_is_served(running: Running) -> None:
    answer = running.client.post(CHAT, json=message("hi", max_tokens=4))
    assert answer.headers["x-lynkr-tier"] == "SIMPLE"
    assert answer.json()["choices"][0]["message"]["content"]


def test_tokens_are_counted_by_the_server(running: Running, llama: httpx.Client) -> None:
    counted = running.client.post("/v1/messages/count_tokens", json=message(LONG, f"messages:{MODEL}"))
    assert counted.headers["x-lynkr-estimated"] == "false"
    assert counted.json()["input_tokens"] == tokens_of(llama, LONG)


@pytest.mark.parametrize("provider", ["chat", "messages"])
def test_the_official_sdks_talk_to_it(running: Running, provider: str) -> None:
    model = f"{provider}:{MODEL}"
    messages: Any = [{"role": "user", "content": LONG}]
    with (
        anthropic.Anthropic(base_url=running.url, api_key="any", max_retries=0) as claude,
        claude.messages.stream(model=model, max_tokens=8, messages=messages) as stream,
    ):
        assert stream.get_final_text()
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as gpt:
        whole = gpt.chat.completions.create(model=model, max_completion_tokens=8, messages=messages)
    assert whole.choices[0].message.content
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 8


# --- A prompt that does not fit -----------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_overflow_is_the_clients_error_and_moves_no_breaker(
    running: Running, path: str, model: str, stream: bool
) -> None:
    before = running.gateway.breakers.statuses(0.0)
    answer = running.client.post(path, json=message("hello world " * 2 * WINDOW, model, stream=stream))
    assert answer.status_code == 400
    error = answer.json()["error"]
    if path == MESSAGES:
        assert answer.json()["type"] == "error"
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith("prompt is too long")  # Claude Code compacts on these words
    assert "context size" in error["message"]
    record = running.record_of(answer)
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "UpstreamRefused")
    assert [attempt.outcome.value for attempt in record.attempts] == ["ignored"]
    assert not running.gateway.unavailable()
    failures = {status.name: status.failures for status in before}
    assert all(
        status.failures == failures.get(status.name, 0) for status in running.gateway.breakers.statuses(0.0)
    )


# --- Clients that leave -------------------------------------------------------------------------------


# Streams only: to a client that wants its answer in one piece this server generates on, also when it left
# without a gateway between them (xllamacpp 2026.10).
@pytest.mark.parametrize(("path", "model"), EACH_WAY)
@pytest.mark.parametrize("after_first", [True, False], ids=["mid-stream", "before"])
def test_a_client_that_leaves_stops_the_generation(
    running: Running, llama: httpx.Client, path: str, model: str, after_first: bool
) -> None:
    eventually(lambda: not is_generating(llama))
    before = len(running.records())
    with running.connect() as sock:
        # At some 80 tokens a second this goes on for many seconds.
        sock.sendall(raw_request(path, message(LONG, model, max_tokens=900, stream=True, **ENDLESS)))
        eventually(lambda: is_generating(llama))
        if after_first:
            wait_for(sock, b"data: ")
        assert is_generating(llama)
    eventually(lambda: not is_generating(llama), STOPS_WITHIN)
    record = eventually(lambda: running.records()[before:])[0]
    assert record.ending is Ending.CANCELLED
    assert record.status == 200 if after_first else record.status in (0, 200)
    assert not running.gateway.unavailable()


def wait_for(sock: socket.socket, wanted: bytes) -> None:
    received = b""
    while wanted not in received:
        chunk = sock.recv(65_536)
        assert chunk
        received += chunk


def test_the_next_client_is_served_at_once(running: Running, llama: httpx.Client) -> None:
    def leave() -> None:
        with running.connect() as sock:
            sock.sendall(
                raw_request(CHAT, message(LONG, f"chat:{MODEL}", max_tokens=900, stream=True, **ENDLESS))
            )
            wait_for(sock, b"data: ")

    leave()
    answer = running.client.post(MESSAGES, json=message("hi", f"chat:{MODEL}", max_tokens=4))
    assert running.record_of(answer).seconds < 3 * STOPS_WITHIN
