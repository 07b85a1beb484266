"""A graph root of containers-storage is read whole: layers, images, containers, volumes, and why directories exist."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import catalog, database, query, scan
from layerindex.stores.containers_storage import find_stores
from layerindex.stores.disk import ids
from tests.conftest import HOST, codes, in_time, problems, table, without_capabilities
from tests.dataroot import regular, whiteout
from tests.storageroot import StorageRoot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def storage_scanned(
    root: StorageRoot | Path,
    additional: Sequence[Path] = (),
    options: scan.Options = scan.Options(files=False),  # noqa: B008 - immutable
) -> sqlite3.Connection:
    """Save a graph root, and scan it into a database in memory."""
    path = root
    if isinstance(root, StorageRoot):
        root.save()
        path = root.path
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    with in_time():
        for store in find_stores(str(path), [str(each) for each in additional]):
            scan.scan(connection, store, scan.Filing(HOST), options)
    return connection


@pytest.fixture
def root(tmp_path: Path) -> StorageRoot:
    """Give an empty graph root."""
    return StorageRoot(tmp_path / "storage")


def roles(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the role of each directory."""
    return dict(connection.execute("SELECT cache_id, role FROM overlay_dirs"))


# Finding -------------------------------------------------------------------------------------------------------------


def test_store(root: StorageRoot) -> None:
    """A graph root is one store for each driver, of which overlay's directories are read."""
    (store,) = find_stores(str(root.path))
    assert (store.name, store.driver, store.limits, store.engine_id()) == (
        "containers-storage-overlay",
        "overlay",
        None,
        None,
    )
    assert store.walkable
    assert store.first


def test_no_store(tmp_path: Path) -> None:
    """A folder without lists is none, nor is a Docker root."""
    (tmp_path / "overlay2").mkdir()
    (tmp_path / "overlay-layers").mkdir()
    assert find_stores(str(tmp_path)) == []


def test_image_store_that_others_use(tmp_path: Path) -> None:
    """An image store has no containers."""
    root = StorageRoot(tmp_path / "storage")
    root.image(root.layer(), ["localhost/a:1"])
    root.save()
    shutil.rmtree(root.path / "overlay-containers")
    connection = storage_scanned(root.path)
    assert codes(connection) == set()
    assert table(connection, "ref", "image_refs") == [("localhost/a:1",)]


def test_other_driver(tmp_path: Path) -> None:
    """Of another driver the metadata is read, and what is not is said."""
    root = StorageRoot(tmp_path / "storage", "vfs")
    root.image(root.layer({"a": b"1"}), ["localhost/a:1"])
    connection = storage_scanned(root)
    assert codes(connection) == {"other-driver"}
    assert table(connection, "ref", "image_refs") == [("localhost/a:1",)]
    assert table(connection, "cache_id", "overlay_dirs") == []


def test_short_names(root: StorageRoot) -> None:
    """What Podman finds without localhost/ and :latest, the questions to a fleet find so, too."""
    root.image(root.layer(), ["localhost/app:latest"])
    connection = storage_scanned(root)
    for name, param in (("first-seen", "image"), ("last-seen", "image"), ("image-hosts", "image")):
        canned = catalog.load(name)
        assert list(query.run(connection, canned.sql, dict.fromkeys(canned.params) | {param: "app"}).rows), name


def test_two_drivers(root: StorageRoot) -> None:
    """What is not a driver's is told with the first."""
    root.volume("data")
    for kind in ("layers", "images", "containers"):
        (root.path / f"vfs-{kind}").mkdir()
    root.save()
    one, two = find_stores(str(root.path))
    assert (one.driver, one.first, two.driver, two.first) == ("overlay", True, "vfs", False)
    connection = storage_scanned(root)
    assert table(connection, "snapshot_id, name", "volumes") == [(1, "data")]


# Layers --------------------------------------------------------------------------------------------------------------


def test_chains(root: StorageRoot) -> None:
    """The chain is that of the diff_ids, whatever a layer's id."""
    base = root.layer({"a": b"1"})
    middle = root.layer({"b": b"2"}, parent=base, layer_id="c" * 64)
    top = root.layer({"c": b"3"}, parent=middle)
    root.image(top, ["localhost/a:1"])
    connection = storage_scanned(root)
    assert codes(connection) == set()
    expected = ids.chain_ids([layer.diff_id for layer in top.chain])
    found = table(connection, "chain_id, diff_id, parent_chain_id, cache_id, size, verified", "layers")
    assert sorted(found) == sorted(
        (chain, layer.diff_id, parent, layer.layer_id, layer.size, 1)
        for chain, parent, layer in zip(expected, [None, *expected], top.chain, strict=False)
    )
    assert table(connection, "chain_id", "image_layers ORDER BY position") == [(each,) for each in expected]
    assert connection.execute("SELECT count(*) FROM layer_blobs").fetchone() == (3,)


