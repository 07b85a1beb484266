"""Lists the files of a snapshot: which listings it needs, which exist already, and which its directories get.

The listing of a layer belongs to its diff_id and is read once for all snapshots. Everything else is walked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from layerindex.guard import FAILED, reading
from layerindex.indexing.production import index_listings
from layerindex.listings.batches import FALSE, SMALL_BYTES, Source, ended
from layerindex.listings.rules import trusted_readable
from layerindex.names import from_os, printable
from layerindex.problems import KINDS, Damage
from layerindex.records import Problem
from layerindex.stores.store import Wanted
from layerindex.witnesses.marks import lost_marks
from layerindex.witnesses.pairs import Witnesses
from layerindex.writing.links import connect, take_walk
from layerindex.writing.listings import forget, forget_walks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from layerindex.indexing.production import Report
    from layerindex.listings.batches import Batch
    from layerindex.stores.store import Listed, Store
    from layerindex.writing.listings import Listing

TREE_WEIGHT = 50_000
"""The weight of a directory of unknown size, in compressed bytes of a tar-split: some 500 entries."""


class Options(NamedTuple):
    """What to read of the files, and with how many processes."""

    files: bool = True
    walk: bool = False
    jobs: int = 1
    blobs: bool = True
    """Whether layers without a tar-split are listed from their blobs, where the store has these."""
    small: int = SMALL_BYTES
    """Compressed bytes up to which sources are read in this process, and tar-splits line by line."""

    @property
    def scope(self) -> str:
        """How far a scan with these options reads, as in `snapshots.scope`."""
        return "walk" if self.files and self.walk else "files" if self.files else "metadata"


NEW_LAYERS = """
SELECT min(chain_id), diff_id, min(cache_id), (
  SELECT group_concat(DISTINCT b.digest) FROM layer_blobs AS b
  WHERE b.snapshot_id = y.snapshot_id AND b.diff_id = y.diff_id)
FROM layers AS y
WHERE snapshot_id = ? AND diff_id IS NOT NULL AND verified IS NOT 0 AND NOT EXISTS (
  SELECT 1 FROM listings AS l
  WHERE l.diff_id = y.diff_id AND l.source IN ('tar-split', 'blob') AND l.complete = 1 AND l.imported = 0)
