"""Joins layers to the nodes of trees: a node is a run of layers on which nothing but one next layer stands.

What a database says of parents may be damaged: a layer that is named and not there is shown as such, and a circle of
parents is cut. Nothing here recurses, for a chain may be as long as a stranger's file says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from layerindex.tree import things
from layerindex.tree.things import Layer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from layerindex.tree.things import Container, Image, Place, Store


class Size(NamedTuple):
    """The bytes of layers whose size is known, and of how many it is not."""

    bytes: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Size:
        """Return that of layers."""
        return cls(sum(layer.size or 0 for layer in layers), sum(layer.size is None for layer in layers))

    @property
    def exact(self) -> int | None:
        """The bytes of all; None where one is not known."""
        return None if self.unknown else self.bytes

    def plus(self, other: Size) -> Size:
        """Return the sum."""
        return Size(self.bytes + other.bytes, self.unknown + other.unknown)


class Node:
    """Layers that all things above have, or none.

    `layers` are in order, the lowest first; an image without layers has a node without. `containers` stand right on the
    uppermost layer and are of no image that ends there; `by_image` are those of images, by image id. `held` says
    whether an image or a container is here or above, `weight` is the known bytes here and above, and `images_above`
    counts the images that docker images would list and that have these layers; `unique` are the layers from the base
    to this node that only one has.
    """

    def __init__(self, parent: Node | None) -> None:
        self.parent = parent
        self.layers: list[Layer] = []
        self.nodes: list[Node] = []
        self.images: list[Image] = []
        self.containers: list[Container] = []
        self.by_image: dict[str, list[Container]] = {}
        self.size = self.total = self.unique = Size()
        self.images_above = self.weight = 0
        self.held = False

    @property
    def top(self) -> Layer | None:
        """The uppermost layer."""
        return self.layers[-1] if self.layers else None

    @property
    def missing(self) -> int:
        """How many of its layers the store does not have."""
        return sum(not layer.in_store for layer in self.layers)

    def order(self) -> tuple[object, ...]:
        """Return what puts nodes in order: first those with images or containers, then by bytes and name."""
        names = [name for image in self.images for name in image.names()[:1]]
        return (not self.held, -self.weight, names or ["~"], self.top.chain_id if self.top else "")


class Forest:
    """The trees of one store, in containerd of one namespace of it.

    `lost` are containers that no node can be told for; `cut` are layers that would stand on themselves; `asked` are the
    images whose branches alone are wanted, None for all.
    """

    def __init__(self, store: Store, namespace: str, asked: frozenset[str] | None) -> None:
        self.store, self.namespace, self.asked = store, namespace, asked
        self.nodes: list[Node] = []
        self.lost: list[Container] = []
        self.cut: list[str] = []

    def walk(self) -> Iterator[Node]:
        """Yield all nodes, each before those that stand on it."""
        return walk(self.nodes)


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """Yield nodes, each before those that stand on it."""
    left = list(reversed(nodes))
    while left:
        node = left.pop()
        yield node
        left.extend(reversed(node.nodes))


def forests(connection: sqlite3.Connection, name: str | None, *, every: bool) -> list[Forest]:
    """Return the trees of the selected snapshots; with a name only what the image of that name stands on or carries.

    Untagged images that others were built on, as the classic builder leaves them, are nodes only with `every`.
    """
    stores = things.stores(connection)
    layers, images, containers = things.layers(connection), things.images(connection), things.containers(connection)
    wanted = None if name is None else things.asked(connection, name)
    found = []
    for store in stores:
        known = {*layers, *images, *containers}
        places: list[Place] = sorted(place for place in known if place[0] == store.snapshot_id)
        for place in places or [(store.snapshot_id, "")]:
            asked = None if wanted is None else frozenset(id_ for number, id_ in wanted if number == store.snapshot_id)
            forest = Forest(store, place[1], asked)
            plant(forest, layers.get(place, []), images.get(place, []), containers.get(place, []), every=every)
            if forest.asked is None or _pruned(forest):
                found.append(forest)
    return found


def plant(
    forest: Forest, layers: Iterable[Layer], images: Sequence[Image], containers: Sequence[Container], *, every: bool
) -> None:
    """Make the nodes of one forest."""
    known = {layer.chain_id: layer for layer in layers}
    names = [layer.parent_chain_id for layer in known.values()]
    names += [thing.chain_id for some in (images, containers) for thing in some]
    for name in names:
        if name is not None and name not in known:
            known[name] = Layer(
                forest.store.snapshot_id, forest.namespace, name, None, None, 0, None, None, "unknown", None, None
            )
    parents, forest.cut = _without_circles({name: layer.parent_chain_id for name, layer in known.items()})
    shown = _shown(images, containers, parents, forest.asked or (), every=every)
    ends = {image.chain_id for image in shown} | {container.chain_id for container in containers}
    by_chain = _nodes(forest, known, parents, ends)
    _hang(forest, by_chain, shown, containers)
    _sum(forest)


def _without_circles(parents: dict[str, str | None]) -> tuple[dict[str, str | None], list[str]]:
    """Return the parents without those that would make a circle, and the layers that lost theirs."""
    done: set[str] = set()
    cut = []
    for start in sorted(parents):
        way: dict[str, None] = {}
        name: str | None = start
        while name is not None and name not in done and name not in way:
            way[name] = None
            name = parents[name]
        if name in way:
            circle = list(way)[list(way).index(name) :]
            cut.append(min(circle))
            parents[min(circle)] = None
        done |= way.keys()
    return parents, cut


def _shown(
    images: Sequence[Image],
    containers: Iterable[Container],
    parents: dict[str, str | None],
    asked: Collection[str],
    *,
    every: bool,
) -> list[Image]:
    """Return the images that are told of: all but those that stand below others and that docker images leaves out."""
    covered: set[str] = set()
    for image in images:
        name = image.chain_id if image.listed else None
        while name is not None and name not in covered:
            covered.add(name)
            name = parents[name]
    running = {container.image_id for container in containers}
    return [
        image
        for image in images
        if every or image.listed or image.image_id in running or image.image_id in asked
        or (image.chain_id is not None and image.chain_id not in covered)
    ]  # fmt: skip


def _nodes(
    forest: Forest, known: dict[str, Layer], parents: dict[str, str | None], ends: Collection[str | None]
) -> dict[str, Node]:
    """Join layers to nodes, and return the node that each layer is in."""
    above: dict[str | None, list[str]] = defaultdict(list)
    for name in sorted(known):
        above[parents[name]].append(name)
    found: dict[str, Node] = {}
    left = list(above[None])
    while left:
        name = left.pop()
        layer, below = known[name], parents[name]
        node = found[below] if below is not None else None
        joined = below is not None and below not in ends and len(above[below]) == 1
        if node is None or not joined or known[f"{below}"].sort != layer.sort:
            node = Node(node)
            (node.parent.nodes if node.parent else forest.nodes).append(node)
        node.layers.append(layer)
        found[name] = node
        left += above[name]
    return found


def _hang(forest: Forest, by_chain: dict[str, Node], images: Sequence[Image], containers: Iterable[Container]) -> None:
    """Hang images on the nodes on which they end, and containers on images, or on the layers that they stand on."""
    ends: dict[str, Node] = {}
    for image in images:
        if image.chain_id is None:
            node = Node(None)
            forest.nodes.append(node)
        else:
            node = by_chain[image.chain_id]
        node.images.append(image)
        ends[image.image_id] = node
    for container in containers:
        own = ends.get(container.image_id or "")
        stands = own if container.chain_id is None else by_chain[container.chain_id]
        if stands is None:
            forest.lost.append(container)
        elif stands is own:
            own.by_image.setdefault(f"{container.image_id}", []).append(container)
        else:
            stands.containers.append(container)


def _sum(forest: Forest) -> None:
    """Add up sizes from the base, count images from the top, and put all in order."""
    nodes = list(forest.walk())
    for node in nodes:
        node.size = Size.of(node.layers)
        node.total = node.size if node.parent is None else node.parent.total.plus(node.size)
    for node in reversed(nodes):
        node.images_above = sum(image.listed for image in node.images) + sum(one.images_above for one in node.nodes)
        node.held = bool(node.images or node.containers) or any(one.held for one in node.nodes)
        node.weight = node.size.bytes + sum(one.weight for one in node.nodes)
    for node in nodes:
        alone = node.parent.unique if node.parent else Size()
        node.unique = alone.plus(node.size) if node.images_above == 1 else Size()
        node.nodes.sort(key=Node.order)
        node.images.sort(key=lambda image: (image.names()[:1] or ["~"], image.image_id))
        for some in (node.containers, *node.by_image.values()):
            some.sort(key=lambda container: (container.name or "~", container.container_id))
    forest.nodes.sort(key=Node.order)


def _pruned(forest: Forest) -> bool:
    """Leave of the trees what the images that were asked for stand on, and what stands on them; say if that is any."""
    asked = forest.asked or frozenset()
    ends = [node for node in forest.walk() if any(image.image_id in asked for image in node.images)]
    kept = set(walk(ends))
    way = set()
    for node in ends:
        below = node.parent
        while below is not None and below not in way:
            way.add(below)
            below = below.parent
    for node in way - kept:
        node.nodes = [one for one in node.nodes if one in kept or one in way]
        node.containers, node.by_image = [], {}
    forest.nodes = [node for node in forest.nodes if node in kept or node in way]
    forest.lost = []
    return bool(ends)


def counted(forest: Forest) -> Counter[str]:
    """Return how much is shown: images, layers, their bytes, bytes of all images if they shared none, containers."""
    count: Counter[str] = Counter()
    for node in forest.walk():
        count["images"] += len(node.images)
        count["layers"] += len(node.layers) - node.missing
        count["missing"] += node.missing
        count["bytes"] += node.size.bytes
        count["unknown"] += node.size.unknown
        count["apart"] += len(node.images) * node.total.bytes
        count["apart unknown"] += len(node.images) * node.total.unknown
        count["containers"] += len(node.containers) + sum(map(len, node.by_image.values()))
    count["containers"] += len(forest.lost)
    return count