def test_layer_without_diff_id(root: StorageRoot) -> None:
    """A layer that was pulled by its table of contents is a directory with an owner, and no layer of a chain."""
    base = root.layer({"a": b"1"}, diff_digest=None, toc_digest=f"sha256:{'e' * 64}", diff_size=-1)
    top = root.layer({"b": b"2"}, parent=base)
    image = root.image(top, ["localhost/a:1"])
    container = root.container(image)
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "chain_id", "layers") == []
    writable = container.layer.layer_id
    assert roles(connection) == {base.layer_id: "layer", top.layer_id: "layer", writable: "container"}
    for layer in (base, top):
        owners = table(connection, "kind, owner", f"overlay_dir_owners WHERE cache_id = '{layer.layer_id}'")
        assert set(owners) == {
            ("storage-layer", layer.layer_id),
            ("image", image.image_id),
            ("container-base", container.container_id),
        }
    assert table(connection, "image_id, size, layer_count", "images") == [(image.image_id, None, 2)]
    found = "SELECT toc_digest, size, diff_id, live FROM storage_layers WHERE layer_id = ?"
    assert connection.execute(found, (base.layer_id,)).fetchone() == (f"sha256:{'e' * 64}", None, None, 1)


def test_layer_for_two_user_namespaces(root: StorageRoot) -> None:
    """Copies of a layer with other owners are one layer in two directories; the image's own stands for both."""
    base = root.layer({"a": b"1"}, layer_id="b" * 64)
    others = [{"container_id": 0, "host_id": 1, "size": 5000}]
    copy = root.layer({"a": b"1"}, layer_id="a" * 64, uidmap=others, gidmap=others)
    image = root.image(base, ["localhost/a:1"], mapped_layers=[copy.layer_id])
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "chain_id, cache_id", "layers") == [(base.chain_id, base.layer_id)]
    owners = table(connection, "cache_id, kind, owner", "overlay_dir_owners WHERE kind = 'layer' ORDER BY 1")
    assert owners == [(copy.layer_id, "layer", base.chain_id), (base.layer_id, "layer", base.chain_id)]
    owners = table(connection, "cache_id, owner", "overlay_dir_owners WHERE kind = 'image' ORDER BY 1")
    assert owners == [(copy.layer_id, image.image_id), (base.layer_id, image.image_id)]


def test_volatile_layers(root: StorageRoot) -> None:
    """Layers of the volatile list are layers."""
    image = root.image(root.layer(), ["localhost/a:1"])
    container = root.container(image, volatile=True)
    connection = storage_scanned(root)
    assert codes(connection) == set()
    found = "SELECT volatile, names FROM storage_layers WHERE layer_id = ?"
    assert connection.execute(found, (container.layer.layer_id,)).fetchone() == (1, '["c-layer"]')
    assert roles(connection)[container.layer.layer_id] == "container"


def test_incomplete_layer(root: StorageRoot) -> None:
    """A layer that is not whole is being written, or never was; it is no layer."""
    layer = root.layer({"a": b"1"}, flags={"incomplete": True})
    connection = storage_scanned(root)
    assert problems(connection, "incomplete-layer") == [("overlay-layers/layers.json", layer.layer_id)]
    assert table(connection, "name, state, cache_id", "unfinished_layers") == [
        (layer.layer_id, "writing", layer.layer_id)
    ]
    assert roles(connection) == {layer.layer_id: "in-flight"}
    assert table(connection, "chain_id", "layers") == []


def test_dangling_layer(root: StorageRoot) -> None:
    """A layer that no image and no container needs is said to be one; what stands below a container is needed."""
    base = root.layer()
    root.container(root.image(base), name="c")
    root.images.clear()
    lost = root.layer(parent=base)
    connection = storage_scanned(root)
    assert problems(connection, "dangling-layer") == [("overlay-layers/layers.json", lost.layer_id)]
    live = dict(connection.execute("SELECT layer_id, live FROM storage_layers"))
    assert (live[base.layer_id], live[lost.layer_id]) == (1, 0)


def test_orphan(root: StorageRoot) -> None:
    """A directory that is in no list is an orphan."""
    layer = root.layer()
    root.image(layer, ["localhost/a:1"])
    orphan = root.orphan(parent=layer)
    connection = storage_scanned(root)
    assert roles(connection) == {layer.layer_id: "layer", orphan.layer_id: "orphan"}
    assert codes(connection) == set()


