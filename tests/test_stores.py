"""The stores under a folder are found, each is a snapshot of its own, and what is not read is said."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from layerindex.errors import NotAStoreError
from layerindex.stores import default_root, open_stores
from tests.conftest import World, build_world, codes, nobody_special, problems, program, scanned, table
from tests.dataroot import DataRoot
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from pathlib import Path

OTHER_DRIVERS = ("vfs", "aufs", "overlay", "btrfs", "zfs", "devicemapper", "windowsfilter")


def configured(home: Path, settings: object) -> dict[str, str]:
    """Write a rootless engine's daemon.json and return the environment of its user."""
    file = home / ".config/docker/daemon.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return {"HOME": str(home)}


def test_root_that_daemon_json_names(tmp_path: Path) -> None:
    """The data root is what daemon.json says, also by its name before Docker 17.05."""
    assert default_root(configured(tmp_path, {"data-root": "/srv/docker"}), root=False) == "/srv/docker"
    assert default_root(configured(tmp_path, {"graph": "/srv/old"}), root=False) == "/srv/old"
    assert default_root(configured(tmp_path, {"graph": "/srv/old", "data-root": "/srv/new"}), root=False) == "/srv/new"


@pytest.mark.parametrize(
    "settings",
    [{}, {"data-root": "relative"}, {"data-root": 7}, {"data-root": ""}, [], "", "{", "[" * 100_000, "\udcff"],
)
def test_daemon_json_that_names_none(tmp_path: Path, settings: object) -> None:
    """Without a usable word in daemon.json the data root is the engine's default."""
    (tmp_path / ".local/share/docker").mkdir(parents=True)
    environment = configured(tmp_path, {} if settings == "\udcff" else settings)
    if settings == "\udcff":
        (tmp_path / ".config/docker/daemon.json").write_bytes(b"\xff")
    assert default_root(environment, root=False) == f"{tmp_path}/.local/share/docker"


def test_folders_that_the_environment_names(tmp_path: Path) -> None:
    """XDG's variables move both the file and the default."""
    environment = {"HOME": "/nowhere", "XDG_CONFIG_HOME": f"{tmp_path}/config", "XDG_DATA_HOME": f"{tmp_path}/data"}
    (tmp_path / "data/docker").mkdir(parents=True)
    assert default_root(environment, root=False) == f"{tmp_path}/data/docker"
    (tmp_path / "config/docker").mkdir(parents=True)
    (tmp_path / "config/docker/daemon.json").write_text('{"data-root": "/srv/docker"}')
    assert default_root(environment, root=False) == "/srv/docker"


@pytest.mark.skipif(os.path.exists("/etc/docker/daemon.json"), reason="this machine's engine has its own settings")
def test_root_of_the_system(tmp_path: Path) -> None:
    """Root, and who has no rootless engine, mean the system's."""
    assert default_root(configured(tmp_path, {"data-root": "/srv/docker"}), root=True) == "/var/lib/docker"
    assert default_root({"HOME": f"{tmp_path}/nobody"}, root=False) == "/var/lib/docker"


def test_overlay2(world: World) -> None:
    """An overlay2 root is one store, found by its path with a slash, a dot or a symlink in it too."""
    path = world.root.path
    (path.parent / "alias").symlink_to(path)
    for spelling in (f"{path}", f"{path}/", f"{path}/../docker/.", f"{path.parent}/alias"):
        (store,) = open_stores(spelling)
        assert (store.root, store.name, store.limits) == (str(path), "docker-overlay2", None)


def test_fuse_overlayfs(tmp_path: Path) -> None:
    """fuse-overlayfs is read as overlay2 is."""
    root = DataRoot(tmp_path, "fuse-overlayfs")
    top = root.layer(parent=root.layer())
    root.container(root.image(top, ["a:1"]), name="web")
    connection = scanned(root)
    assert codes(connection) == set()
    assert table(connection, "store, driver", "snapshots") == [("docker-fuse-overlayfs", "fuse-overlayfs")]
    roles = [role for (role,) in table(connection, "role", "overlay_dirs ORDER BY role")]
    assert roles == ["container", "init", "layer", "layer"]
    assert len(table(connection, "lower_cache_id", "overlay_lowers WHERE lower_cache_id IS NOT NULL")) == 1 + 2 + 3


