"""The schema stands in four places - tables, schema.sql, revisions, records - and says the same in each."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import CliRunner

from layerindex import database, genuine, migrate, records, schema
from layerindex.cli import group
from layerindex.errors import DatabaseError
from layerindex.schema.columns import sentence
from layerindex.schema.views import VIEW_COLUMNS
from layerindex.writing import parts
from tests import exhibits
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result
    from sqlalchemy.engine import Connection

CHECKOUT = Path(__file__).resolve().parents[1]


def revisions() -> list[str]:
    """Return all revisions, the oldest first."""
    with closing(sqlite3.connect(":memory:")) as memory, migrate.engine(memory, "BEGIN").connect() as connection:
        scripts = ScriptDirectory.from_config(migrate.config(connection))
        return [script.revision for script in scripts.walk_revisions()][::-1]


REVISIONS = revisions()


def run(*arguments: str | Path) -> Result:
    """Run the program within this process."""
    return CliRunner().invoke(group, [str(word) for word in arguments], prog_name="layerindex")


def made(path: Path) -> Path:
    """Make an empty database as a first scan does."""
    with database.writing(str(path), lambda _: None):
        pass
    return path


@contextmanager
def altering(path: Path) -> Iterator[Connection]:
    """Change the schema of a database in one transaction."""
    with (
        closing(database.connect(str(path), "rw")) as driver,
        migrate.engine(driver, "BEGIN IMMEDIATE").begin() as connection,
    ):
        yield connection


def migrated(path: Path, revision: str) -> Path:
    """Make an empty database by the revisions up to one."""
    path.touch()
    with altering(path) as connection:
        command.upgrade(migrate.config(connection), revision)
    return path


def written(path: Path, revision: str) -> Path:
    """Make an empty database as the program of that revision did."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for thing in genuine.things(revision).values():
            connection.execute(thing.sql)
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
    return path


def objects(path: Path) -> dict[str, str]:
    """Return the SQL of each table, index and view of a database, with alembic's own table without white space."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {name: re.sub(r"\s+", "", sql) if name == "alembic_version" else sql for name, sql in found}


def pragmas(path: Path) -> dict[str, int]:
    """Return what the file's header says of the schema."""
    with closing(sqlite3.connect(path)) as connection:
        names = ("application_id", "user_version")
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}


# One schema ---------------------------------------------------------------------------------------------------------


def test_head_is_the_revision_of_the_program() -> None:
    """The read side, which does not load Alembic, knows its newest revision."""
    assert database.REVISION == REVISIONS[-1]
    assert sorted(REVISIONS) == REVISIONS
    assert all(re.fullmatch(r"\d{4}", revision) for revision in REVISIONS)


def test_schema_sql_is_up_to_date() -> None:
    """`schema.sql` is what `python -m tools.freeze_schema` makes of the tables."""
    assert schema.script() == (CHECKOUT / "layerindex" / "schema.sql").read_text(encoding="utf-8")


def test_upgraded_is_as_made_new(tmp_path: Path) -> None:
    """A database that was carried through all revisions is as one that was made new."""
    new, old = made(tmp_path / "new.db"), tmp_path / "old.db"
    old.touch()
    migrate.upgrade(str(old))

    assert objects(new) == objects(old)
    assert pragmas(new) == pragmas(old)
    assert {"application_id": database.APPLICATION_ID, "user_version": int(database.REVISION)} == pragmas(new)


def test_tables_are_as_made_new(tmp_path: Path) -> None:
    """The tables of `schema/` are those of a new database, and Alembic's autogenerate finds nothing to do."""
    new = made(tmp_path / "new.db")
    metadata = tmp_path / "metadata.db"
    metadata.touch()
    with altering(metadata) as connection:
        schema.metadata.create_all(connection)
    views = {view.name: view.ddl for view in schema.VIEWS}
    found = objects(new)
    del found["alembic_version"]

    assert objects(metadata) | views == found
    with altering(new) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert [] == compare_metadata(context, schema.metadata)


