"""Reads the usual lines of a tar-split with numpy, a whole block at a time.

Usual is: one Segment line and one FileType line for each member, a file, directory or symlink whose name has no escape,
with a plain octal header, alone or behind one PAX header with times and path or one GNU long name. Every condition is
checked; a member that fails one is read by ``Reader``, and so is a whole block that has a bad line.

Numbers are read eight characters at a time, as 64-bit words (first character in the lowest byte).
"""

from __future__ import annotations

import binascii
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pybase64

from layerindex.listings.batches import SHAPES, Builder, Columns
from layerindex.listings.tarsplit import NAME_MAX, TooManyBadLines
from layerindex.listings.times import LAST_SECOND
from layerindex.names import clean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from layerindex.listings.tarsplit import Reader

    Array = NDArray[Any]

U64 = np.uint64
ZEROS = U64(0x3030303030303030)
MAIN_CHARS, MAIN_BYTES = 688, 516  # base64 that covers the last 512 bytes of a Segment, whatever its phase
EXT_CHARS, EXT_BYTES = 1408, 1056  # and the 1024 before them: a PAX header and its records, and what a word reads on
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
SHORT = 64
"""Bytes of a block that cannot hold a member, and may be too few for a word."""
FLAGS = {"file": 0x30, "dir": 0x35, "symlink": 0x32}
PAX_RECORDS = 6


def _word(text: bytes) -> np.uint64:
    return U64(int.from_bytes(text, "little"))


class _Text:
    """Bytes that can be read as words and chunks at any offsets at once."""

    def __init__(self, data: bytes) -> None:
        self.bytes = np.frombuffer(data, np.uint8)
        self._words = np.ndarray((len(data) - 7,), np.dtype("<u8"), data, strides=(1,))
        self._data = data

    def word(self, at: Array) -> Array:
        return self._words[at]

    def chunks(self, at: Array, size: int) -> Array:
        shape = (len(self._data) - size + 1,)
        return np.ndarray(shape, f"V{size}", self._data, strides=(1,))[at].view(np.uint8).reshape(-1, size)


def _decimal(words: Array) -> tuple[Array, Array]:
    """Return the number at the end of each word, and how many digits it has (8: there may be more before)."""
    digits = words ^ ZEROS
    other = (((digits & U64(0x7F7F7F7F7F7F7F7F)) + U64(0x7676767676767676)) | digits) & U64(0x8080808080808080)
    for shift in (8, 16, 32):
        other |= other >> U64(shift)
    digits &= ~((other >> U64(7)) * U64(255))
    return _digits(digits, 10), 8 - np.bitwise_count(other).astype(np.int64)


def _octal(words: Array, skip: int) -> tuple[Array, Array]:
    """Return the number in each word less its last ``skip`` characters, and whether it is one."""
    shift = U64(8 * skip)
    digits = (words << shift) ^ (ZEROS << shift)
    return _digits(digits, 8), digits & U64(0xF8F8F8F8F8F8F8F8) == 0


def _digits(digits: Array, base: int) -> Array:
    digits = (digits * U64(base) + (digits >> U64(8))) & U64(0x00FF00FF00FF00FF)
    digits = (digits * U64(base**2) + (digits >> U64(16))) & U64(0x0000FFFF0000FFFF)
    digits = (digits * U64(base**4) + (digits >> U64(32))) & U64(0xFFFFFFFF)
    return digits.view(np.int64)


def _blank(char: Array) -> Array:
    blank: Array = (char == 0) | (char == 0x20)
    return blank


class _Lines(NamedTuple):
    """The offsets of the parts of all lines of a block."""

    start: Array
    tail: Array  # of `,"position":…`
    is_file: Array


def _lines(text: _Text, position: int) -> _Lines | None:
    """Return the lines of a block, or None where one is not a Segment or FileType with the position due."""
    end = np.flatnonzero(text.bytes < 0x20)  # JSON has no others
    start = np.concatenate(([0], end[:-1] + 1))
    if (end - start).min() < 36 or (text.bytes[end] != 0x0A).any():
        return None
    kind = text.bytes[start + 8]
    number, width = _decimal(text.word(end - 9))
    tail = end - 1 - width - 12
    good = (number - np.arange(len(end)) == position) & (text.bytes[end - 1] == 0x7D)
    good &= ((kind == 0x31) | (kind == 0x32)) & ((width == 1) | (text.bytes[tail + 12] != 0x30))
    good &= (kind == 0x32) | (end - start >= 48)
    good &= (text.word(tail) == _word(b',"positi')) & (text.word(tail + 4) == _word(b'sition":'))
    return _Lines(start, tail, kind == 0x31) if good.all() else None


