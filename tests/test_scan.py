"""A scan fills every table, and what changes under it is neither a failure nor a false alarm."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from layerindex import __version__
from layerindex.records import TABLES, Container, Image, ImageLayer, Layer, Mount, OverlayDir, Problem, Record
from layerindex.stores import open_stores
from layerindex.writing import records
from tests.conftest import HOST, World, build_world, in_time, problems, scanned, table
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAGS = ("acme/web:1.0", "localhost:5000/acme/web:1.0", "localhost:5000/acme/web", f"acme/web@sha256:{'d' * 64}")


@pytest.fixture
def full(world: World) -> World:
    """Give a store in which every table has something."""
    for tag in TAGS:
        world.root.tag(world.image, tag)
    world.root.removing(world.root.layer())
    world.root.write_set(7, named=True)
    (world.root.path / "containers/junk").touch()
    below = world.root.build_record(world.root.buildkit_dir())
    world.root.build_record(world.root.buildkit_dir(), parent=below)
    return world


OTHERS = {
    *("image_manifests", "blobs", "containerd_snapshots", "leases", "lease_resources", "ingests"),
    "storage_layers",
}
"""Tables of containerd and containers-storage; test_containerd and test_containers_storage fill them."""


def test_every_table_has_rows(full: World) -> None:
    """No table that a scan writes stays empty."""
    connection = scanned(full.root)
    assert {name for name in TABLES.values() if not table(connection, "1", name)} == OTHERS


def test_snapshot(world: World) -> None:
    """A snapshot says of which store, where, when and by which program it is."""
    connection = scanned(world.root)
    columns = "snapshot_id, host_id, store, root, driver, label, status, tool_version"
    (found,) = table(connection, columns, "snapshots")
    assert found == (1, 1, "docker-overlay2", str(world.root.path), "overlay2", None, "complete", __version__)
    assert table(connection, "name, machine_id", "hosts") == [tuple(HOST)]
    ((started, finished, uid),) = table(connection, "started_at, finished_at, uid", "snapshots")
    assert str(started) <= str(finished) <= records.now()
    assert len(str(uid)) == 32


def test_images(world: World) -> None:
    """An image's row is what its config and metadata say, and its size is the sum of its layers'."""
    connection = scanned(world.root)
    image = world.image
    columns = (
        "created_at, architecture, os, variant, size, layer_count, parent_image_id, last_updated_at, verified, config"
    )
    found = connection.execute(f"SELECT {columns} FROM images WHERE image_id = ?", (image.image_id,)).fetchone()
    assert found == (
        image.created,
        "amd64",
        "linux",
        None,
        world.base.size + world.top.size,
        2,
        world.ancestor.image_id,
        "2023-11-14T21:15:00.123456789Z",
        1,
        image.config.decode(),
    )
    query = "SELECT position, diff_id, chain_id FROM image_layers WHERE image_id = ? ORDER BY position"
    layers = [(0, world.base.diff_id, world.base.chain_id), (1, world.top.diff_id, world.top.chain_id)]
    assert connection.execute(query, (image.image_id,)).fetchall() == layers


def test_references(full: World) -> None:
    """References are split from the right: a digest, or a tag that is no registry's port."""
    connection = scanned(full.root)
    columns = "ref, repository, tag, digest"
    found = connection.execute(
        f"SELECT {columns} FROM image_refs WHERE image_id = ?", (full.image.image_id,)
    ).fetchall()
    assert sorted(found, key=str) == [
        ("acme/web:1.0", "acme/web", "1.0", None),
        (f"acme/web@sha256:{'d' * 64}", "acme/web", None, f"sha256:{'d' * 64}"),
        ("localhost:5000/acme/web:1.0", "localhost:5000/acme/web", "1.0", None),
        ("localhost:5000/acme/web:latest", "localhost:5000/acme/web", "latest", None),
    ]


