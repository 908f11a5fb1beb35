"""What OpenAI's models refuse to be told, in either of its dialects."""

import json
from typing import Any

import pytest

from lynkr.model import Json, WireFormat
from lynkr.providers import HttpxTransport, builtin
from lynkr.providers.http_provider import HTTPProvider
from lynkr.routing.decision import Target
from lynkr.secret import Secret
from lynkr.service import Call, RawBody
from lynkr.wire.json_body import parse_body

RESPONSES = ("openai-responses", "azure-openai-responses")
SAMPLED: dict[str, Json] = {"temperature": 0.2, "top_p": 0.5, "top_logprobs": 2}
LOW: dict[str, Json] = {"reasoning": {"effort": "low", "summary": "auto"}}
NONE: dict[str, Json] = {"reasoning": {"effort": "none"}}


def sent_by(kind: str, model: str, fields: dict[str, Json], *, own: bool) -> tuple[dict[str, Any], set[str]]:
    """What of *fields* goes on to *model*, and the paths of of the losses; *own*: in its bytes."""
    provider = builtin(
        "p",
        kind,
        key=Secret("k"),
        base_url="https://h.openai.azure.com",
        transport=HttpxTransport(),
    )
    assert isinstance(provider, HTTPProvider)
    asked: dict[str, Json] = {"model": "x", **fields}
    if provider.codec.format is WireFormat.OPENAI_RESPONSES:
        asked["input"] = "hi"
    else:
        asked["messages"] = [{"role": "user", "content": "hi"}]
    body = parse_body(json.dumps(asked).encode())
    raw = RawBody(provider.codec.format, body) if own else None
    call = Call(provider.codec.decode_request(body.value), Target("p", model), raw=raw)
    outgoing = provider._outgoing(call, provider.rules)
    sent = json.loads(outgoing.body)
    return {name: sent[name] for name in fields if name in sent}, {loss.path for loss in outgoing.losses}


@pytest.mark.parametrize("own", [False, True], ids=["translated", "own bytes"])
@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("o3", SAMPLED),
        ("o4-mini", SAMPLED),
        ("gpt-5-mini", SAMPLED),
        ("gpt-5.2", {**SAMPLED, **LOW}),
        ("gpt-6", {**SAMPLED, **LOW}),
    ],
)
def test_a_reasoning_model_is_told_nothing_of_sampling(
    kind: str, model: str, fields: dict[str, Json], own: bool
) -> None:
    sent, lost = sent_by(kind, model, fields, own=own)
    assert sent == {name: value for name, value in fields.items() if name not in SAMPLED}
    assert {"sampling.temperature", "sampling.top_p"} <= lost


@pytest.mark.parametrize("own", [False, True], ids=["translated", "own bytes"])
@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gpt-4.1", SAMPLED),
        ("gpt-5.2", SAMPLED),  # by default it does not reason
        ("gpt-5.2", {**SAMPLED, **NONE}),
        ("gpt-5-chat-latest", SAMPLED),
        ("nobody-knows", {**SAMPLED, **LOW}),
        ("o3", LOW),
    ],
)
def test_what_a_model_takes_goes_on(kind: str, model: str, fields: dict[str, Json], own: bool) -> None:
    sent, lost = sent_by(kind, model, fields, own=own)
    assert sent == fields
    assert lost == set()


@pytest.mark.parametrize("own", [False, True], ids=["translated", "own bytes"])
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-4o", "gpt-5-chat-latest"])
def test_a_model_that_does_not_reason_is_not_told_to(model: str, own: bool) -> None:
    sent, lost = sent_by("openai-responses", model, LOW, own=own)
    assert sent == {}
    assert lost == {"reasoning"}


@pytest.mark.parametrize("own", [False, True], ids=["translated", "own bytes"])
@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini"])
def test_the_o_series_refuses_parallel_tool_calls_in_chat(model: str, own: bool) -> None:
    tools: Json = [{"type": "function", "function": {"name": "f"}}]
    sent, lost = sent_by("openai", model, {"parallel_tool_calls": False, "tools": tools}, own=own)
    assert "parallel_tool_calls" not in sent
    assert lost == {"parallel_tool_calls"}
