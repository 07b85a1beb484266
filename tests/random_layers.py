"""Random layers: deletions, opaque folders, chains of hard links, changes of type, implied folders, odd names."""

from __future__ import annotations

import os
import random
import struct
from typing import TYPE_CHECKING

from tests.layer_tars import NOW, Member, tar

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("a", "b", "c", "d")
ODD = ("[", "[id]", "x*", "\\xff", os.fsdecode(b"\xff"), "é", " s", "id_rsa", ".env", "q?")
KINDS = (
    ("file",) * 6
    + ("dir",) * 5
    + ("implied",) * 2
    + ("whiteout",) * 3
    + ("opaque", "symlink", "symlink", "fifo", "char")
)
MODES = (0o644, 0o600, 0o755, 0o4755, 0o2711, 0o1777, 0o000)
TIMES = (NOW, NOW + 1, NOW + 0.5, 0, 1, -86400 * 365, 4_102_444_900)
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
DEEPEST = 3


class Maker:
    """Makes one layer's members, in an order that an engine can unpack."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.members: list[Member] = []
        self.linkable: list[tuple[str, Member]] = []

    def fill(self, prefix: str, depth: int) -> int:
        """Add entries of a folder; return how many."""
        before = len(self.members)
        names = [*NAMES, self.rng.choice(ODD)]
        for name in self.rng.sample(names, self.rng.randint(0 if depth else 1, 4)):
            self.add(f"{prefix}{name}", self.rng.choice(KINDS if depth < DEEPEST else KINDS[:6]), depth)
        return len(self.members) - before

    def add(self, path: str, kind: str, depth: int) -> None:
        """Add one entry, and what is in it."""
        if kind == "whiteout":
            folder, _, name = path.rpartition("/")
            self.members.append(Member(f"{folder}/.wh.{name}" if folder else f".wh.{name}"))
        elif kind == "implied":
            self.fill(f"{path}/", depth + 1)
        elif kind in ("dir", "opaque"):
            self.members.append(self._member(path, "dir"))
            if kind == "opaque":
                self.members.append(Member(f"{path}/.wh..wh..opq"))
            self.fill(f"{path}/", depth + 1)
        elif self.linkable and self.rng.random() < 0.25:
            target, first = self.rng.choice(self.linkable)
            # Every header is laid over the one inode: an engine's own tar has the same in each.
            link = first._replace(name=path, kind="hardlink", data=b"", link=target)
            self.members.append(link)
            self.linkable.append((path, first))
        else:
            member = self._member(path, kind)
            self.members.append(member)
            if kind != "char":  # which only root can make
                self.linkable.append((path, member))

    def _member(self, path: str, kind: str) -> Member:
        rng = self.rng
        time = rng.choice(TIMES[:4] if rng.random() < 0.8 else TIMES)
        member = Member(path, kind, uid=rng.choice((0, 0, 7, 1000)), gid=rng.choice((0, 0, 8)), mtime=time)
        if kind == "symlink":
            return member._replace(link=rng.choice(("a", "/b/c", "../x", "[id]")), mode=0o777)
        mode = rng.choice(MODES) if rng.random() < 0.4 else 0o755 if kind == "dir" else 0o644
        member = member._replace(mode=mode, device=(1, rng.randint(3, 5)) if kind == "char" else (0, 0))
        if kind != "file":
            return member
        data = rng.choice((b"", b"x" * rng.randint(1, 9), b"same", b"%d" % rng.randint(0, 99)))
        return member._replace(data=data, capability=CAPABILITY if rng.random() < 0.1 else None)


def random_tar(rng: random.Random) -> bytes:
    """Return the tar of one random layer."""
    maker = Maker(rng)
    maker.fill("", 0)
    return tar(*maker.members)


def random_stack(seed: int) -> list[bytes]:
    """Return the tars of a random image, the base first; the same for the same seed."""
    rng = random.Random(seed)
    return [random_tar(rng) for _ in range(rng.randint(1, 5))]


def stacks(seeds: Iterable[int]) -> dict[str, list[bytes]]:
    """Return random images by their tags."""
    return {f"random:{seed}": random_stack(seed) for seed in seeds}
