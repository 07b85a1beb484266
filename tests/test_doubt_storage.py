"""What is said of a graph root whose users were not all read: unknown, never unused."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import catalog, database, scan
from layerindex.query import run
from layerindex.show import answers as show
from layerindex.show import things
from layerindex.stores.containers_storage import GraphRoot
from layerindex.stores.containers_storage.store import find_stores
from tests.conftest import serious
from tests.storageroot import Image, StorageRoot
from tests.test_containers_storage import storage_scanned
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from tests.storageroot import Container, Image, Layer


@pytest.fixture
def root(tmp_path: Path) -> StorageRoot:
    """Give an empty graph root."""
    return StorageRoot(tmp_path / "storage")


def standing(connection: sqlite3.Connection, kind: str, thing: str) -> tuple[str, str | None]:
    """Return how a thing stands, and why."""
    sql = "SELECT standing, because FROM standings WHERE kind = ? AND id = ?"
    found: tuple[str, str | None] = connection.execute(sql, (kind, thing)).fetchone()
    return found


def test_list_of_containers_lost(root: StorageRoot) -> None:
    """A layer that only a container can have proves that there was one, and an image of it may be in use."""
    image = root.image(root.layer(), ["localhost/a:1"])
    container = root.container(image, state=None, metadata={})
    root.save()
    root.list_file("containers").unlink()
    root.userdata(container).rmdir()
    root.userdata(container).parent.rmdir()
    found, because = standing(storage_scanned(root.path), "image", image.image_id)
    assert found == "unknown"
    assert because == (
        f"overlay-containers/containers.json (lost: layer {container.layer.layer_id} is one of a container)"
    )


def test_list_of_containers_torn(root: StorageRoot) -> None:
    """What a torn list named is not known."""
    image = root.image(root.layer(), ["localhost/a:1"])
    root.container(image, state=None, metadata={})
    root.save()
    root.list_file("containers").write_bytes(root.list_file("containers").read_bytes()[:60])
    found, because = standing(storage_scanned(root.path), "image", image.image_id)
    assert found == "unknown"
    assert "overlay-containers/containers.json (damaged" in (because or "")


def test_no_container_was_there(root: StorageRoot) -> None:
    """A store in which nothing was run has no list of containers, and its image is unused."""
    image = root.image(root.layer(), ["localhost/a:1"])
    root.save()
    root.list_file("containers").unlink()
    assert standing(storage_scanned(root.path), "image", image.image_id) == ("unused", None)


@pytest.mark.parametrize("damage", ["removed", "torn"])
def test_state_of_podman_lost(root: StorageRoot, damage: str) -> None:
    """Podman's database alone tells which container has a volume."""
    root.container(root.image(root.layer(), ["localhost/a:1"]), name="c1", volumes=["data:/data"])
    root.save()
    if damage == "removed":
        root.bolt_file.unlink()
    else:
        root.bolt_file.write_bytes(b"\0" * 4096)
    found, because = standing(storage_scanned(root.path), "volume", "data")
    assert found == "unknown"
    assert "libpod" in (because or "")


def test_image_without_config_keeps_its_layers(root: StorageRoot) -> None:
    """The list of images names the top layer, whatever becomes of the config."""
    layer = root.layer()
    image = root.image(layer, ["localhost/a:1"])
    root.save()
    root.data_file(image, image.image_id).write_text(json.dumps([]))
    assert standing(storage_scanned(root.path), "layer", layer.chain_id) == ("used", None)


def answers(connection: sqlite3.Connection, name: str) -> list[tuple[object, ...]]:
    """Return the rows of a canned answer."""
    query = catalog.load(name)
    return [tuple(row) for row in run(connection, query.sql, catalog.values(query, {})).rows]


