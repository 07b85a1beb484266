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
from .programs import HERE, Programs

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

TODAY = """\
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine.runtimes]
crun = ["/usr/bin/crun"]
"""
"""Podman 5 knows cgroups of version 2 alone, which a machine of version 1 cannot give it for containers."""

STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/root"
runroot = "{folder}/run"
"""

RUN = ("--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
"""Limits that a machine without the right to raise them has too."""


def why_not(programs: Programs = HERE) -> str | None:
    """Say why no Podman can run here, or nothing where one can."""
    if os.geteuid() != 0:
        return "this test's Podman needs root"
    if missing := programs.why_not("/usr/bin/podman", "/usr/bin/buildah"):
        return missing
    if not os.access(BUSYBOX, os.X_OK):
        return f"{BUSYBOX} is missing (Debian package busybox-static)"
    return _why_no_overlay()


def settings(folder: Path, programs: Programs) -> str:
    """Return containers.conf."""
    return SETTINGS.format(folder=folder) + (TODAY if programs.today else "")


class Podman:
    """Podman and Buildah with one graph root; a context manager that leaves nothing behind."""

    def __init__(self, user: str | None = None, *, options: tuple[str, ...] = (), programs: Programs = HERE) -> None:
        """With a `user` it is that user's, without any right of root's; `options` are more for its storage."""
        self._programs = programs
        self.more: dict[str, str] = {}
        """Variables that it is given beside its own."""
        programs.show_cgroups(new=True)
        self.folder = Path(tempfile.mkdtemp(prefix="lp", dir="/tmp"))  # short, whatever TMPDIR says
        self._as_user = [] if user is None else ["runuser", "-u", user, "--", "env", f"HOME={self.folder}"]
        self.root = self.folder / "root"
        (self.folder / "containers.conf").write_text(settings(self.folder, programs))
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

    def inner(self) -> list[str | Path]:
        """Return the command of this Podman for a script that it runs itself."""
        ways = ("--cgroup-manager=cgroupfs", "--events-backend=none")
        return ["podman", *self._places, "--tmpdir", self.folder / "tmp", *ways]

    def command(self, *words: str | Path) -> list[str]:
        """Return a command of this Podman; `environment` belongs to it."""
        return self._started(*self.inner(), *words)

    def _started(self, *words: str | Path) -> list[str]:
        """Return a command in the folder, as the user."""
        return self._programs.command("env", f"--chdir={self.folder}", *self._as_user, *words)

    def environment(self) -> dict[str, str]:
        """Return the variables that keep settings of the machine out."""
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL")}
        return kept | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "xdg"),
            **self.more,
        }

    def __call__(self, *words: str | Path, input: bytes | None = None) -> str:  # noqa: A002
        """Run Podman and return what it printed."""
        return self._run(self.command(*words), input)

    def buildah(self, *words: str | Path) -> str:
        """Run Buildah on the same graph root."""
        return self._run(self.buildah_command(*words), None).strip()

    def buildah_command(self, *words: str | Path) -> list[str]:
        """Return a command of Buildah on the same graph root; `environment` belongs to it."""
        return self._started("buildah", *self._places, *words)

    def inspect(self, kind: str, *names: str) -> list[dict[str, Any]]:
        """Return what `podman KIND inspect` says of each name, in their order."""
        found: list[dict[str, Any]] = json.loads(self(kind, "inspect", *names)) if names else []
        return found

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Run a listing command and return its rows."""
        found: list[dict[str, Any]] = json.loads(self(*words, "--format", "json"))
        return found

    def _run(self, command: list[str], content: bytes | None) -> str:
        result = subprocess.run(
            command,
            input=content if content is not None else b"",
            capture_output=True,
            env=self.environment(),
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            said = result.stderr.decode(errors="replace")[-LOG_TAIL:]
            raise EngineError(f"{' '.join(command)} ended with {result.returncode}: {said}")
        return result.stdout.decode()
