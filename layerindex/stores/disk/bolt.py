"""Reads bolt databases, also while an engine writes them (FORMATS section 7).

Format: bbolt `internal/common/{meta,page,bucket}.go` and `db.go`. A file is pages; the first two each hold a header
(bolt's `meta`), written in turns; the newer valid one names the root bucket's page. A page that a reader may still need
is not overwritten until two transactions later. Every offset is checked before it is followed, and every page may be in
the tree only once, so that the time to read a file is bounded by its size.
"""

from __future__ import annotations

import os
import time
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from layerindex.guard import reader
from layerindex.names import as_text, printable
from layerindex.problems import Damage, Damages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.disk.files import Folder

LIMIT = 1024 * 1024 * 1024
"""Most bytes of a database: those of BuildKit and containerd have some MB, on large hosts some hundred MB."""

ATTEMPTS = 8
"""How often a file is read again that was written while it was read."""

PAUSE = 0.02
"""Seconds to wait before reading again; a transaction of an engine takes some milliseconds."""

DEPTH = 32
"""Deepest nesting of buckets, and of branches within one; containerd nests seven buckets."""

MAGIC = 0xED0CDAED
VERSION = 2
PAGE_SIZES = [1024 << shift for shift in range(15)]
HEADER_SIZE = 16
ELEMENT_SIZE = 16
MAX_KEY = 32768
"""Most bytes of a key (bbolt `db.go`)."""

BRANCH, LEAF = 1, 2
BUCKET = 1
"""Flag of a leaf's element that holds a bucket."""

PageReference = tuple[int, int]
"""Where a page is referred to: the page, and the number of the element in it; (0, 0) for the root."""


class Meta(NamedTuple):
    """One of the two headers."""

    order: str
    page_size: int
    root: int
    transaction: int
    summed: bool
    """Whether the header has a checksum; early versions of boltdb wrote none."""


class Page(NamedTuple):
    """A page, or the whole of a small bucket inside another's value: where it begins and ends in the file."""

    number: int
    start: int
    end: int
    flags: int
    elements: int


class Bucket:
    """A bucket: keys in order, each with bytes or another bucket.

    What cannot be read is left out and added to the database's `damages`.
    """

    def __init__(self, bolt: Bolt, root: int, place: PageReference, inline: Page | None = None, depth: int = 0) -> None:
        self._bolt, self._root, self._place, self._inline, self._depth = bolt, root, place, inline, depth

    def items(self) -> Iterator[tuple[bytes, bytes | Bucket]]:
        """Yield each key with its value."""
        last: bytes | None = None
        for page in self._leaves(self._root, self._place, 0) if self._inline is None else (self._inline,):
            try:
                for key, value in self._elements(page):
                    if last is not None and key <= last:
                        raise self._bolt.torn(page.number, "its keys are not in order")
                    last = key
                    yield key, value
            except Damage as found:
                self._bolt.note(found)

    def get(self, key: bytes) -> bytes | Bucket | None:
        """Return the value of one key by a search through all keys; to look up many keys, keep `items`."""
        return next((value for name, value in self.items() if name == key), None)

    def bucket(self, key: bytes) -> Bucket | None:
        """Return the bucket of one key; None when there is none, or bytes."""
        value = self.get(key)
        return value if isinstance(value, Bucket) else None

    def _leaves(self, number: int, place: PageReference, depth: int) -> Iterator[Page]:
        children: list[int] = []
        try:
            page = self._bolt.page(number, place)
            if page.flags == LEAF:
                yield page
                return
            if depth == DEPTH:
                raise self._bolt.torn(number, "too many branches lie above it")
            children.extend(self._bolt.children(page))
        except Damage as found:
            self._bolt.note(found)
        for position, child in enumerate(children):
            yield from self._leaves(child, (number, position), depth + 1)

    def _elements(self, page: Page) -> Iterator[tuple[bytes, bytes | Bucket]]:
        for position, (flags, key, start, end) in enumerate(self._bolt.elements(page)):
            if not flags & BUCKET:
                yield key, self._bolt.content[start:end]
                continue
            try:
                yield key, self._below(page, position, start, end)
            except Damage as found:
                self._bolt.note(found)

    def _below(self, page: Page, position: int, start: int, end: int) -> Bucket:
        if self._inline is not None:
            raise self._bolt.torn(page.number, "a bucket inside an inline bucket")
        if self._depth == DEPTH:
            raise self._bolt.torn(page.number, "its buckets are nested too deeply")
        root, inline = self._bolt.bucket(page, start, end)
        return Bucket(self._bolt, root, (page.number, position), inline, self._depth + 1)


