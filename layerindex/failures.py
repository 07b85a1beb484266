"""Turns what SQLite raised about one of our files into a sentence that names the real cause."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

from layerindex import interrupt
from layerindex.errors import DatabaseBusyError, DatabaseError, FullDiskError

PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""How gzip and zstd begin."""


RAISED = (sqlite3.Error, MemoryError)
"""What SQLite raises; MemoryError where a damaged file, however small, claims a huge row."""


def failure(path: str, error: sqlite3.Error | MemoryError) -> DatabaseError:
    """Return our error for what SQLite raised; raises Interrupted where a signal was the cause."""
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
    """Return the message of SQLite in one line, as it may quote the schema; MemoryError gets a message of ours."""
    if isinstance(error, MemoryError):
        return "SQLite has no memory for what it claims to hold; it may be damaged"
    return " ".join(f"{error}".split())


def temporary() -> str:
    """Return the folder for temporary files, which SQLite uses too; raises DatabaseError where none can be used."""
    places = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    for place in (*places, "/var/tmp", "/tmp"):  # noqa: S108 - as SQLite does
        if place and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK):
            return os.path.abspath(place)
    raise DatabaseError("/tmp", "no folder for temporary files can be written to; name one in TMPDIR")  # noqa: S108


def _no_database(path: str) -> str:
    with suppress(OSError), open(path, "rb") as file:
        if file.read(4).startswith(PACKED):
            return "is compressed, as an export may be; `layerindex import` reads it, for other commands unpack it"
    return "is not an SQLite database; name another file with --db"


def _full(path: str) -> str:
    """Say which disk may be full: SQLite does not distinguish the disk of the database from that of temporary files."""
    own, other = os.path.dirname(os.path.realpath(path)), temporary()
    with suppress(OSError):
        if os.stat(own).st_dev != os.stat(other).st_dev:
            return f"{own}, or for temporary files in {other} (TMPDIR names another)"
    return own
