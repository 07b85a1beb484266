"""Reads a `tar-split.json.gz` with the fast reader of blocks or with the careful reader of lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerindex.listings.batches import Builder
from layerindex.listings.gunzip import line_blocks
from layerindex.listings.tarsplit import BAD_LINES, Reader, TooManyBadLines, TooMuch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.listings.batches import Batch


def tar_split_batches(
    fd: int, fast: bool = True, ancient: frozenset[str] = frozenset(), size: int | None = None
) -> Iterator[Batch]:
    """Yield the listing in an open ``tar-split.json.gz``, which is closed at the end.

    It is the whole file, or `size` bytes from where the file stands. Entries of the types in ``ancient`` keep a time
    before 1970.
    """
    size = os.fstat(fd).st_size if size is None else size
    builder = Builder.of_packed(size)
    reader = Reader(builder, ancient)
    try:
        for block in line_blocks(fd, size, reader.report):
            for read in _read_block(reader, block, fast=fast):
                yield builder.batch(read)
                reader.check_room()
    except TooMuch:
        reader.report("tar-split-bomb", f"its listing would take more than {builder.room} bytes")
    except TooManyBadLines:
        reader.report("tar-split-noise", f"given up after {BAD_LINES} lines that make no sense")
    except OSError as error:
        reader.report("tar-split-read", os.strerror(error.errno) if error.errno else str(error))
    finally:
        os.close(fd)
    yield builder.batch(0)


def _read_block(reader: Reader, block: bytes, *, fast: bool) -> Iterator[int]:
    """Read a block of whole lines; yields the number of bytes read whenever a batch is due."""
    if fast:
        # needs numpy, whose import is not worth it for a small store
        from layerindex.listings.blocks import read_block  # noqa: PLC0415

        read_block(reader, block)
    else:
        for line in block[:-1].split(b"\n"):
            reader.line(line)
            if reader.builder.full:
                yield 0
    yield len(block)
