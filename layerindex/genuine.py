# ruff: noqa: S608 - the name of a schema is our own
"""Checks that our tables, views and indexes in a database are ours text for text, before anything else is done.

SQLite executes parts of a file's schema: a view's SELECT, a trigger, a default, a check. A database may come from a
stranger, or be changed by its owner; so the text of each of our things must be that of its revision's script, and none
may have a trigger. What users added is never read, run or removed. Their indexes on our tables are allowed where they
only order columns; a unique, partial or computed index could refuse our rows.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from layerindex import interrupt, shipped
from layerindex.errors import DatabaseError, NewerDatabaseError, NotOursError
from layerindex.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID = 0x4C494458
"""`LIDX` in the file's header: `file` and SQLite know the database as ours."""

REVISION = "0007"
"""The newest revision in `migrations/`; a test holds it to Alembic's head."""

VERSION = (
    "CREATE TABLE alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
"""The table that holds the revision of a database."""

ITS_OWN = {
    "sqlite_stat1": "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "sqlite_stat4": "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
    "sqlite_sequence": "CREATE TABLE sqlite_sequence(name,seq)",
}
"""Tables that SQLite makes by itself."""

CALLED = re.compile("json_each|json_tree|pragma_.*")
"""Table-valued functions that our SQL calls; a table of the same name would be used instead of them."""

STEPS, TURNS = 10_000, 40
"""How many times so many SQLite instructions reading a schema may take: enough for ten thousand tables."""

SHOWN = 3
"""Most differences that an error names."""

READ = ("hosts", "snapshots")
"""Small tables whose values commands compute with: these values must have the types that the schema declares."""

_CREATED = re.compile(r"CREATE (TABLE|VIEW|INDEX) (\w+)(?: ON (\w+))?")

FOUND = """
SELECT lower(type), lower(substr(name, 1, instr(name || char(0), char(0)) - 1)),
  lower(substr(tbl_name, 1, instr(tbl_name || char(0), char(0)) - 1)), sql FROM {schema}.sqlite_schema"""
"""All rows of a schema, with names as SQLite compares them: in lower case, up to a NUL, and also from a BLOB."""

INDEX = """
SELECT 1 FROM pragma_index_list(:table, :schema) AS i WHERE i.name = :name COLLATE NOCASE AND NOT i."unique"
AND NOT i.partial AND NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(:name, :schema) AS c WHERE c.cid = -2)"""
"""Whether an index only orders columns."""


class Thing(NamedTuple):
    """A table, view, index or trigger of a database, the table it belongs to, and the SQL that made it.

    In a file `sql` may be anything; it is NULL where SQLite made an index by itself.
    """

    type: str
    name: str
    table: str
    sql: str


@cache
def _scripts() -> dict[str, str]:
    """Return the path of the script that makes each revision's schema."""
    folder = os.path.join(shipped.folder("migrations"), "versions")
    return {name[:4]: os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".sql")}


def revisions() -> list[str]:
    """Return all revisions, the oldest first."""
    return list(_scripts())


@cache
def things(revision: str) -> dict[str, Thing]:
    """Return our tables, views and indexes in a database of a revision, by name; nothing for an unknown revision."""
    if revision not in _scripts():
        return {}
    with open(_scripts()[revision], encoding="utf-8") as file:
        statements = (*file.read().split(";\n"), VERSION)
    made = {}
    for statement in statements:
        if match := _CREATED.match(statement):
            type_, name, table = match.groups()
            made[name] = Thing(type_.lower(), name, table or name, statement)
    return made


def tables(revision: str = REVISION) -> list[str]:
    """Return the names of our tables, without the one for the revision."""
    return [
        thing.name for thing in things(revision).values() if thing.type == "table" and thing.name != "alembic_version"
    ]


def columns(table: str, type_: str | None = None) -> list[str]:
    """Return the columns of a table of ours, in order: all, or those of one type."""
    return [name for name, its_type in _columns()[table] if type_ in (None, its_type)]


@cache
def _columns() -> dict[str, list[tuple[str, str]]]:
    """Return name and type of each column by table, as SQLite reads our own script."""
    found: dict[str, list[tuple[str, str]]] = {}
    with closing(sqlite3.connect(":memory:")) as connection:
        for table in tables():
            connection.execute(things(REVISION)[table].sql)
            found[table] = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
    return found


