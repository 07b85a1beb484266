"""Whatever a reader raises stays with its source: the scan ends, says so, and tells of all else what it did before."""

from __future__ import annotations

import sqlite3
import sys
import time
import weakref
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import layerindex
from layerindex import database, guard, scan, stores
from layerindex.errors import LayerindexError
from layerindex.problems import Damage
from tests.conftest import HOST, build_world, in_time
from tests.containerd_root import ContainerdRoot
from tests.storageroot import StorageRoot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

READERS = Path(layerindex.__file__).parent / "stores"


class SurpriseError(Exception):
    """What nobody thought of."""


class Store(NamedTuple):
    """A store where all is well but for one orphan, and what a scan of it says."""

    root: Path
    roles: dict[str, str]
    rows: dict[str, int]
    codes: set[str]
    functions: list[CodeType]
    """What ran to read it."""


def scanned(root: Path, code: CodeType | None = None, error: Exception | None = None) -> sqlite3.Connection:
    """Scan a store into a database in memory, while the first call of a function raises an exception."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    (store,) = stores.open_stores(str(root))
    failing = raising(code, error) if code is not None and error is not None else nullcontext()
    with in_time(), failing:
        scan.scan(connection, store, scan.Filing(HOST), scan.Options(files=False))
    return connection


@contextmanager
def raising(code: CodeType, error: Exception) -> Iterator[None]:
    """Let the first call of a function raise an exception."""

    def trace(frame: FrameType, *_: object) -> None:
        if frame.f_code is code:
            sys.settrace(None)
            raise error

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


NO_READERS = {"records", "told", "_snapshotter", "walkable", "first", "limits", "keeper"}
"""Functions that read nothing: what else a store says of itself is asked outside of a scan's guard."""


def called(root: Path) -> list[CodeType]:
    """Return the functions of readers that run when a store is read, not those that find it."""
    found: dict[CodeType, None] = {}
    (store,) = stores.open_stores(str(root))

    def note(frame: FrameType, *_: object) -> None:
        within = Path(frame.f_code.co_filename).is_relative_to(READERS)
        if within and frame.f_code.co_name not in NO_READERS:
            found[frame.f_code] = None

    sys.setprofile(note)
    try:
        for _ in store.records():
            pass
    finally:
        sys.setprofile(None)
    return list(found)


def docker(path: Path) -> None:
    """Build a data root with a build cache and an orphan."""
    world = build_world(path)
    world.root.build_record(world.root.buildkit_dir(parent=world.top))
    world.root.orphan()


def containerd(path: Path) -> None:
    """Build a root of containerd with two images, a container, a lease, an ingest and an orphan."""
    root = ContainerdRoot(path)
    for name in ("docker.io/library/app:1", "docker.io/library/other:1"):
        image = root.image(name, [root.layer({f"etc/{name[-3:]}": b"1"}), root.layer({"srv": name.encode()})])
    root.container("box", image)
    root.lease("held", content=[image.target])
    root.ingest("layer-sha256:1", b"half")
    root.write()
    (root.directory(99) / "fs").mkdir(parents=True)


def storage(path: Path) -> None:
    """Build a graph root with two images, a container, a volume and an orphan."""
    root = StorageRoot(path)
    for name in ("app:1", "other:1"):
        image = root.image(root.layer({name[:3]: b"1"}), [name])
    root.container(image, name="web")
    root.volume("data")
    root.orphan()
    root.save()
    root.save_sqlite()


KINDS = {"docker": docker, "containerd": containerd, "storage": storage}


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give a store of each kind."""
    root = tmp_path_factory.mktemp("guard") / str(request.param)
    KINDS[request.param](root)
    connection = scanned(root)
    roles = dict(connection.execute("SELECT cache_id, role FROM overlay_dirs"))
    assert list(roles.values()).count("orphan") == 1
    return Store(root, roles, counts(connection), codes(connection), called(root))


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each table of facts has."""
    tables = ("images", "image_refs", "layers", "containers", "overlay_dirs", "volumes")
    return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def codes(connection: sqlite3.Connection) -> set[str]:
    """Return the codes of all problems, but of what is missing only where it cannot be in what was not read."""
    sql = "SELECT code FROM problems WHERE severity <> 'info' OR code NOT IN (SELECT code FROM missing)"
    return {code for (code,) in connection.execute(sql)}


