"""What is recorded of a decision gives the same decision again, and holds no word of the prompt."""

import json

import attrs
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import RoutingError
from lynkr.model import WireFormat
from lynkr.routing import (
    Constraints,
    Features,
    PipelineRouter,
    RecordedFeatures,
    RequestClass,
    RequestContext,
    Snapshot,
    Step,
    Target,
    TextNotRecorded,
    Tier,
    Traffic,
    TurnShape,
    features_of,
)
from lynkr.routing.context import SessionKey, SessionSource
from lynkr.routing.media import Media, MediaKind
from lynkr.routing.reading import AskKind, Format, Reading
from lynkr.routing.recorded import (
    Deferred,
    decision_json,
    decision_of_json,
    features_json,
    features_of_json,
    seen_json,
    seen_of_json,
    snapshot_json,
    snapshot_of_json,
)
from lynkr.testing.policy import agent_sessions, price_tables
from lynkr.testing.strategies import decisions, requests, snapshots
from tests.routing.conftest import NAMES

TARGETS = tuple(Target.parse(name) for names in NAMES.values() for name in names)
AMONG = st.sampled_from(TARGETS)
SMALL = st.sampled_from((0, 1, 2, 900, 2**40))
CODES = st.sampled_from(("Explore", "né", "a/b", ""))
READINGS = st.builds(
    Reading,
    words=SMALL,
    clauses=SMALL,
    kind=st.sampled_from(AskKind),
    format=st.none() | st.sampled_from(Format),
    is_lookup=st.booleans(),
    has_choices=st.booleans(),
    points=st.dictionaries(st.sampled_from(("tech", "proof")), st.floats(0, 2)),
)
CONTEXTS = st.builds(
    RequestContext,
    session=st.none()
    | st.builds(SessionKey, CODES.filter(bool), CODES, CODES, st.sampled_from(SessionSource)),
    request_class=st.none() | st.sampled_from(RequestClass),
    agent_type=st.none() | CODES,
    compaction=st.none() | st.just("auto"),
    context_compacted=st.booleans(),
    tool_seconds=st.dictionaries(CODES, st.floats(0, 9), max_size=2),
    deadline_seconds=st.none() | st.floats(0.1, 9),
    tenant=st.none() | CODES,
)
FULL = st.builds(
    Features,
    ask=st.sampled_from(("", "hush", "tell nobody")),
    reading=READINGS,
    earlier=st.lists(READINGS, max_size=2).map(tuple),
    traffic=st.sampled_from(Traffic),
    input_tokens=SMALL,
    least_input_tokens=SMALL,
    max_output_tokens=st.none() | SMALL,
    messages=SMALL,
    touched=st.lists(st.sampled_from(("auth", "jwt")), max_size=2).map(tuple),
    tools=SMALL,
    reasoning_effort=st.none() | st.just("high"),
    loop_open=st.booleans(),
    request_class=st.none() | st.sampled_from(RequestClass),
    agent_type=st.none() | CODES,
    media=st.lists(
        st.just(Media(WireFormat.OPENAI_CHAT, MediaKind.AUDIO, "input_audio")), max_size=1
    ).map(tuple),
)  # fmt: skip
MOMENTS = st.builds(
    lambda moment, rates, context, limits, latencies, turn: evolve(
        moment, rates=rates, context=context, constraints=limits, latencies=latencies, turn=turn
    ),
    snapshots(AMONG),
    price_tables(TARGETS),
    CONTEXTS,
    st.builds(
        Constraints,
        deadline_seconds=st.none() | st.just(2.0),
        budget_microusd=st.none() | st.just(50_000.0),
        allowed=st.none() | st.just(frozenset({"cloud:*"})),
        blocked=st.sampled_from((frozenset(), frozenset({"local:*"}))),
    ),
    st.dictionaries(AMONG, st.floats(0, 30)),
    st.sampled_from((TurnShape(), TurnShape(remaining=2.5))),
)


def through_json(value):
    return json.loads(json.dumps(value, default=dict))


@given(FULL)
def test_features_come_back_with_their_text_where_it_is_kept(features):
    assert features_of_json(through_json(features_json(features, with_text=True))) == features


@given(FULL)
def test_without_text_everything_else_comes_back(features):
    written = through_json(features_json(features))
    back = features_of_json(written)
    assert isinstance(back, RecordedFeatures)
    for attribute in attrs.fields(Features):
        if attribute.name not in ("ask", "words"):
            assert getattr(back, attribute.name) == getattr(features, attribute.name)
    assert back.has_ask == features.has_ask
    assert not features.ask or features.ask not in json.dumps(written)
    for name in ("ask", "words"):
        with pytest.raises(TextNotRecorded):
            getattr(back, name)
    assert features_json(back) == features_json(features)
    with pytest.raises(AttributeError):
        _ = back.nothing_of_the_kind


def test_every_feature_differs_from_its_default_somewhere_above():
    """A new attribute of `Features` or `Reading` that is no number or code must be taught to the reader."""
    for attribute in attrs.fields(Features):
        if attribute.name not in ("ask", "words", "reading", "earlier", "touched", "media"):
            assert attribute.type in (
                int, bool, Traffic, int | None, str | None, RequestClass | None,
            ), attribute.name  # fmt: skip
    for attribute in attrs.fields(Reading):
        if attribute.name != "points":
            assert attribute.type in (int, bool, AskKind, Format | None), attribute.name


