"""A graph root of containers-storage: one store for each driver that left something there.

How the pieces hang together: containers/storage `store.go`. There are no reference counts: a layer is needed when an
image or container needs it or a layer above it, and each layer in the lists has a directory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerindex.listings.rules import Rules
from layerindex.names import from_os, on_disk, printable
from layerindex.problems import Damage, vanished
from layerindex.records import Features
from layerindex.stores.containers_storage.holders import Holders
from layerindex.stores.containers_storage.layout import OVERLAY, StorageLayout
from layerindex.stores.containers_storage.moment import KIND_OF_LIST
from layerindex.stores.containers_storage.scan import Scan, has_mount_program
from layerindex.stores.disk.files import Folder, open_below
from layerindex.stores.shared.graphdriver import ADDITIONAL, KEPT_ELSEWHERE, directories
from layerindex.stores.shared.id_maps import rules_of
from layerindex.stores.shared.passes import settled, told
from layerindex.stores.store import Holder, Listed, Unpacking, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerindex.records import Record

KNOWN = (OVERLAY, "vfs", "btrfs", "zfs", "aufs", "devicemapper", "overlay2")
"""Every driver that containers-storage has or had."""

COMPOSEFS = ("composefs-data", "composefs.blob")
"""The composefs image with the names of a layer's files; its diff holds the contents under other names."""
COMPOSED = "the names of its files are in a composefs image, which is not read; its diff is not listed"


def find_stores(root: str, additional: Sequence[str] = ()) -> list[ContainersStore]:
    """Return the stores under a graph root, the likely one first.

    `additional` are its additional image stores. Raises Damage when the root cannot be opened. An empty list:
    this is no graph root.
    """
    with Folder(root) as opened:
        found = tuple(
            driver
            for driver in KNOWN
            if sum(map(opened.has_folder, (driver, f"{driver}-images", f"{driver}-layers")))
            > 1  # some of them may be lost
        )
    return [ContainersStore(root, driver, found, tuple(additional)) for driver in found]


class ContainersStore(StorageLayout):
    """The store of one driver."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The kind of store, as `snapshots.store` names it."""
        return f"containers-storage-{self.driver}"

    @property
    def engine(self) -> str:
        """Whose commands manage it."""
        return "containers-storage"

    @property
    def folder(self) -> str:
        """Where its directories lie."""
        return directories(self.driver)

    @property
    def limits(self) -> str | None:
        """What is not read of this store, in one line; None when everything is."""
        if not self.walkable:
            return f"driver {self.driver}: its image metadata is indexed, its directories are not read by this version"
        if self.additional:
            others = ", ".join(printable(from_os(each)) for each in self.additional)
            return f"images that {others} lends it are in the snapshot of that"
        return None

    @property
    def features(self) -> Features:
        """Its abilities; `merged` exists in every directory."""
        read = int(self.walkable)
        return Features(reads_directories=read, keeps_links=read, mounts_inside=0, guards_images=1, collects_garbage=0)

    @property
    def counted_by_docker(self) -> bool:
        """Docker counts nothing of it."""
        return False

    @property
    def disk_sizes(self) -> bool:
        """The lists have the sizes of tars."""
        return False

    @property
    def rules(self) -> Rules:
        """How the driver marks deletions: as the kernel or as fuse-overlayfs, for root or for a user."""
        rules = Rules.of(self.driver)
        try:
            with Folder(self.root) as root, root.folder(self.driver) as folder:
                status = os.fstat(folder.handle)
                rules = rules_of(self.driver, status)
                if has_mount_program(folder):
                    rules = rules_of("fuse-overlayfs", status)
        except Damage:
            pass  # reported when it was read
        return rules._replace(overridden=True)

    def engine_id(self) -> str | None:
        """Return None: these engines have no id."""
        return None

    def listed(self, layer: Wanted) -> Listed | None:
        """Return the tar-split of a layer; None where it was made without one. Raises Damage."""
        if layer.cache_id is None:
            return None
        path = f"{self.driver}-layers/{layer.cache_id}.tar-split.gz"
        try:
            listed_by = Listed.of("tar-split", path, lambda: self._open(path))
        except Damage as found:
            if found.problem.code == "vanished":
                return None
            raise
        return listed_by._replace(unpacking=Unpacking.of(self.driver, None))

    def _open(self, path: str) -> int:
        """Open a file that may have been removed a moment ago by an engine."""
        try:
            return open_below(self.root, *path.split("/"))
        except Damage as found:
            if found.problem.code == "missing":
                raise vanished(path) from found
            raise

    def tree(self, cache_id: str) -> str:
        """Return the folder with a directory's own files, relative to the root."""
        return f"{self.driver}/{printable(cache_id)}/diff"

    def open_tree(self, cache_id: str) -> int:
        """Open that folder; raises Damage, also where it does not hold the files under their names."""
        name = on_disk(cache_id)
        with Folder(self.root) as root, root.folder(self.driver) as driver:
            try:
                with driver.folder(name) as folder:
                    _check_names(folder, cache_id)
                return open_below(self.root, self.driver, name, "diff", folder=True)
            except Damage as found:
                raise settled(found, driver, name) from found

    def holder(self, path: tuple[str, ...], is_folder: bool) -> Holder:
        """Return the holder of a path below the root."""
        return Holders(self.driver, self.drivers, walkable=self.walkable, first=self.first).of(
            path, is_folder=is_folder
        )

    def recorded(self, kind: str, name: str) -> str:
        """Return the list in which a thing is recorded, or the folder of a volume."""
        if kind == "volume":
            return printable(f"volumes/{name}")
        listing = {"layer": "layers", "image": "images", "tag": "images"}.get(kind, "containers")
        return f"{self.driver}-{listing}/{KIND_OF_LIST[listing]}"

    def records(self) -> Iterator[Record]:
        """Return every fact of the store, and a Problem for everything that could not be read or is odd."""
        return told(self.root, self._items)

    def _items(self, root: Folder) -> Iterator[Record | Damage]:
        if not self.walkable:
            yield Damage("other-driver", self.driver, self.limits or "")
        yield from Scan(root, self).items()


def _check_names(folder: Folder, cache_id: str) -> None:
    """Raise Damage when a layer's diff does not hold its files under their names."""
    if folder.exists(*COMPOSEFS):
        raise Damage("composefs", folder.where(COMPOSEFS[0]), COMPOSED, cache_id)
    if ADDITIONAL in folder:
        raise Damage("additional-layer", folder.where(ADDITIONAL), KEPT_ELSEWHERE, cache_id)
