"""Layer tars member by member, for what no folder on disk would give: folders left out, chains of hard links, times."""

from __future__ import annotations

import io
import os
import tarfile
from typing import NamedTuple

TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
}
NOW = 1_700_000_000


class Member(NamedTuple):
    """One member of a layer's tar; `.wh.` names are deletions."""

    name: str
    kind: str = "file"
    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = NOW
    device: tuple[int, int] = (0, 0)
    capability: bytes | None = None

    def header(self) -> tarfile.TarInfo:
        """Return its header."""
        info = tarfile.TarInfo(self.name)
        info.type, info.size, info.linkname = TYPES[self.kind], len(self.data), self.link
        info.mode, info.uid, info.gid, info.mtime = self.mode, self.uid, self.gid, self.mtime
        info.devmajor, info.devminor = self.device
        if self.capability is not None:
            info.pax_headers = {"SCHILY.xattr.security.capability": os.fsdecode(self.capability)}
        return info


def tar(*members: Member) -> bytes:
    """Return the tar of these members, in their order, and of nothing else."""
    stream = io.BytesIO()
    options = {"format": tarfile.PAX_FORMAT, "encoding": "utf-8", "errors": "surrogateescape"}
    with tarfile.open(fileobj=stream, mode="w", **options) as archive:  # type: ignore[call-overload]
        for member in members:
            archive.addfile(member.header(), io.BytesIO(member.data))
    return stream.getvalue()
