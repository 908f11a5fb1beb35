"""Credentials, struck from what a provider says back.

Some hosts quote the key they refuse, and some proxies the whole request.  An
error's words go to logs, ledgers and clients, so they are cleaned where they
come in.
"""

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from attrs import field, frozen

MASK: Final = "***"
_SHORTEST: Final = 6  # a shorter word would be struck from innocent text
_SHORTEST_OF_OWNER: Final = 16  # owners' headers hold dates and names as well as keys


@frozen
class Hidden:
    """What one request was sent with that nobody is to see again.

    *sent* are its headers as signed, *plain* those before, *owners* the ones
    the owner gives every request: a credential is what signing changed, and
    every long value of the owner's.
    """

    sent: Mapping[str, str] = field(repr=False)
    plain: Mapping[str, str] = field(repr=False)
    owners: Mapping[str, str] = field(repr=False)

    def in_text(self, text: str) -> str:
        """*text* without credentials."""
        for secret in self._spellings():
            text = text.replace(secret, MASK)
        return text

    def in_bytes(self, body: bytes) -> bytes:
        """*body* without credentials."""
        for secret in self._spellings():
            body = body.replace(secret.encode(), MASK.encode())
        return body

    def in_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """*headers* without credentials in their values."""
        return {name: self.in_text(value) for name, value in headers.items()}

    def _spellings(self) -> list[str]:
        """Each credential as it is, and as JSON and URLs spell it; the longest first."""
        words = {
            word
            for name, value in self.sent.items()
            if self.plain.get(name) != value
            for word in (value, *value.split())
            if len(word) >= _SHORTEST and word.lower() != "bearer"
        }
        words |= {value for value in self.owners.values() if len(value) >= _SHORTEST_OF_OWNER}
        spelled = {form for word in words for form in (word, json.dumps(word)[1:-1], quote(word, safe=""))}
        return sorted(spelled, key=len, reverse=True)
