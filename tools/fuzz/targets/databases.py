"""Databases that a stranger sent: imported, and read where they are.

An input is what is changed in a database that is as it should be: bytes anywhere, values of cells, texts of the schema.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from layerindex import catalog, compare, database, exchange, query, scan, stores
from layerindex.errors import LayerindexError
from layerindex.screen import Look, Screen
from layerindex.show import answers, text, things
from tests.conftest import HOST, build_world
from tools.fuzz import scratch
from tools.fuzz.target import Target, hold

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 1024
SECONDS = 5
"""Longest time for one query."""


class Base(NamedTuple):
    """A database that is as it should be, an empty one, and the tables of both."""

    content: bytes
    empty: bytes
    tables: list[tuple[str, list[str]]]


@cache
def base() -> Base:
    """Scan a small store, in small pages."""
    with tempfile.TemporaryDirectory() as temporary:
        paths = [f"{temporary}/{name}.db" for name in ("full", "empty")]
        root = build_world(Path(temporary) / "docker").root.path
        for path in paths:
            with database.writing(path, lambda _: None) as connection:
                for store in stores.open_stores(str(root)) if path == paths[0] else ():
                    scan.scan(connection, store, scan.Filing(HOST), scan.Options(files=True))
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                for statement in (f"PRAGMA page_size = {PAGE}", "VACUUM"):
                    connection.execute(statement)
                named = connection.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
                ).fetchall()
                columns = [(name, _columns(connection, name)) for (name,) in named]
        return Base(Path(paths[0]).read_bytes(), Path(paths[1]).read_bytes(), columns)


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]


class _Changes:
    """Takes an input apart: what is not there is 0."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        self.at += size
        return self.data[self.at - size : self.at].ljust(size, b"\0")

    def number(self, size: int = 1) -> int:
        """Return the next number."""
        return int.from_bytes(self.take(size), "big")


def changed(data: bytes) -> bytes:
    """Return the database with the changes that an input says: each a byte for its kind, and its values."""
    content, changes = base().content, _Changes(data)
    cells = []
    while changes.at < len(data):
        kind = changes.number()
        if kind & 1:
            place = changes.number(3) % len(content)
            new = changes.take(1 + changes.number() % 16)
            content = (content[:place] + new + content[place + len(new) :])[: len(content)]
        else:
            cells.append(_cell(kind, changes))
    return _with_cells(content, cells) if cells else content


def _cell(kind: int, changes: _Changes) -> tuple[str, tuple[object, ...]]:
    """Return a statement that changes a cell, or with kind 2 the text of something in the schema."""
    if kind == 2:
        old, new = (changes.take(changes.number() % 32).decode(errors="replace") for _ in range(2))
        number = changes.number()
        sql = "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE rowid % 128 = ?"
        return sql, (old, new, number % 128)
    table, columns = base().tables[changes.number() % len(base().tables)]
    column = columns[changes.number() % len(columns)]
    row, size = changes.number(), changes.number() % 80
    raw = changes.take(size)
    values: tuple[object, ...] = (None, int.from_bytes(raw[:8], "big", signed=True), raw.decode(errors="replace"), raw)
    sql = f"UPDATE {table} SET {column} = CAST(? AS {'TEXT' if kind & 4 else 'BLOB'}) WHERE rowid % 4 = ?"  # noqa: S608
    value = values[kind >> 4 & 3]
    return (sql if kind & 8 else sql.replace(f"CAST(? AS {'TEXT' if kind & 4 else 'BLOB'})", "?")), (value, row % 4)


def _with_cells(content: bytes, cells: list[tuple[str, tuple[object, ...]]]) -> bytes:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.deserialize(content)
        try:
            for pragma in ("writable_schema = ON", "ignore_check_constraints = ON", "foreign_keys = OFF"):
                connection.execute(f"PRAGMA {pragma}")
            for sql, values in cells:
                connection.execute(sql, values)
        except sqlite3.Error:
            pass  # what SQLite does not let be written is not there
        return connection.serialize()


# The targets --------------------------------------------------------------------------------------------------------


def _import(data: bytes) -> None:
    """Import a changed database into an empty one: whole, or the empty one stays as it was."""
    folder = scratch.folder("import")
    source, target = f"{folder}/source.db", f"{folder}/target.db"
    scratch.write(source, changed(data))
    scratch.write(target, base().empty)
    try:
        done = exchange.import_file(target, source, lambda _: None)
    except LayerindexError as error:
        hold(_read(target) == base().empty, "a refused file changed the database", error)
        _sentence(error)
    else:
        with closing(sqlite3.connect(target)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM snapshots").fetchone()
        hold(count == done.snapshots, "other snapshots than it says", count, done)
    hold(sorted(os.listdir(folder)) == ["source.db", "target.db"], "litter", os.listdir(folder))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _sentence(error: LayerindexError) -> None:
    hold("\n" not in str(error), "more than a sentence", error)


def _reading(data: bytes) -> None:
    """Ask a changed database one question: there is an answer or a sentence, and nothing of it changes."""
    kind, rest = data[:1] or b"\0", data[1:]
    folder = scratch.folder("read")
    path, content = f"{folder}/read.db", changed(rest)
    scratch.write(path, content)
    try:
        with query.limited(SECONDS):
            for _ in _answer(path, kind[0]):
                pass
    except LayerindexError as error:
        _sentence(error)
    hold(_read(path) == content, "reading changed the database")
    hold(os.listdir(folder) == ["read.db"], "reading left something", os.listdir(folder))


def _answer(path: str, kind: int) -> Iterator[object]:
    names = catalog.names()
    if kind < len(names):
        canned = catalog.load(names[kind])
        with database.reading(path) as connection:
            defaults = {key: param.default for key, param in canned.params.items()}
            yield from query.run(connection, canned.sql, defaults).rows
    elif kind & 1:
        with database.reading(path) as connection:
            asked = things.things("acme/web:1.0", answers.roots(connection))
            told = answers.answers(connection, asked[0])
            for seen in (None, Screen(80, 24)):
                yield from text.lines(told, Look(seen))
    else:
        found = compare.find(path, path)
        for pair in compare.paired(found, found)[0]:
            with compare.opened(pair, path) as (connection, numbers):
                yield from compare.summary(connection, numbers, list(compare.SECTIONS)).rows


def _seeds() -> list[bytes]:
    kinds = (0x20, 0x28, 0x2C, 0x30, 0x10, 0)
    cells = [
        bytes([kind, table, 1, 0, 4]) + b"\xff\x00ab" for kind in kinds for table in range(0, len(base().tables), 5)
    ]
    schema = [bytes([2, 4]) + b"TEXT" + bytes([4]) + b"BLOB" + bytes([number]) for number in (3, 9)]
    return [
        b"",
        *cells,
        *schema,
        *(bytes([1]) + (place * 997).to_bytes(3, "big") + b"\x01\xff\xff" for place in range(40)),
    ]


TARGETS = (
    Target(
        "import",
        "A changed database is imported whole, or refused in a sentence, and then nothing is changed.",
        _seeds,
        _import,
        (b"TEXT", b"STRICT", b"CREATE VIEW ", b"sha256:", b"\xff\xff\xff\xff"),
        256,
    ),
    Target(
        "read",
        "A question to a changed database has an answer or a sentence, and nothing of it changes.",
        lambda: [bytes([kind]) + each for kind in (0, 9, 40, 200, 201) for each in _seeds()[::4]],
        _reading,
        (b"TEXT", b"STRICT", b"CREATE VIEW ", b"sha256:", b"\xff\xff\xff\xff"),
        256,
    ),
)
