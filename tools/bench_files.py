"""Measure file listings against `find -printf` on stores of about 200,000 files in real layers.

    python -m tools.bench_files FOLDER [--cold | --growth | --jdupes]

FOLDER keeps two stores between runs, made with a real engine (root, dockerd) from this machine's /usr and Python trees:
once with GNU tar's default format, once with its PAX format. Prints medians of five runs of each command, taken in
turn, of whole processes including start-up; --cold drops the caches before each (root). Ratios are to the wall time of
find.

--growth measures scans of 10,000 to 1,000,000 files: the tar-splits of the GNU store, cut short, or repeated with each
name in another folder, as layers whose directories are empty. --jdupes compares the sets of equal files that
`duplicates` counts with those that `jdupes -r` finds by reading: by inode, as it takes one name of each, and without
empty files, as is its default.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
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
GROWTH = (10_000, 100_000, 300_000, 1_000_000)
PRINTF = "%i %m %n %U %G %s %T@ %y %P %l\\n"
PROGRAM = [sys.executable, "-m", "layerindex"]
# Run as installed, with compiled modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


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
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
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


def compare(name: str, commands: dict[str, list[str]], database: Path, *, cold: bool) -> None:
    """Run commands in turn, the first of which is find, and print a table; those called `first` make the database."""
    costs: dict[str, list[tuple[float, float]]] = {each: [] for each in commands}
    for _ in range(RUNS + 1):
        for each, words in commands.items():
            if each.endswith("first"):
                database.unlink(missing_ok=True)
            costs[each].append(measure(words, cold=cold))
    print(f"\n{name}, {'cold' if cold else 'warm'}, {os.cpu_count()} cores, medians of {RUNS} runs")
    finds = [wall for wall, _ in next(iter(costs.values()))[1:]]
    for each, found in costs.items():
        wall, cpu = (statistics.median(column) for column in zip(*found[1:], strict=True))
        ratio = statistics.median(mine / find for (mine, _), find in zip(found[1:], finds, strict=True))
        print(f"{each:22} wall {wall:6.3f} s   CPU {cpu:6.3f} s   wall / find {ratio:5.2f}", flush=True)


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
        compare(name, commands, Path(database), cold=cold)
        Path(database).unlink()
        print(f"peak memory of the first scan, all processes: {peak_memory(scan) / 1e6:.0f} MB")
        with sqlite3.connect(database) as connection:
            (entries,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        print(f"{entries:,} entries, {os.path.getsize(database) / entries:.0f} bytes of database for each")


def grown_store(root: Path, real: Path, files: int) -> None:
    """Make a store of so many files out of a real one's tar-splits."""
    (root / "overlay2/l").mkdir(parents=True)
    layers = sorted((real / "image/overlay2/layerdb/sha256").iterdir())
    copy = 0
    while files > 0:
        for layer in layers:
            lines = gzip.decompress((layer / "tar-split.json.gz").read_bytes()).splitlines(keepends=True)[: 2 * files]
            files -= len(lines) // 2
            if copy:
                lines = [line.replace(b'"name":"', b'"name":"copy%d/' % copy, 1) for line in lines]
            _grown_layer(root, f"{copy}/{layer.name}", lines)
            if files <= 0:
                return
        copy += 1