def test_folders_that_are_no_layers(root: StorageRoot) -> None:
    """What the driver tries its filesystem with, and keeps beside the layers, is no orphan."""
    for name in ("compat123", "opaque-bug-check1", "metacopy-check1", "volatile-check1"):
        (root.path / "overlay" / name).mkdir()
    (root.path / "overlay/backingFsBlockDev").touch()
    connection = storage_scanned(root)
    assert table(connection, "cache_id", "overlay_dirs") == []
    assert codes(connection) == set()


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'[{"id": 7}]', b"\xff"])
def test_orphan_and_list_that_cannot_be_read(root: StorageRoot, content: bytes) -> None:
    """Where the list of layers tells less than it may, no directory is called an orphan; what an image names is its."""
    layer = root.layer()
    root.image(layer, ["localhost/a:1"])
    orphan = root.orphan()
    root.save()
    root.list_file("layers").write_bytes(content)
    connection = storage_scanned(root.path)
    assert roles(connection) == {layer.layer_id: "layer", orphan.layer_id: "unknown"}
    [(because,)] = table(connection, "because", f"standings WHERE id = '{orphan.layer_id}'")
    assert because.startswith("overlay-layers/layers.json (damaged: ")


def test_passing_layers(root: StorageRoot) -> None:
    """What is being pulled or removed lies in folders that are no layers."""
    (root.path / "overlay/tempdirs/temp-dir-1/0-abc/diff").mkdir(parents=True)
    (root.path / "overlay/tempdirs/lock-1").touch()
    (root.path / "overlay/staging/12").mkdir(parents=True)
    connection = storage_scanned(root)
    found = table(connection, "name, state", "unfinished_layers")
    assert found == [("staging/12", "writing"), ("tempdirs/temp-dir-1", "removing")]
    assert codes(connection) == {"write-set", "removing-layer"}
    assert table(connection, "cache_id", "overlay_dirs") == []


def test_additional_image_store(tmp_path: Path, root: StorageRoot) -> None:
    """Layers that stand on those of another store have their chain, and nothing is missing."""
    other = StorageRoot(tmp_path / "shared", seed=2)
    lent = other.layer({"a": b"1"})
    image = other.image(lent, ["localhost/lent:1"])
    other.save()
    own = root.layer({"b": b"2"}, parent=lent)
    root.image(own, ["localhost/own:1"])
    container = root.container(image, name="c")
    connection = storage_scanned(root, [other.path])
    assert codes(connection) == set()
    assert table(connection, "chain_id, parent_chain_id, cache_id", "layers") == [
        (own.chain_id, lent.chain_id, own.layer_id)
    ]
    lower = "SELECT link, lower_cache_id FROM overlay_lowers WHERE cache_id = ?"
    assert connection.execute(lower, (own.layer_id,)).fetchall() == [(lent.link, lent.layer_id)]
    assert table(connection, "parent_chain_id", "mounts") == [(lent.chain_id,)]
    assert table(connection, "image_id", "containers") == [(image.image_id,)]
    assert container.layer.layer_id in roles(connection)
    (store,) = find_stores(str(root.path), [str(other.path)])
    assert str(other.path) in (store.limits or "")


def test_additional_image_store_that_is_gone(tmp_path: Path, root: StorageRoot) -> None:
    """What cannot be read of it is said, and what stands on it."""
    lent = StorageRoot(tmp_path / "shared", seed=2).layer({"a": b"1"})
    own = root.layer({"b": b"2"}, parent=lent)
    root.image(own, ["localhost/own:1"])
    connection = storage_scanned(root, [tmp_path / "gone"])
    assert problems(connection, "missing-parent") == [("overlay-layers/layers.json", own.layer_id)]
    assert {"missing", "broken-lower", "missing-layer"} <= codes(connection)


# Directories ---------------------------------------------------------------------------------------------------------


def test_lowers_by_layer(root: StorageRoot) -> None:
    """The newer list of lowers counts, which has layers in place of short names."""
    base, other = root.layer({"a": b"1"}), root.layer({"b": b"2"})
    top = root.layer({"c": b"3"}, parent=base)
    root.image(top, ["localhost/a:1"])
    root.image(other, ["localhost/b:1"])
    (root.directory(top) / "lower-layers").write_text(base.layer_id)
    (root.directory(top) / "lower").write_text(f"l/{other.link}")
    connection = storage_scanned(root)
    assert codes(connection) == set()
    found = table(connection, "position, link, lower_cache_id", "overlay_lowers")
    assert found == [(0, other.link, base.layer_id)]
    (root.directory(top) / "lower").unlink()
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "link, lower_cache_id", "overlay_lowers") == [(None, base.layer_id)]
    assert table(connection, "lower_count", f"overlay_dirs WHERE cache_id = '{top.layer_id}'") == [(1,)]


def test_lowers_by_layer_that_is_gone(root: StorageRoot) -> None:
    """A layer in the list of lowers that has no directory is said."""
    base = root.layer({"a": b"1"})
    top = root.layer({"c": b"3"}, parent=base)
    root.image(top, ["localhost/a:1"])
    (root.directory(top) / "lower-layers").write_text(f"{base.layer_id}:{'d' * 64}")
    connection = storage_scanned(root)
    assert problems(connection, "broken-lower") == [(f"overlay/{top.layer_id}/lower", "d" * 64)]


