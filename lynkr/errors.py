"""Every error lynkr raises on purpose.

::

    LynkrError                     status_hint, retryable, kind
    ├ ConfigError                  settings are wrong; start-up only
    ├ WireError
    │ ├ ClientWireError            400, names the field
    │ │ ├ UnknownResponseError     the answer a request goes on from is not known
    │ │ └ LoopDetected             508, the request came through too many gateways
    │ └ UpstreamWireError          502, retryable
    ├ RoutingError                 503, no target can serve the request
    │ ├ CapabilityError            400, every configured target lacks what the request needs
    │ └ TargetNotAllowed           403, what may serve it is banned for its sender, or costs too much
    ├ UpstreamError                502
    │ ├ UpstreamRefused            4xx: credentials, unknown model, or the caller's own fault
    │ ├ UpstreamBusy               429, 503, 529; retry_after in seconds
    │ ├ UpstreamFailed             other 5xx, or an error event inside a 200 stream
    │ ├ UpstreamUnreachable        no connection, or it broke
    │ ├ UpstreamTimeout            504
    │ │ └ DeadlineExceeded         504, the request's own time ran out: nobody's fault
    │ └ NotSent                    503, nothing was sent
    │   ├ CircuitOpen              the target's breaker, or its credential's, is open
    │   ├ Throttled                429, the credential is being rate limited
    │   └ BulkheadFull             the provider has as many calls under way as it may
    ├ AllTargetsFailed             also an ExceptionGroup: one error per attempt, in order
    ├ LedgerError                  503, the ledger cannot be read or written
    └ GatewayClosed                503, the gateway is draining or was closed

They split by whose fault it was.  Only `lynkr.wire` renders them for clients.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Self, TypeVar, cast

_Told = TypeVar("_Told", bound=BaseException)
_NO_DETAILS: Mapping[str, object] = MappingProxyType({})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class LynkrError(Exception):
    """Base of every error lynkr raises on purpose.

    `status_hint` is the HTTP status a server should answer with, `retryable`
    whether sending the same request again may succeed, `kind` a dialect-free
    word that codecs map to their own error type.
    """

    status_hint: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    kind: ClassVar[str] = "internal"


class ConfigError(LynkrError):
    """The settings are wrong; raised at start-up, never per request."""

    kind = "config"


class WireError(LynkrError):
    """Bytes do not follow the wire format."""


class ClientWireError(WireError):
    """The caller's request is malformed; *field* is its path in the caller's own body.

    *details* are what a dialect's envelope says besides, for clients that act on it.
    """

    status_hint = 400
    kind = "invalid_request"
    code: ClassVar[str | None] = None
    """OpenAI's word for it, where there is one."""

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        status: int = 400,
        details: Mapping[str, object] = _NO_DETAILS,
    ) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.field = field
        self.status = status
        self.details = details


class UnknownResponseError(ClientWireError):
    """The request goes on from an answer that nobody here knows (`previous_response_id`)."""

    code: ClassVar[str | None] = "previous_response_not_found"

    def __init__(self, response_id: str) -> None:
        # The words are OpenAI's own: clients match on them (read 2026-11).
        super().__init__(f"Previous response with id '{response_id}' not found.")
        self.field = "previous_response_id"


class LoopDetected(ClientWireError):
    """The request came through as many gateways as it may (508): one of them is its own upstream."""

    def __init__(self, hops: int) -> None:
        super().__init__(
            f"this request has come through {hops} gateways; one of them has itself for an upstream: "
            "check the base_url of its providers, or raise server.max_hops",
            status=508,
        )
        self.hops = hops


class UpstreamWireError(WireError):
    """The provider's answer is malformed or its stream was cut short."""

    status_hint = 502
    retryable = True
    kind = "upstream"


class RoutingError(LynkrError):
    """No target can serve this request."""

    status_hint = 503
    kind = "unavailable"


class CapabilityError(RoutingError):
    """Every configured target lacks something the request needs; nothing was sent."""

    status_hint = 400
    kind = "invalid_request"


class PromptTooLong(CapabilityError):
    """The prompt is surely longer than any target that may serve it takes; nothing was sent.

    *tokens* is an estimate, *limit* the largest context window, in tokens.
    """

    def __init__(self, tokens: int, limit: int, who: str) -> None:
        # Claude Code compacts its history on these words and on no others (clients.md, read 2026-11).
        super().__init__(
            f"prompt is too long: {tokens} tokens > {limit} maximum (context window of {who}; estimated)"
        )
        self.tokens = tokens
        self.limit = limit


