"""``/metrics`` over real sockets: who may read it, and that it tells what happened."""

import socket
from collections.abc import Callable

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from lynkr.errors import ConfigError
from lynkr.settings import Settings
from lynkr.testing.faults import drip, script, status
from tests.server.running import House, eventually, message

KEY = "scrape-me-0123456789"
BEARER = {"authorization": f"Bearer {KEY}"}


def scrape(house: House, **headers: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Sums by metric and the values of its labels, sorted by label."""
    answer = house.client.get("/metrics", headers=BEARER | headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


@pytest.fixture
def house(serve: Callable[..., House]) -> House:
    return serve(**{"server.metrics_key": KEY})


def test_a_scrape_tells_of_the_request_just_answered(house: House) -> None:
    assert house.client.post("/v1/chat/completions", json=message("hi")).status_code == 200
    found = scrape(house)
    requests = found["lynkr_requests_total"]
    assert list(requests.values()) == [1]
    ((dialect, ending, model, operation, provider, code, tier),) = requests
    assert (dialect, ending, operation, code) == ("openai_chat", "ok", "chat", "200")
    assert (provider, model, tier) == ("chat", "gpt-4.1-nano", "SIMPLE")
    assert sum(found["lynkr_tokens_total"].values()) > 0
    assert sum(found["lynkr_time_to_first_token_seconds_count"].values()) == 1
    assert found["lynkr_live_requests"] == {(): 0}
    assert found["process_resident_memory_bytes"][()] > 0


def test_a_model_only_a_client_names_gets_no_label(house: House) -> None:
    assert house.client.post("/v1/messages", json=message("hi", "chat:made-up")).status_code == 200
    assert house.client.post("/v1/messages", json=message("hi", "nobody:made-up")).status_code == 200
    text = house.client.get("/metrics", headers=BEARER).text
    assert "made-up" not in text
    assert 'model="other"' in text


def test_failures_show_their_status_error_and_attempts(house: House) -> None:
    model = house.fails("gpt-4.1-nano", script(status(401)))
    answer = house.client.post("/v1/chat/completions", json=message("hi", f"chat:{model}"))
    assert answer.status_code == 502
    found = scrape(house)
    assert {labels[0] for labels in found["lynkr_errors_total"]} == {"UpstreamRefused"}
    ((error, _, outcome, _, code),) = found["lynkr_attempts_total"]
    assert (error, code) == ("UpstreamRefused", "401")
    assert outcome in {"ignored", "failure"}


def test_streams_under_way_are_counted(house: House) -> None:
    house.simulator.play(script(then=drip(0.05)))  # else all of it may come at once
    body = message("hi", stream=True)
    with house.client.stream("POST", "/v1/messages", json=body) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        assert scrape(house)["lynkr_open_streams"] == {(): 1}
        assert b"".join(chunks)
    eventually(lambda: scrape(house)["lynkr_open_streams"] == {(): 0})
    ((*_, stream, _),) = scrape(house)["lynkr_time_to_first_token_seconds_count"]
    assert stream == "true"


def test_scrapers_that_ask_for_openmetrics_get_it(house: House) -> None:
    accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    answer = house.client.get("/metrics", headers=BEARER | accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(answer.text)} >= {"lynkr_live_requests"}


@pytest.mark.parametrize("shown", [None, "wrong", "api-key-of-clients", "admin-key-of-the-owner"])
def test_nothing_but_the_metrics_key_opens_it(serve: Callable[..., House], shown: str | None) -> None:
    keys = {"server.api_key": "api-key-of-clients", "server.admin_key": "admin-key-of-the-owner"}
    house = serve(**{"server.metrics_key": KEY}, **keys)
    headers = {} if shown is None else {"authorization": f"Bearer {shown}"}
    answer = house.client.get("/metrics", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "lynkr_" not in answer.text
    assert "server.metrics_key" in answer.text
    assert house.client.get("/metrics", headers=BEARER).status_code == 200
    assert house.client.get("/v1/models", headers=BEARER).status_code == 401


def test_without_a_key_they_are_off_and_it_says_how_to_turn_them_on(shared: House) -> None:
    answer = shared.client.get("/metrics")
    assert answer.status_code == 403
    assert "server.metrics_key_env" in answer.text
    assert shared.gateway.observers is None


def test_open_means_open_to_programs_of_this_machine_not_to_web_pages(serve: Callable[..., House]) -> None:
    house = serve(**{"server.metrics_open": True})
    assert house.client.get("/metrics").status_code == 200
    page = house.client.get("/metrics", headers={"origin": "https://evil.example"})
    assert page.status_code == 403
    assert "lynkr_live" not in page.text


def test_head_and_other_methods(house: House) -> None:
    head = house.client.head("/metrics", headers=BEARER)
    assert (head.status_code, head.content) == (200, b"")
    assert house.client.post("/metrics", headers=BEARER).status_code == 405


def test_open_metrics_need_a_loopback_address_and_a_key_of_their_own() -> None:
    exposed = {"server.host": "0.0.0.0", "server.api_key": "k" * 20}
    with pytest.raises(ConfigError, match=r"server\.metrics_open.*metrics_key_env"):
        Settings.load(None, {}, overrides=exposed | {"server.metrics_open": True})
    with pytest.raises(ConfigError, match=r"server\.metrics_key is an API key as well"):
        Settings.load(None, {}, overrides=exposed | {"server.metrics_key": "k" * 20})
    named = exposed | {"server.metrics_key_env": "SCRAPE_KEY"}
    settings = Settings.load(None, {"SCRAPE_KEY": KEY}, overrides=named)
    assert [key.reveal() for key in settings.server.metrics_keys] == [KEY]


def test_a_scrape_is_not_held_up_by_a_slow_client(house: House) -> None:
    with socket.create_connection(("127.0.0.1", house.port)) as idle:
        idle.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n")
        assert scrape(house)["lynkr_live_requests"] == {(): 0}
