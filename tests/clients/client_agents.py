"""Coding agents, unmodified, each before an upstream that speaks another dialect than it does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing.faults import script, status
from tests.clients.agents import AGENTS, Agent
from tests.clients.harness import Stand, eventually
from tests.clients.upstream import say, use

Start = Callable[..., Stand]
each_agent = pytest.mark.parametrize(
    "agent",
    [pytest.param(agent, id=str(agent), marks=pytest.mark.client(agent.client)) for agent in AGENTS],
)


@each_agent
def test_a_question_is_answered(start: Start, agent: Agent):
    at = start(agent.upstream, say('Paris, "of course" é.'))
    done = agent.run(at, "What is the capital of France?")
    assert done.status == 0, str(done)
    assert agent.answer(done) == 'Paris, "of course" é.'
    at.assert_served(calls=1)


@each_agent
def test_a_file_is_written_read_and_edited_by_tool_calls(start: Start, agent: Agent, workspace: Path):
    path = workspace / "greeting.txt"
    at = start(
        agent.upstream,
        use(agent.write(path, "bonjour\nmonde\n"), text="I write it."),
        use(agent.read(path)),
        use(agent.edit(path, "monde", 'tout le "monde" é')),
        say("All done."),
    )
    done = agent.run(at, "Write a greeting into greeting.txt, then edit it.")
    assert done.status == 0, str(done)
    assert agent.answer(done).endswith("All done.")
    assert path.read_text(encoding="utf-8") == 'bonjour\ntout le "monde" é\n'
    at.assert_served(calls=4)
    _, read, _ = at.tool_results().values()
    assert "monde" in read


@each_agent
def test_two_files_are_read_by_parallel_calls(start: Start, agent: Agent, workspace: Path):
    paths = [workspace / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text(f"the words of {path.name}\n", encoding="utf-8")
    at = start(agent.upstream, use(*(agent.read(path) for path in paths)), say("I read both."))
    done = agent.run(at, "Read one.txt and two.txt.")
    assert done.status == 0, str(done)
    assert agent.answer(done).endswith("I read both.")
    at.assert_served(calls=2)
    results = at.tool_results()
    assert len(results) == 2
    for path, words in zip(paths, results.values(), strict=True):
        assert f"the words of {path.name}" in words


@each_agent
def test_a_refusal_of_the_upstream_is_told_in_its_words(start: Start, agent: Agent):
    at = start(agent.upstream, say("never"), faults=script(then=status(400)))
    done = agent.run(at, "Say hello to everyone.")
    assert done.status != 0, str(done)
    assert "simulated status 400" in agent.failure(done)
    for record in at.records_of(1):
        assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "UpstreamRefused")


@each_agent
def test_a_busy_upstream_is_asked_again_unnoticed(start: Start, agent: Agent):
    at = start(agent.upstream, say("at last"), faults=script(status(503), status(429)))
    done = agent.run(at, "Say hello to everyone.")
    assert done.status == 0, str(done)
    assert agent.answer(done) == "at last"
    at.assert_recorded(calls=1)
    # Of one request, or of two, for some ask for a title at the same time.
    eventually(
        lambda: {each.status for record in at.records() for each in record.attempts} == {503, 429, 200}
    )