def test_every_table_is_strict() -> None:
    """SQLite holds every column to its type."""
    assert [] == [ddl for ddl in schema.statements() if ddl.startswith("CREATE TABLE") and "STRICT" not in ddl][:-1]


def test_every_description_reaches_schema(tmp_path: Path) -> None:
    """Every table, column and view has a sentence, and the sqlite3 shell's .schema shows it."""
    shown = objects(made(tmp_path / "new.db"))
    for table in schema.metadata.tables.values():
        assert is_sentence(table.comment), table
        assert f"CREATE TABLE {table.name} ( /* {table.comment} */" in shown[table.name]
        for column in table.c:
            assert is_sentence(column.comment), column
            assert re.search(
                rf"^\t{column.name} .* /\* {re.escape(str(column.comment))} \*/", shown[table.name], re.MULTILINE
            )
    for view in schema.VIEWS:
        assert is_sentence(view.comment), view.name
        assert f"/* {view.comment} */" in shown[view.name]


def is_sentence(text: str | None) -> bool:
    """Say whether a description ends as one."""
    return text is not None and text.strip() == text and text.endswith((".", "…"))


def test_every_view_can_be_asked(tmp_path: Path) -> None:
    """No view names a column that is gone, and each names its columns once."""
    with closing(sqlite3.connect(made(tmp_path / "new.db"))) as connection:
        for view in schema.VIEWS:
            columns = [name for name, *_ in connection.execute(f"SELECT * FROM {view.name}").description]
            assert sorted(set(columns)) == sorted(columns)


def test_a_comment_cannot_end_itself() -> None:
    """A sentence that would turn into SQL is refused when the schema is compiled."""
    with pytest.raises(ValueError, match="a comment that would end itself"):
        sentence("ends */ here")


# Records ------------------------------------------------------------------------------------------------------------

FILLED_LATER = {"drift"}
"""Tables of a snapshot's facts that no record of this version fills; the issues that do so come later."""


@pytest.mark.parametrize("kind", records.TABLES, ids=lambda kind: kind.__name__)
def test_a_record_is_a_row(kind: type[records.Record]) -> None:
    """A record's fields are the columns of its table or view, in their order, but for numbers that the writer gives."""
    table = records.TABLES[kind]
    columns = VIEW_COLUMNS.get(table) or schema.metadata.tables[table].c.keys()

    assert [name for name in columns if name not in ("snapshot_id", "problem_id")] == list(kind._fields)


def test_every_record_has_its_table() -> None:
    """Each class of record is written to one table, and each table of facts has its class, but those for later."""
    facts = {name for name, table in schema.metadata.tables.items() if "snapshot_id" in table.c and name != "snapshots"}
    facts = facts - {kind.stored for kind in parts.KINDS} | set(parts.views()) - {"stored_images"}

    assert set(records.Record.__args__) == set(records.TABLES)
    assert facts - FILLED_LATER == set(records.TABLES.values())
    assert len(records.TABLES) == len(set(records.TABLES.values()))


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_revision_can_be_told(tmp_path: Path, revision: str) -> None:
    """A database of each revision, and one that was carried to the newest, is as layerindex makes it."""
    path = written(tmp_path / "old.db", revision)
    with closing(database.connect(str(path), "ro")) as connection:
        assert revision == genuine.revision(connection, str(path))
    migrate.upgrade(str(path))
    with closing(database.connect(str(path), "ro")) as connection:
        assert database.REVISION == genuine.revision(connection, str(path))


def test_every_revision_has_its_script() -> None:
    """What is ours in a database of any revision can be told."""
    assert REVISIONS == genuine.revisions()
    assert sorted(schema.metadata.tables) == sorted(genuine.tables())


