"""Where every byte is: after --walk the rows add up to what du prints, and each is its holder's."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import database, scan, stores
from layerindex.listings import rules, walk
from layerindex.listings.batches import PROBLEMS_KEPT, SMALL_BYTES
from layerindex.usage import attribution as usage_module
from layerindex.usage import measure
from layerindex.usage.measure import Attribution, Count
from layerindex.writing import listings as writer
from tests.conftest import HOST, mounted, nobody_special, without_capabilities
from tests.dataroot import DataRoot, fifo, hardlink, opaque, regular, symlink, whiteout
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dataroot import Container, Files, Layer

KB = bytes(1024)


class Rich:
    """A data root with something in every place; names of what the tests ask for."""

    def __init__(self, path: Path) -> None:
        self.root = root = DataRoot(path)
        files: Files = {"bin/sh": KB * 5, "bin/ash": hardlink("bin/sh"), "pipe": fifo(), "link": symlink("/etc/passwd")}
        self.base: Layer = root.layer(files)
        self.top = root.layer({"srv/app": regular(KB * 9)}, parent=self.base)
        self.lost = root.layer({"gone": KB}, parent=self.base)
        image = root.image(self.top, ["web:1"])
        self.container: Container = root.container(image, name="web", files={"log": KB * 3}, log=KB * 7)
        root.volume("data", {"table": KB * 20})
        root.volume("other", {"table": KB}, options={"MountType": "tmpfs"})
        root.distribution(self.base)
        self.orphan = root.orphan().cache_id
        root.removing(root.layer({"x": KB}))
        for place in (
            "plugins/storage/blobs/sha256/ff",
            "network/files/local-kv.db",
            "buildkit/cache.db",
            "swarm/state.json",
            "containerd/daemon/io/x",
            "tmp/half",
            "trust/key",
            "vfs/dir/1/file",
            "100000.100000/tmp/x",
            "engine-id",
            "volumes/metadata.tmp",
            "overlay2/stray",
            "overlay2/opaque-bug-check1/x",
        ):
            root.file(place).parent.mkdir(parents=True, exist_ok=True)
            root.file(place).write_bytes(KB * 4)

    def content(self, cache_id: str) -> Path:
        """Return a directory's own files."""
        return self.root.content_dir(cache_id)

    @property
    def writable(self) -> Path:
        """Return the files that the container wrote."""
        return self.content(self.container.mount.mount_id)

    @property
    def volume(self) -> Path:
        """Return what the volume holds."""
        return self.root.file("volumes/data/_data")


@pytest.fixture
def rich(tmp_path: Path) -> Rich:
    """Give a data root with something in every place."""
    return Rich(tmp_path / "docker")


