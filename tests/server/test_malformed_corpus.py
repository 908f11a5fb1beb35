"""``tests/corpus/malformed``: bodies no client should send, over real sockets, a file for each route.

Each is refused with 400 in the dialect's envelope and by the name of its field, and the gateway complains
of nothing.  *text* is what is sent where it is no JSON; *field* is null where no field is to blame.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import House, house, message

CORPUS = Path(__file__).parents[1] / "corpus" / "malformed"
ROUTES = {path.stem: f"/{path.stem.replace('-', '/')}" for path in sorted(CORPUS.glob("*.json"))}
CASES = [
    pytest.param(ROUTES[stem], case, id=f"{stem}-{case['why'].replace(' ', '_')}")
    for stem in ROUTES
    for case in json.loads((CORPUS / f"{stem}.json").read_text("utf-8"))
]
SPEAKS_ANTHROPIC = ("/v1/messages", "/v1/messages/count_tokens")
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3") as running:
        yield running


def test_every_route_that_reads_a_body_of_a_dialect_has_its_corpus() -> None:
    assert set(ROUTES.values()) == {
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
    }


@pytest.mark.parametrize(("path", "case"), CASES)
def test_it_is_refused_by_the_name_of_its_field(running: House, path: str, case: dict[str, Any]) -> None:
    before = len(running.simulator.requests)
    text = case["text"] if "text" in case else json.dumps(case["body"])
    answer = running.client.post(path, content=text.encode(), headers=JSON)
    assert answer.status_code == 400, answer.text
    said = answer.json()
    error = said["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    if path in SPEAKS_ANTHROPIC:  # which has no place for the field but the message
        assert (said["type"], set(said)) == ("error", {"type", "error"})
        assert case["field"] is None or error["message"].startswith(f"{case['field']}: ")
    else:
        assert set(error) == {"message", "type", "param", "code"}
        assert error["param"] == case["field"]
    assert len(running.simulator.requests) == before, "it was sent on"


def test_the_gateway_serves_on_after_all_of_them(running: House) -> None:
    assert running.client.post("/v1/messages", json=message("hi")).status_code == 200
