"""The script of a plan on real engines: it frees what was promised, and leaves what is used or another thing by now."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from .conftest import need, new_engine
from .containerd import Containerd, ModernEngine
from .containerd import why_not as why_no_containerd
from .cri import NAMESPACE, PAUSE, Cri
from .podman import RUN as PODMAN_RUN
from .podman import Podman
from .podman import why_not as why_no_podman
from .program import CHECKOUT, layerindex
from .store import BASE
from .test_freed import blocks
from .test_plan import SIZE, fill, fill_cri, fill_modern, fill_podman, kept, made, planned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .engine import Engine
    from .programs import Programs

pytestmark = pytest.mark.engine


@pytest.fixture
def full() -> Iterator[Engine]:
    """Give an engine with something of each class."""
    with new_engine() as engine:
        fill(engine)
        yield engine


def test_docker(full: Engine, tmp_path: Path) -> None:
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


def test_podman(programs: Programs, tmp_path: Path) -> None:
    """It frees what was promised, but what is used by now, or is another image by now."""
    need(why_no_podman(programs))
    with Podman(programs=programs) as podman:
        fill_podman(podman)
        plan = planned(podman.root, tmp_path / "db")
        script = tmp_path / "free.sh"
        script.write_text(layerindex("plan", "--db", tmp_path / "db", "--script").stdout)
        podman("create", *PODMAN_RUN, "--name", "late", "free:1", "/none")
        podman("create", *PODMAN_RUN, "--name", "too-late", "-v", "old-data:/x", "used:1", "/none")
        environment = podman.environment() | {
            "ENGINE": shlex.join(podman.command()),
            "BUILDAH": shlex.join(podman.buildah_command()),
        }
        before = blocks(podman.root)
        done = subprocess.run(["sh", script, "all"], capture_output=True, text=True, env=environment, check=False)
        print(done.stdout, done.stderr)
        assert done.returncode == 1
        left = [line for line in done.stdout.splitlines() if line.startswith("  left: ")]
        assert len(left) == 2
        assert any("free:1 is needed by" in line for line in left)
        assert any("volume old-data is needed by" in line for line in left)
        # Of free:1 what it shares with free:2 and its own; and the volume.
        gone = before - blocks(podman.root)
        assert abs(plan["frees"] - 3 * SIZE - gone) <= plan["frees"] / 100
        assert podman.inspect("image", "used:1", "free:1")
        assert podman.inspect("volume", "old-data")


def test_containerd(programs: Programs, tmp_path: Path) -> None:
    """It leaves a name that leads elsewhere by now."""
    need(why_no_containerd(programs))
    with Containerd(programs) as containerd:
        (containerd.folder / "images.tar").write_bytes(made())
        containerd.ctr("images", "import", containerd.folder / "images.tar")
        planned(containerd.root, tmp_path / "db")
        script = layerindex("plan", "--db", tmp_path / "db", "--script").stdout
        library = "docker.io/library/"
        containerd.ctr("images", "tag", "--force", f"{library}alone:1", f"{library}free:2")
        command = containerd.command("version")
        ctr = shlex.join(command[: command.index("--namespace")])
        done = subprocess.run(
            ["sh", "-s", "all"],
            input=script,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "CTR": ctr},
            check=False,
        )
        print(done.stdout, done.stderr)
        assert done.returncode == 1
        assert f"left: {library}free:2 is gone, or names another image now" in done.stdout
        assert containerd.ctr("images", "ls", "-q").split() == [f"{library}free:2"]


def test_kubernetes(programs: Programs, tmp_path: Path) -> None:
    """It leaves an image of which a pod has a container by now, and frees the other."""
    need(why_no_containerd(programs))
    with Cri(programs) as cri:
        fill_cri(cri)
        plan = planned(cri.root, tmp_path / "db")
        assert {"crictl"} == {words[0] for step in plan["steps"] for words in step["commands"]}
        (number,) = (f"{step['step']}" for step in plan["steps"] if "li/pause" not in step["what"])
        script = layerindex("plan", "--db", tmp_path / "db", "--script").stdout
        cri.create(cri.run_pod("late"), "late", "docker.io/li/two:1", ["/none"])
        before = blocks(cri.root)
        done = subprocess.run(
            ["sh", "-s", number],
            input=script,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "CRICTL": cri.crictl()},
            check=False,
        )
        print(done.stdout, done.stderr)
        assert done.returncode == 1
        assert 1 == done.stdout.count("  left: ")
        assert " is needed by " in done.stdout
        cri.ctr("images", "rm", "--sync", "none", namespace=NAMESPACE)  # waits for the collector
        # The layer that only the other has, as snapshot and as blob.
        assert abs(2 * SIZE - (before - blocks(cri.root))) <= SIZE / 50
        names = {name for each in cri.call("Image", "ListImages").all(1) for name in each.texts(2)}
        assert {"docker.io/li/two:1", PAUSE} == names


def test_docker_on_containerd(modern_root: Path, tmp_path: Path) -> None:
    """It frees what was promised, but what is used by now."""
    with ModernEngine(modern_root) as docker:
        fill_modern(docker, tmp_path)
        plan = planned(docker.root, tmp_path / "db")
        script = layerindex("plan", "--db", tmp_path / "db", "--script").stdout
        docker.docker("create", "--network", "none", "--name", "late", "free:1", "/none")
        before = blocks(docker.root)
        # The daemon sees another root than its client.
        inside = docker.docker("info", "--format", "{{.DockerRootDir}}").strip()
        done = subprocess.run(
            ["sh", "-s", "all"],
            input=script.replace(f"ROOT={docker.root}\n", f"ROOT={inside}\n"),
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "ENGINE": f"docker -H unix://{docker.socket}"},
            check=False,
        )
        print(done.stdout, done.stderr)
        assert done.returncode == 1
        assert ["  left: docker.io/library/free:1 is needed by"] == [
            line.rpartition(" ")[0] for line in done.stdout.splitlines() if line.startswith("  left: ")
        ]
        gone = before - blocks(docker.root)
        # Of free:1 what it shares with free:2 and its own, each as blob and unpacked.
        assert abs(plan["frees"] - 4 * SIZE - gone) <= plan["frees"] / 100
        assert docker.inspect("used:1", "free:1")
