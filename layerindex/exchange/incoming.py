"""What arrives: of a file or a stream that may be anything a plain SQLite file of this schema, and then its snapshots.

The file itself is only read. Compressed or streamed, in WAL mode, with a journal to roll back, or of an older schema,
it is worked on as a copy in a private folder beside the database, which is gone before the merge begins.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import sys
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from layerindex import database, genuine, interrupt, place, scratch
from layerindex.errors import DatabaseBusyError, DatabaseError, FullDiskError, RefusedFileError
from layerindex.exchange import checks, compression
from layerindex.failures import reason
from layerindex.held import Held, held
from layerindex.writing import merge, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STDIN = "-"
MAGIC = b"SQLite format 3\0"

SHARED = ("hosts", "snapshots", "listings", "parts", "part_names")
"""Tables that a merge reads beside those of facts and of the rows of parts."""


class Imported(NamedTuple):
    """What became of one file."""

    snapshots: int
    listings: int
    entries: int
    known: int
    clashing: int
    incomplete: int


def import_file(
    path: str, source: str, wait: Callable[[str], None], limit: int | None = None, as_host: str | None = None
) -> Imported:
    """Merge the snapshots of a file, or with `-` of standard input, into a database in one transaction.

    `limit` is the most bytes that a stream may unpack to, `as_host` the name of the host, whatever the file says.
    Raises RefusedFileError where the file is not fit.
    """
    name = "standard input" if source == STDIN else source
    if source != STDIN and os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
        raise RefusedFileError(name, "is the database itself")
    with ExitStack() as copies:
        plain = copies.enter_context(_plain(source, name, os.path.dirname(os.path.abspath(path)), limit))
        with database.writing(path, wait) as connection:
            with _blamed(name):
                _attach(connection, plain, name)
            # SQLite has the copy open, so it can be unlinked now: even a killed import leaves nothing behind.
            copies.close()
            return _merge(connection, name, as_host)


def _merge(connection: sqlite3.Connection, name: str, as_host: str | None) -> Imported:
    with _blamed(name):
        checks.whole(connection, "src", [*SHARED, *parts.tables(), *merge.facts()])
        if as_host is not None:
            (hosts,) = connection.execute("SELECT count(DISTINCT name) FROM src.hosts").fetchone()
            if hosts > 1:
                raise RefusedFileError(name, f"has {hosts} hosts, and one name is given for them")
        standing = connection.execute(STANDING, {"as_host": as_host}).fetchone()
        plan = merge.plan(connection, as_host=as_host)
        # Entries are most of a file. Only those of new listings are read, and counted: no need to read all for damage.
        checks.possible(connection)
        entries = merge.copy(connection)
        checks.values(connection)
    merge.receive(connection)
    if plan.snapshots:
        database.analyze(connection)
    return Imported(*plan, entries, *standing)


STANDING = """
SELECT count(m.uid), count(m.uid) FILTER (WHERE
    (coalesce(:as_host, h.name), h.machine_id, s.store, s.root, s.driver, s.engine_id, s.label, s.started_at,
      s.finished_at, iif(s.ordered_at > m.received_at, m.ordered_at, s.ordered_at), s.scope)
    IS NOT
    (o.name, o.machine_id, m.store, m.root, m.driver, m.engine_id, m.label, m.started_at,
      m.finished_at, m.ordered_at, m.scope)),
  count(*) FILTER (WHERE m.uid IS NULL AND s.status <> 'complete')
FROM src.snapshots AS s NOT INDEXED
LEFT JOIN src.hosts AS h NOT INDEXED ON h.host_id = s.host_id
LEFT JOIN main.snapshots AS m ON m.uid = s.uid
LEFT JOIN main.hosts AS o ON o.host_id = m.host_id"""
"""Snapshots that are here already, those of them that are here as something else, and unfinished ones.

