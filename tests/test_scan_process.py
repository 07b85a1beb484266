"""Whatever ends a scan, the database is as before or holds the whole snapshot, and the person is told."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from layerindex import database, scan
from layerindex.errors import DatabaseError
from layerindex.stores import open_stores
from tests.conftest import HOST, World, mounted, program, without_capabilities
from tests.dataroot import DataRoot, big_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Popen = subprocess.Popen[str]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Give a store that takes the scan long enough to be met in the middle."""
    return big_store(tmp_path_factory.mktemp("big") / "docker", images=60, layers=250)


@contextmanager
def started(*arguments: object) -> Iterator[Popen]:
    """Start the program, with Ctrl-C as a terminal gives it, and make sure that it ends."""
    command = [sys.executable, "-m", "layerindex", *map(str, arguments)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background may ignore it
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: Popen, words: str) -> str:
    """Wait until the program says something on stderr."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert words in line
    return line


def ended(process: Popen) -> tuple[int, str]:
    """Wait for the end of the program and return its exit status and what it said."""
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def write(path: Path, root: DataRoot) -> None:
    """Write a snapshot into a database."""
    (store,) = open_stores(str(root.path))
    with database.writing(str(path), print) as connection:
        scan.scan(connection, store, scan.Filing(HOST))


def check(path: Path) -> None:
    """Make sure that a database is sound."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def content(path: Path) -> list[str]:
    """Return all that a database holds, and make sure that it is sound."""
    check(path)
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def snapshots(path: Path) -> list[tuple[int, int, int]]:
    """Return number, images and layers of each snapshot, and make sure that the database is sound."""
    check(path)
    query = """
        SELECT s.snapshot_id, (SELECT count(*) FROM images i WHERE i.snapshot_id = s.snapshot_id),
          (SELECT count(*) FROM layers l WHERE l.snapshot_id = s.snapshot_id)
        FROM snapshots s ORDER BY s.snapshot_id"""
    with database.reading(str(path)) as connection:
        return list(connection.execute(query))


WHOLE = (60, 250)


