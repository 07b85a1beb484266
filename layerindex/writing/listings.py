# ruff: noqa: S608 - statements are put together from our own names alone
"""Writes batches of entries into ``listings``, ``directories`` and ``entries``."""

from __future__ import annotations

from array import array
from functools import cache
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex.database import LARGEST, NameIndex
from layerindex.listings.batches import SHAPES, TYPES, Batch, Columns, Entry, Finding, Source, Totals, merge_problems
from layerindex.listings.fingerprint import Fingerprint, Side, of_files, of_firsts, of_listing
from layerindex.writing import folders
from layerindex.writing.directories import Directories

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

TOGETHER = 32
"""Rows in one statement, which takes two thirds of the time of single rows."""
# The table for walks that are only compared.
WALKED = "temp.walked"

COLUMNS = Entry._fields[2:]
FOLDER_ROOM, FOLDER_TEXT = 16 << 20, 200
"""Most characters of the paths of implied folders, and how many more for each entry."""


class Listing(NamedTuple):
    """The result of one source of a listing."""

    source: Source
    listing_id: int
    entry_count: int
    total_size: int
    apparent_bytes: int
    disk_bytes: int | None
    complete: bool
    problems: list[Finding]
    problem_count: int
    links: Sequence[tuple[int, int, int]] = ()  # of a walk: inodes with names elsewhere, their blocks and bytes
    plain: Fingerprint = Fingerprint()  # of its plain files, where that is needed, or of those not sent as rows


def fit(total: int) -> int | None:
    """Return a sum of sizes; None where SQLite cannot hold it, as a few sparse files can claim more bytes."""
    return total if total <= LARGEST else None


