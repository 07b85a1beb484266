"""Attributes every byte below a data root: one row for each holder.

After scan --walk the rows of all stores of a root add up to what `du -s -x` prints, and each byte is in one of them:
the folders of layers were counted while they were walked, everything else is counted here. Without --walk the
directories of the driver are not entered, and their rows come from metadata and listings.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from layerindex.guard import reading
from layerindex.problems import Damage
from layerindex.records import DiskUsage, Problem
from layerindex.stores.disk.files import damage, open_folder
from layerindex.usage.apart import Apart, counted_apart, counted_at, mount_points
from layerindex.usage.measure import BLOCK, Account, Attribution, Count, Tree
from layerindex.writing.listings import fit
from layerindex.writing.records import write_volumes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from layerindex.indexing.snapshot import Options
    from layerindex.records import Record
    from layerindex.stores.store import Store
    from layerindex.usage.measure import Key
    from layerindex.writing.listings import Listing

LAYER, CACHE = "image layer", "build cache"
ROLES = {
    "layer": LAYER,
    "container": "container writable",
    "init": "container init",
    "build-cache": CACHE,
}
"""The category of a directory's bytes by its role; for other roles the role itself."""
DATA_ROOT = Attribution(("data root", ""), apart=True)

MEASURED = "measured"
PARTLY = "measured, but not all of it could be read"
WITH_MOUNT = "measured, without what is mounted in it"
LINKED = "a symlink leads elsewhere; it is not followed"
LISTED = "the files of its diff folder, of which nothing else was counted"
PARTLY_LISTED = "the files of its diff folder, of which not all could be read"
DECLARED = "apparent size as the engine counts it"
ESTIMATED = f"{DECLARED}; bytes on disk estimated from its files"
COUNTED = "bytes on disk as containerd counted when it was unpacked"
LOGGED = "the log files alone, as the folder lists them"
UNMEASURED = "large, so not measured without --walk"
TOO_MUCH = "; sparse files claim more bytes than 63 bits hold"
DIFFERENCE = "all blocks that were counted, less the rows above"

DIRECTORIES = """
SELECT d.cache_id, d.role, coalesce((SELECT min(u.user) FROM recorded_uses AS u WHERE u.snapshot_id = d.snapshot_id
  AND u.used_kind = 'directory' AND u.used = d.cache_id AND u.user_kind = 'container'), d.cache_id) AS owner,
  d.entry_count, d.apparent_bytes, d.disk_bytes, coalesce(l.complete, 1)
FROM overlay_dirs AS d LEFT JOIN listings AS l USING (listing_id) WHERE d.snapshot_id = ? ORDER BY d.cache_id"""
LAYERS = """
SELECT cache_id, max(size), max((
    SELECT coalesce(d.disk_bytes, l.disk_bytes) + 4096 * (2 + d.has_work + (d.link IS NOT NULL) + (d.lower_count > 0))
    FROM overlay_dirs AS d CROSS JOIN listings AS l ON l.listing_id = y.listing_id AND l.complete
    WHERE d.snapshot_id = y.snapshot_id AND d.cache_id = y.cache_id)), max(EXISTS (
  SELECT 1 FROM image_layers AS i WHERE i.snapshot_id = y.snapshot_id AND i.chain_id = y.chain_id)),
  max(EXISTS (SELECT 1 FROM recorded_uses AS u WHERE u.snapshot_id = y.snapshot_id
    AND u.used_kind = 'directory' AND u.used = y.cache_id AND u.user_kind = 'build-cache'))
FROM layers AS y WHERE snapshot_id = ? AND cache_id IS NOT NULL GROUP BY cache_id"""
"""Layers by directory: their size, an estimate of what they take on disk, with the folders and files that the driver
keeps beside theirs, whether an image has them, and whether a build-cache record holds them."""
VOLUMES = "SELECT name FROM volumes WHERE snapshot_id = ? AND driver = 'local' AND options IS NULL"
"""Volumes that docker system df counts: those with options are mounts of something else."""
LOGS = """
SELECT container_id, apparent_bytes, disk_bytes FROM container_logs WHERE snapshot_id = ? AND path NOT GLOB '/*'"""
"""Logs in the root; those of pods lie elsewhere."""
MOVED_VOLUMES = "SELECT name, place FROM volumes WHERE snapshot_id = ? AND place IS NOT NULL AND on_disk ORDER BY name"