def test_scan_says_what_it_found(world: World, tmp_path: Path) -> None:
    """A scan says in a few lines what it found and where it wrote it; with -q it says nothing."""
    db = str(tmp_path / "db")
    done = program("scan", str(world.root.path), "--db", db)
    assert (done.returncode, done.stdout) == (0, "")
    found = "3 images, 3 layers, 7 directories, 2 containers, 1 volume, 34 files"
    lines = [f"{world.root.path} (docker-overlay2): {found}", f"  written to {db} as snapshot 1"]
    *said, headline = done.stderr.splitlines()
    assert said == lines
    assert re.fullmatch(r"  \S+ need not be there, .*; `layerindex plan --snapshot 1` says what", headline)
    done = program("scan", str(world.root.path), "--db", db, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_strict(world: World, tmp_path: Path) -> None:
    """With --strict an error in the store is exit status 3, and the snapshot is written all the same."""
    arguments = ("scan", str(world.root.path), "--db", str(tmp_path / "db"), "--strict")
    assert program(*arguments).returncode == 0
    world.root.tag("sha256:" + "f" * 64, "gone:1")
    assert program(*arguments).returncode == 0
    world.root.layer_file(world.top, "size").write_bytes(b"")
    done = program(*arguments)
    assert done.returncode == 3
    assert "  2 problems: empty 1, missing-image 1\n" in done.stderr
    assert [number for number, *_ in snapshots(tmp_path / "db")] == [1, 2, 3]


def test_scan_by_who_may_not_read(world: World, tmp_path: Path) -> None:
    """Who may not read all is told so, and at how many places."""
    closed = [world.root.layer_dir(world.top), world.root.file("overlay2"), world.root.file("containers")]
    command = [*without_capabilities(), sys.executable, "-m", "layerindex", "scan", str(world.root.path)]
    for folder in closed:
        folder.chmod(0)
    done = subprocess.run([*command, "--db", str(tmp_path / "db")], capture_output=True, text=True, check=False)
    for folder in closed:
        folder.chmod(0o700)
    assert done.returncode == 0
    assert "  3 places could not be read: permission denied; run the scan as root\n" in done.stderr


def test_names_that_are_not_utf8(world: World, tmp_path: Path) -> None:
    """Host, label and database may be any bytes that a shell can give."""
    odd = os.fsdecode(b"\xff\n")
    db = tmp_path / f"db{odd}"
    done = program("scan", str(world.root.path), "--db", str(db), "--host", odd, "--label", odd)
    assert done.returncode == 0
    with database.reading(str(db)) as connection:
        query = "SELECT name, label FROM hosts, snapshots"
        assert connection.execute(query).fetchall() == [("\\xff\n", "\\xff\n")]


def test_interrupted_while_it_waits_for_a_writer(world: World, tmp_path: Path) -> None:
    """Ctrl-C ends a scan that waits for another at once; the other one's snapshot is there."""
    db = tmp_path / "db"
    write(db, world.root)
    before = content(db)
    with database.writing(str(db), print), started("scan", world.root.path, "--db", db) as process:
        said(process, f"{db}: another process is writing to it; waiting")
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        status, errors = ended(process)
        assert time.monotonic() - began < 5
    assert status == 130
    assert errors.startswith(f"Interrupted; {db} holds complete snapshots only")
    assert content(db) == before


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_before_it_commits(world: World, tmp_path: Path, stop: signal.Signals) -> None:
    """Ctrl-C, kill and a closed terminal when all is read and nothing committed leave the database as before."""
    db = tmp_path / "db"
    write(db, world.root)
    before = content(db)
    reader = sqlite3.connect(db, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM images").fetchone()
    with started("scan", world.root.path, "--db", db) as process:
        said(process, f"{db}: another process is reading it; waiting")
        process.send_signal(stop)
        status, errors = ended(process)
    reader.close()
    assert status == 128 + stop
    assert errors.startswith("Interrupted")
    assert content(db) == before


FORKED = """
import os, signal, sys
fork = os.fork
def forked():
    pid = fork()
    if pid == 0:
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
    return pid
os.fork = forked
from layerindex.__main__ import main
main()
"""


def test_a_worker_leaves_signals_to_the_scan(big: DataRoot, tmp_path: Path) -> None:
    """A signal that meets a worker in its first moment does not have it undo what the scan does."""
    command = [sys.executable, "-c", FORKED, "scan", str(big.path), "--db", str(tmp_path / "db"), "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, False) == (done.returncode, "Interrupted" in done.stderr), done.stderr
    assert [(1, *WHOLE)] == snapshots(tmp_path / "db")


def test_interrupted_in_the_middle(big: DataRoot, tmp_path: Path) -> None:
    """Ctrl-C while the store is read leaves the database as before, or with a whole snapshot where it came too late."""
    db = tmp_path / "db"
    with started("scan", big.path, "--db", db) as process:
        while not os.path.exists(f"{db}-journal") and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        status, errors = ended(process)
    if status == 130:
        assert errors.startswith("Interrupted")
        assert "Traceback" not in errors
        assert not db.exists()
    else:
        assert snapshots(db) == [(1, *WHOLE)]
    assert os.listdir(tmp_path) == (["db"] if status == 0 else [])


def test_reader_does_not_cost_a_snapshot(world: World, tmp_path: Path) -> None:
    """A scan that must wait for a reader commits when that one is done."""
    db = tmp_path / "db"
    write(db, world.root)
    reader = sqlite3.connect(db, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM images").fetchone()
    with started("scan", world.root.path, "--db", db) as process:
        said(process, "another process is reading it")
        reader.close()
        assert ended(process)[0] == 0
    assert snapshots(db) == [(1, 3, 3), (2, 3, 3)]


def test_second_scan_waits(world: World, tmp_path: Path) -> None:
    """A scan that meets another waits for it, and both snapshots are there."""
    db = tmp_path / "db"
    (store,) = open_stores(str(world.root.path))
    with ExitStack() as stack:
        with database.writing(str(db), print) as connection:
            scan.scan(connection, store, scan.Filing(HOST))
            process = stack.enter_context(started("scan", world.root.path, "--db", db))
            said(process, "another process is writing to it")
        assert ended(process)[0] == 0
    assert snapshots(db) == [(1, 3, 3), (2, 3, 3)]


def test_scans_that_begin_together(big: DataRoot, tmp_path: Path) -> None:
    """Two scans that make the same new database at the same time both succeed."""
    db = tmp_path / "db"
    with started("scan", big.path, "--db", db) as one, started("scan", big.path, "--db", db) as other:
        assert [ended(one)[0], ended(other)[0]] == [0, 0]
    assert snapshots(db) == [(1, *WHOLE), (2, *WHOLE)]


@pytest.mark.parametrize("begun", [False, True], ids=["new", "existing"])
def test_killed_at_any_moment(big: DataRoot, tmp_path: Path, begun: bool) -> None:
    """A scan that is killed leaves whole snapshots, and the next scan works."""
    db = tmp_path / "db"
    whole = []
    if begun:
        write(db, big)
        whole.append((1, *WHOLE))
    moments = random.Random(1)
    for _ in range(3):
        with started("scan", big.path, "--db", db) as process:
            time.sleep(moments.uniform(0.1, 0.27))
            process.kill()
            process.wait()
        if db.exists():
            check(db)
            try:
                found = snapshots(db)
            except DatabaseError as error:
                assert "is empty" in str(error)  # noqa: PT017 - it need not be raised
                found = []
            assert found[: len(whole)] == whole
            assert {row[1:] for row in found} <= {WHOLE}
            whole = found
    done = program("scan", str(big.path), "--db", str(db))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert [row[1:] for row in snapshots(db)] == [WHOLE] * (len(whole) + 1)


KILLED = """
import os, signal, sys
from layerindex import database, scan, stores
(store,) = stores.open_stores(sys.argv[1])
with database.writing(sys.argv[2], print) as connection:
    connection.execute("PRAGMA cache_size = 5")
    scan.scan(connection, store, scan.Filing(scan.local_host(None)))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("begun", [False, True], ids=["new", "existing"])
def test_killed_with_half_of_it_on_disk(big: DataRoot, world: World, tmp_path: Path, begun: bool) -> None:
    """Pages of a killed scan that reached the file are rolled back, and the next scan works."""
    db = tmp_path / "db"
    before = []
    if begun:
        write(db, world.root)
        before = snapshots(db)
    done = subprocess.run([sys.executable, "-c", KILLED, big.path, db], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "db-journal").stat().st_size > 0
    assert db.stat().st_size > 100_000
    again = program("scan", str(world.root.path), "--db", str(db))
    assert (again.returncode, "Traceback" in again.stderr) == (0, False), again.stderr
    assert snapshots(db) == [*before, (len(before) + 1, 3, 3)]


def scan_with_little_room(root: DataRoot, db: Path, blocks: int) -> subprocess.CompletedProcess[str]:
    """Scan where no file may grow beyond some blocks of 512 bytes."""
    command = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", sys.executable, "-m", "layerindex", "scan"]
    return subprocess.run([*command, str(root.path), "--db", str(db)], capture_output=True, text=True, check=False)


def test_file_that_may_not_grow(big: DataRoot, world: World, tmp_path: Path) -> None:
    """A limit that stops the writing is one sentence and exit status 1, and the database is as before."""
    db = tmp_path / "db"
    done = scan_with_little_room(big, db, 200)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"Error: {db}: ")
    assert os.listdir(tmp_path) == ["docker"]
    write(db, world.root)
    before = content(db)
    done = scan_with_little_room(big, db, db.stat().st_size // 512 + 64)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert content(db) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk that holds two snapshots of a small store, not one of a big one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=1536k", "none"):
        yield disk


def test_full_disk(big: DataRoot, world: World, small_disk: Path) -> None:
    """A full disk is one sentence and exit status 1, and the database is as before."""
    db = small_disk / "db"
    done = program("scan", str(big.path), "--db", str(db))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {db}: no room is left in {small_disk}")
    assert "; the database is as it was; free some, or write to another disk" in done.stderr
    assert 1 == done.stderr.count("\n")
    assert os.listdir(small_disk) == []
    write(db, world.root)
    before = content(db)
    done = program("scan", str(big.path), "--db", str(db))
    assert done.stderr.startswith(f"Error: {db}: no room is left in {small_disk}")
    assert "; the database is as it was; free some, or write to another disk" in done.stderr
    assert 1 == done.stderr.count("\n")
    assert content(db) == before
    assert sorted(os.listdir(small_disk)) == ["db"]
    assert program("scan", str(world.root.path), "--db", str(db)).returncode == 0


def test_folder_that_may_not_be_written(world: World, tmp_path: Path) -> None:
    """A database that cannot be made is one sentence, before anything was scanned into it."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    command = [*without_capabilities(), sys.executable, "-m", "layerindex", "scan", str(world.root.path)]
    done = subprocess.run([*command, "--db", str(folder / "db")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"Error: {folder}/db: cannot be made: Permission denied")