class _Files(NamedTuple):
    name: Array
    name_end: Array
    size: Array
    crc: Array  # where its 12 characters begin, or 0
    good: Array


def _files(text: _Text, start: Array, tail: Array) -> _Files:
    """Return the parts of FileType lines."""
    empty = text.bytes[tail - 1] == 0x6C  # null
    key = tail - np.where(empty, 14, 24)
    good = (text.word(start) == _word(b'{"type":')) & (text.word(start + 8) == _word(b'1,"name"'))
    good &= text.word(start + 10) == _word(b'"name":"')
    good &= (text.word(key - 1) == _word(b',"payloa')) & (text.word(key + 2) == _word(b'ayload":'))
    value = text.word(key + 10)
    good &= np.where(empty, value & U64(0xFFFFFFFF) == _word(b"null"), value & U64(0xFF) == 0x22)
    good &= empty | (text.bytes[tail - 1] == 0x22)
    sized = text.bytes[key - 2] != 0x22
    size, width = _decimal(text.word(key - 9))
    before = key - 1 - width
    good &= ~sized | ((width > 0) & (text.bytes[before] != 0x30) & (text.word(before - 8) == _word(b',"size":')))
    name_end = np.where(sized, before - 9, key - 2)
    good &= (text.bytes[name_end] == 0x22) & (name_end > start + 18)
    good &= name_end - start - 18 <= NAME_MAX  # longer ones may have longer parts than a name can be
    return _Files(start + 18, name_end, np.where(sized, size, 0), np.where(empty, 0, key + 11), good)


class _Block(NamedTuple):
    """Decoded header bytes, and where in them each header begins."""

    text: _Text
    rows: Array
    at: Array


def _decode(chars: Array, width: int, offset: Array) -> _Block:
    data = pybase64.b64decode(chars.data.cast("B"), validate=True)
    rows = np.frombuffer(data, np.uint8).reshape(-1, width)
    return _Block(_Text(data), rows, np.arange(len(rows)) * width + offset)


def _checksums(block: _Block) -> Array:
    """Return whether the 512 bytes that begin in the first bytes of each row have the checksum they state."""
    lanes = block.rows[:, :MAIN_BYTES].view("<u4")
    pairs = lanes >> np.uint32(8)
    pairs &= np.uint32(0x00FF00FF)
    pairs += lanes & np.uint32(0x00FF00FF)
    total = np.zeros(len(lanes), np.int64)
    for half in (pairs[:, :64], pairs[:, 64:]):  # 65 * 510 fits 16 bits
        part = np.add.reduce(half, axis=1, dtype=np.uint32)
        total += (part & np.uint32(0xFFFF)) + (part >> np.uint32(16))
    first = block.at % block.rows.shape[1]
    for column in range(4):  # of the 516 bytes four are not the header's
        total -= np.where(column < first, block.rows[:, column], block.rows[:, 512 + column])
    field = block.text.word(block.at + 148)
    total += 8 * 0x20 - _byte_sum(field)
    stated, good = _octal(field, 2)
    good &= _blank((field >> U64(48)) & U64(0xFF)) & _blank(field >> U64(56)) & (stated == total)
    return good


def _byte_sum(words: Array) -> Array:
    pairs = (words & U64(0x00FF00FF00FF00FF)) + ((words >> U64(8)) & U64(0x00FF00FF00FF00FF))
    return ((pairs * U64(0x0001000100010001)) >> U64(48)).astype(np.int64)


class _Headers(NamedTuple):
    flag: Array
    mode: Array
    uid: Array
    gid: Array
    size: Array
    mtime: Array
    good: Array


def _headers(block: _Block) -> _Headers:
    """Return the fields of ustar headers."""
    good = _checksums(block)
    short = []
    for offset in (100, 108, 116):
        field = block.text.word(block.at + offset)
        value, octal = _octal(field, 1)
        good &= octal & _blank(field >> U64(56))
        short.append(value)
    long = []
    for offset in (124, 136):
        field = block.text.word(block.at + offset + 4)
        low, octal = _octal(field, 1)
        high, octal_high = _octal(block.text.word(block.at + offset), 0)
        good &= octal & octal_high & _blank(field >> U64(56))
        long.append(high >> 12 << 21 | low)
    return _Headers(block.text.bytes[block.at + 156], short[0] & 0o7777, short[1], short[2], long[0], long[1], good)


