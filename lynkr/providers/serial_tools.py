"""What tells a model that is known not to call tools in parallel to call one at a time."""

from collections.abc import Mapping
from typing import Final

from lynkr.model import Json, Loss, WireFormat

SAID: Final = Loss(
    "parallel_tool_calls", "set to false: the target's profile says that it calls no tools in parallel"
)
_OPENAI: Final = (WireFormat.OPENAI_CHAT, WireFormat.OPENAI_RESPONSES)


def field_of(format: WireFormat) -> str | None:
    """The top-level field in which *format* says so; None where it cannot."""
    if format in _OPENAI:
        return "parallel_tool_calls"
    return "tool_choice" if format is WireFormat.ANTHROPIC_MESSAGES else None


def serial(format: WireFormat, body: Mapping[str, Json]) -> Mapping[str, Json]:
    """The fields to set in a client's own *body* of *format*; none where no tool may be called.

    openai 3.54 `parallel_tool_calls`; anthropic 2.12 `ToolChoiceAutoParam.disable_parallel_tool_use`, which
    `ToolChoiceNoneParam` has not (read 2026-11).
    """
    if format in _OPENAI:
        return {"parallel_tool_calls": False}
    choice = body.get("tool_choice")
    if choice is None:
        return {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    if not isinstance(choice, Mapping) or choice.get("type") == "none":
        return {}
    return {"tool_choice": {**choice, "disable_parallel_tool_use": True}}
