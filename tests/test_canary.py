"""A marker key in every credential slot appears nowhere: criterion 24 of the house.

Not in what settings print as, in no log at any level, no exception, record,
metric, span, line of the request log, answer, header or URL; whatever happens.
"""

import copy
import io
import json
import logging
import pickle
import subprocess
import sys
import traceback
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import attrs
import httpx
import pytest
from attrs import evolve
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import lynkr
from lynkr.assembly import build_gateway
from lynkr.errors import ConfigError, LynkrError
from lynkr.gateway import Gateway
from lynkr.model import Message, Request, WireFormat
from lynkr.providers import AiohttpTransport, HttpxTransport
from lynkr.providers.builtin import HOSTS
from lynkr.settings import Settings, process_environment
from lynkr.testing.children import clean_environment
from tests.canary import CANARY, CLIENT_HEADERS, CLIENTS, MODES, Parrot, canaries, shouting, tree
from tests.server.running import Running, message, serving
from tests.telemetry.collector import collecting

BAD = f"{CANARY}\r\nx-evil: 1"


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    with shouting() as running:
        yield running


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """All that any logger says at any level, with tracebacks."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("uvicorn", "uvicorn.error", "httpcore"))]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    root.addHandler(handler)
    for logger in loggers:
        logger.setLevel(1)
        logger.propagate = True
    yield said
    root.removeHandler(handler)
    for logger, level, propagate in before:
        logger.setLevel(level)
        logger.propagate = propagate


# --- at rest ---------------------------------------------------------------------------------------


def everything_in(value: object) -> Iterator[str]:
    """What Python and the usual ways to dump a value make of it and of its parts."""
    yield from (repr(value), str(value), f"{value}", f"{value!s:>9}")
    if attrs.has(type(value)):
        yield json.dumps(attrs.asdict(value), default=str)  # type: ignore[arg-type]
        yield str(attrs.astuple(value))  # type: ignore[arg-type]


def test_settings_show_no_key_however_they_are_printed(parrot: Parrot) -> None:
    settings = Settings.load(None, {}, overrides=tree(parrot.url))
    for provider in settings.providers.values():
        assert provider.api_key is not None
    for value in (
        settings,
        settings.server,
        settings.otel,
        *settings.providers.values(),
        *settings.tenants.values(),
    ):
        for text in everything_in(value):
            assert canaries(text) == []
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError) as refused:
                pickle.dumps(value, protocol)
            assert canaries(str(refused.value)) == []
        with pytest.raises(TypeError):
            json.dumps(value)
    assert canaries(repr(copy.copy(settings))) == []
    assert canaries(repr(evolve(settings, source=Path("x")))) == []
    for notice in settings.warnings():
        assert canaries(str(notice)) == []


def test_what_is_built_from_them_shows_none(parrot: Parrot) -> None:
    settings = Settings.load(None, {}, overrides=tree(parrot.url))
    gateway = build_gateway(settings)
    for part in (gateway, *gateway._providers.values()):
        assert canaries(repr(part) + str(part)) == []
        for inner in (getattr(part, "auth", None), getattr(part, "_auth", None)):
            assert canaries(repr(inner)) == []


def test_keys_from_the_environment_are_no_less_secret() -> None:
    environ = {
        name: CANARY for host in HOSTS.values() for name in (host.key_env, *host.other_key_envs) if name
    }
    environ |= {
        "LYNKR_SERVER_API_KEY": CANARY,
        "LYNKR_SERVER_METRICS_KEY": f"{CANARY}-m",
        "LYNKR_OTEL_HEADERS": json.dumps({"authorization": CANARY}),
        "TIER_SIMPLE": "openai:m",
    }
    settings = Settings.load(None, environ)
    assert len(settings.providers) > 10
    assert canaries(repr(settings)) == []
    for notice in settings.warnings():
        assert canaries(str(notice)) == []


MISPLACED: dict[str, object] = {
    "providers.openai.base_url": f"https://user:{CANARY}@host/v1",
    "providers.openai.api_key": 5,
    "providers.openai.api_key_env": CANARY,
    "providers.openai.headers": {"authorization": BAD},
    "providers.openai.timeouts": CANARY,
    "server.api_key_env": CANARY,
    "server.metrics_key_env": CANARY,
    "server.api_keys": CANARY,
    "server.admin_key_env": CANARY,
    "tenants.acme.api_key_env": CANARY,
    "tenants.acme.api_key_hashes": [CANARY],
    "tenants.acme.api_key": [CANARY],
    "tenants.acme.requests_per_minute": CANARY,
    "server.port": CANARY,
    "otel.endpoint": f"http://user:{CANARY}@host",
    "otel.headers": CANARY,
    "otel.sample": CANARY,
}


@pytest.mark.parametrize("key", MISPLACED)
def test_a_key_in_the_wrong_place_is_not_quoted_by_what_says_so(key: str) -> None:
    overrides = {"default": "openai:m", "providers.openai.kind": "openai", key: MISPLACED[key]}
    told: list[str] = []
    try:
        settings = Settings.load(None, {}, overrides=overrides)
        told += [str(notice) for notice in settings.warnings()]
        told.append(repr(evolve(settings, providers={}, server=settings.server)))
        build_gateway(settings)
    except ConfigError as error:
        told += ["".join(traceback.format_exception(error)), repr(error)]
    assert told
    assert [found for text in told for found in canaries(text)] == []


@pytest.mark.parametrize("command", [["check"], ["check", "--json"]])
def test_the_command_line_shows_none(tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / "lynkr.toml"
    path.write_text(f'default = "openai:m"\n[providers.openai]\napi_key = "{CANARY}"\n', encoding="utf-8")
    environ = clean_environment(process_environment()) | {"HOME": str(tmp_path), "ANTHROPIC_API_KEY": CANARY}
    ran = subprocess.run(
        [sys.executable, "-m", "lynkr.cli", *command, "--config", str(path)],
        capture_output=True, text=True, env=environ, timeout=60, check=False,
    )  # fmt: skip
    assert canaries(ran.stdout + ran.stderr) == []


# --- under way -------------------------------------------------------------------------------------


@asynccontextmanager
async def gateway_at(parrot: Parrot, transport: Callable[[], Any], **more: object) -> AsyncIterator[Gateway]:
    settings = Settings.load(None, {}, overrides=tree(parrot.url, **more))
    async with build_gateway(settings, transport=transport()) as gateway:
        yield gateway


def told_by(error: BaseException | None) -> str:
    """An exception as logs and error trackers show it, its causes and groups included."""
    if error is None:
        return ""
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    inner = [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
    return shown + "".join(told_by(one) for one in inner if one is not error)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("transport", [HttpxTransport, AiohttpTransport])
@pytest.mark.parametrize("mode", MODES)
async def test_no_kind_of_provider_lets_out_what_its_host_shouts_back(
    parrot: Parrot, transport: Callable[[], Any], mode: str, everything_logged: io.StringIO
) -> None:
    parrot.mode = mode
    if mode == "moved" and transport is HttpxTransport:
        # httpcore logs an answer's headers at DEBUG; what a host quotes there is out of reach.
        logging.getLogger("httpcore").setLevel(logging.INFO)
    asked = Request("", (Message.user("hi"),), max_output_tokens=5, stream=mode in ("stream", "garbled"))
    async with gateway_at(parrot, transport) as gateway:
        for kind in HOSTS:
            before = len(parrot.seen)
            with pytest.raises(LynkrError) as failed:
                await gateway.ask(evolve(asked, model=f"{kind}:m"))
            assert canaries(told_by(failed.value)) == [], kind
            assert len(parrot.seen) > before, f"{kind} sent nothing"
        recorder = gateway.recorder
        assert recorder is not None
        assert recorder.flush(10)
        for record in recorder.store.read(lynkr.telemetry.Query(limit=None)):
            assert canaries(repr(record)) == []
    # The key did go out, in a header and nowhere else; a client's would not have.
    carried = [name for _, headers in parrot.seen for name, value in headers.items() if CANARY in value]
    assert {"authorization", "x-api-key", "x-team-token"} <= set(carried)
    assert [found for path, _ in parrot.seen for found in canaries(path)] == []
    assert canaries(everything_logged.getvalue()) == []


@pytest.mark.parametrize("mode", [*MODES, "headers"])
def test_a_gateway_with_everything_on_lets_nothing_out(
    parrot: Parrot, mode: str, tmp_path: Path, everything_logged: io.StringIO
) -> None:
    """The real server: answers, headers, ledger file, metrics, spans, request log, server's loggers."""
    parrot.mode = mode
    shown: list[str | bytes] = []
    with collecting() as collector:
        more = {
            "telemetry.path": str(tmp_path / "ledger.sqlite3"),
            "telemetry.log_requests": True,
            "telemetry.record_text": True,
            "otel.enabled": True,
            "otel.endpoint": collector.url,
            "otel.content": True,
            "server.api_key": CLIENTS,
            "server.drain_seconds": 1,
        }
        settings = Settings.load(None, {}, overrides=tree(parrot.url, **more))
        with warnings.catch_warnings(record=True) as warned, serving(settings) as running:
            warnings.simplefilter("always")
            for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings"):
                for model in ("openai:m", "anthropic:m", "gemini:m", "bedrock:m", "openrouter:m"):
                    body = message("hi", model, stream=mode in ("stream", "garbled"), input="hi")
                    answer = running.client.post(path, json=body, headers=CLIENT_HEADERS)
                    shown += [answer.content, str(answer.headers.multi_items()), str(answer.url)]
            wrong = dict(CLIENT_HEADERS, authorization=f"Bearer {CLIENTS}x", **{"x-api-key": f"{CLIENTS}x"})
            for path in ("/v1/models", "/metrics", f"/nothing/{'x' * 10}", "/health/ready"):
                answer = running.client.get(path, headers=wrong)
                shown += [answer.content, str(answer.headers.multi_items())]
            key = {"authorization": f"Bearer {CANARY}-metrics"}
            metrics = running.client.get("/metrics", headers=key)
            assert metrics.status_code == 200
            shown.append(metrics.content)
            shown += what_the_dashboard_shows(running)
            records = running.records()
            assert len(records) >= 15
    assert collector.spans
    shown += [*collector.raw, *(str(one.message) for one in warned), everything_logged.getvalue()]
    shown += [file.read_bytes() for file in tmp_path.iterdir()]
    assert [found for text in shown for found in canaries(text)] == []
    # A client's credentials go no further than the gateway.
    assert [found for _, headers in parrot.seen for found in canaries(str(headers)) if CLIENTS in found] == []


