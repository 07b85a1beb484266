"""Snapshots travel: out of one database, through files and streams, into another, and answers stay what they were."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
import zstandard

from layerindex import catalog, database, exchange, genuine, query, scan, schema
from layerindex.errors import DatabaseError, RefusedFileError
from layerindex.exchange import compression
from layerindex.writing import merge, parts
from tests import exhibits, test_file_queries, test_queries
from tests.conftest import World, nobody_special, program
from tests.dataroot import DataRoot, big_store
from tests.rewrite import needed, rewriting
from tests.test_migrations import written
from tests.test_scan_process import small_disk as small_disk  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable

Rows = list[tuple[Any, ...]]


def silent(_: str) -> None:
    """Say nothing."""


def take(db: Path, source: Path | str) -> exchange.Imported:
    """Import one file."""
    return exchange.import_file(str(db), str(source), silent)


def give(db: Path | str, target: Path, numbers: list[int] | None = None, *, files: bool = True) -> Path:
    """Export snapshots, all by default."""
    if numbers is None:
        numbers = [number for (number,) in rows(db, "SELECT snapshot_id FROM snapshots")]
    with open(target, "wb") as file:
        exchange.export(str(db), numbers, file, target.name, files=files)
    return target


def rows(db: Path | str, sql: str) -> Rows:
    """Run SQL on a database."""
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute(sql).fetchall()


def change(db: Path, *statements: str) -> None:
    """Run statements on a database."""
    with ExitStack() as stack:
        connection = stack.enter_context(closing(sqlite3.connect(db, isolation_level=None)))
        if needed(connection, statements):
            stack.enter_context(rewriting(connection))
        for sql in statements:
            connection.execute(sql)


def index(db: Path, root: DataRoot | Path, host: str, *, files: bool = True) -> Path:
    """Scan a root."""
    path = root.path if isinstance(root, DataRoot) else root
    with database.writing(str(db), silent) as connection:
        (store,) = scan_stores(path)
        scan.scan(connection, store, scan.Filing(scan.Host(host, None)), scan.Options(files=files, jobs=1))
    return db


def scan_stores(path: Path) -> list[Any]:
    """Return the stores below a root."""
    from layerindex import stores  # noqa: PLC0415

    return list(stores.open_stores(str(path)))


def into(target: IO[bytes] | int, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
    """Run the program with its standard output into a file."""
    command = [sys.executable, "-m", "layerindex", *map(str, words)]
    return subprocess.run(command, stdout=target, stderr=subprocess.PIPE, text=True, check=False, **options)


def whole(db: Path) -> None:
    """Assert that a database is one, and that nothing in it points to nothing."""
    assert [("ok",)] == rows(db, "PRAGMA integrity_check")
    assert [] == rows(db, "PRAGMA foreign_key_check")
    for table in ("layers", "overlay_dirs"):
        sql = f"SELECT * FROM {table} WHERE listing_id NOTNULL AND listing_id NOT IN (SELECT listing_id FROM listings)"
        assert [] == rows(db, sql)


@pytest.fixture(scope="module")
def world_db(lasting: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the database of a small store where all is well."""
    return index(tmp_path_factory.mktemp("small") / "small.db", lasting.root, "web-1")


@pytest.fixture
def small(world_db: Path, tmp_path: Path) -> Path:
    """Give a copy of it that may be spoiled."""
    (tmp_path / "in").mkdir()
    return Path(shutil.copy(world_db, tmp_path / "in" / "small.db"))


# There and back -----------------------------------------------------------------------------------------------------


def _travelled(original: str, folder: Path) -> Path:
    """Send all snapshots through a compressed file into a new database."""
    db = folder / "new.db"
    take(db, give(original, folder / "out.db.zst"))
    whole(db)
    return db


@pytest.fixture(scope="module")
def without_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Give the database with an example of every case but of files, and what it becomes."""
    folder = tmp_path_factory.mktemp("without")
    original = exhibits.build(folder).path
    return original, _travelled(original, folder)


@pytest.fixture(scope="module")
def with_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Give the database with an example of every case of files, on two hosts, and what it becomes."""
    folder = tmp_path_factory.mktemp("with")
    original = str(folder / "files.db")
    for seed, host in enumerate(("one", "two")):
        root = test_file_queries.build(folder / host, seed)
        test_file_queries.scanned(original, root.path, host)
    change(
        Path(original),
        """INSERT INTO drift SELECT snapshot_id, cache_id, '/etc/passwd', 'changed', '{"mode":420}', '{"mode":511}'
           FROM overlay_dirs WHERE role = 'layer'""",
    )
    return original, _travelled(original, folder)


