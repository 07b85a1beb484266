"""The files of a snapshot: which listings it needs, which are here already, and what they say of its directories.

A layer's listing belongs to its diff_id and is read once for all snapshots and hosts. Anything else is walked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from layerindex.listings.batches import Builder
from layerindex.listings.index import Production, Source
from layerindex.names import printable
from layerindex.problems import KINDS, Damage
from layerindex.records import Problem

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from layerindex.listings.batches import Batch
    from layerindex.listings.index import Progress
    from layerindex.listings.writer import Listing
    from layerindex.stores import DockerStore


class Options(NamedTuple):
    """What to read of the files, and with how many processes."""

    files: bool = True
    walk: bool = False
    jobs: int = 1


NEW_LAYERS = """
SELECT min(chain_id), diff_id FROM layers AS y
WHERE snapshot_id = ? AND diff_id IS NOT NULL AND verified IS NOT 0 AND NOT EXISTS (
  SELECT 1 FROM listings AS l WHERE l.diff_id = y.diff_id AND l.source = 'tar-split' AND l.complete = 1)
GROUP BY diff_id ORDER BY diff_id"""
"""Layers whose files no snapshot has listed yet; one of those whose id does not verify names its content falsely."""


LISTED_LAYERS = """
UPDATE layers SET listing_id = (
  SELECT max(listing_id) FROM listings AS l WHERE l.diff_id = layers.diff_id AND l.source = 'tar-split')
WHERE snapshot_id = :snapshot AND verified IS NOT 0"""

LISTED_DIRECTORIES = """
UPDATE overlay_dirs SET (listing_id, entry_count, apparent_bytes) = (
  SELECT l.listing_id, l.entry_count, l.apparent_bytes FROM layers AS y JOIN listings AS l USING (listing_id)
  WHERE y.snapshot_id = overlay_dirs.snapshot_id AND y.cache_id = overlay_dirs.cache_id ORDER BY y.chain_id LIMIT 1)
WHERE snapshot_id = :snapshot"""


def index_files(
    connection: sqlite3.Connection, snapshot_id: int, store: DockerStore, options: Options, progress: Progress | None
) -> Iterator[Problem]:
    """Write the listings that a snapshot needs into the open transaction; yield what was wrong with their sources."""
    new = {diff_id: chain_id for chain_id, diff_id in connection.execute(NEW_LAYERS, (snapshot_id,))}
    sources = []
    for diff_id, chain_id in new.items():
        try:
            sources.append(_tar_split(store, diff_id, chain_id))
        except Damage as found:
            yield found.problem
    for listing in Production(sources, options.jobs).write(connection, progress):
        yield from _problems(listing, store.tar_split(new[listing.diff_id or ""]), listing.diff_id)
    connection.execute(LISTED_LAYERS, {"snapshot": snapshot_id})
    connection.execute(LISTED_DIRECTORIES, {"snapshot": snapshot_id})


def _tar_split(store: DockerStore, diff_id: str, chain_id: str) -> Source:
    """Return a layer's tar-split as a source; it is opened again by the process that reads it."""
    handle = store.open_tar_split(chain_id)
    try:
        size = os.fstat(handle).st_size
    finally:
        os.close(handle)
    return tar_split_source(diff_id, size, lambda: store.open_tar_split(chain_id))


def tar_split_source(diff_id: str, size: int, open_: Callable[[], int]) -> Source:
    """Return a source that reads the tar-split which `open_` opens, of `size` compressed bytes."""

    def batches(fast: bool) -> Iterator[Batch]:
        from layerindex.listings.tarsplit import tar_split_batches  # noqa: PLC0415 - not for a scan that knows all layers

        try:
            opened = open_()
        except Damage as found:
            builder = Builder()
            builder.complete = False
            builder.problem(found.problem.code, None, found.problem.detail)
            yield builder.batch()
        else:
            yield from tar_split_batches(opened, fast)

    return Source(diff_id, "tar-split", size, batches)


def _problems(listing: Listing, where: str, subject: str | None) -> Iterator[Problem]:
    """Yield the problems of a source as rows, and how many more there were."""
    for code, path, detail in listing.problems:
        place = f"{where}: {printable(path)}" if path else where
        yield Problem(KINDS[code].severity, code, place, subject, printable(detail))
    more = listing.problem_count - len(listing.problems)
    if more > 0:
        yield Problem(KINDS["more-problems"].severity, "more-problems", where, subject, f"{more} more like these")
