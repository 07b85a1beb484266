"""Files that nobody vouches for: each is refused in one sentence or taken as data, and never run or half taken."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerindex import database, exchange, genuine
from layerindex.errors import DatabaseError, LayerindexError, NewerDatabaseError, RefusedFileError
from layerindex.exchange import checks
from layerindex.writing import equal_listings as listings
from tests.conftest import World, in_time, program
from tests.packing import database_without_memory
from tests.test_exchange import change, index, rows, silent, whole

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = "sha256:" + "e" * 64


@pytest.fixture(scope="module")
def good(lasting: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file that is as it should be."""
    return index(tmp_path_factory.mktemp("good") / "good.db", lasting.root, "web-1")


@pytest.fixture
def file(good: Path, tmp_path: Path) -> Path:
    """Give a copy of it to spoil."""
    return Path(shutil.copy(good, tmp_path / "file.db"))


@pytest.fixture
def fleet(lasting: World, tmp_path: Path) -> Path:
    """Give a database that holds another host."""
    return index(tmp_path / "fleet.db", lasting.root, "here")


def forge(path: Path, *statements: str) -> None:
    """Rewrite what a file says of its schema."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        for sql in statements:
            connection.execute(sql)


def refused(fleet: Path, file: Path, sentence: str = ".") -> None:
    """Assert that a file is refused in one sentence, in time, and that the database stays as it was to the byte."""
    before = fleet.read_bytes()
    with in_time(), pytest.raises(LayerindexError, match=sentence) as error:
        exchange.import_file(str(fleet), str(file), silent)
    assert isinstance(error.value, RefusedFileError | NewerDatabaseError)
    assert "\n" not in str(error.value)
    assert str(file) in str(error.value)
    assert before == fleet.read_bytes()
    assert {fleet.name, file.name} >= {
        name for name in os.listdir(fleet.parent) if "layerindex" in name or ".db" in name
    }


# What is no file of ours --------------------------------------------------------------------------------------------


def folder(path: Path) -> None:
    """Put a folder where the file was."""
    path.unlink()
    path.mkdir()


def foreign(path: Path) -> None:
    """Write a database of another program."""
    path.unlink()
    change(path, "CREATE TABLE images (a)")


def utf_16(path: Path) -> None:
    """Write an empty database of ours in another encoding."""
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        database.create(connection)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "random": (lambda path: path.write_bytes(random.Random(1).randbytes(8192)), "is not an SQLite database"),
    "header": (
        lambda path: path.write_bytes(b"SQLite format 3\0" + random.Random(1).randbytes(8192)),
        "is not an SQLite database|is damaged",
    ),
    "short": (lambda path: path.write_bytes(b"SQLite format 3\0"), "not an SQLite|is damaged|not a layerindex"),
    "folder": (folder, "cannot be read: Is a directory"),
    "missing": (lambda path: path.unlink(), "cannot be read: No such file or directory"),
    "truncated": (lambda path: os.truncate(path, path.stat().st_size // 2), "is damaged or cut short"),
    "cut": (lambda path: os.truncate(path, path.stat().st_size - 1), "is damaged or cut short"),
    "foreign": (
        foreign,
        "is an SQLite file, but not a layerindex database",
    ),
    "newer": (
        lambda path: change(path, "UPDATE alembic_version SET version_num = '9999'"),
        "has schema 9999, written by a newer layerindex",
    ),
    "older": (
        lambda path: change(path, "UPDATE alembic_version SET version_num = '0001'"),
        "is not as layerindex writes it: its table .* is another",
    ),
    "never": (
        lambda path: change(path, "UPDATE alembic_version SET version_num = '0000'"),
        "has schema 0000, which no layerindex ever had",
    ),
    "no number": (
        lambda path: change(path, "UPDATE alembic_version SET version_num = '12; DROP'"),
        "does not say which schema it has",
    ),
    "no version": (lambda path: change(path, "DELETE FROM alembic_version"), "does not say which schema it has"),
    "many versions": (
        lambda path: change(path, "INSERT INTO alembic_version VALUES ('0009'), ('0001')"),
        "does not say which schema it has",
    ),
    "no text": (
        lambda path: path.write_bytes(path.read_bytes().replace(b"CREATE TABLE hosts", b"CREA\xa5E TABLE hosts")),
        r"malformed database schema \(hosts\) - near \"CREA\\xa5E\": syntax error",
    ),
    "no table": (lambda path: change(path, "DROP TABLE drift"), "it has no table drift"),
    "utf-16": (
        utf_16,
        "is not as layerindex writes it .*same text encoding",
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_unfit_file(file: Path, fleet: Path, kind: str) -> None:
    """What is not a whole file of this schema or an older one is refused."""
    spoil, sentence = FILES[kind]
    spoil(file)
    refused(fleet, file, sentence)


def test_rows_beyond_memory(file: Path, fleet: Path) -> None:
    """A small file may claim a row that SQLite has no memory for."""
    file.write_bytes(database_without_memory())
    refused(fleet, file, "is damaged")


def test_a_reason_moves_no_cursor(file: Path, tmp_path: Path) -> None:
    """What SQLite quotes of a hostile schema is escaped."""
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE hosts", b"CREATE \x1bABLE hosts"))
    done = program("import", str(file), "--db", str(tmp_path / "new.db"))

    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert 'unrecognized token: "\\x1b"' in done.stderr


def test_unfit_file_at_the_command_line(file: Path, tmp_path: Path) -> None:
    """It is one sentence on stderr and exit status 1, and no database is made for it."""
    file.write_bytes(b"hello")
    done = program("import", str(file), "--db", str(tmp_path / "new.db"))

    expected = f"Error: {file}: is not an SQLite database; nothing of it was imported\n"
    assert (1, "", expected) == (done.returncode, done.stdout, done.stderr)
    assert ["file.db"] == os.listdir(tmp_path)


# Schemas that lie ---------------------------------------------------------------------------------------------------

REPLACED = {
    "a view of our name": "CREATE VIEW build_cache AS SELECT * FROM old",
    "a view of our name in capitals": "CREATE VIEW BUILD_CACHE AS SELECT * FROM old",
    "a virtual table": "CREATE VIRTUAL TABLE build_cache USING fts5(snapshot_id, record_id)",
    "other columns": "CREATE TABLE build_cache (snapshot_id, record_id, size)",
    "not strict": "{without STRICT}",
    "a check": "{with} CHECK (abs(size) > 0)",
    "a default": "{with} DEFAULT (random())",
    "a generated column": "{with} GENERATED ALWAYS AS (1)",
    "a collation": "{with} COLLATE NOCASE",
    "a quoted comment": "{with} DEFAULT '/*' CHECK (load_extension('x')) /* '*/",
}


@pytest.mark.parametrize("kind", REPLACED)
def test_tables_that_are_not_ours(file: Path, fleet: Path, kind: str) -> None:
    """Each of our tables must be one, made as we make it: nothing else is read."""
    ((sql,),) = rows(file, "SELECT sql FROM sqlite_schema WHERE name = 'build_cache'")
    new = REPLACED[kind]
    if new.startswith("{with}"):
        new = sql.replace("size INTEGER", f"size INTEGER{new.removeprefix('{with}')}")
    elif new.startswith("{"):
        new = sql.replace(" WITHOUT ROWID,\n STRICT", " WITHOUT ROWID")
    assert sql != new
    change(file, "PRAGMA legacy_alter_table = ON", "ALTER TABLE build_cache RENAME TO old", new)
    refused(fleet, file, "its table build_cache is another")


def test_a_table_whose_text_lies(file: Path, fleet: Path) -> None:
    """A schema that was edited by hand, so that the text is not what the table was made with, is refused."""
    forge(file, "UPDATE sqlite_schema SET sql = replace(sql, 'size INTEGER', 'size TEXT') WHERE name = 'build_cache'")
    refused(fleet, file, "its table build_cache is another")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE build_cache (' WHERE name = 'build_cache'",
        "UPDATE sqlite_schema SET sql = x'00' WHERE name = 'build_cache'",
        "UPDATE sqlite_schema SET sql = NULL WHERE name = 'build_cache'",
        "UPDATE sqlite_schema SET rootpage = 999999 WHERE name = 'build_cache'",
        "UPDATE sqlite_schema SET rootpage = 3 WHERE name IN ('build_cache', 'hosts')",
        "UPDATE sqlite_schema SET type = 'trigger' WHERE name = 'build_cache'",
        "INSERT INTO sqlite_schema SELECT type, upper(name), tbl_name, rootpage, sql FROM sqlite_schema",
        "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema WHERE name = 'build_cache'",
        "INSERT INTO sqlite_schema VALUES ('table', 'evil', 'evil', 0, 'CREATE TABLE evil AS SELECT abs(1)')",
        "UPDATE sqlite_schema SET name = 'files' WHERE name = 'drift'",
    ],
)
def test_a_broken_schema(file: Path, fleet: Path, sql: str) -> None:
    """A schema that SQLite cannot read or that says two things is refused."""
    forge(file, sql)
    refused(fleet, file)


def test_what_the_file_brings_is_not_run(file: Path, fleet: Path) -> None:
    """Tables, views and indexes of the file's own are no reason to refuse it, and are never met."""
    evil = "(SELECT zeroblob(999999999) FROM snapshots)"
    change(
        file,
        f"CREATE VIEW lie AS SELECT {evil} AS snapshot_id",
        "CREATE INDEX i1 ON build_cache (size DESC, snapshot_id)",
        "CREATE TABLE mine (snapshot_id, secret)",
        f"CREATE TRIGGER t1 AFTER INSERT ON mine BEGIN SELECT {evil}; DELETE FROM hosts; END",
        "INSERT INTO sqlite_stat1 VALUES ('mine', NULL, '1')",
    )
    exchange.import_file(str(fleet), str(file), silent)

    assert [(0,)] == rows(fleet, "SELECT count(*) FROM sqlite_schema WHERE name IN ('t1', 'lie', 'i1', 'mine')")
    assert [("here",), ("web-1",)] == rows(fleet, "SELECT name FROM hosts ORDER BY 1")
    whole(fleet)


