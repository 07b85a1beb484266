"""What is missing is said by one rule: `problems` and `missing-data` agree in every store, whatever is damaged."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from layerindex import catalog
from layerindex.missing import GOING
from layerindex.problems import KINDS
from tests.conftest import World, problems, scanned
from tests.containerd_root import MANIFEST, ContainerdRoot
from tests.kinds import containerd, docker, docker_on_containerd, podman
from tests.test_bad_paths import engine_paths, no_waiting
from tests.test_containerd import app
from tests.test_containers_storage import storage_scanned
from tests.test_containers_storage_bad import World as GraphRoot
from tests.test_law import removed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from tests.kinds import Store

__all__ = ["no_waiting"]

CODES = {code for code in KINDS if code.startswith("missing-")} - {"missing-blob", "missing-link", "missing-log"}
CODES.add("container-without-mount")
"""The codes of what is named and not there."""

CERTAIN: dict[Callable[[Path], Store], set[str]] = {
    docker: CODES,
    podman: {"missing-directory", "missing-image", "missing-layer", "missing-volume", "container-without-mount"},
    containerd: {"missing-directory", "missing-image"},
    docker_on_containerd: {"missing-directory", "missing-image", "missing-volume"},
}
"""What is said of each store when one of its files or folders is removed."""


def answers(connection: sqlite3.Connection) -> set[tuple[str, str, bool]]:
    """Return code and subject of what `missing-data` has, each with whether it is certain."""
    rows = connection.execute(catalog.load("missing-data").sql, {"code": None})
    return {(code, thing, because is None) for _, thing, _, code, _, because, *_ in rows}


def told(connection: sqlite3.Connection) -> set[tuple[str, str, bool]]:
    """Return the same as `problems` has it."""
    rows = connection.execute(catalog.load("problems").sql, {"code": None, "severity": None})
    return {(code, subject, severity != "info") for severity, code, _, subject, *_ in rows if code in CODES}


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", CERTAIN)
def test_they_agree(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """Each file and folder removed: what is missing then has the same code and subject in both."""
    store = kind(tmp_path).path
    found: set[tuple[str, str, bool]] = set()
    for path in engine_paths(store):
        with removed(path, tmp_path / "aside"):
            connection = scanned(store)
            assert answers(connection) == told(connection), path
            found |= answers(connection)
    assert {code for code, _, certain in found if certain} == CERTAIN[kind]


def going(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return which things were on their way, each with what needed it."""
    return connection.execute("SELECT used_kind, user FROM recorded_uses WHERE user_kind = ?", (GOING,)).fetchall()


def test_container_of_containerd_without_snapshot(tmp_path: Path) -> None:
    """A container whose snapshot is gone has no writable layer; one without a snapshotter needs none."""
    root = ContainerdRoot(tmp_path / "containerd")
    image = app(root)
    root.container("bare", image)
    del root.meta["default"]["snapshots"]["overlayfs"]["bare"]
    connection = scanned(root.write().path)
    assert ("container-without-mount", "bare", True) in answers(connection)
    assert answers(connection) == told(connection)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Give a way to have something done at each wait between two looks."""
    return lambda act: monkeypatch.setattr(time, "sleep", lambda _: act())


def test_container_that_goes_with_its_volume(world: World, meanwhile: Callable[[Callable[[], object]], None]) -> None:
    """A container that is gone a moment later does not miss the volume that went with it."""
    shutil.rmtree(world.root.file("volumes/data"))
    folder = world.root.container_file(world.container).parent
    meanwhile(lambda: shutil.rmtree(folder, ignore_errors=True))
    connection = scanned(world.root)
    assert answers(connection) == told(connection) == set()
    assert going(connection) == [("volume", world.container.container_id)]


def test_layer_of_podman_that_goes(tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None]) -> None:
    """A layer that is in no list a moment later does not miss its directory."""
    root = GraphRoot(tmp_path / "storage").root
    late = root.layer({"late": b"1"})
    root.save()
    shutil.rmtree(root.directory(late))

    def goes() -> None:
        root.layers = [each for each in root.layers if each["id"] != late.layer_id]
        root.save()

    meanwhile(goes)
    connection = storage_scanned(root.path)
    assert answers(connection) == told(connection) == set()
    assert going(connection) == [("directory", late.chain_id)]


def test_layer_of_podman_without_diff_id(tmp_path: Path) -> None:
    """Where the list does not say which layer it is, an image has as many as it needs, and misses none."""
    world = GraphRoot(tmp_path / "storage")
    for layer in world.root.layers:
        layer.pop("diff-digest", None)
    world.root.save()
    connection = storage_scanned(world.root.path)
    assert answers(connection) == told(connection) == set()


def test_name_of_an_artifact(tmp_path: Path) -> None:
    """A name of containerd that leads to what is no image misses none."""
    root = ContainerdRoot(tmp_path / "containerd")
    config = {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": root.blob(b"{}")}
    text = json.dumps({"config": config, "layers": []})
    root.name("docker.io/library/chart:1", root.blob(text.encode()), MANIFEST)
    connection = scanned(root.write().path)
    assert answers(connection) == told(connection) == set()


def test_what_is_not_read_is_only_good_to_know(world: World) -> None:
    """What may be in a place that could not be read is missing in both, with the place as the cause."""
    world.root.config_file(world.image).write_bytes(b"torn")
    connection = scanned(world.root)
    assert answers(connection) == told(connection) != set()
    rows = connection.execute("SELECT DISTINCT severity, detail FROM problems WHERE code = 'missing-image'").fetchall()
    assert rows == [("info", f"{world.image.image_id} is not there, or in what was not read")]
    where = world.root.config_file(world.image).relative_to(world.root.path)
    assert problems(connection, "bad-json") == [(f"{where}", None)]
