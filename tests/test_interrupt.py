"""Ctrl-C, kill and a closed terminal end every command soon, with 128 + the signal, and what was begun is undone."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from layerindex import database, errors, interrupt, query
from tests import exhibits
from tests.test_scan_process import started

SOON = 3.0
"""Seconds in which a command ends: half a second on a machine that does nothing else."""

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
SEARCH = "SELECT instr(hex(zeroblob(20000000)), hex(zeroblob(10000000)) || 'x')"
"""One step of SQLite's that takes hours."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database with rows in it, not to be changed."""
    return Path(exhibits.build(tmp_path_factory.mktemp("exhibits")).path)


@pytest.fixture
def db(built: Path, tmp_path: Path) -> Path:
    """Give a copy of that database, alone in a folder."""
    return Path(shutil.copy(built, tmp_path / "test.db"))


def ready(pid: int) -> None:
    """Wait until a process meets signals."""
    caught = 0
    while not caught >> (signal.SIGTERM - 1) & 1:
        time.sleep(0.01)
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))


def met(arguments: list[object], stop: signal.Signals = signal.SIGINT, after: float = 1.0) -> tuple[int, str]:
    """Start the program, send it a signal when it is at work, and return its exit status and what it said."""
    with started(*arguments) as process:
        ready(process.pid)
        time.sleep(after)
        assert process.poll() is None
        process.send_signal(stop)
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - began < SOON
    return process.returncode, said


@pytest.mark.parametrize("stop", interrupt.SIGNALS)
def test_a_statement_without_end(db: Path, stop: signal.Signals) -> None:
    """SQLite looks up while it works, and nothing is said."""
    assert (128 + stop, "") == met(["query", "--db", db, "--sql", ENDLESS + "SELECT count(*) FROM n"], stop)
    assert ["test.db"] == os.listdir(db.parent)


@pytest.mark.parametrize(
    "sql",
    [SEARCH, ENDLESS + "SELECT x FROM n ORDER BY -x", ENDLESS + "SELECT x FROM n"],
    ids=["one step", "sort", "rows"],
)
def test_where_sqlite_does_not_look_up(db: Path, sql: str) -> None:
    """Within one step, while rows are sorted and while they are gathered for a table it ends as soon."""
    assert (130, "") == met(["query", "--db", db, "--sql", sql])


def test_a_reader_who_does_not_read(db: Path) -> None:
    """What waits for a full pipe ends, and so does what was still to be written to it."""
    words = ["query", "--db", str(db), "--format", "csv", "--sql", ENDLESS + "SELECT x FROM n"]
    with started(*words) as process:
        ready(process.pid)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(SOON)


@pytest.mark.parametrize("words", [["query", "images"], ["snapshots"], ["export", "out.db"]])
def test_waiting_for_a_lock(db: Path, words: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for another process that writes ends as soon, without a file of its own."""
    monkeypatch.chdir(db.parent)
    with closing(sqlite3.connect(db, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert (130, "") == met([*words, "--db", db])
    assert ["test.db"] == os.listdir(db.parent)


UNDONE = """
import sys, tempfile
from layerindex import database, interrupt
interrupt.install()
scratch = tempfile.TemporaryDirectory(dir=sys.argv[2])
with database.reading(sys.argv[1]) as connection, scratch, interrupt.undoing(scratch.cleanup):
    connection.execute(sys.argv[3])
"""


def test_a_thread_undoes_too(db: Path, tmp_path: Path) -> None:
    """Where a thread has to end the process, what a temporary folder holds is gone all the same."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", UNDONE, db, folder, SEARCH]) as process:
        while not os.listdir(folder):
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert 143 == process.wait(30)
    assert [] == os.listdir(folder)


def test_an_ignored_signal_stays_ignored(db: Path) -> None:
    """Nohup means it."""
    words = ["query", "--db", str(db), "--timeout", "2", "--sql", ENDLESS + "SELECT count(*) FROM n"]
    command = ["nohup", sys.executable, "-m", "layerindex", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        ready(process.pid)
        time.sleep(0.5)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)
    assert 1 == process.returncode


