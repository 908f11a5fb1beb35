"""The dashboard, and dialects few gateways speak, are loaded when they are first needed."""

import asyncio
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from lynkr.assembly import build_gateway
from lynkr.process import process_environment
from lynkr_server.dashboard.late import LateDashboard
from lynkr_server.http import Incoming
from tests.gateway.house import settings_for

SERVER = """
import sys
import lynkr_server.__main__
late = ("lynkr_server.dashboard.pages", "lynkr.replay", "lynkr.wire.gemini.codec", "lynkr.wire.bedrock.codec",
        "lynkr.wire.ollama.codec")
assert not [name for name in late if name in sys.modules]
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.ollama import OllamaChatCodec
from lynkr_server.dashboard import Dashboard
assert not [name for name in late if name not in sys.modules]
"""


def test_a_server_that_starts_loads_none_of_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVER],
        env=dict(process_environment()),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_it_answers_for_its_paths_by_the_newest_settings(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    off = settings_for(url, **{"telemetry.path": str(tmp_path / "ledger.sqlite3")})
    on = settings_for(
        url, **{"server.admin_key": "k" * 20, "telemetry.path": str(tmp_path / "ledger.sqlite3")}
    )
    late = LateDashboard(off, clock=lambda: 5.0)
    assert late.owns("/dashboard")
    assert late.owns("/dashboard/api/login")
    assert not late.owns("/dashboards")

    async def status(path: str) -> int:
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "path": path, "method": "GET", "headers": [], "client": ("127.0.0.1", 1)}
        async with build_gateway(off) as gateway:
            both = [late.serve(Incoming(scope, receive, send, {}), gateway, 0) for _ in range(2)]
            await asyncio.gather(*both)
        first, second = (message["status"] for message in sent if "status" in message)
        assert first == second
        assert isinstance(first, int)
        return first

    late.obey(on)
    assert asyncio.run(status("/dashboard")) == 200
    late.obey(off)
    assert asyncio.run(status("/dashboard")) == 403
