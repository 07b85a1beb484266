"""A layer comes before the image that needs it, so that a new one is not unused."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from layerindex.stores.shared import pulls
from tests.conftest import World, scanned
from tests.containerd_root import CREATED, ContainerdRoot
from tests.storageroot import StorageRoot
from tests.test_containers_storage import storage_scanned

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

NEW = "the layer is new; what needs it is written after it"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a layer of the last ten minutes for new, as a scan does."""
    monkeypatch.setattr(pulls, "NEW", 600.0)


def standing(connection: sqlite3.Connection, chain_id: str) -> tuple[str, str | None]:
    """Return the standing of a layer, and why."""
    sql = "SELECT standing, because FROM layer_standings WHERE chain_id = ?"
    ((found, because),) = connection.execute(sql, (chain_id,)).fetchall()
    return found, because


def test_docker(world: World) -> None:
    """A layer that layerdb got just now may have an image soon; an old one has not."""
    lone = world.root.layer({"lone": b"1"})
    where = world.root.layer_dir(lone).relative_to(world.root.path)
    assert standing(scanned(world.root), lone.chain_id) == ("unknown", f"{where} (in motion: {NEW})")
    os.utime(world.root.layer_dir(lone), (0, 0))
    assert standing(scanned(world.root), lone.chain_id) == ("unused", None)


def test_containerd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So may a snapshot, while containerd runs."""
    root = ContainerdRoot(tmp_path / "containerd")
    image = root.image("docker.io/library/a:1", [root.layer({"a": b"1"})])
    del root.meta["default"]["images"][image.name]
    root.write()
    assert standing(scanned(root.path), image.chains[0]) == ("unused", None)
    with root.file("io.containerd.metadata.v1.bolt/meta.db").open("rb") as database:
        fcntl.flock(database, fcntl.LOCK_EX)
        assert standing(scanned(root.path), image.chains[0]) == ("unused", None)
        monkeypatch.setattr(pulls, "time", SimpleNamespace(time=lambda: CREATED.timestamp() + 60))
        because = f"io.containerd.metadata.v1.bolt/meta.db: {image.chains[0]} (in motion: {NEW})"
        assert standing(scanned(root.path), image.chains[0]) == ("unknown", because)


def test_podman(tmp_path: Path) -> None:
    """So may a layer in the list, which says when it was made."""
    root = StorageRoot(tmp_path / "storage")
    root.image(root.layer({"a": b"1"}), ["localhost/a:1"])
    lone = root.layer({"lone": b"1"})
    root.save()
    assert standing(storage_scanned(root.path), lone.chain_id) == ("unused", None)
    root.layers[-1]["created"] = datetime.now(UTC).isoformat()
    root.save()
    because = f"overlay-layers/layers.json: {lone.layer_id} (in motion: {NEW})"
    assert standing(storage_scanned(root.path), lone.chain_id) == ("unknown", because)
