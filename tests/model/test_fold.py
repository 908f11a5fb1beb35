"""`fold` undoes `unfold`, and refuses streams that break the grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import UpstreamWireError
from lynkr.model import (
    Event,
    Extras,
    Finish,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Response,
    Start,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
    fold,
    unfold,
)
from lynkr.testing.strategies import responses


@given(responses())
def test_fold_undoes_unfold(response: Response) -> None:
    assert fold(unfold(response)) == response


@given(st.text(), st.lists(st.text(min_size=1)))
def test_tool_arguments_are_the_deltas_joined(first: str, rest: list[str]) -> None:
    events = [
        Start("id", "model"),
        PartStart(0, ToolCall("call", "tool", "")),
        PartStart(1, ToolCall("other", "tool", "")),
        PartDelta(0, first),
        *(event for text in rest for event in (PartDelta(1, text), PartDelta(0, text))),
        PartEnd(1),
        PartEnd(0),
        Finish(StopReason.TOOL_USE),
    ]
    assert fold(events).parts == (
        ToolCall("call", "tool", first + "".join(rest)),
        ToolCall("other", "tool", "".join(rest)),
    )


def test_a_seal_that_comes_last_belongs_to_its_part() -> None:
    seal = Opaque(WireFormat.ANTHROPIC_MESSAGES, "c2ln")
    events = [Start("id", "m"), PartStart(0, Reasoning("")), PartDelta(0, "hm"), PartEnd(0, seal)]
    assert fold([*events, Finish(StopReason.END_TURN)]).parts == (Reasoning("hm", seal),)


def test_early_usage_fills_in_what_the_final_one_does_not_say() -> None:
    events = [Start("id", "m", Usage(input=7, output=1)), Finish(StopReason.END_TURN, Usage(output=3))]
    assert fold(events).usage == Usage(input=7, output=3)


def test_extra_fields_of_deltas_are_kept_with_their_part() -> None:
    def citing(value: str) -> PartDelta:
        return PartDelta(0, "", Extras(WireFormat.ANTHROPIC_MESSAGES, {"citations": [value]}))

    events = [Start("id", "m"), PartStart(0, Text("")), citing("a"), citing("b"), PartEnd(0)]
    part = fold([*events, Finish(StopReason.END_TURN)]).parts[0]
    assert isinstance(part, Text)
    assert part.extras.fields == {"citations": ["a", "b"]}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [Start("id", "m")],
        [Finish(StopReason.END_TURN)],
        [Start("id", "m"), PartDelta(0, "text")],
        [Start("id", "m"), PartStart(0, Text("")), PartStart(0, Text(""))],
        [Start("id", "m"), PartStart(0, Text("")), PartEnd(0), PartDelta(0, "late")],
        [Start("id", "m"), PartEnd(0)],
        [Start("id", "m"), Start("id", "m"), Finish(StopReason.END_TURN)],
        [Start("id", "m"), Finish(StopReason.END_TURN), Finish(StopReason.END_TURN)],
    ],
)
def test_a_broken_stream_does_not_fold(events: list[Event]) -> None:
    with pytest.raises(UpstreamWireError):
        fold(events)