# Revisions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", REVISIONS)
def test_up_down_up(tmp_path: Path, revision: str) -> None:
    """A revision that was taken back leaves what was before it, and can be made again."""
    below = REVISIONS[: REVISIONS.index(revision)]
    before = objects(migrated(tmp_path / "below.db", below[-1])) if below else None
    path = migrated(tmp_path / "up.db", revision)
    up = objects(path)
    with altering(path) as connection:
        command.downgrade(migrate.config(connection), "-1")
    down = objects(path)

    assert (before or {"alembic_version": up["alembic_version"]}) == down
    assert up == objects(migrated(path, revision))


OF_0001 = """
INSERT INTO hosts (host_id, name) VALUES (1, 'web-1');
INSERT INTO listings (listing_id, source, complete, entry_count, total_size) VALUES (1, 'walk', 1, 0, 0);
INSERT INTO volumes (snapshot_id, name, driver) VALUES (2, 'data', 'local');
INSERT INTO image_refs VALUES (2, 'debian:12', 'debian', '12', NULL, 'sha256:i');
"""
SNAPSHOT_OF_0001 = """
INSERT INTO snapshots (snapshot_id, uid, host_id, store, root, driver, started_at, finished_at, status, tool_version)
VALUES (:n, 'u' || :n, 1, 'docker-overlay2', '/r', 'overlay2', '2026-01-01', '2026-01-01', 'complete', '0')"""
DIRECTORY_OF_0001 = """
INSERT INTO overlay_dirs (snapshot_id, cache_id, role, has_diff, has_work, has_merged, committed, listing_id)
VALUES (:n, 'd', 'layer', 1, 1, 0, 1, CASE :n WHEN 2 THEN 1 END)"""


def test_up_with_rows(tmp_path: Path) -> None:
    """Rows of the first revision are carried forward, and what is new is said of them as far as they tell."""
    path = written(tmp_path / "old.db", "0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        for number in (1, 2):
            connection.execute(SNAPSHOT_OF_0001, {"n": number})
            connection.execute(DIRECTORY_OF_0001, {"n": number})
        connection.executescript(OF_0001)
    migrate.upgrade(str(path))

    with closing(sqlite3.connect(path)) as connection:
        scopes = "SELECT snapshot_id, folder, scope FROM snapshots ORDER BY 1"
        assert [(1, "overlay2", "metadata"), (2, "overlay2", "files")] == connection.execute(scopes).fetchall()
        directories = "SELECT snapshot_id, cache_id, listing_id FROM overlay_dirs ORDER BY 1"
        assert [(1, "d", None), (2, "d", 1)] == connection.execute(directories).fetchall()
        orders = "SELECT DISTINCT ordered_at FROM snapshots"
        assert [("2026-01-01T00:00:00.000Z",)] == connection.execute(orders).fetchall()
        assert [("data", 1)] == connection.execute("SELECT name, on_disk FROM volumes").fetchall()
        refs = "SELECT ref, namespace, normalized FROM image_refs"
        assert [("debian:12", "", "docker.io/library/debian:12")] == connection.execute(refs).fetchall()
        assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()


TAR_OF_0003 = """
INSERT INTO listings (listing_id, source, complete, entry_count, total_size) VALUES (1, 'tar-split', 1, 5, 3),
  (2, 'blob', 1, 1, 0), (3, 'walk', 1, 1, 0);
INSERT INTO directories VALUES (1, '/', NULL), (2, '/a/\\xff', X'2F612FFF'), (3, '/b', NULL);
INSERT INTO entries (listing_id, directory_id, name, type, link_target, size) VALUES (1, 1, 'f', 'file', NULL, 3),
  (1, 1, 'g', 'hardlink', '/f', 0), (1, 1, 'h', 'hardlink', '/g', 0), (1, 2, 'i', 'hardlink', '/h', 0),
  (1, 1, 'b', 'dir', NULL, 0), (2, 3, 'x', 'file', NULL, 0), (3, 3, 'x', 'file', NULL, 0);
INSERT INTO snapshots VALUES (1, 'u', 1, 'docker-overlay2', '/r', 'overlay2', 'overlay2', NULL, NULL,
  '', '', 'complete', 'files', '0');
INSERT INTO hosts VALUES (1, 'web-1', NULL);
INSERT INTO layers (snapshot_id, chain_id, listing_id) VALUES (1, 'c', 1);
INSERT INTO overlay_dirs (snapshot_id, cache_id, role, has_diff, has_work, has_merged, committed, listing_id,
  entry_count) VALUES (1, 'd', 'layer', 1, 1, 0, 1, 1, 5);
"""


def test_listings_of_older_databases_are_completed(tmp_path: Path) -> None:
    """Folders that a tar only implies are listed, and hard links name the first name."""
    path = written(tmp_path / "old.db", "0003")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(TAR_OF_0003)
    migrate.upgrade(str(path))

    with closing(sqlite3.connect(path)) as connection:
        folders = """SELECT listing_id, path, name, name_raw, mode, uid
                     FROM entries JOIN directories USING (directory_id) WHERE type = 'dir' ORDER BY 1, 2, 3"""
        assert [
            (1, "/", "a", None, 0o755, 0),
            (1, "/", "b", None, None, None),
            (1, "/a", "\\xff", b"\xff", 0o755, 0),
            (2, "/", "b", None, None, None),
        ] == connection.execute(folders).fetchall()
        assert [(7,), (2,), (1,)] == connection.execute(
            "SELECT entry_count FROM listings ORDER BY listing_id"
        ).fetchall()
        assert [(7,)] == connection.execute("SELECT entry_count FROM overlay_dirs").fetchall()
        links = "SELECT DISTINCT link_target FROM entries WHERE type = 'hardlink'"
        assert [("/f",)] == connection.execute(links).fetchall()


def test_down_with_rows(full: Path) -> None:
    """The first revision can be taken back when the tables are full."""
    with altering(full) as connection:
        command.downgrade(migrate.config(connection), "base")

    assert ["alembic_version"] == list(objects(full))


# layerindex db ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database with rows in it, not to be changed."""
    return Path(exhibits.build(tmp_path_factory.mktemp("exhibits")).path)


@pytest.fixture
def full(built: Path, tmp_path: Path) -> Path:
    """Give a copy of that database, alone in a folder."""
    return Path(shutil.copy(built, tmp_path / "full.db"))


def test_upgrade_of_a_current_database(full: Path) -> None:
    """`db upgrade` says that there is nothing to do, and does nothing."""
    before = full.read_bytes()
    result = run("db", "upgrade", "--db", full)

    assert (0, "", f"{full}: has schema {database.REVISION} already\n") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )
    assert before == full.read_bytes()


