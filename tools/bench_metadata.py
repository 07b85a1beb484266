"""Measure a metadata scan of 1,000 images and 5,000 layers against `find -exec cat` of the same files.

    python -m tools.bench_metadata [FOLDER]

FOLDER keeps the store between runs: ext4 is slow to make one where another was just deleted. Prints medians of five
runs of each, one after the other, warm caches, whole processes.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.dataroot import big_store

RUNS = 5
# As it is installed: with its modules compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _measure(*words: str) -> tuple[float, float]:
    """Return the wall and CPU seconds of one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Build the store if needed, measure, print."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="layerindex-bench-"))
    root = folder / "docker"
    if not root.is_dir():
        big_store(root, images=1000, layers=5000, seed=1)
    database = folder / "bench.db"
    program = [sys.executable, "-m", "layerindex"]
    metadata = [str(root / name) for name in ("image", "overlay2", "containers", "volumes") if (root / name).is_dir()]
    rows: dict[str, list[tuple[float, float]]] = {"find -exec cat": [], "scan": [], "query shared-layers": []}
    for _ in range(RUNS + 1):
        rows["find -exec cat"].append(_measure("find", *metadata, "-type", "f", "-exec", "cat", "{}", "+"))
        database.unlink(missing_ok=True)
        rows["scan"].append(_measure(*program, "scan", str(root), "--db", str(database), "-q", "--no-files"))
        query = ("query", "shared-layers", "--db", str(database), "--format", "csv")
        rows["query shared-layers"].append(_measure(*program, *query))
    print(f"{os.cpu_count()} cores, medians of {RUNS} runs, the first of {RUNS + 1} not counted")
    for name, times in rows.items():
        wall, cpu = (statistics.median(values) for values in zip(*times[1:], strict=True))
        print(f"{name:22} wall {wall:6.3f} s   CPU {cpu:6.3f} s")
    ratios = [scan[0] / find[0] for scan, find in zip(rows["scan"][1:], rows["find -exec cat"][1:], strict=True)]
    print(f"scan / find, wall: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
