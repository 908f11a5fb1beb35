"""A string that must never be shown: an API key, a token.

It prints as ``***`` wherever Python turns values into text, and refuses to be
pickled, copied into JSON or compared in variable time.  `reveal` is the one
way out, so a search for it finds every place a secret leaves.
"""

from hmac import compare_digest
from typing import Final, NoReturn, final

_MASK: Final = "***"


@final
class Secret:
    """A secret text.  An empty one is false, so that "no key set" reads naturally."""

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The text itself; call it only where it is put on the wire."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret('{_MASK}')"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str, /) -> str:
        return format(_MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object, /) -> bool:
        """Equal to another `Secret` of the same text, found out in constant time; never to a `str`."""
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (text.encode("utf-8", "surrogatepass") for text in (self._value, other._value))
        return compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __setattr__(self, name: str, value: object, /) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __delattr__(self, name: str, /) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object, /) -> "Secret":
        return self
