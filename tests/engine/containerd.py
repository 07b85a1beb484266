"""Private engines of today for a test: containerd with `ctr`, and Docker that keeps its images in containerd."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from tools.engine_root import mirror

from . import engine
from .engine import (
    COMMAND_SECONDS,
    LOG_TAIL,
    READY_SECONDS,
    STOP_SECONDS,
    Engine,
    EngineError,
    _comm,
    _read_pid,
    _signal,
)
from .programs import HERE, Programs

if TYPE_CHECKING:
    from types import TracebackType

CONTAINERD = "/usr/bin/containerd"
CTR = "/usr/bin/ctr"
RUNC = "/usr/sbin/runc"
DEBOOTSTRAP = Path("/usr/sbin/debootstrap")
SUITE = "trixie"
ROOTFS = "LAYERINDEX_ROOTFS"
"""Variable with a Debian of today that is kept between runs: `debootstrap --include=docker.io trixie FOLDER`."""

CONFIG = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/s"
[ttrpc]
  address = "{folder}/t"
"""


def why_not(programs: Programs = HERE) -> str | None:
    """Say why no containerd can run here, or nothing where one can."""
    return programs.why_not(CONTAINERD, CTR, RUNC) or engine.why_not()


class Containerd:
    """A containerd with a root, state and sockets of its own; a context manager that leaves nothing behind."""

    def __init__(self, programs: Programs = HERE) -> None:
        self._programs = programs
        programs.show_cgroups(new=False)
        self.folder = Path(tempfile.mkdtemp(prefix="li", dir="/tmp"))  # short, whatever TMPDIR says
        self.root = self.folder / "root"
        self._log = self.folder / "log"
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        config = self.folder / "config.toml"
        config.write_text(self._config())
        with self._log.open("ab") as log:
            self._daemon = self._started([CONTAINERD, "-c", str(config), "--log-level", "warn"], log)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.ctr("version")
            except EngineError as error:
                if self._daemon.poll() is not None or time.monotonic() > deadline:
                    log_end = self._log.read_text(errors="replace")[-LOG_TAIL:]
                    raise EngineError(f"containerd did not start: {log_end}") from error
                time.sleep(0.05)
            else:
                return

    def _config(self) -> str:
        """Return its settings."""
        return CONFIG.format(folder=self.folder)

    def _started(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the daemon's process."""
        entered = self._programs.command(*command)
        return subprocess.Popen(entered, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """Stop the daemon; what runs in containers goes on until `close`."""
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(STOP_SECONDS)

    def close(self) -> None:
        """End containers and the daemon, unmount what is mounted, and remove the folder."""
        try:
            try:
                self._end_tasks()
            finally:
                self.stop()
        finally:
            for point in engine.mounts_below(self.folder):
                subprocess.run(["umount", "-l", point], capture_output=True, check=False)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end_tasks(self) -> None:
        if self._daemon is not None and self._daemon.poll() is None:
            for namespace in self.ctr("namespaces", "ls", "-q").split():
                for task in self.ctr("tasks", "ls", "-q", namespace=namespace).split():
                    self.ctr("tasks", "rm", "-f", task, namespace=namespace)

    def command(self, *words: str | Path, namespace: str = "default") -> list[str]:
        """Return a command of the client."""
        return self._programs.command(CTR, "--address", f"{self.folder}/s", "--namespace", namespace, *words)

    def ctr(self, *words: str | Path, namespace: str = "default", given: bytes | None = None) -> str:
        """Run the client and return what it said; raises EngineError."""
        command = self.command(*words, namespace=namespace)
        result = subprocess.run(command, input=given, capture_output=True, timeout=COMMAND_SECONDS, check=False)
        if result.returncode != 0:
            raise EngineError(f"{' '.join(command)}: {result.stderr.decode(errors='replace')[-LOG_TAIL:]}")
        return result.stdout.decode()

    def rows(self, *words: str, namespace: str = "default") -> list[list[str]]:
        """Run a listing command and return its fields, without the head."""
        return [line.split() for line in self.ctr(*words, namespace=namespace).splitlines()[1:]]


class RootlessContainerd(Containerd):
    """A containerd of an ordinary user: root in a user namespace, with more ids that are set apart for it.

    As containerd-rootless.sh starts it, but that the test's root sets the ids apart, not /etc/subuid.
    """

    UID, GID = 200_000, 300_000
    """The first ids outside of those that are from 1 on inside."""
    COUNT = 65_536

    def __init__(self, programs: Programs = HERE) -> None:
        super().__init__(programs)
        self.user = pwd.getpwnam("nobody")
        for folder in (self.folder, self.root, self.folder / "state"):
            folder.mkdir(exist_ok=True)
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)

    def _started(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        ids = (f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups")
        space = ["unshare", "--user", "--mount", "sh", "-c", 'echo; read ready; exec "$@" >&2 </dev/null', "sh"]
        daemon = subprocess.Popen(
            self._programs.command("setpriv", *ids, *space, *command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        if daemon.stdin is None or daemon.stdout is None:
            raise EngineError("no pipes")
        with daemon.stdin, daemon.stdout:
            if not daemon.stdout.readline():
                daemon.wait()
                raise EngineError(f"no user namespace: {self._log.read_text(errors='replace')[-LOG_TAIL:]}")
            for name, own, first in (("uid", self.user.pw_uid, self.UID), ("gid", self.user.pw_gid, self.GID)):
                Path(f"/proc/{daemon.pid}/{name}_map").write_text(f"0 {own} 1\n1 {first} {self.COUNT}\n")
            daemon.stdin.write(b"\n")
        return daemon

    def inside(self, script: str) -> None:
        """Run a shell script in the daemon's namespaces, as their root; raises EngineError."""
        if self._daemon is None:
            raise EngineError("it does not run")
        enter = ["nsenter", f"--target={self._daemon.pid}", "--user", "--mount", "--setuid=0", "--setgid=0"]
        result = subprocess.run([*enter, "sh", "-euc", script], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise EngineError(f"{script}: {result.stderr[-LOG_TAIL:]}")


def rootfs(folder: Path) -> Path | str:
    """Return the root of a Debian with a Docker of today, made in `folder` where none is kept; or say why not."""
    if reason := why_not():
        return reason
    if kept := os.environ.get(ROOTFS):
        return Path(kept) if Path(kept, "usr/sbin/dockerd").exists() else f"{kept} has no dockerd"
    if not os.environ.get("CI"):
        return f"{ROOTFS} names no root of a Debian, which takes a minute to make"
    if not os.access(DEBOOTSTRAP, os.X_OK):
        return f"{DEBOOTSTRAP} is missing (Debian package debootstrap)"
    command = [DEBOOTSTRAP, "--variant=minbase", "--include=docker.io,ca-certificates", SUITE, folder, mirror()]
    made = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return folder if made.returncode == 0 else f"debootstrap failed: {(made.stdout + made.stderr)[-LOG_TAIL:]}"


class ModernEngine(Engine):
    """A dockerd with the containerd image store, in another root and in mounts of its own.

    The client is this machine's: it speaks to any newer daemon, and can build without plugins.
    """

    def __init__(self, rootfs: Path) -> None:
        super().__init__()
        self.folder.rmdir()
        self.rootfs = rootfs
        (rootfs / "tmp").mkdir(exist_ok=True)
        self._place(Path(tempfile.mkdtemp(prefix="li", dir=rootfs / "tmp")))

    def _command(self) -> list[str | Path]:
        inside = Path("/", self.folder.relative_to(self.rootfs))
        settings = self._settings(inside)
        (self.folder / "daemon.json").write_text(json.dumps(settings))
        # Mounts of its own, none of which outlives the daemon. A mere chroot is not enough: what is executed in a
        # container enters its mounts anew, and would find this machine's root there.
        script = (
            'mount --bind "$0" "$0" && for each in proc sys dev; do mount --rbind "/$each" "$0/$each" || exit 1; done'
            ' && cd "$0" && mkdir -p .old && pivot_root . .old && umount -l /.old'
            f' && {self._before(inside)} exec /usr/sbin/dockerd --config-file "$1"'
        )
        config = inside / "daemon.json"
        return ["/usr/bin/unshare", "--mount", "--propagation", "private", "sh", "-c", script, self.rootfs, config]

    def _before(self, inside: Path) -> str:  # noqa: ARG002 - what others need
        """Return what the shell does before it becomes dockerd."""
        return ""

    def _settings(self, inside: Path) -> dict[str, object]:
        return {
            "features": {"containerd-snapshotter": True},
            "storage-driver": "overlayfs",
            "iptables": False,
            "ip6tables": False,
            "bridge": "none",
            "data-root": f"{inside}/root",
            "exec-root": f"{inside}/exec",
            "pidfile": f"{inside}/pid",
            "hosts": [f"unix://{inside}/s"],
        }


class BesideEngine(ModernEngine):
    """A dockerd on the host's containerd, as Docker's packages set it up: the two have roots side by side."""

    def __init__(self, rootfs: Path) -> None:
        super().__init__(rootfs)
        self.root = self.folder / "docker"
        self.containerd = self.folder / "containerd"

    def _settings(self, inside: Path) -> dict[str, object]:
        own = {"data-root": f"{inside}/docker", "containerd": f"{inside}/c/s"}
        return super()._settings(inside) | own

    def _before(self, inside: Path) -> str:
        (self.folder / "c").mkdir(exist_ok=True)
        (self.folder / "c" / "config.toml").write_text(
            CONFIG.format(folder=inside / "c").replace(f"{inside}/c/root", f"{inside}/containerd")
        )
        place = f"{inside}/c"
        return (
            f"{{ /usr/bin/containerd -c {place}/config.toml --log-level warn & echo $! > {place}/pid; }} &&"
            f" until [ -S {place}/s ]; do sleep 0.05; done &&"
        )

    def stop(self) -> None:
        """Stop dockerd with its containers, then containerd."""
        super().stop()
        pid = _read_pid(self.folder / "c" / "pid")
        if pid is None or _comm(pid) != "containerd":
            return
        _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _comm(pid) == "containerd" and time.monotonic() < deadline:
            time.sleep(0.05)
