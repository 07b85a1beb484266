"""Databases that real engines wrote are read whole, and the build cache is what the engine says of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from layerindex.problems import Damage
from layerindex.records import BuildCache, BuildCacheParent
from layerindex.stores.disk import ids
from layerindex.stores.disk.bolt import Bolt, Bucket, read_bolt
from layerindex.stores.disk.files import Folder
from layerindex.stores.shared.buildkit import read_buildkit
from layerindex.stores.shared.claims import Claims

from .archives import Member, pack
from .conftest import new_engine
from .engine import BUSYBOX, Engine, EngineError
from .store import BASE, BUILDKIT, RUN, build

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

ROUNDS_WHILE_READING = 8

APP = f"""\
FROM {BASE} AS one
COPY app /srv/app
RUN mkdir /srv/made && echo made > /srv/made/x
FROM {BASE}
COPY --from=one /srv /srv
RUN --mount=type=cache,target=/var/cache,id=builds echo kept > /var/cache/x; echo more > /more
"""
SECOND = f"FROM {BASE}\nRUN echo second > /second\n"
FAILING = f"FROM {BASE}\nRUN echo before > /before\nRUN exit 3\n"

DATABASES = ("buildkit/*.db", "containerd/daemon/*/*.db", "network/files/*.db", "volumes/*.db", "root/libpod/*.db")
"""Where Docker, its containerd and podman keep them; a whole root cannot be searched while builds change it."""

ENGINE_DATABASES = {
    "buildkit/cache.db",
    "buildkit/containerdmeta.db",
    "buildkit/metadata_v2.db",
    "buildkit/snapshots.db",
    "containerd/daemon/io.containerd.metadata.v1.bolt/meta.db",
    "network/files/local-kv.db",
    "volumes/metadata.db",
}


class Cache(NamedTuple):
    """What is read of a build cache."""

    rows: dict[str, BuildCache]
    parents: dict[str, list[str]]
    claims: Claims
    layers: dict[str, str]
    problems: list[Damage]


def read_cache(root: Path) -> Cache:
    """Read the build cache of a root."""
    layerdb = root / "image/overlay2/layerdb/sha256"
    layers: dict[str, str] = {}
    for path in layerdb.glob("*"):
        with suppress(FileNotFoundError):  # removed while it was listed
            layers[f"sha256:{path.name}"] = (path / "cache-id").read_text()
    cache = Cache({}, {}, Claims(), layers, [])
    with Folder(str(root)) as folder:
        for item in read_buildkit(folder, layers, cache.claims):
            if isinstance(item, BuildCache):
                cache.rows[item.record_id] = item
            elif isinstance(item, BuildCacheParent):
                cache.parents.setdefault(item.record_id, []).append(item.parent_record_id)
            elif isinstance(item, Damage):
                cache.problems.append(item)
    return cache


def printed(cache: Cache) -> set[str]:
    """Return the records that `system df` prints: of two that share their data one, the committed one if it is used."""
    used = {parent for parents in cache.parents.values() for parent in parents}
    twins = {row.equal_mutable: row.record_id for row in cache.rows.values() if row.equal_mutable in cache.rows}
    hidden = {record_id if record_id not in used else mutable for mutable, record_id in twins.items()}
    return cache.rows.keys() - hidden


def shared(cache: Cache, chains: set[str]) -> set[str]:
    """Return the records that `system df` calls shared: those that are a layer of an image, and all below them."""
    found: set[str] = set()
    pending = [row.record_id for row in cache.rows.values() if row.chain_id in chains]
    while pending:
        record_id = pending.pop()
        if record_id not in found:
            found.add(record_id)
            pending += cache.parents.get(record_id, [])
    return found


def usage(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return what the engine says of its build cache; the first time it measures, which uses what it measures."""
    for _ in range(3):
        answer = engine.get("/system/df")["BuildCache"] or []
    return {record["ID"]: record for record in answer}


def chains_of_images(engine: Engine) -> set[str]:
    """Return the chain ids of all layers of all images."""
    images = engine.inspect(*{image["Id"] for image in engine.get("/images/json?all=1")})
    return {chain for image in images for chain in ids.chain_ids(image["RootFS"].get("Layers") or [])}


