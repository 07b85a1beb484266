"""Reads the driver's own folder, `overlay2/`: directories and short names.

Format: moby `daemon/graphdriver/overlay2/overlay.go`; fuse-overlayfs keeps the same files, and so does
containers-storage (`drivers/overlay/overlay.go`), with some of its own.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes
from layerindex.guard import reader
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Link
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import LOWER
from layerindex.stores.disk.values import word

if TYPE_CHECKING:
    from layerindex.stores.disk.files import Folder

LOWERS = 512
"""Most lowers of a directory: moby stops at 128, containers-storage at 500."""

NOT_LAYERS = re.compile(
    r"l|backingFsBlockDev|opaque-bug-check.*|metacopy-check.*|check-overlayfs-support.*|userxattr-check.*"
    r"|fsutils-dummy.*|compat[0-9]+|volatile-check.*|staging|tempdirs|\.has-mount-program"
)
"""Names in the driver's folder that are no layer directories (FORMATS 3.1, 10)."""

ROTATED = re.compile(r"diff[1-9][0-9]*")
"""Older folders of a layer that was made anew in place; in a mount they are lower directories of its `diff`."""


ADDITIONAL = "additionallayer"
"""A file that says where another program keeps a layer's files."""
KEPT_ELSEWHERE = "another program keeps its files, outside the store"


def directories(driver: str) -> str:
    """Return the folder of a driver's directories, relative to the root; moby and containers-storage agree on it."""
    return "vfs/dir" if driver == "vfs" else driver


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
    lower_ids: list[str] | None = None
    """The lower directories by name, where a file lists them; they take precedence over short names."""
    identity: tuple[int, int] = (0, 0)
    """Its inode and when that last changed, to notice that another directory of that name has replaced it."""


@reader
def read_directory(driver: Folder, name: str) -> Directory:
    """Read `link` and `lower` of one directory and see what else is in it; raises Damage when it cannot be opened."""
    damages: list[Damage] = []
    with driver.folder(name) as folder:
        link = word(folder, "link", shapes.LINK, damages)
        lowers: list[str] | None = []
        if "lower" in folder:
            lowers = _lowers(folder, damages)
        lower_ids = _lower_ids(folder, damages) if "lower-layers" in folder else None
        damages += _rotated(folder)
        if not folder.has_folder("diff") and ADDITIONAL in folder:
            damages.append(Damage("additional-layer", folder.where(ADDITIONAL), KEPT_ELSEWHERE))
        elif not folder.has_folder("diff"):
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
            lower_ids,
            identity(os.fstat(folder.handle)),
        )


def identity(status: os.stat_result) -> tuple[int, int]:
    """Return what identifies a directory and its last change."""
    return status.st_ino, status.st_ctime_ns


def _lower_ids(folder: Folder, damages: list[Damage]) -> list[str] | None:
    """Return the directories that a lower-layers file names, nearest first."""
    try:
        items = folder.text("lower-layers", LOWER).split(":")
        if len(items) <= LOWERS:
            return [ids.shaped(shapes.CACHE_ID, item) for item in items]
        detail = f"{len(items)} lowers, at most {LOWERS} are possible"
        damages.append(Damage("bad-value", folder.where("lower-layers"), detail))
    except Damage as found:
        damages.append(found)
    except ValueError as error:
        damages.append(Damage("bad-id", folder.where("lower-layers"), f"{error}"))
    return None


def _rotated(folder: Folder) -> list[Damage]:
    """Return the finding that a layer has files outside of its diff."""
    rotated = sorted(name for name in folder.entries if ROTATED.fullmatch(name))
    if not rotated:
        return []
    detail = f"older files lie in {', '.join(rotated[:3])}, below those of diff; they are not listed"
    return [Damage("rotated-diff", folder.where(rotated[0]), detail)]


def _lowers(folder: Folder, damages: list[Damage]) -> list[str] | None:
    """Return the short names of a lower file, nearest first: `l/<LINK>` joined by colons."""
    try:
        items = folder.text("lower", LOWER).split(":")
        if len(items) <= LOWERS:
            return [ids.shaped(shapes.LINK, item.removeprefix("l/")) for item in items]
        detail = f"{len(items)} lowers, at most {LOWERS} are possible"
        damages.append(Damage("bad-value", folder.where("lower"), detail))
    except Damage as found:
        damages.append(found)
    except ValueError as error:
        damages.append(Damage("bad-id", folder.where("lower"), f"{error}"))
    return None


@reader
def read_link(links: Folder, name: str) -> tuple[Link, list[Damage]]:
    """Read one short name of `l/`; the target is read as text and never followed."""
    if not shapes.LINK.fullmatch(name):
        raise Damage("unexpected-entry", links.where(name), "not a short name")
    try:
        target = links.target(name)
    except Damage as found:
        if found.problem.code != "not-a-link":
            raise
        return Link(name, None, None), [found]
    match = shapes.LINK_TARGET.fullmatch(target)
    if match is None:
        detail = f"it points to {ids.shorten(target)}"
        return Link(name, from_os(target), None), [Damage("outside-link", links.where(name), detail, name)]
    return Link(name, target, match[1]), []
