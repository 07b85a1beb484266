"""Who holds what is at a path of a graph root, as `disk_usage` tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.names import listed
from layerindex.stores.containers_storage.containers import LOG, USERDATA
from layerindex.stores.graphdriver import NOT_LAYERS
from layerindex.stores.store import Held

if TYPE_CHECKING:
    from collections.abc import Sequence

METADATA = {"images": "image metadata", "layers": "layer metadata", "containers": "container files"}
"""What each of a driver's folders of metadata holds, by the end of its name."""

PASSING = ("staging", "tempdirs")
"""Folders in the driver's folder: of what is being pulled, and of what is being removed."""

LIBPOD = ("libpod", "db.sql", "db.sql-wal", "db.sql-shm", "db.sql-journal")
"""Where Podman keeps its own state."""

AREAS = ("cache", "mounts", "networks", "secrets", "tmp")
"""Folders of the root that are one holder each."""


class Places:
    """Who holds what in the root of one driver; `drivers` are all that left something there."""

    def __init__(self, driver: str, drivers: Sequence[str], *, walkable: bool, first: bool) -> None:
        self.driver, self.drivers, self.walkable, self.first = driver, drivers, walkable, first

    def of(self, path: tuple[str, ...], *, is_folder: bool) -> Held:
        """Return the owner of what is at a path; called only for what lies in folders that several owners share."""
        top = path[0]
        if len(path) == 1:
            return self._top(top, is_folder=is_folder)
        if top == self.driver:
            return self._driver(path, is_folder=is_folder)
        if top == f"{self.driver}-containers":
            return self._container(path, is_folder=is_folder)
        if top == "volumes":
            return Held("volumes", listed(path[1])) if is_folder else Held("volume metadata")
        return Held("other", listed(top), large=True)

    def _top(self, name: str, *, is_folder: bool) -> Held:
        """Return who holds an entry of the root; what is not the first store's is told with that."""
        if name in LIBPOD:
            return Held("engine state", large=not self.first)
        if not is_folder:
            return Held("data root")
        if name == self.driver and self.walkable:
            return Held("other", name, apart=True, large=True)
        if name == "volumes":
            return Held("volume metadata", apart=True, large=not self.first)
        if name in AREAS:
            return Held(name, large=not self.first)
        return self._of_driver(name)

    def _of_driver(self, name: str) -> Held:
        """Return who holds what is named after a driver."""
        driver, _, kind = name.rpartition("-")
        if driver == self.driver and kind in METADATA:
            return Held(METADATA[kind], apart=kind == "containers")
        others = name if name in self.drivers else driver if driver in self.drivers and kind in METADATA else None
        if others is not None:
            return Held("other driver", others, large=True)
        return Held("other", listed(name), large=True)

    def _driver(self, path: tuple[str, ...], *, is_folder: bool) -> Held:
        name = listed(path[1])
        if path[1] == "l":
            return Held("overlay links")
        if path[1] in PASSING:
            return Held({"staging": "in-flight", "tempdirs": "removing"}[path[1]])
        if (not is_folder and len(path) == 2) or NOT_LAYERS.fullmatch(path[1]):
            return Held("other", self.driver)
        if len(path) == 2:
            return Held(directory=name, apart=True)
        return Held(directory=name, tree=path[2] == "diff" and is_folder)

    def _container(self, path: tuple[str, ...], *, is_folder: bool) -> Held:
        if len(path) == 2:
            return Held("container files", listed(path[1]), apart=True) if is_folder else Held("container files")
        owner = listed(path[1])
        if len(path) == 3:
            return Held("container files", owner, apart=is_folder and path[2] == USERDATA)
        if not is_folder and LOG.fullmatch(path[3]):
            return Held("container logs", owner)
        return Held("container files", owner)
