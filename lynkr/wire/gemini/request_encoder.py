"""A canonical `Request` to a `generateContent` body, and what that body cannot say.

- There is one system instruction, before everything; a system message in
  mid-conversation is written where it stands, as the user's (the prefix before
  it stays cacheable).
- Gemini refuses contents without parts and empty texts ("must include at least
  one parts field", "empty text parameter", read 2026-11): both are left out.
- JSON Schema goes as it is into ``parametersJsonSchema`` and ``responseJsonSchema``, which
  take all of it and heed a part; the older ``parameters`` would refuse the rest.
- For a model that refuses unsigned calls, the first call of a turn that no Gemini
  model signed bears the word Google publishes for the purpose.
"""

from collections.abc import Mapping
from typing import Any, Final

from lynkr.model import (
    ForeignTool,
    Json,
    Message,
    OutputFormat,
    OutputKind,
    Reasoning,
    Request,
    Role,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from lynkr.wire.base import Encoded
from lynkr.wire.fields import Losses, Shape
from lynkr.wire.gemini import request
from lynkr.wire.gemini.call_seals import signature_in
from lynkr.wire.gemini.fields import GEMINI, Body, as_extras
from lynkr.wire.gemini.models import generation_of
from lynkr.wire.gemini.parts import NO_SIGNATURE, SIGNATURE, History, encode_part, encode_result
from lynkr.wire.gemini.thinking import encode_thinking

_SEEDS: Final = range(-(2**31), 2**31)
_MODES: Final = {
    ToolMode.AUTO: "AUTO",
    ToolMode.NONE: "NONE",
    ToolMode.REQUIRED: "ANY",
    ToolMode.NAMED: "ANY",
}


def encode_request(value: Request) -> Encoded:
    losses = Losses()
    writer = _Contents(value.model, losses)
    for at, message in enumerate(value.messages):
        writer.write(message, f"messages[{at}]")
    body: Body = {"model": value.model}
    if writer.instruction is not None:
        body["systemInstruction"] = writer.instruction
    body["contents"] = writer.contents
    _write_tools(body, value, losses)
    config = _generation_config(value, losses)
    if config:
        body["generationConfig"] = config
    if value.stream:
        body["stream"] = True
    if value.user is not None:
        losses.add("user", "Gemini has no field for the end user's id")
    if value.parallel_tool_calls is not None:
        losses.add("parallel_tool_calls", "Gemini cannot be told")
    _restore_extras(body, value, losses)
    return Encoded(body, losses.all())


def _restore_extras(body: Body, value: Request, losses: Losses) -> None:
    if value.extras.format is not GEMINI:
        request.REQUEST.restore(body, value.extras, "", losses)
        return
    fields = dict(value.extras.fields)
    claimed: list[tuple[str, tuple[str, ...]]] = []
    if value.output_format is not None:
        claimed.append(("generationConfig", request.OUTPUT_FIELDS))
    if "toolConfig" in body:
        claimed.append(("toolConfig", ("functionCallingConfig",)))
    for holder, names in claimed:
        for name in request.take_out(fields, holder, names):
            losses.add(f"extras.{holder}.{name}", "the canonical value of this field is written instead")
    request.REQUEST.restore(body, as_extras(fields), "", losses)


# --- Contents -----------------------------------------------------------------------------------------


class _Contents:
    """Writes messages in order and knows the calls before each."""

    def __init__(self, model: str, losses: Losses) -> None:
        self.instruction: Body | None = None
        self.contents: list[Body] = []
        self._losses = losses
        self._history = History()
        self._generation = generation_of(model)
        self._begun = False

    def write(self, message: Message, path: str) -> None:
        if message.role is Role.SYSTEM and not self._begun:
            self._write_instruction(message, path)
            return
        self._begun = True
        parts = self._parts(message, path)
        if not parts:
            self._losses.add("messages", "Gemini refuses a message without content")
            return
        if message.role is Role.SYSTEM:
            self._losses.add(f"{path}.role", "written where it stands, as the user's")
        node: Body = {"role": "model" if message.role is Role.ASSISTANT else "user", "parts": parts}
        self._restore(request.CONTENT, node, message, path)
        self.contents.append(node)

    def _write_instruction(self, message: Message, path: str) -> None:
        parts = self._parts(message, path)
        if not parts:
            self._losses.add("messages", "Gemini refuses a message without content")
            return
        if self.instruction is not None:
            self._losses.add("messages", "Gemini has one system instruction; several are written as one")
            self._losses.add_extras(message.extras, path, "Gemini has one system instruction")
            self.instruction["parts"] += parts
            return
        self.instruction = {"parts": parts}
        self._restore(request.SYSTEM, self.instruction, message, path)

    def _restore(self, layout: Shape, node: Body, message: Message, path: str) -> None:
        layout.restore(node, message.extras, path, self._losses)

    def _parts(self, message: Message, path: str) -> list[Body]:
        nodes: list[Body] = []
        is_signed = False
        waiting: str | None = None  # the signature of the call to come
        for at, part in enumerate(message.parts):
            where = f"{path}.parts[{at}]"
            if _says_nothing(part):
                self._losses.add(where, "Gemini refuses an empty text")
                continue
            if isinstance(part, ToolResult):
                nodes += self._result(part, where)
                continue
            signature = signature_in(part)
            if signature is not None:
                waiting = signature
                continue
            node = encode_part(part, where, self._history, self._losses)
            if node is None:
                continue
            if isinstance(part, ToolCall):
                if waiting is not None:
                    node.setdefault(SIGNATURE, waiting)
                    waiting = None
                if self._generation.signs_calls and not is_signed:
                    node.setdefault(SIGNATURE, NO_SIGNATURE)
                is_signed = True
            nodes.append(node)
        return nodes

    def _result(self, part: ToolResult, path: str) -> list[Body]:
        holds_media = self._generation.results_hold_media
        written = encode_result(part, path, self._history, self._losses, holds_media=holds_media)
        if written is not None:
            self._history.answered(part.call_id)
            return written
        self._losses.add(
            path.rpartition("[")[0], "a result that follows no call has no name, and is written as content"
        )
        self._losses.add_extras(part.extras, path, "a result that follows no call is written as content")
        inner = [(f"{path}.content[{at}]", item) for at, item in enumerate(part.content)]
        nodes = [
            encode_part(item, where, self._history, self._losses)
            for where, item in inner
            if not _says_nothing(item)
        ]
        return [node for node in nodes if node is not None]


def _says_nothing(part: object) -> bool:
    match part:
        case Text(text="") | Reasoning(text="", redacted=False, seal=None):
            return True
        case Reasoning(text="", redacted=False, seal=seal):
            return seal is None or seal.format is not GEMINI
        case _:
            return False


# --- Tools --------------------------------------------------------------------------------------------


def _write_tools(body: Body, value: Request, losses: Losses) -> None:
    tools: list[Body] = []
    functions: list[Body] = []
    for at, tool in enumerate(value.tools):
        path = f"tools[{at}]"
        if isinstance(tool, ForeignTool):
            node = _foreign_tool(tool, path, losses)
            if node is not None:
                tools.append(node)
            continue
        if not functions:
            tools.append({"functionDeclarations": functions})
        elif "functionDeclarations" not in tools[-1]:
            losses.add("tools", "all functions are declared together")
        functions.append(_function(tool, path, losses))
    if tools:
        body["tools"] = tools
    if value.tool_choice is None:
        return
    if not functions:
        # "Function calling config is set without function_declarations" (Gemini's 400, read 2026-11).
        losses.add("tool_choice", "no function is left for it to speak of")
        return
    choice = _tool_choice(value.tool_choice, losses)
    if choice is not None:
        body["toolConfig"] = {"functionCallingConfig": choice}


def _foreign_tool(tool: ForeignTool, path: str, losses: Losses) -> Body | None:
    own = dict(tool.extras.of(GEMINI))
    if len(own) != 1 or "functionDeclarations" in own:
        losses.add(path, "a tool only another dialect knows")
        return None
    if tool.name not in own:
        losses.add(f"{path}.name", "the definition gives another name")
    return own


def _function(tool: ToolSpec, path: str, losses: Losses) -> Body:
    node: Body = {"name": tool.name}
    if tool.description is not None:
        node["description"] = tool.description
    if isinstance(tool.input_schema, Mapping):
        node["parametersJsonSchema"] = tool.input_schema
    else:
        losses.add(f"{path}.input_schema", "Gemini's parameters are a JSON Schema object")
    request.FUNCTION.restore(node, tool.extras, path, losses)
    return node


def _tool_choice(choice: ToolChoice, losses: Losses) -> Body | None:
    path = "tool_choice"
    own: dict[str, Json] = dict(choice.extras.of(GEMINI))
    node: Body = {"mode": _MODES[choice.mode]}
    if own.get("mode") == "VALIDATED" and choice.mode is ToolMode.AUTO:
        node["mode"] = own.pop("mode")
    if choice.mode is ToolMode.NAMED:
        if choice.name is None:
            losses.add(path, "a named choice without a name")
            return None
        if own.pop("allowedFunctionNames", None) is not None:
            losses.add(f"{path}.extras.allowedFunctionNames", "the one name is written instead")
        node["allowedFunctionNames"] = [choice.name]
    elif choice.name is not None:
        losses.add(f"{path}.name", "only a named choice has a name")
    extras = as_extras(own) if choice.extras.format is GEMINI else choice.extras
    request.CALLING.restore(node, extras, path, losses)
    return node


# --- Options ------------------------------------------------------------------------------------------


def _generation_config(value: Request, losses: Losses) -> Body:
    sampling = value.sampling
    config: Body = {}
    wanted: dict[str, Any] = {
        "maxOutputTokens": value.max_output_tokens,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
    }
    config.update({name: number for name, number in wanted.items() if number is not None})
    if sampling.seed is not None:
        if sampling.seed in _SEEDS:
            config["seed"] = sampling.seed
        else:
            losses.add("sampling.seed", "Gemini's seed is a 32-bit integer")
    if sampling.stop:
        config["stopSequences"] = [*sampling.stop]
    if value.reasoning is not None:
        thinking = encode_thinking(value.reasoning, value.model, losses)
        if thinking is not None:
            config["thinkingConfig"] = thinking
    if value.output_format is not None:
        _write_output_format(config, value.output_format, losses)
    return config


def _write_output_format(config: Body, wanted: OutputFormat, losses: Losses) -> None:
    path = "output_format"
    config["responseMimeType"] = request.JSON_TYPE
    if wanted.kind is OutputKind.JSON_SCHEMA:
        if isinstance(wanted.schema, Mapping):
            config["responseJsonSchema"] = wanted.schema
        else:
            losses.add(path, "without a schema it reads back as any JSON")
    elif wanted.schema is not None:
        losses.add(f"{path}.schema", "json_object has no schema")
    for name in ("name", "strict"):
        if getattr(wanted, name) is not None:
            losses.add(f"{path}.{name}", "Gemini has no such field; a schema is always enforced")
    losses.add_extras(wanted.extras, path, "Gemini has no node that could hold it")
