"""SDKs and agent frameworks: each has a small driver, and all of them pass the same tests.

A driver takes a scenario and a prompt, and prints one JSON line: the text of
the answer, or the error with its status.  Its upstream speaks another dialect
than it does.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import field, frozen

from lynkr.telemetry.record import Ending
from lynkr.testing.faults import script, status
from tests.clients.harness import Stand
from tests.clients.upstream import Call, Step, call, say, use

Start = Callable[..., Stand]
TEXT = 'Bonjour, "é" \\ 🙂.\nLa suite.'


@frozen
class Driver:
    """*client* is whose environment it runs in, *upstream* the dialect behind the gateway.

    *lacks* are scenarios its client has no means for; *refused* is how many requests of its agent the
    gateway refuses in a way that makes it ask again.  *tool* makes the wire's name of one of our tools;
    *search* is the tool by which they are looked up first, *final* the one whose call ends the agent's
    run.  An agent that *retells* writes its calls and their results as text.  One that *insists* sends a
    request that was refused again.
    """

    client: str
    file: str
    upstream: str
    arguments: tuple[str, ...] = ()
    lacks: frozenset[str] = field(default=frozenset(), converter=frozenset)
    refused: int = 0
    tool: str = "{}"
    search: str = ""
    final: str = ""
    retells: bool = False
    insists: bool = False

    def __str__(self) -> str:
        return "-".join((self.client, Path(self.file).stem, *self.arguments, "to", self.upstream))

    def call(self, tool: str, **arguments: str) -> Call:
        return call(self.tool.format(tool), **arguments)

    def script(self, *steps: Step, end: str) -> list[Step]:
        """*steps*, with the search for their tools before and the agent's last words *end* after."""
        names = ",".join(self.tool.format(name) for name in ("read_file", "write_file"))
        found = [use(call(self.search, query=f"select:{names}", max_results=2))] if self.search else []
        return [*found, *steps, use(call(self.final, answer=end)) if self.final else say(end)]


DRIVERS = (
    # Its tool runner asks for a thread first.
    Driver("node-sdks", "anthropic_sdk.mjs", "chat", refused=1),
    Driver("node-sdks", "openai_sdk.mjs", "messages"),
    Driver("node-sdks", "openai_responses_sdk.mjs", "chat"),
    Driver("node-sdks", "openai_responses_sdk.mjs", "messages"),
    Driver("ai-sdk", "ai_sdk.mjs", "chat", ("messages",)),
    Driver("ai-sdk", "ai_sdk.mjs", "messages", ("chat",)),
    Driver("ai-sdk", "ai_sdk.mjs", "messages", ("responses",)),
    Driver("python-sdks", "anthropic_sdk.py", "chat", refused=1),
    Driver("python-sdks", "openai_sdk.py", "messages", ("chat",)),
    Driver("python-sdks", "openai_sdk.py", "chat", ("responses",)),
    Driver("python-sdks", "openai_sdk.py", "messages", ("responses",)),
    Driver("pydantic-ai", "pydantic_ai_agent.py", "chat", ("messages",)),
    Driver("pydantic-ai", "pydantic_ai_agent.py", "messages", ("chat",)),
    Driver("pydantic-ai", "pydantic_ai_agent.py", "messages", ("responses",)),
    Driver("langchain", "langchain_agent.py", "chat", ("messages",)),
    Driver("langchain", "langchain_agent.py", "messages", ("chat",)),
    Driver("langchain", "langchain_agent.py", "messages", ("responses",)),
    Driver("openai-agents", "openai_agents.py", "messages", ("chat",)),
    Driver("openai-agents", "openai_agents.py", "messages", ("responses",)),
    Driver("litellm", "litellm_client.py", "chat", ("messages",)),
    Driver("litellm", "litellm_client.py", "messages", ("chat",)),
    # Claude Code below it streams always, and loads tools when it needs them.
    Driver(
        "claude-agent-sdk",
        "claude_agent.py",
        "chat",
        lacks=("whole",),
        tool="mcp__files__{}",
        search="ToolSearch",
        insists=True,
    ),
    Driver("smolagents", "smolagents_agent.py", "messages", final="final_answer", retells=True),
)


def drivers(scenario: str) -> Any:
    """Every driver that can do *scenario*, each marked with its client's name."""
    return pytest.mark.parametrize(
        "driver",
        [
            pytest.param(driver, id=str(driver), marks=pytest.mark.client(driver.client))
            for driver in DRIVERS
            if scenario not in driver.lacks
        ],
    )


def run(at: Stand, driver: Driver, scenario: str, prompt: str = "Say hello.") -> Any:
    """The driver's report."""
    done = at.run([*at.clients.driver(driver.client, driver.file), scenario, prompt, *driver.arguments])
    assert done.status == 0, str(done)
    assert not done.gateway, str(done)
    return done.report


@drivers("whole")
def test_a_whole_answer_arrives(start: Start, driver: Driver):
    at = start(driver.upstream, say(TEXT))
    assert run(at, driver, "whole") == {"text": TEXT, "error": None}
    at.assert_served(calls=1)
    assert [record.stream for record in at.records()] == [False]


@drivers("stream")
def test_a_stream_arrives(start: Start, driver: Driver):
    at = start(driver.upstream, say(TEXT))
    assert run(at, driver, "stream") == {"text": TEXT, "error": None}
    at.assert_served(calls=1)
    assert [record.stream for record in at.records()] == [True]


@drivers("agent")
def test_a_tool_call_changes_a_file(start: Start, driver: Driver, workspace: Path):
    path = workspace / "greeting.txt"
    path.write_text("old\n", encoding="utf-8")
    writes = use(driver.call("write_file", path=str(path), content=TEXT), text="I write it.")
    steps = driver.script(writes, end="Done.")
    at = start(driver.upstream, *steps)
    report = run(at, driver, "agent", "Write a greeting.")
    assert report["error"] is None
    assert report["text"].endswith("Done.")
    assert path.read_text(encoding="utf-8") == TEXT
    at.assert_served(calls=len(steps), refused=driver.refused)


@drivers("agent")
def test_parallel_tool_calls_are_answered_together(start: Start, driver: Driver, workspace: Path):
    paths = [workspace / name for name in ("one.txt", "two.txt")]
    for path in paths:
        path.write_text(f"the words of {path.name}", encoding="utf-8")
    steps = driver.script(use(*(driver.call("read_file", path=str(path)) for path in paths)), end="Read.")
    at = start(driver.upstream, *steps)
    assert run(at, driver, "agent", "Read both.") == {"text": "Read.", "error": None}
    at.assert_served(calls=len(steps), refused=driver.refused)
    if driver.retells:
        results = [json.dumps(at.bodies()[-1]["messages"][-1])] * 2
    else:
        results = list(at.tool_results().values())
    for path, result in zip(paths, results[-2:], strict=True):
        assert f"the words of {path.name}" in result
    if driver.search:
        assert driver.tool.format("read_file") in results[0]


@drivers("error")
@pytest.mark.parametrize("scenario", ["whole", "stream"])
def test_an_error_of_the_upstream_keeps_its_status_and_words(start: Start, driver: Driver, scenario: str):
    if scenario in driver.lacks:
        scenario = "agent"
    at = start(driver.upstream, say("never"), faults=script(then=status(400)))
    report = run(at, driver, scenario)
    assert report["text"] is None
    assert "simulated status 400" in report["error"]["message"]
    assert report["error"]["status"] == 400
    records = at.records_of(1)
    assert driver.insists or len(records) == 1
    for record in records:
        assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "UpstreamRefused")
