"""Says whether an engine runs on a store, to distinguish a write in progress from one that a crash left.

An engine holds a lock on its databases for as long as it runs (bbolt's flock, of `volumes/metadata.db` and BuildKit's).
The kernel lists locks in `/proc/locks`, so nothing is touched or locked to find out.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from layerindex.guard import reading
from layerindex.problems import Damage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerindex.stores.disk.files import Folder

LOCKED = (
    ("volumes", "metadata.db"),
    ("buildkit", "snapshots.db"),
    ("buildkit", "metadata_v2.db"),
)
"""Databases that dockerd opens at its start and closes at its end."""

FIRST_NAMESPACE = 0xEFFFFFFC
"""Inode of the first PID namespace (Linux: include/linux/proc_ns.h); in others, some locks are hidden."""

NEVER = float("inf")


def running_since(root: Folder, databases: Iterable[tuple[str, str]] = LOCKED) -> float | None:
    """Return when the engine that has this root open was started, in seconds since 1970.

    `databases` are those that it holds locked.
    NEVER: no engine has it open, so nothing in the root is in motion. None: unknown.
    """
    try:
        with reading("/proc/locks"):
            return _running_since(root, databases)
    except Damage:
        return None


def _running_since(root: Folder, databases: Iterable[tuple[str, str]]) -> float | None:
    inodes = {_inode(root, *names) for names in databases} - {None}
    if not inodes:
        return None
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            locks = [line.split() for line in file]
        holders = [int(lock[4]) for lock in locks if len(lock) > 5 and lock[1] == "FLOCK" and _locked(lock) in inodes]
        if holders:
            return max(_started(pid) for pid in holders)
        return NEVER if os.stat("/proc/self/ns/pid").st_ino == FIRST_NAMESPACE else None
    except (OSError, ValueError, IndexError):
        return None


def _inode(root: Folder, *names: str) -> int | None:
    try:
        folder = os.open(names[0], os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=root.handle)
    except OSError:
        return None
    try:
        return os.stat(names[1], dir_fd=folder, follow_symlinks=False).st_ino
    except OSError:
        return None
    finally:
        os.close(folder)


def _locked(lock: list[str]) -> int:
    """Return the inode of a line of /proc/locks; its device is not compared: btrfs and overlay state another."""
    return int(lock[5].rpartition(":")[2])


def _started(pid: int) -> float:
    """Return when a process was started, in seconds since 1970; proc_pid_stat(5), field 22.

    Computed from its age: the boot time in /proc/stat has whole seconds, and is wrong once the clock was set.
    """
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
