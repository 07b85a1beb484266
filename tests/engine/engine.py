"""A private Docker engine for a test: its own data root, socket and containerd, gone when the test ends."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

DOCKERD = Path("/usr/sbin/dockerd")
DOCKER = Path("/usr/bin/docker")
BUSYBOX = Path("/bin/busybox")
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
COMMAND_SECONDS = 120.0
LOG_TAIL = 3000


class EngineError(Exception):
    """The engine did not start, or a command of its client failed."""


def why_not() -> str | None:
    """Say why no engine can run here, or nothing where one can."""
    if os.geteuid() != 0:
        return "an engine needs root"
    for program, package in ((DOCKERD, "docker.io"), (DOCKER, "docker.io"), (BUSYBOX, "busybox-static")):
        if not os.access(program, os.X_OK):
            return f"{program} is missing (Debian package {package})"
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists() and not Path("/sys/fs/cgroup/devices").is_dir():
        return "no cgroups are mounted at /sys/fs/cgroup"
    return _why_no_overlay()


def _why_no_overlay() -> str | None:
    """Mount an overlay where the engine's folder will be, which no look into /proc can replace."""
    with tempfile.TemporaryDirectory(prefix="li", dir="/tmp") as folder:
        place = Path(folder)
        for name in ("lower", "upper", "work", "merged"):
            (place / name).mkdir()
        options = ",".join(f"{name}dir={place / name}" for name in ("lower", "upper", "work"))
        command = ["mount", "-t", "overlay", "overlay", "-o", options, str(place / "merged")]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            return f"overlayfs cannot be mounted under {place.parent}: {mounted.stderr.strip()}"
        subprocess.run(["umount", str(place / "merged")], check=True)
    return None


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the engine's socket, for the numbers that its client rounds."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=COMMAND_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Engine:
    """A dockerd with the overlay2 driver and no network; a context manager that leaves nothing behind.

    The folder's name is short because a socket's path has 108 bytes and the data root appears in mount options.
    """

    def __init__(self) -> None:
        # containerd refuses names with a `_` at their end, which the folder may have.
        self._namespace = f"li{uuid.uuid4().hex}"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._place(Path(tempfile.mkdtemp(prefix="li", dir="/tmp")))  # short, whatever TMPDIR says

    def _place(self, folder: Path) -> None:
        self.folder = folder
        self.root = self.folder / "root"
        self.socket = self.folder / "s"
        self._exec = self.folder / "exec"
        self._pidfile = self.folder / "pid"
        self._log = self.folder / "log"

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

    # Life ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the daemon and wait until it answers; its log's end is in the error where it does not."""
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [str(word) for word in self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._daemon.poll() is not None:
                self._fail(f"dockerd ended with status {self._daemon.returncode}")
            if time.monotonic() > deadline:
                self._fail(f"dockerd was not ready after {READY_SECONDS:.0f} s")
            time.sleep(0.05)

    def _command(self) -> list[str | Path]:
        return [
            DOCKERD,
            *("--data-root", self.root, "--exec-root", self._exec, "--pidfile", self._pidfile),
            *("-H", f"unix://{self.socket}", "--storage-driver", "overlay2"),
            *("--containerd-namespace", self._namespace),
            *("--containerd-plugins-namespace", f"plugins.{self._namespace}"),
            *("--config-file", self._empty_config()),
            *("--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false"),
        ]

    def stop(self) -> None:
        """Stop the daemon by the id in its pid file: first politely, then not; the data root stays as it is."""
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        _signal(_read_pid(self._pidfile) or daemon.pid, signal.SIGTERM)
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(STOP_SECONDS)
        self._kill_what_it_ran()

    def crash(self) -> None:
        """Kill the daemon in the middle of what it does, as the kernel does when memory is short."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.kill()
            daemon.wait(STOP_SECONDS)
            self._kill_what_it_ran()
            for pidfile in (self._pidfile, self._exec / "containerd" / "containerd.pid"):
                pidfile.unlink(missing_ok=True)  # or the next daemon waits for the dead

    def close(self) -> None:
        """Stop the daemon, unmount what it left mounted, and remove the folder."""
        try:
            self.stop()
        finally:
            for point in mounts_below(self.folder):
                subprocess.run(["umount", "-l", point], capture_output=True, check=False)
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Return the end of the daemon's log."""
        return self._log.read_text(errors="replace")[-LOG_TAIL:] if self._log.exists() else "(no log)"

    def _kill_what_it_ran(self) -> None:
        """Kill what a dockerd leaves that was killed or crashed: containers, shims, containerd, by their pid files.

        One that ended well has taken them along, and their pid files.
        """
        for pidfile in self._exec.glob("containerd/daemon/io.containerd.runtime.v2.task/*/*/init.pid"):
            container = _read_pid(pidfile)
            if container is None:
                continue
            shim = _parent(container)
            _signal(container, signal.SIGKILL)
            _thaw(pidfile.parent.name)
            if shim and _comm(shim).startswith("containerd-shim"):
                _signal(shim, signal.SIGKILL)
        containerd = _read_pid(self._exec / "containerd" / "containerd.pid")
        if containerd and _comm(containerd) == "containerd":
            _signal(containerd, signal.SIGKILL)

    def _fail(self, reason: str) -> None:
        message = f"{reason}; its log ends:\n{self.log()}"
        raise EngineError(message)

    def _empty_config(self) -> Path:
        """Keep /etc/docker/daemon.json of this machine out: its options would clash with ours."""
        path = self.folder / "daemon.json"
        path.write_text("{}")
        return path

    def _answers(self) -> bool:
        try:
            return self._request("/_ping") == b"OK"
        except (OSError, http.client.HTTPException, EngineError):
            return False

    # Use -----------------------------------------------------------------------------------------------------------

    def docker(self, *args: str | Path, input: bytes | None = None, env: Mapping[str, str] | None = None) -> str:  # noqa: A002
        """Run Docker's client against this engine and return what it printed."""
        ours = {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.folder)}
        result = subprocess.run(
            [str(DOCKER), *(str(arg) for arg in args)],
            input=input if input is not None else b"",
            capture_output=True,
            env={**_environment(), **ours, **(env or {})},
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            words = " ".join(str(arg) for arg in args)
            said = result.stderr.decode(errors="replace")[-LOG_TAIL:]
            message = f"docker {words} ended with {result.returncode}: {said}"
            raise EngineError(message)
        return result.stdout.decode()

    def rows(self, *args: str | Path) -> list[dict[str, str]]:
        """Run a listing command of the client and return its rows."""
        return [json.loads(line) for line in self.docker(*args, "--format", "{{json .}}").splitlines()]

    def inspect(self, *names: str, kind: str = "image") -> list[dict[str, Any]]:
        """Return what `docker KIND inspect` says of each name, in their order."""
        found: list[dict[str, Any]] = json.loads(self.docker(kind, "inspect", *names)) if names else []
        return found

    def get(self, path: str) -> Any:  # noqa: ANN401 (JSON)
        """Ask the engine's API, which gives integers where the client gives `1.24MB`."""
        return json.loads(self._request(path))

    def _request(self, path: str) -> bytes:
        connection = _UnixConnection(self.socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != http.client.OK:
            message = f"GET {path}: {response.status} {body.decode(errors='replace')}"
            raise EngineError(message)
        return body


def _environment() -> dict[str, str]:
    """Nothing of the developer's own Docker settings, and no proxy, reaches the engine or its client."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _comm(pid: int) -> str:
    """Return the program's name, so that a pid which now is another program's is not killed."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _parent(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("PPid:")), None)


def _thaw(container_id: str) -> None:
    """Let a paused container die: cgroups of version 1 hold the signal back until it runs again."""
    freezer = Path("/sys/fs/cgroup/freezer/docker", container_id, "freezer.state")
    if freezer.exists():
        freezer.write_text("THAWED")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def mounts_below(folder: Path) -> list[str]:
    """List the mount points under a folder, the deepest first."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return sorted((point for point in points if point.startswith(f"{folder}/")), key=len, reverse=True)
