"""One request from its first byte to its record.

An `Exchange` belongs to one request.  It holds what the record will say and
writes that record exactly once, whichever way the request ends.
"""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from attrs import define, evolve, field, frozen

from lynkr.errors import AllTargetsFailed, LynkrError
from lynkr.model import (
    NO_USAGE,
    Event,
    Folder,
    Json,
    Loss,
    Message,
    Part,
    Request,
    Response,
    Start,
    Text,
    ToolResult,
    Usage,
    WireFormat,
)
from lynkr.pricing import Cost, PriceTable, cost_microusd, cost_of
from lynkr.routing.context import NO_CONTEXT, RequestContext
from lynkr.routing.decision import Decision, Snapshot, Target, Tier
from lynkr.routing.features import features_of
from lynkr.routing.recorded import Deferred, decision_json, seen_json
from lynkr.seals import closed, sealing
from lynkr.service import Attempt, Journal, RawBody, Reply
from lynkr.stores import StoredResponse
from lynkr.telemetry.observers import Ended, Live
from lynkr.telemetry.record import AttemptRecord, Ending, Record
from lynkr.wire.base import AnsweringCodec, Codec, EventEncoder, FollowingEncoder
from lynkr.wire.json_body import dump

_CACHE_SECONDS: Final = 3_600.0  # the longest lifetime of a provider's cache (Anthropic's; read 2026-11)


@frozen
class Plan:
    """Where a request is to go, and the *snapshot* it was decided in.

    *decision* and *snapshot* are None when the client named the target itself.
    """

    targets: tuple[Target, ...]
    decision: Decision | None = None
    snapshot: Snapshot | None = None

    @property
    def prefix_tokens(self) -> int | None:
        """How much of the prompt a cache may hold from earlier in the session.

        Unknown without a session; nothing where the session is not known to have been served lately.
        """
        if self.snapshot is None or self.snapshot.session is None:
            return None
        pin = self.snapshot.pin
        is_warm = pin is not None and self.snapshot.now - pin.at <= _CACHE_SECONDS
        return pin.tokens if is_warm and pin is not None else 0

    def only(self, targets: tuple[Target, ...]) -> "Plan":
        """The plan for some of its targets."""
        return evolve(self, targets=targets)

    def tier_of(self, target: Target) -> Tier | None:
        """The tier *target* was taken from."""
        if self.decision is None:
            return None
        pairs = zip(self.decision.targets, self.decision.tiers, strict=False)
        return next((tier for candidate, tier in pairs if candidate == target), None)


