"""Reads `meta.db`, containerd's own database: what each namespace has (containerd `core/metadata/buckets.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from layerindex import shapes
from layerindex.problems import Damage, Damages
from layerindex.stores.containerd.encoding import LONGEST, digest, moment, rows, size
from layerindex.stores.disk import ids
from layerindex.stores.disk.bolt import Bucket, key_text, read_bolt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.containerd.encoding import Row
    from layerindex.stores.disk.files import Folder

FOLDER = "io.containerd.metadata.v1.bolt"
NAME = "meta.db"

SPEC = 4 * 1024 * 1024
"""Most bytes of a container's runtime spec; those of Docker and CRI have some 10 KB."""

CRI = (b"io.cri-containerd.container.metadata", b"io.cri-containerd.sandbox.metadata")
"""Extensions in which the Kubernetes plugin of containerd 1.x and 2.x keeps what it knows."""


class Target(NamedTuple):
    """The target of an image's name."""

    digest: str
    media_type: str | None
    size: int | None
    created_at: str | None
    updated_at: str | None
    labels: dict[str, str]


class BlobRow(NamedTuple):
    """What a namespace knows of a blob."""

    size: int | None
    created_at: str | None
    updated_at: str | None
    labels: dict[str, str]


class IngestRow(NamedTuple):
    """What a namespace knows of an unfinished write."""

    folder: str | None
    expected: str | None


class SnapshotRow(NamedTuple):
    """What a namespace knows of a snapshot; `name` is the name that the snapshotter uses."""

    name: str
    parent: str | None
    created_at: str | None
    updated_at: str | None
    labels: dict[str, str]


class ContainerRow(NamedTuple):
    """A container of any client of containerd."""

    image: str | None
    snapshotter: str | None
    snapshot_key: str | None
    created_at: str | None
    updated_at: str | None
    sandbox_id: str | None
    labels: dict[str, str]
    cri: dict[str, Any]
    """What the Kubernetes plugin stores about a container or sandbox."""
    mounts: list[dict[str, Any]]
    """The mounts of its runtime spec."""


class LeaseRow(NamedTuple):
    """A lease and what it holds: the type of each, and its key."""

    created_at: str | None
    labels: dict[str, str]
    resources: list[tuple[str, str]]


class Namespace(NamedTuple):
    """The content of one namespace; snapshots by snapshotter and key."""

    images: dict[str, Target]
    blobs: dict[str, BlobRow]
    ingests: dict[str, IngestRow]
    snapshots: dict[str, dict[str, SnapshotRow]]
    containers: dict[str, ContainerRow]
    leases: dict[str, LeaseRow]


class Metadata(NamedTuple):
    """The namespaces by name."""

    namespaces: dict[str, Namespace]
    damages: list[Damage]

    def snapshots(self) -> Iterator[tuple[str, str, str, SnapshotRow]]:
        """Yield each snapshot with its namespace, snapshotter and key."""
        for namespace, found in self.namespaces.items():
            for snapshotter, keys in found.snapshots.items():
                for key, row in keys.items():
                    yield namespace, snapshotter, key, row


def read_metadata(folder: Folder) -> Metadata:
    """Read the database; raises Damage when nothing of it can be read."""
    bolt = read_bolt(folder, NAME)
    damages: list[Damage] = Damages()
    reader = _Reader(bolt.where, damages)
    found = rows(bolt.root.bucket(b"v1"), bolt.where, damages, skip=b"version")
    namespaces = {name: reader.namespace(row) for name, row in found}
    return Metadata(namespaces, damages + bolt.damages)


