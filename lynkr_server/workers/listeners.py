"""The port that several workers share."""

import socket
import sys
from collections.abc import Sequence
from typing import Final

from lynkr_server.server import BACKLOG, listen

# On Linux the kernel spreads connections evenly over the sockets bound to one port (socket(7), read 2026-11);
# elsewhere the option exists too, and the last one bound gets them all.
_SPREADS: Final = sys.platform == "linux"


class Listeners:
    """Listening sockets for *workers* of them, on every address that *host* stands for.

    Raises:
        OSError: the port is taken, or *host* is no address of this machine.
    """

    def __init__(self, host: str, port: int, workers: int) -> None:
        first = listen(host, port)
        if not _SPREADS:
            self._groups: list[list[socket.socket]] = [first] * workers
        else:
            # Bound without the option first: with it, a port that another server shares out would be joined.
            self._addresses = [(bound.family, bound.getsockname()) for bound in first]
            for bound in first:
                bound.close()
            self._groups = []
            try:
                for _ in range(workers):
                    self._groups.append(self._bind())
            except BaseException:
                self.close()
                raise

    def _bind(self) -> list[socket.socket]:
        bound: list[socket.socket] = []
        try:
            for family, address in self._addresses:
                bound.append(
                    socket.create_server(address[:2], family=family, backlog=BACKLOG, reuse_port=True)
                )
        except BaseException:
            for one in bound:
                one.close()
            raise
        return bound

    def of(self, number: int) -> Sequence[socket.socket]:
        """Those of a worker; opened anew if they rested.

        Raises:
            OSError: they cannot be opened any more.
        """
        if not self._groups[number]:
            self._groups[number] = self._bind()
        return self._groups[number]

    def rest(self, number: int) -> None:
        """Have nobody sent to a worker that is not there for a while."""
        if _SPREADS:
            for bound in self._groups[number]:
                bound.close()
            self._groups[number] = []

    def keep_only(self, number: int | None) -> None:
        """In a child: close those of other workers."""
        if _SPREADS or number is None:
            for other, group in enumerate(self._groups):
                if other != number:
                    for bound in group:
                        bound.close()

    def close(self) -> None:
        """Close this process' copies."""
        for group in self._groups:
            for bound in group:
                bound.close()
