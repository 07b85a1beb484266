# ruff: noqa: S608 - statements are put together from our own names alone
"""Adds to the complete listing of a tar what the tar only implies.

A tar need not list the folders in the paths of its names: the engine makes them. And a hard link may refer to another
hard link. After both are resolved here, an entry's own row and the rows of the folders above it are all that can hide
it.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from layerindex.names import escape

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from layerindex.listings.batches import Batch
    from layerindex.writing.directories import Directories

    Folder = tuple[str, bytes | None]

_REMEMBERED = 16 << 20
"""Most characters of the folders' paths of one listing that are kept in memory; beyond that the database is queried."""
_LINKS_DEEP = 64
"""Doublings until a chain of hard links is resolved; a longer chain than any tar has, or a ring, is left as it is."""

_UNLISTED = """
SELECT d.path, d.path_raw FROM directories AS d
WHERE d.directory_id IN (SELECT directory_id FROM {table} WHERE listing_id = :listing) AND d.path <> '/'
  AND d.path NOT IN (
    SELECT iif(p.path = '/', '', p.path) || '/' || e.name
    FROM {table} AS e CROSS JOIN directories AS p USING (directory_id)
    WHERE e.listing_id = :listing AND e.type = 'dir')
"""
"""Folders with an entry in the listing but without an entry of their own."""

_SETGID = """
coalesce((
  SELECT u.mode & 1024 FROM directories AS d CROSS JOIN directories AS p CROSS JOIN {table} AS u
    ON u.listing_id = e.listing_id AND u.directory_id = p.directory_id
    AND u.name = substr(d.path, length(rtrim(d.path, replace(d.path, '/', ''))) + 1)
  WHERE d.directory_id = e.directory_id
    AND p.path = coalesce(nullif(rtrim(rtrim(d.path, replace(d.path, '/', '')), '/'), ''), '/')), 0)
"""
"""The set-group-id bit, which a new folder inherits from the folder that it is made in."""

_ADD = f"""
INSERT INTO {{table}} (listing_id, directory_id, name, name_raw, type, mode, uid, gid, size, opaque)
SELECT listing_id, directory_id, name, name_raw, 'dir', mode | {_SETGID}, owner, owner, 0, 0
FROM (SELECT ? AS listing_id, ? AS directory_id, ? AS name, ? AS name_raw, ? AS mode, ? AS owner) AS e WHERE true
ON CONFLICT DO NOTHING
"""
_MARKED = f"""
UPDATE {{table}} AS e SET mode = ? | {_SETGID}, uid = 0, gid = 0, size = 0
WHERE listing_id = ? AND type = 'dir' AND opaque = 1 AND mode IS NULL AND uid IS NULL AND mtime IS NULL
"""
_NEXT = """
FROM directories AS d CROSS JOIN {table} AS t ON t.listing_id = e.listing_id AND t.directory_id = d.directory_id
  AND t.name = substr(e.link_target, length(rtrim(e.link_target, replace(e.link_target, '/', ''))) + 1)
WHERE d.path = coalesce(nullif(rtrim(rtrim(e.link_target, replace(e.link_target, '/', '')), '/'), ''), '/')
  AND t.type = 'hardlink'
"""
_RESOLVE = f"""
UPDATE {{table}} AS e SET (link_target, link_target_raw) = (SELECT t.link_target, t.link_target_raw {_NEXT})
WHERE e.listing_id = ? AND e.type = 'hardlink' AND EXISTS (SELECT 1 {_NEXT} AND t.link_target <> e.link_target)
"""


class Named:
    """The folders in the paths of a listing, and those that it lists, while they are not too many."""

    def __init__(self) -> None:
        self._used: dict[str, bytes | None] = {}
        self._listed = {"/"}
        self._room = _REMEMBERED

    def see(self, batch: Batch) -> None:
        """Take note of a batch."""
        if self._room < 0:
            return
        paths = ["" if path == "/" else path for path, _ in batch.directories]
        listed = [f"{paths[row[0]]}/{row[1]}" for row in batch.rows if row[3] == "dir"]
        if "dir" in batch.columns:
            columns = batch.columns["dir"]
            places = zip(array("q", columns.directories), columns.names.split("\0"), strict=True)
            listed += [f"{paths[place]}/{name}" for place, name in places]
        self._used.update(batch.directories)
        self._listed.update(listed)
        self._room -= sum(map(len, paths)) + sum(map(len, listed))

    def unlisted(self, database: sqlite3.Connection, table: str, listing_id: int) -> list[Folder]:
        """Return the folders with entries that are not listed themselves; where they were too many, by a query."""
        if self._room < 0:
            return database.execute(_UNLISTED.format(table=table), {"listing": listing_id}).fetchall()
        return sorted((path, raw) for path, raw in self._used.items() if path not in self._listed)


class Implied(NamedTuple):
    """How many folders were added, and whether none was left out."""

    added: int
    complete: bool


def add_implied(  # noqa: PLR0913, PLR0917 - where to, and what an engine makes of it
    directories: Directories, table: str, listing_id: int, unlisted: list[Folder], mode: int | None, room: int
) -> Implied:
    """Add the folders in a listing's paths that it does not list.

    `mode` is the mode that the engine gives them, owned by root; None where it takes mode and owner from the same
    folder in the layer below. Their time is when they were made, which no tar says. `room`: most characters of their
    paths.
    """
    owner = None if mode is None else 0
    added = 0
    levels, complete = _levels(unlisted, room)
    for parents, names in levels:
        numbers = directories.numbers(parents)
        rows = [(listing_id, number, *name, mode, owner) for number, name in zip(numbers, names, strict=True)]
        added += directories.database.executemany(_ADD.format(table=table), rows).rowcount
    return Implied(added, complete)


def own_marked(database: sqlite3.Connection, table: str, listing_id: int, mode: int | None) -> None:
    """Set mode and owner of folders that only an opaque marker names; with `mode` None they are unknown."""
    if mode is not None:
        database.execute(_MARKED.format(table=table), (mode, listing_id))


def _levels(folders: Iterable[Folder], room: int) -> tuple[list[tuple[list[Folder], list[Folder]]], bool]:
    """Return the folders and all folders above them: for each depth their parents and names.

    A path of n folders contains n paths: where all of them would take more than `room`, the rest is left out, and the
    second value is False.
    """
    levels: list[tuple[list[Folder], list[Folder]]] = []
    seen: set[str] = set()
    for folder in folders:
        while folder[0] != "/" and folder[0] not in seen:
            room -= len(folder[0])
            if room < 0:
                return levels, False
            seen.add(folder[0])
            depth = folder[0].count("/")
            levels.extend(([], []) for _ in range(len(levels), depth))
            folder, name = _split(*folder)  # noqa: PLW2901 - upwards
            levels[depth - 1][0].append(folder)
            levels[depth - 1][1].append(name)
    return levels, True


def _split(path: str, raw: bytes | None) -> tuple[Folder, Folder]:
    """Return the parent and the name of a folder as in the database, with bytes only where the text is not enough."""
    parent, _, name = path.rpartition("/")
    if raw is None:
        return (parent or "/", None), (name, None)
    above, _, last = raw.rpartition(b"/")
    return (parent or "/", None if above == parent.encode() else above), escape(last)


def resolve_links(database: sqlite3.Connection, table: str, listing_id: int) -> None:
    """Make hard links that refer to another hard link refer to the first name."""
    for _ in range(_LINKS_DEEP):
        if not database.execute(_RESOLVE.format(table=table), (listing_id,)).rowcount:
            return
