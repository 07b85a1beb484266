"""Measure queries of what an image shows and hides, on an image of 200,000 entries in ten layers.

    python -m tools.bench_shown FOLDER

FOLDER keeps the store between runs. A base of half of the entries lies below nine layers which each add their own, list
folders and replace, remove and cover files of those below. CPU seconds of whole processes, the least of three runs; the
first is the plain sqlite3 shell.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from pathlib import Path

from tests.dataroot import DataRoot
from tests.layer_tars import Member, tar

RUNS = 3
LAYERS = 9
IMAGE = "bench:1"
PROGRAM = [sys.executable, "-m", "layerindex"]
VIEW = f"SELECT path, size FROM image_files WHERE image = '{IMAGE}'"  # noqa: S608 - a name of our own
QUERIES = (
    ("image-files", "-p", f"image={IMAGE}"),
    ("wasted-space",),
    ("deleted-files",),
    ("secrets",),
    ("compare-images", "-p", "a=base:1", "-p", f"b={IMAGE}"),
    ("container-changes",),
    ("copied-up",),
)


class Listed(DataRoot):
    """A store whose layers are told by their tar-splits alone."""

    def _extract(self, tar: bytes, cache_id: str) -> tuple[str, ...]:  # noqa: ARG002 - as the builder has it
        return ()


def tree(top: str, files: int) -> list[Member]:
    """Return the members of a folder: ten files in each of its folders, which lie three deep."""
    members: dict[str, Member] = {}
    for number in range(files):
        folder = f"{top}/{number // 1000}/{number // 100 % 10}/{number // 10 % 10}"
        for depth in range(folder.count("/") + 1):
            name = folder.rsplit("/", depth)[0]
            members.setdefault(name, Member(name, "dir", mode=0o755))
        name = f"{folder}/file-{number}{'.py' if number % 3 else ''}"
        members[name] = Member(name, data=b"x" * (number % 5))
    return list(members.values())


def covering(rng: random.Random, below: list[Member], layer: int) -> list[Member]:
    """Return a layer that changes those below: folders listed again, files replaced and removed, folders covered."""
    folders = [member for member in below if member.kind == "dir" and member.name.count("/") > 1]
    files = [member for member in below if member.kind == "file"]
    chosen = {member.name: member for member in rng.sample(folders, 200)}
    chosen |= {member.name: member._replace(mtime=1_700_000_001 + layer) for member in rng.sample(files, 600)}
    for member in [*rng.sample(files, 150), *rng.sample(folders, 20)]:
        folder, _, name = member.name.rpartition("/")
        chosen.pop(member.name, None)
        chosen[f"{folder}/.wh.{name}"] = Member(f"{folder}/.wh.{name}")
    for member in rng.sample(folders, 3):
        chosen[f"{member.name}/.wh..wh..opq"] = Member(f"{member.name}/.wh..wh..opq")
    return list(chosen.values())


def make_store(folder: Path) -> None:
    """Make the store, with a container."""
    root, rng = Listed(folder), random.Random(1)  # noqa: S311 - not for secrets
    below = tree("usr", 90_000)
    top = root.layer(tar=tar(*below))
    root.image(top, ["base:1"])
    for layer in range(LAYERS):
        own = tree(f"opt-{layer}", 10_500)
        top = root.layer(tar=tar(*covering(rng, below, layer), *own), parent=top)
        below += own
    root.container(root.image(top, [IMAGE]), name="box")


def measure(words: list[str]) -> tuple[float, int]:
    """Return the least CPU seconds of a process, and the number of lines that it printed."""
    times, lines = [], 0
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        lines = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout.count(b"\n")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times), lines


def main() -> None:
    """Make the store if needed, scan it, measure, print."""
    folder = Path(sys.argv[1])
    root, database = folder / "docker", folder / "bench.db"
    if not root.is_dir():
        make_store(root)
    database.unlink(missing_ok=True)
    subprocess.run([*PROGRAM, "scan", str(root), "--db", str(database), "-q"], check=True)
    commands = {"image_files in the shell": ["sqlite3", "-readonly", str(database), VIEW]}
    options = ["--db", str(database), "--format", "csv"]
    commands |= {words[0]: [*PROGRAM, "query", *words, *options] for words in QUERIES}
    commands["find '*.py'"] = [*PROGRAM, "find", "*.py", *options]
    for name, words in commands.items():
        seconds, lines = measure(words)
        print(f"{name:26} {seconds:6.2f} s {lines:9,} lines", flush=True)


if __name__ == "__main__":
    main()
