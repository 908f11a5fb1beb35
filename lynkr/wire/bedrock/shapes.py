"""The objects of the dialect, and what it shares with Anthropic's.

Fields follow the model of ``bedrock-runtime`` in botocore 1.44 (read 2026-11).
"""

from collections.abc import Mapping
from typing import Final

from lynkr.errors import ClientWireError
from lynkr.model import NO_EXTRAS, Extras, Json, WireFormat
from lynkr.wire.fields import Draft, Losses, Node, Shape, kind_of, shape

FORMAT: Final = WireFormat.BEDROCK_CONVERSE

# Claude's signatures are the same wherever it is served: "Signature values are compatible across platforms
# (Claude APIs, Amazon Bedrock, and Vertex AI)" (Anthropic, "Extended thinking", read 2026-11), and of the
# models on Bedrock only Claude signs its reasoning.  So a client of Anthropic's dialect gets them back.
SIGNED_BY: Final = WireFormat.ANTHROPIC_MESSAGES

# A cache marker is a block of its own here and a field of the block before it at Anthropic's.  The model
# has no name for it, so Anthropic's field is the form in which it travels.
_CACHE_OWNER: Final = WireFormat.ANTHROPIC_MESSAGES
_CACHE_FIELD: Final = "cache_control"
_LIFETIMES: Final = frozenset({"5m", "1h"})


def is_claude(model: str) -> bool:
    """Whether *model*, an id or a profile that tells it, is Anthropic's."""
    return "anthropic." in model or "claude" in model


def as_word(value: Json, path: str, *words: str) -> str:
    """*value*, which must be one of *words*.

    Raises:
        ClientWireError: it is not.
    """
    if isinstance(value, str) and value in words:
        return value
    wanted = ", ".join(map(repr, words))
    told = repr(value) if isinstance(value, str) else kind_of(value)
    raise ClientWireError(f"must be one of {wanted}, not {told}", field=path)


# --- Cache points -------------------------------------------------------------------------------------


def cache_marker(block: Node) -> Extras | None:
    """What a ``cachePoint`` block says of the part before it; None if there is more to it."""
    match block:
        case {"cachePoint": Mapping() as point} if len(block) == 1 and point.get("type") == "default":
            marker: Draft = {**point, "type": "ephemeral"}
            return Extras(_CACHE_OWNER, {_CACHE_FIELD: marker}) if _is_marker(marker) else None
        case _:
            return None


def cache_point(extras: Extras) -> Draft | None:
    """The ``cachePoint`` block that *extras* ask for; None if they do not, or in words unknown here."""
    marker = extras.of(_CACHE_OWNER).get(_CACHE_FIELD)
    if not isinstance(marker, Mapping) or not _is_marker(marker):
        return None
    lifetime = {"ttl": marker["ttl"]} if "ttl" in marker else {}
    return {"cachePoint": {"type": "default", **lifetime}}


def without_marker(extras: Extras) -> Extras:
    rest = {name: value for name, value in extras.fields.items() if name != _CACHE_FIELD}
    return Extras(extras.format, rest) if rest else NO_EXTRAS


def _is_marker(marker: Mapping[str, Json]) -> bool:
    if marker.get("type") != "ephemeral":
        return False
    lifetime = marker.get("ttl")
    return len(marker) == 1 or (len(marker) == 2 and isinstance(lifetime, str) and lifetime in _LIFETIMES)


def restore(node: Shape, draft: Draft, extras: Extras, path: str, losses: Losses) -> list[Draft]:
    """*draft* with its extras, and the cache point they ask for after it."""
    point = cache_point(extras)
    node.restore(draft, extras if point is None else without_marker(extras), path, losses)
    return [draft] if point is None else [draft, point]


# --- Shapes -------------------------------------------------------------------------------------------

TEXT: Final = shape(FORMAT, "text")
TOOL_USE: Final = shape(FORMAT, toolUse=shape(FORMAT, "toolUseId", "name", "input"))
TOOL_RESULT: Final = shape(FORMAT, toolResult=shape(FORMAT, "toolUseId", "content", "status"))
IMAGE: Final = shape(FORMAT, image=shape(FORMAT, "format", source=shape(FORMAT, "bytes")))
REASONING: Final = shape(
    FORMAT, reasoningContent=shape(FORMAT, reasoningText=shape(FORMAT, "text", "signature"))
)
REDACTED: Final = shape(FORMAT, reasoningContent=shape(FORMAT, "redactedContent"))
MESSAGE: Final = shape(FORMAT, "role", "content")
TOOL: Final = shape(FORMAT, toolSpec=shape(FORMAT, "name", "description", inputSchema=shape(FORMAT, "json")))
CHOICE: Final = shape(FORMAT, auto=shape(FORMAT), any=shape(FORMAT), tool=shape(FORMAT, "name"))
OUTPUT_FORMAT: Final = shape(
    FORMAT, "type", structure=shape(FORMAT, jsonSchema=shape(FORMAT, "schema", "name"))
)

_REQUEST: Final[Mapping[str, Shape]] = {
    "inferenceConfig": shape(FORMAT, "maxTokens", "temperature", "topP", "stopSequences"),
    "toolConfig": shape(FORMAT, "tools", "toolChoice"),
    "outputConfig": shape(FORMAT, "effort", "textFormat"),
}
_OF_CLAUDE: Final = shape(FORMAT, "thinking", "top_k")


def request_shape(model: str) -> Shape:
    """A request's fields; of ``additionalModelRequestFields`` only Claude's are understood."""
    return _CLAUDE_REQUEST if is_claude(model) else _PLAIN_REQUEST


_PLAIN_REQUEST: Final = shape(FORMAT, "modelId", "messages", "system", "stream", **_REQUEST)
_CLAUDE_REQUEST: Final = shape(
    FORMAT,
    *_PLAIN_REQUEST.known,
    **_REQUEST,
    additionalModelRequestFields=_OF_CLAUDE,
)

USAGE: Final = shape(
    FORMAT,
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheDetails",
)
ANSWER: Final = shape(FORMAT, "stopReason", output=shape(FORMAT, message=MESSAGE), usage=USAGE)
