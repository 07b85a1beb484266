"""Many listings into one database."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import sqlite3
import struct
import tarfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerindex.database import create
from layerindex.guard import FAILED
from layerindex.indexing import production as index
from layerindex.indexing.production import ProducerError
from layerindex.indexing.snapshot import layer_source
from layerindex.listings.batches import Batch, Builder, Entry, Finding, Source
from layerindex.problems import Damage
from layerindex.stores.store import Listed
from layerindex.writing import directories
from layerindex.writing import listings as writer
from tests.packing import batched, member, pack, tar_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.indexing.tally import Progress
    from layerindex.writing.listings import Listing

# Processes and numpy for however little.
index_listings = partial(index.index_listings, small=0)
Production = partial(index.Production, small=0)

LISTED = "diff_id, source, entry_count, total_size, apparent_bytes, disk_bytes, complete"
JOBS = pytest.mark.parametrize("jobs", [1, 2, 3])


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """Give an empty database in a transaction."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create(connection)
    connection.execute("BEGIN")
    yield connection
    connection.close()


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use statements of many rows and the late index for however little."""
    monkeypatch.setattr(writer, "TOGETHER", 2)
    monkeypatch.setattr("layerindex.database.REBUILD_ROWS", 1)


def layer(directory: Path, number: int, members: list[Any]) -> Source:
    """Return a layer of these members as a source."""
    path = directory / f"{number}.gz"
    path.write_bytes(gzip.compress(tar_split(pack(members, tarfile.PAX_FORMAT)).encode()))
    found = Listed("tar-split", str(path), path.stat().st_size, lambda: os.open(path, os.O_RDONLY))
    return layer_source(f"sha256:{number}", found)


def rows(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return all entries without their numbers."""
    sql = """SELECT diff_id, path, e.* FROM entries e JOIN directories USING (directory_id)
    JOIN listings USING (listing_id)"""
    cursor = database.execute(sql)
    names = [column[0] for column in cursor.description]
    drop = {names.index("listing_id"), names.index("directory_id")}
    return sorted([tuple(v for n, v in enumerate(row) if n not in drop) for row in cursor], key=repr)


