# ruff: noqa: S608 - statements are put together from our own names alone
"""Finds where a layer's directory differs from its tar-split.

SQL finds the pairs of rows that are not simply equal, in two merges over the primary key, so that memory stays flat;
Python then decides about these few by what an engine may make of a tar (moby:vendor/.../go-archive/archive.go, Unpack
and createTarFile):

* It sets the times of directories last, so that they can be compared; times outside [1970, 2262] become 1970 (time.go).
* A time without a fraction in a tar says nothing about nanoseconds: moby cuts them when it writes a tar
  (FileInfoHeader), so that directories of BuildKit's own steps have more digits than their tar-split.
* A directory that is only part of a path has no header: it exists, and its mode, owner and time are no drift. Neither
  is the layer's root, whose header is ignored, nor a socket, which no tar can hold.
* Owner, mode and time of a whiteout mean nothing. A device 0:0 in a tar is a whiteout.
* A symlink has no mode; the size of a directory depends on the filesystem.
* moby writes only the attribute security.capability into a tar, and skips attributes that it cannot set: attributes
  that only the disk has are no drift, except that one. security.selinux belongs to the host.
* Where a layer was unpacked through a mount, the kernel made the marks for deletions, and only for what existed: an
  opaque directory of the tar is a set of whiteouts on disk, and a directory made anew is opaque.
* Which name of a hard link is the first depends on the order: the sets of names that both sides have are compared. Each
  header of a hard link is applied to the same inode, so that any of them may show.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from layerindex.listings.fingerprint import Side as Side  # noqa: PLC0414, TC001 - part of what this is called with
from layerindex.listings.times import LAST_SECOND

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_FIELDS = (
    "type",
    "mode",
    "uid",
    "gid",
    "size",
    "mtime",
    "mtime_ns",
    "link_target",
    "device",
    "opaque",
    "xattrs",
    "capability",
)
_OWNED = ("mode", "uid", "gid", "mtime", "mtime_ns")
_HOST_ATTRIBUTES = frozenset({"security.selinux", "security.ima", "security.evm"})


class Drift(NamedTuple):
    """A row of `drift` without snapshot and cache-id."""

    path: str
    kind: str
    expected: str | None
    found: str | None


class Row(NamedTuple):
    """The compared values of an entry."""

    type: str
    mode: int | None
    uid: int | None
    gid: int | None
    size: int | None
    mtime: int | None
    mtime_ns: int | None
    link_target: str | None
    device: str | None
    opaque: int | None
    xattrs: str | None
    capability: bytes | None


def _columns(alias: str) -> str:
    return ", ".join(f"{alias}.{field}" for field in _FIELDS)


def _path(alias: str) -> str:
    return (
        f"(SELECT CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END FROM directories AS d"
        f" WHERE d.directory_id = {alias}.directory_id) || {alias}.name"
    )


_JOINED = "ON {b}.listing_id = :{b} AND {b}.directory_id = {a}.directory_id AND {b}.name = {a}.name"
_PAIRS = f"""
SELECT {_path("e")}, {_columns("e")}, {_columns("f")}
FROM {{expected}} AS e LEFT JOIN {{found}} AS f {_JOINED.format(a="e", b="f")}
WHERE e.listing_id = :e AND e.name <> '' AND (
  f.type IS NULL OR e.type <> f.type OR e.type = 'hardlink' OR (e.type <> 'whiteout' AND (
    e.uid <> f.uid OR e.gid <> f.gid OR (e.mode <> f.mode AND e.type <> 'symlink')
    OR (e.size <> f.size AND e.type = 'file') OR e.mtime <> f.mtime OR e.mtime_ns IS NOT f.mtime_ns
    OR e.link_target IS NOT f.link_target OR e.device IS NOT f.device OR e.opaque <> f.opaque
    OR e.capability IS NOT f.capability OR (e.xattrs IS NOT NULL AND e.xattrs IS NOT f.xattrs))))
