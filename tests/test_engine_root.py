"""The tool that makes a root with the engines of today says why it cannot, and keeps what it made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tools import engine_root

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DEBOOTSTRAP = """#!/bin/sh
for last; do before=$mirror mirror=$script script=$last; done
mkdir -p "$before/usr/bin" "$before/usr/sbin" && cd "$before" && echo made
for each in %s; do echo > $each; chmod +x $each; done
exit %d
"""


def debootstrap(folder: Path, monkeypatch: pytest.MonkeyPatch, *, status: int) -> None:
    """Put a program in the place of debootstrap that makes empty programs, and ends with a status."""
    program = folder / "debootstrap"
    program.write_text(DEBOOTSTRAP % (" ".join(engine_root.PROGRAMS), status))
    program.chmod(0o755)
    monkeypatch.setattr(engine_root, "DEBOOTSTRAP", str(program))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine_root, "mirror", lambda: "a mirror")


def test_a_root_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made is found again, and not made anew."""
    debootstrap(tmp_path, monkeypatch, status=0)
    root = tmp_path / "cache" / "root"
    assert "has no usr/bin/podman" in str(engine_root.why_not(root))
    assert engine_root.make(root) is None
    assert engine_root.why_not(root) is None
    debootstrap(tmp_path, monkeypatch, status=1)
    assert engine_root.make(root) is None


def test_a_mirror_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What debootstrap said is the reason, and nothing stays that looks like a root."""
    debootstrap(tmp_path, monkeypatch, status=1)
    root = tmp_path / "cache" / "root"
    assert engine_root.make(root) == "debootstrap failed: made\n"
    assert list(root.parent.iterdir()) == []


def test_without_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no apt-get nothing is asked of the network."""
    asked = engine_root.mirror
    debootstrap(tmp_path, monkeypatch, status=0)
    monkeypatch.setattr(engine_root, "mirror", asked)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert engine_root.make(tmp_path / "root") == "apt-get names no mirror of Debian"
