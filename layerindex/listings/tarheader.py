"""Reads tar headers and their extensions with full checks.

As Go's ``archive/tar`` reads them (``reader.go``, ``strconv.go``), which is what moby and tar-split accept.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLOCK = 512
_PAX_TIME = re.compile(rb"(-?)([0-9]{1,18})(?:\.([0-9]*))?")
_DECIMAL = re.compile(rb"[0-9]{1,18}")
_LENGTH = re.compile(rb"([0-9]{1,18}) ")


class HeaderError(ValueError):
    """A header that cannot be read; ``code`` names the problem."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Header(NamedTuple):
    """The last header of a member, and the extension records before it."""

    block: bytes
    flag: bytes
    pax: dict[bytes, bytes]
    long_link: bytes | None
    long_name: bytes | None = None


def number(field: bytes) -> int:
    """Return an octal or base-256 number. ``archive/tar/strconv.go`` parseNumeric."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
    else:
        text = field.strip(b" \0").partition(b"\0")[0]
        if text.strip(b"01234567"):
            raise HeaderError("tar-header-number", f"not an octal number: {field!r}")
        value = int(text or b"0", 8)
    if not -(1 << 63) <= value < 1 << 63:
        raise HeaderError("tar-header-number", f"a number beyond 64 bits: {field!r}")
    return value


def check(block: bytes) -> None:
    """Raise where the checksum fits neither the sum of unsigned nor of signed bytes."""
    stored = number(block[148:156])
    total = sum(block) - sum(block[148:156]) + 8 * 0x20
    if stored != total and stored != total - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 127):
        raise HeaderError("tar-header-checksum", f"checksum is {stored}, should be {total}")


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """Return the records of an extended header. ``archive/tar/strconv.go`` parsePAXRecord."""
    records: dict[bytes, bytes] = {}
    place = 0
    while place < len(data):
        length = _LENGTH.match(data, place)
        if length is None:
            raise HeaderError("pax-record", f"no length: {data[place : place + 40]!r}")
        start, end = length.end(), place + int(length[1])
        equals = data.find(b"=", start, end)
        if equals <= start or end > len(data) or data[end - 1 : end] != b"\n":
            raise HeaderError("pax-record", f"malformed: {data[start : min(end, start + 40)]!r}")
        records[data[start:equals]] = data[equals + 1 : end - 1]
        place = end
    return records


def pax_number(value: bytes) -> int:
    """Return a decimal number of a record."""
    if not _DECIMAL.fullmatch(value):
        raise HeaderError("pax-value", f"not a number: {value[:40]!r}")
    return int(value)


def pax_time(value: bytes) -> tuple[int, int]:
    """Seconds and nanoseconds, the fraction truncated. ``archive/tar/strconv.go`` parsePAXTime."""
    match = _PAX_TIME.fullmatch(value)
    if match is None:
        raise HeaderError("pax-value", f"not a time: {value[:40]!r}")
    sign, seconds, fraction = match.groups()
    nanoseconds = int((fraction or b"")[:9].ljust(9, b"0"))
    if not sign:
        return int(seconds), nanoseconds
    return (-int(seconds) - 1, 10**9 - nanoseconds) if nanoseconds else (-int(seconds), 0)


def read(segment: bytes) -> Header | None:
    """Return the member's header in the raw bytes before its content; None for a global header, which is no member.

    The bytes are [padding of the member before] [extension headers with their data] header [sparse map]; all but the
    padding is in whole blocks, so their length says how long that is.
    """
    offset = len(segment) % BLOCK
    pax: dict[bytes, bytes] = {}
    long_link = long_name = None
    seen_global = False
    while offset < len(segment):
        block = segment[offset : offset + BLOCK]
        check(block)
        flag = block[156:157]
        offset += BLOCK
        if flag not in (b"x", b"g", b"L", b"K"):
            return Header(block, flag, pax, long_link, long_name)
        size = number(block[124:136])
        data = segment[offset : offset + size] if size >= 0 else b""
        if len(data) != size:
            raise HeaderError("tar-header-size", f"an extension header of {size} bytes, of which {len(data)} are there")
        offset += -(-size // BLOCK) * BLOCK
        seen_global |= flag == b"g"
        if flag == b"x":
            pax.update(pax_records(data))
        elif flag == b"K":
            long_link = data.partition(b"\0")[0]
        elif flag == b"L":
            long_name = data.partition(b"\0")[0]
    if seen_global:
        return None
    raise HeaderError("tar-header-missing", "no tar header before the content")


def name(header: Header) -> bytes:
    """Return the member's name, extension records first; ``archive/tar/reader.go`` mergePAX and readHeader."""
    stated = header.pax.get(b"GNU.sparse.name") or header.pax.get(b"path") or header.long_name
    if stated:
        return stated
    block = header.block
    own = block[:100].partition(b"\0")[0]
    if block[257:263] != b"ustar\0":
        return own
    prefix = block[345:476] if block[508:512] == b"tar\0" else block[345:500]
    prefix = prefix.partition(b"\0")[0]
    return prefix + b"/" + own if prefix else own
