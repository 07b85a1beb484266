"""A SQLite database is read with its log, without a lock and without a change; a hostile one costs nothing."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from layerindex.problems import Damage
from layerindex.stores.disk import sqlite as reader
from layerindex.stores.disk.files import Folder
from tests.conftest import in_time
from tests.packing import database_without_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TABLES = {"t": ("k", "v")}


def read(path: Path, tables: Mapping[str, Sequence[str]] = TABLES) -> list[tuple[Any, ...]]:
    """Return the rows of the first table."""
    with in_time(), Folder(str(path.parent)) as folder:
        return [row for _, row in reader.read_rows(folder, path.name, tables)]


def made(path: Path, *statements: str) -> Path:
    """Make a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in ("CREATE TABLE t (k TEXT, v TEXT)", "INSERT INTO t VALUES ('a', '1')", *statements):
            connection.execute(statement)
    return path


def left(path: Path, work: Callable[[sqlite3.Connection], object]) -> Path:
    """Make a database with a log as a process leaves it that is killed."""
    made(path, "PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        work(connection)
        copies = {each: each.read_bytes() for each in (path, path.with_name(f"{path.name}-wal"))}
    for each, content in copies.items():
        each.write_bytes(content)
    return path


def test_rows(tmp_path: Path) -> None:
    """The wanted columns of a table are read; a table that is not there has no rows."""
    path = made(tmp_path / "db")
    assert read(path) == [("a", "1")]
    assert read(path, {"t": ("v",)}) == [("1",)]
    assert read(path, {"other": ("v",)}) == []


def test_committed_pages_of_a_log(tmp_path: Path) -> None:
    """What was committed is read, also where it made the database larger; what was not is not."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES ('b', '2')")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(f"{n}", "x" * 3000) for n in range(100)])
        connection.execute("DELETE FROM t WHERE k = 'a'")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(f"un{n}", "x" * 3000) for n in range(100)])

    path = left(tmp_path / "db", work)
    keys = {key for key, _ in read(path)}
    assert keys == {"b", *(f"{n}" for n in range(100))}


def test_log_of_an_earlier_life(tmp_path: Path) -> None:
    """Frames that a checkpoint has made void, and torn ones, are not read."""
    path = left(tmp_path / "db", lambda connection: connection.execute("INSERT INTO t VALUES ('b', '2')"))
    log = path.with_name("db-wal")
    content = log.read_bytes()
    for damaged in (content[:40], content[:-1], b"", b"x" * 32, content[:16] + b"abcdefgh" + content[24:]):
        log.write_bytes(damaged)
        assert read(path) == [("a", "1")]
    log.write_bytes(content + content[32:])
    assert read(path) == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize("size", [512, 1024, 65536])
def test_page_sizes(tmp_path: Path, size: int) -> None:
    """Any size of page is read, with a log too."""
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {size}")
        connection.execute("VACUUM")
    left(path, lambda connection: connection.execute("INSERT INTO t VALUES ('b', '2')"))
    assert read(path) == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize("content", [b"x", b"SQLite format 3\0", b"SQLite format 3\0" + bytes(84), os.urandom(4096)])
def test_no_database(tmp_path: Path, content: bytes) -> None:
    """What is no database is said to be none."""
    (tmp_path / "db").write_bytes(content)
    with pytest.raises(Damage) as found:
        read(tmp_path / "db")
    assert found.value.problem.code == "bad-sqlite"


def test_empty_and_missing(tmp_path: Path) -> None:
    """An empty file is one, and a folder is none."""
    (tmp_path / "db").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name, code in (("db", "empty"), ("gone", "missing"), ("folder", "not-regular"), ("fifo", "not-regular")):
        with pytest.raises(Damage) as found:
            read(tmp_path / name)
        assert found.value.problem.code == code


def test_log_that_is_no_file(tmp_path: Path) -> None:
    """A log that is a fifo or a symlink is not opened."""
    path = made(tmp_path / "db")
    os.mkfifo(tmp_path / "db-wal")
    assert read(path) == [("a", "1")]


def refused(path: Path, tables: Mapping[str, Sequence[str]] = TABLES) -> tuple[str, str]:
    """Return what is said of a database that is not read, or not to its end."""
    with pytest.raises(Damage) as found:
        read(path, tables)
    return found.value.problem.code, found.value.problem.detail or ""


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS k, i AS v FROM n"
EDIT = "PRAGMA writable_schema = ON"


@pytest.mark.parametrize(
    "statements",
    [
        [f"CREATE VIEW other AS {ENDLESS}"],
        ["CREATE TRIGGER other AFTER INSERT ON t BEGIN SELECT 1; END"],
        ["CREATE VIRTUAL TABLE other USING fts5(x)"],
        [EDIT, f"UPDATE sqlite_schema SET sql = 'CREATE VIEW t AS {ENDLESS}'"],
        [EDIT, "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE t USING fts5(x)'"],
        [
            "CREATE TABLE other (k, v)",
            EDIT,
            "UPDATE sqlite_schema SET sql = 'CREATE TABLE other (k, v)', name = 't' WHERE name = 't'",
            f"UPDATE sqlite_schema SET sql = 'CREATE VIEW t AS {ENDLESS}' WHERE rowid = 2",
        ],
    ],
    ids=["view", "trigger", "virtual", "view as table", "virtual as table", "table of another name"],
)
def test_more_than_tables(tmp_path: Path, statements: Sequence[str]) -> None:
    """A database in which something could compute or run is not read."""
    assert refused(made(tmp_path / "db", *statements))[0] == "bad-sqlite"


@pytest.mark.parametrize("kind", ["VIRTUAL", "STORED"])
def test_computed_columns(tmp_path: Path, kind: str) -> None:
    """They could be of any size, and take any time; also those that nobody asks for."""
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE t (k TEXT, v TEXT, big AS (zeroblob(length(k) * 9)) {kind})")
    assert refused(path) == ("bad-sqlite", "t has columns that are computed: big")


def test_row_that_is_too_long(tmp_path: Path) -> None:
    """No text is longer than the limit for a config."""
    text = "x" * (reader.BOUNDS[sqlite3.SQLITE_LIMIT_LENGTH] + 1)
    code, detail = refused(made(tmp_path / "db", f"INSERT INTO t VALUES ('b', '{text}')"))
    assert (code, "too big" in detail) == ("bad-sqlite", True)


def test_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends after so many steps, whatever they are for."""
    path = made(tmp_path / "db", *["INSERT INTO t SELECT * FROM t"] * 13)
    assert len(read(path)) == 2**13
    monkeypatch.setattr(reader, "STEPS", 10_000)
    assert refused(path)[1] == "SQLite says: interrupted"


def test_schema_without_end(tmp_path: Path) -> None:
    """A schema of a hundred thousand tables is not read."""
    path = made(tmp_path / "db", EDIT)
    row = "SELECT 'table', 't' || i, 't' || i, 2, 'CREATE TABLE t' || i || ' (k)' FROM n"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000)"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(EDIT)
        connection.execute(f"INSERT INTO sqlite_schema {numbers} {row}")
    assert refused(path)[0] == "bad-sqlite"


