"""A store of each kind with everything in it that its engine keeps: what every suite runs over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from tests.bolt_writer import bolt
from tests.conftest import build_world
from tests.containerd_root import INDEX, MANIFEST, ContainerdRoot, anything
from tests.test_containerd import app, built, docker_root
from tests.test_containers_storage_bad import World as GraphRoot

if TYPE_CHECKING:
    from pathlib import Path


class Store(NamedTuple):
    """A store, and the databases that its engine holds locked."""

    path: Path
    locked: list[Path]


def docker(folder: Path) -> Store:
    """Make a data root with everything in it that names a directory."""
    world = build_world(folder / "docker")
    root = world.root
    root.orphan(files={"a": b"1"})
    root.write_set(1)
    root.write_set(2, named=True)
    root.removing(root.layer({"gone": b"1"}))
    parent = root.build_record(root.buildkit_dir(parent=world.base, files={"x": b"1"}), cache_description="a step")
    mutable = root.buildkit_dir(files={"y": b"1"})
    mount = root.build_record(mutable, committed=False, cache_description="a mount")
    root.build_record(mutable, parent=parent, equal_mutable=mount)
    root.build_record(world.top)
    volumes = root.file("volumes/metadata.db")
    volumes.write_bytes(bolt({"volumes": {}}))
    return Store(root.path, [volumes, root.file("buildkit/snapshots.db")])


def docker_on_containerd(folder: Path) -> Store:
    """Make a data root whose engine keeps images in its own containerd."""
    root, own, image, container = docker_root(folder)
    built(root, own, image)
    own.write()
    root.volume("data")
    config = root.file(f"containers/{container}/config.v2.json")
    values = json.loads(config.read_text())
    mount = {"Type": "volume", "Name": "data", "Destination": "/data", "Driver": "local", "RW": True}
    config.write_text(json.dumps(values | {"MountPoints": {"/data": mount}}))
    return Store(root.path, [own.file("io.containerd.metadata.v1.bolt/meta.db")])


def containerd(folder: Path) -> Store:
    """Make a root of containerd: a download that goes on, an index, containers of ctr and of Kubernetes."""
    root = ContainerdRoot(folder / "containerd")
    image = app(root)
    root.ingest("layer-1", b"abc")
    root.container("plain", image)
    other = root.image("docker.io/library/other:1", [root.layer({"other": b"x"})], namespace="k8s.io")
    index = root.index([root.described(other.target, MANIFEST)], "k8s.io")
    root.name("docker.io/library/other:1", index, INDEX, "k8s.io")
    root.name(other.image_id, other.target, namespace="k8s.io")
    noted = {"Version": "v1", "Metadata": {"ID": "c" * 64, "Name": "n", "SandboxID": "b" * 64}}
    extensions = {"io.cri-containerd.container.metadata": anything("x", json.dumps(noted).encode())}
    root.container("c" * 64, other, "k8s.io", extensions=extensions)
    root.name("docker.io/library/app:1", other.target)  # another than when its container was made
    root.name("docker.io/library/app:old", image.target)
    root.snapshot("mine", image.chains[0])
    root.lease("kept", ["mine"])
    root.write()
    status = root.file(f"io.containerd.grpc.v1.cri/containers/{'c' * 64}/status")
    status.parent.mkdir(parents=True)
    status.write_text(json.dumps({"CreatedAt": 10**18, "StartedAt": 10**18}))
    return Store(root.path, [root.file("io.containerd.metadata.v1.bolt/meta.db")])


def podman(folder: Path) -> Store:
    """Make a graph root, with both kinds of database."""
    root = GraphRoot(folder / "storage").root
    root.orphan()
    root.volume("kept")
    root.save()
    root.save_sqlite()
    return Store(root.path, [])


KINDS = [docker, podman, containerd, docker_on_containerd]
"""A new kind of store is one more."""