class Directory(NamedTuple):
    """What the database knows of a directory of the driver."""

    key: Key
    items: int | None
    apparent_bytes: int | None
    disk_bytes: int | None
    complete: int


class Layer(NamedTuple):
    """What the database knows of the layer in a directory."""

    key: Key
    size: int | None
    estimate: int | None
    """Bytes on disk by its listing."""


class Facts(NamedTuple):
    """What the database knows before anything is counted."""

    directories: dict[str, Directory]
    layers: dict[str, Layer]
    """By directory."""
    counted: set[Key]
    """The holders that docker system df counts: of other engines' stores none."""
    disk_sizes: bool
    """Whether the layers' sizes are bytes on disk."""


def disk_usage(
    connection: sqlite3.Connection,
    snapshot_id: int,
    store: Store,
    options: Options,
    walked: Mapping[str, Listing],
) -> Iterator[Record]:
    """Yield the bytes of each holder, and problems of counting; write the sizes of volumes.

    `walked` are the directories whose files were walked just now.
    """
    facts = _facts(connection, snapshot_id, directories=options.files, disk_sizes=store.disk_sizes)
    if not store.counted_by_docker:
        facts.counted.clear()
    if not options.files:
        yield from _declared(connection, snapshot_id, facts)
        return
    told = set(connection.execute("SELECT code, path FROM problems WHERE snapshot_id = ?", (snapshot_id,)))
    try:
        handle = open_folder(store.root)
    except OSError as error:
        yield from _unopened(store, facts, error, told, whole=options.walk)
        return
    attributions = _Attributions(store, facts, walked, whole=options.walk)
    moved = connection.execute(MOVED_VOLUMES, (snapshot_id,)).fetchall() if store.first else []
    try:
        with reading(""):
            count = Count(handle, DATA_ROOT._replace(left=not store.first), attributions.of)
            elsewhere = [each for each in counted_apart(handle, attributions.of) if attributions.is_ours(each.holder)]
            elsewhere += (counted_at(place, Attribution(("volumes", name))) for name, place in moved)
    except Damage as damaged:
        yield damaged.problem
        return
    finally:
        os.close(handle)
    counts = [count, *(each.counted for each in elsewhere if each.counted)]
    yield from (problem for each in counts for problem in _problems(each, told))
    yield from _rows(count, elsewhere, facts, store, whole=options.walk)
    for each in counts if store.first else ():
        _write_volumes(connection, snapshot_id, each.accounts)


def _unopened(
    store: Store, facts: Facts, error: OSError, told: set[tuple[str, str]], *, whole: bool
) -> Iterator[DiskUsage | Problem]:
    """Yield rows for a root that is a file, which has one holder, else why the root could not be opened."""
    if not isinstance(error, NotADirectoryError) or store.folder:
        found = damage(error, "").problem
        if (found.code, found.path) not in told:
            yield found
        return
    status = os.lstat(store.root)
    holder = store.holder((), is_folder=False)
    key = (holder.category, holder.owner)
    yield DiskUsage(*key, 1, status.st_size, status.st_blocks * BLOCK, int(key in facts.counted), MEASURED)
    if whole:
        yield DiskUsage("unaccounted", "", 0, 0, 0, 0, DIFFERENCE)