def entries(bucket: Bucket) -> Iterator[bytes]:
    """Yield every key of a database."""
    for key, value in bucket.items():
        yield key
        if isinstance(value, Bucket):
            yield from entries(value)


def read_all(root: Path) -> tuple[dict[str, int], list[Damage]]:
    """Read every database below a root: how many keys each has, and what was wrong."""
    keys: dict[str, int] = {}
    damages: list[Damage] = []
    for path in (path for pattern in DATABASES for path in root.glob(pattern)):
        with Folder(str(path.parent)) as folder:
            database: Bolt = read_bolt(folder, path.name)
        keys[str(path.relative_to(root))] = len(list(entries(database.root)))
        damages += database.damages
    return keys, damages


@pytest.fixture(scope="module")
def builder() -> Iterator[Engine]:
    """Give an engine that has built, failed to build, run a container and removed an image."""
    with new_engine() as engine:
        base = [Member("bin/busybox", BUSYBOX.read_bytes(), mode=0o755), Member("bin/sh", symlink="busybox")]
        base += [Member("bin/mkdir", symlink="busybox")]
        engine.docker("import", "-", BASE, input=pack(base))
        build(engine, "app:1", APP, {"app": b"app\n"}, BUILDKIT)
        build(engine, "second:1", SECOND, {}, BUILDKIT)
        with pytest.raises(EngineError):
            build(engine, "failing:1", FAILING, {}, BUILDKIT)
        engine.docker("volume", "create", "--label", "a=b", "kept")
        engine.docker("create", *RUN, "-v", "kept:/kept", BASE, "sh")
        yield engine


def directories(engine: Engine) -> set[str]:
    """Return the directories of layers, containers and the build cache."""
    return {path.name for path in (engine.root / "overlay2").iterdir()} - {"l"}


def test_databases(builder: Engine) -> None:
    """Every database that dockerd and its containerd wrote is read whole, while they hold it locked."""
    keys, damages = read_all(builder.root)
    assert [] == damages
    assert set(keys) >= ENGINE_DATABASES
    assert [] == [name for name in ENGINE_DATABASES - {"network/files/local-kv.db"} if not keys[name]]


def test_records(builder: Engine) -> None:
    """The build cache is what `system df -v` lists, record by record."""
    said = usage(builder)
    cache = read_cache(builder.root)
    assert [] == cache.problems
    assert said.keys() == printed(cache)
    assert {"regular", "exec.cachemount"} <= {record["Type"] for record in said.values()}
    found = {}
    for record_id in said:
        row = cache.rows[record_id]
        found[record_id] = {
            "ID": record_id,
            "Parent": row.parent_record_id or "",
            "Type": row.record_type,
            "Description": row.description,
            "InUse": False,
            "Shared": record_id in shared(cache, chains_of_images(builder)),
            "Size": row.size,
            "CreatedAt": row.created_at,
            "LastUsedAt": row.last_used_at,
            "UsageCount": row.usage_count,
        }
    assert said == found
    assert any(record["Shared"] for record in said.values())
    assert ["/builds"] == [row.cache_mount for row in cache.rows.values() if row.cache_mount]


def test_directories(builder: Engine) -> None:
    """Every directory that is neither a layer nor a container's is the build cache's, and each has its record."""
    cache = read_cache(builder.root)
    layers = set(cache.layers.values())
    mounts = {path.read_text() for path in builder.root.glob("image/overlay2/layerdb/mounts/*/*-id")}
    assert directories(builder) == layers | mounts | cache.claims.owners.keys()
    assert directories(builder) - layers - mounts
    assert {"build-cache"} == {kind for owners in cache.claims.owners.values() for kind, _ in owners}
    assert not [row for row in cache.rows.values() if row.cache_id not in directories(builder)]


