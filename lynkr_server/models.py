"""``GET /v1/models``, in both dialects' shapes.

Anthropic: "List Models" (type, id, display_name, created_at, has_more, first_id, last_id);
OpenAI: "List models" (object, id, created, owned_by) (both read 2026-11).
"""

from collections.abc import Sequence
from typing import Final

# The list describes configuration, not releases, so there is no true date: the epoch says "unknown".
_UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"


def model_list(names: Sequence[str], *, anthropic: bool) -> dict[str, object]:
    """The models a client may ask for."""
    if not anthropic:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "lynkr"} for name in names]
        return {"object": "list", "data": data}
    return {
        "data": [
            {"type": "model", "id": name, "display_name": name, "created_at": _UNKNOWN_DATE} for name in names
        ],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
