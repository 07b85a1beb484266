"""What the fault suite plays on: a small store, databases of it, and each writing command with its two right ends."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from alembic import command as alembic
from sqlalchemy import StaticPool, create_engine

from layerindex import migrate
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Outcome = Counter[tuple[str, str]]
"""The snapshots of a database: host, and digest of all that is said of it."""

VOLATILE: Final = {
    *("snapshot_id", "listing_id", "host_id", "host", "part_id", "content_id", "directory_id"),
    # Lists of the numbers of listings.
    *("above", "below"),
}
"""Columns that differ between two scans of the same store, on two hosts."""

OF_THE_SCAN: Final = VOLATILE | {"label", "uid", "started_at", "finished_at", "ordered_at", "received_at"}
"""Such columns of a snapshot itself."""

ELSEWHERE: Final = (
    *("current_", "selected_", "snapshot_ages", "snapshot_hosts", "image_files", "container_files"),
    "numbered_",
)
"""Views in which a snapshot stands only while it is the newest, or by its host's name, or with this file's numbers."""

FILES: Final = """
SELECT 'file', l.chain_id, f.path, f.type, f.size FROM layers AS l JOIN files AS f USING (listing_id)
WHERE l.snapshot_id = ?"""


class Command(NamedTuple):
    """A command that writes, the files it starts from, and the two outcomes that are right."""

    name: str
    words: tuple[str, ...]
    """What follows `layerindex`, with {db}, {store}, {folder} to be filled in."""
    template: Path
    """The folder that each round begins with a copy of."""
    before: Outcome
    after: Outcome
    calls: Mapping[str, int]
    """How often a run without faults reads (r), writes (w), syncs (s), truncates (t), and makes or takes a name (n)."""
    seconds: float
    """How long such a run takes."""
    size: int
    """Bytes of its files at the end."""


class Done(NamedTuple):
    """How a command ended."""

    status: int
    said: str
    printed: str


class Play(NamedTuple):
    """One round's folders."""

    folder: Path
    temporary: Path

    @property
    def db(self) -> Path:
        """The database of the round."""
        return self.folder / "db"


def compile_shim(folder: Path) -> Path:
    """Compile the library that makes faults; raises CalledProcessError or FileNotFoundError where that cannot be."""
    made = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-o", made, source, "-ldl"], check=True)
    return made


