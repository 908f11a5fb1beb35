"""What every Python driver does: one scenario by name, one JSON line about how it went."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

URL = os.environ["LYNKR_URL"]  # noqa: TID251 - a program of its own
KEY = os.environ["LYNKR_KEY"]  # noqa: TID251
MODEL = "auto"
PROMPT = sys.argv[2]
DIALECT = sys.argv[3] if len(sys.argv) > 3 else ""


def write_file(path: str, content: str) -> str:
    """Write text to a file.

    Args:
        path: the file
        content: all of its text
    """
    Path(path).write_text(content, encoding="utf-8")
    return f"wrote {path}"


def read_file(path: str) -> str:
    """Read a file.

    Args:
        path: the file
    """
    return Path(path).read_text(encoding="utf-8")


TOOLS = {"write_file": write_file, "read_file": read_file}


def main(scenarios: Mapping[str, Callable[[], Any | Awaitable[Any]]]) -> None:
    report: dict[str, Any] = {"text": None, "error": None}
    try:
        scenario = scenarios[sys.argv[1]]
        report["text"] = asyncio.run(scenario()) if asyncio.iscoroutinefunction(scenario) else scenario()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the report
        report["error"] = {
            "kind": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "message": str(error),
        }
    print(json.dumps(report))
