"""Write a root of containerd: its databases, blobs and directories, as bytes and without containerd.

    root = ContainerdRoot(tmp_path / "containerd")
    base = root.layer({"etc/conf": b"a"})
    image = root.image("docker.io/library/base:1", [base])
    root.container("c1", image)
    root.write()

Everything is in memory until `write`; the trees (`meta`, `stored`) may be changed before.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.bolt_writer import bolt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

YEAR_ONE = -62_135_596_800
CREATED = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
CREATED_TEXT = "2024-05-06T07:08:09Z"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONTENT = "io.containerd.content.v1.content"
META = "io.containerd.metadata.v1.bolt/meta.db"


def digest(data: bytes) -> str:
    """Return a digest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def uvarint(number: int) -> bytes:
    """Return a number as Go's PutUvarint writes it."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def varint(number: int) -> bytes:
    """Return a number as Go's PutVarint writes it."""
    return uvarint(number << 1 if number >= 0 else (-number << 1) - 1)


def moment(when: datetime = CREATED, nanoseconds: int = 0) -> bytes:
    """Return a time as Go's MarshalBinary writes it."""
    return struct.pack(">BqiH", 1, int(when.timestamp()) - YEAR_ONE, nanoseconds, 0xFFFF)


def anything(kind: str, value: bytes) -> bytes:
    """Return a protobuf Any."""
    name = kind.encode()
    return b"\x0a" + uvarint(len(name)) + name + b"\x12" + uvarint(len(value)) + value


class Layer(NamedTuple):
    """A layer: its files, its tar and its blob."""

    files: Mapping[str, bytes]
    tar: bytes
    blob: bytes
    diff_id: str
    media_type: str = LAYER

    @property
    def digest(self) -> str:
        """Digest of the blob."""
        return digest(self.blob)


class Image(NamedTuple):
    """An image: what its name leads to, and what is behind."""

    name: str
    target: str
    image_id: str
    layers: Sequence[Layer]

    @property
    def chains(self) -> list[str]:
        """The chain ids, the base's first."""
        chains: list[str] = []
        for layer in self.layers:
            chains.append(digest(f"{chains[-1]} {layer.diff_id}".encode()) if chains else layer.diff_id)
        return chains


