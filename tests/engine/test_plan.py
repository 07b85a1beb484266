"""What `plan` promises is what the engine frees by its commands, within a hundredth, and nothing else is gone."""

from __future__ import annotations

import json
import os
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import new_engine
from .program import layerindex, scan
from .store import BASE, BUILDKIT, CLASSIC, DEEP, RUN, build, build_store
from .test_freed import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .engine import Engine


pytestmark = pytest.mark.engine

SIZE = 20_000_000
LOUD = "i=0; while [ $i -lt 3000 ]; do echo " + "x" * 1000 + "; i=$((i+1)); done; exec sleep 100000"


def image(name: str, *seeds: int) -> ImageSource:
    """Return an image whose layers are of random bytes, the same for the same seed."""
    layers = [pack([Member(f"file{seed}", random.Random(seed).randbytes(SIZE))]) for seed in seeds]
    return ImageSource([name], [Step(f"step {seed}", layer) for seed, layer in zip(seeds, layers, strict=True)])


def made() -> bytes:
    """Return images that share layers: used:1 with free:1 and free:2, which share one more; alone:1 with nobody."""
    names = {"used:1": (1,), "free:1": (1, 2, 3), "free:2": (1, 2, 4), "alone:1": (5,)}
    return archive([image(name, *seeds) for name, seeds in names.items()])


def planned(root: Path, db: Path, *options: str) -> dict[str, Any]:
    """Scan a store and return its plan."""
    db.unlink(missing_ok=True)
    scan(root, db, "--walk")
    found: list[dict[str, Any]] = json.loads(layerindex("plan", "--db", db, "--format", "json", *options).stdout)
    (plan,) = (plan for plan in found if plan["steps"] or len(found) == 1)
    return plan


def follow(plan: dict[str, Any], root: Path, run: Callable[[list[str]], object]) -> dict[str, int]:
    """Do each step and compare what it frees; return what each class freed."""
    freed: dict[str, int] = {}
    for step in plan["steps"]:
        before = blocks(root)
        for words in step["commands"]:
            run(words)
        gone = before - blocks(root)
        moved = step["class"] == "the engine does not know of it"
        print(f"{step['class']}: {step['what']}: {step['frees']} promised, {gone} freed")
        assert abs((0 if moved else step["frees"]) - gone) <= max(SIZE / 100, gone / 100), step
        freed[step["class"]] = freed.get(step["class"], 0) + gone
    return freed


def fill(engine: Engine) -> None:
    """Put something of each class into an engine's store."""
    build_store(engine)
    engine.docker("rmi", DEEP)  # sixty layers whose metadata is more than their files
    engine.docker("load", input=made())
    engine.docker("create", "--network", "none", "--name", "keeps", "used:1", "/none")
    big = f"FROM {BASE}\nRUN /bin/busybox dd if=/dev/urandom of=/{{}} bs=1M count=20\n"
    build(engine, "kit:1", big.format("one") + "RUN echo 1 > /small\n", {}, BUILDKIT)
    build(engine, "kit:2", big.format("two"), {}, BUILDKIT)
    engine.docker("rmi", "kit:2")
    build(engine, "classic:1", big.format("three"), {}, CLASSIC)
    build(engine, "classic:1", big.format("four"), {}, CLASSIC)  # leaves the one before without a tag
    for name in ("kept", "old-data"):
        engine.docker("volume", "create", name)
        (engine.root / "volumes" / name / "_data" / "file").write_bytes(random.Random(6).randbytes(SIZE))
    engine.docker("run", "-d", *RUN, "--name", "loud", "-v", "kept:/kept", BASE, "sh", "-c", LOUD)
    engine.docker("create", *RUN, "--name", "stopped", BASE, "sh")
    engine.docker("cp", engine.root / "volumes" / "kept" / "_data" / "file", "stopped:/file")
    orphan = engine.root / "overlay2" / ("0123456789abcdef" * 4)
    (orphan / "diff").mkdir(parents=True)
    (orphan / "link").write_text("A" * 26)
    (orphan / "diff" / "file").write_bytes(random.Random(7).randbytes(SIZE))
    (engine.root / "overlay2" / "l" / ("A" * 26)).symlink_to(f"../{orphan.name}/diff")
    os.sync()


