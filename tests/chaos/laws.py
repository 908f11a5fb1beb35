"""What every answer must be, whatever happened upstream: the laws, by dialect."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NoReturn

from attrs import frozen

from lynkr.testing.anthropic_grammar import GrammarError, validate_anthropic_stream
from lynkr.testing.responses_grammar import ResponsesGrammarError, validate_responses_stream


class Dialect(StrEnum):
    """Whose words the client speaks: the route."""

    MESSAGES = "/v1/messages"
    CHAT = "/v1/chat/completions"
    RESPONSES = "/v1/responses"


@frozen
class Ask:
    """One request of *tenant*: its answer must end with *word*, or call the tool if it *calls*."""

    dialect: Dialect
    model: str
    text: str
    word: str
    stream: bool
    calls: bool
    tenant: str | None = None

    def body(self) -> dict[str, Any]:
        words = f"{self.text} {self.word}"
        shared: dict[str, Any] = {"model": self.model, "stream": self.stream}
        schema = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
        tool = {"name": TOOL, "description": "the weather at a place"}
        if self.dialect is Dialect.RESPONSES:
            shared |= {"input": words, "max_output_tokens": 100, "store": False}
            tools = [{"type": "function", **tool, "parameters": schema}]
        else:
            shared |= {"messages": [{"role": "user", "content": words}], "max_tokens": 100}
            tools = (
                [{**tool, "input_schema": schema}]
                if self.dialect is Dialect.MESSAGES
                else [{"type": "function", "function": {**tool, "parameters": schema}}]
            )
        return shared | ({"tools": tools} if self.calls else {})


TOOL = "get_weather"


class LawBroken(AssertionError):
    """The answer is not what it must be; says which law."""


def judged(ask: Ask, status: int, headers: Mapping[str, str], data: bytes) -> str:
    """What class of answer it is: ``ok``, or the failure it tells of.

    Raises:
        LawBroken: it is neither a whole answer nor an error of its dialect.
    """
    try:
        if status != 200:
            return f"status {status}: {_error_of(json.loads(data))}"
        is_stream = headers["content-type"].startswith("text/event-stream")
        if is_stream is not ask.stream:
            return _wrong_kind(ask, headers["content-type"])
        if is_stream:
            failure, text, calls = _STREAMS[ask.dialect](data)
            if failure is not None:
                return f"error event: {failure}"
        else:
            text, calls = _WHOLES[ask.dialect](json.loads(data))
    except LawBroken:
        raise
    except (GrammarError, ResponsesGrammarError, ValueError, LookupError, TypeError) as error:
        raise LawBroken(f"{type(error).__name__}: {error}; it ended {data[-300:]!r}") from error
    _check_whole(ask, text, calls)
    return "ok"


def _wrong_kind(ask: Ask, kind: str) -> NoReturn:
    raise LawBroken(f"asked for stream={ask.stream}, got {kind}")


def _check_whole(ask: Ask, text: str, calls: list[tuple[str, str]]) -> None:
    """A clean end is the end of the whole answer to this very ask."""
    if ask.calls:
        if [name for name, _ in calls] != [TOOL] or set(json.loads(calls[0][1])) != {"place"}:
            raise LawBroken(f"a clean end of a broken call: {calls!r}")
    elif not text.endswith(ask.word):
        raise LawBroken(f"a clean end of a broken answer: {text[-80:]!r}, not {ask.word!r}")


def _error_of(body: Any) -> str:
    error = body["error"]
    if not error["message"]:
        raise LawBroken("an error without a message")
    return str(error["type"])


_Stream = tuple[str | None, str, list[tuple[str, str]]]


def _events(data: bytes) -> list[Any]:
    lines = data.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def _messages_stream(data: bytes) -> _Stream:
    validate_anthropic_stream(data)
    events = _events(data)
    if events[-1]["type"] == "error":
        return _error_of(events[-1]), "", []
    if events[-1]["type"] != "message_stop":
        raise LawBroken(f"the last event is {events[-1]['type']}")
    names = [
        e["content_block"]["name"] for e in events if e.get("content_block", {}).get("type") == "tool_use"
    ]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    text = "".join(delta.get("text", "") for delta in deltas)
    arguments = "".join(delta.get("partial_json", "") for delta in deltas)
    return None, text, [(name, arguments) for name in names]


def _chat_stream(data: bytes) -> _Stream:
    events = _events(data)
    if not data.endswith(b"\n\n"):
        raise LawBroken(f"it ends within an event: {data[-80:]!r}")
    if events and "error" in events[-1]:
        return _error_of(events[-1]), "", []
    if not data.endswith(b"data: [DONE]\n\n"):
        raise LawBroken(f"it ends neither in [DONE] nor in an error: {data[-200:]!r}")
    choices = [choice for event in events for choice in event["choices"]]
    if not any(choice.get("finish_reason") for choice in choices):
        raise LawBroken("[DONE] without a reason to finish")
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    pieces = [call["function"] for choice in choices for call in choice["delta"].get("tool_calls") or ()]
    names = [piece["name"] for piece in pieces if piece.get("name")]
    return None, text, [(name, "".join(p.get("arguments") or "" for p in pieces)) for name in names]


def _responses_stream(data: bytes) -> _Stream:
    events = _events(data)
    kinds = [event["type"] for event in events]
    if kinds[:1] == ["error"]:  # nothing of an answer had come when the silence had to be filled
        return str(events[0]["code"]), "", []
    validate_responses_stream(data)
    if "error" in kinds:
        return str(events[kinds.index("error")]["code"]), "", []
    return (None, *_responses_whole(events[-1]["response"]))


def _messages_whole(body: Any) -> tuple[str, list[tuple[str, str]]]:
    text = "".join(part["text"] for part in body["content"] if part["type"] == "text")
    calls = [part for part in body["content"] if part["type"] == "tool_use"]
    return text, [(part["name"], json.dumps(part["input"])) for part in calls]


def _chat_whole(body: Any) -> tuple[str, list[tuple[str, str]]]:
    said = body["choices"][0]["message"]
    calls = [call["function"] for call in said.get("tool_calls") or ()]
    return said.get("content") or "", [(call["name"], call["arguments"]) for call in calls]


def _responses_whole(body: Any) -> tuple[str, list[tuple[str, str]]]:
    said = [part["text"] for item in body["output"] if item["type"] == "message" for part in item["content"]]
    calls = [item for item in body["output"] if item["type"] == "function_call"]
    return "".join(said), [(item["name"], item["arguments"]) for item in calls]


_STREAMS = {
    Dialect.MESSAGES: _messages_stream,
    Dialect.CHAT: _chat_stream,
    Dialect.RESPONSES: _responses_stream,
}
_WHOLES = {
    Dialect.MESSAGES: _messages_whole,
    Dialect.CHAT: _chat_whole,
    Dialect.RESPONSES: _responses_whole,
}
