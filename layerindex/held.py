"""Keeps a database unchanged while it is read, and keeps SQLite from writing, making or removing any file.

SQLite itself may do all three when it opens a file to read: it rolls back a journal, deletes the file that the journal
names, moves a write-ahead log into the database and makes an index of it. So we take the read lock of SQLite ourselves,
and open the file as `immutable`. A journal or log beside the file is applied in a private copy.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from layerindex import interrupt, locks, place, scratch
from layerindex.errors import DatabaseBusyError, DatabaseError, NoDatabaseError
from layerindex.failures import RAISED, failure, temporary

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 5
"""Seconds that a reader waits for a writer to commit."""

SUPER = bytes.fromhex("d9d505f920a163d7")
"""How a journal ends that names a super-journal (sqlite.org/fileformat2.html 3); transactions of ours have none."""

_VERSION, _WITH_LOG = 19, b"\2"
"""Where the header of a database says that it has a write-ahead log."""
_LOG_HEADER = 32
_BLOCK = 1 << 26


class Held:
    """A file that SQLite may read by `uri` as long as it is held."""

    def __init__(self, path: str, said: str, handle: int | None, copies: ExitStack) -> None:
        self.path, self.said, self._handle, self._copies = path, said, handle, copies
        self.uri = place.uri(path, "mode=ro", "immutable=1")

    def opened(self) -> None:
        """Make sure that SQLite, which opens by name, has opened this file; a copy has no name any more."""
        if self._handle is not None and not place.leads_to(self.path, self._handle):
            raise DatabaseError(self.said, "was replaced while it was opened; try again")
        self._copies.close()


@contextmanager
def held(path: str, folder: str | None = None) -> Iterator[Held]:
    """Hold a database that anybody may have written; copies go into `folder`, by default that of temporary files.

    Waits for a writer that commits. Raises NoDatabaseError, DatabaseBusyError and DatabaseError.
    """
    real = place.resolve(path)
    with place.opened(real, path) as handle, ExitStack() as copies:
        _lock(handle, path)
        waiting = _waiting(real, path, handle)
        if not waiting:
            yield Held(real, path, handle, copies)
            return
        copy = os.path.join(copies.enter_context(scratch.folder(folder or temporary())), "copy.db")
        _copy(real, path, handle, copy, waiting)
        yield Held(copy, path, None, copies)


@contextmanager
def copied(path: str) -> Iterator[str]:
    """Yield a private writable copy of a database that anybody may have made, with its journal or log applied.

    The copy lies in the folder for temporary files (TMPDIR). Raises the same as `held`.
    """
    real = place.resolve(path)
    with place.opened(real, path) as handle, scratch.folder(temporary()) as where:
        _lock(handle, path)
        copy = os.path.join(where, "copy.db")
        _copy(real, path, handle, copy, _waiting(real, path, handle))
        yield copy


def _lock(handle: int, path: str) -> None:
    if not locks.within(PATIENCE, lambda: locks.share(handle)):
        raise DatabaseBusyError(path)


def _waiting(real: str, path: str, handle: int) -> list[str]:
    """Return the files beside a database that hold a part of it: a log, the journal of a killed writer."""
    found = place.beside(real, path)
    waiting = []
    if place.JOURNAL in found and not locks.is_reserved(handle) and is_hot(real):
        waiting.append(place.JOURNAL)
    if os.pread(handle, 1, _VERSION) == _WITH_LOG:
        waiting.append(place.LOG)
    return waiting


def is_hot(real: str) -> bool:
    """Say whether SQLite would roll back the journal beside a database that nobody writes.

    It ignores a journal that is empty or begins with a zero.
    """
    journal = real + place.JOURNAL
    with suppress(NoDatabaseError), place.opened(journal, journal) as handle:
        return os.pread(handle, 1, 0) not in (b"", b"\0")
    return False


def _copy(real: str, path: str, handle: int, copy: str, waiting: list[str]) -> None:
    """Copy a database with the files beside it that belong to it, and let SQLite put them in place."""
    with _still(real, path) if place.LOG in waiting else nullcontext():
        _copy_file(handle, copy, path)
        for end in waiting:
            with suppress(NoDatabaseError), place.opened(real + end, real + end) as source:
                _copy_file(source, copy + end, path)
    refuse_forged(copy, real, path)
    try:
        with closing(sqlite3.connect(place.uri(copy, "mode=rw"), uri=True, isolation_level=None)) as connection:
            interrupt.Watch(connection)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
    except RAISED as error:
        raise failure(path, error) from error


@contextmanager
def _still(real: str, path: str) -> Iterator[None]:
    """Lock a write-ahead log, so that no page is moved into the database or overwritten while both are copied."""
    with ExitStack() as stack:
        with suppress(NoDatabaseError):
            index = stack.enter_context(place.opened(real + place.INDEX, real + place.INDEX))
            if not locks.within(PATIENCE, lambda: locks.take(index, locks.CHECKPOINT, exclusive=False)):
                raise DatabaseBusyError(path)
        before = _log_header(real)
        yield
        if _log_header(real) != before:
            raise DatabaseBusyError(path)


def _log_header(real: str) -> bytes:
    with suppress(NoDatabaseError), place.opened(real + place.LOG, real + place.LOG) as log:
        return os.pread(log, _LOG_HEADER, 0)
    return b""


def _copy_file(source: int, name: str, path: str) -> None:
    """Copy an open file but not its holes: a stranger's file may have holes larger than any disk."""
    try:
        with open(name, "xb", opener=place.open_file) as target:
            size = os.fstat(source).st_size
            os.truncate(target.fileno(), size)
            for start, end in _extents(source, size):
                os.lseek(source, start, os.SEEK_SET)
                os.lseek(target.fileno(), start, os.SEEK_SET)
                _send(target.fileno(), source, start, end)
    except OSError as error:
        reason = f"no copy of it can be made in {os.path.dirname(name)}: {error.strerror}; TMPDIR names another place"
        raise DatabaseError(path, reason) from error


def _extents(handle: int, size: int) -> Iterator[tuple[int, int]]:
    end = 0
    while end < size:
        try:
            start = os.lseek(handle, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        end = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, min(end, size)


def _send(target: int, source: int, start: int, end: int) -> None:
    while start < end:
        count = os.sendfile(target, source, start, min(end - start, _BLOCK))
        if not count:
            return
        start += count


def refuse_forged(file: str, real: str, path: str) -> None:
    """Raise DatabaseError where the journal of a file, a copy of `real`, names a super-journal.

    Rolling it back, SQLite deletes the file of that name, any file.
    """
    with suppress(OSError), open(file + place.JOURNAL, "rb", opener=place.open_file) as journal:
        journal.seek(-min(len(SUPER), os.fstat(journal.fileno()).st_size), os.SEEK_END)
        if journal.read() == SUPER:
            reason = f"{real}{place.JOURNAL} names another file, which no journal of ours does"
            raise DatabaseError(path, f"was not opened: {reason}")