def environment(play: Play, faults: Mapping[str, object] = {}) -> dict[str, str]:
    """Return what a command of a round finds around it."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("FAULT_", "LAYERINDEX"))}
    return given | {"TMPDIR": str(play.temporary)} | {name: str(value) for name, value in faults.items()}


def line(words: tuple[str, ...], play: Play, store: Path) -> list[str]:
    """Return the command line of a round."""
    places = {"db": play.db, "store": store, "folder": play.folder}
    return [sys.executable, "-m", "layerindex", *(word.format(**places) for word in words)]


def run(words: tuple[str, ...], play: Play, store: Path, faults: Mapping[str, object] = {}) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        line(words, play, store),
        env=environment(play, faults),
        capture_output=True,
        text=True,
        errors="replace",  # an export to standard output is no text
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stderr, done.stdout)


def outcome(path: Path) -> Outcome:
    """Return the snapshots of a database, and make sure that it is sound; none for no database or an empty one."""
    if not path.exists() or path.stat().st_size == 0:
        return Counter()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        if not list(connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")):
            return Counter()
        rows = connection.execute("SELECT snapshot_id, name FROM snapshots JOIN hosts USING (host_id)").fetchall()
        return Counter((name, _digest(connection, number)) for number, name in rows)


def _digest(connection: sqlite3.Connection, number: int) -> str:
    """Return a digest of all rows about a snapshot, in every table and view of its facts, and of its files."""
    known = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
    digest = hashlib.sha256()
    for (table,) in connection.execute(known).fetchall():
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
        volatile = OF_THE_SCAN if table == "snapshots" else VOLATILE
        chosen = ", ".join(name for name in columns if name not in volatile)
        if "snapshot_id" in columns and chosen and not table.startswith(ELSEWHERE):
            rows = connection.execute(f"SELECT {chosen} FROM {table} WHERE snapshot_id = ?", (number,))
            digest.update(repr((table, sorted(map(repr, rows)))).encode())
    digest.update(repr(sorted(map(repr, connection.execute(FILES, (number,))))).encode())
    return digest.hexdigest()[:16]


class Stage:
    """The store, the shim, and the commands, made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = _store(folder / "store")
        self.shim = compile_shim(folder)
        self._templates()
        self.commands = [
            self._command("scan-first", ("scan", "{store}", "--db", "{db}", "--host", "web-1"), "none"),
            self._command("scan-second", ("scan", "{store}", "--db", "{db}", "--host", "web-1"), "some"),
            self._command("import-first", ("import", "{folder}/in.db.zst", "--db", "{db}"), "none"),
            self._command("import", ("import", "{folder}/in.db.zst", "--db", "{db}"), "some"),
            self._command("export", ("export", "{folder}/out.db.zst", "--db", "{db}"), "some"),
            self._command("export-force", ("export", "{folder}/in.db.zst", "--db", "{db}", "--force"), "some"),
            self._command("rm", ("snapshots", "rm", "1", "--db", "{db}"), "some"),
            self._command("prune", ("snapshots", "prune", "--keep", "1", "--db", "{db}"), "some"),
            self._command("upgrade", ("db", "upgrade", "--db", "{db}"), "old"),
        ]
        ((_, self.whole),) = self.commands[0].after

    def play(self, template: Path | None = None, folder: Path | None = None, temporary: Path | None = None) -> Play:
        """Begin a round: a folder with a copy of the template's files, and one for temporary files."""
        made = Play(*(Path(tempfile.mkdtemp(dir=each or self.folder, prefix="round-")) for each in (folder, temporary)))
        if template is not None:
            shutil.copytree(template, made.folder, dirs_exist_ok=True)
        return made

    @contextmanager
    def disk(self) -> Iterator[Path]:
        """Give a disk of 8 MB; raises PermissionError where we may not mount one."""
        folder = tempfile.mkdtemp(dir=self.folder, prefix="disk-")
        if os.geteuid() != 0:
            raise PermissionError("a small disk takes the right to mount one")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "none", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)

    @staticmethod
    def close(play: Play) -> None:
        """End a round."""
        for folder in play:
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, words: tuple[str, ...], play: Play, faults: Mapping[str, object] = {}) -> Done:
        """Run a command of a round to its end, with faults where some are named."""
        return run(words, play, self.store, self.preloaded(faults) if faults else {})

    def preloaded(self, faults: Mapping[str, object]) -> dict[str, object]:
        """Return what makes faults happen."""
        return {"LD_PRELOAD": self.shim, **faults}

    def _templates(self) -> None:
        """Make the folders that rounds begin with: no database, one with three snapshots, the same of an old schema."""
        none, some, old = (self.folder / name for name in ("none", "some", "old"))
        other = Play(self.folder / "other", self.folder)
        other.folder.mkdir()
        for words in (
            ("scan", "{store}", "--db", "{db}", "--host", "far-1"),
            ("scan", "{store}", "--db", "{db}", "--host", "far-2"),
            ("export", "{folder}/in.db.zst", "--db", "{db}"),
        ):
            assert run(words, other, self.store).status == 0
        other.db.unlink()
        other.folder.rename(none)
        shutil.copytree(none, some)
        for host in ("web-1", "web-1", "web-2"):
            words = ("scan", "{store}", "--db", "{db}", "--host", host)
            assert run(words, Play(some, self.folder), self.store).status == 0
        shutil.copytree(some, old)
        with closing(sqlite3.connect(old / "db", isolation_level=None)) as opened:
            engine = create_engine("sqlite://", creator=lambda: opened, poolclass=StaticPool)
            with engine.begin() as connection:
                alembic.downgrade(migrate.config(connection), "-1")

    def _command(self, name: str, words: tuple[str, ...], template: str) -> Command:
        """Learn what a command does when nothing happens to it."""
        folder = self.folder / template
        play = self.play(folder)
        count = self.folder / f"count-{name}"
        began = os.times().elapsed
        done = self.run(words, play, {"FAULT_PATHS": f"{play.folder}:{play.temporary}", "FAULT_COUNT": count})
        seconds = os.times().elapsed - began
        assert done.status == 0, done.said
        calls = max((list(map(int, line.split())) for line in count.read_text().splitlines()), key=sum)
        after, size = outcome(play.db), sum(path.stat().st_size for path in play.folder.iterdir())
        self.close(play)
        before = outcome(folder / "db")
        return Command(name, words, folder, before, after, dict(zip("rwstn", calls, strict=True)), seconds, size)


def _store(path: Path) -> Path:
    """Build a store whose scan takes a moment: some layers with files, images, a container, a volume."""
    root = DataRoot(path)
    base = root.layer({f"usr/share/doc/{number}/copyright": b"x" * (number % 7) for number in range(150)})
    for number in range(4):
        middle = root.layer({f"opt/{number}/{name}": b"y" for name in range(60)}, parent=base)
        top = root.layer({f"srv/{number}": b"z", "etc/conf": str(number).encode()}, parent=middle)
        root.container(root.image(top, [f"acme/app-{number}:1"]), name=f"app-{number}")
    root.volume("data")
    return path