def test_layers_after_rmi(idle_engine: Engine) -> None:
    """A layer that no image has any more stays for as long as the cache holds it, also after a restart."""
    engine = idle_engine
    engine.docker("import", "-", BASE, input=pack([Member("etc/"), Member("etc/hosts", b"x")]))
    build(engine, "copied:1", f"FROM {BASE}\nCOPY app /app\n", {"app": b"x"}, BUILDKIT)
    engine.docker("rmi", "copied:1", BASE)
    assert [] == engine.get("/images/json?all=1")
    for turn in ("running", "stopped", "restarted"):
        if turn == "stopped":
            engine.stop()
        if turn == "restarted":
            engine.start()
        cache = read_cache(engine.root)
        keys, damages = read_all(engine.root)
        assert ([], False, []) == (cache.problems, cache.claims.doubts, damages)
        assert set(keys) >= ENGINE_DATABASES - {"network/files/local-kv.db"}
        assert 2 == len(cache.layers)
        assert directories(engine) == cache.claims.owners.keys()
    engine.docker("builder", "prune", "-af")
    cache = read_cache(engine.root)
    assert ({}, {}, []) == (cache.rows, dict(cache.claims.owners), cache.problems)
    assert set() == directories(engine)


def test_pruned_half_way(idle_engine: Engine) -> None:
    """What `builder prune` leaves is what is left."""
    engine = idle_engine
    engine.docker("import", "-", BASE, input=pack([Member("etc/"), Member("etc/hosts", b"x")]))
    build(engine, "first:1", f"FROM {BASE}\nCOPY app /app\n", {"app": b"x"}, BUILDKIT)
    build(engine, "other:1", "FROM scratch\nCOPY app /other\n", {"app": b"y" * 1000}, BUILDKIT)
    before = read_cache(engine.root)
    usage(engine)
    engine.docker("rmi", "other:1")
    engine.docker("builder", "prune", "-f")
    cache = read_cache(engine.root)
    assert usage(engine).keys() == printed(cache)
    assert cache.rows
    assert before.rows.keys() - cache.rows.keys()
    assert [] == cache.problems
    assert directories(engine) == set(cache.layers.values()) | cache.claims.owners.keys()


def test_reads_while_building(idle_engine: Engine) -> None:
    """While builds run, every database is read whole each time."""
    engine = idle_engine
    engine.docker("import", "-", BASE, input=pack([Member("etc/"), Member("etc/hosts", b"x")]))
    rounds = 0
    done = threading.Event()

    def builds() -> None:
        nonlocal rounds
        try:
            for number in range(ROUNDS_WHILE_READING):
                files = {"app": f"{number}".encode()}
                build(engine, "app:1", f"FROM {BASE}\nCOPY app /app\nCOPY app /again\n", files, BUILDKIT)
                rounds += 1
        finally:
            done.set()

    thread = threading.Thread(target=builds)
    thread.start()
    reads = []
    while not done.is_set():
        reads.append((read_all(engine.root)[1], read_cache(engine.root)))
    thread.join()
    assert ROUNDS_WHILE_READING == rounds
    assert ROUNDS_WHILE_READING < len(reads)
    assert [] == [damage.problem for damages, _ in reads for damage in damages]
    assert [] == [damage.problem for _, cache in reads for damage in cache.problems]
    assert 1 < len({len(cache.rows) for _, cache in reads})


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Give a folder with a short name: podman takes no run root of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="li", dir="/tmp") as folder:
        yield Path(folder)


def test_podman(short_path: Path) -> None:
    """So is the database of podman, where it is installed and still keeps one."""
    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("podman is not installed")
    settings = short_path / "containers.conf"
    settings.write_text('[engine]\nlock_type = "file"\n')  # by default its locks are in /dev/shm, and stay there
    places = [f"--{name}={short_path / name}" for name in ("root", "runroot", "tmpdir")]
    command = [podman, *places, "--storage-driver=vfs", "volume", "create", "kept"]
    environment = {**os.environ, "CONTAINERS_CONF": str(settings)}
    subprocess.run(command, check=True, capture_output=True, timeout=60, env=environment)
    keys, damages = read_all(short_path)
    if not keys:
        pytest.skip("this podman keeps no bolt database")
    assert [] == damages
    assert 5 < keys["root/libpod/bolt_state.db"]