@pytest.mark.parametrize("content", ["../../etc", "a:../b", "", ":".join(["a"] * 1000)])
def test_lowers_by_layer_that_are_none(root: StorageRoot, content: str) -> None:
    """A hostile list of lowers is said, and the short names count."""
    base = root.layer({"a": b"1"})
    top = root.layer({"c": b"3"}, parent=base)
    root.image(top, ["localhost/a:1"])
    (root.directory(top) / "lower-layers").write_text(content)
    connection = storage_scanned(root)
    assert len(codes(connection)) == 1
    assert table(connection, "link, lower_cache_id", "overlay_lowers") == [(base.link, base.layer_id)]


def test_rotated_diff(root: StorageRoot) -> None:
    """Older folders of a layer are said, as their files are not listed."""
    layer = root.layer()
    root.image(layer, ["localhost/a:1"])
    for name in ("diff1", "diff2", "diffx"):
        (root.directory(layer) / name).mkdir()
    assert problems(storage_scanned(root), "rotated-diff") == [(f"overlay/{layer.layer_id}/diff1", None)]


FILES = scan.Options(files=True, jobs=1)
WALK = scan.Options(files=True, walk=True, jobs=1)


def test_files(root: StorageRoot) -> None:
    """A layer is listed from its tar-split, one without it and a container from their folders."""
    base = root.layer({"etc/hosts": b"1"})
    top = root.layer({"etc/hosts": whiteout(), "b": b"2"}, parent=base, tar_split=False)
    image = root.image(top, ["localhost/a:1"])
    container = root.container(image, files={"new": b"3"})
    connection = storage_scanned(root, options=FILES)
    assert codes(connection) <= {"opaque-unknown"}
    found = connection.execute(
        """SELECT d.cache_id, l.source, group_concat(f.path, ' ')
           FROM overlay_dirs AS d JOIN listings AS l USING (listing_id)
           JOIN (SELECT * FROM files WHERE type IN ('file', 'whiteout') ORDER BY path) AS f USING (listing_id)
           GROUP BY 1, 2"""
    )
    assert set(found) == {
        (base.layer_id, "tar-split", "/etc/hosts"),
        (top.layer_id, "walk", "/b /etc/hosts"),
        (container.layer.layer_id, "walk", "/new"),
    }


@pytest.mark.parametrize("place", ["composefs-data/composefs.blob", "additionallayer"])
def test_names_that_are_elsewhere(root: StorageRoot, place: str) -> None:
    """Where the names of a layer's files are not those in its folder, none is listed but from its tar-split."""
    known = root.layer({"etc/hosts": b"1"})
    layer = root.layer({"ab/cdef": b"1"}, parent=known, tar_split=False)
    root.image(layer, ["localhost/a:1"])
    for each in (known, layer):
        file = root.directory(each) / place
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"/elsewhere")
    connection = storage_scanned(root, options=FILES)
    code = "composefs" if "/" in place else "additional-layer"
    where = f"overlay/{layer.layer_id}/{place.partition('/')[0]}"
    assert problems(connection, code) == [(where, layer.layer_id)]
    paths = {path for (path,) in connection.execute("SELECT path FROM files WHERE type = 'file'")}
    assert paths == {"/etc/hosts"}


def test_additional_layer_without_folder(root: StorageRoot) -> None:
    """A layer that another program keeps needs no folder of its own."""
    layer = root.layer({})
    root.image(layer, ["localhost/a:1"])
    root.diff(layer).rmdir()
    (root.directory(layer) / "additionallayer").write_text("/elsewhere")
    connection = storage_scanned(root)
    assert problems(connection, "additional-layer") == [(f"overlay/{layer.layer_id}/additionallayer", None)]
    assert codes(connection) == {"additional-layer"}


def test_mount_program(root: StorageRoot) -> None:
    """Where fuse-overlayfs mounts, deletions are files with names."""
    (root.path / "overlay/.has-mount-program").write_text("true")
    layer = root.layer({"gone": whiteout()}, mount_program=True, tar_split=False)
    root.image(layer, ["localhost/a:1"])
    connection = storage_scanned(root, options=FILES)
    assert table(connection, "name, type", "entries WHERE name != ''") == [("gone", "whiteout")]
    (store,) = find_stores(str(root.path))
    assert store.rules.markers


