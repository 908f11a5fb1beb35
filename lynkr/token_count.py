"""How many tokens a request's input has, estimated where no provider counts them.

Tokenizers split text into words, signs and blanks before they look any further.
The split below is that of o200k_base (OpenAI's since GPT-4o) for ASCII; a piece is
one token, and a word that is long some more: the means of ``benchmarks/tokens/fit.py``
over Python's standard library and the descriptions of installed packages, by
length.  Text of other scripts has its own mean per character.

What is counted: every text of the messages, system prompts included, the calls
and results of tools, and the tools themselves with the JSON of their schemas; and
`PER_MESSAGE` for what frames a message.  How far that is off, by recorded requests
of real clients: ``tests/test_token_count.py``.  Another model's own tokenizer may count
a fifth more or less of the same text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lynkr.model import (
    Foreign,
    ForeignTool,
    Image,
    Json,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
)
from lynkr.wire.json_body import json_text

# "every message follows <|start|>{role/name}\n{content}<|end|>\n" (OpenAI Cookbook, "How to count tokens with
# tiktoken", read 2026-11): 3, and one for the role.
PER_MESSAGE: Final = 4
PER_IMAGE: Final = 1_500
"""A photo of about a megapixel at Anthropic (its width times its height / 750); less at OpenAI."""

_SMALL, _LARGE = r"a-z\u00df-\u024f", r"A-Z\u00c0-\u00de"
PIECE: Final = re.compile(
    # A word, with the sign or blank before it.
    rf"[^\r\n0-9A-Za-z\x80-\U0010ffff]?(?:[{_LARGE}]?[{_SMALL}]+|[{_LARGE}]+)"
    r"|[0-9]{1,3}"
    r"| ?[^\sA-Za-z0-9\x80-\U0010ffff]+[\r\n/]*"  # signs
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_OTHER_SCRIPTS: Final = re.compile(r"[^\x00-\x7f]")
_BLANK_BEFORE_THEM: Final = re.compile(rf" (?=[^\x00-\x7f{_SMALL}{_LARGE}])")  # it is a part of their word
# Tokens beyond the first, by the letters of a word: after a blank, after a sign, after neither, in capitals;
# and by the number of signs.  What is longer than a table costs `_MORE` for each letter more.
_SPACED: Final = (
    0.0,
    0.0,
    0.0,
    0.01,
    0.02,
    0.06,
    0.07,
    0.09,
    0.13,
    0.16,
    0.18,
    0.15,
    0.24,
    0.22,
    0.26,
    0.39,
    1.0,
)
_LED: Final = (0.0, 0.0, 0.09, 0.18, 0.08, 0.20, 0.30, 0.46, 0.65, 0.91, 1.04, 1.26, 1.59, 1.85, 2.10, 2.60)
_BARE: Final = (0.0, 0.0, 0.0, 0.03, 0.01, 0.08, 0.15, 0.27, 0.38, 0.57, 0.84, 0.51, 1.18, 1.29, 1.59, 1.87)
_CAPITALS: Final = (0.0, 0.0, 0.20, 0.40, 0.55, 0.72, 0.65, 1.15, 1.25, 1.60, 1.70, 1.80, 2.50, 2.60)
_SIGNS: Final = (0.0, 0.0, 0.0, 0.03, 0.14, 0.31, 0.82, 1.43, 1.74, 2.3)
_MORE: Final = 0.3
# Words every tool's schema is full of, which are one token although they are long.
_OF_SCHEMAS: Final = frozenset(
    ("description", "properties", "Properties", "additional", "required", "parameters")
)
# Tokens a character of other scripts costs, by the first code point of their blocks.
_SCRIPTS: Final = (
    (0x250, 0.35),  # Latin with accents, which stand in words counted above
    (0x590, 0.33),  # Greek, Cyrillic
    (0x1100, 0.38),  # Hebrew, Arabic, Indic scripts, Thai
    (0x2E80, 0.6),  # punctuation, arrows, lines
    (0x10000, 0.65),  # Chinese, Japanese, Korean
)
_EMOJI: Final = 1.4


def estimated_tokens(request: Request) -> int:
    """The input tokens of *request*, about.

    >>> from lynkr.model import Message
    >>> estimated_tokens(Request("m", (Message.user("Why is the sky blue?"),)))
    10
    """
    total = 0.0
    for message in request.messages:
        # Most providers are sent each result as a message of its own.
        results = sum(isinstance(part, ToolResult) for part in message.parts)
        total += PER_MESSAGE * max(results, 1)
        for part in message.parts:
            match part:
                case Image():
                    total += PER_IMAGE
                case ToolResult(content=content):
                    total += sum(
                        PER_IMAGE if isinstance(inner, Image) else sum(map(_tokens_of, _texts(inner)))
                        for inner in content
                    )
                case _:
                    total += sum(map(_tokens_of, _texts(part)))
    for tool in request.tools:
        total += sum(map(_tokens_of, (tool.name, *_tool_texts(tool))))
    return round(total)


def _texts(part: Text | Reasoning | ToolCall | Foreign) -> Iterator[str]:
    match part:
        case Text(text=text) | Reasoning(text=text):
            yield text
        case ToolCall():
            yield part.name
            yield part.arguments
        case Foreign(value=Mapping() as value):
            yield from _visible(value)
        case _:
            return


def _visible(value: Mapping[str, Json]) -> Iterator[str]:
    """The words of a block; sealed and encoded data has tokens nobody outside knows."""
    for name in ("text", "title", "name", "content", "output", "input"):
        inner = value.get(name)
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, Mapping):
            yield json_text(inner)
        elif isinstance(inner, Sequence):
            for item in inner:
                if isinstance(item, Mapping):
                    yield from _visible(item)


def _tool_texts(tool: object) -> Iterator[str]:
    if isinstance(tool, ForeignTool):
        yield json_text(dict(tool.extras.fields))
        return
    yield getattr(tool, "description", None) or ""
    yield json_text(getattr(tool, "input_schema", None))


def _tokens_of(text: str) -> float:
    pieces = PIECE.findall(text)
    total = float(len(pieces))
    for piece in pieces:
        if len(piece) > 2:  # reason: shorter ones are a token each
            total += _beyond_the_first(piece)
    if not text.isascii():
        total -= len(_BLANK_BEFORE_THEM.findall(text))
        total += sum(_of_other_script(ord(sign)) for sign in _OTHER_SCRIPTS.findall(text))
    return total


def _beyond_the_first(piece: str) -> float:
    if piece in _OF_SCHEMAS:
        return 0.0
    last = piece[-1]
    if not last.isalpha():
        return _at(_SIGNS, len(piece)) if not (last.isdigit() or piece.isspace()) else 0.0
    is_led = not piece[0].isalpha()
    letters = len(piece) - is_led
    if last.isupper():
        return _at(_CAPITALS, letters)
    return _at(_BARE if not is_led else _SPACED if piece[0] == " " else _LED, letters)


def _at(table: tuple[float, ...], length: int) -> float:
    most = len(table) - 1
    return table[length] if length <= most else table[most] + (length - most) * _MORE


def _of_other_script(code: int) -> float:
    return next((cost for end, cost in _SCRIPTS if code < end), _EMOJI)