class TargetNotAllowed(RoutingError):
    """What could serve this request is banned for its sender, or dearer than a request of theirs may be."""

    status_hint = 403
    kind = "invalid_request"


class UpstreamError(LynkrError):
    """The provider answered with an error, or not at all.

    *target* is `provider:model`.  *body*, *headers* and *wire_format* are the
    provider's own answer, kept so that a client of the same dialect gets it
    unmodified (clients match on its wording).
    """

    status_hint = 502
    kind = "upstream"

    def __init__(
        self,
        message: str,
        *,
        target: str,
        status: int | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes = b"",
        wire_format: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.target = target
        self.status = status
        self.headers = headers
        self.body = body
        self.wire_format = wire_format
        self.retry_after = retry_after


class UpstreamRefused(UpstreamError):
    """A 4xx other than 408, 409 and 429: sending it again unchanged will not help.

    `is_callers_fault` is true for 400, 413 and 422, which every other target
    of the same dialect would refuse too.  `is_context_overflow` marks the one
    400 that a target with a larger window may serve.
    """

    kind = "refused"

    def __init__(
        self,
        message: str,
        *,
        target: str,
        status: int | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes = b"",
        wire_format: str | None = None,
        retry_after: float | None = None,
        is_context_overflow: bool = False,
    ) -> None:
        super().__init__(
            message,
            target=target,
            status=status,
            headers=headers,
            body=body,
            wire_format=wire_format,
            retry_after=retry_after,
        )
        self.is_context_overflow = is_context_overflow

    @property
    def is_callers_fault(self) -> bool:
        return self.status in (400, 413, 422) and not self.is_context_overflow


class UpstreamBusy(UpstreamError):
    """429, 503 or 529; *retry_after* is in seconds, None when the provider gave no hint."""

    status_hint = 429
    retryable = True
    kind = "busy"


class UpstreamFailed(UpstreamError):
    """Another 5xx, or an error event inside a stream that began with 200."""

    status_hint = 502
    retryable = True


class UpstreamUnreachable(UpstreamError):
    """No connection could be made, or it broke before the answer was whole."""

    status_hint = 502
    retryable = True
    kind = "unreachable"


class UpstreamTimeout(UpstreamError):
    """Connect, first-byte, idle or total time ran out."""

    status_hint = 504
    retryable = True
    kind = "timeout"


class DeadlineExceeded(UpstreamTimeout):
    """The request's own deadline passed before *target* had a fair chance to answer.

    Says nothing about the provider, so it moves no breaker and is not retried.
    """

    retryable = False


class NotSent(UpstreamError):
    """An attempt was refused on this side; nothing was sent.  *retry_after* is in seconds."""

    status_hint = 503
    kind = "unavailable"


class CircuitOpen(NotSent):
    """A breaker refused the attempt.

    *by_operator* says that the breaker is forced open: then not even the last
    target is tried all the same.
    """

    by_operator: bool = False


class Throttled(NotSent):
    """The credential is being rate limited, so this attempt was held back."""

    status_hint = 429
    kind = "busy"


class BulkheadFull(NotSent):
    """As many calls to the provider as it may have are under way."""

    kind = "busy"


class AllTargetsFailed(ExceptionGroup[LynkrError], LynkrError):
    """Every candidate failed; `.exceptions` holds one error per attempt, in order."""

    status_hint = 502
    kind = "upstream"

    def derive(self, excs: Sequence[LynkrError], /) -> Self:  # type: ignore[override]  # reason: the group is of LynkrError only
        return type(self)(self.message, excs)

    @property
    def last(self) -> LynkrError:
        """The error a client should see: the last attempt's."""
        error = self.exceptions[-1]
        return error.last if isinstance(error, AllTargetsFailed) else error  # type: ignore[return-value]  # reason: members are LynkrErrors


class LedgerError(LynkrError):
    """The ledger cannot be read or written now: locked, full, damaged or gone."""

    status_hint = 503
    retryable = True
    kind = "unavailable"


class GatewayClosed(LynkrError):
    """The gateway is draining or was closed."""

    status_hint = 503
    kind = "unavailable"


def without_frames(error: _Told) -> _Told:
    """*error*, not holding on to the frames it came through, nor the errors it came of to theirs.

    For errors that were handled: where something in such a frame holds the error, request and body
    would otherwise live until the cycle collector comes by.
    """
    known: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        one.__traceback__ = None
        todo += (one.__cause__, one.__context__)
        if isinstance(one, BaseExceptionGroup):
            todo += cast("tuple[BaseException, ...]", one.exceptions)
    return error
