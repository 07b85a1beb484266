"""Listings of layers' blobs: the same rows as from tar-split, and nothing believed that does not verify."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from layerindex.listings import blob
from layerindex.listings.sparse import Holes
from tests import tarsplit_writer
from tests.packing import member, pack, tar_split, widen
from tests.packing import read as read_tar_split
from tests.test_tarsplit import FORMATS, KINDS, LONG, MEMBERS, everything, expected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from layerindex.listings.batches import Batch, Entry

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda tar: gzip.compress(tar, 1),
    "gzip in members": lambda tar: gzip.compress(tar[:700], 1) + gzip.compress(tar[700:], 1),
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd in frames": lambda tar: zstd(tar[:700]) + b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstd(tar[700:]),
    "zstd, something else first": lambda tar: b"\x5a\x2a\x4d\x18\x03\0\0\0abc" + zstd(tar),
}
BLOCK = 512


def zstd(data: bytes) -> bytes:
    """Return a frame of zstd."""
    return zstandard.ZstdCompressor().compress(data)


def digest(data: bytes) -> str:
    """Return a digest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def batches(data: bytes, tar: bytes | None = None, named: str | None = None) -> list[Batch]:
    """Return the batches of a blob that holds a tar."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        tar = data if tar is None else tar
        return list(blob.blob_batches(os.dup(file.fileno()), named or digest(data), digest(tar)))


def listed(data: bytes, tar: bytes | None = None) -> tuple[list[Entry], list[str], bool]:
    """Return the entries, the codes of problems, and whether it is complete."""
    found = batches(data, tar)
    problems = [problem.code for batch in found for problem in batch.problems]
    return sorted(widen(found), key=repr), problems, found[-1].complete


def test_a_name_that_is_nearly_a_magic_number() -> None:
    """A plain tar whose first name has the last bytes of a skippable frame's number is a plain tar."""
    tar = pack([member("q*M\x18/f", content=b"content")], tarfile.USTAR_FORMAT)
    entries, problems, complete = listed(tar)
    assert ([entry.name for entry in entries], problems, complete) == (["f"], [], True)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_kind(form: str, packing: str) -> None:
    """A listing says what tarfile says of the tar, however it is packed."""
    tar = pack(everything(form), FORMATS[form])
    assert listed(PACKINGS[packing](tar), tar) == (expected(tar), [], True)


@settings(max_examples=300, deadline=None)
@given(st.lists(MEMBERS, max_size=12), st.sampled_from(["gnu", "pax"]))
def test_as_from_tar_split(members: list[tuple[str, bytes, bytes, float, int, str | None]], form: str) -> None:
    """Whatever the members, tar-split and blob give the same rows."""
    made = []
    for name, kind, content, mtime, uid, extra in members:
        link = "t/" + name[:50] if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        when = int(mtime) if form == "gnu" else mtime
        info = member(name, kind, content if kind == tarfile.REGTYPE else b"", mtime=when, uid=uid, linkname=link)
        info[0].pax_headers = {extra: "1"} if extra == "SCHILY.xattr.user.x" and form == "pax" else {}
        made.append(info)
    tar = pack(made, FORMATS[form])
    entries, problems, whole = listed(tar)
    if made:
        assert (entries, whole) == read_tar_split(gzip.decompress(tarsplit_writer.pack(tar)), False)[::2]
        assert len(problems) == len(read_tar_split(gzip.decompress(tarsplit_writer.pack(tar)), False)[1])
    else:
        assert (entries, problems, whole) == ([], [], True)


def test_many_members() -> None:
    """A listing comes in batches that say how much of the blob was read."""
    tar = pack([member(f"d{n % 9}/{n}", content=bytes(n % 700)) for n in range(10_000)], tarfile.PAX_FORMAT)
    found = batches(gzip.compress(tar, 1), tar)
    assert len(found) > 2
    assert sum(batch.bytes_read for batch in found) == len(gzip.compress(tar, 1))
    assert sorted(widen(found), key=repr) == read_tar_split(tar_split(tar), True)[0]


