"""Writes docs/losses.md from what the codecs themselves declare: ``python -m tests.docs.losses``."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from lynkr.model import Foreign, ForeignTool, Loss, Request, Response, WireFormat
from lynkr.wire.json_body import dump, parse_body
from tests.laws.probes import ANSWERS, REQUESTS
from tests.laws.test_codec_laws import CODECS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "losses.md"
NAMES: Mapping[WireFormat, str] = {
    WireFormat.ANTHROPIC_MESSAGES: "Anthropic Messages",
    WireFormat.OPENAI_CHAT: "OpenAI Chat Completions",
    WireFormat.OPENAI_RESPONSES: "OpenAI Responses",
    WireFormat.BEDROCK_CONVERSE: "Bedrock Converse",
    WireFormat.GEMINI: "Gemini",
    WireFormat.OLLAMA_CHAT: "Ollama",
}
_HEAD = """\
# What a translation loses

<!-- Written by `python -m tests.docs.losses`, which asks the codecs; a test compares. Do not edit. -->

Requests go from the client's dialect to the provider's, answers the other way. Between two dialects
something is lost: each encoder declares what, and why, and no test lets it lose anything undeclared
([tests/laws](../tests/laws/test_codec_laws.py)). A request's record holds the losses it really had. This
page shows them for one request and one answer of each dialect that use every feature it has
([tests/laws/probes.py](../tests/laws/probes.py)). Within one dialect nothing is lost.

Paths are those of lynkr's own model (`lynkr.model`), with `[]` for any place in a list. `extras` are the
fields of a node that only its own dialect has; `next_year` stands for any that is yet to come.
"""
_INDEX = re.compile(r"\[\d+\]")
_STEP = re.compile(r"(\w+)|\[(\d+)\]")


def _name_of(value: object) -> str:
    """What kind of part or tool *value* is, in its own dialect's word."""
    match value:
        case ForeignTool():
            return value.name
        case Foreign(value={"type": str(kind)}):
            return kind
        case Foreign(value=Mapping() as node):
            inner = node.get("content_part")
            return str(inner["type"]) if isinstance(inner, Mapping) else next(iter(node))
        case _:
            return type(value).__name__


def _shown(loss: Loss, whole: Request | Response) -> str:
    """The path of *loss*, with the kind of what is lost where that is a member of a list."""
    path = _INDEX.sub("[]", loss.path)
    if not path.endswith("[]"):
        return f"`{path}`"
    value: Any = whole
    for name, index in _STEP.findall(loss.path):
        value = value[int(index)] if index else getattr(value, name)
    return f"`{path}` ({_name_of(value)})"


def _rows(kind: str, losses: Iterable[Loss], whole: Request | Response) -> list[str]:
    """One row a reason, for many fields share one."""
    by_reason: dict[str, dict[str, None]] = {}
    for loss in losses:
        by_reason.setdefault(loss.reason, {})[_shown(loss, whole)] = None
    return [f"| {kind} | {', '.join(paths)} | {_cell(reason)} |" for reason, paths in by_reason.items()]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def probe_of(origin: WireFormat, target: WireFormat) -> tuple[Request, Response]:
    """What a client of *origin* asks of a model of *target*, and what a provider of *origin* answers."""
    codec = CODECS[origin]
    request = codec.decode_request(parse_body(dump(REQUESTS[origin])).value)
    answer = codec.decode_response(parse_body(dump(ANSWERS[origin])).value)
    return evolve(request, model=_model_of(target)), answer


def _model_of(target: WireFormat) -> str:
    body = REQUESTS[target]
    return str(body.get("model") or body["modelId"])


def _pair(origin: WireFormat, target: WireFormat) -> list[str]:
    request, answer = probe_of(origin, target)
    codec = CODECS[target]
    return [
        f"### From {NAMES[origin]} to {NAMES[target]}",
        "",
        "| In | What | Why |",
        "| --- | --- | --- |",
        *_rows("request", codec.encode_request(request).losses, request),
        *_rows("answer", codec.encode_response(answer).losses, answer),
        "",
    ]


def page() -> str:
    lines = [_HEAD]
    for target in NAMES:
        lines += [f"## To {NAMES[target]}", "", f"The request is for `{_model_of(target)}`.", ""]
        for origin in NAMES:
            if origin is not target:
                lines += _pair(origin, target)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
