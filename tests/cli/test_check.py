"""``lynkr check``: usable or not, and why."""

import json

import pytest

CANARY = "sk-canary-41c7"
_LOCAL = "[tiers]\nSIMPLE = 'ollama:a'\nMEDIUM = 'ollama:a'\nCOMPLEX = 'ollama:a'\nREASONING = 'ollama:a'\n"


def test_nothing_configured_is_a_line_and_status_1(lynkr):
    ran = lynkr("check")
    assert ran.status == 1
    assert ran.err == (
        "lynkr: tiers: no target is configured; "
        "set TIER_SIMPLE=provider:model, or [tiers] in a settings file\n"
    )


def test_a_usable_configuration_is_status_0_and_shown(lynkr, config):
    ran = lynkr("check", "--config", config(_LOCAL + "[aliases]\nfast = 'ollama:a'\n"))
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert "SIMPLE      ollama:a" in lines
    assert "alias fast  ollama:a" in lines
    assert any(line.startswith("ollama    ollama  http://127.0.0.1:11434") for line in lines)


def test_a_tier_whose_provider_has_no_key_is_status_1(lynkr, config, monkeypatch):
    path = config(_LOCAL.replace("COMPLEX = 'ollama:a'", "COMPLEX = 'openai:gpt-4o'"))
    ran = lynkr("check", "--config", path)
    assert ran.status == 1
    assert ran.err == "lynkr: providers.openai: has no API key (tiers.COMPLEX uses it); set OPENAI_API_KEY\n"
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    ran = lynkr("check", "--config", path)
    assert ran.status == 0
    assert "set (OPENAI_API_KEY)" in ran.out
    assert CANARY not in ran.out


def test_an_empty_tier_is_a_warning(lynkr, monkeypatch):
    monkeypatch.setenv("TIER_SIMPLE", "ollama:a")
    ran = lynkr("check")
    assert ran.status == 0
    assert "warning: tiers.MEDIUM: has no target; its requests go to SIMPLE (ollama:a)" in ran.out


def test_json_tells_the_same(lynkr, config, monkeypatch):
    path = config(_LOCAL.replace("COMPLEX = 'ollama:a'", "COMPLEX = ['openai:gpt-4o', 'ollama:a']"))
    ran = lynkr("check", "--json", "--config", path)
    told = json.loads(ran.out)
    assert (ran.status, told["usable"], told["file"]) == (1, False, path)
    assert told["tiers"]["COMPLEX"] == ["openai:gpt-4o", "ollama:a"]
    assert told["providers"]["openai"] == {
        "kind": "openai",
        "address": "https://api.openai.com/v1",
        "has_key": False,
        "local": False,
    }
    assert told["errors"] == ["providers.openai: has no API key (tiers.COMPLEX uses it); set OPENAI_API_KEY"]
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    told = json.loads(lynkr("check", "--json", "--config", path).out)
    assert told["usable"] is True
    assert CANARY not in json.dumps(told)


@pytest.mark.parametrize("json_too", [False, True])
def test_wrong_settings_are_status_1_and_a_line_each(lynkr, config, json_too):
    path = config("[server]\nport = 'x'\nprot = 1\n")
    ran = lynkr("check", "--config", path, *(["--json"] if json_too else []))
    assert ran.status == 1
    assert [line.split(" is ")[0] for line in ran.err.splitlines()] == [
        f"lynkr: {path}: server.port",
        f"lynkr: {path}: server.prot",
    ]
    if json_too:
        assert len(json.loads(ran.out)["errors"]) == 2


def test_a_price_snapshot_that_is_none_is_found_out(lynkr, config, tmp_path):
    broken = tmp_path / "prices.json"
    broken.write_text("{", encoding="utf-8")
    ran = lynkr("check", "--config", config(f"[pricing]\npath = '{broken}'\n"))
    assert ran.status == 1
    assert str(broken) in ran.err
