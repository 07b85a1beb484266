"""Where an engine's programs come from: this machine, or another Debian's root with mounts of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .engine import EngineError

if TYPE_CHECKING:
    from types import TracebackType

READY = "ready"
ENTERED = f"""\
mount --bind "$0" "$0" && for each in proc sys dev tmp; do mount --rbind "/$each" "$0/$each" || exit 1; done
mount -t tmpfs none "$0/run" && cd "$0" && mkdir -p .old && pivot_root . .old && umount -l /.old
echo {READY}; read forever
"""
"""A mere chroot is not enough: what is executed in a container enters its mounts anew, and would find another root."""


class Programs:
    """The programs of this machine."""

    today = False
    """Whether they are newer than those of the machine."""
    name = "machine"

    def command(self, *words: str | Path) -> list[str]:
        """Return a command that runs one of them."""
        return [str(word) for word in words]

    def why_not(self, *places: str) -> str | None:
        """Say which program is missing, or nothing where all are there."""
        lost = [place for place in places if not os.access(self.path(place), os.X_OK)]
        return f"{self.path(lost[0])} is missing (Debian package {Path(lost[0]).name})" if lost else None

    def path(self, place: str) -> Path:
        """Return where a file of theirs is on this machine."""
        return Path(place)

    def show_cgroups(self, *, new: bool) -> None:
        """Show them cgroups of version 2, as Podman 5 wants it, or the machine's own, where that can be chosen."""


class RootPrograms(Programs):
    """The programs of another root; a context manager. They see this machine's /tmp, /proc, /sys and /dev."""

    today = True
    name = "today"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._new_cgroups = False
        self._holder: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        private = ["/usr/bin/unshare", "--mount", "--propagation", "private"]
        self._holder = subprocess.Popen(
            [*private, "sh", "-euc", ENTERED, str(self._root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._holder.stdout is None or self._holder.stdout.readline().strip() != READY:
            _, said = self._holder.communicate()
            raise EngineError(f"{self._root} cannot be entered: {said}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._holder is not None:
            self._holder.communicate("")  # it ends with its input; its mounts, with the last process in them
            self._holder = None

    def command(self, *words: str | Path) -> list[str]:
        """Return a command that runs one of them."""
        if self._holder is None:
            raise EngineError(f"{self._root} is not entered")
        return ["/usr/bin/nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", *super().command(*words)]

    def path(self, place: str) -> Path:
        """Return where a file of theirs is on this machine."""
        return self._root / place.lstrip("/")

    def show_cgroups(self, *, new: bool) -> None:
        """Show them cgroups of version 2, or the machine's own."""
        if new != self._new_cgroups:
            words = ("mount", "-t", "cgroup2", "none") if new else ("umount",)
            subprocess.run(self.command(*words, "/sys/fs/cgroup"), check=True)
            self._new_cgroups = new


HERE = Programs()
