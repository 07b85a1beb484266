"""Scans while an engine builds, runs, removes and prunes: nothing is called an orphan, unused or missing that is not.

LAYERINDEX_WORKING=100 asks for as many scans of each engine; without it there are a few. How many there were, and what
was found, is printed.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import need, new_engine
from .containerd import Containerd
from .containerd import why_not as why_no_containerd
from .cri import NAMESPACE, PAUSE, Cri
from .engine import BUSYBOX
from .podman import RUN, Podman
from .podman import why_not as why_no_podman
from .program import Index, layerindex
from .store import BUILDKIT, CLASSIC, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .programs import Programs

pytestmark = pytest.mark.engine

FEW = "4"
PATIENCE = 2
"""In how many scans after each other a thing may be in passing."""
KEPT = "docker.io/li/kept:1"
SLEEP = ("/bin/busybox", "sleep", "100000")

WRONG = {
    "unused though a container needs it": """
        SELECT t.kind, t.id FROM standings AS t WHERE t.standing = 'unused' AND (
          (t.kind = 'image' AND t.id IN (SELECT image_id FROM containers))
          OR (t.kind = 'volume' AND t.id IN (SELECT name FROM container_volumes)))""",
    "unused though it is kept": """
        SELECT kind, id FROM standings WHERE standing = 'unused' AND (
          (kind = 'image' AND id IN (SELECT image_id FROM image_names WHERE name LIKE '%li/kept:1'))
          OR (kind = 'volume' AND id = 'kept'))""",
    "unused though its image is on the way": "SELECT 'layer', chain_id FROM layer_standings WHERE standing = 'unused'",
}
"""What no scan of a sound store may find; rows of two columns."""

PASSING = {
    "orphans": "SELECT cache_id, role FROM overlay_dirs WHERE role = 'orphan'",
    "directories gone before their record": "SELECT code, subject FROM problems WHERE code = 'missing-directory'",
}
"""What is so for a moment while an engine makes or removes a thing: counted, and gone in the next scan."""


def scans() -> int:
    """Return how many scans of each engine are wanted."""
    return int(os.environ.get("LAYERINDEX_WORKING", FEW))


def layer(number: int) -> bytes:
    """Return a layer that no other is like."""
    rng = random.Random(number)
    return pack([Member(f"made/{name}", rng.randbytes(2000)) for name in range(20)])


def images(*names: str, number: int = 0) -> bytes:
    """Return an archive of images with a shell and, on it, what `number` makes of it."""
    shell = pack(
        [Member("bin/"), Member("bin/busybox", BUSYBOX.read_bytes(), mode=0o755), Member("bin/sh", symlink="busybox")]
    )
    steps = [Step("shell", shell), *([Step(f"made {number}", layer(number))] if number else [])]
    return archive([ImageSource([name.removeprefix("docker.io/")], steps, {"Cmd": [*SLEEP]}) for name in names])


@contextmanager
def working(*jobs: Callable[[int], object]) -> Iterator[None]:
    """Have each job done over and over, with the number of its turn, until the scans are done."""
    stop, failures = threading.Event(), []

    def run(job: Callable[[int], object]) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            try:
                job(turn)
            except Exception as error:  # noqa: BLE001 - told by the test
                failures.append(error)
                return

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def judged(what: str, root: Path, folder: Path) -> None:
    """Scan so many times, with and without files; nothing that is wrong is found."""
    found: list[tuple[str, object]] = []
    counts: Counter[str] = Counter()
    passing: dict[tuple[str, object], int] = {}
    for number in range(scans()):
        db = folder / "db"
        db.unlink(missing_ok=True)
        layerindex("scan", root, "--db", db, "--host", "h1", "-q", *([] if number % 4 == 0 else ["--no-files"]))
        index = Index(db)
        found += [(kind, row) for kind, sql in WRONG.items() for row in index.rows(sql)]
        seen = [(kind, row) for kind, sql in PASSING.items() for row in index.rows(sql)]
        passing = {each: passing.get(each, 0) + 1 for each in seen}
        found += [each for each, times in passing.items() if times > PATIENCE]
        counts.update(kind for kind, _ in seen)
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"{what}: {scans()} scans while it worked, {len(found)} false; in passing: {told or 'nothing'}")
    assert found == []


def test_docker(tmp_path: Path) -> None:
    """Both builders, runs, loads, removals and prunes."""
    with new_engine() as engine:
        engine.docker("load", input=images(KEPT))
        engine.docker("run", "--detach", "--network", "none", "--name", "kept", "--volume", "kept:/data", "li/kept:1")

        def builds(turn: int) -> None:
            text = f"FROM li/kept:1\nCOPY f /f\nRUN echo {turn} > /r\n"
            build(engine, f"built:{turn % 3}", text, {"f": b"%d" % turn}, (CLASSIC, BUILDKIT)[turn % 2])
            if turn % 4 == 0:
                engine.docker("builder", "prune", "-f")

        def comes_and_goes(turn: int) -> None:
            engine.docker("load", input=images("li/come:1", number=turn))
            engine.docker(
                "run", "--rm", "--network", "none", "--volume", f"v{turn}:/v", "li/come:1", "sh", "-c", "echo > /x"
            )
            engine.docker("volume", "rm", f"v{turn}")
            engine.docker("rmi", "li/come:1")

        with working(builds, comes_and_goes):
            judged("docker", engine.root, tmp_path)


def test_podman(programs: Programs, tmp_path: Path) -> None:
    """Builds, runs, loads, removals and prunes."""
    need(why_no_podman(programs))
    with Podman(programs=programs) as podman:
        podman("load", input=images(KEPT))
        podman("create", *RUN, "--name", "kept", "--volume", "kept:/data", "localhost/li/kept:1")
        context = podman.folder / "context"
        context.mkdir()
        words = ("--network", "host", "--isolation", "chroot", "--layers", context)

        def builds(turn: int) -> None:
            (context / "f").write_text(f"{turn}")
            (context / "Dockerfile").write_text("FROM localhost/li/kept:1\nCOPY f /f\nRUN echo 1 > /r\n")
            podman("build", "--tag", f"localhost/built:{turn % 3}", *words)

        def comes_and_goes(turn: int) -> None:
            podman("load", input=images("li/come:1", number=turn))
            podman("run", "--rm", *RUN, "--volume", f"v{turn}:/v", "localhost/li/come:1", "sh", "-c", "echo > /x")
            podman("volume", "rm", f"v{turn}")
            podman("rmi", "localhost/li/come:1")

        with working(builds, comes_and_goes):
            judged(f"podman ({programs.name})", podman.root, tmp_path)


def test_containerd(programs: Programs, tmp_path: Path) -> None:
    """Two namespaces, in which images and containers come and go."""
    need(why_no_containerd(programs))
    with Containerd(programs) as containerd:
        containerd.ctr("images", "import", "-", given=images(KEPT))
        containerd.ctr("run", "--detach", "--null-io", KEPT, "kept")

        def comes_and_goes(turn: int, namespace: str = "busy") -> None:
            containerd.ctr(
                "images", "import", "-", given=images("docker.io/li/come:1", number=turn), namespace=namespace
            )
            containerd.ctr("containers", "create", "docker.io/li/come:1", f"c{turn}", namespace=namespace)
            containerd.ctr("containers", "rm", f"c{turn}", namespace=namespace)
            containerd.ctr("images", "rm", "--sync", "docker.io/li/come:1", namespace=namespace)

        with working(comes_and_goes, lambda turn: comes_and_goes(turn, "other")):
            judged(f"containerd ({programs.name})", containerd.root, tmp_path)


def test_cri(programs: Programs, tmp_path: Path) -> None:
    """Pods are made and removed, while images come and go."""
    need(why_no_containerd(programs))
    with Cri(programs) as cri:
        cri.ctr("images", "import", "-", given=images(KEPT, PAUSE), namespace=NAMESPACE)
        cri.await_images(KEPT, PAUSE)
        kept = cri.run_pod("kept")
        cri.run(cri.create(kept, "kept", KEPT, SLEEP))

        def pods(turn: int) -> None:
            pod = cri.run_pod(f"pod{turn}")
            cri.run(cri.create(pod, f"c{turn}", KEPT, ("/bin/busybox", "touch", "/x")))
            cri.remove(pod)

        def comes_and_goes(turn: int) -> None:
            cri.ctr("images", "import", "-", given=images("docker.io/li/come:1", number=turn), namespace=NAMESPACE)
            cri.ctr("images", "rm", "--sync", "docker.io/li/come:1", namespace=NAMESPACE)

        with working(pods, comes_and_goes):
            judged(f"containerd with CRI ({programs.name})", cri.root, tmp_path)
