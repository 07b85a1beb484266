"""Reads lines from an untrusted gzip file, in blocks, with bounded memory and work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from isal import igzip_lib

# Enough lines that work on whole arrays pays, but not more than fits a processor's cache.
BLOCK_BYTES = 4 << 20
READ_BYTES = 512 << 10
# The longest line of a real tar-split holds a chunk of 1 MiB in base64 (tar-split's disassemble.go); extension headers
# are bounded to 1 MiB each by archive/tar.
LINE_BYTES = 16 << 20
# Real tar-split files unpack to 15-40 times their size, deflate can reach 1032. Zero padding may push a small layer
# up, so there is a floor; beyond both a file is a bomb.
RATIO = 256
FLOOR_BYTES = 32 << 20
CEILING_BYTES = 64 << 30

Report = Callable[[str, str], None]


def inflated(read: Callable[[], bytes], data: bytes) -> Iterator[bytes]:
    """Yield the content of a gzip file in blocks; the file begins with `data` and continues with what `read` returns.

    The file may have several members. Raises igzip_lib.error where it is damaged, and EOFError where it ends early.
    """
    inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    while data or not inflater.needs_input:
        if block := inflater.decompress(data, BLOCK_BYTES):
            yield block
        data = b""
        if inflater.eof:
            data = inflater.unused_data or read()
            if not data:
                return
            inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        elif inflater.needs_input:
            data = read()
    raise EOFError


def unpacked(fd: int, size: int, report: Report) -> Iterator[bytes]:
    """Yield the content of `size` bytes of a file in blocks; damage is reported and ends it."""
    left = size

    def read() -> bytes:
        nonlocal left
        data = os.read(fd, min(READ_BYTES, left))
        left -= len(data)
        return data

    limit = min(CEILING_BYTES, max(FLOOR_BYTES, size * RATIO))
    total = 0
    try:
        for block in inflated(read, read()):
            total += len(block)
            if total > limit:
                report("tar-split-bomb", f"{size} bytes unpack to more than {limit}")
                return
            yield block
    except igzip_lib.error as error:  # type: ignore[misc]  # isal's stub says it is an alias
        report("tar-split-gzip", f"not gzip, or damaged, after {total} bytes of content: {error}")
    except EOFError:
        report("tar-split-truncated", f"the gzip stream ends early, after {total} bytes of content")


def line_blocks(fd: int, size: int, report: Report) -> Iterator[bytes]:
    """Yield blocks of whole lines, each ending with a newline."""
    begun: list[bytes | memoryview] = []
    held = 0
    skipping = False
    for block in unpacked(fd, size, report):
        start, end = 0, block.rfind(b"\n") + 1
        if skipping:
            if not end:
                continue
            start, skipping = block.find(b"\n") + 1, False
        view = memoryview(block)
        if end > start or (begun and end):
            yield b"".join((*begun, view[start:end]))
            begun, held = [], 0
        begun.append(bytes(view[max(start, end) :]))
        held += len(begun[-1])
        if held > LINE_BYTES:
            report("tar-split-line", f"a line of more than {LINE_BYTES} bytes is skipped")
            begun, held, skipping = [], 0, True
    if held:
        report("tar-split-truncated", f"the last line, of {held} bytes, does not end")
