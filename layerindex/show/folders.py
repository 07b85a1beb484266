"""What is said of a path below a known root at which the database has no thing: what the folder is, or that none is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layerindex.names import printable
from layerindex.plan.commands import QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = "the root of a store that was scanned: `layerindex query disk-usage` says what holds its bytes"
MOVED = (
    f"where the script of a plan moves what it takes for an orphan; moved.log in {QUARANTINE}/ says from "
    "where, and how to move it back"
)
FOLDERS = (
    (rf"{QUARANTINE}(/.*)?", MOVED),
    (r"volumes", "the folder of volumes: `layerindex query volumes` lists them"),
    (r"containers", "the folder of containers, with their configs and logs: `layerindex query containers` lists them"),
    (r"image/[^/]+/distribution(/.*)?", "what Docker notes of digests when it pulls and pushes, by layer"),
    (
        r"image(/[^/]+(/(imagedb|layerdb|repositories\.json)(/[a-z0-9]+)?)?)?",
        "what Docker records of images and layers",
    ),
    (r"overlay2|fuse-overlayfs", "the folder of layers' directories: `layerindex query dirs` lists them"),
    (r"(overlay2|overlay|fuse-overlayfs)/l", "the folder of short links: `layerindex query links` lists them"),
)
"""Folders by their path in a root, and what they are."""
SURE = frozenset((ROOT, *(said for _, said in FOLDERS)))
"""What is so whatever else was not read."""


def told(text: str, roots: Sequence[str]) -> str | None:
    """Return what is known of a path below a root, the longest of which come first; nothing for any other text."""
    if not text.startswith("/"):
        return None
    path = re.sub("/+", "/", text).rstrip("/")
    for root in (each.rstrip("/") for each in roots):
        if path == root:
            return ROOT
        if root and path.startswith(f"{root}/") and ".." not in path.split("/"):
            below = path.removeprefix(f"{root}/")
            said = next((said for pattern, said in FOLDERS if re.fullmatch(pattern, below)), None)
            return said or f"below {printable(root)}, but nothing in the database lies there"
    return None
