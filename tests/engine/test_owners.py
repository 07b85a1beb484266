"""Whose a directory is, against an engine that builds, crashes and cleans up.

The judge of orphans is the engine itself: what it leaves behind when everything that it knows of is removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import new_engine
from .engine import Engine, EngineError
from .program import Index, layerindex, scan
from .store import BUILDKIT, CLASSIC, FOREVER, RUN, _base, build

if TYPE_CHECKING:
    from collections.abc import Iterator

SCANS = 50
LINK = "A" * 26

STAGES = """FROM base:1 AS first
RUN --mount=type=cache,target=/cache,id=pantry echo kept > /cache/kept && echo made > /made
FROM base:1
COPY --from=first /made /made
RUN echo last > /last
"""
FAILS = "FROM base:1\nRUN echo before > /before\nRUN exit 3\n"


class Owned:
    """What was put into the store, by hand or by the engine."""

    def __init__(self, engine: Engine, index: Index) -> None:
        self.engine, self.index = engine, index
        self.planted: set[str] = set()
        self.removing: set[str] = set()
        self.stale: set[str] = set()

    def roles(self, role: str) -> set[str]:
        """Return the directories of a role."""
        return {name for (name,) in self.index.rows("SELECT cache_id FROM overlay_dirs WHERE role = ?", role)}

    def owners(self, cache_id: str) -> set[tuple[str, str]]:
        """Return all reasons for a directory."""
        return set(self.index.rows("SELECT kind, owner FROM overlay_dir_owners WHERE cache_id = ?", cache_id))


def directories(engine: Engine) -> set[str]:
    """Return what is in overlay2/ now."""
    return {entry.name for entry in (engine.root / "overlay2").iterdir()} - {"l", "backingFsBlockDev"}


def plant(engine: Engine) -> str:
    """Make a directory as a crash leaves it: nothing names it."""
    name = "0123456789abcdef" * 4
    folder = engine.root / "overlay2" / name
    (folder / "diff").mkdir(parents=True)
    (folder / "diff" / "lost").write_bytes(b"lost" * 1000)
    (folder / "work").mkdir()
    (folder / "link").write_text(LINK)
    os.symlink(f"../{name}/diff", engine.root / "overlay2" / "l" / LINK)
    return name


def half_removed(engine: Engine, layer: str) -> None:
    """Leave a layer as an engine does that is killed while it removes it: renamed, its directory still there."""
    layerdb = engine.root / "image" / "overlay2" / "layerdb" / "sha256"
    [entry] = [path for path in layerdb.iterdir() if (path / "cache-id").read_text() == layer]
    entry.rename(f"{entry}-{'0' * 64}-removing")


def directory_of(engine: Engine, name: str, kind: str) -> str:
    """Return the top directory of a container or image, as the engine says."""
    [found] = engine.inspect(name, kind=kind)
    return Path(found["GraphDriver"]["Data"]["UpperDir"]).parent.name


def fill(engine: Engine) -> None:
    """Build in every way there is, and take some of it away again."""
    engine.docker("import", "--change", 'CMD ["sh"]', "-", "base:1", input=_base())
    build(engine, "classic:1", "FROM base:1\nRUN echo one > /one\nCOPY app /app\n", {"app": b"1"}, CLASSIC)
    build(engine, "stages:1", STAGES, {}, BUILDKIT)
    build(engine, "removed:1", "FROM base:1\nCOPY app /removed\n", {"app": b"gone"}, BUILDKIT)
    engine.docker("rmi", "removed:1")
    with pytest.raises(EngineError):
        build(engine, "fails:1", FAILS, {}, BUILDKIT)
    with pytest.raises(EngineError):
        build(engine, "fails:1", FAILS, {}, CLASSIC)
    build(engine, "pruned:1", "FROM base:1\nCOPY app /pruned\n", {"app": b"pruned"}, BUILDKIT)
    engine.docker("builder", "prune", "-f", "--filter", "type=source.local")
    build(engine, "removing:1", "FROM base:1\nCOPY app /removing\n", {"app": b"half gone"}, CLASSIC)
    engine.docker("run", "-d", *RUN, "--name", "runs", "classic:1", *FOREVER)
    engine.docker("run", *RUN, "--name", "ended", "stages:1", "sh", "-c", "echo ended > /ended")
    engine.docker("create", *RUN, "--name", "folderless", "base:1", "sh")


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """Give a store that saw a build and a load end in the middle, and hands that deleted folders, scanned alive."""
    with new_engine() as engine:
        fill(engine)
        interrupted(engine)
        [folderless] = engine.inspect("folderless", kind="container")
        removing = directory_of(engine, "removing:1", "image")
        engine.stop()
        half_removed(engine, removing)
        shutil.rmtree(engine.root / "containers" / folderless["Id"])
        planted = plant(engine)
        engine.start()
        found = Owned(engine, scan(engine.root, tmp_path_factory.mktemp("owners") / "layerindex.db"))
        found.planted.add(planted)
        found.removing.add(removing)
        found.stale = {Path(folderless["GraphDriver"]["Data"]["UpperDir"]).parent.name}
        found.stale |= {f"{name}-init" for name in found.stale}
        yield found


def interrupted(engine: Engine) -> None:
    """Kill the engine while it builds and while it loads; start it again."""
    large = pack([Member(f"large/{number}", os.urandom(1 << 16)) for number in range(300)])
    saved = engine.folder / "large.tar"
    saved.write_bytes(archive([ImageSource(["large:1"], [Step("ADD large /", large)])]))
    for words in (("load", "-i", str(saved)), ("build",)):
        known = directories(engine)
        with ThreadPoolExecutor() as pool:
            work = pool.submit(_work, engine, words)
            deadline = time.monotonic() + 20
            while not directories(engine) - known and not work.done() and time.monotonic() < deadline:
                time.sleep(0.002)
            engine.crash()
            assert work.result()
        engine.start()


def _work(engine: Engine, words: tuple[str, ...]) -> bool:
    """Do what will be interrupted; say whether it was."""
    try:
        if words == ("build",):
            text = "FROM base:1\nRUN sleep 5; echo never > /never\n"
            build(engine, "never:1", text, {}, BUILDKIT)
        else:
            engine.docker(*words)
    except (EngineError, subprocess.TimeoutExpired):
        return True
    return False


def test_every_directory_has_its_role(owned: Owned) -> None:
    """What the engine says of containers and images is what the index says of their directories."""
    engine = owned.engine
    assert directories(engine) == {name for (name,) in owned.index.rows("SELECT cache_id FROM overlay_dirs")}
    for name in ("runs", "ended"):
        directory = directory_of(engine, name, "container")
        [container] = engine.inspect(name, kind="container")
        assert {("container", container["Id"])} <= owned.owners(directory)
        assert {("init", container["Id"])} <= owned.owners(f"{directory}-init")
        assert {directory} <= owned.roles("container")
        assert {f"{directory}-init"} <= owned.roles("init")
    for row in engine.rows("images", "--no-trunc", "-a"):
        [image] = engine.inspect(row["ID"])
        data = image["GraphDriver"]["Data"]
        stack = [data["UpperDir"], *filter(None, data.get("LowerDir", "").split(":"))]
        for place in stack:
            directory = Path(place).parent.name
            assert {directory} <= owned.roles("layer")
            assert ("image", image["Id"]) in owned.owners(directory)


def test_containers_stand_on_layers(owned: Owned) -> None:
    """A layer that a container needs says so, also when no image does."""
    [container] = owned.engine.inspect("runs", kind="container")
    lowers = [Path(place).parent.name for place in container["GraphDriver"]["Data"]["LowerDir"].split(":")]
    for directory in lowers[1:]:  # the first is its init
        assert ("container-base", container["Id"]) in owned.owners(directory)


def test_directories_of_the_cache_name_their_records(owned: Owned) -> None:
    """Every record that has a directory is a reason for it."""
    rows = owned.index.rows("SELECT record_id, cache_id, record_type FROM build_cache WHERE cache_id IS NOT NULL")
    assert {"exec.cachemount", "regular"} <= {kind for _, _, kind in rows}
    assert [] == [name for name, cache_id, _ in rows if ("build-cache", name) not in owned.owners(cache_id)]
    assert owned.roles("build-cache")


def test_layers_of_a_removed_image_belong_to_the_cache(owned: Owned) -> None:
    """After `docker rmi` the cache still holds the layers: no orphans, and the record says why."""
    pinned = owned.index.rows(
        """SELECT cache_id FROM layers
           WHERE chain_id NOT IN (SELECT chain_id FROM image_layers)
           AND cache_id IN (SELECT cache_id FROM overlay_dir_owners WHERE kind IN ('build-cache', 'build-snapshot'))"""
    )
    assert pinned


def test_planted_orphan_is_found(owned: Owned) -> None:
    """A directory as a crash leaves it is an orphan, or unknown because of the uses here that lead nowhere."""
    assert owned.planted <= owned.roles("orphan") | owned.roles("unknown")


def test_half_removed_layer(owned: Owned) -> None:
    """A layer whose removal did not end names its directory still."""
    assert owned.removing == owned.roles("removing")


def test_stale_mount(owned: Owned) -> None:
    """A container whose folder was deleted leaves its directories to layerdb's entry of it."""
    assert owned.stale <= owned.roles("mount") | owned.roles("init")
    rows = owned.index.rows("SELECT kind FROM overlay_dir_owners WHERE cache_id IN (SELECT mount_id FROM mounts)")
    assert {("mount",)} <= set(rows)


