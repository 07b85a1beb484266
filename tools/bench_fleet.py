"""Measure one database of 10, 100 and 1,000 simulated hosts: its size, and how long questions about all of them take.

    python -m tools.bench_fleet [FOLDER] [HOSTS…]

Each host has 100 images and 600 layers; the fleet has some 2,000 different layers. 1,000 hosts need 4 GB in FOLDER, by
default a temporary one; each database is removed after it was measured. Prints a table for the docs: CPU seconds of
whole processes, the best of three, and the bytes of each table.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests import fleet

SIZES = (10, 100, 1000)
RUNS = 3
# As it is installed: with its modules compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
NEW = 5
"""Hosts that are imported into each fleet, one after the other."""
MANY = 100
"""Most hosts of which several days are made."""
DAYS, TURNS = 14, 10
"""How many days, and of how many hosts one has another image on each of them."""
BATCH = 50
"""Files that are there at a time, and imported by one command, when all hosts are imported."""


def _cpu(*words: str) -> tuple[float, float]:
    """Return the CPU and wall seconds of one run of the program."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "layerindex", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def _questions(path: Path) -> dict[str, tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        sql = (
            """SELECT diff_id FROM layers WHERE snapshot_id = 1 AND parent_chain_id {} NULL ORDER BY diff_id LIMIT 1"""
        )
        (base,), (top,) = (connection.execute(sql.format(which)).fetchone() for which in ("IS", "IS NOT"))
        (tag,) = connection.execute("SELECT ref FROM image_refs WHERE snapshot_id = 1 LIMIT 1").fetchone()
    tail = ("--db", str(path), "--format", "csv")
    return {
        "query tag-drift": ("query", "tag-drift", *tail),
        "query layer-hosts, a base layer": ("query", "layer-hosts", "-p", f"layer={base}", *tail),
        "query layer-hosts, another layer": ("query", "layer-hosts", "-p", f"layer={top}", *tail),
        "query image-hosts, one tag": ("query", "image-hosts", "-p", f"image={tag}", *tail),
        "query outliers": ("query", "outliers", *tail),
        "query fleet-sharing": ("query", "fleet-sharing", *tail),
        "query host-similarity, one host": ("query", "host-similarity", "-p", "host=host-0001", *tail),
        "query first-seen, one layer": ("query", "first-seen", "-p", f"layer={base}", *tail),
        "query growth": ("query", "growth", *tail),
        "compare two hosts": ("compare", "host-0001", "host-0002", "--db", str(path)),
        "compare two hosts, --only layers": (
            "compare",
            "host-0001",
            "host-0002",
            "--only",
            "layers",
            "--db",
            str(path),
        ),
    }


def _room(path: Path, hosts: int) -> list[tuple[str, float]]:
    """Return the bytes per host of each table with its indexes, the largest first."""
    sql = """SELECT s.tbl_name, sum(d.pgsize) FROM dbstat('main', 1) AS d JOIN sqlite_schema AS s USING (name)
             GROUP BY s.tbl_name ORDER BY 2 DESC"""
    with closing(sqlite3.connect(path)) as connection:
        return [(name, size / hosts) for name, size in connection.execute(sql)]


def _imports(folder: Path, path: Path, first: int, hosts: int) -> tuple[float, float]:
    """Return the CPU and wall seconds of importing some hosts, each from a file of its own."""
    cpu = wall = 0.0
    for start in range(first, first + hosts, BATCH):
        files = [folder / f"one-{number}.db" for number in range(start, min(start + BATCH, first + hosts))]
        for number, file in enumerate(files, start):
            fleet.make(file, fleet.Plan(1, first=number))
        taken = _cpu("import", *(str(file) for file in files), "--db", str(path))
        cpu, wall = cpu + taken[0], wall + taken[1]
        for file in files:
            file.unlink()
    return cpu, wall


def _days(folder: Path, hosts: int) -> dict[str, str]:
    """Return the bytes of three days of a host: on the second nothing has changed, on the third one tag has moved."""
    sizes = []
    for days in (1, 2, 3):
        path = folder / f"{hosts}-{days}.db"
        fleet.make(path, fleet.Plan(hosts, days=days))
        sizes.append(path.stat().st_size / hosts)
        path.unlink()
    path = folder / f"{hosts}-weeks.db"
    fleet.make(path, fleet.Plan(hosts, days=DAYS, turns=TURNS))
    weeks = path.stat().st_size / hosts
    path.unlink()
    return {
        f"{DAYS} days of each of {hosts} hosts, a tenth of them changed on each day": f"{weeks / 1e3:.0f} kB",
        f"first snapshot of each of {hosts} hosts": f"{sizes[0] / 1e3:.0f} kB",
        "the next, nothing changed": f"{(sizes[2] - sizes[1]) / 1e3:.0f} kB",
        "the next, one image changed": f"{(sizes[1] - sizes[0]) / 1e3:.0f} kB",
    }


def _measure(folder: Path, hosts: int) -> dict[str, str]:
    path = folder / f"{hosts}.db"
    start = time.perf_counter()
    fleet.make(path, fleet.Plan(hosts))
    found = {
        "to simulate it": f"{time.perf_counter() - start:.0f} s",
        "database": f"{path.stat().st_size / 1e6:.0f} MB",
        "for each host": f"{path.stat().st_size / hosts / 1e6:.2f} MB",
    }
    for name, words in _questions(path).items():
        cpu, wall = min(_cpu(*words) for _ in range(RUNS))
        found[name] = f"{cpu:.2f} s"
        print(f"{hosts} hosts: {name}: CPU {cpu:.2f} s, wall {wall:.2f} s", file=sys.stderr)
    for name, size in _room(path, hosts)[:8]:
        found[f"bytes a host: {name}"] = f"{size / 1e3:.0f} kB"
    cpu, wall = _imports(folder, path, hosts + 1, NEW)
    found["import of one more host"] = f"{cpu / NEW:.2f} s (wall {wall / NEW:.2f} s)"
    path.unlink()
    cpu, wall = _imports(folder, path, 1, hosts)
    found["import of all"] = f"{cpu:.0f} s (wall {wall:.0f} s)"
    path.unlink()
    return found | _days(folder, min(hosts, MANY))


def main() -> None:
    """Measure each size and print a Markdown table."""
    made = len(sys.argv) < 2
    folder = Path(tempfile.mkdtemp(prefix="layerindex-fleet-") if made else sys.argv[1])
    folder.mkdir(exist_ok=True)
    sizes = [int(word) for word in sys.argv[2:]] or SIZES
    columns = {hosts: _measure(folder, hosts) for hosts in sizes}
    print(f"{os.cpu_count()} cores; CPU seconds of whole processes, the best of {RUNS} runs")
    print("| hosts | " + " | ".join(f"{hosts:,}" for hosts in sizes) + " |")
    print("|---|" + "---:|" * len(sizes))
    for name in dict.fromkeys(name for column in columns.values() for name in column):
        print(f"| {name} | " + " | ".join(columns[hosts].get(name, "") for hosts in sizes) + " |")
    if made:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
