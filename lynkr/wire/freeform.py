"""Tools whose input is free text, for dialects in which every input is a JSON object.

OpenAI calls them custom tools; Codex edits files with one (``apply_patch``).
In the canonical model such a tool is a function with one string property,
``input``, and its call's arguments are ``{"input": "<the text>"}``, so that no
other codec need know.  The codec that does know marks them in `Extras`, and
takes the text out again: `unwrapped` from whole arguments, `Unwrapper` from a
stream of them, cut anywhere.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from lynkr.model import Json

HEAD: Final = '{"input":"'
TAIL: Final = '"}'
_MAX_NAME: Final = 64  # of a function in OpenAI Chat; Anthropic takes 128 (read 2026-11)


# --- Definitions --------------------------------------------------------------------------------------


def input_schema(format: Json = None) -> Mapping[str, Json]:
    """The schema that stands for free text; *format* is OpenAI's, ``{"type": "grammar", ...}`` or text."""
    said = "The whole input of the tool, as plain text."
    match format:
        case {"type": "grammar", "syntax": str() as syntax, "definition": str() as definition}:
            said = f"{said} It must match this {syntax} grammar:\n{definition}"
        case _:
            pass
    return {
        "type": "object",
        "properties": {"input": {"type": "string", "description": said}},
        "required": ["input"],
        "additionalProperties": False,
    }


def flat_name(namespace: str, name: str) -> str:
    """The one name of a tool that stands in a namespace; at most 64 signs, the end hashed if need be."""
    joined = f"{namespace}__{name}"
    if len(joined) <= _MAX_NAME:
        return joined
    digest = hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{joined[: _MAX_NAME - 9]}_{digest}"


# --- Calls --------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """*text* as it stands inside a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def wrapped(text: str) -> str:
    """The arguments that carry *text*."""
    return f"{HEAD}{escaped(text)}{TAIL}"


def unwrapped(arguments: str) -> str | None:
    """The text that `wrapped` put in; None if *arguments* are not of that form."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and value.keys() == {"input"} and isinstance(value["input"], str):
        return value["input"]
    return None


class _At(Enum):
    HEAD = auto()
    TEXT = auto()
    TAIL = auto()
    ELSE = auto()  # arguments of another form: kept to the end


_WHOLE_HEAD: Final = re.compile(r'\s*\{\s*"input"\s*:\s*"')
# Any beginning of a head.
_PART_HEAD: Final = re.compile(r'\s*(?:\{\s*(?:"(?:i(?:n(?:p(?:u(?:t(?:"\s*(?::\s*)?)?)?)?)?)?)?)?)?')
_PLAIN: Final = re.compile(r'[^"\\]+')
_LETTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Unwrapper:
    """Takes the text out of a call's arguments as they come.

    Models write other objects too.  Those come out at the end: the text under
    ``input`` where there is one, else the arguments as they are.  `is_exact`
    then says that `wrapped` of the text would not give the same object.
    """

    def __init__(self) -> None:
        self._at = _At.HEAD
        self._held = ""

    def feed(self, piece: str) -> str:
        """The text that *piece* completes."""
        self._held += piece
        if self._at is _At.HEAD:
            found = _WHOLE_HEAD.match(self._held)
            if found is None:
                if _PART_HEAD.fullmatch(self._held) is None:
                    self._at = _At.ELSE
                return ""
            self._at, self._held = _At.TEXT, self._held[found.end() :]
        return self._text() if self._at is _At.TEXT else ""

    def end(self) -> str:
        """What is left when the arguments are whole."""
        if self._at in (_At.HEAD, _At.ELSE):
            text, self._held = _text_in(self._held), ""
            return text
        return ""

    @property
    def is_exact(self) -> bool:
        """Whether the arguments were of the agreed form, to the last sign."""
        return self._at is _At.TAIL and self._held.strip() == "}"

    def _text(self) -> str:
        held, at, found = self._held, 0, list[str]()
        while at < len(held):
            plain = _PLAIN.match(held, at)
            if plain is not None:
                found.append(plain[0])
                at = plain.end()
                continue
            if held[at] == '"':
                self._at = _At.TAIL
                at += 1
                break
            length = _escape_length(held, at)
            if length == 0:
                break
            found.append(_unescaped(held[at : at + length]))
            at += length
        self._held = held[at:]
        return "".join(found)


def _escape_length(held: str, at: int) -> int:
    """How long the escape at *at* is, a surrogate pair being one; 0 while it is incomplete."""
    left = len(held) - at
    if left < 2:
        return 0
    if held[at + 1] != "u":
        return 2
    if left < 6:
        return 0
    if held[at + 2 : at + 4].lower() not in ("d8", "d9", "da", "db"):
        return 6
    follows = held[at + 6 : at + 8]
    if not r"\u".startswith(follows):
        return 6
    if left < 12:
        return 0
    return 12 if held[at + 8 : at + 10].lower() in ("dc", "dd", "de", "df") else 6


def _unescaped(escape: str) -> str:
    if escape[1] != "u":
        return _LETTERS.get(escape[1], escape[1])
    try:
        text: str = json.loads(f'"{escape}"')
    except ValueError:
        return escape
    return text


def _text_in(arguments: str) -> str:
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    match value:
        case {"input": str() as text}:
            return text
        case _:
            return arguments
