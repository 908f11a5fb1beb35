"""A marker in every place a credential can stand in, and an upstream that shouts back all it is sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field

from lynkr.providers.builtin import HOSTS

CANARY = "sk-9f3Kz7Q/0123456789+abcdef="
"""The owner's keys.  Its signs are those that JSON, URLs and base64 spell differently."""
CLIENTS = "sk-8g4Lw6R-9876543210"
"""What clients show the gateway, and what they carry for others."""

CLIENT_HEADERS = {
    "authorization": f"Bearer {CLIENTS}",
    "x-api-key": CLIENTS,
    "api-key": CLIENTS,
    "x-goog-api-key": CLIENTS,
    "x-amz-security-token": CLIENTS,
    "proxy-authorization": f"Basic {CLIENTS}",
    "cookie": f"session={CLIENTS}",
}
BASES = {"gemini": "/v1beta", "vertex": "/v1"}


@define
class Parrot:
    """An upstream whose errors quote the whole request.  *mode* says how it fails.

    At ``/token`` it grants *token*, or refuses and quotes what it was sent if there is none.
    """

    url: str = ""
    mode: str = "401"
    token: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(factory=list)
    posted: bytes = b""

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        quoted = "; ".join(f"{name}: {value}" for name, value in headers.items())
        if path == "/token" and self.token:
            granted = {"access_token": self.token, "expires_in": 3600, "token_type": "Bearer"}
            return 200, {"content-type": "application/json"}, json.dumps(granted).encode()
        if path == "/token":
            refused = {"error": "invalid_grant", "error_description": f"you sent {self.posted!r}; {CANARY}"}
            return 400, {"content-type": "application/json"}, json.dumps(refused).encode()
        error = {"type": "authentication_error", "message": f"you sent {quoted}", "code": "invalid_api_key"}
        body = json.dumps({"type": "error", "error": error}).encode()
        plain = {"content-type": "application/json"}
        match self.mode:
            case "html":
                return 502, {"content-type": "text/html"}, f"<h1>{quoted}</h1>".encode()
            case "moved":
                return 302, {"location": f"http://elsewhere/?q={quoted}"}, b""
            case "embedded":
                return 200, plain, json.dumps({"error": {"code": 401, "message": quoted}}).encode()
            case "nonsense":
                return 200, {"content-type": "application/json"}, f"{quoted} is no JSON".encode()
            case "garbled":
                return 200, {"content-type": "text/event-stream"}, f"data: {quoted}\n\n".encode()
            case "stream":
                event = b"event: error\ndata: " + body + b"\n\n"
                return 200, {"content-type": "text/event-stream"}, event
            case "headers":
                return 500, {**plain, "x-request-id": quoted, "request-id": quoted}, b"{}"
            case status:
                return int(status), plain, body


MODES = (
    "400",
    "401",
    "403",
    "404",
    "429",
    "500",
    "529",
    "html",
    "moved",
    "embedded",
    "nonsense",
    "stream",
    "garbled",
)


@contextmanager
def shouting() -> Iterator[Parrot]:
    """A `Parrot` on the loopback interface."""
    parrot = Parrot()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parrot.posted = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            parrot.seen.append((self.path, headers))
            status, names, body = parrot.answer(self.path, headers)
            self.send_response(status)
            for name, value in {**names, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="parrot")
    thread.start()
    parrot.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield parrot
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def tree(url: str, **more: object) -> dict[str, object]:
    """Settings with the canary in every slot, each kind of provider at *url*."""
    settings: dict[str, object] = {
        "default": "openai:m",
        "server.api_keys": [f"{CANARY}-server-1", f"{CANARY}-server-2"],
        "server.metrics_key": f"{CANARY}-metrics",
        "server.admin_key": f"{CANARY}-admin",
        "tenants.acme.api_key": f"{CANARY}-tenant",
        "otel.headers": {"authorization": f"Bearer {CANARY}-otel"},
        "timeouts.connect": 2,
        "resilience.max_attempts": 1,
    }
    for kind in HOSTS:
        settings |= {
            f"providers.{kind}.kind": kind,
            f"providers.{kind}.base_url": url + BASES.get(kind, ""),
            f"providers.{kind}.api_key": CANARY,
            f"providers.{kind}.headers": {"x-team-token": f"{CANARY}-header"},
            f"providers.{kind}.project": "p",
        }
    return settings | more


def canaries(text: str | bytes) -> list[str]:
    """Where a marker shows, with what stands around it."""
    said = text.decode("latin-1") if isinstance(text, bytes) else text
    marks = ("9f3Kz7Q", "8g4Lw6R")  # enough of each to know it by, however the rest is spelled
    return [said[max(0, i - 60) : i + 40] for mark in marks if (i := said.find(mark)) != -1]