@pytest.mark.parametrize("name", catalog.names())
@pytest.mark.parametrize("kind", ["without_files", "with_files"])
def test_every_answer_is_the_same(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    """Exported and imported into a new database, snapshots give the same answer to every canned query."""
    canned = catalog.load(name)
    values = dict.fromkeys(canned.params) | test_queries.ABOUT_FILES.get(name, {})
    answers = []
    for path in request.getfixturevalue(kind):
        with database.reading(str(path)) as connection:
            answer = query.run(connection, canned.sql, values)
            places = [place for place, column in enumerate(answer.columns) if column != "received_at"]
            answers.append((answer.columns, [[row[place] for place in places] for row in answer.rows]))
    before, after = answers

    assert before == after


def test_every_row_travels(with_files: tuple[str, Path], without_files: tuple[str, Path]) -> None:
    """No table, column or row is left behind; only a walk's witness is; numbers may be others, and the time."""
    numbers = {"host_id", "listing_id", "directory_id", "content_id", "witness", "received_at", "digest", "imported"}
    stored = {"parts", "part_names", *parts.tables(), *(kind.stored for kind in parts.KINDS)}
    # A walk that was not kept leaves more directories; views say what parts do, whatever their numbers.
    tables = schema.metadata.tables.keys() - {"directories"} - stored | parts.views().keys()
    for original, travelled in (with_files, without_files):
        for table in sorted(tables):
            found = rows(original, f"SELECT name FROM pragma_table_info('{table}')")
            names = ", ".join(name for (name,) in found if name not in numbers)
            sql = f"SELECT {names} FROM {table} ORDER BY {names}"
            assert rows(original, sql) == rows(travelled, sql), table
        for name in ("layers", "overlay_dirs"):
            sql = (
                f"SELECT d.snapshot_id, d.cache_id, f.path, f.size FROM {name} AS d JOIN files AS f USING (listing_id)"
            )
            assert rows(original, f"{sql} ORDER BY 1, 2, 3") == rows(travelled, f"{sql} ORDER BY 1, 2, 3")


def test_every_table_is_known_to_the_merge() -> None:
    """A table is merged by its meaning or is one of a snapshot's facts, and each number in it has its map."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        database.create(connection)
        facts = merge.facts()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}

        assert tables - {"alembic_version"} == {*merge.NUMBERED, "parts", "part_names", *parts.tables(), *facts}
        for table in facts:
            columns = set(genuine.columns(table))
            assert "directory_id" not in columns
            assert "host_id" not in columns
            named = {column for column in columns if column.endswith("_id")} & set(merge.MAPS)
            assert {"snapshot_id"} <= named


def test_a_table_of_tomorrow_travels(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new table of facts is copied without a word about it in the program."""
    create = """CREATE TABLE more (
                snapshot_id INTEGER NOT NULL, note TEXT, listing_id INTEGER, PRIMARY KEY (snapshot_id)) WITHOUT ROWID"""
    made, things = database.create, genuine.things

    def create_more(connection: sqlite3.Connection) -> None:
        made(connection)
        connection.execute(create)

    monkeypatch.setattr(database, "create", create_more)
    more = {"more": genuine.Thing("table", "more", "more", create)}
    monkeypatch.setattr(genuine, "things", lambda revision: things(revision) | more)
    monkeypatch.setattr(genuine, "_columns", genuine._columns.__wrapped__)  # noqa: SLF001 - a cache
    change(small, create, "INSERT INTO more SELECT 1, 'was here', max(listing_id) FROM listings")
    take(tmp_path / "new.db", small)
    ((number, note, listing_id),) = rows(tmp_path / "new.db", "SELECT * FROM more")

    assert (1, "was here") == (number, note)
    assert [(listing_id,)] == rows(
        tmp_path / "new.db", f"SELECT listing_id FROM listings WHERE listing_id = {listing_id}"
    )


# Bringing together --------------------------------------------------------------------------------------------------


def test_hosts_and_snapshots_are_recognised(small: Path, tmp_path: Path, lasting: World) -> None:
    """A snapshot that is here is passed over, a host that is here gets the new one, and listings are shared."""
    db = tmp_path / "fleet.db"

    assert (1, 0) == take(db, small)[:1] + take(db, small)[:1]
    later = index(tmp_path / "in" / "later.db", lasting.root, "web-1")
    other = index(tmp_path / "in" / "other.db", lasting.root, "web-2")
    again = take(db, later)
    assert (1, 0) == (again.snapshots, again.known)
    assert [1, 1, 2] == [host for (host,) in rows(db, "SELECT host_id FROM snapshots")] + [
        len(rows(db, "SELECT DISTINCT host_id FROM snapshots")) + 1
    ]
    layers = rows(db, "SELECT count(*) FROM listings WHERE source = 'tar-split'")
    took = take(db, other)
    assert 1 == took.snapshots
    assert layers == rows(db, "SELECT count(*) FROM listings WHERE source = 'tar-split'")
    assert [("web-1",), ("web-2",)] == rows(db, "SELECT name FROM hosts ORDER BY 1")
    whole(db)


def test_hosts_are_told_apart_by_machine_id(small: Path, tmp_path: Path) -> None:
    """Two machines of one name stay two; no machine-id is a machine-id of its own."""
    db = tmp_path / "fleet.db"
    for number, machine in enumerate(("'a'", "'b'", "NULL", "'a'")):
        copy = Path(shutil.copy(small, tmp_path / "in" / f"{number}.db"))
        change(copy, f"UPDATE hosts SET machine_id = {machine}", f"UPDATE snapshots SET uid = '{number:032x}'")
        take(db, copy)

    assert [("a", 2), ("b", 1), (None, 1)] == rows(
        db,
        "SELECT machine_id, count(*) FROM snapshots JOIN hosts USING (host_id) GROUP BY 1 ORDER BY 1 NULLS LAST",
    )


SAYS = """
SELECT s.uid, y.diff_id, l.complete, (
    SELECT json_group_array(json_array(path, name, type, size, uid)) FROM (
      SELECT d.path, e.name, e.type, e.size, e.uid FROM entries AS e JOIN directories AS d USING (directory_id)
      WHERE e.listing_id = y.listing_id ORDER BY d.path, e.name))
FROM snapshots AS s JOIN layers AS y USING (snapshot_id) JOIN listings AS l USING (listing_id) ORDER BY 1, 2"""
"""What each snapshot says of its layers' files."""


LIAR = f"{5:032x}"


def says(path: Path) -> dict[tuple[str, str], list[Any]]:
    """Return what each snapshot says of each layer, without the numbers of this database."""
    return {(uid, diff_id): said for uid, diff_id, *said in rows(path, SAYS)}


def forge(small: Path, folder: Path, number: int, *changes: str) -> Path:
    """Return a file of another snapshot, in which layers' files are as `changes` make them."""
    path = Path(shutil.copy(small, folder / f"{number}.db"))
    change(path, f"UPDATE snapshots SET uid = '{number:032x}'", *changes)
    return path


def test_a_listing_is_the_senders_alone(small: Path, tmp_path: Path) -> None:
    """Whoever comes first: what a file says of a layer is said for its snapshots, and where it differs is an answer."""
    take(small, give(small, tmp_path / "named.db"))
    sources = [
        forge(small, tmp_path, 1),
        forge(small, tmp_path, 2, "UPDATE entries SET size = 666, uid = 666"),
        forge(small, tmp_path, 3, "UPDATE listings SET complete = 0"),
        give(forge(small, tmp_path, 4), tmp_path / "exported.db"),
    ]
    # One that says its listings are those of the first, by their digests.
    true: dict[str, str] = dict(rows(sources[3], "SELECT diff_id, hex(digest) FROM listings WHERE diff_id NOTNULL"))
    assert all(true.values())
    lies = [f"UPDATE listings SET digest = X'{digest}' WHERE diff_id = '{diff_id}'" for diff_id, digest in true.items()]
    sources.append(forge(small, tmp_path, 5, "UPDATE entries SET size = 667", *lies))
    alone: dict[tuple[str, str], list[Any]] = {}
    for source in sources:
        take(tmp_path / f"alone-{source.name}", source)
        alone |= says(tmp_path / f"alone-{source.name}")
    honest = {diff_id: said for (uid, diff_id), said in alone.items() if uid == f"{1:032x}"}
    for place, order in enumerate(itertools.permutations(sources)):
        db = tmp_path / f"fleet{place}.db"
        for source in order:
            take(db, source)
        found = says(db)
        for (uid, diff_id), said in found.items():
            # Who lies of a digest has what is here under it, or what it sent; nobody else has that.
            may = [alone[uid, diff_id], *([honest[diff_id]] if uid == LIAR else [])]
            assert said in may
        same = f"""SELECT count(DISTINCT listing_id) FROM layers JOIN snapshots USING (snapshot_id)
                   WHERE uid IN ('{1:032x}', '{4:032x}')"""
        assert rows(db, same) == rows(sources[0], "SELECT count(DISTINCT listing_id) FROM layers")
        with database.reading(str(db)) as connection:
            answer = query.run(connection, catalog.load("listing-conflicts").sql, {})
            assert {row[0] for row in answer.rows} == {diff_id for diff_id, said in honest.items() if said[1]}
        assert [(0,)] == rows(db, "SELECT count(witness) FROM listings")
        whole(db)


def test_a_scan_reads_what_only_an_import_has_told(lasting: World, small: Path, tmp_path: Path) -> None:
    """A listing that another sent spares no scan the layer: it may be false."""
    db = tmp_path / "fleet.db"
    take(db, forge(small, tmp_path, 2, "UPDATE entries SET size = 666, uid = 666"))
    index(db, lasting.root, "web-1")
    index(db, lasting.root, "web-1")
    mine = "JOIN layers USING (listing_id) JOIN snapshots USING (snapshot_id) WHERE received_at IS NULL"
    assert rows(db, f"SELECT count(*) FROM entries {mine} AND entries.uid = 666") == [(0,)]
    assert rows(db, f"SELECT DISTINCT imported FROM listings {mine}") == [(0,)]
    assert rows(db, "SELECT count(*) FROM listings WHERE diff_id NOTNULL AND imported = 0") == rows(
        small, "SELECT count(*) FROM listings WHERE diff_id NOTNULL"
    )


def test_a_host_by_another_name(small: Path, tmp_path: Path) -> None:
    """Who receives a file may say whose it is: what it says of itself displaces nobody."""
    db = tmp_path / "new.db"
    (mine,) = rows(small, "SELECT name, machine_id FROM hosts")
    assert program("import", str(small), "--db", str(db), "--as-host", "web-9").returncode == 0
    assert rows(db, "SELECT name, machine_id FROM hosts") == [("web-9", mine[1])]
    again = program("import", str(small), "--db", str(db), "--as-host", "web-9")
    assert again.stderr.endswith("0 snapshots imported; 1 already in the database\n")
    other = program("import", str(small), "--db", str(db))
    assert "another snapshot with the same uid" in other.stderr

    change(small, "INSERT INTO hosts (name) VALUES ('other')")
    done = program("import", str(small), "--db", str(db), "--as-host", "web-9")
    assert (done.returncode, "has 2 hosts, and one name is given for them" in done.stderr) == (1, True)


def test_a_file_that_lists_a_layer_twice(small: Path, tmp_path: Path) -> None:
    """Of two listings of one layer in a file each is its snapshot's; where they are alike they are one."""
    change(
        small,
        """INSERT INTO snapshots SELECT 2, 'bbbb' || substr(uid, 5), host_id, store, engine, root, driver, folder,
           engine_id, label, started_at, finished_at, ordered_at, received_at, status, scope, reads_directories,
           keeps_links, mounts_inside, guards_images, collects_garbage, tool_version FROM snapshots""",
        "INSERT INTO listings SELECT listing_id + 1000, diff_id, source, NULL, complete, 0, 0, 0, 0, NULL, 0"
        " FROM listings WHERE diff_id NOTNULL",
        "INSERT INTO layers SELECT 2, chain_id, diff_id, parent_chain_id, cache_id, size, verified, listing_id + 1000"
        " FROM layers",
    )
    db = tmp_path / "fleet.db"
    take(db, small)

    sql = "SELECT DISTINCT y.snapshot_id, l.entry_count > 0 FROM layers AS y JOIN listings AS l USING (listing_id)"
    alike = "SELECT DISTINCT diff_id FROM listings WHERE diff_id NOTNULL AND entry_count = 0"
    empty_ones = {diff_id for (diff_id,) in rows(small, f"{alike} AND listing_id < 1000")}
    differing = {diff_id for (diff_id,) in rows(db, alike)} - empty_ones
    assert differing
    assert {(1, 1), (2, 0)} == set(rows(db, f"{sql} WHERE y.diff_id IN ({', '.join(map(repr, differing))})"))
    twice = rows(db, "SELECT diff_id FROM listings WHERE diff_id NOTNULL GROUP BY 1 HAVING count(*) > 1")
    assert {diff_id for (diff_id,) in twice} == differing
    whole(db)


def test_a_scan_after_an_import_takes_over_no_walk(lasting: World, small: Path, tmp_path: Path) -> None:
    """An imported walk never spares a scan its own: what another machine saw proves nothing about this one."""
    db = tmp_path / "fleet.db"
    take(db, small)
    before = rows(db, "SELECT count(*) FROM listings WHERE source = 'walk'")[0][0]
    index(db, lasting.root, "web-1")

    assert 2 * before == rows(db, "SELECT count(*) FROM listings WHERE source = 'walk'")[0][0] > 0


def grow(db: Path, folders: int) -> None:
    """Give a listing of a layer in a file folders with a hundred files each."""
    files = 100 * folders
    change(
        db,
        f"""INSERT INTO directories WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {folders})
            SELECT 100000 + i, printf('/usr/lib/package-%d/share/doc', i), NULL FROM n""",
        """INSERT INTO entries (listing_id, directory_id, name, type, mode, uid, gid, size, mtime, content_crc64)
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
           SELECT (SELECT min(listing_id) FROM listings WHERE diff_id NOTNULL), directory_id, printf('file-%d.txt', i),
             'file', 420, 0, 0, i, 1700000000 + i, directory_id * i * 982451653
           FROM directories CROSS JOIN n WHERE directory_id > 100000""",
        f"""UPDATE listings SET entry_count = entry_count + {files}
            WHERE listing_id = (SELECT min(listing_id) FROM listings WHERE diff_id NOTNULL)""",
    )


def test_second_host_is_cheap(lasting: World, tmp_path: Path) -> None:
    """A second host with the same images takes at most 2 % of the first one's bytes."""
    files = []
    for host in ("one", "two"):
        files.append(index(tmp_path / f"{host}.db", lasting.root, host))
        grow(files[-1], 1000)
    db = empty(tmp_path / "fleet.db")
    sizes = [os.path.getsize(db)]
    for file in files:
        assert 1 == take(db, file).snapshots
        sizes.append(os.path.getsize(db))
    first, second = sizes[1] - sizes[0], sizes[2] - sizes[1]

    assert second <= first * 0.02


def empty(path: Path) -> Path:
    """Make a database without snapshots."""
    with database.writing(str(path), silent):
        pass
    return path


# Files and streams --------------------------------------------------------------------------------------------------

PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip-twice": lambda data: gzip.compress(data[:9000]) + gzip.compress(data[9000:]),
    "zstd": zstandard.compress,
    "zstd-twice": lambda data: zstandard.compress(data[:9000]) + zstandard.compress(data[9000:]),
}


