"""Lists a layer from its ``tar-split.json.gz``.

Each member of a layer's tar is a Segment line (the raw bytes before its content: padding, extension headers, header)
and a FileType line (name, size, CRC-64 of the content). Format and order: tar-split ``tar/storage/entry.go``,
``tar/asm/disassemble.go``.

``Reader`` reads line by line with all checks: it is the reference, and handles everything unusual. ``blocks`` reads
usual lines in whole blocks; both give the same entries.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import orjson
import pybase64

from layerindex.listings import tarheader
from layerindex.listings.batches import Builder, Entry
from layerindex.listings.tarheader import Header, HeaderError
from layerindex.listings.times import LAST_NANOSECOND, NANOSECONDS
from layerindex.names import clean, escape, escape_path

TYPES = {
    b"0": "file", b"\0": "file", b"7": "file", b"S": "file", b"1": "hardlink", b"2": "symlink", b"3": "char",
    b"4": "block", b"5": "dir", b"6": "fifo",
}  # fmt: skip
WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
AUFS = b".wh..wh."
# Beyond these, damage is no accident, and the listing is given up.
BAD_LINES = 10_000
PENDING_BYTES = 8 << 20
XATTR = b"SCHILY.xattr."
IDS_END = 1 << 32
NAME_MAX = 255
PATH_MAX = 4096
"""Most bytes of a name and of a path or a symlink's target that Linux takes (`include/uapi/linux/limits.h`)."""
XATTRS_MAX = 65536
"""Most bytes of the names of a file's attributes, and of the value of one."""


class TooMuch(Exception):  # noqa: N818 - as below
    """The listing exceeds the limit for the size of its source."""


class TooManyBadLines(Exception):  # noqa: N818 - it is a finding about the store, not an error of ours
    """The file is noise."""


class State(NamedTuple):
    """The state of a reader."""

    position: int
    pending: list[str]
    pending_bytes: int
    bad_lines: int
    problem_count: int
    complete: bool