def _extension(block: _Block, mtime: Array, mtime_ns: Array, good: Array) -> None:
    """Apply the times of PAX headers; exclude members with other records than times and path.

    A GNU header with a long name passes: the FileType line has the name.
    """
    text = block.text
    size, octal = _octal(text.word(block.at + 128), 1)
    high, octal_high = _octal(text.word(block.at + 124), 0)
    good &= _checksums(block) & octal & octal_high & (high >> 12 == 0) & (size <= 512) & (size > 0)
    flag = text.bytes[block.at + 156]
    good &= ((flag == 0x78) | (flag == 0x4C)) & _blank(text.bytes[block.at + 135])
    at = block.at + 512
    end = at + np.where(good & (flag == 0x78), size, 0)
    found = np.zeros(len(at), bool)
    for _ in range(PAX_RECORDS):
        live = np.flatnonzero(good & (at < end))
        if not len(live):
            break
        here = at[live]
        head = text.word(here)
        width = np.where(text.bytes[here + 2] == 0x20, 2, 3)
        shift = ((8 - width) * 8).astype(U64)
        length, digits = _decimal(head << shift | ZEROS >> (width * 8).astype(U64))
        key = text.word(here + width)
        is_time = key & U64(0xFFFFFFFFFFFFFF) == _word(b" mtime=")
        known = is_time | (key & U64(0xFFFFFFFFFFFF) == _word(b" path="))
        for other in (b" atime=", b" ctime="):
            known |= key & U64(0xFFFFFFFFFFFFFF) == _word(other)
        last = np.minimum(here + length, end[live]) - 1
        known &= (digits == 8) & (here + length <= end[live]) & (length > width + 7) & (text.bytes[here] != 0x30)
        known &= (text.bytes[last] == 0x0A) & ~(is_time & found[live])
        found[live] |= is_time
        timed = np.flatnonzero(is_time)
        rows = live[timed]
        mtime[rows], mtime_ns[rows], valid = _pax_times(text, (here + width + 7)[timed], last[timed])
        known[timed] &= valid
        good[live] &= known
        at[live] = last + 1
    good &= at == end


def _pax_times(text: _Text, start: Array, end: Array) -> tuple[Array, Array, Array]:
    """Times of ten digits and perhaps a fraction, of nine at most."""
    high, high_digits = _decimal(text.word(start))
    low, low_digits = _decimal(text.word(start + 2))
    seconds = high * 100 + low % 100
    width = np.clip(end - start - 11, 0, 9)
    keep = np.minimum(width, 8) * 8
    mask = np.where(keep == 64, ~U64(0), (U64(1) << (keep % 64).astype(U64)) - U64(1))
    fraction, digits = _decimal((text.word(start + 11) & mask) | (ZEROS & ~mask))
    ninth = text.bytes[start + 19].astype(np.int64) - 0x30
    good = (high_digits == 8) & (low_digits == 8) & (digits == 8) & (seconds < LAST_SECOND)
    good &= (width < 9) | ((ninth >= 0) & (ninth <= 9))
    good &= (end - start == 10) | ((text.bytes[start + 10] == 0x2E) & (end - start <= 20) & (end - start >= 11))
    return seconds, fraction * 10 + np.where(width == 9, ninth, 0), good


class _Members(NamedTuple):
    """All values of the members of a block; rows that are not ``good`` have arbitrary values."""

    lines: Array  # of the FileType
    files: _Files
    headers: _Headers
    mtime: Array
    mtime_ns: Array
    text: _Text
    block: _Block
    good: Array


