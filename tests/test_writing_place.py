"""Where a database may be written, who may read it then, and whose files a writer removes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from layerindex import claim, database, locks
from layerindex.cli import scan as scan_command
from layerindex.errors import DatabaseError, LayerindexError
from tests.conftest import World, program
from tests.test_exchange import index, rows, silent

STRANGER, OTHER = 4321, 4322
"""Users that are on no machine."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make files of others")


@pytest.fixture(scope="module")
def made(lasting: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the database of a scan."""
    return index(tmp_path_factory.mktemp("made") / "made.db", lasting.root, "web-1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder in one that everybody can go through."""
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o11)
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    return folder


def write(db: Path) -> list[str]:
    """Write nothing to a database, and return what was said meanwhile."""
    said: list[str] = []
    with database.writing(str(db), said.append):
        pass
    return said


def refused(db: Path, why: str) -> None:
    """Make sure that a database is not opened to write, and nothing is made."""
    before = sorted(os.listdir(db.parent))
    with pytest.raises(DatabaseError, match=why) as caught:
        write(db)
    assert "--db" in str(caught.value) or "remove it" in str(caught.value)
    assert before == sorted(os.listdir(db.parent))


# Where ---------------------------------------------------------------------------------------------------------------


def test_folder_for_everybody(folder: Path) -> None:
    """A folder that others can write is refused, and one below it."""
    folder.chmod(0o777)
    refused(folder / "x.db", f"{folder} can be written by others")
    (folder / "below").mkdir(mode=0o700)
    refused(folder / "below" / "x.db", f"{folder} can be written by others")


def test_folder_where_nobody_removes_anothers(folder: Path) -> None:
    """In a folder as /tmp is, a database is made, and written again, and no journal stays."""
    folder.chmod(0o1777)
    write(folder / "x.db")
    write(folder / "x.db")
    assert ["x.db"] == os.listdir(folder)


