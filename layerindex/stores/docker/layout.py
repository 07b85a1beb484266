"""Where a store of Docker lies and what lies beside it: what its readers know of it."""

from __future__ import annotations

from typing import NamedTuple

from layerindex.stores.docker.drivers import CONTAINERD, READABLE


class DockerLayout(NamedTuple):
    """What one storage driver keeps under a data root; `siblings` are all drivers there, the engine's choice first."""

    root: str
    driver: str
    siblings: tuple[str, ...]
    remapped: tuple[str, ...] = ()
    """Folders of the root that are userns-remap roots with stores of their own."""

    @property
    def limits(self) -> str | None:
        """What of this store is not read, in one line; None when all is."""
        if self.driver == CONTAINERD:
            return "its images and layers are in a containerd elsewhere, such as /var/lib/containerd; scan that too"
        if self.driver not in READABLE:
            return f"driver {self.driver}: its image metadata is indexed, its directories are not read by this version"
        return None

    @property
    def walkable(self) -> bool:
        """Whether the driver keeps each directory's own files in `diff`."""
        return self.driver in READABLE

    @property
    def first(self) -> bool:
        """Whether what all drivers share is told with this one: the engine's choice."""
        return self.driver == self.siblings[0]

    def keeper(self, driver: str | None) -> str:
        """Return which driver's store has a container that was made with a driver, or with none that is told."""
        owner = driver if driver in self.siblings else CONTAINERD
        return owner if owner in self.siblings else self.siblings[0]
