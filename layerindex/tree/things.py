"""What the queries of `queries/tree/` say: stores, layers, images and containers; their columns are explained there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from layerindex import query, shipped

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator


class Store(NamedTuple):
    """A selected snapshot."""

    snapshot_id: int
    host: str
    store: str
    root: str
    driver: str
    scanned_at: str
    layers_unread: str | None
    names_unread: str | None


class Layer(NamedTuple):
    """A layer of an image or of the store."""

    snapshot_id: int
    namespace: str
    chain_id: str
    parent_chain_id: str | None
    size: int | None
    in_store: int
    created_by: str | None
    image_id: str | None
    standing: str | None
    because: str | None
    needed_by: str | None

    @property
    def sort(self) -> tuple[str | None, ...]:
        """What is equal in layers that are one node: an image has them, or the same is known of why they are there."""
        if self.image_id is not None:
            return (None,)
        return (self.standing, self.because, self.needed_by, "here" if self.in_store else "missing")


class Image(NamedTuple):
    """An image; JSON lists are still texts."""

    snapshot_id: int
    namespace: str
    image_id: str
    target_digest: str | None
    tags: str
    digests: str
    lists: str
    named: str
    created_at: str | None
    layers: int | None
    size: int | None
    chain_id: str | None
    listed: int

    @property
    def shown(self) -> str:
        """The id that its engine shows."""
        return self.target_digest or self.image_id

    def names(self) -> list[str]:
        """Return its tags, else its digests."""
        return words(self.tags) or words(self.digests)


class Container(NamedTuple):
    """A container."""

    snapshot_id: int
    namespace: str
    container_id: str
    name: str | None
    state: str | None
    image_id: str | None
    image_ref: str | None
    chain_id: str | None
    rw_bytes: int | None


T = TypeVar("T")
Place = tuple[int, str]
"""A snapshot and a namespace in it: what shares no directories with others."""


def words(text: str) -> list[str]:
    """Return the texts of a JSON list."""
    return [str(word) for word in json.loads(text)]


def stores(connection: sqlite3.Connection) -> list[Store]:
    """Return the selected snapshots, in the order of hosts."""
    return list(_rows(connection, "stores", Store))


def layers(connection: sqlite3.Connection) -> dict[Place, list[Layer]]:
    """Return all layers by the place that they are in."""
    return _placed(_rows(connection, "layers", Layer))


def images(connection: sqlite3.Connection) -> dict[Place, list[Image]]:
    """Return all images by the place that they are in."""
    return _placed(_rows(connection, "images", Image))


def containers(connection: sqlite3.Connection) -> dict[Place, list[Container]]:
    """Return all containers by the place that they are in."""
    return _placed(_rows(connection, "containers", Container))


def asked(connection: sqlite3.Connection, name: str) -> set[tuple[int, str]]:
    """Return the snapshot and id of each image of a name."""
    rows = query.run(connection, shipped.query("tree", "asked"), {"name": name}).rows
    return {(snapshot, image) for snapshot, image in rows}


def _rows(connection: sqlite3.Connection, name: str, kind: Callable[..., T]) -> Iterator[T]:
    return (kind(*row) for row in query.run(connection, shipped.query("tree", name), {}).rows)


def _placed(things: Iterator[Any]) -> dict[Place, list[Any]]:
    found: dict[Place, list[Any]] = {}
    for thing in things:
        found.setdefault((thing.snapshot_id, thing.namespace), []).append(thing)
    return found
