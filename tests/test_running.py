"""Whether an engine is at work is told by the locks on its databases, and decides what a write-set means."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

import pytest

from layerindex.stores.disk.files import Folder
from layerindex.stores.shared import running
from layerindex.stores.shared.running import NEVER, running_since
from tests.conftest import World, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE_SET = "image/overlay2/layerdb/tmp/write-set-1"


def since(world: World) -> float | None:
    """Return since when an engine works on a store."""
    with Folder(str(world.root.path)) as root:
        return running_since(root)


@pytest.fixture
def database(world: World) -> Path:
    """Give the database of volumes that every engine keeps."""
    path = world.root.path / "volumes" / "metadata.db"
    path.write_bytes(b"bolt")
    return path


@pytest.fixture
def locked(database: Path) -> Iterator[None]:
    """Lock it, as an engine does."""
    with database.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def outermost() -> bool:
    """Say whether all locks of the machine are shown to us."""
    return os.stat("/proc/self/ns/pid").st_ino == running.FIRST_NAMESPACE


def test_no_database_says_nothing(world: World) -> None:
    """Where there is nothing to lock, nobody can tell."""
    assert since(world) is None


@pytest.mark.usefixtures("database")
def test_no_lock(world: World) -> None:
    """No lock is no engine, if the locks of all processes are shown."""
    assert since(world) == (NEVER if outermost() else None)


@pytest.mark.usefixtures("database")
def test_a_namespace_hides_locks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a PID namespace of our own, no lock proves nothing."""
    monkeypatch.setattr(running, "FIRST_NAMESPACE", 1)
    assert since(world) is None


@pytest.mark.usefixtures("locked")
def test_lock(world: World) -> None:
    """The engine works since its process was started; here that is the test's."""
    found = since(world)
    assert found is not None
    assert 0 <= time.time() - found < 24 * 3600


@pytest.mark.usefixtures("locked")
def test_write_set_of_the_engine_that_runs(world: World) -> None:
    """What the engine may be writing is no orphan, and the write-set is named as the reason."""
    stray = world.root.write_set(1)
    assert role(world, stray.cache_id) == ("unknown", WRITE_SET)


@pytest.mark.usefixtures("locked")
def test_write_set_of_an_earlier_engine(world: World) -> None:
    """What is older than the engine is left of a crash: nobody will end it."""
    stray = world.root.write_set(1)
    age(world, 1_000_000_000)
    assert role(world, stray.cache_id) == ("orphan", None)


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("young", [True, False])
def test_write_set_that_is_empty(world: World, *, young: bool) -> None:
    """An engine that is killed right after it made one leaves an empty folder."""
    stray = world.root.write_set(1)
    for path in (world.root.path / WRITE_SET).iterdir():
        path.unlink()
    if not young:
        age(world, 1_000_000_000)
    assert role(world, stray.cache_id) == (("unknown", WRITE_SET) if young else ("orphan", None))


@pytest.mark.usefixtures("database")
def test_write_set_without_an_engine(world: World) -> None:
    """Where no engine works, nothing is being written."""
    stray = world.root.write_set(1)
    expected = ("orphan", None) if outermost() else ("unknown", WRITE_SET)
    assert role(world, stray.cache_id) == expected


def role(world: World, cache_id: str) -> tuple[str, str | None]:
    """Return what a scan says of a directory."""
    query = "SELECT role, because FROM overlay_dirs JOIN standings ON id = cache_id WHERE cache_id = ?"
    found: tuple[str, str | None] = scanned(world.root).execute(query, (cache_id,)).fetchone()
    return found[0], found[1] and found[1].removesuffix(" (in motion: a layer is being written)")


def age(world: World, seconds: int) -> None:
    """Let a write-set be that old."""
    folder = world.root.path / WRITE_SET
    for path in (*folder.iterdir(), folder):
        os.utime(path, (seconds, seconds))
