"""llama.cpp's own `/v1/responses` behind the gateway: a server whose streams leave out half of the fields."""

from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from lynkr.settings import Settings
from lynkr.telemetry.record import Ending
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.llama import MODEL, LlamaServer, llama_is_installed
from lynkr.testing.responses_grammar import validate_responses_stream
from tests.server.running import Running, serving

pytestmark = [
    pytest.mark.llama,
    pytest.mark.skipif(not llama_is_installed(), reason="the extra 'demo' is not installed"),
]
MODEL_NAMES = [f"own:{MODEL}", f"chat:{MODEL}", f"messages:{MODEL}"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    ledger: Path = tmp_path_factory.mktemp("llama") / "ledger.sqlite3"
    with LlamaServer() as llama:
        overrides: dict[str, object] = {
            "tiers.SIMPLE": [f"own:{MODEL}"],
            "telemetry.path": str(ledger),
            "server.drain_seconds": 1,
        }
        kinds = ("openai-responses", "llamacpp", "anthropic-compatible")
        for name, kind in zip(("own", "chat", "messages"), kinds, strict=True):
            overrides[f"providers.{name}.kind"] = kind
            overrides[f"providers.{name}.base_url"] = f"{llama.url}/v1"
            overrides[f"providers.{name}.api_key"] = "k"
        with serving(Settings.load(None, {}, overrides=overrides)) as found:
            yield found


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_the_sdk_reads_a_whole_and_a_streamed_answer(running: Running, name: str) -> None:
    asked = {"model": name, "input": "Say hello.", "max_output_tokens": 16}
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0) as client:
        answer = client.responses.create(**asked)  # type: ignore[call-overload]
        assert answer.output_text
        assert answer.usage.output_tokens > 0
        events = list(client.responses.create(**asked, stream=True))  # type: ignore[call-overload]
    assert events[-1].type in ("response.completed", "response.incomplete")
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == events[-1].response.output_text


@pytest.mark.parametrize("name", MODEL_NAMES[1:])
def test_a_translated_stream_follows_the_grammar(running: Running, name: str) -> None:
    body = {"model": name, "input": "Say hello.", "max_output_tokens": 16, "stream": True}
    validate_responses_stream(running.client.post("/v1/responses", json=body, timeout=60).content)


def test_its_streams_are_read_for_clients_of_another_dialect(running: Running) -> None:
    with anthropic.Anthropic(base_url=running.url, api_key="k", max_retries=0) as client:
        answer = client.messages.create(
            model=MODEL_NAMES[0], max_tokens=16, messages=[{"role": "user", "content": "Say hello."}]
        )
    (block,) = answer.content
    assert block.type == "text"
    assert block.text
    body = {
        "model": MODEL_NAMES[0],
        "max_tokens": 16,
        "stream": True,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    streamed = running.client.post("/v1/messages", json=body, timeout=60)
    validate_anthropic_stream(streamed.content)
    assert running.record_of(streamed).ending is Ending.OK
