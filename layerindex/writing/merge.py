# ruff: noqa: S608 - statements are put together from our own schema's names
"""Chosen snapshots of the attached database `src` into `main`, with their listings, in the open transaction.

All in sets: temporary tables map the old numbers of hosts, snapshots, listings and directories to new ones. The tables
of facts are those of our own schema that have a `snapshot_id`, so that a later one is not forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex import genuine
from layerindex.database import run
from layerindex.writing import equal_listings as listings
from layerindex.writing import parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

NUMBERED = ("hosts", "snapshots", "listings", "directories", "entries")
"""Tables that are merged by their meaning; parts are by their content, all others hold facts of a snapshot."""

MAPS = {
    "host_id": "host_map",
    "snapshot_id": "snapshot_map",
    "part_id": "part_map",
    "listing_id": "listing_map",
    "content_id": "part_map",
}
"""The temporary table, with `old` and `new`, for each column that holds a number of the other database."""

NOWHERE = -1
"""Where a number leads that the other database does not explain; `dangling` finds it."""

START = """
CREATE TEMP TABLE chosen (snapshot_id INTEGER PRIMARY KEY);
CREATE TEMP TABLE host_map (old INTEGER PRIMARY KEY, new INTEGER);
CREATE TEMP TABLE snapshot_map (old INTEGER PRIMARY KEY, new INTEGER);
CREATE TEMP TABLE part_map (old INTEGER PRIMARY KEY, new INTEGER, digest BLOB, local INTEGER);
CREATE TEMP TABLE fresh_parts (new INTEGER PRIMARY KEY, old INTEGER);
CREATE TEMP TABLE name_map (old INTEGER PRIMARY KEY, new INTEGER);
CREATE TEMP TABLE listing_map (old INTEGER PRIMARY KEY, new INTEGER, digest BLOB, ours INTEGER DEFAULT 0);
CREATE TEMP TABLE fresh_listings (new INTEGER PRIMARY KEY, old INTEGER);
CREATE TEMP TABLE directory_map (old INTEGER PRIMARY KEY, new INTEGER);
CREATE TEMP TABLE fresh_directories (new INTEGER PRIMARY KEY, old INTEGER)"""

END = """
DROP TABLE temp.chosen;
DROP TABLE temp.host_map;
DROP TABLE temp.snapshot_map;
DROP TABLE temp.part_map;
DROP TABLE temp.fresh_parts;
DROP TABLE temp.name_map;
DROP TABLE temp.listing_map;
DROP TABLE temp.fresh_listings;
DROP TABLE temp.directory_map;
DROP TABLE temp.fresh_directories"""

SNAPSHOTS = """
INSERT INTO temp.snapshot_map
SELECT s.snapshot_id, (SELECT coalesce(max(snapshot_id), 0) FROM main.snapshots)
  + row_number() OVER (ORDER BY s.snapshot_id)
FROM temp.chosen AS c CROSS JOIN src.snapshots AS s NOT INDEXED ON s.snapshot_id = c.snapshot_id
WHERE s.status = 'complete' AND NOT EXISTS (SELECT 1 FROM main.snapshots AS m WHERE m.uid = s.uid)"""

HOSTS = """
INSERT INTO temp.host_map
SELECT h.host_id, (SELECT min(m.host_id) FROM main.hosts AS m
  WHERE m.name = coalesce(:as_host, h.name) AND m.machine_id IS h.machine_id)