def test_globals_stand_alone() -> None:
    """A global header is no member, and says nothing of what follows."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "git"}) as archive:
        archive.addfile(member("a")[0])
    assert [entry.name for entry in listed(stream.getvalue())[0]] == ["a"]


def test_no_end() -> None:
    """A tar without blocks of zeros is whole, as archive/tar takes it; one that ends within a member is not."""
    tar = pack([member("a", content=b"1" * 600), member("b", content=b"2" * 600)], tarfile.USTAR_FORMAT)
    tar = tar[: 6 * BLOCK]
    assert listed(tar)[1:] == ([], True)
    assert listed(tar + bytes(BLOCK))[1:] == ([], True)
    for end in (1, BLOCK, BLOCK + 1, 3 * BLOCK - 1):
        entries, problems, whole = listed(tar[:-end])
        assert (problems, whole) == (["blob-truncated"], False) or len(tar[:-end]) == 3 * BLOCK
        assert len(entries) <= 2


def test_something_behind_the_end() -> None:
    """What follows the two blocks of zeros is hashed and not read; after one such block nothing may follow."""
    tar = pack([member("a")], tarfile.USTAR_FORMAT)
    assert listed(tar + b"anything" * 100)[1:] == ([], True)
    broken = tar[:BLOCK] + bytes(BLOCK) + tar[:BLOCK] + bytes(2 * BLOCK)
    assert listed(broken)[1:] == (["tar-header-checksum"], False)


# Sparse files --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar")
@pytest.mark.parametrize("version", ["old", "0.1", "1.0"])
@pytest.mark.parametrize("parts", [0, 1, 3, 40, 200])
def test_sparse(tmp_path: Path, version: str, parts: int) -> None:
    """A file with holes has its whole size, and the checksum of its content with zeros for them."""
    content = bytearray(parts * 40_960 + 100_000)
    for part in range(parts):
        content[part * 40_960 + 8192 : part * 40_960 + 12_300] = b"%4d" % part * 1027
    with (tmp_path / "f").open("wb") as file:
        for place in range(0, len(content), 4096):
            page = content[place : place + 4096]
            if page.strip(b"\0"):
                file.seek(place)
                file.write(page)
        file.truncate(len(content))
    (tmp_path / "g").write_bytes(b"behind")
    form = ["--format=gnu"] if version == "old" else ["--format=pax", f"--sparse-version={version}"]
    command = ["tar", "-C", str(tmp_path), "--sparse", "--hole-detection=raw", *form, "-c", "f", "g"]
    tar = subprocess.run(command, check=True, capture_output=True).stdout
    entries, problems, whole = listed(tar)
    assert (problems, whole) == ([], True)
    assert [(entry.name, entry.size) for entry in entries] == [("f", len(content)), ("g", 6)]
    crc = tarsplit_writer.crc64(bytes(content))
    assert entries[0].sparse == 1
    assert entries[0].content_crc64 == (crc if crc < 1 << 63 else crc - (1 << 64))


def test_holes_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header can claim more zeros than are worth summing up: the checksum is not known then."""
    monkeypatch.setattr(Holes, "BUDGET", 10_000)
    pax = {"GNU.sparse.map": "0,1,5000,1", "GNU.sparse.size": "6000", "GNU.sparse.name": "f"}
    made = [member(name, content=b"ab", pax_headers=pax) for name in ("f1", "f2", "f3")]
    entries = listed(pack(made, tarfile.PAX_FORMAT))[0]
    assert [entry.content_crc64 is None for entry in entries] in ([False, True, True], [True, True, False])
    endless = member("g", content=b"ab", pax_headers=pax | {"GNU.sparse.size": str(10**17)})
    [entry] = listed(pack([endless], tarfile.PAX_FORMAT))[0]
    assert (entry.size, entry.content_crc64) == (10**17, None)


