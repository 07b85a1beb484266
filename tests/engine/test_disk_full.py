"""The disk is full: from `df` to freed space with three commands, on a real engine with gigabytes of mixed things.

LAYERINDEX_DISK_FULL=10 asks for as many gigabytes, which are written to a filesystem of its own in /var/tmp and removed
afterwards; without it there is a quarter of one. What was promised and what df says was freed is printed, and kept in
`recordings/` when LAYERINDEX_REWRITE_GOLDEN is set too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import need, new_engine
from .program import CHECKOUT, layerindex
from .store import BASE, BUILDKIT, CLASSIC, RUN, build, import_base
from .test_plan import kept

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine import Engine

pytestmark = pytest.mark.engine

FULL = "LAYERINDEX_DISK_FULL"
LITTLE = "0.25"
PARTS = 20
"""Of how many parts the things are made; those of the engine's own are nothing beside them."""
MEGABYTE = 1 << 20
SCRIPT = Path(__file__).with_name("disk_full.sh")
RECORDING = Path(__file__).parent / "recordings" / "disk-full.txt"
LINE = "x" * 1000
LOG_SECONDS = 300
DAY = 86400
NOISE = re.compile(r"DEPRECATED: .*\n *Install the buildx .*\n.*\n")
"""What Docker's client says wherever it has no buildx."""
ORPHAN = "0123456789abcdef" * 4


@contextmanager
def disk(place: Path, size: int) -> Iterator[None]:
    """Mount a filesystem of this size at a folder, in a file in /var/tmp that is gone afterwards."""
    handle, name = tempfile.mkstemp(prefix="layerindex-disk-", dir="/var/tmp")
    try:
        os.truncate(handle, size)
        os.close(handle)
        made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", name], capture_output=True, text=True, check=False)
        need(f"no filesystem can be made: {made.stderr}" if made.returncode else None)
        place.mkdir()
        mounted = subprocess.run(["mount", "-o", "loop", name, place], capture_output=True, text=True, check=False)
        need(f"no loop device can be mounted: {mounted.stderr}" if mounted.returncode else None)
        yield
    finally:
        subprocess.run(["umount", "-l", place], capture_output=True, check=False)
        os.unlink(name)


def write(path: Path, size: int) -> None:
    """Write a file without a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for _ in range(size // MEGABYTE):
            file.write(bytes(MEGABYTE))


def fill(engine: Engine, part: int) -> None:
    """Put twenty parts of something of each kind into an engine's store; of four only a running container has need."""
    count = part // MEGABYTE

    def made(name: str, parts: int) -> str:
        return f"RUN /bin/busybox dd if=/dev/zero of=/{name} bs=1M count={count * parts}\n"

    import_base(engine)
    build(engine, "web:1", f"FROM {BASE}\n{made('web', 2)}", {}, CLASSIC)
    for name in ("one", "two"):  # which share a layer
        build(engine, f"shop:{name}", f"FROM {BASE}\n{made('shared', 2)}{made(name, 1)}", {}, CLASSIC)
    for name in ("before", "after"):  # the first loses its tag
        build(engine, "moved:1", f"FROM {BASE}\n{made(name, 1)}", {}, CLASSIC)
    for name, parts in (("kit", 2), ("gone", 1)):
        build(engine, f"{name}:1", f"FROM {BASE}\n{made(name, parts)}", {}, BUILDKIT)
    engine.docker("rmi", "gone:1")
    for name, parts in (("data", 2), ("old-data", 3)):
        engine.docker("volume", "create", name)
        write(engine.root / "volumes" / name / "_data" / "file", parts * part)
    said = f"busybox yes {LINE} | busybox head -c {part}; exec sleep 100000"
    engine.docker("run", "-d", *RUN, "--name", "web", "-v", "data:/data", "web:1", "sh", "-c", said)
    wrote = ("busybox", "dd", "if=/dev/zero", "of=/result", "bs=1M", f"count={2 * count}")
    engine.docker("run", *RUN, "--name", "job", BASE, *wrote)
    orphan = engine.root / "overlay2" / ORPHAN
    write(orphan / "diff" / "file", part)
    (orphan / "link").write_text("A" * 26)
    (engine.root / "overlay2" / "l" / ("A" * 26)).symlink_to(f"../{ORPHAN}/diff")
    await_log(engine, part)
    for layer in (engine.root / "image" / "overlay2" / "layerdb" / "sha256").iterdir():
        os.utime(layer, (time.time() - DAY, time.time() - DAY))  # of a new one something may still be to come
    os.sync()


