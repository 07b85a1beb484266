"""`layerindex snapshots`: the list, and removing what is old without losing what another snapshot needs."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from layerindex import database, snapshots
from layerindex.errors import DatabaseError
from layerindex.writing import removal
from tests import exhibits
from tests.conftest import World, mounted, nobody_special, program
from tests.test_exchange import change, empty, grow, index, rows, silent, whole

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def built(lasting: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database of two hosts: one scanned four times, the last time ten days ago, the other twice."""
    db = tmp_path_factory.mktemp("built") / "built.db"
    for host in ("web-1", "web-1", "web-1", "web-1", "db-1", "db-1"):
        index(db, lasting.root, host)
    for number, days in enumerate((50, 40, 30, 10, 60, 0), 1):
        moment = datetime.now(UTC) - timedelta(days=days, hours=1)
        text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        change(db, f"UPDATE snapshots SET started_at = '{text}', ordered_at = '{text}' WHERE snapshot_id = {number}")
    return db


@pytest.fixture
def db(built: Path, tmp_path: Path) -> Path:
    """Give a copy to remove from."""
    return Path(shutil.copy(built, tmp_path / "test.db"))


def run(db: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command; the test fails unless it exits 0."""
    done = program("snapshots", *words, "--db", str(db))
    assert 0 == done.returncode, done.stderr
    return done


def left(db: Path) -> list[int]:
    """Return the snapshots that are in a database."""
    return [number for (number,) in rows(db, "SELECT snapshot_id FROM snapshots ORDER BY 1")]


def test_list(tmp_path: Path) -> None:
    """Without a command, with options or with `list`, it is the canned query."""
    made = Path(exhibits.build(tmp_path).path)
    expected = program("query", "snapshots", "--db", str(made)).stdout

    assert "web-1" in expected
    assert expected == run(made).stdout == run(made, "list").stdout
    assert '"host":"db-1"' in run(made, "--host", "db-1", "--format", "jsonl").stdout.replace(": ", ":")
    assert "web-1" not in run(made, "list", "--host", "db-1").stdout
    assert "prune" in program("snapshots", "--help").stdout


@pytest.mark.parametrize(
    ("words", "stay"),
    [
        (["rm", "1"], [2, 3, 4, 5, 6]),
        (["rm", "1", "3", "1"], [2, 4, 5, 6]),
        (["rm", "web-1"], [1, 2, 3, 5, 6]),
        (["rm", "web-1~1", "db-1~1"], [1, 2, 4, 6]),
        (["prune", "--keep", "2"], [3, 4, 5, 6]),
        (["prune", "--keep", "1"], [4, 6]),
        (["prune", "--keep", "0"], []),
        (["prune", "--keep", "9"], [1, 2, 3, 4, 5, 6]),
        (["prune", "--keep", "1000000000"], [1, 2, 3, 4, 5, 6]),
        (["prune", "--older-than", "35d"], [3, 4, 6]),
        (["prune", "--older-than", "5d"], [4, 6]),
        (["prune", "--older-than", "1m"], [4, 6]),
        (["prune", "--older-than", "6w"], [2, 3, 4, 6]),
        (["prune", "--older-than", "960h"], [3, 4, 6]),
        (["prune", "--older-than", "5d", "--keep", "2"], [3, 4, 5, 6]),
        (["prune", "--older-than", "35d", "--keep", "0"], [3, 4, 6]),
        (["prune", "--older-than", "35d", "--keep", "3"], [2, 3, 4, 5, 6]),
    ],
)
def test_what_stays(db: Path, words: list[str], stay: list[int]) -> None:
    """What is older goes, but never one of the newest of its host; --dry-run says the same and changes nothing."""
    before = db.read_bytes()
    dry = run(db, *words, "--dry-run")
    assert before == db.read_bytes()
    done = run(db, *words)

    assert stay == left(db)
    whole(db)
    gone = 6 - len(stay)
    assert f"would remove {gone} snapshot{'' if gone == 1 else 's'}, " in dry.stderr
    assert f"removed {gone} snapshot{'' if gone == 1 else 's'}, " in done.stderr
    assert gone + (gone > 0) == len(done.stdout.splitlines())
    assert dry.stdout == done.stdout
    assert (
        dry.stderr.partition("would remove ")[2].partition(";")[0]
        == done.stderr.partition("removed ")[2].partition(";")[0]
    )
    assert [] == rows(db, "SELECT * FROM hosts WHERE host_id NOT IN (SELECT host_id FROM snapshots)")


def test_what_others_need_stays(db: Path, tmp_path: Path) -> None:
    """Listings go with the last snapshot that needs them, then their entries and directories, and the file shrinks."""
    layers = "SELECT count(*) FROM listings WHERE source = 'tar-split'"
    used = "SELECT count(DISTINCT directory_id) FROM entries"
    before = rows(db, layers), rows(db, used)
    run(db, "rm", "1", "2", "3", "4", "5")
    assert before == (rows(db, layers), rows(db, used))
    assert rows(db, used) == rows(db, "SELECT count(*) FROM directories")
    assert 0 == program("query", "image-files", "-p", "image=other:1", "--db", str(db)).returncode
    grow(db, 300)
    size = db.stat().st_size
    assert size > 2_000_000
    done = run(db, "prune", "--keep", "0")

    tables = ("snapshots", "hosts", "listings", "entries", "directories", "layers", "images", "problems")
    assert [0] * len(tables) == [rows(db, f"SELECT count(*) FROM {table}")[0][0] for table in tables]
    assert db.stat().st_size < empty(tmp_path / "empty.db").stat().st_size + 100_000
    assert f"; {size - db.stat().st_size} bytes less\n" in done.stderr
    whole(db)


def test_dry_run_knows_the_bytes(db: Path) -> None:
    """What --dry-run says would be freed is near what is."""
    grow(db, 300)
    change(db, "VACUUM")
    size = db.stat().st_size
    said = run(db, "prune", "--keep", "0", "--dry-run").stderr
    assert size == db.stat().st_size
    guess = int(said.rpartition("about ")[2].split()[0])
    run(db, "prune", "--keep", "0")

    assert 0.9 < guess / (size - db.stat().st_size) <= 1.1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rm"], "Missing argument"),
        (["rm", "99"], "no snapshot 99"),
        (["rm", "1", "99"], "no snapshot 99"),
        (["rm", "nobody"], "no host 'nobody'"),
        (["rm", "web-1~9"], "has no snapshot 9 before its newest"),
        (["prune"], "say what to remove: --keep N, --older-than AGE, or both"),
        (["prune", "--older-than", "soon"], "--older-than takes an age such as"),
        (["prune", "--older-than", "-5d"], "--older-than takes an age such as"),
        (["prune", "--older-than", "٣d"], "--older-than takes an age such as"),
        (["prune", "--keep", "-1"], "--keep"),
        (["bogus"], "No such command"),
    ],
)
def test_usage(db: Path, words: list[str], sentence: str) -> None:
    """What cannot be meant is exit status 2, and nothing is removed."""
    before = db.read_bytes()
    done = program("snapshots", *words, "--db", str(db)) if words[0] != "bogus" else program("snapshots", *words)

    assert (2, True) == (done.returncode, sentence in done.stderr), done.stderr
    assert before == db.read_bytes()


def test_ages_that_reach_before_time(db: Path) -> None:
    """An age of thousands of years is none too old to subtract."""
    run(db, "prune", "--older-than", "99999w")
    assert 6 == len(left(db))


def test_no_database(tmp_path: Path) -> None:
    """Where there is no database none is made."""
    for words in (["list"], ["rm", "1"], ["prune", "--keep", "1"]):
        done = program("snapshots", *words, "--db", str(tmp_path / "none.db"))
        assert (1, True) == (done.returncode, "no such database" in done.stderr)
    assert [] == os.listdir(tmp_path)


def test_a_database_that_may_not_be_written(db: Path) -> None:
    """One sentence, and nothing is removed."""
    db.chmod(0o444)
    db.parent.chmod(0o555)
    try:
        with (
            nobody_special(),
            pytest.raises(DatabaseError, match="cannot be opened: Permission denied"),
            database.writing(str(db), silent) as connection,
        ):
            removal.remove(connection, [1])
    finally:
        db.parent.chmod(0o755)
    assert 6 == len(left(db))


BALLAST = """
INSERT INTO problems WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
SELECT 1, i, 'info', 'odd', 'place-' || i, NULL, 'so that a snapshot has pages of its own' FROM n"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=4m", "none"):
        yield disk


