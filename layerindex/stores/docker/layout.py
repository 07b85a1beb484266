"""Where a store of Docker and its related folders are; shared by its readers."""

from __future__ import annotations

from typing import NamedTuple

from layerindex.stores.docker.drivers import CONTAINERD, READABLE


class DockerLayout(NamedTuple):
    """One storage driver under a data root; `siblings` are all drivers there, the one that the engine prefers first."""

    root: str
    driver: str
    siblings: tuple[str, ...]
    remapped: tuple[str, ...] = ()
    """Folders of the root that are userns-remap roots, which are stores of their own."""

    @property
    def limits(self) -> str | None:
        """What is not read of this store, in one line; None when everything is."""
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
        """Whether the things that all drivers share are recorded with this one: the driver that the engine prefers."""
        return self.driver == self.siblings[0]

    def keeper(self, driver: str | None) -> str:
        """Return the driver whose store has a container that was made with a given, or an unknown, driver."""
        owner = driver if driver in self.siblings else CONTAINERD
        return owner if owner in self.siblings else self.siblings[0]
