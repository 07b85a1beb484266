"""Images of containers-storage: their names, configs and manifests.

The image's own record has little; the config and the manifests are files beside the list, its big data. An image
without a config is a manifest list that `podman manifest create` made, or an artifact.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.guard import each, reading
from layerindex.problems import Damage
from layerindex.records import ImageManifest, ImageRef
from layerindex.stores.containers_storage.instances import read_instances
from layerindex.stores.containers_storage.lists import file_name, reference, said, texts
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import JSON
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.configs import Config, read_config
from layerindex.stores.shared.references import normalized, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.containers_storage.lists import Item
    from layerindex.stores.disk.files import Folder

LIST = "images.json"
MANIFEST = "manifest"
"""Key of an image's manifest; a second copy, and manifests of other instances, have `manifest-<digest>`."""


class StoredImage(NamedTuple):
    """An image in the list, with its config if it has one."""

    storage_id: str
    names: list[str]
    layers: list[str]
    """Its top layer, and copies of that with other owners."""
    config: Config | None
    manifests: list[ImageManifest]
    instances: list[ImageManifest]
    """The instances that it names if it is a manifest list."""


def read_items(folder: Folder, items: list[Item]) -> Iterator[StoredImage | Damage]:
    """Yield the images in the list of `<driver>-images/`, with the files beside it."""
    for item in items:
        # Parsed again, so that problems of values are reported each time.
        for found in _salvaged(folder, item._replace(field=Fields(item.field.values, item.field.where, item.id))):
            if isinstance(found, Damage) and found.problem.subject is None:
                problem = found.problem
                yield Damage(problem.code, problem.path, problem.detail, item.id)
            else:
                yield found


def _salvaged(folder: Folder, item: Item) -> Iterator[StoredImage | Damage]:
    try:
        yield from each(lambda: _image(folder, item), folder.where(item.id), item.id)
    except Damage as found:
        yield found


def top_layers(item: Item) -> list[str]:
    """Return the top layer of an image, and the copies of that with other owners."""
    field = Fields(item.field.values, item.field.where, item.id)
    top = field.get("layer", reference)
    return [*([top] if top else []), *(field.get("mapped-layers", _references) or [])]


def _image(folder: Folder, item: Item) -> Iterator[StoredImage | Damage]:
    field = item.field
    top, mapped = field.get("layer", reference), field.get("mapped-layers", _references) or []
    layers = [*([top] if top else []), *mapped]
    names = field.get("names", texts) or []
    keys = field.get("big-data-names", texts) or []
    yield from field.damages
    config, manifests, instances = None, [], []
    try:
        with folder.folder(item.id) as data:
            big = _BigData(data, keys)
            manifests = list(big.manifests())
            if (image_id := big.config_id(item.id)) is not None:
                for found in big.config(image_id):
                    if isinstance(found, Config):
                        config = found
                    else:
                        yield found
            elif not manifests or any(each.kind == "image" for each in manifests):
                yield Damage("missing", data.where(f"sha256:{item.id}"), "the image has no config", item.id)
            else:  # with a config, the list is only that through which the image was pulled
                instances = big.instances
            yield from big.damages
    except Damage as found:
        if keys or found.problem.code != "missing":
            yield found
    if config is not None:
        manifests = [
            each._replace(image_id=config.image.image_id) if each.kind == "image" and each.image_id else each
            for each in manifests
        ]
    yield StoredImage(item.id, names, layers, config, manifests, instances)


def _references(value: Any) -> list[str]:  # noqa: ANN401 - whatever JSON held
    return [found for each in ids.sequence(value) if (found := reference(each)) is not None]


