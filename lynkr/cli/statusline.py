"""``lynkr statusline``: one line about a session, for Claude Code's status line.

Claude Code runs the command after each message and shows the first line it
prints; on standard input it gives a JSON object with ``session_id`` and more
(code.claude.com/docs/en/statusline, read 2026-11).  It must never fail its
host: whatever happens, one sane line is printed and the status is 0.

It starts anew each time, so it loads next to nothing: neither the settings nor
the store, only the path of the ledger and a few columns of its table of
requests.  These columns are part of the first migrations and never change.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lynkr.process import find_file, ledger_file, process_environment

if TYPE_CHECKING:
    import argparse

_PATIENCE: Final = 0.05  # seconds to wait for the host's JSON, and for a locked ledger
_MOST_BYTES: Final = 1 << 20
_NOTHING: Final = "lynkr · no requests yet"
_LONGEST: Final = 48

# Sessions are kept as [tenant:]session[/agent] (`lynkr.routing.context.SessionKey`): all agents of one count.
_OF_SESSION: Final = "(session = :id OR (session >= :id || '/' AND session < :id || '0'))"
_SUMS: Final = f"""
    SELECT count(*), sum(coalesce(cost_microusd, 0) + coalesce(overhead_microusd, 0)),
        sum(baseline_microusd - cost_microusd - coalesce(overhead_microusd, 0)),
        sum(baseline_microusd) FILTER (WHERE cost_microusd IS NOT NULL),
        sum(cost_microusd IS NULL AND ending = 'ok'),
        sum(cache_read_tokens), sum(input_tokens) FILTER (WHERE cache_read_tokens IS NOT NULL)
    FROM requests WHERE {_OF_SESSION}
"""  # noqa: S608 - constants
_LAST: Final = f"""
    SELECT tier, served_tier, provider, model, ending FROM requests
    WHERE {_OF_SESSION} ORDER BY at DESC, seq DESC LIMIT 1
"""  # noqa: S608 - constants


def configure(parser: "argparse.ArgumentParser") -> None:
    """Add the options of ``lynkr statusline``."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="as for the other commands")


def run(arguments: "argparse.Namespace") -> int:
    """Print the line; 0 always."""
    return print_line(arguments.config)


def print_line(config: Path | None = None) -> int:
    """Print the line for what standard input says; 0 always."""
    print(line_of(_read_stdin(), process_environment(), config))
    return 0


def line_of(payload: bytes, environ: Mapping[str, str], config: Path | None = None) -> str:
    """The line for what the host said; never raises."""
    try:
        session = _session_of(payload)
        if session is None:
            return _NOTHING
        path = _ledger(environ, config)
        if path is None or not path.is_file():
            return _NOTHING
        return _told(path, session)
    except Exception as error:  # noqa: BLE001  # reason: an edge; the host shows what went wrong, and goes on
        return f"lynkr · {type(error).__name__}: {_plain(str(error))}"


def _session_of(payload: bytes) -> str | None:
    try:
        said: Any = json.loads(payload)
    except ValueError:
        return None
    match said:
        case {"session_id": str(session)} if session:
            return session
        case _:
            return None


def _ledger(environ: Mapping[str, str], config: Path | None) -> Path | None:
    """Where the gateway writes: as the settings say it, without reading the rest of them."""
    named = environ.get("LYNKR_TELEMETRY_PATH", "").strip()
    file = find_file(environ) if config is None else config
    if not named and file is not None and file.is_file():
        import tomllib  # noqa: PLC0415  # reason: only where there is a file

        match tomllib.loads(file.read_text("utf-8")):
            case {"telemetry": {"path": str(path)}}:
                named = path
            case _:
                pass
    if named == ":memory:":
        return None
    return Path(named).expanduser().absolute() if named else ledger_file(environ)


def _told(path: Path, session: str) -> str:
    import sqlite3  # noqa: PLC0415  # reason: only where there is a ledger

    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
    try:
        connection.execute("BEGIN")
        sums = connection.execute(_SUMS, {"id": session}).fetchone()
        last = connection.execute(_LAST, {"id": session}).fetchone()
    finally:
        connection.close()
    return _NOTHING if last is None else as_line(sums, last)


def as_line(sums: tuple[int | None, ...], last: tuple[str | None, ...]) -> str:
    """The sums of a session and its last request, in a line.

    Saved is against the flagship, over the requests whose cost and baseline are known;
    a loss is shown as one.  A plus sign says that the cost of some requests is not known.
    """
    requests, cost, saved, baseline, unpriced, cached, measured = sums
    tier, served_tier, provider, model, ending = last
    target = "nothing was served" if provider is None else _plain(f"{provider}:{model}")
    name = "named" if tier is None else tier if served_tier in (None, tier) else f"{tier}→{served_tier}"
    parts = [f"lynkr {name} {target}", f"{_dollars(cost or 0)}{'+' if unpriced else ''} in {requests}"]
    if saved is not None and baseline:
        word = "saved" if saved >= 0 else "lost"
        parts.append(f"{word} {_dollars(abs(saved))} ({100 * saved / baseline:.0f} %)")
    if cached is not None and measured:
        parts.append(f"cache {100 * cached / measured:.0f} %")
    if ending == "failed":
        parts.append("last failed")
    return " · ".join(parts)


def _dollars(microusd: int) -> str:
    return f"${microusd / 1e6:,.4f}" if microusd < 1_000_000 else f"${microusd / 1e6:,.2f}"


def _plain(text: str) -> str:
    """On one line, harmless to a terminal, and not too long."""
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _read_stdin() -> bytes:
    """What the host wrote, or what came of it until patience ran out.

    Read below Python's own buffer, whose lock a thread that is still reading
    would hold when the interpreter ends.
    """
    try:
        descriptor = sys.stdin.fileno()
        if os.isatty(descriptor):
            return b""
    except (AttributeError, OSError, ValueError):
        return b""
    pieces: list[bytes] = []

    def read() -> None:
        left = _MOST_BYTES
        while left and (piece := os.read(descriptor, min(left, 65_536))):
            pieces.append(piece)
            left -= len(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(_PATIENCE)
    return b"".join(pieces)
