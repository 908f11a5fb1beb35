"""The AWS credential chain: botocore's own, over files and a credential service made for the test."""

import json
import threading
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from attrs import evolve

from lynkr.errors import UpstreamRefused, UpstreamUnreachable
from lynkr.providers.aws_auth import AwsAuth
from lynkr.providers.base import HTTPRequest
from lynkr.providers.sigv4 import Scope
from tests.providers.loopback import serving

pytestmark = pytest.mark.anyio

SCOPE = Scope("eu-west-1", "bedrock")
REQUEST = HTTPRequest("POST", "https://host/model/m/converse", {"content-type": "application/json"}, b"{}")


@pytest.fixture(autouse=True)
def clean_chain(monkeypatch, tmp_path):
    """No credentials anywhere but where the test puts them."""
    for name in (
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN"),
        *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


def key_in(request):
    return request.headers["authorization"].split("Credential=")[1].split("/")[0]


async def signed(auth):
    await auth.refresh()
    return auth.sign(REQUEST)


async def test_credentials_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    request = await signed(AwsAuth("aws", SCOPE))
    assert key_in(request) == "AKIDENV"
    assert request.headers["x-amz-security-token"] == "t"
    assert "/eu-west-1/bedrock/aws4_request" in request.headers["authorization"]
    assert request == evolve(REQUEST, headers=request.headers)


async def test_credentials_come_from_the_profile_that_is_named(clean_chain):
    (clean_chain / "credentials").write_text(
        "[default]\naws_access_key_id=AKIDONE\naws_secret_access_key=s\n"
        "[work]\naws_access_key_id=AKIDTWO\naws_secret_access_key=s\n"
    )
    assert key_in(await signed(AwsAuth("aws", SCOPE))) == "AKIDONE"
    assert key_in(await signed(AwsAuth("aws", SCOPE, profile="work"))) == "AKIDTWO"


async def test_none_found_is_a_refusal_that_says_what_to_do():
    with pytest.raises(
        UpstreamRefused, match=r"^aws: no AWS credentials.*AWS_BEARER_TOKEN_BEDROCK"
    ) as caught:
        await AwsAuth("aws", SCOPE).refresh()
    assert (caught.value.target, caught.value.status) == ("aws", 401)


async def test_a_profile_that_is_not_there_is_a_refusal():
    with pytest.raises(UpstreamRefused, match="nobody"):
        await AwsAuth("aws", SCOPE, profile="nobody").refresh()


def container(expires, answers):
    """An ECS-style credential service whose answers are counted, each with a key of its own."""

    async def handler(peer, request):
        answers.append(request)
        body = {
            "AccessKeyId": f"AKID{len(answers)}",
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": expires().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        await peer.answer(json.dumps(body).encode())

    return handler


async def test_credentials_that_last_are_asked_for_once_whoever_asks(monkeypatch):
    answers = []
    async with serving(container(lambda: datetime.now(UTC) + timedelta(hours=6), answers)) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url + "/role")
        auth = AwsAuth("aws", SCOPE)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(auth.refresh)
        assert key_in(auth.sign(REQUEST)) == "AKID1"
        await auth.refresh()
    assert len(answers) == 1


async def test_credentials_about_to_expire_are_renewed_before_they_do(monkeypatch):
    answers = []
    async with serving(container(lambda: datetime.now(UTC) + timedelta(minutes=1), answers)) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url + "/role")
        auth = AwsAuth("aws", SCOPE)
        keys = [key_in(await signed(auth)) for _ in range(3)]
    assert len(set(keys)) == 3


async def test_the_chain_never_runs_on_the_event_loop(monkeypatch):
    threads = []
    real = AwsAuth._renew

    def noted(self):
        threads.append(threading.current_thread())
        real(self)

    monkeypatch.setattr(AwsAuth, "_renew", noted)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    auth = AwsAuth("aws", SCOPE)
    await auth.refresh()
    await auth.refresh()
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_a_token_file_that_is_not_there_is_a_refusal(monkeypatch):
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(UpstreamRefused, match="/nowhere/token"):
        await AwsAuth("aws", SCOPE).refresh()


async def test_a_credential_service_that_fails_is_unreachable(monkeypatch):
    async def handler(peer, request):
        await peer.answer(b"{}", status="500 Internal Server Error")

    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    async with serving(handler) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url + "/role")
        with pytest.raises(UpstreamUnreachable, match="no AWS credentials"):
            await AwsAuth("aws", SCOPE).refresh()


async def test_signing_before_refreshing_is_a_fault_of_the_caller():
    with pytest.raises(AssertionError, match="refresh"):
        AwsAuth("aws", SCOPE).sign(REQUEST)
