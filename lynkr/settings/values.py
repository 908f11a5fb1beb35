"""How single values are read: TOML gives them typed, the environment gives text.

TOML values are taken at their word (``port = "8081"`` is refused, ``true`` is
no number); text from the environment is parsed.  No error shows the value.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from math import isfinite
from pathlib import Path
from typing import Any, Final, cast

from lynkr.resilience.protocols import BreakerState
from lynkr.routing.decision import Target, Tier
from lynkr.secret import Secret
from lynkr.settings.problems import BadValueError, did_you_mean


class EnvironmentText(str):
    """Text that came from the environment, so that numbers and the like are read out of it."""

    __slots__ = ()


_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_NONE: Final = "none"
_FORCED: Final = ("forced_open", "disabled", "metrics_only")


def as_table(value: object) -> dict[str, Any] | None:
    """*value* if it is a table, else None."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object] | None:
    """*value* if it is a list, else None."""
    return cast("list[object]", value) if isinstance(value, list) else None


def read_text(value: object, _: object = None) -> str:
    if not isinstance(value, str):
        raise BadValueError("is not text", "write it in quotes")
    if not value.strip():
        raise BadValueError("is empty", "write a value, or leave the key out")
    return str(value).strip()


def read_secret(value: object, _: object = None) -> Secret:
    return Secret(read_text(value))


def read_bool(value: object, _: object = None) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvironmentText):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    raise BadValueError("is neither true nor false", "write true or false")


def read_optional_bool(value: object, _: object = None) -> bool | None:
    return None if value is None else read_bool(value)


def read_int(value: object, _: object = None) -> int:
    if isinstance(value, EnvironmentText):
        try:
            value = int(value)
        except ValueError:
            value = None
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadValueError("is not a whole number", "write a whole number without quotes")
    if value < 0:
        raise BadValueError("is below zero", "write a number from 0 up")
    return value


def read_decimal(value: object, _: object = None) -> Decimal:
    if isinstance(value, EnvironmentText):
        try:
            value = Decimal(value)
        except InvalidOperation:
            value = None
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not isinstance(value, Decimal) or not value.is_finite():
        raise BadValueError("is not a number", "write a number without quotes")
    if value < 0:
        raise BadValueError("is below zero", "write a number from 0 up")
    return value


def read_float(value: object, _: object = None) -> float:
    number = float(read_decimal(value))
    if not isfinite(number):
        raise BadValueError("is too large", "write a smaller number")
    return number


def read_optional_float(value: object, _: object = None) -> float | None:
    """TOML has no null: "none" lifts a limit."""
    if value is None or (isinstance(value, str) and value.strip().lower() == _NONE):
        return None
    try:
        return read_float(value)
    except BadValueError as error:
        raise BadValueError(error.message, f'{error.fix}, or "none" for no limit') from error


def read_optional_int(value: object, _: object = None) -> int | None:
    """As `read_int`, or ``"none"``."""
    return None if value is None or (isinstance(value, str) and value == _NONE) else read_int(value)


def read_path(value: object, _: object = None) -> Path:
    return Path(read_text(value))


def read_target(value: object, _: object = None) -> Target:
    text = read_text(value)
    try:
        return Target.parse(text)
    except ValueError as error:
        raise BadValueError(f'names "{text}", which is not provider:model', "write provider:model") from error


def read_targets(value: object, _: object = None) -> tuple[Target, ...]:
    """One target, or several in order."""
    items: Sequence[object] = (
        _comma_list(value) or as_list(value) or ([value] if isinstance(value, str) else ())
    )
    if not items:
        raise BadValueError(
            "is not a target or a list of them", 'write "provider:model" or ["provider:model", ...]'
        )
    return tuple(dict.fromkeys(read_target(item) for item in items))


def read_texts(value: object, _: object = None) -> tuple[str, ...]:
    """A list of texts; it may be empty."""
    items: Sequence[object] | None = _comma_list(value) or as_list(value)
    if items is None:
        raise BadValueError("is not a list of texts", 'write ["...", "..."]')
    return tuple(dict.fromkeys(read_text(item) for item in items))


def read_optional_texts(value: object, _: object = None) -> tuple[str, ...] | None:
    return None if value is None else read_texts(value)


def read_secrets(value: object, _: object = None) -> tuple[Secret, ...]:
    items: Sequence[object] | None = _comma_list(value) or as_list(value)
    if items is None:
        raise BadValueError("is not a list of keys", "write a list of texts")
    return tuple(read_secret(item) for item in items)


def _comma_list(value: object) -> list[str]:
    """The items of an environment variable; empty for anything else."""
    if not isinstance(value, EnvironmentText):
        return []
    return [item for item in value.split(",") if item.strip()]


def read_tier(value: object, _: object = None) -> Tier:
    names = [tier.name for tier in Tier]
    if not isinstance(value, str) or value not in names:
        raise BadValueError("is not a tier", did_you_mean(str(value), names))
    return Tier[value]


def read_forced_state(value: object, _: object = None) -> BreakerState:
    """A state that an owner may force a breaker to be in."""
    if not isinstance(value, str) or value not in _FORCED:
        raise BadValueError("is no state to force a breaker into", did_you_mean(str(value), _FORCED))
    return BreakerState(value)


def require_table(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadValueError("is not a table", "write it as a [section] with keys of its own")
    return cast("Mapping[str, Any]", value)
