"""Write and undo `tar-split.json.gz` the way vbatts/tar-split does it: an independent witness for the tests.

Nothing here is shared with the package under test, and the CRC is plain Python on purpose: a mistake in one of the two
implementations shows as a difference instead of cancelling out.
"""

from __future__ import annotations

import base64
import gzip
import json
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCK = 512
PADDING_CHUNK = 1024 * 1024
HEADER_ONLY = b"123456"  # hard link, symlink, char, block, dir, fifo: no content follows, whatever the size field says
POLYNOMIAL = 0xD800000000000000
ALL_ONES = 0xFFFFFFFFFFFFFFFF


def _crc_row(index: int) -> int:
    """The reflected CRC of one byte."""
    for _ in range(8):
        index = (index >> 1) ^ (POLYNOMIAL if index & 1 else 0)
    return index


_CRC_ROWS = tuple(_crc_row(index) for index in range(256))


def crc64(data: bytes) -> int:
    """CRC-64/GO-ISO of the bytes, as Go's `crc64.ISO` table gives it."""
    crc = ALL_ONES
    for byte in data:
        crc = _CRC_ROWS[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ ALL_ONES


@dataclass(frozen=True)
class Segment:
    """Raw bytes of the stream: headers, padding, the end."""

    payload: bytes


@dataclass(frozen=True)
class File:
    """One tar member: its name as bytes, its size as the header says, its content."""

    name: bytes
    size: int
    content: bytes


Entry = Segment | File


def pack(tar: bytes, *, last_empty: bool = False) -> bytes:
    """The `tar-split.json.gz` of a layer tar; `last_empty` adds the empty last segment of tar-split before 0.11.4."""
    lines = [_line(entry, position) for position, entry in enumerate(entries(tar, last_empty=last_empty))]
    return gzip.compress(b"".join(lines), mtime=0)


def unpack(packed: bytes, read: Callable[[bytes], bytes]) -> bytes:
    """Rebuild the tar stream; `read` gives the whole content of a name."""
    stream = bytearray()
    for position, line in enumerate(gzip.decompress(packed).splitlines()):
        entry = json.loads(line)
        if entry["position"] != position:
            raise ValueError(f"line {position} says position {entry['position']}")
        if entry["type"] == 2:
            stream += base64.b64decode(entry["payload"] or "")
        elif entry.get("size"):
            stream += _checked(read(_name(entry)), entry["payload"])
    return bytes(stream)


def reader(diff: Path) -> Callable[[bytes], bytes]:
    """What `unpack` reads from: the files below a layer's `diff` directory."""

    def read(name: bytes) -> bytes:
        return (diff / clean(name).decode("utf-8", "surrogateescape")).read_bytes()

    return read


def clean(name: bytes) -> bytes:
    """A member's name as a path below the layer's root; a name that leaves it is refused."""
    path = posixpath.normpath(name.lstrip(b"/") or b".")
    if path == b".." or path.startswith(b"../"):
        raise ValueError(f"leaves the layer: {name!r}")
    return path


def entries(tar: bytes, *, last_empty: bool = False) -> Iterator[Entry]:
    """The segments and files of a tar stream, in tar-split's order and with its borders."""
    reader_ = _Reader(tar)
    while (member := reader_.next()) is not None:
        yield Segment(reader_.take_raw())
        yield member
    if end := reader_.take_raw():
        yield Segment(end)
    rest = tar[reader_.offset :]
    for start in range(0, len(rest), PADDING_CHUNK):
        yield Segment(rest[start : start + PADDING_CHUNK])
    if last_empty:
        yield Segment(b"")


class _Reader:
    """Steps through a tar as Go's `archive/tar` does with raw accounting on."""

    def __init__(self, tar: bytes) -> None:
        self.tar = tar
        self.offset = 0
        self.padding = 0
        self.raw = bytearray()

    def next(self) -> File | None:
        """The next member that is not a mere extension of another; None at the end."""
        pax: dict[bytes, bytes] = {}
        long_name = b""
        while (header := self._header()) is not None:
            kind = header[156:157]
            if kind == b"x":
                pax = _pax_records(self._extension(header))
            elif kind == b"L":
                long_name = _text(self._extension(header))
            elif kind == b"K":
                self._extension(header)
            elif kind == b"g":
                self._extension(header)
                return File(_header_name(header), 0, b"")
            else:
                return self._member(header, pax, long_name)
        return None

    def take_raw(self) -> bytes:
        """The raw bytes since the last call."""
        raw = bytes(self.raw)
        self.raw.clear()
        return raw

    def _member(self, header: bytes, pax: dict[bytes, bytes], long_name: bytes) -> File:
        if header[156:157] == b"S" or any(key.startswith(b"GNU.sparse.") for key in pax):
            raise ValueError("sparse members cannot be rebuilt from tar-split")
        name = long_name or pax.get(b"path") or _header_name(header)
        size = int(pax.get(b"size") or _number(header[124:136]))
        content = b"" if header[156:157] in HEADER_ONLY else self._read(size)
        self.padding = -len(content) % BLOCK
        return File(name, size, content)

    def _header(self) -> bytes | None:
        """The next header block, after the padding; both zero blocks of the end are taken at once."""
        self.raw += self._read(self.padding)
        self.padding = 0
        header = self._read(BLOCK)
        self.raw += header
        if header.strip(b"\0"):
            return header
        self.raw += self._read(BLOCK)
        return None

    def _extension(self, header: bytes) -> bytes:
        data = self._read(_number(header[124:136]))
        self.raw += data
        self.padding = -len(data) % BLOCK
        return data

    def _read(self, size: int) -> bytes:
        data = self.tar[self.offset : self.offset + size]
        self.offset += len(data)
        return data


def _header_name(header: bytes) -> bytes:
    """The name a header block carries, with the ustar prefix (GNU's `ustar  ` uses that field otherwise)."""
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:265] == b"ustar\x0000" else b""
    return prefix + b"/" + name if prefix else name


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes) -> int:
    """An octal or base-256 number of a header block."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(field.strip(b" \0") or b"0", 8)


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    """The records of an extended header, each `length key=value` and a newline."""
    records = {}
    while data:
        length = int(data.split(b" ", 1)[0])
        key, _, value = data[:length].split(b" ", 1)[1].rstrip(b"\n").partition(b"=")
        records[key] = value
        data = data[length:]
    return records


def _line(entry: Entry, position: int) -> bytes:
    """One line of JSON as Go's encoder writes it."""
    if isinstance(entry, Segment):
        return b'{"type":2,"payload":"%s","position":%d}\n' % (base64.b64encode(entry.payload), position)
    size = b'"size":%d,' % entry.size if entry.size else b""
    checksum = crc64(entry.content).to_bytes(8, "big")
    payload = b'"%s"' % base64.b64encode(checksum) if entry.size else b"null"
    return b'{"type":1,%s%s"payload":%s,"position":%d}\n' % (_name_field(entry.name), size, payload, position)


def _name_field(name: bytes) -> bytes:
    """`name` where it is UTF-8, `name_raw` where it is not, nothing where it is empty."""
    if not name:
        return b""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return b'"name_raw":"%s",' % base64.b64encode(name)
    return b'"name":"%s",' % text.translate(_GO_ESCAPES).encode()


_GO_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x20), *b"<>&", 0x2028, 0x2029)} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}


def _name(entry: dict[str, str]) -> bytes:
    return base64.b64decode(entry["name_raw"]) if "name_raw" in entry else entry.get("name", "").encode()


def _checked(content: bytes, payload: str) -> bytes:
    """The content, if its CRC is the recorded one."""
    if base64.b64encode(crc64(content).to_bytes(8, "big")).decode() != payload:
        raise ValueError("content does not match its CRC-64")
    return content
