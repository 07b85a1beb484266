"""Ids, short names and folders that cannot be or do not fit together: a problem each, and never a path."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import World, codes, nobody_special, problems, replaced, scanned, serious, table

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = {
    "a path upwards": b"../../etc",
    "the folder itself": b".",
    "the folder above": b"..",
    "an absolute path": b"/etc",
    "a path downwards": b"a/b",
    "an option": b"-rf",
    "a hidden name": b".hidden",
    "a NUL": b"a\0b",
    "two lines": b"a\nb",
    "an escape sequence": b"\x1b[31mred",
    "no ASCII": "caf\u00e9".encode(),
    "300 characters": b"a" * 300,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("file", ["cache-id", "diff", "parent", "mount-id", "init-id", "link", "lower"])
def test_hostile_id(lasting: World, file: str, content: bytes) -> None:
    """An id that looks like none is a problem, is NULL in its table and names no directory."""
    world, mount = lasting, lasting.container.mount
    if file in ("mount-id", "init-id"):
        path = world.root.mount_file(mount, file)
    elif file in ("link", "lower"):
        path = world.root.overlay_file(world.top, file)
    else:
        path = world.root.layer_file(world.top, file)
    with replaced(path):
        path.write_bytes(content)
        connection = scanned(world.root)
    assert problems(connection, "bad-id") == [(str(path.relative_to(world.root.path)), None)]
    query = {
        "cache-id": ("SELECT cache_id FROM layers WHERE chain_id = ?", world.top.chain_id),
        "diff": ("SELECT diff_id FROM layers WHERE chain_id = ?", world.top.chain_id),
        "parent": ("SELECT parent_chain_id FROM layers WHERE chain_id = ?", world.top.chain_id),
        "mount-id": ("SELECT mount_id FROM mounts WHERE name = ?", mount.name),
        "init-id": ("SELECT init_id FROM mounts WHERE name = ?", mount.name),
        "link": ("SELECT link FROM overlay_dirs WHERE cache_id = ?", world.top.cache_id),
        "lower": ("SELECT lower_count FROM overlay_dirs WHERE cache_id = ?", world.top.cache_id),
    }[file]
    assert connection.execute(query[0], query[1:]).fetchall() == [(None,)]


SIZES = [b"1e9", b"0x10", b"+1", b"1 2", b"9223372036854775808", "\u0661".encode(), b"1" * 4000]


@pytest.mark.parametrize("size", SIZES)
def test_size_that_is_none(lasting: World, size: bytes) -> None:
    """A size is decimal digits within 64 bits; any other is a problem, and the image's size is then unknown."""
    path = lasting.root.layer_file(lasting.top, "size")
    with replaced(path):
        path.write_bytes(size)
        connection = scanned(lasting.root)
    assert codes(connection) == {"bad-value"}
    query = "SELECT size FROM images WHERE image_id = ?"
    assert connection.execute(query, (lasting.image.image_id,)).fetchall() == [(None,)]


def test_sizes_that_overflow_together(world: World) -> None:
    """Layers whose sizes are possible and whose sum is not leave the image's size unknown."""
    for layer in (world.base, world.top):
        world.root.layer_file(layer, "size").write_bytes(b"9223372036854775807")
    connection = scanned(world.root)
    where = str(world.root.config_file(world.image).relative_to(world.root.path))
    assert problems(connection, "bad-value") == [(where, world.image.image_id)]


OUTSIDE = ["/etc", "/", "../../etc", "..", "../x/../y/diff", "../x/diff/", "../x", "x", "../../x/diff", "../x/diff\n"]


@pytest.mark.parametrize("target", OUTSIDE)
def test_link_that_leads_elsewhere(world: World, target: str) -> None:
    """A short name that does not point to ../<directory>/diff is not followed; its target is kept."""
    path = world.root.link_file(world.top.link)
    path.unlink()
    path.symlink_to(target)
    connection = scanned(world.root)
    assert problems(connection, "outside-link") == [(f"overlay2/l/{world.top.link}", world.top.link)]
    query = "SELECT target, cache_id FROM links WHERE link = ?"
    assert connection.execute(query, (world.top.link,)).fetchall() == [(target, None)]
    assert "broken-lower" in codes(connection)


