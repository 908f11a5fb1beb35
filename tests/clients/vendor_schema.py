"""Whether a request is one of the vendor's own, by the types of its official SDK.

The SDK's types are `TypedDict`s.  pydantic makes a JSON schema of them that
also refuses the fields they do not have.
"""

from functools import cache
from typing import Any, Optional

import anthropic.types.message_create_params as messages
import openai.types.chat.completion_create_params as chat
from jsonschema import Draft202012Validator
from pydantic import ConfigDict, TypeAdapter

# By kind and by whether a stream is asked for.
_TYPES: dict[tuple[str, bool], Any] = {
    ("chat", False): chat.CompletionCreateParamsNonStreaming,
    ("chat", True): chat.CompletionCreateParamsStreaming,
    ("messages", False): messages.MessageCreateParamsNonStreaming,
    ("messages", True): messages.MessageCreateParamsStreaming,
}


# What models up to Opus 4.6 may be told still, and anthropic 2.12 types no more (`CLAUDE_SETTLED` says more).
_SAMPLING = {"temperature": {"type": "number"}, "top_p": {"type": "number"}, "top_k": {"type": "integer"}}


@cache
def _validator(kind: str, *, streams: bool) -> Draft202012Validator:
    # As a union, for pydantic gives a configuration on to the members of one only.
    optional = Optional[_TYPES[kind, streams]]  # noqa: UP045 - `|` wants a type, and this is a value
    adapter: TypeAdapter[Any] = TypeAdapter(optional, config=ConfigDict(extra="forbid"))
    schema = adapter.json_schema()
    (request,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    if kind == "messages":
        definition = (
            request if "properties" in request else schema["$defs"][request["$ref"].rpartition("/")[2]]
        )
        definition["properties"] |= _SAMPLING
    return Draft202012Validator({**request, "$defs": schema["$defs"]})


def problems_of(kind: str, body: Any) -> list[str]:
    """What of *body* is no request to *kind*'s API; empty when it is one."""
    return [
        f"{error.json_path}: {leaf.json_path}: {leaf.message[:500]}"
        for error in _validator(kind, streams=bool(body.get("stream"))).iter_errors(body)
        for leaf in _leaves(error)
    ]


def _leaves(error: Any) -> list[Any]:
    """The innermost errors below *error*, of the branches of a union those that got furthest."""
    if not error.context:
        return [error]
    deepest = max(len(inner.absolute_path) for inner in error.context)
    return [leaf for inner in error.context if len(inner.absolute_path) == deepest for leaf in _leaves(inner)]
