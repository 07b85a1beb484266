"""`overlay_dir_owners` holds every reason for a directory, and the role follows from the strongest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conftest import World, problems, scanned
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def owners(connection: sqlite3.Connection, cache_id: str | None) -> set[tuple[str, str]]:
    """Return all reasons for a directory."""
    return set(connection.execute("SELECT kind, owner FROM overlay_dir_owners WHERE cache_id = ?", (cache_id,)))


def role(connection: sqlite3.Connection, cache_id: str | None) -> Any:  # noqa: ANN401
    """Return the role of a directory."""
    return connection.execute("SELECT role FROM overlay_dirs WHERE cache_id = ?", (cache_id,)).fetchone()[0]


def test_a_shared_layer(world: World) -> None:
    """A layer, the images that reach it and the containers that stand on it are all reasons."""
    connection = scanned(world.root)
    container = world.container.container_id
    users = {("image", world.image.image_id), ("container-base", container)}
    base = {("layer", world.base.chain_id), ("image", world.ancestor.image_id)}

    assert owners(connection, world.base.cache_id) == users | base
    assert owners(connection, world.top.cache_id) == users | {("layer", world.top.chain_id)}


def test_a_container_without_image(world: World) -> None:
    """After `rmi -f` only the container holds the layers."""
    world.root.remove_image(world.other)
    layer = world.other.layers[0]

    found = owners(scanned(world.root), layer.cache_id)
    assert found == {("layer", layer.chain_id), ("container-base", world.other_container.container_id)}


def test_writable_layers(world: World) -> None:
    """A container's own directories name it; what no container explains is told apart."""
    root = world.root
    classic = root.mount(parent=world.top, init=False)
    kit = root.mount(root.buildkit_id(), parent=world.top, init=False)
    stale = root.mount(parent=world.top)
    image = root.mount(f"{world.container.container_id}-acme/web", parent=world.top, init=False)
    connection = scanned(root)
    mount, name = world.container.mount, world.container.container_id

    assert owners(connection, mount.mount_id) == {("container", name)}
    assert owners(connection, mount.init_id) == {("init", name)}
    kinds = {("build-mount", classic), ("build-mount", kit), ("mount", stale), ("image-mount", image)}
    for kind, made in kinds:
        assert owners(connection, made.mount_id) == {(kind, made.name)}
        assert role(connection, made.mount_id) == "mount"
        assert ("mount-base", made.name) in owners(connection, world.base.cache_id)
    assert owners(connection, stale.init_id) == {("mount-init", stale.name)}


def test_an_image_mount_by_its_place(tmp_path: Path) -> None:
    """A mount that a container has mounted as an image is an image mount, whatever its name."""
    root = DataRoot(tmp_path / "docker")
    image = root.image(root.layer({"a": b"1"}), ["a:1"])
    mount = root.mount(parent=image.layers[0], init=False)
    source = str(root.overlay_dir(mount) / "merged")
    point = {"Type": "image", "Source": source, "Destination": "/image", "RW": False}
    root.container(image, extra={"MountPoints": {"/image": point}})

    assert owners(scanned(root), mount.mount_id) == {("image-mount", mount.name)}


def test_lowers(world: World) -> None:
    """What only another directory's lower names is unknown, and the directory that names it is the reason."""
    stray = world.root.orphan(parent=world.base)
    layer = world.root.layer({"x": b"1"}, parent=world.top)
    lower = world.root.overlay_file(layer, "lower")
    lower.write_text(f"l/{stray.link}:{lower.read_text()}")
    connection = scanned(world.root)

    assert owners(connection, stray.cache_id) == {("lower", layer.cache_id)}
    query = "SELECT standing, because FROM standings WHERE id = ?"
    assert connection.execute(query, (stray.cache_id,)).fetchone() == ("unknown", f"in the lower of {layer.cache_id}")


def test_a_circle_of_parents_ends(world: World) -> None:
    """Layers that name each other as parents do not keep a scan from ending."""
    for layer, parent in ((world.base, world.top), (world.top, world.base)):
        world.root.layer_file(layer, "parent").write_text(parent.chain_id)
    connection = scanned(world.root)

    assert ("container-base", world.container.container_id) in owners(connection, world.base.cache_id)
    assert problems(connection, "chain-id-mismatch")
