"""Each path of a store of each kind, damaged: its scan ends, says so, and calls nothing an orphan that has an owner."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.bolt_writer import bolt
from tests.conftest import build_world, nobody_special, scanned
from tests.containerd_root import INDEX, MANIFEST, ContainerdRoot, anything
from tests.test_containerd import app, built, docker_root
from tests.test_containers_storage_bad import World as GraphRoot

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

INSIDE = re.compile(r"(^|/)(diff|fs|_data|work|merged)/")
"""Files that are no engine's."""

UNREAD = re.compile(
    r"""(^|/)( (network|plugins|runtimes|swarm|tmp)(/|$)          # Docker's, that say nothing of images or containers
    | containers/[0-9a-f]{64}/(mounts|checkpoints|host|resolv)    # mounted into a container
    | (tar-split\.json|\.tar-split)\.gz$ | [^/]*\.tar-split\.gz$  # read for the files
    | (work|merged|committed|empty|(containers|images|layers)\.lock)$  # there or not
    | _data$ )""",
    re.VERBOSE,
)
"""What a scan without files does not look at."""

UNOPENED = re.compile(r"\.log$|/(data|diff|fs)$|/blobs/sha256/[0-9a-f]{64}$|^volumes/kept$")
"""What it does not open, but asks the size or kind of."""


class Store(NamedTuple):
    """A store, and the databases that its engine holds locked."""

    path: Path
    locked: list[Path]


def docker(folder: Path) -> Store:
    """Make a data root with everything in it that names a directory."""
    world = build_world(folder / "docker")
    root = world.root
    root.orphan(files={"a": b"1"})
    root.write_set(1)
    root.write_set(2, named=True)
    root.removing(root.layer({"gone": b"1"}))
    parent = root.build_record(root.buildkit_dir(parent=world.base, files={"x": b"1"}), cache_description="a step")
    mutable = root.buildkit_dir(files={"y": b"1"})
    mount = root.build_record(mutable, committed=False, cache_description="a mount")
    root.build_record(mutable, parent=parent, equal_mutable=mount)
    root.build_record(world.top)
    volumes = root.file("volumes/metadata.db")
    volumes.write_bytes(bolt({"volumes": {}}))
    return Store(root.path, [volumes, root.file("buildkit/snapshots.db")])


def docker_on_containerd(folder: Path) -> Store:
    """Make a data root whose engine keeps images in its own containerd."""
    root, own, image, container = docker_root(folder)
    built(root, own, image)
    own.write()
    root.volume("data")
    config = root.file(f"containers/{container}/config.v2.json")
    values = json.loads(config.read_text())
    mount = {"Type": "volume", "Name": "data", "Destination": "/data", "Driver": "local", "RW": True}
    config.write_text(json.dumps(values | {"MountPoints": {"/data": mount}}))
    return Store(root.path, [own.file("io.containerd.metadata.v1.bolt/meta.db")])


def containerd(folder: Path) -> Store:
    """Make a root of containerd: a download that goes on, an index, containers of ctr and of Kubernetes."""
    root = ContainerdRoot(folder / "containerd")
    image = app(root)
    root.ingest("layer-1", b"abc")
    root.container("plain", image)
    other = root.image("docker.io/library/other:1", [root.layer({"other": b"x"})], namespace="k8s.io")
    index = root.index([root.described(other.target, MANIFEST)], "k8s.io")
    root.name("docker.io/library/other:1", index, INDEX, "k8s.io")
    root.name(other.image_id, other.target, namespace="k8s.io")
    noted = {"Version": "v1", "Metadata": {"ID": "c" * 64, "Name": "n", "SandboxID": "b" * 64}}
    extensions = {"io.cri-containerd.container.metadata": anything("x", json.dumps(noted).encode())}
    root.container("c" * 64, other, "k8s.io", extensions=extensions)
    root.name("docker.io/library/app:1", other.target)  # another than when its container was made
    root.name("docker.io/library/app:old", image.target)
    root.snapshot("mine", image.chains[0])
    root.lease("kept", ["mine"])
    root.write()
    status = root.file(f"io.containerd.grpc.v1.cri/containers/{'c' * 64}/status")
    status.parent.mkdir(parents=True)
    status.write_text(json.dumps({"CreatedAt": 10**18, "StartedAt": 10**18}))
    return Store(root.path, [root.file("io.containerd.metadata.v1.bolt/meta.db")])


