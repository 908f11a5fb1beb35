"""Google credentials: real google-auth, a real service account's key, a loopback token server."""

import base64
import json
from urllib.parse import parse_qs

import anyio
import pytest

pytest.importorskip("google.auth")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lynkr.errors import ConfigError, UpstreamRefused, UpstreamUnreachable
from lynkr.providers import HttpxTransport, builtin
from lynkr.providers.base import HTTPRequest, RefreshingAuth
from lynkr.providers.google_auth import SCOPE, GoogleAuth
from lynkr.providers.setup import Cloud
from lynkr.secret import Secret
from tests.providers.loopback import serving

ROBOT = "robot@proj-1.iam.gserviceaccount.com"
REQUEST = HTTPRequest("POST", "https://h", {"accept": "x"}, b"")


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def account(private_key, token_uri):
    return {
        "type": "service_account",
        "project_id": "proj-1",
        "private_key_id": "k1",
        "private_key": private_key,
        "client_email": ROBOT,
        "client_id": "1",
        "token_uri": token_uri,
    }


def tokens(*answers):
    """A token endpoint: each answer is a lifetime in seconds, or a status and an error."""
    left = list(answers)

    async def handle(peer, _):
        answer = left.pop(0)
        if isinstance(answer, int):
            number = len(answers) - len(left)
            body = {"access_token": f"ya29.t{number}", "expires_in": answer, "token_type": "Bearer"}
            await peer.answer(json.dumps(body).encode())
        else:
            status, error = answer
            body = {"error": error, "error_description": "what happened"}
            await peer.answer(json.dumps(body).encode(), status=status)

    return handle


def bearer(auth):
    signed = auth.sign(REQUEST)
    assert signed.headers["accept"] == "x"
    return signed.headers["authorization"]


@pytest.mark.anyio
async def test_a_service_accounts_key_becomes_a_token_fetched_once(private_key):
    async with serving(tokens(3600)) as server:
        transport = HttpxTransport()
        key = Secret(json.dumps(account(private_key, f"{server.url}/token")))
        auth = GoogleAuth("vertex", transport, account=key)
        assert isinstance(auth, RefreshingAuth)
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(auth.refresh)
        await auth.refresh()
        assert bearer(auth) == "Bearer ya29.t1"
        await transport.aclose()
    [asked] = server.requests
    assertion = parse_qs(asked.body.decode())["assertion"][0]
    claims = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
    assert (claims["iss"], claims["scope"]) == (ROBOT, SCOPE)


@pytest.mark.anyio
async def test_a_token_about_to_expire_is_renewed(private_key):
    async with serving(tokens(60, 3600)) as server:
        transport = HttpxTransport()
        key = Secret(json.dumps(account(private_key, f"{server.url}/token")))
        auth = GoogleAuth("vertex", transport, account=key)
        await auth.refresh()
        assert bearer(auth) == "Bearer ya29.t1"
        await auth.refresh()
        assert bearer(auth) == "Bearer ya29.t2"
        await auth.refresh()
        await transport.aclose()
    assert len(server.requests) == 2


@pytest.mark.anyio
async def test_default_credentials_are_found_where_google_looks(private_key, tmp_path, monkeypatch):
    async with serving(tokens(3600)) as server:
        file = tmp_path / "key.json"
        file.write_text(json.dumps(account(private_key, f"{server.url}/token")), encoding="utf-8")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        transport = HttpxTransport()
        auth = GoogleAuth("vertex", transport)
        await auth.refresh()
        assert bearer(auth) == "Bearer ya29.t1"
        await transport.aclose()


@pytest.mark.anyio
async def test_credentials_google_refuses_are_refused_by_name(private_key):
    async with serving(tokens(("400 Bad Request", "invalid_grant"))) as server:
        transport = HttpxTransport()
        key = Secret(json.dumps(account(private_key, f"{server.url}/token")))
        with pytest.raises(UpstreamRefused, match=r"my-vertex: no access token.*invalid_grant") as caught:
            await GoogleAuth("my-vertex", transport, account=key).refresh()
        await transport.aclose()
    assert caught.value.status == 401
    assert not caught.value.is_callers_fault
    assert "PRIVATE KEY" not in str(caught.value)


@pytest.mark.anyio
async def test_no_credentials_anywhere_is_a_refusal_that_says_the_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UpstreamRefused, match="gcloud auth application-default login"):
        await GoogleAuth("vertex", HttpxTransport()).refresh()


@pytest.mark.anyio
async def test_a_token_server_that_is_not_there_may_be_tried_again(private_key, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # google-auth waits between its own tries
    key = Secret(json.dumps(account(private_key, "http://127.0.0.1:9/token")))
    transport = HttpxTransport()
    with pytest.raises(UpstreamUnreachable, match="vertex: no access token") as caught:
        await GoogleAuth("vertex", transport, account=key).refresh()
    await transport.aclose()
    assert caught.value.retryable


@pytest.mark.anyio
async def test_waiting_for_a_token_can_be_cancelled(private_key):
    async def never(peer, _):
        await peer.closed()

    async with serving(never) as server:
        transport = HttpxTransport()
        key = Secret(json.dumps(account(private_key, f"{server.url}/token")))
        with anyio.fail_after(10):
            with anyio.move_on_after(0.2) as scope:
                await GoogleAuth("vertex", transport, account=key).refresh()
        assert scope.cancelled_caught
        await transport.aclose()


@pytest.mark.parametrize("text", ["{", "{]", "[1]", '"x"', "{}", '{"type": "external_account"}'])
def test_what_is_no_account_is_told_without_showing_it(text):
    with pytest.raises(ConfigError, match="neither a key nor the JSON"):
        GoogleAuth("vertex", HttpxTransport(), account=Secret(text))


@pytest.mark.anyio
async def test_a_vertex_provider_signs_with_the_account_it_was_given(private_key):
    async def handle(peer, request):
        if request.line.startswith("POST /token"):
            body = {"access_token": "ya29.t1", "expires_in": 3600, "token_type": "Bearer"}
        else:
            body = {"totalTokens": 3}
        await peer.answer(json.dumps(body).encode())

    async with serving(handle) as server:
        vertex = builtin(
            "v",
            "vertex",
            key=json.dumps(account(private_key, f"{server.url}/token")),
            base_url=f"{server.url}/v1",
            cloud=Cloud(project="proj-1"),
            transport=HttpxTransport(),
        )
        from tests.providers.test_google import call

        assert await vertex.count_tokens(call()) == 3
        await vertex.transport.aclose()
    assert server.requests[-1].headers["authorization"] == "Bearer ya29.t1"
