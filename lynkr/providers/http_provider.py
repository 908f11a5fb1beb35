"""A provider reached over HTTP: a codec, an endpoint, credentials and a transport, put together.

Same dialect in and out: the client's own bytes go up, with only ``model``
replaced (and a stream's usage asked for: `lynkr.providers.asked_usage`), and the
provider's own bytes come back.  Otherwise both ways are
translated through the canonical model.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from secrets import token_hex
from types import MappingProxyType
from typing import Final, NoReturn

from attrs import Factory, evolve, field, frozen

from lynkr.errors import UpstreamError, UpstreamRefused, UpstreamTimeout, UpstreamWireError
from lynkr.model import Event, Json, Loss, Response, ToolMode, WireFormat
from lynkr.model.fold import unfold
from lynkr.model.response import Usage
from lynkr.providers.answer import (
    Connection,
    DecodedEvents,
    ListedEvents,
    OnePiece,
    PassedBytes,
    Patience,
    Reading,
    name_target,
    named,
    note_response,
)
from lynkr.providers.asked_usage import UsageGate, asking_usage
from lynkr.providers.auth import NoAuth
from lynkr.providers.base import (
    DEFAULT_TIMEOUTS,
    Auth,
    Endpoint,
    Framing,
    HTTPRequest,
    RefreshingAuth,
    Timeouts,
    Transport,
)
from lynkr.providers.body_rules import PLAIN_BODIES, BodyRules
from lynkr.providers.hidden import Hidden
from lynkr.providers.serial_tools import SAID, field_of, serial
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target
from lynkr.service import HOPS_HEADER, Call, Reply, Tally
from lynkr.wire.base import Codec, SkimmingCodec, TellingCodec, Told
from lynkr.wire.json_body import JsonBody, dump, parse_value

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BYTES: Final = 1024 * 1024
_MOST_MODELS: Final = 256

# Request headers that are never the client's to set, whatever a caller put into `Call.headers`.
_OURS: Final = frozenset({
    "accept", "accept-encoding", "api-key", "authorization", "connection", "content-encoding",
    "content-length", "content-type", "cookie", "expect", "host", "keep-alive", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade", "user-agent", "x-api-key", "x-goog-api-key",
})  # fmt: skip
# A client of another dialect may still have set these for the target's.
_OF_DIALECT: Final[Mapping[WireFormat, tuple[str, ...]]] = MappingProxyType(
    {
        WireFormat.ANTHROPIC_MESSAGES: ("anthropic-",),
        WireFormat.OPENAI_CHAT: ("openai-",),
        WireFormat.OPENAI_RESPONSES: ("openai-",),
    }
)
_BETA: Final = "anthropic-beta"
# The client's headers that switch fields of its body on: each goes with them or falls with them.
_PAIRED: Final = ("anthropic-beta", "openai-beta")
# Of no dialect: where the request belongs in a trace (W3C Trace Context), set where the gateway traces, and
# how many gateways it came through.
_OF_ANY_DIALECT: Final = frozenset({"traceparent", "tracestate", HOPS_HEADER})
_REQUEST_IDS: Final = ("x-amzn-requestid", "request-id", "x-request-id")
# Response headers that mean something to the client beyond this hop.
_PASSED_ON: Final = (
    "request-id", "x-request-id", "anthropic-", "x-ratelimit-", "retry-after", "x-should-retry", "openai-",
    "x-generation-id", "x-amzn-",
)  # fmt: skip


@frozen
class Counting:
    """How a host counts a request's input tokens: by its body, at another address.

    *rules* change the body as for answering it, *wrap* puts its JSON into what
    the address wants, *answer* is the field the count comes in.  *codec* is the
    dialect it is asked in, None for the provider's own.
    """

    endpoint: Endpoint
    rules: BodyRules = PLAIN_BODIES
    wrap: Callable[[bytes], bytes] = bytes
    answer: str = "input_tokens"
    codec: Codec | None = None


def _no_profile(_: Target) -> Profile:
    return UNKNOWN_PROFILE


def _skim_of(provider: "HTTPProvider") -> Callable[[bytes], bytes] | None:
    return provider.codec.skim if isinstance(provider.codec, SkimmingCodec) else None


def _stream_type_of(provider: "HTTPProvider") -> str:
    return provider.codec.stream_media_type if provider.framing is None else provider.framing.media_type


def _plain_headers_of(provider: "HTTPProvider") -> tuple[dict[str, str], dict[str, str]]:
    rest = {"content-type": "application/json", "user-agent": "lynkr", **provider.default_headers}
    return {"accept": "application/json", **rest}, {"accept": _stream_type_of(provider), **rest}


def _told_of(provider: "HTTPProvider") -> Callable[[Mapping[str, Json]], Told | None]:
    return provider.codec.told if isinstance(provider.codec, TellingCodec) else lambda _body: None


def _refreshing(provider: "HTTPProvider") -> RefreshingAuth | None:
    return provider.auth if isinstance(provider.auth, RefreshingAuth) else None


@frozen
class _Outgoing:
    """What one call sends.

    *passes*: the client's own bytes, so the answer's pass back too.  *asks_usage*: the stream's usage is
    asked for in the client's place, which does not expect it.
    """

    body: bytes
    headers: Mapping[str, str]
    passes: bool
    losses: tuple[Loss, ...] = ()
    asks_usage: bool = False


@frozen(kw_only=True)
class HTTPProvider:
    """Sends a call's one attempt to its target; see `lynkr.providers.base.Provider`.

    *headers* (lower case) go with every request and win over the client's,
    *default_headers* lose to them.  *framing* is what the host wraps its
    streams in, None if nothing.  *counting* is None where the host does not
    count tokens, *embeddings* where it has none.  *asks_usage*: for a client that streams Chat without
    asking for usage it is asked for, where *rules* say that the host takes that, and taken out of the
    answer again.  *profiles* tells what a target can do.
    *clock* is monotonic, in seconds, the same one `Call.deadline` is in.  The
    transport may be shared: whoever made it closes it, unless *owns_transport*.
    """

    name: str
    codec: Codec
    endpoint: Endpoint
    transport: Transport = field(repr=False)
    auth: Auth = field(factory=NoAuth, repr=False)
    rules: BodyRules = PLAIN_BODIES
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    default_headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    framing: Framing | None = None
    counting: Counting | None = None
    embeddings: Endpoint | None = None
    asks_usage: bool = True
    profiles: Callable[[Target], Profile] = field(default=_no_profile, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    owns_transport: bool = False
    _refreshing: RefreshingAuth | None = field(
        # Asked once: a check against a protocol is not cheap.
        default=Factory(_refreshing, takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )
    _skim: Callable[[bytes], bytes] | None = field(
        default=Factory(_skim_of, takes_self=True), init=False, repr=False, eq=False
    )
    _told: Callable[[Mapping[str, Json]], Told | None] = field(
        default=Factory(_told_of, takes_self=True), init=False, repr=False, eq=False
    )
    _stream_type: str = field(
        default=Factory(_stream_type_of, takes_self=True), init=False, repr=False, eq=False
    )
    _plain_headers: tuple[dict[str, str], dict[str, str]] = field(
        # For a whole answer and for a stream.
        default=Factory(_plain_headers_of, takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )
    _rules_of: dict[str, BodyRules] = field(factory=dict[str, BodyRules], init=False, repr=False, eq=False)

    @property
    def ends_in_time(self) -> bool:
        """See `lynkr.providers.base.punctual_of`; credentials that expire are got in their own time."""
        return self._refreshing is None

    def profile(self, model: str, /) -> Profile:
        return self.profiles(Target(self.name, model))

    async def send(self, call: Call, /) -> Reply:
        """See `lynkr.providers.base.Provider.send`."""
        began = self.clock()
        outgoing = self._outgoing(call, self._rules(call.target.model))
        url = self._url(self.endpoint, call, stream=call.request.stream)
        if self._refreshing is not None:
            await self._refreshing.refresh()
        connection = self._connect(self._request(call, url, outgoing), outgoing, call, began)
        try:
            await connection.open()
            if not 200 <= connection.status < 300:
                await self._refuse(connection)
            return await self._reply(call, outgoing, connection)
        except BaseException:
            await connection.aclose()
            raise

    async def count_tokens(self, call: Call, /) -> int | None:
        """The provider's own count of the request's input tokens; None where it does not count.

        Raises:
            UpstreamError, UpstreamWireError: as `send`.
        """
        counting = self.counting
        if counting is None:
            return None
        target = str(call.target)
        speaker = self if counting.codec is None else evolve(self, codec=counting.codec)
        whole = evolve(call, request=evolve(call.request, stream=False))
        outgoing = speaker._outgoing(whole, counting.rules)  # noqa: SLF001  # reason: the same class
        url = self._url(counting.endpoint, call, stream=False)
        began = self.clock()
        await self._refresh_credentials()
        request = self._request(whole, url, evolve(outgoing, body=counting.wrap(outgoing.body)))
        connection = self._connect(request, outgoing, whole, began)
        try:
            await connection.open()
            if connection.status in (404, 405, 501):
                return None  # a compatible host that does not have it
            if not 200 <= connection.status < 300:
                await self._refuse(connection)
            counted = _parse_object(await connection.read(MAX_ERROR_BYTES), target).get(counting.answer)
        finally:
            await connection.aclose()
        if type(counted) is not int:
            raise UpstreamWireError(f"{target}: the token count is not a number")
        return counted

    async def embed(self, call: Call, /) -> Reply | None:
        """See `lynkr.providers.base.Embedder`: only for a body of this provider's own dialect."""
        raw = self._own_dialect(call)
        if self.embeddings is None or raw is None:
            return None
        target = str(call.target)
        url = self._url(self.embeddings, call, stream=False)
        began = self.clock()
        await self._refresh_credentials()
        outgoing = _Outgoing(raw.splice("model", call.target.model), self._headers(call, {}), passes=True)
        connection = self._connect(self._request(call, url, outgoing), outgoing, call, began)
        try:
            await connection.open()
            if not 200 <= connection.status < 300:
                await self._refuse(connection)
            body = await connection.read(MAX_ANSWER_BYTES)
        finally:
            await connection.aclose()
        value = _parse_object(body, target)
        embedded = _embedded_status(value)
        if embedded is not None and "data" not in value:
            raise self._error(connection, embedded, body)
        usage = value.get("usage")
        counted = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
        tally = Tally(model=call.target.model, complete=True)
        if type(counted) is int:
            tally.usage = Usage(input=counted, output=0)
        return evolve(_reply_head(call, connection, tally), raw=OnePiece(body))

    async def _refresh_credentials(self) -> None:
        if self._refreshing is not None:
            await self._refreshing.refresh()

    async def aclose(self) -> None:
        if self.owns_transport:
            await self.transport.aclose()

    # ------------------------------------------------------------------ the request

    def _rules(self, model: str) -> BodyRules:
        """`rules`, less what cannot concern *model*; of the models asked most lately."""
        rules = self._rules_of.get(model)
        if rules is None:
            if len(self._rules_of) >= _MOST_MODELS:
                self._rules_of.clear()
            rules = self._rules_of[model] = self.rules.of_model(model)
        return rules

    def _url(self, endpoint: Endpoint, call: Call, *, stream: bool) -> str:
        try:
            return endpoint.url(call.target.model, stream=stream)
        except ValueError as error:
            target = str(call.target)
            raise UpstreamRefused(f"{target}: {error}", target=target, status=404) from error

    def _outgoing(self, call: Call, rules: BodyRules) -> _Outgoing:
        model = call.target.model
        raw = self._own_dialect(call)
        one_at_a_time = self._calls_one_tool(call, rules)
        if raw is not None:
            headers = self._headers(call, {})
            betas = _told_betas(headers, rules)
            changes = rules.changes(raw.value, model, betas)
            losses = changes.losses
            also: dict[str, Json] = {}
            if one_at_a_time and (told := serial(self.codec.format, raw.value)):
                also.update(told)
                losses = (*losses, SAID)
            options = asking_usage(raw.value) if self.asks_usage and rules.stream_usage else None
            if options is not None:
                also["stream_options"] = options
            body = rules.put_in(raw, model, changes, also)
            return _Outgoing(body, headers, passes=True, losses=losses, asks_usage=options is not None)
        asked = evolve(call.request, model=model)
        encoded = self.codec.encode_request(
            evolve(asked, parallel_tool_calls=False) if one_at_a_time else asked
        )
        headers = self._headers(call, encoded.headers)
        betas = _told_betas(headers, rules)
        changes = rules.changes(encoded.body, model, betas)
        body = dump(rules.applied(encoded.body, changes))
        losses = (*encoded.losses, *changes.losses, *self._fallen_headers(call))
        losses = (*losses, SAID) if one_at_a_time else losses
        return _Outgoing(body, headers, passes=False, losses=losses)

    def _calls_one_tool(self, call: Call, rules: BodyRules) -> bool:
        """Whether the target is to be told to call one tool at a time, for it is known not to do more."""
        request, name = call.request, field_of(self.codec.format)
        if not request.tools or request.parallel_tool_calls is False or name is None:
            return False
        choice = request.tool_choice
        if choice is not None and choice.mode is ToolMode.NONE:
            return False
        if self.profile(call.target.model).parallel_tools is not False:
            return False
        body: Mapping[str, Json] = {} if call.raw is None else call.raw.body.value
        return not rules.refuses(name, body, call.target.model)

    def _fallen_headers(self, call: Call) -> tuple[Loss, ...]:
        """The client's headers that fall with the fields of the body they belong to."""
        if self._own_dialect(call) is not None:
            return ()
        prefixes = _OF_DIALECT.get(self.codec.format, ())
        return tuple(
            Loss(f"headers.{name}", f"{value!r} is of the client's dialect, not {self.codec.format}")
            for name in _PAIRED
            if (value := call.headers.get(name)) and not name.startswith(prefixes)
        )

    def _own_dialect(self, call: Call) -> JsonBody | None:
        """The client's body, if it is in this provider's dialect."""
        raw = call.raw
        return raw.body if raw is not None and raw.format is self.codec.format else None

    def _headers(self, call: Call, encoded: Mapping[str, str]) -> dict[str, str]:
        """Ours, the client's end-to-end ones, and those that belong to fields of the body."""
        headers = dict(self._plain_headers[call.request.stream])
        if call.headers:
            prefixes = _OF_DIALECT.get(self.codec.format, ())
            is_own = self._own_dialect(call) is not None
            headers |= {
                name: value
                for name, value in call.headers.items()
                if name not in _OURS and (is_own or name in _OF_ANY_DIALECT or name.startswith(prefixes))
            }
        if _BETA not in headers and not encoded:
            headers.update(self.headers)
            return headers
        betas = [source[_BETA] for source in (headers, self.headers, encoded) if _BETA in source]
        headers.update(encoded)
        headers.update(self.headers)
        if len(betas) > 1:
            headers[_BETA] = ",".join(_split_betas(",".join(betas)))
        return headers

    def _request(self, call: Call, url: str, outgoing: _Outgoing) -> HTTPRequest:
        timeouts, total = self.timeouts, self.timeouts.total
        if call.deadline is not None:
            left = call.deadline - self.clock()
            if left <= 0:
                target = str(call.target)
                raise UpstreamTimeout(f"{target}: no time was left to send the request", target=target)
            total = left if total is None or left < total else total
        first = timeouts.first_token
        if first is not None and not call.request.stream and (total is None or first < total):
            total = first  # a whole answer's first part is here when all of it is
        if total != timeouts.total:
            timeouts = Timeouts(timeouts.connect, timeouts.first_byte, first, timeouts.idle, total)
        return self.auth.sign(HTTPRequest("POST", url, outgoing.headers, outgoing.body, timeouts))

    def _connect(self, request: HTTPRequest, outgoing: _Outgoing, call: Call, began: float) -> Connection:
        hidden = Hidden(request.headers, outgoing.headers, self.headers)
        first = self.timeouts.first_token
        whole = not call.request.stream
        patience = None if first is None else Patience(first, began, self.timeouts.idle, self.clock, whole)
        return Connection(self.transport.send(request), str(call.target), hidden, patience)

    # ------------------------------------------------------------------ the answer

    async def _reply(self, call: Call, outgoing: _Outgoing, connection: Connection) -> Reply:
        media_type = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_stream = media_type in (self.codec.stream_media_type, self._stream_type) or (
            # Some servers mislabel their streams; a JSON object is never one.
            call.request.stream and media_type != "application/json"
        )
        # Bytes of the other shape than the client asked for are of no use to it.
        passes = outgoing.passes and is_stream == call.request.stream
        if is_stream:
            if self.framing is not None and media_type != self.codec.stream_media_type:
                connection.unwrap(self.framing.unwrapper())
            return await self._streamed(call, outgoing, connection, passes=passes)
        return await self._whole(call, outgoing, connection, passes=passes)

    async def _streamed(
        self, call: Call, outgoing: _Outgoing, connection: Connection, *, passes: bool
    ) -> Reply:
        tally = Tally()
        reading = Reading(
            connection.target,
            connection.hidden,
            tally,
            self.codec.event_decoder(),
            self.clock,
            call.observer,
            lambda: _answer_id(connection),
        )
        reply = _reply_head(call, connection, tally, outgoing.losses)
        if self.framing is not None:
            reply = evolve(reply, content_type=self.codec.stream_media_type)
        if passes:
            skim = self._skim if call.observer is None else None
            gate = UsageGate() if outgoing.asks_usage else None
            raw = PassedBytes(connection, reading, tally, skim, gate)
            await raw.prime()
            return reply.over(None, raw)
        events = DecodedEvents(connection, reading)
        await events.prime()
        return reply.over(events, None)

    async def _whole(self, call: Call, outgoing: _Outgoing, connection: Connection, *, passes: bool) -> Reply:
        body = await connection.read(MAX_ANSWER_BYTES)
        await connection.aclose()
        value = _parse_object(body, connection.target)
        embedded = _embedded_status(value)
        if embedded is not None:
            raise self._error(connection, embedded, body)
        told = self._told(value) if passes and call.observer is None else None
        if told is not None:
            tally = Tally(
                told.id, told.model, told.usage, told.stop_reason, self.clock(), True, told.tool_calls
            )
            return _reply_head(call, connection, tally, outgoing.losses, raw=OnePiece(body))
        reply = _reply_head(call, connection, Tally(), outgoing.losses)
        events: tuple[Event, ...] = ()
        try:
            response = named(
                self.codec.decode_response(value), lambda: _answer_id(connection), connection.target
            )
            events = self._read_whole(response, reply.tally, call.observer, wanted=not passes)
        except UpstreamError as error:
            name_target(error, connection.target, connection.hidden)
            raise
        except Exception as error:
            if not passes:
                name_target(error, connection.target, connection.hidden)
                raise
            # The tap: counted in the tally, never harms the answer.
            reply.tally.tap_error = connection.hidden.in_text(f"{type(error).__name__}: {error}")
        if passes:
            return reply.over(None, OnePiece(body))
        return reply.over(ListedEvents(deque(events)), None)

    def _read_whole(
        self,
        response: Response,
        tally: Tally,
        observer: Callable[[Event], None] | None,
        *,
        wanted: bool,
    ) -> tuple[Event, ...]:
        """The answer's events if *wanted*; its tally in any case."""
        note_response(tally, response, self.clock())
        if observer is None and not wanted:
            return ()
        events = unfold(response)
        if observer is not None:
            for event in events:
                observer(event)
        return events

    async def _refuse(self, connection: Connection) -> NoReturn:
        """Raise what an answer other than 2xx means."""
        target, status = connection.target, connection.status
        body = await connection.read_some(MAX_ERROR_BYTES)
        if status < 400:
            where = connection.hidden.in_text(connection.headers.get("location", "elsewhere"))
            raise UpstreamRefused(
                f"{target} redirects to {where}; set its base_url to the final address",
                target=target,
                status=status,
            )
        raise self._error(connection, status, body)

    def _error(self, connection: Connection, status: int, body: bytes) -> Exception:
        """What an answer says went wrong, without the credentials it may quote."""
        hidden = connection.hidden
        headers = hidden.in_headers(_passed_on(connection.headers))
        return self.codec.decode_error(status, headers, hidden.in_bytes(body), target=connection.target)


