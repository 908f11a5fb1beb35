"""Laws of `lynkr.wire.json_body`: a splice changes one value only; a dump writes what stands there."""

import json
import pickle
import re
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynkr.errors import ClientWireError
from lynkr.testing.primitives import argument_texts, json_objects, json_values, texts
from lynkr.wire import json_body
from lynkr.wire.json_body import (
    DEFAULT_MAX_DEPTH,
    ExactFloat,
    RawJson,
    dump,
    json_text,
    parse_body,
    parse_value,
)


@pytest.fixture(params=["msgspec", "json"], autouse=True, scope="module")
def backend(request):
    """Each law twice: as it is with the extra `server`, and with the standard library alone."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            patch.setattr(json_body, "_QUICK", None)
        yield request.param


PLACEHOLDER = "\x00lynkr raw json\x00"
SPELLINGS = ("1e2", "0.10", "1E+2", "10000000000000000000001.5", "1e999", "-0.0", "9" * 400, "-1", "1.5")


@st.composite
def written_fields(draw: st.DrawFn) -> tuple[str, str]:
    """A field's name and its value's JSON text, in one of the many ways to write it."""
    name = draw(texts(empty=True, max_size=8) | st.sampled_from(("model", "Model", "stream", "a\\b")))
    if draw(st.integers(0, 3)) == 0:
        return name, draw(st.sampled_from(SPELLINGS))
    indent = draw(st.none() | st.just(2) | st.just("\t"))
    value = draw(json_values())
    return name, json.dumps(value, ensure_ascii=draw(st.booleans()), indent=indent)


@st.composite
def written_bodies(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A body's text with any white space, escapes and order, and its fields' texts by name."""
    space = st.sampled_from(("", " ", "\n", "\r\n\t", "  "))
    fields = draw(st.lists(written_fields(), max_size=5, unique_by=lambda field: field[0]))
    members: list[str] = []
    for name, text in fields:
        quoted = json.dumps(name, ensure_ascii=draw(st.booleans()))
        members.append(f"{draw(space)}{quoted}{draw(space)}:{draw(space)}{text}{draw(space)}")
    bom = draw(st.sampled_from(("", "", "\ufeff")))
    inside = ",".join(members) or draw(space)
    return f"{bom}{draw(space)}{{{inside}}}{draw(space)}", dict(fields)


@given(written_bodies(), texts())
@example(('{"mod\\u0065l":"x"}', {"model": '"x"'}), "y")
@example(('{"a":{"model":"inner"},"model" : 1e2 }', {"a": '{"model":"inner"}', "model": "1e2"}), "y")
def test_splice_changes_the_value_and_no_other_character(body, model):
    text, fields = body
    spliced = parse_body(text.encode()).splice("model", model).decode()
    new = json.dumps(model, ensure_ascii=False)
    if "model" in fields:
        old = fields["model"]
        places = [at for at in range(len(text)) if text.startswith(old, at)]
        assert spliced in {text[:at] + new + text[at + len(old) :] for at in places}
        assert parse_body(spliced.encode()).value["model"] == model
    else:
        head, _, tail = text.partition("{")
        comma = "," if fields else ""
        assert spliced == f'{head}{{"model":{new}{comma}{tail}'


@given(written_bodies(), texts())
def test_the_other_fields_mean_the_same_after_a_splice(body, model):
    text, _ = body
    before = parse_body(text.encode())
    after = parse_body(before.splice("model", model))
    assert dict(after.value) == {**before.value, "model": model}


@given(written_bodies())
def test_splicing_a_value_over_itself_gives_the_very_same_bytes(body):
    text, fields = body
    parsed = parse_body(text.encode())
    for name in fields:
        start, end = parsed.spans[name]
        assert text.encode()[start:end] == fields[name].encode()


