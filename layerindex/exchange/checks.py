# ruff: noqa: S608 - statements are put together from our own schema's names
"""What a file must be to be imported: whole pages, and values of the right shape.

Its schema is held to ours before anything is read (`layerindex.genuine`). Values are judged after they are copied, in
our own tables and before the commit, so that a lying index of the file cannot hide any.
"""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING, Any

from layerindex import genuine, names
from layerindex.records import Features
from layerindex.writing import merge, parts
from layerindex.writing.equal_listings import ENTRY

if TYPE_CHECKING:
    from collections.abc import Iterator


class UnfitError(Exception):
    """Says why a file is not fit to be imported; whoever knows its name says which it is."""


LENGTH = 64 << 20
"""Most bytes of one value: four times the largest config that a scan reads."""

_HEX = "[0-9a-f]"
DIGEST = f"{{}} GLOB 'sha256:{_HEX * 64}'"
TIME = f"{{}} GLOB '{'-'.join(('[0-9]' * 4, '[0-9]' * 2, '[0-9]' * 2))}T[0-9]*Z'"
MOMENT = "{0} < '9000' AND strftime('%Y-%m-%dT%H:%M:%fZ', {0}) IS {0}"
"""A time that scans count on from: one that there is, to the millisecond, with room for later ones."""

NAME = "length({0}) < 256 AND {0} GLOB '[0-9A-Za-z]*' AND {0} NOT GLOB '*[^0-9A-Za-z_.-]*'"

SHAPES = {
    ("snapshots", "uid"): f"{{}} GLOB '{_HEX * 32}'",
    ("snapshots", "started_at"): TIME,
    ("snapshots", "finished_at"): TIME,
    ("snapshots", "ordered_at"): MOMENT,
    ("snapshots", "received_at"): TIME,
    ("snapshots", "scope"): "{} IN ('metadata', 'files', 'walk')",
    **{("snapshots", feature): "{} IN (0, 1)" for feature in Features._fields},
    ("part_stored_images", "image_id"): DIGEST,
    ("part_image_layers", "diff_id"): DIGEST,
    ("part_image_layers", "chain_id"): DIGEST,
    ("part_layers", "chain_id"): DIGEST,
    ("part_layers", "diff_id"): DIGEST,
    ("part_layers", "parent_chain_id"): DIGEST,
    ("part_layers", "cache_id"): NAME,
    ("part_dirs", "cache_id"): NAME,
    ("part_dirs", "role"): "{} IN ('layer', 'container', 'init', 'build-cache', 'removing', 'mount', 'in-flight', "
    "'snapshot', 'foreign', 'orphan', 'unknown')",
    ("containers", "container_id"): f"CASE namespace WHEN '' THEN {{0}} GLOB '{_HEX * 64}' ELSE {NAME} END",
    ("blobs", "labels"): "CASE WHEN json_valid({0}) THEN json_type({0}) = 'object' ELSE 0 END",
    ("problems", "severity"): "{} IN ('error', 'warning', 'info')",
    ("drift", "kind"): "{} IN ('added', 'removed', 'changed')",
}
"""The shape of what becomes part of a path, is looked up by a prefix, is read as JSON or is one of a few words; NULL
has any."""

HOSTS = """
SELECT h.name, h.machine_id FROM temp.host_map AS c CROSS JOIN main.hosts AS h ON h.host_id = c.new"""

NAMES = """
SELECT group_concat(n.name, char(10)) FROM temp.name_map AS c CROSS JOIN main.part_names AS n ON n.name_id = c.new"""

FRESH = "SELECT min(new) FROM temp.fresh_listings"
"""The first number of a listing that a merge has brought in."""

LISTING = """
SELECT CASE
  WHEN l.source NOT IN ('tar-split', 'blob', 'walk') OR l.complete NOT IN (0, 1) OR l.entry_count < 0
    THEN 'the source or count'
  WHEN (l.source <> 'walk') <> (l.diff_id IS NOT NULL) OR NOT ({digest}) THEN 'the layer'
  END AS wrong
FROM main.listings AS l WHERE l.listing_id >= ({fresh}) AND wrong IS NOT NULL LIMIT 1"""

