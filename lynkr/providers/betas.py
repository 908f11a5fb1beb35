"""The betas of Anthropic's dialect: which a host knows, and what each switches on in a body.

Anthropic's own host is sent every beta its clients name, known here or not.  The
clouds that resell Claude answer 400 to one they do not know ("invalid beta flag",
"Unexpected value(s) ... for the `anthropic-beta` header"), and to the body field
it switches on ("Extra inputs are not permitted"): anthropics/claude-code #49370,
#56595, #82549, #34802; vercel/ai #10981.  So what they do not know is not sent
to them, nor is what it switches on, and the record says both.

What is switched on: fields that the `beta` types of anthropic 2.14 have and its
stable ones have not, or that the API has been seen to refuse without their beta
(all read 2026-11).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from lynkr.model import Json, Loss


@frozen
class KnownBetas:
    """The betas a host takes; None is all of them.  *names* are those it calls otherwise.

    >>> KnownBetas(frozenset({"b-1"}), {"a-1": "b-1"}).split(["a-1", "c-1"])
    (('b-1',), ('c-1',))
    """

    known: frozenset[str] | None = None
    names: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))

    def split(self, betas: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Those of *betas* the host is sent, as it calls them, and those that fall."""
        if self.known is None:
            return tuple(betas), ()
        kept = [named for beta in betas if (named := self.names.get(beta, beta)) in self.known]
        fallen = tuple(beta for beta in betas if self.names.get(beta, beta) not in self.known)
        return tuple(dict.fromkeys(kept)), fallen

    def knowing(self, more: Sequence[str]) -> "KnownBetas":
        """With *more* betas, which an owner has seen the host take; ``*`` is all there are."""
        if self.known is None or not more:
            return self
        return ALL_BETAS if "*" in more else KnownBetas(self.known | frozenset(more), self.names)


ALL_BETAS: Final = KnownBetas()

# Claude Code's own spelling at Anthropic's host and Foundry, and that of the other clouds.
_TOOL_SEARCH: Final = "tool-search-tool-2025-10-19"
_RESOLD: Final = frozenset({
    "compact-2026-01-12", "computer-use-2024-10-22", "computer-use-2025-01-24", "computer-use-2025-11-24",
    "context-1m-2025-08-07", "context-management-2025-06-27", "interleaved-thinking-2025-05-14",
    "thinking-binding-controls-2026-08-01", "thinking-display-updates-2026-08-18", _TOOL_SEARCH,
})  # fmt: skip

# The list of AWS' page "Request and Response" of Claude's Messages API, as BerriAI/litellm #19877 verified it
# (2026-01), and what litellm's table of 2026-11 adds for InvokeModel.  Opus 4.7 was seen to take
# interleaved-thinking alone (claude-code #49370): a list per model is nowhere published.
BEDROCK_BETAS: Final = KnownBetas(
    _RESOLD
    | {
        "dev-full-thinking-2025-05-14", "effort-2025-11-24", "fine-grained-tool-streaming-2025-05-14",
        "mid-conversation-output-config-2026-07-01", "mid-conversation-tool-changes-2026-07-01",
        "output-128k-2025-02-19", "token-efficient-tools-2025-02-19", "tool-examples-2025-10-29",
    },
    MappingProxyType({"advanced-tool-use-2025-11-20": _TOOL_SEARCH}),
)  # fmt: skip

# What Vertex AI refused by name: effort-2025-11-24 (claude-code #34802), structured-outputs-2025-11-13
# (vercel/ai #10981), prompt-caching-scope-2026-01-05 (litellm #19984), code-execution-2025-05-22
# (pydantic-ai #2512); what it takes by litellm's table of 2026-11.
_VERTEX: Final = _RESOLD | {"compact-2026-09-04", "per-turn-control-2026-07-01"}
_RESPELLED: Final = MappingProxyType({"advanced-tool-use-2025-11-20": _TOOL_SEARCH})
VERTEX_BETAS: Final = KnownBetas(_VERTEX | {"web-search-2025-03-05"}, _RESPELLED)
# "Unexpected value(s) `web-search-2025-03-05`" came from counting tokens (claude-code #12429).
VERTEX_COUNTED_BETAS: Final = KnownBetas(_VERTEX, _RESPELLED)