@given(MOMENTS)
def test_a_snapshot_comes_back_but_for_its_tariffs(moment):
    back = snapshot_of_json(through_json(snapshot_json(moment)))
    assert back == evolve(moment, rates=evolve(moment.rates, tariffs={}))
    key, other = moment.context.session, back.context.session
    assert (key is None) == (other is None)
    assert key is None or key.source is other.source


@given(st.data(), MOMENTS)
def test_what_was_recorded_gives_the_very_decision_again(data, moment):
    router = PipelineRouter(NAMES, exploration=0.3)
    turn = data.draw(st.sampled_from(data.draw(agent_sessions(max_asks=2))))
    features = features_of(turn.request, turn.context)
    try:
        live = router.route(turn.request, evolve(moment, context=turn.context))
    except RoutingError as error:
        live = str(error)
    written = through_json(seen_json(features, evolve(moment, context=turn.context)))
    back, then = seen_of_json(written)
    try:
        again = router.decide(back, evolve(then, rates=moment.rates))
    except TextNotRecorded:
        assert features.reading.format is not None
        again = router.decide(evolve(back, heard=live.trace), evolve(then, rates=moment.rates))
    except RoutingError as error:
        again = str(error)
    assert again == live
    if not isinstance(live, str):
        assert again.digest == live.digest


@given(requests())
def test_no_text_of_any_request_is_recorded(request_):
    features = features_of(request_)
    told = json.dumps(through_json(features_json(features)), ensure_ascii=False)
    allowed = {kind.value for kind in (*AskKind, *Traffic, *MediaKind, *WireFormat, *Format)}
    words = {part for part in features.ask.split() if len(part) > 12}
    assert not any(word in told for word in words - allowed)


@given(decisions())
def test_a_decision_read_from_a_record_has_the_same_digest(decision):
    written = through_json(decision_json(decision))
    back = decision_of_json(written, tier=decision.tier, score=decision.score, trace=decision.trace)
    assert back == decision
    assert back.digest == decision.digest


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"version": 2, "features": {}, "snapshot": {}},
        {"version": 1},
        {"version": 1, "features": {"nonsense": 1}, "snapshot": {"now": 0.0, "seed": 0}},
        {"version": 1, "features": {"traffic": "unheard"}, "snapshot": {"now": 0.0, "seed": 0}},
        {"version": 1, "features": {}, "snapshot": {"now": 0.0, "seed": 0, "pin": [1]}},
    ],
)
def test_what_is_of_another_version_or_damaged_is_refused(value):
    with pytest.raises(ValueError, match=r"version|read|unheard|unpack"):
        seen_of_json(value)
    with pytest.raises(ValueError, match=r"version|read"):
        decision_of_json(value, tier=Tier.SIMPLE, score=0.0, trace=())


def test_a_deferred_object_is_made_once_and_lets_go_of_what_it_was_made_from():
    import weakref

    class Source:
        pass

    source, made = Source(), []
    ref = weakref.ref(source)

    def encode(source=source):
        made.append(source is not None)
        return {"a": 1}

    told = Deferred(encode)
    del source, encode
    assert ref() is not None
    assert not made
    assert told == {"a": 1}
    assert told == {"a": 1}
    assert (told["a"], len(told), list(told), repr(told)) == (1, 1, ["a"], "{'a': 1}")
    assert made == [True]
    assert ref() is None


EXAM = (
    "A train travels 120 km in 2 hours and then 180 km in 3 hours. "
    "How many km per hour is the average speed? Calculate the total."
)


def test_what_the_classifier_said_of_an_exam_is_replayed_from_its_version():
    from lynkr.routing import classified, default_scorers, load_classifier
    from tests.routing.agent_sessions import asking

    live = PipelineRouter(NAMES).route(asking(EXAM), Snapshot())
    said = next(step for step in live.trace if step.name == "classifier")
    assert said.score is not None
    assert said.data["version"]
    kept = features_of_json(features_json(features_of(asking(EXAM))))
    with pytest.raises(TextNotRecorded):
        PipelineRouter(NAMES).decide(kept, Snapshot())
    heard = evolve(kept, heard=live.trace)
    assert PipelineRouter(NAMES).decide(heard, Snapshot()) == live
    stricter = (*default_scorers()[:-1], classified(load_classifier(), floor=0.9))
    with pytest.raises(TextNotRecorded):
        PipelineRouter(NAMES, scorers=stricter).decide(heard, Snapshot())


@given(st.sampled_from((EXAM, "hi", "", "zwölf Äpfel\n" * 300)))
def test_where_text_is_kept_its_words_come_back_with_it(ask):
    from tests.routing.agent_sessions import asking

    features = features_of(asking(ask))
    back = features_of_json(features_json(features, with_text=True))
    assert list(back.words) == list(features.words)


def test_a_scorer_that_reads_words_is_replayed_from_what_it_said_then():
    class Cobol:
        def __init__(self, version):
            self.version = version

        def __call__(self, features):
            score = 0.6 if "cobol" in features.ask else None
            return Step("cobol", "our hardest code", score, "cobol", {"version": self.version})

    def router(version):
        return PipelineRouter(NAMES, scorers=(Cobol(version),))

    live = router("1").decide(Features(ask="fix the cobol"), Snapshot())
    kept = features_of_json(features_json(Features(ask="fix the cobol")))
    with pytest.raises(TextNotRecorded):
        router("1").decide(kept, Snapshot())
    heard = evolve(kept, heard=live.trace)
    assert router("1").decide(heard, Snapshot()) == live
    with pytest.raises(TextNotRecorded):
        router("2").decide(heard, Snapshot())
