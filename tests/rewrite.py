"""Changes what the snapshots of a database say, under the names that queries read, whatever they are stored as."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerindex import parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_WRITES = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) (\w+)")


def needed(statements: tuple[str, ...]) -> bool:
    """Whether one of some statements writes to a view of parts."""
    return any((match := _WRITES.match(sql)) and match[1] in parts.views() for sql in statements)


@contextmanager
def rewriting(connection: sqlite3.Connection) -> Iterator[None]:
    """Let SQL write to the views of parts; what snapshots say then becomes parts with names of their own."""
    with parts.gathering(connection):
        for view in parts.views():
            names = ", ".join(name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (view,)))
            connection.execute(f"INSERT INTO temp.{view} ({names}) SELECT {names} FROM main.{view}")
        for kind in parts.KINDS:
            connection.execute(f"DELETE FROM main.{kind.stored}")
        yield
    parts.sweep(connection)
