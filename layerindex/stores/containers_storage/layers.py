"""Layers of containers-storage, and the OCI chain that each of them is.

A layer's id has no reliable meaning: it is a digest of its parent's id and its own diff_id, or random, or computed in
another way for a layer that was pulled by its table of contents. So chain ids are computed from diff_ids and parents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from layerindex.records import Layer, LayerBlob, StorageLayer, UnfinishedLayer
from layerindex.stores.containers_storage.lists import read_objects, reference, texts
from layerindex.stores.disk import ids
from layerindex.stores.shared.configs import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from layerindex.problems import Damage
    from layerindex.stores.containers_storage.lists import Item
    from layerindex.stores.disk.files import Folder

LIST = "layers.json"


class StoredLayer(NamedTuple):
    """A layer in the list."""

    layer_id: str
    parent: str | None
    names: list[str]
    created_at: str | None
    diff_id: str | None
    size: int | None
    compressed_digest: str | None
    compressed_size: int | None
    toc_digest: str | None
    incomplete: bool
    mapped: bool
    """Whether it is a copy of an image's layer with the owners of another user namespace."""
    volatile: int
    where: str


def read_layers(folder: Folder) -> Iterator[StoredLayer | Damage]:
    """Return the layers of the lists in `<driver>-layers/`."""
    return read_objects(folder, LIST, _layer)


def _layer(item: Item) -> StoredLayer:
    field = item.field
    diff_id = field.get("diff-digest", ids.digest)
    return StoredLayer(
        item.id,
        field.get("parent", reference),
        field.get("names", texts) or [],
        field.get("created", ids.timestamp),
        diff_id,
        field.get("diff-size", ids.size) if diff_id or "diff-size" in field.values else None,
        field.get("compressed-diff-digest", ids.digest),
        field.get("compressed-size", ids.size),
        field.get("toc-digest", ids.digest),
        (field.get("flags", ids.mapping) or {}).get("incomplete") is True,
        bool(field.get("uidmap", ids.sequence) or field.get("gidmap", ids.sequence)),
        item.volatile,
        field.where,
    )


class Chains:
    """The chain id of each layer, where all diff_ids from the base up to it are known."""

    def __init__(self, layers: Mapping[str, StoredLayer]) -> None:
        self.of: dict[str, str | None] = {}
        self.circles: list[str] = []
        """Layers that are their own ancestors."""
        for layer_id in layers:
            self._find(layer_id, layers)

    def _find(self, layer_id: str, layers: Mapping[str, StoredLayer]) -> None:
        """Compute from the base up: parents may be thousands."""
        way: list[str] = []
        on_way: set[str] = set()
        at: str | None = layer_id
        while at is not None and at in layers and at not in self.of and at not in on_way:
            way.append(at)
            on_way.add(at)
            at = layers[at].parent
        if at in on_way:
            self.circles.append(at or "")
        known = at is None or (at not in on_way and at in layers)
        below = self.of.get(at) if at is not None and known else None
        for each in reversed(way):
            diff_id, parent = layers[each].diff_id, layers[each].parent
            known = known and diff_id is not None and (parent is None or below is not None)
            below = ids.chain_id(below, diff_id) if known and diff_id is not None else None
            self.of[each] = below


def reached(tops: Iterable[str], layers: Mapping[str, StoredLayer]) -> set[str]:
    """Return some layers and all layers below them."""
    found: set[str] = set()
    for top in tops:
        at: str | None = top
        while at is not None and at in layers and at not in found:
            found.add(at)
            at = layers[at].parent
    return found


def way(top: str, known: Mapping[str, StoredLayer]) -> list[StoredLayer]:
    """Return a layer and those below it, at most as many as an image can have."""
    found: list[StoredLayer] = []
    seen: set[str] = set()
    at: str | None = top
    while at is not None and at in known and at not in seen and len(found) <= LAYERS:
        seen.add(at)
        found.append(known[at])
        at = known[at].parent
    return found


def standing(layers: Mapping[str, StoredLayer], chains: Chains) -> dict[str, str]:
    """Return for each chain the layer that represents it: the first complete one by name, copies last."""
    found: dict[str, str] = {}
    for layer_id in sorted(layers, key=lambda each: (layers[each].mapped, each), reverse=True):
        chain = chains.of[layer_id]
        if chain is not None and not layers[layer_id].incomplete:
            found[chain] = layer_id
    return found


def layer_records(
    layers: Mapping[str, StoredLayer], chains: Chains, live: set[str] | None
) -> Iterator[Layer | LayerBlob | StorageLayer | UnfinishedLayer]:
    """Yield the rows of layers; `live` are those that something needs, None when that is unknown.

    Several layers of one chain, such as mapped copies, have one row in `layers`, that of the representing one.
    """
    ones = standing(layers, chains)
    blobs: set[tuple[str, str]] = set()
    for layer_id, layer in sorted(layers.items()):
        chain, diff_id = chains.of[layer_id], layer.diff_id
        yield StorageLayer(
            layer_id,
            layer.parent,
            chain,
            diff_id,
            layer.compressed_digest,
            layer.toc_digest,
            layer.created_at,
            layer.size,
            layer.compressed_size,
            orjson.dumps([name.encode("utf-8", "replace").decode() for name in layer.names]).decode()
            if layer.names
            else None,
            "incomplete" if layer.incomplete else "complete",
            layer.volatile,
            0,
            None if live is None else int(layer_id in live),
        )
        parent_chain = None if layer.parent is None else chains.of.get(layer.parent)
        if layer.incomplete:
            yield UnfinishedLayer(layer_id, "writing", chain, diff_id, parent_chain, layer_id, layer.size)
            continue
        if chain is None or diff_id is None:
            continue
        if ones[chain] == layer_id:
            yield Layer(chain, diff_id, parent_chain, layer_id, layer.size, 1)
        if layer.compressed_digest is not None and (diff_id, layer.compressed_digest) not in blobs:
            blobs.add((diff_id, layer.compressed_digest))
            yield LayerBlob(diff_id, layer.compressed_digest, "")
