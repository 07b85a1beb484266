"""Reads `buildkit/`: the records of the build cache, and the directories that they hold (FORMATS section 6).

Formats: moby `daemon/internal/builder-next/adapters/snapshot/{snapshot,leasemanager}.go` (snapshots.db) and BuildKit
`cache/{metadata,manager,refs}.go` (metadata_v2.db). A record leads to a key of snapshots.db, and that to a directory or
to a layer of layerdb; both are kept as long as the key exists, even if the record or images are removed.
"""

from __future__ import annotations

import re
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from layerindex import shapes, standing
from layerindex.guard import reading
from layerindex.problems import Damage, Damages
from layerindex.records import BuildCache, BuildCacheParent, Use
from layerindex.stores.disk import ids
from layerindex.stores.disk.bolt import Bucket, key_text, read_bolt
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.passes import part
from layerindex.stores.shared.running import NEVER, running_since

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerindex.records import Record
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims

FOLDER = "buildkit"
SNAPSHOTS = "snapshots.db"
SOURCE = f"{FOLDER}/{SNAPSHOTS}"
"""The file that says which directories BuildKit holds."""
METADATA = "metadata_v2.db"
OLD_METADATA = "metadata.db"
"""The file of records before Docker 20.10; beside the new file it is stale."""

STARTED = (METADATA, OLD_METADATA, "containerdmeta.db", "history.db")
"""Databases beside snapshots.db; where all of them and snapshots.db are absent, BuildKit was never started here."""

DIRECTORY = re.compile(rf"{shapes.BUILDKIT_ID.pattern}|{shapes.HEX.pattern}")
NAME = re.compile(rf"{DIRECTORY.pattern}|{shapes.DIGEST.pattern}")
"""Of a record or a snapshot: before Docker 20.10 those of an image's layer were called by its chain id."""

REGULAR = "regular"
"""Type of a record that states none."""

CACHE_MOUNT = "cache-dir"
"""Key of a cache mount's id; BuildKit before 0.10 made the id part of the key, and the key the value."""

KEYS = (b"cache.", b"snapshot.", CACHE_MOUNT.encode())
"""Beginnings of the keys that are read; frontends add others."""


class Snapshot(NamedTuple):
    """What a key of snapshots.db refers to."""

    directory: str | None
    """The key itself, where a directory was made for it."""
    committed: str | None
    """The directory that was filled under another key."""
    chain_id: str | None
    """The layer that it is, or that was made of it."""
    parent: str | None


class Entry(NamedTuple):
    """A record of metadata_v2.db, with checked names."""

    field: Fields
    snapshot: str
    equal_mutable: str | None
    parents: list[str]


def read_buildkit(root: Folder, layers: Mapping[str, str | None], claims: Claims) -> Iterator[Record | Damage]:
    """Yield the records of the build cache, and note in `claims` which directories BuildKit holds.

    `layers` are the chain ids of layerdb, each with its directory.
    """
    try:
        with root.folder(FOLDER) as folder:
            if SNAPSHOTS in folder or any(name in folder for name in STARTED):
                yield from Cache(root, folder, layers, claims).read()
            else:
                claims.sources.note("build cache", SOURCE, standing.ABSENT)
    except Damage as found:
        claims.sources.damaged("build cache", found)
        yield found