def test_every_connection_looks_up(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer, a reader and a private database are interrupted, by an error that no one takes for another."""
    sql = ENDLESS + "SELECT count(*) FROM n"
    with database.reading(str(db)) as reader, database.passing() as (private, _):
        monkeypatch.setattr(interrupt._Arrived, "number", signal.SIGTERM)  # noqa: SLF001 - what a handler sets
        for connection in (reader, private):
            with pytest.raises(interrupt.Interrupted) as met_here:
                connection.execute(sql)
            assert 143 == met_here.value.status
        monkeypatch.undo()
    before = db.read_bytes()
    with pytest.raises(interrupt.Interrupted), database.writing(str(db), print) as writer:  # noqa: PT012 - as a whole
        writer.execute("DELETE FROM problems")
        monkeypatch.setattr(interrupt._Arrived, "number", signal.SIGTERM)  # noqa: SLF001 - what a handler sets
        writer.execute(sql)
    assert before == db.read_bytes()


def test_an_index_is_sorted_in_small_pieces(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite sorts at once, which nothing interrupts, is small while an index is built, and only then."""
    monkeypatch.setattr(database, "REBUILD_ROWS", 0)
    said: list[str] = []
    with database.writing(str(db), print) as writer:
        before = writer.execute("PRAGMA cache_size").fetchone()
        index = database.NameIndex(writer, 1, 0)
        writer.set_trace_callback(said.append)
        index.close()
        assert before == writer.execute("PRAGMA cache_size").fetchone()
    sizes = [place for place, text in enumerate(said) if "cache_size" in text]
    (built,) = [place for place, text in enumerate(said) if text.startswith("CREATE INDEX")]
    assert said[sizes[0]] == database.SORTED
    assert sizes[0] < built < sizes[1]


# The limit of time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        *(["query", "images"], ["find", "x"], ["show", "debian:12"], ["tree", "debian:12"], ["plan"]),
        *(["compare", "1", "2"], ["snapshots", "list"]),
    ],
)
def test_every_command_that_asks_has_the_limit(db: Path, words: list[str]) -> None:
    """--timeout is there, ten minutes by default, and holds."""
    command = [sys.executable, "-m", "layerindex", *words]
    text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--timeout" in text if words[0] != "query" else "Usage" in text
    done = subprocess.run([*command, "--db", db, "--timeout", "0"], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr
    assert 600 == query.LIMIT.get()


def test_the_sentence_names_the_option(db: Path) -> None:
    """Whoever is stopped learns how to go on."""
    sentence = r"longer than 0\.1 s .*--timeout SECONDS allows more, 0 any time"
    with (
        database.reading(str(db)) as connection,
        query.limited(0.1),
        pytest.raises(errors.QueryError, match=sentence),
    ):
        query.run(connection, ENDLESS + "SELECT count(*) FROM n", {})


def test_who_reads_slowly_is_not_stopped(db: Path) -> None:
    """Only SQLite's own time counts, not that of a pager."""
    sql = ENDLESS + "SELECT x FROM n LIMIT 10000"
    with database.reading(str(db)) as connection, query.limited(0.5):
        rows = query.run(connection, sql, {}).rows
        next(rows)
        time.sleep(0.7)
        assert 9_999 == sum(1 for _ in rows)


def test_the_limit_ends_with_its_statement(db: Path) -> None:
    """What a command does after a query on the same connection is not limited."""
    with database.reading(str(db)) as connection, query.limited(0.2):
        list(query.run(connection, "SELECT 1", {}).rows)
        time.sleep(0.3)
        sql = ENDLESS + "SELECT count(*) FROM (SELECT x FROM n LIMIT 1000000)"
        assert [(1_000_000,)] == connection.execute(sql).fetchall()
