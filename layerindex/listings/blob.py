"""Lists a layer from its tar, plain or compressed with gzip or zstd, as content stores keep it.

It is read once, as a stream: its digest and that of the tar, the diff_id, are computed on the way, and also the CRC-64
of each file's content as in a tar-split, so that both give the same rows. Members are read as by Go's ``archive/tar``
does it (``reader.go``).
"""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING, cast

import zstandard
from fastcrc.crc64 import go_iso
from isal import igzip_lib

from layerindex.listings import tarheader
from layerindex.listings.batches import Batch, Builder
from layerindex.listings.gunzip import BLOCK_BYTES, inflated
from layerindex.listings.sparse import Holes
from layerindex.listings.tarheader import BLOCK, HeaderError
from layerindex.listings.tarsplit import Reader
from layerindex.names import escape_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.listings.tarheader import Header

    Report = Callable[[str, str], None]

GZIP = b"\x1f\x8b"
ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60)))
"""How zstd begins: with a data frame, or a skippable one, such as a table of contents."""
OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz"}

READ_BYTES = 1 << 20
WINDOW = 1 << 27
"""Largest window of zstd, in bytes: what `zstd -d` takes too."""

RATIO = 256
"""Real layers unpack to 2 to 20 times their size, deflate can reach 1032, zstd any; beyond this and the floor a blob is
a bomb, or consists of zeros; its directory is then read instead."""
FLOOR_BYTES = 1 << 30

HEADER_FLOOR = 8 << 20
"""The floor for headers and their extensions, which cost more to read than content."""

EXTENSION_BYTES = 8 << 20
"""Most bytes of extension headers before one member; archive/tar takes 1 MiB of each kind."""
HEADER_ONLY = b"123456"
"""Types of members that no content follows, whatever the size in their header."""


class _Source:
    """An open file that is hashed as it is read."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd, self.hash, self.size, self.limit = fd, hashlib.sha256(), 0, limit
        self.packed = True
        """Whether the blob is compressed, so that its digest is not that of the tar."""

    def read(self, size: int = READ_BYTES) -> bytes:
        """Return some bytes; none at the end."""
        room = min(READ_BYTES, self.limit - self.size)
        data = os.read(self.fd, min(size, room) if size > 0 else room)
        self.hash.update(data)
        self.size += len(data)
        return data

    def exhaust(self) -> None:
        """Read the bytes after the end of the compressed data, to hash them too."""
        while self.read():
            pass


def blob_batches(fd: int, digest: str | None, diff_id: str, size: int | None = None) -> Iterator[Batch]:
    """Yield the listing of the layer in an open blob, which is closed at the end.

    The blob is the whole file, or `size` bytes from where the file stands.
    If the blob does not have this digest, or its tar not this diff_id, the last batch says so, and the listing is not
    that of the layer.
    """
    size = os.fstat(fd).st_size if size is None else size
    builder, source, tar_hash = Builder.of_packed(size), _Source(fd, size), hashlib.sha256()
    damaged = False

    def report(code: str, detail: str) -> None:
        nonlocal damaged
        damaged, builder.complete = True, False
        builder.problem(code, None, detail)

    members = Members(builder, size)
    read = 0
    try:
        for block in _unpacked(source, size, report):
            if source.packed:
                tar_hash.update(block)
            for _ in members.feed(block):
                yield builder.batch(source.size - read)
                read = source.size
                if builder.overfull:
                    members.give_up("blob-bomb", f"its listing would take more than {builder.room} bytes")
        source.exhaust()
        tar_hash = tar_hash if source.packed else source.hash
        if digest is not None and f"sha256:{source.hash.hexdigest()}" != digest:
            report("blob-digest", f"its bytes have the digest sha256:{source.hash.hexdigest()}, not {digest}")
        elif not damaged and f"sha256:{tar_hash.hexdigest()}" != diff_id:
            report("blob-diff-id", f"its tar has the digest sha256:{tar_hash.hexdigest()}, not {diff_id}")
        elif not damaged:
            members.end()
    except OSError as error:
        report("blob-read", os.strerror(error.errno) if error.errno else str(error))
    finally:
        os.close(fd)
    yield builder.batch(source.size - read)


def _unpacked(source: _Source, size: int, report: Report) -> Iterator[bytes]:
    """Yield the tar in blocks, within a limit; damage of the compressed data is reported and ends it."""
    start = source.read()
    other = next((name for magic, name in OTHERS.items() if start.startswith(magic)), None)
    if other is not None or not start:
        report("blob-format", f"packed with {other}, which no engine writes" if other else "it is empty")
        return
    if start.startswith(GZIP):
        blocks = _gzip(source, start, report)
    elif start.startswith(ZSTD):
        blocks = _zstd(source, start, report)
    else:
        source.packed, blocks = False, _plain(source, start)
    limit, total = max(FLOOR_BYTES, size * RATIO), 0
    for block in blocks:
        total += len(block)
        if total > limit:
            report("blob-bomb", f"{size} bytes unpack to more than {limit}")
            return
        yield block


def _plain(source: _Source, data: bytes) -> Iterator[bytes]:
    while data:
        yield data
        data = source.read()


def _gzip(source: _Source, data: bytes, report: Report) -> Iterator[bytes]:
    try:
        yield from inflated(source.read, data)
    except igzip_lib.error as error:  # type: ignore[misc]  # isal's stub says it is an alias
        report("blob-packing", f"not gzip, or damaged: {error}")
    except EOFError:
        report("blob-truncated", "the gzip stream ends early")


class _Ahead:
    """A source of which the beginning was read to detect its format."""

    def __init__(self, source: _Source, start: bytes) -> None:
        self.source, self.start = source, start

    def read(self, size: int = -1) -> bytes:
        """Return some bytes; none at the end."""
        if self.start:
            start, self.start = self.start, b""
            return start
        return self.source.read(size)


def _zstd(source: _Source, start: bytes, report: Report) -> Iterator[bytes]:
    """Yield the content of all frames; a truncated frame shows in the digest of the tar."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    try:
        ahead = cast("IO[bytes]", _Ahead(source, start))
        reader = decompressor.stream_reader(ahead, read_size=READ_BYTES, read_across_frames=True)
        while block := reader.read(BLOCK_BYTES):
            yield block
    except zstandard.ZstdError as error:
        report("blob-packing", f"not zstd, or damaged: {error}")


