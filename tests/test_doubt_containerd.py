"""What is lost or led elsewhere in a root of containerd, one case each: who may need a thing is said."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import codes, scanned, table
from tests.containerd_root import META, ContainerdRoot, digest
from tests.kinds import docker_on_containerd
from tests.test_containerd import app
from tests.test_doubt import standing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> ContainerdRoot:
    """Give a root in the making."""
    return ContainerdRoot(tmp_path / "containerd")


def test_a_name_that_moved(root: ContainerdRoot) -> None:
    """A container's name of its image leads to a newer one: what its snapshot stands on is used."""
    image = app(root)
    root.container("c1", image)
    newer = root.image("docker.io/library/newer:1", [root.layer({"new": b"x"})])
    spare = root.image("docker.io/library/spare:1", [root.layer({"spare": b"x"})])
    root.name(image.name, newer.target)
    root.name("docker.io/library/app:old", image.target)
    connection = scanned(root.write().path)
    assert standing(connection, "image", image.image_id) == ("used", None)
    assert standing(connection, "image", spare.image_id) == ("unused", None)


def test_a_container_whose_image_cannot_be_told(root: ContainerdRoot) -> None:
    """Its name is gone, and so is its snapshot: any image may be its."""
    image = app(root)
    gone = root.image("docker.io/library/gone:1", [])
    root.container("c1", None)
    root.namespace()["containers"]["c1"]["image"] = gone.name.encode()
    del root.namespace()["images"][gone.name]
    found, because = standing(scanned(root.write().path), "image", image.image_id)
    assert found == "unknown"
    assert f"{META}: c1 (lost: container c1 names image '{gone.name}', which is not here)" in (because or "")


@pytest.mark.parametrize("lost", ["config", "manifest", "folder"])
def test_lost_content(root: ContainerdRoot, lost: str) -> None:
    """Without its config or manifest nobody knows the layers of an image: they are unknown, and so is any directory."""
    image = app(root)
    root.write()
    (root.directory(77) / "fs").mkdir(parents=True)
    blob = {"config": image.image_id, "manifest": image.target}.get(lost)
    path = root.blob_file(blob) if blob else root.blob_file(image.target).parent
    path.rename(root.path / "aside")
    connection = scanned(root.path)
    found, because = standing(connection, "layer", image.chains[0])
    assert found == "unknown"
    assert "io.containerd.content.v1.content/blobs" in (because or "")
    assert standing(connection, "directory", "77")[0] == "unknown"


def test_lost_blob_of_a_layer(root: ContainerdRoot) -> None:
    """The blob of an unpacked layer names nobody: what is nobody's is so all the same."""
    image = app(root)
    root.write()
    (root.directory(77) / "fs").mkdir(parents=True)
    root.blob_file(image.layers[0].digest).unlink()
    connection = scanned(root.path)
    assert "missing-blob" in codes(connection)
    assert standing(connection, "directory", "77") == ("unused", None)


def test_nothing_was_ever_written(root: ContainerdRoot) -> None:
    """A root of a containerd that was only started once has no blobs folder: that is no doubt."""
    root.namespace()
    root.write()
    root.blob_file(digest(b"")).parent.mkdir(parents=True)
    shutil.rmtree(root.blob_file(digest(b"")).parent.parent)
    connection = scanned(root.path)
    assert "missing" not in codes(connection)
    assert table(connection, "state", "sources WHERE kind = 'manifests'") == [("absent",)]


def test_lost_containers_of_docker(tmp_path: Path) -> None:
    """Docker's folder of containers is gone: the lease still tells the image, and nobody knows the volumes."""
    store = docker_on_containerd(tmp_path).path
    shutil.rmtree(store / "containers")
    connection = scanned(store)
    [image] = table(connection, "image_id", "images")
    assert standing(connection, "image", image[0]) == ("used", None)
    found, because = standing(connection, "volume", "data")
    assert found == "unknown"
    assert f"containers/{'d' * 64} (lost: its snapshot in containerd needs it)" in (because or "")


def test_lost_containers_of_docker_beside(tmp_path: Path) -> None:
    """Docker on the host's containerd: the place in doubt is told whole."""
    store = docker_on_containerd(tmp_path).path
    (store / "containerd/daemon").rename(tmp_path / "containerd")
    (store / "image/containerd").mkdir(parents=True, exist_ok=True)
    shutil.rmtree(store / "containers")
    connection = scanned(tmp_path / "containerd")
    found = table(connection, "path, state", "sources WHERE kind = 'containers' AND state <> 'read' ORDER BY path")
    assert found[0] == (f"{store}/containers", "lost")
