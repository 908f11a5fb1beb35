"""The same JSON by msgspec, where it is installed: it writes an event in a fifteenth of the time.

The library works with the standard library alone; the extra ``server`` brings
msgspec.  What both give is equal by test (`tests/wire/test_quick_json.py`).
Whatever msgspec refuses is read again by `lynkr.wire.json_body`, which knows
how to say what is wrong, so a difference in strictness can only cost time.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import msgspec
else:
    try:
        import msgspec
    except ImportError:  # the library without the extra: everything is read and written by `json`
        msgspec = None

Spans = dict[str, tuple[int, int]]

# A member's name and what stands around it, up to its value; a value's end, up to the next member.
_NAME: Final = re.compile(rb'[ \t\n\r]*"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_END: Final = re.compile(rb"[ \t\n\r]*([,}])")


class QuickJson:
    """Readers and writers, made once; *float_of* reads a number with a fraction or an exponent from its text.

    *default* gives what is written for a value that JSON has no word for:
    another value, or a `RawText`.
    """

    def __init__(self, float_of: Callable[[str], float], default: Callable[[object], object]) -> None:
        self._value = msgspec.json.Decoder(float_hook=float_of)
        self._members = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._items = msgspec.json.Decoder(list[msgspec.Raw])
        self._encoder = msgspec.json.Encoder(enc_hook=default)

    def read(self, data: bytes | str) -> Any:  # noqa: ANN401  # JSON enters here
        """The value of *data*.

        Raises:
            ValueError, RecursionError: msgspec will not read it.
        """
        return self._value.decode(data)

    def read_object(self, data: bytes) -> tuple[dict[str, Any], Spans] | None:
        """The object *data* consists of, and from which byte to which each value stands.

        None if it has to be read with more care: a field twice, a name with an escape.

        Raises:
            ValueError, RecursionError: msgspec will not read it.
        """
        found = self.members(data)
        return None if found is None else (self._value.decode(data), found[1])

    def members(self, data: bytes) -> tuple[dict[str, "msgspec.Raw"], Spans] | None:
        """As `read_object`, with the text of each value instead of the value.

        The text is only known to end where it does: a value may turn out to be no JSON.
        """
        members = self._members.decode(data)
        spans: Spans = {}
        at = data.index(b"{") + 1
        mark = b"}"
        for name, raw in members.items():
            found = _NAME.match(data, at)
            if found is None or found[1].decode("utf-8") != name:
                return None
            start = found.end()
            end = start + memoryview(raw).nbytes
            spans[name] = (start, end)
            after = _END.match(data, end)
            if after is None:
                return None
            mark, at = after[1], after.end()
        # No brace after the last: a name came twice.
        return (members, spans) if mark == b"}" else None

    def items(self, data: "bytes | msgspec.Raw") -> list["msgspec.Raw"]:
        """The text of each item of an array, as of `members`.

        Raises:
            ValueError, RecursionError: msgspec will not read it.
        """
        return self._items.decode(data)

    def write(self, value: object) -> bytes:
        """Compact UTF-8; NaN and infinity come out as null.

        Raises:
            UnicodeEncodeError: a lone surrogate.
            TypeError: *default* will not have a value.
        """
        return self._encoder.encode(value)


def raw_text(text: str) -> object:
    """What a *default* gives for JSON text that is to be written as it stands."""
    return msgspec.Raw(text.encode("utf-8"))


def quick_json(float_of: Callable[[str], float], default: Callable[[object], object]) -> QuickJson | None:
    """None where msgspec is not installed."""
    return None if msgspec is None else QuickJson(float_of, default)


def holds_odd_float(value: object) -> bool:
    """Whether a float that JSON cannot say (NaN, infinity) is anywhere in *value*."""
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, float):
            if node - node != 0.0:
                return True
        elif isinstance(node, Mapping):
            todo += node.values()
        elif isinstance(node, list | tuple):
            todo += node
    return False
