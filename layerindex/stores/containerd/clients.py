"""The containers of containerd's clients - Kubernetes, nerdctl, ctr - and of a Docker engine that stands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes
from layerindex.names import printable
from layerindex.records import Container, ContainerVolume, Mount
from layerindex.stores.containerd.cri import with_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from layerindex.problems import Damage
    from layerindex.records import Record
    from layerindex.stores.containerd.images import Platform
    from layerindex.stores.containerd.metadata import ContainerRow, Metadata
    from layerindex.stores.containerd.scan import Docker, Place
    from layerindex.stores.files import Folder

NAMES = ("nerdctl/name", "io.kubernetes.container.name")
"""Labels with the name that a client gave a container."""

DEPTH = 1000
"""Most snapshots that are followed from a container's down to an image's; Docker has one between."""


class Stand(NamedTuple):
    """Where a container's own files are, and what lies below."""

    number: str | None
    init: str | None
    chain_id: str | None


def read_containers(  # noqa: PLR0913, PLR0917 - called in one place
    root: Folder,
    metadata: Metadata,
    driver: str,
    targets: Mapping[str, Sequence[Platform]],
    places: Iterable[Place],
    docker: Docker | None,
    *,
    first: bool,
) -> Iterator[Record | Damage]:
    """Yield the containers with their writable layers, of which each name is told once."""
    snapshots = {(place.namespace, place.key): place for place in places}
    reader = _Reader(metadata, targets, snapshots)
    mounts: set[str] = set()
    docker_containers = docker.containers if docker is not None else {}
    for namespace, found in sorted(metadata.namespaces.items()):
        for container_id, row in sorted(found.containers.items()):
            if namespace.startswith("moby") and container_id in docker_containers:
                continue
            if row.snapshotter != driver and not (first and not row.snapshotter):
                continue
            stand = reader.stand(namespace, row.snapshot_key)
            container = reader.container(namespace, container_id, row, stand)
            yield from with_status(root, container) if row.cri else (container,)
            yield from _volumes(container_id, row, mounts)
            if stand.number is not None:
                name = container_id if container_id not in mounts else f"{namespace}/{container_id}"
                mounts.add(name)
                yield Mount(name, stand.number, stand.init, stand.chain_id, container_id)
    moby = {key: name for name, key in sorted(snapshots, reverse=True) if name.startswith("moby")}
    for container_id, container in sorted(docker_containers.items()):
        namespace = moby.get(container_id, "moby")
        stand = reader.stand(namespace, container_id)
        if stand.number is None and docker is not None and docker.elsewhere:
            continue
        yield reader.docker(namespace, container, stand)
        if stand.number is not None and container_id not in mounts:
            yield Mount(container_id, stand.number, stand.init, stand.chain_id, container_id)


class _Reader:
    def __init__(
        self,
        metadata: Metadata,
        targets: Mapping[str, Sequence[Platform]],
        snapshots: Mapping[tuple[str, str], Place],
    ) -> None:
        self.metadata, self.targets, self.snapshots = metadata, targets, snapshots

    def stand(self, namespace: str, key: str | None) -> Stand:
        """Return what a container's snapshot stands on."""
        place = self.snapshots.get((namespace, key or ""))
        if place is None:
            return Stand(None, None, None)
        number, init, parent = place.number, None, place.row.parent
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
        """Return the row of a container that meta.db knows; whether it runs is in /run, or its client knows it."""
        target = self.metadata.namespaces[namespace].images.get(row.image or "")
        noted = {key: value for key, value in row.cri.items() if isinstance(value, str)}
        name = next((row.labels[label] for label in NAMES if label in row.labels), None)
        return Container(
            container_id,
            namespace,
            name or _word(noted.get("Name")),
            self._image(target.digest if target else None),
            target.digest if target else None,
            row.image,
            "unknown",
            row.created_at,
            None,
            None,
            None,
            row.snapshotter,
            stand.number,
            None,
            _word(noted.get("LogPath")),
            None,
            row.sandbox_id or _word(noted.get("SandboxID")),
        )

    def docker(self, namespace: str, container: Container, stand: Stand) -> Container:
        """Return Docker's row of a container with what containerd knows: Docker names the target, not the image."""
        manifest = container.target_digest or container.image_id
        return container._replace(
            namespace=namespace,
            image_id=self._image(manifest) or self._image(container.image_id),
            target_digest=container.image_id,
            mount_id=stand.number,
        )

    def _image(self, digest: str | None) -> str | None:
        """Return the image behind a digest: of several platforms the first that is here."""
        found = self.targets.get(digest or "", ())
        return found[0].image_id if found else None


def _volumes(container_id: str, row: ContainerRow, told: set[str]) -> Iterator[ContainerVolume]:
    """Yield what of the host is mounted into a container; of two containers of one id the first's."""
    if container_id in told:
        return
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
