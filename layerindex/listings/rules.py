"""What a walk must know of a storage driver: how it marks deletions, and how owners are mapped."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

LABEL = ["security.selinux"]
"""Labels of the host: on every file or on none, and no engine packs them."""

_CAP_SYS_ADMIN = 21
_FIRST_USER_NAMESPACE = 0xEFFFFFFD  # PROC_USER_INIT_INO in Linux' include/linux/proc_ns.h
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


class IdMap(NamedTuple):
    """Maps owners into a user namespace by ranges of ids: the first id outside, the count, the first id inside."""

    uids: tuple[tuple[int, int, int], ...]
    gids: tuple[tuple[int, int, int], ...]

    @staticmethod
    def inside(number: int, ranges: tuple[tuple[int, int, int], ...]) -> int:
        """Return the id inside; an id in no range stays."""
        for outside, count, first in ranges:
            if outside <= number < outside + count:
                return first + number - outside
        return number

    def capability(self, value: bytes) -> bytes:
        """Return a capability in its form inside, where the kernel does not add the user id of the namespace.

        Linux:include/uapi/linux/capability.h, vfs_ns_cap_data.
        """
        if len(value) != 24 or value[3] != 3:
            return value
        root = int.from_bytes(value[20:], "little")
        return value if self.inside(root, self.uids) else value[:3] + b"\x02" + value[4:20]


class Rules(NamedTuple):
    """How a driver marks deletions, which names and attributes alone do not show."""

    opaque: frozenset[str]
    bookkeeping: frozenset[str]
    markers: bool
    """Whether `.wh.` files are whiteouts, as with AUFS."""
    overridden: bool = False
    """Whether an attribute holds a file's owner, mode and kind, in a tree whose root has that attribute: where other
    owners are impossible, one user owns all files on disk (containers-storage, `pkg/idtools/idtools.go`)."""
    id_map: IdMap | None = None
    """The map from owners on disk to owners inside the engine's user namespace, where they differ."""
    mounted: bool = False
    """Whether layers are unpacked through a mount, so that the kernel makes the marks for deletions: containerd in a
    user namespace (`core/diff/apply/apply_linux.go`)."""

    @classmethod
    def of(cls, driver: str, *, rootless: bool = False) -> Rules:
        """Return the rules of a storage driver; `rootless`: its engine runs in a user namespace.

        moby:daemon/graphdriver/{overlay2,fuse-overlayfs}, go-archive/archive_linux.go; fuse-overlayfs main.c.
        """
        spaces = {"user.overlay"} if rootless else {"trusted.overlay"}
        if driver == "fuse-overlayfs":
            spaces = {"trusted.overlay", "user.overlay", "user.fuseoverlayfs"}
        kept = ("origin", "impure", "uuid", "nlink", "upper")
        return cls(
            frozenset(f"{space}.opaque" for space in spaces),
            frozenset(LABEL) | frozenset(f"{space}.{name}" for space in spaces for name in kept),
            driver == "fuse-overlayfs",
        )

    @property
    def need_trusted(self) -> bool:
        """Say whether only a trusted attribute marks a directory as opaque."""
        return not self.markers and any(name.startswith("trusted.") for name in self.opaque)


def trusted_readable() -> bool:
    """Say whether we see trusted.* attributes; without SYS_ADMIN of the first namespace they seem absent.

    Linux:fs/xattr.c xattr_permission, fs/ext4/xattr_trusted.c. A uid_map of all users can be a child's too.
    """
    try:
        first = os.stat("/proc/self/ns/user").st_ino == _FIRST_USER_NAMESPACE
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            effective = next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    except (OSError, ValueError, IndexError):
        return False
    return first and bool(effective >> _CAP_SYS_ADMIN & 1)


def type_of(status: os.stat_result) -> str:
    """Name an inode's type; a whiteout is the device 0:0. Linux:Documentation/filesystems/overlayfs.rst."""
    kind = stat.S_IFMT(status.st_mode)
    return "whiteout" if kind == stat.S_IFCHR and status.st_rdev == 0 else _TYPES.get(kind, "file")