def test_every_reader(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever function of a reader raises, the scan ends, says where, and calls nothing an orphan that is none."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    wrong = []
    for number, code in enumerate(store.functions):
        error = (SurpriseError("x"), MemoryError(), RecursionError("x"))[number % 3]
        connection = scanned(store.root, code, error)
        lost = [name for name, count in counts(connection).items() if count < store.rows[name]]
        found = dict(connection.execute("SELECT cache_id, role FROM overlay_dirs"))
        orphans = {name for name, role in found.items() if role == "orphan" and store.roles.get(name) != "orphan"}
        new = codes(connection) - store.codes
        false = {each for each in new if each.startswith("missing") or each in ("dangling-layer", "stale-mount")}
        if orphans or false or (lost and "reader-failed" not in new):
            wrong.append((f"{code.co_filename}: {code.co_qualname}", type(error).__name__, lost, orphans, false))
    assert len(store.functions) > 50
    assert wrong == []


FILES = {
    "docker": {
        "image/overlay2/repositories.json": ("imagedb", "read_references", "image_refs"),
        "image/overlay2/imagedb/content": ("configs", "_history", "images"),
        "image/overlay2/layerdb/sha256": ("layerdb", "read_layer", "layers"),
        "containers": ("containers", "_container", ""),
        "volumes": ("volumes", "read_volume", "volumes"),
        "overlay2": ("graphdriver", "read_directory", "overlay_dirs"),
        "overlay2/l": ("graphdriver", "read_link", ""),
        "buildkit/snapshots.db": ("buildkit", "_snapshot", ""),
    },
    "containerd": {
        "io.containerd.metadata.v1.bolt/meta.db": ("metadata", "read_metadata", "images image_refs containers layers"),
        "io.containerd.snapshotter.v1.overlayfs/metadata.db": ("snapshots", "read_snapshots", ""),
        "io.containerd.content.v1.content/blobs/sha256": ("configs", "_history", "images layers"),
        "io.containerd.content.v1.content/ingest": ("ingests", "_ingest", ""),
    },
    "storage": {
        "overlay-layers": ("lists", "_values", "layers"),
        "overlay-containers": ("containers", "read_logs", ""),
        "db.sql": ("sqlite", "_content", ""),
        "overlay": ("graphdriver", "read_directory", "overlay_dirs"),
    },
}
"""Where a source is, a function of its reader, and the tables that may have fewer rows without it."""


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), OverflowError(), sqlite3.DatabaseError("x")])
def test_the_rest_is_told(store: Store, error: Exception) -> None:
    """What a reader raises costs its source: all else is told, and the finding says which one it was."""
    for where, (module, name, tables) in FILES[store.root.name].items():
        (code,) = [
            code for code in store.functions if (Path(code.co_filename).stem, code.co_qualname) == (module, name)
        ]
        connection = scanned(store.root, code, error)
        said = connection.execute("SELECT path, detail, severity FROM problems WHERE code = 'reader-failed'").fetchall()
        assert [severity for *_, severity in said] == ["error"], name
        assert said[0][0].startswith(where), name
        assert said[0][1].split(":")[0] == type(error).__name__
        lost = {table for table, count in counts(connection).items() if count < store.rows[table]}
        assert lost <= set(tables.split()), name


def test_what_passes() -> None:
    """Our own output's trouble and what ends the program are no findings; nor is what the consumer raises."""
    for error in (LayerindexError("full"), KeyboardInterrupt(), SystemExit(3), Damage("missing", "a", "b")):
        with pytest.raises(type(error)) as found, guard.reading("x"):
            raise error
        assert found.value is error

    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.append(True)

    def consumed(items: Iterator[int]) -> None:
        for _ in items:
            raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError):
        consumed(guard.each(numbers, "x"))
    assert closed == [True]


def test_a_finding_is_bounded_and_keeps_nothing() -> None:
    """What is said is short and printable; what the reader held is let go."""

    class Large:
        pass

    def fail() -> Iterator[int]:
        held = Large()
        alive.append(weakref.ref(held))
        yield 1
        raise ValueError("\x1b[2J\n\u202e\udc80" * 999)

    alive: list[weakref.ref[Large]] = []
    with pytest.raises(Damage) as found:
        list(guard.each(fail, "a/b", "thing"))
    problem = found.value.problem
    assert (problem.code, problem.path, problem.subject) == ("reader-failed", "a/b", "thing")
    assert problem.detail is not None
    assert problem.detail.isprintable()
    assert len(problem.detail) < 2000
    assert alive[0]() is None
