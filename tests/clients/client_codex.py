"""Codex, unmodified, before upstreams that speak OpenAI Chat and Anthropic Messages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing.faults import script, status
from tests.clients.harness import KEY, Finished, Stand
from tests.clients.upstream import call, say, use

pytestmark = pytest.mark.client("codex")

UPSTREAMS = ("chat", "messages")
CONFIGURATION = """\
model = "gpt-5.5"
model_provider = "lynkr"

[model_providers.lynkr]
name = "lynkr"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "CODEX_KEY"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false
"""


def ask(at: Stand, prompt: str) -> Finished:
    home = at.home / "codex"
    home.mkdir()
    (home / "config.toml").write_text(CONFIGURATION.format(url=at.url), encoding="utf-8")
    command = [at.clients.npm("codex", "codex"), "exec", "--json", "--skip-git-repo-check"]
    return at.run(
        [*command, "--dangerously-bypass-approvals-and-sandbox", prompt],
        {"CODEX_HOME": str(home), "CODEX_KEY": KEY},
    )


def events(done: Finished, kind: str) -> list[Any]:
    return [line for line in done.lines() if line["type"] == kind]


def answer_of(done: Finished) -> str:
    """Its last words, from a turn that was completed."""
    assert done.status == 0, str(done)
    assert not done.gateway, str(done)
    assert len(events(done, "turn.completed")) == 1, str(done)
    said = [
        event["item"]["text"]
        for event in events(done, "item.completed")
        if event["item"]["type"] == "agent_message"
    ]
    return said[-1]


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_question_is_answered(start: Callable[..., Stand], upstream: str):
    at = start(upstream, say("Paris, of course."))
    done = ask(at, "What is the capital of France?")
    assert answer_of(done) == "Paris, of course."
    (turn,) = events(done, "turn.completed")
    assert turn["usage"]["input_tokens"] > 1000
    assert turn["usage"]["output_tokens"] > 0
    at.assert_served(calls=1)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_patch_in_free_text_changes_a_file(start: Callable[..., Stand], upstream: str, workspace: Path):
    path = workspace / "greeting.txt"
    path.write_text("bonjour\nmonde\n", encoding="utf-8")
    patch = (
        "*** Begin Patch\n*** Update File: greeting.txt\n@@\n bonjour\n-monde\n"
        '+tout le "monde" é\n*** End Patch\n'
    )
    at = start(upstream, use(call("apply_patch", input=patch), text="I patch it."), say("Patched."))
    done = ask(at, "Greet all the world in greeting.txt.")
    assert answer_of(done) == "Patched."
    assert path.read_text(encoding="utf-8") == 'bonjour\ntout le "monde" é\n'
    at.assert_served(calls=2)
    (result,) = at.tool_results().values()
    assert "Success" in result


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_two_commands_run_by_parallel_calls(start: Callable[..., Stand], upstream: str, workspace: Path):
    names = ("one.txt", "two.txt")
    for name in names:
        (workspace / name).write_text(f"the words of {name}\n", encoding="utf-8")
    at = start(upstream, use(*(call("exec_command", cmd=f"cat {name}") for name in names)), say("Read."))
    assert answer_of(ask(at, "Read one.txt and two.txt.")) == "Read."
    at.assert_served(calls=2)
    results = at.tool_results()
    assert len(results) == 2
    for name, words in zip(names, results.values(), strict=True):
        assert f"the words of {name}" in words


def test_a_refusal_of_the_upstream_fails_the_turn_in_its_words(start: Callable[..., Stand]):
    at = start("messages", say("never"), faults=script(then=status(400)))
    done = ask(at, "hello")
    assert done.status != 0, str(done)
    (failed,) = events(done, "turn.failed")
    assert "simulated status 400" in failed["error"]["message"]
    for record in at.records_of(1):
        assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "UpstreamRefused")


def test_a_busy_upstream_is_asked_again_unnoticed(start: Callable[..., Stand]):
    at = start("messages", say("at last"), faults=script(status(529), status(429)))
    assert answer_of(ask(at, "hello")) == "at last"
    (record,) = at.assert_recorded(calls=1)
    assert [attempt.status for attempt in record.attempts] == [529, 429, 200]
