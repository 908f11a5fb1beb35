"""Requests that real clients sent (``tests/corpus/requests``, by ``tests/clients/record_corpus.py``)."""

import json
from pathlib import Path
from typing import Any

import pytest

from lynkr.model import ToolCall, ToolResult, WireFormat
from lynkr.testing.laws import assert_body_law, assert_losses_honest
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec
from tests.clients.vendor_schema import problems_of

FOLDER = Path(__file__).parents[1] / "corpus" / "requests"
CODECS: dict[str, Codec] = {
    codec.format.value: codec for codec in (AnthropicCodec(), OpenAIChatCodec(), OpenAIResponsesCodec())
}
KINDS = {WireFormat.ANTHROPIC_MESSAGES: "messages", WireFormat.OPENAI_CHAT: "chat"}
RECORDED = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}

# Those that bring their history; the gateway, not a codec, puts back what lies with it.
WHOLE = tuple(name for name, each in RECORDED.items() if not each["body"].get("previous_response_id"))


@pytest.fixture(params=RECORDED.values(), ids=RECORDED.keys())
def recorded(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_every_dialect_is_recorded():
    assert {each["format"] for each in RECORDED.values()} == set(CODECS)


def test_reading_and_writing_a_clients_request_loses_nothing(recorded):
    assert_body_law(CODECS[recorded["format"]], recorded["body"])


def test_its_tool_calls_have_their_results(recorded):
    request = CODECS[recorded["format"]].decode_request(recorded["body"])
    parts = [part for message in request.messages for part in message.parts]
    called = [part.id for part in parts if isinstance(part, ToolCall)]
    answered = [part.call_id for part in parts if isinstance(part, ToolResult)]
    # aider declares no tools, and smolagents retells its calls and their results as text.
    assert answered or recorded["client"].startswith(("aider", "smolagents"))
    # A history that lies with the server holds the results alone.
    assert sorted(called) == sorted(answered) or recorded["body"].get("previous_response_id")


@pytest.mark.parametrize("format", KINDS)
@pytest.mark.parametrize("name", WHOLE)
def test_in_another_dialect_it_is_one_of_the_vendors_own_requests(name, format):
    recorded = RECORDED[name]
    request = CODECS[recorded["format"]].decode_request(recorded["body"])
    codec = CODECS[format.value]
    assert_losses_honest(codec, request)
    if recorded["format"] != format.value:  # its own vendor's clients know better than the SDK's types
        written = json.loads(dump(codec.encode_request(request).body))
        assert problems_of(KINDS[format], written) == []
