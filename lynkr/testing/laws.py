"""The laws of codecs, streams and routers, as assertions to call from a test.

Each raises `AssertionError` with what was expected and what came.  Bodies go
through `dump` and `parse_body`, so a law speaks about bytes, not about trees.
Needs no test framework; `lynkr.testing.strategies` generates what to call it with.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, TypeAlias, cast

import attrs

from lynkr.errors import LynkrError, RoutingError, UpstreamError, UpstreamWireError
from lynkr.model import (
    Event,
    Extras,
    Finish,
    Json,
    Loss,
    PartDelta,
    PartStart,
    Request,
    Response,
    ToolCall,
)
from lynkr.model.fold import fold, unfold
from lynkr.routing.decision import Decision, Snapshot, Target
from lynkr.routing.protocols import TierRouter
from lynkr.wire.base import Codec, Encoded
from lynkr.wire.json_body import dump, parse_body, parse_value

__all__ = [
    "assert_body_law",
    "assert_chunking_law",
    "assert_cut_stream_raises",
    "assert_fold_law",
    "assert_losses_honest",
    "assert_response_body_law",
    "assert_response_losses_honest",
    "assert_response_round_trip",
    "assert_round_trip",
    "assert_stream_losses_honest",
    "assert_stream_round_trip",
    "assert_tool_arguments_exact",
    "check_router_laws",
    "decode_stream",
    "differences",
    "encode_stream",
]

_Items: TypeAlias = Sequence[object]
_Fields: TypeAlias = Mapping[str, object]

# --- What differs -------------------------------------------------------------------------------------


def differences(one: object, other: object, path: str = "") -> tuple[str, ...]:
    """Paths at which two canonical values differ, such as ``messages[0].parts[1].extras.cache_control``.

    A sequence whose length differs is one difference at its own path; so is a
    node of another class.  Extras count field by field, whoever owns them. A
    tool call's arguments are compared as JSON where both are, because a dialect
    that sends an object cannot keep its white space.
    """
    match one, other:
        case (Extras(), Extras()):
            return _mapping_differences(one.fields, other.fields, path)
        case (ToolCall(), ToolCall()) if _same_arguments(one.arguments, other.arguments):
            return _node_differences(one, attrs.evolve(other, arguments=one.arguments), path)
        case (Mapping(), Mapping()):
            return _mapping_differences(cast("_Fields", one), cast("_Fields", other), path)
        case (str(), _) | (_, str()):
            return () if one == other else (path,)
        case (Sequence(), Sequence()):
            return _sequence_differences(cast("_Items", one), cast("_Items", other), path)
        case _ if attrs.has(type(one)) and type(one) is type(other):
            return _node_differences(one, other, path)
        case _:
            return () if one == other and isinstance(one, bool) == isinstance(other, bool) else (path,)


def _same_arguments(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return bool(parse_value(one or "{}") == parse_value(other or "{}"))
    except ValueError:
        return False


def _sequence_differences(one: _Items, other: _Items, path: str) -> tuple[str, ...]:
    if len(one) != len(other):
        return (path,)
    found: list[str] = []
    for at, (a, b) in enumerate(zip(one, other, strict=True)):
        found += differences(a, b, f"{path}[{at}]")
    return tuple(found)


def _node_differences(one: object, other: object, path: str) -> tuple[str, ...]:
    found: list[str] = []
    for attribute in attrs.fields(cast("type[attrs.AttrsInstance]", type(one))):
        name: str = attribute.name
        found += differences(getattr(one, name), getattr(other, name), f"{path}.{name}" if path else name)
    return tuple(found)


def _mapping_differences(one: _Fields, other: _Fields, path: str) -> tuple[str, ...]:
    found: list[str] = []
    for name in (*one, *(name for name in other if name not in one)):
        below = f"{path}.{name}" if path else name
        if name not in one or name not in other:
            found.append(below)
        else:
            found += differences(one[name], other[name], below)
    return tuple(found)


def _is_at_or_below(path: str, ancestor: str) -> bool:
    return path == ancestor or not ancestor or (path.startswith(ancestor) and path[len(ancestor)] in ".[")


def _meet(loss: Loss, difference: str) -> bool:
    """Whether *loss* speaks of *difference*: one of the two paths contains the other.

    A loss below a difference counts because a sequence that lost a member
    differs as a whole.
    """
    return _is_at_or_below(difference, loss.path) or _is_at_or_below(loss.path, difference)


def _check_honest(one: object, other: object, losses: Sequence[Loss]) -> None:
    found = differences(one, other)
    silent = [path for path in found if not any(_meet(loss, path) for loss in losses)]
    invented = [loss for loss in losses if not any(_meet(loss, path) for path in found)]
    if silent:
        raise AssertionError(
            f"lost without a Loss: {silent}\n  from {one!r}\n  to   {other!r}\n  losses {losses}"
        )
    if invented:
        raise AssertionError(f"declared lost, but carried: {invented}\n  from {one!r}\n  to   {other!r}")


# --- Whole bodies -------------------------------------------------------------------------------------


def _through_bytes(encoded: Encoded) -> Mapping[str, Json]:
    return parse_body(dump(encoded.body)).value


def assert_round_trip(codec: Codec, request: Request) -> None:
    """``decode(encode(request)) == request``, nothing lost: *request* is in the dialect's normal form."""
    encoded = codec.encode_request(request)
    _equal(
        request, codec.decode_request(_through_bytes(encoded)), "the request did not survive its own dialect"
    )
    _equal((), encoded.losses, "a request in normal form lost something")


