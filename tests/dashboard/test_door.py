"""Who is let in: the key whole or not at all, sessions that end, guesses that are few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.secret import Secret
from lynkr_server.dashboard.door import (
    COOKIE,
    GUESS_SECONDS,
    GUESSES,
    MAX_SESSIONS,
    SESSION_SECONDS,
    AdminDoor,
    NotAdmitted,
    TooManyGuesses,
    session_cookie,
)

KEY = "correct horse battery staple"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def door() -> tuple[AdminDoor, Clock]:
    clock = Clock()
    return AdminDoor(Secret(KEY), clock=clock), clock


def cookie(token: str) -> dict[str, str]:
    return {"cookie": f'theme=dark; {COOKIE}={token}; other={{"a": 1}}'}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_the_key_opens_as_a_bearer_and_by_logging_in():
    made, _ = door()
    made.admit(bearer(KEY), "1.2.3.4")
    made.admit({"authorization": f"bearer  {KEY} "}, "1.2.3.4")
    made.admit(cookie(made.log_in(KEY, "1.2.3.4")), "9.9.9.9")


@given(st.text(max_size=40).filter(lambda text: text != KEY))
def test_no_other_text_opens(text: str):
    made, _ = door()
    with pytest.raises(NotAdmitted):
        made.log_in(text, "peer")
    with pytest.raises(NotAdmitted):
        made.admit(cookie(text), "peer")


@given(st.integers(0, len(KEY) - 1))
def test_no_part_of_the_key_opens(length: int):
    made, _ = door()
    for shown in (KEY[:length], KEY[length + 1 :], KEY + KEY[:length] + "x"):
        with pytest.raises(NotAdmitted):
            made.admit(bearer(shown), "peer")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": KEY},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"cookie": f"{COOKIE}={KEY}"},
        {"cookie": COOKIE},
        {"cookie": f"{COOKIE}="},
        {"host": "localhost", "x-forwarded-for": "127.0.0.1", "origin": "http://localhost"},
    ],
)
def test_nothing_else_a_client_says_opens(headers: dict[str, str]):
    made, _ = door()
    with pytest.raises(NotAdmitted):
        made.admit(headers, "127.0.0.1")


def test_a_session_ends_on_its_hour_and_by_logging_out():
    made, clock = door()
    token, other = made.log_in(KEY, "peer"), made.log_in(KEY, "peer")
    assert token != other
    made.log_out(cookie(other))
    with pytest.raises(NotAdmitted):
        made.admit(cookie(other), "peer")
    clock.now += SESSION_SECONDS - 1
    made.admit(cookie(token), "peer")
    clock.now += 1
    with pytest.raises(NotAdmitted):
        made.admit(cookie(token), "peer")


def test_sessions_are_few_and_the_oldest_gives_way():
    made, _ = door()
    tokens = [made.log_in(KEY, "peer") for _ in range(MAX_SESSIONS + 1)]
    with pytest.raises(NotAdmitted):
        made.admit(cookie(tokens[0]), "peer")
    for token in tokens[1:]:
        made.admit(cookie(token), "peer")


def test_wrong_keys_from_one_address_are_few_and_do_not_shut_others_out():
    made, clock = door()
    session = made.log_in(KEY, "attacker")
    for _ in range(GUESSES):
        with pytest.raises(NotAdmitted):
            made.log_in("wrong", "attacker")
    with pytest.raises(TooManyGuesses) as refused:
        made.log_in(KEY, "attacker")
    assert 0 < refused.value.retry_after <= GUESS_SECONDS
    made.admit(cookie(session), "attacker")
    made.admit(bearer(KEY), "attacker")  # another way in, with an allowance of its own
    for _ in range(GUESSES):
        with pytest.raises(NotAdmitted):
            made.admit(bearer("wrong"), "attacker")
    with pytest.raises(TooManyGuesses):
        made.admit(bearer(KEY), "attacker")
    made.log_in(KEY, "owner")
    clock.now += GUESS_SECONDS
    made.log_in(KEY, "attacker")


def test_right_keys_use_up_nothing():
    made, _ = door()
    for _ in range(3 * GUESSES):
        made.admit(bearer(KEY), "consumer")


def test_addresses_that_guess_are_remembered_within_bounds():
    made, _ = door()
    for number in range(3000):
        with pytest.raises(NotAdmitted):
            made.log_in("wrong", f"address {number}")
    assert len(made._guessers) <= 1024


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites():
    plain, secure = session_cookie("abc", secure=False), session_cookie("abc", secure=True)
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/dashboard", f"Max-Age={SESSION_SECONDS}"):
        assert attribute in plain.split("; ")
    assert secure == f"{plain}; Secure"
    assert "Max-Age=0" in session_cookie("", secure=False)
