"""OpenAI Responses at the running gateway: the official SDK in front of all three kinds of upstream."""

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import openai
import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing import Simulator
from lynkr.testing.faults import cut_after, error_event, script, status
from lynkr.testing.responses_grammar import validate_responses_stream
from tests.gateway.house import TIERS, settings_for
from tests.server.running import House, later, serving, upstream

UPSTREAMS: Final = ("own", "chat", "messages")
TRANSLATED: Final = ("chat", "messages")
WORDS: Final = "please repeat: hällo 🙂 wörld"
WEATHER: Final[dict[str, Any]] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
PATCH: Final[dict[str, Any]] = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" /.*/s'},
}
AGENTS: Final[dict[str, Any]] = {
    "type": "namespace",
    "name": "agents",
    "description": "Other agents.",
    "tools": [{**WEATHER, "name": "spawn"}],
}
ONCE: Final = {"resilience.max_attempts": 1, "resilience.breaker_failures": 1000}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    ledger = tmp_path_factory.mktemp("responses") / "ledger.sqlite3"
    with upstream(Simulator()) as below:
        settings = settings_for(
            below.url,
            TIERS,
            **ONCE,
            **{
                "telemetry.path": str(ledger),
                "server.drain_seconds": 1,
                "providers.own.kind": "openai-responses",
                "providers.own.base_url": f"{below.url}/v1",
                "providers.own.api_key": "k",
            },
        )
        with serving(settings) as found:
            yield House(found.url, found.gateway, found.client, found.app, below)


@pytest.fixture(scope="module")
def gpt(running: House) -> Iterator[openai.OpenAI]:
    with gpt_at(running) as client:
        yield client


def gpt_at(found: House, key: str = "any") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{found.url}/v1", api_key=key, max_retries=0, timeout=20)


def post(running: House, body: dict[str, Any]) -> httpx.Response:
    return running.client.post("/v1/responses", json=body)


# --- Straight at the simulator ------------------------------------------------------------------------


def test_the_simulator_itself_serves_the_sdk(running: House) -> None:
    with openai.OpenAI(base_url=f"{running.upstream.url}/v1", api_key="k", max_retries=0) as client:
        answer = client.responses.create(model="m", input=WORDS)
        assert answer.output_text.endswith(WORDS)
        with client.responses.stream(model="m", input=WORDS) as stream:
            assert stream.get_final_response().output_text == answer.output_text


# --- Text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UPSTREAMS)
def test_a_whole_answer(gpt: openai.OpenAI, name: str) -> None:
    answer = gpt.responses.create(model=f"{name}:m", input=WORDS, instructions="Be brief.", temperature=0.5)
    assert answer.output_text.endswith(WORDS)
    assert (answer.status, answer.object, answer.instructions) == ("completed", "response", "Be brief.")
    assert answer.id.startswith("resp_")
    assert answer.usage is not None
    assert answer.usage.input_tokens + answer.usage.output_tokens == answer.usage.total_tokens


@pytest.mark.parametrize("name", UPSTREAMS)
def test_a_streamed_answer(gpt: openai.OpenAI, running: House, name: str) -> None:
    with gpt.responses.stream(model=f"{name}:m", input=WORDS) as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert said == final.output_text
    assert said.endswith(WORDS)
    raw = post(running, {"model": f"{name}:m", "input": WORDS, "stream": True})
    validate_responses_stream(raw.content)


def test_an_upstream_of_the_same_dialect_gets_and_gives_the_very_bytes(running: House) -> None:
    body = b'{ "input" : "h\\u00e4llo", "model":"own:m", "store":false, "client_metadata": {"a": 1e2} }'
    answer = running.client.post("/v1/responses", content=body, headers={"thread-id": "t1"})
    sent = running.simulator.requests[-1]
    assert sent.body == body.replace(b'"own:m"', b'"m"')
    assert sent.path == "/v1/responses"
    assert sent.headers["thread-id"] == "t1"
    assert answer.json()["id"].startswith("resp_")
    assert "lynkr" not in answer.json()["id"]


# --- Tools --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UPSTREAMS)
def test_a_tool_loop(gpt: openai.OpenAI, name: str) -> None:
    said: list[Any] = [{"role": "user", "content": "call get_weather"}]
    first = gpt.responses.create(model=f"{name}:m", input=said, tools=[WEATHER], store=False)
    (call,) = (item for item in first.output if item.type == "function_call")
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "simulated né"})
    said += [item.model_dump(exclude_none=True) for item in first.output]
    said.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 25"})
    second = gpt.responses.create(model=f"{name}:m", input=said, tools=[WEATHER], store=False)
    assert "sunny, 25" in second.output_text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", UPSTREAMS)
