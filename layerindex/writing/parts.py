# ruff: noqa: S608 - statements are put together from our own schema's names
"""Rows that snapshots share: each group of equal rows is a part, stored once, and a snapshot names its parts.

A part's name is the SHA-256 of its rows in one form, which is written here and nowhere else. Every database makes the
names itself, from the rows that it stores: what a scan or another file brings is a part that is here already, to which
it links, or a new one. So whoever writes later, or in whatever order, changes nothing that a snapshot says.

KINDS says which parts there are: what an image's config says, the layers and what is known of the directories of a
bucket, whose bytes are whose, and the names and writable layers of a store. They are written under the names that
queries read, such as `images` and `overlay_lowers`: temporary tables stand before those views until everything is
gathered, and `gathering` moves it. Names of directories and the like, which stand in many rows, are in the table
`part_names` once; rows of parts have their numbers.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from layerindex import genuine
from layerindex.database import run

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

BUCKETS = 64
"""How many parts the directories of a store become. What changes is written anew with the rest of its bucket, and each
bucket costs a row in every snapshot."""

LOCAL = ("listing_id", "content_id")
"""Columns that hold a number of this database, which another has for something else: of a listing, of a part."""


class Rows(NamedTuple):
    """A table that holds rows of parts."""

    view: str
    """The view that shows them for each snapshot."""
    key: tuple[str, ...]
    """What tells the rows of one snapshot from each other, and orders them; the first says of which part a row is."""
    named: tuple[str, ...] = ()
    """Columns that hold a number of `part_names`."""
    usual: tuple[tuple[str, str], ...] = ()
    """Columns that nearly always say what follows from others, as an expression of these: then they hold NULL."""

    def values(self, names: list[str], named: Callable[[str], str], *, gathered: bool) -> list[str]:
        """Return an expression for each column of a row `t`, of those that are gathered or of parts."""
        usual = {name: text.format(**{other: f"t.{other}" for other in names}) for name, text in self.usual * gathered}
        return [
            named(f"t.{name}")
            if name in self.named
            else f"nullif(t.{name}, {usual[name]})"
            if name in usual
            else f"t.{name}"
            for name in names
        ]


class Kind(NamedTuple):
    """A kind of parts."""

    name: str
    stored: str
    """The table that says which parts a snapshot has."""
    group: str
    """Its column that tells the parts of a snapshot from each other."""
    tables: dict[str, Rows]
    buckets: int = BUCKETS

    @property
    def views(self) -> dict[str, Rows]:
        """The views that show its rows."""
        return {rows.view: rows for rows in self.tables.values()}

    @property
    def scattered(self) -> bool:
        """Whether a part holds the rows of many names, and has them as numbers."""
        return self.group == "bucket"

    @property
    def local(self) -> bool:
        """Whether its rows hold numbers of this database, and so its parts' names are good in this database alone."""
        return any(name in LOCAL for table in self.tables for name in columns(table))

    @property
    def number(self) -> str:
        """The column of `stored` that has the number of a part."""
        return "part_id" if self.scattered else "content_id"

    def part_of(self, name: str) -> str:
        """Return the expression of what tells the part of the rows of a name."""
        if not self.scattered:
            return name
        return BUCKET.format(name) if self.buckets == BUCKETS else "0"