def test_statistics_that_lie(file: Path, fleet: Path) -> None:
    """What ANALYZE left in the file may be anything."""
    change(
        file,
        "DELETE FROM sqlite_stat1",
        "INSERT INTO sqlite_stat1 VALUES ('build_cache', 'build_cache', '-9 x 99999999999999999')",
    )
    assert 1 == exchange.import_file(str(fleet), str(file), silent).snapshots
    forge(file, "UPDATE sqlite_schema SET sql = 'CREATE VIEW sqlite_stat1 AS SELECT 1' WHERE name = 'sqlite_stat1'")
    with pytest.raises(RefusedFileError):
        exchange.import_file(str(fleet), str(file), silent)


# Rows that lie ------------------------------------------------------------------------------------------------------

ROWS = {
    "UPDATE snapshots SET uid = '../../etc/passwd'": "snapshots.uid is not as",
    "UPDATE snapshots SET uid = upper(uid)": "snapshots.uid is not as",
    "UPDATE snapshots SET host_id = 99": "a row of snapshots points to nothing",
    "UPDATE snapshots SET started_at = 'zzz'": "snapshots.started_at is not as",
    "UPDATE snapshots SET started_at = '9999-13-13T0\x1b[2J'": "snapshots.started_at is not as",
    "UPDATE snapshots SET ordered_at = '9999-12-31T23:59:59.999Z'": "snapshots.ordered_at is not as",
    "UPDATE snapshots SET ordered_at = '2026-13-30T00:00:00.000Z'": "snapshots.ordered_at is not as",
    "UPDATE snapshots SET ordered_at = '2026-02-01T00:00:00Z'": "snapshots.ordered_at is not as",
    "UPDATE snapshots SET ordered_at = 'now'": "snapshots.ordered_at is not as",
    "UPDATE snapshots SET scope = 'all'": "snapshots.scope is not as",
    "UPDATE layers SET listing_id = 99": "a row of layers points to nothing",
    "UPDATE layers SET listing_id = -1": "a row of layers points to nothing",
    "UPDATE layers SET listing_id = 9223372036854775807": "a row of layers points to nothing",
    "UPDATE overlay_dirs SET listing_id = -9223372036854775808": "a row of overlay_dirs points to nothing",
    "UPDATE layers SET listing_id = (SELECT max(listing_id) FROM listings WHERE diff_id IS NULL)": "a layer has the",
    f"UPDATE layers SET diff_id = '{DIGEST}'": "a layer has the listing",
    "UPDATE layers SET diff_id = 'sha256:../../etc'": "layers.diff_id is not as",
    "UPDATE layers SET chain_id = chain_id || char(0) || 'x'": "layers.chain_id is not as",
    "UPDATE layers SET chain_id = '%s' || chain_id": "layers.chain_id is not as",
    "UPDATE layers SET cache_id = cache_id || char(0)": "layers.cache_id is not as",
    "UPDATE entries SET name = name || char(0)": "an entry's type, mode or name is not as",
    "UPDATE directories SET path = path || char(0) WHERE path = '/srv'": "is no path of a directory",
    "UPDATE layers SET cache_id = '../x'": "layers.cache_id is not as",
    "UPDATE overlay_dirs SET cache_id = '.' || cache_id": "overlay_dirs.cache_id is not as",
    "UPDATE overlay_dirs SET role = 'admin'": "overlay_dirs.role is not as",
    "UPDATE part_names SET name = 'x' || name WHERE name_id = (SELECT min(image_id) FROM part_stored_images)": (
        "image_id is not as"
    ),
    "UPDATE containers SET container_id = substr(container_id, 2)": "containers.container_id is not as",
    "UPDATE part_image_layers SET chain_id = 'x'": "image_layers.chain_id is not as",
    "UPDATE part_images SET os = 'other'": "a part has other rows than its digest says",
    "UPDATE part_image_layers SET position = -1 - position": "a part has other rows than its digest says",
    "DELETE FROM part_image_history": "a part has other rows than its digest says",
    "DELETE FROM part_image_configs": "a part has other rows than its digest says",
    "UPDATE parts SET digest = zeroblob(32) WHERE part_id = 1": "a part has other rows than its digest says",
    "DELETE FROM parts": "a part has other rows than its digest says",
    "DELETE FROM part_images": "a row of stored_images points to nothing",
    "UPDATE part_lowers SET lower_cache_id = cache_id": "a part has other rows than its digest says",
    "UPDATE part_lowers SET link = 0": "a part has other rows than its digest says",
    "UPDATE part_lowers SET link = 99999": "a row of overlay_lowers points to nothing",
    "UPDATE part_links SET target = '../x/diff'": "a part has other rows than its digest says",
    "UPDATE part_links SET cache_id = 99999": "a row of links points to nothing",
    "UPDATE part_uses SET source = used": "a part has other rows than its digest says",
    "UPDATE part_names SET name = name || 'x'": "is not as layerindex writes it",
    "DELETE FROM part_names": "a row of overlay_lowers points to nothing|holds rows that no scan writes",
    "UPDATE stored_directories SET part_id = -1": "a row of stored_directories points to nothing|a part has other rows",
    "UPDATE stored_directories SET bucket = 200 + bucket": "a part is in another bucket than its names",
    "UPDATE part_names SET name = CAST(x'ff' AS TEXT) || name": "a text of part_names is not UTF-8",
    "UPDATE part_stored_images SET content_id = -1": "a row of stored_images points to nothing",
    "INSERT INTO problems SELECT 1, 99, 'fatal', 'x', 'x', NULL, 'x'": "problems.severity is not as",
    f"INSERT INTO blobs VALUES (1, '{DIGEST}', '', 1, NULL, NULL, NULL, NULL, 1, '{{')": "blobs.labels is not as",
    f"INSERT INTO blobs VALUES (1, '{DIGEST}', '', 1, NULL, NULL, NULL, NULL, 1, '[]')": "blobs.labels is not as",
    "INSERT INTO drift VALUES (1, 'x', '/', 'moved', NULL, NULL)": "drift.kind is not as",
    "UPDATE listings SET source = 'dream'": "of a listing is not as",
    "UPDATE listings SET complete = 2": "of a listing is not as",
    "UPDATE listings SET diff_id = NULL": "the layer of a listing",
    f"UPDATE listings SET diff_id = '{DIGEST}' WHERE source = 'walk'": "of a listing is not as",
    "UPDATE listings SET entry_count = entry_count + 1": "does not have as many files",
    "UPDATE listings SET entry_count = -1": "does not have as many files",
    "UPDATE listings SET entry_count = 9223372036854775807": "does not have as many files",
    "DELETE FROM entries WHERE name = 'app'": "does not have as many files",
    "UPDATE entries SET type = 'door'": "an entry's type, mode or name is not as",
    "UPDATE entries SET mode = -1": "an entry's type, mode or name is not as",
    "UPDATE entries SET name = '../' || name": "an entry's type, mode or name is not as",
    "UPDATE entries SET directory_id = 9223372036854775807": "points to nothing|no scan writes",
    "DELETE FROM directories": "points to nothing|no scan writes",
    "UPDATE directories SET path = 'etc' WHERE path = '/srv'": "is no path of a directory",
    "UPDATE directories SET path = '/../etc' WHERE path = '/srv'": "is no path of a directory",
    "UPDATE directories SET path = '/srv/' WHERE path = '/srv'": "is no path of a directory",
    "UPDATE directories SET path_raw = x'2f78' WHERE path = '/srv'": "other bytes than here|is no path of a directory",
    "UPDATE directories SET path = '/\\xff' WHERE path = '/srv'": "is no path of a directory",
    "UPDATE part_image_configs SET config = CAST(x'7bff7d' AS TEXT)": "a text of part_image_configs is not UTF-8",
    "UPDATE entries SET name = CAST(x'ff' AS TEXT) || name": "a text of entries is not UTF-8",
    "UPDATE entries SET link_target = CAST(x'eda080' AS TEXT)": "a text of entries is not UTF-8",
    "UPDATE directories SET path = CAST(x'2fff' AS TEXT) WHERE path = '/srv'": "a text of directories is not UTF-8",
    "UPDATE hosts SET name = CAST(x'ff' AS TEXT)": "not UTF-8",
    "UPDATE snapshots SET label = CAST(x'ff' AS TEXT)": "a text of snapshots is not UTF-8",
}


