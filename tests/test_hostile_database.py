"""Databases that someone else wrote to: read as ours are, or refused in one sentence that names what is wrong."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex import migrate
from layerindex.cli import group
from layerindex.errors import DatabaseError
from tests.conftest import World, in_time
from tests.packing import database_without_memory
from tests.test_exchange import index, rows
from tests.test_migrations import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.testing import Result

SLOW = "CHECK (length(hex(zeroblob(400000000))) > size)"
ENDLESS = "WITH RECURSIVE r (snapshot_id) AS (SELECT 1 UNION ALL SELECT snapshot_id FROM r) SELECT snapshot_id FROM r"


@pytest.fixture(scope="module")
def good(lasting: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database that is as it should be."""
    return index(tmp_path_factory.mktemp("good") / "good.db", lasting.root, "web-1")


@pytest.fixture
def db(good: Path, tmp_path: Path) -> Path:
    """Give a copy of it to spoil."""
    return Path(shutil.copy(good, tmp_path / "some.db"))


def run(*arguments: str | Path) -> Result:
    """Run the program within this process, in time."""
    with in_time():
        return CliRunner().invoke(group, [str(word) for word in arguments], prog_name="layerindex")


def spoil(path: Path, *statements: str) -> None:
    """Run statements on a database, those that write its schema included."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)


def refused(db: Path, sentence: str, commands: Sequence[Sequence[str | Path]]) -> None:
    """Assert that each command ends in this one sentence, and leaves the database as it was."""
    before = db.read_bytes()
    for command in commands:
        result = run(*command, "--db", db)

        assert (1, "") == (result.exit_code, result.stdout)
        assert re.fullmatch(f"Error: {re.escape(str(db))}: {sentence}(; name another with --db)?\n", result.stderr), (
            result.stderr
        )
        assert re.sub("[^\x20-\x7e\n]", "", result.stderr) == result.stderr
        assert len(result.stderr) < 1000
    assert before == db.read_bytes()


DIFFERS = "is not as layerindex writes it: "
LAYERS = "(SELECT sql FROM sqlite_schema WHERE name = 'layers')"
STEPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a trigger that ignores": (
        DIFFERS + "a trigger t is on its table listings",
        ("CREATE TRIGGER t BEFORE INSERT ON listings BEGIN SELECT RAISE(IGNORE); END",),
    ),
    "a trigger in capitals": (
        DIFFERS + "a trigger sqlite_stat1 is on its table volumes",
        (
            "CREATE TRIGGER t BEFORE INSERT ON VOLUMES BEGIN SELECT RAISE(IGNORE); END",
            "UPDATE sqlite_schema SET sql = replace(sql, ' t ', ' sqlite_stat1 ') WHERE name = 't'",
            "UPDATE sqlite_schema SET name = 'sqlite_stat1' WHERE name = 't'",
        ),
    ),
    "a trigger on a view": (
        DIFFERS + "a trigger t is on its view files",
        ("CREATE TRIGGER t INSTEAD OF DELETE ON files BEGIN SELECT 1; END",),
    ),
    "a trigger whose table is cut by a NUL": (
        DIFFERS + "a trigger t is on its table volumes",
        (
            "CREATE TRIGGER t BEFORE INSERT ON volumes BEGIN SELECT RAISE(IGNORE); END",
            "UPDATE sqlite_schema SET tbl_name = 'volumes' || char(0) || 'x' WHERE name = 't'",
        ),
    ),
    "a trigger that says another table": (
        ".*malformed database schema.*",
        (
            "CREATE TRIGGER t BEFORE INSERT ON volumes BEGIN SELECT RAISE(IGNORE); END",
            "UPDATE sqlite_schema SET tbl_name = 'mine' WHERE name = 't'",
        ),
    ),
    "views as blobs": (
        DIFFERS + "its view [a-z_]+ is another, .* and [0-9]+ more",
        ("UPDATE sqlite_schema SET sql = CAST(sql AS BLOB) WHERE type = 'view'",),
    ),
    "an endless view": (
        DIFFERS + "its view selected_snapshots is another",
        ("DROP VIEW selected_snapshots", f"CREATE VIEW selected_snapshots AS {ENDLESS}"),
    ),
    "a view that is a table": (
        DIFFERS + "its view files is another",
        ("DROP VIEW files", "CREATE TABLE files (path)"),
    ),
    "a table that is a view": (
        DIFFERS + "its table drift is another.*",
        ("DROP TABLE drift", "CREATE VIEW DRIFT AS SELECT 1"),
    ),
    "a virtual table": (
        DIFFERS + "its table drift is another.*",
        ("DROP TABLE drift", "CREATE VIRTUAL TABLE drift USING fts5(path)"),
    ),
    "no view": (DIFFERS + "it has no view current_images", ("DROP VIEW current_images",)),
    "no table": (DIFFERS + "it has no table drift", ("DROP TABLE drift",)),
    "no index": (DIFFERS + "it has no index hosts_name", ("DROP INDEX hosts_name",)),
    "an index renamed": (
        DIFFERS + "it has no index hosts_name",
        ("DROP INDEX hosts_name", "CREATE INDEX hosts_names ON hosts (name)"),
    ),
    "an index elsewhere": (
        DIFFERS + "its index hosts_name is another",
        ("DROP INDEX hosts_name", "CREATE INDEX hosts_name ON snapshots (label)"),
    ),
    "a generated column": (
        DIFFERS + "its table hosts is another",
        ("ALTER TABLE hosts ADD COLUMN more TEXT AS (hex(zeroblob(100000000)))",),
    ),
    "a check that takes long": (
        DIFFERS + "its table blobs is another",
        (f"UPDATE sqlite_schema SET sql = replace(sql, 'size INTEGER', 'size INTEGER {SLOW}') WHERE name = 'blobs'",),
    ),
    "not strict": (
        DIFFERS + "its table hosts is another",
        ("UPDATE sqlite_schema SET sql = replace(sql, char(10) || ' STRICT', '') WHERE name = 'hosts'",),
    ),
    "with rowids": (
        DIFFERS + "its table leases is another",
        (
            "DROP TABLE leases",
            "CREATE TABLE leases (snapshot_id INTEGER NOT NULL, lease_id TEXT, PRIMARY KEY (snapshot_id, lease_id))",
        ),
    ),
    "a text that is none": (
        DIFFERS + "a text of its schema is not UTF-8",
        (
            "CREATE TABLE mine (a)",
            "UPDATE sqlite_schema SET sql = CAST(sql || ' -- ' || x'ff' AS TEXT) WHERE name = 'mine'",
        ),
    ),
    "a name with escapes": (
        DIFFERS + r"a trigger \\x1b\[31m\\u202e is on its table volumes",
        ('CREATE TRIGGER "\x1b[31m\u202e" BEFORE INSERT ON volumes BEGIN SELECT RAISE(IGNORE); END',),
    ),
    "a unique index": (
        DIFFERS + "a index mine on its table volumes is unique, partial or computed",
        ("CREATE UNIQUE INDEX mine ON volumes (snapshot_id, name)",),
    ),
    "a partial index": (
        DIFFERS + "a index mine on its table volumes is unique, partial or computed",
        ("CREATE INDEX mine ON volumes (apparent_bytes) WHERE abs(apparent_bytes) > 0",),
    ),
    "a computed index": (
        DIFFERS + "a index mine on its table volumes is unique, partial or computed",
        ("CREATE INDEX mine ON volumes (abs(apparent_bytes))",),
    ),
    "a table before a function": (
        DIFFERS + "a table json_each has a name of SQLite's own",
        ("CREATE TABLE json_each (value)",),
    ),
    "a view before a function": (
        DIFFERS + "a view pragma_table_info has a name of SQLite's own",
        ("CREATE VIEW pragma_table_info AS SELECT 'mode' AS name",),
    ),
    "statistics that are a view": (
        DIFFERS + "a view sqlite_stat4 has a name of SQLite's own",
        (
            "CREATE VIEW lie AS SELECT 1",
            "UPDATE sqlite_schema SET sql = 'CREATE VIEW sqlite_stat4 AS SELECT 1' WHERE name = 'lie'",
            "UPDATE sqlite_schema SET name = 'sqlite_stat4', tbl_name = 'sqlite_stat4' WHERE name = 'lie'",
        ),
    ),
    "a version of 5,000 digits": (
        "is damaged: it does not say which schema it has",
        (f"UPDATE alembic_version SET version_num = '{'9' * 5000}'",),
    ),
    "a version in other digits": (
        "is damaged: it does not say which schema it has",
        ("UPDATE alembic_version SET version_num = '٠٠٠٣'",),
    ),
    "two versions": (
        "is damaged: it does not say which schema it has",
        ("INSERT INTO alembic_version VALUES ('0002')",),
    ),
    "another table of versions": (
        "its table alembic_version is not as layerindex writes it",
        ("DROP TABLE alembic_version", "CREATE TABLE alembic_version (version_num)"),
    ),
    "another program's": (
        "is an SQLite file, but not a layerindex database",
        ("PRAGMA application_id = 7",),
    ),
    "a host that is no text": (
        "its table hosts is damaged: non-TEXT value in hosts.name",
        (
            "CREATE TABLE kept AS SELECT sql FROM sqlite_schema WHERE name = 'hosts'",
            "UPDATE sqlite_schema SET sql = replace(sql, char(10) || ' STRICT', '') WHERE name = 'hosts'",
            "PRAGMA schema_version = 1000",
            "UPDATE hosts SET name = x'1b5b33316d'",
            "UPDATE sqlite_schema SET sql = (SELECT sql FROM kept) WHERE name = 'hosts'",
            "PRAGMA schema_version = 2000",
        ),
    ),
}
"""How a database is spoilt, and what is said of it."""


@pytest.mark.parametrize("kind", STEPS)
def test_what_is_not_ours_is_refused(db: Path, world: World, kind: str) -> None:
    """Whatever of ours is another, and whatever of others would change what we do, is named before anything is done."""
    sentence, statements = STEPS[kind]
    spoil(db, *statements)
    refused(
        db,
        sentence,
        [
            ("query", "images", "--snapshot", "1"),
            ("show", "web"),
            ("tree",),
            ("compare", "1", "1"),
            ("snapshots",),
            ("snapshots", "prune", "--keep", "0"),
            ("export", db.with_name("out.db")),
            ("db", "check"),
            ("db", "upgrade"),
            ("scan", world.root.path),
        ],
    )
    assert [db.name, world.root.path.name] == sorted((each.name for each in db.parent.iterdir()), reverse=True)


def test_an_endless_schema(db: Path) -> None:
    """A schema of very many tables is not read to its end."""
    many = "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 200000) "
    spoil(
        db,
        f"INSERT INTO sqlite_schema {many}"
        "SELECT 'view', 'v' || i, 'v' || i, 0, 'CREATE VIEW v' || i || ' AS SELECT 1' FROM r",
    )
    refused(db, "has more tables, views and indexes than layerindex reads", [("query", "images"), ("snapshots",)])


THEIRS = (
    "CREATE TABLE mine (snapshot_id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT)",
    "INSERT INTO mine VALUES (1, 'mine'), (7, 'yours')",
    "CREATE INDEX mine_by_note ON mine (note) WHERE abs(snapshot_id) > 0",
    "CREATE VIEW current_mine AS SELECT no_such_function() AS host",
    f"CREATE VIEW endless AS {ENDLESS}",
    "CREATE TRIGGER mine_kept BEFORE DELETE ON mine BEGIN SELECT RAISE(ABORT, 'run'); END",
    "CREATE TRIGGER mine_added BEFORE INSERT ON mine BEGIN SELECT RAISE(ABORT, 'run'); END",
    "CREATE INDEX by_size ON volumes (apparent_bytes DESC, snapshot_id)",
)


def test_what_users_added_stays_and_is_never_used(db: Path, good: Path, world: World) -> None:
    """Tables, views and plain indexes of a user's own are no reason to refuse a file; nothing runs them."""
    spoil(db, *THEIRS)
    schema = "SELECT type, name, sql FROM sqlite_schema WHERE name LIKE '%mine%' OR name IN ('endless', 'by_size')"
    before = rows(db, schema), rows(db, "SELECT * FROM mine")
    other = index(db.with_name("other.db"), world.root, "web-2")
    for command in (
        ("query", "images", "--snapshot", "1"),
        ("scan", world.root.path, "--host", "web-3"),
        ("import", other),
        ("export", db.with_name("out.db")),
        ("snapshots", "rm", "1"),
        ("compare", "web-2", good),
        ("db", "check"),
        ("snapshots", "prune", "--keep", "0"),
    ):
        result = run(*command, "--db", db)
        assert (0, None) == (result.exit_code, result.exception), (command, result.stderr)

    assert before == (rows(db, schema), rows(db, "SELECT * FROM mine"))
    assert [] == rows(db.with_name("out.db"), schema)


