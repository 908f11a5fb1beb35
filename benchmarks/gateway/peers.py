"""The peers that install from the registries, configured to do as little as they can.

*folder* holds what `noxfile.py` installed: ``node_modules`` (Portkey, claude-code-router) and
``litellm`` (a virtual environment).  A peer that is not there is left out, and the report says so.
"""

import json
import shutil
import socket
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from targets import Running, ready

Warm = tuple[str, bytes]
Starter = Callable[..., AbstractContextManager[Running]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


@contextmanager
def portkey(
    up: str, warm: Warm, *, cpu: int, installed: Path, folder: Path
) -> Generator[Running, None, None]:
    """Portkey's gateway: no routing, no ledger.  It takes its target from headers."""
    del folder
    port = free_port()
    script = installed / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    headers = {
        "x-portkey-provider": "anthropic",
        "x-portkey-custom-host": f"{up}/v1",
        "x-api-key": "none",
        "authorization": "Bearer none",
    }
    command = [_node(), str(script), f"--port={port}", "--headless"]
    with ready(
        "Portkey", command, cpu=cpu, warm=warm, url=f"http://127.0.0.1:{port}", headers=headers
    ) as running:
        yield running


@contextmanager
def claude_code_router(
    up: str, warm: Warm, *, cpu: int, installed: Path, folder: Path
) -> Generator[Running, None, None]:
    """claude-code-router: Messages to Messages, one provider."""
    port = free_port()
    home = folder / "ccr"
    (home / ".claude-code-router").mkdir(parents=True, exist_ok=True)
    provider = {
        "name": "up", "api_base_url": f"{up}/v1/messages", "api_key": "none", "models": ["small"],
        "transformer": {"use": ["Anthropic"]},
    }  # fmt: skip
    settings = {"PORT": port, "LOG": False, "Providers": [provider], "Router": {"default": "up,small"}}
    (home / ".claude-code-router" / "config.json").write_text(json.dumps(settings))
    command = [_node(), str(installed / "node_modules" / ".bin" / "ccr"), "start"]
    env = {"HOME": str(home), "SERVICE_PORT": str(port)}
    with ready(
        "claude-code-router", command, cpu=cpu, warm=warm, url=f"http://127.0.0.1:{port}", env=env
    ) as running:
        yield running


@contextmanager
def litellm(
    up: str, warm: Warm, *, cpu: int, installed: Path, folder: Path
) -> Generator[Running, None, None]:
    """LiteLLM's proxy, one worker, one model."""
    port = free_port()
    config = folder / "litellm.yaml"
    params = {"model": "anthropic/claude-haiku-4-5", "api_base": up, "api_key": "none"}
    config.write_text(json.dumps({"model_list": [{"model_name": "auto", "litellm_params": params}]}))
    command = [str(installed / "litellm" / "bin" / "litellm"), "--config", str(config), "--port", str(port)]
    # Otherwise it fetches its price list from the network while it is imported.
    env = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    with ready(
        "LiteLLM", command, cpu=cpu, warm=warm, url=f"http://127.0.0.1:{port}", env=env, patience=120.0
    ) as running:
        yield running


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        raise FileNotFoundError("node is not installed; the peers written in it cannot be measured")
    return found


PEERS: dict[str, tuple[Starter, Path]] = {
    "portkey": (portkey, Path("node_modules", "@portkey-ai", "gateway")),
    "claude-code-router": (claude_code_router, Path("node_modules", "@musistudio", "claude-code-router")),
    "litellm": (litellm, Path("litellm", "bin", "litellm")),
}
