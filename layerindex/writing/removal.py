# ruff: noqa: S608 - statements are put together from our own schema's names
"""Deletes snapshots and whatever only they reference, listings and directories included."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex.writing import merge, parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

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


def remove(connection: sqlite3.Connection, numbers: Sequence[int]) -> Removed:
    """Delete snapshots and whatever only they reference, in the open transaction."""
    free = free_bytes(connection)
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
    return Removed(snapshots, facts, listings, entries, free_bytes(connection) - free)


def free_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes of pages that hold nothing."""
    (pages,) = connection.execute("PRAGMA main.freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA main.page_size").fetchone()
    return int(pages) * int(size)