def test_a_custom_tool_is_called_with_free_text(gpt: openai.OpenAI, name: str, stream: bool) -> None:
    asked: dict[str, Any] = {"model": f"{name}:m", "input": "call apply_patch", "tools": [PATCH]}
    if stream:
        with gpt.responses.stream(**asked) as events:
            deltas = [e.delta for e in events if e.type == "response.custom_tool_call_input.delta"]
            answer = events.get_final_response()
        assert "".join(deltas) == "simulated né"
    else:
        answer = gpt.responses.create(**asked)
    (call,) = (item for item in answer.output if item.type == "custom_tool_call")
    assert (call.name, call.input) == ("apply_patch", "simulated né")
    history = [
        {"role": "user", "content": "call apply_patch"},
        call.model_dump(exclude_none=True),
        {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "patched"},
    ]
    again = gpt.responses.create(model=f"{name}:m", input=history, tools=[PATCH])
    assert "patched" in again.output_text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", TRANSLATED)
def test_a_namespace_is_flattened_and_told_again(running: House, name: str, stream: bool) -> None:
    asked = {"model": f"{name}:m", "input": "call agents__spawn", "tools": [AGENTS], "stream": stream}
    answer = post(running, asked)
    if stream:
        validate_responses_stream(answer.content)
        last = answer.text.strip().rpartition("data: ")[2]
        output = json.loads(last)["response"]["output"]
    else:
        output = answer.json()["output"]
    (call,) = (item for item in output if item["type"] == "function_call")
    assert (call["namespace"], call["name"]) == ("agents", "spawn")
    assert json.loads(running.simulator.requests[-1].body)["tools"]


def test_a_hosted_tool_that_the_target_lacks_is_dropped_and_declared(running: House) -> None:
    answer = post(running, {"model": "chat:m", "input": WORDS, "tools": [{"type": "web_search"}]})
    assert answer.status_code == 200
    lost = {loss.path for loss in running.record_of(answer).losses}
    assert "tools[0]" in lost


# --- Codex --------------------------------------------------------------------------------------------

CODEX: Final[dict[str, Any]] = {
    "model": "gpt-5.3-codex",
    "input": [
        {
            "type": "message",
            "role": "developer",
            "id": "m1",
            "content": [{"type": "input_text", "text": "p"}],
        },
        {"type": "message", "role": "user", "id": "m2", "content": [{"type": "input_text", "text": "hi"}]},
    ],
    "tools": [WEATHER, PATCH, AGENTS, {"type": "web_search", "external_web_access": True}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199",
    "client_metadata": {"x-codex-installation-id": "1"},
}


@pytest.mark.parametrize("name", UPSTREAMS)
def test_what_codex_sends_is_served(running: House, name: str) -> None:
    answer = post(running, {**CODEX, "model": f"{name}:m"})
    assert answer.status_code == 200
    validate_responses_stream(answer.content)
    assert running.record_of(answer).ending is Ending.OK


# --- Conversations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRANSLATED)
def test_an_answer_may_be_referred_to(gpt: openai.OpenAI, running: House, name: str) -> None:
    first = gpt.responses.create(model=f"{name}:m", input="my name is Ada", instructions="Be brief.")
    second = gpt.responses.create(model=f"{name}:m", input=WORDS, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    sent = running.simulator.requests[-1].body.decode()
    assert "my name is Ada" in sent
    assert first.output_text in json.dumps(json.loads(sent), ensure_ascii=False)
    assert "Be brief." not in sent
    with gpt.responses.stream(model=f"{name}:m", input="bye", previous_response_id=second.id) as stream:
        stream.until_done()
    sent = running.simulator.requests[-1].body.decode()
    assert "my name is Ada" in sent
    assert "bye" in sent


def test_a_tool_result_may_answer_a_call_of_the_answer_before(gpt: openai.OpenAI) -> None:
    first = gpt.responses.create(model="messages:m", input="call apply_patch", tools=[PATCH])
    (call,) = (item for item in first.output if item.type == "custom_tool_call")
    result: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "patched"}
    second = gpt.responses.create(
        model="messages:m", input=[result], tools=[PATCH], previous_response_id=first.id
    )
    assert "patched" in second.output_text


def assert_unknown(error: openai.BadRequestError, response_id: str) -> None:
    assert error.code == "previous_response_not_found"
    assert error.param == "previous_response_id"
    assert f"Previous response with id '{response_id}' not found." in str(error)


@pytest.mark.parametrize("name", TRANSLATED)
def test_an_answer_that_was_not_to_be_stored_is_unknown(gpt: openai.OpenAI, name: str) -> None:
    first = gpt.responses.create(model=f"{name}:m", input=WORDS, store=False)
    with pytest.raises(openai.BadRequestError) as caught:
        gpt.responses.create(model=f"{name}:m", input="more", previous_response_id=first.id)
    assert_unknown(caught.value, first.id)


def test_another_tenants_answer_is_unknown(running: House, gpt: openai.OpenAI) -> None:
    first = gpt.responses.create(model="chat:m", input=WORDS)
    with gpt_at(running, key="another") as other, pytest.raises(openai.BadRequestError) as caught:
        other.responses.create(model="chat:m", input="more", previous_response_id=first.id)
    assert_unknown(caught.value, first.id)


def test_an_upstreams_own_answers_stay_with_it(gpt: openai.OpenAI, running: House) -> None:
    first = gpt.responses.create(model="own:m", input="my name is Ada")
    gpt.responses.create(model="own:m", input="more", previous_response_id=first.id)
    sent = json.loads(running.simulator.requests[-1].body)
    assert sent["previous_response_id"] == first.id
    assert sent["input"] == "more"
    gpt.responses.create(model="own:m", input="more", previous_response_id="resp_from_elsewhere")
    assert json.loads(running.simulator.requests[-1].body)["previous_response_id"] == "resp_from_elsewhere"


def test_a_conversation_moves_between_upstreams(gpt: openai.OpenAI, running: House) -> None:
    first = gpt.responses.create(model="own:m", input="my name is Ada")
    second = gpt.responses.create(model="chat:m", input="more", previous_response_id=first.id)
    assert "my name is Ada" in running.simulator.requests[-1].body.decode()
    gpt.responses.create(model="own:m", input="again", previous_response_id=second.id)
    sent = json.loads(running.simulator.requests[-1].body)
    assert sent.get("previous_response_id") is None
    assert "my name is Ada" in json.dumps(sent)
    assert "_lynkr_" not in json.dumps(sent)


# --- Errors -------------------------------------------------------------------------------------------


def test_a_malformed_body_names_the_field(running: House) -> None:
    answer = post(running, {"model": "chat:m", "input": [{"role": "user", "content": 7}]})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "input[0].content")


