"""Gemini by key, and Vertex AI: Google's own models and Anthropic's there.

Addresses after "Gemini API reference", https://ai.google.dev/api, and "Vertex AI
API", https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest; those
of Claude after anthropic 2.12, lib/vertex/_client.py (all read 2026-11).

The Node.js Lynkr calls the Gemini API "vertex".  So a provider of kind ``vertex``
that has an API key and no project is at the Gemini API, as its owner means it.
"""

import re
from typing import Final

from attrs import frozen

from lynkr.errors import ConfigError
from lynkr.model import Json
from lynkr.providers.auth import Bearer, KeyHeader, NoAuth
from lynkr.providers.base import Auth
from lynkr.providers.betas import VERTEX_BETAS, VERTEX_COUNTED_BETAS
from lynkr.providers.body_rules import BodyRules
from lynkr.providers.endpoints import FixedEndpoint, ModelEndpoint
from lynkr.providers.host_rules import CLAUDE_SETTLED
from lynkr.providers.http_provider import Counting, HTTPProvider
from lynkr.providers.making import NOT_COUNTED, checked_url
from lynkr.providers.setup import Setup
from lynkr.secret import Secret
from lynkr.wire import gemini as gemini_wire
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump, parse_value

GEMINI_API: Final = "https://generativelanguage.googleapis.com/v1beta"
VERTEX_API: Final = "https://aiplatform.googleapis.com/v1"
DEFAULT_REGION: Final = "global"
ANTHROPIC_VERSION: Final = "vertex-2023-10-16"

_KEY_HEADER: Final = "x-goog-api-key"
# `model` and `stream` stand in the address.
_GEMINI_RULES: Final = BodyRules(leave_out=frozenset({"model", "stream"}))
# "countTokens", Vertex AI: the fields it takes of a generateContent request (read 2026-11).
_VERTEX_COUNTED: Final = ("contents", "systemInstruction", "tools", "generationConfig")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?")
_PREFIX: Final = re.compile(r"(?:publishers/[a-z]+/)?models/")
# "@" stands before the date in the name of a Claude model.
_KEPT: Final = "@"


class GoogleEndpoint(ModelEndpoint):
    """A `ModelEndpoint` that takes a model's name also as Google writes it: ``models/gemini-3-pro``."""

    def url(self, model: str, /, *, stream: bool) -> str:
        return super().url(_PREFIX.sub("", model, count=1) if _PREFIX.match(model) else model, stream=stream)


# --- The Gemini API -----------------------------------------------------------------------------------


def gemini(setup: Setup) -> HTTPProvider:
    """The Gemini API; the key travels in a header, never in the address.

    Raises:
        ConfigError: the base URL is none, or the key cannot stand in a header.
    """
    base = _base(setup, GEMINI_API)
    auth: Auth = KeyHeader(_KEY_HEADER, setup.key) if setup.key else NoAuth()
    counting = Counting(
        GoogleEndpoint(f"{base}/models/{{model}}:countTokens", "", _KEPT),
        BodyRules(leave_out=frozenset({"stream"})),
        _whole_request,
        "totalTokens",
    )
    speech = _Speech(gemini_wire.GeminiCodec(), _generate(f"{base}/models"), auth, _GEMINI_RULES, counting)
    return _provider(setup, speech)


def _generate(models: str) -> GoogleEndpoint:
    # Without alt=sse the stream is one JSON array.
    return GoogleEndpoint(
        f"{models}/{{model}}:generateContent", f"{models}/{{model}}:streamGenerateContent?alt=sse", _KEPT
    )


def _whole_request(body: bytes) -> bytes:
    """A request as the Gemini API counts it with its tools: whole, its model by its full name."""
    request = _object(body)
    model = str(request.get("model", ""))
    named = {**request, "model": model if _PREFIX.match(model) else f"models/{model}"}
    return dump({"generateContentRequest": named})


def _object(body: bytes) -> dict[str, Json]:
    value: Json = parse_value(body)
    return dict(value) if isinstance(value, dict) else {}


# --- Vertex AI ----------------------------------------------------------------------------------------


def vertex(setup: Setup) -> HTTPProvider:
    """Gemini models at Vertex AI; at the Gemini API where there is an API key and no project.

    *setup.key* is an API key, an access token (``ya29...``) or the JSON of a
    service account's key; without one, Google's Application Default
    Credentials are used (extra ``vertex``).  *setup.cloud* names project and
    region, which is ``global`` by default.

    Raises:
        ConfigError: there is no project, google-auth is not installed, or a name or key is malformed.
    """
    if setup.key and not setup.cloud.project and _is_api_key(setup.key):
        return gemini(setup)
    models = f"{_place(setup)}/publishers/google/models"
    counting = Counting(
        GoogleEndpoint(f"{models}/{{model}}:countTokens", "", _KEPT), _GEMINI_RULES, _counted, "totalTokens"
    )
    speech = _Speech(gemini_wire.GeminiCodec(), _generate(models), _auth(setup), _GEMINI_RULES, counting)
    return _provider(setup, speech)