# Foundry takes most of what Anthropic's own host does (litellm's table of 2026-11).
FOUNDRY_BETAS: Final = KnownBetas(
    frozenset({
        "advanced-tool-use-2025-11-20", "code-execution-2025-08-25", "computer-use-2025-01-24",
        "computer-use-2025-11-24", "context-1m-2025-08-07", "context-management-2025-06-27",
        "effort-2025-11-24", "files-api-2025-04-14", "interleaved-thinking-2025-05-14",
        "mcp-client-2025-04-04", "mcp-client-2025-11-20", "per-turn-control-2026-07-01",
        "prompt-caching-scope-2026-01-05", "skills-2025-10-02", "structured-outputs-2025-11-13",
        "thinking-display-updates-2026-08-18", "web-fetch-2025-09-10", "web-search-2025-03-05",
    })
)  # fmt: skip


# --- What a beta switches on ----------------------------------------------------------------------------


@frozen
class Switched:
    """What of a body a beta switches on.

    *fields* are top-level, *below* those of a top-level object, *of_tools* those
    of every tool, *of_marks* those of every ``cache_control``.  *tools* are
    beginnings of the types of tools.
    """

    fields: frozenset[str] = frozenset()
    below: Mapping[str, frozenset[str]] = field(factory=lambda: MappingProxyType({}))
    of_tools: frozenset[str] = frozenset()
    tools: tuple[str, ...] = ()
    of_marks: frozenset[str] = frozenset()


def _fields(*names: str) -> Switched:
    return Switched(frozenset(names))


def _below(name: str, *inner: str) -> Switched:
    return Switched(below=MappingProxyType({name: frozenset(inner)}))


_SEARCHED: Final = Switched(
    of_tools=frozenset({"defer_loading", "allowed_callers", "input_examples"}), tools=("tool_search_tool_",)
)
# By the beta's name without its date, which changes while the fields stay.
_SWITCHES: Final[Mapping[str, Switched]] = MappingProxyType(
    {
        "advanced-tool-use": _SEARCHED,
        "advisor-tool": Switched(tools=("advisor_",)),
        "cache-diagnosis": _fields("diagnostics"),
        "code-execution": Switched(frozenset({"container"}), tools=("code_execution_",)),
        "compact": _fields("compaction"),
        "context-management": _fields("context_management"),
        "fallback-credit": _fields("fallback_credit_token"),
        "fast-mode": _fields("speed"),
        "fine-grained-tool-streaming": Switched(of_tools=frozenset({"eager_input_streaming"})),
        "mcp-client": Switched(frozenset({"mcp_servers"}), tools=("mcp_toolset",)),
        "message-threads": _fields("thread"),
        "prompt-caching-scope": Switched(of_marks=frozenset({"scope"})),
        "server-side-fallback": _fields("fallbacks"),
        "skills": _fields("container"),
        "structured-outputs": _fields("output_format"),
        "task-budgets": _below("output_config", "task_budget"),
        "thinking-binding-controls": _below("thinking", "block_binding"),
        "thinking-display-updates": _below("thinking", "display"),
        "tool-examples": Switched(of_tools=frozenset({"input_examples"})),
        "tool-search-tool": _SEARCHED,
        "user-profiles": _fields("user_profile_id"),
        "web-fetch": Switched(tools=("web_fetch_",)),
    }
)


@frozen
class Pruned:
    """A body's fields to set and to leave out, so that nothing is left of what fell."""

    put: Mapping[str, Json]
    drop: frozenset[str]
    losses: tuple[Loss, ...]


