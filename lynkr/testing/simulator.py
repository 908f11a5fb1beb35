"""An upstream on the loopback interface: three dialects, streaming, tool calls, and faults on demand.

It is a simulator and says so, in the header ``x-simulator: lynkr`` and in the
text of each answer.  An answer is a function of its request::

    async with SimulatorServer(Simulator({"flaky": script(status(529), reset())})) as server:
        ...  # send to server.url

From a shell: ``python -m lynkr.testing.simulator --port 0`` prints its URL as
the first line and serves until it is interrupted.

The server speaks HTTP/1.1 over sockets of its own rather than through an ASGI
server, because an ASGI application cannot reset a connection, cut a body
short, or be silent before its status line.
"""

import argparse
import json
import signal
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import inf
from types import TracebackType
from typing import Any, Final, Self, cast

import anyio
import anyio.lowlevel
import h11
from anyio.abc import TaskGroup
from attrs import field, frozen

from lynkr.model import WireFormat
from lynkr.testing.answers import CREATED, Composer, anthropic_answer, count_tokens, openai_answer, turn_of
from lynkr.testing.answers_responses import responses_answer
from lynkr.testing.faults import Answer, Cut, Move, Pause, Reset, Script, Send, error_answer, json_answer

__all__ = ["RecordedRequest", "Simulator", "SimulatorServer", "main"]

_MAX_BODY: Final = 64 * 1024 * 1024
_READ: Final = 64 * 1024
DEFAULT_MODELS: Final = ("sim-small", "sim-medium", "sim-large", "sim-reasoning")


