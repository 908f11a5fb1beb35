"""Coding agents that run without a screen: how each is started, what its tools are called, how it ends.

Claude Code and Codex have files of their own; these here all pass the tests of
``client_agents.py``.  Releases and flags as of 2026-11, by their own ``--help``.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.clients.harness import KEY, Finished, Stand
from tests.clients.upstream import Call, call


@frozen
class Agent:
    """*client* as the session calls it, *speaks* its dialect, *upstream* the one behind the gateway.

    *ask* runs it with a prompt, *answer* and *failure* read from its output what it said last or what it
    says went wrong.  *write*, *edit* and *read* are calls of its own tools.
    """

    client: str
    speaks: str
    upstream: str
    ask: Callable[[Stand, str, str], Finished]
    answer: Callable[[Finished], str]
    failure: Callable[[Finished], str]
    write: Callable[[Path, str], Call]
    edit: Callable[[Path, str, str], Call]
    read: Callable[[Path], Call]

    def __str__(self) -> str:
        return f"{self.client}-{self.speaks}-to-{self.upstream}"

    def run(self, at: Stand, prompt: str) -> Finished:
        return self.ask(at, prompt, self.speaks)


def _events(done: Finished, kind: str) -> list[Any]:
    """The lines of its JSON log of type *kind*; fails if there are none."""
    found = [line for line in done.lines() if isinstance(line, dict) and line.get("type") == kind]
    assert found, str(done)
    return found


# --- opencode -----------------------------------------------------------------------------------------

_OPENCODE_PACKAGES = {
    "chat": "@ai-sdk/openai-compatible",
    "messages": "@ai-sdk/anthropic",
    "responses": "@ai-sdk/openai",
}


def _ask_opencode(at: Stand, prompt: str, speaks: str) -> Finished:
    provider = {
        "npm": _OPENCODE_PACKAGES[speaks],
        "options": {"baseURL": f"{at.url}/v1", "apiKey": KEY},
        "models": {"auto": {"name": "auto"}},
    }
    at.configure(
        ".config/opencode/opencode.json",
        json.dumps(
            {
                "autoupdate": False,
                "share": "disabled",
                "permission": "allow",
                "model": "lynkr/auto",
                "provider": {"lynkr": provider},
            }
        ),
    )
    offline = ("MODELS_FETCH", "LSP_DOWNLOAD", "AUTOUPDATE")
    return at.run(
        [at.clients.npm("opencode", "opencode"), "run", "--format", "json", prompt],
        {f"OPENCODE_DISABLE_{what}": "1" for what in offline},
    )


def _opencode(speaks: str, upstream: str) -> Agent:
    return Agent(
        client="opencode",
        speaks=speaks,
        upstream=upstream,
        ask=_ask_opencode,
        answer=lambda done: str(_events(done, "text")[-1]["part"]["text"]),
        failure=lambda done: str(_events(done, "error")[-1]["error"]["data"]["message"]),
        write=lambda path, text: call("write", filePath=str(path), content=text),
        edit=lambda path, old, new: call("edit", filePath=str(path), oldString=old, newString=new),
        read=lambda path: call("read", filePath=str(path)),
    )


# --- Qwen Code ----------------------------------------------------------------------------------------


def _ask_qwen(at: Stand, prompt: str, speaks: str) -> Finished:
    kind, environment = {
        "chat": ("openai", {"OPENAI_BASE_URL": f"{at.url}/v1", "OPENAI_API_KEY": KEY}),
        "messages": ("anthropic", {"ANTHROPIC_BASE_URL": at.url, "ANTHROPIC_API_KEY": KEY}),
    }[speaks]
    command = [at.clients.npm("qwen-code", "qwen"), "--yolo", "--auth-type", kind, "--model", "auto"]
    return at.run([*command, "--output-format", "stream-json", "--prompt", prompt], environment)


def _qwen(speaks: str, upstream: str) -> Agent:
    return Agent(
        client="qwen-code",
        speaks=speaks,
        upstream=upstream,
        ask=_ask_qwen,
        answer=lambda done: str(_events(done, "result")[-1]["result"]),
        failure=lambda done: str(_events(done, "result")[-1]["error"]["message"]),
        write=lambda path, text: call("write_file", file_path=str(path), content=text),
        edit=lambda path, old, new: call("edit", file_path=str(path), old_string=old, new_string=new),
        read=lambda path: call("read_file", file_path=str(path)),
    )


# --- Continue -----------------------------------------------------------------------------------------


def _ask_continue(at: Stand, prompt: str, speaks: str) -> Finished:
    model = {
        "name": "lynkr",
        "provider": {"chat": "openai", "messages": "anthropic"}[speaks],
        "model": "auto",
        "apiBase": f"{at.url}/v1/",
        "apiKey": KEY,
        "capabilities": ["tool_use"],
        "roles": ["chat", "edit", "apply"],
    }
    # JSON is YAML.
    settings = {"name": "lynkr", "version": "1.0.0", "schema": "v1", "models": [model]}
    path = at.configure("continue.yaml", json.dumps(settings))
    command = [at.clients.npm("continue", "cn"), "--config", str(path), "--auto", "--print", prompt]
    return at.run(command, {"CONTINUE_TELEMETRY_ENABLED": "0"})


def _continue(speaks: str, upstream: str) -> Agent:
    return Agent(
        client="continue",
        speaks=speaks,
        upstream=upstream,
        ask=_ask_continue,
        answer=lambda done: done.stdout.strip(),
        failure=lambda done: done.stderr.strip(),
        write=lambda path, text: call("Write", filepath=str(path), content=text),
        edit=lambda path, old, new: call("Edit", file_path=str(path), old_string=old, new_string=new),
        read=lambda path: call("Read", filepath=str(path)),
    )


# --- Cline --------------------------------------------------------------------------------------------

_CLINE_PROVIDER = "openai-compatible"


def _ask_cline(at: Stand, prompt: str, speaks: str) -> Finished:
    assert speaks == "chat"
    cline = at.clients.npm("cline", "cline")
    model = ["-k", KEY, "-m", "auto", "-b", f"{at.url}/v1"]
    set_up = at.run([cline, "auth", "-p", _CLINE_PROVIDER, *model])
    assert set_up.status == 0, str(set_up)
    return at.run([cline, "--json", "-P", _CLINE_PROVIDER, "-m", "auto", prompt])


def _cline(speaks: str, upstream: str) -> Agent:
    return Agent(
        client="cline",
        speaks=speaks,
        upstream=upstream,
        ask=_ask_cline,
        answer=lambda done: str(_events(done, "run_result")[-1]["text"]),
        failure=lambda done: str(_events(done, "run_result")[-1]["text"]),
        write=lambda path, text: call("editor", path=str(path), new_text=text),
        edit=lambda path, old, new: call("editor", path=str(path), old_text=old, new_text=new),
        read=lambda path: call("read_files", files=[{"path": str(path)}]),
    )


AGENTS = (
    _opencode("chat", "messages"),
    _opencode("messages", "chat"),
    _opencode("responses", "messages"),
    _qwen("chat", "messages"),
    _qwen("messages", "chat"),
    _continue("chat", "messages"),
    _continue("messages", "chat"),
    _cline("chat", "messages"),
)
