"""The program, run as its user runs it, and the database that it writes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerindex import catalog

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM_SECONDS = 300


@dataclass(frozen=True)
class Index:
    """A database that `layerindex scan` wrote."""

    path: Path

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL on the database as any sqlite3 shell would."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def every_query(self, image: str) -> None:
        """Run each canned query; those that need an image ask for this one, those that need a path for /bin/sh."""
        for path in sorted((CHECKOUT / "queries").glob("*.sql")):
            params = catalog.load(path.stem).params
            needed = [key for key, param in params.items() if param.required]
            self.query(path.stem, **{key: "/bin/sh" if key == "path" else image for key in needed})

    def show(self, thing: str) -> list[dict[str, Any]]:
        """Return what the program says of what a thing names."""
        done = layerindex("show", "--db", self.path, "--format", "json", "--", thing)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def query(self, name: str, **parameters: str) -> list[dict[str, Any]]:
        """Run a canned query through the program and return its rows."""
        words = [word for key, value in parameters.items() for word in ("-p", f"{key}={value}")]
        answer = layerindex("query", name, *words, "--db", self.path, "--format", "json")
        found: list[dict[str, Any]] = json.loads(answer.stdout)
        return found


def layerindex(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program; the test fails with what it said where it does not exit 0."""
    result = subprocess.run(
        [sys.executable, "-m", "layerindex", *(str(word) for word in words)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result


def scan_at_rest(root: Path, db: Path, *options: str) -> Index:
    """Scan a root whose engine runs, again as long as it removes something meanwhile: containerd collects garbage."""
    for _ in range(20):
        db.unlink(missing_ok=True)
        index = scan(root, db, *options)
        if not index.rows("SELECT 1 FROM problems WHERE code = 'vanished'"):
            break
        time.sleep(0.5)
    return index


def scan(root: Path, db: Path, *options: str) -> Index:
    """Scan a root into a database."""
    layerindex("scan", root, "--db", db, "--host", "h1", "-q", *options)
    return Index(db)
