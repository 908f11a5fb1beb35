"""Results of tools that nobody called: passed on in the client's own dialect, or refused by name.

Every vendor refuses such a request itself: Anthropic with "unexpected `tool_use_id` found in `tool_result`
blocks" (claude-code #18947), OpenAI with "messages with role 'tool' must be a response to a preceding
message with 'tool_calls'" and "No tool call found for function call output" (read 2026-11).  Some
compatible hosts take it, so a client's own bytes still go to a host of its dialect, which then judges.  A
translation would have to make up the call, or say as the user's what a tool said.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lynkr.errors import ClientWireError
from lynkr.exchange import Plan
from lynkr.model import Json, WireFormat
from lynkr.providers.base import Provider, formats_of
from lynkr.routing.history import Blocks, is_answered_in_order

# What a conversation goes on from stands elsewhere, and may hold the call.
_ELSEWHERE: Final = ("previous_response_id", "conversation")
_PLAIN_ITEMS: Final = frozenset({None, "message", "reasoning"})


def plan_for_orphans(
    plan: Plan,
    format: WireFormat,
    history: Blocks,
    body: Callable[[], Mapping[str, Json]],
    providers: Mapping[str, Provider],
    *,
    passes: bool,
) -> Plan:
    """*plan* without the targets of other dialects, where *body* holds the result of a call it does not.

    *history* are the messages *body* was read as: nearly always they show that there is no such result.
    *passes*: the client's own bytes may go on to a target of its dialect *format*.

    Raises:
        ClientWireError: no target is left.
    """
    found = None if is_answered_in_order(history) else orphan_in(body())
    if found is None:
        return plan
    path, call_id = found
    own = tuple(
        target
        for target in plan.targets
        if passes and target.provider in providers
        if format in formats_of(providers[target.provider], target.model)
    )
    if not own:
        raise ClientWireError(f"{call_id!r} is the id of no earlier tool call", field=path)
    return plan if len(own) == len(plan.targets) else plan.only(own)


def orphan_in(body: Mapping[str, Json]) -> tuple[str, str] | None:
    """Path and id of the first result in *body* whose call does not come before it; None if all have one."""
    messages, items = body.get("messages"), body.get("input")
    if isinstance(messages, list | tuple):
        results = _in_messages(messages)
    elif isinstance(items, list | tuple) and all(body.get(name) is None for name in _ELSEWHERE):
        results = _in_items(items)
    else:
        return None
    called: set[str] = set()
    for call_id, path in results:
        if path is None:
            called.add(call_id)
        elif call_id not in called:
            return path, call_id
    return None


def _in_messages(messages: list[Json] | tuple[Json, ...]) -> Iterator[tuple[str, str | None]]:
    """Ids of calls (without a path) and of results (with theirs), in order: Chat's and Anthropic's."""
    for at, message in enumerate(messages):
        if not isinstance(message, Mapping):
            continue
        calls, answered, content = (message.get(name) for name in ("tool_calls", "tool_call_id", "content"))
        for call in calls if isinstance(calls, list | tuple) else ():
            if isinstance(call, Mapping) and isinstance(call_id := call.get("id"), str):
                yield call_id, None
        if message.get("role") == "tool" and isinstance(answered, str):
            yield answered, f"messages[{at}].tool_call_id"
        for below, block in enumerate(content) if isinstance(content, list | tuple) else ():
            if not isinstance(block, Mapping):
                continue
            if block.get("type") == "tool_use" and isinstance(call_id := block.get("id"), str):
                yield call_id, None
            elif block.get("type") == "tool_result" and isinstance(of := block.get("tool_use_id"), str):
                yield of, f"messages[{at}].content[{below}].tool_use_id"


def _in_items(items: list[Json] | tuple[Json, ...]) -> Iterator[tuple[str, str | None]]:
    """As `_in_messages`, of Responses; ends at an item that may stand for calls, such as a reference."""
    for at, item in enumerate(items):
        if not isinstance(item, Mapping):
            continue
        kind, call_id = item.get("type"), item.get("call_id")
        if kind in ("function_call_output", "custom_tool_call_output"):
            if isinstance(call_id, str):
                yield call_id, f"input[{at}].call_id"
        elif isinstance(call_id, str):
            yield call_id, None
        elif kind is not None and not (isinstance(kind, str) and kind in _PLAIN_ITEMS):
            return
