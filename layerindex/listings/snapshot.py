"""The files of a snapshot: which listings it needs, which are here already, and what they say of its directories.

A layer's listing belongs to its diff_id and is read once for all snapshots and hosts. Anything else is walked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from layerindex.listings.batches import Builder, Source
from layerindex.listings.index import index_listings
from layerindex.listings.witnesses import Witnesses
from layerindex.listings.writer import fit
from layerindex.names import listed, printable
from layerindex.problems import KINDS, Damage
from layerindex.records import Problem

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from layerindex.listings.batches import Batch
    from layerindex.listings.index import Progress
    from layerindex.listings.writer import Listing
    from layerindex.stores import DockerStore


TREE_WEIGHT = 50_000
"""What a directory of unknown size counts beside a tar-split's compressed bytes: some 500 entries."""


class Options(NamedTuple):
    """What to read of the files, and with how many processes."""

    files: bool = True
    walk: bool = False
    jobs: int = 1

    @property
    def scope(self) -> str:
        """How far a scan with these reads, as `snapshots.scope` says it."""
        return "walk" if self.files and self.walk else "files" if self.files else "metadata"


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
WHERE snapshot_id = :snapshot AND cache_id IN (
  SELECT cache_id FROM layers WHERE snapshot_id = :snapshot AND listing_id IS NOT NULL)"""

WALKED_DIRECTORY = """
UPDATE overlay_dirs SET listing_id = coalesce(listing_id, :listing), entry_count = coalesce(entry_count, :entries),
  apparent_bytes = :apparent, disk_bytes = :disk
