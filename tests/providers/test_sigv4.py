"""Signatures against botocore's own signer, and against AWS' published example."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from lynkr.providers.base import HTTPRequest
from lynkr.providers.sigv4 import AwsCredentials, Scope, signature_headers
from lynkr.secret import Secret

NOW = datetime(2026, 11, 23, 13, 5, 59, tzinfo=UTC)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "x-amz-note", "x-amz-target", "accept", "user-agent", "x-api"]),
    st.text("abc :;,= ", max_size=8).map(lambda text: f"v{text}v"),
)


def by_botocore(request, credentials, scope, now):
    """The authorization botocore gives the headers that ours covers."""
    covered = {n: v for n, v in request.headers.items() if n == "content-type" or n.startswith("x-amz-")}
    theirs = AWSRequest(request.method, request.url, covered, request.body)
    keys = Credentials(
        credentials.access_key,
        credentials.secret_key.reveal(),
        credentials.token.reveal() if credentials.token else None,
    )
    with patch("botocore.auth.get_current_datetime", return_value=now):
        SigV4Auth(keys, scope.service, scope.region).add_auth(theirs)
    return theirs.headers["Authorization"]


HOSTS = st.sampled_from(["https://bedrock-runtime.eu-west-1.amazonaws.com", "http://127.0.0.1:8099"])
QUERIES = st.sampled_from(["", "?b=2&a=1", "?a&a=b&c=%20"])
ADDRESSES = st.builds(
    lambda host, model, query: f"{host}/model/{quote(model, safe='')}/converse{query}", HOSTS, NAMES, QUERIES
)
REQUESTS = st.builds(HTTPRequest, st.just("POST"), ADDRESSES, HEADERS, st.binary(max_size=50))


@given(REQUESTS, st.none() | st.text("abcXYZ012+/=", min_size=1), st.integers(0, 2**31))
def test_botocore_signs_the_same(request, token, seconds):
    credentials = AwsCredentials("AKIDEXAMPLE", Secret("s3cr+t/"), Secret(token) if token else None)
    scope, now = Scope("eu-west-1", "bedrock"), datetime.fromtimestamp(seconds, UTC)
    ours = signature_headers(request, credentials, scope, now)
    assert ours["authorization"] == by_botocore(request, credentials, scope, now)
    assert ours.get("x-amz-security-token") == token


# "get-vanilla" and "post-vanilla" of the AWS Signature Version 4 test suite, as published in AWS'
# aws-c-auth repository (read 2026-11): the same credentials, scope and time, and the signatures to be had.
@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_the_signature_is_that_of_the_published_suite(method, signature):
    credentials = AwsCredentials("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
    request = HTTPRequest(method, "https://example.amazonaws.com/", {}, b"")
    now = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    signed = signature_headers(request, credentials, Scope("us-east-1", "service"), now)
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


@given(st.sampled_from(["user-agent", "accept-encoding", "x-request-id", "anthropic-version"]), st.text("ab"))
def test_headers_a_proxy_may_change_do_not_break_the_signature(name, value):
    credentials = AwsCredentials("AKID", Secret("s"))
    plain = HTTPRequest("POST", "https://h/", {"content-type": "application/json"}, b"{}")
    other = HTTPRequest("POST", "https://h/", {**plain.headers, name: value}, b"{}")
    scope = Scope("us-east-1", "bedrock")
    assert signature_headers(plain, credentials, scope, NOW) == signature_headers(
        other, credentials, scope, NOW
    )


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"url": "https://host/model/b/converse"},
        {"url": "https://other/model/a/converse"},
        {"body": b"[]"},
        {"headers": {"content-type": "text/plain"}},
        {"headers": {"content-type": "application/json", "x-amz-note": "1"}},
    ],
)
def test_what_is_signed_cannot_be_changed(change):
    fields = {
        "method": "POST",
        "url": "https://host/model/a/converse",
        "headers": {"content-type": "application/json"},
        "body": b"{}",
    }
    credentials, scope = AwsCredentials("AKID", Secret("s")), Scope("us-east-1", "bedrock")
    signed = [
        signature_headers(HTTPRequest(**kwargs), credentials, scope, NOW)["authorization"]
        for kwargs in (fields, {**fields, **change})
    ]
    assert signed[0] != signed[1]


def test_neither_key_nor_token_is_shown():
    credentials = AwsCredentials("AKID", Secret("the-secret"), Secret("the-token"))
    assert "the-secret" not in repr(credentials)
    assert "the-token" not in repr(credentials)


def test_the_address_of_an_ipv6_host_is_signed_as_it_is_sent():
    request = HTTPRequest("POST", "http://[::1]:8080/x", {}, b"")
    ours = signature_headers(request, AwsCredentials("A", Secret("s")), Scope("r", "s"), NOW)
    assert ours["authorization"] == by_botocore(
        request, AwsCredentials("A", Secret("s")), Scope("r", "s"), NOW
    )