class ContainerdRoot:
    """A root in the making."""

    def __init__(self, path: Path, snapshotter: str = "overlayfs") -> None:
        self.path, self.snapshotter = path, snapshotter
        self.meta: dict[str, Any] = {"version": varint(4)}
        self.stored: dict[str, Any] = {}
        self.blobs: dict[str, bytes] = {}
        self.numbers: dict[tuple[str, str], int] = {}
        self.files: dict[int, Mapping[str, bytes]] = {}
        self.sequence = 0

    # Content -------------------------------------------------------------------------------------------------------

    def namespace(self, name: str = "default") -> dict[str, Any]:
        """Return the tree of a namespace."""
        found = self.meta.setdefault(name, {})
        for key in ("images", "snapshots", "containers", "leases"):
            found.setdefault(key, {})
        found.setdefault("content", {"blob": {}, "ingests": {}})
        return found  # type: ignore[no-any-return]  # of our own making

    def blob(self, data: bytes, namespace: str = "default", labels: Mapping[str, str] | None = None) -> str:
        """Keep a blob."""
        self.blobs[digest(data)] = data
        row = {"createdat": moment(), "updatedat": moment(), "size": varint(len(data)), "labels": texts(labels)}
        self.namespace(namespace)["content"]["blob"][digest(data)] = row
        return digest(data)

    def json(self, value: object, namespace: str = "default", labels: Mapping[str, str] | None = None) -> str:
        """Keep a blob of JSON."""
        return self.blob(json.dumps(value).encode(), namespace, labels)

    def layer(self, files: Mapping[str, bytes], packing: str = "gzip") -> Layer:
        """Make a layer of some files."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.mode = len(content), 1_700_000_000, 0o644
                archive.addfile(info, io.BytesIO(content))
        tar = stream.getvalue()
        blob = gzip.compress(tar, 1, mtime=0) if packing == "gzip" else tar
        return Layer(files, tar, blob, digest(tar))

    def config(self, layers: Sequence[Layer], namespace: str = "default", **more: object) -> str:
        """Keep the config of an image."""
        values = {
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED_TEXT,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": CREATED_TEXT, "created_by": f"step {n}"} for n, _ in enumerate(layers)],
        }
        return self.json(values | more, namespace)

    def manifest(self, config: str, layers: Sequence[Layer], namespace: str = "default", **more: object) -> str:
        """Keep a manifest."""
        described = [self.described(layer.digest, layer.media_type, len(layer.blob)) for layer in layers]
        values = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.described(config, CONFIG)}
        return self.json(values | {"layers": described} | more, namespace)

    def described(self, named: str, media_type: str, size: int | None = None, **more: object) -> dict[str, object]:
        """Return a descriptor."""
        size = len(self.blobs.get(named, b"")) if size is None else size
        return {"mediaType": media_type, "digest": named, "size": size} | more

    def index(self, manifests: Sequence[Mapping[str, object]], namespace: str = "default") -> str:
        """Keep an index."""
        return self.json({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}, namespace)

    def name(
        self,
        name: str,
        target: str,
        media_type: str = MANIFEST,
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Let a name lead to something."""
        size = varint(len(self.blobs.get(target, b"")))
        found = {"digest": target.encode(), "mediatype": media_type.encode(), "size": size}
        times = {"createdat": moment(), "updatedat": moment()}
        self.namespace(namespace)["images"][name] = {"target": found, "labels": texts(labels), **times}

    def image(
        self,
        name: str,
        layers: Sequence[Layer],
        namespace: str = "default",
        *,
        unpacked: bool = True,
        kept: bool = True,
    ) -> Image:
        """Make an image of some layers: `unpacked` into directories, with the layers' blobs `kept`."""
        for layer in layers:
            if kept:
                self.blob(layer.blob, namespace)
        config = self.config(layers, namespace)
        image = Image(name, self.manifest(config, layers, namespace), config, layers)
        self.name(name, image.target, namespace=namespace)
        if unpacked:
            parent = None
            for layer, chain in zip(layers, image.chains, strict=True):
                if (namespace, chain) not in self.numbers:
                    self.snapshot(chain, parent, "committed", layer.files, namespace)
                parent = chain
        rows = self.namespace(namespace)["content"]["blob"]
        rows[image.target]["labels"] = texts({"containerd.io/gc.ref.content.config": config})
        if unpacked and layers:
            label = f"containerd.io/gc.ref.snapshot.{self.snapshotter}"
            rows[config]["labels"] = texts({label: image.chains[-1]})
        return image

    # Snapshots -----------------------------------------------------------------------------------------------------

    def snapshot(  # noqa: PLR0917
        self,
        key: str,
        parent: str | None = None,
        kind: str = "active",
        files: Mapping[str, bytes] | None = None,
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
    ) -> int:
        """Make a snapshot, and return the number of its directory."""
        self.sequence += 1
        number = len(self.stored) + 1
        name = f"{namespace}/{self.sequence}/{key}"
        rows = self.namespace(namespace)["snapshots"].setdefault(self.snapshotter, {})
        times = {"createdat": moment(), "updatedat": moment()}
        rows[key] = {"name": name.encode(), "labels": texts(labels), **times}
        row: dict[str, Any] = {"id": uvarint(number), "kind": bytes([("", "view", "active", "committed").index(kind)])}
        if parent is not None:
            rows[key]["parent"] = parent.encode()
            row["parent"] = rows[parent]["name"]
        if kind == "committed":
            row |= {"size": varint(4096 * (1 + len(files or ()))), "inodes": varint(1 + len(files or ()))}
        self.stored[name] = row | times
        self.numbers[namespace, key] = number
        self.files[number] = files or {}
        return number

    def container(  # noqa: PLR0917
        self,
        container_id: str,
        image: Image | None,
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
        mounts: Sequence[Mapping[str, object]] = (),
        extensions: Mapping[str, bytes] | None = None,
    ) -> int:
        """Make a container with a snapshot of its own, and return the number of its directory."""
        number = self.snapshot(container_id, image.chains[-1] if image else None, namespace=namespace)
        spec = anything(
            "types.containerd.io/opencontainers/runtime-spec/1/Spec", json.dumps({"mounts": mounts}).encode()
        )
        self.namespace(namespace)["containers"][container_id] = {
            "image": image.name.encode() if image else b"",
            "snapshotter": self.snapshotter.encode(),
            "snapshotKey": container_id.encode(),
            "createdat": moment(),
            "updatedat": moment(),
            "spec": spec,
            "labels": texts(labels),
            "extensions": dict(extensions or {}),
        }
        return number

    def lease(
        self,
        lease_id: str,
        snapshots: Sequence[str] = (),
        content: Sequence[str] = (),
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Make a lease."""
        self.namespace(namespace)["leases"][lease_id] = {
            "createdat": moment(),
            "labels": texts(labels),
            "snapshots": {self.snapshotter: dict.fromkeys(snapshots, b"")},
            "content": dict.fromkeys(content, b""),
        }

    def ingest(self, ref: str, data: bytes, namespace: str = "default", total: int | None = None) -> Path:
        """Write a download that has not ended."""
        whole = f"{namespace}/7/{ref}"
        self.namespace(namespace)["content"]["ingests"][ref] = {"ref": whole.encode()}
        folder = self.path / CONTENT / "ingest" / hashlib.sha256(whole.encode()).hexdigest()
        folder.mkdir(parents=True)
        (folder / "ref").write_text(whole)
        (folder / "data").write_bytes(data)
        (folder / "startedat").write_text(CREATED_TEXT)
        (folder / "updatedat").write_text(CREATED_TEXT)
        if total is not None:
            (folder / "total").write_text(f"{total}")
        return folder

    # On disk ---------------------------------------------------------------------------------------------------------

    def file(self, name: str) -> Path:
        """Return a path below the root."""
        return self.path / name

    def blob_file(self, named: str) -> Path:
        """Return where a blob is."""
        return self.path / CONTENT / "blobs/sha256" / named.removeprefix("sha256:")

    def directory(self, number: int | str) -> Path:
        """Return the directory of a snapshot."""
        return self.path / f"io.containerd.snapshotter.v1.{self.snapshotter}/snapshots/{number}"

    def databases(self) -> tuple[bytes, bytes]:
        """Return meta.db and the snapshotter's metadata.db."""
        return bolt({"v1": self.meta}), bolt({"v1": {"snapshots": self.stored, "parents": {}}})

    def write(self) -> ContainerdRoot:
        """Write everything."""
        meta, stored = self.databases()
        for path, data in (
            (self.file(META), meta),
            (self.directory("").parent / "metadata.db", stored),
            *((self.blob_file(named), data) for named, data in self.blobs.items()),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.directory("").mkdir(parents=True, exist_ok=True)
        for number, files in self.files.items():
            folder = self.directory(number) / ("fs" if self.snapshotter == "overlayfs" else "")
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        return self


def texts(labels: Mapping[str, str] | None) -> dict[str, bytes]:
    """Return labels as the databases hold them."""
    return {key: value.encode() for key, value in (labels or {}).items()}
