"""Reads the config of an image: what it is, its layers, and how it was built; the same JSON in every store.

Formats: moby `daemon/internal/image/image.go`; the OCI image specification, `config.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.guard import reader
from layerindex.problems import Damage
from layerindex.records import Image, ImageHistory, ImageLayer
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import JSON
from layerindex.stores.disk.values import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.disk.files import Folder

LAYERS = 1000
"""Most layers of an image that is read: moby stops at 127, the kernel mounts at most 500."""
HISTORY = 1000
"""Most build steps of an image that are recorded; the longest real histories have some hundreds."""


class Config(NamedTuple):
    """An image config: its row, its layers and its build steps."""

    image: Image
    layers: list[ImageLayer]
    history: list[ImageHistory]


@reader
def read_config(folder: Folder, file: str, image_id: str) -> Iterator[Config | Damage]:
    """Yield the config in any file and what is wrong with it."""
    raw = folder.read(file, JSON)
    where = folder.where(file)
    config = folder.parsed(file, raw)
    verified = ids.sha256(raw) == image_id
    if not verified:
        yield Damage("image-id-mismatch", where, f"its bytes have the digest {ids.sha256(raw)}", image_id)
    layers = _layers(image_id, config, where)
    field = Fields(config, where, image_id)
    history = _history(image_id, field, len(layers))
    image = Image(
        image_id=image_id,
        created_at=field.get("created", ids.timestamp),
        architecture=field.get("architecture", ids.text),
        os=field.get("os", ids.text),
        variant=field.get("variant", ids.text),
        target_digest=None,
        size=None,
        layer_count=len(layers),
        parent_image_id=None,
        last_updated_at=None,
        verified=int(verified),
        config=raw.decode(),
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
