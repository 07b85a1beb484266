"""Changes what the snapshots of a database say, under the names that queries read, whatever they are stored as."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from layerindex.writing import parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WRITES = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) (\w+)")


def needed(connection: sqlite3.Connection, statements: tuple[str, ...]) -> bool:
    """Whether one of some statements writes to a view of parts; in older databases these are tables."""
    views = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")}
    written = {match[1] for sql in statements if (match := _WRITES.match(sql))}
    return bool(written & views & set(parts.views()))


@contextmanager
def rewriting(connection: sqlite3.Connection) -> Iterator[None]:
    """Let SQL write to the views of parts; what snapshots say then becomes parts with names of their own."""
    with parts.gathering(connection):
        for view in parts.views():
            if view == "stored_images":
                continue  # made of images
            names = ", ".join(name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (view,)))
            connection.execute(f"INSERT INTO temp.{view} ({names}) SELECT {names} FROM main.{view}")
        for kind in parts.KINDS:
            if kind.scattered:
                connection.execute(f"DELETE FROM main.{kind.stored}")
        yield
    parts.sweep(connection)


@contextmanager
def changing(path: Path | str) -> Iterator[sqlite3.Connection]:
    """Give a connection that may write to a database under the names that queries read, and commit."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        with rewriting(connection):
            yield connection
        connection.execute("COMMIT")
