"""Stores of this host that use images of another: what they run and build on it is used there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.names import listed
from layerindex.records import Use
from layerindex.stores.containers_storage import images, layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layerindex.stores.containers_storage.containers import StoredContainer
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.containers_storage.lists import Item


def borrowed(
    path: str,
    stored: Mapping[str, StoredLayer],
    holders: Mapping[str, StoredContainer],
    items: Sequence[Item],
    tops: Mapping[str, list[str]],
) -> Iterator[Use]:
    """Yield who in the store at a path needs images of this one, whose ids `tops` has by their top layers.

    `stored` are the layers of both stores, `holders` and `items` the borrower's containers and images.
    """
    users = [
        (f"container {next(iter(each.names), None) or each.container_id}", [each.layer] if each.layer else [])
        for each in holders.values()
    ]
    for item in items:
        field = item.field.values.get("names")
        names = [name for name in field if isinstance(name, str)] if isinstance(field, list) else []
        users.append((f"image {next(iter(names), item.id)}", images.top_layers(item)))
    told: set[Use] = set()
    for user, own in users:
        for layer_id in sorted(layers.reached(own, stored) & tops.keys()):
            for image_id in tops[layer_id]:
                use = Use("image", image_id, "store", listed(f"{path}: {user}"), "borrowers")
                if use not in told:
                    told.add(use)
                    yield use