def assert_response_round_trip(codec: Codec, response: Response) -> None:
    """As `assert_round_trip`, for an answer."""
    encoded = codec.encode_response(response)
    _equal(
        response, codec.decode_response(_through_bytes(encoded)), "the answer did not survive its own dialect"
    )
    _equal((), encoded.losses, "an answer in normal form lost something")


def assert_body_law(codec: Codec, body: Mapping[str, Json]) -> None:
    """``decode(encode(decode(body))) == decode(body)``, nothing lost, for every valid request body."""
    assert_round_trip(codec, codec.decode_request(parse_body(dump(body)).value))


def assert_response_body_law(codec: Codec, body: Mapping[str, Json]) -> None:
    """As `assert_body_law`, for an answer's body."""
    assert_response_round_trip(codec, codec.decode_response(parse_body(dump(body)).value))


def assert_losses_honest(codec: Codec, request: Request) -> None:
    """All that encoding *request* changed stands in `losses`, and nothing else stands there."""
    encoded = codec.encode_request(request)
    _check_honest(request, codec.decode_request(_through_bytes(encoded)), encoded.losses)


def assert_response_losses_honest(codec: Codec, response: Response) -> None:
    """As `assert_losses_honest`, for an answer."""
    encoded = codec.encode_response(response)
    _check_honest(response, codec.decode_response(_through_bytes(encoded)), encoded.losses)


def _equal(expected: object, actual: object, message: str) -> None:
    if expected != actual:
        where = ", ".join(differences(expected, actual)) or "(equal field by field)"
        raise AssertionError(f"{message}, at {where}\n  expected {expected!r}\n  actual   {actual!r}")


# --- Streams ------------------------------------------------------------------------------------------


def assert_fold_law(response: Response) -> None:
    """``fold(unfold(response)) == response``."""
    _equal(response, fold(unfold(response)), "the answer did not survive being streamed")


def encode_stream(codec: Codec, events: Iterable[Event], request: Request | None = None) -> bytes:
    """*events* as the dialect writes them, to the last byte."""
    encoder = codec.event_encoder(request)
    return b"".join(encoder.encode(event) for event in events) + encoder.close()


def decode_stream(codec: Codec, chunks: Iterable[bytes]) -> tuple[Event, ...]:
    """The events of a whole stream.

    Raises:
        UpstreamWireError: the stream is malformed or was cut short.
        UpstreamError: the stream carried an error event.
    """
    events, error = _drain(codec, chunks)
    if error is not None:
        raise error
    return events


def _drain(codec: Codec, chunks: Iterable[bytes]) -> tuple[tuple[Event, ...], LynkrError | None]:
    """What came before the stream ended, and how it ended."""
    decoder = codec.event_decoder()
    events: list[Event] = []
    try:
        for chunk in chunks:
            events.extend(decoder.feed(chunk))
        events.extend(decoder.close())
    except (UpstreamWireError, UpstreamError) as error:
        return tuple(events), error
    return tuple(events), None


def assert_stream_round_trip(codec: Codec, events: Sequence[Event]) -> None:
    """Encoding and decoding *events*, in the dialect's normal form, folds to the same answer.

    The events themselves may differ: a dialect without interleaving queues a
    part's deltas until the part before it ends.
    """
    decoded = decode_stream(codec, [encode_stream(codec, events)])
    _equal(fold(events), fold(decoded), "the streamed answer did not survive its own dialect")


def assert_stream_losses_honest(codec: Codec, events: Sequence[Event]) -> None:
    """As `assert_losses_honest`, for a streamed answer: paths are those of the answer it folds to.

    A stream carries any text as a call's arguments, also one that is no JSON
    object.  A dialect whose clients demand an object may tell that as a loss:
    it is real to them, though a decoder gets the text back.
    """
    encoder = codec.event_encoder(None)
    data = b"".join(encoder.encode(event) for event in events) + encoder.close()
    sent = fold(events)
    unreadable = {
        f"parts[{at}].arguments"
        for at, part in enumerate(sent.parts)
        if isinstance(part, ToolCall) and not _is_object(part.arguments)
    }
    read_back = fold(decode_stream(codec, [data]))
    carried = unreadable.difference(differences(sent, read_back))
    losses = [loss for loss in encoder.losses if loss.path not in carried]
    _check_honest(sent, read_back, losses)


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_value(text), dict)
    except ValueError:
        return False