STATED = [
    (b"7:8:4711", ("file", 0o4711, 7, 8, None)),
    (b"7:8:100644", ("file", 0o644, 7, 8, None)),
    (b"7:8:0600:file", ("file", 0o600, 7, 8, None)),
    (b"0:0:0600:char-5-1", ("char", 0o600, 0, 0, "5:1")),
    (b"0:0:0600:block-8-0-later", ("block", 0o600, 0, 0, "8:0")),
    (b"0:0:0600:pipe", ("fifo", 0o600, 0, 0, None)),
    (b"0:0:0600:socket", ("socket", 0o600, 0, 0, None)),
    (b"0:0:0600:char-0-0", ("whiteout", 0o600, 0, 0, None)),
]


@pytest.mark.parametrize(("value", "expected"), STATED)
def test_stated_owner(root: StorageRoot, value: bytes, expected: tuple[Any, ...]) -> None:
    """Where all files are one user's on disk, an attribute says owner, mode and kind."""
    layer = root.layer({"file": regular(b"", mode=0o640)}, tar_split=False)
    root.image(layer, ["localhost/a:1"])
    os.setxattr(root.diff(layer), "user.containers.override_stat", b"1:2:0750:dir")
    os.setxattr(root.diff(layer) / "file", "user.containers.override_stat", value)
    connection = storage_scanned(root, options=FILES)
    columns = "type, mode, uid, gid, iif(type IN ('char', 'block'), device, NULL)"
    assert table(connection, columns, "entries WHERE name = 'file'") == [expected]
    assert table(connection, "type, mode, uid, gid, xattrs", "entries WHERE name = ''") == [("dir", 0o750, 1, 2, None)]


@pytest.mark.parametrize(
    "value", [b"", b"x", b"1:2", b"1:2:999", b"99999999999:0:0644", b"1:2:0644:nonsense", b"-1:0:0644"]
)
def test_stated_owner_that_is_none(root: StorageRoot, value: bytes) -> None:
    """What cannot be understood leaves the file as it is on disk."""
    layer = root.layer({"file": regular(b"", mode=0o640)}, tar_split=False)
    root.image(layer, ["localhost/a:1"])
    os.setxattr(root.diff(layer), "user.containers.override_stat", b"1:2:0750:dir")
    os.setxattr(root.diff(layer) / "file", "user.containers.override_stat", value)
    connection = storage_scanned(root, options=FILES)
    assert table(connection, "type, mode, uid", "entries WHERE name = 'file'") == [("file", 0o640, os.geteuid())]


def test_stated_owner_without_the_roots(root: StorageRoot) -> None:
    """In a tree whose root does not have it, the attribute is the image's own."""
    layer = root.layer({"file": regular(b"", mode=0o640)}, tar_split=False)
    root.image(layer, ["localhost/a:1"])
    os.setxattr(root.diff(layer) / "file", "user.containers.override_stat", b"7:8:4711")
    connection = storage_scanned(root, options=FILES)
    found = table(connection, "mode, xattrs", "entries WHERE name = 'file'")
    assert found == [(0o640, '["user.containers.override_stat"]')]


# Images --------------------------------------------------------------------------------------------------------------


def test_images(root: StorageRoot) -> None:
    """Images have the ids that they have in every store, with names in full."""
    layer = root.layer({"a": b"1"})
    image = root.image(layer, ["localhost/a:1", f"docker.io/library/debian@sha256:{'d' * 64}", "docker.io/library/a:2"])
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "image_id, size, layer_count, verified, config, target_digest", "images") == [
        (image.image_id, layer.size, 1, 1, image.config.decode(), None)
    ]
    found = table(connection, "ref, repository, tag, digest, image_id, normalized", "image_refs")
    assert set(found) == {
        ("localhost/a:1", "localhost/a", "1", None, image.image_id, "localhost/a:1"),
        ("docker.io/library/a:2", "docker.io/library/a", "2", None, image.image_id, "docker.io/library/a:2"),
        (
            f"docker.io/library/debian@sha256:{'d' * 64}",
            "docker.io/library/debian",
            None,
            f"sha256:{'d' * 64}",
            image.image_id,
            f"docker.io/library/debian@sha256:{'d' * 64}",
        ),
    }
    manifests = table(connection, "digest, image_id, kind, size, on_disk", "image_manifests")
    assert manifests == [(ids.sha256(image.manifest), image.image_id, "image", len(image.manifest), 1)]


def test_image_whose_id_is_not_its_configs(root: StorageRoot) -> None:
    """What was pulled by its table of contents has an id of its own; the index has the config's digest."""
    layer = root.layer()
    one = root.image(layer, ["localhost/a:1"])
    other = root.image(layer, ["localhost/b:1"], storage_id="f" * 64)
    container = root.container(other)
    connection = storage_scanned(root)
    assert codes(connection) == set()
    image_id = ids.sha256(other.config)
    assert {each for (each,) in table(connection, "image_id", "images")} == {one.image_id, image_id}
    assert table(connection, "image_id", f"containers WHERE container_id = '{container.container_id}'") == [(image_id,)]


