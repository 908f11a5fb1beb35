"""Hugging Face's ``transformers serve`` behind the gateway, with a tiny random model: ``nox -s servers``."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from lynkr.settings import Settings, process_environment
from lynkr.telemetry.record import Ending
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.children import Child, clean_environment
from lynkr.testing.responses_grammar import validate_responses_stream
from tests.integration.tiny_chat import MODEL
from tests.server.running import Running, message, serving

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
PROVIDERS = ("chat", "responses")
# Why it says it stopped, in the words of Chat and of Messages: its Responses are "completed" also when they
# were cut short (transformers 5.24).
STOPPED = {"chat": ("length", "max_tokens"), "responses": ("stop", "end_turn")}
# The model says one sign a token, and never ends by itself.  Not under 16, the fewest that a request by
# OpenAI's Responses may ask for: the gateway asks for 16 then.
TOKENS = 24
PROMPT = "Say hello."
# <s>user\n, the prompt, </s>\n, <s>assistant\n: its template, one token a byte.
PROMPT_TOKENS = 1 + len("user\n") + len(PROMPT) + 1 + len("\n") + 1 + len("assistant\n")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real server's URL."""
    environ = clean_environment(process_environment()) | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path_factory.mktemp("huggingface")),
    }
    folder = str(tmp_path_factory.mktemp("model"))
    ready = re.compile(r"Uvicorn running on (http://\S+)")
    with Child("tests.integration.tiny_chat", [folder], environ=environ, ready=ready, timeout=120) as server:
        yield server.url


@pytest.fixture(scope="module")
def running(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The gateway before it, by both dialects it speaks."""
    overrides: dict[str, object] = {
        "tiers.SIMPLE": [f"chat:{MODEL}"],
        "telemetry.path": str(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"),
        "server.drain_seconds": 1,
    }
    for name, kind in zip(PROVIDERS, ("openai-compatible", "openai-responses"), strict=True):
        overrides[f"providers.{name}.kind"] = kind
        overrides[f"providers.{name}.base_url"] = f"{upstream}/v1"
        overrides[f"providers.{name}.api_key"] = "k"
    with serving(Settings.load(None, {}, overrides=overrides)) as found:
        yield found


def said_directly(upstream: str) -> str:
    """What the server answers without a gateway: the model is greedy, so it says the same each time."""
    answer = httpx.post(f"{upstream}{CHAT}", json=message(PROMPT, MODEL, max_tokens=TOKENS), timeout=60)
    content = answer.json()["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    assert len(content) == TOKENS
    return content


def events_of(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: {")]


def check_ledger(running: Running, answer: httpx.Response) -> None:
    record = running.record_of(answer)
    assert record.ending is Ending.OK
    assert (record.usage.input, record.usage.output) == (PROMPT_TOKENS, TOKENS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_whole_answer_for_a_chat_client(running: Running, upstream: str, provider: str) -> None:
    answer = running.client.post(CHAT, json=message(PROMPT, f"{provider}:{MODEL}", max_tokens=TOKENS))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["choices"][0]["message"]["content"] == said_directly(upstream)
    assert body["choices"][0]["finish_reason"] == STOPPED[provider][0]
    assert body["usage"]["prompt_tokens"] == PROMPT_TOKENS
    assert body["usage"]["completion_tokens"] == TOKENS
    check_ledger(running, answer)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_whole_answer_for_a_messages_client(running: Running, upstream: str, provider: str) -> None:
    answer = running.client.post(MESSAGES, json=message(PROMPT, f"{provider}:{MODEL}", max_tokens=TOKENS))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [block["text"] for block in body["content"]] == [said_directly(upstream)]
    assert body["stop_reason"] == STOPPED[provider][1]
    assert body["usage"]["input_tokens"] == PROMPT_TOKENS
    assert body["usage"]["output_tokens"] == TOKENS
    check_ledger(running, answer)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_for_a_chat_client(running: Running, upstream: str, provider: str) -> None:
    body = message(PROMPT, f"{provider}:{MODEL}", max_tokens=TOKENS, stream=True)
    answer = running.client.post(CHAT, json=body | {"stream_options": {"include_usage": True}})
    assert answer.status_code == 200, answer.text
    # This server ends its Chat streams without it, and of its own dialect nothing is rewritten.
    assert answer.content.endswith(b"data: [DONE]\n\n") == (provider == "responses")
    events = events_of(answer.content)
    words = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
    assert "".join(words) == said_directly(upstream)
    assert sum(map(bool, words)) > 3
    (usage,) = [event["usage"] for event in events if event.get("usage")]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (PROMPT_TOKENS, TOKENS)
    check_ledger(running, answer)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_for_a_messages_client(running: Running, upstream: str, provider: str) -> None:
    body = message(PROMPT, f"{provider}:{MODEL}", max_tokens=TOKENS, stream=True)
    answer = running.client.post(MESSAGES, json=body)
    assert answer.status_code == 200, answer.text
    validate_anthropic_stream(answer.content)
    deltas = [event["delta"] for event in events_of(answer.content) if "delta" in event]
    assert deltas[-1]["stop_reason"] == STOPPED[provider][1]
    words = [delta["text"] for delta in deltas if "text" in delta]
    assert "".join(words) == said_directly(upstream)
    assert len(words) > 3
    check_ledger(running, answer)


def test_a_stream_for_a_responses_client_is_translated(running: Running, upstream: str) -> None:
    body = {"model": f"chat:{MODEL}", "input": PROMPT, "max_output_tokens": TOKENS, "stream": True}
    answer = running.client.post(RESPONSES, json=body)
    validate_responses_stream(answer.content)
    said = "".join(
        event["delta"] for event in events_of(answer.content) if event["type"] == "response.output_text.delta"
    )
    assert said == said_directly(upstream)
    check_ledger(running, answer)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_official_sdks_talk_to_it(running: Running, upstream: str, provider: str) -> None:
    model, expected = f"{provider}:{MODEL}", said_directly(upstream)
    messages: Any = [{"role": "user", "content": PROMPT}]
    with (
        anthropic.Anthropic(base_url=running.url, api_key="any", max_retries=0) as claude,
        claude.messages.stream(model=model, max_tokens=TOKENS, messages=messages) as stream,
    ):
        assert stream.get_final_text() == expected
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as gpt:
        whole = gpt.chat.completions.create(model=model, max_completion_tokens=TOKENS, messages=messages)
    assert whole.choices[0].message.content == expected


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_sdk_of_responses_reads_a_whole_and_a_streamed_answer(
    running: Running, upstream: str, provider: str
) -> None:
    expected = said_directly(upstream)
    asked = {"model": f"{provider}:{MODEL}", "input": PROMPT, "max_output_tokens": TOKENS}
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as gpt:
        # This server streams to a request that does not say: the gateway gathers the answer for the client.
        whole = gpt.responses.create(**asked)  # type: ignore[call-overload]
        events = list(gpt.responses.create(**asked, stream=True))  # type: ignore[call-overload]
    assert whole.output_text == expected
    assert events[-1].response.output_text == expected
    assert events[-1].response.usage.output_tokens == TOKENS