def test_check_of_a_good_database(full: Path) -> None:
    """`db check` says that all is well, and writes nothing."""
    before = full.read_bytes()
    result = run("db", "check", "--db", full)

    assert (0, "", f"{full}: whole, schema {database.REVISION}\n") == (result.exit_code, result.stdout, result.stderr)
    assert before == full.read_bytes()


DAMAGES = {
    "DROP INDEX part_layers_diff": "is not as layerindex writes it: it has no index part_layers_diff",
    "DROP VIEW current_images": "is not as layerindex writes it: it has no view current_images",
    "ALTER TABLE volumes ADD COLUMN more TEXT": "is not as layerindex writes it: its table volumes is another",
    "DELETE FROM snapshots WHERE snapshot_id = 1": "is not as it should be: a row of [a-z_]+ points to no snapshots",
    "UPDATE snapshots SET host_id = 99": "is not as it should be: a row of snapshots points to no hosts",
}
"""What somebody may have done to a database, and how `db check` names it."""


@pytest.mark.parametrize("sql", DAMAGES)
def test_check_finds(full: Path, sql: str) -> None:
    """`db check` finds what is not as this version makes it, and exits with 1."""
    with closing(sqlite3.connect(full, isolation_level=None)) as connection:
        connection.execute(sql)
    result = run("db", "check", "--db", full)

    assert (1, "") == (result.exit_code, result.stdout)
    assert re.match(f"Error: {re.escape(str(full))}: {DAMAGES[sql]}", result.stderr)