def test_two_records_of_one_image(root: StorageRoot) -> None:
    """Two records with one config are one image with the names of both."""
    layer = root.layer()
    config = {"created": "2024-01-01T00:00:00Z", "history": []}
    root.image(layer, ["localhost/a:1"], config=config)
    root.image(layer, ["localhost/b:1"], config=config, storage_id="f" * 64)
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert len(table(connection, "image_id", "images")) == 1
    assert [ref for (ref,) in table(connection, "ref", "image_refs")] == ["localhost/a:1", "localhost/b:1"]


def test_manifest_list(root: StorageRoot) -> None:
    """A list of manifests is a name that leads to no image of its own."""
    digest = root.manifest_list(["localhost/many:1"], [{"digest": f"sha256:{'a' * 64}"}])
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "image_id", "images") == []
    assert table(connection, "ref, image_id", "image_refs") == [("localhost/many:1", digest)]
    assert table(connection, "digest, image_id, kind", "image_manifests WHERE index_digest = ''") == [
        (digest, "", "index")
    ]


def test_image_without_layers(root: StorageRoot) -> None:
    """An image without layers is one."""
    image = root.image(None, ["localhost/nothing:1"])
    root.container(image)
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "size, layer_count", "images") == [(0, 0)]
    assert table(connection, "parent_chain_id", "mounts") == [(None,)]


def step(name: str, *, empty: bool = False) -> dict[str, Any]:
    """Return a step of an image's history."""
    return {"created": "2024-01-01T00:00:00Z", "created_by": name, **({"empty_layer": True} if empty else {})}


def test_parents(root: StorageRoot) -> None:
    """A parent is what has the same history but for the last step, with the same layers or all but the last."""
    base = root.layer()
    top = root.layer(parent=base)
    one = root.image(base, history=[step("ADD")])
    label = root.image(base, history=[step("ADD"), step("LABEL", empty=True)])
    run = root.image(top, ["localhost/a:1"], history=[step("ADD"), step("LABEL", empty=True), step("RUN")])
    other = root.image(top, ["localhost/b:1"], history=[step("ADD"), step("ENV", empty=True), step("RUN")])
    connection = storage_scanned(root)
    assert dict(table(connection, "image_id, parent_image_id", "images")) == {
        one.image_id: None,
        label.image_id: one.image_id,
        run.image_id: label.image_id,
        other.image_id: None,
    }
    listed = {image_id for (image_id,) in connection.execute("SELECT image_id FROM listed_images")}
    assert listed == {run.image_id, other.image_id}


# Containers ----------------------------------------------------------------------------------------------------------


def test_containers(root: StorageRoot) -> None:
    """A container has what the storage says and what Podman's own state says."""
    image = root.image(root.layer(), ["localhost/a:1"])
    made = root.container(
        image, name="web", state="exited", exit_code=3, volumes=["data:/d", "/etc:/e:ro"], log=b"2024 stdout F x\n"
    )
    connection = storage_scanned(root)
    assert codes(connection) == set()
    columns = "container_id, name, image_id, image_ref, state, exit_code, driver, mount_id, log_driver, log_bytes"
    assert table(connection, columns, "containers") == [
        (
            made.container_id,
            "web",
            image.image_id,
            "localhost/a:1",
            "exited",
            3,
            "overlay",
            made.layer.layer_id,
            "k8s-file",
            16,
        )
    ]
    volumes = table(connection, "destination, type, name, source, driver, read_write", "container_volumes")
    data = str(root.path / "volumes/data/_data")
    assert volumes == [("/d", "volume", "data", data, "local", 1), ("/e", "bind", None, "/etc", None, 0)]
    path = f"overlay-containers/{made.container_id}/userdata/ctr.log"
    logs = table(connection, "container_id, path, driver, rotation, apparent_bytes", "container_logs")
    assert logs == [(made.container_id, path, "k8s-file", 0, 16)]
    mount = (made.container_id, made.layer.layer_id, image.layers[0].chain_id, made.container_id)
    assert table(connection, "name, mount_id, parent_chain_id, container_id", "mounts") == [mount]
    owners = dict(
        connection.execute("SELECT kind, owner FROM overlay_dir_owners WHERE owner = ?", (made.container_id,))
    )
    assert owners == {"container": made.container_id, "container-base": made.container_id}


@pytest.mark.parametrize("state", ["created", "running", "paused", "exited", "removing"])
def test_states(root: StorageRoot, state: str) -> None:
    """States are in Docker's words."""
    root.container(root.image(root.layer(), ["localhost/a:1"]), state=state)
    (found,) = table(storage_scanned(root), "state, exit_code", "containers")
    assert found == (state, 0 if state == "exited" else None)