FROM (
  SELECT DISTINCT s.host_id FROM temp.snapshot_map AS c CROSS JOIN src.snapshots AS s NOT INDEXED
  ON s.snapshot_id = c.old
) AS n CROSS JOIN src.hosts AS h NOT INDEXED ON h.host_id = n.host_id;
INSERT INTO main.hosts (name, machine_id)
SELECT coalesce(:as_host, h.name), h.machine_id
FROM temp.host_map AS c CROSS JOIN src.hosts AS h NOT INDEXED ON h.host_id = c.old
WHERE c.new IS NULL GROUP BY 1, h.machine_id ORDER BY min(c.old);
UPDATE temp.host_map SET new = (
  SELECT min(m.host_id) FROM src.hosts AS h NOT INDEXED CROSS JOIN main.hosts AS m
  WHERE h.host_id = old AND m.name = coalesce(:as_host, h.name) AND m.machine_id IS h.machine_id)"""

PARTS = """
INSERT INTO temp.part_map (old, local, digest)
SELECT n.part_id, {local}, {digest}
FROM (SELECT DISTINCT {number} AS part_id FROM ({stored})) AS n{there}"""
"""A part has the name that its rows make: one of that name is here with the same rows, or is not here yet."""

STORED = """
SELECT s.part_id FROM temp.snapshot_map AS c
CROSS JOIN src.{stored} AS s INDEXED BY sqlite_autoindex_{stored}_1 ON s.snapshot_id = c.old"""
"""The parts that the snapshots name themselves."""

THERE = """
CROSS JOIN src.{table} AS p INDEXED BY sqlite_autoindex_{table}_1 ON p.part_id = n.part_id"""
"""Whether there is a part for which something has to be there."""

NEW_PARTS = """
INSERT OR IGNORE INTO main.parts (digest) SELECT digest FROM temp.part_map WHERE new IS NULL ORDER BY old;
UPDATE temp.part_map SET new = (SELECT m.part_id FROM main.parts AS m WHERE m.digest = part_map.digest)
WHERE new IS NULL"""

FRESH_PARTS = """
INSERT INTO temp.fresh_parts SELECT new, min(old) FROM temp.part_map WHERE new > ? GROUP BY new"""

NAMES = """
UPDATE temp.name_map SET new = (
  SELECT m.name_id FROM src.part_names AS n NOT INDEXED CROSS JOIN main.part_names AS m
  WHERE n.name_id = old AND m.name IS n.name)"""

OTHER_NAME = """
SELECT 1 FROM temp.part_map AS c WHERE NOT c.local
AND c.digest IS NOT (SELECT p.digest FROM src.parts AS p NOT INDEXED WHERE p.part_id = c.old) LIMIT 1"""
"""Whether a file has a part under a name that is not its own; what holds numbers of listings has a name here alone."""

RECEIVED = """
UPDATE main.snapshots SET received_at = t.now, ordered_at = coalesce((
    SELECT strftime('%Y-%m-%dT%H:%M:%fZ', t.now, (0.001 * f.place) || ' seconds')
    FROM (SELECT s.snapshot_id, row_number() OVER (ORDER BY s.ordered_at, s.uid) AS place FROM main.snapshots AS s
      WHERE s.snapshot_id IN (SELECT new FROM temp.snapshot_map) AND s.ordered_at > t.now) AS f
    WHERE f.snapshot_id = snapshots.snapshot_id), ordered_at)