IMAGE = ("image_id",)
USE = ("used", "used_kind", "user_kind", "user")
REFERENCE = ("ref", "repository", "tag", "digest", "image_id", "namespace", "normalized", "target_digest")
MOUNT = ("name", "mount_id", "init_id", "parent_chain_id", "container_id")
KINDS = (
    Kind(
        "image",
        "part_stored_images",
        "image_id",
        {
            "part_images": Rows("images", IMAGE),
            "part_image_configs": Rows("images", IMAGE),
            "part_image_layers": Rows("image_layers", (*IMAGE, "position")),
            "part_image_history": Rows("image_history", (*IMAGE, "position")),
        },
    ),
    Kind(
        "directories",
        "stored_directories",
        "bucket",
        {
            "part_lowers": Rows(
                "overlay_lowers",
                ("cache_id", "position"),
                ("cache_id", "link", "lower_cache_id"),
            ),
            "part_uses": Rows("recorded_uses", USE, (*USE, "source")),
            "part_links": Rows(
                "links", ("link",), ("link", "cache_id"), (("target", "'../' || {cache_id} || '/diff'"),)
            ),
        },
    ),
    Kind(
        "usage",
        "stored_usage",
        "bucket",
        {
            "part_usage": Rows("disk_usage", ("owner", "category"), ("category", "owner", "note")),
            "part_dirs": Rows("overlay_dirs", ("cache_id",), ("cache_id", "role", "link", "unknown_because")),
        },
    ),
    Kind(
        "layers",
        "stored_layers",
        "bucket",
        {"part_layers": Rows("layers", ("chain_id",), ("chain_id", "diff_id", "parent_chain_id", "cache_id"))},
    ),
    Kind(
        "references",
        "stored_references",
        "bucket",
        {
            "part_stored_images": Rows("stored_images", IMAGE, (*IMAGE, "target_digest", "parent_image_id")),
            "part_refs": Rows("image_refs", ("ref", "image_id", "namespace"), REFERENCE),
            "part_mounts": Rows("mounts", ("name",), MOUNT),
        },
        1,
    ),
)

NOTHING = 0
"""The number of `part_names` that stands for NULL."""

INDEXES = (
    "CREATE INDEX temp.gathered_chain ON image_layers (chain_id, snapshot_id)",
    "CREATE INDEX temp.gathered_directory ON layers (cache_id, snapshot_id)",
    "CREATE INDEX temp.gathered_layer ON layers (diff_id, snapshot_id)",
)
"""What a scan asks by, while it goes on."""

CACHE = "PRAGMA temp.cache_size = -32768"
"""Room in memory for what is gathered; the rest goes to a temporary file."""

SPREAD = "CREATE TEMP TABLE spread (snapshot_id, part_of, name, PRIMARY KEY (snapshot_id, part_of, name)) WITHOUT ROWID"
"""Of which part the rows of a name are."""

NAMED = """
CREATE TEMP TABLE gathered AS SELECT snapshot_id, part_of, {digest} AS digest
FROM (SELECT DISTINCT snapshot_id, part_of FROM temp.spread) AS i;
INSERT OR IGNORE INTO main.parts (digest) SELECT digest FROM temp.gathered ORDER BY rowid;
CREATE TEMP TABLE fresh AS
SELECT p.part_id, min(g.rowid) AS gathered FROM temp.gathered AS g JOIN main.parts AS p ON p.digest = g.digest
WHERE p.part_id > :before GROUP BY p.part_id"""
"""Whatever is gathered gets a name; a part that was not here before is filled from the first that has its name."""

COMING = """
FROM temp.fresh AS f CROSS JOIN temp.gathered AS g ON g.rowid = f.gathered
CROSS JOIN temp.spread AS s ON s.snapshot_id = g.snapshot_id AND s.part_of = g.part_of
CROSS JOIN temp.{view} AS t ON t.snapshot_id = s.snapshot_id AND t.{first} = s.name"""
"""The rows of parts that were not here before, in the order of the parts."""

FIND = "SELECT name_id FROM main.part_names WHERE name = ?"

STORED = """
FROM temp.gathered AS g CROSS JOIN main.parts AS p ON p.digest = g.digest"""

BUCKET = "bucket(CAST({} AS BLOB))"

UNNAMED = " AND ".join(f"part_id NOT IN (SELECT {kind.number} FROM main.{kind.stored})" for kind in KINDS)
"""What no snapshot names, once the parts that it names are gone which name others."""


def tables() -> dict[str, Rows]:
    """Return the tables that hold the rows of parts."""
    return {table: rows for kind in KINDS for table, rows in kind.tables.items()}


def views() -> dict[str, Rows]:
    """Return the views that show them."""
    return {view: rows for kind in KINDS for view, rows in kind.views.items()}


