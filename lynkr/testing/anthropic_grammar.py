"""A validator of Anthropic event streams that shares no code with the codec it checks.

::

    stream  = ping* message_start (block | message_delta)* message_delta message_stop
            | any prefix of that, then error
    block   = content_block_start content_block_delta* content_block_stop

Blocks are numbered 0, 1, 2, ... and do not overlap; each holds only its own
kinds of delta; a tool's partial JSON adds up to an object or to nothing; the
one `message_delta` with a stop reason comes after the last block and right
before `message_stop`; a `ping` may stand anywhere ("Streaming messages",
Anthropic's documentation, and the event types of the anthropic SDK 2.12, read
2026-11).  Stricter than a client needs to be: unknown events are refused too.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn, cast

__all__ = ["GrammarError", "validate_anthropic_stream"]

_JSON_INPUT: Final = frozenset({"input_json_delta"})
_DELTAS_OF: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text_delta", "citations_delta"}),
    "thinking": frozenset({"thinking_delta", "signature_delta"}),
    "redacted_thinking": frozenset(),
    "tool_use": _JSON_INPUT,
    "server_tool_use": _JSON_INPUT,
    "mcp_tool_use": _JSON_INPUT,
    "compaction": frozenset({"compaction_delta"}),
}
_FIELD_OF: Final[Mapping[str, str]] = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_STRINGS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name"),
}
_STOP_REASONS: Final = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "compaction",
        "refusal",
        "model_context_window_exceeded",
    }
)


class GrammarError(AssertionError):
    """The stream is not one Anthropic could have sent; says which event, by number and name, and why."""


def validate_anthropic_stream(data: bytes) -> None:
    """Check a whole stream.

    Raises:
        GrammarError: at the first thing that is wrong.
    """
    machine = _Machine()
    for number, (name, body) in enumerate(_frames(data)):
        machine.take(f"event {number} ({name})", name, body)
    machine.end()


def _frames(data: bytes) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise GrammarError(f"not UTF-8 at byte {error.start}") from error
    text = text.replace("\r\n", "\n")
    if not text.endswith("\n\n"):
        raise GrammarError("the stream ends inside an event: no blank line at its end")
    for number, frame in enumerate(text.removesuffix("\n\n").split("\n\n")):
        lines = [line for line in frame.split("\n") if not line.startswith(":")]
        if not lines:
            continue
        where = f"event {number}"
        if len(lines) != 2 or not lines[0].startswith("event: ") or not lines[1].startswith("data: "):
            raise GrammarError(f"{where}: must be a line 'event: ' and a line 'data: ', not {frame[:200]!r}")
        name = lines[0].removeprefix("event: ")
        try:
            body: object = json.loads(lines[1].removeprefix("data: "))
        except ValueError as error:
            raise GrammarError(f"{where} ({name}): its data is not JSON: {error}") from error
        event = cast("dict[str, object]", body) if isinstance(body, dict) else {}
        if event.get("type") != name:
            raise GrammarError(f"{where} ({name}): its data is not an object of type {name!r}")
        yield name, event


class _Machine:
    def __init__(self) -> None:
        self._where = "the stream"
        self._expected: str | None = "message_start"  # None: between or inside blocks
        self._kind: str | None = None  # of the open block
        self._blocks = 0
        self._stopped = False
        self._is_over = False
        self._partial_json: list[str] = []
        self._initial_input: object = None
        self._is_signed = False

    def take(self, where: str, name: str, body: dict[str, object]) -> None:
        self._where = where
        if self._is_over:
            self._refuse("comes after the end of the stream")
        if name == "ping":
            return
        if name == "error":
            self._check_error(body)
            self._is_over = True
            return
        if (name == "message_start") is not (self._expected == "message_start"):
            self._refuse("message_start must be the first event and the only one of its name")
        match name:
            case "message_start":
                self._message_start(self._object(body, "message"))
            case "content_block_start":
                self._block_start(body)
            case "content_block_delta":
                self._block_delta(body)
            case "content_block_stop":
                self._block_stop(body)
            case "message_delta":
                self._message_delta(body)
            case "message_stop":
                self._message_stop()
            case _:
                self._refuse("no such event")

    def end(self) -> None:
        if not self._is_over:
            raise GrammarError("the stream ends without message_stop or error")

    def _refuse(self, why: str) -> NoReturn:
        raise GrammarError(f"{self._where}: {why}")

    # --- Events ---------------------------------------------------------------------------------------

    def _message_start(self, message: Mapping[str, object]) -> None:
        self._expected = None
        for name in ("id", "model"):
            self._string(message, name)
        if message.get("type") != "message" or message.get("role") != "assistant":
            self._refuse("the message must be of type 'message' and role 'assistant'")
        if message.get("content") != []:
            self._refuse("the message's content must be empty; blocks follow as events")
        if message.get("stop_reason", 0) is not None or message.get("stop_sequence", 0) is not None:
            self._refuse("stop_reason and stop_sequence must be null at the start")
        usage = self._object(message, "usage")
        for name in ("input_tokens", "output_tokens"):
            self._count(usage, name)

    def _block_start(self, body: Mapping[str, object]) -> None:
        if self._stopped:
            self._refuse("a block begins after the message_delta that tells the stop reason")
        if self._kind is not None:
            self._refuse(f"block {self._blocks - 1} is still open")
        self._index(body, self._blocks)
        block = self._object(body, "content_block")
        kind = self._string(block, "type")
        for name in _STRINGS_OF.get(kind, ()):
            self._string(block, name)
        if kind == "tool_use" and not isinstance(block.get("input"), dict):
            self._refuse("a tool_use block begins with an object as its input")
        self._kind, self._partial_json, self._is_signed = kind, [], False
        self._blocks += 1

    def _block_delta(self, body: Mapping[str, object]) -> None:
        if self._kind is None:
            self._refuse("a delta outside a block")
        self._index(body, self._blocks - 1)
        delta = self._object(body, "delta")
        kind = self._string(delta, "type")
        allowed = _DELTAS_OF.get(self._kind)
        if allowed is not None and kind not in allowed and (kind in _FIELD_OF or not allowed):
            self._refuse(f"a {kind} inside a block of type {self._kind}")
        if kind in _FIELD_OF:
            text = self._string(delta, _FIELD_OF[kind])
            if kind == "input_json_delta":
                self._partial_json.append(text)
        elif kind == "citations_delta":
            self._object(delta, "citation")
        if self._is_signed and kind in ("thinking_delta", "signature_delta"):
            self._refuse("the signature must be the last delta of its block")
        self._is_signed = kind == "signature_delta"

    def _block_stop(self, body: Mapping[str, object]) -> None:
        if self._kind is None:
            self._refuse("no block is open")
        self._index(body, self._blocks - 1)
        text = "".join(self._partial_json)
        if text:
            try:
                value = json.loads(text)
            except ValueError:
                self._refuse(f"the block's partial JSON does not add up: {text[:200]!r}")
            if not isinstance(value, dict):
                self._refuse(f"the block's input is not an object: {text[:200]!r}")
        self._kind = None

    def _message_delta(self, body: Mapping[str, object]) -> None:
        if self._kind is not None:
            self._refuse(f"block {self._blocks - 1} is still open")
        delta = self._object(body, "delta")
        self._count(self._object(body, "usage"), "output_tokens")
        if self._stopped:
            self._refuse("the stop reason has been told already")
        reason = delta.get("stop_reason")
        if reason is not None and reason not in _STOP_REASONS:
            self._refuse(f"no such stop reason: {reason!r}")
        self._stopped = reason is not None

    def _message_stop(self) -> None:
        if not self._stopped:
            self._refuse("no message_delta has told the stop reason")
        self._is_over = True

    def _check_error(self, body: Mapping[str, object]) -> None:
        error = self._object(body, "error")
        self._string(error, "type")
        self._string(error, "message")

    # --- Fields ---------------------------------------------------------------------------------------

    def _object(self, node: Mapping[str, object], name: str) -> Mapping[str, object]:
        value = node.get(name)
        if not isinstance(value, dict):
            self._refuse(f"{name} must be an object")
        return cast("Mapping[str, object]", value)

    def _string(self, node: Mapping[str, object], name: str) -> str:
        value = node.get(name)
        if not isinstance(value, str):
            self._refuse(f"{name} must be a string")
        return value

    def _count(self, node: Mapping[str, object], name: str) -> None:
        value = node.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._refuse(f"usage.{name} must be a whole number")

    def _index(self, body: Mapping[str, object], expected: int) -> None:
        index = body.get("index")
        if index != expected or isinstance(index, bool):
            self._refuse(f"index must be {expected}, not {index!r}")