OTHERS_LISTING = f"""
SELECT 1 {merge.arrived("part_layers")} AND t.listing_id IS NOT NULL
  AND (SELECT n.name FROM main.part_names AS n WHERE n.name_id = t.diff_id)
    IS NOT (SELECT l.diff_id FROM main.listings AS l WHERE l.listing_id = t.listing_id)
  AND NOT EXISTS (
    SELECT 1 FROM main.part_dirs AS d CROSS JOIN main.listings AS l ON l.listing_id = d.listing_id
    WHERE d.cache_id = t.cache_id AND d.listing_id = t.listing_id AND l.source = 'walk') LIMIT 1"""
"""A layer's listing is of its diff_id, or of the walk of its directory."""

COUNTS = """
SELECT 1 FROM main.listings AS l WHERE l.listing_id >= ({fresh}) AND l.entry_count <> (
  SELECT count(*) FROM main.entries AS e INDEXED BY sqlite_autoindex_entries_1 WHERE e.listing_id = l.listing_id
) LIMIT 1"""

ENTRIES = """
SELECT count(*) FILTER (WHERE instr(e.name, '/') OR instr(e.name, char(0)) OR e.mode NOT BETWEEN 0 AND 4095
    OR e.type NOT IN ('file', 'dir', 'symlink', 'hardlink', 'char', 'block', 'fifo', 'socket', 'whiteout')),
  group_concat({texts}, char(10))
FROM main.entries AS e INDEXED BY sqlite_autoindex_entries_1 WHERE e.listing_id >= ({fresh})
GROUP BY e.listing_id, e.directory_id"""
"""For the entries of each folder how many are wrong, and all their text, for Python to decode."""

OTHER_BYTES = """
SELECT 1 FROM temp.directory_map AS c CROSS JOIN src.directories AS d NOT INDEXED ON d.directory_id = c.old
WHERE d.path_raw IS NOT (SELECT m.path_raw FROM main.directories AS m WHERE m.directory_id = c.new) LIMIT 1"""

ODD_DIRECTORIES = """
SELECT m.path, m.path_raw FROM main.directories AS m NOT INDEXED
WHERE m.directory_id >= (SELECT min(new) FROM temp.fresh_directories) AND m.path <> '/' AND NOT (
  m.path_raw IS NULL AND m.path GLOB '/*' AND NOT instr(m.path, '\\') AND NOT instr(m.path, char(0))
  AND NOT instr(m.path || '/', '//') AND NOT instr(m.path || '/', '/./') AND NOT instr(m.path || '/', '/../'))"""
"""Paths that may not be what a listing would write; a few even where all is well, judged one by one."""

DIRECTORY_TEXTS = """
SELECT group_concat(path, char(10)) FROM main.directories NOT INDEXED
WHERE directory_id >= (SELECT min(new) FROM temp.fresh_directories) GROUP BY directory_id / 1000"""


