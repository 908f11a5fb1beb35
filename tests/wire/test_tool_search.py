"""Tools that Claude Code looks up before it calls them: every MCP tool since its release 2.1."""

import json
from typing import Any

import pytest

from lynkr.errors import ClientWireError
from lynkr.model import Text, ToolResult, ToolSpec, WireFormat
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump, parse_body
from tests.laws.test_codec_laws import CODECS

ANTHROPIC = AnthropicCodec()
OTHERS = [codec for codec in CODECS.values() if codec.format is not WireFormat.ANTHROPIC_MESSAGES]
TOOL = "mcp__files__read_file"
SEARCH = {"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {"query": f"select:{TOOL}"}}
REFERENCE: dict[str, Any] = {"type": "tool_reference", "tool_name": TOOL}


def after_a_search(*found: dict[str, Any]) -> dict[str, Any]:
    """The request that follows a search, in the shape of Claude Code 2.1.327's (recorded 2026-11)."""
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    return {
        "model": "m",
        "max_tokens": 64,
        "tools": [
            {"name": "ToolSearch", "input_schema": {"type": "object"}},
            {"name": TOOL, "description": "Read a file.", "input_schema": schema, "defer_loading": True},
        ],
        "messages": [
            {"role": "user", "content": "Read one.txt."},
            {"role": "assistant", "content": [SEARCH]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [*found]}],
            },
        ],
    }


@pytest.mark.parametrize("codec", OTHERS, ids=[codec.format.value for codec in OTHERS])
def test_a_model_of_another_dialect_is_told_what_the_search_found(codec: Codec) -> None:
    request = ANTHROPIC.decode_request(after_a_search(REFERENCE))
    body = parse_body(dump(codec.encode_request(request).body)).value
    understood = codec.decode_request(body)
    (result,) = [
        part for message in understood.messages for part in message.parts if isinstance(part, ToolResult)
    ]
    assert TOOL in "".join(part.text for part in result.content if isinstance(part, Text))
    assert TOOL in [tool.name for tool in understood.tools if isinstance(tool, ToolSpec)]
    assert "defer_loading" not in json.dumps(body)


@pytest.mark.parametrize("more", [{}, {"cache_control": {"type": "ephemeral"}}, {"next_year": 1}])
def test_anthropic_gets_its_own_reference_back(more: dict[str, Any]) -> None:
    body = after_a_search({**REFERENCE, **more}, {"type": "text", "text": "That is all."}, REFERENCE)
    request = ANTHROPIC.decode_request(body)
    encoded = ANTHROPIC.encode_request(request)
    assert parse_body(dump(encoded.body)).value == body
    assert encoded.losses == ()


@pytest.mark.parametrize("name", [None, 7, []])
def test_a_reference_to_nothing_is_refused_by_its_field(name: Any) -> None:
    with pytest.raises(ClientWireError, match=r"messages\[2\]\.content\[0\]\.content\[0\]\.tool_name"):
        ANTHROPIC.decode_request(after_a_search({"type": "tool_reference", "tool_name": name}))
