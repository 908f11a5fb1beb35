"""What an exchange came to, and the record that is made of it: by whoever wants to read it.

Theory of operation.  A request's own task only notes what it came to, in a
`Finished`: references to values that never change, and copies of what goes on
changing (the journal of attempts, the tallies of replies).  The record, with its costs, is
made of that in the thread that writes it down (or shows it to observers), once.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from attrs import define, evolve, field, frozen

from lynkr.errors import AllTargetsFailed
from lynkr.model import NO_USAGE, Json, Loss, Message, Request, Text, ToolResult, Usage, WireFormat
from lynkr.plan import Plan
from lynkr.pricing import Cost, PriceTable, cost_microusd, cost_of
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing.context import RequestContext
from lynkr.routing.decision import Target
from lynkr.routing.features import features_of
from lynkr.routing.recorded import Deferred, decision_json, seen_json
from lynkr.service import Attempt, Reply
from lynkr.telemetry.observers import Ended, Live
from lynkr.telemetry.record import AttemptRecord, Ending, Record

_NO_COST: Final = Cost()


@frozen
class Ledger:
    """What every exchange of a gateway needs to write its record.

    *clock* is in Unix seconds, *monotonic* in seconds.  *flagship* names the
    baseline of the savings.  *record_text* is the owner's consent to keep words.
    *later* takes what makes a record, to write it in a thread of its own; without it, *write*
    takes the record, made at once.  *tell* shows finished requests to observers, which are made
    in their thread; *live* counts those under way.
    *digest_key* is a secret that is kept nowhere else.
    """

    write: Callable[[Record], None]
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    prices: PriceTable | None = None
    flagship: Target | None = None
    record_text: bool = False
    tell: Callable[[Callable[[], Ended]], None] | None = None
    live: Live = field(factory=Live)
    digest_key: bytes = field(factory=lambda: token_bytes(16), repr=False)
    later: Callable[[Callable[[], Record]], None] | None = None

    def keep(self, finished: "Finished") -> None:
        """Have the record of *finished* written."""
        if self.later is None:
            self.write(finished.record())
        else:
            self.later(finished.record)

    def digest(self, ask: str) -> str | None:
        """Tells equal asks from others, within this process; None for none."""
        if not ask:
            return None
        return blake2b(ask.encode("utf-8", "surrogatepass"), digest_size=12, key=self.digest_key).hexdigest()

    def cost(self, usage: Usage, target: Target, prefix_tokens: int | None = None) -> Cost:
        """What *usage* cost at *target* and what the same tokens would have cost on the flagship."""
        if self.prices is None:
            return _NO_COST
        return cost_of(usage, target, self.flagship, self.prices, prefix_tokens=prefix_tokens)

    def paid(self, usage: Usage, target: Target) -> int | None:
        """What *usage* cost at *target*, None where that is unknown."""
        return None if self.prices is None else cost_microusd(usage, self.prices.price(target))


@define(eq=False)
class Try:
    """An attempt as it stood when the exchange ended; *usage* is None when no reply came.

    *served* says that its reply is the one the client got.
    """

    target: Target
    started: float
    seconds: float
    status: int | None
    outcome: Outcome
    error: str | None
    detail: str | None
    kind: AttemptKind
    cancelled: bool
    usage: Usage | None
    partial: bool | None
    served: bool

    @classmethod
    def of(cls, attempt: Attempt, reply: Reply | None) -> "Try":
        """A copy: a hedge that lost goes on changing."""
        tally = attempt.tally
        return cls(
            attempt.target,
            attempt.started,
            attempt.seconds,
            attempt.status,
            attempt.outcome,
            attempt.error,
            attempt.detail,
            attempt.kind,
            attempt.cancelled,
            None if tally is None else tally.usage,
            None if tally is None else not tally.complete,
            tally is not None and reply is not None and tally is reply.tally,
        )


@define(eq=False)
class Answered:
    """What a reply had told when the exchange ended."""

    target: Target
    usage: Usage
    partial: bool
    tool_calls: int


@define(eq=False)
class Finished:
    """What an exchange came to: all that its record is made of, and nothing that changes later.

    Holds no connection and no body.  Of the prompt it holds the newest ask, among the decision's
    features, and *messages* where the owner keeps text; of a request that a router without
    features decided, all (*request*).  `record` lets go of them.
    """

    ledger: Ledger
    id: str
    at: float
    client_format: WireFormat | None
    requested_model: str
    stream: bool
    tools_offered: int | None
    ending: Ending
    status: int
    error: str | None
    seconds: float
    seconds_to_first_event: float | None
    session: str | None
    context: RequestContext
    plan: Plan | None
    tries: tuple[Try, ...]
    answered: Answered | None
    losses: tuple[Loss, ...]
    answer: str | None = None
    messages: Sequence[Message] | None = None
    request: Request | None = None
    _record: Record | None = None

    def record(self) -> Record:
        """The record; made at the first call.  From any thread: two at once make two that are equal."""
        # In this order: who finds them gone finds the record they were let go for.
        plan, messages, request = self.plan, self.messages, self.request
        record = self._record
        if record is None:
            record = self._record = self._made(plan, messages, request)
            self.plan = self.messages = self.request = None
        return record

    def _made(self, plan: Plan | None, messages: Sequence[Message] | None, request: Request | None) -> Record:
        answered, context = self.answered, self.context
        decision = None if plan is None else plan.decision
        snapshot = None if plan is None else plan.snapshot
        features = None if decision is None else decision.features
        key = context.session
        attempts, cost = self._attempts(plan)
        return Record(
            id=self.id,
            at=self.at,
            client_format=self.client_format,
            requested_model=self.requested_model,
            stream=self.stream,
            ending=self.ending,
            status=self.status,
            tier=None if decision is None else decision.tier,
            served_tier=None if plan is None or answered is None else plan.tier_of(answered.target),
            score=None if decision is None else decision.score,
            reason=None if decision is None else decision.reason,
            trace=() if decision is None else decision.trace,
            session=self.session,
            target=None if answered is None else answered.target,
            attempts=attempts,
            usage=NO_USAGE if answered is None else answered.usage,
            cost=cost,
            seconds=self.seconds,
            seconds_to_first_event=self.seconds_to_first_event,
            error=self.error,
            losses=self.losses,
            prompt=None if messages is None else _prompt(messages),
            answer=self.answer,
            partial=None if answered is None else answered.partial,
            tenant=context.tenant,
            agent=None if key is None else key.agent,
            request_class=context.request_class,
            propensity=None if decision is None else decision.propensity,
            seed=None if snapshot is None else snapshot.seed,
            tools_offered=self.tools_offered,
            tool_calls=None if answered is None else answered.tool_calls,
            traffic=None if features is None else features.traffic.value,
            failed_results=None if features is None else features.recent_errors,
            opens_turn=None if features is None else not features.loop_open,
            ask_digest=None if features is None else self.ledger.digest(features.ask),
            features=self._seen(plan, request),
            decision=None if decision is None else Deferred(partial(decision_json, decision)),
        )

    def _seen(self, plan: Plan | None, request: Request | None) -> Deferred | None:
        """What the decision was drawn from, to be encoded by whoever writes it down."""
        if plan is None or plan.decision is None or plan.snapshot is None:
            return None
        features, snapshot, with_text = plan.decision.features, plan.snapshot, self.ledger.record_text
        if features is not None:
            return Deferred(partial(seen_json, features, snapshot, with_text=with_text))
        if request is None:
            return None

        def looked_at() -> Mapping[str, Json]:
            return seen_json(features_of(request, snapshot.context), snapshot, with_text=with_text)

        return Deferred(looked_at)

    def _attempts(self, plan: Plan | None) -> tuple[tuple[AttemptRecord, ...], Cost]:
        """One for each attempt, with its own tokens, and what they came to."""
        answered, ledger = self.answered, self.ledger
        cost, overhead = _NO_COST, None
        if answered is not None:
            prefix = None if plan is None else plan.prefix_tokens
            cost = ledger.cost(answered.usage, answered.target, prefix)
        attempts: list[AttemptRecord] = []
        for one in self.tries:
            if one.served:
                paid = cost.cost_microusd
            else:
                paid = None if one.usage is None else ledger.paid(one.usage, one.target)
                overhead = overhead if paid is None else (overhead or 0) + paid
            attempts.append(
                AttemptRecord(
                    one.target,
                    one.started,
                    one.seconds,
                    one.status,
                    one.outcome,
                    one.error,
                    one.detail,
                    NO_USAGE if one.usage is None else one.usage,
                    paid,
                    one.kind,
                    one.cancelled,
                    one.partial,
                )
            )
        return tuple(attempts), cost if overhead is None else evolve(cost, overhead_microusd=overhead)


def ended_of(
    finished: Finished,
    *,
    operation: str,
    response_id: str | None,
    response_model: str | None,
    stop_reason: str | None,
    max_tokens: int | None,
    reasoning: str | None,
    trace: object | None,
) -> Ended:
    """What observers see of *finished*."""
    return Ended(
        finished.record(), operation, response_id, response_model, stop_reason, max_tokens, reasoning, trace
    )


def error_name(error: BaseException) -> str:
    """The class a record names: that of the last attempt where several failed."""
    if isinstance(error, AllTargetsFailed):
        error = error.last
    return type(error).__name__


def _prompt(messages: Sequence[Message]) -> str:
    return "\n\n".join(f"[{message.role.value}] {_words(message)}" for message in messages)


def _words(message: Message) -> str:
    texts: list[str] = []
    for part in message.parts:
        if isinstance(part, Text):
            texts.append(part.text)
        elif isinstance(part, ToolResult):
            texts.extend(inner.text for inner in part.content if isinstance(inner, Text))
    return "\n".join(texts)