def test_link_that_is_not_utf8(world: World) -> None:
    """A target that is not UTF-8 is kept escaped."""
    path = world.root.link_file(world.top.link)
    path.unlink()
    os.symlink(b"\xff\n", path)
    connection = scanned(world.root)
    assert ("\\xff\n", None) in table(connection, "target, cache_id", "links")


def test_links_that_are_none(world: World) -> None:
    """Folders, files and fifos in l/ are rows without a target; other names do not belong there."""
    names = [world.base.link, world.top.link, world.container.mount.link]
    for name in names:
        world.root.link_file(name).unlink()
    world.root.link_file(names[0]).mkdir()
    world.root.link_file(names[1]).touch()
    os.mkfifo(world.root.link_file(names[2]))
    world.root.link_file("short").symlink_to("/etc")
    connection = scanned(world.root)
    assert sorted(problems(connection, "not-a-link")) == sorted((f"overlay2/l/{name}", None) for name in names)
    assert problems(connection, "unexpected-entry") == [("overlay2/l/short", None)]
    query = "SELECT link FROM links WHERE target IS NULL AND cache_id IS NULL ORDER BY link"
    assert [name for (name,) in connection.execute(query)] == sorted(names)


@pytest.mark.parametrize("second", ["2" * 26, "Z" * 26])
def test_two_links_of_one_directory(world: World, second: str) -> None:
    """A second short name is a problem, not the one that the directory's link file has; both lead to it."""
    world.root.link_file(second).symlink_to(f"../{world.top.cache_id}/diff")
    connection = scanned(world.root)
    assert codes(connection) == {"duplicate-link"}
    assert problems(connection, "duplicate-link") == [(f"overlay2/l/{second}", world.top.cache_id)]
    query = "SELECT count(*) FROM links WHERE cache_id = ?"
    assert connection.execute(query, (world.top.cache_id,)).fetchone() == (2,)


def test_one_link_in_two_directories(world: World) -> None:
    """A directory whose link file has another's short name is a problem at its link file."""
    world.root.overlay_file(world.top, "link").write_text(world.base.link)
    connection = scanned(world.root)
    assert problems(connection, "duplicate-link") == [(f"overlay2/{world.top.cache_id}/link", world.base.link)]


def test_lower_that_names_one_twice(world: World) -> None:
    """A lower list that repeats itself is recorded as it stands."""
    lower = f"l/{world.base.link}:l/{world.base.link}"
    world.root.overlay_file(world.top, "lower").write_text(lower)
    shutil.rmtree(world.root.layer_dir(world.base))
    connection = scanned(world.root)
    query = "SELECT position, lower_cache_id FROM overlay_lowers WHERE cache_id = ?"
    found = connection.execute(query, (world.top.cache_id,)).fetchall()
    assert found == [(0, world.base.cache_id), (1, world.base.cache_id)]
    query = "SELECT kind FROM overlay_dir_owners WHERE cache_id = ? AND owner = ?"
    assert connection.execute(query, (world.base.cache_id, world.top.cache_id)).fetchall() == [("lower",)]


@pytest.mark.parametrize("change", ["cut", "longer", "other", "reversed"])
def test_lower_that_is_not_the_parents(world: World, change: str) -> None:
    """What follows the parent in a lower list is what the parent's own has, or it is a finding of that list alone."""
    third = world.root.layer({"a": b"a"}, parent=world.top)
    fourth = world.root.layer({"b": b"b"}, parent=third)
    world.root.image(fourth)
    other = world.other.layers[0]
    changed = {
        "cut": [third, world.top],
        "longer": [third, world.top, world.base, other],
        "other": [third, world.top, other],
        "reversed": [third, world.base, world.top],
    }[change]
    assert not codes(scanned(world.root))
    world.root.overlay_file(fourth, "lower").write_text(":".join(f"l/{layer.link}" for layer in changed))
    connection = scanned(world.root)
    assert codes(connection) == {"lower-mismatch"}
    assert problems(connection, "lower-mismatch") == [(f"overlay2/{fourth.cache_id}/lower", third.cache_id)]


def test_lower_with_too_many(world: World) -> None:
    """More lowers than any engine mounts are a problem."""
    world.root.overlay_file(world.top, "lower").write_text(":".join([f"l/{world.base.link}"] * 513))
    assert codes(scanned(world.root)) == {"bad-value"}


