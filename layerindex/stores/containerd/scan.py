"""One pass over a root of containerd: its databases first, with the directories listed before and read after them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from layerindex import shapes, standing
from layerindex.missing import going
from layerindex.problems import KINDS, Damage
from layerindex.records import Container, Layer, Record, Use
from layerindex.stores.containerd import metadata as meta
from layerindex.stores.containerd import snapshots as stored
from layerindex.stores.containerd.blobs import read_blobs
from layerindex.stores.containerd.clients import Clients, Docker, holders_of, is_docker
from layerindex.stores.containerd.content import FOLDER as CONTENT
from layerindex.stores.containerd.content import Content
from layerindex.stores.containerd.directories import SNAPSHOTTER, names, read_directories
from layerindex.stores.containerd.images import Images
from layerindex.stores.containerd.ingests import read_ingests
from layerindex.stores.containerd.reachable import leased
from layerindex.stores.containerd.resources import EXTRACT, read_leases, read_snapshots
from layerindex.stores.containerd.view import METADATA, View
from layerindex.stores.disk import ids
from layerindex.stores.shared.buildkit import FOLDER as BUILDKIT
from layerindex.stores.shared.claims import DOUBTS, Claims, Sources
from layerindex.stores.shared.overlay import PAUSE, in_motion
from layerindex.stores.shared.passes import part
from layerindex.stores.shared.pulls import doubt_new, moment
from layerindex.stores.shared.running import NEVER, running_since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from layerindex.stores.containerd.images import Platform
    from layerindex.stores.containerd.metadata import Namespace
    from layerindex.stores.containerd.view import ViewedSnapshot
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.configs import Config

READABLE = ("overlayfs", "native")
"""Snapshotters whose directories are snapshots/<n>."""

LOCKED = ((meta.FOLDER, meta.NAME),)
"""The database that containerd holds open for as long as it runs."""

UNREAD = {code for code, kind in KINDS.items() if kind.severity == "error"} - {"missing-image", "missing-blob"}
"""Findings about the content store after which an image, or an entry of an index, may be unknown."""
GONE = ("missing-blob", "missing-image")
"""Findings that something named is absent, which is also the case if it was removed after the name was read."""


class Scan:
    """One pass over the root for one snapshotter, whose folder may lie elsewhere.

    The `first` one also yields what belongs to all snapshotters.
    """

    def __init__(  # noqa: PLR0913 - what a store says, called in one place
        self,
        root: Folder,
        driver: str,
        folder: str,
        *,
        first: bool,
        docker: Docker | None = None,
        of_host: bool = False,
    ) -> None:
        self.root, self.driver, self.folder, self.first, self.docker = root, driver, folder, first, docker
        self.of_host = of_host
        self.since = running_since(root, LOCKED)
        self.configs: Mapping[str, Config] = {}
        self.targets: Mapping[str, Sequence[Platform]] = {}
        """The images in the store, and those behind each digest."""
        self.diff_ids: Mapping[str, str] = {}
        """The diff_ids of layers' blobs."""
        self.view = View(root, driver, folder)
        self.snapshots: list[ViewedSnapshot] = []
        self.odd: set[str] = set()
        """Snapshots that only one of the databases knew at both looks."""
        self.sources = Sources()
        """Sources in doubt besides the databases: content, and everything where a reader failed."""

    def items(self) -> Iterator[Record | Damage]:
        """Yield everything; a folder that cannot be opened ends only its own part."""
        before = names(self.root, self.folder)
        yield from self._part(self._read_databases, METADATA)
        yield from self._part(self._read_content, CONTENT)
        yield from self._part(self._layers, METADATA)
        yield from self._part(self._containers, METADATA)
        if self.first:
            yield from self._part(lambda: read_ingests(self.root, self.view.metadata), f"{CONTENT}/ingest")
            yield from self._part(lambda: read_leases(self.view.metadata), METADATA)
            yield from self._part(self._others, METADATA)
        claims, damages = self._claims(self.view)
        yield from damages
        if (docker := self.docker) is not None:
            snapshots = {snapshot.key: snapshot for snapshot in reversed(self.snapshots)}
            yield from part(lambda: docker.builds(snapshots, claims), BUILDKIT, claims.sources.failed)
        yield from self._part(lambda: self._directories(before, claims), self.folder)
        yield from self._part(lambda: read_snapshots(self.view, self._tells), METADATA)
        claims.sources.merge(self.sources)
        yield from claims.sources

    def _part(self, read: Callable[[], Iterable[Record | Damage]], where: str) -> Iterator[Record | Damage]:
        return part(read, self.root.where(where), self.sources.failed)

    def _containers(self) -> Iterator[Record | Damage]:
        clients = Clients(self.view, self.targets, self.configs, self.docker, self.sources)
        bare = []
        for item in clients.read(self.root, first=self.first, of_host=self.of_host):
            if isinstance(item, Container) and item.mount_id is None and item.driver == self.driver:
                bare.append(item)
            yield item
        yield from clients.images(first=self.first)
        yield from self._going(bare)

    def _going(self, bare: list[Container]) -> Iterator[Record]:
        """Yield `going` for containers without a snapshot that are gone, or have one, a moment later.

        Docker's containers are not read again, so for them it is unknown while snapshots change.
        """
        if bare and self.since != NEVER:
            time.sleep(PAUSE)
        now = self._look() if bare else self.view
        keys = {(snapshot.namespace, snapshot.key) for snapshot in now.snapshots}
        for name in sorted({each.container_id for each in bare if not _is_bare(each, now, keys)}):
            yield going("mount", name, name)
        if any(is_docker(each.namespace) for each in bare) and in_motion(self.root, self.folder):
            self.sources.note("mounts", self.root.where(self.folder), standing.MOTION, "snapshots come and go")

    def _directories(self, before: set[str], claims: Claims) -> Iterator[Record | Damage]:
        native = self.driver == "native"
        return read_directories(self.root, self.folder, before, claims, self.view.stored, self._again, native=native)

    def _look(self) -> View:
        return View(self.root, self.driver, self.folder).read()

    def _read_databases(self) -> Iterator[Damage]:
        """Read both databases, again where they differ, as an engine may be writing; yield what still differs."""
        self.view = self._look()
        odd = self.view.odd
        if odd and self.since != NEVER:
            time.sleep(PAUSE)
            self.view = self._look()
        self.odd = odd & self.view.odd
        self.snapshots = self.view.snapshots
        yield from self.view.damages
        where = f"{self.folder}/{stored.NAME}"
        for snapshot in self.snapshots:
            if snapshot.row.name in self.odd and self.view.whole:
                yield Damage(
                    "unknown-snapshot", self.root.where(where), f"{snapshot.row.name} is not in it", snapshot.key
                )

    def _again(self, wait: float) -> Claims:
        """Read the databases once more, after so many seconds; where no engine runs, nothing can change."""
        if self.since != NEVER:
            time.sleep(wait)
        return self._claims(self._look())[0]

    # Images ----------------------------------------------------------------------------------------------------------

    def _read_content(self) -> Iterator[Record | Damage]:
        try:
            with (
                self.root.folder(CONTENT) as content,
                content.folder("blobs") as blobs,
                blobs.folder("sha256") as folder,
            ):
                for item in self._settled(self._read_images(folder), folder):
                    self._note(item)
                    if not _names_nothing(item):
                        yield item
        except Damage as found:
            if found.problem.code == "missing" and self._is_new():
                self._doubt(found.problem.path, standing.ABSENT)
                return
            for fact in ("images", "manifests"):
                self.sources.damaged(fact, found)
            raise

    def _is_new(self) -> bool:
        """Say whether nothing was ever written to the content store: its folder exists, and no blob is known."""
        namespaces = self.view.metadata.namespaces.values()
        named = any(found.blobs or found.images for found in namespaces)
        return not named and not self.view.in_doubt(METADATA) and bool(self.root.has_folder(CONTENT))

    def _doubt(self, path: str, state: str, detail: str | None = None) -> None:
        """Record the state of a source of images and of lists of manifests."""
        for fact in ("images", "manifests"):
            self.sources.note(fact, path, state, detail)

    def _note(self, item: Record | Damage) -> None:
        """Record the doubt that an item of the content store raises."""
        if isinstance(item, Damage):
            code, path, subject = item.problem.code, item.problem.path, item.problem.subject
            if code in UNREAD:
                self._doubt(path, DOUBTS.get(code, standing.DAMAGED), item.problem.detail)
            elif code in GONE and subject not in self.diff_ids:
                self._doubt(path, standing.LOST, item.problem.detail)

    def _settled(self, items: Iterable[Record | Damage], folder: Folder) -> Iterator[Record | Damage]:
        """Yield the items, but findings about absent things only if they still hold: the name may be gone too."""
        missing = []
        for item in items:
            if isinstance(item, Damage) and item.problem.code in GONE:
                missing.append(item)
            else:
                yield item
        if not missing:
            return
        if self.since != NEVER:
            time.sleep(PAUSE)
        namespaces = self._look().metadata.namespaces.values()
        targets = _targets(namespaces)
        named = _targets(self.view.metadata.namespaces.values())
        blobs = {digest for found in namespaces for digest in found.blobs}
        for item in missing:
            subject = item.problem.subject or ""
            digest = targets.get(subject, subject)
            if (_names_nothing(item) and subject in targets) or (
                digest in blobs and not folder.exists(digest.removeprefix("sha256:"))
            ):
                yield item
        for name in sorted({item.problem.subject or "" for item in missing if _names_nothing(item)} - targets.keys()):
            yield going("image", named[name], name)

    def _read_images(self, folder: Folder) -> Iterator[Record | Damage]:
        content = Content(folder)
        images = Images(self.view.metadata, content, folder)
        found = list(images.read())
        here = {(each.namespace, each.key) for each in self.snapshots if shapes.DIGEST.fullmatch(each.key)}
        chains = {chain_id for _, chain_id in here}
        if not self.first:
            # Images unpacked by another snapshotter, or by none, are recorded with the first.
            images.keep(lambda config: bool(config.layers) and config.layers[-1].chain_id in chains)
            found = images.kept(found, here)
        yield from found
        sizes = {snapshot.key: snapshot.size for snapshot in reversed(self.snapshots)}
        yield from images.images(sizes)
        self.configs, self.targets, self.diff_ids = images.configs, images.targets, images.diff_ids
        if self.first:
            yield from read_blobs(folder, self.view.metadata, images)

    def _layers(self) -> Iterator[Record]:
        """Yield the layers of images in the store, and layers unpacked for no image, with their holders."""
        by_chain: dict[str, ViewedSnapshot] = {}
        for snapshot in self.snapshots:
            if shapes.DIGEST.fullmatch(snapshot.key) and (snapshot.number or snapshot.key not in by_chain):
                by_chain.setdefault(snapshot.key, snapshot)
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
        for chain_id, snapshot in by_chain.items():
            if chain_id not in told:
                if self.since != NEVER:
                    doubt_new(
                        self.sources, self.root.where(f"{METADATA}: {snapshot.key}"), moment(snapshot.row.created_at)
                    )
                parent = snapshot.row.parent
                if parent is not None and not shapes.DIGEST.fullmatch(parent):
                    parent = None
                # The chain id of a base is its diff_id.
                base = chain_id if snapshot.row.parent is None else None
                yield Layer(chain_id, base, parent, snapshot.number, snapshot.size, 1 if base else None)
        yield from self._leased(by_chain.keys() - told)

    def _leased(self, chains: AbstractSet[str]) -> Iterator[Use]:
        """Yield uses of layers that a lease or label holds: garbage collection keeps them."""
        for namespace, rows in sorted(self.view.metadata.namespaces.items()):
            for (kind, key), who in sorted(leased(rows).items()) if chains else ():
                if key in chains and kind == f"snapshots/{self.driver}":
                    yield Use("layer", key, who.partition(" ")[0], f"{namespace} {who.partition(' ')[2]}", "layers")

    # Snapshots -------------------------------------------------------------------------------------------------------

    def _claims(self, view: View) -> tuple[Claims, list[Record | Damage]]:
        """Return why directories exist according to the databases, and findings on the way."""
        claims = Claims()
        claims.sources.merge(view.sources)
        claims.sources.merge(self.sources)
        if self.docker is not None:
            claims.sources.merge(self.docker.sources)
        where = self.root.where(METADATA)
        return claims, list(part(lambda: self._claim(view, claims), where, claims.sources.failed))

    def _claim(self, view: View, claims: Claims) -> Iterator[Damage]:
        holders = holders_of(view, self.docker)
        known = set()
        for snapshot in view.snapshots:
            known.add(snapshot.row.name)
            for kind, owner in self._reasons(snapshot, holders):
                claims.add(snapshot.number, kind, owner)
        for name, row in view.stored.items():
            if name not in known:
                # A difference that already existed at the first look is an unfinished removal; else the snapshot is
                # just being made.
                claims.add(row.number, "removing" if name in self.odd else "writing", name)
        if self.docker is not None:
            for (namespace, _), container_id in sorted(holders.items()):
                if is_docker(namespace) and container_id not in self.docker.containers:
                    claims.lost("containers", f"{self.docker.folder}/{container_id}", "its snapshot in containerd")
        yield from ()

    def _reasons(self, snapshot: ViewedSnapshot, holders: Mapping[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
        key = snapshot.key
        container = holders.get((snapshot.namespace, key))
        base = key.removesuffix("-key").removesuffix("-init")
        if container is not None:
            yield "container", container
        elif shapes.DIGEST.fullmatch(key):
            yield "layer", key
        elif key.startswith(EXTRACT):
            yield "writing", key
        elif base != key and (snapshot.namespace, base) in holders:
            yield "init", holders[snapshot.namespace, base]
        elif shapes.BUILDKIT_ID.fullmatch(key):
            yield "build-snapshot", key
        else:
            yield ("snapshot" if snapshot.kind == "committed" else "mount"), key

    def _tells(self, snapshotter: str) -> bool:
        """Say whether snapshots of a snapshotter that is not read are recorded with this one."""
        return self.first and snapshotter not in READABLE

    def _others(self) -> Iterator[Damage]:
        """Report the other snapshotters and their numbers of snapshots."""
        counts: dict[str, int] = {}
        for _, snapshotter, _, _ in self.view.metadata.snapshots():
            if snapshotter not in (self.driver, *READABLE):
                counts[snapshotter] = counts.get(snapshotter, 0) + 1
        for snapshotter, count in sorted(counts.items()):
            detail = f"snapshotter {ids.shorten(snapshotter)} has {count} snapshots, whose directories are not read"
            yield Damage("other-driver", self.root.where(f"{SNAPSHOTTER}{snapshotter}"), detail, snapshotter)


def _names_nothing(item: Record | Damage) -> bool:
    """Say whether an item is the finding that a name leads to nothing, which the view `missing` reports."""
    return isinstance(item, Damage) and item.problem.code == "missing-image"


def _targets(namespaces: Iterable[Namespace]) -> dict[str, str]:
    return {name: target.digest for found in namespaces for name, target in found.images.items()}


def _is_bare(container: Container, now: View, keys: set[tuple[str, str]]) -> bool:
    """Say whether a container exists now without a snapshot; `keys` are those of all snapshots, with namespaces."""
    found = now.metadata.namespaces.get(container.namespace)
    row = found.containers.get(container.container_id) if found else None
    key = row.snapshot_key if row else container.container_id
    there = row is not None or is_docker(container.namespace)
    return there and (container.namespace, key) not in keys
