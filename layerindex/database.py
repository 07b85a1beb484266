"""Opening the one SQLite file: for writing a snapshot, or for reading without any way to write.

Nothing here imports SQLAlchemy: a query and a second scan start without it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from importlib import resources
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from layerindex.errors import DatabaseBusyError, DatabaseError, NewerDatabaseError, NoDatabaseError, OlderDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPLICATION_ID = 0x4C494458
"""`LIDX` in the file's header: `file` and SQLite know the database as ours."""

REVISION = "0003"
"""The newest revision in `migrations/`; a test holds it to Alembic's head."""

SUPER = bytes.fromhex("d9d505f920a163d7")
"""How a journal ends that names a super-journal (sqlite.org/fileformat2.html 3); transactions of ours have none."""

TUNING = ("PRAGMA page_size = 8192", "PRAGMA cache_size = -65536")
"""Larger pages of a new file are fewer to split and to write; a larger cache keeps a usual snapshot in memory until the
commit, so that readers are not locked out before it."""

LARGEST = 2**63 - 1
"""SQLite has no larger number."""

REBUILD_ROWS = 100_000
"""Where so many entries come at once, the index on their names is cheaper to build anew, 0.4 s per million."""

PATIENCE = 60
"""Seconds a scan waits for another that is writing."""


class Connection(sqlite3.Connection):
    """One that fails as SQLite does where SQLite's reason quotes bytes of a damaged schema that are no text."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as sqlite3 has it
        """Run a statement; raises sqlite3.Error, and no UnicodeDecodeError."""
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            failed = sqlite3.DatabaseError(bytes(error.object).decode("ascii", "backslashreplace"))
            failed.sqlite_errorname = "SQLITE_ERROR"
            raise failed from error


def revision(connection: sqlite3.Connection, path: str) -> str | None:
    """Return the schema revision of an open database, None for an empty one.

    Raises DatabaseError for a file that is not SQLite or not ours.
    """
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not tables:
            return None
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        if application_id != APPLICATION_ID or "alembic_version" not in tables:
            raise DatabaseError(path, "is an SQLite file, but not a layerindex database; name another with --db")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise failure(path, error) from error
    if row is None or not (isinstance(row[0], str) and row[0].isascii() and row[0].isdigit()):
        raise DatabaseError(path, "is damaged: it does not say which schema it has")
    return str(row[0])


def failure(path: str, error: sqlite3.Error) -> DatabaseError:
    """Turn what SQLite raised about our own file into a sentence."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusyError(path)
    if name.startswith("SQLITE_NOTADB"):
        return DatabaseError(path, "is not an SQLite database; name another file with --db")
    if name.startswith("SQLITE_FULL"):
        return DatabaseError(path, "the disk is full; the database is as it was")
    if name.startswith("SQLITE_READONLY_ROLLBACK"):
        return DatabaseError(path, "an interrupted scan left it half written; open it once as a user who may write it")
    return DatabaseError(path, f"{error}")


@contextmanager
def reading(path: str) -> Iterator[sqlite3.Connection]:
    """Open a database so that nothing can be written, attached or vacuumed into, whatever the SQL says.

    `mode=ro` alone would still let a user's SQL ATTACH another file and write that one, or VACUUM INTO a new one.
    """
    if not os.path.exists(path):
        raise NoDatabaseError(path)
    recover(path)
    connection = connect(path, "ro", timeout=5)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.execute("PRAGMA trusted_schema = OFF")
        found = revision(connection, path)
        if found is None:
            raise DatabaseError(path, "is empty: no scan has been written to it yet; run `layerindex scan`")
        check_revision(path, found)
        yield connection
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR":  # our own SQL does not fit what is there
            reason = f"is not as layerindex writes it ({error}); `layerindex db check` says more"
            raise DatabaseError(path, reason) from error
        raise failure(path, error) from error
    finally:
        connection.close()


def recover(path: str) -> None:
    """Let SQLite roll back what a killed scan left: a read-only connection cannot, and would refuse the file."""
    if os.path.exists(f"{path}-journal"):
        with suppress(DatabaseError, sqlite3.Error):
            connection = connect(path, "rw", timeout=0)
            try:
                connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
            finally:
                connection.close()


def check_revision(path: str, found: str) -> None:
    """Raise unless the database has exactly the schema this program knows."""
    if int(found) > int(REVISION):
        raise NewerDatabaseError(path, found)
    if int(found) < int(REVISION):
        raise OlderDatabaseError(path, found)


def connect(path: str, mode: str, timeout: float) -> sqlite3.Connection:
    """Open an SQLite file in `mode` (ro, rw, rwc) with no transaction begun behind our back."""
    if is_forged(f"{path}-journal"):
        raise DatabaseError(path, f"was not opened: {path}-journal names another file, which no journal of ours does")
    try:
        return sqlite3.connect(uri(path, mode), uri=True, timeout=timeout, isolation_level=None, factory=Connection)
    except sqlite3.Error as error:
        raise failure(path, error) from error