class Reader:
    """Reads one tar-split line by line into a builder."""

    def __init__(self, builder: Builder, ancient: frozenset[str] = frozenset()) -> None:
        self.builder = builder
        self.ancient = ancient
        self.position = 0
        self.pending: list[str] = []
        self.pending_bytes = 0
        self.bad_lines = 0

    def report(self, code: str, detail: str) -> None:
        """Count a problem that makes the listing incomplete."""
        self.builder.complete = False
        self.builder.problem(code, None, detail)

    def check_room(self) -> None:
        """Raise TooMuch where the listing exceeds its room."""
        if self.builder.overfull:
            raise TooMuch

    def line(self, line: bytes) -> None:
        """Read one line; a bad line still counts in the order of positions.

        After a bad line, the header before it belongs to no known file.
        """
        due = self.position
        self.position = due + 1
        try:
            record = orjson.loads(line)
            kind, position = record["type"], record["position"]
            if type(position) is not int or type(kind) is not int:
                raise TypeError("type and position must be numbers")  # noqa: TRY301 - one place says what any bad line is
            if position != due:
                self._forget()
                self.report("tar-split-position", f"position {position} where {due} is due")
            self.position = position + 1
            if kind == 2:
                self._segment(record.get("payload"))
            elif kind == 1:
                self._file(record)
            else:
                raise ValueError(f"unknown type {kind}")  # noqa: TRY301 - as above
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._forget()
            self.report("tar-split-line", f"{type(error).__name__}: {error} in {line[:120]!r}")
            self.bad_lines += 1
            if self.bad_lines > BAD_LINES:
                raise TooManyBadLines from error

    def _forget(self) -> None:
        self.pending, self.pending_bytes = [], 0

    def state(self) -> State:
        """Return the state, to restore it within the same batch of the builder."""
        counts = (self.builder.problem_count, self.builder.complete)
        return State(self.position, [*self.pending], self.pending_bytes, self.bad_lines, *counts)

    def restore(self, state: State) -> None:
        """Restore the state at the beginning of a batch."""
        self.position, self.pending, self.pending_bytes, self.bad_lines = state[:4]
        self.builder.restart(state.problem_count, complete=state.complete)

    def _segment(self, payload: object) -> None:
        if payload is None or payload == "":
            return
        if not isinstance(payload, str):
            raise TypeError("payload must be text")
        self.pending_bytes += len(payload)
        if self.pending_bytes <= PENDING_BYTES:
            self.pending.append(payload)
        else:  # no header is that large: it is the padding at the end of the archive
            self.pending.clear()

    def _file(self, record: dict[str, Any]) -> None:
        pending = self.pending
        self._forget()
        size, payload = record.get("size", 0), record.get("payload")
        raw = record.get("name_raw")
        name = pybase64.b64decode(raw, validate=True) if raw else record.get("name", "").encode()
        path = escape_path(name)[0]
        if type(size) is not int or not 0 <= size < 1 << 63:
            self.builder.problem("tar-split-size", path, f"size {size!r}")
            size = None
        try:
            crc = _crc(payload)
        except (ValueError, TypeError, AttributeError) as error:
            self.builder.problem("tar-split-crc", path, f"{payload!r:.60}: {error}")
            crc = None
        try:
            header = tarheader.read(_decoded(pending))
        except HeaderError as error:
            self._lost(error.code, path, str(error))
        except (ValueError, UnicodeError) as error:
            self._lost("tar-split-payload", path, str(error))
        else:
            if header is not None:
                self.member(name, path, size, crc, header)

    def _lost(self, code: str, path: str, detail: str) -> None:
        self.builder.complete = False
        self.builder.problem(code, path, detail)

    def member(self, name: bytes, path: str, size: int | None, crc: int | None, header: Header) -> None:
        """Handle one member, given its name, size and CRC-64."""
        parts = clean(name)
        if parts is None or b"\0" in name:
            self._lost("tar-name", path, "climbs out of the layer" if parts is None else "holds a NUL")
            return
        if len(name) > PATH_MAX or max(map(len, parts), default=0) > NAME_MAX:
            self._lost("tar-name", path[:PATH_MAX], f"of {len(name)} bytes, longer than Linux takes names or paths")
            return
        if header.flag not in TYPES:
            self._lost("tar-type", path, f"unknown type {header.flag!r}")
            return
        kind = TYPES[header.flag]
        if header.flag == b"\0" and name.endswith(b"/"):
            kind = "dir"
        if any(part.startswith(WHITEOUT) for part in parts):
            special = self._whiteout(parts, path)
            if special is None:
                return
            kind, parts = special
        self._entry(parts, path, kind, size, crc, header)

    def _whiteout(self, parts: list[bytes], path: str) -> tuple[str, list[bytes]] | None:
        """Return the meaning of a name with the AUFS prefix. moby ``go-archive/archive_linux.go`` ConvertRead."""
        *parents, base = parts
        if base == OPAQUE:
            return "opaque", parents
        if any(part.startswith(AUFS) for part in parts) or base == WHITEOUT:
            if base == WHITEOUT:
                self._lost("tar-name", path, "a whiteout of nothing")
            return None
        if not base.startswith(WHITEOUT):
            self._lost("tar-name", path, "below a whiteout")
            return None
        return "whiteout", [*parents, base.removeprefix(WHITEOUT)]

    def _entry(  # noqa: PLR0913, PLR0917 - what was found out of one member, called in one place
        self, parts: list[bytes], path: str, kind: str, size: int | None, crc: int | None, header: Header
    ) -> None:
        directory, directory_raw = escape_path(b"/" + b"/".join(parts[:-1]))
        name, name_raw = escape(parts[-1] if parts else b"")
        names = (directory, directory_raw, name, name_raw, kind)
        if kind == "opaque":
            self.builder.add(Entry(*names, opaque=1))
            return
        fields = _Fields(self.builder, path, header)
        mtime, mtime_ns = fields.mtime(ancient=kind in self.ancient)
        mode = fields.number("mode", slice(100, 108), 1 << 63)
        target, target_raw = fields.link(kind)
        xattrs, capability = fields.attributes()
        content = size if kind == "file" else len(target_raw or (target or "").encode()) if kind == "symlink" else 0
        if kind == "file" and size is not None:
            fields.check_size(size)
        self.builder.add(
            Entry(
                *names,
                mode=None if mode is None else mode & 0o7777,
                uid=fields.number("uid", slice(108, 116), IDS_END),
                gid=fields.number("gid", slice(116, 124), IDS_END),
                size=content,
                mtime=mtime,
                mtime_ns=mtime_ns or None,
                link_target=target,
                link_target_raw=target_raw,
                device=fields.device() if kind in ("char", "block") else None,
                content_crc64=crc if kind == "file" else None,
                opaque=0 if kind == "dir" else None,
                xattrs=xattrs,
                capability=capability,
                sparse=1 if fields.sparse else None,
            )
        )