def without_switched(body: Mapping[str, Json], fallen: Sequence[str]) -> Pruned:
    """What to change in *body*, a request of Anthropic's dialect, to do without the betas *fallen*."""
    pruning = _Pruning(body)
    for beta in fallen:
        switched = _SWITCHES.get(beta[:-11] if _is_dated(beta) else beta)
        if switched is not None:
            pruning.take_out(beta, switched)
    return Pruned(pruning.put, frozenset(pruning.drop), tuple(pruning.losses))


def _is_dated(beta: str) -> bool:
    return len(beta) > 11 and beta[-11] == "-" and beta[-10:].replace("-", "").isdigit()


class _Pruning:
    def __init__(self, body: Mapping[str, Json]) -> None:
        self._body = body
        self.put: dict[str, Json] = {}
        self.drop: set[str] = set()
        self.losses: list[Loss] = []

    def _value(self, name: str) -> Json:
        return self.put.get(name, self._body.get(name))

    def _fell(self, path: str, beta: str) -> None:
        self.losses.append(Loss(path, f"goes with the beta {beta!r}, which the host does not know"))

    def take_out(self, beta: str, switched: Switched) -> None:
        for name in sorted(switched.fields & self._body.keys() - self.drop):
            self.drop.add(name)
            self._fell(f"extras.{name}", beta)
        for name, inner in switched.below.items():
            self._below(beta, name, inner)
        if switched.of_tools or switched.tools:
            self._tools(beta, switched)
        if switched.of_marks:
            for name in ("system", "messages", "tools", "cache_control"):
                self._marks(beta, name, switched.of_marks)

    def _below(self, beta: str, name: str, inner: frozenset[str]) -> None:
        value = self._value(name)
        if not isinstance(value, Mapping) or inner.isdisjoint(value):
            return
        rest = {below: item for below, item in value.items() if below not in inner}
        for below in sorted(inner & value.keys()):
            self._fell(f"extras.{name}.{below}", beta)
        if rest:
            self.put[name] = rest
        else:
            self.put.pop(name, None)
            self.drop.add(name)

    def _tools(self, beta: str, switched: Switched) -> None:
        tools = self._value("tools")
        if not isinstance(tools, list | tuple):
            return
        kept: list[Json] = []
        for at, tool in enumerate(tools):
            if not isinstance(tool, Mapping):
                kept.append(tool)
                continue
            kind = tool.get("type")
            if switched.tools and isinstance(kind, str) and kind.startswith(switched.tools):
                self._fell(f"tools[{at}]", beta)
                continue
            for name in sorted(switched.of_tools & tool.keys()):
                self._fell(f"tools[{at}].extras.{name}", beta)
            kept.append({name: value for name, value in tool.items() if name not in switched.of_tools})
        if kept != list(tools):
            self.put["tools"] = kept

    def _marks(self, beta: str, name: str, fields: frozenset[str]) -> None:
        value = self._value(name)
        kept = _without_marks(value, fields, is_mark=name == "cache_control")
        if kept != value:
            self.put[name] = kept
            for one in sorted(fields):
                self._fell(f"{name}.extras.cache_control.{one}", beta)


def _without_marks(value: Json, fields: frozenset[str], *, is_mark: bool = False) -> Json:
    """*value* without *fields* in its marks; tools' schemas and inputs are not looked into."""
    match value:
        case list() | tuple():
            return [_without_marks(item, fields) for item in value]
        case Mapping():
            return {
                name: item
                if name in ("input", "input_schema")
                else _without_marks(item, fields, is_mark=name == "cache_control")
                for name, item in value.items()
                if not (is_mark and name in fields)
            }
        case _:
            return value


__all__ = [
    "ALL_BETAS",
    "BEDROCK_BETAS",
    "FOUNDRY_BETAS",
    "VERTEX_BETAS",
    "VERTEX_COUNTED_BETAS",
    "KnownBetas",
    "Pruned",
    "Switched",
    "without_switched",
]
