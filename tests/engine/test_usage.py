"""Every byte of a real store: the sum is du's, and volumes and logs are what the engine says."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import new_engine
from .program import Index, layerindex
from .store import BUILDKIT, CLASSIC, RUN, build, build_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine import Engine

pytestmark = pytest.mark.engine

TALK = ("sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i of a log that is rotated; i=$((i+1)); done")
ROTATED = ("--log-opt", "max-size=20k", "--log-opt", "max-file=3")
LINES = {
    "plain": ("--log-driver", "json-file"),
    "rotated": ("--log-driver", "json-file", *ROTATED),
    "packed": ("--log-driver", "json-file", *ROTATED, "--log-opt", "compress=true"),
    "local": ("--log-driver", "local", *ROTATED),
    "silent": ("--log-driver", "none"),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Give an engine of this module's own, with logs, volumes and containers; it is stopped and started."""
    with new_engine() as started:
        build_store(started)
        _make_logs(started)
        _make_volumes(started)
        build(started, "cached:1", "FROM base:1\nRUN mkdir /made && echo 1 > /made/file\n", {}, BUILDKIT)
        build(started, "other:1", "FROM base:1\nCOPY app /srv/app\n", {"app": b"1" * 5000}, CLASSIC)
        started.docker("rmi", "cached:1")
        started.docker("run", "-d", *RUN, "--name", "writes", "base:1", "sh", "-c", "echo 1 > /file; exec sleep 100000")
        yield started


def _make_logs(engine: Engine) -> None:
    for name, options in LINES.items():
        engine.docker("run", *RUN, "--name", name, *options, "base:1", *TALK)