WHERE snapshot_id = :snapshot AND cache_id = :cache_id"""

TREES = """
SELECT cache_id, role IN ('init', 'orphan') OR (role IN ('unknown', 'build-cache') AND committed) AS settled
FROM overlay_dirs WHERE snapshot_id = ? AND has_diff ORDER BY cache_id"""
"""Directories to walk: what no tar-split lists, and with --walk all. Settled ones nobody writes to any more."""


def index_files(  # noqa: PLR0913, PLR0917
    connection: sqlite3.Connection,
    snapshot_id: int,
    store: DockerStore,
    options: Options,
    progress: Progress | None,
    walked: dict[str, Listing],
) -> Iterator[Problem]:
    """Write the listings that a snapshot needs into the open transaction; yield what was wrong with their sources.

    Layers' tar-splits are read; what has none is walked, and with `walk` all is, and compared with the tar-splits.
    `walked` takes what was walked, by directory.
    """
    new = {diff_id: chain_id for chain_id, diff_id in connection.execute(NEW_LAYERS, (snapshot_id,))}
    sources = []
    for diff_id, chain_id in new.items():
        try:
            sources.append(_tar_split(store, diff_id, chain_id)._replace(summed=options.walk))
        except Damage as found:
            yield found.problem
    witnesses = Witnesses(connection, snapshot_id, sources)
    if store.walkable:
        for each in _trees(witnesses, store, options):
            if isinstance(each, Source):
                sources.append(each)
            else:
                yield each
    for listing in index_listings(connection, sources, options.jobs, progress):
        name, diff_id = listing.source.name, listing.source.diff_id
        if diff_id is not None:
            yield from _problems(listing, store.tar_split(new[diff_id]), diff_id)
        else:
            yield from _problems(listing, f"{store.driver}/{printable(name)}/diff", name)
            walked[name] = listing
        witnesses.take(listing)
    connection.execute(LISTED_LAYERS, {"snapshot": snapshot_id})
    connection.execute(LISTED_DIRECTORIES, {"snapshot": snapshot_id})
    for name, listing in walked.items():
        values = {"listing": listing.listing_id if listing.source.kept else None, "entries": listing.entry_count}
        values |= {"apparent": fit(listing.apparent_bytes), "disk": listing.disk_bytes}
        connection.execute(WALKED_DIRECTORY, {"snapshot": snapshot_id, "cache_id": name, **values})
    yield from _differing(witnesses, store, options.jobs)


def _trees(witnesses: Witnesses, store: DockerStore, options: Options) -> Iterator[Source | Problem]:
    """Yield the directories to walk, and what is wrong with others."""
    connection, snapshot_id = witnesses.connection, witnesses.snapshot_id
    some = False
    for cache_id, settled in connection.execute(TREES, (snapshot_id,)).fetchall():
        diff_id = witnesses.layers.get(cache_id)
        if diff_id is not None and not options.walk:
            continue
        weight = TREE_WEIGHT if diff_id is None else witnesses.weights[diff_id]
        try:
            source = _tree(store, cache_id, weight, settled=bool(settled), kept=diff_id is None)
        except Damage as found:
            yield found.problem
            continue
        # With --walk the bytes are counted anew: what is not to be written any more can still have got links.
        if options.walk or not _known(connection, snapshot_id, source):
            some = True
            yield source
    if some:
        from layerindex.listings.walk import Rules, trusted_readable  # noqa: PLC0415 - where anything is walked

        if Rules.of(store.driver).need_trusted and not trusted_readable():
            yield Damage("opaque-unknown", store.driver, "walked without the right to read trusted attributes").problem


def _differing(witnesses: Witnesses, store: DockerStore, jobs: int) -> Iterator[Problem]:
    """Walk directories whose plain files are not what their tar-split says once more, for all their rows."""
    witnesses.forget()
    sources = []
    for cache_id in witnesses.differing:
        try:
            sources.append(_tree(store, cache_id, TREE_WEIGHT, settled=False, kept=False, summed=False))
        except Damage as found:
            yield found.problem
    for listing in index_listings(witnesses.connection, sources, jobs):
        if listing.complete:
            witnesses.write(listing, files=True)
        else:
            name = listing.source.name
            yield from _problems(listing, f"{store.driver}/{printable(name)}/diff", name)
    witnesses.forget()


def _tree(  # noqa: PLR0913
    store: DockerStore, cache_id: str, weight: int, *, settled: bool, kept: bool, summed: bool | None = None
) -> Source:
    """Return a directory to walk as a source; it is opened again by the process that walks it.

    Of what is only to be compared, plain files are summed up, unless it is said otherwise.
    """
    handle = store.open_tree(cache_id)
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    witness = None
    if settled:
        times = f"{status.st_mtime_ns}:{status.st_ctime_ns}"
        witness = f"{listed(store.root)}/{store.driver}/{cache_id} {status.st_dev}:{status.st_ino} {times}"

    def batches(_: bool) -> Iterator[Batch]:
        from layerindex.listings.walk import Rules, Walk  # noqa: PLC0415 - not for a store of known layers only

        try:
            opened = store.open_tree(cache_id)
        except Damage as found:
            yield _refused(found)
            return
        try:
            yield from Walk(opened, Rules.of(store.driver), summed=not kept if summed is None else summed).batches()
        finally:
            os.close(opened)

    return Source(None, "walk", weight, batches, cache_id, witness, kept)


def _known(connection: sqlite3.Connection, snapshot_id: int, source: Source) -> bool:
    """Use the listing of a directory that is what it was: the same inode with the same times."""
    if source.witness is None or not source.kept:
        return False
    sql = """SELECT max(listing_id) AS listing, entry_count AS entries, apparent_bytes AS apparent, disk_bytes AS disk
             FROM listings WHERE witness = ? AND complete = 1"""
    listing = connection.execute(sql, (source.witness,)).fetchone()
    if listing[0] is None:
        return False
    values = dict(zip(("listing", "entries", "apparent", "disk"), listing, strict=True))
    connection.execute(WALKED_DIRECTORY, {"snapshot": snapshot_id, "cache_id": source.name, **values})
    return True


def _refused(found: Damage) -> Batch:
    builder = Builder()
    builder.complete = False
    builder.problem(found.problem.code, None, found.problem.detail)
    return builder.batch()


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
            yield _refused(found)
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