@pytest.mark.parametrize("sql", ROWS)
@pytest.mark.parametrize("empty", [False, True])
def test_rows_that_no_scan_writes(file: Path, fleet: Path, tmp_path: Path, sql: str, *, empty: bool) -> None:
    """Ids that clash or lead nowhere, counts that lie, words and shapes that are not ours: nothing of it is taken."""
    change(file, "UPDATE listings SET diff_id = substr(diff_id, 1, 60) || 'beef0000000'")
    change(file, "UPDATE layers SET diff_id = substr(diff_id, 1, 60) || 'beef0000000'")
    change(file, sql)
    if empty:
        fleet = tmp_path / "empty.db"
        with database.writing(str(fleet), silent):
            pass
        (tmp_path / "fleet.db").unlink()
    refused(fleet, file, ROWS[sql])


WEAK = """
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, ' STRICT', ''), 'WITHOUT ROWID,
', 'WITHOUT ROWID') WHERE type = 'table' AND name <> 'alembic_version'
"""


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE part_layers SET size = 'many'",
        "UPDATE part_layers SET size = 1.5",
        "UPDATE part_layers SET size = x'00'",
        "UPDATE part_dirs SET has_diff = 'yes'",
        "UPDATE entries SET size = 'big'",
        "UPDATE hosts SET name = x'00'",
        "UPDATE part_image_configs SET config = x'00'",
        "UPDATE listings SET entry_count = 'all'",
    ],
)
def test_values_of_the_wrong_type(file: Path, fleet: Path, sql: str) -> None:
    """Pages may hold what a STRICT table would never have let in."""
    strict = rows(file, "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%STRICT'")
    forge(
        file,
        "UPDATE sqlite_schema SET sql = replace(replace(sql, ',\n STRICT', ''), ' STRICT', '') WHERE type = 'table'",
    )
    change(file, sql)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.executemany("UPDATE sqlite_schema SET sql = ?2 WHERE name = ?1", strict)
    assert strict == rows(file, "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%STRICT'")
    refused(fleet, file)


