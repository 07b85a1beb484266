"""What a stranger puts at the place of a database, or beside it, harms nobody: no command follows it, or waits."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from click.testing import CliRunner

from layerindex.cli import group
from tests.conftest import World, mounted, program
from tests.test_exchange import KILLED, index, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

PAGE = 8192
MAGIC = bytes.fromhex("d9d505f920a163d7")

READING = {
    "query": ("query", "snapshots"),
    "sql": ("query", "--sql", "SELECT count(*) FROM files"),
    "show": ("show", "acme/web:1.0"),
    "tree": ("tree", "acme/web:1.0"),
    "plan": ("plan",),
    "find": ("find", "app"),
    "list": ("snapshots", "list"),
    "compare": ("compare", "1", "1"),
    "export": ("export", "{out}"),
    "check": ("db", "check"),
    "problems": ("query", "problems"),
    "rm-dry-run": ("snapshots", "rm", "1", "--dry-run"),
    "prune-dry-run": ("snapshots", "prune", "--keep", "0", "--dry-run"),
}
"""Every command that reads the database of --db."""

OTHERS = {
    "compare-file": ("compare", "{db}", "{db}", "--db", "{out}"),
    "import": ("import", "{db}", "--db", "{out}"),
}
"""Those that read another."""

WRITING = {
    "scan": ("scan", "{root}"),
    "import-into": ("import", "{real}"),
    "rm": ("snapshots", "rm", "1"),
    "prune": ("snapshots", "prune", "--keep", "1"),
    "upgrade": ("db", "upgrade"),
}
"""Every command that writes it."""


class Place(NamedTuple):
    """A database by two names, in folders of its own, with a good copy elsewhere."""

    db: Path
    link: Path
    real: Path
    root: Path
    victim: Path


@pytest.fixture(scope="module")
def made(lasting: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the database of a scan."""
    db = tmp_path_factory.mktemp("made") / "real.db"
    index(db, lasting.root, "web-1")
    return db


@pytest.fixture
def at(lasting: World, made: Path, tmp_path: Path) -> Place:
    """Give a copy of a database, and a symbolic link to it in another folder."""
    (tmp_path / "folder").mkdir()
    db = Path(shutil.copy(made, tmp_path / "folder" / "x.db"))
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link = tmp_path / "link.db"
    link.symlink_to(db)
    return Place(db, link, made, lasting.root.path, victim)


def given(at: Place, words: tuple[str, ...], name: Path) -> list[str]:
    """Return the words of a command on the database by one of its names."""
    values = {"db": name, "out": at.victim.with_name("out.db"), "real": at.real, "root": at.root}
    made = [word.format(**values) for word in words]
    return [*made, *([] if "--db" in made else ["--db", str(name)])]


def call(at: Place, words: tuple[str, ...], name: Path) -> Result:
    """Run a command within this process."""
    return CliRunner().invoke(group, given(at, words, name), prog_name="layerindex")


def forged(db: Path, victim: Path) -> bytes:
    """Return a journal that SQLite rolls back, deleting the file that it names."""
    head = MAGIC + struct.pack(">IIIII", 0, 1234, db.stat().st_size // PAGE, 512, PAGE)
    name = os.fsencode(victim)
    end = struct.pack(">I", 0x40000000 // PAGE + 1) + name + struct.pack(">II", len(name), sum(name)) + MAGIC
    return head.ljust(512, b"\0") + end


def test_the_forged_journal_is_one(at: Place) -> None:
    """SQLite itself deletes the file, or the tests below prove nothing."""
    Path(f"{at.db}-journal").write_bytes(forged(at.db, at.victim))
    with closing(sqlite3.connect(at.link)) as plain:
        plain.execute("SELECT 1 FROM images")
    assert not at.victim.exists()


@pytest.mark.parametrize("words", [*READING.values(), *OTHERS.values(), *WRITING.values()], ids=" ".join)
def test_journal_that_names_a_file_to_delete(at: Place, words: tuple[str, ...]) -> None:
    """No command rolls it back, by whatever name the database is called, and the journal is named as what is wrong."""
    journal = Path(f"{at.db}-journal")
    journal.write_bytes(forged(at.db, at.victim))
    Path(f"{at.link}-journal").touch()
    before = at.db.read_bytes()
    for name in (at.link, at.db):
        done = call(at, words, name)
        assert (1, "") == (done.exit_code, done.stdout)
        assert f"{journal} names another file, which no journal of ours does" in done.stderr
    assert b"precious" == at.victim.read_bytes()
    assert before == at.db.read_bytes()
    assert journal.exists()


@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "device"])
@pytest.mark.parametrize("words", [READING["query"], OTHERS["import"], WRITING["scan"]], ids=" ".join)
def test_what_is_no_file(at: Place, words: tuple[str, ...], kind: str, end: str) -> None:
    """A fifo, a folder, a symbolic link or a device in the place of a file is refused, and nothing waits for it."""
    place = Path(f"{at.db}{end}")
    place.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to(at.victim.with_name("nothing"))
    elif os.geteuid() == 0:
        os.mknod(place, 0o20600, os.makedev(1, 5))  # /dev/zero
    else:
        pytest.skip("needs root")
    if not end and words == OTHERS["import"] and kind in {"fifo", "device"}:
        pytest.skip("a stream may come from there, and is waited for")
    done = program(*given(at, words, at.db))
    assert 1 == done.returncode, done.stdout
    assert "Traceback" not in done.stderr
    assert os.path.lexists(place)
    assert not at.victim.with_name("nothing").exists()


