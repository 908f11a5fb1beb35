"""Who may come in, and where the gateway may listen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import ConfigError
from lynkr.secret import Secret
from lynkr_server.access import KeyCheck, Unauthorised, is_loopback, refuse_open_bind

TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@given(TOKENS)
def test_the_whole_key_lets_in_either_way(key: str) -> None:
    check = KeyCheck((Secret("other"), Secret(key)))
    check.admit({"x-api-key": key})
    check.admit({"authorization": f"Bearer {key}"})


@given(TOKENS, TOKENS)
def test_no_other_token_lets_in(key: str, shown: str) -> None:
    check = KeyCheck((Secret(key),))
    if shown != key:
        with pytest.raises(Unauthorised):
            check.admit({"x-api-key": shown})


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=2))
def test_a_prefix_of_the_key_is_not_the_key(key: str) -> None:
    with pytest.raises(Unauthorised):
        KeyCheck((Secret(key),)).admit({"authorization": f"Bearer {key[:-1]}"})


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Basic abc"}, {"x-api-key": ""}, {"host": "localhost"}]
)
def test_no_key_shown_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorised):
        KeyCheck((Secret("key"),)).admit(headers)


def test_without_keys_everyone_may_come_in() -> None:
    KeyCheck(()).admit({})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    refuse_open_bind(host, keyed=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "localhost.example.org", ""])
def test_any_other_address_needs_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.host"):
        refuse_open_bind(host, keyed=False)
    refuse_open_bind(host, keyed=True)