@pytest.mark.parametrize(
    "pax",
    [
        {"GNU.sparse.map": "0,1,x,1"},
        {"GNU.sparse.map": "0,1,5"},
        {"GNU.sparse.map": "5,1,0,1"},
        {"GNU.sparse.map": "0,9999999999"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
        {"GNU.sparse.major": "7"},
    ],
)
def test_maps_that_make_no_sense(pax: dict[str, str]) -> None:
    """A map that cannot be leaves the checksum unknown, or that of what is there."""
    tar = pack([member("f", content=b"ab\n" * 700, pax_headers=pax), member("g", content=b"1")], tarfile.PAX_FORMAT)
    entries, problems, whole = listed(tar)
    assert (problems, whole) == ([], True)
    assert [entry.name for entry in entries] == ["f", "g"]


# What is not what it says --------------------------------------------------------------------------------------------

TAR = pack([member(f"d/f{n}", content=bytes(n * 90)) for n in range(40)], tarfile.PAX_FORMAT)


def codes(data: bytes, tar: bytes = TAR, named: str | None = None) -> list[str]:
    """Return the codes of the problems of a blob."""
    return [problem.code for batch in batches(data, tar, named) for problem in batch.problems]


def test_wrong_digests() -> None:
    """A blob of another digest, and one of another tar, are told from each other."""
    assert codes(gzip.compress(TAR), named=digest(b"")) == ["blob-digest"]
    assert codes(gzip.compress(TAR), b"another tar") == ["blob-diff-id"]
    assert codes(gzip.compress(TAR)) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "blob-format"),
        (b"BZh91AY&SY", "blob-format"),
        (b"\xfd7zXZ\0", "blob-format"),
        (gzip.compress(TAR)[:-9], "blob-truncated"),
        (gzip.compress(TAR)[:200], "blob-truncated"),
        (gzip.compress(TAR)[:-8] + bytes(8), "blob-packing"),
        (gzip.compress(TAR) + b"garbage", "blob-truncated"),
        (gzip.compress(TAR) + b"garbage" * 99, "blob-packing"),
        (b"\x1f\x8bgarbage" * 99, "blob-packing"),
        (zstd(TAR)[:-30], "blob-diff-id"),
        (b"\x28\xb5\x2f\xfdgarbage" * 99, "blob-packing"),
        (b"neither tar nor anything" * 99, "blob-diff-id"),
    ],
)
def test_damage_within(data: bytes, code: str) -> None:
    """A blob that is damaged within is no listing, though its digest is right."""
    assert code in codes(data)
    assert codes(data, named=digest(b"")) != []
    assert not batches(data, TAR)[-1].complete


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that unpacks to more than its limit is read up to there, in little memory."""
    monkeypatch.setattr(blob, "FLOOR_BYTES", 64 << 20)
    packer = zlib.compressobj(9, wbits=31)
    gzipped = b"".join(packer.compress(bytes(1 << 20)) for _ in range(70)) + packer.flush()
    compressor = zstandard.ZstdCompressor(19).compressobj()
    zstded = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(70)) + compressor.flush()
    for data in (gzipped, zstded):
        assert len(data) < 100_000
        assert codes(data, b"") == ["blob-bomb"]


def test_wide_window() -> None:
    """A frame of zstd that wants more memory than is given is refused."""
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert codes(compressor.compress(TAR) + compressor.flush()) == ["blob-packing"]


def test_extensions_are_bounded() -> None:
    """Extension headers without end, or of absurd size, end the reading."""
    header = bytearray(pack([member("x", content=b"")], tarfile.USTAR_FORMAT)[:BLOCK])
    for size in (b"77777777777", b"00100000000"):
        header[124:136], header[156:157] = size + b"\0", b"x"
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        assert codes(bytes(header) + TAR, bytes(header) + TAR) == ["tar-header-size"]
    header[124:136] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    endless = bytes(header) * 20_000
    assert codes(endless, endless) == ["tar-header-size"]


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(["plain", "gzip", "zstd"]), st.sampled_from(["gnu", "pax"]))
def test_mutations(data: st.DataObject, packing: str, form: str) -> None:
    """Whatever is done to a blob, it is read to its end without an exception; what is not the layer is said."""
    tar = pack([member(LONG + f"/f{n}", content=b"x" * n * 90) for n in range(6)], FORMATS[form])
    inside = bytearray(tar)
    for _ in range(data.draw(st.integers(0, 6))):
        inside[data.draw(st.integers(0, len(inside) - 1))] = data.draw(st.integers(0, 255))
    packed = bytearray(PACKINGS[packing](bytes(inside)))
    for _ in range(data.draw(st.integers(0, 2))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    found = batches(bytes(packed), tar)
    if bytes(inside) != tar:
        assert not found[-1].complete
    assert {entry.type for entry in widen(found)} <= {*KINDS.values(), "whiteout", "opaque"}
