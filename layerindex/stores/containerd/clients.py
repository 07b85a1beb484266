"""Reads the containers of containerd's clients (Kubernetes, nerdctl, ctr) and of a Docker engine that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes, standing
from layerindex.names import printable
from layerindex.records import Container, ContainerVolume, Mount, Use
from layerindex.stores.containerd.cri import read_logs, with_status
from layerindex.stores.containerd.reachable import expired
from layerindex.stores.containerd.view import METADATA
from layerindex.stores.disk import ids
from layerindex.stores.shared.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from layerindex.problems import Damage
    from layerindex.records import Record
    from layerindex.stores.containerd.images import Platform
    from layerindex.stores.containerd.metadata import ContainerRow
    from layerindex.stores.containerd.view import View, ViewedSnapshot
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims, Sources
    from layerindex.stores.shared.configs import Config

NAMES = ("nerdctl/name", "io.kubernetes.container.name")
"""Labels with the name that a client gave a container."""

DEPTH = 1000
"""Most snapshots that are followed from that of a container to that of an image; Docker has one between."""


class Stand(NamedTuple):
    """The directory of a container's own files, and what lies below it."""

    number: str | None
    init: str | None
    chain_id: str | None


class Docker(NamedTuple):
    """What a Docker engine that uses this containerd knows."""

    containers: Mapping[str, Container]
    builds: Callable[[Mapping[str, ViewedSnapshot], Claims], Iterator[Record | Damage]]
    """Reads the build cache, and claims its directories."""
    sources: Sources
    """The sources of its containers and volumes that were read."""
    folder: str
    """Where it keeps its containers."""
    elsewhere: bool = False
    """Its data root is a store of its own, which has the containers without a snapshot here."""


def is_docker(namespace: str) -> bool:
    """Say whether a namespace is Docker's: moby, or that with the ids of a remapped engine."""
    return namespace.startswith("moby")


def holders_of(view: View, docker: Docker | None) -> dict[tuple[str, str], str]:
    """Return the container of each snapshot that is its writable layer, by namespace and key."""
    found = {}
    for namespace, rows in view.metadata.namespaces.items():
        for container_id, container in rows.containers.items():
            if container.snapshotter == view.driver and container.snapshot_key:
                found[namespace, container.snapshot_key] = container_id
        # containerd knows Docker's containers only while they run; their leases exist as long as the containers.
        for lease_id, lease in rows.leases.items():
            holds = (f"snapshots/{view.driver}", lease_id) in lease.resources and not expired(lease.labels)
            if holds and shapes.HEX.fullmatch(lease_id):
                found[namespace, lease_id] = lease_id
    if docker is not None:
        for namespace in {snapshot.namespace for snapshot in view.snapshots if is_docker(snapshot.namespace)}:
            found.update({(namespace, container_id): container_id for container_id in docker.containers})
    return found