def assert_chunking_law(codec: Codec, data: bytes, chunks: Sequence[bytes]) -> None:
    """Cutting a stream's bytes elsewhere changes neither its events nor its end."""
    if b"".join(chunks) != data:
        raise AssertionError("the chunks are not a cutting of the data")
    events, error = _drain(codec, (data,))
    again, error_again = _drain(codec, chunks)
    _equal(events, again, "other chunks, other events")
    _equal((type(error), str(error)), (type(error_again), str(error_again)), "other chunks, another end")


_EVERY_CUT_UP_TO: Final = 3_000


def assert_cut_stream_raises(codec: Codec, data: bytes, cuts: Iterable[int] | None = None) -> None:
    """A stream cut short raises, unless `Finish` had already come; it never ends clean.

    *cuts* are the lengths to cut *data* to; by default all of them, or for
    data over 3 000 bytes those around every line end.
    """
    if cuts is None:
        cuts = range(len(data)) if len(data) <= _EVERY_CUT_UP_TO else _near_line_ends(data)
    for cut in cuts:
        events, error = _drain(codec, (data[:cut],))
        finished = any(isinstance(event, Finish) for event in events)
        if error is None and not finished:
            raise AssertionError(
                f"cut after {cut} of {len(data)} bytes, the stream ended clean: {data[:cut]!r}"
            )


def _near_line_ends(data: bytes) -> list[int]:
    ends = [at for at, byte in enumerate(data) if byte == 0x0A]
    return sorted({cut for end in ends for cut in (end - 1, end, end + 1) if 0 <= cut < len(data)})


def assert_tool_arguments_exact(codec: Codec, events: Sequence[Event]) -> None:
    """Each call's argument deltas, through the dialect's bytes, join to the very same text."""
    decoded = decode_stream(codec, [encode_stream(codec, events)])
    expected, actual = _arguments_by_call(events), _arguments_by_call(decoded)
    _equal(sorted(expected), sorted(actual), "other tool calls came out than went in")
    for call_id, text in expected.items():
        if actual[call_id] != text:
            raise AssertionError(f"{call_id}: arguments {text[:200]!r} became {actual[call_id][:200]!r}")


def _arguments_by_call(events: Iterable[Event]) -> dict[str, str]:
    calls: dict[int, str] = {}
    texts: dict[int, list[str]] = {}
    for event in events:
        match event:
            case PartStart(index=index, part=ToolCall() as call):
                calls[index], texts[index] = call.id, [call.arguments]
            case PartDelta(index=index, text=text) if index in texts:
                texts[index].append(text)
            case _:
                continue
    return {calls[index]: "".join(texts[index]) for index in calls}


# --- Routers ------------------------------------------------------------------------------------------


def check_router_laws(
    router: TierRouter, request: Request, snapshot: Snapshot, *, configured: Collection[Target] | None = None
) -> Decision | None:
    """A router is deterministic, explains itself, and offers only what is there.

    *configured* are the targets it was built with; without them, that it
    invents none is not checked.  Gives the decision, None where the router
    refused with a `RoutingError`.
    """
    decision, refusal = _route(router, request, snapshot)
    again, refusal_again = _route(router, request, snapshot)
    _equal(decision, again, "two equal requests were routed differently")
    _equal(refusal, refusal_again, "two equal requests were refused differently")
    if decision is None:
        return None
    if not decision.trace:
        raise AssertionError("the decision gives no reasons")
    if not decision.targets:
        raise AssertionError("the decision names no target; a router raises RoutingError instead")
    if len(set(decision.targets)) != len(decision.targets):
        raise AssertionError(f"a target stands twice in {decision.targets}")
    if not 0 <= decision.score <= 1:
        raise AssertionError(f"the score {decision.score} is outside [0, 1]")
    if decision.tiers and len(decision.tiers) != len(decision.targets):
        raise AssertionError("tiers and targets do not pair")
    if configured is not None and not set(decision.targets) <= set(configured):
        raise AssertionError(f"invented targets: {set(decision.targets) - set(configured)}")
    down = [target for target in decision.targets if target in snapshot.unavailable]
    if down and len(down) != len(decision.targets):
        raise AssertionError(f"unavailable targets among usable ones: {down}")
    return decision


def _route(router: TierRouter, request: Request, snapshot: Snapshot) -> tuple[Decision | None, str | None]:
    try:
        return router.route(request, snapshot), None
    except RoutingError as error:
        return None, f"{type(error).__name__}: {error}"