FOLDERS: dict[str, Callable[[World], str]] = {
    "l": lambda _: "overlay2/l",
    "metadata": lambda _: "image/overlay2/imagedb/metadata/sha256",
    "mounts": lambda _: "image/overlay2/layerdb/mounts",
    "layers": lambda _: "image/overlay2/layerdb/sha256",
    "images": lambda _: "image/overlay2/imagedb/content/sha256",
    "sources": lambda _: "image/overlay2/distribution/v2metadata-by-diffid/sha256",
    "containers": lambda _: "containers",
    "volumes": lambda _: "volumes",
    "driver": lambda _: "overlay2",
    "layer": lambda w: f"image/overlay2/layerdb/sha256/{w.top.chain_id[7:]}",
    "mount": lambda w: f"image/overlay2/layerdb/mounts/{w.container.container_id}",
    "container": lambda w: f"containers/{w.container.container_id}",
    "volume": lambda _: "volumes/data",
    "image metadata": lambda w: f"image/overlay2/imagedb/metadata/sha256/{w.image.image_id[7:]}",
}
"""Folders that a scan opens, by what is lost with them."""


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("code", ["not-a-folder", "permission-denied"])
def test_folder_that_cannot_be_opened(world: World, folder: str, code: str) -> None:
    """What cannot be opened is said once, and what other folders hold is there all the same."""
    where = FOLDERS[folder](world)
    path = world.root.file(where)
    if code == "not-a-folder":
        path.rename(world.root.file("elsewhere"))
        path.symlink_to(world.root.file("elsewhere"))
        connection = scanned(world.root)
    else:
        path.chmod(0)
        with nobody_special():
            connection = scanned(world.root)
        path.chmod(0o700)
    found = "elsewhere" if code == "not-a-folder" and "/" not in where else code
    assert [path for path, _ in problems(connection, found)] == [where]
    kept = {"images": 3, "layers": 3, "mounts": 2, "overlay_dirs": 7, "links": 7, "containers": 2, "volumes": 1}
    lost = {"l": ("links",), "driver": ("overlay_dirs", "links")}.get(folder, (folder, f"{folder}s"))
    for name in kept.keys() - set(lost):
        assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (kept[name],), name


def test_denied_place_is_no_proof(world: World) -> None:
    """Directories that may not be looked at are not called missing, nor their short names dangling."""
    world.root.file("overlay2").chmod(0)
    with nobody_special():
        connection = scanned(world.root)
    assert serious(connection) == {"permission-denied"}
    world.root.file("overlay2").chmod(0o700)
    world.root.overlay_dir(world.top).chmod(0)
    with nobody_special():
        connection = scanned(world.root)
    world.root.overlay_dir(world.top).chmod(0o700)
    assert serious(connection) == {"permission-denied"}


def test_layer_and_directory_alone(world: World) -> None:
    """A layer without its directory is a problem; what stands on it leaves in doubt what a stray directory is."""
    orphan = world.root.orphan()
    world.root.link_file(world.top.link).unlink()
    shutil.rmtree(world.root.overlay_dir(world.top))
    connection = scanned(world.root)
    assert [subject for _, subject in problems(connection, "missing-directory")] == [world.top.chain_id]
    [(role, because)] = table(connection, "standing, because", f"standings WHERE id = '{orphan.cache_id}'")
    assert role == "unknown"
    assert "stands on what it names" in because


@pytest.mark.parametrize("unproved", ["buildkit", "damage", "write-set"])
def test_no_orphan_without_proof(world: World, unproved: str) -> None:
    """A directory without an owner is unknown where a source of owners could not be read."""
    orphan = world.root.orphan()
    if unproved == "buildkit":
        world.root.build_record(world.root.buildkit_dir())
        world.root.file("buildkit/snapshots.db").write_bytes(b"torn")
    if unproved == "damage":
        world.root.layer_file(world.top, "cache-id").write_bytes(b"")
    if unproved == "write-set":
        world.root.write_set(1)
    query = "SELECT role FROM overlay_dirs WHERE cache_id = ?"
    assert scanned(world.root).execute(query, (orphan.cache_id,)).fetchall() == [("unknown",)]
