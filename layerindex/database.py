"""Opens the SQLite file, either for writing a snapshot or strictly read-only.

Nothing here imports SQLAlchemy, so that queries and second scans start quickly.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any

from layerindex import genuine, interrupt, locks, place, scratch
from layerindex.claim import PATIENCE, Claim, claimed
from layerindex.errors import DatabaseBusyError, DatabaseError, EmptyDatabaseError, FullDiskError, OlderDatabaseError
from layerindex.failures import RAISED, failure, temporary
from layerindex.genuine import APPLICATION_ID as APPLICATION_ID  # noqa: PLC0414 - what a database says of itself
from layerindex.genuine import REVISION as REVISION  # noqa: PLC0414
from layerindex.held import Held, copied, held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGES, CACHE = "PRAGMA page_size = 8192", "PRAGMA cache_size = -65536"
"""Larger pages of a new file are fewer to split and to write; a larger cache keeps a usual snapshot in memory until the
commit, so that readers are not locked out before it."""

SPILL, SORTED = "PRAGMA cache_spill = -65536", "PRAGMA cache_size = -8192"
"""SQLite sorts as many bytes at once as it may cache, and that cannot be interrupted: this many take 0.3 s. Uncommitted
pages stay in memory as before."""

LARGEST = 2**63 - 1
"""The largest integer of SQLite."""

REBUILD_ROWS = 100_000
"""Where so many entries are added at once, building the index on their names anew is cheaper, at 0.4 s per million."""


class Connection(sqlite3.Connection):
    """A connection that a signal interrupts, whatever SQLite is doing.

    Where the message of SQLite quotes bytes of a damaged schema that are not UTF-8, it raises sqlite3.Error all the
    same.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as sqlite3 has it
        super().__init__(*args, **options)
        interrupt.Watch(self)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as sqlite3 has it
        """Run a statement; raises sqlite3.Error, and no UnicodeDecodeError; Interrupted when a signal arrived."""
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            failed = sqlite3.DatabaseError(bytes(error.object).decode("ascii", "backslashreplace"))
            failed.sqlite_errorname = "SQLITE_ERROR"
            raise failed from error
        except sqlite3.OperationalError:
            interrupt.check()
            raise


@contextmanager
def reading(path: str) -> Iterator[sqlite3.Connection]:
    """Open a database so that no SQL can write, ATTACH a file or VACUUM INTO one.

    `mode=ro` alone would still let a user's SQL ATTACH another file and write that one, or VACUUM INTO a new one.
    """
    with held(path) as file:
        try:
            with closing(opened(file)) as connection:
                file.opened()
                connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
                _check_ours(connection, path)
                with interrupt.impatient():
                    yield connection
        except RAISED as error:
            raise failure(path, error) from error


@contextmanager
def rehearsing(path: str) -> Iterator[sqlite3.Connection]:
    """Open a private copy of a database in a transaction that is never committed: the file itself is only read."""
    with copied(path) as copy:
        try:
            with closing(connect(copy, "rw")) as connection:
                _check_ours(connection, path)
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except RAISED as error:
            raise failure(copy, error) from error


def _check_ours(connection: sqlite3.Connection, path: str) -> None:
    """Raise where a database to be read is empty, needs an upgrade, or has a schema that is not ours."""
    found = genuine.revision(connection, path)
    if found is None:
        raise EmptyDatabaseError(path)
    check_current(path, found)


def is_open_to_others(path: str) -> bool:
    """Say whether users other than its owner can read a database; those that we make are for their owner alone."""
    try:
        return bool(os.stat(path).st_mode & 0o044)
    except OSError:
        return False


def check_current(path: str, revision: str) -> None:
    """Raise OlderDatabaseError where a database needs an upgrade."""
    if revision != REVISION:
        raise OlderDatabaseError(path, revision)


def connect(path: str, mode: str) -> sqlite3.Connection:
    """Open a private SQLite file in `mode` (ro, rw); sqlite3 begins no transactions by itself.

    A file that somebody else could have changed must be `held` or `claimed` before SQLite opens it.
    """
    return _connect(place.uri(path, f"mode={mode}"), path)


def opened(file: Held) -> sqlite3.Connection:
    """Open a held file, so that SQLite can only read it."""
    return _connect(file.uri, file.said)


def _connect(uri: str, path: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, factory=Connection)
    except RAISED as error:
        raise failure(path, error) from error


@contextmanager
def writing(path: str, wait: Callable[[str], None]) -> Iterator[sqlite3.Connection]:
    """Open a database in one transaction that is committed whole or leaves the file as it was.

    A new file gets its schema in the same transaction, and is removed again if that fails. `wait` is called before we
    wait for another process that holds the file.
    """
    with alone(path, wait, make=True) as (connection, claim):
        found = genuine.revision(connection, path)
        if found is None:
            create(connection)
        else:
            check_current(path, found)
        yield connection
        claim.check("nothing was written")
        patiently(connection, "COMMIT", path, wait)
        claim.check("what was written went with it")