@frozen
class RecordedRequest:
    """A request as it came.  Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:  # noqa: ANN401  # JSON enters here
        return json.loads(self.body)


class Simulator:
    """Requests to answers, without I/O.

    *scripts* are faults by model name, `*default*` meets every other model's
    requests.  With *key*, requests must bring it (``x-api-key`` or bearer).
    *compose* decides what an answer says, by default `turn_of`.
    *requests* holds the last *keep* requests; *abandoned* counts answers whose
    client left before the end, *active* those under way.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script] | None = None,
        *,
        default: Script | None = None,
        models: tuple[str, ...] = DEFAULT_MODELS,
        key: str | None = None,
        context_window: int | None = None,
        keep: int = 1_000,
        compose: Composer = turn_of,
    ) -> None:
        self.scripts: dict[str, Script] = dict(scripts or {})
        self.default: Script = default or Script()
        self.models = models
        self.requests: deque[RecordedRequest] = deque(maxlen=keep)
        self.active = 0
        self.abandoned = 0
        self._key = key
        self._context_window = context_window
        self._compose = compose
        self._seen: Counter[str | None] = Counter()

    def play(self, script: Script, model: str | None = None) -> None:
        """From now on follow *script*, for *model* or for those without a script of their own."""
        if model is None:
            self.default = script
        else:
            self.scripts[model] = script
        self._seen[model] = 0

    def answer(self, request: RecordedRequest) -> Answer:
        """Record *request* and say what to do with it."""
        self.requests.append(request)
        dialect = _FORMATS.get(request.path)
        if not self._is_allowed(request):
            return error_answer(dialect, 401, "invalid x-api-key")
        expected = "GET" if request.path in ("/health", "/v1/models") else "POST"
        if dialect is None and expected == "POST":
            return error_answer(None, 404, f"no route {request.path}")
        if request.method != expected:
            return error_answer(dialect, 405, f"use {expected}")
        if dialect is None:
            return self._listing(request)
        try:
            body = request.json
        except ValueError as error:
            return error_answer(dialect, 400, f"the body is not valid JSON: {error}")
        if not isinstance(body, dict):
            return error_answer(dialect, 400, "the body must be a JSON object")
        return self._played(request.path, cast("dict[str, Any]", body))

    def _is_allowed(self, request: RecordedRequest) -> bool:
        if self._key is None or request.path == "/health":
            return True
        sent = request.headers.get("x-api-key"), request.headers.get("authorization")
        return self._key == sent[0] or f"Bearer {self._key}" == sent[1]

    def _listing(self, request: RecordedRequest) -> Answer:
        """`GET /health` and `GET /v1/models`; the latter in Anthropic's shape for its own clients."""
        if request.path == "/health":
            return json_answer({"status": "ok", "simulator": True})
        if "anthropic-version" in request.headers:
            data = [
                {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
                for name in self.models
            ]
            page: dict[str, object] = {
                "first_id": self.models[0],
                "last_id": self.models[-1],
                "has_more": False,
            }
            return json_answer({**page, "data": data}, format=WireFormat.ANTHROPIC_MESSAGES)
        rows: list[dict[str, object]] = [
            {"id": name, "object": "model", "created": CREATED, "owned_by": "lynkr"} for name in self.models
        ]
        return json_answer({"object": "list", "data": rows}, format=WireFormat.OPENAI_CHAT)

    def _played(self, path: str, body: dict[str, Any]) -> Answer:
        if path == "/v1/messages/count_tokens":
            # Not scripted: counting belongs to no attempt that a test numbers.
            body.setdefault("max_tokens", 1)
            checked = self._answered("/v1/messages", {**body, "stream": False})
            return checked if checked.status != 200 else json_answer({"input_tokens": count_tokens(body)})
        answer = self._answered(path, body)
        model = body.get("model")
        name = model if isinstance(model, str) and model in self.scripts else None
        followed = self.default if name is None else self.scripts[name]
        number = self._seen[name]
        self._seen[name] += 1
        return followed.fault(number)(answer)

    def _answered(self, path: str, body: dict[str, Any]) -> Answer:
        try:
            return _ANSWERS[path](body, context_window=self._context_window, compose=self._compose)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Its readers take shapes on trust; what they trip over, a provider refuses.
            return error_answer(_FORMATS[path], 400, f"the body cannot be read: {error}")


_ANSWERS: Final = {
    "/v1/messages": anthropic_answer,
    "/v1/chat/completions": openai_answer,
    "/v1/responses": responses_answer,
}
_FORMATS: Final = {
    "/v1/responses": WireFormat.OPENAI_RESPONSES,
    "/v1/messages": WireFormat.ANTHROPIC_MESSAGES,
    "/v1/messages/count_tokens": WireFormat.ANTHROPIC_MESSAGES,
    "/v1/chat/completions": WireFormat.OPENAI_CHAT,
}


class _Left(Exception):
    """The client closed the connection."""


class _Wire:
    """A non-blocking socket, whose owner decides between an orderly end and a reset."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    async def receive(self) -> bytes:
        """The next bytes, empty at the end.  Raises `_Left` on a broken connection."""
        while True:
            try:
                return self._socket.recv(_READ)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError as error:
                raise _Left from error

    async def send(self, data: bytes) -> None:
        unsent = memoryview(data)
        while unsent:
            try:
                unsent = unsent[self._socket.send(unsent) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError as error:
                raise _Left from error

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Close with a TCP reset: no lingering, unsent bytes thrown away."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class SimulatorServer:
    """A `Simulator` behind a loopback socket, as an async context manager.  asyncio and trio.

    Leaving the context drops every open connection.
    """

    def __init__(self, simulator: Simulator | None = None, *, port: int = 0) -> None:
        self.simulator: Simulator = simulator or Simulator()
        self._port = port
        self._changed = anyio.Event()
        self._tasks: TaskGroup
        self._listener: socket.socket

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a path."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=512)
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._accept)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            self._listener.close()

    async def wait_until(self, holds: Callable[[Simulator], bool]) -> None:
        """Return once *holds* of the simulator; looked at whenever an answer begins, ends or is abandoned."""
        while not holds(self.simulator):
            await self._changed.wait()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                await anyio.wait_readable(self._listener)
            except OSError:
                # The client was gone before it was accepted (ECONNABORTED): the next one is not.
                await anyio.lowlevel.checkpoint()
            else:
                self._tasks.start_soon(self._converse, _Wire(accepted))

    async def _converse(self, wire: _Wire) -> None:
        """All requests of one connection."""
        http = h11.Connection(h11.SERVER)
        try:
            while await self._exchange(wire, http):
                http.start_next_cycle()
        except _Left:
            return
        finally:
            wire.close()

    async def _exchange(self, wire: _Wire, http: h11.Connection) -> bool:
        """One request and its answer; whether the connection may serve another."""
        try:
            request = await _read_request(wire, http)
        except h11.RemoteProtocolError as error:
            failed = error_answer(None, error.error_status_hint, str(error))
            await wire.send(_head(http, failed))
            await self._perform(wire, http, failed.moves)
            return False
        if request is None:
            return False
        answer = self.simulator.answer(request)
        self.simulator.active += 1
        self._note_change()
        try:
            return await self._watched(wire, http, answer)
        except BaseException:
            self.simulator.abandoned += 1
            raise
        finally:
            self.simulator.active -= 1
            self._note_change()

    async def _watched(self, wire: _Wire, http: h11.Connection, answer: Answer) -> bool:
        """Give the answer, and stop at once if the client leaves."""
        left = False
        done = False

        async def watch() -> None:
            nonlocal left
            try:
                while early := await wire.receive():
                    http.receive_data(early)
            except _Left:
                pass  # as good as an orderly end
            left = True
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            try:
                done = await self._perform(wire, http, answer.before)
                if done:
                    await wire.send(_head(http, answer))
                    done = await self._perform(wire, http, answer.moves)
                if done:
                    await wire.send(_bytes(http.send(h11.EndOfMessage())))
            except _Left:
                left = True
            tasks.cancel_scope.cancel()
        if left:
            raise _Left
        return done and http.our_state is h11.DONE and http.their_state is h11.DONE

    async def _perform(self, wire: _Wire, http: h11.Connection, moves: tuple[Move, ...]) -> bool:
        """Make the moves; False if one of them ended the connection."""
        for move in moves:
            match move:
                case Send(data=data):
                    await wire.send(_bytes(http.send(h11.Data(data))))
                case Pause(seconds=seconds):
                    await anyio.sleep(inf if seconds is None else seconds)
                case Cut():
                    return False
                case Reset():
                    wire.reset()
                    return False
        return True


def _bytes(data: bytes | None) -> bytes:
    return data or b""


def _head(http: h11.Connection, answer: Answer) -> bytes:
    return _bytes(http.send(h11.Response(status_code=answer.status, headers=list(answer.headers.items()))))


async def _read_request(wire: _Wire, http: h11.Connection) -> RecordedRequest | None:
    """The next request, None when the client has no more.

    Raises:
        h11.RemoteProtocolError: what came is not HTTP, or too large.
        _Left: the client broke off.
    """
    head: h11.Request | None = None
    body = bytearray()
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                if http.they_are_waiting_for_100_continue:
                    proceed = h11.InformationalResponse(status_code=100, headers=[])
                    await wire.send(_bytes(http.send(proceed)))
                http.receive_data(await wire.receive())
            case h11.Request() as head:
                pass
            case h11.Data(data=data):
                body += data
                if len(body) > _MAX_BODY:
                    raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
            case h11.EndOfMessage() if head is not None:
                path, _, query = head.target.decode("ascii").partition("?")
                headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
                return RecordedRequest(head.method.decode("ascii"), path, query, headers, bytes(body))
            case _:
                return None


async def _serve(port: int) -> None:
    async with SimulatorServer(port=port) as server:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            sys.stdout.write(f"{server.url}\n")
            sys.stdout.flush()
            async for _ in signals:
                return


def main(argv: list[str] | None = None) -> int:
    """``python -m lynkr.testing.simulator``."""
    parser = argparse.ArgumentParser(
        prog="python -m lynkr.testing.simulator",
        description="Simulated Messages, Chat Completions and Responses APIs on the loopback address.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    anyio.run(_serve, parser.parse_args(argv).port)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
