"""Random images and containers of a real engine: every file query agrees with its exports, its diffs and the model.

LAYERINDEX_ORACLE="300 100" asks for as many images and containers, a third number for the first seed; without it a few
are made, with other seeds each day.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import stat
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest

from layerindex import compare, database
from layerindex.names import as_bytes
from tests import agreement
from tests.engine.archives import ImageSource, Step, archive
from tests.engine.conftest import new_engine
from tests.engine.engine import BUSYBOX
from tests.engine.program import Index, scan
from tests.engine.store import BUILDKIT, CLASSIC, RUN, build
from tests.layer_tars import Member, tar
from tests.overlay_model import Entry, Image, Layer, octal, read_layer, spelt
from tests.overlay_model import compared as compared_by_model
from tests.random_layers import random_stack
from tests.test_file_queries import ask

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from tests.engine.engine import Engine

pytestmark = pytest.mark.engine

T = TypeVar("T")
Row = tuple[Any, ...]

FEW = "24 8"
TOGETHER = 5
"""Images in one command of the engine, which must end in time."""
BUILT = 8
"""One image in so many is built, by either builder in turn, on one that was loaded."""
KINDS = {0: "C", 1: "A", 2: "D"}
ADDED = {
    *("/.dockerenv", "/dev", "/dev/console", "/dev/pts", "/dev/shm", "/etc", "/etc/hosts", "/etc/hostname"),
    *("/etc/resolv.conf", "/etc/mtab", "/proc", "/sys"),
}
"""What the engine puts into every container."""
TOOLS = [
    Member("bin", "dir", mode=0o755),
    Member("bin/busybox", data=BUSYBOX.read_bytes() if BUSYBOX.exists() else b"", mode=0o755),
    *(Member(f"bin/{name}", "symlink", link="busybox", mode=0o777) for name in ("sh", "rm", "mkdir", "ln", "chmod")),
]


class World(NamedTuple):
    """An engine with random images and changed containers, and the index of its store."""

    engine: Engine
    store: Index
    seed: int
    images: dict[str, Image]
    chains: dict[str, list[str]]
    containers: dict[str, str]
    """The image of each container by its name."""
    later: Path
    """The same store and, as a second snapshot, with each name that `turned` gives led to the next thing."""
    turned: dict[str, tuple[str, str]]
    """Names of images, and what each names in the first and in the second snapshot."""
    renamed: dict[str, tuple[str, str]]
    """Names of containers, and the ids in both."""


def dose() -> tuple[int, int, int]:
    """Return how many images and containers are wanted, and the first seed."""
    images, containers, *seed = map(int, os.environ.get("LAYERINDEX_ORACLE", FEW).split())
    return images, containers, seed[0] if seed else int(time.time()) // 86400 * 1000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the engine with what was made of the seeds, which are printed."""
    images, containers, seed = dose()
    print(f"oracle: {images} images and {containers} containers from seed {seed}")
    with new_engine() as engine:
        tags = load(engine, range(seed, seed + images))
        tags += [built(engine, tags[number], number) for number in range(0, images, BUILT)]
        made = {}
        for number in range(containers):
            made[f"box{number}"] = tags[number % len(tags)]
            change(engine, f"box{number}", tags[number % len(tags)], random.Random(seed + number))
        subprocess.run(["sync", "-f", str(engine.root)], check=True, timeout=60)
        index = scan(engine.root, tmp_path_factory.mktemp("oracle") / "db")
        layers, chains = saved(engine, index, tags)
        later = tmp_path_factory.mktemp("later") / "db"
        turned, renamed = turn(engine, tags, list(made), later)
        yield World(engine, index, seed, layers, chains, made, later, turned, renamed)


def turn(
    engine: Engine, tags: list[str], containers: list[str], path: Path
) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, str]]]:
    """Scan, lead names to other images and give containers each other's names, scan again, and undo that."""
    turned = {f"turn:{number}": pair for number, pair in enumerate(itertools.pairwise([*tags, tags[0]]))}
    ids = {name: engine.get(f"/containers/{name}/json")["Id"] for name in containers}
    following = dict(zip(containers, [*containers[1:], *containers[:1]], strict=True))
    for when in (0, 1):
        for name, pair in turned.items():
            engine.docker("tag", pair[when], name)
        scan(engine.root, path)
        if when == 0:
            rename(engine, {ids[other]: name for name, other in following.items()})
    rename(engine, {each: name for name, each in ids.items()})
    for name in turned:
        engine.docker("rmi", name)
    return turned, {name: (ids[name], ids[other]) for name, other in following.items()}