def du(path: Path) -> int:
    """Return what du prints."""
    command = [*without_capabilities(), "du", "-s", "-x", "--block-size=1", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return int(printed.split()[0])


def new_database() -> sqlite3.Connection:
    """Return an empty database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    return connection


def counted(
    rich: Rich | DataRoot,
    *,
    walk: bool = True,
    files: bool = True,
    jobs: int = 1,
    small: int = SMALL_BYTES,
    driver: str = "overlay2",
) -> sqlite3.Connection:
    """Scan the root of a driver's store into a new database."""
    root = rich.root if isinstance(rich, Rich) else rich
    connection = new_database()
    [store] = [
        store for store in stores.open_stores(str(root.path)) if (store.driver, store.root) == (driver, str(root.path))
    ]
    connection.execute("BEGIN")
    scan.scan(connection, store, scan.Filing(HOST), scan.Options(files, walk, jobs, small=small))
    connection.execute("COMMIT")
    return connection


def rows(connection: sqlite3.Connection, sql: str = "SELECT * FROM disk_usage") -> list[Any]:
    """Return all rows."""
    return connection.execute(sql).fetchall()


def usage(connection: sqlite3.Connection, category: str, owner: str = "") -> tuple[Any, ...]:
    """Return items, apparent bytes, bytes on disk and note of a holder."""
    sql = "SELECT items, apparent_bytes, disk_bytes, note FROM disk_usage WHERE category = ? AND owner = ?"
    [found] = connection.execute(sql, (category, owner)).fetchall()
    return tuple(found)


def disk(connection: sqlite3.Connection) -> int:
    """Return the sum of all rows."""
    return int(rows(connection, "SELECT sum(disk_bytes) FROM disk_usage")[0][0])


def assert_all(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the rows are what du prints, and nothing is left over."""
    assert du(path) == disk(connection)
    assert [("unaccounted", "", 0)] == rows(
        connection, "SELECT category, owner, disk_bytes FROM disk_usage WHERE category = 'unaccounted'"
    )


def test_rows_add_up_to_du(rich: Rich) -> None:
    """The sum over all holders is what du prints of the root."""
    connection = counted(rich)

    assert_all(connection, rich.root.path)
    assert [] == rows(connection, "SELECT code FROM problems WHERE code IN ('unreadable', 'permission-denied')")
    assert [] == rows(connection, "SELECT * FROM disk_usage WHERE disk_bytes IS NULL OR items IS NULL")
    assert [(0,)] == rows(connection, "SELECT count(*) FROM disk_usage WHERE note <> 'measured' AND disk_bytes <> 0")


@pytest.mark.parametrize(
    ("category", "owner"),
    [
        ("buildkit", ""),
        ("container files", ""),
        ("containerd", ""),
        ("data root", ""),
        ("distribution", ""),
        ("image metadata", ""),
        ("layer metadata", ""),
        ("network", ""),
        ("other", "overlay2"),
        ("other", "trust"),
        ("other driver", "vfs"),
        ("other root", "100000.100000"),
        ("overlay links", ""),
        ("plugins", "storage"),
        ("swarm", ""),
        ("tmp", ""),
        ("volume metadata", ""),
        ("volumes", "data"),
        ("volumes", "other"),
    ],
)
def test_categories(rich: Rich, category: str, owner: str) -> None:
    """Each part of a root has its row."""
    items, _, on_disk, _ = usage(counted(rich), category, owner)
    assert items > 0
    assert on_disk >= 0


def test_roles_of_directories(rich: Rich) -> None:
    """A directory's bytes go by its role, under its own name or its container's, and are all that lies in it."""
    connection = counted(rich)
    mount = rich.container.mount
    for category, owner, cache_id in (
        ("image layer", rich.base.cache_id, rich.base.cache_id),
        ("container writable", rich.container.container_id, mount.mount_id),
        ("container init", mount.init_id, mount.init_id),
    ):
        assert du(rich.root.file(f"overlay2/{cache_id}")) == usage(connection, category, str(owner))[2]
    sql = "SELECT category FROM disk_usage JOIN overlay_dirs ON owner = cache_id WHERE role = 'removing'"
    assert [("removing",)] == rows(connection, sql)


def test_files_of_layers(rich: Rich) -> None:
    """All files and folders of a layer's directory are counted, those that are only compared among them."""
    connection = counted(rich)
    for layer in (rich.base, rich.top):
        folder = rich.root.file(f"overlay2/{layer.cache_id}")
        assert usage(connection, "image layer", layer.cache_id)[0] == 1 + len(list(folder.rglob("*")))


def test_what_docker_counts(rich: Rich) -> None:
    """Layers of images, writable layers and volumes without options are what docker system df counts."""
    sql = "SELECT category, owner FROM disk_usage WHERE counted_by_docker ORDER BY 1, 2"
    expected = [
        ("container writable", rich.container.container_id),
        *(("image layer", cache_id) for cache_id in sorted((rich.base.cache_id, rich.top.cache_id))),
        ("volumes", "data"),
    ]
    for connection in (counted(rich), counted(rich, walk=False)):
        assert expected == rows(connection, sql)


@pytest.mark.parametrize(("walk", "files"), [(True, True), (False, True), (False, False)])
def test_layers_that_the_build_cache_holds(rich: Rich, *, walk: bool, files: bool) -> None:
    """A layer of no image that a record of the build cache holds is build cache, as docker system df says."""
    rich.root.build_record(rich.lost)
    rich.root.build_record(rich.top)
    connection = counted(rich, walk=walk, files=files)
    found = rows(connection, "SELECT owner, counted_by_docker FROM disk_usage WHERE category = 'build cache'")
    assert found == [(rich.lost.cache_id, 1)]
    sql = "SELECT owner FROM disk_usage WHERE category = 'image layer' AND counted_by_docker ORDER BY 1"
    assert rows(connection, sql) == [(name,) for name in sorted((rich.base.cache_id, rich.top.cache_id))]
    if walk:
        assert_all(connection, rich.root.path)


def test_records_that_were_never_measured(rich: Rich) -> None:
    """They have the size that the engine will find: of their layer, or of their directory's files; the same once."""
    of_layer = rich.root.build_record(rich.lost, cache_chainID=rich.lost.chain_id, snapshot_size=-1)
    data = rich.root.buildkit_dir(files={"jar": KB * 30})
    held = rich.root.build_record(data, committed=False, snapshot_size=-1)
    same = rich.root.build_record(data, equal_mutable=held, snapshot_size=-1)
    found = {row[0]: row[1:] for row in ask(counted(rich), "build-cache", "record_id size reclaimable same_as")}
    assert found[of_layer] == (1024, 1024, None)
    assert found[held] == (30 * 1024, 30 * 1024, None)
    assert found[same] == (30 * 1024, 0, held)


def test_logs_are_told_from_other_files(rich: Rich) -> None:
    """A container's logs are a row of their own beside its other files, and are what container_logs says."""
    folder = rich.root.container_file(rich.container).parent
    (folder / "local-logs").mkdir()
    (folder / "local-logs" / "container.log.1.gz").write_bytes(KB * 11)
    (folder / "local-logs" / "other").write_bytes(KB)
    connection = counted(rich)

    found = usage(connection, "container logs", rich.container.container_id)
    assert (2, 18 * 1024) == found[:2]
    assert [found[1:3]] == rows(connection, "SELECT sum(apparent_bytes), sum(disk_bytes) FROM container_logs")
    assert du(folder) == found[2] + usage(connection, "container files", rich.container.container_id)[2]


def link_all(rich: Rich) -> None:
    """Give inodes names in several trees and places."""
    os.link(rich.content(rich.base.cache_id) / "bin/sh", rich.content(rich.top.cache_id) / "shared")
    os.link(rich.content(rich.top.cache_id) / "srv/app", rich.volume / "app")
    os.link(rich.writable / "log", rich.root.file("tmp/log"))
    os.link(rich.writable / "log", rich.writable / "log2")
    os.link(rich.volume / "table", rich.root.file("volumes/other/_data/copy"))
    os.link(rich.root.file("engine-id"), rich.root.file("plugins/engine-id"))
    outside = rich.root.path.parent / "outside"
    os.link(rich.volume / "table", outside)


def test_hard_links_count_once(rich: Rich) -> None:
    """An inode with names in several directories and places is counted once, where it is met first."""
    before = counted(rich)
    link_all(rich)
    connection = counted(rich)

    assert_all(connection, rich.root.path)
    mount = usage(connection, "container writable", rich.container.container_id)
    assert mount[1:3] == usage(before, "container writable", rich.container.container_id)[1:3]
    assert usage(connection, "tmp")[1:3] == usage(before, "tmp")[1:3]
    apparent = "SELECT sum(apparent_bytes) FROM disk_usage"
    assert rows(before, apparent) == rows(connection, apparent)


def test_a_volume_by_itself(rich: Rich) -> None:
    """What `volumes` says of one counts all of its inodes, also those that were counted for others."""
    link_all(rich)
    connection = counted(rich)
    sql = "SELECT name, apparent_bytes, disk_bytes, entry_count FROM volumes ORDER BY name"

    expected = []
    for name, size, entries in (("data", 29 * 1024, 3), ("other", 21 * 1024 + len(b'{"MountType":"tmpfs"}'), 4)):
        expected.append((name, size, du(rich.root.file(f"volumes/{name}")), entries))
    assert expected == rows(connection, sql)
    assert expected == rows(counted(rich, walk=False), sql)
    total = sum(usage(connection, "volumes", name)[2] for name in ("data", "other"))
    assert total < sum(row[2] for row in expected)


@pytest.mark.parametrize("jobs", [2, 3])
def test_processes_give_the_same(rich: Rich, jobs: int) -> None:
    """Whoever walks the directories, in whatever order, each row is the same."""
    link_all(rich)

    assert rows(counted(rich)) == rows(counted(rich, jobs=jobs, small=0))


def test_sparse_files_and_odd_names(rich: Rich) -> None:
    """Holes take no blocks; names of any bytes have their rows."""
    with (rich.volume / "holes").open("wb") as file:
        file.truncate(1 << 30)
    odd = os.fsencode(rich.root.file("volumes")) + b"/caf\xe9\n"
    os.mkdir(odd)
    connection = counted(rich)

    assert_all(connection, rich.root.path)
    assert usage(connection, "volumes", "data")[1] > 1 << 30
    assert (1, 0) == usage(connection, "volumes", "caf\\xe9\n")[:2]


@pytest.mark.parametrize("place", ["volume", "writable"])
def test_sizes_beyond_63_bits(rich: Rich, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sparse files claim together may be more than the database can hold: it is NULL, and the note says why."""
    size = 2**63 - 1
    for name in ("one", "two", "three"):
        (getattr(rich, place) / name).touch()
        try:
            os.truncate(getattr(rich, place) / name, size)
        except OSError:  # the filesystem has no such files
            size = 2**40
            monkeypatch.setattr(writer, "LARGEST", size)
            os.truncate(getattr(rich, place) / name, size)
    connection = counted(rich)

    assert_all(connection, rich.root.path)
    sql = "SELECT category, note FROM disk_usage WHERE apparent_bytes IS NULL"
    category = {"volume": "volumes", "writable": "container writable"}[place]
    assert [(category, "measured; sparse files claim more bytes than 63 bits hold")] == rows(connection, sql)


@pytest.mark.parametrize("handles", [2, 64])
def test_depth(rich: Rich, handles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No path is too long, and few folders are held open."""
    monkeypatch.setattr(measure, "HANDLES", handles)
    inside = os.open(rich.volume, os.O_RDONLY)
    for number in range(300):
        os.mkdir("d" * 60, dir_fd=inside)
        below = os.open("d" * 60, os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = below
        if number % 100 == 0:
            os.mkdir("beside", dir_fd=inside)
            os.mkdir("a", dir_fd=inside)
    os.close(inside)
    connection = counted(rich)

    assert_all(connection, rich.root.path)
    assert (309,) == usage(connection, "volumes", "data")[:1]


def test_tree_deeper_than_a_walk_enters(rich: Rich, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too deep to be listed is counted all the same."""
    monkeypatch.setattr(walk, "PATH_LENGTH", 20)
    (rich.writable / "a/b/c/d/e/f/g/h/i/j/k/l").mkdir(parents=True)
    (rich.writable / "a/b/c/d/e/f/g/h/i/j/k/l/file").write_bytes(KB * 8)
    connection = counted(rich)

    assert_all(connection, rich.root.path)
    assert [("warning",)] == rows(connection, "SELECT DISTINCT severity FROM problems WHERE code = 'too-deep'")
    assert usage(connection, "container writable", rich.container.container_id)[3] == "measured"


def test_fuse_overlayfs(tmp_path: Path) -> None:
    """The other driver whose directories are read has its sum too."""
    root = DataRoot(tmp_path / "docker", driver="fuse-overlayfs")
    root.container(root.image(root.layer({"a": KB, "b": hardlink("a")}), ["a:1"]), files={"x": KB, "a": whiteout()})
    connection = counted(root, driver="fuse-overlayfs")

    assert_all(connection, root.path)
    assert [(1,)] == rows(connection, "SELECT count(*) FROM disk_usage WHERE category = 'image layer'")


def test_root_that_cannot_be_opened_any_more(rich: Rich, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be opened is told; the scan goes on."""

    def refused(_: str) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(usage_module, "open_folder", refused)
    connection = counted(rich)

    assert [] == rows(connection)
    assert ("permission-denied", "") in rows(connection, "SELECT code, path FROM problems")


def test_trouble_of_our_own(rich: Rich, monkeypatch: pytest.MonkeyPatch) -> None:
    """That we may open no more files is said, and nothing is told as counted."""

    def exhausted(*_: object) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(measure, "open_folder", exhausted)
    connection = counted(rich)
    said = rows(connection, "SELECT path, detail FROM problems WHERE code = 'reader-failed'")
    assert said == [("", "OSError: [Errno 24] too many")]
    assert rows(connection, "SELECT * FROM disk_usage") == []


def test_store_of_another_driver(rich: Rich) -> None:
    """A driver whose folder is not read tells its own metadata alone: each byte of the root is told once."""
    other = rich.root.file("image/vfs/layerdb/x")
    other.parent.mkdir(parents=True)
    other.write_bytes(KB)
    first, second = counted(rich), counted(rich, driver="vfs")
    assert disk(first) + disk(second) == du(rich.root.path)
    assert rows(second, "SELECT category FROM disk_usage ORDER BY 1") == [
        ("image metadata",),
        ("layer metadata",),
        ("unaccounted",),
    ]
    assert ("vfs",) in rows(first, "SELECT owner FROM disk_usage WHERE category = 'other driver'")


def test_root_of_userns_remap(tmp_path: Path) -> None:
    """Each root has its own sum, and the outer one leaves out an inner one that is a store."""
    outer = Rich(tmp_path / "docker")
    shutil.rmtree(outer.root.file("100000.100000"))
    inner = Rich(tmp_path / "docker" / "100000.100000")

    assert_all(counted(inner), inner.root.path)
    assert disk(counted(outer)) == du(outer.root.path) - du(inner.root.path)
    outer.root.file("200000.200000/overlay2").mkdir(parents=True)
    [empty] = rows(counted(outer), "SELECT owner, items FROM disk_usage WHERE category = 'other root'")
    assert empty == ("200000.200000", 2)


def test_other_layers_are_walked_anew(rich: Rich) -> None:
    """With --walk no earlier listing stands for a directory: what changed in its depth is counted."""
    connection = counted(rich)
    init = rich.content(str(rich.container.mount.init_id))
    (init / "etc/hosts").write_bytes(KB * 50)
    [store, *_] = [found for found in stores.open_stores(str(rich.root.path)) if found.driver == "overlay2"]
    scan.scan(connection, store, scan.Filing(HOST), scan.Options(walk=True))

    assert [(du(rich.root.path),)] == rows(connection, "SELECT sum(disk_bytes) FROM disk_usage WHERE snapshot_id = 2")


def test_a_large_folder_is_left_to_a_walk(rich: Rich, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be as large as the layers is counted without --walk only as far as that is quickly done."""
    monkeypatch.setattr("layerindex.usage.measure.SMALL", 2)
    note = "large, so not measured without --walk"
    assert (None, None, None, note) == usage(counted(rich, walk=False), "other driver", "vfs")
    assert usage(counted(rich), "other driver", "vfs")[2] == du(rich.root.file("vfs"))


def test_a_large_folder_is_not_read_whole(rich: Rich) -> None:
    """It is told by as many entries as are small, however many it has besides."""
    for number in range(50):
        (rich.volume / f"{number}").touch()
    handle = os.open(rich.volume, os.O_RDONLY)
    try:
        found = Count(handle, Attribution(("volumes", "data")), lambda *_: Attribution(("volumes", "data")), most=10)
    finally:
        os.close(handle)
    assert found.cut
    assert 12 >= found.accounts["volumes", "data"].items


def test_without_walk(rich: Rich) -> None:
    """Without --walk each row says what its figure is, and nothing claims to be all."""
    connection = counted(rich, walk=False)
    mount, folder = rich.container.mount, rich.container.container_id

    size = 5 * 1024 + len("/etc/passwd")
    note = "apparent size as the engine counts it; bytes on disk estimated from its files"
    assert (None, size, None, note) == usage(connection, "image layer", rich.base.cache_id)
    estimates = dict(rows(connection, "SELECT owner, estimated_bytes FROM disk_usage WHERE category = 'image layer'"))
    # Two blocks of sh, one for bin/; the directory, its diff and link.
    assert 4096 * (3 + 3) == estimates[rich.base.cache_id]
    # Three blocks of app, one for srv/; its lower and work besides.
    assert 4096 * (4 + 5) == estimates[rich.top.cache_id]
    items, apparent, on_disk, note = usage(connection, "container writable", folder)
    assert (2, 3 * 1024, du(rich.writable)) == (items, apparent, on_disk)
    assert note.startswith("the files of its diff folder")
    assert usage(connection, "container init", str(mount.init_id))[0] > 0
    assert du(rich.root.file("volumes/data")) == usage(connection, "volumes", "data")[2]
    for category, owner in (("other driver", "vfs"), ("other root", "100000.100000")):
        assert (du(rich.root.file(owner)), "measured") == usage(connection, category, owner)[2:]
    assert [] == rows(connection, "SELECT * FROM disk_usage WHERE category = 'unaccounted'")


def test_without_files(rich: Rich) -> None:
    """With --no-files there is what metadata says: layers and logs."""
    connection = counted(rich, walk=False, files=False)

    assert [("container logs",), ("image layer",)] == rows(
        connection, "SELECT DISTINCT category FROM disk_usage ORDER BY 1"
    )
    assert (1, 7 * 1024) == usage(connection, "container logs", rich.container.container_id)[:2]
    assert [(None,)] == rows(connection, "SELECT DISTINCT disk_bytes FROM volumes")


@pytest.mark.parametrize("place", ["volume", "tree", "inside a tree"])
def test_what_cannot_be_read(rich: Rich, place: str) -> None:
    """A folder that cannot be read leaves a problem and a note; the sum is du's, which cannot read it either."""
    shut_place = {
        "volume": rich.volume,
        "tree": rich.content(rich.base.cache_id),
        "inside a tree": rich.content(rich.base.cache_id) / "bin",
    }[place]
    shut_place.chmod(0)
    try:
        with nobody_special():
            connection = counted(rich)
        assert du(rich.root.path) == disk(connection)
    finally:
        shut_place.chmod(0o755)

    key = ("volumes", "data") if place == "volume" else ("image layer", rich.base.cache_id)
    assert "measured, but not all of it could be read" == usage(connection, *key)[3]
    found = rows(connection, "SELECT path FROM problems WHERE code = 'permission-denied'")
    where = str(shut_place.relative_to(rich.root.path))
    assert [where.replace("diff/", "diff: /")] == [path for (path,) in found]
    if place == "volume":
        assert [(None, None)] == rows(connection, "SELECT disk_bytes, entry_count FROM volumes WHERE name = 'data'")


def test_more_than_can_be_told(rich: Rich) -> None:
    """Of very many problems the first are told, and how many more there were."""
    folders = [rich.volume / f"{number}" for number in range(PROBLEMS_KEPT + 5)]
    for folder in folders:
        folder.mkdir(mode=0)
    try:
        with nobody_special():
            connection = counted(rich)
    finally:
        for folder in folders:
            folder.chmod(0o755)

    assert [("5 more like these",)] == rows(connection, "SELECT detail FROM problems WHERE code = 'more-problems'")


@pytest.mark.parametrize("place", ["volumes/data/_data", "overlay2/merged"])
def test_other_filesystems(rich: Rich, place: str) -> None:
    """What is mounted below the root is not counted, as du -x does not, not even the folder it is mounted on."""
    merged = f"overlay2/{rich.container.mount.mount_id}/merged"
    target = rich.root.file(place.replace("overlay2/merged", merged))
    target.mkdir(exist_ok=True)
    with mounted(target, "-t", "tmpfs", "tmpfs"):
        (target / "much").write_bytes(KB * 1000)
        connection = counted(rich)
        assert_all(connection, rich.root.path)

    sql = "SELECT category, owner FROM disk_usage WHERE note LIKE '%mounted in it%'"
    assert ([("volumes", "data")] if "data" in place else []) == rows(connection, sql)
    if "data" in place:
        assert [(None,)] == rows(connection, "SELECT disk_bytes FROM volumes WHERE name = 'data'")


def test_volume_that_is_a_bind_of_another_folder(rich: Rich, tmp_path: Path) -> None:
    """Its bytes lie in that folder, not in the root, also where both are on one filesystem."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films/film").write_bytes(KB * 1000)
    with mounted(rich.volume, "--bind", str(tmp_path / "films")):
        connection = counted(rich)
    assert usage(connection, "volumes", "data")[2] < 100 * 1024
    assert [(None,)] == rows(connection, "SELECT disk_bytes FROM volumes WHERE name = 'data'")


@pytest.mark.parametrize(("name", "category"), [("tmp", "tmp"), ("volumes", "volumes"), ("overlay2", "image layer")])
def test_folder_with_a_filesystem_of_its_own(rich: Rich, name: str, category: str) -> None:
    """It is named, and counted apart from what du -x of the root says."""
    moved, place = rich.root.path.parent / "moved", rich.root.file(name)
    place.rename(moved)
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "tmpfs"):
        subprocess.run(["cp", "-a", f"{moved}/.", str(place)], check=True)
        connection = counted(rich)
        here, there = du(rich.root.path), du(place)
    in_root, apart = rows(connection, "SELECT place, sum(disk_bytes) FROM disk_usage GROUP BY place ORDER BY place")
    assert (in_root, apart) == ((None, here), (name, there))
    sql = f"SELECT sum(disk_bytes) > 0 FROM disk_usage WHERE category = '{category}' AND place = '{name}'"
    assert rows(connection, sql) == [(1,)]
    told = [] if name == "tmp" else [(name,)]
    assert rows(connection, "SELECT path FROM problems WHERE code = 'own-filesystem'") == told


@pytest.mark.parametrize("walk", [True, False])
def test_folder_behind_a_symlink(rich: Rich, *, walk: bool) -> None:
    """Where it leads is named; nothing there is counted."""
    target = rich.root.path.parent / "disk2"
    rich.root.file("volumes").rename(target)
    rich.root.file("volumes").symlink_to(target)
    connection = counted(rich, walk=walk)
    found = rows(connection, "SELECT category, disk_bytes, note, place FROM disk_usage WHERE place NOT NULL")
    assert found == [("volume metadata", None, "a symlink leads elsewhere; it is not followed", str(target))]
    totals = [row for row in ask(connection, "disk-usage", "category place disk_bytes") if row[0] == "total"]
    known = sum(
        row[0]
        for row in rows(connection, "SELECT coalesce(disk_bytes, estimated_bytes) FROM disk_usage WHERE place IS NULL")
    )
    assert known == du(rich.root.path) or not walk
    assert totals == [("total", None, known), ("total", str(target), None)]


def count(path: Path, when: tuple[str, ...], change: Callable[[], object]) -> Count:
    """Count a folder; when a path is reached, something is changed."""
    changes = {when: change}

    def place(at: tuple[str, ...], is_folder: bool) -> Attribution:
        changes.pop(at, lambda: None)()
        return Attribution(("all", ""), apart=is_folder)

    handle = os.open(path, os.O_RDONLY)
    try:
        return Count(handle, Attribution(("all", ""), apart=True), place)
    finally:
        os.close(handle)


def test_folder_that_is_moved_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the way back leads elsewhere, counting ends: with a problem, and never outside."""
    monkeypatch.setattr(measure, "HANDLES", 2)
    (tmp_path / "root/1/2/3/4").mkdir(parents=True)
    (tmp_path / "root/1/5").mkdir()
    (tmp_path / "root/6").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "away/file").write_bytes(KB)
    move = (tmp_path / "root/1/2").rename
    found = count(tmp_path / "root", ("1", "2", "3", "4"), lambda: move(tmp_path / "away/2"))

    assert ["vanished"] == [damage.problem.code for damage in found.problems]
    account = found.accounts["all", ""]
    assert (False, 0) == (account.whole, account.apparent_bytes)


def test_what_vanishes_meanwhile(tmp_path: Path) -> None:
    """What is gone when it is to be read is told, and is nothing that could not be read."""
    (tmp_path / "root/1").mkdir(parents=True)
    (tmp_path / "root/2").mkdir()
    found = count(tmp_path / "root", ("2",), (tmp_path / "root/1").rmdir)

    assert [("vanished", "1")] == [(damage.problem.code, damage.problem.path) for damage in found.problems]
    assert found.accounts["all", ""].whole


def test_folder_that_becomes_a_symlink(tmp_path: Path) -> None:
    """A symlink that takes a folder's place is not followed."""
    (tmp_path / "root/1").mkdir(parents=True)
    (tmp_path / "root/2").mkdir()

    def swap() -> None:
        (tmp_path / "root/1").rmdir()
        (tmp_path / "root/1").symlink_to("/")

    found = count(tmp_path / "root", ("2",), swap)

    assert [("not-a-folder", "1")] == [(damage.problem.code, damage.problem.path) for damage in found.problems]
    assert not found.accounts["all", ""].whole


def lossy(root: DataRoot) -> list[Any]:
    """Return what a scan with --walk says of a copy that lost its marks."""
    return rows(counted(root), "SELECT path, detail FROM problems WHERE code = 'lossy-copy'")


def test_copy_without_devices(tmp_path: Path) -> None:
    """Where all deletion marks are gone, one sentence says what that means; not where only some are."""
    root = DataRoot(tmp_path / "docker")
    base = root.layer({"a": KB, "b": KB})
    top = root.layer({"a": whiteout()}, parent=base)
    last = root.layer({"b": whiteout()}, parent=top)
    root.image(last, ["a:1"])
    (root.content_dir(top.cache_id) / "a").unlink(missing_ok=True)
    assert lossy(root) == []
    (root.content_dir(last.cache_id) / "b").unlink(missing_ok=True)
    [(path, detail)] = lossy(root)
    assert (path, detail.startswith("a copy lost all deletion marks (2 devices 0:0) of the layers")) == (
        "overlay2",
        True,
    )


def test_copy_without_attributes(tmp_path: Path) -> None:
    """The same of the marks of folders that hide what is below them."""
    root = DataRoot(tmp_path / "docker", privileged=True)
    top = root.layer({"a": opaque()}, parent=root.layer({"a/b": KB}))
    root.image(top, ["a:1"])
    folder = root.content_dir(top.cache_id) / "a"
    with suppress(OSError):
        os.removexattr(folder, "trusted.overlay.opaque")
    if not rules.trusted_readable():
        pytest.skip("needs the right to read trusted attributes")
    [(_, detail)] = lossy(root)
    assert "all opaque marks (1 extended attributes) of the layers" in detail