class Cache:
    """The contents of the two databases."""

    def __init__(self, root: Folder, folder: Folder, layers: Mapping[str, str | None], claims: Claims) -> None:
        self.root, self.folder, self.layers, self.claims = root, folder, layers, claims
        self.old = METADATA not in folder and OLD_METADATA in folder
        self.entries: dict[str, Entry] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.records_known = False
        """Whether all records are known, so that a key to which none leads certainly has no record."""
        self.whole = True
        """Whether all keys of snapshots.db are known, so that a key not among them certainly does not exist."""
        self.twins: dict[str, Entry] = {}
        """Records whose data is still that of a mutable record, by the id of the latter."""
        self.used: set[str] = set()
        """Keys of snapshots.db that records lead to."""

    def read(self) -> Iterator[Record | Damage]:
        """Yield all rows and findings."""
        # A snapshot is made before its record: records are read first, so that the snapshot of each is found.
        self.entries, damages = self._read_entries()
        self.records_known = not damages
        yield from damages
        self.twins = {entry.equal_mutable: entry for entry in self.entries.values() if entry.equal_mutable}
        yield from self._read_snapshots()
        lost: dict[str, str] = {}
        for record_id, entry in sorted(self.entries.items()):
            yield from part(partial(self._record, record_id, entry, lost), self._where(), self.claims.sources.failed)
            yield from entry.field.damages
        self._claim_unnamed()
        yield from self._circle()
        yield from self._check(lost)

    # metadata_v2.db ------------------------------------------------------------------------------------------------

    def _read_entries(self) -> tuple[dict[str, Entry], list[Damage]]:
        """Return the records by id; the file names no directory that snapshots.db does not, so leaves no doubt."""
        name = OLD_METADATA if self.old else METADATA
        entries: dict[str, Entry] = {}
        try:
            with reading(self.folder.where(name)):
                damages = self._take_entries(name, entries)
        except Damage as found:
            damages = [found]
        return entries, damages

    def _take_entries(self, name: str, entries: dict[str, Entry]) -> list[Damage]:
        damages: list[Damage] = Damages()
        bolt = read_bolt(self.folder, name)
        main = bolt.root.bucket(b"_main")
        for key, bucket in main.items() if main is not None else ():
            record_id = key_text(key)
            if not NAME.fullmatch(record_id):
                damages.append(Damage("bad-id", bolt.where, f"{ids.shorten(record_id)} is no id of a record"))
            elif not isinstance(bucket, Bucket):
                damages.append(Damage("bad-value", bolt.where, "a record must be a bucket", record_id))
            else:
                entries[record_id] = _entry(record_id, bucket, bolt.where)
        return damages + bolt.damages

    # snapshots.db --------------------------------------------------------------------------------------------------

    def _read_snapshots(self) -> Iterator[Damage]:
        """Read what each key leads to; whatever is wrong here may hide that a directory is in use."""
        damages: list[Damage] = Damages()
        try:
            with reading(self.folder.where(SNAPSHOTS)):
                bolt = read_bolt(self.folder, SNAPSHOTS)
                for key, bucket in bolt.root.items():
                    self.snapshots[key_text(key)] = _snapshot(key_text(key), bucket, bolt.where, damages)
                damages += bolt.damages
        except Damage as found:
            damages.append(found)
        if damages:
            self.whole = False
            self.claims.sources.damaged("build cache", damages[0])
        else:
            self.claims.sources.note("build cache", self.folder.where(SNAPSHOTS), standing.READ)
        yield from damages

    def _held(self, key: str) -> list[str]:
        """Return the directories that a key of snapshots.db leads to, first the one that holds its data."""
        snapshot = self.snapshots.get(key)
        if snapshot is None:
            return []
        layer = self.layers.get(snapshot.chain_id) if snapshot.chain_id else None
        names = (snapshot.committed, snapshot.directory, layer)
        return [name for name in dict.fromkeys(names) if name is not None]

    def _claim_unnamed(self) -> None:
        """Note the directories of keys without a record, as a crash or a prune leaves them: BuildKit keeps them.

        Such a key does not keep a layer in layerdb; where records may be lost, it may be one of a record, which does.
        """
        kind = "build-snapshot" if self.records_known else "build-cache"
        for key in self.snapshots:
            if key not in self.used:
                for cache_id in self._held(key):
                    self.claims.add(cache_id, kind, key)

    # Records -------------------------------------------------------------------------------------------------------

    def _key(self, entry: Entry) -> str:
        """Return the key of snapshots.db where a record's data is: its mutable record's until it is finalized."""
        mutable = entry.equal_mutable
        if mutable is None:
            return entry.snapshot
        if mutable in self.entries:
            return self.entries[mutable].snapshot
        return entry.snapshot if entry.snapshot in self.snapshots else mutable

    def _record(self, record_id: str, entry: Entry, lost: dict[str, str]) -> Iterator[Record]:
        """Yield the rows of one record; where its snapshot or layer does not exist, add it to `lost`."""
        key, field = self._key(entry), entry.field
        held = self._held(key)
        for cache_id in dict.fromkeys([*held, *self._held(entry.snapshot), *self._held(record_id)]):
            self.claims.add(cache_id, "build-cache", record_id)
        snapshot = self.snapshots.get(key)
        self.used |= {key, entry.snapshot, record_id}
        if snapshot is not None and snapshot.committed is not None:
            self.used.add(snapshot.committed)
        deleting = field.get("cache.deleted", _flag)
        if snapshot is None and self.whole and not field.get("cache.blobonly", _flag):
            self._lose(record_id, key, deleting=bool(deleting))
            lost[record_id] = key
        elif snapshot is not None and snapshot.chain_id is not None and snapshot.chain_id not in self.layers:
            lost[record_id] = snapshot.chain_id
        parents = entry.parents or self._old_parents(snapshot)
        yield BuildCache(
            record_id,
            held[0] if held else None,
            parents[0] if parents else None,
            field.get("cache.description", ids.text),
            field.get("cache.recordType", lambda value: ids.text(value) or REGULAR),
            self._size(record_id, field),
            field.get("cache.createdAt", _moment),
            field.get("cache.lastUsedAt", _moment),
            field.get("cache.usageCount", lambda value: ids.number(value) or 0),
            key,
            self._is_committed(field, snapshot),
            entry.equal_mutable,
            field.get("cache.chainID", ids.digest) or (snapshot.chain_id if snapshot else None),
            field.get("cache.diffID", ids.digest),
            field.get("cache.imageRefs", _references),
            field.get(CACHE_MOUNT, ids.text),
            int(deleting or 0),
        )
        for position, parent in enumerate(parents):
            yield BuildCacheParent(record_id, position, parent)

    def _lose(self, record_id: str, key: str, *, deleting: bool) -> None:
        """Note that a record without a snapshot may hold a directory.

        BuildKit forgets a snapshot, then removes its directory, then forgets the record: it may be in the midst of it.
        Which directory it is, only the snapshot said, unless it was never committed: that has the record's name.
        """
        if DIRECTORY.fullmatch(key):
            self.claims.add(key, "removing", record_id)
        if deleting:
            self.claims.sources.note("build cache", self._where(), standing.MOTION, f"{record_id} is being removed")

    def _old_parents(self, snapshot: Snapshot | None) -> list[str]:
        """Return what the old file leaves to snapshots.db to say."""
        if not self.old or snapshot is None:
            return []
        made_of = self.snapshots.get(snapshot.committed or "", snapshot)
        return [made_of.parent] if made_of.parent else []

    def _size(self, record_id: str, field: Fields) -> int | None:
        """Return the size; of two records that share their data BuildKit measures only one and prints the other."""
        size = field.get("snapshot.size", ids.size)
        twin = self.twins.get(record_id)
        if size is None and twin is not None and twin.field is not field:
            return Fields(twin.field.values, field.where, record_id).get("snapshot.size", ids.size)
        return size

    def _is_committed(self, field: Fields, snapshot: Snapshot | None) -> int | None:
        if self.old and snapshot is not None:
            return int(snapshot.committed is not None or snapshot.chain_id is not None)
        committed = field.get("snapshot.committed", _flag)
        return None if committed is None else int(committed)

    # Findings ------------------------------------------------------------------------------------------------------

    def _circle(self) -> Iterator[Damage]:
        try:
            TopologicalSorter({record_id: entry.parents for record_id, entry in self.entries.items()}).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            yield Damage("parent-circle", self._where(), " -> ".join(circle[:5]), circle[0])

    def _check(self, lost: dict[str, str]) -> Iterator[Use]:
        """Yield findings about records that lost their data, except those that an engine is writing or removing."""
        still = self._read_entries()[0] if lost else {}
        stopped = bool(lost) and running_since(self.root) == NEVER
        for record_id, key in lost.items():
            entry = still.get(record_id)
            settled = entry is not None and entry.field.values == self.entries[record_id].field.values
            if settled and (stopped or _is_kept(entry)) and not self._in_layerdb(key):
                yield Use("snapshot", key, "build-cache", record_id, "build cache")

    def _where(self) -> str:
        return self.folder.where(OLD_METADATA if self.old else METADATA)

    def _in_layerdb(self, key: str) -> bool:
        """Say whether a layer exists now: it may have been added after layerdb was read."""
        if key in self.layers:
            return True
        if not shapes.DIGEST.fullmatch(key):
            return False
        try:
            with self.root.folder("image") as image:
                digest = key.removeprefix("sha256:")
                return any(image.exists(driver, "layerdb", "sha256", digest) for driver in image.entries)
        except Damage:
            return True


