"""Whether a body is what a vendor's own document describes; `tests.vendor.generate` wrote the schemas."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

HERE = Path(__file__).parent
VENDORS = ("openai", "gemini", "vertex")


@cache
def document_of(vendor: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((HERE / f"{vendor}.json").read_text("utf-8"))
    if vendor == "openai":
        _widen(document["$defs"])
    return document


def _widen(schemas: dict[str, Any]) -> None:
    """Where the service takes more than OpenAI's document says."""
    # The document is of May 2026; openai 3.54 (2026-11) has one effort more in `ReasoningEffort`.
    (effort,) = (each for each in schemas["ReasoningEffort"]["anyOf"] if "enum" in each)
    effort["enum"].append("max")
    # A past answer needs neither id nor status, its text neither citations nor probabilities: LangChain
    # and the agents SDK send it so (tests/corpus/requests), who were written against the service.
    schemas["OutputMessage"]["required"] = ["type", "role", "content"]
    schemas["OutputTextContent"]["required"] = ["type", "text"]


@cache
def validator_of(vendor: str, name: str) -> Validator:
    """By the schema *name*, and its top level may hold no field that it does not name."""
    schema = {"$ref": f"#/$defs/{name}", "unevaluatedProperties": False, **document_of(vendor)}
    return Draft202012Validator(schema)


def problems_of(vendor: str, name: str, body: Any) -> list[str]:
    """What of *body* the document does not allow; empty when it is as described."""
    return [
        f"{error.json_path}: {leaf.json_path}: {leaf.message[:300]}"
        for error in validator_of(vendor, name).iter_errors(body)
        for leaf in _leaves(error)
    ]


def _leaves(error: Any) -> list[Any]:
    """The innermost errors below *error*, of the branches of a union those that got furthest."""
    if not error.context:
        return [error]
    deepest = max(len(inner.absolute_path) for inner in error.context)
    return [leaf for inner in error.context if len(inner.absolute_path) == deepest for leaf in _leaves(inner)]
