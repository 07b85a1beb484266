"""Trees for programs: flat lists, in which each node names the one that it stands on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from layerindex.tree.things import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerindex.tree.forest import Forest, Node, Size
    from layerindex.tree.things import Container, Image


def as_json(forests: Sequence[Forest]) -> str:
    """Return forests with whole ids and integers."""
    return json.dumps([_forest(forest) for forest in forests], indent=1)


def _forest(forest: Forest) -> dict[str, Any]:
    numbers: dict[Node, int] = {}
    nodes = []
    for number, node in enumerate(forest.walk()):
        numbers[node] = number
        nodes.append(_node(node, number, None if node.parent is None else numbers[node.parent]))
    return {
        **forest.store._asdict(),
        "namespace": forest.namespace or None,
        "nodes": nodes,
        "containers": [_container(one) for one in forest.lost],
        "circles": forest.cut,
    }


def _node(node: Node, number: int, parent: int | None) -> dict[str, Any]:
    top = node.top
    return {
        "node": number,
        "parent": parent,
        "chain_id": top.chain_id if top else None,
        "layers": [_layer(layer.chain_id, layer.size, layer.in_store, layer.created_by) for layer in node.layers],
        **_size("size", node.size),
        **_size("total_size", node.total),
        "images_with_it": node.images_above,
        "standing": top.standing if top and top.image_id is None else None,
        "because": top.because if top else None,
        "needed_by": top.needed_by if top else None,
        "images": [_image(image, node) for image in node.images],
        "containers": [_container(one) for one in node.containers],
    }


def _layer(chain_id: str, size: int | None, in_store: int, created_by: str | None) -> dict[str, Any]:
    return {"chain_id": chain_id, "size": size, "in_store": in_store, "created_by": created_by}


def _size(name: str, size: Size) -> dict[str, Any]:
    return {name: size.exact, f"known_{name}": size.bytes}


def _image(image: Image, node: Node) -> dict[str, Any]:
    known = node.total.exact is not None
    unique = node.unique.bytes if node.images_above == 1 and image.listed else 0
    return {
        "image_id": image.image_id,
        "target_digest": image.target_digest,
        "tags": words(image.tags),
        "digests": words(image.digests),
        "lists": words(image.lists),
        "named": image.named,
        "listed": image.listed,
        "created_at": image.created_at,
        "size": node.total.exact,
        "shared_size": node.total.bytes - unique if known else None,
        "unique_size": unique if known else None,
        "containers": [_container(one) for one in node.by_image.get(image.image_id, ())],
    }


def _container(container: Container) -> dict[str, Any]:
    return {
        field: getattr(container, field)
        for field in ("container_id", "name", "state", "image_id", "image_ref", "chain_id", "rw_bytes")
    }
