# ruff: noqa: S608 - statements are put together from our own schema's names
"""Deletes snapshots and whatever only they reference, listings and directories included; then shrinks the file."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from layerindex import database
from layerindex.errors import DatabaseError
from layerindex.writing import merge, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

OLD = """
SELECT snapshot_id FROM snapshot_ages
WHERE age >= :keep AND (:before IS NULL OR ordered_at < :before) ORDER BY snapshot_id"""

LISTINGS = f"""
CREATE TEMP TABLE gone_listings AS
SELECT listing_id FROM main.listings WHERE listing_id NOT IN ({parts.listings()})"""

DIRECTORIES = """
DELETE FROM main.directories WHERE directory_id NOT IN (SELECT directory_id FROM main.entries)"""


class Removed(NamedTuple):
    """What was removed: snapshots, rows of facts, listings and their entries, and the bytes freed in the file."""

    snapshots: int
    facts: int
    listings: int
    entries: int
    freed: int


def old(connection: sqlite3.Connection, keep: int, age: timedelta | None) -> list[int]:
    """Return the snapshots beyond the newest `keep` of each host, store and root that are older than `age`."""
    before = None
    if age is not None:
        moment = datetime.now(UTC) - age
        before = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [number for (number,) in connection.execute(OLD, {"keep": keep, "before": before})]


def remove(connection: sqlite3.Connection, numbers: Sequence[int]) -> Removed:
    """Delete snapshots and whatever only they reference, in the open transaction."""
    free = _free(connection)
    connection.execute("CREATE TEMP TABLE gone (snapshot_id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT OR IGNORE INTO temp.gone VALUES (?)", [(number,) for number in numbers])
    facts = sum(
        connection.execute(
            f"DELETE FROM main.{table} WHERE snapshot_id IN (SELECT snapshot_id FROM temp.gone)"
        ).rowcount
        for table in merge.facts()
    )
    facts += parts.sweep(connection)
    sql = "DELETE FROM main.snapshots WHERE snapshot_id IN (SELECT snapshot_id FROM temp.gone)"
    snapshots = connection.execute(sql).rowcount
    connection.execute("DELETE FROM main.hosts WHERE host_id NOT IN (SELECT host_id FROM main.snapshots)")
    connection.execute(LISTINGS)
    entries = connection.execute(
        "DELETE FROM main.entries WHERE listing_id IN (SELECT listing_id FROM temp.gone_listings)"
    ).rowcount
    sql = "DELETE FROM main.listings WHERE listing_id IN (SELECT listing_id FROM temp.gone_listings)"
    listings = connection.execute(sql).rowcount
    if entries:
        connection.execute(DIRECTORIES)
    for table in ("gone", "gone_listings"):
        connection.execute(f"DROP TABLE temp.{table}")
    return Removed(snapshots, facts, listings, entries, _free(connection) - free)


def _free(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA main.freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA main.page_size").fetchone()
    return int(pages) * int(size)


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
            if _free(connection):
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
