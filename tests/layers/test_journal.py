"""What is written down about an attempt, and what is not."""

import math
from contextlib import suppress

import anyio
import pytest

from lynkr.errors import (
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamWireError,
)
from lynkr.layers.journal import detail_of, journal
from lynkr.resilience.outcome import Outcome
from lynkr.service import Call, Reply
from tests.layers.scripted import EVENTS, A, Answer, Clock, Scripted, call_to, read

pytestmark = pytest.mark.anyio


async def test_an_attempt_is_complete_when_its_stream_has_ended() -> None:
    clock = Clock()
    service = Scripted({A: [Answer()]}, clock=clock, takes=0.5)
    call = call_to(A)
    reply = await journal(clock=lambda: 1_700_000_000.0, monotonic=clock)(service)(call)
    (attempt,) = call.journal.attempts
    assert (attempt.target, attempt.started, attempt.status) == (A, 1_700_000_000.0, 200)
    assert (attempt.seconds, attempt.outcome) == (0.5, Outcome.IGNORED)
    clock.now += 2
    await read(reply)
    assert (attempt.seconds, attempt.outcome, attempt.error) == (2.5, Outcome.SUCCESS, None)


async def test_a_failed_attempt_says_how() -> None:
    clock, call = Clock(), call_to(A)
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
    service = Scripted(
        {A: [UpstreamBusy("Overloaded", target="one:a", status=529, body=body)]}, clock=clock, takes=1
    )
    with pytest.raises(UpstreamBusy):
        await journal(clock=clock, monotonic=clock)(service)(call)
    (attempt,) = call.journal.attempts
    assert (attempt.status, attempt.outcome, attempt.error) == (529, Outcome.FAILURE, "UpstreamBusy")
    assert (attempt.detail, attempt.seconds) == ("529 overloaded_error", 1)


async def test_an_answer_that_breaks_in_the_middle_is_a_failed_attempt() -> None:
    call = call_to(A)
    service = Scripted({A: [Answer(EVENTS[:2], UpstreamWireError("the stream stopped before its end"))]})
    with pytest.raises(UpstreamWireError):
        await read(await journal()(service)(call))
    (attempt,) = call.journal.attempts
    assert (attempt.status, attempt.outcome, attempt.error) == (200, Outcome.FAILURE, "UpstreamWireError")
    assert attempt.detail == "the stream stopped before its end"


async def test_an_error_event_in_a_stream_gives_the_attempt_its_status() -> None:
    call = call_to(A)
    with suppress(UpstreamFailed):
        error = UpstreamFailed("overloaded", target="one:a", status=529)
        await read(await journal()(Scripted({A: [Answer(EVENTS[:2], error)]}))(call))
    assert call.journal.attempts[0].status == 529


async def test_a_client_that_leaves_leaves_an_ignored_attempt() -> None:
    call = call_to(A)
    await (await journal()(Scripted({A: [Answer()]}))(call)).aclose()
    (attempt,) = call.journal.attempts
    assert (attempt.outcome, attempt.error, attempt.status) == (Outcome.IGNORED, None, 200)


async def test_a_cancelled_attempt_is_there_and_ignored() -> None:
    call = call_to(A)

    async def wait_for_ever(call: Call) -> Reply:
        await anyio.sleep(math.inf)
        raise AssertionError

    with anyio.move_on_after(0):
        await journal()(wait_for_ever)(call)
    (attempt,) = call.journal.attempts
    assert attempt.outcome is Outcome.IGNORED
    assert attempt.error is not None
    assert "Cancelled" in attempt.error
    assert attempt.detail is None


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_providers_words_are_not_kept_because_they_may_quote_the_prompt_or_the_key(status: int) -> None:
    marker = "my secret prompt sk-ant-canary"
    for body in (
        b'{"error": {"message": "%s", "code": "%s"}}' % (marker.encode(), marker.encode()),
        marker.encode(),
    ):
        detail = detail_of(UpstreamRefused(marker, target="one:a", status=status, body=body))
        assert detail == str(status)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"error": {"code": "model_not_found", "type": "invalid_request_error"}}', "404 model_not_found"),
        (b'{"error": {"code": 404, "type": "not_found_error"}}', "404 not_found_error"),
        (b'{"error": "gone"}', "404"),
        (b"[" * 100_000, "404"),
        (b"[" * 60_000, "404"),
        (b"\xff{", "404"),
        (b"", "404"),
    ],
)
def test_the_providers_error_code_is_kept(body: bytes, detail: str) -> None:
    assert detail_of(UpstreamRefused("no", target="one:a", status=404, body=body)) == detail


def test_our_own_words_are_kept_on_one_line_and_short() -> None:
    assert detail_of(UpstreamTimeout("one:a: no first_byte\nwithin 5 s", target="one:a")) == (
        "one:a: no first_byte within 5 s"
    )
    assert len(detail_of(UpstreamWireError("x" * 10_000)) or "") == 300
    assert detail_of(UpstreamError("nothing known", target="one:a")) is None
