"""How a storage driver marks deletions, and whose the files are: what a walk has to be told."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

LABEL = ["security.selinux"]
"""What the host calls a file: on every one or on none, and no engine packs it."""

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
    """Whose a file is inside a user namespace: ranges of ids, each as first one outside, count, first one inside."""

    uids: tuple[tuple[int, int, int], ...]
    gids: tuple[tuple[int, int, int], ...]

    @staticmethod
    def inside(number: int, ranges: tuple[tuple[int, int, int], ...]) -> int:
        """Return an id as it is inside; one that is in no range stays."""
        for outside, count, first in ranges:
            if outside <= number < outside + count:
                return first + number - outside
        return number

    def capability(self, value: bytes) -> bytes:
        """Return a capability as it is inside, where the kernel does not add whose root it is for.

        Linux:include/uapi/linux/capability.h, vfs_ns_cap_data.
        """
        if len(value) != 24 or value[3] != 3:
            return value
        root = int.from_bytes(value[20:], "little")
        return value if self.inside(root, self.uids) else value[:3] + b"\x02" + value[4:20]


class Rules(NamedTuple):
    """How a driver marks deletions, which a name or attribute alone does not tell."""

    opaque: frozenset[str]
    bookkeeping: frozenset[str]
    markers: bool
    """Whether `.wh.` files are whiteouts, as AUFS had them."""
    overridden: bool = False
    """Whether an attribute says what a file's owner, mode and kind are, in a tree whose root has it: where others
    cannot be had, one user owns all files on disk (containers-storage, `pkg/idtools/idtools.go`)."""
    id_map: IdMap | None = None
    """Whose the files are inside the engine's user namespace, where they are another's on disk."""
    mounted: bool = False
    """Whether layers are unpacked through a mount, where the kernel says how deletions are marked: containerd in a
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
        """Say whether nothing but a trusted attribute says that a directory is opaque."""
        return not self.markers and any(name.startswith("trusted.") for name in self.opaque)


def trusted_readable() -> bool:
    """Say whether we see trusted.* attributes, silently absent without the first namespace's SYS_ADMIN.

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