def test_history(tmp_path: Path) -> None:
    """Steps count up; those that made a layer name it, as far as the layers go."""
    root = DataRoot(tmp_path)
    steps: list[dict[str, object]] = [
        {"created": "2023-01-01T00:00:00Z", "created_by": "ADD", "author": "me", "comment": "note"},
        {"created_by": "ENV", "empty_layer": True},
        {"created_by": "RUN"},
        {"created_by": "EXTRA"},
    ]
    root.image(root.layer(parent=root.layer()), history=steps)
    columns = "position, created_at, created_by, author, comment, empty_layer, layer_position"
    assert table(scanned(root), columns, "image_history") == [
        (0, "2023-01-01T00:00:00Z", "ADD", "me", "note", 0, 0),
        (1, None, "ENV", None, None, 1, None),
        (2, None, "RUN", None, None, 0, 1),
        (3, None, "EXTRA", None, None, 0, None),
    ]


def test_layers_and_blobs(world: World) -> None:
    """A layer's row is what its files say, beside the blobs it was pulled as."""
    connection = scanned(world.root)
    query = "SELECT diff_id, parent_chain_id, cache_id, size, verified FROM layers WHERE chain_id = ?"
    top, base = world.top, world.base
    found = connection.execute(query, (top.chain_id,)).fetchall()
    assert found == [(top.diff_id, base.chain_id, top.cache_id, top.size, 1)]
    assert (base.diff_id, world.blob, "docker.io/library/debian") in table(
        connection, "diff_id, digest, source_repository", "layer_blobs"
    )


def test_unfinished_layers(full: World) -> None:
    """What is being removed or written is no layer, and says which directory it holds."""
    connection = scanned(full.root)
    found = dict(table(connection, "state, cache_id", "unfinished_layers"))
    assert found.keys() == {"removing", "writing"}
    roles = dict(table(connection, "cache_id, role", "overlay_dirs"))
    assert {state: roles[cache_id] for state, cache_id in found.items()} == {
        "removing": "removing",
        "writing": "in-flight",
    }
    owners = table(connection, "cache_id, kind", "overlay_dir_owners WHERE kind IN ('removing', 'writing')")
    assert sorted(owners, key=str) == sorted(((cache_id, state) for state, cache_id in found.items()), key=str)
    assert len(table(connection, "chain_id", "layers")) == 3


def test_directories(world: World) -> None:
    """A directory's row says its role, its files and what lies below it, nearest first."""
    connection = scanned(world.root)
    columns = "role, link, lower_count, has_diff, has_work, has_merged, committed"
    query = f"SELECT {columns} FROM overlay_dirs WHERE cache_id = ?"
    mount, base, top = world.container.mount, world.base, world.top
    assert connection.execute(query, (base.cache_id,)).fetchone() == ("layer", base.link, 0, 1, 0, 0, 1)
    assert connection.execute(query, (top.cache_id,)).fetchone() == ("layer", top.link, 1, 1, 1, 0, 1)
    assert connection.execute(query, (mount.mount_id,)).fetchone() == ("container", mount.link, 3, 1, 1, 0, 0)
    running = world.other_container.mount
    assert connection.execute(query, (running.mount_id,)).fetchone() == ("container", running.link, 2, 1, 1, 1, 0)
    query = "SELECT position, lower_cache_id FROM overlay_lowers WHERE cache_id = ? ORDER BY position"
    below = [(0, mount.init_id), (1, top.cache_id), (2, base.cache_id)]
    assert connection.execute(query, (mount.mount_id,)).fetchall() == below
    query = "SELECT target, cache_id FROM links WHERE link = ?"
    assert connection.execute(query, (top.link,)).fetchall() == [(f"../{top.cache_id}/diff", top.cache_id)]
    owners = set(table(connection, "cache_id, kind, owner", "overlay_dir_owners"))
    expected = {
        (top.cache_id, "layer", top.chain_id),
        (mount.mount_id, "container", mount.name),
        (mount.init_id, "init", mount.name),
    }
    assert expected <= owners