def test_snapshots_that_are_not_complete(file: Path, fleet: Path) -> None:
    """A snapshot that is marked otherwise than complete is skipped and counted."""
    change(file, "UPDATE snapshots SET status = 'incomplete'")
    done = program("import", str(file), "--db", str(fleet))

    assert (0, f"{file}: 0 snapshots imported; 1 skipped: not complete\n") == (done.returncode, done.stderr)
    assert [(1,)] == rows(fleet, "SELECT count(*) FROM snapshots")


def test_another_snapshot_of_the_same_uid(file: Path, fleet: Path) -> None:
    """A uid that is here with other content is not merged, and the user is told."""
    exchange.import_file(str(fleet), str(file), silent)
    before = rows(fleet, "SELECT * FROM images") + rows(fleet, "SELECT * FROM snapshots")
    change(file, "UPDATE hosts SET name = 'evil'", "UPDATE part_image_configs SET config = 'evil'")
    done = program("import", str(file), "--db", str(fleet))

    sentence = "0 snapshots imported; 1 skipped: the database has another snapshot with the same uid"
    assert (0, f"{file}: {sentence}\n") == (done.returncode, done.stderr)
    assert before == rows(fleet, "SELECT * FROM images") + rows(fleet, "SELECT * FROM snapshots")
    assert [] == rows(fleet, "SELECT * FROM hosts WHERE name = 'evil'")


