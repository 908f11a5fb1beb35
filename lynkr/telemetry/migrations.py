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


def m002_what_a_decision_saw_and_what_became_of_it(execute: Execute) -> None:
    """More facts per request and attempt, the parts of its savings, and signals about it.

    *retries*, *fallbacks* and *hedges* count a request's attempts; *heard* has a
    bit for each kind of its signals (`lynkr.telemetry.signals.BITS`).  They are there
    so that sums need one table only; for rows that are older they are 0.
    """
    for column in (
        "partial INTEGER",
        "tenant TEXT",
        "agent TEXT",
        "request_class TEXT",
        "traffic TEXT",
        "propensity REAL",
        "seed INTEGER",
        "tools_offered INTEGER",
        "tool_calls INTEGER",
        "failed_results INTEGER",
        "opens_turn INTEGER",
        "ask_digest TEXT",
        "uncached_microusd INTEGER",
        "baseline_uncached_microusd INTEGER",
        "baseline_low_microusd INTEGER",
        "baseline_high_microusd INTEGER",
        "least_microusd INTEGER",
        "overhead_microusd INTEGER",
        "response_cache_microusd INTEGER",
        "compression_microusd INTEGER",
        "fallbacks INTEGER NOT NULL DEFAULT 0",
        "retries INTEGER NOT NULL DEFAULT 0",
        "hedges INTEGER NOT NULL DEFAULT 0",
        "heard INTEGER NOT NULL DEFAULT 0",
    ):
        execute(f"ALTER TABLE requests ADD COLUMN {column}")
    execute("ALTER TABLE details ADD COLUMN features TEXT")
    execute("ALTER TABLE details ADD COLUMN decision TEXT")
    execute("ALTER TABLE attempts ADD COLUMN kind TEXT")
    execute("ALTER TABLE attempts ADD COLUMN cancelled INTEGER")
    execute("ALTER TABLE attempts ADD COLUMN partial INTEGER")
    execute("""
        CREATE TABLE signals (
            request_seq INTEGER NOT NULL REFERENCES requests (seq) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            source TEXT NOT NULL,
            at REAL NOT NULL,
            note TEXT,
            PRIMARY KEY (request_seq, kind, source)
        ) WITHOUT ROWID
    """)
    execute("CREATE INDEX requests_model_at ON requests (model, at) WHERE model IS NOT NULL")
    execute("CREATE INDEX requests_tenant_at ON requests (tenant, at) WHERE tenant IS NOT NULL")