def test_containers(world: World) -> None:
    """A container's row joins its config, its host config, its writable layer and its log."""
    container = world.container
    world.root.container_file(container, f"{container.container_id}-json.log.1").write_bytes(b"x" * 10)
    connection = scanned(world.root)
    columns = "container_id, image_id, image_ref, state, exit_code, driver, mount_id, log_driver, log_bytes"
    assert connection.execute(f"SELECT {columns} FROM containers WHERE name = 'web'").fetchone() == (
        container.container_id,
        world.image.image_id,
        "acme/web:1.0",
        "exited",
        0,
        "overlay2",
        container.mount.mount_id,
        "json-file",
        10,
    )
    columns = "container_id, destination, type, name, driver, read_write"
    found = table(connection, columns, "container_volumes")
    assert found == [(container.container_id, "/var/lib/data", "volume", "data", "local", 1)]
    columns = "mount_id, init_id, parent_chain_id, container_id"
    query = f"SELECT {columns} FROM mounts WHERE name = ?"
    mount = (container.mount.mount_id, container.mount.init_id, world.top.chain_id, container.container_id)
    assert connection.execute(query, (container.container_id,)).fetchall() == [mount]
    assert table(connection, "name, driver, options", "volumes") == [
        ("data", "local", '{"type":"tmpfs","device":"tmpfs"}')
    ]


@pytest.mark.parametrize("state", ["running", "paused", "restarting", "removing", "dead", "created", "exited"])
def test_states(tmp_path: Path, state: str) -> None:
    """Each state of a container is told as docker ps tells it."""
    root = DataRoot(tmp_path)
    root.container(root.image(root.layer()), state=state)
    assert table(scanned(root), "state", "containers") == [(state,)]


def test_many_records(tmp_path: Path) -> None:
    """More rows than are bound at once are all there."""
    root = DataRoot(tmp_path)
    names = {f"a:{number}": f"sha256:{number:064x}" for number in range(records.BATCH * 2 + 1)}
    root.references.update(names)
    root.tag("sha256:" + "f" * 64, "last:1")
    connection = scanned(root)
    assert table(connection, "count(*)", "image_refs") == [(len(names) + 1,)]
    assert table(connection, "count(*), max(problem_id)", "problems") == [(len(names) + 1, len(names) + 1)]


# what changes meanwhile


def scanned_while(root: DataRoot, kind: type[Record], change: Callable[[], object]) -> list[Record]:
    """Return all records of a store that is changed once, at its first record of a kind."""
    (store,) = open_stores(str(root.path))
    records: list[Record] = []
    with in_time():
        for record in store.records():
            if isinstance(record, kind) and not any(isinstance(earlier, kind) for earlier in records):
                change()
            records.append(record)
    return records


def found(records: list[Record], kind: type[Record]) -> list[Record]:
    """Return the records of a kind."""
    return [record for record in records if isinstance(record, kind)]


def codes_of(records: list[Record]) -> set[str]:
    """Return the codes of all problems."""
    return {record.code for record in records if isinstance(record, Problem)}


def remove(root: DataRoot, *relative: str) -> Callable[[], None]:
    """Return what takes folders of a store away."""

    def change() -> None:
        for each in relative:
            shutil.rmtree(root.file(each))

    return change


def last(names: list[str]) -> str:
    """Return the name that is read last."""
    return max(names)


def test_layer_that_vanishes(tmp_path: Path) -> None:
    """A layer removed after it was listed has vanished; its directory, still there, is then no orphan."""
    root = DataRoot(tmp_path)
    layers = {layer.chain_id: layer for layer in (root.layer(), root.layer(), root.layer())}
    gone = layers[last(list(layers))]
    records = scanned_while(root, Layer, remove(root, f"image/overlay2/layerdb/sha256/{gone.chain_id[7:]}"))
    assert codes_of(records) == {"vanished"}
    roles = {record.cache_id: record.role for record in records if isinstance(record, OverlayDir)}
    assert roles[gone.cache_id] == "unknown"


def test_layer_that_vanishes_with_its_directory(world: World) -> None:
    """A layer removed with its directory after it was read is a row, and nothing is said against it."""
    gone = world.root.layer()
    change = remove(world.root, f"image/overlay2/layerdb/sha256/{gone.chain_id[7:]}", f"overlay2/{gone.cache_id}")

    def change_both() -> None:
        world.root.link_file(gone.link).unlink()
        change()

    records = scanned_while(world.root, Mount, change_both)
    assert codes_of(records) == set()
    assert gone.chain_id in [record.chain_id for record in records if isinstance(record, Layer)]


