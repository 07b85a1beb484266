"""The read side: choose snapshots, resolve shortened ids, run SQL; the cursor is the result."""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import genuine, interrupt, shipped
from layerindex.catalog import near
from layerindex.errors import NotThereError, QueryError, UsageError
from layerindex.failures import RAISED, reason, temporary
from layerindex.names import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from layerindex.catalog import Query

    Values = dict[str, str | int | None]

LIMIT: ContextVar[float | None] = ContextVar("LIMIT", default=600)
"""Seconds of SQLite's time that one statement may take, which --timeout changes; None for no limit.

Far more than any canned query needs; it ends queries over files that a stranger made to be slow.
"""

_HEX = re.compile(r"(sha256:)?[0-9a-f]{2,64}")


class Result(NamedTuple):
    """The answer: column names, and the rows as SQLite yields them."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Set another LIMIT within a block."""
    before = LIMIT.set(seconds)
    try:
        yield
    finally:
        LIMIT.reset(before)


def run(connection: sqlite3.Connection, sql: str, params: Mapping[str, Any]) -> Result:
    """Run one statement and return its rows as a stream; raises QueryError with SQLite's reason.

    LIMIT counts the time that SQLite works, also while rows are read, but not the time of the reader.
    """
    watch = interrupt.Watch(connection, LIMIT.get())
    try:
        cursor = connection.execute(sql, params)
    except (*RAISED, sqlite3.Warning) as error:
        raise _refused(error, watch) from error
    columns = [name for name, *_ in cursor.description or ()]
    return Result(columns, _rows(cursor, watch))


def _rows(cursor: sqlite3.Cursor, watch: interrupt.Watch) -> Iterator[tuple[Any, ...]]:
    try:
        for row in cursor:
            given = time.monotonic()
            yield row
            watch.end += time.monotonic() - given
    except RAISED as error:
        raise _refused(error, watch) from error
    finally:
        watch.end = math.inf  # other statements on this connection have no limit


def _refused(error: Exception, watch: interrupt.Watch) -> QueryError:
    interrupt.check()
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_INTERRUPT":
        return QueryError(
            f"the query took longer than {watch.seconds:g} s and was stopped; --timeout SECONDS allows more, 0 any time"
        )
    if name.startswith("SQLITE_BUSY"):
        return QueryError("a scan is writing to the database just now; try again when it is done")
    if name == "SQLITE_READONLY" or "too many attached databases" in str(error):
        return QueryError("refused: a query can only read this database")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_GETTEMPPATH")):
        where = temporary()
        return QueryError(f"no room for temporary files is left in {where}; name a folder that has some in TMPDIR")
    return QueryError(f"SQLite says: {reason(error)}")


def select_snapshots(connection: sqlite3.Connection, hosts: Sequence[str], references: Sequence[str]) -> None:
    """Select other snapshots than the newest of each store: shadow the view `selected_snapshots`.

    A reference is a snapshot's number, a host (its newest), or `host~1` (the one before). Raises UsageError.
    """
    chosen: set[int] = set()
    for host in hosts:
        chosen |= _newest(connection, host, 0)
    for reference in references:
        chosen |= snapshots_of(connection, reference)
    choose(connection, chosen)