def test_check_finds_damage(full: Path) -> None:
    """A page that was overwritten is found."""
    size = full.stat().st_size // 4096
    with full.open("r+b") as file:
        file.seek(4096 * (size - 3))
        file.write(b"\xff" * 4096)
    result = run("db", "check", "--db", full)

    assert 1 == result.exit_code
    assert result.stderr.startswith(f"Error: {full}: ")
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("name", ["upgrade", "check"])
def test_no_database_to_upgrade_or_check(tmp_path: Path, name: str) -> None:
    """What is no database of ours is refused and left alone, and none is made."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (a)")
    before = other.read_bytes()

    assert "no such database" in run("db", name, "--db", tmp_path / "none.db").stderr
    assert "not a layerindex database" in run("db", name, "--db", other).stderr
    assert (before, ["other.db"]) == (other.read_bytes(), os.listdir(tmp_path))


def test_unknown_older_revision(full: Path) -> None:
    """A revision that no version of the program ever had cannot be upgraded: one sentence, and nothing changed."""
    with closing(sqlite3.connect(full, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    before = full.read_bytes()
    result = run("db", "upgrade", "--db", full)

    assert 1 == result.exit_code
    assert f"Error: {full}: has schema 0000, which no layerindex ever had; name another with --db\n" == result.stderr
    assert before == full.read_bytes()


@pytest.mark.parametrize("arguments", [["db", "upgrade"], ["db", "check"], ["scan", "{root}"]])
def test_newer_database(built: Path, full: Path, arguments: list[str]) -> None:
    """A database of a later version is refused by everything that would write it, and left alone."""
    with closing(sqlite3.connect(full, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = full.read_bytes()
    result = run(*(word.format(root=built.with_name("web-1")) for word in arguments), "--db", full)

    assert 1 == result.exit_code
    assert (
        f"Error: {full}: has schema 9999, written by a newer layerindex; use that version, or another --db\n"
        == result.stderr
    )
    assert before == full.read_bytes()


def test_upgrade_while_another_writes(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade that cannot have the file to itself says so."""
    monkeypatch.setattr(database, "PATIENCE", 0)
    with closing(sqlite3.connect(full, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="another process is writing to it; nothing was changed"):
            migrate.upgrade(str(full))


# The next version ---------------------------------------------------------------------------------------------------

REVISION_MORE = '''"""Tomorrow's revision."""

from alembic import op

revision = "{revision}"
down_revision = "{below}"


def upgrade():
    op.get_bind().exec_driver_sql("""{create}""")
    op.get_bind().exec_driver_sql("INSERT INTO more SELECT snapshot_id, 'was here' FROM snapshots")
    {last}


def downgrade():
    op.drop_table("more")
'''
TABLE_MORE = '\nfacts("more", "A table of tomorrow.", text("note", "What it says."))\n'


class Tomorrow:
    """A copy of the program with one revision more, run beside this one."""

    def __init__(self, folder: Path, last: str) -> None:
        for name in ("layerindex", "migrations", "queries", "tools"):
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.folder, self.revision = folder, f"{int(REVISIONS[-1]) + 1:04}"
        self._replace("layerindex/genuine.py", f'REVISION = "{REVISIONS[-1]}"', f'REVISION = "{self.revision}"')
        self._replace("layerindex/schema/files.py", '\nfacts(\n    "problems"', f'{TABLE_MORE}\nfacts(\n    "problems"')
        assert 0 == self.python("-m", "tools.freeze_schema").returncode
        sql = (folder / "layerindex" / "schema.sql").read_text(encoding="utf-8")
        (create,) = (ddl for ddl in sql.split(";\n") if ddl.startswith("CREATE TABLE more"))
        text = REVISION_MORE.format(revision=self.revision, below=REVISIONS[-1], create=create, last=last)
        (folder / "migrations" / "versions" / f"{self.revision}_more.py").write_text(text, encoding="utf-8")
        assert 0 == self.python("-m", "tools.freeze_schema", "--revision").returncode

    def _replace(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert 1 == text.count(old)
        path.write_text(text.replace(old, new), encoding="utf-8")

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python with tomorrow's program."""
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def layerindex(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run tomorrow's program."""
        return self.python("-m", "layerindex", *(str(word) for word in arguments))


@pytest.fixture(scope="module")
def tomorrow(tmp_path_factory: pytest.TempPathFactory) -> Tomorrow:
    """Give the next version, whose revision works."""
    return Tomorrow(tmp_path_factory.mktemp("tomorrow"), "pass")


@pytest.fixture(scope="module")
def unlucky(tmp_path_factory: pytest.TempPathFactory) -> Tomorrow:
    """Give a next version whose revision fails after it has changed much."""
    last = "op.get_bind().exec_driver_sql('DELETE FROM volumes'); op.get_bind().exec_driver_sql('SELECT no FROM such')"
    return Tomorrow(tmp_path_factory.mktemp("unlucky"), last)


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    """Return all rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


@pytest.fixture
def contents(full: Path) -> Iterator[dict[str, list[tuple[object, ...]]]]:
    """Give all rows of the full database, which must be there at the end too."""
    tables = [name for name in schema.metadata.tables if name not in ("alembic_version", "snapshots", "hosts")]
    before = {name: rows(full, name) for name in tables}
    yield before
    for name, had in before.items():
        assert set(had) <= set(rows(full, name))


@pytest.mark.usefixtures("contents")
def test_upgrade_of_an_older_database(full: Path, tomorrow: Tomorrow) -> None:
    """`db upgrade` carries a database of today with its rows to tomorrow's schema, whose check is silent."""
    query = tomorrow.layerindex("query", "images", "--db", full)
    sentence = f"has the older schema {REVISIONS[-1]}; run `layerindex db upgrade` or `layerindex scan`"
    assert (1, f"Error: {full}: {sentence}\n") == (query.returncode, query.stderr)

    done = tomorrow.layerindex("db", "upgrade", "--db", full)
    said = f"{full}: upgraded from schema {REVISIONS[-1]} to {tomorrow.revision}\n"
    assert (0, "", said) == (done.returncode, done.stdout, done.stderr)
    assert [(1, "was here"), (2, "was here"), (3, "was here")] == rows(full, "more")
    assert int(tomorrow.revision) == pragmas(full)["user_version"]

    check = tomorrow.layerindex("db", "check", "--db", full)
    assert (0, f"{full}: whole, schema {tomorrow.revision}\n") == (check.returncode, check.stderr)
    assert "written by a newer layerindex" in run("query", "images", "--db", full).stderr


@pytest.mark.usefixtures("contents")
def test_scan_upgrades_an_older_database_and_says_so(full: Path, tmp_path: Path, tomorrow: Tomorrow) -> None:
    """`scan` upgrades an older database after saying so, and adds its snapshot."""
    root = DataRoot(tmp_path / "more")
    root.image(root.layer(metadata_only=True), ["a:1"])
    done = tomorrow.layerindex("scan", root.path, "--db", full, "--host", "more")

    assert 0 == done.returncode
    assert f"{full}: has an older schema; upgrading it to {tomorrow.revision}" == done.stderr.splitlines()[0]
    assert 4 == len(rows(full, "snapshots"))
    assert 3 == len(rows(full, "more"))


@pytest.mark.parametrize("arguments", [["db", "upgrade"], ["scan", "{root}"]])
def test_a_failed_upgrade_changes_nothing(built: Path, full: Path, unlucky: Tomorrow, arguments: list[str]) -> None:
    """A revision that fails in the middle leaves the file as it was, byte by byte, and one sentence is said."""
    before = full.read_bytes()
    words = [word.format(root=built.with_name("web-1")) for word in arguments]
    done = unlucky.layerindex(*words, "--db", full)

    assert (1, "") == (done.returncode, done.stdout)
    assert f"Error: {full}: no such table: such" == done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert before == full.read_bytes()
    assert ["full.db"] == os.listdir(full.parent)
