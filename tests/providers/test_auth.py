import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import ConfigError
from lynkr.providers import Bearer, HTTPRequest, KeyHeader, NoAuth
from lynkr.secret import Secret

REQUEST = HTTPRequest("POST", "http://127.0.0.1/", {"authorization": "the client's", "a": "b"}, b"{}")
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)


@given(KEYS)
def test_a_bearer_key_replaces_whatever_authorization_stood_there(key):
    signed = Bearer(Secret(key)).sign(REQUEST)
    assert signed.headers == {"authorization": f"Bearer {key}", "a": "b"}
    assert (signed.url, signed.body) == (REQUEST.url, REQUEST.body)


@given(KEYS)
def test_a_key_header_holds_the_key_alone(key):
    assert KeyHeader("X-Api-Key", key).sign(REQUEST).headers["x-api-key"] == key


def test_no_auth_changes_nothing():
    assert NoAuth().sign(REQUEST) is REQUEST


@pytest.mark.parametrize("auth", [Bearer("sk-hidden"), KeyHeader("x-api-key", "sk-hidden")])
def test_neither_auth_nor_the_signed_request_shows_the_key(auth):
    assert "sk-hidden" not in repr(auth)
    assert "sk-hidden" not in str(auth)
    assert "sk-hidden" not in repr(auth.sign(REQUEST))


@pytest.mark.parametrize(
    "key", ["", "sk-hidden\n", "sk-hidden key", "sk-hidden\r\nx: y", "sk-hiddén", "\x00"]
)
@pytest.mark.parametrize("make", [Bearer, lambda key: KeyHeader("x-api-key", key)])
def test_a_key_no_header_can_hold_is_refused_without_showing_it(make, key):
    with pytest.raises(ConfigError) as caught:
        make(key)
    assert "sk-hidd" not in str(caught.value)