def podman(folder: Path) -> Store:
    """Make a graph root, with both kinds of database."""
    root = GraphRoot(folder / "storage").root
    root.orphan()
    root.volume("kept")
    root.save()
    root.save_sqlite()
    return Store(root.path, [])


def swapped(path: Path, *, folder: bool) -> None:
    """Put a file in the place of a folder, and a folder in the place of anything else."""
    if folder:
        path.write_bytes(b"x")
    else:
        path.mkdir()


def looped(path: Path, **_: bool) -> None:
    """Put a symlink to itself there."""
    path.symlink_to(path.name)


def fifo(path: Path, **_: bool) -> None:
    """Put a fifo there, which nobody writes to."""
    os.mkfifo(path)


def emptied(path: Path, *, folder: bool) -> None:
    """Put an empty one there."""
    if folder:
        path.mkdir()
    else:
        path.touch()


@contextmanager
def damaged(path: Path, aside: Path, damage: Callable[..., None]) -> Iterator[None]:
    """Have something else in the place of a path for a while."""
    path.rename(aside)
    damage(path, folder=aside.is_dir() and not aside.is_symlink())
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        aside.rename(path)


def engine_paths(store: Path) -> list[Path]:
    """Return every path of a store that is the engine's."""
    found = sorted(path.relative_to(store) for path in store.rglob("*"))
    return [store / path for path in found if not INSIDE.search(f"{path}")]


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no engine: none writes."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


class Before:
    """What a scan says of a store where all is well, to compare others with."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.problems = self._problems(scanned(store))
        self.owned = set(scanned(store).execute("SELECT cache_id FROM overlay_dirs WHERE role <> 'orphan'"))

    @staticmethod
    def _problems(connection: sqlite3.Connection) -> set[tuple[str, str]]:
        return set(connection.execute("SELECT code, path FROM problems"))

    def check(self, path: Path, damage: str) -> None:
        """Scan the store with that damage: it is a problem if it is read, and makes no orphan of what has an owner."""
        connection = scanned(self.store)
        orphans = connection.execute("SELECT cache_id FROM overlay_dirs WHERE role = 'orphan'")
        text = f"{path.relative_to(self.store)}"
        unread = UNREAD.search(text) or (damage == "denied" and UNOPENED.search(text))
        assert unread or self._problems(connection) - self.problems, f"{text} {damage}"
        assert self.owned.isdisjoint(orphans), f"{text} {damage}"


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", [docker, docker_on_containerd, containerd, podman])
def test_what_is_of_another_kind(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """A folder, a file, a symlink or a fifo where something else must be."""
    store = kind(tmp_path).path
    before = Before(store)
    damages: dict[str, Callable[..., None]] = {"swapped": swapped, "looped": looped, "fifo": fifo}
    for path, damage in product(engine_paths(store), damages):
        with damaged(path, tmp_path / "aside", damages[damage]):
            before.check(path, damage)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", [docker, docker_on_containerd, containerd, podman])
def test_what_may_not_be_read(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """A folder or file that denies itself."""
    store = kind(tmp_path).path
    before = Before(store)
    for path in engine_paths(store):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0)
            try:
                with nobody_special():
                    before.check(path, "denied")
            finally:
                path.chmod(mode)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", [docker, docker_on_containerd, containerd, podman])
def test_what_is_empty(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """It ends no scan, while an engine works."""
    store, locked = kind(tmp_path)
    with ExitStack() as stack:
        for database in locked:
            fcntl.flock(stack.enter_context(database.open("rb")), fcntl.LOCK_EX)
        for path in engine_paths(store):
            with damaged(path, tmp_path / "aside", emptied):
                assert scanned(store).execute("SELECT count(*) FROM snapshots").fetchone() != (0,), path
