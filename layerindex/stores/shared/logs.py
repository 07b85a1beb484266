"""Finds the log files of containers in a folder, by their names; none is opened."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from layerindex.names import from_os, printable
from layerindex.problems import Damage, vanished
from layerindex.records import ContainerLog
from layerindex.stores.disk.files import damage

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from layerindex.stores.disk.files import Folder


class Logs(NamedTuple):
    """The log files of a container; `whole` is False when there may be some that could not be seen."""

    files: list[ContainerLog]
    damages: list[Damage]
    whole: bool = True

    @property
    def size(self) -> int | None:
        """The bytes of all; None when they are unknown or more than SQLite can hold, as sparse files can claim."""
        total = sum(file.apparent_bytes for file in self.files)
        whole = self.whole and all(found.problem.code != "missing-log" for found in self.damages)
        return total if whole and total < 2**63 else None


class LogKind(NamedTuple):
    """What the name of a log file says: its driver, and how often it was rotated; None for other names."""

    driver: str
    rotation: int | None


def take_logs(logs: Logs, folder: Folder, container_id: str, kind_of: Callable[[str], LogKind | None]) -> None:
    """Add the log files in a folder, by what `kind_of` says of their names; none is opened."""
    for name, entry in sorted(folder.entries.items()):
        kind = kind_of(name)
        if kind is None:
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            found = damage(error, folder.where(name))
            if found.problem.code == "missing":
                # A log may be rotated, and so renamed, while we look.
                found = vanished(folder.where(name))
            logs.damages.append(found)
            continue
        if stat.S_ISLNK(status.st_mode):
            logs.damages.append(_linked_log(folder, name, container_id))
            continue
        if not stat.S_ISREG(status.st_mode):
            logs.damages.append(Damage("not-regular", folder.where(name), "no log file", container_id))
            continue
        # The path is a key, so it is the exact name: two names may have the same printable text.
        path = f"{folder.path}/{from_os(name)}"
        sizes = (status.st_size, min(512 * status.st_blocks, 2**63 - 1))
        logs.files.append(ContainerLog(container_id, path, *kind, *sizes, _modified(status)))


def _linked_log(folder: Folder, name: str, container_id: str) -> Damage:
    """Return the finding that a log was moved elsewhere: a restart frees the file that the engine holds open."""
    try:
        target = printable(from_os(folder.target(name)))
    except Damage as found:
        return found
    detail = f"a symlink leads to {target}; it is not followed, and its bytes are not counted"
    return Damage("missing-log", folder.where(name), detail, container_id)


def _modified(status: os.stat_result) -> str | None:
    """Return when a file was last written; None for what is no year of ours."""
    seconds, rest = divmod(status.st_mtime_ns, 10**9)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment.replace(tzinfo=None).isoformat()}.{rest:09}Z"
