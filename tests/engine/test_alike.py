"""One archive in Docker 20.10, Docker of today, containerd and Podman: the same layers and files for `compare`."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from . import podman as podman_engine
from .conftest import need, new_engine
from .containerd import Containerd, ModernEngine, why_not
from .podman import Podman
from .program import Index, layerindex
from .test_containerd import made

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

HOSTS = ("docker", "modern", "containerd", "podman")
NAMES = ("docker.io/li/app:1", "docker.io/li/base:1")
STACKS = """
SELECT DISTINCT r.normalized, l.position, l.diff_id, l.chain_id, l.image_id FROM image_refs AS r
JOIN image_layers AS l USING (snapshot_id, image_id) WHERE r.snapshot_id = ? ORDER BY 1, 2"""
LISTINGS = "SELECT chain_id, listing_id FROM layers WHERE snapshot_id = ? ORDER BY 1"
SAID = ("images", "tags", "layers", "files", "problems")


@pytest.fixture(scope="module")
def index(modern_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Give the index of all four, each scanned as a host of its own."""
    need(why_not() or podman_engine.why_not())
    folder = tmp_path_factory.mktemp("alike")
    db, saved = folder / "db", folder / "saved.tar"
    saved.write_bytes(made())

    def scan(root: Path, host: str) -> None:
        layerindex("scan", root, "--db", db, "--host", host, "-q")

    with new_engine() as docker:
        docker.docker("load", "--input", saved)
        scan(docker.root, "docker")
    with ModernEngine(modern_root) as modern:
        modern.docker("load", "--input", saved)
        scan(modern.root, "modern")
    with Containerd() as containerd:
        containerd.ctr("images", "import", saved)
        scan(containerd.root, "containerd")
    with Podman() as podman:
        podman("load", "--input", saved)
        # Podman files a name without a registry under localhost.
        podman("tag", "localhost/li/app:1", NAMES[0])
        podman("untag", "localhost/li/app:1", "localhost/li/app:1")
        scan(podman.root, "podman")
    return Index(db)


def test_the_same_layers_and_files(index: Index) -> None:
    """Ids of images, layers and chains are equal, and each layer's files were listed once for all of them."""
    assert [host for (host,) in index.rows("SELECT name FROM hosts ORDER BY host_id")] == list(HOSTS)
    stacks = [index.rows(STACKS, number) for number in range(1, 5)]
    assert {name for name, *_ in stacks[0]} == set(NAMES)
    assert stacks == [stacks[0]] * 4
    listings = [index.rows(LISTINGS, number) for number in range(1, 5)]
    assert listings[0]
    assert listings == [listings[0]] * 4
    assert index.rows("SELECT count(*) FROM listings WHERE diff_id IS NOT NULL") == [(len(listings[0]),)]
    assert index.rows("SELECT cache_id FROM overlay_dirs WHERE role NOT IN ('layer')") == []


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(HOSTS, 2)))
def test_compare(index: Index, one: str, other: str) -> None:
    """Between any two there is no difference but in sizes, which each engine counts in its own way."""
    answer = layerindex("compare", one, other, "--db", index.path, "--format", "json")
    (found,) = json.loads(answer.stdout)
    counts = {row["section"]: (row["only_a"], row["only_b"], row["differing"]) for row in found["summary"]}
    assert {name: counts[name] for name in SAID} == dict.fromkeys(SAID, (0, 0, 0))
    for name in NAMES:
        answer = layerindex("compare", one, other, "--files", name, "--db", index.path, "--format", "json")
        (found,) = json.loads(answer.stdout)
        assert found["files-of"] == []