@pytest.mark.parametrize("kind", PACKED)
def test_streams(small: Path, tmp_path: Path, kind: str) -> None:
    """A stream is recognised by its content, as a file of any name and on standard input, and leaves nothing."""
    packed = tmp_path / "in" / "whatever"
    packed.write_bytes(PACKED[kind](small.read_bytes()))
    (tmp_path / "out").mkdir()

    assert 1 == take(tmp_path / "out" / "fleet.db", packed).snapshots
    with open(packed, "rb") as file:
        done = program("import", "-", "--db", str(tmp_path / "out" / "fleet.db"), stdin=file)
    assert (0, "standard input: 0 snapshots imported; 1 already in the database\n") == (done.returncode, done.stderr)
    assert ["fleet.db"] == os.listdir(tmp_path / "out")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: gzip.compress(data)[:-4000], "the compressed stream ends early"),
        (lambda data: gzip.compress(data)[:10] + b"\xff" * 5000, "cannot be unpacked"),
        (lambda data: zstandard.compress(data)[:-4000], "is damaged or cut short"),
        (
            lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data)[:-4] + b"\xff" * 5000,
            "cannot be unpacked",
        ),
        (lambda data: data[:-4096], "is damaged or cut short"),
        (lambda _: b"", "is empty"),
        (lambda _: b"hello", "is not an SQLite database"),
        (lambda _: gzip.compress(b"hello"), "is not an SQLite database"),
    ],
)
def test_broken_streams(small: Path, tmp_path: Path, spoil: Callable[[bytes], bytes], sentence: str) -> None:
    """A stream that ends early or is no database is refused, and a new database is not made."""
    packed = tmp_path / "packed"
    packed.write_bytes(spoil(small.read_bytes()))
    (tmp_path / "out").mkdir()

    with pytest.raises(RefusedFileError, match=sentence):
        take(tmp_path / "out" / "fleet.db", packed)
    with open(packed, "rb") as file:
        done = program("import", "-", "--db", str(tmp_path / "out" / "fleet.db"), stdin=file)
    assert (1, 1) == (done.returncode, done.stderr.count("\n"))
    assert done.stderr.startswith("Error: standard input: ")
    assert sentence in done.stderr
    assert [] == os.listdir(tmp_path / "out")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]) -> None:
    """A stream that unpacks to hundreds of times its size is refused before it fills the disk."""
    bomb = tmp_path / "bomb.zst"
    bomb.write_bytes(pack(bytes(64 << 20)))
    monkeypatch.setattr(compression, "FLOOR_BYTES", 1 << 20)

    with pytest.raises(RefusedFileError, match=r"bytes unpack to more than \d+; --max-size allows more"):
        take(tmp_path / "fleet.db", bomb)
    with pytest.raises(RefusedFileError, match="is not an SQLite database"):
        exchange.import_file(str(tmp_path / "fleet.db"), str(bomb), silent, 65 << 20)
    assert ["bomb.zst"] == os.listdir(tmp_path)


