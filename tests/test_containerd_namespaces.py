"""Namespaces of containerd share blobs and nothing else: each has its own names, directories, sizes and containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from layerindex.show import answers, things
from tests.conftest import scanned
from tests.containerd_root import ContainerdRoot, Layer, digest
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from pathlib import Path

APP = "docker.io/acme/app:1"
SIZE = 8192
"""Bytes of a layer of one file, as containerd counts it."""


@pytest.fixture
def root(tmp_path: Path) -> ContainerdRoot:
    """Give a root in the making."""
    return ContainerdRoot(tmp_path / "containerd")


@pytest.fixture
def layers(root: ContainerdRoot) -> list[Layer]:
    """Give a base and what stands on it."""
    return [root.layer({"a": b"a"}), root.layer({"b": b"b"})]


def test_an_image_of_several_namespaces(root: ContainerdRoot, layers: list[Layer]) -> None:
    """It has a row in each: with what it is called there, what it shares there and what is unpacked there."""
    app = root.image(APP, layers, "a")
    root.image(APP, layers, "b")
    root.image("docker.io/acme/base:1", layers[:1], "b")
    root.container("c1", app, "b")
    root.image("docker.io/acme/app:2", layers, "c", unpacked=False)
    connection = scanned(root.write().path)
    columns = "names size shared_size unique_size containers namespace"
    rows = [
        (APP, 2 * SIZE, 0, 2 * SIZE, 0, "a"),
        (APP, 2 * SIZE, SIZE, SIZE, 1, "b"),
        ("docker.io/acme/app:2", None, None, None, 0, "c"),
    ]
    assert ask(connection, "images", columns, image="acme/app:1") == rows
    base = ("docker.io/acme/base:1", SIZE, SIZE, 0, 0, "b")
    assert sorted(ask(connection, "images", columns), key=repr) == sorted([*rows, base], key=repr)


def test_where_the_layers_of_an_image_are(root: ContainerdRoot, layers: list[Layer]) -> None:
    """Each namespace unpacks an image into directories of its own, or not at all."""
    for namespace in ("a", "b"):
        image = root.image(APP, layers, namespace)
    root.image(APP, layers, "c", unpacked=False)
    root.image("docker.io/acme/base:1", layers[:1], "b")
    connection = scanned(root.write().path)
    base, top = image.chains
    assert ask(connection, "image-layers", "image namespace position chain_id cache_id shared_by", image=APP) == [
        (APP, "a", 0, base, "1", 1),
        (APP, "a", 1, top, "2", 1),
        (APP, "b", 0, base, "3", 2),
        (APP, "b", 1, top, "4", 1),
        (APP, "c", 0, base, None, 1),
        (APP, "c", 1, top, None, 1),
    ]


def test_an_image_is_shown_with_all_its_directories(root: ContainerdRoot, layers: list[Layer]) -> None:
    """Beside the directory of one namespace those of the others."""
    for namespace in ("a", "b", "c"):
        root.image(APP, layers, namespace)
    connection = scanned(root.write().path)
    (thing,) = things.things("acme/app:1")
    (found,) = answers.answers(connection, thing)
    rows = [(row["directory"], row["copies"]) for row in found.sections["image-layers"]]
    assert rows == [("1", "3, 5"), ("2", "4, 6")]


def test_an_image_without_a_name(root: ContainerdRoot, layers: list[Layer]) -> None:
    """What Docker keeps without one is in the namespace that has its manifest."""
    image = root.image("moby-dangling@sha256:" + "1" * 64, layers, "moby")
    connection = scanned(root.write().path)
    assert ask(connection, "images", "names image_id size namespace") == [(None, image.image_id, 2 * SIZE, "moby")]
    assert ask(connection, "image-layers", "image cache_id namespace") == [
        (image.image_id, number, "moby") for number in ("1", "2")
    ]


def test_snapshotters_of_several_namespaces(root: ContainerdRoot, layers: list[Layer], tmp_path: Path) -> None:
    """What the second snapshotter has unpacked in one namespace is told with it for that one alone."""
    native = ContainerdRoot(tmp_path / "containerd", "native")
    image = native.image(APP, layers, "b")
    root.image("docker.io/acme/other:1", [root.layer({"o": b"o"})], "a")
    root.image(APP, layers, "a", unpacked=False)
    root.blobs |= native.blobs
    root.meta |= {"b": native.namespace("b")}
    native.write()
    connection = scanned(root.write().path)
    rows = connection.execute(
        """SELECT s.driver, n.namespace, n.label FROM image_namespaces AS n JOIN snapshots AS s USING (snapshot_id)
        WHERE n.image_id = ? ORDER BY 1, 2""",
        (image.image_id,),
    ).fetchall()
    assert rows == [("native", "b", APP), ("overlayfs", "a", APP), ("overlayfs", "b", APP)]
    assert digest(b"") not in root.blobs
