"""Who asks, and in which capacity: what a request's surroundings say, as data."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

from attrs import field, frozen

# Printable ASCII but the three signs the text form uses itself.
_PLAIN: Final = frozenset(chr(code) for code in range(0x21, 0x7F)) - set(":/%")


class RequestClass(StrEnum):
    """Claude Code's own words for why it sends a request (llm-gateway-protocol, read 2026-11)."""

    MAIN = "main"
    SUBAGENT = "subagent"
    WORKFLOW = "workflow"
    COMPACTION = "compaction"
    AUXILIARY = "auxiliary"

    @property
    def is_side(self) -> bool:
        """The harness's own upkeep, which no session's pin is read or written for."""
        return self in (RequestClass.COMPACTION, RequestClass.AUXILIARY)


class SessionSource(StrEnum):
    """What a session was known by."""

    HEADER = "header"
    METADATA = "metadata"
    FINGERPRINT = "fingerprint"


@frozen
class SessionKey:
    """One agent's thread of one session of one tenant.

    Subagents share their session's id and have *agent* ids of their own; None
    is the main agent.  *tenant* is None where there are no tenants.

    >>> str(SessionKey("0a1b", agent="explore/1", tenant="acme"))
    'acme:0a1b/explore%2F1'
    """

    session: str
    agent: str | None = None
    tenant: str | None = None
    source: SessionSource = field(default=SessionSource.HEADER, eq=False)

    def __str__(self) -> str:
        """``[tenant:]session[/agent]``; equal texts mean equal keys."""
        tenant = "" if self.tenant is None else f"{_escaped(self.tenant)}:"
        agent = "" if self.agent is None else f"/{_escaped(self.agent)}"
        return f"{tenant}{_escaped(self.session)}{agent}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key whose text form *text* is.

        Raises:
            ValueError: it is none.
        """
        tenant, colon, rest = text.rpartition(":")
        session, slash, agent = rest.partition("/")
        if not session or ":" in tenant or "/" in tenant or "/" in agent:
            raise ValueError(f"{text!r} is not [tenant:]session[/agent]")
        return cls(
            _unescaped(session),
            _unescaped(agent) if slash else None,
            _unescaped(tenant) if colon else None,
        )


_NO_SECONDS: Final[Mapping[str, float]] = MappingProxyType({})


@frozen
class RequestContext:
    """What the headers and metadata of a request say beside its messages.

    *request_class* is None when the client did not state one.  *compaction*
    tells how a compaction came about (``auto``, ``manual``, ``reactive``),
    *context_compacted* that the history was shortened since the last request.
    *tool_seconds* are the durations of the tools that ran since then, by name.
    *deadline_seconds* is how long the client is willing to wait.  *tenant* is who the
    request's API key belongs to, None where there are no tenants: never what a client says of itself.
    """

    session: SessionKey | None = None
    request_class: RequestClass | None = None
    agent_type: str | None = None
    parent_agent: str | None = None
    compaction: str | None = None
    context_compacted: bool = False
    tool_seconds: Mapping[str, float] = _NO_SECONDS
    deadline_seconds: float | None = None
    tenant: str | None = None


NO_CONTEXT: Final = RequestContext()


def _escaped(text: str) -> str:
    if _PLAIN.issuperset(text):
        return text
    return "".join(
        char if char in _PLAIN else "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        for char in text
    )


def _unescaped(text: str) -> str:
    if "%" not in text:
        return text
    head, *rest = text.split("%")
    raw = head.encode() + b"".join(bytes.fromhex(item[:2]) + item[2:].encode() for item in rest)
    return raw.decode("utf-8", "surrogatepass")
