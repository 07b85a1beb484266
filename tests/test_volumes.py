"""Volumes: those with a folder, those that only the engine's database knows, and what is wrong with either."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.bolt_writer import bolt
from tests.conftest import World, codes, nobody_special, problems, scanned, serious, table
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = "name, driver, options, labels, on_disk"
OPTIONS = '{"type":"tmpfs","device":"tmpfs"}'


def known(name: str, driver: str = "local", **more: object) -> tuple[bytes, bytes]:
    """Return what the engine's database says of a volume, as the engine writes it."""
    value = {"Name": name, "Driver": driver, "Labels": None, "Options": None} | more
    return os.fsencode(name), json.dumps(value).encode()


def database(*items: tuple[bytes, bytes]) -> bytes:
    """Return the engine's database of volumes."""
    return bolt({b"volumes": dict(items)})


def write(world: World, *items: tuple[bytes, bytes]) -> Path:
    """Write the engine's database of volumes."""
    path = world.root.file("volumes/metadata.db")
    path.write_bytes(database(*items))
    return path


def test_labels_and_drivers(world: World) -> None:
    """The database adds labels to volumes with a folder, and has the volumes of other drivers."""
    world.root.volume("plain")
    write(
        world,
        known("data", Labels={"b": "2", "a": "é"}, Options={"type": "tmpfs", "device": "tmpfs"}),
        known("far", "acme/nfs:1", Options={"share": "x"}),
        known("away", "rclone"),
    )
    connection = scanned(world.root)

    assert table(connection, COLUMNS, "volumes") == [
        ("away", "rclone", None, "{}", 0),
        ("data", "local", OPTIONS, '{"a":"é","b":"2"}', 1),
        ("far", "acme/nfs:1", '{"share":"x"}', "{}", 0),
        ("plain", "local", None, None, 1),
    ]
    assert codes(connection) == set()


def test_many(world: World) -> None:
    """A database of more than a page is read whole."""
    write(world, *(known(f"far{number:04}", "acme") for number in range(500)))

    assert table(scanned(world.root), "count(*)", "volumes") == [(501,)]


def test_no_database(world: World) -> None:
    """Older engines had none, which is no problem."""
    connection = scanned(world.root)

    assert table(connection, COLUMNS, "volumes") == [("data", "local", OPTIONS, None, 1)]
    assert codes(connection) == set()


def test_folder_removed_by_hand(world: World) -> None:
    """A local volume that the database names and that is not there is a row, and a problem."""
    write(world, known("data"), known("gone", Labels={"a": "1"}))
    connection = scanned(world.root)

    assert ("gone", "local", None, '{"a":"1"}', 0) in table(connection, COLUMNS, "volumes")
    assert problems(connection, "missing-volume") == [("volumes/gone", "gone")]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"no database" * 1000, "bad-bolt"),
        (database(known("data"))[: 3 * 4096], "bolt-page"),
    ],
    ids=["empty", "another file", "truncated"],
)
def test_damaged_database(world: World, content: bytes, code: str) -> None:
    """Of a damaged database there is a problem, and the folders are listed all the same."""
    write(world).write_bytes(content)
    connection = scanned(world.root)

    assert {path for path, _ in problems(connection, code)} == {"volumes/metadata.db"}
    assert table(connection, COLUMNS, "volumes") == [("data", "local", OPTIONS, None, 1)]


@pytest.mark.parametrize(
    "make",
    [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, lambda path: path.mkdir()],
    ids=["symlink", "fifo", "folder"],
)
def test_what_is_no_database(world: World, make: Callable[[Path], None]) -> None:
    """What stands in the database's place is not opened."""
    make(world.root.file("volumes/metadata.db"))
    connection = scanned(world.root)

    assert problems(connection, "not-regular") == [("volumes/metadata.db", None)]
    assert table(connection, "name", "volumes") == [("data",)]


