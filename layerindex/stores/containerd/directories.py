"""Reads the directories of a snapshotter, `snapshots/<n>`: their content, their owners, and those without owner.

The number is given by the snapshotter's database; nothing in the directory says what it is or what lies below it. A
snapshot's directory is made before its row and removed after it (containerd `plugins/snapshots/overlay/overlay.go`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layerindex.missing import going
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import OverlayDir, OverlayLower
from layerindex.stores.shared.claims import NEED_DIRECTORY, directory_use
from layerindex.stores.shared.overlay import LATE, PAUSE, in_motion, look_again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from layerindex.records import Record, Use
    from layerindex.stores.containerd.snapshots import Stored
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims

SNAPSHOTTER = "io.containerd.snapshotter.v1."
"""How the folders of snapshotters begin."""

FOLDER = "snapshots"
NUMBER = re.compile(r"[0-9]{1,20}")
TEMPORARY = re.compile(r"new-.*|rm-.*", re.DOTALL)
"""Directories that are being made, or removed."""
MADE = re.compile(rf"{NUMBER.pattern}|{TEMPORARY.pattern}", re.DOTALL)

LOWERS = 512
"""Deepest chain of snapshots that is followed; the kernel mounts at most 500."""


def names(root: Folder, snapshotter: str) -> set[str]:
    """Return the names of the directories that exist now."""
    try:
        with root.folder(snapshotter, FOLDER) as folder:
            return {name for name in folder.entries if folder.has_folder(name)}
    except Damage:
        return set()


def read_directories(  # noqa: PLR0913, PLR0917 - called in one place
    root: Folder,
    snapshotter: str,
    before: set[str],
    claims: Claims,
    stored: Mapping[str, Stored],
    again: Callable[[float], Claims],
    *,
    native: bool,
) -> Iterator[Record | Damage]:
    """Yield the directories, what lies below them, and their owners.

    `before` are the directories from before the databases were read; `again` reads the databases once more.
    """
    with root.folder(snapshotter) as above:
        if FOLDER not in above:
            return
    with root.folder(snapshotter, FOLDER) as folder:
        here = [name for name in sorted(folder.entries) if folder.has_folder(name)]
        for name in sorted(folder.entries.keys() - set(here)):
            found = Damage("unexpected-entry", folder.where(name), "not a directory of a snapshot")
            if NUMBER.fullmatch(name):
                claims.sources.damaged("directories", found)
            yield found
        reader = _Directories(folder, look_again(folder, here, before, claims, again), claims, native=native)
        lowers = _Lowers(stored)
        for name in here:
            below = lowers.of(name)
            yield from reader.records(name, below)
        yield from reader.going(again)


class _Lowers:
    """The directories below each, nearest first, as the snapshotter's database says."""

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self.stored = stored
        self.names = {row.number: name for name, row in stored.items() if row.number is not None}

    def of(self, number: str) -> list[str] | None:
        """Return them; None when the database does not know the directory, or has a cycle."""
        name = self.names.get(number)
        if name is None:
            return None
        found: list[str] = []
        parent = self.stored[name].parent
        while parent and len(found) < LOWERS:
            row = self.stored.get(parent)
            if row is None or row.number is None:
                return None
            found.append(row.number)
            parent = row.parent
        return None if parent else found


class _Directories:
    """The directories and claims of a snapshotter."""

    def __init__(self, folder: Folder, before: set[str], claims: Claims, *, native: bool) -> None:
        self.folder, self.before, self.claims, self.native = folder, before, claims, native

    def records(self, name: str, lowers: list[str] | None) -> Iterator[Record | Damage]:
        """Yield the rows of one directory, and findings about it."""
        owners = list(dict.fromkeys(self.claims.owners.get(name, ())))
        role = self.claims.role(name, was_there=name in self.before, own=MADE.fullmatch)
        text = from_os(name)
        has = {"fs": 1, "work": 0}
        if not self.native:
            try:
                with self.folder.folder(name) as opened:
                    has = {each: opened.has_folder(each) for each in has}
            except Damage as found:
                if not self.folder.exists(name):
                    return
                has = dict.fromkeys(has, 0)
                yield found
            else:
                if not has["fs"] and self.folder.exists(name) and name in self.before and role != "in-flight":
                    yield Damage("missing", f"{self.folder.where(name)}/fs", "the directory has no fs folder", text)
        if TEMPORARY.fullmatch(name):
            yield Damage("leftover", self.folder.where(name), "a snapshot that was being made or removed", text)
        elif not NUMBER.fullmatch(name):
            yield Damage("unexpected-entry", self.folder.where(name), "a name that does not belong here", text)
        committed = int(role in ("layer", "snapshot"))
        count = None if lowers is None else len(lowers)
        yield OverlayDir(text, role, None, count, has["fs"], has["work"], 0, committed)
        for kind, owner in owners:
            yield directory_use(text, kind, owner)
        for position, lower in enumerate(lowers or ()):
            yield OverlayLower(text, position, None, lower)

    def going(self, again: Callable[[float], Claims]) -> Iterator[Use]:
        """Yield the absent directories that the databases no longer name at a second look."""
        lost = [number for number in self.claims.owners if NUMBER.fullmatch(number) and not self.folder.exists(number)]
        if not lost:
            return
        now = again(LATE if in_motion(self.folder) else PAUSE).owners
        for number in sorted(lost, key=int):
            still = set(now.get(number, ()))
            for kind, owner in dict.fromkeys(self.claims.owners[number]):
                if kind in NEED_DIRECTORY and (kind, owner) not in still:
                    yield going("directory", number, owner)