def rename(engine: Engine, names: dict[str, str]) -> None:
    """Give containers names, by their ids."""
    for stage in ("off-", ""):
        for each, name in names.items():
            engine.docker("rename", each, stage + name)


def load(engine: Engine, seeds: range) -> list[str]:
    """Load random images, some of them on a layer with tools, so that builds can run in them."""
    tags = []
    sources = []
    for number, seed in enumerate(seeds):
        tars = random_stack(seed)
        tools = [tar(*TOOLS)] if number % BUILT == 0 else []
        tags.append(f"random:{seed}")
        sources.append(
            ImageSource([tags[-1]], [Step(f"step {place}", each) for place, each in enumerate([*tools, *tars])])
        )
    for some in batched(sources, TOGETHER):
        engine.docker("load", "-q", input=archive(some))
    return tags


def built(engine: Engine, base: str, number: int) -> str:
    """Build an image on another by one of the two builders, whose steps change random paths; return its tag."""
    tag, rng = f"built:{number}", random.Random(number)
    script = [f"rm -rf /{rng.choice('abcd')}", f"mkdir -p /{rng.choice('abcd')}/n/m", "ln -s x /l0"]
    script += [
        f"echo {rng.random()} > /f{rng.randint(0, 3)}",
        "ln /bin/busybox /hard",
        f"chmod 4711 /{rng.choice('ab')}",
    ]
    steps = [f"RUN {'; '.join(rng.sample(script, 3))}; true" for _ in range(3)]
    context = {f"t/{rng.choice('abc')}/{name}": rng.choice("xyz").encode() for name in ("one", "two")}
    env = (CLASSIC, BUILDKIT)[number // BUILT % 2]
    build(engine, tag, "\n".join([f"FROM {base}", "COPY t /copied", *steps, ""]), context, env)
    return tag


# Containers -----------------------------------------------------------------------------------------------------------


def change(engine: Engine, name: str, image: str, rng: random.Random) -> None:
    """Create a container, and change files in it through the overlay that the engine would mount."""
    engine.docker("create", *RUN, "--name", name, image, "/none")
    details = engine.get(f"/containers/{name}/json")
    data = details["GraphDriver"]["Data"]
    point = engine.folder / "mnt"
    point.mkdir(exist_ok=True)
    options = f"lowerdir={data['LowerDir']},upperdir={data['UpperDir']},workdir={data['WorkDir']}"
    # Relative as the engine does it: the option's text is bounded.
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, point], check=True, timeout=60)
    try:
        for _ in range(rng.randint(2, 10)):
            paths = [
                path for path in sorted(below(point)) if path.relative_to(point).parts[0] not in ("dev", "etc", "proc")
            ]
            if paths:
                one_change(rng, rng.choice(paths))
    finally:
        subprocess.run(["umount", point], check=True, timeout=60)


def below(folder: Path) -> Iterator[Path]:
    """Yield all that is in a folder, following no link."""
    for path in folder.iterdir():
        if not os.path.lexists(path):  # the kernel lists a whiteout of a folder that only one layer has
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from below(path)


def one_change(rng: random.Random, path: Path) -> None:
    """Do one thing to a path."""
    status = path.lstat()
    kind = "dir" if path.is_dir() and not path.is_symlink() else "file" if stat.S_ISREG(status.st_mode) else "other"
    what = rng.choice([each for each, kinds in CHANGES.items() if kind in kinds])
    what(path)


def _remove(path: Path) -> None:
    subprocess.run(["rm", "-rf", "--", path], check=True, timeout=60)  # it minds no whiteout that cannot be looked up


def _remake(path: Path) -> None:
    _remove(path)
    (path / "n").mkdir(parents=True)
    (path / "a").write_bytes(b"new")


def _replace(path: Path) -> None:
    _remove(path)
    path.write_bytes(b"instead")


def _link(path: Path) -> None:
    _remove(path)
    path.symlink_to("elsewhere")


def _same(path: Path) -> None:
    time_ns = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, time_ns))


def _add(path: Path) -> None:
    (path / "added").mkdir(exist_ok=True)
    (path / "added" / "file").write_bytes(b"added")