def _rows(count: Count, elsewhere: list[Apart], facts: Facts, store: Store, *, whole: bool) -> Iterator[DiskUsage]:
    """Yield rows for the filesystem of the root, then for parts that lie elsewhere."""
    apart = [row for each in elsewhere for row in _apart(each, facts)]
    keys = {row[:2] for row in apart}
    rows = [
        _measured(key, account, facts)
        for key, account in count.accounts.items()
        if account.items or not account.foreign or key not in keys
    ]
    if whole:
        rest = count.total - sum(account.disk_bytes for account in count.accounts.values())
        rows.append(DiskUsage("unaccounted", "", 0, 0, rest, 0, DIFFERENCE))
    else:
        place = next((each.where for each in elsewhere if each.name == store.driver), None)
        apart += [row._replace(place=place) for row in _known_directories(facts)]
    yield from sorted(rows)
    yield from sorted(apart)


def _apart(found: Apart, facts: Facts) -> Iterator[DiskUsage]:
    """Yield rows for folders of the root that are mounts or symlinks."""
    if found.counted is None:
        note = UNMEASURED if found.target is None else LINKED
        yield DiskUsage(*found.holder.key, None, None, None, 0, note, found.where)
    else:
        for key, account in found.counted.accounts.items():
            yield _measured(key, account, facts)._replace(place=found.where)


def _facts(connection: sqlite3.Connection, snapshot_id: int, *, directories: bool, disk_sizes: bool) -> Facts:
    rows = connection.execute(DIRECTORIES, (snapshot_id,)) if directories else ()
    found = {
        cache_id: Directory((ROLES.get(role, role), owner if role == "container" else cache_id), *figures)
        for cache_id, role, owner, *figures in rows
    }
    layers: dict[str, Layer] = {}
    counted = {("volumes", name) for (name,) in connection.execute(VOLUMES, (snapshot_id,))}
    counted |= {each.key for each in found.values() if each.key[0] in ("container writable", CACHE)}
    for cache_id, size, estimate, in_image, in_cache in connection.execute(LAYERS, (snapshot_id,)):
        # A layer of no image is build cache where a record holds it, as in docker system df.
        key = (CACHE if in_cache and not in_image else LAYER, cache_id)
        layers[cache_id] = Layer(key, size, estimate)
        if in_image or in_cache:
            counted.add(key)
        if cache_id in found and found[cache_id].key[0] == LAYER:
            found[cache_id] = found[cache_id]._replace(key=key)
    return Facts(found, layers, counted, disk_sizes)


# Without --walk ------------------------------------------------------------------------------------------------------


def _declared(connection: sqlite3.Connection, snapshot_id: int, facts: Facts) -> Iterator[DiskUsage]:
    """Yield rows from metadata."""
    logs: dict[str, Account] = {}
    for container_id, apparent, disk in connection.execute(LOGS, (snapshot_id,)):
        logs.setdefault(container_id, Account()).add(1, apparent, disk)
    for container_id, account in sorted(logs.items()):
        yield _row(("container logs", container_id), account, facts, LOGGED)
    for layer in sorted(facts.layers.values()):
        yield _layer(layer, facts)


def _layer(layer: Layer, facts: Facts) -> DiskUsage:
    key, size, estimate = layer
    if facts.disk_sizes:
        return DiskUsage(*key, None, None, size, int(key in facts.counted), COUNTED)
    note = DECLARED if estimate is None else ESTIMATED
    return DiskUsage(*key, None, size, None, int(key in facts.counted), note, estimated_bytes=estimate)


def _known_directories(facts: Facts) -> Iterator[DiskUsage]:
    """Yield rows of the driver's directories from layers and listings."""
    merged: dict[Key, list[Directory]] = {}
    for cache_id, found in facts.directories.items():
        if cache_id in facts.layers and found.key == facts.layers[cache_id].key:
            continue
        if found.key[0] == LAYER:
            yield _layer(Layer(found.key, None, found.disk_bytes), facts)
        else:
            merged.setdefault(found.key, []).append(found)
    for layer in facts.layers.values():
        yield _layer(layer, facts)
    for key, parts in merged.items():
        note = LISTED if all(part.complete for part in parts) else PARTLY_LISTED
        items = _sum(part.items for part in parts)
        apparent, disk = _sum(part.apparent_bytes for part in parts), _sum(part.disk_bytes for part in parts)
        yield DiskUsage(*key, items, apparent, disk, int(key in facts.counted), note)


