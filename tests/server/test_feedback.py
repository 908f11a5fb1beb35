"""``POST /v1/feedback``: over real HTTP, into the ledger, and into routing accuracy."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import ClientWireError
from lynkr.telemetry import SignalKind, TelemetryStore
from lynkr.telemetry.queries import accuracy, window_of
from lynkr_server.feedback import MOST_BYTES, read_feedback
from tests.gateway.house import EASY
from tests.server.running import House, message

PATH = "/v1/feedback"


def store_of(house: House) -> TelemetryStore:
    recorder = house.gateway.recorder
    assert recorder is not None
    return recorder.store


def test_a_word_about_a_request_reaches_the_ledger_and_the_accuracy(shared: House) -> None:
    answer = shared.client.post("/v1/messages", json=message(EASY))
    told = {"request_id": answer.headers["x-lynkr-decision-id"], "verdict": "too_weak", "note": "wrong file"}
    kept = shared.client.post(PATH, json=told)
    assert (kept.status_code, kept.json()) == (
        200,
        {"request_id": told["request_id"], "verdict": "too_weak"},
    )
    record = shared.record_of(answer)
    (signal,) = store_of(shared).signals(record.id)
    assert (signal.kind, signal.source, signal.note) == (SignalKind.TOO_WEAK, "feedback", "wrong file")
    fit, _ = accuracy(store_of(shared), window_of("1d", time.time()))
    assert fit.under >= 1
    assert fit.looked_at >= 1


def test_the_same_word_twice_counts_once(shared: House) -> None:
    answer = shared.client.post("/v1/messages", json=message(EASY))
    told = {"request_id": answer.headers["x-lynkr-decision-id"], "verdict": "right"}
    for note in ("one", "two"):
        assert shared.client.post(PATH, json={**told, "note": note}).status_code == 200
    assert [signal.note for signal in store_of(shared).signals(told["request_id"])] == ["two"]


def test_an_unknown_request_is_404(shared: House) -> None:
    answer = shared.client.post(PATH, json={"request_id": "nobody", "verdict": "right"})
    assert answer.status_code == 404
    assert "nobody" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"verdict": "right"}, "request_id"),
        ({"request_id": "", "verdict": "right"}, "request_id"),
        ({"request_id": "x" * 129, "verdict": "right"}, "request_id"),
        ({"request_id": "x"}, "verdict"),
        ({"request_id": "x", "verdict": "retried"}, "verdict"),
        ({"request_id": "x", "verdict": "right", "note": "y" * 501}, "note"),
        ({"request_id": "x", "verdict": "right", "source": 7}, "source"),
        ({"request_id": "x", "verdict": "right", "prompt": "words"}, "prompt"),
    ],
)
def test_what_is_malformed_is_refused_by_name(body: dict[str, object], field: str) -> None:
    with pytest.raises(ClientWireError, match=field):
        read_feedback(json.dumps(body).encode(), 0.0)


def test_a_body_is_bounded(shared: House) -> None:
    body = json.dumps({"request_id": "x", "verdict": "right", "note": "y" * MOST_BYTES})
    assert shared.client.post(PATH, content=body).status_code == 413


@given(st.binary(max_size=200))
def test_no_body_makes_it_fail_otherwise(body: bytes) -> None:
    try:
        read_feedback(body, 0.0)
    except ClientWireError as error:
        assert 400 <= error.status < 500  # noqa: PT017  # reason: a body may be right by chance
