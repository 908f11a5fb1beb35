"""How many gateways a request has come through, so that one which is its own upstream is found out.

Each gateway sends ``x-lynkr-hops`` upstream, one more than it was sent.  A
gateway pointed at itself, directly or through another, would otherwise pass a
request round until every place is taken.
"""

from collections.abc import Mapping
from typing import Final

from lynkr.errors import LoopDetected
from lynkr.service import HOPS_HEADER

MOST_HOPS: Final = 4


def hops_of(headers: Mapping[str, str]) -> int:
    """Gateways a request has come through, by its headers (names in lower case); 0 for what is no number."""
    text = headers.get(HOPS_HEADER)
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else 0


def refuse_loop(headers: Mapping[str, str], most: int = MOST_HOPS) -> None:
    """Refuse a request that has come through too many gateways.

    Raises:
        LoopDetected: it has come through *most* already.
    """
    if HOPS_HEADER in headers and (hops := hops_of(headers)) >= most:
        raise LoopDetected(hops)


def next_hop(headers: Mapping[str, str]) -> str:
    """What to send upstream."""
    return str(hops_of(headers) + 1)