def test_nothing_is_unknown(owned: Owned) -> None:
    """All sources are readable: what is unknown is so because of what was taken from under the engine, or is new."""
    states = owned.index.rows(
        "SELECT DISTINCT state FROM sources WHERE state NOT IN ('read', 'absent') AND kind <> 'pulls'"
    )
    assert states in ([], [("lost",)])


def test_orphans_are_what_the_engine_cannot_remove(owned: Owned) -> None:
    """When all that the engine knows is removed, the orphans are left, the stale mounts, and what a killed build left.

    BuildKit keeps the key of a snapshot whose record was never saved, and the layers below it, and has no way to remove
    them: not without an owner, but of no use.
    """
    engine = owned.engine
    killed = owned.index.rows(
        """SELECT d.cache_id FROM overlay_dirs AS d JOIN overlay_dir_owners AS o USING (snapshot_id, cache_id)
           GROUP BY d.cache_id HAVING min(o.kind) = 'build-snapshot' AND max(o.kind) = 'build-snapshot'"""
    )
    below = owned.index.rows("SELECT cache_id, lower_cache_id FROM overlay_lowers")
    held = owned.stale | {name for (name,) in killed}
    strays = owned.roles("orphan") | owned.roles("unknown") | owned.removing
    expected = strays | held | {lower for name, lower in below if name in held}
    engine.docker("rm", "-f", *engine.docker("ps", "-aq").split())
    try:
        engine.docker("builder", "prune", "-af")
    except EngineError as error:
        if "not found" not in str(error):
            raise
        engine.docker("builder", "prune", "-af")  # its own collector was at the same record
    engine.docker("system", "prune", "-af", "--volumes")
    left = directories(engine)
    assert expected == left, [(name, owned.owners(name)) for name in sorted(expected ^ left)]


