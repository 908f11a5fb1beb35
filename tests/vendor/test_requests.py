"""What the providers send, by what OpenAI and Google publish of their services.

The bodies are those that would go over the wire: written by the codec, and changed as the host wants it.
What we send to Anthropic and Bedrock is held against their own SDKs, in `tests.wire`.
"""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lynkr.model import Request, WireFormat
from lynkr.providers import HttpxTransport, builtin
from lynkr.providers.http_provider import HTTPProvider
from lynkr.providers.setup import Cloud
from lynkr.routing.decision import Target
from lynkr.secret import Secret
from lynkr.service import Call
from lynkr.testing.strategies import request_bodies
from lynkr.wire.json_body import dump, parse_body
from tests.laws.probes import REQUESTS
from tests.laws.test_codec_laws import CODECS
from tests.vendor.schemas import VENDORS, document_of, problems_of

CORPUS = Path(__file__).parents[1] / "corpus" / "requests"
RECORDED = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(CORPUS.glob("*.json"))}


@frozen
class Service:
    """A provider *kind*, the schema its requests are held against, and models of it that differ."""

    kind: str
    vendor: str
    schema: str
    models: tuple[str, ...]

    @property
    def provider(self) -> HTTPProvider:
        return _provider(self.kind)

    def sent(self, request: Request, model: str) -> Any:
        """The body of *request* as it would be sent."""
        call = Call(request, Target(self.kind, model))
        return json.loads(self.provider._outgoing(call, self.provider.rules).body)

    def problems(self, request: Request, model: str) -> list[str]:
        return problems_of(self.vendor, self.schema, self.sent(request, model))


@cache
def _provider(kind: str) -> HTTPProvider:
    cloud = Cloud(project="proj-1", region="europe-west4") if kind == "vertex" else Cloud()
    key = "ya29.token" if kind == "vertex" else "sk-loopback"
    return builtin(kind, kind, key=Secret(key), cloud=cloud, transport=HttpxTransport())


GOOGLES = ("gemini-2.5-flash", "gemini-3-pro-preview")
OPENAIS = ("gpt-4.1", "gpt-5")
VERTEX_REQUEST = "GoogleCloudAiplatformV1GenerateContentRequest"
SERVICES = (
    Service("openai", "openai", "CreateChatCompletionRequest", OPENAIS),
    Service("openai-responses", "openai", "CreateResponse", OPENAIS),
    Service("gemini", "gemini", "GenerateContentRequest", GOOGLES),
    Service("vertex", "vertex", VERTEX_REQUEST, GOOGLES),
)
each_service = pytest.mark.parametrize("service", SERVICES, ids=[each.kind for each in SERVICES])
PAIRS = [
    pytest.param(service, origin, id=f"{origin.value}-to-{service.kind}")
    for service in SERVICES
    for origin in CODECS
    if origin is not service.provider.codec.format  # what its own clients add is theirs to answer for
]
TRANSLATED = [
    pytest.param(service, name, id=f"{name}-to-{service.kind}")
    for service in SERVICES
    for name, recorded in RECORDED.items()
    if recorded["format"] != service.provider.codec.format
]
each_pair = pytest.mark.parametrize(("service", "origin"), PAIRS)


def read(origin: WireFormat, body: Any) -> Request:
    return CODECS[origin].decode_request(parse_body(dump(body)).value)


@each_pair
@settings(max_examples=20)  # a pair of dialects; a request is checked in some ten milliseconds
@given(data=st.data())
def test_a_request_of_another_dialect_is_one_the_vendor_describes(
    service: Service, origin: WireFormat, data: st.DataObject
) -> None:
    request = read(origin, data.draw(request_bodies(origin)))
    assert service.problems(request, data.draw(st.sampled_from(service.models))) == []


@each_pair
def test_a_request_with_every_feature_of_its_dialect_is_one_the_vendor_describes(
    service: Service, origin: WireFormat
) -> None:
    for model in service.models:
        assert service.problems(read(origin, REQUESTS[origin]), model) == []


@pytest.mark.parametrize(("service", "name"), TRANSLATED)
def test_a_real_clients_request_becomes_one_the_vendor_describes(service: Service, name: str) -> None:
    recorded = RECORDED[name]
    request = read(WireFormat(recorded["format"]), recorded["body"])
    for model in service.models:
        assert service.problems(request, model) == []


# --- The check itself ---------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], ...]] = {
    "openai": (
        {"model": 7},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "nobody", "content": "x"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"tools": [{"type": "function", "function": {}}]},
        {"tool_choice": "perhaps"},
        {"temperature": 3},
        {"max_tokens": "many"},
        {"stream_options": 1},
        {"a_field_of_nobody": 1},
    ),
    "openai-responses": (
        {"input": 7},
        {"input": [{"role": "nobody", "content": "x"}]},
        {"input": [{"type": "function_call_output", "output": "x"}]},
        {"max_output_tokens": 15},
        {"tools": [{"type": "function"}]},
        {"a_field_of_nobody": 1},
    ),
    "gemini": (
        {"contents": {}},
        {"contents": [{"role": "user", "parts": [{"txt": "x"}]}]},
        {"generationConfig": {"max_tokens": 1}},
        {"generationConfig": {"temperature": "hot"}},
        {"tools": [{"functionDeclarations": [{"name": 7}]}]},
        {"a_field_of_nobody": 1},
    ),
}
WRONG["vertex"] = WRONG["gemini"]


@each_service
def test_a_wrong_request_is_told_from_a_right_one(service: Service) -> None:
    right = service.sent(
        read(WireFormat.ANTHROPIC_MESSAGES, REQUESTS[WireFormat.ANTHROPIC_MESSAGES]), service.models[0]
    )
    assert problems_of(service.vendor, service.schema, right) == []
    for change in WRONG[service.kind]:
        assert problems_of(service.vendor, service.schema, {**copy.deepcopy(right), **change}), change


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_copy_says_what_it_is_a_copy_of_and_refers_to_nothing_else(vendor: str) -> None:
    document = document_of(vendor)
    about = document["$comment"]
    assert "document of" in about
    assert "Written by tests/vendor/generate.py on 20" in about
    Draft202012Validator.check_schema(document)
    references = set(_references(document))
    assert references <= {f"#/$defs/{name}" for name in document["$defs"]}


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = [*node.values()]
    if isinstance(node, list):
        for each in node:
            yield from _references(each)
