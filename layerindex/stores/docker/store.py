"""A Docker data root: `image/<driver>/`, `<driver>/`, `containers/` and `volumes/`, as one store for each driver."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerindex.guard import reading
from layerindex.listings.rules import IdMap, Rules
from layerindex.names import on_disk, printable
from layerindex.problems import Damage
from layerindex.records import Features
from layerindex.stores.disk.files import Folder, open_below
from layerindex.stores.docker.drivers import REMAPPED, drivers, remapped_roots
from layerindex.stores.docker.holders import Holders
from layerindex.stores.docker.layout import DockerLayout
from layerindex.stores.docker.scan import Scan
from layerindex.stores.shared import buildkit
from layerindex.stores.shared.graphdriver import directories
from layerindex.stores.shared.id_maps import rules_of
from layerindex.stores.shared.passes import settled, told
from layerindex.stores.store import Holder, Listed, Unpacking, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.records import Record


def find_stores(root: str) -> list[DockerStore]:
    """Return the stores under a data root: one for each driver, of the root itself and of each userns-remap root.

    Raises Damage when the root cannot be opened. An empty list: this is no Docker data root.
    """
    with Folder(root) as opened:
        stores, inner = _stores(root, opened), []
        for name in remapped_roots(opened):
            try:
                with opened.folder(name) as remapped:
                    inner += _stores(f"{root.rstrip('/')}/{name}", remapped)
            except Damage:
                if not stores:
                    raise
        remapped_too = tuple(sorted({os.path.basename(store.root) for store in inner}))
        return [*(store._replace(remapped=remapped_too) for store in stores), *inner]


def _stores(root: str, opened: Folder) -> list[DockerStore]:
    found = tuple(drivers(opened))
    return [DockerStore(root, driver, found) for driver in found]


class DockerStore(DockerLayout):
    """The store of one driver."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The kind of store, as `snapshots.store` names it."""
        return f"docker-{self.driver}"

    @property
    def engine(self) -> str:
        """Whose commands manage it."""
        return "docker"

    @property
    def folder(self) -> str:
        """Where its directories lie."""
        return directories(self.driver)

    @property
    def features(self) -> Features:
        """Its abilities."""
        read = int(self.walkable)
        return Features(
            reads_directories=read, keeps_links=read, mounts_inside=read, guards_images=1, collects_garbage=0
        )

    @property
    def rules(self) -> Rules:
        """How the driver marks deletions, and the map of owners for userns-remap or a rootless engine."""
        remapped = REMAPPED.fullmatch(os.path.basename(self.root))
        if remapped:
            uids, gids = (((int(first), 1 << 32, 0),) for first in os.path.basename(self.root).split("."))
            return Rules.of(self.driver)._replace(id_map=IdMap(uids, gids))
        return rules_of(self.driver, os.stat(self.root))

    @property
    def counted_by_docker(self) -> bool:
        """Docker counts it."""
        return True

    @property
    def disk_sizes(self) -> bool:
        """Whether sizes are bytes on disk: layerdb has the sizes of files."""
        return False

    def engine_id(self) -> str | None:
        """Return what the root's engine-id file says (Docker 23 and later)."""
        try:
            with reading("engine-id"), Folder(self.root) as root:
                return root.text("engine-id") if "engine-id" in root else None
        except Damage:
            return None

    def listed(self, layer: Wanted) -> Listed:
        """Return the tar-split of a layer; raises Damage."""
        path = f"image/{self.driver}/layerdb/sha256/{layer.chain_id.removeprefix('sha256:')}/tar-split.json.gz"
        return Listed.of("tar-split", path, lambda: self._open(path))._replace(
            unpacking=Unpacking.of(self.driver, layer.cache_id)
        )

    def _open(self, path: str) -> int:
        names = path.split("/")
        try:
            return open_below(self.root, *names)
        except Damage as found:
            with Folder(self.root) as root:
                raise settled(found, root, *names[:-1]) from found

    def tree(self, cache_id: str) -> str:
        """Return the folder with a directory's own files."""
        return f"{self.driver}/{printable(cache_id)}/diff"

    def open_tree(self, cache_id: str) -> int:
        """Open the folder with a directory's own files, named in the text form of the database; raises Damage."""
        name = on_disk(cache_id)
        try:
            return open_below(self.root, self.driver, name, "diff", folder=True)
        except Damage as found:
            with Folder(self.root) as root:
                raise settled(found, root, self.driver, name) from found

    def holder(self, path: tuple[str, ...], is_folder: bool) -> Holder:
        """Return the holder of a path below the root."""
        return Holders(self).of(path, is_folder=is_folder)

    def recorded(self, kind: str, name: str) -> str:
        """Return the file or folder in which a thing is recorded."""
        image, digest = f"image/{self.driver}", name.removeprefix("sha256:")
        places = {
            "layer": f"{image}/layerdb/sha256/{digest}",
            "mount": f"{image}/layerdb/mounts/{name}",
            "image": f"{image}/imagedb/content/sha256/{digest}",
            "tag": f"{image}/repositories.json",
            "build cache": f"{buildkit.FOLDER}/{buildkit.METADATA}",
            "volume": f"volumes/{name}",
        }
        return printable(places.get(kind, f"containers/{name}"))

    def records(self) -> Iterator[Record]:
        """Return every fact of the store, and a Problem for everything that could not be read or is odd."""
        return told(self.root, lambda root: Scan(self, root).items())