class Clients:
    """The containers of one snapshotter, and their images."""

    def __init__(
        self,
        view: View,
        targets: Mapping[str, Sequence[Platform]],
        configs: Mapping[str, Config],
        docker: Docker | None,
        sources: Sources,
    ) -> None:
        """`targets` and `configs` are the images in the store; uses of other images go to `sources`."""
        self.view, self.metadata, self.docker = view, view.metadata, docker
        self.targets, self.sources = targets, sources
        self.snapshots = {(snapshot.namespace, snapshot.key): snapshot for snapshot in view.snapshots}
        self.tops: dict[str, list[str]] = {}
        """The images of each chain."""
        for image_id, config in configs.items():
            if config.layers:
                self.tops.setdefault(config.layers[-1].chain_id, []).append(image_id)

    def read(self, root: Folder, *, first: bool, of_host: bool) -> Iterator[Record | Damage]:
        """Yield the containers with their writable layers; each name is yielded once.

        No file has the state of a sandbox: it runs while one of its containers runs. `of_host`: log files outside of
        the store belong to its containers.
        """
        items = list(self._read(root, first=first, of_host=of_host))
        running = {each.sandbox_id for each in items if isinstance(each, Container) and each.state == "running"}
        for item in items:
            is_pod = isinstance(item, Container) and item.state == "unknown" and item.container_id in running
            yield item._replace(state="running") if is_pod and isinstance(item, Container) else item

    def _read(self, root: Folder, *, first: bool, of_host: bool) -> Iterator[Record | Damage]:
        mounts: set[str] = set()
        told: set[str] = set()
        docker_containers = self.docker.containers if self.docker is not None else {}
        for namespace, found in sorted(self.metadata.namespaces.items()):
            for container_id, row in sorted(found.containers.items()):
                if is_docker(namespace) and container_id in docker_containers:
                    continue
                if not self._is_here(row, first=first):
                    continue
                stand = self.stand(namespace, row.snapshot_key)
                container = self.container(namespace, container_id, row, stand)
                logs = read_logs(container) if of_host and row.cri and row.cri.get("LogPath") else Logs([], [])
                container = container._replace(log_bytes=logs.size if logs.files else None)
                yield from with_status(root, container) if row.cri else (container,)
                yield from logs.files if container_id not in told else ()
                yield from _volumes(container_id, row) if container_id not in told else ()
                told.add(container_id)
                if stand.number is not None:
                    name = container_id if container_id not in mounts else f"{namespace}/{container_id}"
                    mounts.add(name)
                    yield Mount(name, stand.number, stand.init, stand.chain_id, container_id)
        yield from self._read_docker(docker_containers, mounts)

    def _read_docker(self, containers: Mapping[str, Container], mounts: set[str]) -> Iterator[Record]:
        moby = {key: name for name, key in sorted(self.snapshots, reverse=True) if is_docker(name)}
        for container_id, container in sorted(containers.items()):
            namespace = moby.get(container_id, "moby")
            stand = self.stand(namespace, container_id)
            if stand.number is None and self.docker is not None and self.docker.elsewhere:
                continue
            yield self.of_docker(namespace, container, stand)
            if stand.number is not None and container_id not in mounts:
                yield Mount(container_id, stand.number, stand.init, stand.chain_id, container_id)

    def _is_here(self, row: ContainerRow, *, first: bool) -> bool:
        """Say whether a container is recorded with this snapshotter; the `first` one also has those without any."""
        return row.snapshotter == self.view.driver or (first and not row.snapshotter)

    def images(self, *, first: bool) -> Iterator[Use]:
        """Yield the images under the snapshots of containers: the name in a container may lead elsewhere by now.

        Where neither the name nor the snapshot of a container leads to an image, it may be any image.
        """
        holders = sorted(holders_of(self.view, self.docker).items())
        stands = {(container_id, self.stand(*place).chain_id or "") for place, container_id in holders}
        for container_id, image_id in sorted(
            {(each, image) for each, top in stands for image in self.tops.get(top, ())}
        ):
            yield Use("image", image_id, "container", container_id, "containers")
        for namespace, found in sorted(self.metadata.namespaces.items()):
            for container_id, row in sorted(found.containers.items()):
                target = found.images.get(row.image or "")
                known = (target is not None and target.digest in self.targets) or (
                    self.stand(namespace, row.snapshot_key).chain_id in self.tops
                )
                if row.image and not known and self._is_here(row, first=first):
                    detail = f"container {container_id} names image {ids.shorten(row.image)}, which is not here"
                    self.sources.note("manifests", f"{METADATA}: {container_id}", standing.LOST, detail)

    def stand(self, namespace: str, key: str | None) -> Stand:
        """Return the directory of a container's snapshot, and what lies below it."""
        snapshot = self.snapshots.get((namespace, key or ""))
        if snapshot is None:
            return Stand(None, None, None)
        number, init, parent = snapshot.number, None, snapshot.row.parent
        for _ in range(DEPTH):
            if parent is None or shapes.DIGEST.fullmatch(parent):
                break
            below = self.snapshots.get((namespace, parent))
            if below is None:
                parent = None
                break
            if parent.endswith("-init"):
                init = below.number
            parent = below.row.parent
        return Stand(number, init, parent if parent and shapes.DIGEST.fullmatch(parent) else None)

    def container(self, namespace: str, container_id: str, row: ContainerRow, stand: Stand) -> Container:
        """Return the row of a container in meta.db; whether it runs is not there, but in /run or with its client."""
        target = self.metadata.namespaces[namespace].images.get(row.image or "")
        noted = {key: value for key, value in row.cri.items() if isinstance(value, str)}
        name = next((row.labels[label] for label in NAMES if label in row.labels), None)
        return Container(
            container_id=container_id,
            namespace=namespace,
            name=name or _word(noted.get("Name")),
            image_id=self._image(target.digest if target else None),
            target_digest=target.digest if target else None,
            image_ref=row.image,
            created_at=row.created_at,
            driver=row.snapshotter,
            mount_id=stand.number,
            log_path=_word(noted.get("LogPath")),
            sandbox_id=row.sandbox_id or _word(noted.get("SandboxID")),
        )

    def of_docker(self, namespace: str, container: Container, stand: Stand) -> Container:
        """Return Docker's row of a container with what containerd knows: Docker names the target, not the image."""
        manifest = container.target_digest or container.image_id
        return container._replace(
            namespace=namespace,
            image_id=self._image(manifest) or self._image(container.image_id),
            target_digest=container.image_id,
            mount_id=stand.number,
        )

    def _image(self, digest: str | None) -> str | None:
        """Return the image behind a digest: of several platforms the first in the store."""
        found = self.targets.get(digest or "", ())
        return found[0].image_id if found else None


def _volumes(container_id: str, row: ContainerRow) -> Iterator[ContainerVolume]:
    """Yield the paths of the host that are mounted into a container."""
    seen = set()
    for mount in row.mounts:
        destination, source, options = mount.get("destination"), mount.get("source"), mount.get("options")
        place = _word(destination)
        if mount.get("type") != "bind" or place is None or place in seen:
            continue
        seen.add(place)
        read_only = isinstance(options, list) and "ro" in options
        yield ContainerVolume(container_id, place, "bind", None, _word(source), None, int(not read_only))


def _word(value: object) -> str | None:
    return printable(value) if isinstance(value, str) and value else None