def test_max_size(small: Path, tmp_path: Path) -> None:
    """--max-size bounds a plain stream too, and a file that is read where it lies has its size already."""
    with open(small, "rb") as file:
        done = program("import", "-", "--db", str(tmp_path / "fleet.db"), "--max-size", "5000", stdin=file)
    assert "unpack to more than 5000" in done.stderr
    assert 1 == done.returncode
    assert 0 == program("import", str(small), "--db", str(tmp_path / "fleet.db"), "--max-size", "5000").returncode


def test_a_pipe_is_a_file(small: Path, tmp_path: Path) -> None:
    """A named pipe is read as a stream."""
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cp", small, tmp_path / "pipe"]):
        assert 1 == take(tmp_path / "fleet.db", tmp_path / "pipe").snapshots


def test_several_files(small: Path, tmp_path: Path, lasting: World) -> None:
    """Each file is taken for itself: a bad one is named and costs the exit status, not the others."""
    other = index(tmp_path / "in" / "other.db", lasting.root, "web-2")
    bad = tmp_path / "in" / "bad.db"
    bad.write_bytes(b"no")
    db = tmp_path / "fleet.db"
    done = program("import", str(small), str(bad), str(tmp_path / "none"), str(other), "--db", str(db))

    assert 1 == done.returncode
    said = done.stderr.splitlines()
    assert said[0].startswith(f"{small}: 1 snapshot imported, ")
    assert f"Error: {bad}: is not an SQLite database; nothing of it was imported" == said[1]
    assert f"Error: {tmp_path}/none: cannot be read: No such file or directory; nothing of it was imported" == said[2]
    assert said[3].startswith(f"{other}: 1 snapshot imported, ")
    assert 4 == len(said)
    assert "" == done.stdout
    assert "" == program("import", str(small), "-q", "--db", str(db)).stderr


