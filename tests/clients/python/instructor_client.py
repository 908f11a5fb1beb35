import json
from collections.abc import Iterable

import instructor
from anthropic import Anthropic
from common import DIALECT, KEY, MODEL, PROMPT, TOOLS, URL, main
from instructor import Mode
from openai import OpenAI
from pydantic import BaseModel, Field


class Capital(BaseModel):
    """The capital of a country."""

    city: str
    inhabitants: int = Field(gt=0)


class write_file(BaseModel):  # noqa: N801 - the tool's name
    """Write text to a file."""

    path: str
    content: str


class read_file(BaseModel):  # noqa: N801
    """Read a file."""

    path: str


MODES = {
    "messages": {"tools": Mode.TOOLS, "json": Mode.JSON, "parallel": Mode.PARALLEL_TOOLS},
    "chat": {"tools": Mode.TOOLS, "json": Mode.JSON_SCHEMA, "parallel": Mode.PARALLEL_TOOLS},
    "responses": {"tools": Mode.RESPONSES_TOOLS},
}


def client(mode):
    chosen = MODES[DIALECT][mode]
    if DIALECT == "messages":
        return instructor.from_anthropic(Anthropic(base_url=URL, api_key=KEY, max_retries=0), mode=chosen)
    return instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0), mode=chosen)


def create(mode, response_model):
    limit = {"max_tokens": 1024} if DIALECT == "messages" else {}
    messages = [{"role": "user", "content": PROMPT}]
    return client(mode).create(
        model=MODEL, messages=messages, response_model=response_model, max_retries=2, **limit
    )


def structured(mode):
    def ask():
        capital = create(mode, Capital)
        return f"{capital.city}, {capital.inhabitants}"

    return ask


def agent():
    done = [
        TOOLS[type(call).__name__](**call.model_dump())
        for call in create("parallel", Iterable[write_file | read_file])
    ]
    return json.dumps(done)


def whole():
    said = create("tools", None)
    if DIALECT == "messages":
        return said.content[0].text
    return said.output_text if DIALECT == "responses" else said.choices[0].message.content


main({"whole": whole, "tools": structured("tools"), "json": structured("json"), "agent": agent})