def test_an_upgrade_keeps_what_users_added(tmp_path: Path) -> None:
    """A database of the first revision is held to that revision's text, and keeps what is not ours."""
    db = written(tmp_path / "old.db", "0001")
    spoil(db, *THEIRS[:-1], "CREATE INDEX by_driver ON volumes (driver)")
    theirs = "SELECT type, name, sql FROM sqlite_schema WHERE name LIKE '%mine%' OR name IN ('endless', 'by_driver')"
    before = rows(db, theirs)
    result = run("db", "upgrade", "--db", db)

    assert 0 == result.exit_code, result.stderr
    assert sorted(before, key=str) == sorted(rows(db, theirs), key=str)
    assert 0 == run("db", "check", "--db", db).exit_code


OLDER = {
    "CREATE TRIGGER t BEFORE INSERT ON volumes BEGIN SELECT RAISE(IGNORE); END": "a trigger t is on its table volumes",
    "DROP VIEW files": "it has no view files",
    "CREATE UNIQUE INDEX mine ON volumes (driver)": "a index mine on its table volumes is unique, partial or computed",
    "CREATE VIEW leases AS SELECT 1": "a view leases is in the place of a table that an upgrade makes",
    "CREATE TABLE current_leases (a)": "a table current_leases is in the place of a view that an upgrade makes",
}