@contextmanager
def alone(path: str, wait: Callable[[str], None], *, make: bool = False) -> Iterator[tuple[sqlite3.Connection, Claim]]:
    """Open a database to write it, in a transaction, and keep other writers out until the end, whatever is committed.

    SQLite looks for a journal to roll back only when it takes the lock; by then the journal's name is ours.
    """
    with claimed(path, wait, make=make) as claim:
        scratch.tidy(os.path.dirname(claim.real))
        try:
            with closing(connect(claim.real, "rw")) as connection:
                locked = False
                try:
                    _begin(connection, claim, wait)
                    locked = True
                    yield connection, claim
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    claim.release_journal(locked=locked)
        except RAISED as error:
            raise failure(path, error) from error


@contextmanager
def passing() -> Iterator[tuple[sqlite3.Connection, IO[bytes]]]:
    """Yield a new temporary database and its file to read; unlinked at once, it leaves nothing behind.

    SQLite opens files only by name, so the file has a name for half a millisecond: a SIGKILL in that time leaves an
    empty file. The file lies in the folder for temporary files (TMPDIR). The caller handles transactions.
    """
    with scratch.file(temporary()) as (name, file):
        connection = connect(name, "rw")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # which opens the file
        os.unlink(name)
        with closing(connection):
            # A journal beside the unlinked file could not be found again; for a new file there is little to put in one.
            for statement in ("PRAGMA journal_mode = MEMORY", PAGES, CACHE):
                connection.execute(statement)
            try:
                with transaction(connection, name):
                    create(connection)
                yield connection, file
            except FullDiskError as error:
                reason = "has no room for a database on its way elsewhere; name another folder in TMPDIR"
                raise DatabaseError(os.path.dirname(name), reason) from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """Run a transaction on a database that no other process uses; it is committed whole or not at all."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, RAISED):
            raise failure(path, error) from error
        raise


def analyze(connection: sqlite3.Connection) -> None:
    """Collect statistics for SQLite's planner.

    Without statistics it takes snapshot_id alone for a good key, and joins of a large store take minutes. In rows of
    parts it must not look for a name in each part in turn ("noskipscan", sqlite.org/fileformat2.html): parts are many.
    """
    connection.execute("PRAGMA analysis_limit = 1000")
    connection.execute("ANALYZE main")
    connection.execute("UPDATE main.sqlite_stat1 SET stat = stat || ' noskipscan' WHERE tbl GLOB 'part_*'")


def _begin(connection: sqlite3.Connection, claim: Claim, wait: Callable[[str], None]) -> None:
    # Any other statement would make SQLite read the file and release it again before it is locked.
    if claim.empty:
        patiently(connection, PAGES, claim.path, wait, claim.hold_journal)
    patiently(connection, "BEGIN IMMEDIATE", claim.path, wait, claim.hold_journal)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    claim.hold_journal()  # again, as SQLite removes the journal when it rolls back
    claim.check("nothing was written")
    connection.execute(CACHE)


def patiently(
    connection: sqlite3.Connection,
    statement: str,
    path: str,
    wait: Callable[[str], None],
    before: Callable[[], None] = lambda: None,
) -> None:
    """Run a statement that a writer may block, or a COMMIT that readers may block; `wait` is called before we wait.

    `before` is called before each attempt.
    """
    deadline = None
    while True:
        before()
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not isinstance(failure(path, error), DatabaseBusyError):
                raise
            if deadline is None:
                deadline = time.monotonic() + PATIENCE
                doing = "reading it" if connection.in_transaction else "writing to it"
                wait(f"{path}: another process is {doing}; waiting up to {PATIENCE} s")
            elif time.monotonic() > deadline:
                raise
            time.sleep(locks.PAUSE)
        else:
            return


class NameIndex:
    """The index on names of entries; built anew where at least REBUILD_ROWS and as many entries as exist are added."""

    def __init__(self, connection: sqlite3.Connection, coming: int, present: int) -> None:
        """Drop the index where adding that many entries to the existing ones makes building it anew cheaper."""
        self.connection, self.rebuild = connection, coming >= max(REBUILD_ROWS, present)
        if self.rebuild:
            connection.execute("DROP INDEX IF EXISTS main.entries_name")

    def close(self) -> None:
        """Build the index again when the entries have been added."""
        if self.rebuild:
            self.rebuild = False
            for statement in (SPILL, SORTED, "CREATE INDEX main.entries_name ON entries (name)", CACHE):
                self.connection.execute(statement)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables and views of a new database within the open transaction."""
    with open(os.path.join(os.path.dirname(__file__), "schema.sql"), encoding="utf-8") as file:
        run(connection, file.read())


def run(connection: sqlite3.Connection, script: str, values: dict[str, str | int | None] | None = None) -> None:
    """Run statements within the transaction; `executescript` would commit it."""
    for statement in script.split(";\n"):
        connection.execute(statement, values or {})
