"""A root of containerd as one store for each snapshotter with directories."""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes
from layerindex.names import from_os, on_disk, printable
from layerindex.problems import Damage
from layerindex.records import Features
from layerindex.stores.containerd import metadata
from layerindex.stores.containerd.content import FOLDER as CONTENT
from layerindex.stores.containerd.directories import FOLDER as SNAPSHOTS
from layerindex.stores.containerd.directories import SNAPSHOTTER
from layerindex.stores.containerd.scan import READABLE, Scan
from layerindex.stores.containerd.view import METADATA
from layerindex.stores.disk.files import Folder, open_below
from layerindex.stores.shared.id_maps import rules_of
from layerindex.stores.shared.passes import settled, told
from layerindex.stores.store import Holder, Listed, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from layerindex.listings.rules import Rules
    from layerindex.records import Record
    from layerindex.stores.containerd.clients import Docker

OWN = (metadata.FOLDER, CONTENT, *(f"{SNAPSHOTTER}{driver}" for driver in READABLE))
"""Folders of which any one identifies a root of containerd, even if others are lost."""

OWN_TREES = ("overlayfs",)
"""Snapshotters whose directories hold only a snapshot's own files, in `fs`; those of native hold whole trees."""


class ContainerdStore(NamedTuple):
    """What one snapshotter keeps; `siblings` are all that are read, `below` the way from `root` to containerd's."""

    root: str
    driver: str
    siblings: tuple[str, ...]
    below: tuple[str, ...] = ()
    docker: Callable[[str], Docker] | None = None
    """Reads, for a snapshotter, the knowledge of a Docker engine that keeps its images here and has a data root of its
    own."""
    moved: str | None = None
    """The folder of the snapshotter's database and directories, where settings name it (`root_path`)."""
    elsewhere: tuple[str, ...] = ()
    """All snapshotters with such a setting."""
    of_host: bool = False
    """Whether the containerd of this host uses it, so that paths outside of it are valid here."""

    @property
    def name(self) -> str:
        """The kind of store, as `snapshots.store` names it."""
        return f"containerd-{self.driver}"

    @property
    def engine(self) -> str:
        """Whose commands manage it."""
        return "containerd"

    @property
    def folder(self) -> str:
        """Where its directories lie."""
        return "/".join((*self.below, self._snapshotter, SNAPSHOTS))

    @property
    def _snapshotter(self) -> str:
        return self.moved or f"{SNAPSHOTTER}{self.driver}"

    @property
    def limits(self) -> str | None:
        """What is not read of this store."""
        if self.driver in OWN_TREES:
            return f"its layers are in {self.moved}, which disk-usage leaves out" if self.moved else None
        return f"snapshotter {self.driver}: its directories hold whole trees; files are listed from layers' blobs alone"

    @property
    def walkable(self) -> bool:
        """Whether each directory holds a snapshot's own files and no others."""
        return self.driver in OWN_TREES

    @property
    def features(self) -> Features:
        """Its abilities."""
        read = int(self.driver in READABLE)
        return Features(reads_directories=read, keeps_links=0, mounts_inside=0, guards_images=0, collects_garbage=1)

    @property
    def rules(self) -> Rules:
        """How the snapshotter marks deletions; where root is no owner, it mounts with `userxattr`."""
        rules = rules_of(self.driver, os.stat(self.root))
        return rules._replace(mounted=rules.id_map is not None)

    @property
    def first(self) -> bool:
        """Whether blobs, leases and images that are not unpacked are recorded with this one."""
        return self.driver == self.siblings[0]

    @property
    def counted_by_docker(self) -> bool:
        """Docker counts nothing of it, or not all."""
        return False

    @property
    def disk_sizes(self) -> bool:
        """Blocks are what containerd counts."""
        return True

    def engine_id(self) -> str | None:
        """Return None: containerd has an id, but not in its root."""
        return None

    def recorded(self, kind: str, name: str) -> str:
        """Return the database in which a thing is recorded; for an image, its config."""
        below = (CONTENT, "blobs", "sha256", name.removeprefix("sha256:")) if kind == "image" else (METADATA,)
        return printable("/".join((*self.below, *below)))

    def records(self) -> Iterator[Record]:
        """Return every fact of the store, and a Problem for everything that could not be read or is odd."""
        return told(self.root, lambda root: self._items(root, self.docker(self.driver) if self.docker else None))

    def read(self, docker: Docker | None) -> Iterator[Record]:
        """Return the same, with the knowledge of a Docker engine that uses it."""
        return told(self.root, lambda root: self._items(root, docker))

    def _items(self, root: Folder, docker: Docker | None) -> Iterator[Record | Damage]:
        with root.folder(*self.below) if self.below else nullcontext(root) as opened:
            yield from Scan(
                opened, self.driver, self._snapshotter, first=self.first, docker=docker, of_host=self.of_host
            ).items()

    def listed(self, layer: Wanted) -> Listed | None:
        """Return the first of a layer's blobs that exists; None when none does. Raises Damage."""
        for digest in sorted(layer.digests):
            if not shapes.DIGEST.fullmatch(digest):
                continue
            names = (*self.below, CONTENT, "blobs", "sha256", digest.removeprefix("sha256:"))
            try:
                return Listed.of("blob", "/".join(names), partial(open_below, self.root, *names), digest)
            except Damage as found:
                if found.problem.code != "missing":
                    raise
        return None

    def tree(self, cache_id: str) -> str:
        """Return the folder with a directory's own files."""
        return "/".join(printable(name) for name in self._tree(cache_id))

    def open_tree(self, cache_id: str) -> int:
        """Open that folder; raises Damage."""
        name = on_disk(cache_id)
        try:
            return open_below(self.root, *self._tree(name), folder=True)
        except Damage as found:
            with Folder(self.root) as root:
                raise settled(found, root, *self._directory(name)) from found

    def _tree(self, cache_id: str) -> tuple[str, ...]:
        folder = self._directory(cache_id)
        return (*folder, "fs") if self.driver in OWN_TREES else folder

    def _directory(self, cache_id: str) -> tuple[str, ...]:
        return (*self.below, self._snapshotter, SNAPSHOTS, cache_id)

    def holder(self, path: tuple[str, ...], is_folder: bool) -> Holder:
        """Return the holder of a path below the root; things of no snapshotter are counted with the first store."""
        name, snapshotter = path[0], path[0].removeprefix(SNAPSHOTTER)
        if name == self._snapshotter and (is_folder or len(path) > 1):
            return self._held(path, is_folder=is_folder)
        return self._shared(path, name, snapshotter, is_folder)._replace(left=not self.first or self._is_told(name))

    def _is_told(self, name: str) -> bool:
        """Say whether a folder of the root belongs to a snapshotter whose store counts it."""
        return name in {f"{SNAPSHOTTER}{each}" for each in self.siblings if each not in self.elsewhere}

    @staticmethod
    def _shared(path: tuple[str, ...], name: str, snapshotter: str, is_folder: bool) -> Holder:
        if len(path) == 1 and not is_folder:
            return Holder("data root")
        if snapshotter != name:
            return Holder("other driver", from_os(snapshotter), large=True)
        if name == CONTENT:
            return Holder("ingests" if path[1:2] == ("ingest",) else "content", apart=len(path) == 1)
        if name == metadata.FOLDER:
            return Holder("containerd metadata")
        return Holder("other", from_os(name))

    def _held(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        rest = Holder("snapshotter metadata")
        if len(path) == 1 or path[1] != SNAPSHOTS:
            return rest._replace(apart=len(path) == 1 and is_folder)
        if len(path) == 2:
            return Holder("other", self.driver, apart=is_folder)
        if len(path) == 3:
            return (
                Holder(directory=from_os(path[2]), apart=self.walkable) if is_folder else Holder("other", self.driver)
            )
        return Holder(directory=from_os(path[2]), tree=path[3] == "fs" and is_folder)


def snapshotters(root: Folder, moved: Mapping[str, str]) -> tuple[str, ...]:
    """Return the snapshotters of a root that are read and have directories, wherever; else the default one."""
    found = []
    for driver in READABLE:
        try:
            with root.folder(moved.get(driver, f"{SNAPSHOTTER}{driver}"), SNAPSHOTS) as folder:
                if folder.entries:
                    found.append(driver)
        except Damage as damage:
            if damage.problem.code == "permission-denied":
                found.append(driver)
    return tuple(found) or READABLE[:1]


def find_stores(root: str, moved: Mapping[str, str]) -> list[ContainerdStore]:
    """Return the stores in a root of containerd, none when it is none; raises Damage when it cannot be opened.

    `moved` has the folders of snapshotters that are elsewhere.
    """
    with Folder(root) as opened:
        if not any(map(opened.has_folder, OWN)):
            return []
        found = snapshotters(opened, moved)
        elsewhere = tuple(sorted(moved))
        return [ContainerdStore(root, each, found, moved=moved.get(each), elsewhere=elsewhere) for each in found]
