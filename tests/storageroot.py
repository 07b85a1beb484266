"""Build graph roots of containers-storage on disk as Podman writes them, from small calls, without engine or root.

    root = StorageRoot(tmp_path / "storage")
    base = root.layer({"etc/hosts": b"127.0.0.1 localhost"})
    image = root.image(root.layer({"etc/hosts": whiteout()}, parent=base), ["localhost/web:1"])
    root.container(image, name="web", state="exited", exit_code=3, volumes=["data:/var/lib/data"])
    root.save()

Contents are those of `dataroot`. `save` writes the lists and Podman's own state; damage is done by the test, after it,
or to `layers`, `images` and `containers`, which are what the lists will say.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests import bolt_writer, tarsplit_writer
from tests.dataroot import NEVER, _Extraction, chain_of, make_tar, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.dataroot import Files

STATES = {"created": 1, "running": 3, "paused": 5, "exited": 6, "removing": 7}


@dataclass(frozen=True)
class Layer:
    """One layer, below its parents."""

    layer_id: str
    diff_id: str
    chain_id: str
    link: str
    size: int
    parent: Layer | None = None
    lower: str = ""

    @property
    def chain(self) -> list[Layer]:
        """The layers from the base up to this one."""
        return [*(self.parent.chain if self.parent else []), self]


@dataclass(frozen=True)
class Image:
    """One image; `config` is the bytes its id is the sha256 of."""

    storage_id: str
    layers: tuple[Layer, ...]
    names: tuple[str, ...]
    config: bytes
    manifest: bytes

    @property
    def image_id(self) -> str:
        """The id as the index has it."""
        return f"sha256:{self.storage_id}"


@dataclass(frozen=True)
class Container:
    """One container and its writable layer."""

    container_id: str
    name: str
    layer: Layer


class StorageRoot:
    """A graph root of one driver."""

    def __init__(self, path: Path, driver: str = "overlay", *, seed: int = 1, privileged: bool = False) -> None:
        self.path, self.driver, self.privileged = path, driver, privileged
        self.layers: list[dict[str, Any]] = []
        self.volatile_layers: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.containers: list[dict[str, Any]] = []
        self.configs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.graph_root: Path | None = None
        """What Podman's state says of where the root is, if anything."""
        self._random = random.Random(seed)
        self._count = 0
        for kind in ("layers", "images", "containers"):
            os.makedirs(path / f"{driver}-{kind}")
            (path / f"{driver}-{kind}" / f"{kind}.lock").touch()
        os.makedirs(path / driver / "l")
        (path / driver / ".has-mount-program").write_text("false")
        self.save()

    # Ids -----------------------------------------------------------------------------------------------------------

    def hex_id(self) -> str:
        """64 random hex digits."""
        return f"{self._random.getrandbits(256):064x}"

    def _next(self) -> int:
        self._count += 1
        return self._count

    # Layers --------------------------------------------------------------------------------------------------------

    def layer(
        self,
        files: Files | None = None,
        *,
        parent: Layer | None = None,
        layer_id: str | None = None,
        tar_split: bool = True,
        volatile: bool = False,
        mount_program: bool = False,
        **values: Any,  # noqa: ANN401 - whatever the list shall say
    ) -> Layer:
        """Add a layer of `files`, by default one of its own; other values are the list's, and None takes one away."""
        files = files if files is not None else {f"layer-{self._next()}": b"%d" % self._count}
        tar = make_tar(files)
        diff_id = f"sha256:{hashlib.sha256(tar).hexdigest()}"
        layer_id = layer_id or self._layer_id(diff_id, parent)
        layer = self._directory(layer_id, diff_id, len(tar), parent)
        driver = "fuse-overlayfs" if mount_program else "overlay2"
        _Extraction(self.diff(layer), driver, privileged=self.privileged).run(tar)
        if tar_split:
            self.tar_split(layer).write_bytes(tarsplit_writer.pack(tar))
        said: dict[str, Any] = {
            "id": layer_id,
            **({"parent": parent.layer_id} if parent else {}),
            "created": stamp(self._next()),
            "compressed-diff-digest": f"sha256:{hashlib.sha256(b'blob' + tar).hexdigest()}",
            "compressed-size": len(tar) // 2,
            "diff-digest": diff_id,
            "diff-size": len(tar),
            "compression": 2,
            "uidset": [0],
            **{key.replace("_", "-"): value for key, value in values.items()},
        }
        said = {key: value for key, value in said.items() if value is not None}
        (self.volatile_layers if volatile else self.layers).append(said)
        return layer

    def _writable(self, files: Files, parent: Layer | None, name: str, *, volatile: bool) -> Layer:
        """Add a layer of which the list knows but its id."""
        return self.layer(
            files,
            parent=parent,
            layer_id=self.hex_id(),
            tar_split=False,
            volatile=volatile,
            names=[f"{name}-layer"],
            compressed_diff_digest=None,
            compressed_size=None,
            diff_digest=None,
            diff_size=None,
            uidset=None,
            compression=None,
        )

    @staticmethod
    def _layer_id(diff_id: str, parent: Layer | None) -> str:
        own = diff_id.removeprefix("sha256:")
        return own if parent is None else hashlib.sha256(f"{parent.layer_id}+{own}".encode()).hexdigest()

    def _directory(self, layer_id: str, diff_id: str, size: int, parent: Layer | None) -> Layer:
        """Make a layer's directory in the driver's order."""
        folder, link = self.path / self.driver / layer_id, self._link()
        (folder / "diff").mkdir(parents=True)
        os.symlink(f"../{layer_id}/diff", self.path / self.driver / "l" / link)
        (folder / "link").write_text(link)
        for name in ("work", "merged", *(["empty"] if parent is None else [])):
            (folder / name).mkdir(mode=0o700)
        lower = "" if parent is None else ":".join([f"l/{parent.link}", *([parent.lower] if parent.lower else [])])
        if lower:
            (folder / "lower").write_text(lower)
        # Only its diff_ids decide a chain; `chain_of` asks for the parent's chain_id alone.
        chain = chain_of(diff_id, parent)  # type: ignore[arg-type] # any layer with a chain_id will do
        return Layer(layer_id, diff_id, chain, link, size, parent, lower)

    def _link(self) -> str:
        return "".join(self._random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=26))

    def orphan(self, layer_id: str | None = None, parent: Layer | None = None) -> Layer:
        """A directory of the driver that is in no list."""
        return self._directory(layer_id or self.hex_id(), f"sha256:{self.hex_id()}", 0, parent)

    # Images --------------------------------------------------------------------------------------------------------

    def image(
        self,
        top: Layer | None = None,
        names: Sequence[str] = (),
        *,
        config: dict[str, Any] | None = None,
        storage_id: str | None = None,
        history: list[dict[str, Any]] | None = None,
        **values: Any,  # noqa: ANN401 - whatever the list shall say
    ) -> Image:
        """Add an image of a layer and all below it."""
        layers = tuple(top.chain) if top else ()
        created = stamp(self._next())
        steps = [{"created": created, "created_by": f"COPY {n}"} for n in range(len(layers))]
        content = {
            "created": created,
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": steps if history is None else history,
            **(config or {}),
        }
        raw = json.dumps(content).encode()
        config_id = hashlib.sha256(raw).hexdigest()
        storage_id = storage_id or config_id
        manifest = json.dumps(_manifest(raw, layers)).encode()
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        data = {f"sha256:{config_id}": raw, "manifest": manifest, f"manifest-{digest}": manifest}
        self.big_data(storage_id, data)
        self.images.append(
            {
                "id": storage_id,
                "digest": digest,
                **({"names": list(names)} if names else {}),
                **({"layer": top.layer_id} if top else {}),
                "metadata": "{}",
                "big-data-names": list(data),
                "big-data-sizes": {key: len(value) for key, value in data.items()},
                "created": created,
                **{key.replace("_", "-"): value for key, value in values.items()},
            }
        )
        return Image(storage_id, layers, tuple(names), raw, manifest)

    def big_data(self, storage_id: str, data: dict[str, bytes]) -> None:
        """Write the big data of an image."""
        folder = self.path / f"{self.driver}-images" / storage_id
        folder.mkdir(exist_ok=True)
        for key, value in data.items():
            (folder / big_data_name(key)).write_bytes(value)

    def manifest_list(self, names: Iterable[str], manifests: list[dict[str, Any]]) -> str:
        """Add an image that is only a list of others, as `podman manifest create` does; returns its digest."""
        raw = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        storage_id, digest = self.hex_id(), f"sha256:{hashlib.sha256(raw).hexdigest()}"
        self.big_data(storage_id, {"manifest": raw})
        self.images.append({"id": storage_id, "names": list(names), "big-data-names": ["manifest"]})
        return digest

    # Containers ----------------------------------------------------------------------------------------------------

    def container(
        self,
        image: Image | None,
        *,
        name: str = "c",
        state: str | None = "created",
        exit_code: int = 0,
        volumes: Sequence[str] = (),
        files: Files | None = None,
        log: bytes = b"",
        metadata: dict[str, Any] | None = None,
        volatile: bool = False,
    ) -> Container:
        """Add a container of an image; without a state Podman does not know it, as it is Buildah's."""
        top = image.layers[-1] if image and image.layers else None
        container_id = self.hex_id()
        layer = self._writable(files or {}, top, name, volatile=volatile)
        names = image.names if image else ()
        known = {"image-name": names[0] if names else "", "name": name, "created-at": 1}
        self.containers.append(
            {
                "id": container_id,
                "names": [name],
                "image": image.storage_id if image else "",
                "layer": layer.layer_id,
                "metadata": json.dumps(known if metadata is None else metadata),
                "created": stamp(self._next()),
            }
        )
        userdata = self.path / f"{self.driver}-containers" / container_id / "userdata"
        userdata.mkdir(parents=True)
        if log:
            (userdata / "ctr.log").write_bytes(log)
        if state is not None:
            self._known(container_id, name, image, state, exit_code, volumes, f"{userdata}/ctr.log")
        return Container(container_id, name, layer)

    def _known(  # noqa: PLR0917
        self,
        container_id: str,
        name: str,
        image: Image | None,
        state: str,
        exit_code: int,
        volumes: Sequence[str],
        log_path: str,
    ) -> None:
        alive = state in ("running", "paused")
        named, binds = [], []
        for volume in volumes:
            source, destination, *options = volume.split(":")
            if source.startswith("/"):
                binds.append(
                    {"destination": destination, "type": "bind", "source": source, "options": options or ["rw"]}
                )
            else:
                named.append({"volumeName": source, "dest": destination, "options": options or ["rw"]})
                if source not in self.volumes:
                    self.volume(source)
        self.configs[container_id] = {
            "id": container_id,
            "name": name,
            "rootfsImageID": image.storage_id if image else "",
            "rootfsImageName": image.names[0] if image and image.names else "",
            "spec": {"mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *binds]},
            "namedVolumes": named,
            "userVolumes": [volume.split(":")[1] for volume in volumes],
            "createdTime": stamp(self._next()),
            "logDriver": "k8s-file",
            "logPath": log_path,
        }
        self.states[container_id] = {
            "state": STATES[state],
            "startedTime": NEVER if state == "created" else stamp(self._next()),
            "finishedTime": NEVER if alive or state == "created" else stamp(self._next()),
            **({"exitCode": exit_code, "exited": True} if exit_code else {}),
        }

    def volume(
        self, name: str, labels: dict[str, str] | None = None, *, driver: str = "local", place: Path | None = None
    ) -> Path:
        """Add a volume; returns its data's folder, which only local ones have."""
        data = (place or self.path / "volumes") / name / "_data"
        if driver == "local":
            data.mkdir(parents=True)
        config = {"name": name, "labels": labels or {}, "volumeDriver": driver, "mountPoint": str(data)}
        self.volumes[name] = {**config, "createdAt": stamp(self._next())}
        return data

    # Files ---------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the lists, and what Podman knows as it did until its fifth version."""
        self.list_file("layers").write_text(json.dumps(self.layers))
        if self.volatile_layers:
            self.list_file("layers", volatile=True).write_text(json.dumps(self.volatile_layers))
        self.list_file("images").write_text(json.dumps(self.images))
        self.list_file("containers").write_text(json.dumps(self.containers))
        if self.configs or self.volumes:
            (self.path / "libpod").mkdir(exist_ok=True)
            self.bolt_file.write_bytes(bolt_writer.bolt(self._tree()))

    def _tree(self) -> dict[str, Any]:
        settings = {} if self.graph_root is None else {"runtime-config": {"graph-root": str(self.graph_root).encode()}}
        return {
            **settings,
            "ctr": {
                each: {"config": _json(config), "state": _json(self.states[each]), "dependencies": {}}
                for each, config in self.configs.items()
            },
            "vol": {name: {"config": _json(config)} for name, config in self.volumes.items()},
        }

    @property
    def bolt_file(self) -> Path:
        """Podman's state until its fifth version."""
        return self.path / "libpod" / "bolt_state.db"

    def save_sqlite(self, where: str = "db.sql", *, wal: bool = False) -> Path:
        """Write what Podman knows as it does since its fifth version, and no longer as before.

        With `wal` the last container stands in the write-ahead log only.
        """
        self.bolt_file.unlink(missing_ok=True)
        path = self.path / where
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for table, key in (("ContainerConfig", "ID"), ("ContainerState", "ID"), ("VolumeConfig", "Name")):
                connection.execute(f"CREATE TABLE {table} ({key} TEXT PRIMARY KEY NOT NULL, JSON TEXT NOT NULL)")
            connection.execute("CREATE TABLE DBConfig (ID INTEGER PRIMARY KEY NOT NULL, GraphRoot TEXT NOT NULL)")
            if self.graph_root is not None:
                connection.execute("INSERT INTO DBConfig VALUES (1, ?)", (str(self.graph_root),))
            for name, config in self.volumes.items():
                connection.execute("INSERT INTO VolumeConfig VALUES (?, ?)", (name, json.dumps(config)))
            if wal:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            for each, config in self.configs.items():
                connection.execute("INSERT INTO ContainerConfig VALUES (?, ?)", (each, json.dumps(config)))
                values = (each, json.dumps(self.states[each]))
                connection.execute("INSERT INTO ContainerState VALUES (?, ?)", values)
            if wal:  # the last connection to close empties the log
                kept = [(file, file.read_bytes()) for file in (path, path.with_name(f"{path.name}-wal"))]
        if wal:
            for file, content in kept:
                file.write_bytes(content)
        return path

    def list_file(self, kind: str, *, volatile: bool = False) -> Path:
        """One of the lists."""
        return self.path / f"{self.driver}-{kind}" / f"{'volatile-' if volatile else ''}{kind}.json"

    def directory(self, layer: Layer | str) -> Path:
        """A layer's directory."""
        return self.path / self.driver / (layer if isinstance(layer, str) else layer.layer_id)

    def diff(self, layer: Layer) -> Path:
        """The files of a layer."""
        return self.directory(layer) / "diff"

    def tar_split(self, layer: Layer) -> Path:
        """The tar-split of a layer."""
        return self.path / f"{self.driver}-layers" / f"{layer.layer_id}.tar-split.gz"

    def data_file(self, image: Image, key: str) -> Path:
        """A file beside an image's record."""
        return self.path / f"{self.driver}-images" / image.storage_id / big_data_name(key)

    def of_crio(
        self, image: Image, name: str, pod: str | None = None, state: dict[str, Any] | None = None
    ) -> Container:
        """Add a container of CRI-O's, of a pod or a sandbox itself, with what its file says of its state."""
        made = self.container(image, name=name, state=None)
        metadata = {"pod-name": "p", "pod-id": pod or made.container_id, "image-name": "k8s.example/a:1", "name": name}
        self.containers[-1]["metadata"] = json.dumps({**metadata, "metadata-name": "a", "created-at": 1})
        if state is not None:
            content = {"ociVersion": "1.0.2", "id": made.container_id, "created": stamp(self._next()), **state}
            (self.userdata(made) / "state.json").write_text(json.dumps(content))
        return made

    def userdata(self, container: Container) -> Path:
        """What an engine keeps of a container."""
        return self.path / f"{self.driver}-containers" / container.container_id / "userdata"


def big_data_name(key: str) -> str:
    """The file name of big data."""
    if all(char in "0123456789abcdefghijklmnopqrstuvwxyz." for char in key):
        return key
    return "=" + base64.b64encode(key.encode()).decode()


def _manifest(config: bytes, layers: Sequence[Layer]) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": digest, "size": len(config)},
        "layers": [{"digest": layer.diff_id, "size": layer.size} for layer in layers],
    }


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
