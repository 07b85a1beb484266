"""What `show` says of paths and names in a graph root of Podman."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from layerindex.show import answers, things
from tests.storageroot import StorageRoot, big_data_name
from tests.test_containers_storage import storage_scanned

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> StorageRoot:
    """Give an empty graph root."""
    return StorageRoot(tmp_path / "storage")


def shown(connection: sqlite3.Connection, text: str) -> tuple[str, str]:
    """Return the kind and id of what a text is."""
    (thing,) = things.things(text, answers.roots(connection))
    (found,) = answers.answers(connection, thing)
    return found.kind, found.id


def test_paths(root: StorageRoot) -> None:
    """Files beside images, layers and containers are of these, as is a container's mount point; blobs by digest."""
    layer = root.layer({"a": b"1"})
    image = root.image(layer, ["localhost/a:1"])
    container = root.container(image, name="c")
    connection = storage_scanned(root)
    manifest = f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"
    beside = f"{root.path}/overlay-images/{image.storage_id}"
    names = (
        "",
        "/manifest",
        *(f"/{big_data_name(key)}" for key in (image.image_id, f"manifest-{manifest}", "other:1")),
    )
    for name in names:
        assert shown(connection, f"{beside}{name}") == ("image", image.image_id)
    assert shown(connection, manifest) == ("image", image.image_id)
    assert shown(connection, f"/content/blobs/sha256/{manifest[7:]}") == ("image", image.image_id)
    tar_split = f"{root.path}/overlay-layers/{layer.layer_id}.tar-split.gz"
    assert shown(connection, tar_split) == ("directory", layer.layer_id)
    userdata = f"{root.path}/overlay-containers/{container.container_id}/userdata"
    assert shown(connection, userdata) == ("container", container.container_id)
    merged = f"{root.path}/overlay/{container.layer.layer_id}/merged"
    assert shown(connection, merged) == ("directory", container.layer.layer_id)


def test_short_name(root: StorageRoot) -> None:
    """What Podman finds without localhost/ is found so here."""
    image = root.image(root.layer(), ["localhost/acme/a:latest"])
    connection = storage_scanned(root)
    for name in ("acme/a", "acme/a:latest", "localhost/acme/a"):
        assert shown(connection, name) == ("image", image.image_id)


def test_manifest_list(root: StorageRoot) -> None:
    """A manifest list is an image with an instance for each platform; Podman shows the id that it was made with."""
    elsewhere = f"sha256:{'e' * 64}"
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    digest = root.manifest_list(["localhost/multi:1"], [{"digest": elsewhere, "size": 7, "platform": platform}])
    connection = storage_scanned(root)
    (thing,) = things.things("multi:1")
    (found,) = answers.answers(connection, thing)
    assert (found.id, found.sections["image"][0]["in_store"]) == (digest, 1)
    instance = {"platform": "linux/arm64/v8", "digest": elsewhere, "image_id": None, "size": 7}
    assert found.sections["image-instances"] == [instance]
    storage_id = str(root.images[-1]["id"])
    for name in (storage_id, storage_id[:12], f"{root.path}/overlay-images/{storage_id}/manifest"):
        assert shown(connection, name) == ("image", digest)
