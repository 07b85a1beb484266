# ruff: noqa: S608 - statements are put together from our own schema's names
"""Listings of the attached database `src` into `main`: what is here with the same content is taken, all else copied.

A listing is known again by the digest of its rows and by nothing else: two that say different things of one layer are
both here, each for the snapshots that came with it, and `query listing-conflicts` names them. So whoever sends one,
first or last, changes no answer about another's host.

A digest is made when it is first needed. What a file says its listings' digests are is its own word: it can lead only
to a listing that is here, whose digest was made here.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from layerindex import genuine
from layerindex.database import NameIndex, run
from layerindex.writing import parts

if TYPE_CHECKING:
    import sqlite3

OF_LAYER = "source IN ('tar-split', 'blob')"
"""Listings that are of a layer, whoever has it; a walk is of one directory of one host."""

ENTRY = 8
"""Fewer bytes than any entry takes."""

BYTES = ("_raw", "capability")
"""Ends of the names of columns with bytes, which JSON has no word for."""

HELD = """
SELECT t.{column} FROM temp.snapshot_map AS c
CROSS JOIN src.{stored} AS s INDEXED BY sqlite_autoindex_{stored}_1 ON s.snapshot_id = c.old
CROSS JOIN src.{table} AS t INDEXED BY sqlite_autoindex_{table}_1 ON t.part_id = s.part_id
WHERE t.{column} IS NOT NULL"""
"""What the snapshots have in a column of parts."""

NUMBERED = """
INSERT OR IGNORE INTO temp.listing_map (old){held};
DELETE FROM temp.listing_map WHERE NOT EXISTS (SELECT 1 FROM src.listings AS l NOT INDEXED WHERE l.listing_id = old)"""

CLAIMED = f"""
UPDATE temp.listing_map SET digest = (
  SELECT l.digest FROM src.listings AS l NOT INDEXED WHERE l.listing_id = old AND l.{OF_LAYER})"""

ALIKE = f"""
SELECT c.old, l.diff_id, l.complete, l.entry_count, l.total_size, c.digest IS NULL AS nameless
FROM temp.listing_map AS c CROSS JOIN src.listings AS l NOT INDEXED ON l.listing_id = c.old WHERE l.{OF_LAYER}"""
"""What comes of layers; what differs in its counts cannot be the same."""

HERE = f"""
SELECT DISTINCT m.listing_id FROM ({ALIKE}) AS a CROSS JOIN main.listings AS m
  ON m.diff_id = a.diff_id AND m.complete = a.complete AND m.entry_count = a.entry_count
    AND m.total_size = a.total_size
WHERE m.{OF_LAYER} AND m.digest IS NULL"""
"""Listings here that may be one that comes, and have no digest yet."""

COMING = f"""
SELECT a.old FROM ({ALIKE}) AS a WHERE a.nameless AND (
  EXISTS (SELECT 1 FROM main.listings AS m
    WHERE m.diff_id = a.diff_id AND m.complete = a.complete AND m.entry_count = a.entry_count
      AND m.total_size = a.total_size AND m.{OF_LAYER})
  OR EXISTS (SELECT 1 FROM ({ALIKE}) AS o
    WHERE o.diff_id = a.diff_id AND o.entry_count = a.entry_count AND o.old <> a.old))"""
"""Listings that come without a digest, and may be one that is here or another that comes."""

KNOWN = f"""
UPDATE temp.listing_map SET new = (
  SELECT min(m.listing_id) FROM src.listings AS l NOT INDEXED CROSS JOIN main.listings AS m ON m.diff_id = l.diff_id
  WHERE l.listing_id = old AND m.{OF_LAYER} AND m.digest = listing_map.digest)
WHERE digest IS NOT NULL"""

FRESH = """
INSERT INTO temp.fresh_listings
SELECT (SELECT coalesce(max(listing_id), 0) FROM main.listings) + row_number() OVER (ORDER BY old), old
FROM (
  SELECT min(c.old) AS old FROM temp.listing_map AS c
  CROSS JOIN src.listings AS l NOT INDEXED ON l.listing_id = c.old WHERE c.new IS NULL
  GROUP BY iif(c.digest IS NULL, c.old, l.diff_id || hex(c.digest))
);
INSERT INTO main.listings (listing_id, diff_id, source, witness, complete, entry_count, total_size, apparent_bytes,
  disk_bytes, digest, imported)
SELECT f.new, l.diff_id, l.source, NULL, l.complete, l.entry_count, l.total_size, l.apparent_bytes, l.disk_bytes,
  iif(c.ours, c.digest, NULL), 1
FROM temp.fresh_listings AS f JOIN temp.listing_map AS c ON c.old = f.old
CROSS JOIN src.listings AS l NOT INDEXED ON l.listing_id = f.old;
UPDATE temp.listing_map SET new = f.new FROM temp.fresh_listings AS f WHERE f.old = listing_map.old;
UPDATE temp.listing_map SET new = (
  SELECT f.new FROM temp.fresh_listings AS f JOIN temp.listing_map AS o ON o.old = f.old
  CROSS JOIN src.listings AS l NOT INDEXED ON l.listing_id = listing_map.old
  CROSS JOIN src.listings AS k NOT INDEXED ON k.listing_id = f.old AND k.diff_id = l.diff_id
  WHERE o.digest = listing_map.digest)
