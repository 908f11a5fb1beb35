"""Amazon Bedrock: every model by Converse, Anthropic's also in their own dialect by InvokeModel.

Addresses and headers after the model of ``bedrock-runtime`` in botocore 1.44,
the bodies of Claude after anthropic 2.12, lib/bedrock (both read 2026-11).
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

from attrs import evolve, field, frozen

from lynkr.errors import ConfigError, UpstreamError, UpstreamWireError
from lynkr.model import Json
from lynkr.providers.auth import Bearer
from lynkr.providers.base import Auth, Unwrapper
from lynkr.providers.betas import BEDROCK_BETAS
from lynkr.providers.body_rules import BodyRules
from lynkr.providers.endpoints import ModelEndpoint
from lynkr.providers.host_rules import CLAUDE_SETTLED, CLAUDE_SETTLED_IN_CONVERSE
from lynkr.providers.http_provider import Counting, HTTPProvider
from lynkr.providers.making import NOT_COUNTED, checked_url
from lynkr.providers.setup import Setup
from lynkr.providers.sigv4 import Scope
from lynkr.wire import bedrock as bedrock_wire
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.aws_eventstream import MEDIA_TYPE, Message, MessageDecoder
from lynkr.wire.json_body import dump, parse_value
from lynkr.wire.sse import encode_frame

DEFAULT_REGION: Final = "us-east-1"
ANTHROPIC_VERSION: Final = "bedrock-2023-05-31"

# The name requests are signed for; that of the host is "bedrock-runtime".
_SIGNING_NAME: Final = "bedrock"
_REGION: Final = re.compile(r"[a-z]{2}[a-z0-9-]{0,30}")
# The model and whether to stream stand in the address.
_CONVERSE_RULES: Final = BodyRules(
    leave_out=frozenset({"modelId", "model", "stream"}), settled=(CLAUDE_SETTLED_IN_CONVERSE,)
)
# "CountTokens", ConverseTokensRequest.
_COUNTED: Final = ("messages", "system", "toolConfig", "additionalModelRequestFields")
# Cross-region profiles are called by their model's name behind a place; tokens are counted for models only.
_PLACE: Final = re.compile(r"^(?:global|us-gov|[a-z]{2,4})\.(?=[a-z0-9-]+\.)")


def converse(setup: Setup) -> HTTPProvider:
    """Converse and ConverseStream, for every model of Bedrock.

    With a key (a Bedrock API key) that goes as a bearer token; else requests
    are signed with the credentials of the AWS chain (extra ``bedrock``), of
    the profile *setup.cloud.profile* if given.

    Raises:
        ConfigError: botocore is not installed and there is no key, or region, base URL or key are malformed.
    """
    base = _base(setup)
    model = f"{base}/model/{{model}}"
    return HTTPProvider(
        name=setup.name,
        codec=bedrock_wire.BedrockConverseCodec(),
        endpoint=ModelEndpoint(f"{model}/converse", f"{model}/converse-stream"),
        transport=setup.transport,
        auth=_auth(setup),
        rules=_CONVERSE_RULES,
        headers=setup.headers,
        timeouts=setup.timeouts,
        counting=Counting(_CountEndpoint(base), _CONVERSE_RULES, _count_converse, "inputTokens"),
        profiles=setup.profiles,
        clock=setup.clock,
        owns_transport=setup.owns_transport,
    )


def invoke_anthropic(setup: Setup) -> HTTPProvider:
    """Anthropic's models by InvokeModel: a client of their dialect gets all through, known here or not.

    Credentials as for `converse`.  *setup.cloud.api_version* is the
    ``anthropic_version`` every body must hold.

    Raises:
        ConfigError: as `converse`.
    """
    base = _base(setup)
    model = f"{base}/model/{{model}}"
    fixed: dict[str, Json] = {"anthropic_version": setup.cloud.api_version or ANTHROPIC_VERSION}
    in_address = frozenset({"model", "stream"})
    rules = BodyRules(
        leave_out=in_address,
        fixed=fixed,
        betas=BEDROCK_BETAS.knowing(setup.betas),
        betas_field="anthropic_beta",
        settled=(CLAUDE_SETTLED,),
    )
    return HTTPProvider(
        name=setup.name,
        codec=InvokeModelCodec(),
        endpoint=ModelEndpoint(f"{model}/invoke", f"{model}/invoke-with-response-stream"),
        transport=setup.transport,
        auth=_auth(setup),
        rules=rules,
        headers=setup.headers,
        timeouts=setup.timeouts,
        framing=InvokeModelFraming(),
        counting=Counting(
            _CountEndpoint(base),
            evolve(rules, leave_out=in_address | NOT_COUNTED),
            _count_invoked,
            "inputTokens",
        ),
        profiles=setup.profiles,
        clock=setup.clock,
        owns_transport=setup.owns_transport,
    )


# --- Where, and as whom -------------------------------------------------------------------------------


def _base(setup: Setup) -> str:
    region = _region(setup)
    if setup.base_url is None:
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return f"https://bedrock-runtime.{region}.{suffix}"
    base = checked_url(setup.base_url, setup.name)
    if base.query or "{" in setup.base_url:
        raise ConfigError(
            f"provider {setup.name!r}: base_url must end in a path, for the model comes after it"
        )
    return setup.base_url.rstrip("/")


def _region(setup: Setup) -> str:
    region = setup.cloud.region or DEFAULT_REGION
    if not _REGION.fullmatch(region):
        raise ConfigError(f"provider {setup.name!r}: {region!r} is no AWS region")
    return region


def _auth(setup: Setup) -> Auth:
    if setup.key:
        return Bearer(setup.key)
    try:
        from lynkr.providers.aws_auth import AwsAuth  # noqa: PLC0415  # reason: an extra, loaded if used
    except ImportError as error:
        raise ConfigError(
            f"provider {setup.name!r}: the AWS credential chain needs botocore; "
            "install lynkr-router[bedrock], or set a Bedrock API key"
        ) from error
    return AwsAuth(setup.name, Scope(_region(setup), _SIGNING_NAME), profile=setup.cloud.profile)


@frozen
class _CountEndpoint:
    """CountTokens, which knows models but not the profiles that stand for them."""

    base: str
    _inner: ModelEndpoint = field(init=False)

    def __attrs_post_init__(self) -> None:
        address = f"{self.base}/model/{{model}}/count-tokens"
        object.__setattr__(self, "_inner", ModelEndpoint(address, address))

    def url(self, model: str, /, *, stream: bool) -> str:
        return self._inner.url(_PLACE.sub("", model), stream=stream)


# --- What CountTokens wants ---------------------------------------------------------------------------


def _count_converse(body: bytes) -> bytes:
    asked = {name: value for name, value in _object(body).items() if name in _COUNTED}
    return dump({"input": {"converse": asked}})


def _count_invoked(body: bytes) -> bytes:
    """The body goes in as the bytes InvokeModel would get, where a limit is required."""
    asked = dict(_object(body))
    thinking = asked.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, Mapping) else None
    asked.setdefault("max_tokens", budget + 1 if isinstance(budget, int) else 1)
    return dump({"input": {"invokeModel": {"body": b64encode(dump(asked)).decode()}}})


def _object(body: bytes) -> Mapping[str, Json]:
    value: Json = parse_value(body)
    if not isinstance(value, Mapping):
        raise AssertionError("a request's body is an object")  # noqa: TRY004  # reason: ours, not a caller's
    return value


# --- Anthropic's dialect inside AWS' framing ----------------------------------------------------------


class InvokeModelCodec(AnthropicCodec):
    """Anthropic's dialect, but for refusals, which are AWS' own."""

    def decode_error(
        self, status: int, headers: Mapping[str, str], body: bytes, /, *, target: str
    ) -> UpstreamError:
        return bedrock_wire.BedrockConverseCodec().decode_error(status, headers, body, target=target)


@frozen
class InvokeModelFraming:
    """Each event of Anthropic's stream is the ``bytes`` of a ``chunk`` of AWS' event stream."""

    media_type: str = MEDIA_TYPE

    def unwrapper(self) -> Unwrapper:
        return _ChunkUnwrapper()


# What an exception inside the stream is called in the dialect the stream is in; all others are api_error.
_ERROR_TYPES: Final[Mapping[str, str]] = {
    "throttlingException": "rate_limit_error",
    "serviceUnavailableException": "overloaded_error",
    "modelTimeoutException": "timeout_error",
    "validationException": "invalid_request_error",
}


class _ChunkUnwrapper:
    """AWS' event stream to the server-sent events Anthropic itself would have sent."""

    def __init__(self) -> None:
        self._messages = MessageDecoder()
        self._fault: UpstreamWireError | None = None

    def feed(self, data: bytes, /) -> bytes:
        if self._fault is not None:
            raise self._fault
        frames: list[bytes] = []
        try:
            for message in self._messages.feed(data):
                frames.append(_frame(message))  # noqa: PERF401  # what came before a fault counts
        except UpstreamWireError as error:
            if not frames:
                raise
            self._fault = error
        return b"".join(frames)

    def close(self) -> bytes:
        if self._fault is not None:
            raise self._fault
        if not self._messages.close():
            raise UpstreamWireError("the stream was cut short inside a message")
        return b""