def is_forged(journal: str) -> bool:
    """Say whether a journal names a super-journal: rolling it back, SQLite deletes the file of that name, any file."""
    with suppress(OSError), open(journal, "rb") as file:
        file.seek(-min(len(SUPER), os.fstat(file.fileno()).st_size), os.SEEK_END)
        return file.read() == SUPER
    return False


def uri(path: str, mode: str) -> str:
    """Return the name by which SQLite opens a file in `mode`, whatever characters its path has."""
    return "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23") + f"?mode={mode}"


@contextmanager
def writing(path: str, wait: Callable[[str], None]) -> Iterator[sqlite3.Connection]:
    """Open a database in one transaction that is committed whole or leaves the file as it was.

    A new file gets its schema in the same transaction, and is removed again if that fails. `wait` is told when another
    process holds the file and we wait for it.
    """
    new = not os.path.exists(path)
    connection = connect(path, "rwc", timeout=0)
    try:
        try:
            _begin(connection, path, wait)
            if revision(connection, path) is None:
                create(connection)
            yield connection
            patiently(connection, "COMMIT", path, wait)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            connection.close()
    except BaseException as error:
        if new:
            with suppress(OSError):
                os.unlink(path)
        if isinstance(error, sqlite3.Error):
            raise failure(path, error) from error
        raise


@contextmanager
def passing() -> Iterator[tuple[sqlite3.Connection, BinaryIO]]:
    """Give a new database that is on its way elsewhere, and its file to read: removed at once, it leaves nothing.

    SQLite opens files by name alone, so it has one for half a millisecond: a SIGKILL just then leaves it, empty.
    It takes its room where temporary files go (TMPDIR). Transactions are the caller's.
    """
    try:
        file = tempfile.NamedTemporaryFile(prefix=".layerindex-", suffix=".db", delete=False)  # noqa: SIM115
    except OSError as error:
        raise DatabaseError(tempfile.gettempdir(), f"no temporary file can be made: {error.strerror}") from error
    with file:
        try:
            connection = connect(file.name, "rw", timeout=0)
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # which opens the file
        finally:
            os.unlink(file.name)
        with closing(connection):
            # A journal beside it could not be found again; of a new file there is next to nothing to put in one.
            for statement in ("PRAGMA journal_mode = MEMORY", *TUNING):
                connection.execute(statement)
            with transaction(connection, file.name):
                create(connection)
            yield connection, cast("BinaryIO", file)


@contextmanager
def transaction(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """Write to a database that nobody else has, whole or not at all."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise failure(path, error) from error
        raise


def analyze(connection: sqlite3.Connection) -> None:
    """Count the rows for SQLite's planner.

    Without statistics it takes snapshot_id alone for a good key, and joins of a large store take minutes.
    """
    connection.execute("PRAGMA analysis_limit = 1000")
    connection.execute("ANALYZE main")


def _begin(connection: sqlite3.Connection, path: str, wait: Callable[[str], None]) -> None:
    # The first of them reads the file already, and may find it locked.
    for statement in (*TUNING, "BEGIN IMMEDIATE"):
        patiently(connection, statement, path, wait)
    if not os.path.exists(path):
        raise DatabaseError(path, "was removed while this scan waited for it; nothing was written, scan again")


def patiently(connection: sqlite3.Connection, statement: str, path: str, wait: Callable[[str], None]) -> None:
    """Run what a writer holds up, or COMMIT, which readers do; `wait` is told before we wait for them."""
    deadline = None
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not isinstance(failure(path, error), DatabaseBusyError):
                raise
            if deadline is None:
                deadline = time.monotonic() + PATIENCE
                doing = "reading it" if connection.in_transaction else "writing to it"
                wait(f"{path}: another process is {doing}; waiting up to {PATIENCE} s")
                # In short turns: SQLite's own wait would not see Ctrl-C before its end.
                connection.execute("PRAGMA busy_timeout = 200")
            elif time.monotonic() > deadline:
                raise
        else:
            return


class NameIndex:
    """The index on names of entries, built anew where at least as many come as are there, and REBUILD_ROWS."""

    def __init__(self, connection: sqlite3.Connection, coming: int, present: int) -> None:
        """Drop it where that many entries beside those that are there make it worth it."""
        self.connection, self.rebuild = connection, coming >= max(REBUILD_ROWS, present)
        if self.rebuild:
            connection.execute("DROP INDEX IF EXISTS main.entries_name")

    def close(self) -> None:
        """Build it when the entries are there."""
        if self.rebuild:
            self.rebuild = False
            self.connection.execute("CREATE INDEX main.entries_name ON entries (name)")


def create(connection: sqlite3.Connection) -> None:
    """Make the tables and views of a new database within the open transaction."""
    script = resources.files("layerindex").joinpath("schema.sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        connection.execute(statement)
