"""Members of a tar out of few bytes, so that mutations reach what lies behind checksums, base64 and JSON.

An input is a list of members, a line each: fields of a header as they shall stand there, with tabs between. What is
left out at the end of a line is as usual. `|` in the PAX records is a newline, and their lengths are put before them
where they have none. Everything else - the checksum, the size of extension headers, the numbering of lines - is right.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

import orjson
from fastcrc.crc64 import go_iso

BLOCK = 512
USUAL = (b"usr/bin/sh", b"0", b"0000755", b"0001000", b"0001000", b"", b"14524775777", b"", b"", b"", b"", b"")


class Member(NamedTuple):
    """A member's headers, its content and its name."""

    headers: bytes
    content: bytes
    name: bytes


def members(data: bytes) -> list[Member]:
    """Return the members that an input describes."""
    return [_member(line.split(b"\t")) for line in data.split(b"\n") if line]


def _member(given: list[bytes]) -> Member:
    fields = [*given, *USUAL[len(given) :]]
    name, flag, mode, uid, gid, content, mtime, link, pax, extension, prefix, size = fields[: len(USUAL)]
    if flag[:1] not in b"0\x007S" or flag[:1] == b"":
        content = b""
    said = size or b"%011o" % len(content)
    head = _header(name, flag[:1] or b"\0", (mode, uid, gid, said, mtime), link, prefix)
    before = b""
    if extension:  # a long name or link: its type, then its text
        before += _extension(extension[:1], extension[1:])
    if pax:
        before += _extension(b"x", b"".join(map(_record, pax.split(b"|"))))
    return Member(before + head, content, name)


def _record(text: bytes) -> bytes:
    """Return a PAX record with its length; what begins with a digit has one of its own."""
    if text[:1].isdigit():
        return text + b"\n"
    size = len(text) + 3
    size += len(b"%d" % size) - 1
    return b"%d %s\n" % (size, text)


def _extension(flag: bytes, data: bytes) -> bytes:
    numbers = (b"0000644", b"0000000", b"0000000", b"%011o" % len(data), b"00000000000")
    return _header(b"ext", flag or b"x", numbers, b"", b"") + data + bytes(-len(data) % BLOCK)


def _header(name: bytes, flag: bytes, numbers: tuple[bytes, ...], link: bytes, prefix: bytes) -> bytes:
    fields = (
        (name, 100), *zip(numbers, (8, 8, 8, 12, 12), strict=True), (b"        ", 8), (flag, 1), (link, 100),
        (b"ustar\x0000", 8), (b"root", 32), (b"root", 32), (b"0000001", 8), (b"0000002", 8), (prefix, 155),
    )  # fmt: skip
    return sealed(b"".join(value[:size].ljust(size, b"\0") for value, size in fields).ljust(BLOCK, b"\0"))


def sealed(block: bytes) -> bytes:
    """Return a header block with the checksum that it needs."""
    total = sum(block) - sum(block[148:156]) + 8 * 0x20
    return block[:148] + b"%06o\0 " % total + block[156:]


def tar(found: list[Member]) -> bytes:
    """Return the tar of some members."""
    parts = (member.headers + member.content + bytes(-len(member.content) % BLOCK) for member in found)
    return b"".join(parts) + bytes(2 * BLOCK)


def tar_split(found: list[Member]) -> bytes:
    """Return the lines of the tar-split of some members."""
    lines, padding = [], 0
    for member in found:
        lines.append({"type": 2, "payload": _base64(bytes(padding) + member.headers)})
        lines.append(_file(member))
        padding = -len(member.content) % BLOCK
    lines.append({"type": 2, "payload": _base64(bytes(padding + 2 * BLOCK))})
    return b"".join(orjson.dumps({**line, "position": place}) + b"\n" for place, line in enumerate(lines))


def _file(member: Member) -> dict[str, object]:
    line: dict[str, object] = {"type": 1}
    try:
        line["name"] = member.name.decode()
    except UnicodeDecodeError:
        line["name_raw"] = _base64(member.name)
    if member.content:
        line["size"] = len(member.content)
    return {**line, "payload": _base64(go_iso(member.content).to_bytes(8, "big")) if member.content else None}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
