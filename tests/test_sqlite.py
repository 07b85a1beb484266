"""A SQLite database is read with its log, without a lock and without a change; a hostile one costs nothing."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from layerindex.problems import Damage
from layerindex.stores import sqlite as reader
from layerindex.stores.files import Folder
from tests.conftest import in_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TABLES = {"t": ("k", "v")}


def read(path: Path, tables: Mapping[str, Sequence[str]] = TABLES) -> list[tuple[Any, ...]]:
    """Return the rows of the first table."""
    with in_time(), Folder(str(path.parent)) as folder:
        return next(iter(reader.read_tables(folder, path.name, tables).values()))


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


def test_view_in_the_place_of_a_table(tmp_path: Path) -> None:
    """A view is not asked: it could take forever."""
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as connection:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS k, i AS v FROM n"
        connection.execute(f"CREATE VIEW t AS {endless}")
    assert read(path) == []


def test_column_that_takes_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query ends in time."""
    monkeypatch.setattr(reader, "SECONDS", 0)
    path = made(tmp_path / "db", *["INSERT INTO t SELECT * FROM t"] * 17)
    with pytest.raises(Damage) as found:
        read(path)
    assert found.value.problem.code == "bad-sqlite"


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