def m003_roll_ups(execute: Execute) -> None:
    """Sums of hours and days (`lynkr.telemetry.rollups`), of rows up to the mark: none yet.

    *span* is in seconds, *start* in Unix seconds, *key* a text of the dimensions
    that the *family* tells apart.  All of it can be made anew from the rows.
    """
    execute("""
        CREATE TABLE rollups (
            family INTEGER NOT NULL,
            span INTEGER NOT NULL,
            start INTEGER NOT NULL,
            key TEXT NOT NULL,
            tenant TEXT,
            tier TEXT,
            provider TEXT,
            model TEXT,
            reason TEXT,
            traffic TEXT,
            session TEXT,
            requests INTEGER NOT NULL, failed INTEGER NOT NULL, cancelled INTEGER NOT NULL,
            fallbacks INTEGER NOT NULL, retries INTEGER NOT NULL, hedges INTEGER NOT NULL,
            partial INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
            cache_read_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL, partial_output_tokens INTEGER NOT NULL,
            cache_known INTEGER NOT NULL, cache_known_input INTEGER NOT NULL,
            unmeasured INTEGER NOT NULL, cost_microusd INTEGER NOT NULL,
            overhead_microusd INTEGER NOT NULL, least_microusd INTEGER NOT NULL,
            unpriced INTEGER NOT NULL, baseline_microusd INTEGER NOT NULL, compared INTEGER NOT NULL,
            saved_microusd INTEGER NOT NULL, saved_low_microusd INTEGER NOT NULL,
            saved_high_microusd INTEGER NOT NULL, compared_cost_microusd INTEGER NOT NULL,
            compared_overhead_microusd INTEGER NOT NULL, compared_baseline_microusd INTEGER NOT NULL,
            itemised INTEGER NOT NULL, routing_microusd INTEGER NOT NULL,
            prompt_cache_microusd INTEGER NOT NULL, prompt_cache_here_microusd INTEGER NOT NULL,
            response_cached INTEGER NOT NULL, response_cache_microusd INTEGER NOT NULL,
            compressed INTEGER NOT NULL, compression_microusd INTEGER NOT NULL,
            tools_offered INTEGER NOT NULL, tool_calls INTEGER NOT NULL, duration_us INTEGER NOT NULL,
            timed_first INTEGER NOT NULL, first_event_us INTEGER NOT NULL, routed INTEGER NOT NULL,
            judged INTEGER NOT NULL, under INTEGER NOT NULL, looked_at INTEGER NOT NULL,
            over INTEGER NOT NULL, retried INTEGER NOT NULL, escalated INTEGER NOT NULL,
            tool_failed INTEGER NOT NULL, followed INTEGER NOT NULL, accepted INTEGER NOT NULL,
            rejected INTEGER NOT NULL, too_weak INTEGER NOT NULL, right INTEGER NOT NULL,
            too_strong INTEGER NOT NULL, longest_input INTEGER NOT NULL, first_at_us INTEGER NOT NULL,
            last_at_us INTEGER NOT NULL,
            first_event TEXT,
            duration TEXT,
            PRIMARY KEY (family, span, start, key)
        ) WITHOUT ROWID
    """)
    execute("""
        CREATE TABLE attempt_rollups (
            span INTEGER NOT NULL,
            start INTEGER NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            succeeded INTEGER NOT NULL,
            failed INTEGER NOT NULL,
            cancelled INTEGER NOT NULL,
            retries INTEGER NOT NULL,
            fallbacks INTEGER NOT NULL,
            hedges INTEGER NOT NULL,
            cost_microusd INTEGER NOT NULL,
            unpriced INTEGER NOT NULL,
            duration_us INTEGER NOT NULL,
            PRIMARY KEY (span, start, provider, model)
        ) WITHOUT ROWID
    """)
    execute("CREATE INDEX attempts_failed ON attempts (provider, model, started) WHERE outcome = 'failure'")
    execute("CREATE TABLE rollup_mark (seq INTEGER NOT NULL)")
    execute("INSERT INTO rollup_mark VALUES (0)")