def _is_kept(entry: Entry | None) -> bool:
    """Say whether BuildKit keeps a record without a snapshot: an immutable one that is not being removed."""
    values = {} if entry is None else entry.field.values
    return values.get("snapshot.committed") is True and values.get("cache.deleted") is not True


def _snapshot(key: str, bucket: bytes | Bucket, where: str, damages: list[Damage]) -> Snapshot:
    if not isinstance(bucket, Bucket):
        damages.append(Damage("bad-value", where, "a snapshot must be a bucket", key))
        return Snapshot(None, None, None, None)
    values = {name: value for name, value in bucket.items() if isinstance(value, bytes)}

    def shaped(shape: re.Pattern[str], what: str, value: bytes | None) -> str | None:
        if not value:
            return None
        try:
            return ids.shaped(shape, key_text(value))
        except ValueError as error:
            damages.append(Damage("bad-id", where, f"{what}: {error}", key))
            return None

    chain_id = shaped(shapes.DIGEST, "chainid", values.get(b"chainid"))
    return Snapshot(
        shaped(DIRECTORY, "key", key.encode()) if b"parent" in values else None,
        shaped(DIRECTORY, "committed", values.get(b"committed")),
        key if chain_id is None and shapes.DIGEST.fullmatch(key) else chain_id,
        shaped(NAME, "parent", values.get(b"parent")),
    )


