# ruff: noqa: S608 - statements are put together from our own names alone
"""A checksum over all plain files of a listing, so that a walk that agrees with the tar-split need not be stored.

Plain files have one name and no attributes. The sums do not depend on order. Hashes of texts are secret to a process
and its forks (PYTHONHASHSEED), so that nobody can construct a change of a layer that does not change the sum;
fingerprints are never stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

PLAIN = "type = 'file' AND xattrs IS NULL AND capability IS NULL"
"""Files that may be plain by their own row; whether a file has further names, only other rows say."""

_MASK = (1 << 64) - 1
_ROWS = 4096
_COLUMNS = "directory_id, name, mode, uid, gid, size, max(mtime, 0), CASE WHEN mtime >= 0 THEN mtime_ns END"
"""Times before 1970 count as 1970 here: the engine may have clamped those of the tar on disk."""

_ALL = f"SELECT {_COLUMNS} FROM {{table}} WHERE listing_id = ? AND {PLAIN}"
_FIRSTS = "SELECT DISTINCT link_target FROM {table} WHERE listing_id = ? AND type = 'hardlink'"
_FIRST = f"""
SELECT {_COLUMNS} FROM {{table}} WHERE listing_id = ? AND name = ? AND {PLAIN}
AND directory_id = (SELECT directory_id FROM directories WHERE path = ?)
"""


class Side(NamedTuple):
    """A listing and the table that holds it: `entries`, or a temporary one with its columns and key."""

    listing_id: int
    table: str = "entries"


class Fingerprint(NamedTuple):
    """The sum over plain files."""

    number: int = 0
    seconds: int = 0
    """Without their fractions of seconds."""
    fractions: int = 0
    """Of the files with a fraction, including it; 0 where there is none."""

    def plus(self, other: Fingerprint) -> Fingerprint:
        """Return the fingerprint of both sets of files together."""
        return Fingerprint(*((mine + its) & _MASK for mine, its in zip(self, other, strict=True)))

    def less(self, other: Fingerprint) -> Fingerprint:
        """Return the fingerprint without some of the files."""
        return Fingerprint(*((mine - its) & _MASK for mine, its in zip(self, other, strict=True)))

    def shows(self, tar: Fingerprint) -> bool:
        """Say whether the files of a directory equal those of a tar; a tar without fractions does not compare them."""
        return self[:2] == tar[:2] and tar.fractions in (0, self.fractions)


def of_files(directories: Iterable[int], columns: Sequence[Iterable[object]], rests: Sequence[int]) -> Fingerprint:
    """Sum up files, given the hashes of their directories' paths, name, mode, uid, gid, size, mtime, and mtime_ns."""
    hashes = list(map(hash, zip(directories, *columns, strict=True)))
    fractions = sum(hash(pair) for pair in zip(hashes, rests, strict=True) if pair[1]) if any(rests) else 0
    return Fingerprint(len(hashes), sum(hashes) & _MASK, fractions & _MASK)


def of_listing(connection: sqlite3.Connection, side: Side) -> Fingerprint:
    """Sum up the plain files of a listing in the database."""
    paths = _Paths(connection)
    cursor = connection.execute(_ALL.format(table=side.table), (side.listing_id,))
    total = Fingerprint()
    while rows := cursor.fetchmany(_ROWS):
        total = total.plus(_of_rows(paths, rows))
    return total.less(of_firsts(connection, side))


def of_firsts(connection: sqlite3.Connection, side: Side) -> Fingerprint:
    """Sum up the files of a listing that look plain but have further names."""
    paths = _Paths(connection)
    total = Fingerprint()
    for (first,) in connection.execute(_FIRSTS.format(table=side.table), (side.listing_id,)).fetchall():
        head, _, name = (first or "").rpartition("/")
        key = (side.listing_id, name, head or "/")
        total = total.plus(_of_rows(paths, connection.execute(_FIRST.format(table=side.table), key).fetchall()))
    return total


def _of_rows(paths: _Paths, rows: list[tuple[int, ...]]) -> Fingerprint:
    if not rows:
        return Fingerprint()
    directories, *columns, rests = zip(*rows, strict=True)
    return of_files(map(paths.__getitem__, directories), columns, [rest or 0 for rest in rests])


class _Paths(dict[int, int]):
    """Hashes of directories' paths by their numbers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self.connection = connection

    def __missing__(self, number: int) -> int:
        sql = "SELECT path FROM directories WHERE directory_id = ?"
        self[number] = value = hash(self.connection.execute(sql, (number,)).fetchone()[0])
        return value