def _frame(message: Message) -> bytes:
    match message.text(":message-type"):
        case "event" if message.text(":event-type") == "chunk":
            return _event_in(message.payload)
        case "exception":
            told = _parsed(message.payload).get("message")
            return _error_frame(message.text(":exception-type"), told if isinstance(told, str) else "")
        case "error":
            return _error_frame(message.text(":error-code"), message.text(":error-message"))
        case _:
            return b""


def _event_in(payload: bytes) -> bytes:
    chunk = _parsed(payload).get("bytes")
    try:
        text = b64decode(chunk, validate=True) if isinstance(chunk, str) else b""
    except ValueError as error:
        raise UpstreamWireError("a chunk of the stream is not base64") from error
    event = _parsed(text)
    kind = event.get("type")
    if b"\n" in text or b"\r" in text:
        text = dump(event)
    return encode_frame(text, kind if isinstance(kind, str) and kind.isprintable() else "")


def _parsed(data: bytes) -> Mapping[str, Json]:
    try:
        value: Json = parse_value(data)
    except ValueError as error:
        raise UpstreamWireError(f"a chunk of the stream is not JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise UpstreamWireError("a chunk of the stream is not a JSON object")
    return value


def _error_frame(name: str, message: str) -> bytes:
    kind = _ERROR_TYPES.get(name[:1].lower() + name[1:], "api_error")
    told = f"{name}: {message}" if message else name
    return encode_frame(dump({"type": "error", "error": {"type": kind, "message": told}}), "error")