def test_text_that_would_move_a_cursor_is_data(file: Path, fleet: Path) -> None:
    """Control characters, NUL and rings are what stores have too: they are kept, and escaped where they are shown."""
    change(
        file,
        "UPDATE hosts SET name = 'web' || char(27) || '[2J'",
        "UPDATE snapshots SET label = 'a' || char(0) || 'b'",
        "UPDATE layers SET parent_chain_id = chain_id",
    )
    exchange.import_file(str(fleet), str(file), silent)
    done = program("snapshots", "--db", str(fleet))

    assert 0 == done.returncode
    assert "web\\x1b[2J" in done.stdout
    for name in ("lineage", "children", "layers", "images"):
        assert "Traceback" not in program("query", name, "--db", str(fleet), "--timeout", "10").stderr


def test_a_value_of_any_length(file: Path, fleet: Path) -> None:
    """A text that is longer than any a scan writes is refused without being held."""
    change(
        file,
        f"UPDATE part_image_configs SET config = printf('%.*c', {checks.LENGTH + 1}, 'x') WHERE part_id = 1",
    )
    before = fleet.read_bytes()
    with pytest.raises(RefusedFileError, match="holds a value of more than"):
        exchange.import_file(str(fleet), str(file), silent)
    assert before == fleet.read_bytes()


