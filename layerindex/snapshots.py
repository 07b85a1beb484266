"""Chooses snapshots that are old, and shrinks the file of a database from which some were removed."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from layerindex import database
from layerindex.errors import DatabaseError
from layerindex.writing import removal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

OLD = """
SELECT snapshot_id FROM snapshot_ages
WHERE age >= :keep AND (:before IS NULL OR ordered_at < :before) ORDER BY snapshot_id"""


def old(connection: sqlite3.Connection, keep: int, age: timedelta | None) -> list[int]:
    """Return the snapshots beyond the newest `keep` of each host, store and root that are older than `age`."""
    before = None
    if age is not None:
        moment = datetime.now(UTC) - age
        before = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [number for (number,) in connection.execute(OLD, {"keep": keep, "before": before})]


def size(path: str) -> int:
    """Return the bytes of a database."""
    return os.path.getsize(path)


def shrink(path: str, wait: Callable[[str], None]) -> None:
    """Give free pages back to the file system.

    SQLite writes the database anew into a temporary file and copies it back, which for a while takes up to twice its
    new size beside the database and in the temporary folder. Where there is no room, the free pages stay for later
    snapshots.
    """
    try:
        with database.alone(path, wait) as (connection, _):
            connection.execute("ROLLBACK")  # VACUUM cannot be part of a transaction; no other writer comes in between
            if removal.free_bytes(connection):
                database.patiently(connection, "VACUUM", path, wait)
    except DatabaseError as error:
        cause = error.__cause__
        no_room = isinstance(cause, sqlite3.Error) and _no_room(cause)
        raise DatabaseError(
            path,
            f"what was removed is gone, but the file keeps its {size(path)} bytes: "
            f"{'there is no room to write it anew' if no_room else error.reason}; "
            "`layerindex snapshots prune` or VACUUM in sqlite3 shrinks it later",
        ) from error


def _no_room(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