GROUP BY diff_id ORDER BY diff_id"""
"""Layers whose files no snapshot has listed yet; not those whose id does not verify, as their diff_id is false."""


TREES = """
SELECT cache_id, role IN ('init', 'orphan') OR (role IN ('unknown', 'build-cache', 'layer') AND committed) AS settled
FROM overlay_dirs WHERE snapshot_id = ? AND has_diff ORDER BY cache_id"""
"""Directories to walk: those without a tar-split, and with --walk all. Settled directories are no longer written."""


def index_files(  # noqa: PLR0913, PLR0917
    connection: sqlite3.Connection,
    snapshot_id: int,
    store: Store,
    options: Options,
    report: Report | None,
    walked: dict[str, Listing],
) -> Iterator[Problem]:
    """Write the listings that a snapshot needs into the open transaction; yield what was wrong with their sources.

    Reads the tar-splits or blobs of layers and walks directories without either; with `walk` it walks all directories
    and compares them. `walked` is filled with the listings of walks, by directory.
    """
    listed_by, damages = _layers(connection, snapshot_id, store, blobs=options.blobs)
    sources = [layer_source(*each)._replace(summed=options.walk) for each in listed_by.items()]
    mounted = options.walk and _is_mounted(store, damages)
    witnesses = Witnesses(connection, snapshot_id, sources, mounted=mounted)
    trees = list(_trees(witnesses, store, options)) if store.walkable else []
    sources += [each for each in trees if isinstance(each, Source)]
    yield from damages
    yield from (each for each in trees if isinstance(each, Problem))
    told = None if report is None else _with_known(report, witnesses)
    for listing in index_listings(connection, sources, options.jobs, told, options.small):
        diff_id = listing.source.diff_id
        yield from _problems(listing, store.tree(listing.source.name) if diff_id is None else listed_by[diff_id].path)
        if diff_id is None:
            walked[listing.source.name] = listing
        if _is_false(listing):
            forget(connection, listing)
            witnesses.dismiss(listing)
        else:
            witnesses.take(listing)
    if store.walkable:
        yield from _dismissed(witnesses, store, options, walked)
    connect(connection, snapshot_id, walked)
    yield from _differing(witnesses, store, options)
    if options.walk:
        yield from lost_marks(connection, snapshot_id, store.folder)


def _is_mounted(store: Store, damages: list[Problem]) -> bool:
    """Say whether layers are unpacked through a mount; add the problem where that cannot be read."""
    try:
        with reading(store.folder):
            return store.walkable and store.rules.mounted
    except Damage as found:
        damages.append(found.problem)
        return False


def _layers(
    connection: sqlite3.Connection, snapshot_id: int, store: Store, *, blobs: bool
) -> tuple[dict[str, Listed], list[Problem]]:
    """Return the file that lists each new layer, by diff_id, and the problems of finding them."""
    listed_by: dict[str, Listed] = {}
    damages = []
    for chain_id, diff_id, cache_id, digests in connection.execute(NEW_LAYERS, (snapshot_id,)).fetchall():
        try:
            with reading(store.folder, diff_id):
                found = store.listed(Wanted(chain_id, diff_id, cache_id, tuple(digests.split(",")) if digests else ()))
        except Damage as damage:
            damages.append(damage.problem)
        else:
            if found is not None and (blobs or found.kind != "blob"):
                listed_by[diff_id] = found
    return listed_by, damages


def _trees(witnesses: Witnesses, store: Store, options: Options) -> Iterator[Source | Problem]:
    """Yield the directories to walk as sources, and problems of those that cannot be walked."""
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
        # With --walk the bytes are counted anew: files of a directory that is no longer written can still get hard
        # links.
        if options.walk or not _known(connection, snapshot_id, source):
            some = True
            yield source
    if some:
        need_trusted = False
        try:
            with reading(store.folder):
                need_trusted = store.rules.need_trusted
        except Damage as found:
            yield found.problem
        if need_trusted and not trusted_readable():
            yield Damage("opaque-unknown", store.driver, "walked without the right to read trusted attributes").problem


def _dismissed(witnesses: Witnesses, store: Store, options: Options, walked: dict[str, Listing]) -> Iterator[Problem]:
    """Walk the directories of layers whose blob turned out false, with all rows: they are the only witness."""
    for listing in _again(witnesses.unlisted, store, options, witnesses, kept=True):
        if isinstance(listing, Problem):
            yield listing
            continue
        walked[listing.source.name] = listing
        yield from _problems(listing, store.tree(listing.source.name))


def _differing(witnesses: Witnesses, store: Store, options: Options) -> Iterator[Problem]:
    """Walk again, with all rows, the directories whose plain files differ from their tar-split."""
    forget_walks(witnesses.connection)
    for listing in _again(witnesses.differing, store, options, witnesses, kept=False):
        if isinstance(listing, Problem):
            yield listing
        elif listing.complete:
            witnesses.write(listing, files=True)
        else:
            yield from _problems(listing, store.tree(listing.source.name))
    forget_walks(witnesses.connection)


def _again(
    names: list[str], store: Store, options: Options, witnesses: Witnesses, *, kept: bool
) -> Iterator[Listing | Problem]:
    """Walk directories, again or for the first time, with rows for all files."""
    sources = []
    for cache_id in names:
        try:
            sources.append(_tree(store, cache_id, TREE_WEIGHT, settled=False, kept=kept, summed=False))
        except Damage as found:
            yield found.problem
    yield from index_listings(witnesses.connection, sources, options.jobs, small=options.small)


def _tree(  # noqa: PLR0913
    store: Store, cache_id: str, weight: int, *, settled: bool, kept: bool, summed: bool | None = None
) -> Source:
    """Return a directory to walk as a source; it is opened again by the process that walks it.

    For directories that are only compared, plain files are summed up unless `summed` says otherwise.
    """
    with reading(store.folder, cache_id):
        handle = store.open_tree(cache_id)
        try:
            status = os.fstat(handle)
        finally:
            os.close(handle)
    witness = None
    if settled:
        times = f"{status.st_mtime_ns}:{status.st_ctime_ns}"
        place = store.tree(cache_id).removesuffix("/diff")
        witness = f"{from_os(store.root)}/{place} {status.st_dev}:{status.st_ino} {times}"

    def batches(_: bool) -> Iterator[Batch]:
        from layerindex.listings.walk import Walk  # noqa: PLC0415 - not for a store of known layers only

        try:
            opened = store.open_tree(cache_id)
        except Damage as found:
            yield _refused(found)
            return
        try:
            yield from Walk(opened, store.rules, summed=not kept if summed is None else summed).batches()
        finally:
            os.close(opened)

    return Source(None, "walk", weight, batches, cache_id, witness, kept)


def _known(connection: sqlite3.Connection, snapshot_id: int, source: Source) -> bool:
    """Reuse the listing of an unchanged directory: the same inode with the same times."""
    if source.witness is None or not source.kept:
        return False
    sql = """SELECT max(listing_id) AS listing, entry_count AS entries, apparent_bytes AS apparent, disk_bytes AS disk
             FROM listings WHERE witness = ? AND complete = 1"""
    listing = connection.execute(sql, (source.witness,)).fetchone()
    if listing[0] is None:
        return False
    values = dict(zip(("listing", "entries", "apparent", "disk"), listing, strict=True))
    take_walk(connection, snapshot_id, source.name, values)
    return True


def _with_known(report: Report, witnesses: Witnesses) -> Report:
    """Return what reports beside the files that are read those of the snapshot that earlier scans have listed."""
    sql = "SELECT coalesce(sum(entry_count), 0) FROM overlay_dirs WHERE snapshot_id = ?"
    (unchanged,) = witnesses.connection.execute(sql, (witnesses.snapshot_id,)).fetchone()
    known = int(unchanged) + witnesses.known()
    return lambda progress: report(progress.beside(known))


def _refused(found: Damage) -> Batch:
    return ended(0, found.problem.code, found.problem.detail)


def layer_source(diff_id: str, found: Listed) -> Source:
    """Return the source that reads a layer's tar-split or blob; the reading process opens it again."""

    def batches(fast: bool) -> Iterator[Batch]:
        try:
            opened = found.opened()
        except Damage as damage:
            yield _refused(damage)
            return
        if found.kind == "tar-split":
            from layerindex.listings.tarsplit_file import tar_split_batches  # noqa: PLC0415 - not if all layers are known

            yield from tar_split_batches(opened, fast, found.unpacking.ancient, found.size)
        else:
            from layerindex.listings.blob import blob_batches  # noqa: PLC0415 - not for a store without blobs

            yield from blob_batches(opened, found.digest, diff_id, found.size)

    return Source(diff_id, found.kind, found.size, batches, implied=found.unpacking.implied)


def _is_false(listing: Listing) -> bool:
    """Say whether a listing may be false: only at the end of a blob its digests are known."""
    codes = {problem.code for problem in listing.problems}
    return bool(codes & FALSE) or (listing.source.source == "blob" and FAILED in codes)


def _problems(listing: Listing, where: str) -> Iterator[Problem]:
    """Yield the problems of a source as rows, and how many more there were."""
    subject = listing.source.diff_id or listing.source.name
    for code, path, detail in listing.problems:
        place = f"{where}: {printable(path)}" if path else where
        yield Problem(KINDS[code].severity, code, place, subject, printable(detail))
    more = listing.problem_count - len(listing.problems)
    if more > 0:
        yield Problem(KINDS["more-problems"].severity, "more-problems", where, subject, f"{more} more like these")