WHERE new IS NULL"""
"""Those that are not here, of equal ones the first. A witness is a fact of the machine that saw it."""

DIRECTORIES = """
INSERT INTO temp.directory_map (old)
SELECT DISTINCT directory_id FROM (
  SELECT e.directory_id FROM temp.fresh_listings AS f
  CROSS JOIN src.entries AS e INDEXED BY sqlite_autoindex_entries_1 ON e.listing_id = f.old
  LIMIT 1 + (SELECT sum(entry_count) FROM main.listings
    WHERE listing_id >= (SELECT min(new) FROM temp.fresh_listings))
);
UPDATE temp.directory_map SET new = (
  SELECT m.directory_id FROM src.directories AS d NOT INDEXED CROSS JOIN main.directories AS m
  WHERE d.directory_id = old AND m.path = d.path);
INSERT INTO temp.fresh_directories
SELECT (SELECT coalesce(max(directory_id), 0) FROM main.directories) + row_number() OVER (ORDER BY c.old), c.old
FROM temp.directory_map AS c WHERE c.new IS NULL;
UPDATE temp.directory_map SET new = f.new FROM temp.fresh_directories AS f WHERE f.old = directory_map.old;
INSERT INTO main.directories (directory_id, path, path_raw)
SELECT f.new, d.path, d.path_raw
FROM temp.fresh_directories AS f CROSS JOIN src.directories AS d NOT INDEXED ON d.directory_id = f.old"""
"""The limit is for a file whose pages lead in circles: without it the first statement would never end."""


def number(connection: sqlite3.Connection, *, shared: bool) -> None:
    """Number the listings of the snapshots that a merge has numbered.

    `shared`: what is here with the same content is taken; else all are copied, as they come from files that both may
    lie.
    """
    run(connection, NUMBERED.format(held=held("listing_id")))
    if shared:
        run(connection, CLAIMED)
        _name(connection, HERE)
        most = room(connection, "src")
        for (listing_id,) in connection.execute(COMING).fetchall():
            values = (digest(connection, "src", listing_id, most), listing_id)
            connection.execute("UPDATE temp.listing_map SET digest = ?, ours = 1 WHERE old = ?", values)
        run(connection, KNOWN)
    run(connection, FRESH)


def held(column: str) -> str:
    """Return the statement that finds what the snapshots that a merge has numbered have in a column of parts."""
    return " UNION ".join(
        HELD.format(column=column, stored=kind.stored, table=table) for kind, table in parts.holding(column)
    )


def name(connection: sqlite3.Connection) -> None:
    """Give the listings of layers that have no digest yet theirs, so that who receives them need not make it."""
    _name(connection, f"SELECT listing_id FROM main.listings WHERE {OF_LAYER} AND digest IS NULL")


def _name(connection: sqlite3.Connection, which: str) -> None:
    most = room(connection, "main")
    for (listing_id,) in connection.execute(which).fetchall():
        values = (digest(connection, "main", listing_id, most), listing_id)
        connection.execute("UPDATE main.listings SET digest = ? WHERE listing_id = ?", values)


def room(connection: sqlite3.Connection, schema: str) -> int:
    """Return how many entries a database has room for; a file whose pages lead in circles seems to have more."""
    size = (connection.execute(f"PRAGMA {schema}.{name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(math.prod(size)) // ENTRY


def digest(connection: sqlite3.Connection, schema: str, listing_id: int, most: int) -> bytes:
    """Return the SHA-256 of a listing: its layer, whether it is complete, and its entries in the order of paths.

    `most` is the greatest number of entries that are read.
    """
    head = f"SELECT CAST(json_array(diff_id, complete) AS BLOB) FROM {schema}.listings NOT INDEXED WHERE listing_id = ?"
    made = hashlib.sha256(connection.execute(head, (listing_id,)).fetchone()[0])
    for (row,) in connection.execute(_rows(schema), (listing_id, most, listing_id)):
        made.update(b"\n")
        made.update(row)
    return made.digest()


def _rows(schema: str) -> str:
    names = [f"e.{name}" for name in genuine.columns("entries") if name not in ("listing_id", "directory_id")]
    columns = ("d.path", "d.path_raw", *names)
    values = ", ".join(f"quote({name})" if name.endswith(BYTES) else name for name in columns)
    return f"""
SELECT CAST(json_array({values}) AS BLOB)
FROM (SELECT * FROM {schema}.entries INDEXED BY sqlite_autoindex_entries_1 WHERE listing_id = ?
  LIMIT 1 + (SELECT min(entry_count, ?) FROM {schema}.listings NOT INDEXED WHERE listing_id = ?)) AS e
CROSS JOIN {schema}.directories AS d NOT INDEXED ON d.directory_id = e.directory_id
ORDER BY d.path, e.name"""


def copy(connection: sqlite3.Connection) -> int:
    """Copy the entries of the listings that are new, with their directories; return how many they were."""
    if connection.execute("SELECT 1 FROM temp.fresh_listings LIMIT 1").fetchone() is None:
        return 0
    run(connection, DIRECTORIES)
    sql = """SELECT sum(entry_count) FILTER (WHERE listing_id >= (SELECT min(new) FROM temp.fresh_listings)),
               sum(entry_count) FROM main.listings"""
    coming, all_ = connection.execute(sql).fetchone()
    index = NameIndex(connection, coming, all_ - coming)
    names = [name for name in genuine.columns("entries") if name not in ("listing_id", "directory_id")]
    copied = connection.execute(
        f"""INSERT INTO main.entries (listing_id, directory_id, {", ".join(names)})
            SELECT f.new, d.new, {", ".join(f"e.{name}" for name in names)}
            FROM temp.fresh_listings AS f
            CROSS JOIN src.entries AS e INDEXED BY sqlite_autoindex_entries_1 ON e.listing_id = f.old
            LEFT JOIN temp.directory_map AS d ON d.old = e.directory_id"""
    ).rowcount
    index.close()
    return copied
