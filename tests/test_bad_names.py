"""Names no engine makes, in every folder of a store: said where they do not belong, and kept apart where they do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from layerindex.names import as_text, printable
from tests.conftest import World, problems, scanned, table

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    b"\xff\xfe",
    rb"\xff\xfe",
    b"two\nlines",
    rb"two\nlines",
    b"\x1b[31mred\x07",
    b"caf\xc3\xa9",
    b"cafe\xcc\x81",
    b"\xe2\x80\xaetxt.exe",
    b"-rf",
    b" ",
    b"'; DROP TABLE images; --",
    b"%s{0}$HOME",
    b"a" * 255,
]
"""Not UTF-8, controls, an escape sequence, two spellings of one word, a mark that turns the line, an option …"""

STRICT = [
    "image/overlay2/imagedb/content/sha256",
    "image/overlay2/layerdb/sha256",
    "image/overlay2/layerdb/tmp",
    "image/overlay2/distribution/diffid-by-digest/sha256",
    "image/overlay2/distribution/v2metadata-by-diffid/sha256",
    "overlay2/l",
    "containers",
]
"""Folders in which every name has a shape."""


def make(folder: Path, *, folders: bool) -> None:
    """Make every odd name in a folder, as folders or as files."""
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        path = os.fsencode(folder) + b"/" + name
        if folders:
            os.mkdir(path)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def shown(folder: str, names: list[bytes]) -> list[str]:
    """Return the paths of names in a folder as problems show them."""
    return sorted(f"{folder}/{printable(as_text(name))}" for name in names)


@pytest.mark.parametrize("folders", [False, True], ids=["files", "folders"])
def test_names_without_the_shape(world: World, folders: bool) -> None:
    """Where names have a shape, each odd one is one problem, with its path fit for a terminal."""
    for folder in STRICT:
        make(world.root.file(folder), folders=folders)
    connection = scanned(world.root)
    found = [path for path, _ in problems(connection, "unexpected-entry")]
    assert sorted(found) == sorted(path for folder in STRICT for path in shown(folder, NAMES))
    assert all(path.isprintable() for path in found)


def test_directories(world: World) -> None:
    """Directories of the driver are rows of their own, however odd their names, and lead back to their bytes."""
    make(world.root.file("overlay2"), folders=True)
    connection = scanned(world.root)
    names = [str(name) for (name,) in table(connection, "cache_id", "overlay_dirs")]
    assert {as_text(name) for name in NAMES} <= set(names)
    assert len(names) == len(set(names)) == 7 + len(NAMES)
    paths = [path for path, _ in problems(connection, "unexpected-entry")]
    assert sorted(paths) == sorted(shown("overlay2", NAMES))


def test_files_beside_the_directories(world: World) -> None:
    """A file in the driver's folder is no directory, whatever it is called."""
    make(world.root.file("overlay2"), folders=False)
    connection = scanned(world.root)
    assert sorted(path for path, _ in problems(connection, "unexpected-entry")) == shown("overlay2", NAMES)
    assert len(table(connection, "cache_id", "overlay_dirs")) == 7


def test_volumes(world: World) -> None:
    """Volumes are rows of their own, however odd their names."""
    make(world.root.file("volumes"), folders=True)
    names = table(scanned(world.root), "name", "volumes")
    assert {(as_text(name),) for name in NAMES} <= set(names)
    assert len(names) == 1 + len(NAMES)


def test_files_in_volumes(world: World) -> None:
    """A file in volumes/ is a problem, and no volume."""
    make(world.root.file("volumes"), folders=False)
    connection = scanned(world.root)
    assert sorted(path for path, _ in problems(connection, "not-a-folder")) == shown("volumes", NAMES)
    assert table(connection, "name", "volumes") == [("data",)]


def test_what_belongs_to_the_engine_in_volumes(world: World) -> None:
    """The engine's quota device in volumes/ is neither a volume nor a problem."""
    os.mkfifo(world.root.file("volumes/backingFsBlockDev"))
    connection = scanned(world.root)
    assert table(connection, "name", "volumes") == [("data",)]
    assert table(connection, "code", "problems") == []


def test_mounts(world: World) -> None:
    """Writable layers keep their names apart, and what is said about one shows where it is."""
    folder = world.root.file("image/overlay2/layerdb/mounts")
    make(folder, folders=True)
    for name in NAMES:
        with open(os.fsencode(folder) + b"/" + name + b"/mount-id", "w", encoding="ascii") as file:
            file.write(world.root.hex_id())
    connection = scanned(world.root)
    query = "mounts WHERE container_id IS NULL"
    assert {(as_text(name),) for name in NAMES} == set(table(connection, "name", query))
    where = "image/overlay2/layerdb/mounts"
    assert sorted(path for path, _ in problems(connection, "stale-mount")) == shown(where, NAMES)
    paths = sorted(path for path, _ in problems(connection, "missing-directory"))
    assert paths == shown(where, NAMES)


def test_nested_mounts(world: World) -> None:
    """Docker 28 makes a folder of each part of an image mount's name: each layer has its whole name, to a depth."""
    names = [
        f"{'c' * 64}-registry:5000/team/app",
        f"{'c' * 64}-registry:5000/team",
        "\udcff/\\xff/\\\\x",
        "d/" * 40 + "d",
    ]
    mounts = [world.root.mount(name, parent=world.top, init=False) for name in names[1::-1]]
    mounts += [world.root.mount(name, init=False) for name in names[2:]]
    connection = scanned(world.root)
    found = dict(table(connection, "name, mount_id", "mounts WHERE container_id IS NULL"))
    assert {names[0]: mounts[1].mount_id, names[1]: mounts[0].mount_id, r"\xff/\\xff/\\x": mounts[2].mount_id} == found
    query = "SELECT role FROM overlay_dirs WHERE cache_id = ?"
    assert [connection.execute(query, (mount.mount_id,)).fetchone() for mount in mounts[:3]] == [("mount",)] * 3
    below = "/".join(["image/overlay2/layerdb/mounts", *["d"] * 34])
    assert problems(connection, "unexpected-entry") == [(below, None)]
    assert len(problems(connection, "stale-mount")) == 3


def test_images_and_names_with_odd_text(world: World) -> None:
    """Text in JSON is kept as it is, controls, NULs and all."""
    text = "\x1b[31m\0\n\u202e\U0001f600"
    image = world.root.image(world.base, extra={"architecture": text})
    world.root.container(image, name=text, volumes=[f"data:/{text}"])
    connection = scanned(world.root)
    assert (text,) in table(connection, "architecture", "images")
    assert (text,) in table(connection, "name", "containers")
    assert (f"/{text}",) in table(connection, "destination", "container_volumes")
    assert table(connection, "code", "problems") == []


def test_root_with_an_odd_name(tmp_path: Path, world: World) -> None:
    """The store itself may lie below a name that is not UTF-8."""
    path = os.fsencode(tmp_path) + b"/\xff\n"
    os.rename(world.root.path, path)
    connection = scanned(tmp_path / os.fsdecode(b"\xff\n"))
    assert table(connection, "root", "snapshots") == [(f"{tmp_path}/\\xff\n",)]
    assert table(connection, "code", "problems") == [("moved-root",)]
