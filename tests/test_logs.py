"""Log files of containers: every one of the drivers that write here, with its size, and none is opened."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import World, codes, problems, scanned, table
from tests.test_file_queries import ask

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = "path, driver, rotation, apparent_bytes, disk_bytes"


@pytest.fixture
def folder(world: World) -> Path:
    """Give the folder of a container without logs."""
    found = world.root.container_file(world.container).parent
    (found / f"{found.name}-json.log").unlink()
    return found


def logs(world: World, folder: Path, columns: str = COLUMNS) -> list[Any]:
    """Return the log files of a container, by name."""
    sql = f"container_logs WHERE container_id = '{folder.name}' ORDER BY path"
    return table(scanned(world.root), columns, sql)


def log_bytes(connection: sqlite3.Connection, folder: Path) -> int | None:
    """Return what the container's row says."""
    [(size,)] = table(connection, "log_bytes", f"containers WHERE container_id = '{folder.name}'")
    return None if size is None else int(size)


def test_files_of_both_drivers(world: World, folder: Path) -> None:
    """Each file is a row with its sizes; the number in its name says how old it is."""
    (folder / "local-logs").mkdir()
    base = f"{folder.name}-json.log"
    names = {
        base: ("json-file", 0),
        f"{base}.1": ("json-file", 1),
        f"{base}.12.gz": ("json-file", 12),
        f"{base}.1.gz.tmp": ("json-file", None),
        "local-logs/container.log": ("local", 0),
        "local-logs/container.log.2.gz": ("local", 2),
        "local-logs/container.log-old": ("local", None),
    }
    expected = []
    for number, (name, (driver, rotation)) in enumerate(sorted(names.items()), 1):
        (folder / name).write_bytes(bytes(number * 5000))
        blocks = (folder / name).stat().st_blocks
        expected.append((f"containers/{folder.name}/{name}", driver, rotation, number * 5000, 512 * blocks))
    (folder / "local-logs/other").write_bytes(b"1")
    connection = scanned(world.root)

    assert expected == table(connection, COLUMNS, f"container_logs WHERE container_id = '{folder.name}' ORDER BY path")
    assert sum(size for *_, size, _ in expected) == log_bytes(connection, folder)
    assert codes(connection) == set()


@pytest.mark.parametrize(
    ("nanoseconds", "time"),
    [
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (9_000_000_000_000_000_000, "2255-03-14T16:00:00.000000000Z"),
    ],
)
def test_times(world: World, folder: Path, nanoseconds: int, time: str) -> None:
    """When a log was last written is UTC, to the nanosecond."""
    path = folder / f"{folder.name}-json.log"
    path.touch()
    os.utime(path, ns=(nanoseconds, nanoseconds))
    if path.stat().st_mtime_ns != nanoseconds:
        pytest.skip("this filesystem has no such time")

    assert [(time,)] == logs(world, folder, "modified_at")


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.mkdir()],
    ids=["fifo", "folder"],
)
@pytest.mark.parametrize("place", ["{}-json.log", "{}-json.log.1", "local-logs/container.log"])
def test_what_is_no_log(world: World, folder: Path, place: str, make: Callable[[Path], None]) -> None:
    """What stands in a log's place is a problem, is not opened and has no size."""
    path = folder / place.format(folder.name)
    path.parent.mkdir(exist_ok=True)
    make(path)
    connection = scanned(world.root)

    assert [(f"containers/{path.relative_to(folder.parent)}", folder.name)] == problems(connection, "not-regular")
    assert [] == table(connection, "1", f"container_logs WHERE container_id = '{folder.name}'")
    assert log_bytes(connection, folder) == 0


@pytest.mark.parametrize("place", ["{}-json.log", "{}-json.log.1", "local-logs/container.log"])
def test_log_that_is_a_symlink(world: World, folder: Path, place: str) -> None:
    """A log that was moved elsewhere is said to be, is not followed, leaves the size unknown and nothing in doubt."""
    path = folder / place.format(folder.name)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("/dev/zero")
    connection = scanned(world.root)

    where = f"containers/{path.relative_to(folder.parent)}"
    assert [(where, folder.name)] == problems(connection, "missing-log")
    assert "leads to /dev/zero" in table(connection, "detail", "problems WHERE code = 'missing-log'")[0][0]
    assert log_bytes(connection, folder) is None
    assert [(0, where)] == ask(connection, "logs", "files path", container=folder.name)
    assert [] == table(connection, "1", "sources WHERE kind = 'containers' AND state <> 'read'")


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/"), os.mkfifo], ids=["symlink", "fifo"])
def test_what_is_no_folder_of_logs(world: World, folder: Path, make: Callable[[Path], None]) -> None:
    """What stands in the place of the local driver's folder is a problem, and the size is not known."""
    make(folder / "local-logs")
    connection = scanned(world.root)

    assert [f"containers/{folder.name}/local-logs"] == [path for path, _ in problems(connection, "not-a-folder")]
    assert log_bytes(connection, folder) is None


def test_names_that_print_alike(world: World, folder: Path) -> None:
    """Names of any bytes are rows of their own, also where their printed forms are the same."""
    base = f"{folder.name}-json.log."
    names = [b"\n", b"\\n", b"\xff", b"\\xff", b"1" * 100, b"\xc2\xa0"]
    for name in names:
        (folder / os.fsdecode(base.encode() + name)).touch()

    found = logs(world, folder, "path, rotation")
    assert len(names) == len({path for path, _ in found})
    assert {None} == {rotation for _, rotation in found}


def test_sizes_beyond_63_bits(world: World, folder: Path) -> None:
    """Sparse logs can claim more together than the database holds: then the sum is not known."""
    for number in (1, 2):
        path = folder / f"{folder.name}-json.log.{number}"
        path.touch()
        with suppress(OSError):
            os.truncate(path, 2**63 - 1)
        if path.stat().st_size == 0:
            pytest.skip("this filesystem has no such files")
    connection = scanned(world.root)

    assert log_bytes(connection, folder) is None
    assert [(2,)] == table(connection, "count(*)", f"container_logs WHERE container_id = '{folder.name}'")


def test_logs_of_a_container_whose_config_is_torn(world: World, folder: Path) -> None:
    """The log files are there whatever else is damaged."""
    (folder / f"{folder.name}-json.log").write_bytes(b"12345")
    (folder / "config.v2.json").write_bytes(b"{")
    connection = scanned(world.root)

    assert (5, {"bad-json"}) == (log_bytes(connection, folder), codes(connection) - {"missing-image"})
    assert [(5,)] == table(connection, "apparent_bytes", f"container_logs WHERE container_id = '{folder.name}'")
