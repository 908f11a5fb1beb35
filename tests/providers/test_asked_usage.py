"""Of a Chat stream whose usage the gateway asked for, exactly the chunk that tells it stays behind."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynkr.providers.asked_usage import UsageGate, asking_usage

SHARED = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
WORDS = [
    "hi",
    "",
    'a "choices":[] b',
    "\r\n\r\ndata: {}",
    '"usage":{"prompt_tokens":1},"choices":[]',
]


def said(text: str, **fields: object) -> bytes:
    return json.dumps({**SHARED, "choices": [{"index": 0, "delta": {"content": text}}], **fields}).encode()


KEPT = st.one_of(
    st.builds(said, st.sampled_from(WORDS)),
    st.builds(
        said, st.sampled_from(WORDS), usage=st.sampled_from([None, USAGE])
    ),  # some hosts tell it in each
    st.sampled_from(
        [
            b"[DONE]",
            b'{"choices":[],"prompt_filter_results":[{}]}',  # Azure's first
            b'{"choices":[],"usage":null}',
            b'{"error":{"message":"\\"choices\\":[]"}}',
            b'{"choices":[]',
            b"null",
        ]
    ),
)
LEFT = st.sampled_from(
    [
        json.dumps({**SHARED, "choices": [], "usage": USAGE}).encode(),
        json.dumps({**SHARED, "usage": USAGE, "choices": []}, separators=(",", ":")).encode(),
        json.dumps({"choices": [], "usage": {}, "x_groq": {"id": "r"}}, indent=None).encode(),
    ]
)
Stream = tuple[bytes, bytes]


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """A stream, and the same without what the client is not to see."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    whole = kept = b""
    for data, stays in draw(
        st.lists(st.one_of(st.tuples(KEPT, st.just(True)), st.tuples(LEFT, st.just(False))))
    ):
        lead = draw(st.sampled_from([b"data: ", b"data:", b"event: x" + end + b"data: "]))
        frame = lead + data + end + end
        whole += frame
        kept += frame if stays else b""
        if draw(st.booleans()):
            whole, kept = whole + b": ping" + end + end, kept + b": ping" + end + end
    tail = draw(st.sampled_from([b"", b"data: [DONE]", b"data: "]))
    return whole + tail, kept + tail


@given(streams(), st.data())
@example((b'data: {"choices":[],"usage":{}}', b""), None)
def test_only_the_chunk_that_tells_usage_alone_is_left_out(
    stream: Stream, data: st.DataObject | None
) -> None:
    whole, kept = stream
    cuts = [] if data is None else sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    gate, passed = UsageGate(), b""
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        passed += gate.feed(whole[start:end])
    assert passed + gate.rest() == kept


@given(st.binary())
def test_what_is_no_stream_passes_untouched(body: bytes) -> None:
    gate = UsageGate()
    assert gate.feed(body) + gate.rest() == body


def test_a_chunk_is_handed_on_as_soon_as_it_is_whole() -> None:
    gate, chunk = UsageGate(), b"data: " + said("hi") + b"\n\n"
    assert gate.feed(chunk[:-1]) == b""
    assert gate.feed(chunk[-1:]) == chunk
    assert gate.feed(chunk) == chunk


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({"stream": True}, {"include_usage": True}),
        ({"stream": True, "stream_options": None}, {"include_usage": True}),
        ({"stream": True, "stream_options": {"include_usage": False}}, {"include_usage": True}),
        (
            {"stream": True, "stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False, "include_usage": True},
        ),
        ({"stream": True, "stream_options": {"include_usage": True}}, None),
        ({"stream": True, "stream_options": "wrong"}, None),  # for the provider to judge
        ({"stream": False}, None),
        ({}, None),
    ],
)
def test_usage_is_asked_for_only_where_the_client_does_not(body: dict[str, object], options: object) -> None:
    assert asking_usage(body) == options  # type: ignore[arg-type]  # reason: some of it is malformed
