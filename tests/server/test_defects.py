"""What nobody expects: it ends in an answer, a record and a log line, never in silence."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import evolve

from lynkr.model import Event
from lynkr.routing import Decision, Features, PipelineRouter, Snapshot
from lynkr.telemetry.record import Ending
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.faults import Answer, Send, script, status
from lynkr.wire.anthropic.encoder import AnthropicEventEncoder
from lynkr.wire.openai_chat.stream_encoder import ChatEventEncoder
from tests.server.running import House, message

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"


class Defect(Exception):
    """A bug of ours."""


def raise_defect(*_: object, **__: object) -> Any:
    raise Defect("secret particulars")


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize("stream", [False, True])
def test_a_defect_while_deciding(
    shared: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str, stream: bool
) -> None:
    before = len(shared.records())
    monkeypatch.setattr(PipelineRouter, "decide", raise_defect)
    answer = shared.client.post(path, json=message("hi", stream=stream))
    assert answer.status_code == 500
    assert answer.json()["error"]["message"]
    assert "secret" not in answer.text
    (record,) = shared.records()[before:]
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 500, "Defect")
    assert "secret particulars" in caplog.text


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_defect_while_waiting_for_the_answer(
    shared: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    monkeypatch.setattr(shared.gateway, "_dispatch", raise_defect)
    monkeypatch.setattr(shared.gateway, "_service", raise_defect)
    answer = shared.client.post(path, json=message("hi"))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    record = shared.record_of(answer)
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 500, "Defect")
    assert record.id in caplog.text


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_defect_in_mid_stream_is_the_dialects_error_event_and_a_failure(
    shared: House, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    encoder = AnthropicEventEncoder if path == MESSAGES else ChatEventEncoder
    encode = encoder.encode
    seen: list[bytes] = []

    def break_later(self: Any, event: Event) -> bytes:
        if len(seen) == 4:
            raise_defect()
        seen.append(encode(self, event))
        return seen[-1]

    monkeypatch.setattr(encoder, "encode", break_later)
    other = "chat:m" if path == MESSAGES else "messages:m"
    answer = shared.client.post(path, json=message("tell me", other, stream=True))
    assert answer.status_code == 200
    assert answer.content.startswith(b"".join(seen))
    last = json.loads(answer.content.rstrip().rpartition(b"data: ")[2])
    assert "secret" not in str(last["error"])
    if path == MESSAGES:
        validate_anthropic_stream(answer.content)
    record = shared.record_of(answer)
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 200, "Defect")
    shared.upstream.wait_until(lambda simulator: simulator.active == 0)


def test_a_defect_while_counting_writes_no_record(shared: House, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(shared.records())
    monkeypatch.setattr(PipelineRouter, "decide", raise_defect)
    answer = shared.client.post("/v1/messages/count_tokens", json=message("hi"))
    assert answer.status_code == 500
    assert answer.json()["type"] == "error"
    assert len(shared.records()) == before


# --- What a provider says that is not for clients ------------------------------------------------------


def says(code: int, body: bytes, headers: Mapping[str, str]) -> Callable[[Answer], Answer]:
    """A provider that answers with these very bytes."""

    def fault(answer: Answer) -> Answer:
        length = {"content-length": str(len(body)), **headers}
        return evolve(status(code)(answer), headers=length, moves=(Send(body),))

    return fault


@pytest.mark.parametrize(("path", "model"), [(MESSAGES, "messages"), (CHAT, "chat")])
@pytest.mark.parametrize("code", [401, 403])
def test_what_is_said_of_the_operators_key_stays_with_the_operator(
    shared: House, path: str, model: str, code: int
) -> None:
    words = {"type": "x", "message": "Incorrect API key provided: sk-op***tail", "code": "y"}
    body = json.dumps({"type": "error", "error": words}).encode()
    shared.fails("refusing", script(then=says(code, body, {"content-type": "application/json"})))
    answer = shared.client.post(path, json=message("hi", f"{model}:refusing"))
    assert answer.status_code == 502
    assert "sk-op" not in answer.text
    assert "credentials" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("path", "model"), [(MESSAGES, "messages"), (CHAT, "chat")])
def test_a_proxys_html_becomes_the_dialects_envelope(shared: House, path: str, model: str) -> None:
    html = b"<html><title>418 I'm a teapot</title></html>"
    shared.fails("proxied", script(then=says(418, html, {"content-type": "text/html"})))
    answer = shared.client.post(path, json=message("hi", f"{model}:proxied"))
    assert answer.status_code == 418
    assert answer.json()["error"]["message"]


def test_a_providers_own_words_arrive_as_they_were_written(shared: House) -> None:
    said = b'{"type":"invalid_request_error", "message":"prompt is too long: 9 tokens > 8 maximum"}'
    words = b'{ "error" : %b,\n "type":"error" }' % said
    shared.fails("wordy", script(then=says(400, words, {"content-type": "application/json"})))
    answer = shared.client.post(MESSAGES, json=message("hi", "messages:wordy"))
    assert (answer.status_code, answer.content) == (400, words)


def test_the_router_is_asked_once_a_request(shared: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Features] = []
    decide = PipelineRouter.decide

    def counted(self: PipelineRouter, features: Features, snapshot: Snapshot) -> Decision:
        asked.append(features)
        return decide(self, features, snapshot)

    monkeypatch.setattr(PipelineRouter, "decide", counted)
    for stream in (False, True):
        shared.client.post(CHAT, json=message("hi", stream=stream))
    assert len(asked) == 2
