"""Detects copies that lost the marks by which layers delete files: devices 0:0 and the opaque attribute.

A copy without devices or extended attributes looks complete: deleted files show again, and nothing else reveals it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.problems import Damage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from layerindex.records import Problem

LOST = """
SELECT count(*) FILTER (WHERE kind = 'removed' AND json_extract(expected, '$.type') = 'whiteout'),
  count(*) FILTER (WHERE kind = 'changed' AND json_extract(expected, '$.opaque') = 1
    AND json_extract(found, '$.opaque') = 0)
FROM drift WHERE snapshot_id = ?"""

NEEDED = """
SELECT count(*) FILTER (WHERE e.type = 'whiteout'), count(*) FILTER (WHERE e.opaque = 1)
FROM layers AS y JOIN overlay_dirs AS d ON d.snapshot_id = y.snapshot_id AND d.cache_id = y.cache_id
JOIN listings AS l ON l.listing_id = y.listing_id AND l.source <> 'walk'
JOIN entries AS e ON e.listing_id = l.listing_id
WHERE y.snapshot_id = ? AND d.disk_bytes IS NOT NULL"""
"""The marks that the walked directories must have, as their tars say."""

MARKS = ("deletion marks ({} devices 0:0)", "opaque marks ({} extended attributes)")


def lost_marks(connection: sqlite3.Connection, snapshot_id: int, folder: str) -> Iterator[Problem]:
    """Yield a problem where a store, whose directories were compared with their tars, has lost all marks of a kind."""
    lost = connection.execute(LOST, (snapshot_id,)).fetchone()
    if not any(lost):
        return
    needed = connection.execute(NEEDED, (snapshot_id,)).fetchone()
    gone = [mark.format(here) for mark, here, all_ in zip(MARKS, lost, needed, strict=True) if here and here >= all_]
    if gone:
        detail = (
            f"a copy lost all {' and all '.join(gone)} of the layers: what they delete shows again, and what "
            "containers changed or deleted cannot be told"
        )
        yield Damage("lossy-copy", folder, detail).problem
