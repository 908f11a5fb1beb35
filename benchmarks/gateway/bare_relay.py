"""The limit: a relay that reads the body, posts it upstream and returns the answer, and does nothing else.

On the server (uvicorn, uvloop, httptools) and the HTTP client (aiohttp) that lynkr uses.

    python benchmarks/gateway/bare_relay.py --upstream URL --port 0
"""

import argparse
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
import uvicorn

_Message = MutableMapping[str, Any]


class Relay:
    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._client: aiohttp.ClientSession | None = None

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await receive()
            connector = aiohttp.TCPConnector(limit=0)
            self._client = aiohttp.ClientSession(connector=connector, auto_decompress=False)
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
        assert self._client is not None
        async with self._client.post(
            self._upstream + scope["path"], data=body, headers={"content-type": "application/json"}
        ) as answer:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    bound = socket.create_server(("127.0.0.1", arguments.port), backlog=2048)
    config = uvicorn.Config(
        Relay(arguments.upstream), loop="uvloop", http="httptools", ws="none", lifespan="on",
        access_log=False, log_level="warning", proxy_headers=False, server_header=False, date_header=False,
    )  # fmt: skip
    sys.stdout.write(f"http://127.0.0.1:{bound.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run([bound])


if __name__ == "__main__":
    main()
