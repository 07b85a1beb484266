"""Yields the images of a store, each with its names, layers and history, and findings about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.problems import Damage, vanished
from layerindex.records import Use
from layerindex.stores.containers_storage import evidence, images, layers
from layerindex.stores.containers_storage.instances import ManifestLists
from layerindex.stores.containers_storage.moment import ATTEMPTS
from layerindex.stores.shared.overlay import PAUSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.records import Image, Record
    from layerindex.stores.containers_storage.found import Found
    from layerindex.stores.containers_storage.images import StoredImage
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.shared.configs import Config


class Images:
    """The images of a store."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.ids: dict[str, str] = {}
        """For each image in the list, its id that is the same in every store."""
        self._manifest_lists = ManifestLists()
        self._apart = found.apart
        self._kept: set[Use] = set()

    def _sizes(self) -> dict[str, int | None]:
        """Return the size of each chain."""
        chains = sorted(self.found.chains.of.items(), reverse=True)
        return {chain: self.found.known[each].size for each, chain in chains if chain}

    def records(self) -> Iterator[Record | Damage]:
        """Yield the images; parents can be found only when all images are known, so configs are read twice."""
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
        """Yield findings, or only that the image was removed meanwhile: its files are removed before its name."""
        absent = {found.problem.subject for found in damages if found.problem.code in ("missing", "vanished")}
        gone: set[str | None] = set()
        for _ in range(ATTEMPTS):
            if gone == absent:
                break
            time.sleep(PAUSE)
            now = self.found.now()
            # An image that was absent for a moment may be back.
            gone |= absent - {item.id for item in now.images} if now.complete else set()
        kind = f"{self.found.driver}-images"
        for found in damages:
            problem = found.problem
            again = problem.path == f"{kind}/{problem.subject}" and self.found.root.exists(kind, problem.subject or "")
            passing = (again or problem.subject in gone) and problem.code in ("missing", "vanished")
            final = vanished(problem.path, problem.subject) if passing else found
            if evidence.hides(final):
                self.found.claims.sources.damaged("images", final)
                self.found.claims.sources.damaged("manifests", final)
            yield final

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
        if image_id != f"sha256:{stored.storage_id}" and stored.config is None:
            # A list keeps the id that it was made with, whatever it says now; `podman images` shows that.
            yield Use("manifest list", image_id, "storage id", stored.storage_id, "images")
        self._manifest_lists.add(stored.names, stored.instances)
        for manifest in stored.manifests:
            self._manifest_lists.add_image(manifest)
            key = (manifest.digest, manifest.image_id, manifest.index_digest)
            if key not in manifests:
                manifests.add(key)
                yield manifest
        if stored.config is None:
            for top in stored.layers:  # the lost config would name them
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
        if stored.layers and not way:
            yield Use("layer", stored.layers[0], "image", image_id, "images")
        yield from self._without_name(config, way, sizes)

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

    def _without_name(self, config: Config, way: list[StoredLayer], sizes: dict[str, int | None]) -> Iterator[Use]:
        """Yield uses of layers without a diff_id in the list: their number shows that they are the image's."""
        if len(way) != len(config.layers) or all(layer.diff_id is not None for layer in way):
            return
        for layer, stored in zip(config.layers, reversed(way), strict=True):
            use = Use("layer", layer.chain_id, "storage-layer", stored.layer_id, "layers")
            if layer.chain_id not in sizes and use not in self._kept:
                self._kept.add(use)
                yield use