@pytest.mark.parametrize("name", UPSTREAMS)
def test_an_upstreams_error_comes_in_openais_envelope(running: House, name: str) -> None:
    model = running.fails(f"{name}-busy", script(status(429, retry_after=2)))
    answer = post(running, {"model": f"{name}:{model}", "input": WORDS})
    assert answer.status_code == 429
    assert answer.json()["error"]["message"]
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize("name", UPSTREAMS)
def test_an_error_in_mid_stream_is_told_and_recorded(running: House, name: str) -> None:
    model = running.fails(f"{name}-breaks", script(later(error_event(8), after=8)))
    answer = post(running, {"model": f"{name}:{model}", "input": WORDS, "stream": True})
    assert answer.status_code == 200
    assert "event: error" in answer.text
    assert "event: response.failed" in answer.text
    assert "event: response.completed" not in answer.text
    assert running.record_of(answer).ending is Ending.FAILED


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_cut_stream_ends_in_a_failed_response(running: House, name: str) -> None:
    model = running.fails(f"{name}-cut", script(later(cut_after(6))))
    answer = post(running, {"model": f"{name}:{model}", "input": WORDS, "stream": True})
    assert answer.status_code == 200
    validate_responses_stream(answer.content)
    assert "event: response.failed" in answer.text
    assert running.record_of(answer).ending is Ending.FAILED


# --- Cursor -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UPSTREAMS)
def test_a_responses_shaped_body_at_the_chat_route_is_answered_in_chat(running: House, name: str) -> None:
    body = {
        "model": f"{name}:m",
        "input": [{"role": "system", "content": "You are Cursor."}, {"role": "user", "content": WORDS}],
        "tools": [WEATHER],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    answer = running.client.post("/v1/chat/completions", json=body)
    chunks = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert chunks[-1] == "[DONE]"
    read = [json.loads(chunk) for chunk in chunks[:-1]]
    assert {chunk["object"] for chunk in read} == {"chat.completion.chunk"}
    said = "".join(c["delta"].get("content") or "" for chunk in read for c in chunk["choices"])
    assert said.endswith(WORDS)
    assert read[-1]["usage"]["total_tokens"] > 0
    whole = running.client.post("/v1/chat/completions", json={**body, "stream": False}).json()
    assert whole["object"] == "chat.completion"
    assert whole["choices"][0]["message"]["content"].endswith(WORDS)
