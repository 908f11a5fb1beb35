"""How long a provider asks us to wait, in every form it says so.

In order of precedence, the first that can be read wins:

- ``retry-after-ms``: milliseconds (Azure OpenAI; both official SDKs read it)
- ``retry-after``: seconds, or an HTTP date (RFC 9110, 10.2.3 and 5.6.7)
- ``anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-reset``:
  RFC 3339; ``anthropic-ratelimit-unified-reset``: Unix seconds, RFC 3339 seen too
- ``x-ratelimit-reset-{requests,tokens}``: ``1s``, ``6m0s``, ``20ms`` from now
  (OpenAI, Azure)

(read 2026-11: the SDKs' `_parse_retry_after_header`, OpenAI's rate-limit guide,
captured Anthropic headers in public issue threads.)

The reset headers tell when a budget is *full* again and come with every
answer, so one counts only where its own ``remaining`` is not known to be above
zero; with several spent budgets the latest reset counts, because the limits
hold together.  Ask only about answers that mean "later": 429, 503 and 529.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Final

LONGEST: Final = 7 * 86_400.0
"""Seconds; no provider has a longer quota window.  A longer wait is told as this long."""

_PARTS: Final = (
    r"(?:(\d{1,9}(?:\.\d{1,9})?)h)?(?:(\d{1,9}(?:\.\d{1,9})?)m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?"
)
_DURATION: Final = re.compile(_PARTS + r"(?:(\d{1,9}(?:\.\d{1,9})?)ms)?", re.ASCII)
_SECONDS: Final = re.compile(r"\d{1,12}(?:\.\d{0,9})?", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# The three forms of RFC 9110, 5.6.7; a recipient must accept them all.
_HTTP_DATES: Final = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_TIME} GMT",
        rf"[A-Z][a-z]{{5,8}}, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{{2}})-(?P<year>\d\d) {_TIME} GMT",
        rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_ANTHROPIC: Final = ("requests", "tokens", "input-tokens", "output-tokens", "unified")
_OPENAI: Final = ("requests", "tokens")


def wait_hint(headers: Mapping[str, str], now_unix: float) -> float | None:
    """Seconds to wait, from 0 to `LONGEST`; None when the headers do not say.

    *headers* have lower-case names; *now_unix* is the wall clock, against which
    dates are read.  A date that has passed is 0.
    """
    for value in _asked(headers, now_unix):
        if value is not None:
            return value
    resets = [seconds for spent, seconds in _resets(headers, now_unix) if spent and seconds is not None]
    return max(resets, default=None)


def _asked(headers: Mapping[str, str], now_unix: float) -> Iterator[float | None]:
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None:
        number = _number(milliseconds)
        yield None if number is None else _sane(number / 1000)
    text = headers.get("retry-after")
    if text is not None:
        number = _number(text)
        yield _sane(number) if number is not None else _until(http_date(text), now_unix)


def _resets(headers: Mapping[str, str], now_unix: float) -> Iterator[tuple[bool, float | None]]:
    for name in _ANTHROPIC:
        text = headers.get(f"anthropic-ratelimit-{name}-reset")
        if text is not None:
            spent = _is_spent(headers, f"anthropic-ratelimit-{name}")
            yield spent, _until(_instant(text), now_unix)
    for name in _OPENAI:
        text = headers.get(f"x-ratelimit-reset-{name}")
        if text is not None:
            yield _is_zero_or_absent(headers.get(f"x-ratelimit-remaining-{name}")), duration(text)


def _is_spent(headers: Mapping[str, str], prefix: str) -> bool:
    status = headers.get(f"{prefix}-status")  # the unified windows have a status, not a count
    if status is not None:
        return status.strip() == "rejected"
    return _is_zero_or_absent(headers.get(f"{prefix}-remaining"))


def _is_zero_or_absent(remaining: str | None) -> bool:
    if remaining is None:
        return True
    number = _number(remaining)
    return number is None or number <= 0


def duration(text: str) -> float | None:
    """Seconds in ``1h2m3s``, ``6m0s``, ``20ms``, ``7.66s``; None for anything else."""
    text = text.strip()
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return _sane(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000)


def http_date(text: str) -> float | None:
    """Unix seconds of an HTTP date in any of its three forms; None for anything else."""
    text = text.strip()
    for form in _HTTP_DATES:
        found = form.fullmatch(text)
        if found is not None and found["month"] in _MONTHS:
            year, month = int(found["year"]), _MONTHS.index(found["month"]) + 1
            if year < 100:  # RFC 850 dates; the sliding rule of RFC 9110 needs a clock, this pivot does not
                year += 2000 if year < 70 else 1900
            hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
            try:
                return datetime(
                    year, month, int(found["day"]), hour, minute, min(second, 59), tzinfo=UTC
                ).timestamp()
            except ValueError:  # the 31st of February
                return None
    return None


def _instant(text: str) -> float | None:
    """Unix seconds of an RFC 3339 date or of a plain number."""
    number = _number(text)
    if number is not None:
        return number
    text = text.strip()
    if len(text) > 40 or "T" not in text.upper():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None  # RFC 3339 requires an offset; guessing one would be wrong by hours
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        return None


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _SECONDS.fullmatch(text) else None


def _until(moment: float | None, now_unix: float) -> float | None:
    return None if moment is None else _sane(max(0.0, moment - now_unix))


def _sane(seconds: float) -> float | None:
    return min(seconds, LONGEST) if isfinite(seconds) and seconds >= 0 else None
