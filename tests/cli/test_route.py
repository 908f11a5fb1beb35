"""``lynkr route``: one decision for a person, many for a program."""

import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.cli.dialects import codec_of, prompt_request, request_of
from lynkr.cli.route import as_json, decide_lines, decider
from lynkr.errors import ClientWireError
from lynkr.model import ToolSpec, WireFormat
from lynkr.routing import Tier
from lynkr.settings import Settings, process_environment
from lynkr.testing.children import clean_environment

TIERS = {
    "TIER_SIMPLE": "ollama:small",
    "TIER_MEDIUM": "ollama:medium",
    "TIER_COMPLEX": "ollama:large",
    "TIER_REASONING": "ollama:huge",
}
HARD = "Prove by induction that the algorithm terminates, step by step, and derive a tight lower bound."


@pytest.fixture(scope="module")
def decide():
    return decider(Settings.load(None, TIERS))


def decided(decide, lines: bytes) -> tuple[int, list[dict]]:
    out = io.StringIO()
    status = decide_lines(decide, io.BytesIO(lines), out)
    return status, [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_object_says_tier_score_target_trace_and_id(lynkr, monkeypatch):
    for name, value in TIERS.items():
        monkeypatch.setenv(name, value)
    decision = json.loads(lynkr("route", "hi", "--json").out)
    assert decision["tier"] == "SIMPLE"
    assert 0 <= decision["score"] <= 1
    assert decision["target"] == "ollama:small"
    assert decision["targets"][0] == "ollama:small"
    assert [step["name"] for step in decision["trace"]].count("tier") == 1
    assert len(decision["decision_id"]) == 16
    hard = json.loads(lynkr("route", HARD, "--json").out)
    assert (hard["tier"], hard["target"]) == ("REASONING", "ollama:huge")
    assert hard["score"] > decision["score"]
    assert hard["decision_id"] != decision["decision_id"]


def test_without_configuration_the_tier_is_known_and_the_target_null(lynkr):
    ran = lynkr("route", "hi", "--json")
    assert ran.status == 0
    decision = json.loads(ran.out)
    assert (decision["tier"], decision["target"], decision["targets"]) == ("SIMPLE", None, [])
    assert "none is configured" in lynkr("route", "hi").out


def test_the_same_tier_is_found_with_and_without_configuration(decide):
    bare = decider(Settings())
    for prompt in ("hi", "What is the capital of France?", "Fix the typo in main.py", HARD):
        with_targets, without = decide(prompt_request(prompt)), bare(prompt_request(prompt))
        assert (with_targets.tier, with_targets.score) == (without.tier, without.score)


def test_the_owners_bans_and_prices_count_here_too(lynkr, monkeypatch):
    monkeypatch.setenv("TIER_SIMPLE", "openai:gpt-4.1-nano, openai:gpt-4.1-mini")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("LYNKR_ROUTING_BLOCKED", "openai:gpt-4.1-nano")
    told = json.loads(lynkr("route", "--json", "hi").out)
    assert told["targets"] == ["openai:gpt-4.1-mini"]
    assert told["excluded"] == [{"target": "openai:gpt-4.1-nano", "rule": "policy", "code": "blocked"}]
    assert told["expected_microusd"] > 0
    assert told["price_version"]
    monkeypatch.setenv("LYNKR_ROUTING_BLOCKED", "openai:*")
    ran = lynkr("route", "hi")
    assert ran.status == 1
    assert "openai:gpt-4.1-mini: blocked" in ran.err


def test_a_person_gets_an_aligned_table(lynkr, monkeypatch):
    for name, value in TIERS.items():
        monkeypatch.setenv(name, value)
    lines = lynkr("route", HARD).out.splitlines()
    assert lines[0].startswith("tier    REASONING")
    assert lines[1] == "target  ollama:huge"
    header = next(line for line in lines if line.startswith("step"))
    reason_at = header.index("reason")
    steps = lines[lines.index(header) + 1 :]
    assert len(steps) >= 4
    assert all(line[reason_at - 1] == " " and line[reason_at] != " " for line in steps)


def test_control_signs_of_a_prompt_do_not_reach_the_terminal(lynkr, monkeypatch):
    monkeypatch.setenv("TIER_SIMPLE", "ollama:a\x1b[31mb")
    assert "\x1b" not in lynkr("route", "hi \x1b]0;title\x07").out


def test_equal_decisions_have_equal_ids_whatever_the_hash_seed():
    def identity(seed: str) -> str:
        environ = clean_environment(process_environment()) | TIERS | {"PYTHONHASHSEED": seed}
        ran = subprocess.run(
            [sys.executable, "-m", "lynkr.cli", "route", HARD, "--json"],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return ran.stdout

    assert identity("1") == identity("2")


@pytest.mark.parametrize("words", [(), ("hi", "--jsonl"), ("--jsonl", "--json")])
def test_a_prompt_or_lines_but_not_both(lynkr, words):
    ran = lynkr("route", *words, stdin=b"")
    assert ran.status == 2
    assert ran.err == "lynkr: give a prompt, or --jsonl and the requests on standard input\n"


# --- lines --------------------------------------------------------------------------------------


def test_lines_are_answered_in_order_with_their_ids(lynkr, monkeypatch):
    for name, value in TIERS.items():
        monkeypatch.setenv(name, value)
    asked = [{"id": "a", "prompt": "hi"}, {"id": 7, "prompt": HARD}, {"id": {"n": 1}, "prompt": "hi"}]
    ran = lynkr("route", "--jsonl", stdin="\n".join(map(json.dumps, asked)).encode())
    assert ran.status == 0
    answers = [json.loads(line) for line in ran.out.splitlines()]
    assert [answer["id"] for answer in answers] == ["a", 7, {"n": 1}]
    assert [answer["tier"] for answer in answers] == ["SIMPLE", "REASONING", "SIMPLE"]
    assert all(set(answer) == {"id", "tier", "score", "target"} for answer in answers)
    assert all(0 <= answer["score"] <= 1 for answer in answers)


@pytest.mark.parametrize(
    ("line", "identity", "complaint"),
    [
        (b"{", None, "line 2 is not JSON"),
        (b"[1]", None, "line 2 is not a JSON object"),
        (b"\xff", None, "line 2 is not JSON"),
        (b'{"id": 1}', 1, 'neither "prompt" nor "messages"'),
        (b'{"id": 1, "prompt": 5}', 1, "prompt"),
        (b'{"id": 1, "prompt": "a", "messages": []}', 1, "not both"),
        (b'{"id": 1, "messages": "a"}', 1, "messages"),
        (b'{"id": 1, "messages": [{"role": "nobody", "content": "a"}]}', 1, "role"),
        (b'{"id": 1, "prompt": "a", "tools": [3]}', 1, "tools"),
        (b"[" * 100_000, None, "line 2 is not JSON"),
    ],
)
def test_a_bad_line_is_an_error_for_that_line_alone(decide, line, identity, complaint):
    good = b'{"id": "g", "prompt": "hi"}'
    status, answers = decided(decide, b"\n".join((good, line, good)))
    assert status == 1
    assert [answer.get("tier") for answer in answers] == ["SIMPLE", None, "SIMPLE"]
    assert answers[1]["id"] == identity
    assert complaint in answers[1]["error"]


def test_a_request_no_target_can_serve_is_an_error_of_its_line(tmp_path):
    config = tmp_path / "lynkr.toml"
    config.write_text(
        "[tiers]\nSIMPLE = 'ollama:a'\n[profiles.'ollama:a']\ntools = false\n", encoding="utf-8"
    )
    tool = {"name": "t", "input_schema": {"type": "object"}}
    lines = json.dumps({"id": 1, "prompt": "hi", "tools": [tool]}).encode()
    status, (answer,) = decided(decider(Settings.load(config, {})), lines)
    assert status == 1
    assert "tools" in answer["error"]


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1),
    blank=st.integers(0, 5),
    ending=st.sampled_from([b"", b"\n", b"\r\n"]),
)
def test_however_the_input_is_cut_the_answers_are_the_same(decide, sizes, blank, ending):
    lines = [json.dumps({"id": n, "prompt": f"question {n} é"}, ensure_ascii=False) for n in range(6)]
    lines.insert(blank, "  ")
    data = "\n".join(lines).encode() + ending

    class Cut(io.BytesIO):
        turn = 0

        def read1(self, _=-1):
            self.turn += 1
            return self.read(sizes[self.turn % len(sizes)])

    out = io.StringIO()
    assert decide_lines(decide, Cut(data), out) == 0
    assert [json.loads(line) for line in out.getvalue().splitlines()] == decided(decide, data)[1]
    assert [json.loads(line)["id"] for line in out.getvalue().splitlines()] == list(range(6))


