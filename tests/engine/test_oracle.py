"""Random images and containers of a real engine: every file query agrees with its exports, its diffs and the model.

LAYERINDEX_ORACLE="300 100" asks for as many images and containers, a third number for the first seed; without it a few
are made, with other seeds each day.
"""

from __future__ import annotations

import io
import json
import os
import random
import stat
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest

from layerindex import database
from layerindex.names import as_bytes
from tests import agreement
from tests.engine.archives import ImageSource, Step, archive
from tests.engine.conftest import new_engine
from tests.engine.engine import BUSYBOX
from tests.engine.program import Index, scan
from tests.engine.store import BUILDKIT, CLASSIC, RUN, build
from tests.layer_tars import Member, tar
from tests.overlay_model import Entry, Image, Layer, octal, read_layer, spelt
from tests.random_layers import random_stack
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.engine.engine import Engine

pytestmark = pytest.mark.engine

T = TypeVar("T")

FEW = "24 8"
TOGETHER = 20
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
        yield World(engine, index, seed, layers, chains, made)


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


def exported(engine: Engine, image: str) -> tuple[dict[str, Entry], set[frozenset[str]]]:
    """Return what a fresh container of an image shows by `docker export`, less what the engine adds."""
    engine.docker("create", *RUN, "--name", "fresh", image, "/none")
    path = engine.folder / "export.tar"
    try:
        engine.docker("export", "-o", path, "fresh")
    finally:
        engine.docker("rm", "fresh")
    whole = Image([read_layer(path.read_bytes(), ancient=True)])
    return {name: entry for name, entry in whole.tree().items() if name not in ADDED}, whole.names()


def test_images_are_what_the_engine_shows(world: World) -> None:
    """Each image's listing is that of `docker export`, in every column, and so are the sets of names of one file."""
    with database.reading(str(world.store.path)) as connection:
        for tag in world.images:
            expected, sets = exported(world.engine, tag)
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
