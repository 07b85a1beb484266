"""While an engine works, what has no owner at first sight is looked at again before anything is said."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from layerindex.problems import Damage
from layerindex.stores import open_stores
from layerindex.stores.disk.files import Folder
from layerindex.stores.shared.overlay import in_motion
from tests.conftest import World, problems, scanned
from tests.kinds import containerd, docker, podman

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kinds import Store


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a way to have something done once between two looks, and something else between later ones."""

    def arrange(*acts: Callable[[], object]) -> None:
        waiting = [*reversed(acts)]
        monkeypatch.setattr(time, "sleep", lambda _: waiting.pop()() if waiting else None)

    return arrange


def role(world: World, cache_id: str) -> str | None:
    """Return the role that a scan gives a directory."""
    found = scanned(world.root).execute("SELECT role FROM overlay_dirs WHERE cache_id = ?", (cache_id,)).fetchone()
    return found and str(found[0])


def test_registered_meanwhile(world: World, meanwhile: Callable[[Callable[[], object]], None]) -> None:
    """A directory whose layer is registered a moment later is that layer's."""
    layer = world.root.layer({"late": b"1"})
    folder = world.root.layer_dir(layer)
    hidden = folder.rename(world.root.path / "hidden")
    meanwhile(lambda: hidden.rename(folder))

    assert role(world, layer.cache_id) == "layer"


@pytest.mark.parametrize(("age", "expected"), [(0, "layer"), (60, "orphan")])
def test_registered_late(world: World, meanwhile: Callable[..., None], age: int, expected: str) -> None:
    """Where directories came or went lately there is a third look; a quiet store does not pay for one."""
    layer = world.root.layer({"late": b"1"})
    folder = world.root.layer_dir(layer)
    hidden = folder.rename(world.root.path / "hidden")
    os.utime(world.root.path / "overlay2", (0, time.time() - age))
    meanwhile(lambda: None, lambda: hidden.rename(folder))

    assert role(world, layer.cache_id) == expected


def test_removed_meanwhile(world: World, meanwhile: Callable[[Callable[[], object]], None]) -> None:
    """A directory that goes away before the second look was in motion."""
    stray = world.root.orphan()
    meanwhile(lambda: shutil.rmtree(world.root.overlay_dir(stray)))

    assert role(world, stray.cache_id) == "in-flight"


def test_source_that_fails_meanwhile(world: World, meanwhile: Callable[[Callable[[], object]], None]) -> None:
    """A source that cannot be read the second time is a doubt as one that cannot be read the first time."""
    stray = world.root.orphan()
    folder = world.root.path / "image" / "overlay2" / "layerdb" / "mounts"

    def replace() -> None:
        shutil.rmtree(folder)
        folder.touch()

    meanwhile(replace)

    connection = scanned(world.root)
    found = connection.execute("SELECT standing, because FROM standings WHERE id = ?", (stray.cache_id,))
    role, because = found.fetchone()
    assert role == "unknown"
    assert because.startswith("image/overlay2/layerdb/mounts (damaged: it is not a folder); ")


def test_missing_directory_of_a_layer_that_goes(
    world: World, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """A layer whose directory went first is not missing it when it is gone itself."""
    layer = world.root.layer({"going": b"1"})
    shutil.rmtree(world.root.overlay_dir(layer))
    meanwhile(lambda: shutil.rmtree(world.root.layer_dir(layer)))

    assert not problems(scanned(world.root), "missing-directory")


def test_missing_directory_stays(world: World, meanwhile: Callable[[Callable[[], object]], None]) -> None:
    """A layer that stays without its directory is said to miss it."""
    layer = world.root.layer({"going": b"1"})
    shutil.rmtree(world.root.overlay_dir(layer))
    meanwhile(lambda: None)

    assert [subject for _, subject in problems(scanned(world.root), "missing-directory")] == [layer.chain_id]


def emptied(kind: Callable[[Path], Store], folder: Path) -> tuple[Path, Callable[[], str]]:
    """Take the files out of a layer's directory; return it, and what asks for the finding about the files."""
    path = kind(folder).path
    (store,) = open_stores(str(path))
    found = scanned(path).execute("SELECT cache_id FROM layers WHERE cache_id IS NOT NULL ORDER BY 1").fetchone()
    files = path / store.tree(found[0])
    shutil.rmtree(files)

    def finding() -> str:
        with pytest.raises(Damage) as caught:
            os.close(store.open_tree(found[0]))
        return caught.value.problem.code

    return files.parent, finding


@pytest.mark.parametrize("kind", [docker, containerd, podman])
def test_directory_that_loses_its_files(
    tmp_path: Path, kind: Callable[[Path], Store], meanwhile: Callable[..., None]
) -> None:
    """Engines remove the files before the directory: it is gone itself a moment later, or it lacks them."""
    directory, finding = emptied(kind, tmp_path)
    meanwhile(lambda: None)
    assert finding() == "missing"
    meanwhile(lambda: shutil.rmtree(directory))
    assert finding() == "vanished"
    assert finding() == "vanished"


@pytest.mark.parametrize("kind", [docker, containerd, podman])
def test_directory_that_lost_its_files_long_ago(
    tmp_path: Path, kind: Callable[[Path], Store], meanwhile: Callable[..., None]
) -> None:
    """Nobody waits for an engine where nothing changed lately."""
    directory, finding = emptied(kind, tmp_path)
    os.utime(directory, (0, time.time() - 60))
    meanwhile(lambda: shutil.rmtree(directory))
    assert finding() == "missing"
    assert directory.exists()


def test_what_changed_behind_a_symlink(tmp_path: Path) -> None:
    """It is not looked at: no symlink is followed on the way, wherever on it one stands."""
    (tmp_path / "real/a/b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with Folder(str(tmp_path)) as folder:
        assert in_motion(folder)
        assert in_motion(folder, "real", "a", "b")
        assert not in_motion(folder, "link", "a", "b")
        assert not in_motion(folder, "real", "gone")
        os.utime(tmp_path / "real/a/b", (0, time.time() - 60))
        assert not in_motion(folder, "real", "a", "b")
