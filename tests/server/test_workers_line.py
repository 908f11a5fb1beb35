"""Messages between the parent and a worker: whole, in order, whatever pieces they arrive in."""

import socket
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lynkr.settings import Settings
from lynkr_server.workers.line import Line, Word, line_pair, packed, unpacked

MESSAGES = st.lists(st.tuples(st.sampled_from(Word), st.binary(max_size=300)), max_size=20)


@given(MESSAGES, st.integers(1, 50))
def test_messages_arrive_whole_and_in_order_however_they_are_cut(messages, size):
    one, other = socket.socketpair()
    recorder, record = line_pair()
    with one, other:
        for word, body in messages:
            assert recorder.say(word, body)
        recorder.close()
        sent = b""
        while data := record._socket.recv(65_536):
            sent += data
        record.close()
        line = Line(other)
        heard = []
        for begin in range(0, len(sent), size):
            one.sendall(sent[begin : begin + size])
            heard += line.hear() or ()
        one.close()
        assert heard == messages
        assert line.hear() is None


def test_a_long_message_passes_and_an_end_is_heard():
    one, other = line_pair()
    body = b"x" * 3_000_000
    sender = threading.Thread(target=one.say, args=(Word.RELOAD, body))
    sender.start()
    heard = []
    while not heard:
        heard += other.hear() or ()
    sender.join(10)
    assert heard == [(Word.RELOAD, body)]
    one.close()
    assert other.hear() is None
    assert not other.say(Word.ALIVE)
    other.close()
    assert not other.is_open


def test_settings_travel_whole_with_their_secrets():
    settings = Settings.load(
        None,
        {"OPENAI_API_KEY": "sk-a-secret", "LYNKR_SERVER_API_KEY": "k" * 20, "TIER_SIMPLE": "openai:gpt-4o"},
        overrides={
            "telemetry.path": "/somewhere/ledger.sqlite3",
            "pricing.overrides": {"openai:gpt-4o": {"input": 1.5, "output": 2}},
            "tenants.acme.budget_usd_per_day": 3.5,
        },
    )
    arrived = unpacked(packed(settings))
    assert arrived == settings
    assert arrived.providers["openai"].api_key.reveal() == "sk-a-secret"
    assert isinstance(arrived.telemetry.path, Path)
