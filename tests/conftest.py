"""What tests of the scan share: a small store where all is well, scanning it into memory, and being nobody special."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import settings

from layerindex import database, scan, stores
from layerindex.stores.shared import overlay, pulls
from layerindex.writing import parts
from tests.dataroot import Container, DataRoot, Image, Layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# The same examples in every run: a test that failed once fails again.
settings.register_profile("layerindex", database=None, deadline=None, derandomize=True)
settings.load_profile("layerindex")

# Whoever runs the tests may want colour of them; of the program a test says what it wants.
for _name in ("FORCE_COLOR", "CLICOLOR_FORCE", "NO_COLOR"):
    os.environ.pop(_name, None)

# Stores that tests write are new, and no engine works on them: nothing to wait for.
overlay.SETTLED = 0.0
pulls.NEW = 0.0

PATIENCE = 60
"""Seconds after which a scan hangs: it opened a fifo, or read what has no end."""

HOST = scan.Host("web-1", "0123456789abcdef0123456789abcdef")


class World(NamedTuple):
    """A store where all is well: `image` and what belongs to it is to be damaged, `other` is not."""

    root: DataRoot
    base: Layer
    top: Layer
    ancestor: Image
    image: Image
    container: Container
    blob: str
    other: Image
    other_container: Container

    @property
    def others(self) -> set[str]:
        """The ids of what is not to be damaged."""
        layer, container = self.other.layers[0], self.other_container
        mount = container.mount
        ids = {self.other.image_id, layer.chain_id, layer.cache_id, layer.link, container.container_id, mount.mount_id}
        return ids | {mount.link, str(mount.init_id)}


def build_world(path: Path) -> World:
    """Build the store where all is well, the same each time."""
    root = DataRoot(path)
    base = root.layer({"bin/sh": b"#!"})
    top = root.layer({"srv/app": b"app"}, parent=base)
    ancestor = root.image(base)
    tags = ["acme/web:1.0"]
    image = root.image(top, tags, parent=ancestor, last_updated="2023-11-14T22:15:00.123456789+01:00")
    blob = root.distribution(base)
    root.volume("data", options={"type": "tmpfs", "device": "tmpfs"})
    other = root.image(root.layer({"etc/other": b"other"}), ["other:1"])
    container = root.container(image, name="web", volumes=["data:/var/lib/data"])
    other_container = root.container(other, name="spare", state="running")
    return World(root, base, top, ancestor, image, container, blob, other, other_container)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a store where all is well."""
    return build_world(tmp_path / "docker")


@pytest.fixture(scope="session")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Give a store where all is well, which each test leaves as it was."""
    return build_world(tmp_path_factory.mktemp("lasting") / "docker")


@contextmanager
def mounted(target: Path, *options: str) -> Iterator[None]:
    """Mount something for a while; skips where we may not."""
    if subprocess.run(["mount", *options, str(target)], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True)


@contextmanager
def replaced(path: Path) -> Iterator[bytes]:
    """Take a file away and give its content; put it back at the end."""
    content = path.read_bytes()
    path.unlink()
    try:
        yield content
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(content)


@contextmanager
def in_time() -> Iterator[None]:
    """Let a hang be a failure."""

    def stop(*_: object) -> None:
        # Of a kind that no reader's `except Exception` takes for its own.
        pytest.fail(f"not done after {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@cache
def _new_database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    return connection


def scanned(root: DataRoot | Path, options: scan.Options | None = None) -> sqlite3.Connection:
    """Scan every store under a root, by default without files, into a database in memory, in `PATIENCE` at most."""
    path = root.path if isinstance(root, DataRoot) else root
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _new_database().backup(connection)
    with in_time():
        for store in stores.open_stores(str(path)):
            scan.scan(connection, store, scan.Filing(HOST), options or scan.Options(files=False))
    return connection


def codes(connection: sqlite3.Connection) -> set[str]:
    """Return the codes of all problems."""
    return {code for (code,) in connection.execute("SELECT code FROM problems")}


def serious(connection: sqlite3.Connection) -> set[str]:
    """Return the codes of problems that are more than good to know."""
    return {code for (code,) in connection.execute("SELECT code FROM problems WHERE severity <> 'info'")}


def problems(connection: sqlite3.Connection, code: str) -> list[tuple[str, str | None]]:
    """Return path and subject of each problem of a code."""
    query = "SELECT path, subject FROM problems WHERE code = ? ORDER BY problem_id"
    return list(connection.execute(query, (code,)))


def table(connection: sqlite3.Connection, columns: str, name: str) -> list[Any]:
    """Return some columns of a table in the order of its key."""
    rows = parts.views().get(name)
    order = f" ORDER BY {', '.join(rows.key)}" if rows else ""
    return list(connection.execute(f"SELECT {columns} FROM {name}{order}"))


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    command = [sys.executable, "-m", "layerindex", *arguments]
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    return run(command, capture_output=True, text=True, timeout=60, check=False, **options)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_CAPABILITY_VERSION = 0x20080522
_READ_ANYTHING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@contextmanager
def nobody_special() -> Iterator[None]:
    """Let file modes hold for root too: without the capabilities to read anything; skips where that cannot be done."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = _CapabilityHeader(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits
    if libc.capget(ctypes.byref(header), sets) != 0:
        pytest.skip(f"cannot read capabilities: {os.strerror(ctypes.get_errno())}")
    had = sets[0]
    sets[0] = had & ~_READ_ANYTHING
    if libc.capset(ctypes.byref(header), sets) != 0:
        pytest.skip(f"cannot drop capabilities: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        sets[0] = had
        libc.capset(ctypes.byref(header), sets)


def without_capabilities() -> list[str]:
    """Return what to put before a command so that file modes hold for root too; skips where that is not there."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to drop root's capabilities")
    return ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