class _BigData:
    """The files beside an image's record."""

    def __init__(self, folder: Folder, keys: list[str]) -> None:
        self.folder = folder
        self.files: dict[str, str] = {}
        self.damages: list[Damage] = []
        self.instances: list[ImageManifest] = []
        """Of the manifest lists among its manifests."""
        self._config: str | None = None
        for key in dict.fromkeys(keys):
            try:
                self.files[key] = file_name(key)
            except ValueError as error:
                self.damages.append(Damage("bad-id", folder.path, f"{error}"))

    def manifests(self) -> Iterator[ImageManifest]:
        """Yield the image's manifests, each once although there are two copies of one."""
        seen: set[str] = set()
        for key, file in sorted(self.files.items()):
            if key != MANIFEST and not key.startswith(f"{MANIFEST}-"):
                continue
            try:
                found = self._copy(key, file, seen)
            except Damage as damage:
                self.damages.append(damage)
            else:
                if found is not None:
                    yield found

    def _copy(self, key: str, file: str, seen: set[str]) -> ImageManifest | None:
        """Return the manifest in a file; None when it was seen. Raises Damage."""
        with reading(self.folder.where(file)):
            content = self.folder.read(file, JSON)
            digest = ids.sha256(content)
            if digest in seen:
                return None
            seen.add(digest)
            said_digest = key.removeprefix(f"{MANIFEST}-")
            if said_digest not in (MANIFEST, digest):
                detail = f"its bytes have the digest {digest}"
                self.damages.append(Damage("digest-mismatch", self.folder.where(file), detail, said(said_digest)))
            values = self.folder.parsed(file, content)
            return self._manifest(digest, values, len(content), primary=key == MANIFEST)

    def _manifest(self, digest: str, values: dict[str, Any], size: int, *, primary: bool) -> ImageManifest:
        media_type = values.get("mediaType")
        media_type = said(media_type) if isinstance(media_type, str) else None
        if isinstance(values.get("manifests"), list):
            self.instances += read_instances(digest, values["manifests"])
            return ImageManifest(digest, "", "", "index", media_type, size)
        config = values.get("config")
        config_id = config.get("digest") if isinstance(config, dict) else None
        if not isinstance(config_id, str) or not shapes.DIGEST.fullmatch(config_id):
            # The first form of Docker's manifests names no config: it holds it.
            return ImageManifest(digest, "", "", "image" if "fsLayers" in values else "unknown", media_type, size)
        if config_id in self.files and (primary or self._config is None):
            self._config = config_id
        return ImageManifest(digest, config_id, "", "image", media_type, size)

    def config_id(self, storage_id: str) -> str | None:
        """Return the digest of the config: that in the manifest, else the image's id."""
        own = f"sha256:{storage_id}"
        if self._config is None and own in self.files and shapes.DIGEST.fullmatch(own):
            return own
        return self._config

    def config(self, image_id: str) -> Iterator[Config | Damage]:
        """Yield the config and what is wrong with it."""
        try:
            yield from read_config(self.folder, self.files[image_id], image_id)
        except Damage as found:
            yield found


def references(image: StoredImage, image_id: str) -> Iterator[ImageRef]:
    """Yield the names of an image."""
    for name in dict.fromkeys(image.names):
        text = name.encode("utf-8", "replace").decode()
        if text:
            repository, tag, digest = split(text)
            yield ImageRef(text, repository, tag, digest, image_id, "", normalized(text))


class Family:
    """Finds the parents of images as Podman does: nothing on disk names them.

    The parent has the same layers, or all but the last, and the same history but for the last step
    (containers/common `libimage/{layer_tree,oci}.go`).
    """

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def add(self, config: Config) -> None:
        """Add an image, stored as a digest: thousands may have long histories."""
        key = _fingerprint(_steps(config), _layers(config))
        image_id = config.image.image_id
        self._known[key] = min(image_id, self._known.get(key, image_id))

    def parent(self, config: Config) -> str | None:
        """Return the parent of an image; None where there is none."""
        steps, layers = _steps(config), _layers(config)
        if len(steps) < 2:
            return None
        for below in (layers, layers[:-1]):
            found = self._known.get(_fingerprint(steps[:-1], below))
            if found is not None:
                return found
        return None


def _fingerprint(steps: list[Any], layers: list[str]) -> bytes:
    return hashlib.sha256(repr((steps, layers)).encode("utf-8", "surrogatepass")).digest()


def _steps(config: Config) -> list[Any]:
    return [(step.created_at, step.created_by, step.author, step.comment, step.empty_layer) for step in config.history]


def _layers(config: Config) -> list[str]:
    return [layer.diff_id for layer in config.layers]
