"""Parts of a root that lie elsewhere: folders that are mounts or symlinks, and volumes.

A mounted filesystem is counted separately, in the same way as the root; the target of a symlink is named and not
followed.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from layerindex.names import from_os, on_disk
from layerindex.stores.disk.files import open_folder
from layerindex.usage.measure import Count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.usage.measure import Attribution

MOUNTS = "/proc/self/mountinfo"
_OCTAL = re.compile(rb"\\([0-7]{3})")


class Apart(NamedTuple):
    """A folder of a root that lies elsewhere."""

    name: str
    holder: Attribution
    target: str | None
    """Where a symlink leads, printable; None where a filesystem is mounted."""
    counted: Count | None
    """None where nothing was counted."""

    @property
    def where(self) -> str:
        """Where it lies, as `disk_usage.place` says it."""
        return self.target or from_os(self.name)


def counted_apart(root: int, attribute: Callable[[tuple[str, ...], bool], Attribution]) -> Iterator[Apart]:
    """Yield mounts and symlinks in place of folders of an open root; `attribute` says to whom each belongs."""
    device = os.fstat(root).st_dev
    for name in sorted(os.listdir(root)):
        holder = attribute((name,), True)
        try:
            status = os.stat(name, dir_fd=root, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                yield Apart(name, holder, from_os(os.readlink(name, dir_fd=root)), None)
            elif stat.S_ISDIR(status.st_mode) and status.st_dev != device:
                yield Apart(name, holder, None, None if holder.skipped else _count(root, name, attribute))
        except OSError:
            continue  # It disappeared, or may not be read; the count of the root reports what it could not enter.


def counted_at(path: str, holder: Attribution) -> Apart:
    """Count a folder outside the root, all for one holder; `path` is in the text form of the database."""
    name = on_disk(path)
    try:
        handle = open_folder(name)
    except OSError:
        return Apart(name, holder, None, None)
    try:
        return Apart(name, holder, None, Count(handle, holder, lambda *_: holder, (name,)))
    finally:
        os.close(handle)


def _count(root: int, name: str, attribute: Callable[[tuple[str, ...], bool], Attribution]) -> Count:
    handle = open_folder(name, root)
    try:
        return Count(handle, attribute((name,), True), attribute, (name,))
    finally:
        os.close(handle)


def mount_points(root: str) -> frozenset[tuple[str, ...]]:
    """Return the paths of mounts below a root, each as its names; none where the system does not say."""
    above = os.fsencode(root).rstrip(b"/") + b"/"
    try:
        with open(MOUNTS, "rb") as file:
            points = [_OCTAL.sub(_byte, fields[4]) for line in file if len(fields := line.split()) > 4]
    except OSError:
        return frozenset()
    below = (point.removeprefix(above) for point in points if point.startswith(above))
    return frozenset(tuple(os.fsdecode(path).split("/")) for path in below)


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8) & 0xFF])