def test_scans_during_builds_and_loads(tmp_path: Path) -> None:
    """While an engine builds and loads, no scan calls a directory an orphan that a later one finds in use."""
    with new_engine() as engine:
        engine.docker("import", "--change", 'CMD ["sh"]', "-", "base:1", input=_base())
        stop = threading.Event()
        with ThreadPoolExecutor() as pool:
            lanes = [pool.submit(lane, engine, stop) for lane in (_builds, _loads)]
            try:
                suspects: set[str] = set()
                for number in range(SCANS):
                    index = scan_quickly(engine.root, tmp_path / f"{number % 2}.db")
                    roles = dict(index.rows("SELECT cache_id, role FROM overlay_dirs"))
                    of_no_use = {"orphan", "removing", "in-flight", "unknown"}
                    assert {name: roles[name] for name in suspects & roles.keys() if roles[name] not in of_no_use} == {}
                    suspects |= {name for name, role in roles.items() if role == "orphan"}
                    assert not [lane for lane in lanes if lane.done()]
            finally:
                stop.set()
        assert [lane.result() > 1 for lane in lanes] == [True, True]
        assert not suspects & directories(engine)


def scan_quickly(root: Path, db: Path) -> Index:
    """Scan without files, into a new database."""
    db.unlink(missing_ok=True)
    layerindex("scan", root, "--db", db, "--host", "h1", "-q", "--no-files")
    return Index(db)


def _builds(engine: Engine, stop: threading.Event) -> int:
    count = 0
    while not stop.is_set():
        env = BUILDKIT if count % 2 else CLASSIC
        build(
            engine,
            f"loop:{count}",
            f"FROM base:1\nCOPY app /app\nRUN echo {count} > /run\n",
            {"app": b"%d" % count},
            env,
        )
        if count % 3 == 2:
            engine.docker("rmi", f"loop:{count - 1}")
        if count % 5 == 4:
            engine.docker("builder", "prune", "-f")
        count += 1
    return count


def _loads(engine: Engine, stop: threading.Event) -> int:
    count = 0
    while not stop.is_set():
        layer = pack([Member(f"load/{count}/{number}", b"%d" % number) for number in range(200)])
        engine.docker("load", input=archive([ImageSource([f"load:{count}"], [Step("ADD load /", layer)])]))
        engine.docker("run", "--rm", *RUN, "base:1", "sh", "-c", "echo > /x")
        if count % 2:
            engine.docker("rmi", f"load:{count}")
        count += 1
    return count
