"""What tenants have used, counted by several processes together, in one SQLite file.

The rules are those of `lynkr.limits`, run inside a transaction: however many workers
ask at once, what they let in together is what one of them would have.  A request of a tenant with
limits reads the file and writes it, and once more when it has ended; that blocks the event loop
for tens of microseconds, another worker's transaction for as long.

When the file cannot be used nobody is let in (`LimitsUnavailable`): a limit that
holds only in good weather is none.  What ended meanwhile is settled with the next request that is let in.
A process that dies leaves what its requests had reserved reserved: they may have cost it.

A rate is kept under its number, so two workers that go by different settings for a
moment do not fill one another's bucket; one that is changed begins anew, as in memory.
"""

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from lynkr.limits import (
    Account,
    Grant,
    LimitsUnavailable,
    Period,
    Rate,
    Reservation,
    Spending,
    Spent,
    TenantRules,
)
from lynkr.sqlite_file import open_shared, transaction

_Result = TypeVar("_Result")
_NOTHING: Final = Spent()
_NOBODY: Final[Mapping[str, Spent]] = {}
MOST_UNSETTLED: Final = 10_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS used (
    tenant TEXT NOT NULL,
    part TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (tenant, part)
) WITHOUT ROWID
"""
_SELECT: Final = "SELECT part, state FROM used WHERE tenant = ?"
_UPSERT: Final = (
    "INSERT INTO used VALUES (?, ?, ?) ON CONFLICT (tenant, part) DO UPDATE SET state = excluded.state"
)

Step = Callable[[sqlite3.Connection], None]


class LimitsFile:
    """Counts in the file at *path*, opened on first use and made with mode 0600.  Seconds."""

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout: float = 2.0) -> None:
        self.path: Path = Path(path)
        self.unsettled: deque[Step] = deque(maxlen=MOST_UNSETTLED)
        self._busy_timeout = busy_timeout
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    def read(self, act: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """One moment's answer.

        Raises:
            LimitsUnavailable: the file cannot be used.
        """
        with self._lock:
            try:
                return act(self._connect())
            except (sqlite3.Error, OSError, ValueError) as error:
                raise self._unavailable(error) from error

    def change(self, act: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """In a transaction, after what is still to be settled.

        Raises:
            LimitsUnavailable: the file cannot be used; nothing has changed.
        """
        with self._lock:
            try:
                connection = self._connect()
                with transaction(connection):
                    for step in self.unsettled:
                        step(connection)
                    result = act(connection)
            except (sqlite3.Error, OSError, ValueError) as error:
                raise self._unavailable(error) from error
            self.unsettled.clear()
            return result

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    def _unavailable(self, error: Exception) -> LimitsUnavailable:
        self._disconnect()
        return LimitsUnavailable(
            f"{self.path}, which counts what tenants use, cannot be used ({error}); make room or mend it"
        )

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_shared(self.path, _SCHEMA, busy_timeout=self._busy_timeout)
        return self._connection


class SqliteLimits:
    """`lynkr.limits.Limits` whose counts live in *file*, for all processes that name it.

    Every `now` is of a clock that they share, and so is every `elapsed`: `time.monotonic` is the machine's.
    *spent* is what tenants had spent by *now*; where the file says more, that counts.
    Safe to call from several threads.

    Raises:
        LimitsUnavailable: the file cannot be used.
    """

    def __init__(
        self,
        file: LimitsFile,
        rules: Mapping[str, TenantRules],
        spent: Mapping[str, Spent] = _NOBODY,
        now: float = 0.0,
    ) -> None:
        self.rules: Mapping[str, TenantRules] = dict(rules)
        self._file = file

        def enter(connection: sqlite3.Connection) -> None:
            for name in self.rules:
                account, before = self._load(connection, name, self.rules[name])
                had = spent.get(name, _NOTHING)
                account.day.raise_spent(had.day, now)
                account.month.raise_spent(had.month, now)
                _store(connection, name, account, before)

        if self.rules:
            file.change(enter)

    def successor(
        self, rules: Mapping[str, TenantRules], spent: Mapping[str, Spent] = _NOBODY, now: float = 0.0
    ) -> "SqliteLimits":
        return SqliteLimits(self._file, rules, spent, now)

    def room(self, tenant: str, now: float, /) -> int | None:
        rules = self.rules[tenant]
        if not rules.counts_money:
            return None
        return self._file.read(lambda connection: self._load(connection, tenant, rules)[0].room(rules, now))

    def admit(self, tenant: str, /, *, now: float, elapsed: float, tokens: int, microusd: int) -> Grant:
        rules = self.rules[tenant]

        def reserve(connection: sqlite3.Connection) -> Reservation:
            account, before = self._load(connection, tenant, rules)
            reserved = account.reserve(
                tenant, rules, now=now, elapsed=elapsed, tokens=tokens, microusd=microusd
            )
            _store(connection, tenant, account, before)
            return reserved

        return Grant(partial(self._settle, tenant, rules, self._file.change(reserve)))

    def close(self) -> None:
        """Close the file; a later call opens it again.  Idempotent."""
        self._file.close()

    def _settle(
        self,
        tenant: str,
        rules: TenantRules,
        reserved: Reservation,
        tokens: int | None,
        microusd: int | None,
    ) -> None:
        def settle(connection: sqlite3.Connection) -> None:
            account, before = self._load(connection, tenant, rules)
            account.settle(reserved, tokens, microusd)
            _store(connection, tenant, account, before)

        try:
            self._file.change(settle)
        except LimitsUnavailable:  # a request that was answered must not fail now
            self._file.unsettled.append(settle)

    @staticmethod
    def _load(
        connection: sqlite3.Connection, tenant: str, rules: TenantRules
    ) -> tuple[Account, Mapping[str, str]]:
        """The tenant's account, and what the file says of it."""
        found: dict[str, str] = dict(connection.execute(_SELECT, (tenant,)).fetchall())
        return (
            Account(
                _spending(Period.DAY, found.get(Period.DAY)),
                _spending(Period.MONTH, found.get(Period.MONTH)),
                _rate("requests", rules.requests_per_minute, found),
                _rate("tokens", rules.tokens_per_minute, found),
            ),
            found,
        )


def _spending(period: Period, text: str | None) -> Spending:
    if text is None:
        return Spending(period)
    began, spent, reserved = map(int, text.split())
    return Spending.restored(period, began, spent, reserved)


def _rate(name: str, per_minute: int | None, found: Mapping[str, str]) -> Rate | None:
    if per_minute is None:
        return None
    text = found.get(_part(name, per_minute))
    if text is None:
        return Rate(per_minute)
    level, at = text.split()
    return Rate.restored(per_minute, int(level), None if at == "-" else int(at))


def _part(name: str, per_minute: int) -> str:
    return f"{name}/{per_minute}"


def _store(connection: sqlite3.Connection, tenant: str, account: Account, before: Mapping[str, str]) -> None:
    """Write what is not as *before*."""
    after = {one.period.value: " ".join(map(str, one.state)) for one in (account.day, account.month)}
    for name, rate in (("requests", account.requests), ("tokens", account.tokens)):
        if rate is not None:
            level, at = rate.state
            after[_part(name, rate.per_minute)] = f"{level} {'-' if at is None else at}"
    changed = [(tenant, part, state) for part, state in after.items() if before.get(part) != state]
    if changed:
        connection.executemany(_UPSERT, changed)
