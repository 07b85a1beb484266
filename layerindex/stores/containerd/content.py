"""Reads the content store: blobs by their digests, indexes and manifests.

Formats: OCI image-spec `image-index.md` and `manifest.md`, Docker's manifest list and schema 2, which are alike. A blob
is used only if its bytes have its digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.guard import reading
from layerindex.names import printable
from layerindex.problems import Damage, Damages
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.disk.files import Folder

FOLDER = "io.containerd.content.v1.content"

MANIFEST = 8 * 1024 * 1024
"""Most bytes of an index or manifest; registries and containerd refuse those over 4 MiB."""

LISTED = 1000
"""Most manifests or layers that one index or manifest may list."""

KEPT = 500
"""How many manifests are kept in memory, so that they are read once."""

INDEXES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
MANIFESTS = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}
CONFIGS = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
}
REFERENCE_TYPE = "vnd.docker.reference.type"
REFERENCE = "vnd.docker.reference.digest"
"""Annotations with which an index marks attestations of BuildKit: manifests about another manifest."""


class Descriptor(NamedTuple):
    """A reference from one blob to another."""

    digest: str
    media_type: str | None
    size: int | None
    os: str | None = None
    architecture: str | None = None
    variant: str | None = None
    about: str | None = None
    """The manifest that this attestation is about; empty when it does not say which."""


class Manifest(NamedTuple):
    """An index or a manifest; an index lists `manifests`, a manifest has a config and layers."""

    media_type: str | None
    size: int
    manifests: list[Descriptor]
    config: Descriptor | None
    layers: list[Descriptor]

    @property
    def is_image(self) -> bool:
        """Whether its config is that of an image; early OCI images have no type."""
        return self.config is not None and self.config.media_type in CONFIGS | {None}


class Content:
    """The blobs; each index and manifest is read once."""

    def __init__(self, folder: Folder) -> None:
        """`folder` is blobs/sha256, which the caller holds open."""
        self.folder = folder
        self.manifests: dict[str, Manifest | None] = {}
        self.damages: list[Damage] = Damages()
        """Findings about the blobs that were read."""
        self._said: set[str] = set()

    def has(self, digest: str) -> bool:
        """Say whether a blob exists now: it may have been added or removed since the folder was listed."""
        name = digest.removeprefix("sha256:")
        return self.folder.exists(name)

    def manifest(self, digest: str) -> Manifest | None:
        """Return an index or manifest; None when it is absent or cannot be read."""
        if digest not in self.manifests:
            if len(self.manifests) == KEPT:
                self.manifests.clear()
            self.manifests[digest] = None
            found = Damages()
            try:
                with reading(self.folder.where(digest.removeprefix("sha256:")), digest):
                    self.manifests[digest] = self._read(digest, found)
            except Damage as damage:
                if damage.problem.code != "vanished" and self.has(digest):
                    found.append(damage)
            if digest not in self._said:  # else it was read before, and its problems are recorded
                self.damages.extend(found)
            self._said.add(digest)
        return self.manifests[digest]

    def _read(self, digest: str, damages: list[Damage]) -> Manifest:
        name = digest.removeprefix("sha256:")
        raw = self.folder.read(name, MANIFEST)
        where = self.folder.where(name)
        if ids.sha256(raw) != digest:
            raise Damage("blob-digest", where, f"its bytes have the digest {ids.sha256(raw)}", digest)
        field = Fields(self.folder.parsed(name, raw), where, digest, damages)
        media_type = field.get("mediaType", ids.text)
        known = INDEXES | MANIFESTS | {None}
        if media_type not in known or not {"manifests", "config"} & field.values.keys():
            detail = f"{ids.shorten(media_type)} is not read" if media_type else "neither an index nor a manifest"
            raise Damage("unknown-media-type", where, detail, digest)
        config = field.values.get("config")
        return Manifest(
            media_type,
            len(raw),
            list(self._descriptors(field, "manifests")),
            None if config is None else next(self._described([config], field), None),
            list(self._descriptors(field, "layers")),
        )

    def _descriptors(self, field: Fields, key: str) -> Iterator[Descriptor]:
        values = field.get(key, ids.sequence) or []
        if len(values) > LISTED:
            field.damages.append(
                Damage("bad-value", field.where, f"{key}: {len(values)}, at most {LISTED} are read", field.subject)
            )
        return self._described(values[:LISTED], field)

    def _described(self, values: list[Any], field: Fields) -> Iterator[Descriptor]:
        for value in values:
            try:
                yield _descriptor(ids.mapping(value))
            except ValueError as error:
                field.damages.append(Damage("bad-value", field.where, f"descriptor: {error}", field.subject))


def _descriptor(value: dict[str, Any]) -> Descriptor:
    """Return a descriptor; raises ValueError."""
    platform, annotations = ids.mapping(value.get("platform")), ids.mapping(value.get("annotations"))
    about = None
    if annotations.get(REFERENCE_TYPE) is not None:
        about = ids.text(annotations.get(REFERENCE)) or ""
        about = about if shapes.DIGEST.fullmatch(about) else ""
    return Descriptor(
        ids.shaped(shapes.DIGEST, ids.text(value.get("digest")) or ""),
        _word(value.get("mediaType")),
        ids.number(value.get("size")),
        _word(platform.get("os")),
        _word(platform.get("architecture")),
        _word(platform.get("variant")),
        about,
    )


def _word(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    text = ids.text(value)
    return None if text is None else printable(text[:255])
