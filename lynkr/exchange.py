"""One request from its first byte to its record.

An `Exchange` belongs to one request.  It holds what the record will say and
writes that record exactly once, whichever way the request ends.
"""

from collections.abc import Callable, Mapping
from functools import partial

from attrs import define, evolve, field

from lynkr.errors import LynkrError
from lynkr.model import Event, Folder, Loss, Part, Request, Response, Start, Text, WireFormat
from lynkr.plan import Plan
from lynkr.recording import Answered, Finished, Ledger, Try, ended_of, error_name
from lynkr.routing.context import NO_CONTEXT, RequestContext
from lynkr.seals import closed, sealing
from lynkr.service import Journal, RawBody, Reply
from lynkr.stores import StoredResponse
from lynkr.telemetry.observers import Ended
from lynkr.telemetry.record import Ending, Record
from lynkr.wire.base import AnsweringCodec, Codec, EventEncoder, FollowingEncoder
from lynkr.wire.json_body import dump

__all__ = ["Exchange", "Ledger", "Plan", "WireExchange", "error_name", "stamp"]


@define(kw_only=True)
class Exchange:
    """One request under way, from a caller in this process.

    *operation* is what it is for (``chat``, ``embeddings``), *trace* what the gateway's tracer began for it.
    *settle* is told what it came to, by who counts that.
    """

    id: str
    ledger: Ledger
    at: float
    began: float
    request: Request | None = None
    plan: Plan | None = None
    session: str | None = None
    context: RequestContext = NO_CONTEXT
    reply: Reply | None = None
    journal: Journal = field(factory=Journal)
    first_event_seconds: float | None = None
    operation: str = "chat"
    trace: object | None = None
    settle: Callable[[Record], None] | None = None
    _answer: Folder | None = None
    _written: bool = False
    _live: bool = False
    _streams: bool = False

    @property
    def client_format(self) -> WireFormat | None:
        """The client's dialect; None for a caller in this process."""
        return None

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What translation could not carry, on the way there and back, and what could not be read."""
        return () if self.reply is None else (*self.reply.losses, *_unread(self.reply))

    @property
    def is_stream(self) -> bool:
        """Whether the client asked for a stream."""
        return self.request is not None and self.request.stream

    def checked_request(self) -> Request:
        """The request, once it was read."""
        if self.request is None:
            raise AssertionError("an exchange goes on after its request was read")
        return self.request

    def enter(self, trace: object | None = None) -> None:
        """Count as a request under way, from now until `finish`."""
        self.trace = trace
        self._live = True
        self.ledger.live.requests += 1

    def primed(self, reply: Reply) -> None:
        """Note that the answer's first part is there."""
        self.reply = reply
        if self.is_stream and self._live and not self._streams:
            self._streams = True
            self.ledger.live.streams += 1
        self.first_event_seconds = self.ledger.monotonic() - self.began

    @property
    def keeps_answer(self) -> bool:
        """Whether the answer is wanted beyond its end."""
        return False

    @property
    def observer(self) -> Callable[[Event], None] | None:
        """Collects the answer's words, if the owner wants them kept."""
        if not self.ledger.record_text and not self.keeps_answer:
            return None
        self._answer = Folder()
        return self._answer.add

    def headers(self) -> dict[str, str]:
        """The decision, as the ``x-lynkr-*`` headers of the answer."""
        headers = {"x-lynkr-decision-id": self.id}
        plan = self.plan
        if plan is None:
            return headers
        target = self.reply.target if self.reply is not None else plan.targets[0]
        headers["x-lynkr-provider"] = _header_text(target.provider)
        headers["x-lynkr-model"] = _header_text(target.model)
        decision = plan.decision
        if decision is None:
            headers["x-lynkr-reason"] = "named_target"
            return headers
        headers["x-lynkr-tier"] = decision.tier.name
        headers["x-lynkr-score"] = f"{decision.score:.3f}"
        headers["x-lynkr-reason"] = _header_text(decision.reason)
        served = plan.tier_of(target)
        if served is not None and served is not decision.tier:
            headers["x-lynkr-served-tier"] = served.name
        return headers

    def finish(self, ending: Ending, status: int, error: BaseException | None = None) -> None:
        """Write the record; only the first call counts."""
        if self._written:
            return
        self._written = True
        ledger = self.ledger
        ledger.live.requests -= self._live
        ledger.live.streams -= self._streams
        finished = self._finished(ending, status, error)
        if self.settle is not None:
            self.settle(finished.record())
        ledger.keep(finished)
        if ledger.tell is not None:
            ledger.tell(self._ended(finished))

    def _finished(self, ending: Ending, status: int, error: BaseException | None) -> Finished:
        """All that the record is made of: by position, as this is on the request's path."""
        reply, request, plan, ledger = self.reply, self.request, self.plan, self.ledger
        answered = None
        if reply is not None:
            tally = reply.tally
            answered = Answered(reply.target, tally.usage, not tally.complete, tally.tool_calls)
        is_seen = plan is None or plan.decision is None or plan.decision.features is not None
        return Finished(
            ledger,
            self.id,
            self.at,
            self.client_format,
            "" if request is None else request.model,
            self.is_stream,
            None if request is None else len(request.tools),
            ending,
            status,
            None if error is None else error_name(error),
            ledger.monotonic() - self.began,
            self.first_event_seconds,
            self.session,
            self.context,
            plan,
            tuple([Try.of(attempt, reply) for attempt in self.journal.attempts]),
            answered,
            self.losses,
            self._answer_text(),
            request.messages if ledger.record_text and request is not None else None,
            None if is_seen else request,
        )

    def _ended(self, finished: Finished) -> Callable[[], Ended]:
        """What observers see, to be made in their thread."""
        tally = None if self.reply is None else self.reply.tally
        request = self.request
        thinking = None if request is None else request.reasoning
        return partial(
            ended_of,
            finished,
            operation=self.operation,
            response_id=None if tally is None else tally.id,
            response_model=None if tally is None else tally.model,
            stop_reason=None if tally is None or tally.stop_reason is None else tally.stop_reason.value,
            max_tokens=None if request is None else request.max_output_tokens,
            reasoning=None if thinking is None else thinking.effort,
            trace=self.trace,
        )

    def _answer_text(self) -> str | None:
        if self._answer is None or not self.ledger.record_text:
            return None
        return "".join(part.text for part in self._answer.parts() if isinstance(part, Text))