def test_manifest_list(root: StorageRoot) -> None:
    """A list is a name with instances: an untagged image that it names is used, and nothing is missing."""
    image = root.image(root.layer())
    manifest = f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"
    elsewhere = f"sha256:{'e' * 64}"
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    entries: list[dict[str, Any]] = [
        {"digest": manifest, "size": 7},
        {"digest": elsewhere, "size": -1, "platform": platform},
        {"digest": "../x"},
    ]
    root.manifest_list(["localhost/multi:1"], entries)
    connection = storage_scanned(root)
    assert standing(connection, "image", image.image_id) == ("used", None)
    sql = "SELECT digest, image_id, size, architecture, on_disk FROM image_manifests WHERE index_digest <> ?"
    sql += " ORDER BY on_disk"
    assert connection.execute(sql, ("",)).fetchall() == [
        (elsewhere, "", None, "arm64", 0),
        (manifest, image.image_id, 7, None, 1),
    ]
    for name in ("missing-data", "dangling-images", "unused-images"):
        assert answers(connection, name) == []
    rows = [(row[2], row[8], row[9], row[11]) for row in answers(connection, "images")]
    assert rows == [(None, 1, None, 0), ("localhost/multi:1", None, 2, 0)]
    (freed,) = answers(connection, "reclaim")
    assert "manifest list localhost/multi:1" in freed


def test_manifest_list_without_a_name(root: StorageRoot) -> None:
    """It has a row too, dangling where all names were read; the list that an image was pulled by has none."""
    image = root.image(root.layer(), ["localhost/a:1"])
    digest = root.manifest_list([], [{"digest": f"sha256:{'e' * 64}"}])
    pulled = json.dumps({"manifests": [{"digest": f"sha256:{'f' * 64}"}]}).encode()
    key = f"manifest-sha256:{hashlib.sha256(pulled).hexdigest()}"
    root.big_data(image.storage_id, {key: pulled})
    root.images[0]["big-data-names"].append(key)
    connection = storage_scanned(root)
    rows = ask(connection, "images", "names image_id instances dangling")
    assert sorted(rows, key=repr) == [("localhost/a:1", image.image_id, None, 0), (None, digest, 1, 1)]
    assert answers(connection, "missing-data") == []
    (thing,) = things.things(digest[7:19])
    (found,) = show.answers(connection, thing)
    assert (found.id, found.matched, found.sections["image"][0]["in_store"]) == (digest, "manifest list", 1)
    root.list_file("images").write_text(json.dumps([root.images[1], {"id": 7}]))
    rows = ask(storage_scanned(root.path), "images", "names image_id instances dangling")
    assert rows == [(None, digest, 1, None)]


def test_reclaim_without_containers(root: StorageRoot) -> None:
    """What may have a container is not said to be free to go."""
    root.image(root.layer(), ["localhost/a:1"])
    root.save()
    root.list_file("containers").write_text("[{")
    (freed,) = answers(storage_scanned(root.path), "reclaim")
    assert any(isinstance(each, str) and "unknown: overlay-containers" in each for each in freed)


def borrowed(root: StorageRoot, path: Path) -> tuple[Image, StorageRoot]:
    """Have another store run and build on an image of this one; return that image, and the other store."""
    lent = root.layer()
    image = root.image(lent, ["localhost/base:1"])
    root.save()
    borrower = StorageRoot(path, seed=2)
    borrower.container(image, name="c1")
    borrower.image(borrower.layer(parent=lent), ["localhost/child:1"])
    return image, borrower


def test_borrowed_image(tmp_path: Path, root: StorageRoot) -> None:
    """What another store of the host runs and builds on is used in the store that lends it."""
    image, borrower = borrowed(root, tmp_path / "rw")
    borrower.save()
    (store,) = find_stores(str(root.path))
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    scan.scan(connection, store._replace(borrowers=(GraphRoot(str(borrower.path)),)), scan.Filing(scan.Host("h", None)))
    users = connection.execute("SELECT user FROM uses WHERE user_kind = 'store' ORDER BY 1").fetchall()
    assert users == [(f"{borrower.path}: container c1",), (f"{borrower.path}: image localhost/child:1",)]
    assert standing(connection, "image", image.image_id) == ("used", None)


