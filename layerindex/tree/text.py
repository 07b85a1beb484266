"""Trees for people: a line for each node, image and container, with sizes in columns behind; they fit a terminal."""

from __future__ import annotations

import os
from collections import Counter
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from layerindex.names import printable
from layerindex.render import WIDTH as LONGEST
from layerindex.render import human_bytes, plural
from layerindex.screen import coloured
from layerindex.screen.cells import painted
from layerindex.screen.text import cut, dot, ellipsis, padded, spelt, width
from layerindex.tree.forest import Node, Size, counted, walk
from layerindex.tree.things import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layerindex.screen import Look
    from layerindex.tree.forest import Forest
    from layerindex.tree.things import Container, Image, Layer

GAP = 2
ROOM = 30
"""Least width of trees; where a terminal has less for them, columns are left out."""
NAME = 24
"""Least width of a name in a deep place, whose lines are cut for that."""
SENTENCE = 80
"""Width of sentences where no terminal has another."""
REASONS = 5
"""Most reasons for what is not known, unless all is asked for."""
DRAWN = 600
"""Most characters that are drawn before a name, a multiple of those of one level."""
HEADS = ("LAYERS", "OWN", "TOTAL", "IMAGES")
DROPPED = (0, 3, 2, 1)
"""The columns in the order in which a narrow terminal leaves them out."""


class Marks(NamedTuple):
    """What trees are drawn with, and the encoding in which texts are shown."""

    branch: str
    last: str
    on: str
    none: str
    least: str
    encoding: str


def marks(encoding: str, *, plain: bool | None) -> Marks:
    """Return how trees are drawn: in ASCII where that is wanted, or where the encoding has no lines."""
    lines = "├─└│≥"
    if plain or (plain is None and spelt(lines, encoding) != lines):
        return Marks("|- ", "`- ", "|  ", "   ", ">=", "ascii")
    return Marks("├─ ", "└─ ", "│  ", "   ", "≥", encoding)


class Line(NamedTuple):
    """A line: why a layer of no image is there, names, which may be cut, what is said behind them, and numbers."""

    kind: str
    names: Sequence[str]
    after: str = ""
    numbers: tuple[str, str, str, str] = ("", "", "", "")


class Leaf(NamedTuple):
    """One of several images that end on a node."""

    node: Node
    image: Image


class Stand(NamedTuple):
    """A container, and the image that it hangs below, if any."""

    container: Container
    image: Image | None


class Folded(NamedTuple):
    """Nodes without an image that are shown as one line."""

    kind: str
    nodes: tuple[Node, ...]


Thing = Node | Leaf | Stand | Folded


