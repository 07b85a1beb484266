"""Sets the listing of each layer and directory of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.writing.listings import fit

if TYPE_CHECKING:
    import sqlite3

    from layerindex.writing.listings import Listing

LISTED_LAYERS = """
UPDATE layers SET listing_id = (
  SELECT listing_id FROM listings AS l
  WHERE l.diff_id = layers.diff_id AND l.source IN ('tar-split', 'blob') AND l.imported = 0
  ORDER BY complete DESC, source DESC, listing_id DESC LIMIT 1)
WHERE snapshot_id = :snapshot AND verified IS NOT 0"""

LISTED_DIRECTORIES = """
UPDATE overlay_dirs SET (listing_id, entry_count, apparent_bytes) = (
  SELECT l.listing_id, l.entry_count, l.apparent_bytes FROM layers AS y JOIN listings AS l USING (listing_id)
  WHERE y.snapshot_id = overlay_dirs.snapshot_id AND y.cache_id = overlay_dirs.cache_id ORDER BY y.chain_id LIMIT 1)
WHERE snapshot_id = :snapshot AND cache_id IN (
  SELECT cache_id FROM layers WHERE snapshot_id = :snapshot AND listing_id IS NOT NULL)"""

WALKED_LAYERS = """
UPDATE layers SET listing_id = (
  SELECT d.listing_id FROM overlay_dirs AS d
  WHERE d.snapshot_id = layers.snapshot_id AND d.cache_id = layers.cache_id AND d.role = 'layer')
WHERE snapshot_id = :snapshot AND listing_id IS NULL AND verified IS NOT 0"""
"""Layers without a tar-split or blob get the listing of their directory."""

ESTIMATED = """
UPDATE listings SET disk_bytes = (
  SELECT CASE WHEN total(bytes) < 1 << 62 THEN CAST(total(bytes) AS INTEGER) END FROM (
    SELECT CASE type WHEN 'file' THEN (size + 4095) / 4096 * 4096 WHEN 'dir' THEN 4096
      WHEN 'symlink' THEN iif(size > 59, 4096, 0) ELSE 0 END AS bytes
    FROM entries AS e WHERE e.listing_id = listings.listing_id))
WHERE disk_bytes IS NULL AND listing_id IN (
  SELECT listing_id FROM layers WHERE snapshot_id = :snapshot AND listing_id IS NOT NULL)"""
"""What the files of tars take on disk: ext4 keeps up to 59 bytes of a symlink in its inode."""

WALKED_DIRECTORY = """
UPDATE overlay_dirs SET listing_id = coalesce(listing_id, :listing), entry_count = coalesce(entry_count, :entries),
  apparent_bytes = :apparent, disk_bytes = :disk
WHERE snapshot_id = :snapshot AND cache_id = :cache_id"""


def connect(connection: sqlite3.Connection, snapshot_id: int, walked: dict[str, Listing]) -> None:
    """Set the listing of each layer and directory."""
    connection.execute(LISTED_LAYERS, {"snapshot": snapshot_id})
    connection.execute(LISTED_DIRECTORIES, {"snapshot": snapshot_id})
    connection.execute(ESTIMATED, {"snapshot": snapshot_id})
    for name, listing in walked.items():
        values = {"listing": listing.listing_id if listing.source.kept else None, "entries": listing.entry_count}
        values |= {"apparent": fit(listing.apparent_bytes), "disk": listing.disk_bytes}
        take_walk(connection, snapshot_id, name, values)
    connection.execute(WALKED_LAYERS, {"snapshot": snapshot_id})


def take_walk(connection: sqlite3.Connection, snapshot_id: int, cache_id: str, values: dict[str, int | None]) -> None:
    """Give a directory the listing of a walk, its `entries`, and its `apparent` and `disk` bytes."""
    connection.execute(WALKED_DIRECTORY, {"snapshot": snapshot_id, "cache_id": cache_id, **values})
