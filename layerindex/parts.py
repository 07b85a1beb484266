# ruff: noqa: S608 - statements are put together from our own schema's names
"""Rows that snapshots share: each group of equal rows is a part, stored once, and a snapshot names its parts.

A part's name is the SHA-256 of its rows in one form, which is written here and nowhere else. Every database makes the
names itself, from the rows that it stores: what a scan or another file brings is a part that is here already, to which
it links, or a new one. So whoever writes later, or in whatever order, changes nothing that a snapshot says.

A part is what an image's config says. It is written under the names that queries read, `images`, `image_layers` and
`image_history`: temporary tables stand before those views until everything is gathered, and `gathering` moves it.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerindex import genuine

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

TABLES = {
    "part_images": "images",
    "part_image_configs": "images",
    "part_image_layers": "image_layers",
    "part_image_history": "image_history",
}
"""What holds the rows of parts, and the view that shows them."""

KEY = ("snapshot_id", "image_id", "position")
"""What tells the rows of a view from each other."""

INDEX = "CREATE INDEX temp.gathered_chain ON image_layers (chain_id, snapshot_id)"
"""What a scan asks by, while it goes on."""

NAMED = """
CREATE TEMP TABLE gathered AS SELECT snapshot_id, image_id, {digest} AS digest FROM temp.images AS i;
INSERT OR IGNORE INTO main.parts (digest) SELECT digest FROM temp.gathered ORDER BY rowid;
CREATE TEMP TABLE fresh AS
SELECT p.part_id, min(g.rowid) AS gathered FROM temp.gathered AS g JOIN main.parts AS p ON p.digest = g.digest
WHERE p.part_id > :before GROUP BY p.part_id"""
"""Whatever is gathered gets a name; a part that was not here before is filled from the first that has its name."""

FILLED = """
INSERT INTO main.{table} (part_id, {columns}) SELECT f.part_id, {values} FROM temp.fresh AS f
CROSS JOIN temp.gathered AS g ON g.rowid = f.gathered
CROSS JOIN temp.{view} AS t ON t.snapshot_id = g.snapshot_id AND t.image_id = g.image_id ORDER BY 1"""

STORED = """
INSERT INTO main.stored_images ({columns}) SELECT {values} FROM temp.images AS i
CROSS JOIN temp.gathered AS g ON g.snapshot_id = i.snapshot_id AND g.image_id = i.image_id
CROSS JOIN main.parts AS p ON p.digest = g.digest"""

UNNAMED = "part_id NOT IN (SELECT part_id FROM main.stored_images)"
"""What no snapshot names."""


def tables() -> list[str]:
    """Return the tables that hold the rows of parts."""
    return list(TABLES)


def digest(source: Callable[[str], str]) -> str:
    """Return the expression of a part's digest; `source` says where its rows of a table are: from FROM to WHERE.

    Its rows are JSON, table by table in the order of TABLES, each table's in the order of its key, so that equal rows
    have one form whatever they came from, and others another.
    """
    held = []
    for table in tables():
        columns = ", ".join(_columns(table))
        rows = f"SELECT {columns} {source(table)} ORDER BY 1"
        held.append(f"(SELECT json_group_array(json_array({columns})) FROM ({rows}))")
    return f"sha256(CAST(json_array('image', {', '.join(held)}) AS BLOB))"


def prepare(connection: sqlite3.Connection) -> None:
    """Let SQL on a connection call sha256(), which makes the bytes of a digest of bytes."""
    connection.create_function("sha256", 1, lambda content: hashlib.sha256(content).digest(), deterministic=True)


@contextmanager
def gathering(connection: sqlite3.Connection) -> Iterator[None]:
    """Let rows be written into the views of parts, and read again, in the open transaction; at the end store them."""
    for view in dict.fromkeys(TABLES.values()):
        columns = connection.execute("SELECT name, type FROM pragma_table_info(?, 'main')", (view,)).fetchall()
        key = ", ".join(name for name, _ in columns if name in KEY)
        described = ", ".join(f"{name} {type_}" for name, type_ in columns)
        connection.execute(f"CREATE TEMP TABLE {view} ({described}, PRIMARY KEY ({key})) WITHOUT ROWID")
    connection.execute(INDEX)
    yield
    _store(connection)


def _store(connection: sqlite3.Connection) -> None:
    """Move what was gathered into parts; those that are here already are only named."""
    prepare(connection)
    values = {"before": last(connection)}
    named = digest(
        lambda table: f"FROM temp.{TABLES[table]} AS t WHERE t.snapshot_id = i.snapshot_id AND t.image_id = i.image_id"
    )
    for statement in NAMED.format(digest=named).split(";\n"):
        connection.execute(statement, values)
    for table, view in TABLES.items():
        names = _columns(table)
        columns, taken = ", ".join(names), ", ".join(f"t.{name}" for name in names)
        connection.execute(FILLED.format(table=table, view=view, columns=columns, values=taken))
    names = genuine.columns("stored_images")
    taken = ", ".join("p.part_id" if name == "part_id" else f"i.{name}" for name in names)
    connection.execute(STORED.format(columns=", ".join(names), values=taken))
    for table in ("gathered", "fresh", *dict.fromkeys(TABLES.values())):
        connection.execute(f"DROP TABLE temp.{table}")


def last(connection: sqlite3.Connection) -> int:
    """Return the greatest number of a part; each that comes gets a greater one."""
    (found,) = connection.execute("SELECT coalesce(max(part_id), 0) FROM main.parts").fetchone()
    return int(found)


def misnamed(connection: sqlite3.Connection) -> bool:
    """Say whether a database has a part whose rows are not what its name says."""
    prepare(connection)
    made = digest(lambda table: f"FROM main.{table} AS t WHERE t.part_id = p.part_id")
    sql = f"SELECT 1 FROM main.parts AS p WHERE p.digest IS NOT {made} LIMIT 1"
    return connection.execute(sql).fetchone() is not None


def sweep(connection: sqlite3.Connection) -> int:
    """Delete the parts that no snapshot names any more; return how many rows they had."""
    rows = sum(connection.execute(f"DELETE FROM main.{table} WHERE {UNNAMED}").rowcount for table in tables())
    connection.execute(f"DELETE FROM main.parts WHERE {UNNAMED}")
    return rows


def _columns(table: str) -> list[str]:
    return [name for name in genuine.columns(table) if name != "part_id"]