class Writer:
    """Writes the trees of one forest."""

    def __init__(self, forest: Forest, look: Look, drawn: Marks, *, every: bool) -> None:
        self.forest, self.look, self.drawn, self.every = forest, look, drawn, every
        self.count = counted(forest)
        fits = look.screen is not None and look.trunc and not look.wide
        self.room = look.screen.width if look.screen is not None and fits else None
        self.colour = look.screen.colour if look.screen is not None else coloured(os.environ, terminal=False)

    def lines(self) -> Iterator[str]:
        """Yield the forest: what it is of, its trees, and what is not known of it."""
        yield from self._head()
        found = list(self._tree())
        if found:
            yield ""
            yield from self._fitted(found)
        for note in self._notes():
            yield from self._wrapped(note)

    def _head(self) -> Iterator[str]:
        store, count = self.forest.store, self.count
        where = [store.host, store.root, *([f"namespace {self.forest.namespace}"] if self.forest.namespace else [])]
        title = dot(self.drawn.encoding).join(map(printable, where))
        yield from self._wrapped(title) if self.look.screen else [spelt(title, self.drawn.encoding)]
        if not count["images"] + count["layers"] + count["containers"]:
            yield "no images"
            return
        size = self._bytes(Size(count["bytes"], count["unknown"]))
        said = f"{plural(count['images'], 'image')}, {plural(count['layers'], 'layer')} of {size}"
        if count["apart"] > count["bytes"]:
            apart = self._bytes(Size(count["apart"], count["apart unknown"]))
            said += f"; without sharing the images would take {apart}"
        yield from self._wrapped(said)

    # Lines -----------------------------------------------------------------------------------------------------------

    def _tree(self) -> Iterator[tuple[str, int, Line]]:
        """Yield each line with what is drawn before it, of a very deep place the last of that, and how deep it is."""
        roots = [*self._grouped(self.forest.nodes), *(Stand(container, None) for container in self.forest.lost)]
        left = [(thing, "", "", 0) for thing in reversed(roots)]
        while left:
            thing, drawn, below, deep = left.pop()
            yield drawn, deep, self._line(thing)
            above = list(self._above(thing))
            branches = [(self.drawn.last, self.drawn.none), *[(self.drawn.branch, self.drawn.on)] * (len(above) - 1)]
            left += [
                (one, (below + mark)[-DRAWN:], (below + on)[-DRAWN:], deep + 1)
                for one, (mark, on) in zip(reversed(above), branches, strict=False)
            ]

    def _above(self, thing: Thing) -> Iterator[Thing]:
        """Yield what hangs below a line, in order: containers, images, nodes."""
        if isinstance(thing, Leaf):
            yield from (Stand(one, thing.image) for one in thing.node.by_image.get(thing.image.image_id, ()))
        elif isinstance(thing, Node):
            if len(thing.images) == 1:
                yield from self._above(Leaf(thing, thing.images[0]))
            yield from (Stand(one, None) for one in thing.containers)
            if len(thing.images) > 1:
                yield from (Leaf(thing, image) for image in thing.images)
            yield from self._grouped(thing.nodes)

    def _grouped(self, nodes: Iterable[Node]) -> Iterator[Thing]:
        """Yield nodes, of those without an image all of one kind as one line."""
        bare: dict[str, list[Node]] = {}
        for node in nodes:
            if node.held or self.every:
                yield node
            else:
                kinds = dict.fromkeys(_kind(one.top) for one in walk([node]))
                bare.setdefault(", ".join(kinds), []).append(node)
        for kind, some in bare.items():
            yield some[0] if len(some) == 1 and not some[0].nodes else Folded(kind, tuple(some))

    def _line(self, thing: Thing) -> Line:
        if isinstance(thing, Stand):
            return self._container(thing)
        if isinstance(thing, Folded):
            return self._folded(thing)
        if isinstance(thing, Leaf):
            return Line("", self._names(thing.image), "", ("", "", self._bytes(thing.node.total), ""))
        numbers = (
            f"{len(thing.layers)}", self._bytes(thing.size), self._bytes(thing.total), f"{thing.images_above}",
        )  # fmt: skip
        missing = f" ({thing.missing} of {len(thing.layers)} layers not here)" if thing.missing else ""
        if len(thing.images) == 1:
            return Line("", self._names(thing.images[0]), missing, numbers)
        said = [self._id(thing.top.chain_id), thing.top.created_by or ""] if thing.top else []
        return Line(_kind(thing.top), [printable(" ".join(said)).rstrip()], missing, numbers)

    def _names(self, image: Image) -> list[str]:
        """Return what an image is called: its names, else its id and the names of lists that name it."""
        if named := list(map(printable, image.names())):
            return named
        lists = [f"in {printable(name)}" for name in words(image.lists)]
        why = "its names were not read" if image.named == "unknown" else ", ".join(lists) or "untagged"
        return [f"image {self._id(image.shown)} ({why})"]

    def _container(self, stand: Stand) -> Line:
        container = stand.container
        name = printable(container.name) if container.name else self._id(container.container_id)
        said = f", {printable(container.state)}" if container.state else ""
        if stand.image is None:
            ref = container.image_ref or container.image_id
            said += f" (of {self._id(printable(ref))})" if ref else " (image not known)"
        own = "" if container.rw_bytes is None else self._bytes(Size(container.rw_bytes))
        return Line("", [f"container {name}"], said, ("", own, "", ""))

    def _folded(self, folded: Folded) -> Line:
        nodes = walk(folded.nodes)
        layers = [layer for node in nodes for layer in node.layers]
        size = self._bytes(Size.of(layers))
        return Line(folded.kind, ["no image (--all shows each)"], "", (f"{len(layers)}", size, "", "0"))

    def _id(self, id_: str) -> str:
        """Return an id, short unless whole ones are wanted; what is none stays."""
        digits = id_.removeprefix("sha256:")
        return digits[:12] if self.look.trunc and len(digits) == 64 else id_

    def _bytes(self, size: Size) -> str:
        if size.unknown:
            return f"{self.drawn.least}{human_bytes(size.bytes)}" if size.bytes else "?"
        return human_bytes(size.bytes) if self.look.trunc else f"{size.bytes}"

    # The table -------------------------------------------------------------------------------------------------------

    def _fitted(self, found: Sequence[tuple[str, int, Line]]) -> Iterator[str]:
        """Yield the lines as a table of names and numbers."""
        widths = [
            max(len(head), *(width(line.numbers[place]) for *_, line in found)) for place, head in enumerate(HEADS)
        ]
        kept = list(range(len(HEADS)))
        for place in DROPPED:
            if self.room is None or self.room - sum(widths[one] + GAP for one in kept) >= ROOM:
                break
            kept.remove(place)
        longest = None if self.room is None else max(self.room - sum(widths[one] + GAP for one in kept), 1)
        shown = [(self._drawn(drawn, deep, longest), line) for drawn, deep, line in found]
        texts = [
            drawn + _text(line, self._limit() if longest is None else longest - width(drawn), self.drawn.encoding)
            for drawn, line in shown
        ]
        wide = max(width(text) for text in [*texts, "IMAGES AND LAYERS"])
        head = cut("IMAGES AND LAYERS", longest or LONGEST, ellipsis(self.drawn.encoding))
        yield self._row(head, HEADS, kept, widths, wide)
        for text, (drawn, line) in zip(texts, shown, strict=True):
            row = self._row(text, line.numbers, kept, widths, wide)
            yield self._painted(row, drawn, line.kind)
        if len(kept) < len(HEADS):
            yield ""
            said = ", ".join(HEADS[place].lower() for place in range(len(HEADS)) if place not in kept)
            yield from self._wrapped(f"left out: {said} (--wide)")

    def _limit(self) -> int:
        return LONGEST if self.look.trunc else 10**6

    def _row(self, text: str, numbers: Sequence[str], kept: Sequence[int], widths: Sequence[int], wide: int) -> str:
        cells = [padded(numbers[place], widths[place], right=True) for place in kept]
        return (" " * GAP).join([padded(text, wide), *cells]).rstrip()

    def _drawn(self, drawn: str, deep: int, longest: int | None) -> str:
        """Return the lines before a name, of a deep place how deep it is and the last of them."""
        most, one = DRAWN if longest is None else max(longest - NAME, 0), len(self.drawn.none)
        if len(drawn) <= most and len(drawn) == deep * one:
            return drawn
        said = f"{ellipsis(self.drawn.encoding)}{deep:<2} "
        return said + drawn[-max((most - len(said)) // one, 1) * one :]

    def _painted(self, row: str, drawn: str, kind: str) -> str:
        if not self.colour or not kind:
            return row
        end = len(drawn) + len(kind)
        return drawn + painted("status", row[len(drawn) : end]) + row[end:]

    # What is not known -----------------------------------------------------------------------------------------------

    def _notes(self) -> Iterator[str]:
        forest, count = self.forest, self.count
        if forest.asked is not None:
            yield "Other branches are not shown."
        if count["missing"]:
            where = "unpacked in this namespace" if forest.namespace else "in this store"
            yield f"? {plural(count['missing'], 'layer')} not {where}; what is missing: layerindex query missing-data"
        elif count["unknown"]:
            yield f"? the size of {plural(count['unknown'], 'layer')} is not known"
        reasons = Counter(
            layer.because for node in forest.walk() for layer in node.layers if layer.standing == "unknown"
        )
        for because, many in sorted(reasons.items(), key=lambda item: (-item[1], item[0] or ""))[: self._most()]:
            if because:
                yield f"? whether {plural(many, 'layer')} that no image has may go is unknown: {because}"
        unread = dict.fromkeys(why for why in (forest.store.layers_unread, forest.store.names_unread) if why)
        for why in unread:
            if why not in reasons:
                yield f"? images, names or containers may be missing here; not read: {why}"
        if forest.cut:
            yield f"? layers that would stand on themselves, cut there: {', '.join(map(self._id, forest.cut[:3]))}"

    def _most(self) -> int:
        return REASONS if self.look.trunc else 10**6

    def _wrapped(self, said: str) -> list[str]:
        room = self.look.screen.width if self.look.screen is not None else SENTENCE
        return wrap(
            spelt(printable(said), self.drawn.encoding), room, subsequent_indent="  " if said.startswith("?") else "",
            break_on_hyphens=False,
        )  # fmt: skip


def _kind(layer: Layer | None) -> str:
    """Return why a layer is there that no image has."""
    if layer is None or layer.image_id is not None:
        return ""
    if not layer.in_store:
        return "missing"
    if layer.standing != "used":
        return f"{layer.standing}"
    needed_by = printable(layer.needed_by or "")
    return needed_by if needed_by == "build cache" else f"kept by {needed_by or 'others'}"


def _text(line: Line, room: int, encoding: str = "utf-8") -> str:
    """Return a line's text, its names cut so that it fits; as many names as there is room for."""
    before = f"{line.kind}: " if line.kind else ""
    left = max(room - width(before) - width(line.after), 8)
    names = [spelt(name, encoding) for name in line.names]
    said = ", ".join(names)
    for many in range(len(names) - 1, 0, -1):
        if width(said) <= left:
            break
        said = ", ".join(names[:many]) + f" +{len(names) - many}"
    said = cut(said, left, ellipsis(encoding))
    return cut(before + said + spelt(line.after, encoding), max(room, 1), ellipsis(encoding))