@pytest.mark.parametrize("sql", OLDER)
def test_an_older_database_is_held_to_its_own_text(tmp_path: Path, world: World, sql: str) -> None:
    """What would run with the upgrade is refused before it, by each command that upgrades."""
    db = written(tmp_path / "old.db", "0001")
    spoil(db, sql)
    refused(db, f"is not as layerindex writes it: {OLDER[sql]}", [("db", "upgrade"), ("scan", world.root.path)])
    result = run("import", db, "--db", tmp_path / "new.db")

    assert f"Error: {db}: is not as layerindex writes it: {OLDER[sql]}; nothing of it was imported\n" == result.stderr
    with pytest.raises(DatabaseError, match=re.escape(OLDER[sql])):
        migrate.upgrade(str(db))


def test_values_move_no_cursor(db: Path, good: Path) -> None:
    """What a genuine database says of its snapshots reaches the terminal escaped, beside tables too."""
    spoil(
        db,
        "UPDATE snapshots SET scope = char(27) || '[31mX' || char(8238, 10), label = char(27) || 'c',"
        " store = char(27) || '[2J', root = '/' || char(27, 10), started_at = char(27) || '7'",
        "UPDATE hosts SET name = char(27) || 'host'",
    )
    for command in (
        ("compare", "1", good),
        ("compare", "1", "1"),
        ("compare", "1", good, "--files", "\x1b"),
        ("snapshots",),
        ("show", "web"),
        ("show", "none"),
        ("tree",),
        ("query", "images", "--host", "none"),
        ("snapshots", "prune", "--keep", "0", "--dry-run"),
    ):
        result = run(*command, "--db", db)
        assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
        assert not set(result.output) & set("\x1b\u202e"), (command, result.output)
        assert "\\x1b" in result.output or "none" in command, (command, result.output)


def test_an_unfinished_snapshot_is_not_compared(db: Path, good: Path) -> None:
    """A state that no scan writes leaves nothing to bring to the other side's database."""
    spoil(db, f"UPDATE snapshots SET status = 'odd', uid = '{7:032x}'")
    refused(db, "snapshot 1 is not complete and cannot be compared", [("compare", "1", good)])


def test_rows_beyond_memory(db: Path, good: Path) -> None:
    """Where SQLite has no memory for what 4 kB claim, that is one sentence too, whatever the command."""
    db.write_bytes(database_without_memory())
    sentence = "SQLite has no memory for what it claims to hold; it may be damaged|database disk image is malformed.*"
    commands = (
        ["query", "images"],
        ["show", "x"],
        ["tree"],
        ["find", "x"],
        ["db", "check"],
        ["db", "upgrade"],
        ["snapshots", "list"],
    )
    refused(db, f"({sentence})", commands)
    refused(db, f"({sentence})", [["import", good]])
