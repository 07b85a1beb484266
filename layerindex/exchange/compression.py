"""Compressed streams: told by how they begin when they arrive, by the name's end when they leave."""

from __future__ import annotations

import io
import os
import shutil
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from layerindex.errors import RefusedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

BLOCK = 1 << 20
RATIO = 256
"""Databases shrink to a fifth or a twentieth; deflate can make a thousandth of zeros, zstd less."""
FLOOR_BYTES = 1 << 30
CEILING_BYTES = 64 << 30
WINDOW_BYTES = 128 << 20
"""Most memory that a zstd stream may ask for: what `zstd -d` grants it."""
LEVEL = 9
"""Of zstd, and of gzip the usual 6: beyond, seconds are paid for single percents."""


class Arriving(io.RawIOBase):
    """A stream whose first bytes were looked at, and that counts what it gives."""

    def __init__(self, file: IO[bytes], head: bytes) -> None:
        self.file, self.head = file, head
        self.count = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Give the bytes that were looked at, then what follows."""
        view = memoryview(buffer)
        data = self.head[: len(view)] or self.file.read(len(view))
        self.head = self.head[len(data) :]
        view[: len(data)] = data
        self.count += len(data)
        return len(data)


def spool(stream: Arriving, target: IO[bytes], source: str, limit: int | None) -> None:
    """Write what a stream unpacks to into a file; raises RefusedFileError where it is damaged or a bomb."""
    total = 0
    for block in _blocks(stream, source):
        total += len(block)
        most = limit or min(CEILING_BYTES, max(FLOOR_BYTES, stream.count * RATIO))
        if total > most:
            raise RefusedFileError(source, f"{stream.count} bytes unpack to more than {most}; --max-size allows more")
        target.write(block)


def _blocks(stream: Arriving, source: str) -> Iterator[bytes]:
    unpacked, damage = _unpacked(stream)
    while True:
        try:
            block = unpacked.read(BLOCK)
        except EOFError as error:
            raise RefusedFileError(source, "the compressed stream ends early") from error
        except (damage, OSError) as error:
            if getattr(error, "errno", None):  # the file cannot be read
                raise
            raise RefusedFileError(source, f"cannot be unpacked ({error})") from error
        if not block:
            return
        yield block


def _unpacked(stream: Arriving) -> tuple[IO[bytes], type[Exception]]:
    """Return what a stream unpacks to, and what its library raises where it is damaged."""
    if stream.head.startswith(GZIP):
        from isal import igzip, isal_zlib  # noqa: PLC0415 - only for what is compressed

        opened = igzip.open(stream, "rb")  # type: ignore[no-untyped-call]  # isal has no types
        return cast("IO[bytes]", opened), cast("type[Exception]", isal_zlib.error)
    if stream.head.startswith(ZSTD):
        import zstandard  # noqa: PLC0415 - only for what is compressed

        unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES)
        opened = unpacker.stream_reader(cast("IO[bytes]", stream), BLOCK, read_across_frames=True)
        return cast("IO[bytes]", opened), zstandard.ZstdError
    return cast("IO[bytes]", stream), OSError


@contextmanager
def _packer(name: str, target: IO[bytes]) -> Iterator[IO[bytes]]:
    if name.endswith(".gz"):
        import gzip  # noqa: PLC0415 - only for what is to be compressed

        with gzip.GzipFile("", "wb", 6, target, mtime=0) as packer:
            yield cast("IO[bytes]", packer)
    elif name.endswith(".zst"):
        import zstandard  # noqa: PLC0415 - only for what is to be compressed

        made = zstandard.ZstdCompressor(LEVEL, threads=len(os.sched_getaffinity(0)), write_checksum=True)
        with made.stream_writer(target, closefd=False) as packer:
            yield cast("IO[bytes]", packer)
    else:
        yield target


def send(source: IO[bytes], target: IO[bytes], name: str) -> None:
    """Copy a file to a stream, compressed as the end of `name` says."""
    with _packer(name, target) as packer:
        shutil.copyfileobj(source, packer, BLOCK)
    target.flush()