class _Fields:
    """The fields of one header, preferring extension records; an absurd value is reported and None."""

    def __init__(self, builder: Builder, path: str, header: Header) -> None:
        self.builder, self.path, self.header = builder, path, header
        self.sparse = header.flag == b"S" or any(key.startswith(b"GNU.sparse.") for key in header.pax)

    def number(self, name: str, place: slice, end: int) -> int | None:
        """Return a number not below 0 and below ``end``."""
        try:
            record = self.header.pax.get(name.encode())
            value = tarheader.number(self.header.block[place]) if not record else tarheader.pax_number(record)
            if not 0 <= value < end:
                raise HeaderError("tar-header-number", f"absurd value {value}")  # noqa: TRY301 - reported as the others are
        except HeaderError as error:
            self.builder.problem(error.code, self.path, f"{name}: {error}")
            return None
        return value

    def mtime(self, *, ancient: bool) -> tuple[int | None, int | None]:
        """Seconds and nanoseconds as Docker sets them: 1970 for times beyond 64 bits. ``go-archive/time.go``.

        ``ancient``: the engine leaves times before 1970 as they are.
        """
        try:
            record = self.header.pax.get(b"mtime")
            if record:
                seconds, nanoseconds = tarheader.pax_time(record)
            else:
                seconds, nanoseconds = tarheader.number(self.header.block[136:148]), 0
        except HeaderError as error:
            self.builder.problem(error.code, self.path, f"mtime: {error}")
            return None, None
        total = seconds * NANOSECONDS + nanoseconds
        if total > LAST_NANOSECOND or total < (-LAST_NANOSECOND if ancient else 0):
            return 0, 0
        return seconds, nanoseconds

    def link(self, kind: str) -> tuple[str | None, bytes | None]:
        """Return the target: of a symlink unchanged, of a hard link as a path from the layer's root."""
        if kind not in ("symlink", "hardlink"):
            return None, None
        header = self.header
        target = header.pax.get(b"linkpath") or header.long_link or header.block[157:257].partition(b"\0")[0]
        if b"\0" in target or not target:
            self.builder.problem("tar-link", self.path, "a link target that is empty or holds a NUL")
            target = target.partition(b"\0")[0]
        if len(target) > PATH_MAX:
            self.builder.problem("tar-link", self.path, f"a link target of {len(target)} bytes")
            return None, None
        if kind == "hardlink":
            parts = clean(target)
            if parts is None:
                self.builder.problem("tar-link", self.path, "a hard link that climbs out of the layer")
            else:
                target = b"/" + b"/".join(parts)
        return escape_path(target)

    def attributes(self) -> tuple[str | None, bytes | None]:
        """Return the names of the extended attributes as a JSON list, and the capability."""
        names = sorted(key.removeprefix(XATTR) for key in self.header.pax if key.startswith(XATTR))
        capability = self.header.pax.get(XATTR + b"security.capability")
        if sum(map(len, names)) > XATTRS_MAX or len(capability or b"") > XATTRS_MAX:
            self.builder.problem("pax-value", self.path, "more bytes of extended attributes than Linux takes")
            return None, None
        return json.dumps([escape(name)[0] for name in names], ensure_ascii=False) if names else None, capability

    def device(self) -> str | None:
        """Return ``major:minor``."""
        major = self.number("major", slice(329, 337), 1 << 32)
        minor = self.number("minor", slice(337, 345), 1 << 32)
        return None if major is None or minor is None else f"{major}:{minor}"

    def check_size(self, size: int) -> None:
        """Report a header whose size contradicts the FileType line; the line is used."""
        if self.sparse:
            return
        stated = self.number("size", slice(124, 136), 1 << 63)
        if stated is not None and stated != size:
            self.builder.problem("tar-split-size", self.path, f"size {size}, but {stated} in the tar header")


def _decoded(pending: list[str]) -> bytes:
    """Return the bytes of the Segments; from a single one, the usual case, without most of the padding at its start."""
    if len(pending) != 1:
        return b"".join(pybase64.b64decode(text, validate=True) for text in pending)
    text = pending[0]
    size = len(text) // 4 * 3 - (text[-2:].count("="))
    return pybase64.b64decode(text[size % tarheader.BLOCK // 3 * 4 :], validate=True)


def _crc(payload: str | None) -> int:
    """Return the CRC-64 of a content as SQLite can hold it; that of no content is 0."""
    if payload is None or payload == "":
        return 0
    data = pybase64.b64decode(payload, validate=True)
    if len(data) != 8:
        raise ValueError(f"{len(data)} bytes instead of 8")
    return int.from_bytes(data, "big", signed=True)