@frozen
class Ledger:
    """What every exchange of a gateway needs to write its record.

    *clock* is in Unix seconds, *monotonic* in seconds.  *flagship* names the
    baseline of the savings.  *record_text* is the owner's consent to keep words.
    *tell* shows finished requests to observers; *live* counts those under way.
    *digest_key* is a secret that is kept nowhere else.
    """

    write: Callable[[Record], None]
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    prices: PriceTable | None = None
    flagship: Target | None = None
    record_text: bool = False
    tell: Callable[[Ended], None] | None = None
    live: Live = field(factory=Live)
    digest_key: bytes = field(factory=lambda: token_bytes(16), repr=False)

    def digest(self, ask: str) -> str | None:
        """Tells equal asks from others, within this process; None for none."""
        if not ask:
            return None
        return blake2b(ask.encode("utf-8", "surrogatepass"), digest_size=12, key=self.digest_key).hexdigest()

    def cost(self, reply: Reply | None, prefix_tokens: int | None = None) -> Cost:
        """What the reply cost and what the same tokens would have cost on the flagship."""
        if reply is None or self.prices is None:
            return Cost()
        usage = reply.tally.usage
        return cost_of(usage, reply.target, self.flagship, self.prices, prefix_tokens=prefix_tokens)

    def paid(self, usage: Usage, target: Target) -> int | None:
        """What *usage* cost at *target*, None where that is unknown."""
        return None if self.prices is None else cost_microusd(usage, self.prices.price(target))


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
        record = self._record(ending, status, error)
        if self.settle is not None:
            self.settle(record)
        ledger.write(record)
        if ledger.tell is not None:
            ledger.tell(self._ended(record))

    def _ended(self, record: Record) -> Ended:
        """What observers see; references only, so that it costs the request next to nothing."""
        tally = None if self.reply is None else self.reply.tally
        request = self.request
        thinking = None if request is None else request.reasoning
        return Ended(
            record,
            operation=self.operation,
            response_id=None if tally is None else tally.id,
            response_model=None if tally is None else tally.model,
            stop_reason=None if tally is None or tally.stop_reason is None else tally.stop_reason.value,
            max_tokens=None if request is None else request.max_output_tokens,
            reasoning=None if thinking is None else thinking.effort,
            trace=self.trace,
        )

    def _record(self, ending: Ending, status: int, error: BaseException | None) -> Record:
        reply, request, plan, decision = self.reply, self.request, self.plan, None
        if plan is not None:
            decision = plan.decision
        target = None if reply is None else reply.target
        cost = self.ledger.cost(reply, None if plan is None else plan.prefix_tokens)
        attempts = self._attempts(cost)
        overhead = self._overhead(attempts)
        key = self.context.session
        features = None if decision is None else decision.features
        return Record(
            id=self.id,
            at=self.at,
            client_format=self.client_format,
            requested_model="" if request is None else request.model,
            stream=self.is_stream,
            ending=ending,
            status=status,
            tier=None if decision is None else decision.tier,
            served_tier=None if plan is None or target is None else plan.tier_of(target),
            score=None if decision is None else decision.score,
            reason=None if decision is None else decision.reason,
            trace=() if decision is None else decision.trace,
            session=self.session,
            target=target,
            attempts=attempts,
            usage=NO_USAGE if reply is None else reply.tally.usage,
            cost=cost if overhead is None else evolve(cost, overhead_microusd=overhead),
            seconds=self.ledger.monotonic() - self.began,
            seconds_to_first_event=self.first_event_seconds,
            error=None if error is None else error_name(error),
            losses=self.losses,
            prompt=self._prompt(),
            answer=self._answer_text(),
            partial=None if reply is None else not reply.tally.complete,
            tenant=self.context.tenant,
            agent=None if key is None else key.agent,
            request_class=self.context.request_class,
            propensity=None if decision is None else decision.propensity,
            seed=None if plan is None or plan.snapshot is None else plan.snapshot.seed,
            tools_offered=None if request is None else len(request.tools),
            tool_calls=None if reply is None else reply.tally.tool_calls,
            traffic=None if features is None else features.traffic.value,
            failed_results=None if features is None else features.recent_errors,
            opens_turn=None if features is None else not features.loop_open,
            ask_digest=None if features is None else self.ledger.digest(features.ask),
            features=self._seen(),
            decision=None if decision is None else Deferred(partial(decision_json, decision)),
        )

    def _seen(self) -> Deferred | None:
        """What the decision was drawn from, to be encoded by whoever writes it down."""
        plan = self.plan
        if plan is None or plan.decision is None or plan.snapshot is None:
            return None
        features, snapshot, with_text = plan.decision.features, plan.snapshot, self.ledger.record_text
        if features is not None:
            return Deferred(partial(seen_json, features, snapshot, with_text=with_text))
        request = self.checked_request()

        def looked_at() -> Mapping[str, Json]:
            return seen_json(features_of(request, snapshot.context), snapshot, with_text=with_text)

        return Deferred(looked_at)

    def _overhead(self, attempts: tuple[AttemptRecord, ...]) -> int | None:
        """What is known to have been paid for attempts that did not serve."""
        pairs = zip(self.journal.attempts, attempts, strict=True)
        known = [
            record.cost_microusd
            for attempt, record in pairs
            if not self._served(attempt) and record.cost_microusd is not None
        ]
        return sum(known) if known else None

    def _served(self, attempt: Attempt) -> bool:
        return self.reply is not None and attempt.tally is self.reply.tally

    def _attempts(self, cost: Cost) -> tuple[AttemptRecord, ...]:
        """One row per attempt, each with its own tokens."""
        return tuple(
            AttemptRecord(
                target=attempt.target,
                started=attempt.started,
                seconds=attempt.seconds,
                status=attempt.status,
                outcome=attempt.outcome,
                error=attempt.error,
                detail=attempt.detail,
                usage=NO_USAGE if attempt.tally is None else attempt.tally.usage,
                cost_microusd=cost.cost_microusd if self._served(attempt) else self._paid(attempt),
                kind=attempt.kind,
                cancelled=attempt.cancelled,
                partial=None if attempt.tally is None else not attempt.tally.complete,
            )
            for attempt in self.journal.attempts
        )

    def _paid(self, attempt: Attempt) -> int | None:
        return None if attempt.tally is None else self.ledger.paid(attempt.tally.usage, attempt.target)

    def _prompt(self) -> str | None:
        if not self.ledger.record_text or self.request is None:
            return None
        return "\n\n".join(f"[{m.role.value}] {_words(m)}" for m in self.request.messages)

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
            self._keep_answer()
        Exchange.finish(self, ending, status, error)

    def _keep_answer(self) -> None:
        if self.keep is None or self._answer is None or self.reply is None or not self.reply.tally.complete:
            return
        given = self.reply.tally.id if self.reply.raw is not None else self.answer_id
        self.keep(given or "", self._answer.parts())

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


def error_name(error: BaseException) -> str:
    """The class a record names: that of the last attempt where several failed."""
    if isinstance(error, AllTargetsFailed):
        error = error.last
    return type(error).__name__


def stamp(event: Event, now: float, answer_id: str | None = None) -> Event:
    """*event*, with the time filled in that a dialect without one left open, and under *answer_id*."""
    if isinstance(event, Start):
        created = int(now) if event.created is None else event.created
        return evolve(event, id=answer_id or event.id, created=created)
    return event


def _words(message: Message) -> str:
    texts: list[str] = []
    for part in message.parts:
        if isinstance(part, Text):
            texts.append(part.text)
        elif isinstance(part, ToolResult):
            texts.extend(inner.text for inner in part.content if isinstance(inner, Text))
    return "\n".join(texts)


def _header_text(text: str) -> str:
    """Header values are visible ASCII; anything else is percent-encoded, a line break above all."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isascii() and c.isprintable() else "".join(f"%{b:02X}" for b in c.encode("utf-8", "replace"))
        for c in text
    )
