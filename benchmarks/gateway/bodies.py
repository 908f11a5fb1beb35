"""Realistic bodies: a 2 KB chat, a 60 KB agent request with 20 tools, a 200 KB session of 200 messages.

No two requests of a load are alike, as no two real ones are: `VARIETY` sessions, which differ from
their first ask on, and in the last message of each a `COUNTER` that the load generator replaces by
another number each time.  So the newest message is new to whoever is asked; tools, system prompt and
what came earlier in a session were sent before, as they are by any one client.
"""

import json
from typing import Any, Final

SIZES: Final = ("chat", "agent", "session")
MODEL: Final = "auto"
VARIETY: Final = 32
"""How many sessions one load is made of."""
COUNTER: Final = "@@@@@@@@"

_ASK = (
    "Please refactor the billing module so that invoices are computed lazily. Three services share the "
    "code in src/billing/core.py and each of them imports compute_total. Keep the public API stable, add "
    "tests, and make sure that the migration does not break existing customers, whose data stays readable. "
)
_OUTPUT = "def handler(event):\n    return event  # a line of some file that was read\n"


def _parameters(at: int) -> dict[str, Any]:
    properties = {
        f"option_{n}": {"type": "string", "description": f"What option {n} of tool {at} is for. " * 4}
        for n in range(8)
    }
    return {"type": "object", "properties": properties, "required": ["option_0"]}


def _tools(dialect: str, count: int) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    for at in range(count):
        name, words = f"tool_{at}", "How and when to use this tool, and when not to. " * 20
        if dialect == "messages":
            tools.append({"name": name, "description": words, "input_schema": _parameters(at)})
        else:
            function = {"name": name, "description": words, "parameters": _parameters(at)}
            tools.append({"type": "function", "function": function})
    return tools


def _turn(dialect: str, at: int, result: str) -> list[dict[str, Any]]:
    """A tool call and its result."""
    arguments = {"file_path": f"/repo/src/part_{at}/core.py", "new_string": "x" * 120}
    if dialect == "messages":
        call = {"type": "tool_use", "id": f"toolu_{at}", "name": "tool_1", "input": arguments}
        back = {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": result}
        return [{"role": "assistant", "content": [call]}, {"role": "user", "content": [back]}]
    function = {"name": "tool_1", "arguments": json.dumps(arguments)}
    call = {"id": f"call_{at}", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"call_{at}", "content": result},
    ]


def bodies(size: str, dialect: str, *, stream: bool, count: int = VARIETY) -> list[bytes]:
    """*count* requests of as many sessions: *size* of `SIZES`, *dialect* ``messages`` or ``chat``."""
    return [body(size, dialect, stream=stream, at=at) for at in range(count)]


def body(size: str, dialect: str, *, stream: bool, at: int = 0) -> bytes:
    """The request number *at* of a load."""
    ask = {
        "role": "user",
        "content": f"Ticket {at + 1:04}. {COUNTER if size == 'chat' else ''} " + (_ASK * 8)[:1_788],
    }
    value: dict[str, Any] = {"model": MODEL, "max_tokens": 1024, "messages": [ask]}
    if dialect == "chat":
        value["messages"].insert(0, {"role": "system", "content": "You are a helpful assistant."})
    else:
        value["system"] = "You are a helpful assistant."
    if size != "chat":
        value["tools"] = _tools(dialect, 20)
        turns, target = (5, 60_000) if size == "agent" else (99, 200_000)
        left = target - len(json.dumps(value)) - turns * 500
        result = (_OUTPUT * (left // turns // len(_OUTPUT) + 1))[: max(left // turns, 80)]
        for turn in range(turns):
            last = f"{COUNTER}\n" if turn == turns - 1 else ""
            value["messages"] += _turn(dialect, turn, f"session {at}\n{last}{result}")
    if stream:
        value["stream"] = True
        if dialect == "chat":
            value["stream_options"] = {"include_usage": True}
    return json.dumps(value).encode()