def _sum(figures: Iterable[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return fit(sum(known)) if known else None


# What is counted -----------------------------------------------------------------------------------------------------


VOLUMES_FOLDER = "volumes"
"""The folder where all engines keep volumes; a local volume may be a mount of something that lies elsewhere."""


class _Attributions:
    """Gives the attribution of a path."""

    def __init__(self, store: Store, facts: Facts, walked: Mapping[str, Listing], *, whole: bool) -> None:
        self.store, self.facts, self.walked, self.whole = store, facts, walked, whole
        self.mounted = {path for path in mount_points(store.root) if path[0] == VOLUMES_FOLDER and len(path) > 1}
        self.above = {path[:length] for path in self.mounted for length in range(2, len(path))}

    def of(self, path: tuple[str, ...], is_folder: bool) -> Attribution:
        """Return the attribution of a path; called only for entries of folders that several holders share."""
        held = self.store.holder(path, is_folder)
        apart = held.apart or path in self.above
        if held.directory is not None and not self.whole:
            return Attribution(("other", held.directory), left=True)
        if held.directory is None:
            skipped = held.large and not self.whole
            return Attribution((held.category, held.owner), apart, None, skipped, path in self.mounted, held.left)
        found = self.facts.directories.get(held.directory)
        if found is None:
            return Attribution(("unknown", held.directory))
        return Attribution(found.key, apart, self._tree(held.directory) if held.tree else None)

    @staticmethod
    def is_ours(holder: Attribution) -> bool:
        """Say whether a folder of the root belongs to the engine, by its attribution."""
        return holder.apart or holder.key[0] != "other"

    def _tree(self, cache_id: str) -> Tree | None:
        """Return what the walk of a directory counted; None where it could not begin, or met its limit of depth."""
        listing = self.walked.get(cache_id)
        if listing is None or listing.disk_bytes is None or any(code == "too-deep" for code, *_ in listing.problems):
            return None
        return Tree(listing.entry_count, listing.apparent_bytes, listing.disk_bytes, listing.links, listing.complete)


def _measured(key: Key, account: Account, facts: Facts) -> DiskUsage:
    if account.skipped:
        return DiskUsage(*key, None, None, None, int(key in facts.counted), UNMEASURED)
    # The merged and shm of a running container are always mounted: a note is useful only elsewhere.
    mounted = account.foreign and not key[0].startswith("container ")
    return _row(key, account, facts, WITH_MOUNT if mounted else MEASURED)


def _row(key: Key, account: Account, facts: Facts, note: str) -> DiskUsage:
    note = note if account.whole else PARTLY
    sizes = (fit(account.apparent_bytes), fit(account.disk_bytes))
    if None in sizes:
        note += TOO_MUCH
    return DiskUsage(*key, account.items, *sizes, int(key in facts.counted), note)


def _write_volumes(connection: sqlite3.Connection, snapshot_id: int, accounts: Mapping[Key, Account]) -> None:
    """Write the size of each volume, with inodes that were counted elsewhere; nothing where not all was read."""
    sizes = {
        name: (
            fit(account.apparent_bytes + account.again_apparent),
            fit(account.disk_bytes + account.again_disk),
            account.items - 1,
        )
        for (category, name), account in accounts.items()
        if category == "volumes" and account.whole and not account.foreign
    }
    write_volumes(connection, snapshot_id, sizes)


def _problems(count: Count, told: set[tuple[str, str]]) -> Iterator[Problem]:
    """Yield what could not be counted, unless it is reported already."""
    for found in count.problems:
        if (found.problem.code, found.problem.path) not in told:
            yield found.problem
    more = count.problem_count - len(count.problems)
    if more > 0:
        yield Damage("more-problems", "", f"{more} more like these").problem
