"""What lists a layer's files: tar-splits, tar headers, blobs."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from typing import NamedTuple

import zstandard

from layerindex.listings import tarheader
from layerindex.listings.batches import PROBLEMS_KEPT, Batch, Builder, Entry, Finding
from layerindex.listings.blob import GZIP, OTHERS, ZSTD, Members, blob_batches
from layerindex.listings.blocks import read_block
from layerindex.listings.tarheader import BLOCK, HeaderError
from layerindex.listings.tarsplit import Reader, TooManyBadLines
from layerindex.listings.tarsplit_file import tar_split_batches
from layerindex.stores.disk import ids
from tests.packing import member, pack, tar_split, widen
from tools.fuzz import members
from tools.fuzz.target import Target, hold

GROWTH = 16
"""Most bytes of text in rows and problems for each byte of input, beside what each line may say in a problem."""


class Listed(NamedTuple):
    """What a reader makes of its input, in an order that all readers share."""

    entries: list[Entry]
    problems: list[Finding]
    found: int
    complete: bool


def _listed(batches: list[Batch]) -> Listed:
    last = batches[-1]
    problems = sorted((each for batch in batches for each in batch.problems), key=repr)
    # Of too many problems each reader keeps those that it met first.
    kept = problems if last.problem_count <= PROBLEMS_KEPT else []
    return Listed(sorted(widen(batches), key=repr), kept, last.problem_count, last.complete)


def _file(data: bytes) -> int:
    handle = os.memfd_create("fuzz", os.MFD_CLOEXEC)
    os.write(handle, data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


# tar-split: fast against careful ------------------------------------------------------------------------------------


def _blocks(text: bytes) -> list[bytes]:
    """Return the lines as they come: some of them in two blocks, the first up to a line in the middle."""
    text = text if text.endswith(b"\n") else text + b"\n"
    if len(text) % 8:
        return [text]
    middle = text.find(b"\n", len(text) // 2) + 1
    return [block for block in (text[:middle], text[middle:]) if block]


def _fast(text: bytes) -> Listed:
    builder = Builder()
    reader, batches = Reader(builder), []
    try:
        for block in _blocks(text):
            read_block(reader, block)
            batches.append(builder.batch())
    except TooManyBadLines:
        pass
    return _listed([*batches, builder.batch()])


def _careful(text: bytes) -> Listed:
    builder = Builder()
    reader = Reader(builder)
    try:
        for block in _blocks(text):
            for line in block[:-1].split(b"\n"):
                reader.line(line)
    except TooManyBadLines:
        pass
    return _listed([builder.batch()])


def _alike(text: bytes) -> Listed:
    fast, careful = _fast(text), _careful(text)
    for one, other in zip(fast, careful, strict=True):
        hold(one == other, "the fast and the careful reader differ", one, other)
    lines = text.count(b"\n") + 1
    hold(len(fast.entries) <= lines, "more rows than lines", fast.entries)
    size = sum(len(value) for entry in fast.entries for value in entry if isinstance(value, str | bytes))
    hold(size <= GROWTH * len(text) + 1024, "rows that are larger than the input allows", size)
    return fast


def _lines(data: bytes) -> None:
    _alike(data)


def _split_members(data: bytes) -> None:
    _alike(members.tar_split(members.members(data)))


def _packed(data: bytes) -> None:
    """Both readers of a file that is gzip, or says so: the end of the stream is found alike."""
    one, other = (_listed(list(tar_split_batches(_file(data), fast))) for fast in (False, True))
    hold(one == other, "the fast and the careful reader differ", one, other)


def _tars() -> list[bytes]:
    """Return small tars: that of one member is soon read."""
    usual = [
        member("usr", tarfile.DIRTYPE), member("usr/lib", tarfile.SYMTYPE, linkname="lib64"),
        member("usr/bin/sh", content=b"#!"), member("usr/sh", tarfile.LNKTYPE, linkname="usr/bin/sh"),
        member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3), member(".wh.gone"), member("opt/.wh..wh..opq"),
        member("n" * 120, content=b"long"), member("\u00e9\u4e2d", content=b"text"),
    ]  # fmt: skip
    timed = [member("timed", content=b"1", mtime=1_700_000_000.123456789, pax_headers={"SCHILY.xattr.user.a": "b"})]
    gnu = [pack(usual[place : place + 1], tarfile.GNU_FORMAT) for place in range(len(usual))]
    return [*gnu, pack(usual[:3], tarfile.PAX_FORMAT), pack(timed, tarfile.PAX_FORMAT)]


def _line_seeds() -> list[bytes]:
    return [tar_split(each).encode() for each in _tars()]


MEMBERS = [
    b"usr/bin/sh\nusr\t5\nusr/lib\t2\t0000777\t0\t0\t\t14524775777\tlib64",
    b"a/b\t0\t0000644\t0000000\t0000000\tcontent\t14524775777\t\tmtime=1700000000.123456789|atime=1700000000.5",
    b"a/b\t0\t0000644\t0000000\t0000000\t\t14524775777\t\tpath=a/b|mtime=1700000000|SCHILY.xattr.user.k=v\nx",
    b"n\t0\t0000644\t0000000\t0000000\tx\t14524775777\t\t\tLlong/name\nl\t2\t0\t0\t0\t\t0\tt\t\tKother",
    b".wh.x\na/.wh..wh..opq\t0\na/./b//c\t5\n../up\nhard\t1\t0000644\t0\t0\t\t0\tusr/bin/sh",
    b"dev/null\t3\nfifo\t6\nblock\t4\n\xff\xfe\t0\na\\x80\t0\na/\t\nold/\t\0",
    b"sparse\tS\t0000644\t0\t0\tcontent\nsparse\t0\t644\t0\t0\t1\n\t0\t0\tGNU.sparse.major=1|GNU.sparse.minor=0",
    b"neg\t0\t-000001\t\x80\0\0\0\0\0\0\1\t\xff\xff\xff\xff\xff\xff\xff\xff\tx\t\x80\0\0\0\0\0\0\0\0\0\0\1",
]
MEMBER_WORDS = (
    b"\t", b"\n", b"|", b"mtime=", b"path=", b"linkpath=", b"size=", b"uid=", b"gid=", b"atime=", b"ctime=",
    b"GNU.sparse.map=0,1", b"GNU.sparse.name=", b"GNU.sparse.realsize=9", b"GNU.sparse.major=1", b"GNU.sparse.minor=0",
    b"SCHILY.xattr.", b"security.capability=", b"../", b"/./", b".wh.", b".wh..wh..opq", b"\x80", b"0000000 ",
)  # fmt: skip
LINE_WORDS = (
    b'{"type":1,"name":"', b'{"type":2,"payload":"', b'","position":', b',"size":', b'"payload":null', b'"name_raw":"',
    b"AAAAAAAAAAA=", b"\\u003c", b"}\n",
)  # fmt: skip


# headers ------------------------------------------------------------------------------------------------------------


def _header(data: bytes) -> None:
    """Read the bytes before a content, with the checksums put right where the first byte says so."""
    segment = data[1:]
    if data[:1] < b"\x80":
        size = len(segment) % BLOCK
        blocks = [members.sealed(segment[at : at + BLOCK]) for at in range(size, len(segment), BLOCK)]
        segment = segment[:size] + b"".join(blocks)
    builder = Builder()
    try:
        header = tarheader.read(segment)
        if header is None:
            return
        name = tarheader.name(header)
    except HeaderError:
        return
    hold(len(name) <= len(segment), "a name longer than the headers", name)
    Reader(builder).member(name, "path", 0, 0, header)
    batch = builder.batch()
    hold(len(batch.rows) <= 1, "more rows than members", batch.rows)
    hold(batch.rows or batch.problems or b".wh..wh." in name, "a member that is neither listed nor told", header)


def _pax(data: bytes) -> None:
    try:
        records = tarheader.pax_records(data)
    except HeaderError:
        records = {}
    hold(sum(len(key) + len(value) for key, value in records.items()) <= len(data), "more than was there", records)
    for value in (data, *records.values()):
        for read in (tarheader.pax_number, tarheader.pax_time):
            try:
                read(value)
            except HeaderError:
                continue


def _header_seeds() -> list[bytes]:
    return [b"\0" + each.headers for line in MEMBERS for each in members.members(line)]


# blobs --------------------------------------------------------------------------------------------------------------


def _blob(data: bytes) -> None:
    """Read what may be any blob; whatever it is, what it unpacks to is listed as that is."""
    batches = list(blob_batches(_file(data), None, ids.sha256(data)))
    rows = sum(len(batch.rows) for batch in batches)
    hold(sum(batch.bytes_read for batch in batches) == len(data), "not all was read")
    hold(rows == 0 or len(data) > 20, "rows out of nothing", data)
    listed = _listed(batches)
    hold(listed.complete or listed.found, "not whole, and no word why")


def _blob_members(data: bytes) -> None:
    """A tar's listing is the same plain, packed, in pieces of any size, and as a tar-split."""
    made = members.tar(members.members(data))
    if made.startswith((GZIP, *ZSTD, *OTHERS)):
        return  # a name that begins so: engines take it for packed, too
    diff_id = ids.sha256(made)
    plain = _listed(list(blob_batches(_file(made), None, diff_id)))
    if kind := len(data) % 3:
        packed = zlib.compress(made, 1, 31) if kind == 1 else zstandard.ZstdCompressor(level=1).compress(made)
        other = _listed(list(blob_batches(_file(packed), None, diff_id)))
    else:
        other = _in_pieces(made, 100 + len(data) % 700)
    hold(plain == other, "packings or pieces give another listing", plain, other)
    hold(len(plain.entries) <= len(made) // BLOCK, "more rows than blocks", plain.entries)


def _in_pieces(tar: bytes, size: int) -> Listed:
    builder = Builder()
    reader, batches = Members(builder, len(tar)), list[Batch]()
    for start in range(0, len(tar), size):
        batches.extend(builder.batch() for _ in reader.feed(tar[start : start + size]))
    reader.end()
    return _listed([*batches, builder.batch()])


def _blob_seeds() -> list[bytes]:
    first = members.tar(members.members(MEMBERS[1]))
    return [
        first, zlib.compress(first, 9, 31), zstandard.ZstdCompressor().compress(first), b"BZh9",
        *(gzip.compress(each, mtime=0) for each in _tars()), zlib.compress(b"", 9, 31) + zlib.compress(first, 9, 31),
    ]  # fmt: skip


TARGETS = (
    Target(
        "tar-split",
        "The fast reader of tar-splits gives the rows and problems of the careful one, of any lines.",
        _line_seeds,
        _lines,
        LINE_WORDS,
        6000,
    ),
    Target(
        "tar-split-members",
        "The same of tar-splits whose checksums, base64 and positions are right.",
        lambda: MEMBERS,
        _split_members,
        MEMBER_WORDS,
        400,
    ),
    Target(
        "tar-split-file",
        "The same of files that are gzip, torn, or neither.",
        lambda: [gzip.compress(each, mtime=0) for each in _line_seeds()],
        _packed,
        (),
        2048,
    ),
    Target(
        "tar-header",
        "A header gives one row or a problem, and raises HeaderError only.",
        _header_seeds,
        _header,
        MEMBER_WORDS,
        4096,
    ),
    Target(
        "pax",
        "PAX records raise HeaderError only, and hold no more than their bytes.",
        lambda: [b"30 mtime=1700000000.123456789\n12 path=a/b\n", b"-1.5", b"1700000000.1"],
        _pax,
        MEMBER_WORDS,
        1024,
    ),
    Target(
        "blob",
        "Any blob is read to its end and listed, or there is a problem that says why not.",
        _blob_seeds,
        _blob,
        (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"),
        2048,
    ),
    Target(
        "blob-members",
        "The listing of a tar is the same plain, in gzip, in zstd, and in pieces of any size.",
        lambda: MEMBERS,
        _blob_members,
        MEMBER_WORDS,
        400,
    ),
)
