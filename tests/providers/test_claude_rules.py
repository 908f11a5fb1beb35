"""What Anthropic's models refuse to be told, wherever they run.

aider, which sets a temperature of 0, showed that such a client got nothing but 400s from them.
"""

import json

import pytest
from attrs import evolve

from lynkr.model import Message, Request, Sampling, WireFormat
from lynkr.providers import HttpxTransport, builtin
from lynkr.providers.http_provider import HTTPProvider
from lynkr.providers.setup import Cloud
from lynkr.routing.decision import Target
from lynkr.secret import Secret
from lynkr.service import Call, RawBody
from lynkr.wire.json_body import parse_body

PLACE = Cloud(project="proj-1", region="eu-west-1")
ASKED = Request("m", (Message.user("hi"),), sampling=Sampling(temperature=0, top_p=0.5, top_k=3))
FIELDS = {"temperature", "top_p", "top_k"}
BASES = {"azure-anthropic": "https://r.services.ai.azure.com"}
KINDS = ("anthropic", "azure-anthropic", "bedrock-anthropic", "vertex-anthropic")
# How the same model is called where (vendors' model lists, read 2026-11).
SETTLED = {
    "anthropic": (
        "claude-opus-4-7",
        "claude-sonnet-4-6",
        "claude-sonnet-5",
        "claude-fable-5-1",
        "claude-mythos-preview",
    ),
    "azure-anthropic": ("claude-opus-4-8",),
    "bedrock-anthropic": (
        "anthropic.claude-opus-4-7",
        "eu.anthropic.claude-opus-5",
        "global.anthropic.claude-opus-5",
    ),
    "vertex-anthropic": ("claude-opus-4-7", "claude-haiku-5-5"),
}
SAMPLED = {
    "anthropic": (
        "claude-opus-4-6",
        "claude-sonnet-4-5",
        "claude-opus-4-20250514",
        "claude-3-7-sonnet-20250219",
        "claude-x",
        "claude-opus-latest",
        "my-claude-opus-5",
        "gpt-5",
    ),
    "azure-anthropic": ("claude-opus-4-1",),
    "bedrock-anthropic": ("us.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-opus-4-6-v1"),
    "vertex-anthropic": ("claude-opus-4@20250514", "claude-haiku-4-5@20251001"),
}


def provider(kind: str) -> HTTPProvider:
    return builtin(
        "p", kind, key=Secret("ya29.token"), base_url=BASES.get(kind), cloud=PLACE, transport=HttpxTransport()
    )


def cases(names: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(kind, model) for kind in KINDS for model in names[kind]]


@pytest.mark.parametrize(("kind", "model"), cases(SETTLED))
def test_a_model_that_samples_as_it_will_is_told_nothing_of_it(kind: str, model: str) -> None:
    at = provider(kind)
    sent = at._outgoing(Call(ASKED, Target("p", model)), at.rules)
    assert FIELDS.isdisjoint(json.loads(sent.body))
    assert {f"sampling.{name}" for name in FIELDS} <= {loss.path for loss in sent.losses}


@pytest.mark.parametrize(("kind", "model"), cases(SAMPLED))
def test_a_model_of_before_gets_what_the_client_asks(kind: str, model: str) -> None:
    at = provider(kind)
    sent = at._outgoing(Call(ASKED, Target("p", model)), at.rules)
    assert json.loads(sent.body).keys() >= FIELDS


@pytest.mark.parametrize("model", SETTLED["bedrock-anthropic"])
def test_converse_tells_such_a_model_nothing_either(model: str) -> None:
    at = provider("bedrock")
    sent = at._outgoing(Call(ASKED, Target("p", model)), at.rules)
    body = json.loads(sent.body)
    assert "inferenceConfig" not in body  # nothing is left of it
    assert "additionalModelRequestFields" not in body
    assert {f"sampling.{name}" for name in FIELDS} == {loss.path for loss in sent.losses}
    limited = evolve(ASKED, max_output_tokens=7)
    body = json.loads(at._outgoing(Call(limited, Target("p", model)), at.rules).body)
    assert body["inferenceConfig"] == {"maxTokens": 7}


@pytest.mark.parametrize("model", [*SAMPLED["bedrock-anthropic"], "amazon.nova-pro-v1:0"])
def test_converse_tells_every_other_model_what_the_client_asks(model: str) -> None:
    at = provider("bedrock")
    body = json.loads(at._outgoing(Call(ASKED, Target("p", model)), at.rules).body)
    assert body["inferenceConfig"] == {"temperature": 0, "topP": 0.5}


def test_an_anthropic_clients_own_body_goes_without_it_too() -> None:
    at = provider("anthropic")
    kept = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    body = parse_body(json.dumps({"model": "x", "temperature": 0.2, **kept}).encode())
    call = Call(
        at.codec.decode_request(body.value),
        Target("p", "claude-opus-5-5"),
        raw=RawBody(WireFormat.ANTHROPIC_MESSAGES, body),
    )
    sent = at._outgoing(call, at.rules)
    assert sent.passes
    assert json.loads(sent.body) == {"model": "claude-opus-5-5", **kept}
    assert [loss.path for loss in sent.losses] == ["sampling.temperature"]
