import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.providers.body_rules import CHAT_BODIES, PLAIN_BODIES, BodyRules, Settled
from lynkr.providers.builtin import HOSTS
from lynkr.wire.json_body import parse_body

OPENAI = HOSTS["openai"].rules
BODIES = st.dictionaries(
    st.sampled_from(["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "odd"]),
    st.none() | st.booleans() | st.integers() | st.dictionaries(st.text(), st.booleans()),
)


@given(BODIES, st.text())
def test_plain_rules_change_nothing(body, model):
    assert PLAIN_BODIES.apply(body, model) is body


@given(BODIES, st.sampled_from(["o3-mini", "gpt-4o"]))
def test_applying_rules_twice_is_applying_them_once(body, model):
    once = OPENAI.apply(body, model)
    assert OPENAI.apply(once, model) is once


@given(BODIES, st.sampled_from(["o3-mini", "gpt-4o"]))
def test_rules_touch_only_the_fields_they_are_about(body, model):
    theirs = {"max_tokens", "max_completion_tokens", "stream_options"}
    changed = OPENAI.apply(body, model)
    assert {k: v for k, v in changed.items() if k not in theirs} == {
        k: v for k, v in body.items() if k not in theirs
    }


@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.4-nano", "gpt-6"])
def test_models_that_refuse_max_tokens_get_max_completion_tokens(model):
    assert OPENAI.apply({"max_tokens": 5}, model) == {"max_completion_tokens": 5}
    assert OPENAI.apply({"max_tokens": 5, "max_completion_tokens": 9}, model) == {"max_completion_tokens": 9}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "gpt-oss:20b", "chatgpt-4o"])
def test_other_models_keep_max_tokens(model):
    assert OPENAI.apply({"max_tokens": 5}, model) == {"max_tokens": 5}


def test_a_stream_is_asked_for_its_usage():
    assert CHAT_BODIES.apply({"stream": True}, "m")["stream_options"] == {"include_usage": True}
    options = {"include_usage": False, "include_obfuscation": False}
    changed = CHAT_BODIES.apply({"stream": True, "stream_options": options}, "m")
    assert changed["stream_options"] == {"include_usage": True, "include_obfuscation": False}


@pytest.mark.parametrize("body", [{}, {"stream": False}, {"stream": None}])
def test_a_whole_answer_is_not_asked_for_what_it_has_anyway(body):
    assert CHAT_BODIES.apply(body, "m") is body


def test_a_host_without_the_option_is_one_value_away():
    assert BodyRules(stream_usage=False).apply({"stream": True}, "m") == {"stream": True}


CLOUD = BodyRules(
    leave_out=frozenset({"model", "odd"}), fixed={"version": "2023"}, betas_field="anthropic_beta"
)
BETAS = st.lists(st.sampled_from(["a-1", "b-2", "c-3"]), max_size=4)
CLOUD_BODIES = st.dictionaries(
    st.sampled_from(["model", "stream", "odd", "version", "anthropic_beta"]), st.none() | st.text() | BETAS
)


@given(CLOUD_BODIES | BODIES, st.text(), BETAS, st.sampled_from([CLOUD, PLAIN_BODIES]))
def test_splicing_a_body_means_what_applying_the_rules_to_it_means(body, model, betas, rules):
    spliced = json.loads(rules.splice(parse_body(json.dumps(body).encode()), model, betas))
    named = body if "model" in rules.leave_out else {**body, "model": model}
    assert spliced == rules.apply(named, model, betas)


ALL_RULES = [CLOUD, PLAIN_BODIES, *(host.rules for _, host in sorted(HOSTS.items()))]
MODELS = [
    "m",
    "gpt-5",
    "o3-mini",
    "grok-4",
    "kimi-k3",
    "claude-opus-4-7",
    "claude-haiku-4-5",
    "mistral-large",
]


@given(
    CLOUD_BODIES
    | BODIES
    | st.sampled_from([{"temperature": 1, "top_p": 1, "reasoning_effort": "low", "stop": []}]),
    st.sampled_from(MODELS) | st.text(),
    BETAS,
    st.sampled_from(ALL_RULES),
)
def test_what_is_kept_of_the_rules_for_one_model_changes_its_bodies_alike(body, model, betas, rules):
    assert rules.of_model(model).changes(body, model, betas) == rules.changes(body, model, betas)


@given(CLOUD_BODIES, st.text(), BETAS)
def test_a_hosts_own_fields_are_in_every_body_and_the_left_out_in_none(body, model, betas):
    changed = CLOUD.apply(body, model, betas)
    assert changed["version"] == "2023"
    assert not {"model", "odd"} & set(changed)
    assert set(betas) <= set(changed.get("anthropic_beta") or ())
    assert CLOUD.apply(changed, model, betas) is changed


def test_betas_of_the_body_come_first_and_none_comes_twice():
    body = {"anthropic_beta": ["b-2", "own"]}
    assert CLOUD.apply(body, "m", ["a-1", "b-2"])["anthropic_beta"] == ["b-2", "own", "a-1"]


@pytest.mark.parametrize("text", ['{ "model" : "m" , "a":1e2}', '{"model":"m"}'])
def test_a_body_that_is_right_already_keeps_its_bytes(text):
    assert PLAIN_BODIES.splice(parse_body(text.encode()), "m") == text.encode()