class _Reader:
    """Reads the buckets of namespaces."""

    def __init__(self, where: str, damages: list[Damage]) -> None:
        self.where, self.damages = where, damages

    def namespace(self, row: Row) -> Namespace:
        """Read one namespace."""
        content = row.below("content")
        return Namespace(
            dict(self._images(row.below("images"))),
            dict(self._blobs(content.bucket(b"blob") if content is not None else None)),
            dict(self._ingests(content.bucket(b"ingests") if content is not None else None)),
            {snapshotter: dict(self._snapshots(below)) for snapshotter, below in self._buckets(row.below("snapshots"))},
            dict(self._containers(row.below("containers"))),
            dict(self._leases(row.below("leases"))),
        )

    def _rows(self, bucket: Bucket | None) -> Iterator[tuple[str, Row]]:
        return rows(bucket, self.where, self.damages)

    def _buckets(self, bucket: Bucket | None) -> Iterator[tuple[str, Bucket]]:
        for key, value in bucket.items() if bucket is not None else ():
            if isinstance(value, Bucket) and len(key) <= LONGEST:
                yield key_text(key), value

    def _images(self, bucket: Bucket | None) -> Iterator[tuple[str, Target]]:
        for name, row in self._rows(bucket):
            target = row.below("target")
            values = dict(target.items()) if target is not None else {}
            row.values.update({b"target." + key: value for key, value in values.items()})
            found = row.shaped("target.digest", shapes.DIGEST)
            if found is None:
                self.damages.append(
                    Damage("bad-value", self.where, f"{ids.shorten(name)}: it leads to no digest", name)
                )
                continue
            yield (
                name,
                Target(
                    found,
                    row.text("target.mediatype"),
                    row.get("target.size", size),
                    row.get("createdat", moment),
                    row.get("updatedat", moment),
                    row.labels(),
                ),
            )

    def _blobs(self, bucket: Bucket | None) -> Iterator[tuple[str, BlobRow]]:
        for name, row in self._rows(bucket):
            if not shapes.DIGEST.fullmatch(name):
                self.damages.append(Damage("bad-id", self.where, f"{ids.shorten(name)} is no digest of a blob"))
                continue
            yield (
                name,
                BlobRow(
                    row.get("size", size), row.get("createdat", moment), row.get("updatedat", moment), row.labels()
                ),
            )

    def _ingests(self, bucket: Bucket | None) -> Iterator[tuple[str, IngestRow]]:
        for ref, row in self._rows(bucket):
            yield ref, IngestRow(row.text("ref"), row.get("expected", digest))

    def _snapshots(self, bucket: Bucket) -> Iterator[tuple[str, SnapshotRow]]:
        for key, row in self._rows(bucket):
            name = row.text("name")
            if name is None:
                self.damages.append(Damage("bad-value", self.where, f"{ids.shorten(key)}: it has no name", key))
                continue
            yield (
                key,
                SnapshotRow(
                    name, row.text("parent"), row.get("createdat", moment), row.get("updatedat", moment), row.labels()
                ),
            )

    def _containers(self, bucket: Bucket | None) -> Iterator[tuple[str, ContainerRow]]:
        for container_id, row in self._rows(bucket):
            if not shapes.CACHE_ID.fullmatch(container_id):
                detail = f"{ids.shorten(container_id)} is no id of a container"
                self.damages.append(Damage("bad-id", self.where, detail))
                continue
            yield (
                container_id,
                ContainerRow(
                    row.text("image"),
                    row.text("snapshotter"),
                    row.text("snapshotKey"),
                    row.get("createdat", moment),
                    row.get("updatedat", moment),
                    row.text("sandboxid"),
                    row.labels(),
                    self._cri(row),
                    row.get("spec", _mounts) or [],
                ),
            )

    def _cri(self, row: Row) -> dict[str, Any]:
        extensions = row.below("extensions")
        for key, value in extensions.items() if extensions is not None else ():
            if isinstance(value, bytes) and key in CRI:
                row.values[key] = value
                return row.get(key.decode(), _noted) or {}
        return {}

    def _leases(self, bucket: Bucket | None) -> Iterator[tuple[str, LeaseRow]]:
        for lease_id, row in self._rows(bucket):
            resources = [("content", key) for key in self._keys(row.below("content"))]
            resources += [("ingests", key) for key in self._keys(row.below("ingests"))]
            resources += [("images", key) for key in self._keys(row.below("images"))]
            for snapshotter, below in self._buckets(row.below("snapshots")):
                resources += [(f"snapshots/{snapshotter}", key) for key in self._keys(below)]
            yield lease_id, LeaseRow(row.get("createdat", moment), row.labels(), resources)

    def _keys(self, bucket: Bucket | None) -> Iterator[str]:
        for key, _ in bucket.items() if bucket is not None else ():
            yield key_text(key)


def _object(value: bytes) -> dict[str, Any]:
    """Return the JSON object within a protobuf Any; raises ValueError."""
    start = value.find(b"{")
    if start < 0 or len(value) > SPEC:
        return {}
    try:
        return ids.mapping(orjson.loads(value[start:]))
    except orjson.JSONDecodeError as error:
        raise ValueError("it is no JSON") from error


def _mounts(value: bytes) -> list[dict[str, Any]]:
    """Return the mounts of a runtime spec; raises ValueError."""
    return [mount for mount in ids.sequence(_object(value).get("mounts")) if isinstance(mount, dict)]


def _noted(value: bytes) -> dict[str, Any]:
    return ids.mapping(_object(value).get("Metadata"))
