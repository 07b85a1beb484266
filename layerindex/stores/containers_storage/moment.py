"""Reads the lists of a driver as they were at one moment, and the state of each."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from layerindex import standing
from layerindex.guard import reading
from layerindex.names import from_os, printable
from layerindex.problems import KINDS, Damage
from layerindex.stores.containers_storage import containers, images, layers
from layerindex.stores.containers_storage.lists import KEPT, VOLATILE, read_list
from layerindex.stores.disk.files import Folder
from layerindex.stores.shared.claims import Sources
from layerindex.stores.shared.overlay import PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.stores.containers_storage.containers import StoredContainer
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.containers_storage.lists import Item

T = TypeVar("T")

KIND_OF_LIST = {"layers": layers.LIST, "images": images.LIST, "containers": containers.LIST}
TELLS = {"layers": ("layers",), "images": ("images", "manifests", "names"), "containers": ("containers", "mounts")}
"""The kinds of facts in each list."""
ATTEMPTS = 5
"""How often lists that were replaced during the reading are read again: together they must show one moment."""


def names_of(kind: str) -> tuple[str, str]:
    """Return the names of a list and of its volatile twin."""
    return KIND_OF_LIST[kind], f"{VOLATILE}{KIND_OF_LIST[kind]}"


class Lists(NamedTuple):
    """The content of the lists at one moment, and findings about them."""

    layers: dict[str, StoredLayer]
    images: list[Item]
    containers: dict[str, StoredContainer]
    damages: list[Damage]
    sources: Sources
    """The lists and their states."""
    complete: bool
    """Whether everything that needs layers could be read."""


@contextmanager
def opened_run(path: str | None) -> Iterator[Folder | None]:
    """Open a runroot, where a transient store has its volatile lists; None where there is none. Raises Damage."""
    if path is None or not os.path.lexists(path):
        yield None
        return
    with Folder(path) as run:
        run.path = printable(from_os(path))
        yield run


def read_lists(root: Folder, driver: str, run: Folder | None = None) -> Lists:
    """Return the lists of one moment, or as they are after too many attempts; `run` is the runroot."""
    return Reader(root, driver, run).lists()


class Reader:
    """Reads the lists of one driver."""

    def __init__(self, root: Folder, driver: str, run: Folder | None = None) -> None:
        self.root, self.driver, self.run = root, driver, run

    def lists(self) -> Lists:
        """Return the lists as they were at one moment, or as they are after that many attempts."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE / 5)
            before = self._identity()
            found = self._read_lists()
            if self._identity() == before:
                return found
        found.damages.append(
            Damage("inconsistent", f"{self.driver}-layers", "lists were replaced each time they were read")
        )
        return found

    def _identity(self) -> list[tuple[int, ...] | None]:
        """Return what changes when a list is replaced."""
        found: list[tuple[int, ...] | None] = []
        for base, kind in product(filter(None, (self.root, self.run)), KIND_OF_LIST):
            for file in names_of(kind):
                try:
                    folder = os.open(f"{self.driver}-{kind}", os.O_PATH | os.O_NOFOLLOW, dir_fd=base.handle)
                except OSError:
                    found.append(None)
                    continue
                try:
                    status = os.stat(file, dir_fd=folder, follow_symlinks=False)
                    found.append((status.st_ino, status.st_size, status.st_mtime_ns))
                except OSError:
                    found.append(None)
                finally:
                    os.close(folder)
        return found

    def _read_lists(self) -> Lists:
        damages: list[Damage] = []
        sources = Sources()
        found = {item.layer_id: item for item in self._read("layers", layers.read_layers, damages)}
        self._judge("layers", damages, sources)
        above: list[Damage] = []
        pictures = list(self._read("images", lambda folder: read_list(folder, images.LIST), above))
        self._judge("images", above, sources)
        holding: list[Damage] = []
        holders = {item.container_id: item for item in self._read("containers", containers.read_containers, holding)}
        self._judge("containers", holding, sources)
        complete = not any(_hides(each) for each in above + holding)
        return Lists(found, pictures, holders, damages + above + holding, sources, complete)

    def _judge(self, kind: str, damages: list[Damage], sources: Sources) -> None:
        """Record the state of a list: what it may hide is in doubt."""
        hidden = [each for each in damages if _hides(each)]
        for fact in TELLS[kind]:
            for found in hidden:
                sources.damaged(fact, found)
            if not hidden:
                there = any(self._exists(base, kind, name) for base in (self.root, self.run) for name in names_of(kind))
                where = f"{self.driver}-{kind}/{KIND_OF_LIST[kind]}"
                sources.note(fact, where, standing.READ if there else standing.ABSENT)

    def _exists(self, base: Folder | None, kind: str, *name: str) -> bool:
        return base is not None and base.exists(f"{self.driver}-{kind}", *name)

    def _read(self, kind: str, read: Callable[[Folder], Iterator[T | Damage]], damages: list[Damage]) -> Iterator[T]:
        if self._exists(self.run, kind):
            yield from self._read_in(self.run or self.root, kind, read, damages)
        if kind != "containers" or self._exists(self.root, kind):  # else it is normal, as in an image store for others
            yield from self._read_in(self.root, kind, read, damages)

    def _read_in(
        self, base: Folder, kind: str, read: Callable[[Folder], Iterator[T | Damage]], damages: list[Damage]
    ) -> Iterator[T]:
        count = 0
        try:
            with reading(f"{self.driver}-{kind}"), base.folder(f"{self.driver}-{kind}") as folder:
                for item in read(folder):
                    if not isinstance(item, Damage):
                        yield item
                        continue
                    count += 1
                    if count <= KEPT:
                        damages.append(item)
        except Damage as found:
            damages.append(found)
        if count > KEPT:
            damages.append(Damage("more-problems", f"{self.driver}-{kind}", f"{count - KEPT} more like these"))


def _hides(found: Damage) -> bool:
    """Say whether a finding about a list means that it may hide something; one with a subject does not."""
    problem = found.problem
    return problem.subject is None and (KINDS[problem.code].severity == "error" or problem.code == "vanished")