def _same(_: str, number: str) -> str:
    return number


def read_as(table: str) -> str:
    """Return the name under which people read what is in a table: of one of parts its view."""
    held = tables().get(table)
    return held.view if held else table


def digest(
    kind: Kind, source: Callable[[str], str], schema: str | None, local: Callable[[str, str], str] = _same
) -> str:
    """Return the expression of a part's digest; `source` says where its rows `t` of a table are: from FROM to WHERE.

    Its rows are JSON, table by table in the order of the kind, each table's in the order of its key, so that equal rows
    have one form whatever they came from, and others another. `schema` has the names that stand in them as numbers;
    None where names stand in the rows. `local` makes the number that this database has of one that they hold.
    """
    held = []
    for table, rows in kind.tables.items():
        names = columns(table)
        values = rows.values(names, lambda name: named(name, f"{schema}.") if schema else name, gathered=not schema)
        values = [local(name, value) if name in LOCAL else value for name, value in zip(names, values, strict=True)]
        taken = ", ".join(f"{value} AS {name}" for name, value in zip(names, values, strict=True))
        # What is gathered is read in this order, so that nothing is sorted.
        order = (
            [name for name in rows.key if name in names]
            if schema
            else ["s.name", *(f"t.{name}" for name in rows.key[1:])]
        )
        said = f"SELECT {taken} {source(table)} ORDER BY {', '.join(order or ['1'])}"
        held.append(f"(SELECT json_group_array(json_array({', '.join(names)})) FROM ({said}))")
    return f"sha256(CAST(json_array('{kind.name}', {', '.join(held)}) AS BLOB))"


def named(number: str, schema: str = "") -> str:
    """Return the expression of the name that has a number; `schema` ends with a full stop."""
    return f"(SELECT n.name FROM {schema}part_names AS n WHERE n.name_id = {number})"


def prepare(connection: sqlite3.Connection) -> None:
    """Let SQL on a connection call sha256(), which makes the digest of bytes, and bucket(), which makes a number."""
    connection.create_function("sha256", 1, lambda content: hashlib.sha256(content).digest(), deterministic=True)
    connection.create_function("bucket", 1, bucket, deterministic=True)


def bucket(name: bytes | None) -> int | None:
    """Return the bucket of a name."""
    return None if name is None else hashlib.sha256(name).digest()[0] % BUCKETS


class Numbers(dict[str | None, int]):
    """The number of each name that was asked for: that which it has in a database, or a new one."""

    def __init__(self, connection: sqlite3.Connection, last: int) -> None:
        """Take the greatest number that was given."""
        super().__init__({None: NOTHING})
        self.last = last
        self.find = connection.cursor().execute if last > NOTHING else None

    def __missing__(self, name: str) -> int:
        """Return the number of a name that was not asked for before."""
        found = self.find(FIND, (name,)).fetchone() if self.find else None
        if found is None:
            self.last += 1
            found = (self.last,)
        self[name] = found[0]
        return self[name]


@contextmanager
def gathering(connection: sqlite3.Connection) -> Iterator[None]:
    """Let rows be written into the views of parts, and read again, in the open transaction; at the end store them."""
    for view, rows in views().items():
        found = connection.execute("SELECT name, type FROM pragma_table_info(?, 'main')", (view,)).fetchall()
        described = ", ".join(f"{name} {type_}" for name, type_ in found)
        key = ", ".join(("snapshot_id", *rows.key))
        connection.execute(f"CREATE TEMP TABLE {view} ({described}, PRIMARY KEY ({key})) WITHOUT ROWID")
    for index in INDEXES:
        connection.execute(index)
    connection.execute(CACHE)
    yield
    prepare(connection)
    for kind in KINDS:
        _store(connection, kind)
    for view in views():
        connection.execute(f"DROP TABLE temp.{view}")