def test_image_store_alone(root: StorageRoot) -> None:
    """A store without a place for containers keeps images for others, which were not looked at."""
    image = root.image(root.layer(), ["localhost/base:1"])
    root.save()
    shutil.rmtree(root.list_file("containers").parent)
    assert standing(storage_scanned(root.path), "image", image.image_id)[0] == "unknown"


def test_borrowed_is_not_missing(tmp_path: Path, root: StorageRoot) -> None:
    """What another store lends is not missing in the store that stands on it."""
    _, borrower = borrowed(root, tmp_path / "rw")
    connection = storage_scanned(borrower, [root.path])
    assert answers(connection, "missing-data") == []
    assert answers(connection, "problems") == []


def test_reclaim_of_mapped_copies(root: StorageRoot) -> None:
    """With an image go the copies of its layer for other users: each has the layer's owner, chain and size."""
    base = root.layer({"a": b"1"}, layer_id="b" * 64)
    others = [{"container_id": 0, "host_id": 1, "size": 5000}]
    copy = root.layer({"a": b"1"}, layer_id="a" * 64, uidmap=others, gidmap=others)
    (root.directory(copy) / "diff1").mkdir()
    (root.directory(copy) / "diff1" / "a").write_bytes(b"1" * 9000)
    root.image(base, ["localhost/a:1"], mapped_layers=[copy.layer_id])
    root.save()
    connection = storage_scanned(root.path, options=scan.Options(walk=True))
    (freed,) = answers(connection, "reclaim")
    assert freed[3:5] == (1, 2 * base.size)
    blocks = {each.stat().st_ino: each.stat().st_blocks for layer in (base, copy) for each in all_below(root, layer)}
    assert freed[6] == 512 * sum(blocks.values())
    owned = {(row[0], row[4]) for row in answers(connection, "owner") if row[2] == "layer"}
    assert owned == {(copy.layer_id, base.chain_id), (base.layer_id, base.chain_id)}


def transient(root: StorageRoot, run: Path) -> tuple[Image, Container]:
    """Make a store transient: what is known of its container lies in the runroot only."""
    image = root.image(root.layer(), ["localhost/a:1"])
    container = root.container(image, name="live", state="running", volatile=True)
    root.save()
    root.save_sqlite().rename(run / "db.sql")
    for kind in ("containers", "layers"):
        (run / f"overlay-{kind}").mkdir()
    root.list_file("containers").rename(run / "overlay-containers" / "volatile-containers.json")
    (root.path / "overlay-containers" / "containers.lock").unlink()
    root.list_file("layers", volatile=True).rename(run / "overlay-layers" / "volatile-layers.json")
    return image, container


def test_transient_store(root: StorageRoot, tmp_path: Path) -> None:
    """The container of a transient store is found in the runroot."""
    run = tmp_path / "run"
    run.mkdir()
    image, container = transient(root, run)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    (store,) = find_stores(str(root.path))
    scan.scan(connection, store._replace(run_root=str(run)), scan.Filing(scan.Host("h", None)), scan.Options())
    assert connection.execute("SELECT name, state FROM containers").fetchall() == [("live", "running")]
    assert standing(connection, "image", image.image_id) == ("used", None)
    assert standing(connection, "directory", container.layer.layer_id) == ("used", None)
    assert connection.execute("SELECT * FROM problems").fetchall() == []


def test_transient_store_without_runroot(root: StorageRoot, tmp_path: Path) -> None:
    """Where the runroot is not known, a directory may be a container's, even without any trace of one."""
    run = tmp_path / "run"
    run.mkdir()
    image, container = transient(root, run)
    root.userdata(container).rmdir()
    root.userdata(container).parent.rmdir()
    connection = storage_scanned(root.path)
    because = "the lists of a transient store are in its runroot, which is not known"
    for kind, thing in (("image", image.image_id), ("directory", container.layer.layer_id)):
        found, why = standing(connection, kind, thing)
        assert found == "unknown"
        assert because in (why or "")


