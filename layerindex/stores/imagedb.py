"""Readers of `image/<driver>/`: names, image configs and where layers came from; one function a file.

Formats: moby `daemon/internal/refstore/store.go`, `daemon/internal/image/{fs,image,store}.go` and
`daemon/internal/distribution/metadata/v2_metadata_service.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.guard import reader
from layerindex.problems import Damage
from layerindex.records import Image, ImageHistory, ImageLayer, ImageRef, LayerBlob
from layerindex.stores import ids
from layerindex.stores.files import JSON, REPOSITORIES
from layerindex.stores.references import normalized, split
from layerindex.stores.values import Fields, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerindex.stores.files import Folder


LAYERS = 1000
"""Most layers of an image that is read: moby stops at 127, the kernel mounts at most 500."""
HISTORY = 1000
"""Most build steps of an image that are recorded; the longest real histories have some hundreds."""


REFERENCE = 1024
"""Most characters of a reference or repository: a name has at most 255, a tag 128."""


class Config(NamedTuple):
    """An image config: its row, its layers and its build steps."""

    image: Image
    layers: list[ImageLayer]
    history: list[ImageHistory]


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


def read_image(content: Folder, metadata: Folder | None, name: str) -> Iterator[Config | Damage]:
    """Yield the config `imagedb/content/sha256/<name>` (its size still unknown) and what is wrong with it.

    moby checks the SHA-256 of the bytes at every read; so do we, but we keep the image in any case.
    """
    return read_config(content, name, f"sha256:{name}", metadata)


@reader
def read_config(folder: Folder, file: str, image_id: str, metadata: Folder | None = None) -> Iterator[Config | Damage]:
    """Yield the config in any file and what is wrong with it."""
    raw = folder.read(file, JSON)
    where, name = folder.where(file), image_id.removeprefix("sha256:")
    config = folder.parsed(file, raw)
    verified = ids.sha256(raw) == image_id
    if not verified:
        yield Damage("image-id-mismatch", where, f"its bytes have the digest {ids.sha256(raw)}", image_id)
    layers = _layers(image_id, config, where)
    field = Fields(config, where, image_id)
    history = _history(image_id, field, len(layers))
    parent, updated = None, None
    if metadata is not None and name in metadata:
        parent, updated, damages = _read_metadata(metadata, name)
        field.damages.extend(damages)
    image = Image(
        image_id,
        field.get("created", ids.timestamp),
        field.get("architecture", ids.text),
        field.get("os", ids.text),
        field.get("variant", ids.text),
        None,
        None,
        len(layers),
        parent,
        updated,
        int(verified),
        raw.decode(),
    )
    yield from field.damages
    yield Config(image, layers, history)


def _layers(image_id: str, config: dict[str, Any], where: str) -> list[ImageLayer]:
    """Return the image's layers; an image without any has no `diff_ids`, or null."""
    if "rootfs" not in config:
        raise Damage("bad-value", where, "rootfs is missing; moby rejects such an image", image_id)
    try:
        diff_ids = ids.sequence(ids.mapping(config["rootfs"]).get("diff_ids"))
        if len(diff_ids) > LAYERS:
            raise ValueError(f"{len(diff_ids)} layers, at most {LAYERS} are possible")  # noqa: TRY301 - said as below
        diff_ids = [ids.shaped(shapes.DIGEST, ids.text(diff_id) or "") for diff_id in diff_ids]
    except ValueError as error:
        raise Damage("bad-value", where, f"rootfs: {error}", image_id) from error
    chains = ids.chain_ids(diff_ids)
    return [ImageLayer(image_id, position, *both) for position, both in enumerate(zip(diff_ids, chains, strict=True))]


def _history(image_id: str, config: Fields, layer_count: int) -> list[ImageHistory]:
    """Return the build steps; the i-th step that is not empty made the i-th layer, while there are both."""
    history, made = [], 0
    steps = config.get("history", ids.sequence) or []
    if len(steps) > HISTORY:
        detail = f"history: {len(steps)} steps, at most {HISTORY} are recorded"
        config.damages.append(Damage("bad-value", config.where, detail, image_id))
    for position, value in enumerate(steps[:HISTORY]):
        try:
            values = ids.mapping(value)
        except ValueError as error:
            config.damages.append(Damage("bad-value", config.where, f"history: {error}", image_id))
            values = {"empty_layer": True}
        step = Fields(values, config.where, image_id, config.damages)
        empty = bool(values.get("empty_layer"))
        layer_position = None if empty or made >= layer_count else made
        made += not empty
        history.append(
            ImageHistory(
                image_id,
                position,
                step.get("created", ids.timestamp),
                step.get("created_by", ids.text),
                step.get("author", ids.text),
                step.get("comment", ids.text),
                int(empty),
                layer_position,
            )
        )
    if made > layer_count:
        detail = f"history makes {made} layers, the image has {layer_count}"
        config.damages.append(Damage("history-mismatch", config.where, detail, image_id))
    return history


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