NEVER = "0001-01-01T00:00:00Z"
ENDED = "2026-03-01T00:00:00.5Z"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"status": "created", "started": NEVER, "finished": NEVER}, ("created", None, None, None)),
        ({"status": "running", "started": ENDED, "finished": NEVER}, ("running", ENDED, None, None)),
        ({"status": "paused", "started": ENDED, "exitCode": 3, "finished": ENDED}, ("paused", ENDED, None, None)),
        ({"status": "stopped", "started": ENDED, "exitCode": 3, "finished": ENDED}, ("exited", ENDED, ENDED, 3)),
        ({"status": "stopped", "started": ENDED, "finished": ENDED}, ("exited", ENDED, ENDED, None)),
        ({"status": "", "started": ENDED}, ("unknown", ENDED, None, None)),
        ({"status": "thinking"}, ("unknown", None, None, None)),
        (None, ("unknown", None, None, None)),
    ],
)
def test_states_of_crio(root: StorageRoot, state: dict[str, Any] | None, expected: tuple[Any, ...]) -> None:
    """CRI-O writes the state of a container beside it; its containers do not prove that Podman's state is lost."""
    root.of_crio(root.image(root.layer(), ["localhost/a:1"]), "k8s_a", "e" * 64, state)
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "name, sandbox_id, image_ref", "containers") == [("k8s_a", "e" * 64, "k8s.example/a:1")]
    assert table(connection, "state, started_at, finished_at, exit_code", "containers") == [expected]
    assert table(connection, "1", "sources WHERE kind = 'containers' AND state NOT IN ('read', 'absent')") == []


@pytest.mark.parametrize("runs", [True, False])
def test_sandbox_of_crio(root: StorageRoot, *, runs: bool) -> None:
    """A sandbox without a process of its own runs while a container of it runs."""
    image = root.image(root.layer(), ["localhost/a:1"])
    sandbox = root.of_crio(image, "k8s_POD", state={"status": ""})
    root.of_crio(image, "k8s_a", sandbox.container_id, {"status": "running" if runs else "stopped"})
    found = table(storage_scanned(root), "name, state", "containers ORDER BY name")
    expected = ("running", "running") if runs else ("unknown", "exited")
    assert found == list(zip(("k8s_POD", "k8s_a"), expected, strict=True))


@pytest.mark.parametrize("content", [b"", b"torn", b"[]", b'{"status": 7}', b'{"status": "stopped", "exitCode": "x"}'])
def test_damaged_state_of_crio(root: StorageRoot, content: bytes) -> None:
    """What cannot be read of a state is a problem, and nothing else is in doubt."""
    made = root.of_crio(root.image(root.layer(), ["localhost/a:1"]), "k8s_a", "e" * 64)
    (root.userdata(made) / "state.json").write_bytes(content)
    connection = storage_scanned(root)
    assert len(codes(connection)) == 1
    assert table(connection, "name, exit_code", "containers") == [("k8s_a", None)]
    assert table(connection, "1", "sources WHERE kind = 'containers' AND state NOT IN ('read', 'absent')") == []


def test_container_that_podman_does_not_know(root: StorageRoot) -> None:
    """Buildah's working containers have no state on disk."""
    root.container(root.image(root.layer(), ["localhost/a:1"]), name="a-working", state=None, metadata={})
    connection = storage_scanned(root)
    assert codes(connection) == set()
    assert table(connection, "name, state, sandbox_id", "containers") == [("a-working", "unknown", None)]


def test_pod(root: StorageRoot) -> None:
    """A container of a pod says so."""
    made = root.container(root.image(root.layer(), ["localhost/a:1"]))
    root.configs[made.container_id]["pod"] = "d" * 64
    assert table(storage_scanned(root), "sandbox_id", "containers") == [("d" * 64,)]


def test_container_of_another_root_filesystem(root: StorageRoot) -> None:
    """A container that has its files elsewhere is in Podman's state only."""
    made = root.container(None, name="elsewhere")
    root.containers.clear()
    root.layers.clear()
    root.configs[made.container_id]["rootfs"] = "/srv/rootfs"
    connection = storage_scanned(root)
    assert table(connection, "container_id, name, mount_id", "containers") == [(made.container_id, "elsewhere", None)]
    assert "container-without-mount" not in codes(connection)


@pytest.mark.parametrize(("where", "wal"), [("db.sql", False), ("libpod/db.sql", False), ("db.sql", True)])
def test_state_in_sqlite(root: StorageRoot, where: str, wal: bool) -> None:
    """Newer Podmans keep their state in SQLite, with a log beside it, and reading changes neither."""
    root.container(root.image(root.layer(), ["localhost/a:1"]), state="exited", exit_code=4, volumes=["data:/d"])
    root.volumes["data"]["labels"] = {"k": "v"}
    root.save()
    database_file = root.save_sqlite(where, wal=wal)
    before = {file.name: file.read_bytes() for file in database_file.parent.iterdir() if file.is_file()}
    connection = storage_scanned(root.path)
    assert codes(connection) == set()
    assert table(connection, "state, exit_code", "containers") == [("exited", 4)]
    assert table(connection, "name, labels, on_disk", "volumes") == [("data", '{"k":"v"}', 1)]
    assert table(connection, "destination, name", "container_volumes") == [("/d", "data")]
    assert {file.name: file.read_bytes() for file in database_file.parent.iterdir() if file.is_file()} == before


