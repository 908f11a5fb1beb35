import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.providers.body_rules import CHAT_BODIES, PLAIN_BODIES, BodyRules
from lynkr.providers.builtin import HOSTS

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
    assert not OPENAI.refuses(once, model)


@given(BODIES, st.sampled_from(["o3-mini", "gpt-4o"]))
def test_rules_touch_only_the_fields_they_are_about(body, model):
    theirs = {"max_tokens", "max_completion_tokens", "stream_options"}
    changed = OPENAI.apply(body, model)
    assert {k: v for k, v in changed.items() if k not in theirs} == {
        k: v for k, v in body.items() if k not in theirs
    }


@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.4-nano", "gpt-6"])
def test_models_that_refuse_max_tokens_get_max_completion_tokens(model):
    assert OPENAI.refuses({"max_tokens": 5}, model)
    assert OPENAI.apply({"max_tokens": 5}, model) == {"max_completion_tokens": 5}
    assert OPENAI.apply({"max_tokens": 5, "max_completion_tokens": 9}, model) == {"max_completion_tokens": 9}


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "gpt-oss:20b", "chatgpt-4o"])
def test_other_models_keep_max_tokens(model):
    assert not OPENAI.refuses({"max_tokens": 5}, model)
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
