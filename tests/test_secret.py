"""A key must not reach a log, a pickle or a JSON text."""

import copy
import json
import pickle

import pytest
from attrs import asdict, frozen
from hypothesis import given
from hypothesis import strategies as st

from lynkr.secret import Secret

KEY = "sk-do-not-print-me"


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(KEY)),
        str(Secret(KEY)),
        f"{Secret(KEY)}",
        f"{Secret(KEY)!r:>40}",
        "%s %r" % (Secret(KEY), Secret(KEY)),  # noqa: UP031  # the old way of formatting is the point
        repr({"key": [Secret(KEY)]}),
        format(Secret(KEY), ">10"),
        repr(vars(Secret).keys()),
    ],
)
def test_no_way_of_formatting_shows_the_text(shown):
    assert KEY not in shown


def test_reveal_is_the_one_way_out():
    assert Secret(KEY).reveal() == KEY
    assert not hasattr(Secret(KEY), "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol):
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(KEY), protocol)


def test_it_is_not_json():
    with pytest.raises(TypeError):
        json.dumps({"key": Secret(KEY)})


def test_attrs_classes_that_hold_it_do_not_show_it():
    @frozen
    class Settings:
        key: Secret

    assert KEY not in repr(Settings(Secret(KEY)))
    assert KEY not in repr(asdict(Settings(Secret(KEY))))


@given(st.text(), st.text())
def test_secrets_are_equal_exactly_when_their_texts_are(one, other):
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one
    if one == other:
        assert hash(Secret(one)) == hash(Secret(other))


def test_it_does_not_change():
    key = Secret(KEY)
    with pytest.raises(AttributeError):
        key.value = "other"
    with pytest.raises(AttributeError):
        del key.reveal
    assert copy.deepcopy(key) is key
    assert copy.copy(key) is key


def test_an_empty_secret_is_false():
    assert not Secret("")
    assert Secret("x")