def test_pages_that_many_rows_share(tmp_path: Path) -> None:
    """Rows may not have more bytes than the file, as they have where hostile cells name the same pages."""
    path = made(tmp_path / "db", f"INSERT INTO t VALUES ('b', '{'x' * 100_000}')", "DELETE FROM t WHERE k = 'a'")
    content = bytearray(path.read_bytes())
    page, size = 1, int.from_bytes(content[16:18], "big")
    start = page * size
    cell = content[start + 8 : start + 10]
    content[start + 3 : start + 5] = (50).to_bytes(2, "big")
    for position in range(50):
        content[start + 8 + 2 * position : start + 10 + 2 * position] = cell
    path.write_bytes(content)
    assert refused(path)[0] == "too-large"


def test_too_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not more rows than so many."""
    monkeypatch.setattr(reader, "ROWS", 100)
    assert refused(made(tmp_path / "db", *["INSERT INTO t SELECT * FROM t"] * 7))[0] == "too-large"


def test_memory(tmp_path: Path) -> None:
    """A database as large as is read, of rows as many as are, takes no more than a few times its size."""
    path = made(tmp_path / "db")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 490000)"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"INSERT INTO t {numbers} SELECT hex(zeroblob(32)), i FROM n")
        connection.commit()
    assert path.stat().st_size > reader.LIMIT // 2
    code = f"""
import resource
from layerindex.stores.disk.files import Folder
from layerindex.stores.disk.sqlite import read_rows
resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
with Folder({str(tmp_path)!r}) as folder:
    print(sum(1 for _ in read_rows(folder, "db", {{"t": ("k", "v")}})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("490001\n", "")


def test_missing_column(tmp_path: Path) -> None:
    """A table of another shape is said."""
    with pytest.raises(Damage) as found:
        read(made(tmp_path / "db"), {"t": ("k", "no column")})
    assert found.value.problem.code == "bad-sqlite"


def test_database_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that changes each time it is read is said, and one that came to rest is read."""
    path = made(tmp_path / "db")
    rest = [0]
    before = reader._beginnings  # noqa: SLF001 - what tells a change

    def moving(folder: Folder, name: str) -> list[bytes]:
        rest[0] += 1
        return [*before(folder, name), b"" if rest[0] > 4 else b"%d" % rest[0]]

    monkeypatch.setattr(reader, "PAUSE", 0)
    monkeypatch.setattr(reader, "_beginnings", moving)
    assert read(path) == [("a", "1")]
    monkeypatch.setattr(reader, "_beginnings", lambda folder, name: [os.urandom(8), *before(folder, name)])
    with pytest.raises(Damage) as found:
        read(path)
    assert found.value.problem.code == "inconsistent"


def test_damaged_pages(tmp_path: Path) -> None:
    """Whatever a file holds, there are rows or a finding."""
    path = made(tmp_path / "db", "CREATE INDEX i ON t (k)", *["INSERT INTO t SELECT * FROM t"] * 8)
    content, rng = path.read_bytes(), random.Random(1)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(rng.choice((1, 3, 50))):
            damaged[rng.randrange(16, len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[: rng.choice((len(damaged), rng.randrange(len(damaged))))])
        try:
            read(path)
        except Damage as found:
            assert found.problem.code in {"bad-sqlite", "empty"}  # noqa: PT017 - either is right


def test_rows_beyond_memory(tmp_path: Path) -> None:
    """SQLite has no memory for what a small damaged file claims: a finding about the file, no failure of ours."""
    tmp_path.joinpath("db").write_bytes(database_without_memory())
    with pytest.raises(Damage) as found:
        read(tmp_path / "db")
    assert found.value.problem.code == "bad-sqlite"
