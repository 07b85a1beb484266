"""Measure file listings against `find -printf` on stores of about 200,000 files in real layers.

    python -m tools.bench_files FOLDER [--cold]

FOLDER keeps two stores between runs, made with a real engine (root, dockerd) from this machine's /usr and Python trees:
once with GNU tar's default format, once with its PAX format. Medians of five runs of each, one after the other in one
run, whole processes, start-up included; --cold drops the caches before each (root). Ratios are to find's wall time.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.engine.engine import Engine

RUNS = 5
PRINTF = "%i %m %n %U %G %s %T@ %y %P %l\\n"
PROGRAM = [sys.executable, "-m", "layerindex"]


def groups() -> list[list[str]]:
    """Return the folders of each layer."""
    parts = [["usr/share"], ["usr/lib"], ["usr/include", "usr/bin", "usr/local"]]
    beside = Path(sys.base_prefix).parent.iterdir()
    versions = sorted(path for path in beside if path.is_dir() and not path.is_symlink())
    return parts + [[str(path).lstrip("/")] for path in versions[-4:]]


def make_store(root: Path, tar_format: str) -> None:
    """Make a store of one layer for each group of folders."""
    with Engine() as engine:
        for number, group in enumerate(groups()):
            tar = ["tar", "-C", "/", f"--format={tar_format}", "-cf", "-", *group]
            docker = ["/usr/bin/docker", "-H", f"unix://{engine.socket}", "import", "-", f"bench:{number}"]
            with subprocess.Popen(tar, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as packed:
                subprocess.run(docker, stdin=packed.stdout, stdout=subprocess.DEVNULL, check=True)
        engine.stop()
        subprocess.run(["cp", "-a", str(engine.root), str(root)], check=True)


def measure(words: list[str], *, cold: bool) -> tuple[float, float]:
    """Return the wall and CPU seconds of one process and its children."""
    os.sync()
    if cold:
        Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak_memory(words: list[str]) -> int:
    """Return the most bytes that a process and its children held at one time, each page once (PSS), sampled."""
    peak = 0
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while process.poll() is None:
            peak = max(peak, sum(_pss(int(pid.name)) for pid in _session(process.pid)))
            time.sleep(0.005)
    return peak


def _session(leader: int) -> list[Path]:
    return [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and _leads(int(pid.name), leader)]


def _leads(pid: int, leader: int) -> bool:
    try:
        return os.getsid(pid) == leader
    except ProcessLookupError:
        return False


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def report(name: str, root: Path, *, cold: bool) -> None:
    """Measure one store and print its table."""
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        database = str(Path(folder) / "bench.db")
        scan = [*PROGRAM, "scan", str(root), "--db", database, "-q"]
        commands = {
            "find -printf": ["find", str(root / "overlay2"), "-printf", PRINTF],
            "scan, first": scan,
            "scan, second": scan,
            "scan --walk, first": [*scan, "--walk"],
            "find NAME (os.py)": [*PROGRAM, "find", "os.py", "--db", database, "--format", "csv"],
            "query duplicates": [*PROGRAM, "query", "duplicates", "-p", "top=0", "--db", database, "--format", "csv"],
        }
        costs: dict[str, list[tuple[float, float]]] = {each: [] for each in commands}
        for _ in range(RUNS + 1):
            for each, words in commands.items():
                if each.endswith("first"):
                    Path(database).unlink(missing_ok=True)
                costs[each].append(measure(words, cold=cold))
        print(f"\n{name}, {'cold' if cold else 'warm'}, {os.cpu_count()} cores, medians of {RUNS} runs")
        finds = [wall for wall, _ in costs["find -printf"][1:]]
        for each, found in costs.items():
            wall, cpu = (statistics.median(column) for column in zip(*found[1:], strict=True))
            ratio = statistics.median(mine / find for (mine, _), find in zip(found[1:], finds, strict=True))
            print(f"{each:20} wall {wall:6.3f} s   CPU {cpu:6.3f} s   wall / find {ratio:5.2f}")
        Path(database).unlink()
        print(f"peak memory of the first scan, all processes: {peak_memory(scan) / 1e6:.0f} MB")
        with sqlite3.connect(database) as connection:
            (entries,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        print(f"{entries:,} entries, {os.path.getsize(database) / entries:.0f} bytes of database for each")


def main() -> None:
    """Make the stores if needed, measure, print."""
    folder = Path(sys.argv[1])
    for tar_format in ("gnu", "pax"):
        root = folder / tar_format
        if not root.is_dir():
            make_store(root, tar_format)
        report(tar_format, root, cold="--cold" in sys.argv)


if __name__ == "__main__":
    main()