@as_root
def test_folder_of_another(folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user is refused, new database or not; that of who ran sudo is not."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    os.chown(folder, STRANGER, STRANGER)
    refused(folder / "x.db", f"{folder} belongs to user {STRANGER}")
    shutil.copy(made, folder / "x.db")
    refused(folder / "x.db", f"{folder} belongs to user {STRANGER}")
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    monkeypatch.setenv("SUDO_GID", str(STRANGER))
    write(folder / "x.db")
    write(folder / "new.db")
    write(folder / "new.db")
    assert (STRANGER, STRANGER) == ((folder / "new.db").stat().st_uid, (folder / "new.db").stat().st_gid)
    monkeypatch.setenv("SUDO_UID", str(OTHER))
    refused(folder / "x.db", f"{folder} belongs to user {STRANGER}")


@as_root
@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
def test_file_of_another(folder: Path, made: Path, end: str) -> None:
    """A database of another user, and what another put beside it, is refused where anybody can put something."""
    folder.chmod(0o1777)
    shutil.copy(made, folder / "x.db")
    Path(f"{folder}/x.db{end}").touch()
    os.chown(f"{folder}/x.db{end}", STRANGER, STRANGER)
    refused(folder / "x.db", f"{folder}/x.db{end} belongs to user {STRANGER}")


@as_root
def test_group_that_can_write(folder: Path) -> None:
    """A folder that a group of others can write is refused."""
    folder.chmod(0o770)
    os.chown(folder, -1, STRANGER)
    refused(folder / "x.db", "can be written by others")


def test_journal_with_two_names(folder: Path, made: Path) -> None:
    """A journal that is also another file, perhaps a log that strangers fill, is no journal."""
    shutil.copy(made, folder / "x.db")
    (folder / "log").write_bytes(b"x")
    (folder / "x.db-journal").hardlink_to(folder / "log")
    refused(folder / "x.db", "has a second name")


def test_name_of_the_journal_is_never_free(folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before SQLite looks for a journal there is one of ours, and there still is while we write."""
    db = Path(shutil.copy(made, folder / "x.db"))
    there: list[bool] = []
    plain = database.Connection.execute

    def execute(self: database.Connection, sql: str, parameters: tuple[()] = ()) -> sqlite3.Cursor:
        there.append(Path(f"{db}-journal").exists())
        return plain(self, sql, parameters)

    monkeypatch.setattr(database.Connection, "execute", execute)
    with database.writing(str(db), silent) as connection:
        connection.execute("UPDATE snapshots SET label = 'x'")
    assert there
    assert all(there)
    assert ["x.db"] == os.listdir(folder)


# Who reads it --------------------------------------------------------------------------------------------------------


def test_only_the_owner_reads_what_is_made(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Database, journal, export and copies are 0600 from the first byte, whatever the umask says."""
    modes: dict[str, int] = {}
    real = os.open

    def opened(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        handle = real(path, flags, mode, dir_fd=dir_fd)
        if flags & os.O_CREAT:
            modes[os.path.basename(path)] = stat.S_IMODE(os.fstat(handle).st_mode)
        return handle

    monkeypatch.setattr(os, "open", opened)
    before = os.umask(0)
    try:
        index(folder / "x.db", world.root, "web-1")
        done = program("export", str(folder / "out.db.gz"), "--db", str(folder / "x.db"))
        assert 0 == done.returncode, done.stderr
    finally:
        os.umask(before)
    assert {"x.db": 0o600, "x.db-journal": 0o600} == {name: modes[name] for name in ("x.db", "x.db-journal")}
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert ["out.db.gz", "x.db"] == sorted(os.listdir(folder))


def test_an_older_database_keeps_its_mode(world: World, folder: Path) -> None:
    """A database that others can read stays so, and a scan says it; with -q it does not."""
    db = index(folder / "x.db", world.root, "web-1")
    words = ("scan", str(world.root.path), "--db", str(db))
    assert "others can read it" not in program(*words).stderr
    db.chmod(0o644)
    assert f"{db}: others can read it" in program(*words).stderr
    assert not program(*words, "-q").stderr
    assert 0o644 == stat.S_IMODE(db.stat().st_mode)


# Whose file is removed -----------------------------------------------------------------------------------------------


class GaveUpError(LayerindexError):
    """What a scan ends with."""


def give_up(db: Path) -> None:
    """Begin a first scan that fails."""
    with pytest.raises(GaveUpError), database.writing(str(db), silent):
        raise GaveUpError


def test_a_first_scan_that_fails_leaves_nothing(folder: Path) -> None:
    """The file that it made is gone; one that was there, though empty, is another's."""
    give_up(folder / "x.db")
    assert [] == os.listdir(folder)
    (folder / "x.db").touch()
    give_up(folder / "x.db")
    assert ["x.db"] == os.listdir(folder)


def test_a_first_scan_that_fails_leaves_what_is_anothers(folder: Path, made: Path) -> None:
    """A database that came in the place of its file meanwhile stays."""
    db = folder / "x.db"

    def replace() -> None:
        os.replace(shutil.copy(made, folder / "other.db"), db)
        raise GaveUpError

    with pytest.raises(GaveUpError), database.writing(str(db), silent):
        replace()
    assert [(1,)] == rows(db, "SELECT count(*) FROM snapshots")
    assert ["x.db"] == os.listdir(folder)


def test_a_file_made_and_filled_by_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another program put into the file that a scan made, before the scan had it, is not removed."""
    db = folder / "x.db"

    def fill(*_: object) -> None:
        monkeypatch.undo()
        with closing(sqlite3.connect(db)) as other:
            other.execute("CREATE TABLE theirs (a)")
        raise GaveUpError

    monkeypatch.setattr(claim.Claim, "hold_journal", fill)
    with pytest.raises(GaveUpError), database.writing(str(db), silent):
        pass
    assert [(0,)] == rows(db, "SELECT count(*) FROM theirs")


@pytest.mark.parametrize("gone", ["removed", "replaced"])
@pytest.mark.parametrize("begun", [False, True], ids=["new", "existing"])
def test_the_name_leads_elsewhere_at_the_commit(folder: Path, made: Path, gone: str, begun: bool) -> None:
    """Nothing is written to a file that has lost its name, and the scan says so."""
    db = folder / "x.db"
    if begun:
        shutil.copy(made, db)

    def write_what_is_lost(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO hosts (host_id, name) VALUES (9, 'lost')")
        db.unlink()
        if gone == "replaced":
            shutil.copy(made, db)

    why = "was removed or replaced meanwhile; nothing was written, scan again"
    with pytest.raises(DatabaseError, match=why), database.writing(str(db), silent) as connection:
        write_what_is_lost(connection)
    assert (["x.db"] if gone == "replaced" else []) == os.listdir(folder)
    if gone == "replaced":
        assert [("web-1",)] == rows(db, "SELECT name FROM hosts")


@pytest.mark.parametrize("begun", [False, True], ids=["empty", "filled"])
def test_the_name_leads_elsewhere_after_waiting(
    folder: Path, made: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Who waited for a first scan that gave up makes a new file; where a database went, that is said."""
    db = folder / "x.db"
    if begun:
        shutil.copy(made, db)
    else:
        db.touch()
    take = locks.take
    looked: list[int] = []

    def taken(handle: int, start: int, length: int = 1, *, exclusive: bool) -> bool:
        if start == locks.WRITER and not looked:
            looked.append(handle)
            db.unlink()
            return False
        return take(handle, start, length, exclusive=exclusive)

    monkeypatch.setattr(locks, "take", taken)
    if begun:
        with pytest.raises(
            DatabaseError, match="was removed or replaced while this waited for it; nothing was written"
        ):
            write(db)
        assert [] == os.listdir(folder)
    else:
        assert [f"{db}: another process is writing to it; waiting up to {claim.PATIENCE} s"] == write(db)
        assert [(0,)] == rows(db, "SELECT count(*) FROM snapshots")


def test_a_database_with_nothing_in_it_is_filled(folder: Path) -> None:
    """What a killed first scan left empty is as good as no database."""
    db = folder / "x.db"
    db.touch()
    scan_command.prepare(str(db))
    write(db)
    scan_command.prepare(str(db))
