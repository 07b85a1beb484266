"""Paths of containerd: a directory is its snapshotter's folder and a number; blobs and manifests are known by path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from layerindex import database, scan
from layerindex.cli import group
from layerindex.stores import open_stores
from tests.conftest import HOST
from tests.containerd_root import INDEX, MANIFEST, ContainerdRoot
from tests.test_containerd import app

if TYPE_CHECKING:
    from pathlib import Path


class Both(ContainerdRoot):
    """A root of two snapshotters that was scanned."""

    def __init__(self, folder: Path) -> None:
        """Write it, and scan it into a database."""
        super().__init__(folder / "containerd", "native")
        self.native = app(self)
        self.write()
        other = ContainerdRoot(self.path)
        self.app = app(other)
        index = other.index([other.described(self.app.target, MANIFEST)])
        other.name("docker.io/library/index:1", index, INDEX)
        self.index_digest = index
        other.write()
        self.database = str(folder / "db")
        with database.writing(self.database, lambda _: None) as connection:
            for store in open_stores(str(self.path)):
                scan.scan(connection, store, scan.Filing(HOST))

    def ask(self, *words: str) -> tuple[int, Any]:
        """Return the exit code of a command and what it prints."""
        done = CliRunner().invoke(group, [*words, "--db", self.database, "--format", "json"])
        return done.exit_code, json.loads(done.stdout) if done.exit_code == 0 else done.stderr

    def folder(self, snapshotter: str) -> str:
        """Return where the directories of a snapshotter lie."""
        return f"{self.path}/io.containerd.snapshotter.v1.{snapshotter}/snapshots"


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """Give such a root."""
    return Both(tmp_path)


@pytest.mark.parametrize("snapshotter", ["overlayfs", "native"])
def test_number_of_one_snapshotter(both: Both, snapshotter: str) -> None:
    """A path is answered by the snapshotter in it, not by whatever else has that number."""
    path = f"{both.folder(snapshotter)}/2"
    code, [shown] = both.ask("show", path)
    assert (code, shown["directory"]["location"]) == (0, path)
    code, found = both.ask("query", "owner", "-p", f"thing={path}/fs/app")
    assert (code, {row["directory"] for row in found}, len({row["host"] for row in found})) == (0, {"2"}, 1)


@pytest.mark.parametrize(
    "path", ["{root}/io.containerd.snapshotter.v1.devmapper/snapshots/2", "/var/lib/stargz/snapshotter/snapshots/2/fs"]
)
def test_number_of_a_snapshotter_that_is_not_read(both: Both, path: str) -> None:
    """Its directories are nobody's that is known."""
    thing = path.format(root=both.path)
    code, said = both.ask("show", thing)
    assert code == 1
    assert ("of snapshotter devmapper no directories are in this database" in said) == ("devmapper" in thing)
    code, said = both.ask("query", "owner", "-p", f"thing={thing}")
    assert (code, said.partition(" '")[0]) == (1, "Error: no directory")


def test_paths_of_blobs(both: Both) -> None:
    """The path of a config, manifest or index leads to the image, that of a layer's blob to the layer."""
    for digest, kind, id_ in (
        (both.app.image_id, "image", both.app.image_id),
        (both.app.target, "image", both.app.image_id),
        (both.index_digest, "image", both.app.image_id),
        (both.app.layers[0].digest, "layer", both.app.chains[0]),
    ):
        code, shown = both.ask("show", f"{both.blob_file(digest)}")
        assert (code, shown[0]["kind"], shown[0]["id"]) == (0, kind, id_)
