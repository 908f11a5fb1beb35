"""The limit: a relay that reads the body, posts it upstream and returns the answer, and does nothing else.

On the server (uvicorn, uvloop, httptools) and the HTTP client (aiohttp) that lynkr uses.  `choices.py`
measures it beside the same relay on others.

    python benchmarks/gateway/bare_relay.py --upstream URL [--client pyreqwest]
"""

import argparse
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import aiohttp
import uvicorn

from lynkr.settings import process_environment

_Message = MutableMapping[str, Any]


class Relay:
    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._client: Any = None

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self._client = self._open()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._client.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await self._pass_on(self._upstream + scope["path"], body, send)

    def _open(self) -> object:
        connector = aiohttp.TCPConnector(limit=0)
        return aiohttp.ClientSession(connector=connector, auto_decompress=False)

    async def _pass_on(self, url: str, body: bytes, send: Callable[[_Message], Awaitable[None]]) -> None:
        async with self._client.post(url, data=body, headers={"content-type": "application/json"}) as answer:
            kind = answer.headers["content-type"].encode()
            headers = [(b"content-type", kind)]
            if kind != b"text/event-stream":
                whole = await answer.read()
                headers.append((b"content-length", str(len(whole)).encode()))
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                await send({"type": "http.response.body", "body": whole})
                return
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


class PyreqwestRelay(Relay):
    """The same on another client."""

    def _open(self) -> object:
        from pyreqwest.client import ClientBuilder  # type: ignore[import-not-found]  # noqa: PLC0415

        return ClientBuilder().http1_only().gzip(enable=False).build()

    async def _pass_on(self, url: str, body: bytes, send: Callable[[_Message], Awaitable[None]]) -> None:
        asked = self._client.post(url).header("content-type", "application/json").body_bytes(body)
        async with asked.build_streamed() as answer:
            kind = answer.get_header("content-type").encode()
            headers = [(b"content-type", kind)]
            if kind != b"text/event-stream":
                whole = bytes(await answer.bytes())
                headers.append((b"content-length", str(len(whole)).encode()))
                await send({"type": "http.response.start", "status": answer.status, "headers": headers})
                await send({"type": "http.response.body", "body": whole})
                return
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            while (chunk := await answer.body_reader.read_chunk()) is not None:
                await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
            await send({"type": "http.response.body", "body": b""})


_RELAYS: Final = {"aiohttp": Relay, "pyreqwest": PyreqwestRelay}


def relay() -> Relay:
    """For a server that makes its application itself: what it is, in two variables of the environment."""
    environment = process_environment()
    return _RELAYS[environment["RELAY_CLIENT"]](environment["RELAY_UPSTREAM"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--client", choices=_RELAYS, default="aiohttp")
    arguments = parser.parse_args()
    bound = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        _RELAYS[arguments.client](arguments.upstream),
        loop="uvloop", http="httptools", ws="none", lifespan="on",
        access_log=False, log_level="warning", proxy_headers=False, server_header=False, date_header=False,
    )  # fmt: skip
    sys.stdout.write(f"http://127.0.0.1:{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run([bound])


if __name__ == "__main__":
    main()