def test_an_answer_does_not_wait_for_the_next_question():
    with (
        subprocess.Popen(
            [sys.executable, "-m", "lynkr.cli", "route", "--jsonl"],
            env=clean_environment(process_environment()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        try:
            for number in range(3):
                process.stdin.write(b'{"id": %d, "prompt": "hi"}\n' % number)
                process.stdin.flush()
                answer = reader.submit(process.stdout.readline).result(timeout=30)
                assert json.loads(answer)["id"] == number
            process.stdin.close()
            assert process.wait(30) == 0
        finally:
            process.kill()


# --- dialects -----------------------------------------------------------------------------------

_ANTHROPIC_TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
_OPENAI_TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
}
_USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("body", "format"),
    [
        ({"messages": [_USER]}, WireFormat.OPENAI_CHAT),
        ({"messages": [_USER], "tools": [_OPENAI_TOOL]}, WireFormat.OPENAI_CHAT),
        ({"messages": [{"role": "system", "content": "s"}, _USER]}, WireFormat.OPENAI_CHAT),
        ({"messages": [_USER], "tools": [_ANTHROPIC_TOOL]}, WireFormat.ANTHROPIC_MESSAGES),
        ({"messages": [_USER], "system": "s"}, WireFormat.ANTHROPIC_MESSAGES),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1"}]}]},
            WireFormat.ANTHROPIC_MESSAGES,
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]},
            WireFormat.OPENAI_CHAT,
        ),
    ],
)
def test_the_dialect_is_told_from_what_only_one_has(body, format):
    assert codec_of(body).format is format


@pytest.mark.parametrize("tool", [_ANTHROPIC_TOOL, _OPENAI_TOOL])
def test_a_prompt_may_come_with_tools_of_either_dialect(tool):
    request = request_of({"prompt": "hi", "tools": [tool]})
    assert request.messages == prompt_request("hi").messages
    (spec,) = request.tools
    assert isinstance(spec, ToolSpec)
    assert spec.name == "f"


def test_a_message_needs_no_max_tokens_to_be_routed():
    bare = request_of({"messages": [_USER], "system": "s"})
    assert bare.max_output_tokens is None
    assert request_of({"messages": [_USER], "system": "s", "max_tokens": 7}).max_output_tokens == 7


def test_a_wrong_body_is_the_callers_error():
    with pytest.raises(ClientWireError, match="prompt"):
        request_of({"prompt": None})


def test_the_trace_is_plain_json(decide):
    body = as_json(decide(prompt_request(HARD)))
    assert json.loads(json.dumps(body)) == body
    assert body["tier"] == Tier.REASONING.name