def _counted(body: bytes) -> bytes:
    return dump({name: value for name, value in _object(body).items() if name in _VERTEX_COUNTED})


def vertex_anthropic(setup: Setup) -> HTTPProvider:
    """Anthropic's models at Vertex AI; credentials and place as `vertex`'s.

    *setup.cloud.api_version* is the ``anthropic_version`` every body must hold.

    Raises:
        ConfigError: as `vertex`.
    """
    models = f"{_place(setup)}/publishers/anthropic/models"
    fixed: dict[str, Json] = {"anthropic_version": setup.cloud.api_version or ANTHROPIC_VERSION}
    endpoint = GoogleEndpoint(f"{models}/{{model}}:rawPredict", f"{models}/{{model}}:streamRawPredict", _KEPT)
    # Here the model stays in the body, for it is not in the address.
    rules = BodyRules(
        leave_out=frozenset({"model"}),
        fixed=fixed,
        betas=VERTEX_BETAS.knowing(setup.betas),
        settled=(CLAUDE_SETTLED,),
    )
    counted = VERTEX_COUNTED_BETAS.knowing(setup.betas)
    counting = Counting(
        FixedEndpoint(f"{models}/count-tokens:rawPredict"),
        BodyRules(leave_out=NOT_COUNTED, fixed=fixed, betas=counted),
    )
    return _provider(setup, _Speech(AnthropicCodec(), endpoint, _auth(setup), rules, counting))


def _place(setup: Setup) -> str:
    """The address of the project's location."""
    region, project = setup.cloud.region or DEFAULT_REGION, setup.cloud.project
    if not project:
        raise ConfigError(
            f"provider {setup.name!r} needs the id of a Google Cloud project; set project "
            "(an API key alone serves kind gemini)"
        )
    for word, text in (("region", region), ("project", project)):
        if not _NAME.fullmatch(text):
            raise ConfigError(f"provider {setup.name!r}: {text!r} is no {word}")
    return f"{_base(setup, _host(region))}/projects/{project}/locations/{region}"


def _host(region: str) -> str:
    # As google-genai 3.4 and anthropic 2.12 choose it (read 2026-11).
    match region:
        case "global":
            return VERTEX_API
        case "us" | "eu":
            return f"https://aiplatform.{region}.rep.googleapis.com/v1"
        case _:
            return f"https://{region}-aiplatform.googleapis.com/v1"


def _auth(setup: Setup) -> Auth:
    key = setup.key
    if key and _is_api_key(key):
        return KeyHeader(_KEY_HEADER, key)
    if key and not _is_json(key):
        return Bearer(key)
    try:
        from lynkr.providers.google_auth import (  # noqa: PLC0415  # reason: an extra, loaded if used
            GoogleAuth,
        )
    except ImportError as error:
        raise ConfigError(
            f"provider {setup.name!r}: Google's credentials need google-auth; "
            "install lynkr-router[vertex], or set an access token as its key"
        ) from error
    return GoogleAuth(setup.name, setup.transport, account=key or None)


def _is_json(key: Secret) -> bool:
    return key.reveal().lstrip().startswith("{")


def _is_api_key(key: Secret) -> bool:
    """Whether *key* is an API key, and neither an OAuth token nor a service account's key.

    Access tokens of Google begin ``ya29.``, JSON Web Tokens ``eyJ`` (read 2026-11).
    """
    return not _is_json(key) and not key.reveal().startswith(("ya29.", "eyJ"))


# --- Both ---------------------------------------------------------------------------------------------


def _base(setup: Setup, default: str) -> str:
    """The base URL, which ends in a version (``/v1beta``), without a slash."""
    if setup.base_url is None:
        return default
    base = checked_url(setup.base_url, setup.name)
    if base.query or "{" in setup.base_url:
        raise ConfigError(
            f"provider {setup.name!r}: base_url must end in a path, for the model comes after it"
        )
    return setup.base_url.rstrip("/")


@frozen
class _Speech:
    """How a provider is talked to: what differs between the three kinds."""

    codec: Codec
    endpoint: GoogleEndpoint
    auth: Auth
    rules: BodyRules
    counting: Counting


def _provider(setup: Setup, speech: _Speech) -> HTTPProvider:
    return HTTPProvider(
        name=setup.name,
        codec=speech.codec,
        endpoint=speech.endpoint,
        transport=setup.transport,
        auth=speech.auth,
        rules=speech.rules,
        headers=setup.headers,
        timeouts=setup.timeouts,
        counting=speech.counting,
        profiles=setup.profiles,
        clock=setup.clock,
        owns_transport=setup.owns_transport,
    )
