"""Where a store of containers-storage lies and what lies beside it: what its readers know of it."""

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
    """Graph roots that lend this one images: additional image stores, or where images are kept apart."""
    borrowers: tuple[GraphRoot, ...] = ()
    """Graph roots of this host that borrow images from this one."""
    run_root: str | None = None
    """Where this host has what need not outlive it, a transient store its containers too; None where not known."""

    @property
    def walkable(self) -> bool:
        """Whether each directory's own files lie in one folder."""
        return self.driver == OVERLAY

    @property
    def first(self) -> bool:
        """Whether what all drivers share, such as volumes, is told with this one."""
        return self.driver == self.drivers[0]