@pytest.mark.parametrize("driver", OTHER_DRIVERS)
def test_other_driver(tmp_path: Path, driver: str) -> None:
    """The metadata of another driver is indexed all the same, and one problem says what is not."""
    root = DataRoot(tmp_path / "docker", driver)
    top = root.layer(parent=root.layer())
    image = root.image(top, ["a:1"])
    container = root.container(image, name="web")
    connection = scanned(root)
    assert problems(connection, "other-driver") == [(driver, None)]
    assert codes(connection) == {"other-driver"}
    assert table(connection, "store, driver", "snapshots") == [(f"docker-{driver}", driver)]
    assert table(connection, "image_id, size", "images") == [(image.image_id, image.size)]
    assert table(connection, "ref", "image_refs") == [("a:1",)]
    found = table(connection, "cache_id, verified", "layers")
    assert sorted(found, key=str) == sorted(((layer.cache_id, 1) for layer in top.chain), key=str)
    assert table(connection, "name, mount_id", "containers") == [("web", container.mount.mount_id)]
    assert table(connection, "cache_id", "overlay_dirs") == []
    assert ask(connection, "incomplete-layers", "object problem") == []
    shutil.rmtree(root.container_file(container).parent)
    assert ask(scanned(root), "stale-mounts", "on_disk") == [(None,)]
    said = program("scan", str(root.path), "--db", str(tmp_path / "db")).stderr
    assert f"driver {driver}: its image metadata is indexed" in said


def test_driver_that_is_unknown(tmp_path: Path) -> None:
    """A driver that did not exist when this was written is found by its image metadata."""
    root = DataRoot(tmp_path, "newfs")
    root.image(root.layer(), ["a:1"])
    assert table(scanned(root), "s.driver, i.os", "snapshots s JOIN images i USING (snapshot_id)") == [
        ("newfs", "linux")
    ]


def test_directories_without_metadata(world: World) -> None:
    """A root of which only the driver's folder was kept is still a store; what lacks is a problem each."""
    for name in ("image", "containers", "volumes"):
        shutil.rmtree(world.root.file(name))
    connection = scanned(world.root)
    assert table(connection, "driver", "snapshots") == [("overlay2",)]
    assert problems(connection, "missing") == [("image", None), ("containers", None)]
    assert len(table(connection, "cache_id", "overlay_dirs WHERE role = 'unknown'")) == 7


def test_two_drivers(tmp_path: Path) -> None:
    """Each driver is a snapshot of its own, with the containers that were made under it; volumes are told once."""
    old, new = DataRoot(tmp_path, "aufs", seed=2), DataRoot(tmp_path, "overlay2")
    old.container(old.image(old.layer(), ["a:1"]), name="old")
    new.container(new.image(new.layer(), ["a:1"]), name="new", volumes=["data:/data"])
    connection = scanned(tmp_path)
    joined = "containers JOIN snapshots USING (snapshot_id) ORDER BY containers.name"
    assert table(connection, "containers.name, store", joined) == [("new", "docker-overlay2"), ("old", "docker-aufs")]
    joined = "volumes JOIN snapshots USING (snapshot_id)"
    assert table(connection, "volumes.name, store", joined) == [("data", "docker-overlay2")]
    assert len(table(connection, "ref", "image_refs")) == 2


def test_userns_roots(tmp_path: Path) -> None:
    """The roots of userns-remap are stores of their own beside the one that holds them."""
    for name, root in (("a", tmp_path), ("b", tmp_path / "231072.231072"), ("c", tmp_path / "100000.65536")):
        store = DataRoot(root)
        store.container(store.image(store.layer(), [f"{name}:1"]), name=name)
    (tmp_path / "1.2").mkdir()
    (tmp_path / "3.4").symlink_to("231072.231072")
    connection = scanned(tmp_path)
    roots = ["", "/100000.65536", "/231072.231072"]
    assert table(connection, "root", "snapshots") == [(f"{tmp_path}{root}",) for root in roots]
    joined = "containers c JOIN image_refs r USING (snapshot_id) ORDER BY snapshot_id"
    assert table(connection, "c.name, r.ref", joined) == [("a", "a:1"), ("c", "c:1"), ("b", "b:1")]


def test_userns_root_alone(tmp_path: Path) -> None:
    """A root that holds nothing but a userns root is found by that one."""
    DataRoot(tmp_path / "231072.231072")
    assert [store.root for store in open_stores(str(tmp_path))] == [f"{tmp_path}/231072.231072"]