@define(kw_only=True)
class WireExchange(Exchange):
    """One request under way, from a client that speaks a dialect.

    *error* is why it failed before anything was sent; *raw* is the client's
    own body; *forwarded* are its headers an upstream of its dialect should get.
    *asked* is the request as the client sees it, where `request` says more;
    *resumed* is the conversation it goes on from; *keep* is given the id and
    the parts of a whole answer.
    """

    codec: Codec
    raw: RawBody | None = None
    forwarded: Mapping[str, str] = field(factory=dict[str, str])
    error: LynkrError | None = None
    response_losses: tuple[Loss, ...] = ()
    asked: Request | None = None
    resumed: StoredResponse | None = None
    keep: Callable[[str, tuple[Part, ...]], None] | None = None
    _encoder: EventEncoder | None = None
    _first_passed: bytes = b""
    _last_passed: bytes = b""

    @property
    def client_format(self) -> WireFormat:
        return self.codec.format

    @property
    def losses(self) -> tuple[Loss, ...]:
        back = self.response_losses if self._encoder is None else self._encoder.losses
        sent = () if self.reply is None else (*self.reply.losses, *_unread(self.reply))
        return (*sent, *back)

    @property
    def encoder(self) -> EventEncoder:
        """Writes this exchange's stream in the client's dialect; one per exchange."""
        if self._encoder is None:
            encoder = self.codec.event_encoder(self.asked or self.request)
            self._encoder = sealing(encoder, self.client_format)
        return self._encoder

    def note_passed(self, events: bytes) -> None:
        """Whole events of the provider's own stream have gone to the client untouched."""
        if b"data:" in events:  # else they are comments
            self._first_passed = self._first_passed or events
            self._last_passed = events

    def encode_error(self, error: BaseException) -> bytes:
        """The dialect's terminal error event, after whatever was sent so far."""
        return self._following().encode_error(error)

    def encode_rest(self) -> bytes:
        """What the dialect still wants after a whole answer that was passed on."""
        return self._following().close()

    def _following(self) -> EventEncoder:
        encoder = self.encoder
        if self._first_passed and isinstance(encoder, FollowingEncoder):
            encoder.follow(self._first_passed, self._last_passed)
        return encoder

    @property
    def answer_id(self) -> str | None:
        """The id a translated answer is given, for dialects whose clients refer to answers by it."""
        return f"resp_{self.id}" if self.client_format is WireFormat.OPENAI_RESPONSES else None

    @property
    def keeps_answer(self) -> bool:
        return self.keep is not None

    def encode_answer(self, response: Response, now: float) -> bytes:
        """A whole answer in the client's dialect; what fell stands in `losses`."""
        response = evolve(
            response,
            id=self.answer_id or response.id,
            created=int(now) if response.created is None else response.created,
            parts=closed(response.parts, self.client_format),
        )
        asked = self.asked or self.request
        if asked is not None and isinstance(self.codec, AnsweringCodec):
            encoded = self.codec.encode_answer(response, asked)
        else:
            encoded = self.codec.encode_response(response)
        self.response_losses = encoded.losses
        return dump(encoded.body)

    def finish(self, ending: Ending, status: int, error: BaseException | None = None) -> None:
        """Keep a whole answer, if it is to be kept, and write the record; only the first call counts."""
        if ending is Ending.OK and not self._written:
            self.keep_answer()
        Exchange.finish(self, ending, status, error)

    def keep_answer(self) -> None:
        """Keep the answer, if it is to be kept and is whole.

        To be called before its last bytes go out: whoever has them may go on from it, at another worker.
        """
        if self.keep is None or self._answer is None or self.reply is None or not self.reply.tally.complete:
            return
        given = self.reply.tally.id if self.reply.raw is not None else self.answer_id
        self.keep(given or "", self._answer.parts())
        self.keep = None

    def fail(self, error: BaseException, *, started: bool) -> None:
        """Write the record of a defect or a shutdown; *started* says that a 200 is out already."""
        status = 200 if started else self.codec.encode_error(error).status
        self.finish(Ending.FAILED, status, error)


def _unread(reply: Reply) -> tuple[Loss, ...]:
    """What the record lacks because an answer that went through untouched could not be read along.

    Its client got every byte, so it ended well; its usage, cost and words may be incomplete.
    """
    error = reply.tally.tap_error
    return () if error is None else (Loss("usage", f"the answer could not be read: {error}"),)


def stamp(event: Event, now: float, answer_id: str | None = None) -> Event:
    """*event*, with the time filled in that a dialect without one left open, and under *answer_id*."""
    if isinstance(event, Start):
        created = int(now) if event.created is None else event.created
        return evolve(event, id=answer_id or event.id, created=created)
    return event


def _header_text(text: str) -> str:
    """Header values are visible ASCII; anything else is percent-encoded, a line break above all."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isascii() and c.isprintable() else "".join(f"%{b:02X}" for b in c.encode("utf-8", "replace"))
        for c in text
    )
