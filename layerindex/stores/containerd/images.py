"""Follows names of containerd through indexes and manifests to configs, as far as the store has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes
from layerindex.problems import Damage
from layerindex.records import ImageManifest, ImageRef, LayerBlob, Use
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import JSON
from layerindex.stores.shared.configs import Config, read_config
from layerindex.stores.shared.references import normalized, split

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from layerindex.records import Record
    from layerindex.stores.containerd.content import Content, Descriptor, Manifest
    from layerindex.stores.containerd.metadata import Metadata, Target
    from layerindex.stores.disk.files import Folder

DEPTH = 8
"""Deepest nesting of indexes that is followed; real ones are flat, or two deep."""

DANGLING = "moby-dangling@"
"""Prefix of the names that Docker gives to untagged images."""

PARENT = "org.mobyproject.image.parent"
PINNED = "io.cri-containerd.pinned"
SOURCE = "containerd.io/distribution.source."
UNCOMPRESSED = "containerd.io/uncompressed"


class Platform(NamedTuple):
    """An image in the store, and the manifest through which it was found."""

    image_id: str
    manifest: str


class Images:
    """Follows names; what several names lead to is read and yielded once."""

    def __init__(self, metadata: Metadata, content: Content, blobs: Folder) -> None:
        self.metadata, self.content, self.blobs = metadata, content, blobs
        self.configs: dict[str, Config] = {}
        self.targets: dict[str, list[Platform]] = {}
        """The images behind each digest that a name, an index or a manifest refers to."""
        self.first: dict[str, str] = {}
        """The target of the first name that leads to an image."""
        self.parents: dict[str, str] = {}
        self.updated: dict[str, str] = {}
        self.media_types: dict[str, str] = {}
        """The kinds of blobs, according to the blobs that refer to them."""
        self.diff_ids: dict[str, str] = {}
        """The diff_ids of layers' blobs, according to configs."""
        self._told: set[tuple[str, str, str]] = set()
        self._tried: set[str] = set()
        self._too_deep = False

    def read(self) -> Iterator[Record | Damage]:
        """Yield names, manifests, blobs of layers and findings; fills `configs` with the images."""
        for namespace, found in sorted(self.metadata.namespaces.items()):
            for name, target in sorted(found.images.items()):
                yield from self._follow(target)
                yield from self._named(namespace, name, target)
        yield from self.content.damages

    def _follow(self, target: Target) -> Iterator[Record | Damage]:
        if target.digest in self.targets:
            return
        if target.media_type is not None:
            self.media_types.setdefault(target.digest, target.media_type)
        found: dict[Platform, None] = {}
        yield from self._manifest(target.digest, target, "", found, 0)
        self.targets[target.digest] = list(found)

    def _manifest(
        self, digest: str, said: Target | Descriptor, index: str, found: dict[Platform, None], depth: int
    ) -> Iterator[Record | Damage]:
        """Yield the row of an index or manifest and of all it lists; `depth` indexes lie above it."""
        if depth == DEPTH:
            if not self._too_deep:
                self._too_deep = True
                detail = f"more than {DEPTH} indexes, one within another"
                yield Damage("manifest-depth", self.blobs.where(digest.removeprefix("sha256:")), detail, digest)
            return
        manifest = self.content.manifest(digest)
        kind = _kind(manifest, attests=getattr(said, "about", None) is not None)
        image_id = manifest.config.digest if kind == "image" and manifest and manifest.config else ""
        if (digest, image_id, index) in self._told:
            found.update(dict.fromkeys(self.targets.get(digest, ())))
            return
        self._told.add((digest, image_id, index))
        yield self._row(digest, image_id, index, kind, said)
        if manifest is None:
            return
        self._name_types(*([manifest.config] if manifest.config else ()), *manifest.layers)
        if kind == "index" and digest in self.targets:
            found.update(dict.fromkeys(self.targets[digest]))  # another index, or name, led here before
        elif kind == "index":
            below: dict[Platform, None] = {}
            for each in manifest.manifests:
                yield from self._manifest(each.digest, each, digest, below, depth + 1)
            self.targets.setdefault(digest, list(below))
            found.update(below)
        elif kind == "image":
            yield from self._image(image_id, manifest.layers, digest, found)

    def _row(self, digest: str, image_id: str, index: str, kind: str, said: Target | Descriptor) -> ImageManifest:
        manifest = self.content.manifest(digest)
        media_type = said.media_type or (manifest.media_type if manifest else None)
        if media_type is not None:
            self.media_types.setdefault(digest, media_type)
        return ImageManifest(
            digest,
            image_id,
            index,
            kind,
            media_type,
            manifest.size if manifest else said.size,
            getattr(said, "os", None),
            getattr(said, "architecture", None),
            getattr(said, "variant", None),
            getattr(said, "about", None) or None,
            int(manifest is not None or self.content.has(digest)),
        )

    def _name_types(self, *named: Descriptor) -> None:
        for each in named:
            if each.media_type is not None:
                self.media_types.setdefault(each.digest, each.media_type)

    def _image(
        self, image_id: str, layers: list[Descriptor], manifest: str, found: dict[Platform, None]
    ) -> Iterator[Record | Damage]:
        if image_id not in self._tried:
            self._tried.add(image_id)
            yield from self._config(image_id)
        config = self.configs.get(image_id)
        if config is None:
            return
        found[Platform(image_id, manifest)] = None
        self.targets.setdefault(manifest, [Platform(image_id, manifest)])
        if len(layers) != len(config.layers):
            detail = f"the manifest has {len(layers)} layers, its config {len(config.layers)}"
            yield Damage("bad-value", self.blobs.where(manifest.removeprefix("sha256:")), detail, image_id)
            return
        for blob, layer in zip(layers, config.layers, strict=True):
            key = (layer.diff_id, blob.digest, "layer")
            if key in self._told:
                continue
            self._told.add(key)
            self.diff_ids.setdefault(blob.digest, layer.diff_id)
            for repository in self._repositories(blob.digest) or [""]:
                yield LayerBlob(layer.diff_id, blob.digest, repository)

    def _config(self, image_id: str) -> Iterator[Damage]:
        name = image_id.removeprefix("sha256:")
        try:
            for item in read_config(self.blobs, name, image_id):
                if isinstance(item, Damage):
                    yield item
                elif item.image.verified:
                    # Its text is read again when needed: a hostile store may hold thousands of huge configs.
                    self.configs[image_id] = item._replace(image=item.image._replace(config=""))
        except Damage as found:
            if self.content.has(image_id):
                yield found

    def _repositories(self, digest: str) -> list[str]:
        """Return where a blob was pulled from: the label of each registry holds its repositories, joined by commas."""
        found: dict[str, None] = {}
        for namespace in self.metadata.namespaces.values():
            row = namespace.blobs.get(digest)
            for label, value in row.labels.items() if row is not None else ():
                if label.startswith(SOURCE):
                    registry = label.removeprefix(SOURCE)
                    found.update(dict.fromkeys(f"{registry}/{each}" for each in value.split(",") if each))
        return sorted(found)

    def _named(self, namespace: str, name: str, target: Target) -> Iterator[Record | Damage]:
        """Yield a name's rows: one for each image behind it, or for the digest alone."""
        platforms = self.targets[target.digest]
        for image_id in dict.fromkeys(platform.image_id for platform in platforms):
            self.first.setdefault(image_id, target.digest)
            if target.updated_at is not None:
                self.updated[image_id] = max(self.updated.get(image_id, ""), target.updated_at)
            if (parent := target.labels.get(PARENT)) and shapes.DIGEST.fullmatch(parent):
                self.parents.setdefault(image_id, parent)
        yield from self._pinned(namespace, name, target, platforms)
        if not platforms:
            yield from self._nothing_behind(namespace, name, target)
        if name.startswith(DANGLING):
            return
        repository, tag, digest = split(name)
        if shapes.DIGEST.fullmatch(name):  # CRI also names each image by its id
            repository, tag, digest = "", None, None
        for image_id in dict.fromkeys(platform.image_id for platform in platforms) or [target.digest]:
            yield ImageRef(name, repository, tag, digest, image_id, namespace, normalized(name), target.digest)

    @staticmethod
    def _pinned(namespace: str, name: str, target: Target, platforms: list[Platform]) -> Iterator[Use]:
        """Yield uses for images that Kubernetes never removes by itself, such as that of sandboxes."""
        if target.labels.get(PINNED) == "pinned":
            for image_id in dict.fromkeys(platform.image_id for platform in platforms):
                yield Use("image", image_id, "pinned", f"{namespace} {name}", "names")

    def _nothing_behind(self, namespace: str, name: str, target: Target) -> Iterator[Damage]:
        manifest = self.content.manifest(target.digest)
        if manifest is not None and manifest.config is not None and not manifest.is_image:
            return  # it leads to something other than an image
        if self.content.has(target.digest if manifest is None or manifest.config is None else manifest.config.digest):
            return  # it exists, and its problems are reported
        what = "its manifest" if manifest is None else "the config of each of its platforms"
        where = f"{namespace}: {ids.shorten(name)}"
        yield Damage("missing-image", self.blobs.path, f"{where} leads to {target.digest}; {what} is not here", name)

    def images(self, sizes: Mapping[str, int | None]) -> Iterator[Record]:
        """Yield the images in the store with their layers and build steps; `sizes` are those of layers by chain."""
        for image_id, config in sorted(self.configs.items()):
            if image_id not in self.first:
                continue
            parts = [sizes.get(layer.chain_id) for layer in config.layers]
            known = [part for part in parts if part is not None]
            size = sum(known) if len(known) == len(parts) else None
            parent = self.parents.get(image_id)
            behind = self.targets.get(parent, []) if parent else []
            yield config.image._replace(
                size=size if size is None or size < 2**63 else None,
                target_digest=self.first[image_id],
                parent_image_id=behind[0].image_id if behind else parent,
                last_updated_at=self.updated.get(image_id),
                config=self._text(image_id),
            )
            yield from config.layers
            yield from config.history

    def _text(self, image_id: str) -> str:
        try:
            return self.blobs.read(image_id.removeprefix("sha256:"), JSON).decode()
        except (Damage, UnicodeDecodeError):
            return "{}"  # gone since it was read

    def keep(self, wanted: Callable[[Config], bool]) -> None:
        """Remove the images that another store records."""
        self.configs = {image_id: config for image_id, config in self.configs.items() if wanted(config)}

    def kept(self, items: list[Record | Damage], here: Container[tuple[str, str]]) -> list[Record | Damage]:
        """Return the rows that belong to kept images, and of names those whose layers are `here`.

        These are the namespaces and chains of what is unpacked.
        """
        diff_ids = {layer.diff_id for config in self.configs.values() for layer in config.layers}
        tops = {image_id: config.layers[-1].chain_id for image_id, config in self.configs.items() if config.layers}
        return [
            item
            for item in items
            if (isinstance(item, ImageManifest) and item.image_id in self.configs)
            or (isinstance(item, ImageRef) and (item.namespace, tops.get(item.image_id)) in here)
            or (isinstance(item, Use) and item.used in self.configs)
            or (isinstance(item, LayerBlob) and item.diff_id in diff_ids)
        ]


def _kind(manifest: Manifest | None, *, attests: bool) -> str:
    """Return what an index or manifest is, as `image_manifests.kind` says it."""
    if manifest is not None and (manifest.manifests or manifest.config is None):
        return "index"
    if attests:
        return "attestation"
    if manifest is None:
        return "unknown"
    return "image" if manifest.is_image else "artifact"