def choose(connection: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Let queries see these snapshots."""
    shadow(connection, numbers)
    for sql in _of_selection():
        connection.execute(sql.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))


@cache
def _of_selection() -> list[str]:
    """Return the views that read the selection, themselves or through others.

    A view in the file cannot see TEMP tables, so these are made again as TEMP views.
    """
    found, things = ["selected_snapshots"], genuine.things(genuine.REVISION)
    words = {
        thing.name: set(re.findall(r"\w+", thing.sql.partition("*/")[2]))
        for thing in things.values()
        if thing.type == "view"
    }
    for name in found:
        found += (view for view, used in words.items() if name in used and view not in found)
    return [things[name].sql for name in found[1:]]


def shadow(connection: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Make a TEMP table of these snapshots that shadows the view `selected_snapshots`; views in the file do not see it.

    The TEMP schema is in memory and belongs to this connection; the database file stays as it is.
    """
    connection.execute("CREATE TEMP TABLE selected_snapshots (snapshot_id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO temp.selected_snapshots VALUES (?)", [(number,) for number in sorted(numbers)])


def snapshots_of(connection: sqlite3.Connection, reference: str) -> set[int]:
    """Return the snapshots that a reference means: one, or one of each store of a host; raises UsageError."""
    number = _number(reference)
    if number is not None:
        found = connection.execute("SELECT snapshot_id FROM snapshots WHERE snapshot_id = ?", (number,))
        numbers = {number for (number,) in found}
        if numbers and connection.execute("SELECT 1 FROM hosts WHERE name = ?", (reference,)).fetchone():
            raise UsageError(f"{reference!r} is a snapshot and a host; for the host's newest say {reference}~0")
        if numbers:
            return numbers
        raise UsageError(f"no snapshot {reference}; `layerindex query snapshots` lists them")
    host, tilde, age = reference.rpartition("~")
    back = _number(age) if tilde else None
    return _newest(connection, reference, 0) if back is None else _newest(connection, host, back)


def _number(word: str) -> int | None:
    """Return a word as a number, None when it is not a number that SQLite can hold."""
    return int(word) if word.isdecimal() and len(word) < 19 else None


def _newest(connection: sqlite3.Connection, host: str, age: int) -> set[int]:
    """Return the snapshot of each store of a host that is `age` snapshots older than the newest."""
    rows = connection.execute(
        "SELECT snapshot_id FROM snapshot_ages JOIN hosts USING (host_id) WHERE name = ? AND age = ?",
        (host, age),
    )
    numbers = {number for (number,) in rows}
    if not numbers:
        hosts = [name for (name,) in connection.execute("SELECT DISTINCT name FROM hosts ORDER BY name")]
        if host in hosts:
            raise UsageError(f"host {host!r} has no snapshot {age} before its newest")
        raise UsageError(_no_host(connection, host))
    return numbers


KINDS = {
    "image": ("images", "image_id", "SELECT DISTINCT ref FROM image_refs WHERE snapshot_id IN selected_snapshots"),
    "container": (
        "containers",
        "container_id",
        # A container without a name goes by its id, which a client of containerd chooses freely.
        "SELECT coalesce(name, container_id) FROM containers WHERE snapshot_id IN selected_snapshots",
    ),
    "layer": ("layers", "chain_id", None),
}
"""For each kind of parameter that names a thing: its table, its id column, and its other names."""


LISTS = {"images": "image", "containers": "container"}
"""For each kind of parameter that names several things with commas between: the kind of each of them."""


TOLD_BY = {"image": ("names", "images"), "container": ("containers",), "layer": ("layers",)}
"""For each kind of parameter that names a thing: the kinds of sources that can mention it."""

FOUND = {"directory": "directory", "tag": "image"}
"""For each kind of parameter whose absence only an empty answer is a reason to look for: what `show` calls it."""


FOUND_IN = {"directory": ("directories", "layers", "mounts", "links", "build cache"), "tag": ("names",)}
"""The kinds of sources that can mention it."""


TOLD = "told "
"""Begins the type of a parameter that names what always has a row, so that there is nothing where there is none."""

TOLD_IN = ("names", "images", "layers", "directories", "links", "mounts", "build cache")
"""The kinds of sources that can mention any of these."""


UNREAD_SHOWN = 3
"""Most sources that an error lists."""


NAMED = "SELECT 1 FROM image_names WHERE snapshot_id IN selected_snapshots AND name = ?"
"""Whether an image has that name: in full or as Docker shortens it, also where another engine wrote it."""


def resolved(connection: sqlite3.Connection, canned: Query | None, values: Values) -> Values:
    """Return the values of a canned query with shortened ids completed; raises NotThereError and UsageError."""
    whole = dict(values)
    for key, param in canned.params.items() if canned else ():
        value = whole[key]
        if isinstance(value, str) and param.type in KINDS:
            whole[key] = resolve(connection, param.type, value)
        elif isinstance(value, str) and param.type in LISTS:
            words = filter(None, map(str.strip, value.split(",")))
            whole[key] = ",".join(resolve(connection, LISTS[param.type], word) for word in words)
    return whole


def resolve(connection: sqlite3.Connection, kind: str, word: str) -> str:
    """Return the full id that a user shortened, or the name as it stands; raises NotThereError, UsageError.

    An image may be a reference (`latest` may be left out) or an id, a container a name or an id, a layer a chain_id,
    diff_id or cache-id; ids by any unambiguous prefix, with or without `sha256:`.
    """
    table, column, names_sql = KINDS[kind]
    if kind == "layer":
        return _layer(connection, word)
    exact = named(connection, kind, word)
    if exact is not None:
        return exact
    if _HEX.fullmatch(word):
        found = _prefixed(connection, table, column, word)
        if found:
            return _only(word, kind, found)
    names = [name for (name,) in connection.execute(names_sql or "") if name]
    hints = near(word, names) + unread(connection, TOLD_BY[kind])
    raise NotThereError(f"no {kind} {word!r} in the selected snapshots{hints}")


def check_there(connection: sqlite3.Connection, canned: Query, given: Mapping[str, str]) -> None:
    """Raise NotThereError where the answer of a canned query is empty as what a parameter names is not there.

    What is there may have no row either: a directory without drift, a host without another like it.
    """
    told = {key: word for key, word in given.items() if word}
    for key, word in told.items():
        kind = canned.params[key].type
        if kind == "host" and not connection.execute("SELECT 1 FROM hosts WHERE name = ?", (word,)).fetchone():
            raise NotThereError(_no_host(connection, word))
        if kind in FOUND and not _is_found(connection, FOUND[kind], word):
            where = f"in the selected snapshots{unread(connection, FOUND_IN[kind])}"
            raise NotThereError(f"no {kind} {word!r} {where}")
        if kind.startswith(TOLD) and len(told) == 1:
            raise NotThereError(f"no {kind.removeprefix(TOLD)} {word!r}{unread(connection, TOLD_IN)}")


def _is_found(connection: sqlite3.Connection, kind: str, word: str) -> bool:
    """Say whether `show` finds something of a kind by a name, a short name, an id or the beginning of one."""
    names = dict.fromkeys(("root", "driver", "folder"))
    asked = {**names, "kind": kind, "word": word.removeprefix("l/"), "shortest": 1}
    return any(True for _ in run(connection, shipped.query("show", "find"), asked).rows)


def _no_host(connection: sqlite3.Connection, host: str) -> str:
    hosts = [name for (name,) in connection.execute("SELECT DISTINCT name FROM hosts ORDER BY name")]
    return f"no host {host!r}{near(host, hosts)}; the database has {', '.join(hosts[:10]) or 'none'}"


def unread(connection: sqlite3.Connection, kinds: Sequence[str]) -> str:
    """Return a phrase naming the unread sources of some kinds, where a thing that was not found may be; or nothing."""
    sql = """SELECT DISTINCT path, state FROM sources WHERE snapshot_id IN selected_snapshots
               AND state NOT IN ('read', 'absent', 'lost') AND kind IN (SELECT value FROM json_each(?))
             ORDER BY path, state"""
    found = [f"{printable(path)} ({state})" for path, state in connection.execute(sql, (json.dumps(kinds),))]
    more = f" and {len(found) - UNREAD_SHOWN} more" if len(found) > UNREAD_SHOWN else ""
    return f"; it may be in what was not read: {', '.join(found[:UNREAD_SHOWN])}{more}" if found else ""


def named(connection: sqlite3.Connection, kind: str, word: str) -> str | None:
    """Return the exact name of an image or container; None where none has it."""
    _, _, names_sql = KINDS[kind]
    names = {name for (name,) in connection.execute(names_sql or "")}
    for name in (word, f"{word}:latest"):
        if name in names:
            return name
    if kind == "image" and connection.execute(NAMED, (word,)).fetchone():
        return word
    return None


def _prefixed(connection: sqlite3.Connection, table: str, column: str, word: str) -> list[str]:
    """Return the ids in a column that begin with a shortened one, using the index."""
    prefix = word if column in ("container_id", "cache_id") else f"sha256:{word.removeprefix('sha256:')}"
    sql = f"SELECT DISTINCT {column} FROM {table} WHERE snapshot_id IN selected_snapshots AND {column} BETWEEN ? AND ?"  # noqa: S608
    return [found for (found,) in connection.execute(f"{sql} ORDER BY 1 LIMIT 11", (prefix, f"{prefix}\x7f"))]


def _layer(connection: sqlite3.Connection, word: str) -> str:
    for column in ("chain_id", "diff_id", "cache_id"):
        found = _prefixed(connection, "layers", column, word)
        if found:
            return _only(word, "layer", found)
    hints = f": no chain_id, diff_id or cache-id begins with it{unread(connection, TOLD_BY['layer'])}"
    raise NotThereError(f"no layer {word!r} in the selected snapshots{hints}")


def _only(word: str, kind: str, found: list[str]) -> str:
    if len(found) > 1:
        raise UsageError(f"{word!r} is ambiguous; it may be the {kind} {', '.join(found[:10])}")
    return found[0]