"""
_NOT_PLAIN = "AND (e.type <> 'file' OR e.xattrs IS NOT NULL OR e.capability IS NOT NULL)"
_ADDED = f"""
SELECT {_path("f")} AS path, {_columns("f")}
FROM {{found}} AS f LEFT JOIN {{expected}} AS e {_JOINED.format(a="f", b="e")}
WHERE f.listing_id = :f AND f.name <> '' AND f.type <> 'socket' AND e.type IS NULL
"""
_ONE = f"""
SELECT {_columns("e")} FROM {{table}} AS e
WHERE e.listing_id = ? AND e.directory_id = (SELECT directory_id FROM directories WHERE path = ?) AND e.name = ?
"""
_LINKS = f"""
INSERT OR IGNORE INTO temp.drift_links SELECT ?, {_path("e")}, e.link_target
FROM {{table}} AS e WHERE e.listing_id = ? AND e.type = 'hardlink' AND e.link_target IS NOT NULL
"""
_OPAQUE = f"SELECT {_path('e')} FROM {{expected}} AS e WHERE e.listing_id = ? AND e.opaque = 1"
_MEMBERS = "SELECT path FROM temp.drift_links WHERE side = 0 AND first = ?"


class Comparison:
    """Two listings of one layer in one database, tar-split's and the directory's."""

    def __init__(
        self, connection: sqlite3.Connection, expected: Side, found: Side, *, mounted: bool, files: bool
    ) -> None:
        self._connection = connection
        self._files = files
        self._sides = (expected, found)
        self._mounted = mounted
        self._owned: tuple[tuple[str, Row], bool] | None = None

    def rows(self) -> Iterator[Drift]:
        """Yield the differences, in no order."""
        linked = self._link()
        bound = {"e": self._sides[0].listing_id, "f": self._sides[1].listing_id}
        pairs = self._sql(_PAIRS) + ("" if self._files else _NOT_PLAIN)
        for path, *fields in self._connection.execute(pairs, bound):
            expected, values = Row(*fields[: len(_FIELDS)]), fields[len(_FIELDS) :]
            found = Row(*values)
            if values[0] is None:
                if self._mounted and _kind(expected) == "whiteout":
                    continue
                yield Drift(path, "removed", _said(expected), None)
            elif not linked:
                yield from self._changed(path, expected, found)
            elif path not in (firsts := (self._first(0, path), self._first(1, path))):
                yield from self._changed(path, expected, found, firsts)
        yield from self._added(bound)
        if linked:
            yield from self._first_names()
            self._connection.execute("DROP TABLE temp.drift_links")
            self._connection.execute("DROP TABLE temp.drift_groups")

    def _first_names(self) -> Iterator[Drift]:
        """Compare the first name of each set: only these rows can be equal while their sets of names differ."""
        for (path,) in self._connection.execute("SELECT DISTINCT path FROM temp.drift_links WHERE path = first"):
            expected, found = self._one(0, path), self._one(1, path)
            if expected is not None and found is not None:
                yield from self._changed(path, expected, found, (self._first(0, path), self._first(1, path)))
            elif expected is not None and expected.type == "file" and not self._files and self._plain(expected):
                yield Drift(path, "removed", _said(expected), None)

    @staticmethod
    def _plain(row: Row) -> bool:
        return row.xattrs is None and row.capability is None

    def _one(self, side: int, path: str) -> Row | None:
        head, _, name = path.rpartition("/")
        listing = self._sides[side]
        key = (listing.listing_id, head or "/", name)
        values = self._connection.execute(_ONE.format(table=listing.table), key).fetchone()
        return None if values is None else Row(*values)

    def _sql(self, statement: str) -> str:
        return statement.format(expected=self._sides[0].table, found=self._sides[1].table)

    def _added(self, bound: dict[str, int]) -> Iterator[Drift]:
        emptied = self._emptied()
        for path, *fields in self._connection.execute(self._sql(_ADDED), bound):
            row = Row(*fields)
            if row.type == "whiteout" and path.startswith(emptied):
                continue
            yield Drift(path, "added", None, _said(row))

    def _emptied(self) -> tuple[str, ...]:
        """Return the prefixes of paths below which the kernel, where it made the marks, hid files by whiteouts."""
        if not self._mounted:
            return ()
        opaque = self._connection.execute(self._sql(_OPAQUE), (self._sides[0].listing_id,))
        return tuple(f"{path.rstrip('/')}/" for (path,) in opaque)

    # Pairs ---------------------------------------------------------------------------------------------------------

    def _changed(
        self, path: str, expected: Row, found: Row, firsts: tuple[str | None, str | None] = (None, None)
    ) -> Iterator[Drift]:
        """Yield the differences of a name on both sides; `firsts`: the first names of its hard link on each side."""
        before: dict[str, object] = {}
        after: dict[str, object] = {}
        if firsts != (None, None):
            groups = [self._group(side, path, first) for side, first in enumerate(firsts)]
            if groups[0] != groups[1]:
                before["same_file_as"], after["same_file_as"] = groups
            expected, found = self._inode(0, expected, firsts[0]), self._inode(1, found, firsts[1])
        fields = self._differing(expected, found)
        if firsts[0] is not None and fields & set(_OWNED) and self._any_header(firsts[0], found):
            fields -= set(_OWNED)
        for field in sorted(fields):
            before[field], after[field] = getattr(expected, field), getattr(found, field)
        if before:
            yield Drift(path, "changed", _json(before), _json(after))

    def _differing(self, expected: Row, found: Row) -> set[str]:
        """Name the fields in which the disk contradicts the tar; a value that the tar lacks contradicts nothing."""
        kinds = (_kind(expected), _kind(found))
        if kinds == ("whiteout", "whiteout"):
            return set()
        fields = self._owned_differing(expected, found)
        if kinds[0] != kinds[1]:
            return fields | {"type", "size", "link_target", "device"}
        if kinds[0] == "file" and expected.size is not None and expected.size != found.size:
            fields.add("size")
        fields |= {name for name in ("link_target", "device") if getattr(expected, name) != getattr(found, name)}
        known = not self._mounted and None not in (expected.opaque, found.opaque)
        if known and expected.opaque != found.opaque:
            fields.add("opaque")
        if kinds[0] == "file" and expected.capability != found.capability:
            fields.add("capability")
        if self._missing(expected, found):
            fields.add("xattrs")
        return fields

    def _owned_differing(self, expected: Row, found: Row) -> set[str]:
        if expected.type == "dir" and expected.mtime is None:
            return set()
        fields = set()
        if expected.type != "symlink" and expected.mode is not None and expected.mode != found.mode:
            fields.add("mode")
        for name in ("uid", "gid"):
            if getattr(expected, name) is not None and getattr(expected, name) != (getattr(found, name) or 0):
                fields.add(name)
        if expected.mtime is not None:
            expected_time, found_time = _clamped(expected), _clamped(found)
            if expected_time[0] != found_time[0]:
                fields.add("mtime")
            elif expected_time[1] not in (0, found_time[1]):
                fields.add("mtime_ns")
        return fields

    def _missing(self, expected: Row, found: Row) -> set[str]:
        """Name the attributes that the disk lacks although it could have them."""
        if expected.xattrs is None:
            return set()
        missing = set(json.loads(expected.xattrs)) - set(json.loads(found.xattrs or "[]")) - _HOST_ATTRIBUTES
        if found.type not in ("file", "dir"):  # Linux:fs/xattr.c xattr_permission
            missing = {name for name in missing if not name.startswith("user.")}
        return missing

    # Hard links ----------------------------------------------------------------------------------------------------

    def _link(self) -> bool:
        """Gather the hard links of both sides; False when there are none."""
        execute = self._connection.execute
        execute("CREATE TEMP TABLE drift_links (side, path, first, PRIMARY KEY (side, path)) WITHOUT ROWID")
        for number, side in enumerate(self._sides):
            execute(_LINKS.format(table=side.table), (number, side.listing_id))
        if not execute("SELECT 1 FROM temp.drift_links LIMIT 1").fetchone():
            execute("DROP TABLE temp.drift_links")
            return False
        execute("INSERT OR IGNORE INTO temp.drift_links SELECT DISTINCT side, first, first FROM temp.drift_links")
        execute("CREATE INDEX temp.drift_links_first ON drift_links (side, first)")
        self._common()
        return True

    def _common(self) -> None:
        """Name each set of names by the smallest name that both sides have."""
        self._connection.execute(
            "CREATE TEMP TABLE drift_groups (side, first, least, PRIMARY KEY (side, first)) WITHOUT ROWID"
        )
        for number, other in enumerate(reversed(self._sides)):
            self._connection.execute(
                f"""
                INSERT INTO temp.drift_groups
                SELECT side, first, min(path) FROM (
                  SELECT side, first, path, rtrim(path, replace(path, '/', '')) AS head FROM temp.drift_links
                  WHERE side = ?) AS link
                WHERE EXISTS (
                  SELECT 1 FROM directories AS d JOIN {other.table} AS e ON e.directory_id = d.directory_id
                  WHERE d.path = CASE head WHEN '/' THEN '/' ELSE substr(head, 1, length(head) - 1) END
                    AND e.listing_id = ? AND e.name = substr(link.path, length(head) + 1))
                GROUP BY side, first
                """,
                (number, other.listing_id),
            )

    def _first(self, side: int, path: str) -> str | None:
        row = self._connection.execute(
            "SELECT first FROM temp.drift_links WHERE side = ? AND path = ?", (side, path)
        ).fetchone()
        return row[0] if row else None

    def _group(self, side: int, path: str, first: str | None) -> str | None:
        """Return the name that stands for the set of a path; None where that is the path itself."""
        row = self._connection.execute(
            "SELECT least FROM temp.drift_groups WHERE side = ? AND first = ?", (side, first)
        ).fetchone()
        return row[0] if row and row[0] != path else None

    def _inode(self, side: int, row: Row, first: str | None) -> Row:
        """Return the row of a later name, completed with values that only the row of its first name has."""
        if row.type != "hardlink" or first is None:
            return row
        inode = self._one(side, first)
        if inode is None:
            return row
        return row._replace(
            type=inode.type, size=inode.size, link_target=inode.link_target, device=inode.device,
            xattrs=inode.xattrs, capability=inode.capability,
        )  # fmt: skip

    def _any_header(self, first: str, found: Row) -> bool:
        """Say whether any header of a hard link agrees with the inode; cached, as its names follow each other."""
        inode = found._replace(type="file", link_target=None)
        if self._owned is None or self._owned[0] != (first, inode):
            members = self._connection.execute(_MEMBERS, (first,))
            headers = (self._one(0, path) for (path,) in members)
            shows = any(header is not None and not self._owned_differing(header, found) for header in headers)
            self._owned = ((first, inode), shows)
        return self._owned[1]


def _kind(row: Row) -> str:
    return "whiteout" if row.type == "char" and row.device == "0:0" else row.type


def _clamped(row: Row) -> tuple[int, int]:
    seconds = row.mtime or 0
    return (seconds, row.mtime_ns or 0) if 0 <= seconds < LAST_SECOND else (0, 0)


def _said(row: Row) -> str:
    return _json({name: value for name, value in zip(_FIELDS, row, strict=True) if value is not None})


def _json(values: dict[str, object]) -> str:
    told = {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
    return json.dumps(told, ensure_ascii=False)


def drift(
    connection: sqlite3.Connection, expected: Side, found: Side, *, mounted: bool = False, files: bool = True
) -> Iterator[Drift]:
    """Yield where the directory's listing differs from the tar's, in no order.

    `mounted`: the layer was unpacked through a mount. Without `files`, plain files are known to be equal by their
    fingerprints, and the walk need not have rows of them.
    """
    return Comparison(connection, expected, found, mounted=mounted, files=files).rows()
