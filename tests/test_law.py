"""The law of doubt: damage turns nothing that was used into unused, orphan or unreferenced.

For each path of a store of each kind, and each way to damage it, a scan is compared with that of the whole store: what
was used there is used or unknown, or no longer told of. Pairs of damages are drawn from a seed.
"""

from __future__ import annotations

import random
import shutil
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import TYPE_CHECKING

import pytest

from layerindex import catalog
from tests.conftest import nobody_special, scanned
from tests.kinds import KINDS
from tests.test_bad_paths import damaged, emptied, engine_paths, fifo, looped, no_waiting, swapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kinds import Store

__all__ = ["no_waiting"]

STANDING = "SELECT kind, id FROM standings WHERE standing = ?"
THERE = {"torn", "denied", "swapped", "looped", "fifo"}
"""Damages after which something stands in the place: what it held is not missing, it was not read."""
PAIRS = 150
"""Pairs of damages tried of each kind of store."""


@contextmanager
def removed(path: Path, aside: Path) -> Iterator[None]:
    """Take a path away for a while."""
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def cut(path: Path, aside: Path) -> Iterator[None]:
    """Have the first half of a file in its place, or half of what a folder holds."""
    path.rename(aside)
    if aside.is_dir():
        path.mkdir()
        inside = sorted(aside.iterdir())
        for each in inside[: len(inside) // 2]:
            each.rename(path / each.name)
    else:
        content = b"" if aside.is_symlink() or aside.is_fifo() else aside.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    try:
        yield
    finally:
        if aside.is_dir():
            for each in path.iterdir():
                each.rename(aside / each.name)
            path.rmdir()
        else:
            path.unlink()
        aside.rename(path)


@contextmanager
def torn(path: Path, aside: Path) -> Iterator[None]:
    """Have as many bytes that say nothing in the place of a file."""
    path.rename(aside)
    if aside.is_dir():
        shutil.copytree(aside, path, symlinks=True)
    else:
        path.write_bytes(b"\0" * (0 if aside.is_symlink() or aside.is_fifo() else aside.stat().st_size))
    try:
        yield
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        aside.rename(path)


@contextmanager
def denied(path: Path, _: Path) -> Iterator[None]:
    """Have a path that may not be read."""
    if path.is_symlink():
        yield
        return
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with nobody_special():
            yield
    finally:
        path.chmod(mode)


def placed(damage: Callable[..., None]) -> Callable[[Path, Path], object]:
    """Return the damage that puts something else in the place of a path."""
    return lambda path, aside: damaged(path, aside, damage)


DAMAGES: dict[str, Callable[..., object]] = {
    "removed": removed,
    "emptied": placed(emptied),
    "cut": cut,
    "torn": torn,
    "denied": denied,
    "swapped": placed(swapped),
    "looped": placed(looped),
    "fifo": placed(fifo),
}
"""The ways in which a path is damaged."""


class Whole:
    """What stands of a store where all is well."""

    def __init__(self, store: Store, aside: Path) -> None:
        self.store, self.aside = store.path, aside
        self.used = set(scanned(self.store).execute(STANDING, ("used",)))

    def broken(self, *damages: tuple[Path, str]) -> list[tuple[str, ...]]:
        """Return what was used and is said to be unused with some damages, and what is missing without a cause."""
        with ExitStack() as stack:
            for number, (path, damage) in enumerate(damages):
                stack.enter_context(DAMAGES[damage](path, self.aside.with_name(f"aside-{number}")))  # type: ignore[arg-type]
            connection = scanned(self.store)
            unused = self.used.intersection(connection.execute(STANDING, ("unused",)))
            there = {damage for _, damage in damages} <= THERE
            rows = connection.execute(catalog.load("missing-data").sql, {"code": None}) if there else ()
            return sorted(unused) + [(code, thing) for _, thing, _, code, _, because, *_ in rows if because is None]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", KINDS)
def test_one_damage(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """Each path damaged in each way."""
    store = kind(tmp_path)
    whole = Whole(store, tmp_path / "aside")
    broken = {}
    for path, damage in product(engine_paths(store.path), DAMAGES):
        if found := whole.broken((path, damage)):
            broken[f"{path.relative_to(store.path)} {damage}"] = found
    assert broken == {}


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("kind", KINDS)
def test_two_damages(tmp_path: Path, kind: Callable[[Path], Store]) -> None:
    """Pairs of paths, neither in the other; what no record is left of may be called unused: the engine says so too."""
    store = kind(tmp_path)
    whole = Whole(store, tmp_path / "aside")
    draw = random.Random(0)
    paths, broken = engine_paths(store.path), {}
    ways = [damage for damage in DAMAGES if damage != "removed"]
    for _ in range(PAIRS):
        first, second = draw.sample(paths, 2)
        if first in second.parents or second in first.parents:
            continue
        pair = ((first, draw.choice(ways)), (second, draw.choice(list(DAMAGES))))
        if found := whole.broken(*pair):
            broken[", ".join(f"{path.relative_to(store.path)} {damage}" for path, damage in pair)] = found
    assert broken == {}
