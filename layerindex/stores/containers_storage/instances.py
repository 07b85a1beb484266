"""Manifest lists that `podman manifest create` made: names of images, with an instance for each platform.

Format: the OCI image index, or Docker's manifest list; an instance may be an image of this store, or not be here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerindex import shapes
from layerindex.records import ImageManifest, Record, Use
from layerindex.stores.containers_storage.lists import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSTANCES = 10_000
"""Most instances of a list that are recorded."""


def read_instances(index_digest: str, entries: list[Any]) -> Iterator[ImageManifest]:
    """Yield the instances that a manifest list names; invalid entries are skipped."""
    for entry in entries[:INSTANCES]:
        digest = entry.get("digest") if isinstance(entry, dict) else None
        if not isinstance(digest, str) or not shapes.DIGEST.fullmatch(digest):
            continue
        platform = entry.get("platform")
        about: dict[str, Any] = platform if isinstance(platform, dict) else {}
        size = entry.get("size")
        yield ImageManifest(
            digest,
            "",
            index_digest,
            "image",
            _text(entry, "mediaType"),
            size if type(size) is int and 0 <= size < 2**63 else None,
            _text(about, "os"),
            _text(about, "architecture"),
            _text(about, "variant"),
            on_disk=0,
        )


def _text(values: dict[str, Any], key: str) -> str | None:
    value = values.get(key)
    return said(value) if isinstance(value, str) and value else None


class ManifestLists:
    """Collects the manifest lists of a store until all images that they may name are known."""

    def __init__(self) -> None:
        self._found: list[tuple[str, ImageManifest]] = []
        self._images: dict[str, str] = {}
        """The image of each manifest in the store."""

    def add(self, names: Sequence[str], instances: Sequence[ImageManifest]) -> None:
        """Add the instances of a list."""
        name = next(iter(names), None)
        self._found += [(said(name) or each.index_digest, each) for each in instances]

    def add_image(self, manifest: ImageManifest) -> None:
        """Add a manifest in the store."""
        if manifest.image_id:
            self._images[manifest.digest] = manifest.image_id

    def records(self) -> Iterator[Record]:
        """Yield each instance once, and the use of its image by the list."""
        told: set[ImageManifest | Use] = set()
        for name, instance in self._found:
            image_id = self._images.get(instance.digest)
            rows: list[ImageManifest | Use] = [instance]
            if image_id is not None:
                rows = [instance._replace(image_id=image_id, on_disk=1)]
                rows.append(Use("image", image_id, "manifest list", name, "manifests"))
            for row in rows:
                if row not in told:
                    told.add(row)
                    yield row
