"""Aider, unmodified.  It declares no tools: its edits are blocks of text in the answer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing.faults import script, status
from tests.clients.harness import KEY, Finished, Stand
from tests.clients.upstream import say

pytestmark = pytest.mark.client("aider")

Start = Callable[..., Stand]
# By its upstream: the model's name says to the litellm inside it what to speak.
MODELS = {"messages": "openai/auto", "chat": "anthropic/claude-sonnet-4-5"}
each_upstream = pytest.mark.parametrize("upstream", MODELS)


def ask(at: Stand, upstream: str, prompt: str, *files: Path) -> Finished:
    aider = Path(at.clients.python("aider")).parent / "aider"
    alone = (
        "--no-git",
        "--no-check-update",
        "--no-show-model-warnings",
        "--analytics-disable",
        "--yes-always",
    )
    words = ("--model", MODELS[upstream], "--edit-format", "diff", "--no-pretty", "--message", prompt)
    return at.run(
        [str(aider), *alone, *words, *map(str, files)],
        {
            "OPENAI_API_BASE": f"{at.url}/v1",
            "OPENAI_API_KEY": KEY,
            "ANTHROPIC_API_BASE": at.url,
            "ANTHROPIC_API_KEY": KEY,
        },
    )


def edit(path: Path, old: str, new: str) -> str:
    """An edit as aider asks its model for: the path, and what replaces what."""
    return f"{path.name}\n```text\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n```\n"


@each_upstream
def test_a_question_is_answered(start: Start, upstream: str):
    at = start(upstream, say('Paris, "of course" é.'))
    done = ask(at, upstream, "What is the capital of France?")
    assert done.status == 0, str(done)
    assert 'Paris, "of course" é.' in done.stdout
    at.assert_served(calls=1)


@each_upstream
def test_two_files_are_edited_by_one_answer(start: Start, upstream: str, workspace: Path):
    paths = [workspace / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text(f"the words of {path.stem}\nand more\n", encoding="utf-8")
    edits = [edit(path, f"the words of {path.stem}\n", 'tout le "monde" é\n') for path in paths]
    at = start(upstream, say("I edit both.\n\n" + "\n".join(edits)))
    done = ask(at, upstream, "Greet all the world in both files.", *paths)
    assert done.status == 0, str(done)
    for path in paths:
        assert path.read_text(encoding="utf-8") == 'tout le "monde" é\nand more\n', str(done)
    at.assert_served(calls=1)
    assert "the words of two" in at.requests()[0].body.decode()


@each_upstream
def test_a_refusal_of_the_upstream_is_told_in_its_words(start: Start, upstream: str):
    at = start(upstream, say("never"), faults=script(then=status(400)))
    done = ask(at, upstream, "Say hello to everyone.")
    assert "simulated status 400" in done.stdout, str(done)
    (record,) = at.records_of(1)
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "UpstreamRefused")