def await_log(engine: Engine, size: int) -> None:
    """Wait until a container has written its log."""
    (log,) = (Path(row["LogPath"]) for row in engine.inspect("web", kind="container"))
    deadline = time.monotonic() + LOG_SECONDS
    while log.stat().st_size < size:
        assert time.monotonic() < deadline, f"{log} has {log.stat().st_size} bytes"
        time.sleep(0.2)


def test_three_commands(tmp_path: Path) -> None:
    """What the plan promised is free within a hundredth, and what runs has all it needs."""
    gigabytes = float(os.environ.get(FULL, LITTLE))
    part = int(gigabytes * 10**9) // PARTS // MEGABYTE * MEGABYTE
    engine = new_engine()
    with disk(engine.root, int(gigabytes * 1.1 * 10**9) + 300 * MEGABYTE), engine:
        fill(engine, part)
        before, running = used(engine.root), kept(engine)
        done = subprocess.run(
            ["sh", "-x", SCRIPT],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(engine, tmp_path),
            cwd=tmp_path,
            check=False,
        )
        print(done.stdout, layerindex("plan", "--db", tmp_path / "layerindex.db").stdout)
        os.sync()
        gone = before - used(engine.root)
        assert done.returncode == 0
        (plan,) = json.loads(layerindex("plan", "--db", tmp_path / "layerindex.db", "--format", "json").stdout)
        aside = sum(step["frees"] for step in plan["steps"] if step["class"] == "the engine does not know of it")
        promised = plan["frees"] - aside
        shutil.rmtree(engine.root / "layerindex-quarantine")
        os.sync()
        later = before - gone - used(engine.root)
        steps = subprocess.run(["sh", tmp_path / "free.sh"], capture_output=True, text=True, check=True).stdout
        told = [
            steps,
            f"{before} bytes used before; {promised} promised, {gone} freed: {100 * gone / promised:.2f} %",
            f"{aside} promised of what was moved aside, {later} freed when that was deleted",
        ]
        print("\n".join(told))
        record(engine, tmp_path, done.stdout, told, gigabytes)
        assert abs(promised - gone) <= promised / 100
        assert abs(aside - later) <= aside / 100
        assert gone >= 15 * part
        assert running == kept(engine)
        assert (
            engine.docker("exec", "web", "busybox", "stat", "-c", "%s", "/web", "/data/file").split()
            == [f"{2 * part}"] * 2
        )


def used(root: Path) -> int:
    """Return what df calls used."""
    said = subprocess.run(["df", "--block-size=1", "--output=used", root], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[1])


def environment(engine: Engine, folder: Path) -> dict[str, str]:
    """Return what the commands need: the program on PATH, and the engine's own socket."""
    program = folder / "bin" / "layerindex"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncd {shlex.quote(str(CHECKOUT))} && exec {sys.executable} -m layerindex "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "ROOT": str(engine.root),
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_CONFIG": str(engine.folder),
        "LAYERINDEX_DB": str(folder / "layerindex.db"),
    }


def record(engine: Engine, folder: Path, said: str, told: list[str], gigabytes: float) -> None:
    """Keep what the commands printed, with names in the place of what is another each time."""
    if not (os.environ.get("LAYERINDEX_REWRITE_GOLDEN") and FULL in os.environ):
        return
    said = NOISE.sub("", said).replace(str(engine.root), "/var/lib/docker")
    said = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", said)
    head = f"tests/engine/test_disk_full.py, {gigabytes:g} GB, Docker {engine.get('/version')['Version']}\n"
    text = "\n".join([head, SCRIPT.read_text(), said, *told, ""])
    RECORDING.write_text(text.replace(str(folder), "/root"))