def _store(connection: sqlite3.Connection, kind: Kind) -> None:
    """Move what was gathered of a kind into parts; those that are here already are only named."""
    connection.execute(SPREAD)
    part_of = kind.part_of("name")
    for view, rows in kind.views.items() if kind.scattered else [*kind.views.items()][:1]:
        sql = f"SELECT DISTINCT snapshot_id, {rows.key[0]} AS name FROM temp.{view}"
        connection.execute(f"INSERT OR IGNORE INTO temp.spread SELECT snapshot_id, {part_of}, name FROM ({sql})")
    said = digest(kind, lambda table: _gathered(kind.tables[table]), None)
    run(connection, NAMED.format(digest=said), {"before": last(connection)})
    for table, rows in kind.tables.items():
        _fill(connection, table, rows)
    _name(connection, kind)
    for table in ("spread", "gathered", "fresh"):
        connection.execute(f"DROP TABLE temp.{table}")


def _gathered(rows: Rows) -> str:
    return (
        f"FROM temp.spread AS s CROSS JOIN temp.{rows.view} AS t ON t.snapshot_id = s.snapshot_id "
        f"AND t.{rows.key[0]} = s.name WHERE s.snapshot_id = i.snapshot_id AND s.part_of = i.part_of"
    )


def _fill(connection: sqlite3.Connection, table: str, rows: Rows) -> None:
    """Copy the rows of new parts into their table, and their names into that of names."""
    names = columns(table)
    taken = ", ".join(rows.values(names, "number({})".format, gathered=True))
    coming = COMING.format(view=rows.view, first=rows.key[0])
    with _numbering(connection) if rows.named else nullcontext():
        connection.execute(f"INSERT INTO main.{table} (part_id, {', '.join(names)}) SELECT f.part_id, {taken} {coming}")


@contextmanager
def _numbering(connection: sqlite3.Connection) -> Iterator[None]:
    """Let SQL call number(), which tells the number of a name, and gives one to a name that has none.

    A dictionary of Python does it: SQLite would look up the same few names once for each of many rows.
    """
    (last,) = connection.execute("SELECT max(name_id) FROM main.part_names").fetchone()
    numbers, new = Numbers(connection, last), last + 1
    connection.create_function("number", 1, numbers.__getitem__)
    try:
        yield
    finally:
        connection.create_function("number", 1, None)  # else a cycle of references would keep the connection
    fresh = [
        (number, name, bucket(name.encode())) for name, number in numbers.items() if name is not None and number >= new
    ]
    connection.executemany("INSERT INTO main.part_names (name_id, name, bucket) VALUES (?, ?, ?)", fresh)


def add_names(connection: sqlite3.Connection, source: str) -> None:
    """Number the names of a source that have no number."""
    connection.execute(
        f"""INSERT OR IGNORE INTO main.part_names (name, bucket)
            SELECT name, {BUCKET.format("name")} FROM {source} AS t WHERE name IS NOT NULL"""
    )


def _name(connection: sqlite3.Connection, kind: Kind) -> None:
    """Say which parts the snapshots have."""
    given = {"snapshot_id": "g.snapshot_id", kind.number: "p.part_id", kind.group: "g.part_of"}
    names, source, into = genuine.columns(kind.stored), STORED, f"main.{kind.stored}"
    if not kind.scattered:
        # The columns that only the store knows are rows of another kind: they go to what is gathered of that.
        names, into = ["snapshot_id", *columns(kind.stored)], f"temp.{tables()[kind.stored].view}"
        view = next(iter(kind.tables.values())).view
        source += f" CROSS JOIN temp.{view} AS t ON t.snapshot_id = g.snapshot_id AND t.{kind.group} = g.part_of"
    taken = ", ".join(given.get(name, f"t.{name}") for name in names)
    connection.execute(f"INSERT INTO {into} ({', '.join(names)}) SELECT {taken} {source}")


def last(connection: sqlite3.Connection) -> int:
    """Return the greatest number of a part; each that comes gets a greater one."""
    (found,) = connection.execute("SELECT coalesce(max(part_id), 0) FROM main.parts").fetchone()
    return int(found)