class Bolt:
    """A database in memory; `damages` collects problems of its pages while they are read."""

    def __init__(self, content: bytes, where: str) -> None:
        """Raises Damage when it is no bolt database, or has no valid header."""
        self.content, self.where = content, where
        self.damages: list[Damage] = Damages()
        if not content:
            raise Damage("empty", where, "the file has no content")
        meta = newest_meta(content)
        if meta is None:
            raise Damage("bad-bolt", where, "neither of its headers is valid")
        self.meta = meta
        self._page = Struct(f"{meta.order}QHHI")
        self._branch = Struct(f"{meta.order}IIQ")
        self._leaf = Struct(f"{meta.order}IIII")
        self._bucket = Struct(f"{meta.order}QQ")
        self._owners: dict[int, tuple[int, PageReference]] = {}
        self._noted: set[str] = set()

    @property
    def root(self) -> Bucket:
        """The bucket that holds all others."""
        return Bucket(self, self.meta.root, (0, 0))

    def note(self, found: Damage) -> None:
        """Add a finding, but only once, however often its page is read."""
        if found.problem.detail not in self._noted:
            self._noted.add(found.problem.detail)
            self.damages.append(found)

    def torn(self, number: int, detail: str) -> Damage:
        """Return a finding about a page."""
        return Damage("bolt-page", self.where, f"page {number}: {detail}")

    def page(self, number: int, place: PageReference) -> Page:
        """Return the page with a number that is referred to at a place; raises Damage."""
        start = number * self.meta.page_size
        if number < 2 or start + HEADER_SIZE > len(self.content):
            raise self.torn(number, "it lies outside the file")
        said, flags, count, overflow = self._page.unpack_from(self.content, start)
        if said != number:
            raise self.torn(number, f"it says that it is page {said}")
        if flags not in (BRANCH, LEAF):
            raise self.torn(number, f"it is of kind {flags}, neither branch nor leaf")
        end = start + (overflow + 1) * self.meta.page_size
        if end > len(self.content):
            raise self.torn(number, f"it ends {end - len(self.content)} bytes behind the end of the file")
        for each in range(number, number + overflow + 1):
            if self._owners.setdefault(each, (number, place)) != (number, place):
                raise self.torn(number, f"page {each} is part of the tree in another place already")
        return self._checked(Page(number, start, end, flags, count))

    def _checked(self, page: Page) -> Page:
        if page.start + HEADER_SIZE + page.elements * ELEMENT_SIZE > page.end:
            raise self.torn(page.number, f"{page.elements} elements do not fit in it")
        return page

    def children(self, page: Page) -> Iterator[int]:
        """Yield the pages below a branch."""
        if not page.elements:
            raise self.torn(page.number, "a branch without any page below")
        for position in range(page.elements):
            _, _, child = self._branch.unpack_from(self.content, page.start + HEADER_SIZE + position * ELEMENT_SIZE)
            yield child

    def elements(self, page: Page) -> Iterator[tuple[int, bytes, int, int]]:
        """Yield for each element of a leaf its flags, its key, and where its value begins and ends; raises Damage."""
        first = page.start + HEADER_SIZE + page.elements * ELEMENT_SIZE
        room = page.end - first
        for position in range(page.elements):
            element = page.start + HEADER_SIZE + position * ELEMENT_SIZE
            flags, offset, key_size, value_size = self._leaf.unpack_from(self.content, element)
            start = element + offset
            middle, end = start + key_size, start + key_size + value_size
            # Keys and values must not overlap: hostile ones that share bytes would expand a small file.
            room -= key_size + value_size
            if start < first or end > page.end or room < 0 or key_size > MAX_KEY:
                raise self.torn(page.number, f"element {position} lies outside it")
            yield flags, self.content[start:middle], middle, end

    def bucket(self, page: Page, start: int, end: int) -> tuple[int, Page | None]:
        """Return the root page of a bucket in a value, or the inline bucket itself where it is small; raises Damage."""
        inline = start + self._bucket.size
        if inline > end:
            raise self.torn(page.number, "a bucket of too few bytes")
        root, _ = self._bucket.unpack_from(self.content, start)
        if root:
            return root, None
        if inline + HEADER_SIZE > end:
            raise self.torn(page.number, "an inline bucket of too few bytes")
        _, flags, count, _ = self._page.unpack_from(self.content, inline)
        if flags != LEAF:
            raise self.torn(page.number, "an inline bucket that is no leaf")
        return 0, self._checked(Page(page.number, inline, end, flags, count))


@reader
def read_bolt(folder: Folder, name: str) -> Bolt:
    """Read a database, also while an engine writes it; raises Damage when nothing of it can be read.

    The content is accepted when the newest header is the same before and after reading. A file that changes at every
    attempt is read as it is, with a finding.
    """
    where = folder.where(name)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        with folder.opened(name) as handle:
            bolt = Bolt(folder.content(name, handle, LIMIT), where)
            if newest_meta(os.pread(handle, bolt.meta.page_size * 2, 0)) == bolt.meta:
                return bolt
    bolt.note(Damage("inconsistent", where, "it was written each time it was read"))
    return bolt


def newest_meta(content: bytes) -> Meta | None:
    """Return the header that counts; None when none is valid."""
    first = _meta(content, 0)
    if first is not None:
        metas = [first, _meta(content, first.page_size)]
    else:
        metas = [meta for size in PAGE_SIZES if (meta := _meta(content, size)) and meta.page_size == size]
    # A header without a checksum is of early boltdb, and older than any header with one.
    valid = (meta for meta in metas if meta is not None)
    return max(valid, key=lambda meta: (meta.summed, meta.transaction), default=None)


def _meta(content: bytes, start: int) -> Meta | None:
    """Return the header of the page that starts there; None when it is not valid."""
    raw = content[start + HEADER_SIZE : start + HEADER_SIZE + 64]
    if len(raw) < 64:
        return None
    for order in "<>":
        magic, version, page_size, _, root, _, _, _, transaction, checksum = Struct(f"{order}4I6Q").unpack(raw)
        if magic == MAGIC and version == VERSION and page_size in PAGE_SIZES and checksum in (0, _fnv1a(raw[:56])):
            return Meta(order, page_size, root, transaction, checksum != 0)
    return None


def _fnv1a(content: bytes) -> int:
    """Return the FNV-1a hash of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in content:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def key_text(key: bytes) -> str:
    """Return a key as text that is safe to store and to print."""
    return printable(as_text(key))