def _reply_head(
    call: Call,
    connection: Connection,
    tally: Tally,
    losses: tuple[Loss, ...] = (),
    *,
    raw: OnePiece | None = None,
) -> Reply:
    """The reply, before anybody knows what can be read of it unless that is *raw*."""
    return Reply(
        call.target,
        tally,
        None,
        raw,
        status=connection.status,
        headers=_passed_on(connection.headers),
        content_type=connection.headers.get("content-type", "application/json"),
        losses=losses,
    )


def _answer_id(connection: Connection) -> str:
    """An id for an answer whose dialect has none: the provider's own of the request, else a new one."""
    for name in _REQUEST_IDS:
        if value := connection.headers.get(name):
            return value
    return f"lynkr_{token_hex(12)}"


def _split_betas(text: str) -> list[str]:
    return list(dict.fromkeys(beta.strip() for beta in text.split(",") if beta.strip()))


def _told_betas(headers: dict[str, str], rules: BodyRules) -> list[str]:
    """The betas *headers* ask for; in them stay those that the host knows and reads there."""
    if _BETA not in headers:
        return []
    betas = _split_betas(headers[_BETA])
    stay = rules.header_betas(betas)
    if not stay:
        del headers[_BETA]
    elif stay != betas:
        headers[_BETA] = ",".join(stay)
    return betas


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith(_PASSED_ON)}


def _parse_object(body: bytes, target: str) -> Mapping[str, Json]:
    try:
        value: Json = parse_value(body)
    except ValueError as error:
        reason = f"JSON: {error}"
    else:
        if isinstance(value, Mapping):
            return value
        reason = "a JSON object"
    # Not from the parser's error: that holds the whole text, and a host may have quoted the request's key.
    raise UpstreamWireError(f"{target}: the answer is not {reason}")


def _embedded_status(value: Mapping[str, Json]) -> int | None:
    """The status of an error that came as a 200 body; None if the body is an answer.

    OpenRouter answers 200 once the model has begun and puts a later failure
    into the body, its status in ``error.code`` ("Errors and debugging", read 2026-11).
    """
    error = value.get("error")
    if not error or "choices" in value or "content" in value:
        return None
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 502
