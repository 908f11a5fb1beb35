"""The ledger's schema, as the list of changes that led to it.

Append only: a migration that has been released is never edited, because
ledgers exist that it has already run on.  Each runs once per file, inside a
transaction together with all that are still due; its name is then recorded.
"""

from collections.abc import Callable
from typing import Final

Execute = Callable[[str], object]
Migration = Callable[[Execute], None]


def m001_requests_and_attempts(execute: Execute) -> None:
    """One row per request, one per attempt; what is wide and seldom read stands apart.

    Money is in micro-USD, times in seconds (*at* and *started* since the Unix
    epoch).  NULL is unknown, never zero.  `details` is kept apart so that a
    sum over a million requests reads numbers only.
    """
    execute("""
        CREATE TABLE requests (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            at REAL NOT NULL,
            ending TEXT NOT NULL,
            status INTEGER NOT NULL,
            tier TEXT,
            served_tier TEXT,
            score REAL,
            reason TEXT,
            provider TEXT,
            model TEXT,
            session TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            cache_write_1h_tokens INTEGER,
            reasoning_tokens INTEGER,
            cost_microusd INTEGER,
            baseline_microusd INTEGER,
            baseline TEXT,
            price_version TEXT,
            seconds REAL NOT NULL,
            seconds_to_first_event REAL,
            error TEXT,
            client_format TEXT,
            requested_model TEXT NOT NULL,
            stream INTEGER NOT NULL
        )
    """)
    execute("""
        CREATE TABLE details (
            request_seq INTEGER PRIMARY KEY REFERENCES requests (seq) ON DELETE CASCADE,
            trace TEXT NOT NULL,
            losses TEXT NOT NULL,
            prompt TEXT,
            answer TEXT
        )
    """)
    execute("""
        CREATE TABLE attempts (
            request_seq INTEGER NOT NULL REFERENCES requests (seq) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            started REAL NOT NULL,
            seconds REAL NOT NULL,
            status INTEGER,
            outcome TEXT NOT NULL,
            error TEXT,
            detail TEXT,
            input_tokens INTEGER,
            output_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            cache_write_1h_tokens INTEGER,
            reasoning_tokens INTEGER,
            cost_microusd INTEGER,
            PRIMARY KEY (request_seq, number)
        ) WITHOUT ROWID
    """)
    execute("CREATE INDEX requests_at ON requests (at)")
    execute("CREATE INDEX requests_tier_at ON requests (tier, at) WHERE tier IS NOT NULL")
    execute("CREATE INDEX requests_provider_at ON requests (provider, at) WHERE provider IS NOT NULL")
    execute("CREATE INDEX requests_session_at ON requests (session, at) WHERE session IS NOT NULL")
    execute("CREATE INDEX requests_failed_at ON requests (at) WHERE ending = 'failed'")


MIGRATIONS: Final[tuple[Migration, ...]] = (m001_requests_and_attempts,)


def names_of(migrations: tuple[Migration, ...]) -> tuple[str, ...]:
    """The names under which a ledger records them."""
    return tuple(migration.__name__ for migration in migrations)
