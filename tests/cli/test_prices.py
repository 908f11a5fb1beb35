"""``lynkr prices``: what is known, and a newer snapshot."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from lynkr.cli.prices import GENAI_PRICES, LITELLM
from lynkr.pricing import load_snapshot
from lynkr.pricing.snapshot import _LITELLM_NAMESPACES

_LIST = {
    "gpt-new": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "max_input_tokens": 1000,
    }
}


@pytest.fixture
def lists(tmp_path):
    path = tmp_path / "litellm.json"
    path.write_text(json.dumps(_with_every_provider()), encoding="utf-8")
    return path


def _with_every_provider() -> dict:
    """A refresh refuses a list that lacks a provider it used to have: give it one model of each."""
    return _LIST | {
        f"{prefix}anthropic.model-{number}": {**_LIST["gpt-new"], "litellm_provider": provider}
        for number, (provider, (_, prefix)) in enumerate(_LITELLM_NAMESPACES.items())
    }


def test_configured_targets_and_the_flagship_are_shown_by_default(lynkr, monkeypatch):
    monkeypatch.setenv("TIER_SIMPLE", "openai:gpt-4.1-nano,acme:unheard-of")
    monkeypatch.setenv("LYNKR_PROVIDERS_ACME_KIND", "openai-compatible")
    monkeypatch.setenv("LYNKR_PROVIDERS_ACME_BASE_URL", "https://acme.example/v1")
    told = json.loads(lynkr("prices", "show", "--json").out)
    assert set(told["models"]) == {"openai:gpt-4.1-nano", "acme:unheard-of", "anthropic:claude-opus-4-5"}
    assert told["models"]["acme:unheard-of"]["input"] is None
    snapshot = load_snapshot()["models"]["openai"]["gpt-4.1-nano"]
    assert told["models"]["openai:gpt-4.1-nano"]["input"] == str(snapshot["input"])
    assert told["version"].startswith(str(load_snapshot()["date"]))
    assert "unknown" in lynkr("prices", "show").out


def test_a_part_of_a_name_finds_models_and_an_exact_one_only_itself(lynkr):
    found = json.loads(lynkr("prices", "show", "OPUS-4-5", "--json").out)["models"]
    assert len(found) > 1
    assert all("opus-4-5" in name for name in found)
    exact = json.loads(lynkr("prices", "show", "anthropic:claude-opus-4-5", "--json").out)["models"]
    assert list(exact) == ["anthropic:claude-opus-4-5"]


def test_an_override_is_what_is_shown(lynkr, config):
    path = config("[pricing.overrides.'acme:x']\ninput = 0.1\noutput = 3\n")
    told = json.loads(lynkr("prices", "show", "acme:x", "--json", "--config", path).out)
    assert told["models"]["acme:x"]["input"] == "0.1"


def test_an_unknown_model_is_one_line(lynkr):
    ran = lynkr("prices", "show", "unheard-of")
    assert ran.status == 2
    assert ran.err.startswith('lynkr: no price is known for "unheard-of"')


def test_a_refresh_from_a_file_is_used_once_it_is_named(lynkr, lists, tmp_path, monkeypatch):
    ran = lynkr("prices", "refresh", "--only", "litellm", "--litellm", str(lists))
    assert (ran.status, ran.err) == (0, "")
    out = tmp_path / ".local" / "state" / "lynkr" / "prices.json"
    assert f"LYNKR_PRICING_PATH) to {out}" in ran.out
    monkeypatch.setenv("LYNKR_PRICING_PATH", str(out))
    told = json.loads(lynkr("prices", "show", "openai:gpt-new", "--json").out)
    assert told["models"]["openai:gpt-new"]["output"] in ("2", "2.0")


def test_a_refresh_can_be_fetched(lynkr, lists, tmp_path):
    data = lists.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/list.json" else 404)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        out = tmp_path / "new.json"
        words = ("prices", "refresh", "--only", "litellm", "--out", str(out), "--litellm")
        assert lynkr(*words, f"{url}/list.json").status == 0
        assert "gpt-new" in json.loads(out.read_text("utf-8"))["models"]["openai"]
        before = out.read_bytes()
        ran = lynkr(*words, f"{url}/none.json")
        assert ran.status == 2
        assert ran.err.startswith(f"lynkr: cannot fetch {url}/none.json")
        assert out.read_bytes() == before
    finally:
        server.shutdown()
        server.server_close()


def test_a_list_that_is_none_changes_nothing(lynkr, tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text("[]", encoding="utf-8")
    ran = lynkr(
        "prices", "refresh", "--only", "litellm", "--litellm", str(bad), "--out", str(tmp_path / "out.json")
    )
    assert ran.status == 2
    assert not (tmp_path / "out.json").exists()


def test_the_lists_come_over_https():
    assert all(url.startswith("https://") for url in (LITELLM, GENAI_PRICES))