def _second_name(path: Path) -> None:
    if not os.path.lexists(path.with_name("hard")):
        os.link(path, path.with_name("hard"), follow_symlinks=False)


CHANGES: dict[Callable[[Path], object], tuple[str, ...]] = {
    _remove: ("dir", "file", "other"),
    _remake: ("dir", "file", "other"),
    _replace: ("dir", "file", "other"),
    _link: ("dir", "file"),
    lambda path: path.chmod(0o711): ("dir", "file"),
    lambda path: os.chown(path, 7, 9, follow_symlinks=False): ("dir", "file", "other"),
    lambda path: path.write_bytes(b"more than before"): ("file",),
    _same: ("file",),
    _add: ("dir",),
    _second_name: ("file", "other"),
    lambda path: path.rename(path.with_name("moved")): ("file", "other"),
}
"""What may be done to a path, and to which kinds."""


# What the engine says -------------------------------------------------------------------------------------------------


def saved(engine: Engine, index: Index, tags: list[str]) -> tuple[dict[str, Image], dict[str, list[str]]]:
    """Return each image's layers as `docker save` gives them, and their chain ids."""
    path = engine.folder / "saved.tar"
    sql = """SELECT l.chain_id, y.cache_id FROM image_refs AS r JOIN image_layers AS l USING (snapshot_id, image_id)
             JOIN layers AS y USING (snapshot_id, chain_id) WHERE r.ref = ? ORDER BY l.position"""
    images, chains = {}, {}
    read: dict[tuple[str, bool], Layer] = {}
    for some in batched(tags, TOGETHER):
        engine.docker("save", "-o", path, *some)
        with tarfile.open(path) as whole:
            for image in json.load(whole.extractfile("manifest.json") or io.BytesIO()):
                for tag in image["RepoTags"]:
                    rows = index.rows(sql, tag)
                    layers = []
                    for name, (chain, cache_id) in zip(image["Layers"], rows, strict=True):
                        own = len(cache_id) == 25  # BuildKit's own directory, which was never unpacked
                        if (chain, own) not in read:
                            member = whole.extractfile(name)
                            read[chain, own] = read_layer(member.read() if member else b"", ancient=own)
                        layers.append(read[chain, own])
                    images[tag], chains[tag] = Image(layers), [chain for chain, _ in rows]
    return images, chains


def batched(things: Sequence[T], number: int) -> Iterator[Sequence[T]]:
    """Yield the things, so many at once."""
    for start in range(0, len(things), number):
        yield things[start : start + number]


def fresh(engine: Engine, image: str) -> tuple[dict[str, Entry], set[frozenset[str]]]:
    """Return what a fresh container of an image shows, less what the engine adds, and the names of one file each."""
    engine.docker("create", *RUN, "--name", "fresh", image, "/none")
    try:
        whole = exported(engine, "fresh")
    finally:
        engine.docker("rm", "fresh")
    return {name: entry for name, entry in whole.tree().items() if name not in ADDED}, whole.names()


def exported(engine: Engine, container: str) -> Image:
    """Return what a container shows by `docker export`."""
    path = engine.folder / "export.tar"
    engine.docker("export", "-o", path, container)
    return Image([read_layer(path.read_bytes(), ancient=True)])


def test_images_are_what_the_engine_shows(world: World) -> None:
    """Each image's listing is that of `docker export`, in every column, and so are the sets of names of one file."""
    with database.reading(str(world.store.path)) as connection:
        for tag in world.images:
            expected, sets = fresh(world.engine, tag)
            found, names = agreement.listing(connection, tag)
            # An implied folder's time is when it was made; that of the folder above the engine's files is too.
            plain = {
                path: entry._replace(mtime=found[path].mtime and entry.mtime, device=None, capability=None)
                for path, entry in expected.items()
                if path in found
            }
            assert expected.keys() == {path for path in found if path not in ADDED}, (world.seed, tag)
            assert plain == {path: entry for path, entry in found.items() if path in plain}, (world.seed, tag)
            assert sets == names, (world.seed, tag)


def test_images_are_what_the_model_says(world: World) -> None:
    """All queries about images and layers agree with the model of the layers that `docker save` gives."""
    with database.reading(str(world.store.path)) as connection:
        for tag, image in world.images.items():
            agreement.image_agrees(connection, tag, image)
        agreement.pairs_agree(connection, world.images)
        agreement.layers_agree(connection, world.images, world.chains)