@JOBS
def test_layers(database: sqlite3.Connection, tmp_path: Path, jobs: int) -> None:
    """All layers are listed, directories are shared, counts are right, the index is there."""
    layers = []
    for number in range(5):
        members = [member(f"usr/d{n % 7}/f{n}", content=b"x" * n) for n in range(50 * number)]
        layers.append(layer(tmp_path, number, [*members, member("usr", tarfile.DIRTYPE)]))
    calls: list[Progress] = []
    listings = list(index_listings(database, layers, jobs, calls.append))
    assert sorted(listing.source.diff_id or "" for listing in listings) == [f"sha256:{n}" for n in range(5)]
    for listing in listings:
        number = int((listing.source.diff_id or "")[-1])
        count = 50 * number
        folders = 8 if number else 1  # /usr, and those that the tar has only the contents of
        assert (listing.entry_count, listing.total_size) == (count + folders, count * (count - 1) // 2)
        assert (listing.complete, listing.problems) == (True, [])
        stored = database.execute(
            f"SELECT {LISTED} FROM listings WHERE listing_id = ?", (listing.listing_id,)
        ).fetchone()
        size = listing.total_size
        assert stored == (listing.source.diff_id, "tar-split", listing.entry_count, size, size, None, 1)
    assert database.execute("SELECT count(*), count(DISTINCT path) FROM directories").fetchone() == (9, 9)
    assert calls[-1] == (5, 5, 533, 533, 505, 1.0)
    assert database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'entries_name'").fetchone() == (1,)
    assert database.in_transaction


def test_jobs_and_readers_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one process or three, with blocks or lines, and with directories forgotten in between."""
    layers = [
        layer(tmp_path, n, [member(f"d{m % 9}/f{m}", mtime=1.7e9 + m / 8, uid=m) for m in range(400)]) for n in range(3)
    ]
    results = []
    for jobs, small, known in ((1, 0, 20_000), (3, 0, 20_000), (1, 10**9, 20_000), (2, 0, 2)):
        monkeypatch.setattr(directories, "KNOWN_DIRECTORIES", known)
        connection = sqlite3.connect(":memory:", isolation_level=None)
        create(connection)
        connection.execute("BEGIN")
        assert len(list(index.index_listings(connection, layers, jobs, small=small))) == 3
        results.append(rows(connection))
    assert len(results[0]) == 1200 + 3 * 9
    assert all(result == results[0] for result in results)


def names(*entries: tuple[Any, ...]) -> list[Entry]:
    """Return entries of these names, types and modes."""
    return [
        Entry("/d", None, name, None, kind, mode=mode, mtime=1, uid=0, gid=0, size=0) for name, kind, mode in entries
    ]


def store(database: sqlite3.Connection, *items: list[Entry]) -> Listing:
    """Write entries, each list a batch of its own."""
    source = Source(None, "walk", 0, lambda _: (b for part in items for b in batched(part)))
    (listing,) = index_listings(database, [source], 1)
    return listing


def content(database: sqlite3.Connection) -> set[tuple[Any, ...]]:
    """Return what tells the entries apart."""
    return set(database.execute("SELECT name, type, mode, opaque FROM entries"))


@pytest.mark.parametrize("split", [False, True])
def test_names_that_meet(database: sqlite3.Connection, split: bool) -> None:
    """The first of two stays and that is a problem; a file beats a whiteout, in either order."""
    entries = names(("a", "file", 1), ("a", "file", 2), ("b", "whiteout", 0), ("b", "file", 3))
    entries += names(("c", "file", 4), ("c", "whiteout", 0), ("e", "file", 5))
    listing = store(database, *([entry] for entry in entries)) if split else store(database, entries)
    assert content(database) == {
        ("a", "file", 1, None),
        ("b", "file", 3, None),
        ("c", "file", 4, None),
        ("e", "file", 5, None),
    }
    assert [problem[:2] for problem in listing.problems] == [("tar-duplicate", "/d/a")]
    assert (listing.entry_count, listing.problem_count) == (4, 1)


@pytest.mark.parametrize("split", [False, True])
def test_opaque_marker(database: sqlite3.Connection, split: bool) -> None:
    """It may come before the directory's entry, after it, or alone."""
    entries = names(("before", "opaque", None), ("before", "dir", 1), ("after", "dir", 2), ("after", "opaque", None))
    entries += names(("alone", "opaque", None), ("none", "dir", 3))
    entries = [e._replace(opaque=0) if e.type == "dir" else e for e in entries]
    listing = store(database, *([entry] for entry in entries)) if split else store(database, entries)
    assert content(database) == {
        ("before", "dir", 1, 1),
        ("after", "dir", 2, 1),
        ("alone", "dir", None, 1),
        ("none", "dir", 3, 0),
    }
    assert (listing.entry_count, listing.problems) == (4, [])


def test_opaque_marker_alone_keeps_the_bytes_of_its_name(database: sqlite3.Connection) -> None:
    """A folder that only its marker names has its bytes where they are not UTF-8."""
    store(database, [Entry("/", None, "\\xff", b"\xff", "opaque")])
    assert [("\\xff", b"\xff", 1)] == database.execute("SELECT name, name_raw, opaque FROM entries").fetchall()


def test_conflicts_of_columns(database: sqlite3.Connection, tmp_path: Path) -> None:
    """The same through the block reader."""
    members = [member("d", tarfile.DIRTYPE), member("d/.wh..wh..opq"), member("d/a", content=b"1"), member("d/.wh.a")]
    members += [member("d/b", content=b"1"), member("./d/b", content=b"22"), *(member(f"d/{n}") for n in range(20))]
    (listing,) = index_listings(database, [layer(tmp_path, 0, members)], 1)
    found = content(database)
    assert ("d", "dir", 0o644, 1) in found
    assert ("a", "file", 0o644, None) in found
    assert [problem[:2] for problem in listing.problems] == [("tar-duplicate", "/d/b")]
    assert database.execute("SELECT size FROM entries WHERE name = 'b'").fetchall() == [(1,)]
    assert listing.entry_count == 23


def test_paths_that_imply_too_many_folders(database: sqlite3.Connection, tmp_path: Path) -> None:
    """A path of n folders leads through n paths: a few kilobytes must not become gigabytes."""
    members = [member(f"{number}/{'d/' * 1900}f") for number in range(40)]
    (listing,) = index_listings(database, [layer(tmp_path, 1, members)], 1)

    (size,) = database.execute("SELECT sum(length(path)) FROM directories").fetchone()
    assert size < 2 * writer.FOLDER_ROOM
    assert {"tar-split-bomb"} == {problem.code for problem in listing.problems}
    assert not listing.complete


def test_a_second_scan_finds_its_directories(database: sqlite3.Connection, tmp_path: Path) -> None:
    """Directories keep their numbers from one scan to the next."""
    for number in range(2):
        list(index_listings(database, [layer(tmp_path, number, [member("a/b"), member(f"c{number}/d")])], 1))
    assert [row[0] for row in database.execute("SELECT path FROM directories ORDER BY 1")] == [
        *("/", "/a", "/c0", "/c1")
    ]
    assert len(rows(database)) == 8


@JOBS
def test_a_walk_among_layers(database: sqlite3.Connection, tmp_path: Path, jobs: int) -> None:
    """Another producer's entries and problems come through the same pipes."""
    walk = Source(None, "walk", 1, lambda _: batched([*names(("x", "socket", 1)), Finding("gone", "/d", "while read")]))
    sources = [walk, layer(tmp_path, 1, [member("f")])]
    listings = {listing.source.source: listing for listing in index_listings(database, sources, jobs)}
    assert listings["walk"].problems == [Finding("gone", "/d", "while read")]
    assert {row[2] for row in rows(database)} == {"x", "f"}


def test_each_source_is_read_once(database: sqlite3.Connection) -> None:
    """Workers that take the next source at the same moment take different ones; when one is read twice, all ends."""
    sources = [source_of(lambda _: batched(names(("x", "file", 1)))) for _ in range(3000)]
    listings = list(index_listings(database, sources, 4))
    assert [1] * 3000 == [listing.entry_count for listing in listings]


def test_a_source_that_is_read_twice(database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error: of two listings of one layer the later one has no rows."""
    queue = iter([0, 0])
    monkeypatch.setattr(index.Queue, "take", lambda *_: next(queue, None))
    with pytest.raises(ProducerError, match="listings of 2"):
        list(index_listings(database, [source_of(lambda _: batched(names(("x", "file", 1))))] * 2, 2))


def test_a_layer_that_does_not_open(database: sqlite3.Connection) -> None:
    """It is a listing with a problem."""

    def fail() -> int:
        raise Damage("missing", "tar-split.json.gz", "is not there")

    (listing,) = index_listings(database, [layer_source("sha256:1", Listed("tar-split", "", 5, fail))], 1)
    assert (listing.complete, listing.entry_count, listing.problems[0].code) == (False, 0, "missing")


def source_of(function: object) -> Source:
    """Return a walk by this function as a source."""
    return Source(None, "walk", 1, function)  # type: ignore[arg-type]


def test_a_source_that_fails(database: sqlite3.Connection) -> None:
    """Whatever its reader raises is its problem, in this process and in another; what it gave before is listed."""

    def failing(error: Exception) -> Callable[[bool], Iterator[Batch]]:
        def fail(_: bool) -> Iterator[Batch]:
            yield from batched(names(("f", "file", 1)))
            raise error

        return fail

    errors = [MemoryError(), RecursionError("deep"), ValueError("x\n" * 999), struct.error("short"), OSError(5, "disk")]
    sources = [source_of(failing(error)) for error in errors]
    sources.append(source_of(lambda _: batched(names(("x", "file", 1)))))
    for jobs in (1, 3):
        *failed, _ = listings = sorted(
            index_listings(database, sources, jobs), key=lambda one: sources.index(one.source)
        )
        assert [one.complete for one in listings] == [False] * len(errors) + [True]
        assert [one.entry_count for one in listings] == [1] * len(sources)
        assert [problem[:2] for one in failed for problem in one.problems] == [(FAILED, None)] * len(errors)
        said = [one.problems[0].detail for one in failed]
        assert said[:2] == ["MemoryError", "RecursionError: deep"]
        assert all(len(detail) <= 1000 and detail.isprintable() for detail in said)


@pytest.mark.parametrize("how", ["killed", "memory"])
def test_a_worker_that_dies(database: sqlite3.Connection, how: str) -> None:
    """What it was reading is not whole, and the rest is read: also what it had read and not yet sent."""

    def die(_: bool) -> Iterator[Batch]:
        yield from batched(names(("f", "file", 1)))
        if how == "memory":
            size = os.sysconf("SC_PAGE_SIZE") * int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
            os.write(2, bytearray(1 << 30)[:0])
        os.kill(os.getpid(), signal.SIGKILL)

    whole = [source_of(lambda _: batched(names(("x", "file", 1)))) for _ in range(200)]
    deadly = [source_of(die) for _ in range(5)]
    sources = [*whole[:100], *deadly, *whole[100:]]
    production = Production(sources, 3)
    workers = [worker.pid for worker in production.workers]
    listings = list(production.write(database))
    assert len(listings) == len(sources)
    assert sorted(one.complete for one in listings) == [False] * 5 + [True] * 200
    assert all(one.entry_count == 1 for one in listings if one.complete)
    text = "MemoryError" if how == "memory" else "the process that read it was ended: signal 9 (Killed)"
    assert [one.problems for one in listings if not one.complete] == [[Finding(FAILED, None, text)]] * 5
    assert database.execute(
        "SELECT count(*) FROM entries JOIN listings USING (listing_id) WHERE complete"
    ).fetchone() == (200,)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_a_worker_that_dies_far_ahead(database: sqlite3.Connection) -> None:
    """What is lost in the middle of its listing is read again from the beginning, each row once."""

    def large(_: bool) -> Iterator[Batch]:
        for part in range(50):
            yield from batched(names(*((f"{part}-{n}", "file", 1) for n in range(1000))))

    def die(_: bool) -> Iterator[Batch]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield from batched([])

    production = Production([source_of(large)] * 6 + [source_of(die)], 2)
    listings = list(production.write(database, lambda *_: time.sleep(0.001)))
    assert sorted((one.entry_count, one.complete) for one in listings) == [(0, False)] + [(50_000, True)] * 6
    assert database.execute("SELECT count(*) FROM entries").fetchone() == (300_000,)


def test_workers_that_cannot_begin(database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is a fault of the machine, and said."""
    monkeypatch.setattr(index, "_keep_memory", lambda: os._exit(7))
    with pytest.raises(ProducerError, match="status 7"):
        list(index_listings(database, [source_of(endless)] * 2, 2))


def endless(_: bool) -> Iterator[Batch]:
    """Yield batches without end."""
    while True:
        builder = Builder()
        for entry in names(*((f"{n}", "file", 1) for n in range(4000))):
            builder.add(entry)
        yield builder.batch()


def test_workers_end_with_the_parent() -> None:
    """Killed, the parent leaves no process behind."""
    reader, end = os.pipe()
    parent = os.fork()
    if parent == 0:
        production = Production([source_of(endless)] * 2, 3)
        os.write(end, " ".join(str(worker.pid) for worker in production.workers).encode())
        time.sleep(60)
    workers = os.read(reader, 100).split()
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    deadline = time.monotonic() + 20
    while alive := [pid for pid in workers if _running(pid.decode())]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def _running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_abandoned_scan_ends_its_workers(database: sqlite3.Connection) -> None:
    """As Ctrl-C does, in the middle."""
    production = Production([source_of(endless)] * 2, 3)
    workers = [worker.pid for worker in production.workers]

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(production.write(database, interrupt))
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
