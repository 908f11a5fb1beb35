"""Criteria 24 and 25 of acceptance.md, 3.3: secrets and the attack surface, each by its number.

The whole of 24 is `tests/test_canary.py`, of 25 `tests/security` and `tests/providers/test_addresses.py`;
here is the sentence of each criterion, once, through the parts that ship.
"""

import copy
import json
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from lynkr.errors import ConfigError
from lynkr.secret import Secret
from lynkr.settings import ServerSettings, Settings, process_environment
from lynkr.testing.children import clean_environment
from tests.canary import CANARY, canaries, shouting, tree
from tests.server.running import message, serving


def test_criterion_24_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(CANARY)
    assert canaries(f"{secret!r} {secret!s} {secret} {secret!s:>40} {[secret]} {copy.deepcopy(secret)}") == []
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_criterion_24_no_slot_of_the_settings_shows_in_an_answer(tmp_path: Path) -> None:
    with shouting() as parrot:
        ledger = {"telemetry.path": str(tmp_path / "ledger.sqlite3"), "server.drain_seconds": 1}
        settings = Settings.load(None, {}, overrides=tree(parrot.url, **ledger))
        with serving(settings) as running:
            headers = {"authorization": f"Bearer {CANARY}-tenant"}
            answer = running.client.post("/v1/messages", json=message("hi", "openai:m"), headers=headers)
            record = running.record_of(answer)
        shown = [answer.text, str(answer.headers), repr(record), repr(settings)]
        assert record.tenant == "acme"
        assert any(CANARY in value for _, sent in parrot.seen for value in sent.values())
    shown += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    assert [found for text in shown for found in canaries(text)] == []


def test_criterion_25_loopback_unless_there_are_keys() -> None:
    assert ServerSettings().host == "127.0.0.1"
    with pytest.raises(ConfigError, match=r"server\.host"):
        Settings.load(None, {}, overrides={"server.host": "0.0.0.0"})  # reason: what is refused
    hashed = sha256(b"some-key-of-a-tenant").hexdigest()
    keyed = {"server.host": "0.0.0.0", "tenants.acme.api_key_hashes": [hashed]}
    assert Settings.load(None, {}, overrides=keyed).asks_for_keys
    environ = clean_environment(process_environment())
    command = [sys.executable, "-m", "lynkr_server", "--host", "0.0.0.0", "--port", "0"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert ran.returncode == 2
    assert "server.host" in ran.stderr


def test_criterion_25_keys_are_whole_surfaces_apart_and_hosts_unheard(tmp_path: Path) -> None:
    key, admin = "one-client-key-0123456789", "the-admin-key-0123456789"
    overrides = {
        "default": "openai:m",
        "server.api_key": key,
        "server.admin_key": admin,
        "telemetry.path": str(tmp_path / "ledger.sqlite3"),
    }
    with serving(Settings.load(None, {}, overrides=overrides)) as running:

        def status(path: str, shown: str, **headers: str) -> int:
            shows: httpx.Headers = httpx.Headers({"authorization": f"Bearer {shown}", **headers})
            return running.client.get(path, headers=shows).status_code

        assert status("/v1/models", key) == 200
        assert status("/v1/models", key[:20]) == 401
        assert status("/v1/models", sha256(key.encode()).hexdigest()) == 401
        assert status("/v1/models", "x", host="localhost", **{"x-forwarded-for": "127.0.0.1"}) == 401
        assert status("/v1/models", admin) == 401
        assert status("/dashboard/api/overview", key) == 401
        assert status("/dashboard/api/overview", admin) == 200
