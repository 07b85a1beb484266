"""One pass over a root of containerd: its databases first, with the directories listed before and read after them."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes, standing
from layerindex.guard import reading
from layerindex.problems import Damage, not_regular
from layerindex.records import Blob, ContainerdSnapshot, Layer, Lease, LeaseResource, Record
from layerindex.stores import ids
from layerindex.stores.buildkit import FOLDER as BUILDKIT
from layerindex.stores.claims import DOUBTS, Claims, Sources
from layerindex.stores.containerd import metadata as meta
from layerindex.stores.containerd import snapshots as stored
from layerindex.stores.containerd.clients import read_containers
from layerindex.stores.containerd.content import FOLDER as CONTENT
from layerindex.stores.containerd.content import Content
from layerindex.stores.containerd.directories import SNAPSHOTTER, names, read_directories
from layerindex.stores.containerd.encoding import as_json
from layerindex.stores.containerd.images import UNCOMPRESSED, Images
from layerindex.stores.containerd.ingests import read_ingests
from layerindex.stores.containerd.reachable import expires_at, reachable
from layerindex.stores.overlay import PAUSE
from layerindex.stores.parts import part
from layerindex.stores.running import NEVER, running_since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from layerindex.records import Container
    from layerindex.stores.containerd.images import Platform
    from layerindex.stores.containerd.metadata import Metadata, SnapshotRow
    from layerindex.stores.containerd.snapshots import Stored
    from layerindex.stores.files import Folder
    from layerindex.stores.imagedb import Config

READABLE = ("overlayfs", "native")
"""Snapshotters whose directories are snapshots/<n>."""

METADATA = f"{meta.FOLDER}/{meta.NAME}"
TELLS = (("layers",), ("layers", "mounts", "containers", "images", "names"))
"""What a snapshotter's database tells, and what containerd's own does."""
LOCKED = ((meta.FOLDER, meta.NAME),)
"""The database that containerd holds open for as long as it runs."""

EXTRACT = "extract-"
"""How the keys begin of what is being unpacked; the chain id comes last."""


class Docker(NamedTuple):
    """What a Docker engine that stands on this containerd knows."""

    containers: Mapping[str, Container]
    builds: Callable[[Mapping[str, Place], Claims], Iterator[Record | Damage]]
    """Reads the build cache, and claims its directories."""
    elsewhere: bool = False
    """Its data root is a store of its own, which tells the containers that have nothing here."""


class Place(NamedTuple):
    """A snapshot of the snapshotter that is read, and where it is."""

    namespace: str
    key: str
    row: SnapshotRow
    kind: str | None
    number: str | None
    size: int | None


class View:
    """The two databases as they were at one time."""

    def __init__(self, root: Folder, driver: str, folder: str) -> None:
        """Nothing is known before it is read."""
        self.root, self.driver, self.folder = root, driver, folder
        self.damages: list[Damage] = []
        self.sources = Sources()
        self.stored: dict[str, Stored] = {}
        self.metadata: Metadata = meta.Metadata({}, [])

    def read(self) -> View:
        """Read both; what cannot be read is empty, with its damage in `damages`."""
        # A snapshot is made before its namespace knows it, and goes after that: in this order, what is in meta.db and
        # was there all the time is in the snapshotter's database too.
        self._read_stored()
        self._read_metadata()
        return self

    def _read_stored(self) -> None:
        try:
            with reading(self.root.where(f"{self.folder}/{stored.NAME}")), self.root.folder(self.folder) as opened:
                if stored.NAME not in opened and not _has_any(opened):
                    where = self.root.where(f"{self.folder}/{stored.NAME}")
                    self.sources.note("layers", where, standing.ABSENT)  # the snapshotter was never used
                    return
                self.stored, damages = stored.read_snapshots(opened)
        except Damage as found:
            damages = [found]
        self._note(damages, f"{self.folder}/{stored.NAME}")

    def _read_metadata(self) -> None:
        try:
            with reading(self.root.where(METADATA)), self.root.folder(meta.FOLDER) as opened:
                self.metadata = meta.read_metadata(opened)
        except Damage as found:
            self._note([found], METADATA)
        else:
            self._note(self.metadata.damages, METADATA)

    def _note(self, damages: Sequence[Damage], source: str) -> None:
        """Note what is wrong with a database: what it would name is then in doubt."""
        self.damages += damages
        errors = [found for found in damages if found.problem.severity == "error"]
        for kind in TELLS[source == METADATA]:
            if errors:
                problem = errors[0].problem
                self.sources.note(
                    kind, self.root.where(source), DOUBTS.get(problem.code, standing.DAMAGED), problem.detail
                )
            else:
                self.sources.note(kind, self.root.where(source), standing.READ)

    @property
    def whole(self) -> bool:
        """Whether both databases could be read whole."""
        return all(source.state in standing.CLEAR for source in self.sources)

    def in_doubt(self, source: str) -> bool:
        """Say whether a database may hold more than could be read."""
        where = self.root.where(source)
        return any(each.path == where and each.state not in standing.CLEAR for each in self.sources)

    @property
    def odd(self) -> set[str]:
        """The snapshots, by the snapshotter's names, that only one of the databases knows."""
        return {place.row.name for place in self.places} ^ self.stored.keys()

    @cached_property
    def places(self) -> list[Place]:
        """The snapshots of the snapshotter that meta.db knows, in the order of their names.

        Where it could not be read whole, also those that only the snapshotter knows, whose names have the same keys.
        """
        found = []
        for namespace, snapshotter, key, row in self.metadata.snapshots():
            if snapshotter == self.driver:
                behind = self.stored.get(row.name)
                facts = (behind.kind, behind.number, behind.size) if behind else (None, None, None)
                found.append(Place(namespace, key, row, *facts))
        if self.in_doubt(METADATA):
            known = {place.row.name for place in found}
            for name, behind in self.stored.items():
                if name not in known:
                    parent = stored.parts(behind.parent)[1] if behind.parent else None
                    row = meta.SnapshotRow(name, parent, behind.created_at, behind.updated_at, behind.labels)
                    found.append(Place(*stored.parts(name), row, behind.kind, behind.number, behind.size))
        return sorted(found, key=lambda place: (place.namespace, place.key))


