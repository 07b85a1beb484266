"""Readers of `image/<driver>/`: names, images and where layers came from; one function a file.

Formats: moby `daemon/internal/refstore/store.go`, `daemon/internal/image/{fs,store}.go` and
`daemon/internal/distribution/metadata/v2_metadata_service.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerindex import shapes
from layerindex.guard import reader
from layerindex.problems import Damage
from layerindex.records import ImageRef, LayerBlob
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import JSON, REPOSITORIES
from layerindex.stores.disk.values import word
from layerindex.stores.shared.configs import Config, read_config
from layerindex.stores.shared.references import normalized, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerindex.stores.disk.files import Folder


REFERENCE = 1024
"""Most characters of a reference or repository: a name has at most 255, a tag 128."""


def read_references(folder: Folder, name: str = "repositories.json") -> Iterator[ImageRef | Damage]:
    """Yield each reference of repositories.json, or the damage in its place."""
    repositories = _names(folder, name).get("Repositories")
    where, seen = folder.where(name), set()
    for repository, references in _items(repositories, where):
        for reference, image_id in _items(references, where):
            try:
                found = _reference(reference, repository, image_id)
            except ValueError as error:
                yield Damage("bad-value", where, f"{ids.shorten(reference)}: {error}", reference[:REFERENCE])
                continue
            if reference in seen:
                detail = f"{ids.shorten(reference)}: it stands under two repositories"
                yield Damage("bad-value", where, detail, reference)
                continue
            seen.add(reference)
            yield found


def _names(folder: Folder, name: str) -> dict[str, Any]:
    try:
        return folder.json(name, REPOSITORIES)
    except Damage as found:
        code, path, detail = found.problem.code, found.problem.path, found.problem.detail
        if code in ("empty", "bad-json"):
            raise Damage(code, path, f"{detail}; the engine does not start with it") from found
        raise


def _items(value: Any, where: str) -> Iterable[tuple[str, Any]]:  # noqa: ANN401 - whatever JSON held
    try:
        return ids.mapping(value).items()
    except ValueError as error:
        raise Damage("bad-value", where, f"{error}") from error


def _reference(reference: str, repository: str, image_id: Any) -> ImageRef:  # noqa: ANN401 - whatever JSON held
    if max(len(reference), len(repository)) > REFERENCE:
        raise ValueError(f"a name of more than {REFERENCE} characters")
    image_id = ids.shaped(shapes.DIGEST, ids.text(image_id) or "")
    name, tag, digest = split(reference)
    return ImageRef(reference, repository or name, tag, digest, image_id, "", normalized(reference))


@reader
def read_image(content: Folder, name: str, metadata: Folder | None) -> Iterator[Config | Damage]:
    """Yield the config `imagedb/content/sha256/<name>` (its size still unknown) and what is wrong with it.

    moby checks the SHA-256 of the bytes at every read; so do we, but we keep the image in any case.
    """
    for item in read_config(content, name, f"sha256:{name}"):
        if isinstance(item, Damage) or metadata is None or name not in metadata:
            yield item
            continue
        parent, updated, damages = _read_metadata(metadata, name)
        yield from damages
        yield item._replace(image=item.image._replace(parent_image_id=parent, last_updated_at=updated))


def read_parent(metadata: Folder, name: str) -> tuple[str | None, list[Damage]]:
    """Return the parent that `imagedb/metadata/sha256/<name>/parent` records, and what is wrong with it."""
    parent, _, damages = _read_metadata(metadata, name)
    return parent, damages


def _read_metadata(metadata: Folder, name: str) -> tuple[str | None, str | None, list[Damage]]:
    """Return the parent image and the time of the last tag from `imagedb/metadata/sha256/<name>/`."""
    damages: list[Damage] = []
    parent = updated = None
    try:
        with metadata.folder(name) as folder:
            parent = word(folder, "parent", shapes.DIGEST, damages) if "parent" in folder else None
            if "lastUpdated" in folder:
                updated = ids.timestamp(folder.text("lastUpdated"))
    except Damage as found:
        damages.append(found)
    except ValueError as error:
        damages.append(Damage("bad-value", f"{metadata.where(name)}/lastUpdated", f"{error}", f"sha256:{name}"))
    return parent, updated, damages


def read_blob(folder: Folder, name: str) -> Iterator[LayerBlob]:
    """Yield the diff_id that a compressed blob unpacks to, from `distribution/diffid-by-digest/sha256/<name>`."""
    diff_id = folder.text(name)
    try:
        yield LayerBlob(ids.shaped(shapes.DIGEST, diff_id), ids.shaped(shapes.DIGEST, f"sha256:{name}"), "")
    except ValueError as error:
        raise Damage("bad-id", folder.where(name), f"{error}") from error


def read_sources(folder: Folder, name: str) -> Iterator[LayerBlob | Damage]:
    """Yield the blobs and repositories that `distribution/v2metadata-by-diffid/sha256/<name>` lists for a diff_id."""
    where = folder.where(name)
    diff_id = f"sha256:{name}"
    try:
        sources = ids.sequence(folder.value(name, folder.read(name, JSON)))
    except ValueError as error:
        raise Damage("bad-value", where, f"{error}") from error
    seen = set()
    for source in sources:
        try:
            values = ids.mapping(source)
            digest = ids.shaped(shapes.DIGEST, ids.text(values.get("Digest")) or "")
            blob = LayerBlob(diff_id, digest, ids.text(values.get("SourceRepository")) or "")
            if blob not in seen:
                seen.add(blob)
                yield blob
        except ValueError as error:
            yield Damage("bad-value", where, f"{error}", diff_id)
