"""Measure scans of Podman's and containerd's stores against `find -printf` over their directories.

    python -m tools.bench_stores FOLDER

FOLDER keeps the stores between runs, made with Podman and containerd (root) of the same layers as those of bench_files:
some 200,000 files. Medians of five runs of each, warm, one after the other in one run, whole processes. Podman's store
has a tar-split for each layer. Of containerd's files are listed from the layers' blobs, which are packed with gzip, and
by a walk with --no-blobs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.engine.containerd import Containerd
from tests.engine.podman import Podman
from tools.bench_files import PRINTF, PROGRAM, compare, groups

BLOBS = "io.containerd.content.v1.content/blobs/sha256"


def make_stores(podman_root: Path, containerd_root: Path) -> None:
    """Make both stores, of one layer for each group of folders."""
    with Podman() as podman, Containerd() as containerd:
        for number, group in enumerate(groups()):
            tar = ["tar", "-C", "/", "--format=gnu", "-cf", "-", *group]
            command = podman.command("import", "-", f"bench:{number}")
            with subprocess.Popen(tar, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as packed:
                subprocess.run(
                    command, env=podman.environment(), stdin=packed.stdout, stdout=subprocess.DEVNULL, check=True
                )
            saved = podman.folder / "saved.tar"
            podman("save", "--format", "oci-archive", "--output", saved, f"bench:{number}")
            containerd.ctr("images", "import", saved)
            saved.unlink()
        containerd.stop()
        subprocess.run(["cp", "-a", podman.root, podman_root], check=True)
        subprocess.run(["cp", "-a", containerd.root, containerd_root], check=True)


def report(name: str, root: Path, folder: str) -> None:
    """Measure a store and print its table."""
    with tempfile.TemporaryDirectory(dir=root.parent) as made:
        database = Path(made) / "bench.db"
        scan = [*PROGRAM, "scan", str(root), "--db", str(database), "-q"]
        commands = {
            "find -printf": ["find", str(root / folder), "-printf", PRINTF],
            "scan, first": scan,
            "scan, second": scan,
            "scan --walk, first": [*scan, "--walk"],
        }
        if (root / BLOBS).is_dir():
            commands["scan --no-blobs, first"] = [*scan, "--no-blobs"]
        compare(name, commands, database, cold=False)


def main() -> None:
    """Make the stores if needed, measure, print."""
    podman, containerd = Path(sys.argv[1], "podman"), Path(sys.argv[1], "containerd")
    if not (podman.is_dir() and containerd.is_dir()):
        make_stores(podman, containerd)
    report("Podman", podman, "overlay")
    report("containerd", containerd, "io.containerd.snapshotter.v1.overlayfs/snapshots")


if __name__ == "__main__":
    main()