@pytest.mark.parametrize(
    ("item", "code", "row"),
    [
        ((b"x", b"{"), "bad-json", None),
        ((b"x", b"[]"), "bad-value", None),
        ((b"x", b""), "empty", None),
        ((b"../x", b"{}"), "bad-id", None),
        ((b"..", b"{}"), "bad-id", None),
        ((b"a" * 256, b"{}"), "bad-id", None),
        ((b"x\0y", b"{}"), "bad-id", None),
        ((b"x", b'{"Driver":"d","Labels":{"a":1}}'), "bad-value", ("x", "d", None, None, 0)),
        ((b"x", b'{"Driver":"d","Labels":["a"]}'), "bad-value", ("x", "d", None, None, 0)),
        ((b"x", b'{"Driver":"d","Options":7}'), "bad-value", ("x", "d", None, "{}", 0)),
        ((b"x", b'{"Driver":7}'), "bad-value", ("x", "local", None, "{}", 0)),
        ((b"x\xff\n", b'{"Driver":"d"}'), None, ("x\\xff\n", "d", None, "{}", 0)),
    ],
)
def test_odd_rows_of_the_database(
    world: World, item: tuple[bytes, bytes], code: str | None, row: tuple[object, ...] | None
) -> None:
    """What is no volume is a problem; a bad value is NULL; the others are rows."""
    write(world, known("far", "acme"), item)
    connection = scanned(world.root)

    assert codes(connection) - {"missing-volume"} == ({code} if code else set())
    found = [each for each in table(connection, COLUMNS, "volumes") if each[0] not in ("data", "far")]
    assert found == ([row] if row else [])
    assert table(connection, "1", "volumes WHERE name = 'far'") == [(1,)]


@pytest.mark.parametrize(
    "make",
    [lambda path: path.symlink_to("/"), os.mkfifo, lambda path: path.touch()],
    ids=["symlink", "fifo", "file"],
)
def test_what_is_no_volume(world: World, make: Callable[[Path], None]) -> None:
    """A symlink, fifo or file among volumes is a problem and no volume; what the database says of it is told."""
    make(world.root.file("volumes/x"))
    connection = scanned(world.root)
    assert problems(connection, "not-a-folder") == [("volumes/x", None)]
    assert table(connection, "name", "volumes") == [("data",)]
    write(world, known("x", Labels={"a": "1"}))
    connection = scanned(world.root)

    assert problems(connection, "not-a-folder") == [("volumes/x", None)]
    assert ("x", "local", None, '{"a":"1"}', 0) in table(connection, COLUMNS, "volumes")
    assert serious(connection) == {"not-a-folder"}


def test_volume_that_may_not_be_read(world: World) -> None:
    """A folder that we may not open is a volume all the same."""
    write(world, known("data", Labels={"a": "1"}))
    folder = world.root.file("volumes/data")
    folder.chmod(0)
    try:
        with nobody_special():
            connection = scanned(world.root)
    finally:
        folder.chmod(0o755)

    assert problems(connection, "permission-denied") == [("volumes/data", None)]
    assert table(connection, COLUMNS, "volumes") == [("data", "local", None, '{"a":"1"}', 1)]


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("runc-overlayfs/snapshots/snapshots/7/fs/usr", "the state of BuildKit"),
        ("image/overlay2/layerdb", "a data root of Docker"),
        ("io.containerd.metadata.v1.bolt", "a root of containerd"),
        ("overlay-images", "a store of Podman"),
        ("image/cat", None),
    ],
)
def test_volume_with_a_store_in_it(world: World, path: str, holds: str | None) -> None:
    """A volume that a builder or engine in a container left is called that."""
    (world.root.volume("ci0_state") / path).mkdir(parents=True)
    assert ask(scanned(world.root), "volumes", "name holds") == [("ci0_state", holds), ("data", None)]


def test_volume_that_may_not_be_looked_at(world: World) -> None:
    """What is not seen is not said."""
    data = world.root.volume("ci0_state")
    data.chmod(0)
    with nobody_special():
        found = ask(scanned(world.root), "volumes", "name holds")
    data.chmod(0o700)
    assert found == [("ci0_state", None), ("data", None)]
