"""What the upstream says to a real client: one step per turn of the agent's loop.

A step is chosen by the number of assistant messages in the request's history,
so a client that retries, or asks something on the side, hears the same again.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from lynkr.testing.answers import Asked, Composer, Turn


@frozen
class Call:
    """A tool call the model makes."""

    tool: str
    arguments: Mapping[str, Any]


@frozen
class Step:
    """What the model says at one turn: words, tool calls, or both."""

    text: str = ""
    calls: tuple[Call, ...] = field(default=(), converter=tuple)


def say(text: str) -> Step:
    return Step(text)


def call(tool: str, **arguments: Any) -> Call:
    return Call(tool, arguments)


def use(*calls: Call, text: str = "") -> Step:
    return Step(text, calls)


def composer(steps: Sequence[Step]) -> Composer:
    """Follows *steps*, the last of them for ever; a request without a step's tool gets words alone."""

    def compose(asked: Asked) -> Turn:
        step = steps[min(asked.turns, len(steps) - 1)]
        calls = tuple(each for each in step.calls if each.tool in asked.tools)
        return Turn(
            text=step.text or ("" if calls else "nothing to say"),
            calls=tuple(
                (f"{asked.digest[:12]}{number}", each.tool, json.dumps(each.arguments, ensure_ascii=False))
                for number, each in enumerate(calls)
            ),
            thinking="",
            input_tokens=asked.total_tokens,
            cached_tokens=0,
            written_tokens=0,
            is_truncated=False,
        )

    return compose
