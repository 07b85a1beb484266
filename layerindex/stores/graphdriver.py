"""Readers of the driver's own folder, `overlay2/`: directories and short names.

Format: moby `daemon/graphdriver/overlay2/overlay.go`; fuse-overlayfs keeps the same files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from layerindex.names import listed
from layerindex.problems import Damage
from layerindex.records import Link
from layerindex.stores import ids
from layerindex.stores.files import LOWER
from layerindex.stores.values import word

if TYPE_CHECKING:
    from layerindex.stores.files import Folder

LOWERS = 512
"""Most lowers of a directory: moby stops at 128, containers-storage at 500."""

NOT_LAYERS = re.compile(
    r"l|backingFsBlockDev|opaque-bug-check.*|metacopy-check.*|check-overlayfs-support.*|userxattr-check.*"
    r"|fsutils-dummy.*"
)
"""Names in the driver's folder that are no layer directories (FORMATS 3.1)."""


class Directory(NamedTuple):
    """What the files of one directory say."""

    cache_id: str
    path: str
    link: str | None
    lowers: list[str] | None
    has_diff: int
    has_work: int
    has_merged: int
    committed: int
    damages: list[Damage]


def read_directory(driver: Folder, name: str) -> Directory:
    """Read `link` and `lower` of one directory and see what else is in it; raises Damage when it cannot be opened."""
    damages: list[Damage] = []
    with driver.folder(name) as folder:
        link = word(folder, "link", ids.LINK, damages)
        lowers: list[str] | None = []
        if "lower" in folder:
            lowers = _lowers(folder, damages)
        if not folder.has_folder("diff"):
            code = "not-a-folder" if "diff" in folder else "missing"
            damages.append(Damage(code, folder.where("diff"), "the directory has no diff folder"))
        return Directory(
            name,
            folder.path,
            link,
            lowers,
            folder.has_folder("diff"),
            folder.has_folder("work"),
            folder.has_folder("merged"),
            int("committed" in folder),
            damages,
        )


def _lowers(folder: Folder, damages: list[Damage]) -> list[str] | None:
    """Return the short names of a lower file, nearest first: `l/<LINK>` joined by colons."""
    try:
        items = folder.text("lower", LOWER).split(":")
        if len(items) <= LOWERS:
            return [ids.shaped(ids.LINK, item.removeprefix("l/")) for item in items]
        detail = f"{len(items)} lowers, at most {LOWERS} are possible"
        damages.append(Damage("bad-value", folder.where("lower"), detail))
    except Damage as found:
        damages.append(found)
    except ValueError as error:
        damages.append(Damage("bad-id", folder.where("lower"), f"{error}"))
    return None


def read_link(links: Folder, name: str) -> tuple[Link, list[Damage]]:
    """Read one short name of `l/`; the target is taken as text and never followed."""
    if not ids.LINK.fullmatch(name):
        raise Damage("unexpected-entry", links.where(name), "not a short name")
    try:
        target = links.target(name)
    except Damage as found:
        if found.problem.code != "not-a-link":
            raise
        return Link(name, None, None), [found]
    match = ids.LINK_TARGET.fullmatch(target)
    if match is None:
        detail = f"it points to {ids.shorten(target)}"
        return Link(name, listed(target), None), [Damage("outside-link", links.where(name), detail, name)]
    return Link(name, target, match[1]), []
