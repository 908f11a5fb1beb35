"""What ``lynkr demo`` asks: four difficulties, both dialects, whole and streaming, a tool's round trip."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from lynkr.model import WireFormat

_ANTHROPIC: Final = WireFormat.ANTHROPIC_MESSAGES
_OPENAI: Final = WireFormat.OPENAI_CHAT


@frozen
class Ask:
    """One request as a client of *format* would send it; *title* is what a person would say."""

    title: str
    format: WireFormat
    body: Mapping[str, Any]

    @property
    def dialect(self) -> str:
        name = "Anthropic Messages" if self.format is _ANTHROPIC else "OpenAI Chat"
        return f"{name}, streaming" if self.body.get("stream") else name


def ask(text: str, format: WireFormat, *, stream: bool = False, **fields: Any) -> Ask:  # noqa: ANN401  # reason: JSON
    """A user's one message."""
    return ask_in((_user(text),), format, title=text, stream=stream, **fields)


def ask_in(
    messages: tuple[Mapping[str, Any], ...],
    format: WireFormat,
    *,
    title: str,
    stream: bool = False,
    **fields: Any,  # noqa: ANN401  # reason: JSON
) -> Ask:
    """A conversation."""
    limit = {"max_tokens": 400} if format is _ANTHROPIC else {"max_completion_tokens": 400}
    usage = {"stream_options": {"include_usage": True}} if stream and format is _OPENAI else {}
    body = {"model": "lynkr-auto", **limit, **usage, "stream": stream, **fields, "messages": list(messages)}
    return Ask(title, format, body)


def _user(content: object) -> Mapping[str, Any]:
    return {"role": "user", "content": content}


_WEATHER: Final = {
    "name": "get_weather",
    "description": "The weather in a city, now.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
_FUNCTION: Final = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, now.",
        "parameters": _WEATHER["input_schema"],
    },
}
_RACE: Final = (
    "Our payment service sometimes charges a card twice under load. The handler reads the order, checks "
    "`paid`, calls the gateway and then sets `paid`, in two transactions, behind three replicas. Find the "
    "race, redesign the handler across the order, ledger and webhook modules so that it cannot happen, "
    "and migrate the existing rows without downtime."
)
_PROOF: Final = (
    "Prove that the square root of a prime is irrational, step by step, and then generalise the proof to "
    "every natural number that is not a perfect square, justifying each lemma."
)


def asks() -> tuple[Ask, ...]:
    """The workload, in order."""
    return (
        ask("hi there!", _ANTHROPIC, stream=True),
        ask("What is the capital of France?", _OPENAI),
        ask("thanks, that helps", _OPENAI, stream=True),
        ask("Summarise this paragraph in three bullet points: " + _PARAGRAPH, _ANTHROPIC, stream=True),
        ask("Explain the difference between a mutex and a semaphore.", _OPENAI, stream=True),
        ask("Write a Python function that parses ISO dates and test it with pytest.", _OPENAI, stream=True),
        ask("Use the tool: what is the weather in Lisbon?", _ANTHROPIC, stream=True, tools=[_WEATHER]),
        _tool_answer(),
        ask("Call get_weather for Oslo.", _OPENAI, stream=True, tools=[_FUNCTION]),
        ask(_RACE, _ANTHROPIC, stream=True),
        ask("Refactor the invoice module into three services.", _OPENAI, stream=True),
        ask(_PROOF, _ANTHROPIC, stream=True),
        ask(
            "Think hard: is this consensus protocol safe under partition? " + _PROTOCOL, _OPENAI, stream=True
        ),
    )


def _tool_answer() -> Ask:
    """The second half of a tool's round trip: the client ran the tool and sends what it gave."""
    call = {"type": "tool_use", "id": "toolu_demo", "name": "get_weather", "input": {"city": "Lisbon"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_demo", "content": "19 °C, light rain"}
    messages = (
        _user("Use the tool: what is the weather in Lisbon?"),
        {"role": "assistant", "content": [call]},
        _user([result]),
    )
    title = "(the tool's result: 19 °C, light rain)"
    return ask_in(messages, _ANTHROPIC, title=title, stream=True, tools=[_WEATHER])


_PARAGRAPH: Final = (
    "Photosynthesis turns light into chemical energy. Plants take in carbon dioxide and water, and with "
    "the light that chlorophyll absorbs they make glucose, which they store or burn, and give off oxygen."
)
_PROTOCOL: Final = (
    "Five replicas elect a leader by majority. The leader appends to its log, acknowledges the client once "
    "two followers have the entry, and commits. After a partition heals, the replica with the longest log "
    "becomes leader. Give a counterexample or a proof, and derive the smallest change that makes it safe."
)
