"""What `plan` promises is what the engine frees by its commands, within a hundredth, and nothing else is gone."""

from __future__ import annotations

import json
import os
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import need, new_engine
from .containerd import Containerd, ModernEngine
from .containerd import why_not as why_no_containerd
from .cri import NAMESPACE, PAUSE, Cri, message
from .engine import BUSYBOX
from .podman import RUN as PODMAN_RUN
from .podman import Podman
from .podman import why_not as why_no_podman
from .program import layerindex, scan
from .store import BASE, BUILDKIT, CLASSIC, DEEP, RUN, build, build_store
from .test_freed import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .engine import Engine
    from .programs import Programs


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


def fill_podman(podman: Podman) -> None:
    """Put images, also built on one another, containers, a working container of Buildah and a volume into a store."""
    (podman.folder / "images.tar").write_bytes(made())
    podman("load", "-i", podman.folder / "images.tar")
    podman("create", *PODMAN_RUN, "--name", "keeps", "used:1", "/none")
    podman("create", *PODMAN_RUN, "--name", "stopped", "used:1", "/none")
    (podman.folder / "file").write_bytes(random.Random(8).randbytes(SIZE))
    podman("cp", podman.folder / "file", "stopped:/file")
    context = podman.folder / "context"
    context.mkdir()
    (context / "file").write_bytes(random.Random(9).randbytes(SIZE))
    (context / "Dockerfile").write_text("FROM localhost/used:1\nCOPY file /one\nCOPY file /two\n")
    podman("build", "--layers", "-t", "built:1", context)
    (context / "file").write_bytes(random.Random(10).randbytes(SIZE))
    podman("build", "--layers", "-t", "built:1", context)
    working = podman.buildah("from", "--pull-never", "localhost/alone:1")
    podman.buildah("copy", working, podman.folder / "file", "/file")
    podman("volume", "create", "old-data")
    (podman.root / "volumes" / "old-data" / "_data" / "file").write_bytes(random.Random(6).randbytes(SIZE))
    os.sync()


def test_podman(programs: Programs, tmp_path: Path) -> None:
    """The same of Podman, with a working container of Buildah, and images that were built on one another."""
    need(why_no_podman(programs))
    with Podman(programs=programs) as podman:
        fill_podman(podman)
        plan = planned(podman.root, tmp_path / "db")

        def run(words: list[str]) -> None:
            if words[0] == "podman":
                print(words, podman(*words[1:]))
            elif words[0] == "buildah":
                podman.buildah(*words[1:])
            else:
                subprocess.run(words, check=True)

        freed = follow(plan, podman.root, run)
        assert freed["can be rebuilt or pulled again"] > 6 * SIZE
        assert podman.inspect("image", "used:1")
        assert not plan["unknown"]


def test_containerd(programs: Programs, tmp_path: Path) -> None:
    """Blobs go with snapshots, of each namespace by itself."""
    need(why_no_containerd(programs))
    with Containerd(programs) as containerd:
        (containerd.folder / "images.tar").write_bytes(made())
        containerd.ctr("images", "import", containerd.folder / "images.tar")
        containerd.ctr("images", "import", containerd.folder / "images.tar", namespace="other")
        for name in ("free:1", "alone:1"):
            containerd.ctr("images", "rm", "--sync", f"docker.io/library/{name}", namespace="other")
        plan = planned(containerd.root, tmp_path / "db")
        freed = follow(plan, containerd.root, lambda words: containerd.ctr(*words[3:], namespace=words[2]))
        assert freed["can be rebuilt or pulled again"] > 10 * SIZE
        assert planned(containerd.root, tmp_path / "db")["steps"] == []


def fill_cri(cri: Cri) -> None:
    """Give Kubernetes two images that share a layer, and that of its pods."""
    shell = Step("busybox", pack([Member("bin/busybox", BUSYBOX.read_bytes(), mode=0o755)]))
    pause = ImageSource(
        [PAUSE.removeprefix("docker.io/")], [shell], {"Entrypoint": ["/bin/busybox", "sleep", "100000"]}
    )
    content = archive([image("li/one:1", 1, 2), image("li/two:1", 1, 3), pause])
    (cri.folder / "images.tar").write_bytes(content)
    cri.ctr("images", "import", cri.folder / "images.tar", namespace=NAMESPACE)
    cri.await_images("docker.io/li/one:1", "docker.io/li/two:1", PAUSE)


def test_cri(programs: Programs, tmp_path: Path) -> None:
    """Kubernetes removes an image with all its names; one that a container runs is in no step."""
    need(why_no_containerd(programs))
    with Cri(programs) as cri:
        fill_cri(cri)
        plan = planned(cri.root, tmp_path / "db")

        def run(words: list[str]) -> None:
            assert words[:2] == ["crictl", "rmi"]
            for word in words[2:]:
                cri.call("Image", "RemoveImage", (1, message((1, word))))
            cri.ctr("images", "rm", "--sync", "none", namespace=NAMESPACE)  # waits for the collector

        follow(plan, cri.root, run)
        assert planned(cri.root, tmp_path / "db")["steps"] == []


def fill_modern(docker: ModernEngine, folder: Path) -> None:
    """Put images, build cache and a volume into a store of Docker on containerd."""
    docker.docker("load", input=made())
    docker.docker("create", "--network", "none", "--name", "keeps", "used:1", "/none")
    for number in (1, 2):
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY file /file\nCOPY file /again\n")
        (folder / "file").write_bytes(random.Random(20 + number).randbytes(SIZE))
        docker.docker("build", "--network", "host", "--tag", f"kit:{number}", folder, env=BUILDKIT)
    docker.docker("rmi", "kit:2")
    docker.docker("volume", "create", "old-data")
    (docker.root / "volumes" / "old-data" / "_data" / "file").write_bytes(random.Random(6).randbytes(SIZE))
    os.sync()


def test_docker_on_containerd(modern_root: Path, tmp_path: Path) -> None:
    """A Docker of today keeps images and build cache in containerd: they go by its own commands."""
    with ModernEngine(modern_root) as docker:
        fill_modern(docker, tmp_path)
        plan = planned(docker.root, tmp_path / "db")
        assert plan["version"] == "23 or later"
        freed = follow(plan, docker.root, lambda words: docker.docker(*words[1:]))
        assert freed["can be rebuilt or pulled again"] > 9 * SIZE
        assert docker.inspect("used:1")
