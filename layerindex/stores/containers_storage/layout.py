"""Where a store of containers-storage and its related folders are; shared by its readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from layerindex.stores.containers_storage.settings import GraphRoot

OVERLAY = "overlay"


class StorageLayout(NamedTuple):
    """What one driver keeps under a graph root; `drivers` are all there, the likely one first."""

    root: str
    driver: str
    drivers: tuple[str, ...]
    additional: tuple[str, ...] = ()
    """Graph roots whose images this one uses: additional image stores, or a separate imagestore."""
    borrowers: tuple[GraphRoot, ...] = ()
    """Graph roots of this host that use images of this one."""
    run_root: str | None = None
    """The runroot, for state that a reboot may remove; a transient store has its containers there. None where
    unknown."""

    @property
    def walkable(self) -> bool:
        """Whether each directory's own files lie in one folder."""
        return self.driver == OVERLAY

    @property
    def first(self) -> bool:
        """Whether the things that all drivers share, such as volumes, are recorded with this one."""
        return self.driver == self.drivers[0]