def test_no_room_to_shrink(db: Path, disk: Path) -> None:
    """Where the file cannot be written anew, what was removed is gone and the user is told how to shrink it later."""
    grow(db, 100)
    change(db, BALLAST)
    tight = Path(shutil.copy(db, disk / "tight.db"))
    with open(disk / "fill", "wb") as file:
        file.write(bytes((4 << 20) - tight.stat().st_size * 7 // 4))
    done = program("snapshots", "rm", "1", "2", "3", "4", "5", "--db", str(tight))
    sentence = f"but the file keeps its {tight.stat().st_size} bytes: there is no room to write it anew"
    assert (1, True) == (done.returncode, sentence in done.stderr), done.stderr
    assert 1 == len(done.stderr.splitlines())
    assert [6] == left(tight)
    whole(tight)
    (disk / "fill").unlink()
    assert 0 == program("snapshots", "prune", "--keep", "9", "--db", str(tight)).returncode
    assert tight.stat().st_size < db.stat().st_size


def test_a_reader_holds_the_shrinking_up(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that does not end leaves the file as large as it was, and the sentence says so."""
    monkeypatch.setattr(database, "PATIENCE", 0)
    change(db, BALLAST)
    with database.writing(str(db), silent) as connection:
        removal.remove(connection, [1, 2, 3])
    with closing(sqlite3.connect(db, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM images").fetchone()
        with pytest.raises(DatabaseError, match="what was removed is gone, but the file keeps its"):
            snapshots.shrink(str(db), silent)
    size = db.stat().st_size
    snapshots.shrink(str(db), silent)

    assert db.stat().st_size < size
