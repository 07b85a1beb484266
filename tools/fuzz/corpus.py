"""Where inputs come from, and where those go that break a promise."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.fuzz.target import Target

KEPT = Path(__file__).resolve().parents[2] / "tests" / "fuzz_corpus"
"""The inputs in the tree: what no builder makes, and what once broke a promise."""


def inputs(target: Target, folder: Path | None = None) -> list[bytes]:
    """Return a target's seeds, its inputs in the tree and those in a folder, each once."""
    found = dict.fromkeys(target.seeds())
    for place in (KEPT / target.name, folder):
        if place is not None and place.is_dir():
            files = sorted(each for each in place.iterdir() if each.is_file() and not each.name.startswith("broken-"))
            found.update(dict.fromkeys(each.read_bytes() for each in files))
    return list(found)


def keep_broken(target: Target, data: bytes, folder: Path | None = None) -> Path:
    """Write an input that broke a promise, and return where."""
    path = (folder or Path()) / f"broken-{target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