What dated itself later than it came has another place in the order here (`merge.RECEIVED`).
"""


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """Say of the file what SQLite says of its content; a full disk or a lock is the database's matter."""
    try:
        yield
    except checks.UnfitError as error:
        raise RefusedFileError(name, str(error)) from error
    except sqlite3.DatabaseError as error:
        interrupt.check()
        code = getattr(error, "sqlite_errorname", "")
        if code.startswith("SQLITE_NOTADB"):
            raise RefusedFileError(name, "is not an SQLite database") from error
        if code.startswith("SQLITE_CORRUPT"):
            raise RefusedFileError(name, f"is damaged or cut short ({reason(error)})") from error
        if code.startswith("SQLITE_TOOBIG"):
            raise RefusedFileError(name, f"holds a value of more than {checks.LENGTH} bytes") from error
        if code.startswith("SQLITE_BUSY"):
            raise RefusedFileError(name, "another process is writing to it") from error
        if isinstance(error, sqlite3.IntegrityError):
            raise RefusedFileError(name, f"holds rows that no scan writes ({reason(error)})") from error
        if code == "SQLITE_ERROR" or "decode to UTF-8" in str(error):
            raise RefusedFileError(name, f"is not as layerindex writes it ({reason(error)})") from error
        raise
    except MemoryError as error:
        raise RefusedFileError(name, "is damaged: SQLite has no memory for what it claims to hold") from error


def _attach(connection: sqlite3.Connection, plain: Held, name: str) -> None:
    checks.guard(connection)
    connection.execute("ATTACH ? AS src", (plain.uri,))
    pages, size = (connection.execute(f"PRAGMA src.{name}").fetchone()[0] for name in ("page_count", "page_size"))
    if os.path.getsize(plain.path) < pages * size:
        raise RefusedFileError(name, "is damaged or cut short")
    with _refused(name):
        plain.opened()
    # Again, in the transaction that reads it: nobody can have changed it in between.
    if genuine.revision(connection, name, "src", RefusedFileError) != genuine.REVISION:
        raise RefusedFileError(name, "was changed while it was read")


@contextmanager
def _plain(source: str, name: str, folder: str, limit: int | None) -> Iterator[Held]:
    """Give an SQLite file of this schema with what a source holds."""
    with ExitStack() as stack:
        try:
            file = sys.stdin.buffer if source == STDIN else stack.enter_context(open(source, "rb"))
            head = file.read(len(MAGIC))
            regular = source != STDIN and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        except OSError as error:
            raise RefusedFileError(name, f"cannot be read: {error.strerror}") from error
        if not head:
            raise RefusedFileError(name, "is empty")
        if regular and head == MAGIC:
            plain = stack.enter_context(_held(source, name, folder))
        else:
            path = os.path.join(stack.enter_context(scratch.folder(folder)), "incoming.db")
            with _copying(name, folder), open(path, "xb", opener=place.open_file) as target:
                compression.spool(compression.Arriving(file, head), target, name, limit)
            plain = stack.enter_context(_held(path, name, folder))
        found = _revision(plain, name)
        if found is None:
            raise RefusedFileError(name, "is an SQLite file, but not a layerindex database")
        if found != genuine.REVISION:
            path = _upgraded(plain, stack.enter_context(scratch.folder(folder)), found, name)
            plain = stack.enter_context(held(path))
        yield plain


@contextmanager
def _refused(name: str) -> Iterator[None]:
    """Say of a file to import what is said of one that is to be read."""
    try:
        yield
    except DatabaseBusyError as error:
        raise RefusedFileError(name, "another process is writing to it") from error
    except DatabaseError as error:
        raise RefusedFileError(name, error.reason) from error


@contextmanager
def _held(path: str, name: str, folder: str) -> Iterator[Held]:
    with ExitStack() as stack:
        with _refused(name):
            file = stack.enter_context(held(path, folder))
        yield file


@contextmanager
def _copying(name: str, folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FullDiskError(name, f"{folder}, where a copy of it was made") from error
        raise RefusedFileError(name, f"cannot be copied: {error.strerror or error}") from error


def _revision(plain: Held, name: str) -> str | None:
    with _blamed(name), closing(database.opened(plain)) as connection:
        checks.guard(connection)
        return genuine.revision(connection, name, error=RefusedFileError)


def _upgraded(plain: Held, folder: str, found: str, name: str) -> str:
    """Return a copy of an older file brought to this schema."""
    from layerindex import migrate  # noqa: PLC0415 - SQLAlchemy and Alembic take half a second to import

    copy = os.path.join(folder, "older.db")
    with _copying(name, folder), open(plain.path, "rb") as reader, open(copy, "xb", opener=place.open_file) as writer:
        shutil.copyfileobj(reader, writer, compression.BLOCK)
    with _blamed(name), closing(database.connect(copy, "ro")) as connection:
        checks.guard(connection)
        checks.whole(connection, "main", genuine.tables(found))
    try:
        migrate.upgrade(copy)
    except DatabaseError as error:
        raise RefusedFileError(name, "cannot be upgraded from its older schema") from error
    return copy