@given(written_bodies(), st.dictionaries(texts(max_size=3), json_values(), max_size=3), st.data())
@example(('{"a":1 , "model" :2\n,"b":3 }', {"a": "1", "model": "2", "b": "3"}), {}, None)
def test_an_edit_sets_and_drops_fields_and_the_others_keep_their_text(body, put, data):
    text, fields = body
    names = st.sampled_from(sorted(fields)) if fields else st.just("model")
    drop = data.draw(st.sets(names | texts(max_size=3))) if data else {"a"}
    if data:
        put |= data.draw(st.dictionaries(names, json_values(), max_size=2))
    before = parse_body(text.encode())
    after = parse_body(before.edit(put, drop))
    kept = {name: value for name, value in before.value.items() if name not in drop or name in put}
    assert json.dumps(dict(after.value), sort_keys=True) == json.dumps({**kept, **put}, sort_keys=True)
    for name in kept:
        if name not in put:
            assert after.data[slice(*after.spans[name])] == fields[name].encode()
    order = [name for name in before.value if name in after.value]
    assert list(after.value) == [name for name in put if name not in before.value] + order


@given(written_bodies(), st.sets(texts(max_size=3)))
def test_an_edit_that_changes_nothing_gives_the_very_same_bytes(body, names):
    text, fields = body
    assert parse_body(text.encode()).edit({}, names - set(fields)) == text.encode()


@given(written_bodies())
def test_a_body_is_read_as_the_standard_library_reads_it(body):
    text, _ = body
    expected = json.loads(text.removeprefix("\ufeff"))
    assert dict(parse_body(text.encode()).value) == expected


@given(json_objects(), st.booleans())
def test_a_field_that_stands_twice_is_refused(fields, escaped):
    second = '"mod\\u0065l"' if escaped else '"model"'
    rest = json.dumps({name: value for name, value in fields.items() if name != "model"})[1:-1]
    text = f'{{"model":1,{rest + "," if rest else ""}{second}:2}}'
    with pytest.raises(ClientWireError, match="twice") as caught:
        parse_body(text.encode())
    assert caught.value.field == "model"


@pytest.mark.parametrize(
    "text",
    [
        r'{"messages":"\ud83d"}',
        r'{"messages":[{"content":"\uDE00\ud83d"}]}',
        r'{"messages":{"\udfff":1}}',
        r'{"\ud800":1}',
    ],
)
def test_a_lone_surrogate_is_refused_and_the_message_can_be_written(text):
    with pytest.raises(ClientWireError, match="surrogate") as caught:
        parse_body(text.encode())
    assert str(caught.value).encode()


def test_an_escaped_surrogate_pair_is_one_character():
    assert parse_body(rb'{"a":"\ud83d\ude42"}').value["a"] == "🙂"


NOT_JSON = (
    *(
        '{"a":NaN}',
        '{"a":[Infinity]}',
        '{"a":-Infinity}',
        '{"a":1}{"b":2}',
        '{"a":1} x',
        "{'a':1}",
        '{"a":01}',
    ),
    *('{"a":1,}', '{"a"}', "{", '{"a":', '{"a":1', '{"a" 1}', "{,}", '{"a":"\n"}', "{1:2}", "", "  "),
)


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(ClientWireError):
        parse_body(text.encode())
    with pytest.raises(ValueError, match=r"."):
        parse_value(text)


@pytest.mark.parametrize("text", ["[]", "1", "null", '"{}"', "[{}]"])
def test_a_body_that_is_not_an_object_is_refused(text):
    with pytest.raises(ClientWireError, match="object"):
        parse_body(text.encode())


@pytest.mark.parametrize("data", [b'{"a":"\xff"}', '{"a":1}'.encode("utf-16"), b'\xed\xa0\x80{"a":1}'])
def test_a_body_that_is_not_utf8_is_refused(data):
    with pytest.raises(ClientWireError):
        parse_body(data)


@given(st.binary(max_size=60) | texts(empty=True).map(str.encode))
def test_any_bytes_give_a_body_or_a_client_error(data):
    try:
        body = parse_body(data)
    except ClientWireError:
        return
    assert json.loads(body.text.removeprefix("\ufeff")) == body.value


