"""Reads in `distribution/` from which blobs layers were pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.records import LayerBlob
from layerindex.stores.disk.salvage import salvage
from layerindex.stores.docker.imagedb import read_blob, read_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.problems import Damage
    from layerindex.records import Record
    from layerindex.stores.disk.files import Folder


class LayerBlobs:
    """The blobs of a driver's layers; `optional` opens a folder that moby makes when it first needs it."""

    def __init__(self, optional: Callable[..., Folder | None]) -> None:
        self._optional = optional
        self._told: set[tuple[str, str]] = set()

    def of_repositories(self) -> Iterator[Record | Damage]:
        """Yield blobs with the repositories that they are known in."""
        if (opened := self._optional("distribution", "v2metadata-by-diffid")) is not None:
            with opened as above, above.folder("sha256") as folder:
                for item in salvage(read_sources, folder, shapes.HEX):
                    if isinstance(item, LayerBlob):
                        self._told.add((item.diff_id, item.digest))
                    yield item

    def others(self) -> Iterator[Record | Damage]:
        """Yield blobs without a known repository."""
        if (opened := self._optional("distribution", "diffid-by-digest")) is not None:
            with opened as above, above.folder("sha256") as folder:
                for item in salvage(read_blob, folder, shapes.HEX):
                    if not (isinstance(item, LayerBlob) and (item.diff_id, item.digest) in self._told):
                        yield item
