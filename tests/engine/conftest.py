"""One engine with one store for all engine tests, and its index."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import engine_root

from .containerd import rootfs
from .engine import Engine, why_not
from .program import Index, scan
from .programs import HERE, Programs, RootPrograms
from .store import Store, build_store

if TYPE_CHECKING:
    from collections.abc import Iterator


def need(missing: str | None) -> None:
    """Skip a test for what it needs and this machine does not have, if anything; fail there in CI."""
    if missing and os.environ.get("CI"):
        pytest.fail(f"not in CI: {missing}")
    if missing:
        pytest.skip(missing)


def new_engine() -> Engine:
    """Return an engine that is not started."""
    need(why_not())
    return Engine()


@pytest.fixture(scope="session")
def modern_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the root of a Debian with a Docker of today, made once for all processes of a test run."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "rootfs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, made = shared / "rootfs", shared / "rootfs.made"
        found = folder if made.exists() else rootfs(folder)
        if found == folder:
            made.touch()
    need(found if isinstance(found, str) else None)
    return Path(found)


def today_root() -> Path:
    """Return the root with the engines of today; skip a test where there is none.

    In CI too: a mirror that lacks them for a day breaks nothing of ours. There `.ci/run` prints why.
    """
    if os.geteuid() != 0:
        pytest.skip("engines need root")
    root = engine_root.place()
    if missing := engine_root.why_not(root):
        pytest.skip(f"no engines of today: {missing}")
    return root


@pytest.fixture(scope="module", params=["machine", "today"])
def programs(request: pytest.FixtureRequest) -> Iterator[Programs]:
    """Give the engines' programs: those that the machine has, then those of today."""
    if request.param == "machine":
        yield HERE
        return
    with RootPrograms(today_root()) as entered:
        yield entered


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Give a running engine that holds the store; tests only ask it."""
    with new_engine() as started:
        yield started


@pytest.fixture(scope="session")
def store(engine: Engine) -> Store:
    """Give the names and the lost ids of what the engine holds."""
    return build_store(engine)


@pytest.fixture(scope="session")
def index(engine: Engine, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Index:  # noqa: ARG001
    """Give the index of the engine's store, scanned while its containers run."""
    return scan(engine.root, tmp_path_factory.mktemp("index") / "layerindex.db")


@pytest.fixture
def idle_engine() -> Iterator[Engine]:
    """Give a running engine of its own to a test that changes the store."""
    with new_engine() as started:
        yield started
