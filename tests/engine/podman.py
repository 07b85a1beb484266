"""A private Podman for a test: its own graph root, run root and settings, gone when the test ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .engine import BUSYBOX, EngineError, _why_no_overlay, mounts_below

if TYPE_CHECKING:
    from types import TracebackType

COMMAND_SECONDS = 120.0
LOG_TAIL = 3000
SETTINGS = """\
[engine]
lock_type = "file"
events_logger = "none"
cgroup_manager = "cgroupfs"
[network]
network_config_dir = "{folder}/net"
"""
"""By default locks are in /dev/shm, and stay there."""

STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/root"
runroot = "{folder}/run"
"""

RUN = ("--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
"""Limits that a machine without the right to raise them has too."""


def why_not() -> str | None:
    """Say why no Podman can run here, or nothing where one can."""
    if os.geteuid() != 0:
        return "this test's Podman needs root"
    for program in ("podman", "buildah"):
        if shutil.which(program) is None:
            return f"{program} is missing (Debian package {program})"
    if not os.access(BUSYBOX, os.X_OK):
        return f"{BUSYBOX} is missing (Debian package busybox-static)"
    return _why_no_overlay()


class Podman:
    """Podman and Buildah with one graph root; a context manager that leaves nothing behind."""

    def __init__(self, user: str | None = None, *, options: tuple[str, ...] = ()) -> None:
        """With a `user` it is that user's, without any right of root's; `options` are more for its storage."""
        self.folder = Path(tempfile.mkdtemp(prefix="lp", dir="/tmp"))  # short, whatever TMPDIR says
        self._as_user = [] if user is None else ["runuser", "-u", user, "--", "env", f"HOME={self.folder}"]
        self.root = self.folder / "root"
        (self.folder / "containers.conf").write_text(SETTINGS.format(folder=self.folder))
        (self.folder / "storage.conf").write_text(STORAGE.format(folder=self.folder))
        (self.folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        (self.folder / "xdg").mkdir(mode=0o700)
        if user is not None:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, user)
        self._places: tuple[str | Path, ...] = (
            "--root",
            self.root,
            "--runroot",
            self.folder / "run",
            "--storage-driver",
            "overlay",
            *options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what runs, unmount what is mounted, and remove the folder."""
        with contextlib.suppress(EngineError):  # what is left goes with the folder
            self("rm", "--force", "--time", "0", "--all")
        for file in self.folder.rglob("pause.pid"):  # it holds a user's namespace
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for point in mounts_below(self.folder):
            subprocess.run(["umount", "-l", point], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def engine(self) -> list[str | Path]:
        """Return the options that make Podman this one."""
        ways = ("--cgroup-manager=cgroupfs", "--events-backend=none")
        return [*self._places, "--tmpdir", self.folder / "tmp", *ways]

    def __call__(self, *words: str | Path, input: bytes | None = None) -> str:  # noqa: A002
        """Run Podman and return what it printed."""
        return self._run(["podman", *self.engine(), *words], input)

    def buildah(self, *words: str | Path) -> str:
        """Run Buildah on the same graph root."""
        return self._run(["buildah", *self._places, *words], None).strip()

    def inspect(self, kind: str, *names: str) -> list[dict[str, Any]]:
        """Return what `podman KIND inspect` says of each name, in their order."""
        found: list[dict[str, Any]] = json.loads(self(kind, "inspect", *names)) if names else []
        return found

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Run a listing command and return its rows."""
        found: list[dict[str, Any]] = json.loads(self(*words, "--format", "json"))
        return found

    def _run(self, words: list[str | Path], content: bytes | None) -> str:
        ours = {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "xdg"),
        }
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL")}
        result = subprocess.run(
            [str(word) for word in (*self._as_user, *words)],
            cwd=self.folder,
            input=content if content is not None else b"",
            capture_output=True,
            env={**kept, **ours},
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            said = result.stderr.decode(errors="replace")[-LOG_TAIL:]
            message = f"{' '.join(str(word) for word in words)} ended with {result.returncode}: {said}"
            raise EngineError(message)
        return result.stdout.decode()
