"""Write bolt databases: whole files, as bytes, from nested mappings.

    content = bolt({"volumes": {"data": b"{}"}})
    content = bolt({"many": {f"{number:05}": b"x" for number in range(5000)}}, page_size=16384, order=">")

Keys are text or bytes; a value is bytes, or a mapping for a bucket. Small buckets without buckets of their own go
inside their parent's page, larger ones get pages, and what does not fit in a page gets more of them and branches above,
as bbolt does it (`node.go`, `bucket.go`). Page 2 is the list of free pages, which no reader needs.
"""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Tree = Mapping[str, Any] | Mapping[bytes, Any]

MAGIC = 0xED0CDAED
BRANCH, LEAF, META, FREE = 1, 2, 4, 16
HEADER = 16
ELEMENT = 16
FIRST = 3
"""Number of the first page of the tree."""


class Item(NamedTuple):
    """An element of a leaf."""

    flags: int
    key: bytes
    value: bytes


class _Writer:
    def __init__(self, page_size: int, order: str, fill: int, *, inline: bool) -> None:
        self.page_size, self.order, self.fill, self.inline = page_size, order, fill, inline
        self.pages: list[bytes] = []

    def bucket(self, tree: Tree) -> int:
        """Write a bucket's pages, and return the number of its root."""
        items = self.items(tree)
        leaves = self.split([len(item.key) + len(item.value) for item in items])
        level = [(items[start].key if items else b"", self.leaf(items[start:end])) for start, end in leaves]
        while len(level) > 1:
            spans = self.split([len(key) for key, _ in level])
            level = [(level[start][0], self.branch(level[start:end])) for start, end in spans]
        return level[0][1]

    def items(self, tree: Tree) -> list[Item]:
        named = {key.encode() if isinstance(key, str) else key: value for key, value in tree.items()}
        return [
            Item(0, key, value) if isinstance(value, bytes) else Item(1, key, self.below(value))
            for key, value in sorted(named.items())
        ]

    def below(self, tree: Tree) -> bytes:
        """Return the value that a bucket is in its parent."""
        if self.inline and all(isinstance(value, bytes) for value in tree.values()):
            items = self.items(tree)
            size = HEADER + sum(ELEMENT + len(item.key) + len(item.value) for item in items)
            if size <= self.page_size // 4:
                body = self.leaf_body(items)
                return struct.pack(f"{self.order}QQ", 0, 0) + self.header(0, LEAF, len(items), 0) + body
        return struct.pack(f"{self.order}QQ", self.bucket(tree), 0)

    def split(self, sizes: list[int]) -> list[tuple[int, int]]:
        """Return which elements go into one page: at most `fill`, and only one where it is too large."""
        spans, start, used = [], 0, HEADER
        for position, size in enumerate(sizes):
            if position > start and (used + ELEMENT + size > self.page_size or position - start == self.fill):
                spans.append((start, position))
                start, used = position, HEADER
            used += ELEMENT + size
        return [*spans, (start, len(sizes))]

    def leaf(self, items: list[Item]) -> int:
        return self.page(LEAF, len(items), self.leaf_body(items))

    def leaf_body(self, items: list[Item]) -> bytes:
        elements, data = b"", b""
        for position, (flags, key, value) in enumerate(items):
            offset = (len(items) - position) * ELEMENT + len(data)
            elements += struct.pack(f"{self.order}IIII", flags, offset, len(key), len(value))
            data += key + value
        return elements + data

    def branch(self, children: list[tuple[bytes, int]]) -> int:
        elements, data = b"", b""
        for position, (key, number) in enumerate(children):
            offset = (len(children) - position) * ELEMENT + len(data)
            elements += struct.pack(f"{self.order}IIQ", offset, len(key), number)
            data += key
        return self.page(BRANCH, len(children), elements + data)

    def page(self, flags: int, count: int, body: bytes) -> int:
        number, overflow = FIRST + len(self.pages), (HEADER + len(body) - 1) // self.page_size
        content = (self.header(number, flags, count, overflow) + body).ljust((overflow + 1) * self.page_size, b"\0")
        self.pages += [content[start : start + self.page_size] for start in range(0, len(content), self.page_size)]
        return number

    def header(self, number: int, flags: int, count: int, overflow: int) -> bytes:
        return struct.pack(f"{self.order}QHHI", number, flags, count, overflow)

    def meta(self, number: int, root: int, transaction: int, *, checksum: bool = True) -> bytes:
        end = FIRST + len(self.pages)
        body = struct.pack(f"{self.order}4I5Q", MAGIC, 2, self.page_size, 0, root, 0, 2, end, transaction)
        total = struct.pack(f"{self.order}Q", fnv1a(body) if checksum else 0)
        return (self.header(number, META, 0, 0) + body + total).ljust(self.page_size, b"\0")


def bolt(
    tree: Tree,
    *,
    page_size: int = 4096,
    order: str = "<",
    transaction: int = 7,
    fill: int = 0xFFFF,
    inline: bool = True,
    checksum: bool = True,
) -> bytes:
    """Return a database: `order` is `<` or `>`, `fill` the most elements of a page; without `checksum` as of old."""
    writer = _Writer(page_size, order, fill, inline=inline)
    root = writer.bucket(tree)
    metas = [
        writer.meta(number, root, transaction - (transaction - number) % 2, checksum=checksum) for number in (0, 1)
    ]
    free = writer.header(2, FREE, 0, 0).ljust(page_size, b"\0")
    return b"".join([*metas, free, *writer.pages])


def fnv1a(content: bytes) -> int:
    """Return the checksum of a meta: http://www.isthe.com/chongo/tech/comp/fnv/."""
    value = 14695981039346656037
    for byte in content:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def mutations(content: bytes, count: int, seed: int, page_size: int = 4096) -> Iterator[bytes]:
    """Yield damaged copies: bytes flipped, numbers of pages put anywhere, pages swapped, ends cut off."""
    chance = random.Random(seed)
    pages = len(content) // page_size
    for _ in range(count):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 5, 20))):
            kind = chance.randrange(4)
            if kind == 0:
                damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            elif kind == 1:
                start = chance.randrange(pages) * page_size  # where headers and elements are
                damaged[start + chance.randrange(200)] = chance.choice((0, 1, 2, 16, 127, 255, chance.randrange(256)))
            elif kind == 2:
                where = chance.randrange(2, pages) * page_size + 16 + 8 * chance.randrange(40)
                damaged[where : where + 8] = struct.pack("<Q", chance.randrange(pages + 1))
            else:
                here, there = (chance.randrange(2, pages) * page_size for _ in range(2))
                damaged[here : here + page_size] = damaged[there : there + page_size]
        yield bytes(damaged[: chance.randrange(len(damaged))] if chance.random() < 0.05 else damaged)
