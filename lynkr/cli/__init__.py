"""The ``lynkr`` command.  One module per subcommand, loaded when it is asked for."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, cast

from lynkr import __version__
from lynkr.errors import ConfigError, LynkrError

if TYPE_CHECKING:
    import argparse

__all__ = ["main"]

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "serve": "run the gateway",
        "check": "say what is configured and what each tier lacks",
        "key": "make an API key for a client, and the hash that the settings hold",
        "route": "show where a prompt would go, and why",
        "why": "explain a recorded decision, and what would have changed it",
        "replay": "decide recorded requests again by another policy, and compare the costs",
        "logs": "list the newest requests of the ledger",
        "prices": "show or refresh the price snapshot",
        "usage": "sum up the ledger: tokens, cost, savings by tier, model, day ...",
        "export": "write the ledger's records as CSV, JSON Lines or Parquet",
        "ledger": "show what the ledger holds, or give room back to the disk",
        "statusline": "print one line about a session for Claude Code's status line",
        "demo": "run the whole thing on this machine, without a key",
    }
)


class Command(Protocol):
    """What a subcommand's module offers."""

    def configure(self, parser: "argparse.ArgumentParser", /) -> None: ...

    def run(self, arguments: "argparse.Namespace", /) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``lynkr ARGV`` and give its exit status.

    0 is success, 1 a failure that standard error says in a line, 2 wrong usage
    or wrong settings, 130 an interruption.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(words)
        sys.stdout.flush()
    except ConfigError as error:
        return _complain(error, 2)
    except LynkrError as error:
        return _complain(error, 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has gone (`| head`): nothing is left to say, nor may the interpreter try on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run(words: Sequence[str]) -> int:
    if words == ["statusline"]:
        # Claude Code waits for it, and loading the parser would take a third of its time.
        from lynkr.cli import statusline  # noqa: PLC0415  # reason: only where it is asked for

        return statusline.print_line()
    parser, commands = _parser(words)
    arguments = parser.parse_args(words)
    return commands[arguments.command].run(arguments)


def _parser(words: Sequence[str]) -> "tuple[argparse.ArgumentParser, Mapping[str, Command]]":
    """The parser; only the subcommand in *words* has its options, the others only their line of help."""
    import argparse  # noqa: PLC0415  # reason: a third of the time of `lynkr statusline`, which needs none

    parser = argparse.ArgumentParser(
        prog="lynkr", description="Send each LLM request to the cheapest model that will do it well."
    )
    parser.add_argument("--version", action="version", version=f"lynkr {__version__}")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((word for word in words if not word.startswith("-")), None)
    loaded: dict[str, Command] = {}
    for name, line in COMMANDS.items():
        below = choices.add_parser(name, help=line, description=f"{line[0].upper()}{line[1:]}.")
        if name == chosen:
            loaded[name] = cast("Command", import_module(f"lynkr.cli.{name}"))
            loaded[name].configure(below)
    return parser, loaded


def _complain(error: LynkrError, status: int) -> int:
    for line in str(error).splitlines():
        print(f"lynkr: {line}", file=sys.stderr)
    return status