@pytest.mark.parametrize("depth", [DEFAULT_MAX_DEPTH, 5_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_a_client_error_and_no_recursion_error(depth, opening, closing):
    text = '{"a":' + opening * depth + "1" + closing * depth + "}"
    with pytest.raises(ClientWireError, match="nested"):
        parse_body(text.encode())
    with pytest.raises(ValueError, match="nested"):
        parse_value(text)


def test_the_deepest_nesting_allowed_can_be_read_and_written():
    inner = DEFAULT_MAX_DEPTH - 1
    text = '{"a":' + "[" * inner + "0.10" + "]" * inner + "}"
    value = parse_body(text.encode()).value
    assert json_text(value) == text
    assert json.loads(dump({**value, "raw": RawJson("{}")})) == {**json.loads(text), "raw": {}}


def test_brackets_inside_strings_are_not_nesting():
    text = json.dumps({"a": "[{" * 10_000})
    assert parse_body(text.encode()).value == {"a": "[{" * 10_000}


# --- Numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_number_keeps_its_spelling(spelling):
    assert json_text(parse_value(spelling)) == spelling
    assert json_text(parse_value(f'{{"n":[{spelling}]}}')) == f'{{"n":[{spelling}]}}'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_pythons_own_way_is_a_plain_float_unless_it_has_an_exponent(value):
    assert type(parse_value(repr(value))) is (ExactFloat if "e" in repr(value) else float)


def test_an_exact_float_is_a_number_that_survives_pickling():
    value = parse_value("0.10")
    assert value == 0.1
    again = pickle.loads(pickle.dumps(value))
    assert isinstance(again, ExactFloat)
    assert (again, again.text) == (0.1, "0.10")


# --- Writing ------------------------------------------------------------------------------------------


@given(json_values())
@example({"": [PLACEHOLDER, {"x": PLACEHOLDER}]})
def test_what_is_dumped_parses_to_the_same_value(value):
    data = dump(value)
    assert parse_value(data) == value
    assert one_spelling(data.decode()) == one_spelling(
        json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    )


@given(json_values())
def test_json_text_is_the_compact_spelling(value):
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert one_spelling(json_text(value)) == one_spelling(compact)


def one_spelling(text):
    """Python writes 1e+16 and 1e-07, msgspec 1e16 and 1e-7."""
    return re.sub(r"e\+?(-?)0*", r"e\1", text)


@given(st.lists(argument_texts(odd=True) | st.just(json.dumps(PLACEHOLDER)), max_size=4), texts(empty=True))
@example(["{}", '{"a":1e2}'], PLACEHOLDER)
@example(["{}"], f'"{PLACEHOLDER}"')
@example([json.dumps(PLACEHOLDER)], "x")
def test_raw_json_is_written_as_it_stands(raws, other):
    body = {"calls": [{"input": RawJson(raw), other: other} for raw in raws], PLACEHOLDER: [other, 1]}
    quoted, place = json.dumps(other, ensure_ascii=False), json.dumps(PLACEHOLDER)
    calls = ",".join(
        f'{{"input":{raw},{quoted}:{quoted}}}' if other != "input" else f'{{"input":{quoted}}}'
        for raw in raws
    )
    assert dump(body).decode() == f'{{"calls":[{calls}],{place}:[{quoted},1]}}'


def test_any_mapping_and_sequence_can_be_written():
    body = MappingProxyType({"a": (1, MappingProxyType({"b": RawJson("0.10")}))})
    assert dump(body) == b'{"a":[1,{"b":0.10}]}'
    assert json_text({"a": (1.5, MappingProxyType({}))}) == '{"a":[1.5,{}]}'


def test_a_number_too_large_for_a_float_is_written_as_it_came():
    assert dump({"a": [parse_value("1e999"), RawJson("{}")]}) == b'{"a":[1e999,{}]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")], {"a": {"b": float("nan")}}])
def test_nan_and_infinity_are_never_written(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        dump({"a": value})
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text(value)


@pytest.mark.parametrize("leaf", [object(), 1j])
def test_what_is_not_json_is_not_written(leaf):
    with pytest.raises(TypeError, match="is not JSON"):
        dump({"a": [leaf]})
    with pytest.raises(TypeError, match="is not JSON"):
        dump({"a": [leaf], "b": PLACEHOLDER, "c": RawJson("{}")})


@pytest.mark.parametrize("text", ["\ud83d", "a\udfffb", "\ud83d\ude42"])
def test_a_lone_surrogate_of_a_provider_is_written_escaped(text):
    data = dump({"a": text, "b": "né"})
    assert "né".encode() in data
    assert json.loads(data)["a"].encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")
