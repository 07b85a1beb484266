"""`layerindex schema`."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from layerindex import catalog, database, query, standing
from layerindex.cli import options
from layerindex.errors import UsageError
from layerindex.problems import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

CODES = "codes"
"""The name under which the problem codes are explained."""

STATES = "states"
"""The name under which the states of sources are explained."""

DESCRIPTION = ("description",)
"""What is not cut."""

QUERIES = "queries"
"""The name under which the columns that each canned query needs are listed."""


@click.command(name="schema")
@click.argument("table", required=False, shell_complete=options.complete("tables"))
@options.output
def command(table: str | None, output: options.Output) -> None:
    """List the tables and views, or explain one TABLE.

    With `codes` in its place explain the problem codes, with `states` those of sources; with `queries` list the columns
    of each canned query that a narrow terminal always shows.

    The descriptions are those that `.schema` shows in the sqlite3 shell.
    """
    output = output._replace(trunc=False)
    if table is None:
        output.write(query.Result(["name", "type", "description"], iter(_objects())), whole=DESCRIPTION)
    elif table == CODES:
        rows = [(code, kind.severity, kind.meaning) for code, kind in sorted(KINDS.items())]
        output.write(query.Result(["code", "severity", "description"], iter(rows)), whole=DESCRIPTION)
    elif table == STATES:
        output.write(query.Result(["state", "description"], iter(standing.STATES.items())), whole=DESCRIPTION)
    elif table == QUERIES:
        needed = [(name, ", ".join(catalog.load(name).first)) for name in catalog.names()]
        output.write(query.Result(["query", "first"], iter(needed)), whole=["first"])
    else:
        output.write(query.Result(["column", "type", "description"], iter(_columns(table))), whole=DESCRIPTION)


@contextmanager
def _empty() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        database.create(connection)
        yield connection


def _described() -> list[tuple[str, str, str]]:
    """Return type, name and SQL of each table and view of an empty database."""
    with _empty() as connection:
        sql = """SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name <> 'alembic_version'
                 ORDER BY type, name"""
        return [(str(kind), str(name), str(text)) for kind, name, text in connection.execute(sql)]


def _sentence(text: str) -> str:
    return text.partition("/*")[2].partition("*/")[0].strip()


def _objects() -> list[tuple[str, str, str]]:
    return [(name, kind, _sentence(text)) for kind, name, text in _described()]


def _columns(table: str) -> list[tuple[str, str, str]]:
    """Return name, type and sentence of each column; without a sentence where a view works it out and says none."""
    found = {name: text for _, name, text in _described()}
    if table not in found:
        raise UsageError(f"no table {table!r}{catalog.near(table, list(found))}; `layerindex schema` lists them all")
    with _empty() as connection:
        said = sentences(connection, table, found)
        return [(name, type_, said.get(name, "")) for name, type_ in _types(connection, table)]


def _types(connection: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()


def sentences(connection: sqlite3.Connection, table: str, found: dict[str, str]) -> dict[str, str]:
    """Return the sentence of each column that has one: its own, or in a view that of the column that it shows."""
    text = found.get(table, "")
    own = [_sentence(line) for line in text.splitlines()[1:] if re.search(r"\S.* /\* .+ \*/", line)]
    if own:
        return {name: said for (name, _), said in zip(_types(connection, table), own, strict=True)}
    known: dict[str, str] = {}
    shown = _flat(text)
    if not re.search(r"\bUNION\b", shown):  # what the first part shows may not be what the others do
        tables = {alias or name: name for name, alias in re.findall(r"\b(?:FROM|JOIN) (\w+)(?: AS (\w+))?", shown)}
        for item in shown.partition("SELECT ")[2].partition("FROM ")[0].split(","):
            # What a view works out is more than a dot between two names.
            plain = re.fullmatch(r"(?:(\w+)\.)?(\w+)(?: AS (\w+))?", item.strip())
            of = None if plain is None else plain[1] or (next(iter(tables)) if len(tables) == 1 else None)
            if plain is not None and of in tables:
                said = sentences(connection, tables[of], found).get(plain[2])
                known |= {} if said is None else {plain[3] or plain[2]: said}
    return known | dict(re.findall(r"^/\* (\w+): (.+) \*/$", text, re.MULTILINE))


def _flat(text: str) -> str:
    """Return a SELECT without comments and texts, and with NUL for parentheses and what is in them."""
    text = re.sub(r"/\*.*?\*/|--[^\n]*|'[^']*'", "", text, flags=re.DOTALL)
    while (less := re.sub(r"\([^()]*\)", "\0", text)) != text:
        text = less
    return text
