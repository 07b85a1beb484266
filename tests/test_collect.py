"""The script of docs/fleet.md, run as it stands, with an ssh that leads to folders of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from layerindex import database
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "fleet.md"
PROGRAMS = {
    "ssh": 'host=$1; shift; [ -d "$ROOTS/$host" ] || exit 255; LAYERINDEX_ROOT="$ROOTS/$host" exec sh -c "$*"',
    "sudo": 'exec "$@"',
    "layerindex": f'exec {sys.executable} -m layerindex "$@"',
}


def script(name: str, places: Mapping[str, Path]) -> str:
    """Return a script of the page with other files in the place of a machine's own."""
    found = re.search(rf"<!-- script: {name} -->\n```sh\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    text = found[1]
    for place, path in places.items():
        assert place in text
        text = text.replace(place, str(path))
    return text


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the programs that it calls in a folder's `bin`."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name, line in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "ROOTS": str(folder / "roots"),
        "PYTHONPATH": str(CHECKOUT),
    }
    return subprocess.run(
        ["sh", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_collect(tmp_path: Path) -> None:
    """Each host's snapshot arrives, day by day; one that cannot be reached is named and costs nothing else."""
    for seed, host in enumerate(("web-1", "web-2")):
        root = DataRoot(tmp_path / "roots" / host, seed=seed)
        root.image(root.layer({"etc/hostname": host.encode()}), ["app:1"])
    (tmp_path / "hosts").write_text("web-1\nnowhere\nweb-2\n")
    fleet = tmp_path / "fleet.db"
    text = script("collect", {"/etc/layerindex/hosts": tmp_path / "hosts", "/srv/fleet.db": fleet})
    for day in (1, 2):
        done = run(tmp_path, text)
        assert 0 == done.returncode, done.stderr
        assert "nowhere was not collected" in done.stderr
        assert "web-1 was not" not in done.stderr
        with database.reading(str(fleet)) as connection:
            found = connection.execute(
                "SELECT host, count(*) FROM snapshot_hosts GROUP BY host ORDER BY host"
            ).fetchall()
            (files,) = connection.execute("SELECT count(*) FROM entries WHERE name = 'hostname'").fetchone()
        assert [("web-1", day), ("web-2", day)] == found
        assert files == 2
    assert {"bin", "roots", "hosts", "fleet.db"} == {path.name for path in tmp_path.iterdir()}
