"""Reads owner and mode of a file from an attribute (containers-storage `pkg/idtools/idtools.go`)."""

from __future__ import annotations

import os
import re
import stat

OVERRIDE = "user.containers.override_stat"
_STATED = re.compile(
    rb"([0-9]{1,10}):([0-9]{1,10}):([0-7]{1,6})"
    rb"(?::(file|dir|symlink|pipe|socket|(?:block|char)-([0-9]{1,9})-([0-9]{1,9})).*)?"
)
_STATED_KINDS = {b"pipe": stat.S_IFIFO, b"socket": stat.S_IFSOCK, b"block": stat.S_IFBLK, b"char": stat.S_IFCHR}


def stated(value: bytes | None, status: os.stat_result) -> os.stat_result:
    """Return the status of a file with the values of its attribute; unchanged where that cannot be parsed."""
    match = _STATED.fullmatch(value or b"")
    if match is None:
        return status
    kind, device = stat.S_IFMT(status.st_mode), status.st_rdev
    if kind == stat.S_IFREG and match[4]:  # devices, which only root may make, are empty files
        kind = _STATED_KINDS.get(match[4].partition(b"-")[0], kind)
        device = os.makedev(int(match[5]), int(match[6])) if match[5] else device
    values = (kind | int(match[3], 8) & 0o7777, *status[1:4], int(match[1]), int(match[2]), *status[6:10])
    return replaced(status, values, device)


def replaced(status: os.stat_result, values: tuple[float, ...], device: int) -> os.stat_result:
    """Return a status with other values; fields outside of its tuple are kept, except the device number."""
    more = {"st_mtime_ns": status.st_mtime_ns, "st_blocks": status.st_blocks, "st_rdev": device}
    return os.stat_result(values, more)
