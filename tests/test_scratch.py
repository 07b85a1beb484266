"""What killed commands leave is removed by the next one, and nothing else is; what a full disk does is said of it."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from layerindex import scratch
from layerindex.errors import DatabaseError
from tests.conftest import World, mounted, program
from tests.test_exchange import change, index, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEEPER = """
import sys
from layerindex import scratch
with scratch.folder(sys.argv[1]) as folder, scratch.file(sys.argv[1]) as (path, file):
    open(folder + "/incoming.db", "wb").write(b"secret")
    open(folder + "/incoming.db-journal", "wb").write(b"secret")
    file.write(b"secret")
    print(flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that has a folder and a file of ours in a folder."""
    (tmp_path / "home").mkdir()
    command = [sys.executable, "-c", KEEPER, str(tmp_path / "home")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process
        with suppress(ProcessLookupError):
            process.kill()


def killed(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and see it gone."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_what_lives_is_left_alone(keeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A folder and a file whose owner lives stay; when it ends by itself nothing is left."""
    home = tmp_path / "home"
    scratch.tidy(str(home))
    assert 2 == len(os.listdir(home))
    assert {0o700, 0o600} == {path.stat().st_mode & 0o777 for path in home.iterdir()}

    keeper.communicate(b"")
    assert [] == os.listdir(home)


def test_what_a_killed_process_left_goes(keeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Nobody locks it any more: it is removed with what is in it."""
    killed(keeper)
    assert 2 == len(os.listdir(tmp_path / "home"))
    scratch.tidy(str(tmp_path / "home"))

    assert [] == os.listdir(tmp_path / "home")


@pytest.mark.parametrize("command", ["scan", "import", "export", "prune"])
def test_each_writing_command_tidies(
    keeper: subprocess.Popen[bytes], tmp_path: Path, lasting: World, command: str
) -> None:
    """The next command that writes in the folder removes it."""
    killed(keeper)
    home = tmp_path / "home"
    other = index(tmp_path / "other.db", lasting.root, "web-1")
    own = index(tmp_path / "own.db", lasting.root, "web-2")
    os.rename(own, home / "own.db")
    commands: dict[str, list[str | Path]] = {
        "scan": ["scan", lasting.root.path, "--no-files"],
        "import": ["import", other],
        "prune": ["snapshots", "prune", "--keep", "1"],
        "export": ["export", home / "out.db"],
    }
    done = program(*(str(word) for word in commands[command]), "--db", str(home / "own.db"))

    assert 0 == done.returncode, done.stderr
    assert [] == [name for name in os.listdir(home) if name.startswith(".layerindex-")]


def test_what_only_looks_like_it_stays(tmp_path: Path) -> None:
    """Links, other kinds of files, other names, folders with anything else in them and other users' things stay."""
    away = tmp_path / "away"
    away.mkdir()
    (away / "incoming.db").touch()
    home = tmp_path / "home"
    home.mkdir()
    (home / ".layerindex-aaaaaaaa").symlink_to(away)
    os.mkfifo(home / ".layerindex-bbbbbbbb")
    (home / ".layerindex-cccccccc").mkdir()
    (home / ".layerindex-cccccccc" / "notes.txt").touch()
    (home / ".layerindex-dddddddd").mkdir()
    (home / ".layerindex-dddddddd" / "x.db").mkdir()
    (home / ".layerindex-notes").touch()
    (home / "layerindex-eeeeeeee").touch()
    if os.geteuid() == 0:
        (home / ".layerindex-ffffffff").touch()
        os.chown(home / ".layerindex-ffffffff", 12345, 12345)
    before = sorted(home.rglob("*"))
    scratch.tidy(str(home))

    assert before == sorted(home.rglob("*"))
    assert ["incoming.db"] == os.listdir(away)


def test_a_folder_that_others_write_to(tmp_path: Path) -> None:
    """Where anybody may rename what is ours, nothing is removed by its name; with the sticky bit nobody may."""
    (tmp_path / ".layerindex-aaaaaaaa").touch()
    tmp_path.chmod(0o777)
    scratch.tidy(str(tmp_path))
    assert 1 == len(os.listdir(tmp_path))

    tmp_path.chmod(0o1777)
    scratch.tidy(str(tmp_path))
    assert [] == os.listdir(tmp_path)


def test_no_folder_to_make_something_in(tmp_path: Path) -> None:
    """It is said of the folder."""
    with pytest.raises(DatabaseError, match="nothing can be made in it"), scratch.folder(str(tmp_path / "none")):
        pass


# Full disks ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path, lasting: World) -> Iterator[Path]:
    """Give a database of two snapshots on a disk that is full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = index(tmp_path / "made.db", lasting.root, "web-1")
    index(made, lasting.root, "web-1")
    change(made, "UPDATE part_image_configs SET config = config || hex(zeroblob(99999))")
    with mounted(disk, "-t", "tmpfs", "-o", "size=4m", "none"):
        db = disk / "web.db"
        shutil.copy(made, db)
        with suppress(OSError), open(disk / "fill", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield db


def said(db: Path, *words: str | Path, environment: dict[str, str] | None = None) -> str:
    """Return the one sentence in which a command ends, which left the database as it was and nothing beside it."""
    before, names = db.read_bytes(), sorted(os.listdir(db.parent))
    command = [sys.executable, "-m", "layerindex", *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (environment or {}))
    assert (1, 1) == (done.returncode, done.stderr.count("\n")), done.stderr
    assert (before, names) == (db.read_bytes(), sorted(os.listdir(db.parent)))
    return done.stderr


def test_a_scan_onto_a_full_disk(full: Path, lasting: World) -> None:
    """It says which disk is full, and where else the database could go."""
    for db in (full, full.with_name("new.db")):
        sentence = said(full, "scan", lasting.root.path, "--db", db)
        assert f"Error: {db}: no room is left in {full.parent}" in sentence
        assert "as with --db /dev/shm/layerindex.db or `scan --db - > FILE`" in sentence


def test_an_import_onto_a_full_disk(full: Path, tmp_path: Path, lasting: World) -> None:
    """The disk is blamed, not the file."""
    other = index(tmp_path / "other.db", lasting.root, "web-2")
    packed = tmp_path / "other.db.gz"
    packed.write_bytes(gzip.compress(other.read_bytes()))

    assert f"no room is left in {full.parent}" in said(full, "import", other, "--db", full)
    assert f"no room is left in {full.parent}, where a copy of it was made" in said(
        full, "import", packed, "--db", full
    )


def test_a_full_folder_for_temporary_files(full: Path, tmp_path: Path) -> None:
    """TMPDIR is blamed, not the database."""
    db = tmp_path / "made.db"
    full_there = {"TMPDIR": str(full.parent)}
    export = said(full, "export", tmp_path / "out.db", "--db", db, environment=full_there)
    assert f"Error: {full.parent}: has no room for a database on its way elsewhere; name another" in export

    numbers = "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 400000) "
    sorting = f"{numbers} SELECT count(*) FROM (SELECT i, hex(i) || i AS a FROM r ORDER BY a, random())"
    query = said(full, "query", "--sql", sorting, "--db", db, environment=full_there)
    assert f"no room for temporary files is left in {full.parent}; name a folder that has some in TMPDIR" in query


def test_prune_on_a_full_disk(full: Path) -> None:
    """It says what does work there, and that works: what stays goes elsewhere and back."""
    sentence = said(full, "snapshots", "prune", "--keep", "1", "--db", full)
    command = sentence.rpartition("free some, or ")[2].strip()
    assert f"export /dev/shm/kept.db --snapshot 2 --db {full} && mv /dev/shm/kept.db {full}" in command
    assert sentence.startswith(f"Error: {full}: nothing was removed: ")
    layerindex = f"{shlex.quote(sys.executable)} -m layerindex"
    elsewhere = full.parents[1] / "kept.db"
    command = command.replace("layerindex export", f"{layerindex} export").replace("/dev/shm/kept.db", str(elsewhere))
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)

    assert [(1,)] == rows(full, "SELECT count(*) FROM snapshots")
    assert 0 == program("db", "check", "--db", str(full)).returncode
    assert not elsewhere.exists()


# Words --------------------------------------------------------------------------------------------------------------


def test_what_is_no_database(tmp_path: Path) -> None:
    """What SQLite takes for something else, and a packed export, are called what they are."""
    packed = tmp_path / "out.db.gz"
    packed.write_bytes(gzip.compress(b"x" * 9999))

    assert "is compressed, as an export may be; `layerindex import` reads it" in said(
        packed, "query", "images", "--db", packed
    )
    memory = program("query", "images", "--db", ":memory:")
    assert (2, 1) == (memory.returncode, memory.stderr.count("\n"))
    assert "--db :memory: would be lost when the command ends; name a file" in memory.stderr