def what_the_dashboard_shows(running: Running) -> list[str | bytes]:
    """Its pages and questions to whoever has the admin's key, and to whoever has another."""
    shown: list[str | bytes] = []
    asked = [(f"{CANARY}-admin", name, 200) for name in ("overview", "usage", "routing", "logs", "sessions")]
    for key, name, status in (
        *asked,
        (f"{CANARY}-metrics", "overview", 401),
        (f"{CANARY}-admi", "logs", 401),
    ):
        headers = {"authorization": f"Bearer {key}"}
        answer = running.client.get(f"/dashboard/api/{name}", headers=headers)
        assert answer.status_code == status, name
        shown += [answer.content, str(answer.headers.multi_items())]
    return shown


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("transport", [HttpxTransport, AiohttpTransport])
async def test_connections_that_fail_quote_nothing(
    transport: Callable[[], Any], everything_logged: io.StringIO
) -> None:
    nobody = Parrot(url="http://127.0.0.1:9")
    async with gateway_at(nobody, transport) as gateway:
        for kind in HOSTS:
            with pytest.raises(LynkrError) as failed:
                await gateway.ask(Request(f"{kind}:m", (Message.user("hi"),)))
            assert canaries(told_by(failed.value)) == []
        reply = await gateway.relay(
            WireFormat.OPENAI_CHAT, json.dumps(message("hi")).encode(), CLIENT_HEADERS
        )
        assert canaries((reply.body or b"") + str(reply.headers).encode()) == []
        await reply.aclose()
    assert canaries(everything_logged.getvalue()) == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_credentials_of_clouds_are_struck_too(
    parrot: Parrot, monkeypatch: pytest.MonkeyPatch, everything_logged: io.StringIO, tmp_path: Path
) -> None:
    """AWS' chain: the session's token is a header, so the host can shout it back."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA9f3Kz7Q012345678")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", CANARY)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    overrides: dict[str, object] = {"default": "bedrock:m"}
    for kind in ("bedrock", "bedrock-anthropic"):
        overrides |= {f"providers.{kind}.kind": kind, f"providers.{kind}.base_url": parrot.url}
    settings = Settings.load(None, {}, overrides=overrides)
    async with build_gateway(settings) as gateway:
        for kind in ("bedrock", "bedrock-anthropic"):
            with pytest.raises(LynkrError) as failed:
                await gateway.ask(Request(f"{kind}:m", (Message.user("hi"),), max_output_tokens=5))
            told = told_by(failed.value)
            assert canaries(told) == []
    assert all(headers["x-amz-security-token"] == CANARY for _, headers in parrot.seen)
    assert canaries(everything_logged.getvalue()) == []


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_material(private_key: str) -> list[str]:
    """Pieces of the key that would give it away, also where its lines are joined."""
    lines = private_key.splitlines()[1:-1]
    return ["PRIVATE KEY", *(line[:24] for line in lines)]


@pytest.fixture
def account(
    parrot: Parrot, private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A service account's key, which lies where Google looks, too."""
    key = {
        "type": "service_account", "project_id": "p", "private_key_id": f"{CANARY}-id", "client_id": "1",
        "private_key": private_key, "client_email": "robot@p.iam.gserviceaccount.com",
        "token_uri": f"{parrot.url}/token",
    }  # fmt: skip
    file = tmp_path / "account.json"
    file.write_text(json.dumps(key), "utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    return key


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize("found", ["given", "where Google looks"])
async def test_a_service_account_and_what_it_is_exchanged_for_are_struck_too(
    parrot: Parrot, account: dict[str, str], granted: bool, found: str, everything_logged: io.StringIO
) -> None:
    """Google: the token server quotes the assertion, the host the token."""
    parrot.token = f"ya29.{CANARY}" if granted else ""
    overrides: dict[str, object] = {"default": "vertex:m", "resilience.max_attempts": 1}
    for kind in ("vertex", "vertex-anthropic"):
        overrides |= {f"providers.{kind}.kind": kind, f"providers.{kind}.base_url": f"{parrot.url}/v1"}
        overrides |= {f"providers.{kind}.project": "p"}
        if found == "given":
            overrides[f"providers.{kind}.api_key"] = json.dumps(account)
    settings = Settings.load(None, {}, overrides=overrides)
    shown = [repr(settings)]
    async with build_gateway(settings) as gateway:
        for kind in ("vertex", "vertex-anthropic"):
            with pytest.raises(LynkrError) as failed:
                await gateway.ask(Request(f"{kind}:m", (Message.user("hi"),), max_output_tokens=5))
            shown += [told_by(failed.value), repr(gateway._providers[kind])]
        recorder = gateway.recorder
        assert recorder is not None
        assert recorder.flush(10)
        shown += map(repr, recorder.store.read(lynkr.telemetry.Query(limit=None)))
    shown.append(everything_logged.getvalue())
    assert [found for text in shown for found in canaries(text)] == []
    assertion = parse_qs(parrot.posted.decode())["assertion"][0][:40] if not granted else CANARY
    assert [
        piece
        for text in shown
        for piece in (*key_material(account["private_key"]), assertion)
        if piece in text
    ] == []
    asked = [path for path, _ in parrot.seen if path == "/token"]
    hosts = [headers["authorization"] for path, headers in parrot.seen if path != "/token"]
    assert len(asked) == 2
    assert hosts == [f"Bearer ya29.{CANARY}"] * (2 if granted else 0)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("granted", [True, False])
async def test_what_entra_is_told_and_gives_is_struck_too(
    parrot: Parrot, granted: bool, monkeypatch: pytest.MonkeyPatch, everything_logged: io.StringIO
) -> None:
    """Azure: its own library asks Entra, over TLS alone; here it gives a token, or says all it knows."""

    class Chain:
        def get_token(self, *_: str) -> AccessToken:
            if granted:
                return AccessToken(CANARY, 4_000_000_000)
            raise ClientAuthenticationError(message=f"client_secret={CANARY} was refused")

    monkeypatch.setattr("azure.identity.DefaultAzureCredential", Chain)
    kinds = ("azure-openai", "azure-openai-responses", "azure-anthropic")
    overrides: dict[str, object] = {"default": f"{kinds[0]}:m", "resilience.max_attempts": 1}
    for kind in kinds:
        overrides |= {f"providers.{kind}.kind": kind, f"providers.{kind}.base_url": parrot.url}
    settings = Settings.load(None, {}, overrides=overrides)
    shown: list[str] = []
    async with build_gateway(settings) as gateway:
        for kind in kinds:
            with pytest.raises(LynkrError) as failed:
                await gateway.ask(Request(f"{kind}:m", (Message.user("hi"),), max_output_tokens=5))
            shown += [told_by(failed.value), repr(gateway._providers[kind])]
        recorder = gateway.recorder
        assert recorder is not None
        assert recorder.flush(10)
        shown += map(repr, recorder.store.read(lynkr.telemetry.Query(limit=None)))
    shown.append(everything_logged.getvalue())
    assert [found for text in shown for found in canaries(text)] == []
    carried = [headers["authorization"] for _, headers in parrot.seen]
    assert carried == [f"Bearer {CANARY}"] * (len(kinds) if granted else 0)


def test_the_search_finds_what_it_is_for() -> None:
    """The canary itself is looked for in the ways it can be spelled."""
    assert canaries(f"x {CANARY} y")
    assert canaries(f"x {CLIENTS} y".encode())
    assert canaries(json.dumps({"key": CANARY}))
    assert canaries("nothing here") == []
    assert httpx.Headers(CLIENT_HEADERS)["cookie"].endswith(CLIENTS)