def misnamed(connection: sqlite3.Connection) -> bool:
    """Say whether a database has a part whose rows are not what its name says."""
    prepare(connection)
    for kind in KINDS:
        made = digest(kind, lambda table: f"FROM main.{table} AS t WHERE t.part_id = p.part_id", "main")
        sql = f"""SELECT 1 FROM main.parts AS p WHERE p.part_id IN (SELECT {kind.number} FROM main.{kind.stored})
                  AND p.digest IS NOT {made} LIMIT 1"""
        if connection.execute(sql).fetchone():
            return True
    return False


def rename(connection: sqlite3.Connection) -> None:
    """Give each part the name that its rows make, after a revision changed what they have; equal ones become one."""
    prepare(connection)
    for kind in KINDS:
        made = digest(kind, lambda table: f"FROM main.{table} AS t WHERE t.part_id = p.part_id", "main")
        number = f"{kind.stored}.{kind.number}"
        statements = f"""
CREATE TEMP TABLE renamed AS SELECT part_id, min(part_id) OVER (PARTITION BY made) AS kept, made
  FROM (SELECT p.part_id, {made} AS made FROM main.parts AS p
    WHERE p.part_id IN (SELECT {number} FROM main.{kind.stored}));
UPDATE main.{kind.stored} SET {kind.number} = r.kept
  FROM temp.renamed AS r WHERE r.part_id = {number} AND r.kept <> r.part_id;
UPDATE main.parts SET digest = r.made FROM temp.renamed AS r WHERE r.part_id = parts.part_id AND r.kept = r.part_id;
DROP TABLE temp.renamed"""
        run(connection, statements)
    sweep(connection)


def misplaced(connection: sqlite3.Connection) -> bool:
    """Say whether a snapshot has a part under another bucket than that of the names in it."""
    prepare(connection)
    wrong = f"SELECT 1 FROM main.part_names WHERE bucket IS NOT {BUCKET.format('name')}"
    return any(connection.execute(f"{sql} LIMIT 1").fetchone() for sql in (wrong, *elsewhere()))


def elsewhere() -> Iterator[str]:
    """Yield for each table of parts in buckets what finds the rows that a snapshot has under another bucket."""
    for kind in KINDS:
        if kind.scattered and kind.buckets == 1:
            yield f"SELECT 1 FROM main.{kind.stored} AS s WHERE s.bucket IS NOT 0"
        elif kind.scattered:
            for table, rows in kind.tables.items():
                yield (
                    f"SELECT 1 FROM main.{kind.stored} AS s CROSS JOIN main.{table} AS t ON t.part_id = s.part_id "
                    f"CROSS JOIN main.part_names AS n ON n.name_id = t.{rows.key[0]} WHERE n.bucket IS NOT s.bucket"
                )


def sweep(connection: sqlite3.Connection) -> int:
    """Delete the parts that no snapshot names any more, and names that no part has; return how many rows they had."""
    # Kinds that name parts of other kinds come first.
    rows = sum(connection.execute(f"DELETE FROM main.{table} WHERE {UNNAMED}").rowcount for table in reversed(tables()))
    if connection.execute(f"DELETE FROM main.parts WHERE {UNNAMED}").rowcount:
        used = " UNION ".join(
            f"SELECT {name} FROM main.{table}" for table, held in tables().items() for name in held.named
        )
        connection.execute(f"DELETE FROM main.part_names WHERE name_id <> {NOTHING} AND name_id NOT IN ({used})")
    return rows


def holding(column: str) -> list[tuple[Kind, str]]:
    """Return the tables of parts that have a column, each with its kind."""
    return [(kind, table) for kind in KINDS for table in kind.tables if column in columns(table)]


def listings() -> str:
    """Return the statement that finds the listings which some part has."""
    held = (table for _, table in holding("listing_id"))
    return " UNION ".join(f"SELECT listing_id FROM main.{table} WHERE listing_id IS NOT NULL" for table in held)


def columns(table: str) -> list[str]:
    """Return the columns of a table of parts that say something."""
    return [name for name in genuine.columns(table) if name != "part_id"]
