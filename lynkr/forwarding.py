"""What passes from a client to a provider, and back with an error."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from lynkr.hops import next_hop
from lynkr.model import WireFormat
from lynkr.service import HOPS_HEADER
from lynkr.wire.json_body import dump, parse_value

# The client's headers an upstream of the same dialect gets, whatever their values: new betas must not
# break the gateway.  Credentials are never among them: the provider's own are added by its `Auth`.
_FORWARDED: Final[Mapping[WireFormat, tuple[str, ...]]] = MappingProxyType(
    {
        WireFormat.ANTHROPIC_MESSAGES: ("anthropic-", "x-claude-code-"),
        WireFormat.OPENAI_CHAT: ("openai-beta",),
        # What Codex sends beside its body (read 2026-11).
        WireFormat.OPENAI_RESPONSES: (
            "openai-beta",
            "session-id",
            "thread-id",
            "x-client-request-id",
            "x-codex-",
            "originator",
        ),
    }
)
# The provider's headers a client gets with an error, because clients act on them.
_OF_ERRORS: Final = ("anthropic-", "x-ratelimit-", "x-should-retry", "request-id", "x-request-id")


def forwarded_headers(format: WireFormat, headers: Mapping[str, str]) -> dict[str, str]:
    """Those of a client's headers (lower-case names) for an upstream of the same dialect, and the hops."""
    prefixes = _FORWARDED.get(format, ())
    forwarded = (
        {name: value for name, value in headers.items() if name.startswith(prefixes)} if prefixes else {}
    )
    forwarded[HOPS_HEADER] = next_hop(headers)
    return forwarded


def error_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of a provider's headers (lower-case names) that go to a client with the provider's error."""
    return {name: value for name, value in headers.items() if name.startswith(_OF_ERRORS)}


def is_same_json(text: bytes, compact: bytes) -> bool:
    """Whether *text* says the same as *compact*, which `dump` wrote."""
    try:
        return dump(parse_value(text)) == compact
    except ValueError:
        return False
