"""Chunks of a stream that differ in their words alone, read without parsing each of them.

Theory of operation.  Most chunks of a Chat stream are the same text around one string, the delta's
``content``.  One of them is parsed (a *lesson*); what stands before and after its words is the `Template`.
A later chunk that begins and ends so, with nothing between that could end a JSON string or has an escape, is
the same chunk with other words.  That the string learnt is the content and nothing else is proved at the
lesson, by parsing the chunk once more with another word in its place.
"""

import re
from collections.abc import Callable
from typing import Final

from attrs import frozen

from lynkr.wire.json_body import parse_value

_CONTENT: Final = re.compile(rb'"content": ?"')
_BEGIN: Final = b"data: {"
_WORD: Final = b"lynkr-lesson"
# "Stream options: include_obfuscation" (openai 3.54, types/chat/chat_completion_stream_options_param.py).
_PADDING: Final = re.compile(rb'("obfuscation": ?")[0-9A-Za-z]+"\}\Z')
_PADDING_END: Final = b'"}'
_LONGEST: Final = 65_536


@frozen
class Template:
    """A server-sent event of one line, *head* and *tail* of it, without the blank line after it.

    *padded*: the line ends in OpenAI's ``obfuscation``, a string that differs and means nothing; *tail*
    ends where it begins.
    """

    head: bytes
    tail: bytes
    padded: bool = False

    def words(self, event: bytes) -> str | None:
        """The content of *event*, where it is another chunk like this; None where it has to be parsed."""
        found = self.between(event)
        if found is None or b"\\" in found:
            return None
        try:
            words = found.decode()
        except UnicodeDecodeError:
            return None
        # Neither a control character, which JSON forbids, nor anything else out of the ordinary.
        return words if words.isprintable() else None

    def between(self, event: bytes) -> bytes | None:
        """What stands in the place of the content in *event*, where it may be another chunk like this."""
        head, tail = self.head, self.tail
        if self.padded:
            begin = event.rfind(b'"', 0, -len(_PADDING_END)) + 1
            if not (event.endswith(_PADDING_END) and event[begin : -len(_PADDING_END)].isalnum()):
                return None
            event = event[:begin]
        size = len(event) - len(tail)
        if not (len(head) < size < _LONGEST and event.startswith(head) and event.endswith(tail)):
            return None
        found = event[len(head) : size]
        return None if b'"' in found else found


def template_of(event: bytes) -> Template | None:
    """What *event* may have in common with others: all but the first ``content`` and a padding at the end."""
    found = _CONTENT.search(event)
    if found is None or not event.startswith(_BEGIN) or b"\n" in event or b"\r" in event:
        return None
    tail = event[event.find(b'"', found.end()) :]
    padding = _PADDING.search(tail)
    if padding is None:
        return Template(event[: found.end()], tail)
    return Template(event[: found.end()], tail[: padding.end(1)], padded=True)


def lesson(event: bytes, words: str, content_of: Callable[[object], object]) -> Template | None:
    """The template of *event*, whose content is *words*; None where none can be had.

    *content_of* gives a parsed chunk's content; *event* was parsed, so it is JSON with another word too.
    """
    template = template_of(event)
    if template is None or template.words(event) != words:
        return None
    other = (
        event[len(_BEGIN) - 1 : len(template.head)]
        + _WORD
        + event[len(template.head) + len(words.encode()) :]
    )
    return template if content_of(parse_value(other)) == _WORD.decode() else None
