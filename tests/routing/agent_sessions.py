"""Requests as coding agents send them, for the routing tests."""

import json

from lynkr.model import Image, ImageSource, Message, Part, Request, Role, Text, ToolCall, ToolResult, ToolSpec

CLAUDE_CODE_TOOLS = (
    "Agent",
    "Bash",
    "Glob",
    "Grep",
    "Read",
    "Edit",
    "Write",
    "NotebookEdit",
    "WebFetch",
    "WebSearch",
    "TodoWrite",
    "Skill",
    "AskUserQuestion",
    "ExitPlanMode",
)
SCHEMA = {"type": "object", "properties": {"file_path": {"type": "string"}}}
PICTURE = Image(ImageSource.URL, "https://example.com/a.png")


def tools(*names: str) -> tuple[ToolSpec, ...]:
    return tuple(ToolSpec(name, f"what {name} is for", SCHEMA) for name in names)


def asking(*asks: str, offered: tuple[ToolSpec, ...] = (), **fields: object) -> Request:
    """A conversation in which the user said *asks*, each but the last answered."""
    said: list[Message] = []
    for number, ask in enumerate(asks):
        if number:
            said.append(Message.assistant("Done."))
        said.append(Message.user(ask))
    return Request(model="auto", messages=tuple(said), tools=offered, **fields)  # type: ignore[arg-type]  # reason: named as Request's


def looping(
    ask: str,
    steps: int = 3,
    *,
    tool: str = "Read",
    path: str = "/repo/src/core.py",
    output: str = "ok",
    failed: bool = False,
) -> Request:
    """An agent in the middle of a loop: the ask, then *steps* calls with their results."""
    said = [Message.user(ask)]
    for step in range(steps):
        call = ToolCall(f"call_{step}", tool, json.dumps({"file_path": path, "content": "x"}))
        result: tuple[Part, ...] = (ToolResult(f"call_{step}", (Text(output),), failed),)
        said += [Message(Role.ASSISTANT, (call,)), Message(Role.USER, result)]
    return Request(model="auto", messages=tuple(said), tools=tools(*CLAUDE_CODE_TOOLS))
