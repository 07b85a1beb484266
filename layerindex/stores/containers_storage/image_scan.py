"""The images of a store: each with its names, layers and history, and what is wrong with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.problems import Damage, vanished
from layerindex.stores.containers_storage import evidence, images, layers
from layerindex.stores.containers_storage.instances import ManifestLists
from layerindex.stores.containers_storage.moment import ATTEMPTS
from layerindex.stores.overlay import PAUSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.records import Image, Record
    from layerindex.stores.containers_storage.found import Found
    from layerindex.stores.containers_storage.images import StoredImage
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.imagedb import Config


class Images:
    """The images of a store."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.ids: dict[str, str] = {}
        """Of each image in the list the id that is the same in every store."""
        self._manifest_lists = ManifestLists()
        self._apart = found.apart

    def _sizes(self) -> dict[str, int | None]:
        """Return the size of each chain."""
        chains = sorted(self.found.chains.of.items(), reverse=True)
        return {chain: self.found.known[each].size for each, chain in chains if chain}

    def records(self) -> Iterator[Record | Damage]:
        """Yield the images: who is whose parent shows when all are known, so that configs are read twice."""
        family = images.Family()
        young = False
        with self.found.folder("images") as folder:
            for item in images.read_items(folder, self.found.lists.images):
                if isinstance(item, Damage):
                    young |= item.problem.code in ("missing", "vanished")
                elif item.config is not None:
                    family.add(item.config)
        if young:
            # An engine writes an image, then its config, and removes them the other way round.
            time.sleep(PAUSE)
        now = {item.id: item for item in self.found.now().images} if young else {}
        items = [now.get(item.id, item) for item in self.found.lists.images]
        sizes = self._sizes()
        seen: set[str] = set()
        manifests: set[tuple[str, str, str]] = set()
        damages: list[Damage] = []
        with self.found.folder("images") as folder:
            for stored in images.read_items(folder, items):
                if isinstance(stored, Damage):
                    damages.append(stored)
                else:
                    yield from self._image(stored, seen, manifests, family, sizes)
        yield from self._manifest_lists.records()
        yield from self._unless_removed(damages)

    def _unless_removed(self, damages: list[Damage]) -> Iterator[Damage]:
        """Yield findings about images, or that the image was removed meanwhile: its files go before its name."""
        absent = {found.problem.subject for found in damages if found.problem.code in ("missing", "vanished")}
        gone: set[str | None] = set()
        for _ in range(ATTEMPTS):
            if gone == absent:
                break
            time.sleep(PAUSE)
            now = self.found.now()
            # One that was away for a moment may have come again.
            gone |= absent - {item.id for item in now.images} if now.complete else set()
        kind = f"{self.found.driver}-images"
        for found in damages:
            problem = found.problem
            if evidence.hides(found):
                self.found.claims.sources.damaged("images", found)
                self.found.claims.sources.damaged("manifests", found)
            again = problem.path == f"{kind}/{problem.subject}" and self.found.root.exists(kind, problem.subject or "")
            if (again or problem.subject in gone) and problem.code in ("missing", "vanished"):
                yield vanished(problem.path, problem.subject)
            else:
                yield found

    def _image(
        self,
        stored: StoredImage,
        seen: set[str],
        manifests: set[tuple[str, str, str]],
        family: images.Family,
        sizes: dict[str, int | None],
    ) -> Iterator[Record | Damage]:
        image_id = self._image_id(stored)
        if image_id is None:
            return
        self.ids[stored.storage_id] = image_id
        yield from images.references(stored, image_id)
        self._manifest_lists.add(stored.names, stored.instances)
        for manifest in stored.manifests:
            self._manifest_lists.add_image(manifest)
            key = (manifest.digest, manifest.image_id, manifest.index_digest)
            if key not in manifests:
                manifests.add(key)
                yield manifest
        if stored.config is None:
            for top in stored.layers:  # its config would name them
                self.found.claim(top, "image", image_id)
        if stored.config is None or image_id in seen:
            return
        seen.add(image_id)
        config = stored.config
        for top in stored.layers:
            self.found.claim(top, "image", image_id, self._apart)
        way = layers.way(stored.layers[0], self.found.known) if stored.layers else []
        yield self._sized(config, way, sizes)._replace(parent_image_id=family.parent(config))
        yield from config.layers
        yield from config.history
        yield from self._check_image(stored, config, way, sizes)

    @staticmethod
    def _image_id(stored: StoredImage) -> str | None:
        if stored.config is not None:
            return stored.config.image.image_id
        digests = [manifest.digest for manifest in stored.manifests if manifest.kind == "index"]
        own = f"sha256:{stored.storage_id}"
        return digests[0] if digests else own if shapes.DIGEST.fullmatch(own) else None

    @staticmethod
    def _sized(config: Config, way: list[StoredLayer], sizes: dict[str, int | None]) -> Image:
        image = config.image
        if len(way) == len(config.layers):
            found = [layer.size for layer in way]
        else:
            found = [sizes.get(layer.chain_id) for layer in config.layers]
        whole = [size for size in found if size is not None]
        total = sum(whole)
        return image._replace(size=total if len(whole) == len(found) and total < 2**63 else None)

    def _check_image(
        self,
        stored: StoredImage,
        config: Config,
        way: list[StoredLayer],
        sizes: dict[str, int | None],
    ) -> Iterator[Damage]:
        where = f"{self.found.driver}-images/{images.LIST}"
        image_id = config.image.image_id
        if self.found.claims.sources.doubts("missing layer"):
            return  # what is in no list that could be read may be in another
        if stored.layers and stored.layers[0] not in self.found.known:
            yield Damage("missing-layer", where, f"its top layer {stored.layers[0]} is in no list", image_id)
            return
        # Where the diff_id of a layer is not known, there is nothing to compare but their number.
        if len(way) == len(config.layers) and any(layer.diff_id is None for layer in way):
            return
        for layer in config.layers:
            if layer.chain_id not in sizes:
                detail = f"layer {layer.position}, chain {layer.chain_id}, is in no list"
                yield Damage("missing-layer", where, detail, image_id)
