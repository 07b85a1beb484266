"""Turns the plain files and directories of a walk, its most frequent entries, into columns or a fingerprint."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from layerindex.listings.batches import SHAPES, Columns
from layerindex.listings.fingerprint import of_files
from layerindex.listings.rules import IdMap
from layerindex.listings.times import LAST_SECOND, NANOSECONDS

if TYPE_CHECKING:
    from layerindex.listings.fingerprint import Fingerprint

    Row = tuple[int, str, int, int, int, int, int, int]
    """Number of its directory (or hash of that path, for a fingerprint), name, mode, uid, gid, size, time in ns,
    blocks."""


def columns(shape: str, rows: list[Row], id_map: IdMap | None) -> tuple[Columns, int, int]:
    """Turn plain entries into columns; also returned are their bytes of content and their blocks."""
    number, name, mode, uid, gid, size, times, blocks = zip(*rows, strict=True)
    if id_map is not None:
        uid, gid = _inside(uid, id_map.uids), _inside(gid, id_map.gids)
    seconds = [time // NANOSECONDS for time in times]
    rest = [time % NANOSECONDS for time in times]
    sizes = (size,) if "size" in SHAPES[shape] else ()
    values = tuple(array("q", column).tobytes() for column in (mode, uid, gid, *sizes, seconds, rest))
    return Columns("\0".join(name), array("q", number).tobytes(), values), sum(size), sum(blocks)


def _inside(ids: tuple[int, ...], ranges: tuple[tuple[int, int, int], ...]) -> tuple[int, ...]:
    known = {each: IdMap.inside(each, ranges) for each in set(ids)}
    return tuple(known[each] for each in ids)


def summed(rows: list[Row], id_map: IdMap | None) -> tuple[Fingerprint, int, int]:
    """Return the fingerprint of plain files, their bytes of content and their blocks."""
    paths, name, mode, uid, gid, size, times, blocks = zip(*rows, strict=True)
    if id_map is not None:
        uid, gid = _inside(uid, id_map.uids), _inside(gid, id_map.gids)
    seconds = [time // NANOSECONDS for time in times]
    rest = [time % NANOSECONDS for time in times]
    if not 0 <= min(seconds) <= max(seconds) < LAST_SECOND:
        known = [0 <= second < LAST_SECOND for second in seconds]  # others become 1970, as Docker sets them
        seconds = [second * is_known for second, is_known in zip(seconds, known, strict=True)]
        rest = [each * is_known for each, is_known in zip(rest, known, strict=True)]
    return of_files(paths, (name, mode, uid, gid, size, seconds), rest), sum(size), sum(blocks)
