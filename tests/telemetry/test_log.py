"""One line of JSON for each request, and nothing a secret or a prompt could stand in."""

import json
import logging

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.telemetry import Ended, Record
from lynkr.telemetry.log import LOGGER, RequestLog, line_of
from tests.telemetry.made import records
from tests.telemetry.test_observers import ended

MARK = "\x01unmistakable\x01"


@given(records(st.just("r")))
def test_a_line_is_one_line_of_json_and_holds_no_text_of_prompt_answer_or_provider(record: Record) -> None:
    marked = evolve(
        record,
        prompt=MARK,
        answer=MARK,
        attempts=tuple(evolve(attempt, detail=MARK) for attempt in record.attempts),
        losses=(),
    )
    said = line_of(Ended(marked))
    text = json.dumps(said)
    assert "\n" not in text
    assert "unmistakable" not in text
    assert json.loads(text)["status"] == record.status
    assert len(said["attempts"]) == len(record.attempts)
    assert (said["cost_usd"] is None) is (record.cost.cost_microusd is None)
    assert (said["input_tokens"] is None) is (record.usage.input is None)


@given(records(st.just("r")), st.text(min_size=300, max_size=400))
def test_what_a_client_says_is_cut(record: Record, long: str) -> None:
    said = line_of(Ended(evolve(record, requested_model=long, session=long)))
    assert said["asked"] == said["session"] == long[:200]


def test_lines_go_to_a_logger_of_their_own_and_cost_nothing_where_nobody_reads(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = RequestLog()
    with caplog.at_level(logging.WARNING, LOGGER):
        log.observe([ended("quiet")])
    assert caplog.messages == []
    with caplog.at_level(logging.INFO, LOGGER):
        log.observe([ended("a"), ended("b")])
    assert [json.loads(message)["id"] for message in caplog.messages] == ["a", "b"]
    assert json.loads(caplog.messages[0])["at"] == "1970-01-01T00:00:00.000+00:00"
