"""What `reclaim` says before is what `du` misses after the engine removed it, within a hundredth; figures are printed.

Layers here are of random bytes and large beside what an engine writes about them.
"""

from __future__ import annotations

import random
import subprocess
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import need, new_engine
from .containerd import Containerd
from .containerd import why_not as why_no_containerd
from .cri import NAMESPACE, PAUSE, Cri, message
from .podman import RUN, Podman
from .podman import why_not as why_no_podman
from .program import Index, layerindex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .programs import Programs

pytestmark = pytest.mark.engine

SIZE = 6_000_000
ONE = "docker.io/li/one:1"
TWO = "docker.io/li/two:1"
OTHER = "docker.io/li/other:1"


def made() -> bytes:
    """Return an archive of two images with a layer in common, one that stands alone, and a pod's sandbox."""
    rng = random.Random(11)
    base, one, two, other = (pack([Member(name, rng.randbytes(SIZE))]) for name in ("base", "one", "two", "other"))
    pause = pack([Member("pause", b"")])
    stacks = {ONE: [base, one], TWO: [base, two], OTHER: [other], PAUSE: [pause]}
    command = {"Cmd": ["/none"]}
    return archive(
        [
            ImageSource(
                [name.removeprefix("docker.io/")], [Step(f"step {number}", each) for number, each in layers], command
            )
            for name, layers in ((name, list(enumerate(stack))) for name, stack in stacks.items())
        ]
    )


def blocks(root: Path) -> int:
    """Return what `du` counts."""
    said = subprocess.run(["du", "-s", "-x", "--block-size=1", root], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def said(root: Path, db: Path, name: str, kind: str = "image") -> int:
    """Return the bytes that `reclaim` says of a thing alone."""
    db.unlink(missing_ok=True)
    layerindex("scan", root, "--db", db, "--host", "h1", "-q", "--walk")
    (row,) = [row for row in Index(db).query("reclaim", **{kind: name}) if row["kind"] == kind]
    assert row["disk_bytes"] is not None, row
    return int(row["disk_bytes"])


class Judge(NamedTuple):
    """An engine's store, and where its index is put."""

    engine: str
    root: Path
    db: Path

    def agrees(self, name: str, remove: Callable[[str], object], kind: str = "image") -> None:
        """Compare what is said of a thing with what its removal frees."""
        expected, before = said(self.root, self.db, name, kind), blocks(self.root)
        remove(name)
        freed = before - blocks(self.root)
        share = 100 * (expected / freed - 1)
        print(f"{self.engine}: reclaim said {expected} bytes of {name}, {freed} were freed: {share:+.2f} %")
        assert abs(expected - freed) <= freed / 100


def test_docker(tmp_path: Path) -> None:
    """Images with and without a layer in common, and a container."""
    with new_engine() as engine:
        engine.docker("load", input=made())
        (tmp_path / "written").write_bytes(random.Random(12).randbytes(SIZE))
        engine.docker("create", "--network", "none", "--name", "box", "li/other:1")
        engine.docker("cp", tmp_path / "written", "box:/written")
        judge = Judge("docker", engine.root, tmp_path / "db")
        judge.agrees("box", partial(engine.docker, "rm"), "container")
        for name in ("li/one:1", "li/two:1", "li/other:1"):
            judge.agrees(name, partial(engine.docker, "rmi"))


def test_podman(programs: Programs, tmp_path: Path) -> None:
    """The same, and an image whose layers were copied for containers of other users."""
    need(why_no_podman(programs))
    with Podman(programs=programs) as podman:
        podman.more["_CONTAINERS_OVERLAY_DISABLE_IDMAP"] = "yes"
        (podman.folder / "images.tar").write_bytes(made())
        podman("load", "-i", podman.folder / "images.tar")
        for number in (1, 2):
            first = f"0:{number * 10_000}:5000"
            podman("create", *RUN, "--uidmap", first, "--gidmap", first, "--name", f"mapped{number}", "li/other:1")
        podman("rm", "mapped1", "mapped2")
        copies = [path for path in (podman.root / "overlay").iterdir() if [*path.glob("diff*/other")]]
        assert len(copies) == (3 if programs.today else 1)  # Podman 4 mounts the image's own for another user
        judge = Judge(f"podman ({programs.name})", podman.root, tmp_path / "db")
        for name in ("li/one:1", "li/two:1", "li/other:1"):
            judge.agrees(f"localhost/{name}", partial(podman, "rmi"))


def test_containerd(programs: Programs, tmp_path: Path) -> None:
    """Blobs go with the snapshots of an image."""
    need(why_no_containerd(programs))
    with Containerd(programs) as containerd:
        (containerd.folder / "images.tar").write_bytes(made())
        containerd.ctr("images", "import", containerd.folder / "images.tar")
        judge = Judge(f"containerd ({programs.name})", containerd.root, tmp_path / "db")
        for name in (ONE, TWO, OTHER):
            judge.agrees(name, partial(containerd.ctr, "images", "rm", "--sync"))


def test_cri(programs: Programs, tmp_path: Path) -> None:
    """The name that Kubernetes' plugin gives an image by its id keeps nothing from going."""
    need(why_no_containerd(programs))
    with Cri(programs) as cri:
        (cri.folder / "images.tar").write_bytes(made())
        cri.ctr("images", "import", cri.folder / "images.tar", namespace=NAMESPACE)
        cri.await_images(ONE, TWO, OTHER)

        def remove(name: str) -> None:
            cri.call("Image", "RemoveImage", (1, message((1, name))))
            cri.ctr("images", "rm", "--sync", "none", namespace=NAMESPACE)  # waits for the collector

        judge = Judge(f"containerd with CRI ({programs.name})", cri.root, tmp_path / "db")
        for name in (ONE, TWO, OTHER):
            judge.agrees(name, remove)