def _entry(record_id: str, bucket: Bucket, where: str) -> Entry:
    field = Fields({}, where, record_id)
    for key, value in bucket.items():
        if value and isinstance(value, bytes) and key.startswith(KEYS):
            _add_value(field, key_text(key), value)
    parents = [
        field.get("cache.parent", _name),
        *(field.get("cache.mergeParents", _names) or ()),
        field.get("cache.lowerDiffParent", _name),
        field.get("cache.upperDiffParent", _name),
    ]
    return Entry(
        field,
        field.get("cache.snapshot", _name) or record_id,
        field.get("cache.equalMutable", _name),
        [parent for parent in dict.fromkeys(parents) if parent is not None],
    )


def _add_value(field: Fields, name: str, content: bytes) -> None:
    """Add what a key holds: JSON with the value and, for some, the index it is found by; empty when it was deleted."""
    try:
        value = ids.mapping(orjson.loads(content)).get("value")
    except orjson.JSONDecodeError as error:
        field.damages.append(Damage("bad-json", field.where, f"{ids.shorten(name)}: {error}", field.subject))
    except ValueError as error:
        field.damages.append(Damage("bad-value", field.where, f"{ids.shorten(name)}: {error}", field.subject))
    else:
        if name.startswith(CACHE_MOUNT):
            name = CACHE_MOUNT
            value = value.removeprefix(f"{CACHE_MOUNT}:") if isinstance(value, str) else value
        field.values[name] = value


# Values of records, each checked; all raise ValueError


def _name(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    text = ids.text(value)
    return None if text is None else ids.shaped(NAME, text)


def _names(value: Any) -> list[str]:  # noqa: ANN401 - whatever JSON held
    return [name for item in ids.sequence(value) if (name := _name(item))]


def _flag(value: Any) -> bool:  # noqa: ANN401 - whatever JSON held
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{type(value).__name__} instead of true or false")
    return bool(value)


def _moment(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    """Return nanoseconds since 1970 as text."""
    number = ids.number(value)
    return None if number is None else ids.moment(ids.EPOCH, *divmod(number, 1_000_000_000))


def _references(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    """Return image references as a JSON list."""
    references = [reference for item in ids.sequence(value) if (reference := ids.text(item))]
    return orjson.dumps(references).decode() if references else None