def revision(
    connection: sqlite3.Connection, path: str, schema: str = "main", error: type[DatabaseError] = NotOursError
) -> str | None:
    """Return the revision of an open database after checking its schema against that revision; None for an empty file.

    Raises `error` for a file that is not ours or not as we make it, NewerDatabaseError, and what SQLite raises.
    """
    connection.execute("PRAGMA trusted_schema = OFF")
    found = _found(connection, path, schema, error)
    if not found:
        return None
    (application_id,) = connection.execute(f"PRAGMA {schema}.application_id").fetchone()
    versions = [thing for thing in found if thing.name == "alembic_version"]
    if application_id != APPLICATION_ID or not versions:
        raise error(path, "is an SQLite file, but not a layerindex database")
    if versions != [Thing("table", "alembic_version", "alembic_version", VERSION)]:
        raise error(path, "its table alembic_version is not as layerindex writes it")
    number = _number(connection, path, schema, error)
    if int(number) > int(REVISION):
        raise NewerDatabaseError(path, number)
    expected = things(number)
    if not expected:
        raise error(path, f"has schema {number}, which no layerindex ever had")
    differences = [*_differences(found, expected), *_in_the_way(connection, schema, found, expected)]
    if differences:
        more = f" and {len(differences) - SHOWN} more" if len(differences) > SHOWN else ""
        raise error(path, f"is not as layerindex writes it: {', '.join(differences[:SHOWN])}{more}")
    for table in READ:
        (said,) = connection.execute(f"PRAGMA {schema}.quick_check({table})").fetchone()
        if said != "ok":
            raise error(path, f"its table {table} is damaged: {printable(said[:200])}")
    return number


def _found(connection: sqlite3.Connection, path: str, schema: str, error: type[DatabaseError]) -> list[Thing]:
    """Return all rows of a schema; raises where they are too many or not UTF-8."""
    turns = iter(range(TURNS))
    connection.set_progress_handler(lambda: next(turns, None) is None, STEPS)
    try:
        rows = connection.execute(FOUND.format(schema=schema)).fetchall()
    except sqlite3.OperationalError as raised:
        if getattr(raised, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
            raise error(path, "has more tables, views and indexes than layerindex reads") from raised
        if "decode" in str(raised):
            raise error(path, "is not as layerindex writes it: a text of its schema is not UTF-8") from raised
        raise
    finally:
        interrupt.Watch(connection)
    return [Thing._make(row) for row in rows]


def _number(connection: sqlite3.Connection, path: str, schema: str, error: type[DatabaseError]) -> str:
    rows = connection.execute(f"SELECT version_num FROM {schema}.alembic_version LIMIT 2").fetchall()
    found = rows[0][0] if len(rows) == 1 else None
    if not (isinstance(found, str) and re.fullmatch("[0-9]{4,9}", found)):
        raise error(path, "is damaged: it does not say which schema it has")
    return found


def _differences(found: list[Thing], expected: dict[str, Thing]) -> Iterator[str]:
    """Describe our things that are missing or differ, and triggers on our tables."""
    present: dict[str, list[Thing]] = {}
    for thing in found:
        if thing.type != "trigger":
            present.setdefault(thing.name, []).append(thing)
        elif thing.table in expected:
            yield f"a {_shown(thing)} is on its {_shown(expected[thing.table])}"
    for name, thing in expected.items():
        if name not in present:
            yield f"it has no {_shown(thing)}"
        elif present[name] != [thing]:
            yield f"its {_shown(thing)} is another"


def _in_the_way(
    connection: sqlite3.Connection, schema: str, found: list[Thing], expected: dict[str, Thing]
) -> Iterator[str]:
    """Describe additions of a user that would change what our own SQL does."""
    coming = things(REVISION)
    for thing in found:
        name, its_own = thing.name, ITS_OWN.get(thing.name)
        if thing.type == "trigger" or name in expected:
            continue
        if name in coming:
            yield f"a {_shown(thing)} is in the place of a {coming[name].type} that an upgrade makes"
        elif CALLED.fullmatch(name) or (
            name.startswith("sqlite_") and thing.sql is not None and thing != ("table", name, name, its_own)
        ):
            yield f"a {_shown(thing)} has a name of SQLite's own"
        elif thing.type == "index" and thing.table in expected and thing.sql is not None:
            values = {"name": name, "table": thing.table, "schema": schema}
            if connection.execute(INDEX, values).fetchone() is None:
                yield f"a {_shown(thing)} on its {_shown(expected[thing.table])} is unique, partial or computed"


def _shown(thing: Thing) -> str:
    return f"{printable(thing.type[:20])} {printable(thing.name[:60])}"
