"""The simulated prompt cache keeps its books: conservation, lifetime, monotony."""

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from lynkr.pricing.prompt_cache import CacheTerms, CacheUse, Held, after_prompt, partly
from lynkr.routing.decision import CacheKind, Tariff

TERMS = st.builds(
    CacheTerms,
    kind=st.sampled_from(CacheKind),
    seconds=st.sampled_from((60.0, 300.0)),
    least=st.sampled_from((0, 1_024)),
    block=st.sampled_from((1, 64, 128)),
)
TOKENS = st.sampled_from((0, 1, 1_023, 1_024, 1_025, 1_151, 1_152, 5_000, 200_000))
HELD = st.none() | st.builds(Held, tokens=TOKENS, used=st.just(0.0))
TIMES = st.sampled_from((0.0, 59.0, 60.0, 61.0, 300.0, 301.0))


@given(held=HELD, terms=TERMS, tokens=TOKENS, shared=TOKENS, now=TIMES, marked=st.booleans())
def test_every_token_is_read_written_or_fresh(*, held, terms, tokens, shared, now, marked):
    use, left = after_prompt(held, terms, tokens, shared, now, marked=marked)
    assert use.tokens == tokens
    assert min(use.read, use.written, use.fresh) >= 0
    assert use.read <= shared
    if held is None or now - held.used > terms.seconds or terms.kind is CacheKind.NONE:
        assert use.read == 0
    if terms.kind is not CacheKind.EXPLICIT or not marked:
        assert use.written == 0
    if left is not None:
        assert left.tokens <= max(tokens, 0 if held is None else held.tokens)
        assert left.used in (now, 0.0)


@given(held=HELD, terms=TERMS, tokens=TOKENS, less=TOKENS, more=TOKENS, late=TIMES, early=TIMES)
def test_more_that_is_shared_and_less_time_never_read_less(*, held, terms, tokens, less, more, late, early):
    assume(less <= more)
    assume(early <= late)
    worse = after_prompt(held, terms, tokens, less, late)[0]
    better = after_prompt(held, terms, tokens, more, early)[0]
    assert better.read >= worse.read
    finer = after_prompt(held, evolve(terms, block=1), tokens, more, early)[0]
    assert finer.read >= better.read


@given(TERMS, st.lists(st.tuples(TOKENS, st.sampled_from((1.0, 59.0, 301.0))), max_size=8))
def test_a_session_reads_no_more_than_it_sent_before(terms, turns):
    held, now, before = None, 0.0, 0
    for tokens, pause in turns:
        now += pause
        use, held = after_prompt(held, terms, tokens, before, now)
        assert use.read <= before
        before = tokens


@given(TERMS, TOKENS, st.floats(0, 1))
def test_a_share_of_the_hits_keeps_the_books(terms, tokens, share):
    _, held = after_prompt(None, terms, tokens, 0, 0.0)
    whole = after_prompt(held, terms, tokens, tokens, 1.0)[0]
    part = partly(whole, share, terms)
    assert part.tokens == whole.tokens
    assert part.read <= whole.read
    assert partly(whole, 1.0, terms) == whole
    assert partly(whole, 0.0, terms).read == 0
    assert part.written == 0 or terms.kind is CacheKind.EXPLICIT


def test_the_terms_come_from_the_tariff():
    explicit = Tariff(3.0, 15.0, 0.3, 3.75, CacheKind.EXPLICIT, cache_seconds=60.0)
    assert CacheTerms.of(explicit) == CacheTerms(CacheKind.EXPLICIT, 60.0, block=1)
    assert CacheTerms.of(Tariff(1.0, 2.0, 0.1, cache=CacheKind.AUTOMATIC)).block == 128
    assert CacheTerms.of(None).kind is CacheKind.NONE


def test_a_short_prompt_puts_out_nothing_and_is_not_kept():
    terms = CacheTerms(CacheKind.AUTOMATIC)
    use, left = after_prompt(Held(5_000, 0.0), terms, 900, 900, 10.0)
    assert (use, left) == (CacheUse(fresh=900), Held(5_000, 0.0))
    assert after_prompt(None, terms, 900, 0, 10.0) == (CacheUse(fresh=900), None)
    assert after_prompt(Held(5_000, 0.0), terms, 900, 900, 301.0)[1] is None