def _make_volumes(engine: Engine) -> None:
    engine.docker("volume", "create", "--label", "team=a", "--label", "b=é", "labelled")
    engine.docker("volume", "create", "unused")
    device = engine.folder / "device"
    device.mkdir()
    (device / "inside").write_bytes(b"1" * 9000)
    bind = ("--opt", "type=none", "--opt", "o=bind", "--opt", f"device={device}")
    engine.docker("volume", "create", *bind, "bound")
    engine.docker("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "memory")
    mounts = ("-v", "labelled:/l", "-v", "bound:/b", "-v", "memory:/m", "-v", "/anonymous")
    fill = "echo 12345 > /l/one; mkdir /l/sub; echo 1 > /l/sub/two; echo 1 > /anonymous/x; ln -s /x /l/link; "
    engine.docker("run", "-d", *RUN, "--name", "mounts", *mounts, "base:1", "sh", "-c", fill + "exec sleep 100000")
    engine.docker("volume", "create", "deleted")
    shutil.rmtree(engine.root / "volumes" / "deleted")


def walked(engine: Engine, folder: Path) -> Index:
    """Scan every byte of an engine's root."""
    db = folder / "layerindex.db"
    layerindex("scan", engine.root, "--db", db, "--host", "h1", "-q", "--walk")
    return Index(db)


def du(path: Path) -> int:
    """Return what du prints, but for the folder that is bound into a volume: its bytes lie elsewhere."""
    bound = f"{path}/volumes/bound/_data"
    mounted = f" {bound} " in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    command = ["du", "-s", "-x", "--block-size=1", *([f"--exclude={bound}"] if mounted else []), str(path)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def assert_every_byte(engine: Engine, folder: Path) -> Index:
    """Check that the rows add up to what du prints, and that nothing is left over or in doubt."""
    before = du(engine.root)
    index = walked(engine, folder)
    after = du(engine.root)
    if before != after:
        pytest.skip("the engine wrote meanwhile")
    assert [(after,)] == index.rows("SELECT sum(disk_bytes) FROM disk_usage")
    assert [(0,)] == index.rows("SELECT disk_bytes FROM disk_usage WHERE category = 'unaccounted'")
    assert [] == index.rows("SELECT * FROM disk_usage WHERE note LIKE '%could not%'")
    return index


@pytest.fixture(scope="module")
def index(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Give the index of the engine's store while its containers run."""
    return assert_every_byte(engine, tmp_path_factory.mktemp("walked"))


@pytest.fixture(scope="module")
def system(engine: Engine) -> dict[str, Any]:
    """Give what the engine says of its use of disk, in bytes."""
    found: dict[str, Any] = engine.get("/system/df")
    return found


def test_every_byte(index: Index) -> None:
    """The fixture has compared the sum with du's while containers run."""
    assert index.rows("SELECT 1 FROM disk_usage WHERE category = 'container writable'")


def test_volumes_are_the_engines(engine: Engine, index: Index) -> None:
    """The volumes, with driver, labels and mount options, are what docker volume ls and inspect list."""
    listed = {row["Name"]: row for row in engine.rows("volume", "ls")}
    found = {name: rest for name, *rest in index.rows("SELECT name, driver, labels, options, on_disk FROM volumes")}
    # The engine lists what has a folder; of the other its database still has the name.
    assert set(listed) | {"deleted"} == set(found)
    assert ["local", "{}", None, 0] == found.pop("deleted")
    for name, (driver, labels, options, on_disk) in found.items():
        [told] = engine.inspect(name, kind="volume")
        assert (told["Driver"], told["Labels"] or {}, 1) == (driver, json.loads(labels), on_disk)
        assert bool(told["Options"]) == (options is not None)
    assert [("volumes/deleted",)] == index.rows("SELECT path FROM problems WHERE code = 'missing-volume'")


def test_sizes_of_volumes(index: Index, system: dict[str, Any]) -> None:
    """A volume's apparent bytes are the Size of docker system df -v; what that leaves out, docker does not count."""
    sizes = {volume["Name"]: volume["UsageData"]["Size"] for volume in system["Volumes"]}
    assert sizes.pop("deleted") == -1  # the engine's word for unknown
    sql = "SELECT name, apparent_bytes FROM volumes WHERE on_disk AND options IS NULL"
    assert sizes == dict(index.rows(sql))
    counted = index.rows("SELECT owner FROM disk_usage WHERE category = 'volumes' AND counted_by_docker")
    assert set(sizes) == {name for (name,) in counted}
    assert {"bound", "memory"}.isdisjoint(sizes)


def test_layers_are_the_engines(index: Index, system: dict[str, Any]) -> None:
    """The layers that docker counts are the ones that add up to its LayersSize."""
    sql = """SELECT sum(y.size) FROM layers AS y JOIN disk_usage AS u ON u.owner = y.cache_id
             WHERE u.category = 'image layer' AND u.counted_by_docker"""
    assert [(system["LayersSize"],)] == index.rows(sql)


def test_estimates_are_near(engine: Engine, index: Index, tmp_path: Path) -> None:
    """What layers take on disk is known without --walk, too: from the sizes of their files.

    To 2 % or two blocks: what keeps an attribute outside of its inode takes one more.
    """
    measured = dict(index.rows("SELECT owner, disk_bytes FROM disk_usage WHERE category = 'image layer'"))
    quick = Index(tmp_path / "quick.db")
    layerindex("scan", engine.root, "--db", quick.path, "--host", "h1", "-q")
    estimated = dict(quick.rows("SELECT owner, estimated_bytes FROM disk_usage WHERE category = 'image layer'"))
    assert len(measured) > 3
    assert measured.keys() == estimated.keys()
    assert pytest.approx(measured, rel=0.02, abs=8192) == estimated
    both = "SELECT sum(coalesce(disk_bytes, estimated_bytes)), count(*) - count(coalesce(disk_bytes, estimated_bytes))"
    [(total, unknown)] = quick.rows(f"{both} FROM disk_usage")
    assert (0, pytest.approx(index.rows("SELECT sum(disk_bytes) FROM disk_usage")[0][0], rel=0.1)) == (unknown, total)


def test_containers_are_the_engines(index: Index, system: dict[str, Any]) -> None:
    """What a container wrote is what docker counts of it, and so is each container."""
    sql = """SELECT c.container_id, d.apparent_bytes FROM containers AS c
             JOIN overlay_dirs AS d ON d.cache_id = c.mount_id JOIN disk_usage AS u ON u.owner = c.container_id
             WHERE u.category = 'container writable' AND u.counted_by_docker"""
    assert {row["Id"]: row.get("SizeRw", 0) for row in system["Containers"]} == dict(index.rows(sql))


def test_logs_are_the_files(engine: Engine, index: Index) -> None:
    """The log files and their bytes are what ls lists, rotated and packed ones too."""
    for name in LINES:
        [told] = engine.inspect(name, kind="container")
        folder = engine.root / "containers" / told["Id"]
        paths = sorted([*folder.glob("*-json.log*"), *folder.glob("local-logs/container.log*")])
        expected = [(str(path.relative_to(engine.root)), path.stat().st_size) for path in paths]
        found = index.rows(
            "SELECT path, apparent_bytes FROM container_logs WHERE container_id = ? ORDER BY path", told["Id"]
        )
        assert sorted(expected) == found
        [(log_bytes, driver)] = index.rows(
            "SELECT log_bytes, log_driver FROM containers WHERE container_id = ?", told["Id"]
        )
        assert (sum(size for _, size in expected), told["HostConfig"]["LogConfig"]["Type"]) == (log_bytes, driver)
    assert {0, 1, 2} == {number for (number,) in index.rows("SELECT DISTINCT rotation FROM container_logs")}
    drivers = (
        "SELECT DISTINCT l.driver, c.log_driver FROM container_logs AS l JOIN containers AS c USING (container_id)"
    )
    assert {("json-file", "json-file"), ("local", "local")} == set(index.rows(drivers))


def test_every_byte_of_a_stopped_engine(engine: Engine, tmp_path: Path) -> None:
    """The sum is du's when the engine is stopped, and when one was killed and left its mounts."""
    engine.stop()
    try:
        assert_every_byte(engine, tmp_path)
        stopped = engine.root / "volumes" / "unused" / "_data" / "later"
        stopped.write_bytes(b"1" * 100_000)
        (tmp_path / "again").mkdir()
        assert_every_byte(engine, tmp_path / "again")
    finally:
        engine.start()