def test_the_database_itself(small: Path, tmp_path: Path) -> None:
    """A database is not imported into itself, by whatever name."""
    link = tmp_path / "link.db"
    link.symlink_to(small)
    with pytest.raises(RefusedFileError, match="is the database itself"):
        take(small, link)


# Older, journalled, read-only ---------------------------------------------------------------------------------------


def older(path: Path) -> Path:
    """Write a database of the first schema with one snapshot of two files."""
    written(path, "0001")
    digest = "sha256:" + "a" * 64
    change(
        path,
        "INSERT INTO hosts VALUES (1, 'old', NULL)",
        f"""INSERT INTO snapshots VALUES (1, '{7:032x}', 1, 'docker-overlay2', '/r', 'overlay2', NULL, NULL,
            '2024-01-01T00:00:00.000Z', '2024-01-01T00:00:01.000Z', 'complete', '0.1')""",
        f"INSERT INTO listings VALUES (1, '{digest}', 'tar-split', NULL, 1, 2, 5, 5, NULL)",
        f"INSERT INTO layers VALUES (1, '{digest}', '{digest}', NULL, 'c', 5, 1, 1)",
        "INSERT INTO directories VALUES (1, '/', NULL)",
        """INSERT INTO entries (listing_id, directory_id, name, type, size)
           VALUES (1, 1, 'a', 'file', 5), (1, 1, 'b', 'dir', 0)""",
    )
    return path


def test_older_file(small: Path, tmp_path: Path) -> None:
    """A file of an older schema is upgraded on a copy; it stays as it was, and nothing else is left."""
    old = older(tmp_path / "in" / "old.db")
    before = old.read_bytes()
    (tmp_path / "out").mkdir()
    db = tmp_path / "out" / "fleet.db"
    take(db, small)

    assert (1, 1, 2) == take(db, old)[:3]
    assert before == old.read_bytes()
    assert ["fleet.db"] == os.listdir(tmp_path / "out")
    whole(db)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON snapshots BEGIN DELETE FROM hosts; END", "a trigger t is on its table"),
        ("CREATE INDEX i ON layers (abs(size))", "a index i on its table layers is unique, partial or computed"),
        ("DROP TABLE drift", "it has no table drift"),
        ("DROP VIEW files", "it has no view files"),
    ],
)
def test_older_file_that_is_not_ours(tmp_path: Path, sql: str, reason: str) -> None:
    """The upgrade would run what the file brings: an older file is held to what that version made."""
    old = older(tmp_path / "old.db")
    change(old, sql)
    with pytest.raises(RefusedFileError, match=reason):
        take(tmp_path / "fleet.db", old)


KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE part_image_configs SET config = config || hex(randomblob(9000))")
connection.execute("DELETE FROM hosts")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("read_only", [False, True])
def test_file_with_a_hot_journal(small: Path, tmp_path: Path, *, read_only: bool) -> None:
    """What a killed writer left is rolled back on a copy; file and journal stay as they were."""
    subprocess.run([sys.executable, "-c", KILLED, str(small)], check=False)
    journal = small.with_name("small.db-journal")
    before = small.read_bytes(), journal.read_bytes()
    assert before[1]
    if read_only:
        small.parent.chmod(0o555)
    try:
        with nobody_special():
            assert 1 == take(tmp_path / "fleet.db", small).snapshots
    finally:
        small.parent.chmod(0o755)

    assert before == (small.read_bytes(), journal.read_bytes())
    assert ["fleet.db", "in"] == sorted(os.listdir(tmp_path))
    assert [("web-1",)] == rows(tmp_path / "fleet.db", "SELECT name FROM hosts")


def test_a_journal_that_names_a_file_to_delete(small: Path, tmp_path: Path) -> None:
    """SQLite deletes the super-journal that a journal names; a forged one would have any file deleted."""
    subprocess.run([sys.executable, "-c", KILLED, str(small)], check=False)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    name = os.fsencode(victim)
    with open(f"{small}-journal", "ab") as journal:
        journal.write(b"\0\0\0\0" + name + len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big"))
        journal.write(bytes.fromhex("d9d505f920a163d7"))
    with pytest.raises(RefusedFileError, match="names another file"):
        take(tmp_path / "fleet.db", small)
    with pytest.raises(DatabaseError, match="names another file"), database.reading(str(small)):
        pass
    with pytest.raises(DatabaseError, match="names another file"), database.writing(str(small), print):
        pass

    assert b"precious" == victim.read_bytes()
    assert ["in", "victim"] == sorted(os.listdir(tmp_path))
    with closing(sqlite3.connect(small)) as plain:
        plain.execute("SELECT 1 FROM images")
    assert not victim.exists(), "or the test proves nothing"


def test_file_in_wal_mode(small: Path, tmp_path: Path) -> None:
    """A file in WAL mode is read in a folder where no WAL can be made."""
    change(small, "PRAGMA journal_mode = WAL")
    before = small.read_bytes()
    small.parent.chmod(0o555)
    try:
        with nobody_special():
            assert 1 == take(tmp_path / "fleet.db", small).snapshots
    finally:
        small.parent.chmod(0o755)

    assert before == small.read_bytes()
    assert ["small.db"] == os.listdir(small.parent)


def test_file_that_is_being_written(small: Path, tmp_path: Path) -> None:
    """A writer that has not committed yet does not matter; one that commits just now is waited for."""
    with closing(sqlite3.connect(small, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM part_stored_images")
        assert 1 == take(tmp_path / "fleet.db", small).snapshots
    assert [(3,)] == rows(tmp_path / "fleet.db", "SELECT count(*) FROM images")


# Export -------------------------------------------------------------------------------------------------------------


def test_export_of_chosen_snapshots(without_files: tuple[str, Path], tmp_path: Path) -> None:
    """The references of queries choose; by default it is what queries see."""
    chosen = {
        (): {("web-1", None), ("db-1", "nightly | all")},
        ("--snapshot", "web-1~1"): {("web-1", "before the update")},
        ("--host", "db-1"): {("db-1", "nightly | all")},
        ("--snapshot", "1", "--snapshot", "2"): {("web-1", "before the update"), ("web-1", None)},
    }
    for number, (words, expected) in enumerate(chosen.items()):
        target = tmp_path / f"{number}.db"
        done = program("export", str(target), *words, "--db", without_files[0])
        assert 0 == done.returncode, done.stderr
        assert expected == set(rows(target, "SELECT name, label FROM snapshots JOIN hosts USING (host_id)"))
        whole(target)
    done = program("export", str(tmp_path / "x.db"), "--host", "nobody", "--db", without_files[0])
    assert (2, False) == (done.returncode, (tmp_path / "x.db").exists())


def test_export_without_files(world_db: Path, tmp_path: Path) -> None:
    """--no-files leaves the listings out, and the rest as it is."""
    target = tmp_path / "thin.db"
    assert 0 == program("export", str(target), "--no-files", "--db", str(world_db)).returncode

    assert [(0, 0, 0)] == rows(
        target,
        "SELECT (SELECT count(*) FROM listings), (SELECT count(*) FROM entries), (SELECT count(*) FROM directories)",
    )
    assert [] == rows(
        target,
        "SELECT 1 FROM layers WHERE listing_id NOTNULL UNION SELECT 1 FROM overlay_dirs WHERE listing_id NOTNULL",
    )
    sql = "SELECT chain_id, diff_id, size FROM layers"
    assert rows(world_db, sql) == rows(target, sql)
    assert 1 == take(tmp_path / "fleet.db", target).snapshots


@pytest.mark.parametrize(
    ("name", "magic"), [("a.db", b"SQLite"), ("a.db.gz", b"\x1f\x8b"), ("a.zst", b"\x28\xb5\x2f\xfd")]
)
def test_export_to_a_file(world_db: Path, tmp_path: Path, name: str, magic: bytes) -> None:
    """The name's end decides on compression; a file that is there is replaced with --force alone."""
    target = tmp_path / name
    done = program("export", str(target), "--db", str(world_db))
    assert (0, "") == (done.returncode, done.stdout)
    assert target.read_bytes().startswith(magic)
    assert 0o600 == target.stat().st_mode & 0o777

    target.write_bytes(b"precious")
    done = program("export", str(target), "--db", str(world_db))
    assert (1, f"Error: {target}: is there already; --force replaces it\n") == (done.returncode, done.stderr)
    assert b"precious" == target.read_bytes()
    assert 0 == program("export", str(target), "--force", "-q", "--db", str(world_db)).returncode
    assert target.read_bytes().startswith(magic)
    assert [name] == os.listdir(tmp_path)


def test_export_is_compact(world_db: Path, tmp_path: Path) -> None:
    """An export is as small as VACUUM makes it, and holds nothing of what was not chosen."""
    target = give(world_db, tmp_path / "out.db")
    size = target.stat().st_size
    change(target, "VACUUM")

    assert size <= target.stat().st_size


def test_export_over_what_is_no_file_of_its_own(world_db: Path, tmp_path: Path) -> None:
    """A device stays a device and the database itself, whatever --force says; a link stays one."""
    copy = Path(shutil.copy(world_db, tmp_path / "copy.db"))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "aim")
    for target, status in ((copy, 2), (tmp_path / "pipe", 1), (tmp_path / "link", 0)):
        done = program("export", str(target), "--force", "--db", str(copy))
        assert status == done.returncode, done.stderr
    assert world_db.read_bytes() == copy.read_bytes()
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()
    whole(tmp_path / "aim")
    assert 2 == program("import", str(copy), "--db", "-").returncode


def test_export_to_standard_output(world_db: Path, tmp_path: Path) -> None:
    """`-` is standard output, which no terminal may be and which may close or be full."""
    with open(tmp_path / "out.db", "wb") as file:
        done = into(file, "export", "-", "--db", world_db)
    assert (0, "standard output: 1 snapshot") == (done.returncode, done.stderr.partition(",")[0])
    whole(tmp_path / "out.db")
    with open("/dev/full", "wb") as file:
        done = into(file, "export", "-", "--db", world_db)
    assert (1, "Error: standard output: cannot be written: No space left on device\n") == (done.returncode, done.stderr)


@pytest.mark.parametrize("words", [["export", "-"], ["scan", "--db", "-"]])
def test_no_database_on_a_terminal(world_db: Path, lasting: World, words: list[str]) -> None:
    """Nobody gets a database printed on a terminal."""
    controller, terminal = os.openpty()
    if words[0] == "scan":
        words = [*words, str(lasting.root.path)]
    done = into(terminal, *words, env=os.environ | {"LAYERINDEX_DB": str(world_db)})
    os.close(controller)
    os.close(terminal)

    assert 2 == done.returncode
    assert "a terminal cannot show a database" in done.stderr


def test_export_leaves_no_half_file(world_db: Path, tmp_path: Path) -> None:
    """An export that fails leaves no file, and the one that was there."""
    damaged = Path(shutil.copy(world_db, tmp_path / "damaged.db"))
    change(damaged, "DELETE FROM listings")
    done = program("export", str(tmp_path / "out.db"), "--db", str(damaged))

    assert (1, 1) == (done.returncode, done.stderr.count("\n"))
    assert "is not whole: `layerindex db check` says what is wrong" in done.stderr
    assert ["damaged.db"] == os.listdir(tmp_path)
    done = program("export", str(tmp_path / "no" / "out.db"), "--db", str(world_db))
    assert f"Error: {tmp_path}/no: nothing can be made in it: No such file or directory\n" == done.stderr


# scan --db - --------------------------------------------------------------------------------------------------------


def test_scan_to_standard_output(lasting: World, tmp_path: Path) -> None:
    """`scan --db - | import -` brings the snapshot over, and nothing stays on the way."""
    room = tmp_path / "tmp"
    room.mkdir()
    environment = os.environ | {"TMPDIR": str(room)}
    scanning = [sys.executable, "-m", "layerindex", "scan", str(lasting.root.path), "--db", "-", "--host", "web-7"]
    importing = [sys.executable, "-m", "layerindex", "import", "-", "--db", str(tmp_path / "fleet.db")]
    with subprocess.Popen(scanning, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as first:
        done = subprocess.run(importing, stdin=first.stdout, capture_output=True, text=True, check=False)
        assert first.stderr is not None
        said = first.stderr.read().decode()
    assert (0, 0) == (first.returncode, done.returncode), said + done.stderr
    assert "written to standard output as snapshot 1" in said
    assert [] == os.listdir(room)
    assert [("web-7", "files")] == rows(
        tmp_path / "fleet.db", "SELECT name, scope FROM snapshots JOIN hosts USING (host_id)"
    )
    with open(tmp_path / "same.db", "wb") as file:
        subprocess.run([*scanning, "-q"], stdout=file, check=True)
    sql = "SELECT d.cache_id, f.path, f.size FROM overlay_dirs AS d JOIN files AS f USING (listing_id) ORDER BY 1, 2"
    assert rows(tmp_path / "same.db", sql) == rows(tmp_path / "fleet.db", sql)


def test_scan_to_a_closed_pipe_or_a_full_disk(lasting: World, tmp_path: Path) -> None:
    """A reader that goes away is no traceback, and a full disk one sentence; nothing stays behind."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "layerindex", "scan", str(lasting.root.path), "--db", "-", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (b"", 1) == (process.stderr.read(), process.wait())
    with open("/dev/full", "wb") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, env=environment, check=False)
    assert (1, b"Error: standard output: cannot be written: No space left on device\n") == (
        done.returncode,
        done.stderr,
    )
    assert [] == os.listdir(tmp_path)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> DataRoot:
    """Give a store that takes the scan long enough to be met in the middle."""
    return big_store(tmp_path_factory.mktemp("big") / "docker", images=60, layers=250)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_scan_to_standard_output_that_is_ended(big: DataRoot, tmp_path: Path, stop: signal.Signals) -> None:
    """However it ends, no temporary file stays, or an empty one when it was killed right after that was made."""
    room = tmp_path / "tmp"
    room.mkdir()
    command = [sys.executable, "-m", "layerindex", "scan", str(big.path), "--db", "-", "-q"]
    environment = os.environ | {"TMPDIR": str(room)}
    for wait in (0.2, 0.4, 0.6):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            time.sleep(wait)
            process.send_signal(stop)
            process.communicate()
        assert [] == [path for path in room.iterdir() if stop != signal.SIGKILL or path.stat().st_size]


# Whatever happens ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(world_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file that takes the import long enough to be met in the middle."""
    db = Path(shutil.copy(world_db, tmp_path_factory.mktemp("many") / "many.db"))
    grow(db, 400)
    change(db, "UPDATE snapshots SET uid = 'aaaa' || substr(uid, 5)", "UPDATE hosts SET name = 'big'")
    change(db, "UPDATE listings SET diff_id = 'sha256:aaaa' || substr(diff_id, 12)")
    change(db, "UPDATE layers SET diff_id = 'sha256:aaaa' || substr(diff_id, 12)")
    return db


@pytest.mark.parametrize("begun", [False, True])
def test_killed_at_any_moment(many: Path, small: Path, tmp_path: Path, *, begun: bool) -> None:
    """An import that is killed leaves whole snapshots, and the next one works."""
    chance = random.Random(5)
    db = tmp_path / "out" / "fleet.db"
    command = [sys.executable, "-m", "layerindex", "import", str(many), "--db", str(db), "-q"]
    for _ in range(10):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        if begun:
            take(db, small)
        with subprocess.Popen(command) as process:
            time.sleep(chance.uniform(0.05, 0.6))
            process.kill()
        done = program("import", str(many), "--db", str(db))
        assert 0 == done.returncode, done.stderr
        whole(db)
        assert [(1 + begun,)] == rows(db, "SELECT count(*) FROM snapshots")
        assert [] == rows(
            db,
            "SELECT 1 FROM listings AS l WHERE entry_count <> (SELECT count(*) FROM entries AS e"
            " WHERE e.listing_id = l.listing_id)",
        )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_while_a_stream_comes(small: Path, tmp_path: Path, stop: signal.Signals) -> None:
    """Who ends an import that waits for the rest of a stream gets a sentence, and nothing stays behind."""
    db = tmp_path / "out" / "fleet.db"
    db.parent.mkdir()
    command = [sys.executable, "-m", "layerindex", "import", "-", "--db", str(db)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background may ignore it
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(small.read_bytes()[:100_000])
        process.stdin.flush()
        deadline = time.monotonic() + 10
        while not os.listdir(db.parent) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)  # until it waits: a signal just before that is met when the stream goes on
        process.send_signal(stop)
        hung = threading.Timer(10, process.kill)
        hung.start()
        said = process.stderr.read()
        hung.cancel()
    assert (128 + stop, b"Interrupted; only the files reported above were imported.\n") == (
        process.returncode,
        said,
    )
    assert [] == os.listdir(db.parent)


def test_two_at_once(many: Path, small: Path, tmp_path: Path) -> None:
    """Two imports of the same file wait for each other, and the second finds what the first brought."""
    db = tmp_path / "fleet.db"
    take(db, small)
    command = [sys.executable, "-m", "layerindex", "import", str(many), "--db", str(db)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]

    assert [0, 0] == [process.returncode for process in both], said
    assert 1 == sum("1 snapshot imported" in text for text in said)
    assert 1 == sum("0 snapshots imported; 1 already in the database" in text for text in said)
    whole(db)


@pytest.mark.parametrize("packed", [False, True])
def test_full_disk(many: Path, small: Path, small_disk: Path, *, packed: bool) -> None:
    """A full disk is one sentence, whether the copy or the database has no room, and the database is as before."""
    db = small_disk / "fleet.db"
    take(db, small)
    before = db.read_bytes()
    source = give(many, small.with_name("many.db.gz")) if packed else many
    done = program("import", str(source), "--db", str(db))

    blamed = f"{source if packed else db}: no room is left in {small_disk}"
    assert (1, 1) == (done.returncode, done.stderr.count("\n"))
    assert done.stderr.startswith(f"Error: {blamed}")
    assert before == db.read_bytes()
    assert ["fleet.db"] == os.listdir(small_disk)


def test_a_database_that_is_not_ours_is_no_target(small: Path, tmp_path: Path) -> None:
    """What lies where the database should be is not written to."""
    target = tmp_path / "other.db"
    change(target, "CREATE TABLE images (a)")
    before = target.read_bytes()
    done = program("import", str(small), "--db", str(target))

    assert (1, before) == (done.returncode, target.read_bytes())
    with pytest.raises(DatabaseError, match="not a layerindex database"):
        take(target, small)


@pytest.mark.parametrize(
    "words", [["import", "{file}", "--db", "{db}"], ["export", "-", "--db", "{file}"], ["snapshots", "--db", "{file}"]]
)
def test_without_sqlalchemy(small: Path, tmp_path: Path, words: list[str]) -> None:
    """A file of this schema is imported, exported and listed without SQLAlchemy, Alembic or zstandard."""
    filled = [word.format(file=small, db=tmp_path / "fleet.db") for word in words]
    code = (
        "import sys\nfrom layerindex.cli import group\n"
        f"group({filled!r}, standalone_mode=False)\n"
        "found = {'sqlalchemy', 'alembic', 'zstandard'} & set(sys.modules)\nassert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert 0 == done.returncode, done.stderr


def test_arriving_counts_what_it_gives() -> None:
    """The bytes that were looked at come first and are counted too."""
    stream = compression.Arriving(io.BytesIO(b"cdef"), b"ab")

    assert [b"ab", b"cde", b"f", b""] == [stream.read(3), stream.read(3), stream.read(), stream.read()]
    assert 6 == stream.count
    assert stream.readable()