def kept(engine: Engine) -> tuple[object, ...]:
    """Return what must not go: running containers, all images that containers have, their volumes."""
    running = sorted(row["ID"] for row in engine.rows("ps"))
    images = sorted({row["Image"] for row in engine.inspect(*running, kind="container")})
    volumes = sorted(
        mount["Name"]
        for row in engine.inspect(*running, kind="container")
        for mount in row["Mounts"]
        if mount["Type"] == "volume"
    )
    engine.inspect(*images)
    engine.inspect(*volumes, kind="volume")
    return running, images, volumes


@pytest.fixture
def full() -> Iterator[Engine]:
    """Give an engine with something of each class."""
    with new_engine() as engine:
        fill(engine)
        yield engine


def test_docker(full: Engine, tmp_path: Path) -> None:
    """Each step frees what it says, and what is used is there afterwards."""
    before = kept(full)
    plan = planned(full.root, tmp_path / "db")

    def run(words: list[str]) -> None:
        if words[0] == "docker":
            full.docker(*words[1:])
        else:
            subprocess.run(words, check=True)

    freed = follow(plan, full.root, run)
    assert freed.keys() == {
        *("can be rebuilt or pulled again", "log lines are lost", "data: look first"),
        "the engine does not know of it",
    }
    assert freed["can be rebuilt or pulled again"] > 7 * SIZE
    assert before == kept(full)
    again = planned(full.root, tmp_path / "db")
    # Images and a volume without a name, which only containers held that are gone now.
    assert {step["class"] for step in again["steps"]} <= {"can be rebuilt or pulled again", "data: look first"}


def test_the_script(full: Engine, tmp_path: Path) -> None:
    """It frees the same, leaves what is used by now, and moves an orphan aside and says how to move it back."""
    db = tmp_path / "db"
    plan = planned(full.root, db)
    script = tmp_path / "free.sh"
    script.write_text(layerindex("plan", "--db", db, "--script").stdout)
    full.docker("create", "--network", "none", "--name", "late", "free:1", "/none")
    full.docker("create", "--network", "none", "--name", "too-late", "-v", "old-data:/x", BASE, "sh")
    environment = {
        "PATH": os.environ["PATH"],
        "ENGINE": f"docker -H unix://{full.socket}",
        "LAYERINDEX": f"env PYTHONPATH={os.environ.get('PYTHONPATH', '')} python -m layerindex",
    }
    listed = subprocess.run(["sh", script], capture_output=True, text=True, env=environment, check=True).stdout
    assert len(plan["steps"]) + 2 == len(listed.splitlines())

    before, running = blocks(full.root), kept(full)
    done = subprocess.run(["sh", script, "all"], capture_output=True, text=True, env=environment, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 1
    assert "free:1 is needed by" in done.stdout
    assert "volume old-data is needed by" in done.stdout
    assert full.inspect("free:1", "used:1")
    assert full.inspect("old-data", kind="volume")
    assert running == kept(full)
    # Of free:1 and what it shares, three layers; the volume; and the orphan, which is moved.
    gone = before - blocks(full.root)
    assert abs(plan["frees"] - 4 * SIZE - gone) <= plan["frees"] / 100

    aside = full.root / "layerindex-quarantine"
    orphan = full.root / "overlay2" / ("0123456789abcdef" * 4)
    assert not orphan.exists()
    backs = [line.partition("back: ")[2] for line in (aside / "moved.log").read_text().splitlines()]
    for back in backs:
        subprocess.run(["sh", "-c", back], check=True)
    assert (orphan / "diff" / "file").stat().st_size == SIZE
    assert (full.root / "overlay2" / "l" / ("A" * 26)).is_symlink()
