"""Gemini's own schema objects, a subset of OpenAPI 3.0, as the JSON Schema they mean.

`Schema` of google-genai 3.4 (read 2026-11): types are upper case words, null is
a flag, and counts may come as text, for they are 64-bit integers.
"""

from collections.abc import Mapping
from typing import Final

from lynkr.model import Json

_COUNTS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_NAMED: Final = frozenset({"properties", "defs"})
_LISTED: Final = frozenset({"anyOf", "prefixItems"})
_UNSPECIFIED: Final = "type_unspecified"


def json_schema_of(schema: Json) -> Json:
    """*schema* in JSON Schema's words; one that is in them already stays as it is."""
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, Json] = {}
    for name, value in schema.items():
        match value:
            case str() if name == "type":
                if value.lower() != _UNSPECIFIED:
                    found["type"] = value.lower()
            case bool() if name == "nullable":
                continue
            case str() if name in _COUNTS and value.isdecimal():
                found[name] = int(value)
            case Mapping() if name in _NAMED:
                key = "$defs" if name == "defs" else name
                found[key] = {below: json_schema_of(inner) for below, inner in value.items()}
            case list() if name in _LISTED:
                found[name] = [json_schema_of(inner) for inner in value]
            case str() if name == "ref":
                found["$ref"] = value
            case _ if name in ("items", "additionalProperties"):
                found[name] = json_schema_of(value)
            case _:
                found[name] = value
    if schema.get("nullable") is True:
        _allow_null(found)
    return found


def _allow_null(schema: dict[str, Json]) -> None:
    kind, choices, values = schema.get("type"), schema.get("anyOf"), schema.get("enum")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
    elif isinstance(choices, list):
        schema["anyOf"] = [*choices, {"type": "null"}]
    if isinstance(values, list) and None not in values:
        schema["enum"] = [*values, None]