@cache
def _shape_sql(kind: str, table: str, rows: int = 1) -> str:
    """Return a statement with constants for values that all rows share: each bound value costs time, None most."""
    bound = dict.fromkeys(SHAPES[kind], "?") | {"mtime_ns": "nullif(?, 0)"}
    fixed = {"size": "0", "opaque": "0"} if kind == "dir" else {}
    columns = ["listing_id", "directory_id", "name", "type", *SHAPES[kind], *fixed]
    terms = ["?", "?", "?", f"'{TYPES.get(kind, kind)}'", *(bound[name] for name in SHAPES[kind]), *fixed.values()]
    values_of = ", ".join([f"({', '.join(terms)})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values_of} ON CONFLICT DO NOTHING"


def _row_sql(table: str) -> str:
    return f"""INSERT INTO {table} (listing_id, directory_id, {", ".join(COLUMNS)})
    VALUES (?, ?{", ?" * len(COLUMNS)}) ON CONFLICT DO NOTHING"""


# For a directory whose own entry comes later, or never; then nothing else is known of it.
def _opaque_sql(table: str) -> str:
    return f"""INSERT INTO {table} (listing_id, directory_id, name, name_raw, type, opaque)
    VALUES (?, ?, ?, ?, 'dir', 1)
    ON CONFLICT DO UPDATE SET opaque = 1 WHERE type = 'dir'"""


FIND_SQL = f"SELECT {', '.join(COLUMNS)} FROM {{table}} WHERE listing_id = ? AND directory_id = ? AND name = ?"
# total(), as sum() fails beyond 63 bits, which hostile sizes reach.
COUNT_SQL = """SELECT count(*), CAST(total(size) FILTER (WHERE type = 'file') AS INTEGER),
CAST(total(size) FILTER (WHERE type IN ('file', 'symlink')) AS INTEGER) FROM {table} WHERE listing_id = ?"""
DELETE_SQL = "DELETE FROM {table} WHERE listing_id = ? AND directory_id = ? AND name = ?"


class Writer:
    """Writes the batches of many listings, in any order, within the caller's transaction."""

    def __init__(self, database: sqlite3.Connection, expected_rows: int) -> None:
        self.database = database
        self.directories = Directories(database)
        self.open: dict[int, _Open] = {}
        self.checks = 0
        (present,) = database.execute("SELECT coalesce(sum(entry_count), 0) FROM listings").fetchone()
        self.names = NameIndex(database, expected_rows, present)

    def start(self, key: int, source: Source) -> None:
        """Open a listing."""
        if not source.kept:
            if not self.checks:
                # With the column types of entries: in joins with untyped columns SQLite would not use the key.
                types = self.database.execute("SELECT name || ' ' || type FROM pragma_table_info('entries')")
                columns = ", ".join(column for (column,) in types)
                primary = "PRIMARY KEY (listing_id, directory_id, name)"
                self.database.execute(f"CREATE TABLE {WALKED} ({columns}, {primary}) WITHOUT ROWID")
            self.checks += 1
            self.open[key] = _Open(self.database, self.checks, source)
            return
        cursor = self.database.execute(
            """INSERT INTO listings (diff_id, source, witness, complete, entry_count, total_size)
               VALUES (?, ?, ?, 0, 0, 0)""",
            (source.diff_id, source.source, source.witness),
        )
        self.open[key] = _Open(self.database, cursor.lastrowid or 0, source)

    def add(self, key: int, batch: Batch) -> int:
        """Write a batch of a listing; return its number of entries."""
        return self.open[key].add(batch, self.directories.numbers(batch.directories))

    def finish(self, key: int) -> Listing:
        """Close a listing."""
        return self.open.pop(key).finish(self.directories)

    def again(self, key: int) -> None:
        """Delete what was written of a listing that is read again from its beginning."""
        self.open[key] = self.open[key].emptied()

    def close(self) -> None:
        """Build the postponed index."""
        self.names.close()


class _Open:
    """A listing that is being written."""

    def __init__(self, database: sqlite3.Connection, listing_id: int, source: Source) -> None:
        self.database = database
        self.listing_id, self.source = listing_id, source
        self.table = "entries" if source.kept else WALKED
        self.complete = True
        self.problems: list[Finding] = []
        self.problem_count = 0  # as the producer counts
        self.conflicts = 0
        self.entry_count = self.total_size = self.link_size = 0
        self.totals: Totals | None = None
        self.plain = Fingerprint()
        self.exact = True  # False once two rows had the same name
        self.named = folders.Named()
        self.linked = self.marked = False  # whether there is a hard link, and an opaque marker

    def emptied(self) -> _Open:
        """Return the same listing without its rows."""
        self.database.execute(f"DELETE FROM {self.table} WHERE listing_id = ?", (self.listing_id,))
        return _Open(self.database, self.listing_id, self.source)

    def add(self, batch: Batch, directory_ids: list[int]) -> int:
        """Write a batch whose directories have these ids."""
        merge_problems(self.problems, batch.problems)
        self.problem_count, self.complete = batch.problem_count, batch.complete
        self.totals = batch.totals or self.totals
        if self.source.source != "walk":
            self.named.see(batch)
        count = 0
        if batch.plain is not None:
            plain = Fingerprint(*batch.plain)
            self.plain, count = self.plain.plus(plain), plain.number
        for kind, columns in batch.columns.items():
            count += self._columns(kind, columns, directory_ids)
            if self.source.summed and TYPES.get(kind, kind) == "file":
                self.plain = self.plain.plus(_sum_columns(batch, columns))
        rows: list[Any] = [(self.listing_id, directory_ids[row[0]], *row[1:]) for row in batch.rows]
        marks: list[Any] = [row[:4] for row in rows if row[4] == "opaque"]
        if marks:
            rows = [row for row in rows if row[4] != "opaque"]
            self.database.executemany(_opaque_sql(self.table), marks)
            self.exact, self.marked = False, True
        if rows:
            self.total_size += sum(row[8] or 0 for row in rows if row[4] == "file")
            self.link_size += sum(row[8] or 0 for row in rows if row[4] == "symlink")
            self.linked = self.linked or any(row[4] == "hardlink" for row in rows)
            if self.source.summed:
                self.plain = self.plain.plus(_sum_rows(batch))
            inserted = self.database.executemany(_row_sql(self.table), rows).rowcount
            self._inserted(inserted, len(rows), lambda: rows)
        return count + len(rows)

    def _columns(self, kind: str, columns: Columns, directory_ids: list[int]) -> int:
        names = columns.names.split("\0")
        values: list[Iterable[Any]] = [array("q", value) for value in columns.values]
        if columns.targets is not None:
            values.append(columns.targets.split("\0"))
        if TYPES.get(kind, kind) == "file":
            self.total_size += sum(values[SHAPES[kind].index("size")])
        elif kind == "symlink":
            self.link_size += sum(values[SHAPES[kind].index("size")])

        def rows() -> Iterator[tuple[Any, ...]]:
            directories = map(directory_ids.__getitem__, array("q", columns.directories))
            return zip(repeat(self.listing_id), directories, names, *values, strict=False)

        count, given = len(names), rows()
        together = count - count % TOGETHER
        inserted = 0
        if together:
            bound = chain.from_iterable(islice(given, together))
            each = zip(*[bound] * (TOGETHER * (3 + len(values))), strict=False)
            inserted = self.database.executemany(_shape_sql(kind, self.table, TOGETHER), each).rowcount
        if together < count:
            inserted += self.database.executemany(_shape_sql(kind, self.table), given).rowcount
        self._inserted(inserted, count, lambda: map(_widen(kind), rows()))
        return count

    def _inserted(self, inserted: int, count: int, full: Callable[[], Iterable[tuple[Any, ...]]]) -> None:
        """Count the new rows of a batch, and decide between rows with the same name."""
        self.entry_count += count
        if inserted != count:
            self.exact = False
            for row in full():
                self._settle(row)

    def _settle(self, row: tuple[Any, ...]) -> None:
        """Decide between a row and the one that already has its name.

        Of a whiteout and a file the file is kept, as when Docker unpacks them (``go-archive/archive.go`` Unpack). A
        layer with two files of one path moby would refuse (tar-split ``ErrDuplicatePath``): the first is kept.
        """
        kept = self.database.execute(FIND_SQL.format(table=self.table), row[:3]).fetchone()
        if kept == row[2:]:
            return
        old, new = Entry("", None, *kept), Entry("", None, *row[2:])
        if old.opaque == 1 and new.type == "dir" and old._replace(opaque=0) != new and old.mode is None:
            new = new._replace(opaque=1)
        elif old.type == "dir" and new.type == "dir" and old == new._replace(opaque=1):
            return
        elif old.type != "whiteout":
            if new.type != "whiteout":
                self._duplicate(row)
            return
        self.database.execute(DELETE_SQL.format(table=self.table), row[:3])
        self.database.execute(_row_sql(self.table), (*row[:2], *new[2:]))

    def _duplicate(self, row: tuple[Any, ...]) -> None:
        self.conflicts += 1
        (path,) = self.database.execute("SELECT path FROM directories WHERE directory_id = ?", (row[1],)).fetchone()
        merge_problems(self.problems, [Finding("tar-duplicate", f"{path.rstrip('/')}/{row[2]}", "the first is kept")])

    def finish(self, directories: Directories) -> Listing:
        """Write the totals into the row of the listing."""
        if self.source.source != "walk":
            self._complete(directories)
        count, size, apparent = self.entry_count, self.total_size, self.total_size + self.link_size
        if not self.exact:
            count, size, apparent = self.database.execute(
                COUNT_SQL.format(table=self.table), (self.listing_id,)
            ).fetchone()
        if self.source.summed:
            side = Side(self.listing_id, self.table)
            if self.exact:
                self.plain = self.plain.less(of_firsts(self.database, side))
            else:
                self.plain = of_listing(self.database, side)
        else:  # plain files of which only the fingerprint was sent
            count += self.plain.number
        apparent, disk, links = self.totals or (apparent, None, ())
        if self.source.kept:
            self.database.execute(
                """UPDATE listings SET entry_count = ?, total_size = ?, apparent_bytes = ?, disk_bytes = ?, complete = ?
                   WHERE listing_id = ?""",
                (count, min(size, LARGEST), fit(apparent), disk, self.complete, self.listing_id),
            )
        found = self.problem_count + self.conflicts
        figures = (count, size, apparent, disk, self.complete)
        return Listing(self.source, self.listing_id, *figures, self.problems, found, links, self.plain)

    def _complete(self, directories: Directories) -> None:
        """Add what a tar only implies."""
        place = (self.table, self.listing_id)
        if unlisted := self.named.unlisted(self.database, *place):
            self._add_implied(directories, unlisted)
        if self.marked:
            folders.own_marked(self.database, *place, self.source.implied)
        if self.linked:
            folders.resolve_links(self.database, *place)

    def _add_implied(self, directories: Directories, unlisted: list[tuple[str, bytes | None]]) -> None:
        room = FOLDER_ROOM + FOLDER_TEXT * self.entry_count
        implied = folders.add_implied(directories, self.table, self.listing_id, unlisted, self.source.implied, room)
        self.entry_count += implied.added
        if not implied.complete:
            self.complete = False
            detail = f"the paths of folders that it only implies would take more than {room} characters"
            merge_problems(self.problems, [Finding(f"{self.source.source}-bomb", None, detail)])
            self.conflicts += 1


def _sum_columns(batch: Batch, columns: Columns) -> Fingerprint:
    paths = [hash(path) for path, _ in batch.directories]
    *values, rests = (array("q", value) for value in columns.values[:6])
    directories = map(paths.__getitem__, array("q", columns.directories))
    return of_files(directories, (columns.names.split("\0"), *values), rests)


def _sum_rows(batch: Batch) -> Fingerprint:
    """Sum up the files without attributes among the full rows."""
    where = [Entry("", None, *row[1:]) for row in batch.rows]
    plain = [
        (hash(batch.directories[row[0]][0]), *row[1:2], *row[4:8], *_clamped(*row[8:10]))
        for row, entry in zip(batch.rows, where, strict=True)
        if entry.type == "file" and entry.xattrs is None and entry.capability is None
    ]
    if not plain:
        return Fingerprint()
    directories, *values, rests = zip(*plain, strict=True)
    return of_files(directories, values, rests)


def _clamped(mtime: int | None, mtime_ns: int | None) -> tuple[int | None, int]:
    """Return a time in the form of fingerprints."""
    return (0, 0) if mtime is not None and mtime < 0 else (mtime, mtime_ns or 0)


def _widen(kind: str) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return a function that turns a row of a shape into a row with all columns."""
    source = {name: place for place, name in enumerate(SHAPES[kind], 3)}
    fixed = {"type": TYPES.get(kind, kind)} | ({"size": 0, "opaque": 0} if kind == "dir" else {})

    def widen(row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = {name: row[place] for name, place in source.items()} | fixed
        if values["mtime_ns"] == 0:
            values["mtime_ns"] = None
        return (*row[:3], *(values.get(name) for name in COLUMNS[1:]))

    return widen


def forget(connection: sqlite3.Connection, listing: Listing) -> None:
    """Delete a listing whose source turned out not to be the layer."""
    for table in ("entries", "listings"):
        connection.execute(f"DELETE FROM {table} WHERE listing_id = ?", (listing.listing_id,))


def forget_walks(connection: sqlite3.Connection) -> None:
    """Remove the rows of walks that are only compared."""
    connection.execute(f"DROP TABLE IF EXISTS {WALKED}")