def _members(text: _Text, lines: _Lines, file: Array) -> _Members | None:
    """Read the members whose FileType lines are ``file``, each behind one Segment line."""
    start, close = lines.start[file - 1], lines.tail[file - 1] - 1
    open_ = start + 21
    files = _files(text, lines.start[file], lines.tail[file])
    good = files.good & (text.bytes[close] == 0x22) & (text.word(start) == _word(b'{"type":'))
    good &= (text.word(start + 8) == _word(b'2,"paylo')) & (text.word(start + 13) == _word(b'yload":"'))
    pad = (text.bytes[close - 1] == 0x3D).astype(np.int64)
    pad += (pad == 1) & (text.bytes[close - 2] == 0x3D)
    size = (close - open_) // 4 * 3 - pad
    blocks = size // 512
    good &= ((close - open_) % 4 == 0) & ((blocks == 1) | (blocks == 3))
    keep = np.flatnonzero(good)
    if not len(keep):
        return None
    file, close, pad, size, blocks = file[keep], close[keep], pad[keep], size[keep], blocks[keep]
    files = _Files(*(column[keep] for column in files))
    fine = _base64_begins(text, open_[keep], close)
    chars = text.chunks(close - MAIN_CHARS, MAIN_CHARS)
    chars[pad > 0, -1] = chars[pad > 1, -2] = 0x41
    chars[size < 514, :4] = 0x41  # what stands before the payload
    main = _decode(chars, MAIN_BYTES, 4 - pad)
    headers = _headers(main)
    good = fine & headers.good & (headers.size == files.size)
    mtime, mtime_ns = headers.mtime, np.zeros(len(file), np.int64)
    extended = np.flatnonzero(blocks == 3)
    if len(extended):
        first = (size[extended] - 1536) // 3 * 4
        chars = text.chunks(close[extended] - (size[extended] + 2) // 3 * 4 + first, EXT_CHARS)
        times, fractions, fine = mtime[extended], mtime_ns[extended], good[extended]
        _extension(_decode(chars, EXT_BYTES, size[extended] % 3), times, fractions, fine)
        mtime[extended], mtime_ns[extended], good[extended] = times, fractions, fine
    flag = headers.flag
    good &= (flag == 0x30) | (((flag == 0x35) | (flag == 0x32)) & (files.size == 0))
    return _Members(file, files, headers, mtime, mtime_ns, text, main, good)


def _base64_begins(text: _Text, start: Array, end: Array) -> Array:
    """Return whether payloads begin with base64: padding is not decoded, but the line could be invalid JSON there."""
    good = np.ones(len(start), bool)
    rows = np.flatnonzero(end - start > MAIN_CHARS)
    chars = text.chunks(start[rows], MAIN_CHARS)
    if chars.tobytes().translate(None, BASE64):
        good[rows] = np.isin(chars, np.frombuffer(BASE64, np.uint8)).all(axis=1)
    return good


def _crcs(text: _Text, at: Array) -> Array:
    """Return the CRCs whose base64 is at these places; 0 where the place is 0."""
    result = np.zeros(len(at), np.int64)
    rows = np.flatnonzero(at)
    if len(rows):
        chars = text.chunks(at[rows], 12)
        if not (chars[:, 11] == 0x3D).all():
            raise binascii.Error("a CRC of the wrong length")
        chars[:, 11] = 0x41
        data = pybase64.b64decode(chars.data.cast("B"), validate=True)
        words = np.ndarray((len(rows),), ">i8", data, strides=(9,))
        result[rows] = words
    return result


_ODD_PARTS = ("/./", "/../", "/.wh.")
_DOTS = ("", ".", "..")
_NEVER_PLAIN = bytes(range(32)) + b'"\\'  # in JSON these need an escape


def _names(block: bytes, members: _Members) -> list[str]:
    """Return the members' names without one closing slash; "" for a name with escapes or other specials."""
    files = members.files
    end = files.name_end - (members.text.bytes[files.name_end - 1] == 0x2F)
    pieces = [block[a:b] for a, b in zip(files.name.tolist(), end.tolist(), strict=True)]
    try:
        joined = b"\n".join(pieces)
        if len(joined.translate(None, _NEVER_PLAIN)) == len(joined) - len(pieces) + 1:
            return joined.decode().split("\n")
    except UnicodeDecodeError:
        pass
    return [_plain(piece) for piece in pieces]


def _plain(piece: bytes) -> str:
    try:
        return "" if piece.translate(None, _NEVER_PLAIN) != piece else piece.decode()
    except UnicodeDecodeError:
        return ""


class _Heads(dict[str, int]):
    """Directory numbers by the part of a name before its last slash; -1 where that is not clean as it stands."""

    def __init__(self, builder: Builder) -> None:
        super().__init__()
        self.builder = builder

    def __missing__(self, head: str) -> int:
        framed = f"/{head}/"
        if "//" in framed or ("/." in framed and any(odd in framed for odd in _ODD_PARTS)):
            number = _directory(self.builder, head)
        else:
            number = self.builder.number("/" + head, None)
        self[head] = number
        return number


def _split(builder: Builder, names: list[str]) -> tuple[list[str], Array]:
    """Return last components and directory numbers; a member with number -1 is left to ``Reader``."""
    heads = _Heads(builder)
    parts = [name.rpartition("/") for name in names]
    bases = [part[2] for part in parts]
    numbers = np.array([heads[part[0]] for part in parts])
    for row in [row for row, base in enumerate(bases) if base < "/"]:  # "" and "." are; so are few others
        if bases[row] in _DOTS or bases[row].startswith(".wh."):
            numbers[row] = -1
    return bases, numbers


def _directory(builder: Builder, head: str) -> int:
    parts = clean(head.encode())
    if parts is None or any(part.startswith(b".wh.") for part in parts):
        return -1
    return builder.number("/" + b"/".join(parts).decode(), None)


def _emit(builder: Builder, block: bytes, members: _Members) -> Array:
    """Give the builder the entries that are good; returns the lines of their FileType."""
    headers, good = members.headers, members.good
    bases, numbers = _split(builder, _names(block, members))
    good &= numbers >= 0
    targets = _targets(members, good)
    values = {
        "mode": headers.mode, "uid": headers.uid, "gid": headers.gid, "size": members.files.size,
        "mtime": members.mtime, "mtime_ns": members.mtime_ns, "content_crc64": _crcs(members.text, members.files.crc),
    }  # fmt: skip
    values["size"][list(targets)] = [len(target.encode()) for target in targets.values()]
    for kind, flag in FLAGS.items():
        mask = good & (headers.flag == flag)
        if mask.any():
            builder.columns[kind] = Columns(
                "\0".join(compress(bases, mask.tolist())),
                numbers[mask].tobytes(),
                tuple(values[name][mask].tobytes() for name in SHAPES[kind] if name in values),
                "\0".join(targets.values()) if kind == "symlink" else None,
            )
    return members.lines[good]


def _targets(members: _Members, good: Array) -> dict[int, str]:
    """Return the targets of symlinks by row; excludes those that are not plain text."""
    targets = {}
    for row in np.flatnonzero(good & (members.headers.flag == FLAGS["symlink"])).tolist():
        at = int(members.block.at[row]) + 157
        target = members.block.text.bytes[at : at + 100].tobytes().partition(b"\0")[0]
        text = _plain(target)
        if text:
            targets[row] = text
        else:
            good[row] = False
    return targets


def read_block(reader: Reader, block: bytes) -> None:
    """Read a block of whole lines, which is a batch of the reader's builder."""
    state = reader.state()
    try:
        done = len(block) > SHORT and _read_usual(reader, block)
    except (TooManyBadLines, binascii.Error):
        done = False  # a payload is not base64, or the listing must be given up: Reader finds out where
    if not done:
        reader.restore(state)
        for line in block[:-1].split(b"\n"):
            reader.line(line)


def _read_usual(reader: Reader, block: bytes) -> bool:
    """Read a block, unless one of its lines is not what it should be; return whether all was read."""
    text = _Text(block)
    lines = _lines(text, reader.position)
    if lines is None:
        return False
    first = reader.position
    file = np.flatnonzero(lines.is_file)
    before = np.concatenate(([-1], file[:-1])) if len(file) else file
    simple = file - before == 2
    if len(file) and reader.pending_bytes:
        simple[0] = False
    taken = np.zeros(len(lines.start), bool)
    members = _members(text, lines, file[simple])
    if members is not None:
        taken[_emit(reader.builder, block, members)] = True
    ends = np.append(lines.start[1:], len(block)) - 1
    left = ~taken[file]
    for previous, last in zip(before[left].tolist(), file[left].tolist(), strict=True):
        for index in range(previous + 1, last + 1):
            reader.position = first + index
            reader.line(block[lines.start[index] : ends[index]])
        if reader.pending_bytes:
            return False  # what looks like a FileType is none
    for index in range((file[-1] if len(file) else -1) + 1, len(ends)):
        reader.position = first + index
        reader.line(block[lines.start[index] : ends[index]])
    reader.position = first + len(ends)
    return True
