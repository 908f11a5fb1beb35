"""What a cloud that does not know a beta is sent: neither the beta nor what it switches on."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.providers.betas import (
    ALL_BETAS,
    BEDROCK_BETAS,
    FOUNDRY_BETAS,
    VERTEX_BETAS,
    KnownBetas,
    without_switched,
)
from lynkr.providers.body_rules import BodyRules
from lynkr.wire.json_body import parse_body

CORPUS = Path(__file__).parents[1] / "corpus" / "requests"
CLAUDE_CODE = json.loads((CORPUS / "claude-code-claude-opus-5-5.json").read_text("utf-8"))
BETAS = CLAUDE_CODE["headers"]["anthropic-beta"].split(",")
NAMES = st.sampled_from(
    ["fast-mode-2026-02-01", "context-management-2025-06-27", "advanced-tool-use-2025-11-20",
     "thinking-display-updates-2026-08-18", "prompt-caching-scope-2026-01-05", "claude-code-20250219",
     "mcp-client-2025-11-20", "task-budgets-2026-03-13", "odd"]
)  # fmt: skip
BODY = {
    "model": "claude",
    "speed": "fast",
    "context_management": {"edits": []},
    "mcp_servers": [],
    "thinking": {"type": "adaptive", "display": "updates"},
    "output_config": {"effort": "low", "task_budget": {"type": "tokens", "total": 9}},
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "global"}}],
    "tools": [
        {"name": "a", "input_schema": {"properties": {"scope": {}, "cache_control": {"scope": 1}}}},
        {"name": "b", "input_schema": {}, "defer_loading": True, "cache_control": {"type": "ephemeral"}},
        {"type": "mcp_toolset", "mcp_server_name": "x"},
        {"type": "tool_search_tool_bm25_20251119", "name": "t"},
    ],
    "messages": [],
}


@pytest.mark.parametrize(
    ("beta", "gone"),
    [
        ("fast-mode-2026-02-01", ["extras.speed"]),
        ("fast-mode-2029-01-01", ["extras.speed"]),
        ("context-management-2025-06-27", ["extras.context_management"]),
        ("thinking-display-updates-2026-08-18", ["extras.thinking.display"]),
        ("task-budgets-2026-03-13", ["extras.output_config.task_budget"]),
        ("prompt-caching-scope-2026-01-05", ["system.extras.cache_control.scope"]),
        ("mcp-client-2025-11-20", ["extras.mcp_servers", "tools[2]"]),
        ("advanced-tool-use-2025-11-20", ["tools[1].extras.defer_loading", "tools[3]"]),
        ("interleaved-thinking-2025-05-14", []),
        ("claude-code-20250219", []),
    ],
)
def test_what_a_beta_switches_on_goes_with_it(beta, gone):
    pruned = without_switched(BODY, [beta])
    assert [loss.path for loss in pruned.losses] == gone
    assert all(repr(beta) in loss.reason for loss in pruned.losses)
    assert bool(pruned.put or pruned.drop) is bool(gone)


def test_nothing_is_taken_out_of_a_tools_schema_or_of_what_it_was_called_with():
    (schema_of, *_) = without_switched(BODY, ["prompt-caching-scope-2026-01-05"]).put.get(
        "tools", BODY["tools"]
    )
    assert schema_of == BODY["tools"][0]


def test_an_object_of_which_nothing_is_left_goes_whole():
    pruned = without_switched({"thinking": {"display": "updates"}}, ["thinking-display-updates-2026-08-18"])
    assert (pruned.put, pruned.drop) == ({}, {"thinking"})


@pytest.mark.parametrize("odd", [None, 3, "x", [1, None], {"type": 4}])
def test_bodies_of_odd_shapes_are_left_as_they_are(odd):
    body = {"thinking": odd, "tools": odd, "system": odd, "output_config": odd}
    every = ["prompt-caching-scope-1", "advanced-tool-use-2025-11-20", "task-budgets-2026-03-13"]
    assert without_switched(body, every).put == {}


RULES = {
    "bedrock": BodyRules(betas=BEDROCK_BETAS, betas_field="anthropic_beta"),
    "vertex": BodyRules(betas=VERTEX_BETAS),
    "foundry": BodyRules(betas=FOUNDRY_BETAS),
}


@pytest.mark.parametrize(
    ("host", "fallen"),
    [
        (
            "bedrock",
            ["claude-code-20250219", "per-turn-control-2026-07-01", "thinking-token-count-2026-05-13"],
        ),
        (
            "vertex",
            [
                "claude-code-20250219",
                "mid-conversation-tool-changes-2026-07-01",
                "thinking-token-count-2026-05-13",
                "effort-2025-11-24",
            ],
        ),
        (
            "foundry",
            [
                "claude-code-20250219",
                "mid-conversation-tool-changes-2026-07-01",
                "thinking-token-count-2026-05-13",
            ],
        ),
    ],
)
def test_what_claude_code_sends_reaches_each_cloud_without_what_it_refuses(host, fallen):
    rules, body = RULES[host], CLAUDE_CODE["body"]
    losses = rules.losses(body, "claude", BETAS)
    assert [loss.path for loss in losses] == ["headers.anthropic-beta"] * len(fallen)
    assert [loss.reason.split("'")[1] for loss in losses] == fallen
    sent = rules.apply(body, "claude", BETAS)
    told = rules.header_betas(BETAS) or sent["anthropic_beta"]
    assert not set(fallen) & set(told)
    assert ("tool-search-tool-2025-10-19" in told) is (host != "foundry")
    # The fields whose betas the host knows are all there still.
    assert {**sent, "anthropic_beta": None} == {**body, "anthropic_beta": None}


def test_a_field_falls_with_its_beta_from_the_clients_own_bytes_too():
    rules = RULES["vertex"]
    raw = parse_body(b'{"model":"m", "speed" : "fast","x":1e2}')
    assert rules.splice(raw, "m", ["fast-mode-2026-02-01"]) == b'{"model":"m","x":1e2}'
    # Without the beta the field is none of its business: the host will say what it thinks of it.
    assert rules.splice(raw, "m", []) == raw.text.encode()


@given(st.lists(NAMES, max_size=5), st.lists(NAMES, max_size=3))
def test_both_ways_mean_the_same_and_doing_it_again_changes_nothing(betas, own):
    rules = RULES["bedrock"]
    body = {**BODY, "anthropic_beta": own} if own else BODY
    sent = rules.apply(body, "claude", betas)
    assert json.loads(rules.splice(parse_body(json.dumps(body).encode()), "claude", betas)) == sent
    assert rules.apply(sent, "claude", betas) == sent
    assert set(sent.get("anthropic_beta", ())) <= BEDROCK_BETAS.known


@given(st.lists(NAMES, max_size=5, unique=True))
def test_every_beta_is_kept_or_falls(betas):
    kept, fallen = BEDROCK_BETAS.split(betas)
    assert len(kept) + len(fallen) == len(betas)
    assert ALL_BETAS.split(betas) == (tuple(betas), ())


def test_the_owner_may_know_better():
    known = BEDROCK_BETAS.knowing(["fast-mode-2026-02-01"])
    assert known.split(["fast-mode-2026-02-01", "odd"]) == (("fast-mode-2026-02-01",), ("odd",))
    assert BEDROCK_BETAS.knowing([]) is BEDROCK_BETAS
    assert BEDROCK_BETAS.knowing(["*"]) is ALL_BETAS
    assert ALL_BETAS.knowing(["odd"]) is ALL_BETAS
    assert KnownBetas(frozenset()).split(["odd"]) == ((), ("odd",))
