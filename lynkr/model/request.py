"""The canonical request."""

from enum import StrEnum
from typing import Self

from attrs import field, frozen

from lynkr.model.content import Part, Text
from lynkr.model.extras import NO_EXTRAS, Extras, Json


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@frozen
class Message:
    """Tool results travel in USER messages; leading SYSTEM messages are the system prompt."""

    role: Role
    parts: tuple[Part, ...]
    extras: Extras = field(default=NO_EXTRAS, repr=False)

    @classmethod
    def system(cls, text: str) -> Self:
        return cls(Role.SYSTEM, (Text(text),))

    @classmethod
    def user(cls, text: str) -> Self:
        return cls(Role.USER, (Text(text),))

    @classmethod
    def assistant(cls, text: str) -> Self:
        return cls(Role.ASSISTANT, (Text(text),))


@frozen
class ToolSpec:
    name: str
    description: str | None
    input_schema: Json
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class ForeignTool:
    """A tool the provider runs itself (web search, code execution), known to one format only.

    *extras* holds the whole definition, verbatim.
    """

    name: str
    extras: Extras = field(default=NO_EXTRAS, repr=False)


class ToolMode(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@frozen
class ToolChoice:
    """*name* is set exactly when *mode* is NAMED."""

    mode: ToolMode
    name: str | None = None
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class Sampling:
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@frozen
class ReasoningOptions:
    """How much the model should think.

    *enabled* is None when the caller left it to the model; *effort* is the
    caller's own word (``low``, ``medium``, ``high``, ...), *budget_tokens* a cap.
    """

    enabled: bool | None = None
    effort: str | None = None
    budget_tokens: int | None = None
    extras: Extras = field(default=NO_EXTRAS, repr=False)


class OutputKind(StrEnum):
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@frozen
class OutputFormat:
    """A demand for structured output; *schema* is set exactly when *kind* is JSON_SCHEMA."""

    kind: OutputKind
    schema: Json = None
    name: str | None = None
    strict: bool | None = None
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class Request:
    """What a client asks for, in no dialect's words.

    *parallel_tool_calls* is None when the caller did not say.  *user* is the
    caller's opaque end-user id.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec | ForeignTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    sampling: Sampling = Sampling()
    reasoning: ReasoningOptions | None = None
    output_format: OutputFormat | None = None
    user: str | None = None
    stream: bool = False
    extras: Extras = field(default=NO_EXTRAS, repr=False)