# Pages that lie -----------------------------------------------------------------------------------------------------


def page_of(path: Path, table: str) -> tuple[int, int]:
    """Return where the first page of a table begins, and how long it is."""
    ((number,),) = rows(path, f"SELECT rootpage FROM sqlite_schema WHERE name = '{table}'")
    ((size,),) = rows(path, "PRAGMA page_size")
    return (number - 1) * size, size


@pytest.mark.parametrize("table", sorted((*genuine.tables(), "alembic_version")))
@pytest.mark.parametrize("fill", [0, 1, 255])
def test_a_damaged_page(file: Path, fleet: Path, table: str, fill: int) -> None:
    """A page of any table that is overwritten is found, if anything was in it."""
    had = rows(file, f"SELECT count(*) FROM {table}")[0][0]
    start, size = page_of(file, table)
    content = bytearray(file.read_bytes())
    content[start : start + size] = bytes([fill]) * size
    file.write_bytes(content)
    if had and table != "directories":
        refused(fleet, file)
        return
    with suppress(RefusedFileError):
        exchange.import_file(str(fleet), str(file), silent)
    whole(fleet)


def test_pages_that_lead_in_circles(file: Path, fleet: Path) -> None:
    """A tree of entries whose branches all lead to one page would never end."""
    from tests.test_exchange import grow  # noqa: PLC0415

    grow(file, 300)
    change(file, "UPDATE listings SET diff_id = substr(diff_id, 1, 60) || 'beef0000000'")
    change(file, "UPDATE layers SET diff_id = substr(diff_id, 1, 60) || 'beef0000000'")
    start, size = page_of(file, "entries")
    content = bytearray(file.read_bytes())
    assert content[start] == 2, "an inner page of an index"
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    children = [int.from_bytes(content[start + 12 + 2 * i : start + 14 + 2 * i], "big") + start for i in range(cells)]
    middle = content[children[cells // 2] : children[cells // 2] + 4]
    for child in children:
        content[child : child + 4] = middle
    inner = (int.from_bytes(middle, "big") - 1) * size
    if content[inner] == 2:
        for i in range(int.from_bytes(content[inner + 3 : inner + 5], "big")):
            cell = inner + int.from_bytes(content[inner + 12 + 2 * i : inner + 14 + 2 * i], "big")
            content[cell : cell + 4] = middle
    file.write_bytes(content)
    refused(fleet, file)

    # However many entries it claims, its digest is made of no more than it has room for.
    with closing(sqlite3.connect(file)) as connection:
        (listing,) = connection.execute("SELECT listing_id FROM listings ORDER BY entry_count DESC LIMIT 1").fetchone()
        connection.execute("UPDATE listings SET entry_count = 1 << 60 WHERE listing_id = ?", (listing,))
        with suppress(sqlite3.DatabaseError):
            listings.digest(connection, "main", listing, listings.room(connection, "main"))


@given(st.data())
def test_any_bytes_anywhere(good: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bytes of a file are others, it is refused or taken whole, and the database is sound."""
    folder = tmp_path_factory.mktemp("any")
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    (folder / "file.db").write_bytes(content)
    db = folder / "fleet.db"
    try:
        with in_time():
            exchange.import_file(str(db), str(folder / "file.db"), silent)
    except DatabaseError:
        assert not db.exists()
    else:
        whole(db)
    shutil.rmtree(folder)
