"""Paths below a known root at which nothing lies: what the folder is, in a short true sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex.cli import group
from layerindex.screen.text import width
from tests import exhibits, terminal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database of stores at /var/lib/docker."""
    return exhibits.build(tmp_path_factory.mktemp("exhibits")).path


@pytest.mark.parametrize(
    ("below", "said"),
    [
        ("", "the root of a store"),
        ("/", "the root of a store"),
        ("/volumes/", "`layerindex query volumes`"),
        ("/image/overlay2/distribution", "what Docker notes of digests"),
        ("/aufs/diff/abc", "nothing in the database lies there"),
        ("/layerindex-quarantine/" + "0" * 64, "moved.log in layerindex-quarantine/"),
    ],
)
def test_a_path_below_a_root(db: str, below: str, said: str) -> None:
    """It is no name that is misspelt."""
    result = CliRunner().invoke(group, ["show", f"/var/lib/docker{below}", "--db", db])
    assert 1 == result.exit_code
    assert result.stderr.startswith(f"Error: /var/lib/docker{below}: ")
    assert said in result.stderr
    assert "did you mean" not in result.stderr
    assert "nothing is called" not in result.stderr


def test_messages_fit_a_terminal(db: str, tmp_path: Path) -> None:
    """Errors and what a scan says are folded there, and in a pipe are a line."""
    done = terminal.run("show", "nosuchthing", "--db", db)
    assert 1 == done.status
    assert len(done.lines) > 2
    assert [] == [line for line in done.lines if width(line) > 80 and " " in line.strip()]
    piped = CliRunner().invoke(group, ["show", "nosuchthing", "--db", db]).stderr
    assert " ".join(done.text.split()) == piped.strip()
    exhibits.build(tmp_path)
    scanned = terminal.run("scan", str(tmp_path / "web-1"), "--db", str(tmp_path / "x.db"))
    assert "files" in scanned.text
    said = scanned.text.rpartition("\x1b[2K")[2].splitlines()  # behind the progress
    assert [] == [line for line in said if width(line) > 80 and " " in line.strip()]
