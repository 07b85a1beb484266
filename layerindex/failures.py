"""What SQLite raised about a file of ours, as a sentence that names the real cause."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

from layerindex import interrupt
from layerindex.errors import DatabaseBusyError, DatabaseError, FullDiskError

PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""How gzip and zstd begin."""


RAISED = (sqlite3.Error, MemoryError)
"""What SQLite raises: in a few damaged files it has no memory for what they claim, however small they are."""


def failure(path: str, error: sqlite3.Error | MemoryError) -> DatabaseError:
    """Return the error that says what SQLite raised; raises Interrupted where a signal is why."""
    interrupt.check()
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusyError(path)
    if name.startswith("SQLITE_NOTADB"):
        return DatabaseError(path, _no_database(path))
    if name.startswith("SQLITE_FULL"):
        return FullDiskError(path, _full(path))
    return DatabaseError(path, reason(error))


def reason(error: Exception) -> str:
    """Return what SQLite says, in one line: it quotes the schema; its lack of memory has no words of its own."""
    if isinstance(error, MemoryError):
        return "SQLite has no memory for what it claims to hold; it may be damaged"
    return " ".join(f"{error}".split())


def temporary() -> str:
    """Return the folder for temporary files, which SQLite takes too; raises DatabaseError where none can be used."""
    places = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    for place in (*places, "/var/tmp", "/tmp"):  # noqa: S108 - as SQLite does
        if place and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return os.path.abspath(place)
    raise DatabaseError("/tmp", "no folder for temporary files can be written to; name one in TMPDIR")  # noqa: S108


def _no_database(path: str) -> str:
    with suppress(OSError), open(path, "rb") as file:
        if file.read(4).startswith(PACKED):
            return "is compressed, as an export may be; `layerindex import` takes it as it is, all else once unpacked"
    return "is not an SQLite database; name another file with --db"


def _full(path: str) -> str:
    """Say where there may be no room: SQLite does not tell the disk of a database from that of temporary files."""
    own, other = os.path.dirname(os.path.realpath(path)), temporary()
    with suppress(OSError):
        if os.stat(own).st_dev != os.stat(other).st_dev:
            return f"{own}, or for temporary files in {other} (TMPDIR names another)"
    return own
