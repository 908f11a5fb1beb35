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
        if not held:
            if data.endswith(b"\n\n"):
                return data
            end = _end_of_frames(data, 0)
            held += data[end:]
            return data[:end]
        if len(held) > MAX_FRAME_BYTES:
            held.clear()
            raise UpstreamWireError(f"an event of the stream is larger than {MAX_FRAME_BYTES} bytes")
        # A blank line may straddle the seam, but by no more than three bytes.
        searched = max(0, len(held) - 3)
        held += data
        end = _end_of_frames(held, searched)
        passed = bytes(held[:end])
        del held[:end]
        return passed

    def rest(self) -> bytes:
        """What is left when the stream ended well."""
        rest = bytes(self._held)
        self._held.clear()
        return rest


def _end_of_frames(data: bytes | bytearray, searched: int) -> int:
    """Where the last blank line in *data* ends that begins at *searched* or later; 0 if there is none."""
    end = 0
    for mark in (b"\n\n", b"\n\r\n", b"\r\r"):
        # Only one that ends later is of interest: looked for from there, most searches are short.
        found = data.rfind(mark, max(searched, end - len(mark) + 1))
        if found != -1:
            end = found + len(mark)
    return end
