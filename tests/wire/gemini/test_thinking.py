"""How much to think, by model: every combination is one the model takes, or told as lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Message, ReasoningOptions, Request
from lynkr.testing.laws import assert_losses_honest
from lynkr.wire.gemini import GeminiCodec

CODEC = GeminiCodec()


def thinking(options, model):
    encoded = CODEC.encode_request(Request(model, (Message.user("hi"),), reasoning=options))
    config = encoded.body.get("generationConfig", {}).get("thinkingConfig")
    return config, {loss.path for loss in encoded.losses}


OFF = ReasoningOptions(enabled=False)
ON = ReasoningOptions(enabled=True)
HIGH = ReasoningOptions(effort="high")
CLAUDE_CODE = ReasoningOptions(enabled=True, budget_tokens=31_999)


@pytest.mark.parametrize(
    ("model", "options", "config", "losses"),
    [
        ("gemini-2.5-flash", OFF, {"thinkingBudget": 0}, set()),
        ("gemini-2.5-pro", OFF, {"thinkingBudget": 128}, {"reasoning.enabled", "reasoning.budget_tokens"}),
        ("gemini-3-pro-preview", OFF, {"thinkingLevel": "LOW"}, {"reasoning.enabled", "reasoning.effort"}),
        ("gemini-2.0-flash", OFF, None, {"reasoning"}),
        ("gemini-2.5-flash", ON, {"includeThoughts": True}, set()),
        ("gemini-2.0-flash", ON, None, {"reasoning"}),
        ("gemini-3-flash", HIGH, {"thinkingLevel": "HIGH"}, set()),
        ("models/gemini-4-argon", HIGH, {"thinkingLevel": "HIGH"}, set()),
        ("gemini-flash-latest", HIGH, {"thinkingLevel": "HIGH"}, set()),
        (
            "gemini-2.5-flash",
            HIGH,
            {"thinkingBudget": 24_576},
            {"reasoning.effort", "reasoning.budget_tokens"},
        ),
        ("gemini-2.5-pro", CLAUDE_CODE, {"thinkingBudget": 31_999, "includeThoughts": True}, set()),
        (
            "gemini-2.5-flash",
            CLAUDE_CODE,
            {"thinkingBudget": 24_576, "includeThoughts": True},
            {"reasoning.budget_tokens"},
        ),
        ("gemini-3-pro", ReasoningOptions(effort="max"), {"thinkingLevel": "HIGH"}, {"reasoning.effort"}),
    ],
)
def test_each_model_is_told_in_the_words_it_takes(model, options, config, losses):
    assert thinking(options, model) == (config, losses)


MODELS = (
    "gemini-2.0-flash",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-3-pro",
    "né",
)


@given(
    st.sampled_from(MODELS),
    st.builds(
        ReasoningOptions,
        st.sampled_from((None, True, False)),
        st.sampled_from((None, "minimal", "low", "HIGH", "max")),
        st.none() | st.integers(1, 64_000),
    ),
)
def test_no_model_gets_level_and_budget_at_once_and_every_loss_is_told(model, options):
    request = Request(model, (Message.user("hi"),), reasoning=options)
    assert_losses_honest(CODEC, request)
    config, _ = thinking(options, model)
    assert not {"thinkingBudget", "thinkingLevel"} <= (config or {}).keys()
