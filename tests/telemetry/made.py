"""Records and queries for the telemetry tests: few values each, so that they meet."""

from hypothesis import strategies as st

from lynkr.model import Loss, Usage, WireFormat
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing.context import RequestClass
from lynkr.routing.decision import Step, Target, Tier
from lynkr.telemetry import AttemptRecord, Cost, Ending, Query, Record, Signal, SignalKind
from lynkr.telemetry.sums import Dimension, Order

# Within an hour, at the ends of hours and of days, and today.
TIMES = (0.0, 1.0, 1.5, 3_599.5, 3_600.0, 86_399.75, 86_400.0, 90_000.0, 1_795_000_000.25)
PROVIDERS = ("anthropic", "openai", "it's; DROP TABLE requests; --")
SESSIONS = ("s1", "s2", "")
MODELS = ("m1", "m2:8b")
REASONS = ("score", "risky_ask", "")
TENANTS = ("acme", "o'hara")

_words = st.text(max_size=8)
_counts = st.none() | st.integers(0, 5) | st.sampled_from((10**6, 10**12))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_words, inner, max_size=2),
    max_leaves=4,
)
_usages = st.builds(Usage, _counts, _counts, _counts, _counts, _counts, _counts)
_targets = st.builds(Target, st.sampled_from(PROVIDERS), st.sampled_from(MODELS))
_money = st.none() | st.integers(0, 10**9)
_steps = st.builds(
    Step,
    _words,
    _words,
    score=st.none() | st.floats(0, 1),
    code=st.none() | _words,
    data=st.dictionaries(_words, _json, max_size=2),
)
_attempts = st.builds(
    AttemptRecord,
    _targets,
    st.sampled_from(TIMES),
    st.floats(0, 600),
    status=st.none() | st.sampled_from((200, 429, 529)),
    outcome=st.sampled_from(Outcome),
    error=st.none() | _words,
    detail=st.none() | _words,
    usage=_usages,
    cost_microusd=_money,
    kind=st.none() | st.sampled_from(AttemptKind),
    cancelled=st.none() | st.booleans(),
    partial=st.none() | st.booleans(),
)
_costs = st.builds(
    Cost,
    _money,
    _money,
    st.none() | _words,
    st.none() | _words,
    _money,
    _money,
    _money,
    _money,
    _money,
    _money,
    _money,
    _money,
)


def records(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Record]:
    """Records of every kind, with *ids*."""
    return st.builds(
        Record,
        id=ids,
        at=st.sampled_from(TIMES),
        client_format=st.none() | st.sampled_from(WireFormat),
        requested_model=_words,
        stream=st.booleans(),
        ending=st.sampled_from(Ending),
        status=st.sampled_from((200, 400, 499, 502)),
        tier=st.none() | st.sampled_from(Tier),
        served_tier=st.none() | st.sampled_from(Tier),
        score=st.none() | st.floats(0, 1),
        reason=st.none() | st.sampled_from(REASONS),
        trace=st.lists(_steps, max_size=2).map(tuple),
        session=st.none() | st.sampled_from(SESSIONS),
        target=st.none() | _targets,
        attempts=st.lists(_attempts, max_size=3).map(tuple),
        usage=_usages,
        cost=_costs,
        seconds=st.floats(0, 600),
        seconds_to_first_event=st.none() | st.floats(0, 600),
        error=st.none() | _words,
        losses=st.lists(st.builds(Loss, _words, _words), max_size=2).map(tuple),
        prompt=st.none() | _words,
        answer=st.none() | _words,
        partial=st.none() | st.booleans(),
        tenant=st.none() | st.sampled_from(TENANTS),
        agent=st.none() | _words,
        request_class=st.none() | st.sampled_from(RequestClass),
        traffic=st.none() | st.sampled_from(("main", "title")),
        features=st.none() | st.dictionaries(_words, _json, max_size=2),
        decision=st.none() | st.dictionaries(_words, _json, max_size=2),
        propensity=st.none() | st.floats(0, 1),
        seed=st.none() | st.integers(0, 2**63 - 1),
        tools_offered=_counts,
        tool_calls=_counts,
        failed_results=st.none() | st.integers(0, 4),
        opens_turn=st.none() | st.booleans(),
        ask_digest=st.none() | st.sampled_from(("d1", "d2")),
    )


def signals(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Signal]:
    """Signals about records with *ids*."""
    return st.builds(
        Signal,
        ids,
        st.sampled_from(SignalKind),
        st.sampled_from(TIMES),
        st.sampled_from(("feedback", "session", "tests")),
        st.none() | _words,
    )


dimensions = st.lists(st.sampled_from(Dimension), max_size=3, unique=True).map(tuple)
orders = st.none() | st.sampled_from(Order)


def queries(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Query]:
    """Queries of every kind, with times at, just before and just after those of the records."""
    moments = st.none() | st.sampled_from([t + d for t in TIMES for d in (-0.5, 0.0, 0.5)])
    return st.builds(
        Query,
        since=moments,
        until=moments,
        tier=st.none() | st.sampled_from(Tier),
        provider=st.none() | st.sampled_from((*PROVIDERS, "nobody")),
        session=st.none() | st.sampled_from((*SESSIONS, "nobody")),
        id=st.none() | ids,
        errors_only=st.booleans(),
        model=st.none() | st.sampled_from((*MODELS, "nobody")),
        tenant=st.none() | st.sampled_from((*TENANTS, "nobody")),
        reason=st.none() | st.sampled_from((*REASONS, "nothing")),
        before=st.none() | ids,
        sessions=st.none() | st.lists(st.sampled_from(SESSIONS), max_size=2).map(tuple),
        oldest_first=st.booleans(),
        id_prefix=st.none() | st.sampled_from(("i", "id1", "é", "x")),
        limit=st.none() | st.integers(0, 5),
    )


def record(id: str = "r1", at: float = 1.0, **fields: object) -> Record:
    """A plain record."""
    plain: dict[str, object] = {
        "client_format": WireFormat.ANTHROPIC_MESSAGES,
        "requested_model": "auto",
        "stream": True,
        "ending": Ending.OK,
        "status": 200,
    }
    return Record(id=id, at=at, **(plain | fields))  # type: ignore[arg-type]