def _has_any(folder: Folder) -> bool:
    try:
        with folder.folder("snapshots") as below:
            return bool(below.entries)
    except Damage as found:
        return found.problem.code != "missing"


class Scan:
    """One pass over the root, for one snapshotter, whose folder may lie elsewhere.

    `first` tells what belongs to all snapshotters too.
    """

    def __init__(self, root: Folder, driver: str, folder: str, *, first: bool, docker: Docker | None = None) -> None:
        self.root, self.driver, self.folder, self.first, self.docker = root, driver, folder, first, docker
        self.since = running_since(root, LOCKED)
        self.configs: Mapping[str, Config] = {}
        self.targets: Mapping[str, Sequence[Platform]] = {}
        """The images that are here, and those behind each digest."""
        self.view = View(root, driver, folder)
        self.places: list[Place] = []
        self.odd: set[str] = set()
        """Snapshots that only one of the databases knew, at two looks."""
        self.failed = Sources()
        """What is in doubt because a reader failed."""

    def items(self) -> Iterator[Record | Damage]:
        """Yield everything; what cannot be opened ends only its own part."""
        before = names(self.root, self.folder)
        yield from self._part(self._read_databases, METADATA)
        yield from self._part(self._read_content, CONTENT)
        yield from self._part(self._layers, METADATA)
        yield from self._part(self._containers, METADATA)
        if self.first:
            yield from self._part(lambda: read_ingests(self.root, self.view.metadata), f"{CONTENT}/ingest")
            yield from self._part(self._leases, METADATA)
            yield from self._part(self._others, METADATA)
        claims, damages = self._claims(self.view)
        yield from damages
        if (docker := self.docker) is not None:
            places = {place.key: place for place in reversed(self.places)}
            yield from part(lambda: docker.builds(places, claims), BUILDKIT, claims.sources.failed)
        yield from self._part(lambda: self._directories(before, claims), self.folder)
        yield from self._part(self._snapshots, METADATA)
        claims.sources.merge(self.failed)
        yield from claims.sources

    def _part(self, read: Callable[[], Iterable[Record | Damage]], where: str) -> Iterator[Record | Damage]:
        return part(read, self.root.where(where), self.failed.failed)

    def _containers(self) -> Iterator[Record | Damage]:
        return read_containers(
            self.root, self.view.metadata, self.driver, self.targets, self.places, self.docker, first=self.first
        )

    def _directories(self, before: set[str], claims: Claims) -> Iterator[Record | Damage]:
        native = self.driver == "native"
        return read_directories(self.root, self.folder, before, claims, self.view.stored, self._again, native=native)

    def _look(self) -> View:
        return View(self.root, self.driver, self.folder).read()

    def _read_databases(self) -> Iterator[Damage]:
        """Read both; where they differ once more, as an engine may have been at it, and say what differs still."""
        self.view = self._look()
        odd = self.view.odd
        if odd and self.since != NEVER:
            time.sleep(PAUSE)
            self.view = self._look()
        self.odd = odd & self.view.odd
        self.places = self.view.places
        yield from self.view.damages
        where = f"{self.folder}/{stored.NAME}"
        for place in self.places:
            if place.row.name in self.odd and self.view.whole:
                yield Damage("unknown-snapshot", self.root.where(where), f"{place.row.name} is not in it", place.key)

    def _again(self, wait: float) -> Claims:
        """Read the databases once more, after so many seconds; where no engine runs there is nothing to wait for."""
        if self.since != NEVER:
            time.sleep(wait)
        return self._claims(self._look())[0]

    # Images ----------------------------------------------------------------------------------------------------------

    def _read_content(self) -> Iterator[Record | Damage]:
        with self.root.folder(CONTENT) as content:
            if "blobs" not in content:
                return
            with content.folder("blobs") as blobs:
                if "sha256" not in blobs:
                    return
                with blobs.folder("sha256") as folder:
                    yield from self._settled(self._read_images(folder), folder)

    def _settled(self, items: Iterable[Record | Damage], folder: Folder) -> Iterator[Record | Damage]:
        """Yield what was read, and of what was missing what is so still: an engine may have removed what named it."""
        missing = []
        for item in items:
            if isinstance(item, Damage) and item.problem.code in ("missing-blob", "missing-image"):
                missing.append(item)
            else:
                yield item
        if not missing:
            return
        if self.since != NEVER:
            time.sleep(PAUSE)
        namespaces = self._look().metadata.namespaces.values()
        targets = {name: target.digest for found in namespaces for name, target in found.images.items()}
        blobs = {digest for found in namespaces for digest in found.blobs}
        for item in missing:
            subject = item.problem.subject or ""
            digest = targets.get(subject, subject)
            if (item.problem.code == "missing-image" and subject in targets) or (
                digest in blobs and not folder.exists(digest.removeprefix("sha256:"))
            ):
                yield item

    def _read_images(self, folder: Folder) -> Iterator[Record | Damage]:
        content = Content(folder)
        images = Images(self.view.metadata, content, folder)
        found = list(images.read())
        here = {place.key for place in self.places if shapes.DIGEST.fullmatch(place.key)}
        if not self.first:
            # What is unpacked by another snapshotter, or by none, is told with the first.
            images.keep(lambda config: bool(config.layers) and config.layers[-1].chain_id in here)
            found = images.kept(found)
        yield from found
        sizes = {place.key: place.size for place in reversed(self.places)}
        yield from images.images(sizes)
        self.configs, self.targets = images.configs, images.targets
        if self.first:
            yield from self._blobs(folder, images)

    def _layers(self) -> Iterator[Record]:
        """Yield the layers of images that are here, and those that are unpacked for none."""
        by_chain: dict[str, Place] = {}
        for place in self.places:
            if shapes.DIGEST.fullmatch(place.key) and (place.number or place.key not in by_chain):
                by_chain.setdefault(place.key, place)
        told: set[str] = set()
        for config in self.configs.values():
            parent = None
            for layer in config.layers:
                if layer.chain_id not in told:
                    told.add(layer.chain_id)
                    here = by_chain.get(layer.chain_id)
                    number, size = (here.number, here.size) if here else (None, None)
                    yield Layer(layer.chain_id, layer.diff_id, parent, number, size, 1)
                parent = layer.chain_id
        for chain_id, place in by_chain.items():
            if chain_id not in told:
                parent = place.row.parent
                if parent is not None and not shapes.DIGEST.fullmatch(parent):
                    parent = None
                # The chain id of a base is its diff_id.
                base = chain_id if place.row.parent is None else None
                yield Layer(chain_id, base, parent, place.number, place.size, 1 if base else None)

    def _blobs(self, folder: Folder, images: Images) -> Iterator[Record | Damage]:
        known: dict[str, list[tuple[str, meta.BlobRow]]] = {}
        for namespace, found in sorted(self.view.metadata.namespaces.items()):
            for digest, row in found.blobs.items():
                known.setdefault(digest, []).append((namespace, row))
        for name in sorted(folder.entries):
            if not shapes.HEX.fullmatch(name):
                yield Damage("unexpected-entry", folder.where(name), "a name that does not belong here")
        on_disk = {f"sha256:{name}" for name in folder.entries if shapes.HEX.fullmatch(name)}
        for digest in sorted(on_disk | known.keys()):
            name = digest.removeprefix("sha256:")
            size = _size(folder, name)
            diff_id = images.diff_ids.get(digest)
            for namespace, row in known.get(digest, [("", meta.BlobRow(None, None, None, {}))]):
                if size is None and not folder.exists(name):
                    yield Damage("missing-blob", folder.where(name), f"namespace {namespace} has it", digest)
                elif size is None and name in folder:
                    yield not_regular(folder.where(name), digest)
                elif None not in (size, row.size) and size != row.size:
                    yield Damage("blob-size", folder.where(name), f"{size} bytes, {row.size} in {meta.NAME}", digest)
                label = row.labels.get(UNCOMPRESSED)
                yield Blob(
                    digest,
                    namespace,
                    row.size if size is None else size,
                    images.media_types.get(digest),
                    diff_id or (label if label and shapes.DIGEST.fullmatch(label) else None),
                    row.created_at,
                    row.updated_at,
                    int(size is not None),
                    as_json(row.labels),
                )

    # Snapshots -------------------------------------------------------------------------------------------------------

    def _claims(self, view: View) -> tuple[Claims, list[Record | Damage]]:
        """Return why directories exist, as the databases say, and what was wrong with finding that out."""
        claims = Claims()
        claims.sources.merge(view.sources)
        claims.sources.merge(self.failed)
        where = self.root.where(METADATA)
        return claims, list(part(lambda: self._claim(view, claims), where, claims.sources.failed))

    def _claim(self, view: View, claims: Claims) -> Iterator[Damage]:
        holders = self._holders(view)
        known = set()
        for place in view.places:
            known.add(place.row.name)
            for kind, owner in self._reasons(place, holders):
                claims.add(place.number, kind, owner)
        for name, row in view.stored.items():
            if name not in known:
                # What was so at the first look too waits for the end of its removal; else it is just being made.
                claims.add(row.number, "removing" if name in self.odd else "writing", name)
        yield from ()

    def _holders(self, view: View) -> dict[tuple[str, str], str]:
        """Return the container of each snapshot that is a container's own, by namespace and key."""
        found = {}
        for namespace, rows in view.metadata.namespaces.items():
            for container_id, container in rows.containers.items():
                if container.snapshotter == self.driver and container.snapshot_key:
                    found[namespace, container.snapshot_key] = container_id
            # Docker's containers are known to containerd while they run; their leases are there as long as they are.
            for lease_id, lease in rows.leases.items():
                if shapes.HEX.fullmatch(lease_id) and (f"snapshots/{self.driver}", lease_id) in lease.resources:
                    found[namespace, lease_id] = lease_id
        if self.docker is not None:
            for namespace in {place.namespace for place in view.places if place.namespace.startswith("moby")}:
                found.update({(namespace, container_id): container_id for container_id in self.docker.containers})
        return found

    def _reasons(self, place: Place, holders: Mapping[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
        key = place.key
        container = holders.get((place.namespace, key))
        base = key.removesuffix("-key").removesuffix("-init")
        if container is not None:
            yield "container", container
        elif shapes.DIGEST.fullmatch(key):
            yield "layer", key
        elif key.startswith(EXTRACT):
            yield "writing", key
        elif base != key and (place.namespace, base) in holders:
            yield "init", holders[place.namespace, base]
        elif shapes.BUILDKIT_ID.fullmatch(key):
            yield "build-snapshot", key
        else:
            yield ("snapshot" if place.kind == "committed" else "mount"), key

    def _snapshots(self) -> Iterator[Record]:
        """Yield what both databases know; of snapshotters that are not read, with the first, what meta.db knows."""
        known: set[tuple[str, str]] = set()
        for namespace, found in sorted(self.view.metadata.namespaces.items()):
            held = reachable(found)
            for snapshotter, rows in sorted(found.snapshots.items()):
                if snapshotter != self.driver and (not self.first or snapshotter in READABLE):
                    continue
                for key, row in sorted(rows.items()):
                    if (snapshotter, row.name) in known:
                        continue  # damage: two keys of one snapshot
                    known.add((snapshotter, row.name))
                    behind = self.view.stored.get(row.name) if snapshotter == self.driver else None
                    parent = rows[row.parent].name if row.parent in rows else row.parent
                    is_held = int((f"snapshots/{snapshotter}", key) in held)
                    labels = {**(behind.labels if behind else {}), **row.labels}
                    yield _snapshot(snapshotter, row.name, namespace, key, behind, parent, row, 1, is_held, labels)
        for name, behind in sorted(self.view.stored.items()):
            if (self.driver, name) not in known:
                namespace, key = stored.parts(name)
                yield _snapshot(self.driver, name, namespace, key, behind, behind.parent, behind, 0, 0, behind.labels)

    def _leases(self) -> Iterator[Record]:
        for namespace, found in sorted(self.view.metadata.namespaces.items()):
            for lease_id, lease in sorted(found.leases.items()):
                yield Lease(namespace, lease_id, lease.created_at, expires_at(lease.labels), as_json(lease.labels))
                for kind, key in dict.fromkeys(lease.resources):
                    yield LeaseResource(namespace, lease_id, kind, key)

    def _others(self) -> Iterator[Damage]:
        """Name and count what other snapshotters have."""
        counts: dict[str, int] = {}
        for _, snapshotter, _, _ in self.view.metadata.snapshots():
            if snapshotter not in (self.driver, *READABLE):
                counts[snapshotter] = counts.get(snapshotter, 0) + 1
        for snapshotter, count in sorted(counts.items()):
            detail = f"snapshotter {ids.shorten(snapshotter)} has {count} snapshots, whose directories are not read"
            yield Damage("other-driver", self.root.where(f"{SNAPSHOTTER}{snapshotter}"), detail, snapshotter)


def _snapshot(  # noqa: PLR0913, PLR0917 - what two databases say, called in two places
    snapshotter: str,
    name: str,
    namespace: str,
    key: str,
    behind: Stored | None,
    parent: str | None,
    times: SnapshotRow | Stored,
    in_metadata: int,
    is_held: int,
    labels: dict[str, str],
) -> ContainerdSnapshot:
    chain_id = key.rpartition(" ")[2] if key.startswith(EXTRACT) else key
    return ContainerdSnapshot(
        snapshotter,
        name,
        namespace,
        key,
        behind.kind if behind else None,
        parent or None,
        behind.number if behind else None,
        chain_id if shapes.DIGEST.fullmatch(chain_id) else None,
        behind.size if behind and behind.kind == "committed" else None,
        behind.inodes if behind and behind.kind == "committed" else None,
        times.created_at,
        times.updated_at,
        in_metadata,
        is_held,
        as_json(labels),
    )


def _size(folder: Folder, name: str) -> int | None:
    entry = folder.entries.get(name)
    try:
        return (
            None
            if entry is None or not entry.is_file(follow_symlinks=False)
            else entry.stat(follow_symlinks=False).st_size
        )
    except OSError:
        return None