def test_containers_are_what_the_engine_says(world: World) -> None:
    """`container-changes` is `docker diff`."""
    with database.reading(str(world.store.path)) as connection:
        kinds = set()
        for name in world.containers:
            changes = world.engine.get(f"/containers/{name}/changes") or []
            expected = [(KINDS[change["Kind"]], change["Path"]) for change in changes]
            found = ask(connection, "container-changes", "kind path", container=name)
            as_json = [(kind, shown_in_json(path)) for kind, path in found]
            agreement.same((world.seed, name, "container-changes"), expected, as_json)
            kinds |= {kind for kind, _ in expected}
        assert {"A", "C", "D"} == kinds


def shown_in_json(path: str) -> str:
    """Return a path as the engine's JSON has it: with a sign for each byte that is no UTF-8."""
    return "/".join(as_bytes(part).decode(errors="replace") for part in path.split("/"))


def test_copies_are_of_what_the_image_shows(world: World) -> None:
    """`copied-up` has each regular file of a writable layer that the image shows as a file, and what differs."""
    with database.reading(str(world.store.path)) as connection:
        for name, tag in world.containers.items():
            details = world.engine.get(f"/containers/{name}/json")
            upper = Path(details["GraphDriver"]["Data"]["UpperDir"])
            expected = copies(upper, world.images[tag])
            found = ask(connection, "copied-up", "path size image_size mode image_mode change", container=name)
            rows = [(*row[:5], "changed" if row[5] == "changed" else "kept") for row in found]
            agreement.same((world.seed, name, "copied-up"), expected, rows)


def copies(upper: Path, image: Image) -> list[tuple[object, ...]]:
    """Return path, sizes and modes here and in the image, and whether size or time differ, of copied files."""
    tree = image.tree()
    hiding = {path for path in below(upper) if path.is_dir() and not path.is_symlink() and is_opaque(path)}
    rows: list[tuple[object, ...]] = []
    for path in below(upper):
        status, place = path.lstat(), spelt(str(path.relative_to(upper)))
        lower = tree.get(place)
        if (
            not stat.S_ISREG(status.st_mode)
            or lower is None
            or lower.kind != "file"
            or not hiding.isdisjoint(path.parents)
        ):
            continue
        modes = (octal(stat.S_IMODE(status.st_mode)), octal(lower.mode))
        changed = (status.st_mtime_ns // 10**9, status.st_size) != (lower.mtime, lower.size)
        rows.append((place, status.st_size, lower.size, *modes, "changed" if changed else "kept"))
    return rows


def is_opaque(path: Path) -> bool:
    """Say whether a folder on disk is marked as opaque."""
    return "trusted.overlay.opaque" in os.listxattr(path)


def test_differing_files_are_those_of_the_engine(world: World) -> None:
    """`compare --files` of a name that leads to another image later, or is another container's, has what differs."""
    containers = {each: exported(world.engine, each) for pair in world.renamed.values() for each in pair}
    with database.reading(str(world.later)) as connection:
        for name, (before, after) in world.turned.items():
            expected = compared_by_model(world.images[before], world.images[after])
            found, _ = differing(connection, image=name)
            agreement.same((world.seed, name, "compare --files"), expected, found)
        for name, (before, after) in world.renamed.items():
            expected = compared_by_model(containers[before], containers[after])
            found, unread = differing(connection, container=name)
            agreement.same((world.seed, name, "compare --files"), told(expected, unread), told(found, unread))


def differing(
    connection: sqlite3.Connection, *, image: str | None = None, container: str | None = None
) -> tuple[list[Row], set[str]]:
    """Return what `compare --files` says differs and where, and the paths whose content it does not know."""
    result = compare.tree(connection, {"a": 1, "b": 2}, compare.Files(image, container))
    places = [result.columns.index(name) for name in ("change", "path", "a_crc64", "b_crc64")]
    rows = [[row[place] for place in places] for row in result.rows]
    return [(change, path) for change, path, *_ in rows], {path for _, path, *crcs in rows if None in crcs}


def told(rows: list[Row], unread: set[str]) -> list[Row]:
    """Return rows without what the engine adds, and without what is said of content that nobody read."""
    said = [
        (", ".join(word for word in change.split(", ") if path not in unread or not word.startswith("content")), path)
        for change, path in rows
        if path not in ADDED
    ]
    return [row for row in said if row[0]]