def test_image_that_vanishes(world: World) -> None:
    """An image removed after it was listed has vanished, and its tags, gone too, name nothing missing."""
    images = {image.image_id: image for image in (world.ancestor, world.image, world.other)}
    gone = images[last(list(images))]
    for container in (world.container, world.other_container):
        shutil.rmtree(world.root.container_file(container).parent)
        shutil.rmtree(world.root.mount_file(container.mount, "parent").parent)
    records = scanned_while(world.root, Image, lambda: world.root.remove_image(gone))
    assert codes_of(records) == {"vanished"}
    assert len(found(records, Image)) == 2


def test_container_that_vanishes(world: World) -> None:
    """A container removed after it was listed has vanished; what it had is not called stale or missing."""
    containers = {each.container_id: each for each in (world.container, world.other_container)}
    gone = containers[last(list(containers))]
    mount = gone.mount

    def change() -> None:
        for name in (mount.mount_id, str(mount.init_id)):
            world.root.link_file(world.root.overlay_file(name, "link").read_text()).unlink()
        names = (f"containers/{gone.container_id}", f"image/overlay2/layerdb/mounts/{mount.name}")
        remove(world.root, *names, f"overlay2/{mount.mount_id}", f"overlay2/{mount.init_id}")()

    records = scanned_while(world.root, Container, change)
    assert codes_of(records) == {"vanished"}
    assert len(found(records, Container)) == 1


def test_image_that_comes(world: World) -> None:
    """An image that comes after images were listed is not missing, nor anything of it."""
    new = {"new": b""}
    records = scanned_while(world.root, ImageLayer, lambda: world.root.image(world.root.layer(new), ["new:1"]))
    assert codes_of(records) == set()
    assert len(found(records, Image)) == 3


def test_layers_that_come_before_images_are_listed(world: World) -> None:
    """Layers registered after layerdb was listed are read when an image needs them."""
    made: list[str] = []

    def change() -> None:
        made.extend(layer.chain_id for layer in world.root.image(world.root.layer({"new": b""}), ["new:1"]).layers)

    records = scanned_while(world.root, Layer, change)
    assert codes_of(records) == set()
    assert len(made) == 1
    assert set(made) <= {record.chain_id for record in records if isinstance(record, Layer)}


def test_container_that_comes(world: World) -> None:
    """A container that comes after layerdb/mounts was listed has its writable layer all the same."""
    world.root.file("image/overlay2/layerdb/mounts/.tmp-1").touch()  # the first problem, said once mounts are listed
    records = scanned_while(world.root, Problem, lambda: world.root.container(world.other, name="new"))
    assert codes_of(records) == {"leftover"}
    assert {record.name for record in records if isinstance(record, Container)} == {"web", "spare", "new"}
    assert all(record.mount_id for record in records if isinstance(record, Container))


def test_directory_that_comes(world: World) -> None:
    """A directory that comes after the metadata was read may wait for its own: it is in flight, with no problem."""
    made: list[str] = []
    records = scanned_while(world.root, Container, lambda: made.append(world.root.orphan(parent=world.top).cache_id))
    assert codes_of(records) == set()
    roles = {record.cache_id: record.role for record in records if isinstance(record, OverlayDir)}
    assert [roles[name] for name in made] == ["in-flight"]


@pytest.mark.parametrize("kind", [Layer, Image, Container, Mount, OverlayDir])
def test_everything_vanishes(tmp_path: Path, kind: type[Record]) -> None:
    """A store that is deleted while it is scanned is scanned to the end."""
    root = build_world(tmp_path / "docker").root
    records = scanned_while(root, kind, lambda: shutil.rmtree(root.path))
    assert found(records, kind) != []
    assert not root.path.exists()


def test_problems_of_a_whole_store_are_numbered(tmp_path: Path) -> None:
    """Problems are numbered in the order in which they were found, in each snapshot from 1."""
    for name in ("", "/1.2"):
        root = DataRoot(tmp_path / f"docker{name}")
        root.tag("sha256:" + "f" * 64, "a:1")
        root.tag("sha256:" + "f" * 64, "b:1")
    connection = scanned(tmp_path / "docker")
    assert len(problems(connection, "missing-image")) == 4
    assert table(connection, "snapshot_id, problem_id", "problems") == [(1, 1), (1, 2), (2, 1), (2, 2)]