def _grown_layer(root: Path, name: str, lines: list[bytes]) -> None:
    """Register a base layer of a tar-split's lines."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    layer = root / "image/overlay2/layerdb/sha256" / digest
    layer.mkdir(parents=True)
    (layer / "diff").write_text(f"sha256:{digest}", encoding="ascii")
    (layer / "cache-id").write_text(digest, encoding="ascii")
    (layer / "size").write_text("0", encoding="ascii")
    (layer / "tar-split.json.gz").write_bytes(gzip.compress(b"".join(lines), 6))
    (root / "overlay2" / digest / "diff").mkdir(parents=True)


def median(words: list[str], runs: int = 3) -> tuple[float, float]:
    """Return the medians of wall and CPU seconds of a process."""
    walls, cpus = zip(*(measure(words, cold=False) for _ in range(runs)), strict=True)
    return statistics.median(walls), statistics.median(cpus)


def report_growth(folder: Path) -> None:
    """Measure stores from small to large and print a table."""
    print("  entries   first scan   its CPU   second scan   peak memory   database of each   find NAME, CPU")
    for files in GROWTH:
        with tempfile.TemporaryDirectory(dir=folder) as made:
            root, database = Path(made) / "root", Path(made) / "bench.db"
            grown_store(root, folder / "gnu", files)
            scan = [*PROGRAM, "scan", str(root), "--db", str(database), "-q"]
            peak = peak_memory(scan) / 1e6
            database.unlink()
            wall, cpu = measure(scan, cold=False)
            size = os.path.getsize(database)
            with sqlite3.connect(database) as connection:
                (entries,) = connection.execute("SELECT count(*) FROM entries").fetchone()
                (name,) = connection.execute("SELECT name FROM entries WHERE type = 'file' LIMIT 1").fetchone()
            second, _ = median(scan)
            _, found = median([*PROGRAM, "find", name, "--db", str(database), "--format", "csv"])
        row = f"{entries:9,} {wall:10.2f} s {cpu:7.2f} s {second:11.3f} s {peak:10.0f} MB {size / entries:16.0f} B"
        print(f"{row} {found:15.3f} s", flush=True)


def compare_duplicates(root: Path) -> None:
    """Print whether the sets of equal files are those that jdupes finds, and the time of both."""
    diffs = sorted(str(path) for path in (root / "overlay2").glob("*/diff"))
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        database = str(Path(folder) / "bench.db")
        subprocess.run([*PROGRAM, "scan", str(root), "--db", database, "-q"], check=True)
        query = [*PROGRAM, "query", "duplicates", "-p", "top=0", "--db", database, "--format", "csv"]
        start = time.perf_counter()
        answer = subprocess.run(query, check=True, stdout=subprocess.PIPE).stdout.decode()
        middle = time.perf_counter()
        read = subprocess.run(["jdupes", "-r", "-q", *diffs], check=True, stdout=subprocess.PIPE).stdout
        end = time.perf_counter()
        ours = _sets_of_database(root, database)
    counted = sorted((int(row["size"]), int(row["copies"])) for row in csv.DictReader(io.StringIO(answer)))
    parts = (part.strip(b"\n") for part in read.split(b"\n\n"))
    theirs = {frozenset(map(_inode, part.split(b"\n"))) for part in parts if part}
    sizes = sorted((os.lstat(path).st_size, len(inodes)) for inodes, path in ours.items())
    print(
        f"\n{root.name}: {len(ours):,} sets of equal files, {len(theirs):,} by jdupes; the same: {theirs == set(ours)}"
    )
    print(f"sets that only one of them has: {len(set(ours) - theirs)} and {len(theirs - set(ours))}")
    print(f"sizes and copies are those the query says: {sizes == counted}")
    print(f"duplicates {middle - start:.2f} s, jdupes {end - middle:.2f} s", flush=True)


def _sets_of_database(root: Path, database: str) -> dict[frozenset[int], bytes]:
    """Return the sets of inodes whose files have equal size and CRC-64, each with a path."""
    sql = """
    SELECT y.cache_id, coalesce(d.path_raw, d.path), coalesce(e.name_raw, e.name), e.size, e.content_crc64
    FROM layers AS y JOIN entries AS e USING (listing_id) JOIN directories AS d USING (directory_id)
    WHERE e.type = 'file' AND e.size > 0 AND e.content_crc64 IS NOT NULL"""
    sets: dict[tuple[int, int], list[bytes]] = {}
    with sqlite3.connect(database) as connection:
        for cache_id, directory, name, size, crc in connection.execute(sql):
            parts = (part if isinstance(part, bytes) else part.encode() for part in (directory, name))
            path = b"/".join((os.fsencode(root / "overlay2" / cache_id / "diff"), *parts))
            sets.setdefault((size, crc), []).append(path)
    return {frozenset(map(_inode, paths)): paths[0] for paths in sets.values() if len(paths) > 1}


def _inode(path: bytes) -> int:
    return os.lstat(path).st_ino


def main() -> None:
    """Make the stores if needed, measure, print."""
    folder = Path(sys.argv[1])
    for tar_format in ("gnu", "pax"):
        root = folder / tar_format
        if not root.is_dir():
            make_store(root, tar_format)
        if "--jdupes" in sys.argv:
            compare_duplicates(root)
        elif "--growth" not in sys.argv:
            report(tar_format, root, cold="--cold" in sys.argv)
    if "--growth" in sys.argv:
        report_growth(folder)


if __name__ == "__main__":
    main()
