"""What `reclaim` says of a root of containerd: what its garbage collection lets go when names and containers go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import scanned
from tests.containerd_root import INDEX, MANIFEST, ContainerdRoot, Image, Layer, texts
from tests.test_containerd import docker_root, files
from tests.test_file_queries import ask

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

COLUMNS = "object namespace exclusive_layers content_bytes blocked_by"
CONTENT, SNAPSHOT = "containerd.io/gc.ref.content", "containerd.io/gc.ref.snapshot.overlayfs"


class Root(ContainerdRoot):
    """A root whose blobs have the labels by which containerd collects garbage."""

    def app(self, name: str, layers: list[Layer], namespace: str = "default") -> Image:
        """Make an image, as containerd labels what it pulled and unpacked."""
        image = self.image(name, layers, namespace)
        labels = {f"{CONTENT}.l.{number}": layer.digest for number, layer in enumerate(layers)}
        rows = self.namespace(namespace)["content"]["blob"]
        rows[image.target]["labels"] = texts({f"{CONTENT}.config": image.image_id, **labels})
        rows[image.image_id]["labels"] = texts({SNAPSHOT: image.chains[-1]})
        return image

    def bytes_of(self, image: Image) -> int:
        """Return the bytes of an image's blobs."""
        return sum(len(self.blobs[name]) for name in (image.target, image.image_id, *(x.digest for x in image.layers)))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Give a root in the making."""
    return Root(tmp_path / "containerd")


def reclaim(connection: sqlite3.Connection, columns: str = COLUMNS, **params: str) -> list[tuple[Any, ...]]:
    """Return what is said."""
    return [tuple(row) for row in ask(connection, "reclaim", columns, **params)]


def test_two_namespaces(root: Root) -> None:
    """Each namespace has layers of its own; the blobs go with the last that has them."""
    layers = [root.layer({"a": b"a"}), root.layer({"b": b"b"})]
    image = root.app("docker.io/acme/app:1", layers, "teama")
    root.app("docker.io/acme/app:1", layers, "teamb")
    connection = scanned(root.write().path)
    each = [("docker.io/acme/app:1", name, 2, 0, None) for name in ("teama", "teamb")]
    assert reclaim(connection) == each
    assert reclaim(connection, image="acme/app:1") == [*each, ("all of these", None, 4, root.bytes_of(image), None)]


def test_names_of_kubernetes(root: Root) -> None:
    """Its plugin removes all names of an image at once; without its own, a tag removes itself alone."""
    layers = [root.layer({"a": b"a"})]
    image = root.app("docker.io/acme/app:1", layers, "k8s.io")
    plain = root.app("docker.io/acme/plain:1", [root.layer({"p": b"p"})])
    for name in (image.image_id, "docker.io/acme/app:2"):
        root.name(name, image.target, namespace="k8s.io")
    root.name("docker.io/acme/plain:2", plain.target)
    connection = scanned(root.write().path)
    label = "docker.io/acme/app:1, docker.io/acme/app:2"
    assert reclaim(connection, image="acme/app:1") == [(label, "k8s.io", 1, root.bytes_of(image), None)]
    label = "docker.io/acme/plain:1, docker.io/acme/plain:2"
    assert reclaim(connection, image="acme/plain:1") == [(label, "default", 0, 0, "tag docker.io/acme/plain:2")]
    assert reclaim(connection, image=plain.image_id) == [(label, "default", 1, root.bytes_of(plain), None)]


def test_containers_keep_layers_alone(root: Root) -> None:
    """No container keeps containerd from removing an image: its blobs go, and its layers with the container."""
    image = root.app("docker.io/acme/app:1", [root.layer({"a": b"a"})])
    root.container("c1", image)
    connection = scanned(root.write().path)
    content = root.bytes_of(image)
    found = ("docker.io/acme/app:1", "default", 0, content, "container c1 (unknown)")
    assert reclaim(connection, image="acme/app:1") == [found]
    assert reclaim(connection, image="acme/app:1", container="c1")[-1] == ("all of these", None, 1, content, None)
    assert reclaim(connection, container="c1") == [("c1", None, 0, 0, None)]


def test_what_is_shared(root: Root) -> None:
    """A base that another image has stays, and so does what a lease or a label holds."""
    base, top, other, held = (root.layer({name: name.encode()}) for name in ("base", "top", "other", "held"))
    app = root.app("docker.io/acme/app:1", [base, top])
    root.app("docker.io/acme/other:1", [base, other])
    leased = root.app("docker.io/acme/leased:1", [held])
    root.lease("kept", leased.chains, [held.digest])
    marked = root.app("docker.io/acme/marked:1", [root.layer({"m": b"m"})])
    root.namespace()["content"]["blob"][marked.target]["labels"]["containerd.io/gc.root"] = b"1"
    connection = scanned(root.write().path)
    found = {row[0]: row[2:4] for row in reclaim(connection)}
    assert found["docker.io/acme/app:1"] == (1, root.bytes_of(app) - len(base.blob))
    assert found["docker.io/acme/leased:1"] == (0, root.bytes_of(leased) - len(held.blob))
    assert found["docker.io/acme/marked:1"] == (0, 0)
    both = reclaim(connection, image="acme/app:1,acme/other:1")[-1]
    assert both[2] == 3


@pytest.mark.parametrize(
    ("labels", "layers", "blobs"),
    [
        ({}, 0, []),
        ({"containerd.io/gc.expire": "2999-01-01T00:00:00Z"}, 0, []),
        ({"containerd.io/gc.expire": "2020-01-01T00:00:00Z"}, 2, [0, 1, 2, 3]),
        ({"containerd.io/gc.flat": "1"}, 2, [1, 2, 3]),
    ],
)
def test_leases_that_end(root: Root, labels: dict[str, str], layers: int, blobs: list[int]) -> None:
    """A lease keeps what it names and all that leads to until it ends; a flat one keeps what it names alone."""
    image = root.app("docker.io/acme/app:1", [root.layer({"a": b"a"}), root.layer({"b": b"b"})])
    root.lease("kept", [], [image.target], labels=labels)
    connection = scanned(root.write().path)
    parts = [image.target, image.image_id, *(layer.digest for layer in image.layers)]
    content = sum(len(root.blobs[parts[number]]) for number in blobs)
    assert reclaim(connection) == [("docker.io/acme/app:1", "default", layers, content, None)]


def test_a_flat_lease_of_a_snapshot(root: Root) -> None:
    """It keeps what the snapshot stands on."""
    image = root.app("docker.io/acme/app:1", [root.layer({name: b"x"}) for name in "abc"])
    root.lease("kept", image.chains[1:2], labels={"containerd.io/gc.flat": "1"})
    connection = scanned(root.write().path)
    assert reclaim(connection) == [("docker.io/acme/app:1", "default", 1, root.bytes_of(image), None)]


def test_platforms_of_one_name(root: Root) -> None:
    """A name that leads to an index takes all its platforms along."""
    images = [root.app(f"docker.io/acme/{name}:1", [root.layer({name: b"x"})]) for name in ("amd64", "arm64")]
    index = root.index([root.described(image.target, MANIFEST) for image in images])
    labels = {f"{CONTENT}.m.{number}": image.target for number, image in enumerate(images)}
    root.namespace()["content"]["blob"][index]["labels"] = texts(labels)
    root.name("docker.io/acme/all:1", index, INDEX)
    for image in images:
        del root.namespace()["images"][image.name]
    connection = scanned(root.write().path)
    content = sum(map(root.bytes_of, images)) + len(root.blobs[index])
    assert reclaim(connection, image="acme/all:1")[-1] == ("all of these", None, 2, content, None)


def test_disk_bytes(root: Root) -> None:
    """What is walked is told in bytes on disk, blobs in whole blocks."""
    image = root.app("docker.io/acme/app:1", [root.layer({"a": b"a" * 5000})])
    connection = files(root.write().path, walk=True)
    (directory,) = connection.execute("SELECT disk_bytes FROM disk_usage WHERE category = 'image layer'").fetchone()
    assert len(image.layers) == 1
    assert reclaim(connection, "disk_bytes") == [(directory + 3 * 4096,)]


def test_docker(tmp_path: Path) -> None:
    """Docker refuses to remove an image that a container uses; its lease goes with the container."""
    docker, root, image, container = docker_root(tmp_path)
    rows = root.namespace("moby")["content"]["blob"]
    rows[image.target]["labels"] |= texts({f"{CONTENT}.l.{n}": each.digest for n, each in enumerate(image.layers)})
    root.write()
    connection = scanned(docker.path)
    assert reclaim(connection, "exclusive_layers content_bytes blocked_by", image=image.name) == [
        (0, 0, "container web (exited)")
    ]
    both = reclaim(connection, "exclusive_layers content_bytes blocked_by", image=image.name, container=container)
    assert both[-1] == (2, sum(len(each) for each in root.blobs.values()), None)
    assert json.loads(docker.file(f"containers/{container}/config.v2.json").read_text())["ID"] == container