def m004_roll_ups_of_failures_and_an_index_of_sessions(execute: Execute) -> None:
    """A fourth family, of the failed requests up to the mark, and an index of what decides sessions' order.

    The sums are written out as they were then, since the program's may change.
    Those over answered requests are 0.
    """
    saved = "baseline_microusd - cost_microusd - coalesce(overhead_microusd, 0)"
    kept = "uncached_microusd - cost_microusd - others"
    sums = {
        "requests": "count(*)",
        "failed": "count(*)",
        "cancelled": "0",
        "fallbacks": "sum(fallbacks)",
        "retries": "sum(retries)",
        "hedges": "sum(hedges)",
        "partial": "sum(partial)",
        "input_tokens": "sum(input_tokens)",
        "output_tokens": "sum(output_tokens)",
        "cache_read_tokens": "sum(cache_read_tokens)",
        "cache_write_tokens": "sum(cache_write_tokens)",
        "reasoning_tokens": "sum(reasoning_tokens)",
        "partial_output_tokens": "sum(partial * output_tokens)",
        "cache_known": "count(cache_read_tokens)",
        "cache_known_input": "sum(input_tokens) FILTER (WHERE cache_read_tokens IS NOT NULL)",
        "unmeasured": "sum(input_tokens IS NULL OR output_tokens IS NULL)",
        "cost_microusd": "sum(cost_microusd)",
        "overhead_microusd": "sum(overhead_microusd)",
        "least_microusd": "sum(least_microusd) FILTER (WHERE cost_microusd IS NULL)",
        "unpriced": "sum(cost_microusd IS NULL)",
        "baseline_microusd": "sum(baseline_microusd)",
        "compared": "sum(comparable)",
        "saved_microusd": f"sum({saved})",
        "saved_low_microusd": (
            f"sum({saved} - baseline_microusd + coalesce(baseline_low_microusd, baseline_microusd))"
        ),
        "saved_high_microusd": (
            f"sum({saved} - baseline_microusd + coalesce(baseline_high_microusd, baseline_microusd))"
        ),
        "compared_cost_microusd": "sum(cost_microusd) FILTER (WHERE comparable)",
        "compared_overhead_microusd": "sum(overhead_microusd) FILTER (WHERE comparable)",
        "compared_baseline_microusd": "sum(baseline_microusd) FILTER (WHERE comparable)",
        "itemised": "sum(plain)",
        "routing_microusd": "sum(baseline_uncached_microusd - uncached_microusd) FILTER (WHERE plain)",
        "prompt_cache_microusd": (
            f"sum({kept} - baseline_uncached_microusd + baseline_microusd) FILTER (WHERE plain)"
        ),
        "prompt_cache_here_microusd": f"sum({kept}) FILTER (WHERE plain)",
        "response_cached": "count(response_cache_microusd)",
        "response_cache_microusd": "sum(response_cache_microusd) FILTER (WHERE comparable)",
        "compressed": "count(compression_microusd)",
        "compression_microusd": "sum(compression_microusd) FILTER (WHERE comparable)",
        "tools_offered": "sum(tools_offered)",
        "tool_calls": "sum(tool_calls)",
        "duration_us": "sum(CAST(seconds * 1e6 AS INTEGER))",
        "timed_first": "count(seconds_to_first_event)",
        "first_event_us": "sum(CAST(seconds_to_first_event * 1e6 AS INTEGER))",
        "longest_input": "max(input_tokens)",
        "first_at_us": "min(nullif(CAST(at * 1e6 AS INTEGER), 0))",
        "last_at_us": "max(CAST(at * 1e6 AS INTEGER))",
    }
    answered = (
        "routed", "judged", "under", "looked_at", "over", "retried", "escalated", "tool_failed",
        "followed", "accepted", "rejected", "too_weak", "right", "too_strong",
    )  # fmt: skip
    dimensions = ("tenant", "tier", "provider", "model", "reason", "traffic")
    names = ", ".join(dimensions)
    values = ", ".join(f"coalesce({value}, 0)" for value in (*sums.values(), *("0" for _ in answered)))
    for span in (3_600, 86_400):
        execute(f"""
            INSERT INTO rollups (family, span, start, key, {names}, {", ".join((*sums, *answered))})
            SELECT 3, {span}, CAST(at / {span} AS INTEGER) * {span} AS begin,
                {" || '/' || ".join(f"coalesce(hex({name}), '-')" for name in dimensions)}, {names}, {values}
            FROM (
                SELECT *, cost_microusd IS NOT NULL AND baseline_microusd IS NOT NULL AS comparable,
                    cost_microusd IS NOT NULL AND baseline_microusd IS NOT NULL
                    AND uncached_microusd IS NOT NULL AND baseline_uncached_microusd IS NOT NULL AS plain,
                    coalesce(response_cache_microusd, 0) + coalesce(compression_microusd, 0) AS others
                FROM requests WHERE ending = 'failed' AND seq <= (SELECT seq FROM rollup_mark)
            ) GROUP BY begin, {names}
        """)  # noqa: S608  # reason: names and constants of the lines above
    execute("""
        CREATE INDEX rollups_session ON rollups (session, span, start, cost_microusd, requests, last_at_us)
        WHERE family = 2
    """)


def m005_steps_as_arrays(_execute: Execute) -> None:
    """The steps of a trace may be arrays from here on (`lynkr.telemetry.rows.detail_row`); no table changes.

    So that an older lynkr, which knows objects only, refuses the file by name instead of failing on its rows.
    """


MIGRATIONS: Final[tuple[Migration, ...]] = (
    m001_requests_and_attempts,
    m002_what_a_decision_saw_and_what_became_of_it,
    m003_roll_ups,
    m004_roll_ups_of_failures_and_an_index_of_sessions,
    m005_steps_as_arrays,
)


def names_of(migrations: tuple[Migration, ...]) -> tuple[str, ...]:
    """The names under which a ledger records them."""
    return tuple(migration.__name__ for migration in migrations)