FROM (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now) AS t
WHERE snapshot_id IN (SELECT new FROM temp.snapshot_map)"""
"""When they came. What dates itself later than that counts as of then, in its order: it may not stay the newest."""


class Plan(NamedTuple):
    """How much there is that is not here."""

    snapshots: int
    listings: int


def plan(
    connection: sqlite3.Connection,
    snapshots: Iterable[int] | None = None,
    *,
    files: bool = True,
    as_host: str | None = None,
    shared: bool = True,
) -> Plan:
    """Number what is new of some snapshots, or of all, with or without the listings of files.

    `as_host` is the name of their host, whatever the file says. `shared`: a listing that is here already is taken.
    The maps stay for `copy` and whoever checks what came in; `forget` drops them.
    """
    run(connection, START)
    if snapshots is None:
        connection.execute("INSERT INTO temp.chosen SELECT snapshot_id FROM src.snapshots NOT INDEXED")
    else:
        connection.executemany("INSERT INTO temp.chosen VALUES (?)", [(number,) for number in snapshots])
    run(connection, SNAPSHOTS)
    (new,) = connection.execute("SELECT count(*) FROM temp.snapshot_map").fetchone()
    if new:
        run(connection, HOSTS, {"as_host": as_host})
        if files:
            listings.number(connection, shared=shared)
        _number_parts(connection, _local if files else _without_files)
    (fresh,) = connection.execute("SELECT count(*) FROM temp.fresh_listings").fetchone()
    return Plan(new, fresh)


def _local(name: str, number: str) -> str:
    """Return the expression of the number here of what has a number in the other database."""
    return f"iif({number} IS NULL, NULL, {_mapped(MAPS[name], number)})"


def _without_files(name: str, number: str) -> str:
    return "NULL" if name == "listing_id" else _local(name, number)


def _number_parts(connection: sqlite3.Connection, local: Callable[[str, str], str]) -> None:
    """Name the parts of the snapshots by what their rows are, and number those that are not here, and their names."""
    parts.prepare(connection)
    last = parts.last(connection)
    # In this order: what holds numbers of other parts comes after these.
    for kind in parts.KINDS:
        digest = parts.digest(
            kind, lambda table: f"FROM src.{table} AS t {_key(table)} WHERE t.part_id = n.part_id", "src", local
        )
        there = "" if kind.scattered else THERE.format(table=next(iter(kind.tables)))
        stored = STORED.format(stored=kind.stored) if kind.scattered else listings.held(kind.number)
        sql = PARTS.format(digest=digest, local=int(kind.local), number=kind.number, stored=stored, there=there)
        connection.execute(sql)
        run(connection, NEW_PARTS)
    connection.execute(FRESH_PARTS, (last,))
    for table, rows in parts.tables().items():
        for name in rows.named:
            connection.execute(
                f"""INSERT OR IGNORE INTO temp.name_map (old) SELECT t.{name}
                    FROM temp.fresh_parts AS f CROSS JOIN src.{table} AS t {_key(table)} ON t.part_id = f.old"""
            )
    parts.add_names(
        connection, "(SELECT n.name FROM temp.name_map CROSS JOIN src.part_names AS n NOT INDEXED ON n.name_id = old)"
    )
    run(connection, NAMES)


def copy(connection: sqlite3.Connection, *, files: bool = True) -> int:
    """Copy the rows that a plan has numbered; return how many entries of listings they were."""
    for table, rows in parts.tables().items():
        connection.execute(_copy_part(table, rows, _local if files else _without_files))
    for table in ("snapshots", *facts()):
        connection.execute(_copy(table))
    return listings.copy(connection)


def receive(connection: sqlite3.Connection) -> None:
    """Say of the snapshots that a merge has brought in when they came."""
    connection.execute(RECEIVED)


def forget(connection: sqlite3.Connection) -> None:
    """Drop the maps of a merge."""
    run(connection, END)


def facts() -> list[str]:
    """Return the tables of our own schema that hold facts of one snapshot."""
    return sorted(name for name in genuine.tables() if name not in NUMBERED and "snapshot_id" in genuine.columns(name))


def dangling(connection: sqlite3.Connection) -> str | None:
    """Return a table with a row that points to nothing in the database it came from."""
    for table in ("snapshots", *facts()):
        for column in genuine.columns(table):
            if column in MAPS and column != "snapshot_id":
                sql = f"SELECT 1 {arrived(table)} AND t.{column} = {NOWHERE} LIMIT 1"
                if connection.execute(sql).fetchone():
                    return table
    for table, rows in parts.tables().items():
        for name in (*rows.named, *(name for name in parts.columns(table) if name in parts.LOCAL)):
            if connection.execute(f"SELECT 1 {arrived(table)} AND t.{name} = {NOWHERE} LIMIT 1").fetchone():
                return table
    sql = """SELECT 1 FROM temp.fresh_directories AS f
             WHERE NOT EXISTS (SELECT 1 FROM main.directories AS d WHERE d.directory_id = f.new) LIMIT 1"""
    return "entries" if connection.execute(sql).fetchone() else None


def elsewhere(connection: sqlite3.Connection) -> bool:
    """Say whether a snapshot that came has a part under a bucket that is not that of its rows."""
    new = "SELECT min(new) FROM temp.snapshot_map"
    found = (connection.execute(f"{sql} AND s.snapshot_id >= ({new}) LIMIT 1") for sql in parts.elsewhere())
    return any(rows.fetchone() for rows in found)


def _copy(table: str) -> str:
    """Return the statement that copies the rows of the snapshots that are new, with their new numbers."""
    names = genuine.columns(table)
    values = [f"t.{name}" for name in names]
    for position, name in enumerate(names):
        if name == "snapshot_id":
            values[position] = "c.new"
        elif name in MAPS:
            values[position] = _local(name, f"t.{name}")
    return (
        f"INSERT INTO main.{table} ({', '.join(names)}) SELECT {', '.join(values)} "
        f"FROM temp.snapshot_map AS c CROSS JOIN src.{table} AS t {_key(table)} ON t.snapshot_id = c.old"
    )


def _copy_part(table: str, rows: parts.Rows, local: Callable[[str, str], str]) -> str:
    """Return the statement that copies the rows of the parts that are new."""
    names = parts.columns(table)
    values = [
        _mapped("name_map", f"t.{name}")
        if name in rows.named
        else local(name, f"t.{name}")
        if name in parts.LOCAL
        else f"t.{name}"
        for name in names
    ]
    return (
        f"INSERT INTO main.{table} (part_id, {', '.join(names)}) SELECT f.new, {', '.join(values)} "
        f"FROM temp.fresh_parts AS f CROSS JOIN src.{table} AS t {_key(table)} ON t.part_id = f.old"
    )


def _mapped(numbers: str, number: str) -> str:
    """Return the expression of the new number for an old one."""
    return f"coalesce((SELECT m.new FROM temp.{numbers} AS m WHERE m.old = {number}), {NOWHERE})"


def arrived(table: str) -> str:
    """Return FROM and WHERE for the rows `t` of a table that a merge has brought in.

    By their numbers, which are above all others: to join a map, SQLite reads the whole table first, for a filter.
    """
    if table in parts.tables():
        return f"FROM main.{table} AS t {_key(table)} WHERE t.part_id >= (SELECT min(new) FROM temp.fresh_parts)"
    new = "SELECT min(new) FROM temp.snapshot_map"
    return f"FROM main.{table} AS t {_key(table)} WHERE t.snapshot_id >= ({new})"


def _key(table: str) -> str:
    """Have rows found by the primary key, whatever the statistics say of it: a first snapshot's, that it is no use."""
    return "NOT INDEXED" if table == "snapshots" else f"INDEXED BY sqlite_autoindex_{table}_1"
