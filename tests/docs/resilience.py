"""Draws the tables of `lynkr.resilience` into docs/resilience.md: ``python -m tests.docs.resilience``."""

import re
from collections.abc import Iterable
from pathlib import Path

from lynkr.model import WireFormat
from lynkr.resilience import admission, breaker, verdicts
from lynkr.resilience.families import FAMILY_VERDICTS, STATUS_VERDICTS
from lynkr.resilience.verdicts import Verdict
from tests.docs.losses import NAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "resilience.md"
# What is done about each verdict, in the order the page lists them.
MEANINGS: tuple[tuple[str, Verdict, str], ...] = (
    ("failed", verdicts.FAILED, "the same target again, or the next; counts against the target"),
    ("slow", verdicts.SLOW, "the next target, else the same again; counts against the target"),
    (
        "busy key",
        verdicts.BUSY_KEY,
        "the same again after its hint, or the next; counts against the credential",
    ),
    ("dead key", verdicts.DEAD_KEY, "the next, this provider's others last; counts against the credential"),
    ("forbidden", verdicts.FORBIDDEN, "the next target"),
    ("unsuitable", verdicts.UNSUITABLE, "the next target"),
    ("caller's fault", verdicts.CALLERS_FAULT, "told at once"),
)


def _diagram(edges: Iterable[tuple[object, object, str]]) -> str:
    """A state diagram; None is the beginning."""
    lines = [f"    {source or '[*]'} --> {target}: {when}" for source, target, when in edges]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _errors() -> str:
    rows = [
        "| verdict | what is done | by status, in every family | by the family's own word |",
        "|---|---|---|---|",
    ]
    for name, verdict, done in MEANINGS:
        statuses = [str(code) for code, found in STATUS_VERDICTS.items() if found is verdict]
        if verdict is verdicts.FAILED:
            statuses += ["5xx", "a malformed answer", "an error event in a stream"]
        if verdict is verdicts.UNSUITABLE:
            statuses += ["other 4xx", "a context overflow"]
        if verdict is verdicts.SLOW:
            statuses += ["any timeout", "no connection (and this provider's others last)"]
        words = [
            f"{NAMES[WireFormat(family)]}: "
            + ", ".join(f"`{word}`" for word in table if table[word] is verdict)
            for family, table in FAMILY_VERDICTS.items()
            if family != WireFormat.OPENAI_RESPONSES and verdict in table.values()
        ]
        rows.append(f"| {name} | {done} | {', '.join(statuses)} | {'; '.join(words)} |")
    rows.append("| a loop | told at once | 508 | |")
    return "\n".join(rows)


SECTIONS = {
    "errors": _errors(),
    "breaker": _diagram(breaker.TRANSITIONS),
    "admission": _diagram(admission.TRANSITIONS),
}


def page(text: str) -> str:
    """*text* with every section drawn anew."""
    for name, drawn in SECTIONS.items():
        pattern = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- /{name} -->)"
        text, count = re.subn(
            pattern, lambda found, d=drawn: f"{found[1]}{d}\n{found[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"{PAGE} has no section {name}")
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