def guard(connection: sqlite3.Connection) -> None:
    """Prepare a connection for a file that nobody vouches for."""
    connection.execute("PRAGMA cell_size_check = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LENGTH)


def whole(connection: sqlite3.Connection, schema: str, tables: list[str]) -> None:
    """Raise where the pages of a table are damaged or hold values of the wrong type."""
    for table in tables:
        (found,) = connection.execute(f"PRAGMA {schema}.quick_check('{table}')").fetchone()
        if found != "ok":
            raise UnfitError(f"is damaged: {names.printable(str(found)[:200])}")


def possible(connection: sqlite3.Connection) -> None:
    """Raise where listings that a merge has numbered claim more entries than the file has room for."""
    size = (connection.execute(f"PRAGMA src.{name}").fetchone()[0] for name in ("page_count", "page_size"))
    sql = f"SELECT min(entry_count) < 0 OR total(entry_count) * ? > ? FROM main.listings WHERE listing_id >= ({FRESH})"
    if connection.execute(sql, (ENTRY, math.prod(size))).fetchone()[0]:
        raise UnfitError("a listing does not have as many files as it says")


def values(connection: sqlite3.Connection) -> None:
    """Raise where what a merge has brought in is not what a scan writes."""
    if table := merge.dangling(connection):
        raise UnfitError(f"a row of {parts.read_as(table)} points to nothing")
    for _ in _decoded(connection, HOSTS, "hosts"):
        pass
    for _ in _decoded(connection, NAMES, "part_names"):
        pass
    for table in ("snapshots", *parts.tables(), *merge.facts()):
        _facts(connection, table)
    if found := connection.execute(LISTING.format(fresh=FRESH, digest=_or_null(DIGEST, "l.diff_id"))).fetchone():
        raise UnfitError(f"{found[0]} of a listing is not as layerindex writes it")
    if connection.execute(OTHERS_LISTING).fetchone():
        raise UnfitError("a layer has the listing of another one")
    if connection.execute(COUNTS.format(fresh=FRESH)).fetchone():
        raise UnfitError("a listing does not have as many files as it says")
    _entries(connection)
    _directories(connection)
    if connection.execute(merge.OTHER_NAME).fetchone():
        raise UnfitError("a part has other rows than its digest says")
    if merge.elsewhere(connection):
        raise UnfitError("a part is in another bucket than its names")


def _facts(connection: sqlite3.Connection, table: str) -> None:
    rows = merge.arrived(table)
    shapes = {column: shape for (name, column), shape in SHAPES.items() if name == table}
    rows_of = parts.tables().get(table)
    named = rows_of.named if rows_of else ()
    wrong = [f"WHEN NOT ({_or_null(shape, _value(column, named))}) THEN '{column}'" for column, shape in shapes.items()]
    if wrong:
        sql = f"SELECT CASE {' '.join(wrong)} END AS wrong {rows} AND wrong IS NOT NULL LIMIT 1"
        if found := connection.execute(sql).fetchone():
            raise UnfitError(f"{parts.read_as(table)}.{found[0]} is not as layerindex writes it")
    texts = _together("t", genuine.columns(table, "TEXT"))
    for _ in _decoded(connection, f"SELECT {texts} {rows}", table):
        pass


def _value(column: str, named: tuple[str, ...]) -> str:
    return parts.named(f"t.{column}", "main.") if column in named else f"t.{column}"


def _entries(connection: sqlite3.Connection) -> None:
    sql = ENTRIES.format(fresh=FRESH, texts=_together("e", genuine.columns("entries", "TEXT")))
    for wrong, _ in _decoded(connection, sql, "entries"):
        if wrong:
            raise UnfitError("an entry's type, mode or name is not as layerindex writes it")


def _directories(connection: sqlite3.Connection) -> None:
    """Raise where a path that all listings share would not be what a scan makes of its bytes."""
    if connection.execute(OTHER_BYTES).fetchone():
        raise UnfitError("the path of a directory has other bytes than here")
    for _ in _decoded(connection, DIRECTORY_TEXTS, "directories"):
        pass
    for path, raw in connection.execute(ODD_DIRECTORIES):
        if not _is_path(path, raw):
            raise UnfitError(f"{path[:100]!a} is no path of a directory")


def _decoded(connection: sqlite3.Connection, sql: str, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows; text that is not UTF-8, which every later reader would stumble over, is refused."""
    try:
        yield from connection.execute(sql)
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        raise UnfitError(f"a text of {table} is not UTF-8") from error


def _is_path(path: str, raw: bytes | None) -> bool:
    """Whether text and bytes are those of a folder's path, as a listing writes them."""
    content = path.encode() if raw is None else raw
    clean = names.clean(content)
    whole_path = content == b"/" or (clean is not None and content == b"/" + b"/".join(clean))
    return whole_path and b"\0" not in content and names.escape_path(content) == (path, raw)


def _together(alias: str, columns: list[str]) -> str:
    return " || char(10) || ".join(f"coalesce({alias}.{name}, '')" for name in columns) or "''"


def _or_null(shape: str, column: str) -> str:
    # GLOB and length stop at a NUL.
    return f"{column} IS NULL OR ({shape.format(column)} AND NOT instr({column}, char(0)))"
