"""Server-sent events cut between two events, without a look into them."""

from lynkr.errors import UpstreamWireError
from lynkr.wire.sse import MAX_FRAME_BYTES


class FrameGate:
    """Lets server-sent events through whole, so that what was let through always ends between two.

    Then a ping or an error event may follow at any time, also when the
    provider's connection breaks in the middle of an event.  No byte is changed.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        """As much of what was fed as ends with a blank line.

        Raises:
            UpstreamWireError: more than `MAX_FRAME_BYTES` came without one.
        """
        held = self._held
        if not held and data.endswith(b"\n\n"):
            return data
        if len(held) > MAX_FRAME_BYTES:
            held.clear()
            raise UpstreamWireError(f"an event of the stream is larger than {MAX_FRAME_BYTES} bytes")
        # A blank line may straddle the seam, but by no more than three bytes.
        searched = max(0, len(held) - 3)
        held += data
        end = max(
            (
                found + len(mark)
                for mark in (b"\n\n", b"\n\r\n", b"\r\r")
                if (found := held.rfind(mark, searched)) != -1
            ),
            default=0,
        )
        passed = bytes(held[:end])
        del held[:end]
        return passed

    def rest(self) -> bytes:
        """What is left when the stream ended well."""
        rest = bytes(self._held)
        self._held.clear()
        return rest
