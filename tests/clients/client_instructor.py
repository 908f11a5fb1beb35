"""instructor, which makes objects of answers: by a forced tool call, by a schema, by parallel calls."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing.faults import script, status
from tests.clients.harness import Finished, Stand
from tests.clients.upstream import call, say, use

pytestmark = pytest.mark.client("instructor")

Start = Callable[..., Stand]
# The dialect it speaks, the one behind the gateway.
PAIRS = (("messages", "chat"), ("chat", "messages"), ("responses", "chat"), ("responses", "messages"))
# Its Responses mode has neither schemas nor parallel calls, and asks again without the history.
FULL = tuple(pair for pair in PAIRS if pair[0] != "responses")
TEXT = 'Bonjour, "é" \\ 🙂.\nLa suite.'


def ask(at: Stand, dialect: str, scenario: str) -> Finished:
    return at.run([*at.clients.driver("instructor", "instructor_client.py"), scenario, "Go on.", dialect])


def run(at: Stand, dialect: str, scenario: str) -> Any:
    """The driver's report."""
    done = ask(at, dialect, scenario)
    assert done.status == 0, str(done)
    assert not done.gateway, str(done)
    return done.report


@pytest.mark.parametrize(("dialect", "upstream"), PAIRS)
def test_a_text_answer_arrives(start: Start, dialect: str, upstream: str):
    at = start(upstream, say(TEXT))
    assert run(at, dialect, "whole") == {"text": TEXT, "error": None}
    at.assert_served(calls=1)


@pytest.mark.parametrize(("dialect", "upstream"), PAIRS)
def test_a_forced_tool_call_becomes_an_object(start: Start, dialect: str, upstream: str):
    at = start(upstream, use(call("Capital", city="Orléans", inhabitants=116269)))
    assert run(at, dialect, "tools") == {"text": "Orléans, 116269", "error": None}
    at.assert_served(calls=1)
    (body,) = at.bodies()
    assert "Capital" in json.dumps(body["tool_choice"])


@pytest.mark.parametrize(("dialect", "upstream"), FULL)
def test_an_object_that_is_wrong_is_asked_for_again(start: Start, dialect: str, upstream: str):
    wrong, right = (use(call("Capital", city="Paris", inhabitants=number)) for number in (-1, 2102650))
    at = start(upstream, wrong, right)
    assert run(at, dialect, "tools") == {"text": "Paris, 2102650", "error": None}
    at.assert_served(calls=2)
    (result,) = at.tool_results().values()
    assert "greater than 0" in result


@pytest.mark.parametrize(("dialect", "upstream"), FULL)
def test_json_by_a_schema_becomes_an_object(start: Start, dialect: str, upstream: str):
    at = start(upstream, say('{"city": "Orléans", "inhabitants": 116269}'))
    assert run(at, dialect, "json") == {"text": "Orléans, 116269", "error": None}
    at.assert_served(calls=1)


@pytest.mark.parametrize(("dialect", "upstream"), FULL)
def test_parallel_calls_change_and_read_files(start: Start, dialect: str, upstream: str, workspace: Path):
    old, new = workspace / "old.txt", workspace / "new.txt"
    old.write_text("the old words", encoding="utf-8")
    calls = (call("write_file", path=str(new), content=TEXT), call("read_file", path=str(old)))
    at = start(upstream, use(*calls))
    report = run(at, dialect, "agent")
    assert report["error"] is None
    assert json.loads(report["text"]) == [f"wrote {new}", "the old words"]
    assert new.read_text(encoding="utf-8") == TEXT
    at.assert_served(calls=1)


@pytest.mark.parametrize(("dialect", "upstream"), PAIRS)
def test_an_error_of_the_upstream_keeps_its_status_and_words(start: Start, dialect: str, upstream: str):
    at = start(upstream, say("never"), faults=script(then=status(400)))
    report = run(at, dialect, "whole")
    assert "simulated status 400" in report["error"]["message"]
    assert report["error"]["status"] == 400
    (record,) = at.records_of(1)
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "UpstreamRefused")