def test_link_to_nothing(at: Place) -> None:
    """A symbolic link that leads nowhere is not filled: where it leads is another's choice."""
    at.link.unlink()
    aim = at.victim.with_name("aim")
    at.link.symlink_to(aim)
    for words in (*READING.values(), *WRITING.values()):
        done = call(at, words, at.link)
        assert (1, "") == (done.exit_code, done.stdout)
        assert f"{at.link}: is a symbolic link to {aim}, where nothing is" in done.stderr
    assert not aim.exists()


# Untouched -----------------------------------------------------------------------------------------------------------


def state(folder: Path) -> list[tuple[str, bytes | None, tuple[int, ...]]]:
    """Return all there is to see of a folder and its files."""
    found: list[tuple[str, bytes | None, tuple[int, ...]]] = []
    for path in (folder, *sorted(folder.iterdir())):
        status = path.stat()
        times = (status.st_mtime_ns, status.st_ctime_ns, status.st_mode, status.st_ino, status.st_nlink, status.st_uid)
        found.append((path.name, path.read_bytes() if path.is_file() else None, times))
    return found


WITH_LOG = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("UPDATE snapshots SET label = 'in the log'")
os.kill(os.getpid(), signal.SIGKILL)
"""

LABEL = "SELECT label FROM snapshots"


def plain(db: Path) -> None:
    """Leave it as a scan does."""


def torn(db: Path) -> None:
    """Leave the journal of a writer that died, and half of what it did in the file."""
    subprocess.run([sys.executable, "-c", KILLED, str(db)], check=False)
    assert Path(f"{db}-journal").stat().st_size


def logged(db: Path) -> None:
    """Leave a transaction in the write-ahead log, and its index."""
    subprocess.run([sys.executable, "-c", WITH_LOG, str(db)], check=False)
    assert Path(f"{db}-wal").stat().st_size
    assert Path(f"{db}-shm").exists()


def switched(db: Path) -> None:
    """Leave it in WAL mode without a log."""
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


STATES = [plain, torn, logged, switched]


@contextmanager
def as_it_is(folder: Path) -> Iterator[None]:  # noqa: ARG001 - called like the others
    """Let everything be written."""
    yield


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Let the folder and what is in it be read by anybody, and written by none but root."""
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o444)
    yield


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let the file system be one that cannot be written."""
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield


@pytest.mark.parametrize("access", [as_it_is, closed, read_only], ids=lambda access: access.__name__)
@pytest.mark.parametrize("left", STATES, ids=lambda left: left.__name__)
def test_reading_leaves_everything_as_it_was(at: Place, left: object, access: object) -> None:
    """Bytes, times, modes and the listing of the folder are as before after every command that reads."""
    assert callable(left)
    assert callable(access)
    left(at.db)
    expected = "in the log" if left is logged else None
    with access(at.db.parent):
        before = state(at.db.parent)
        for words in (*READING.values(), *OTHERS.values()):
            if words == OTHERS["compare-file"]:
                continue
            done = call(at, words, at.db)
            assert 0 == done.exit_code, (words, done.stderr)
            assert before == state(at.db.parent), words
        at.victim.with_name("out.db").unlink()
        assert 0 == call(at, ("import", "{db}", "--db", "{out}"), at.db).exit_code
        assert [(expected,)] == rows(at.victim.with_name("out.db"), LABEL)
        assert 0 == call(at, OTHERS["compare-file"], at.db).exit_code
        assert before == state(at.db.parent)