SETTLED = BodyRules(settled=(Settled(frozenset({"temperature", "n"}), ("kimi-k3",)),))


def test_fields_a_model_has_settled_are_left_out_on_both_ways_and_said():
    raw = parse_body(b'{"model":"auto", "temperature": 0.2,"x":1e2, "n":2}')
    assert SETTLED.splice(raw, "kimi-k3") == b'{"model":"kimi-k3","x":1e2}'
    assert SETTLED.apply(raw.value, "kimi-k3") == {"model": "auto", "x": 100.0}
    assert [loss.path for loss in SETTLED.losses(raw.value, "kimi-k3")] == [
        "sampling.temperature",
        "extras.n",
    ]


def test_another_model_is_told_all_the_same():
    raw = parse_body(b'{"model":"auto","temperature":0.2}')
    assert SETTLED.splice(raw, "moonshot-v1") == b'{"model":"moonshot-v1","temperature":0.2}'
    assert SETTLED.losses(raw.value, "moonshot-v1") == ()
    assert SETTLED.losses({"model": "m"}, "kimi-k3") == ()


# --- What single hosts refuse ---------------------------------------------------------------------------

HISTORY = [
    {"role": "user", "content": "hi", "name": "ann"},
    {"role": "assistant", "content": "yes", "reasoning_content": "hm", "refusal": None, "annotations": []},
]
# What the SDKs and agents send beyond the plain request.
FULL = {
    "model": "m",
    "messages": HISTORY,
    "seed": 7,
    "max_completion_tokens": 9,
    "logprobs": True,
    "logit_bias": {},
    "store": False,
    "user": "u",
    "temperature": 0.2,
    "parallel_tool_calls": True,
}
CHAT_HOSTS = sorted(name for name, host in HOSTS.items() if host.format == "openai_chat")


def assistant_of(body):
    return body["messages"][1]


def test_mistral_gets_its_own_names_and_nothing_it_does_not_know():
    rules = HOSTS["mistral"].rules
    sent = rules.apply(FULL, "mistral-large-latest")
    assert sent["random_seed"] == 7
    assert sent["max_tokens"] == 9
    assert not {"seed", "max_completion_tokens", "logit_bias", "store", "user"} & set(sent)
    assert assistant_of(sent) == {"role": "assistant", "content": "yes"}
    assert sorted(loss.path for loss in rules.losses(FULL, "m")) == [
        "extras.logit_bias",
        "extras.store",
        "messages[0].extras.name",
        "messages[1].extras.annotations",
        "messages[1].extras.reasoning_content",
        "user",
    ]


def test_groq_is_not_sent_what_it_answers_400_to():
    rules = HOSTS["groq"].rules
    sent = rules.apply(FULL, "openai/gpt-oss-120b")
    assert not {"logprobs", "logit_bias", "top_logprobs", "store"} & set(sent)
    assert sent["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes"},
    ]
    assert "messages[1].extras.reasoning_content" in [loss.path for loss in rules.losses(FULL, "m")]


def test_cerebras_gets_a_thought_of_the_history_under_its_own_name():
    rules = HOSTS["cerebras"].rules
    sent = rules.apply(FULL, "gpt-oss-120b")
    assert assistant_of(sent) == {"role": "assistant", "content": "yes", "reasoning": "hm"}
    assert "store" not in sent
    assert [loss.path for loss in rules.losses(FULL, "m")] == [
        "extras.store",
        "messages[1].extras.annotations",
    ]


@pytest.mark.parametrize(
    ("model", "effort", "falls"),
    [
        ("o3-mini", None, True),
        ("gpt-5", None, True),
        ("gpt-5-mini", None, True),
        ("gpt-5-chat-latest", None, False),
        ("gpt-5.4", None, False),
        ("gpt-5.4", "none", False),
        ("gpt-5.4", "low", True),
        ("gpt-5.1-chat-latest", "low", False),
        ("gpt-4o", None, False),
    ],
)
def test_openais_reasoning_models_are_not_told_how_to_sample(model, effort, falls):
    body = {"temperature": 0.2, "top_p": 0.9} | ({} if effort is None else {"reasoning_effort": effort})
    sent = OPENAI.apply(body, model)
    assert ("temperature" in sent) is not falls
    wanted = ["sampling.temperature", "sampling.top_p"] if falls else []
    assert [loss.path for loss in OPENAI.losses(body, model)] == wanted


def test_grok_is_not_told_what_it_refuses():
    rules = HOSTS["xai"].rules
    body = {"presence_penalty": 0, "stop": ["x"]}
    assert rules.apply(body, "grok-4.5") == {}
    assert rules.apply(body, "grok-4-fast-non-reasoning") == {"stop": ["x"]}


@given(
    st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in FULL.items()}),
    st.sampled_from(CHAT_HOSTS),
    st.sampled_from(["m", "gpt-5", "grok-4", "kimi-k3"]),
)
def test_every_hosts_rules_say_the_same_of_a_clients_bytes_and_of_a_translated_body(body, name, model):
    rules = HOSTS[name].rules
    named = body if "model" in rules.leave_out else {**body, "model": model}
    sent = rules.apply(named, model)
    assert json.loads(rules.splice(parse_body(json.dumps(body).encode()), model)) == sent
    assert rules.apply(sent, model) == sent
    assert rules.losses(sent, model) == ()
