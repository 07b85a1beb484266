"""A Docker engine that keeps images in containerd: in its own, in `containerd/daemon`, or in the host's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from layerindex.guard import each, reading
from layerindex.names import from_os, printable
from layerindex.problems import Damage
from layerindex.records import Container
from layerindex.stores.containerd.builds import read_builds
from layerindex.stores.containerd.clients import Docker
from layerindex.stores.containerd.store import ContainerdStore, snapshotters
from layerindex.stores.disk.files import Folder
from layerindex.stores.docker import read_clients
from layerindex.stores.docker.drivers import CONTAINERD, DAEMON
from layerindex.stores.shared.claims import Sources
from layerindex.stores.shared.passes import told
from layerindex.stores.store import Holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerindex.listings.rules import Rules
    from layerindex.records import Features, Record
    from layerindex.stores.containerd.view import ViewedSnapshot
    from layerindex.stores.docker import DockerStore
    from layerindex.stores.shared.claims import Claims
    from layerindex.stores.store import Listed, Wanted

CONTAINERS = "containers"
"""Where Docker keeps what it knows of its containers."""
BELOW = (CONTAINERD, DAEMON)
"""The root of the containerd that dockerd runs."""


class DockerContainerdStore(NamedTuple):
    """Docker's containers and volumes together with what containerd keeps for it: one store for each snapshotter."""

    docker: DockerStore
    containerd: ContainerdStore

    @property
    def root(self) -> str:
        """The data root."""
        return self.docker.root

    @property
    def driver(self) -> str:
        """The snapshotter, which is what Docker calls its storage driver then."""
        return self.containerd.driver

    @property
    def folder(self) -> str:
        """Where the snapshotter's directories lie."""
        return self.containerd.folder

    @property
    def name(self) -> str:
        """The kind of store."""
        return f"docker-{self.containerd.name}"

    @property
    def engine(self) -> str:
        """Whose commands manage it."""
        return "docker"

    @property
    def limits(self) -> str | None:
        """What of this store is not read."""
        return self.containerd.limits

    @property
    def walkable(self) -> bool:
        """Whether each directory holds a snapshot's own files and no others."""
        return self.containerd.walkable

    @property
    def features(self) -> Features:
        """Its abilities: those of containerd, except that Docker protects images in use."""
        return self.containerd.features._replace(guards_images=1)

    @property
    def rules(self) -> Rules:
        """How its directories mark deletions."""
        return self.containerd.rules

    @property
    def first(self) -> bool:
        """Whether containers without a snapshotter, volumes and blobs are recorded with this one."""
        return self.docker.first and self.containerd.first

    @property
    def counted_by_docker(self) -> bool:
        """Docker counts it."""
        return True

    @property
    def disk_sizes(self) -> bool:
        """Blocks are what containerd counts."""
        return True

    def engine_id(self) -> str | None:
        """Return what the root's engine-id file says."""
        return self.docker.engine_id()

    def records(self) -> Iterator[Record]:
        """Return every fact of the store, and a Problem for everything that could not be read or is odd."""
        return told(self.root, self._items)

    def _items(self, root: Folder) -> Iterator[Record | Damage]:
        containers: dict[str, Container] = {}
        sources = Sources()
        # Containers of another snapshotter are recorded with the store of that one.
        for item in read_clients(self.docker, root, sources):
            if isinstance(item, Container):
                if item.driver == self.driver or (self.containerd.first and not self._is_sibling(item.driver)):
                    containers[item.container_id] = item
            elif self.containerd.first:
                yield item
        builds = partial(read_builds, root, self.driver)
        docker = Docker(containers, builds, sources, CONTAINERS)
        yield from self.containerd.read(docker)

    def _is_sibling(self, driver: str | None) -> bool:
        return driver in self.containerd.siblings

    def recorded(self, kind: str, name: str) -> str:
        """Return the file or folder that tells of a thing."""
        told_by = self.docker if kind in ("build cache", "container", "volume") else self.containerd
        return told_by.recorded(kind, name)

    def listed(self, layer: Wanted) -> Listed | None:
        """Return a layer's blob; None when it is not here. Raises Damage."""
        return self.containerd.listed(layer)

    def tree(self, cache_id: str) -> str:
        """Return the folder with a directory's own files."""
        return self.containerd.tree(cache_id)

    def open_tree(self, cache_id: str) -> int:
        """Open that folder; raises Damage."""
        return self.containerd.open_tree(cache_id)

    def holder(self, path: tuple[str, ...], is_folder: bool) -> Holder:
        """Return who holds what is at a path below the data root."""
        if path[0] != BELOW[0]:
            held = self.docker.holder(path, is_folder)
            return held._replace(left=held.left or not self.containerd.first)
        if path[: len(BELOW)] != BELOW[: len(path)]:
            return Holder(BELOW[0], left=not self.first)
        if len(path) <= len(BELOW):
            left = not (self.containerd.first if path == BELOW else self.first)
            return Holder(BELOW[0], apart=is_folder, left=left)
        held = self.containerd.holder(path[len(BELOW) :], is_folder)
        return Holder(BELOW[0], left=held.left) if held.category == "data root" else held


def beside(docker: DockerStore, driver: str) -> Docker:
    """Return the knowledge of a Docker engine that keeps its images in a containerd with another root.

    Findings about its containers are reported with its own data root, which is a store too.
    """
    containers: dict[str, Container] = {}
    sources, read = Sources(), Sources()
    try:
        with reading(docker.root), Folder(docker.root) as root:
            for item in read_clients(docker, root, read):
                if isinstance(item, Container) and item.driver == driver:
                    containers[item.container_id] = item
    except Damage as found:
        read.damaged("containers", found)
    for source in read:
        sources.note(source.kind, _below(docker.root, source.path), source.state, source.detail)
    builds = partial(_builds_beside, docker.root, driver)
    return Docker(containers, builds, sources, _below(docker.root, CONTAINERS), elsewhere=True)


def _builds_beside(
    data_root: str, driver: str, snapshots: Mapping[str, ViewedSnapshot], claims: Claims
) -> Iterator[Record | Damage]:
    """Yield the build cache of an engine with another root; findings there have absolute paths."""
    try:
        with Folder(data_root) as root:
            for item in each(lambda: read_builds(root, driver, snapshots, claims), "buildkit"):
                yield _whole(item, data_root) if isinstance(item, Damage) else item
    except Damage as found:
        whole = _whole(found, data_root)
        claims.sources.damaged("build cache", whole)
        yield whole


def _whole(found: Damage, root: str) -> Damage:
    problem = found.problem
    return Damage(problem.code, _below(root, problem.path), problem.detail, problem.subject)


def _below(root: str, path: str) -> str:
    return f"{printable(from_os(root))}/{path}"


def on_containerd(docker: DockerStore) -> list[DockerContainerdStore]:
    """Return the stores of a Docker engine on containerd; none when that containerd is not in the data root."""
    try:
        with Folder(docker.root) as root, root.folder(*BELOW) as opened:
            found = snapshotters(opened, {})
    except Damage:
        return []
    return [DockerContainerdStore(docker, ContainerdStore(docker.root, driver, found, BELOW)) for driver in found]