def test_imagestore_that_is_not_known(root: StorageRoot) -> None:
    """Where no image is listed and containers have some, these are in another store: nothing is missing."""
    image = root.image(root.layer(layer_id="b" * 64), ["localhost/a:1"])
    container = root.container(image, name="c1")
    root.layers = [layer for layer in root.layers if layer["id"] == container.layer.layer_id]
    root.save()
    root.list_file("images").unlink()
    shutil.rmtree(root.directory("b" * 64))
    (root.path / "overlay" / "l" / image.layers[0].link).unlink()
    connection = storage_scanned(root.path)
    assert serious(connection) == set()
    detail = "container c1 has an image, which another store may keep: an imagestore"
    because = f"overlay-images/images.json (not looked at: {detail})"
    assert {(row[0], row[3], row[5]) for row in answers(connection, "missing-data")} == {
        ("container", "missing-image", because),
        ("layer", "missing-parent", because),
    }
    assert standing(connection, "directory", container.layer.layer_id) == ("used", None)


def volumes(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Return name, whether it is there, its place and its bytes of each volume."""
    return connection.execute("SELECT name, on_disk, place, apparent_bytes FROM volumes").fetchall()


@pytest.mark.parametrize("sqlite", [False, True])
def test_moved_volumes(root: StorageRoot, tmp_path: Path, *, sqlite: bool) -> None:
    """A volume is at the place that Podman's state holds, and its bytes are counted there, apart from the root's."""
    root.graph_root = root.path
    data = root.volume("data", place=tmp_path / "vols")
    (data / "big").write_bytes(b"1" * 5000)
    root.save()
    if sqlite:
        root.save_sqlite()
    connection = storage_scanned(root.path, options=scan.Options(walk=True))
    place = str(data.parent)
    assert volumes(connection) == [("data", 1, place, 5000)]
    usage = "SELECT category, owner, apparent_bytes FROM disk_usage WHERE place = ?"
    assert connection.execute(usage, (place,)).fetchall() == [("volumes", "data", 5000)]
    assert connection.execute("SELECT * FROM problems").fetchall() == []
    (told,) = answers(connection, "volumes")
    assert told[:2] == ("data", "unused")


def test_moved_volume_is_missing(root: StorageRoot, tmp_path: Path) -> None:
    """It is missing where it is not at its place either."""
    root.graph_root = root.path
    data = root.volume("data", place=tmp_path / "vols")
    data.rmdir()
    data.parent.rmdir()
    root.save()
    connection = storage_scanned(root.path)
    assert volumes(connection) == [("data", 0, None, None)]
    found = connection.execute("SELECT code, path FROM problems").fetchall()
    assert found == [("missing-volume", "volumes/data")]


def test_moved_volume_of_a_copied_root(root: StorageRoot, tmp_path: Path) -> None:
    """Of a root that is not where Podman had it, the place of a volume on this host is not known: it is not missing."""
    root.graph_root = Path("/var/lib/containers/storage")
    root.volume("data", place=tmp_path / "vols")
    root.save()
    connection = storage_scanned(root.path)
    assert volumes(connection) == [("data", 0, None, None)]
    assert serious(connection) == set()
    (told,) = answers(connection, "volumes")
    assert told[1:3] == (
        "unknown",
        f"{tmp_path}/vols/data (not looked at: volume data is there, as Podman's state says)",
    )


def test_moved_volumes_of_a_mounted_host(tmp_path: Path) -> None:
    """Of a host whose files are below a folder, the place is below that folder too."""
    root = StorageRoot(tmp_path / "host" / "srv" / "storage")
    root.graph_root = Path("/srv/storage")
    data = root.volume("data", place=tmp_path / "host" / "vols")
    root.volumes["data"]["mountPoint"] = "/vols/data/_data"
    root.save()
    assert volumes(storage_scanned(root.path)) == [("data", 1, str(data.parent), None)]
    root.volumes["data"]["mountPoint"] = "/../vols/data/_data"
    root.save()
    assert volumes(storage_scanned(root.path)) == [("data", 0, None, None)]


def all_below(root: StorageRoot, layer: Layer) -> list[Path]:
    """Return a layer's directory and all that is in it."""
    return [root.directory(layer), *root.directory(layer).rglob("*")]