def test_volumes(root: StorageRoot) -> None:
    """A volume is a folder, or what Podman's state knows of another driver; one whose folder is gone is said."""
    root.volume("data", {"k": "v"})
    root.volume("far", driver="nfs")
    root.volume("lost").parent.joinpath("_data").rmdir()
    (root.path / "volumes/lost").rmdir()
    (root.path / "volumes/unknown/_data").mkdir(parents=True)
    connection = storage_scanned(root)
    assert table(connection, "name, driver, labels, on_disk", "volumes") == [
        ("data", "local", '{"k":"v"}', 1),
        ("far", "nfs", None, 0),
        ("lost", "local", None, 0),
        ("unknown", "local", None, 1),
    ]
    assert problems(connection, "missing-volume") == [("volumes/lost", "lost")]


# Bytes ---------------------------------------------------------------------------------------------------------------


def test_disk_usage(root: StorageRoot) -> None:
    """Every block is somebody's, and they add up to what du prints."""
    kb = bytes(1024)
    base = root.layer({"bin/sh": kb * 5})
    image = root.image(base, ["localhost/a:1"])
    container = root.container(image, files={"new": kb * 9}, log=kb * 3, volumes=["data:/d"])
    (root.path / "volumes/data/_data/table").write_bytes(kb * 20)
    (root.userdata(container) / "config.json").write_bytes(kb * 2)
    orphan = root.orphan()
    (root.diff(orphan) / "file").write_bytes(kb * 7)
    for place in (
        "overlay/staging/1/x",
        "overlay/tempdirs/temp-dir-1/0-x/x",
        "overlay/stray",
        "overlay-layers/x/y",
        "tmp/x",
        "secrets/x",
        "unknown/x",
        "storage.lock",
        "vfs-layers/layers.json",
        "vfs-images/images.json",
        "vfs/dir/1/x",
        f"overlay/{base.layer_id}/diff1/x",
    ):
        (root.path / place).parent.mkdir(parents=True, exist_ok=True)
        (root.path / place).write_bytes(kb * 4)
    (root.path / "vfs-layers/layers.json").write_text("[]")
    (root.path / "vfs-images/images.json").write_text("[]")
    root.save()
    root.save_sqlite()
    connection = storage_scanned(root.path, options=WALK)
    command = [*without_capabilities(), "du", "-s", "-x", "--block-size=1", str(root.path)]
    expected = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])
    sums = connection.execute("SELECT sum(disk_bytes) FROM disk_usage WHERE snapshot_id = 1").fetchone()
    assert sums == (expected,)
    query = "SELECT category, owner, apparent_bytes FROM disk_usage WHERE snapshot_id = 1"
    found = {(category, owner): size for category, owner, size in connection.execute(query)}
    assert found["container writable", container.container_id] >= 9 * 1024
    assert found["orphan", orphan.layer_id] >= 7 * 1024
    assert found["image layer", base.layer_id] >= 9 * 1024
    assert found["container logs", container.container_id] == 3 * 1024
    assert found["container files", container.container_id] == 2 * 1024
    assert found["volumes", "data"] == 20 * 1024
    assert found["in-flight", ""] == found["removing", ""] == 4096
    assert ("image metadata", "") in found
    assert ("layer metadata", "") in found
    assert ("engine state", "") in found
    assert found["unaccounted", ""] == 0
    assert found["other", "unknown"] == 4096
    volume = "SELECT apparent_bytes, entry_count FROM volumes WHERE snapshot_id = 1"
    assert connection.execute(volume).fetchall() == [(20 * 1024, 2)]


def test_lists_that_are_replaced(root: StorageRoot) -> None:
    """Two scans of one store say the same."""
    root.container(root.image(root.layer({"a": b"1"}), ["localhost/a:1"]))
    one, two = storage_scanned(root), storage_scanned(root)
    for name in ("layers", "images", "containers", "overlay_dirs", "storage_layers", "problems"):
        assert table(one, "*", name) == table(two, "*", name)


def test_every_value_is_json(root: StorageRoot) -> None:
    """The names of a layer are a JSON list."""
    root.image(root.layer(names=["a", "b"]), ["localhost/a:1"])
    (found,) = table(storage_scanned(root), "names", "storage_layers")
    assert json.loads(found[0]) == ["a", "b"]
