"""Session identity and the clients' hints, from headers and metadata to a `RequestContext`.

Sources, the first that says anything wins:

1. headers of the clients: Claude Code's ``x-claude-code-session-id``, Codex's
   ``session-id`` and ``thread-id``, opencode's ``x-session-id``;
2. the body: ``metadata.user_id`` (Claude Code: ``user_<hash>_account_<uuid>_session_<uuid>``, since
   2.1 a JSON object with ``session_id``), ``prompt_cache_key`` (Codex: the thread's id);
3. a fingerprint of how the conversation began.  It holds over the turns of a conversation because the
   history is sent again each time; two conversations that begin alike share it.

An end-user id without a session (OpenAI's ``user``) names a person, who may have
several conversations at once: it goes into the fingerprint, not in its place.
Header and field names read 2026-11.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from lynkr.model import Request, Role, Text
from lynkr.routing.context import RequestClass, RequestContext, SessionKey, SessionSource
from lynkr.routing.envelope import strip_envelopes

SESSION_HEADERS: Final = ("x-claude-code-session-id", "x-session-id", "session-id", "thread-id")
AGENT_HEADER: Final = "x-claude-code-agent-id"
DEADLINE_HEADER: Final = "x-lynkr-deadline-ms"
# A request with none of these states nothing about itself beyond its session.
_STATED: Final = frozenset(("x-claude-code-request-class", "x-claude-code-agent-type", DEADLINE_HEADER))
BILLING_BLOCK: Final = "x-anthropic-billing-header"
"""How Claude Code's first system block begins, whose end varies from request to request."""

_MOST_CHARS: Final = 200
_OPENER_CHARS: Final = 2_000
_SYSTEM_CHARS: Final = 500
_MOST_TOOLS: Final = 32
# In CPython 3.11 a member looked up on its class costs 100 ns.
_USER: Final = Role.USER
_SYSTEM: Final = Role.SYSTEM
_FINGERPRINT: Final = SessionSource.FINGERPRINT
_SESSION_IN_USER: Final = re.compile(r"_session_([0-9A-Za-z-]{8,64})\Z")


def context_of(
    headers: Mapping[str, str], request: Request | None = None, *, tenant: str | None = None
) -> RequestContext:
    """What *headers* (lower-case names) and *request* say about who asks.

    Total: a header that cannot be understood is taken as not sent.

    >>> context_of({"session-id": "0199-ab"}).session
    SessionKey(session='0199-ab', agent=None, tenant=None, source=<SessionSource.HEADER: 'header'>)
    """
    session = session_of(headers, request, tenant=tenant)
    if _STATED.isdisjoint(headers):
        return RequestContext(session, tenant=tenant)
    deadline = _positive(headers.get(DEADLINE_HEADER))
    stated = headers.get("x-claude-code-request-class")
    if stated is None and deadline is None and "x-claude-code-agent-type" not in headers:
        return RequestContext(session, tenant=tenant)
    return RequestContext(
        session=session,
        request_class=_class_of(stated),
        agent_type=_short(headers.get("x-claude-code-agent-type")),
        parent_agent=_short(headers.get("x-claude-code-parent-agent-id")),
        compaction=_short(headers.get("x-claude-code-compaction")),
        context_compacted=headers.get("x-claude-code-context-compacted", "").casefold() in ("1", "true"),
        tool_seconds=tool_seconds_of(headers.get("x-claude-code-prev-tool-durations", "")),
        deadline_seconds=None if deadline is None else deadline / 1000.0,
        tenant=tenant,
    )


def session_of(
    headers: Mapping[str, str], request: Request | None = None, *, tenant: str | None = None
) -> SessionKey | None:
    """The session a request belongs to; None if nothing at all tells."""
    agent = _short(headers[AGENT_HEADER]) if AGENT_HEADER in headers else None
    for name in SESSION_HEADERS:
        session = _short(headers[name]) if name in headers else None
        if session is not None:
            thread = _short(headers.get("thread-id"))
            if agent is None and name == "session-id" and thread != session:
                agent = thread  # Codex: threads of one session run side by side
            return SessionKey(session, agent, tenant, SessionSource.HEADER)
    if request is None:
        return None
    named = _session_in_body(request)
    if named is not None:
        return SessionKey(named, agent, tenant, SessionSource.METADATA)
    print_ = fingerprint(request)
    return None if print_ is None else SessionKey(print_, agent, tenant, _FINGERPRINT)


def fingerprint(request: Request) -> str | None:
    """Names a conversation by its first ask, its system prompt's beginning and its end user.

    What harnesses wrap around the ask is left out, and so is the billing block;
    None when the user has typed nothing yet.
    """
    opener = _opener(request)
    if not opener:
        return None
    text = f"{opener[:_OPENER_CHARS]}\x00{_system_head(request)}\x00{request.user or ''}"
    return "fp-" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _opener(request: Request) -> str:
    """The first thing the user typed, empty if there is none."""
    for message in request.messages:
        if message.role is _USER:
            for part in message.parts:
                if isinstance(part, Text) and (typed := strip_envelopes(part.text)):
                    return typed
    return ""


def tool_seconds_of(text: str) -> Mapping[str, float]:
    """Read ``Bash=742;Read=9`` (milliseconds); entries that are not of this form are left out.

    >>> dict(tool_seconds_of("Bash=742;Read=9;?"))
    {'Bash': 0.742, 'Read': 0.009}
    """
    found: dict[str, float] = {}
    for entry in text[:4_096].split(";")[:_MOST_TOOLS]:
        name, sign, duration = entry.partition("=")
        spent = _positive(duration)
        if sign and name.strip() and spent is not None:
            found[name.strip()] = spent / 1000.0
    return MappingProxyType(found)


def _session_in_body(request: Request) -> str | None:
    user = request.user
    if user is not None:
        if user.startswith("{"):
            named = _field(user, "session_id")
            if named is not None:
                return named
        found = _SESSION_IN_USER.search(user)
        if found is not None:
            return found[1]
    key = request.extras.fields.get("prompt_cache_key")
    return _short(key) if isinstance(key, str) else None


def _field(text: str, name: str) -> str | None:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = value.get(name) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return _short(found) if isinstance(found, str) else None


def _system_head(request: Request) -> str:
    for message in request.messages:
        if message.role is not _SYSTEM:
            break
        for part in message.parts:
            if isinstance(part, Text) and not part.text.startswith(BILLING_BLOCK):
                return part.text[:_SYSTEM_CHARS]
    return ""


def _short(text: str | None) -> str | None:
    """*text* as a name: what is too long for one is named by its digest."""
    if text is None:
        return None
    text = text.strip()
    if len(text) > _MOST_CHARS:
        return "h-" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return text or None


def _class_of(text: str | None) -> RequestClass | None:
    try:
        return None if text is None else RequestClass(text.strip().casefold())
    except ValueError:
        return None


def _positive(text: str | None) -> float | None:
    """A finite number above zero, in plain decimal notation."""
    text = "" if text is None else text.strip()
    if not (text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 18):
        return None
    value = float(text)
    return value if value > 0 else None
