"""What several workers of one server have in common, so that together they behave as one gateway."""

from pathlib import Path

from attrs import field, frozen


@frozen
class Shared:
    """Worker *number* (from 0) of *of* that serve one port.

    *folder* is theirs alone and goes when the server ends: in it is what they need to
    know of one another and what nobody needs after them.  *digest_key* is the
    secret by which all of them tell equal asks (`lynkr.exchange.Ledger`).
    """

    folder: Path
    digest_key: bytes = field(repr=False)
    number: int = 0
    of: int = 1

    @property
    def limits(self) -> Path:
        """Where tenants' use is counted."""
        return self.folder / "limits.sqlite3"

    @property
    def responses(self) -> Path:
        """Where answers are kept for clients that go on from one; prompts are in it."""
        return self.folder / "responses.sqlite3"

    @property
    def board(self) -> Path:
        """Where each tells the others how it fares."""
        return self.folder / "board.sqlite3"

    @property
    def prunes(self) -> bool:
        """Whether this is the one worker that forgets the ledger's old records."""
        return self.number == 0