def test_userns_root_that_is_closed(world: World) -> None:
    """A userns root that may not be opened is a problem of the root that holds it."""
    closed = world.root.file("231072.231072")
    DataRoot(closed)
    closed.chmod(0)
    with nobody_special():
        connection = scanned(world.root)
    closed.chmod(0o700)
    assert problems(connection, "permission-denied") == [("231072.231072", None)]
    assert table(connection, "count(*)", "images") == [(3,)]


def containerd(root: Path) -> None:
    """Make what an engine leaves under a root that keeps images in a containerd elsewhere."""
    (root / "rootfs/overlayfs").mkdir(parents=True)


def test_containerd_elsewhere(tmp_path: Path) -> None:
    """Where images are in a containerd elsewhere, that is said; containers and volumes, the engine's, are indexed."""
    root = DataRoot(tmp_path / "docker")
    image = root.image(root.layer())
    container = root.container(image, name="web", volumes=["data:/data"], extra={"Driver": "overlayfs"})
    for name in ("image", "overlay2"):
        shutil.rmtree(root.file(name))
    containerd(root.path)
    connection = scanned(root)
    assert problems(connection, "other-store") == [("containerd", None)]
    assert codes(connection) == {"other-store"}
    assert table(connection, "store", "snapshots") == [("docker-containerd",)]
    found = table(connection, "container_id, image_id, target_digest", "containers")
    assert found == [(container.container_id, None, image.image_id)]
    assert table(connection, "name", "volumes") == [("data",)]


def test_containerd_beside_overlay2(world: World) -> None:
    """Containers of a containerd store beside a driver's belong to its snapshot."""
    world.root.container(world.other, name="third", extra={"Driver": "overlayfs"})
    containerd(world.root.path)
    connection = scanned(world.root)
    joined = "containers c JOIN snapshots s USING (snapshot_id) ORDER BY c.name"
    found = table(connection, "c.name, s.driver", joined)
    assert found == [("spare", "overlay2"), ("third", "containerd"), ("web", "overlay2")]


def test_engine_id(world: World) -> None:
    """The engine's own id is kept with the snapshot; a damaged one is none."""
    file = world.root.file("engine-id")
    assert table(scanned(world.root), "engine_id", "snapshots") == [(None,)]
    file.write_text("b2a1d4c0-0000-4000-8000-000000000000\n")
    assert table(scanned(world.root), "engine_id", "snapshots") == [("b2a1d4c0-0000-4000-8000-000000000000",)]
    file.write_bytes(b"\xff")
    assert table(scanned(world.root), "engine_id", "snapshots") == [(None,)]


def not_a_store(path: Path) -> str:
    """Return the sentence that refuses a folder."""
    with pytest.raises(NotAStoreError) as raised:
        open_stores(str(path))
    return str(raised.value)


def test_what_is_no_store(tmp_path: Path) -> None:
    """A folder without a store, a file and nothing at all are refused, each with its reason."""
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "etc/zfs").mkdir(parents=True)
    (tmp_path / "etc/containers").mkdir(parents=True)
    assert not_a_store(tmp_path / "etc").startswith(f"{tmp_path}/etc: no container store: nothing of Docker")
    assert not_a_store(tmp_path / "empty").startswith(f"{tmp_path}/empty: no container store: nothing of Docker")
    assert (
        not_a_store(tmp_path / "none")
        == f"{tmp_path}/none: no such folder; name the data root, such as /var/lib/docker"
    )
    assert (
        not_a_store(tmp_path / "file") == f"{tmp_path}/file: not a folder; name the data root, such as /var/lib/docker"
    )


def test_store_nearby(tmp_path: Path) -> None:
    """Who names a folder next to the store is shown the store."""
    root = build_world(tmp_path / "var/lib/docker").root.path
    for near in (tmp_path, root.parent, root / "image"):
        assert not_a_store(near) == f"{near}: no container store; did you mean {root}?"


def test_root_that_is_closed(world: World) -> None:
    """A root that may not be opened is refused with what to do."""
    world.root.path.chmod(0)
    with nobody_special():
        said = not_a_store(world.root.path)
    world.root.path.chmod(0o700)
    assert said == f"{world.root.path}: permission denied; run the scan as root"


def test_no_database_for_no_store(tmp_path: Path) -> None:
    """The program says in one sentence that there is no store, exits with 1 and makes no database."""
    (tmp_path / "empty").mkdir()
    done = program("scan", str(tmp_path / "empty"), "--db", str(tmp_path / "db"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"Error: {tmp_path}/empty: no container store")
    assert not (tmp_path / "db").exists()
