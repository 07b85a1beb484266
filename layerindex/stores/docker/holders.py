"""The holder of each path below a data root, for `disk_usage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.names import from_os
from layerindex.stores.docker.containers import container_holder
from layerindex.stores.docker.drivers import CONTAINERD, DAEMON, KNOWN, REMAPPED
from layerindex.stores.shared.graphdriver import NOT_LAYERS
from layerindex.stores.store import Holder

if TYPE_CHECKING:
    from layerindex.stores.docker.layout import DockerLayout

AREAS = ("buildkit", "network", "swarm", "containerd", "tmp")
"""Folders of the root that have one holder each."""

APART = {
    "image": "image metadata",
    "containers": "container files",
    "volumes": "volume metadata",
    "plugins": "plugins",
}
"""Folders of the root whose entries have their own holders, and the holder of the rest."""


class Holders:
    """The holders in a data root."""

    def __init__(self, store: DockerLayout) -> None:
        self.store = store

    def of(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        """Return the holder of a path; called only for entries of folders that several holders share."""
        return self._held(path, is_folder=is_folder)._replace(left=self._is_left(path))

    def _is_left(self, path: tuple[str, ...]) -> bool:
        """Say whether another store of the root counts a path: the store of each driver counts its own folders."""
        store = self.store
        if (path[0] == store.driver and store.walkable) or path[:2] == ("image", store.driver):
            return False
        if not store.first or (path[0] == "image" and path[1:2] and path[1] in store.siblings):
            return True
        if path[0] == CONTAINERD:
            return len(path) > 1 and path[1] == DAEMON and CONTAINERD in store.siblings
        return path[0] in store.remapped or (path[0] in store.siblings and store._replace(driver=path[0]).walkable)

    def _held(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        top = path[0]
        if len(path) == 1:
            return self._top(top) if is_folder else Holder("data root")
        if top == self.store.driver:
            return self._driver(path, is_folder=is_folder)
        if top == "image":
            return self._image(path, is_folder=is_folder)
        if top == "containers":
            return container_holder(path, is_folder=is_folder)
        if top == "volumes":
            return Holder("volumes", from_os(path[1])) if is_folder else Holder("volume metadata")
        return Holder(top, from_os(path[1]))

    def _top(self, name: str) -> Holder:
        """Return the holder of a folder of the root."""
        if name == self.store.driver and self.store.walkable:
            return Holder("other", name, apart=True)
        if name in KNOWN or (name in self.store.siblings and name != CONTAINERD):
            return Holder("other driver", name, large=True)
        if REMAPPED.fullmatch(name):
            return Holder("other root", name, large=True)
        if name in AREAS:
            return Holder(
                name, apart=name == CONTAINERD and CONTAINERD in self.store.siblings, large=name == CONTAINERD
            )
        if name in APART:
            return Holder(APART[name], apart=True)
        return Holder("other", from_os(name), large=True)

    def _driver(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        name = from_os(path[1])
        if path[1] == "l":
            return Holder("overlay links")
        if (not is_folder and len(path) == 2) or NOT_LAYERS.fullmatch(path[1]):
            return Holder("other", self.store.driver)
        if len(path) == 2:
            return Holder(directory=name, apart=True)
        return Holder(directory=name, tree=path[2] == "diff" and is_folder)

    def _image(self, path: tuple[str, ...], *, is_folder: bool) -> Holder:
        if not is_folder:
            return Holder("image metadata")
        if path[1] != self.store.driver:
            return Holder("other driver", from_os(f"image/{path[1]}"), large=True)
        if len(path) == 2:
            return Holder("image metadata", apart=True)
        return Holder({"layerdb": "layer metadata", "distribution": "distribution"}.get(path[2], "image metadata"))
