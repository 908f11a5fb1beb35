"""Tables and figures for people."""

import json
from collections.abc import Iterable, Sequence

_RIGHT = frozenset({"score", "requests", "input", "output", "tokens", "cost", "saved", "flagship"})


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns under *header*; columns named like figures are set flush right."""
    lines = [tuple(header), *(tuple(map(printable, row)) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in _RIGHT else cell.ljust(width)
            for cell, width, name in zip(line, widths, header, strict=True)
        ).rstrip()
        for line in lines
    )


def printable(text: str) -> str:
    """*text* on one line and harmless to a terminal: what does not print is escaped."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def shortened(text: str, width: int) -> str:
    """At most *width* signs, the end cut off and marked."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def dollars(microusd: int | None) -> str:
    """Micro-USD as dollars, exact; unknown is said to be unknown."""
    if microusd is None:
        return "unknown"
    sign = "-" if microusd < 0 else ""
    whole, rest = divmod(abs(microusd), 1_000_000)
    return f"{sign}${whole:,}.{rest:06d}"


def count(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def percent(part: int, whole: int) -> str:
    """*part* of *whole*; nothing of nothing is no share."""
    return "–" if whole == 0 else f"{100 * part / whole:.1f} %"


def json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(", ", ": "))
