"""Free text in a JSON string, taken out again however the stream is cut."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.testing.primitives import texts
from lynkr.wire.freeform import Unwrapper, flat_name, input_schema, unwrapped, wrapped

any_text = st.text() | texts(empty=True)


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in pairwise(edges)]


def through(arguments: str, cuts: list[int]) -> tuple[str, bool]:
    reader = Unwrapper()
    text = "".join(reader.feed(piece) for piece in pieces(arguments, cuts))
    return text + reader.end(), reader.is_exact


@given(any_text)
def test_wrapping_is_undone(text):
    assert unwrapped(wrapped(text)) == text
    assert json.loads(wrapped(text)) == {"input": text}


@given(any_text, st.lists(st.integers(0), max_size=12), st.booleans(), st.sampled_from(("", " ", "\n ")))
def test_a_stream_of_arguments_gives_the_text_wherever_it_is_cut(text, cuts, ascii_only, space):
    quoted = json.dumps(text, ensure_ascii=ascii_only)
    arguments = f'{space}{{{space}"input"{space}:{space}{quoted}{space}}}{space}'
    assert through(arguments, cuts) == (text, True)
    every_sign = list(range(len(arguments)))
    assert through(arguments, every_sign) == (text, True)


@given(any_text.filter(lambda text: "\\" not in text and '"' not in text and text.isprintable()))
def test_text_comes_out_as_soon_as_it_comes_in(text):
    reader = Unwrapper()
    reader.feed('{"input":"')
    assert "".join(map(reader.feed, text)) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ("not json", "not json"),
        ('{"patch":"x"}', '{"patch":"x"}'),
        ('{"why":"y","input":"x"}', "x"),
        ('{"input":"x","why":"y"}', "x"),
        ('{"input":"x', "x"),
        ('{"input":7}', '{"input":7}'),
        ("[]", "[]"),
    ],
)
@given(cuts=st.lists(st.integers(0), max_size=4))
def test_other_arguments_lose_nothing_or_say_so(arguments, text, cuts):
    assert through(arguments, cuts) == (text, False)


@given(any_text, st.lists(st.integers(0), max_size=6))
def test_a_stream_that_stops_gives_a_beginning_of_the_text(text, cuts):
    whole = wrapped(text)
    for end in range(len(whole)):
        said, exact = through(whole[:end], cuts)
        assert not exact
        assert text.startswith(said) or said == whole[:end]


def test_a_grammar_stands_in_the_schema():
    schema = input_schema({"type": "grammar", "syntax": "lark", "definition": 'start: "a"'})
    assert "lark" in json.dumps(schema)
    assert input_schema(None) == input_schema({"type": "text"})


@given(st.text(max_size=80), st.text(max_size=80))
def test_flat_names_are_short_and_stable(namespace, name):
    assert len(flat_name(namespace, name)) <= 64
    assert flat_name(namespace, name) == flat_name(namespace, name)
