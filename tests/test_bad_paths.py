"""Each path of a store of each kind, damaged: its scan ends, says so, and calls nothing an orphan that has an owner."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.conftest import nobody_special, scanned
from tests.kinds import KINDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kinds import Store

INSIDE = re.compile(r"(^|/)(diff|fs|_data|work|merged)/")
"""Files that are no engine's."""

UNREAD = re.compile(
    r"""(^|/)( (network|plugins|runtimes|swarm|tmp)(/|$)          # Docker's, that say nothing of images or containers
    | containers/[0-9a-f]{64}/(mounts|checkpoints|host|resolv)    # mounted into a container
    | (tar-split\.json|\.tar-split)\.gz$ | [^/]*\.tar-split\.gz$  # read for the files
    | (work|merged|committed|empty|(containers|images|layers)\.lock)$  # there or not
    | _data$ )""",
    re.VERBOSE,
)
"""What a scan without files does not look at."""

UNOPENED = re.compile(r"\.log$|/(data|diff|fs)$|/blobs/sha256/[0-9a-f]{64}$|^volumes/kept$")
"""What it does not open, but asks the size or kind of."""


def swapped(path: Path, *, folder: bool) -> None:
    """Put a file in the place of a folder, and a folder in the place of anything else."""
    if folder:
        path.write_bytes(b"x")
    else:
        path.mkdir()


def looped(path: Path, **_: bool) -> None:
    """Put a symlink to itself there."""
    path.symlink_to(path.name)


def fifo(path: Path, **_: bool) -> None:
    """Put a fifo there, which nobody writes to."""
    os.mkfifo(path)


def emptied(path: Path, *, folder: bool) -> None:
    """Put an empty one there."""
    if folder:
        path.mkdir()
    else:
        path.touch()


@contextmanager
def damaged(path: Path, aside: Path, damage: Callable[..., None]) -> Iterator[None]:
    """Have something else in the place of a path for a while."""
    path.rename(aside)
    damage(path, folder=aside.is_dir() and not aside.is_symlink())
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        aside.rename(path)


def engine_paths(store: Path) -> list[Path]:
    """Return every path of a store that is the engine's."""
    found = sorted(path.relative_to(store) for path in store.rglob("*"))
    return [store / path for path in found if not INSIDE.search(f"{path}")]


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no engine: none writes."""
    monkeypatch.setattr(time, "sleep", lambda _: None)


class Before:
    """What a scan says of a store where all is well, to compare others with."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.problems = self._problems(scanned(store))
        self.owned = set(scanned(store).execute("SELECT cache_id FROM overlay_dirs WHERE role <> 'orphan'"))

    @staticmethod
    def _problems(connection: sqlite3.Connection) -> set[tuple[str, str]]:
        return set(connection.execute("SELECT code, path FROM problems"))

    def check(self, path: Path, damage: str) -> None:
        """Scan the store with that damage: it is a problem if it is read, and makes no orphan of what has an owner."""
        connection = scanned(self.store)
        orphans = connection.execute("SELECT cache_id FROM overlay_dirs WHERE role = 'orphan'")
        text = f"{path.relative_to(self.store)}"
        unread = UNREAD.search(text) or (damage == "denied" and UNOPENED.search(text))
        assert unread or self._problems(connection) - self.problems, f"{text} {damage}"
        assert self.owned.isdisjoint(orphans), f"{text} {damage}"


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_of_another_kind(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """A folder, a file, a symlink or a fifo where something else must be."""
    store = kind(tmp_path).path
    before = Before(store)
    damages: dict[str, Callable[..., None]] = {"swapped": swapped, "looped": looped, "fifo": fifo}
    for path, damage in product(engine_paths(store), damages):
        with damaged(path, tmp_path / "aside", damages[damage]):
            before.check(path, damage)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", KINDS)
def test_what_may_not_be_read(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """A folder or file that denies itself."""
    store = kind(tmp_path).path
    before = Before(store)
    for path in engine_paths(store):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0)
            try:
                with nobody_special():
                    before.check(path, "denied")
            finally:
                path.chmod(mode)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_empty(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """It ends no scan, while an engine works."""
    store, locked = kind(tmp_path)
    with ExitStack() as stack:
        for database in locked:
            fcntl.flock(stack.enter_context(database.open("rb")), fcntl.LOCK_EX)
        for path in engine_paths(store):
            with damaged(path, tmp_path / "aside", emptied):
                assert scanned(store).execute("SELECT count(*) FROM snapshots").fetchone() != (0,), path