class Members:
    """Parses the members of a tar that arrives in blocks, and gives them to a `Reader`, which makes rows."""

    def __init__(self, builder: Builder, size: int) -> None:
        """`size`: bytes of the blob, which limit the bytes of its headers."""
        self.builder = builder
        self.reader = Reader(builder)
        self.room = max(HEADER_FLOOR, size * RATIO)
        """Bytes of headers and extensions still allowed."""
        self.raw = bytearray()
        """Headers of the next member, as far as they have arrived."""
        self.want = BLOCK
        """How many bytes of headers are needed."""
        self.header = True
        """Whether the needed bytes end with a header, and not with data of an extension."""
        self.content = self.skip = 0
        """Bytes of the member's content, and of padding, that have not arrived yet."""
        self.member: tuple[Header, bytes, int] | None = None
        self.crc: int | None = 0
        self.holes: Holes | None = None
        self.budget = min(Holes.BUDGET, max(HEADER_FLOOR, size * RATIO))
        self.zeros = 0
        self.ended = False

    def feed(self, block: bytes) -> Iterator[None]:
        """Take a block; stop whenever the builder is full."""
        view, place, size = memoryview(block), 0, len(block)
        while place < size and not self.ended:
            if self.content:
                step = min(self.content, size - place)
                self._take(view[place : place + step])
                self.content -= step
                if not self.content:
                    self._finish()
            elif self.skip:
                step = min(self.skip, size - place)
                self.skip -= step
            else:
                step = min(self.want - len(self.raw), size - place)
                self.raw += view[place : place + step]
                self.room -= step
                if self.room < 0:
                    self.give_up("blob-bomb", "it has more bytes of headers than the limit for its size")
                elif len(self.raw) == self.want:
                    try:
                        self._next()
                    except HeaderError as error:
                        self.give_up(error.code, str(error))
            place += step
            if self.builder.full:
                yield

    def end(self) -> None:
        """Handle the end of the stream; the end marker of a tar may be missing, but not the rest of a member."""
        if not self.ended and (self.raw or self.content or self.skip):
            self.give_up("blob-truncated", "the tar ends in the middle of a member")

    def give_up(self, code: str, detail: str) -> None:
        """Ignore everything that follows."""
        self.builder.complete = False
        self.builder.problem(code, None, detail)
        self.ended = True

    def _next(self) -> None:
        """Handle complete headers: decide what must follow."""
        if not self.header:
            self.header, self.want = True, self.want + BLOCK
            return
        block = bytes(self.raw[-BLOCK:])
        if not block.strip(b"\0"):
            self._zeros()
            return
        if self.zeros:
            raise HeaderError("tar-header-checksum", "something follows a block of zeros")
        if self.holes is not None:  # the block is more of the map of a sparse file
            if self.holes.more(block):
                if self.want > EXTENSION_BYTES:
                    raise HeaderError("tar-header-size", f"a map of holes of {self.want} bytes")
                self.want += BLOCK
                return
            self._begin()
            return
        tarheader.check(block)
        flag = block[156:157]
        if flag in (b"x", b"g", b"L", b"K"):
            self._extension(block, flag)
            return
        if flag == b"S":
            self.holes = Holes.of_gnu(block)
            if self.holes.extended:
                self.want += BLOCK
                return
        self._begin()

    def _zeros(self) -> None:
        self.zeros += 1
        self.raw.clear()
        self.want = BLOCK
        self.ended = self.zeros == 2

    def _extension(self, block: bytes, flag: bytes) -> None:
        size = tarheader.number(block[124:136])
        room = -(-size // BLOCK) * BLOCK
        if size < 0 or self.want + room > EXTENSION_BYTES:
            raise HeaderError("tar-header-size", f"an extension header of {size} bytes")
        if flag == b"g":
            # A global header stands alone, and extensions before it are dropped.
            self.raw.clear()
            self.want, self.skip = BLOCK, room
        elif room:
            self.want, self.header = self.want + room, False
        else:
            self.want += BLOCK

    def _begin(self) -> None:
        """Begin a member after all its headers."""
        raw = bytes(self.raw)
        self.raw.clear()
        self.want, self.crc = BLOCK, 0
        header = self._header(raw)
        if header is None:
            return
        name = tarheader.name(header)
        is_folder = header.flag == b"\0" and name.endswith(b"/")
        size = 0 if is_folder or header.flag in HEADER_ONLY else _size(header)
        self.holes = self.holes or Holes.of_pax(header.pax, size)
        if self.holes is not None:
            self.holes.budget = self.budget
        self.member = (header, name, size if self.holes is None else self.holes.size)
        self.content, self.skip = size, -size % BLOCK
        if not size:
            self._finish()

    def _header(self, raw: bytes) -> Header | None:
        """Return the headers; where only an extension is damaged, report it and skip the member."""
        try:
            return tarheader.read(raw)
        except HeaderError as error:
            if error.code not in ("pax-record", "pax-value") or self.holes is not None:
                raise
            self.builder.complete = False
            self.builder.problem(error.code, None, str(error))
            block = raw[-BLOCK:]
            size = 0 if block[156:157] in HEADER_ONLY else max(0, tarheader.number(block[124:136]))
            self.skip, self.holes = -(-size // BLOCK) * BLOCK, None
            return None

    def _take(self, data: memoryview) -> None:
        if self.holes is None:
            self.crc = go_iso(data, self.crc)
        else:
            self.crc = self.holes.crc(data, self.crc)

    def _finish(self) -> None:
        """Give the reader a member whose content is complete."""
        if self.member is None:
            return
        header, name, size = self.member
        if self.holes is not None:
            self.crc = self.holes.end(self.crc)
            self.budget = self.holes.budget
        self.holes, self.member = None, None
        crc = self.crc
        if crc is not None and crc >= 1 << 63:
            crc -= 1 << 64
        self.reader.member(name, escape_path(name)[0], size, crc, header)


def _size(header: Header) -> int:
    record = header.pax.get(b"size")
    size = tarheader.pax_number(record) if record else tarheader.number(header.block[124:136])
    if size < 0:
        raise HeaderError("tar-header-number", f"absurd size {size}")
    return size
