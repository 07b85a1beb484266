"""Reads another program's SQLite database, also while it is written, without changing it.

The file and its write-ahead log are read into memory, the log's committed pages are put in place, and SQLite gets the
result: no lock is taken and nothing is written, as opening a file with a log would do. A database counts as hostile: it
is refused if it has anything but tables and indexes, or a table with computed columns; nothing that its schema could
call is run; steps, rows and bytes are bounded.

Format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
import time
from contextlib import closing
from struct import Struct
from typing import TYPE_CHECKING, Any

from layerindex import interrupt
from layerindex.failures import RAISED, reason
from layerindex.guard import reader
from layerindex.names import printable
from layerindex.problems import Damage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layerindex.stores.disk.files import Folder

LIMIT = 64 * 1024 * 1024
"""Most bytes of a database, and of its log; Podman's have some KB for each container."""
ROWS = 500_000
"""Most rows of all tables that are read."""
SCHEMA_STEPS = 100_000
"""Most steps of SQLite's machine to read the schema: some 10,000 tables; Podman has 15."""
STEPS = 20_000_000
"""Most steps to read the rows; a usual row needs some 10."""
STRIDE = 1000
"""Steps between two checks of their number."""
BOUNDS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 16 * 1024 * 1024,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 20,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 1,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 5000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 8,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
"""Limits of SQLite: for the longest row, and small ones for each statement, also those in the schema."""
PLAIN = re.compile(r"CREATE (?:TABLE|(?:UNIQUE )?INDEX) ", re.IGNORECASE)
"""How the schema of a database begins its statements in which nothing is computed and nothing runs by itself."""
ATTEMPTS = 5
PAUSE = 0.02
"""Seconds to wait for a writer before another attempt."""

MAGIC = b"SQLite format 3\0"
HEADER = 100
VERSIONS = slice(18, 20)
"""Where the header says that a log is used, which a database in memory cannot have."""

_WAL_HEADER = Struct(">8I")
_FRAME = Struct(">6I")
_WAL_MAGIC = (0x377F0682, 0x377F0683)


@reader
def read_rows(folder: Folder, name: str, tables: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield each row of some tables with the table's name: the columns that are wanted; raises Damage.

    An absent table has no rows. All rows together may have at most as many bytes as the database: rows that share
    pages, as no engine writes them, would expand a small file.
    """
    where = folder.where(name)
    content = _content(folder, name)
    size = room = len(content)
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            for kind, bound in BOUNDS.items():
                connection.setlimit(kind, bound)
            connection.deserialize(content)
            del content
            for count, (table, row) in enumerate(_rows(connection, where, tables), 1):
                room -= sum(len(value) for value in row if isinstance(value, str | bytes))
                if count > ROWS or room < 0:
                    detail = f"its rows are more than {ROWS}, or have more bytes than its {size}; not read further"
                    raise Damage("too-large", where, detail)
                yield table, row
    except (*RAISED, OverflowError, UnicodeDecodeError) as error:
        interrupt.check()
        raise Damage("bad-sqlite", where, printable(f"SQLite says: {reason(error)}")) from error


def _rows(
    connection: sqlite3.Connection, where: str, tables: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    _bound(connection, SCHEMA_STEPS)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
        connection.execute(f"PRAGMA {pragma}")
    present = set()
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema"):
        if sql is not None and not (isinstance(sql, str) and PLAIN.match(sql)):
            detail = f"it has something else than tables and indexes: {printable(f'{name!r:.60}')}"
            raise Damage("bad-sqlite", where, detail)
        if kind == "table":
            present.add(name)
    _bound(connection, STEPS)
    for table, columns in tables.items():
        if table not in present:
            continue
        computed = [row[1] for row in connection.execute(f'PRAGMA table_xinfo("{table}")') if row[6]]
        if computed:
            raise Damage("bad-sqlite", where, f"{table} has columns that are computed: {printable(computed[0])[:60]}")
        chosen = ", ".join(f"[{column}]" for column in columns)  # in quotes, a column that is not there is a text
        for row in connection.execute(f'SELECT {chosen} FROM "{table}"'):  # noqa: S608 - names of our own
            yield table, row


def _bound(connection: sqlite3.Connection, steps: int) -> None:
    """Have SQLite interrupt itself after so many steps of its machine."""
    left = itertools.count(steps // STRIDE, -1)

    def look() -> bool:
        interrupt.check()
        return next(left) <= 0

    connection.set_progress_handler(look, STRIDE)


def _content(folder: Folder, name: str) -> bytes:
    """Return the database and its log, read again until nobody wrote them during the reading."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        before = _beginnings(folder, name)
        content = folder.read(name, LIMIT)
        log = folder.read(f"{name}-wal", LIMIT) if f"{name}-wal" in folder and before[1] else b""
        if _beginnings(folder, name) == before:
            break
    else:
        raise Damage("inconsistent", folder.where(name), "it was written each time it was read")
    if not content:
        raise Damage("empty", folder.where(name), "the file has no content")
    if len(content) < HEADER or not content.startswith(MAGIC):
        raise Damage("bad-sqlite", folder.where(name), "it is no SQLite database")
    database = bytearray(content)
    _apply(database, log)
    database[VERSIONS] = b"\1\1"
    return bytes(database)


def _beginnings(folder: Folder, name: str) -> list[bytes]:
    """Return what every transaction changes: the header of the database, and the header and size of its log."""
    found = []
    for file in (name, f"{name}-wal"):
        try:
            with folder.opened(file) as handle:
                found.append(os.pread(handle, HEADER, 0) + b"%d" % os.fstat(handle).st_size)
        except Damage:
            if file == name:
                raise
            found.append(b"")
    return found


def _apply(database: bytearray, log: bytes) -> None:
    """Apply the pages of committed transactions; a frame with a wrong checksum ends the log."""
    if len(log) < _WAL_HEADER.size:
        return
    magic, _, size, _, salt_one, salt_two, one, two = _WAL_HEADER.unpack_from(log)
    if magic not in _WAL_MAGIC or size < 512 or size > 65536 or size & (size - 1):
        return
    words = Struct(">I" if magic & 1 else "<I")
    state = _checksum(log[: _WAL_HEADER.size - 8], (0, 0), words)
    if state != (one, two):
        return
    waiting: list[tuple[int, int]] = []
    position = _WAL_HEADER.size
    while position + _FRAME.size + size <= len(log):
        page, pages, first, second, *said = _FRAME.unpack_from(log, position)
        data = position + _FRAME.size
        state = _checksum(log[position : position + 8], state, words)
        state = _checksum(log[data : data + size], state, words)
        if (first, second) != (salt_one, salt_two) or state != tuple(said) or not 0 < page <= LIMIT // size:
            return
        waiting.append((page, data))
        if pages:  # the last frame of a transaction says how large the database then is
            _commit(database, log, size, waiting, min(pages, LIMIT // size))
            waiting = []
        position = data + size


def _commit(database: bytearray, log: bytes, size: int, waiting: list[tuple[int, int]], pages: int) -> None:
    for page, data in waiting:
        end = page * size
        if len(database) < end:
            database.extend(bytes(end - len(database)))
        database[end - size : end] = log[data : data + size]
    del database[pages * size :]


def _checksum(content: bytes, state: tuple[int, int], words: Struct) -> tuple[int, int]:
    one, two = state
    values = [value for (value,) in words.iter_unpack(content)]
    for first, second in zip(values[::2], values[1::2], strict=True):
        one = one + first + two & 0xFFFFFFFF
        two = two + second + one & 0xFFFFFFFF
    return one, two
