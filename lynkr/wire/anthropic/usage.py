"""Token counts: Anthropic's input excludes what a cache took part in, lynkr's includes it.

Fields after `Usage`, `MessageDeltaUsage`, `CacheCreation` and
`OutputTokensDetails` of the anthropic SDK 2.12 (read 2026-11).
"""

from collections.abc import Mapping
from typing import Final

from lynkr.model import Json, Usage
from lynkr.wire.anthropic.fields import Losses, as_integer, as_object, join

_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_NESTED: Final = ("cache_creation", "output_tokens_details")
_LIFETIMES: Final = frozenset({"ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens"})


def decode_usage(node: Mapping[str, Json], path: str) -> tuple[Usage, dict[str, Json]]:
    """The counts, and the fields of *node* that `Usage` has no name for.

    Raises:
        FieldError: a count is not a whole number.
    """
    rest = {name: value for name, value in node.items() if name not in _COUNTS and name not in _NESTED}
    lifetimes = _nested(node, "cache_creation", path)
    if more := {name: value for name, value in lifetimes.items() if name not in _LIFETIMES}:
        rest["cache_creation"] = more
    details = _nested(node, "output_tokens_details", path)
    if more := {name: value for name, value in details.items() if name != "thinking_tokens"}:
        rest["output_tokens_details"] = more
    return counts_of(node, path), rest


def counts_of(node: Mapping[str, Json], path: str) -> Usage:
    """The counts alone.

    Raises:
        FieldError: a count is not a whole number.
    """
    uncached = _count(node, "input_tokens", path)
    read = _count(node, "cache_read_input_tokens", path)
    written = _count(node, "cache_creation_input_tokens", path)
    lifetimes = _nested(node, "cache_creation", path)
    inside = join(path, "cache_creation")
    one_hour = _count(lifetimes, "ephemeral_1h_input_tokens", inside)
    five_minutes = _count(lifetimes, "ephemeral_5m_input_tokens", inside)
    if written is None and (one_hour is not None or five_minutes is not None):
        written = (one_hour or 0) + (five_minutes or 0)
    elif written is not None and one_hour is not None:
        written = max(written, one_hour)
    details = _nested(node, "output_tokens_details", path)
    return Usage(
        input=None if uncached is None else uncached + (read or 0) + (written or 0),
        output=_count(node, "output_tokens", path),
        cache_read=read,
        cache_write=written,
        cache_write_1h=one_hour,
        reasoning=_count(details, "thinking_tokens", join(path, "output_tokens_details")),
    )


def _count(node: Mapping[str, Json], name: str, path: str) -> int | None:
    value = node.get(name)
    return None if value is None else as_integer(value, join(path, name))


def _nested(node: Mapping[str, Json], name: str, path: str) -> Mapping[str, Json]:
    value = node.get(name)
    return {} if value is None else as_object(value, join(path, name))


def encode_usage(usage: Usage, rest: Json, losses: Losses | None = None) -> dict[str, Json]:
    """The wire's counts and the fields of *rest*.

    The wire type has no way to say that input or output are unknown: both are
    written 0 then, and noted in *losses* if given.
    """
    input_tokens = usage.uncached_input
    if input_tokens is None or input_tokens < 0:
        if losses is not None:
            problem = "unknown" if input_tokens is None else "less than its cached part"
            losses.add("usage.input", f"{problem}; Anthropic needs a count, 0 was written")
        input_tokens = 0
    if usage.output is None and losses is not None:
        losses.add("usage.output", "unknown; Anthropic needs a count, 0 was written")
    node: dict[str, Json] = {"input_tokens": input_tokens, "output_tokens": usage.output or 0}
    if usage.cache_read is not None:
        node["cache_read_input_tokens"] = usage.cache_read
    written = usage.cache_write
    if written is None and usage.cache_write_1h is not None:
        written = usage.cache_write_1h
        if losses is not None:
            losses.add("usage.cache_write", "unknown; the part with a one-hour lifetime was written")
    if written is not None:
        node["cache_creation_input_tokens"] = written
        if usage.cache_write_1h is not None:
            node["cache_creation"] = {
                "ephemeral_5m_input_tokens": max(0, written - usage.cache_write_1h),
                "ephemeral_1h_input_tokens": usage.cache_write_1h,
            }
    if usage.reasoning is not None:
        node["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return _merged(node, rest)


def _merged(node: dict[str, Json], rest: Json) -> dict[str, Json]:
    if not isinstance(rest, Mapping):
        return node
    for name, value in rest.items():
        known = node.get(name)
        if isinstance(known, dict) and isinstance(value, Mapping):
            node[name] = {**value, **known}
        else:
            node.setdefault(name, value)
    return node
