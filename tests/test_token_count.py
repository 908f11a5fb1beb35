"""How far the estimate of a request's tokens is off, against counts of a real tokenizer."""

import json
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import (
    Foreign,
    ForeignTool,
    Image,
    ImageSource,
    Message,
    Reasoning,
    Request,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    WireFormat,
)
from lynkr.testing import requests
from lynkr.token_count import PER_IMAGE, PER_MESSAGE, estimated_tokens
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec
from tests.corpus.token_counts import COUNTS, SCRIPTS

REAL = json.loads(COUNTS.read_text("utf-8"))
RECORDED = Path(__file__).parent / "corpus" / "requests"
CODECS = {codec.format: codec for codec in (AnthropicCodec(), OpenAIChatCodec(), OpenAIResponsesCodec())}
# What the frames of a short request may differ by: a text with two calls and their results is five items in
# Responses, three messages in Chat and two in Messages.
FRAMES = 3 * PER_MESSAGE


def request_of(name: str) -> Request:
    told = json.loads((RECORDED / f"{name}.json").read_text("utf-8"))
    return CODECS[told["format"]].decode_request(told["body"])


def saying(*parts, **fields) -> Request:
    return Request("m", (Message(Role.USER, tuple(parts)),), **fields)


@pytest.mark.parametrize("name", sorted(REAL["requests"]))
def test_criterion_08_recorded_requests_are_counted_within_five_percent(name):
    real = REAL["requests"][name]
    assert abs(estimated_tokens(request_of(name)) - real) <= max(0.05 * real, FRAMES)


def test_the_corpus_as_a_whole_is_counted_within_three_percent():
    real = sum(REAL["requests"].values())
    estimated = sum(estimated_tokens(request_of(name)) for name in REAL["requests"])
    assert abs(estimated - real) <= 0.03 * real


def test_every_recorded_request_has_a_count():
    assert {path.stem for path in RECORDED.glob("*.json")} == set(REAL["requests"])


@pytest.mark.parametrize("name", SCRIPTS)
def test_other_scripts_are_counted_within_a_quarter(name):
    real = REAL["scripts"][name]
    assert abs(estimated_tokens(saying(Text(SCRIPTS[name]))) - real) <= 0.25 * real


def test_tools_and_system_prompts_count():
    plain = saying(Text("hi"))
    tool = ToolSpec("get_weather", "The weather of a city.", {"type": "object", "properties": {"city": {}}})
    with_tool = estimated_tokens(evolve(plain, tools=(tool,)))
    assert with_tool >= estimated_tokens(plain) + 15
    instructed = evolve(plain, messages=(Message.system("Be brief and exact."), *plain.messages))
    assert estimated_tokens(instructed) >= estimated_tokens(plain) + 8
    hosted = ForeignTool("web_search", evolve(plain.extras, fields={"type": "web_search_20250305"}))
    assert estimated_tokens(evolve(plain, tools=(hosted,))) > estimated_tokens(plain)


def test_every_part_counts():
    image = Image(ImageSource.BASE64, "iVBORw0KGgo=", "image/png")
    assert estimated_tokens(saying(image)) == PER_IMAGE + PER_MESSAGE
    assert estimated_tokens(saying(ToolResult("c", (image, Text("seen"))))) == PER_IMAGE + PER_MESSAGE + 1
    assert estimated_tokens(saying(Reasoning("one two three"))) == PER_MESSAGE + 3
    assert estimated_tokens(saying(ToolCall("c", "f", '{"a":1}'))) == PER_MESSAGE + 1 + 5
    found = {"type": "search_result", "title": "one", "content": [{"text": "two"}, 3], "input": {"q": "x"}}
    block = Foreign(WireFormat.ANTHROPIC_MESSAGES, found)
    assert estimated_tokens(saying(block)) == PER_MESSAGE + 2 + 5
    assert estimated_tokens(saying(Foreign(WireFormat.GEMINI, "odd"))) == PER_MESSAGE


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("hello", 1), ("1234567", 3), ("a\n\n\nb", 3), ("HTTPSConnectionPool" * 3, 12), ("🎉🚀", 3)],
)
def test_pieces_are_counted_as_the_tokenizer_cuts_them(text, tokens):
    assert abs(estimated_tokens(saying(Text(text))) - PER_MESSAGE - tokens) <= 1


@given(requests())
def test_every_request_has_an_estimate(request):
    assert estimated_tokens(request) >= PER_MESSAGE * len(request.messages)


@given(st.text(), st.text())
def test_more_text_is_never_much_less(one, two):
    both, alone = estimated_tokens(saying(Text(one + two))), estimated_tokens(saying(Text(one)))
    assert both >= alone - 2
