"""Claude Code, unmodified, before an upstream that speaks OpenAI Chat."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing.faults import script, status
from tests.clients.harness import KEY, Finished, Stand
from tests.clients.upstream import call, say, use

pytestmark = pytest.mark.client("claude-code")

# Its shape depends on the model's name: adaptive thinking and a system message in mid-conversation for
# the first, a thinking budget for the second.
MODELS = ("claude-opus-5-5", "claude-sonnet-4-5")


def ask(at: Stand, prompt: str, *, model: str = MODELS[0]) -> Finished:
    command = [
        at.clients.npm("claude-code", "claude"),
        "-p",
        prompt,
        "--output-format",
        "stream-json",
        "--verbose",
    ]
    return at.run(
        [*command, "--model", model, "--dangerously-skip-permissions"],
        {
            "ANTHROPIC_BASE_URL": at.url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "2",
            "IS_SANDBOX": "1",
        },
    )


def result_of(done: Finished) -> Any:
    """The last message of Claude Code's own log: how the run went."""
    results = [line for line in done.lines() if line["type"] == "result"]
    assert len(results) == 1, str(done)
    return results[0]


def tool_results(done: Finished) -> list[Any]:
    """What its tools answered, in order."""
    return [
        block
        for line in done.lines()
        if line["type"] == "user"
        for block in line["message"]["content"]
        if block["type"] == "tool_result"
    ]


@pytest.mark.parametrize("model", MODELS)
def test_a_question_is_answered(start: Callable[..., Stand], model: str):
    at = start("chat", say("Paris, of course."))
    done = ask(at, "What is the capital of France?", model=model)
    result = result_of(done)
    assert (done.status, result["is_error"], result["result"]) == (0, False, "Paris, of course."), str(done)
    assert result["usage"]["input_tokens"] > 1000
    assert result["usage"]["output_tokens"] > 0
    at.assert_served(calls=1)


def test_a_file_is_written_and_then_edited(start: Callable[..., Stand], workspace: Path):
    path = workspace / "greeting.txt"
    at = start(
        "chat",
        use(call("Write", file_path=str(path), content="bonjour\nmonde\n"), text="I write it."),
        use(call("Edit", file_path=str(path), old_string="monde", new_string="tout le monde é")),
        say("Both done."),
    )
    done = ask(at, "Write a greeting into greeting.txt, then edit it.")
    assert result_of(done)["result"] == "Both done.", str(done)
    assert path.read_text(encoding="utf-8") == "bonjour\ntout le monde é\n"
    assert not [block for block in tool_results(done) if block.get("is_error")]
    at.assert_served(calls=3)


def test_two_files_are_read_by_parallel_calls(start: Callable[..., Stand], workspace: Path):
    names = ("one.txt", "two.txt")
    for name in names:
        (workspace / name).write_text(f"the words of {name}\n", encoding="utf-8")
    at = start("chat", use(*(call("Read", file_path=str(workspace / name)) for name in names)), say("Read."))
    done = ask(at, "Read one.txt and two.txt.")
    assert result_of(done)["result"] == "Read.", str(done)
    assert len(tool_results(done)) == 2
    at.assert_served(calls=2)
    results = at.tool_results()
    assert len(results) == 2
    for name, words in zip(names, results.values(), strict=True):
        assert f"the words of {name}" in words


def test_a_refusal_of_the_upstream_is_told_in_its_words(start: Callable[..., Stand]):
    at = start("chat", say("never"), faults=script(then=status(400)))
    result = result_of(done := ask(at, "hello"))
    assert result["is_error"], str(done)
    assert "simulated status 400" in result["result"]
    assert done.status != 0
    for record in at.records_of(1):
        assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "UpstreamRefused")


def test_a_busy_upstream_is_asked_again_unnoticed(start: Callable[..., Stand]):
    at = start("chat", say("at last"), faults=script(status(503), status(429)))
    done = ask(at, "hello")
    assert result_of(done)["result"] == "at last", str(done)
    (record,) = at.assert_recorded(calls=1)
    assert [attempt.status for attempt in record.attempts] == [503, 429, 200]
