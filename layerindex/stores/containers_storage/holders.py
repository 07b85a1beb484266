"""The holder of each path below a graph root, for `disk_usage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.names import from_os
from layerindex.stores.containers_storage.containers import LOG, USERDATA
from layerindex.stores.shared.graphdriver import NOT_LAYERS
from layerindex.stores.store import Holder

if TYPE_CHECKING:
    from collections.abc import Sequence

METADATA = {"images": "image metadata", "layers": "layer metadata", "containers": "container files"}
"""The category of each of a driver's metadata folders, by the end of its name."""

PASSING = ("staging", "tempdirs")
"""Folders in the driver's folder for layers that are being pulled or removed."""

LIBPOD = ("libpod", "db.sql", "db.sql-wal", "db.sql-shm", "db.sql-journal")
"""Where Podman keeps its own state."""

AREAS = ("cache", "mounts", "networks", "secrets", "tmp")
"""Folders of the root that have one holder each."""


class Holders:
    """The holders in the root of one driver; `drivers` are all drivers that left something there."""

    def __init__(self, driver: str, drivers: Sequence[str], *, walkable: bool, first: bool) -> None:
        self.driver, self.drivers, self.walkable, self.first = driver, drivers, walkable, first

    def of(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        """Return the holder of a path; called only for entries of folders that several holders share."""
        top = path[0]
        if len(path) == 1:
            return self._top(top, is_folder=is_folder)
        if top == self.driver:
            return self._driver(path, is_folder=is_folder)
        if top == f"{self.driver}-containers":
            return self._container(path, is_folder=is_folder)
        if top == "volumes":
            return Holder("volumes", from_os(path[1])) if is_folder else Holder("volume metadata")
        return Holder("other", from_os(top), large=True)

    def _top(self, name: str, *, is_folder: bool) -> Holder:
        """Return the holder of an entry of the root; shared entries are counted with the first store."""
        if name in LIBPOD:
            return Holder("engine state", left=not self.first)
        if not is_folder:
            return Holder("data root")
        if name == self.driver and self.walkable:
            return Holder("other", name, apart=True)
        if name == "volumes":
            return Holder("volume metadata", left=not self.first, apart=self.first)
        if name in AREAS:
            return Holder(name, left=not self.first)
        return self._of_driver(name)

    def _of_driver(self, name: str) -> Holder:
        """Return the holder of an entry that is named after a driver."""
        driver, _, kind = name.rpartition("-")
        if driver == self.driver and kind in METADATA:
            return Holder(METADATA[kind], apart=kind == "containers")
        others = name if name in self.drivers else driver if driver in self.drivers and kind in METADATA else None
        if others is not None:
            return Holder("other driver", others, large=True)
        return Holder("other", from_os(name), large=True)

    def _driver(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        name = from_os(path[1])
        if path[1] == "l":
            return Holder("overlay links")
        if path[1] in PASSING:
            return Holder({"staging": "in-flight", "tempdirs": "removing"}[path[1]])
        if (not is_folder and len(path) == 2) or NOT_LAYERS.fullmatch(path[1]):
            return Holder("other", self.driver)
        if len(path) == 2:
            return Holder(directory=name, apart=True)
        return Holder(directory=name, tree=path[2] == "diff" and is_folder)

    def _container(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        if len(path) == 2:
            return Holder("container files", from_os(path[1]), apart=True) if is_folder else Holder("container files")
        owner = from_os(path[1])
        if len(path) == 3:
            return Holder("container files", owner, apart=is_folder and path[2] == USERDATA)
        if not is_folder and LOG.fullmatch(path[3]):
            return Holder("container logs", owner)
        return Holder("container files", owner)
