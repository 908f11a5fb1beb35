"""The ledger's JSON: compact text for a cell, whatever a record carries.

By msgspec where it is installed, in a tenth of the time; what either writes
reads back as the same value (`tests/telemetry/test_json_cells.py`).  Nothing is refused: NaN and
infinity, which JSON cannot say, are null; what is no JSON is written by its text.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, cast

from lynkr.wire.quick_json import quick_json


def json_cell(value: object) -> str:
    """*value* as compact JSON."""
    written = None if _QUICK is None else _quickly(value)
    return _carefully(value) if written is None else written


def _quickly(value: object) -> str | None:
    """By msgspec; None for what it will not write: half a surrogate pair, an integer beyond 64 bits."""
    if _QUICK is None:
        return None
    try:
        return _QUICK.write(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None


def _carefully(value: object) -> str:
    try:
        return _encode(value)
    except ValueError:
        return _encode(_finite(value))


def _finite(value: object) -> object:
    """*value* with null for floats that JSON cannot say."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in cast("Mapping[str, object]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in cast("Sequence[object]", value)]
    return value


def _plain(value: object) -> object:
    """Mappings and sequences of any class as JSON; whatever else a step carries by its text."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    if isinstance(value, Sequence):
        return list(cast("Sequence[object]", value))
    return str(value)


# One for all: `json.dumps` makes an encoder of its own on each call.
_encode: Final = json.JSONEncoder(default=_plain, separators=(",", ":"), allow_nan=False).encode
_QUICK: Final = quick_json(float, _plain)
