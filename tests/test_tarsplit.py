"""Listings out of tar-splits, against tarfile, and the two readers against each other."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import tarfile

import pytest
from fastcrc.crc64 import go_iso
from hypothesis import given, settings
from hypothesis import strategies as st

from layerindex.listings import gunzip, tarsplit
from layerindex.listings.batches import Entry
from layerindex.names import clean, escape, escape_path
from tests.packing import batches_of, file_line, line, member, pack, read, segment_line, tar_split

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
BOTH = pytest.mark.parametrize("fast", [True, False], ids=["blocks", "lines"])
LONG = "/".join(["d" * 50] * 4)
KINDS = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo",
}  # fmt: skip


def everything(form: str) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Members of every kind a format can hold."""
    rich = form != "ustar"
    members = [
        member("./", tarfile.DIRTYPE, mode=0o755),
        member("a", tarfile.DIRTYPE, mode=0o1777),
        member("a/f", content=b"hello", mode=0o4755, uid=1000, gid=100),
        member("./a/empty"),
        member("/a/abs", content=bytes(1024)),
        member("a/b/../up", content=b"x" * 513),
        member("a/fifo", tarfile.FIFOTYPE),
        member("a/tty", tarfile.CHRTYPE, devmajor=5, devminor=1),
        member("a/sda", tarfile.BLKTYPE, devmajor=8, devminor=0),
        member("a/link", tarfile.SYMTYPE, linkname="../../etc/passwd"),
        member("a/hard", tarfile.LNKTYPE, linkname="./a/f"),
        member("a/" + "n" * 90, content=b"q" * 100),
        member('a/tab\tquote"amp&lt<', content=b"1"),
        member("a/back\\slash", content=b"1"),
        member("a/new\nline", content=b"1"),
        member("a/caf\u00e9", content=b"1"),
        member("a/old", mtime=0),
    ]
    if rich:
        members += [
            member(LONG + "/file", content=b"deep"),
            member("a/longlink", tarfile.SYMTYPE, linkname=LONG + "/file"),
            member("a/longhard", tarfile.LNKTYPE, linkname=LONG + "/file"),
            member("a/big-uid", content=b"1", uid=3_000_000, gid=4_000_000),
            member("a/bytes\udcff", content=b"1"),
            member("a/" + "c" * 255, content=b"1"),
        ]
    if form == "pax":
        members += [
            member("a/frac", content=b"1", mtime=1_700_000_000.25),
            member("a/early", content=b"1", mtime=-1.5),
            member("a/late", content=b"1", mtime=99_999_999_999),
            member(
                "a/x", content=b"1", pax_headers={"SCHILY.xattr.user.a": "1", "SCHILY.xattr.security.capability": "v"}
            ),
        ]
    return members


def expected(tar: bytes) -> list[Entry]:
    entries = []
    with tarfile.open(fileobj=io.BytesIO(tar), errors="surrogateescape") as archive:
        for info in archive:
            *parents, base = clean(os.fsencode(info.name)) or [b""]
            kind = KINDS[info.type]
            file = archive.extractfile(info) if kind == "file" else None
            content = file.read() if file else b""
            crc = int.from_bytes(base64.b64decode(crc_of(content)), "big", signed=True) if content else 0
            target, raw = escape_path(os.fsencode(info.linkname)) if info.linkname else (None, None)
            if kind == "hardlink":
                target = "/" + b"/".join(clean(os.fsencode(info.linkname)) or []).decode()
            size = {"file": len(content), "symlink": len(os.fsencode(info.linkname))}.get(kind, 0)
            mtime = info.mtime if 0 <= info.mtime < 2**63 / 1e9 else 0
            names = [key[13:] for key in sorted(info.pax_headers) if key.startswith("SCHILY.xattr.")]
            entries.append(
                Entry(
                    *escape_path(b"/" + b"/".join(parents)), *escape(base), kind, info.mode, info.uid, info.gid, size,
                    int(mtime), int(mtime % 1 * 10**9) or None, target, raw,
                    f"{info.devmajor}:{info.devminor}" if kind in ("char", "block") else None,
                    crc if kind == "file" else None, 0 if kind == "dir" else None,
                    "[" + ", ".join(f'"{name}"' for name in names) + "]" if names else None,
                    b"v" if "security.capability" in names else None,
                )
            )  # fmt: skip
    return sorted(entries, key=repr)


def crc_of(content: bytes) -> str:
    return base64.b64encode(go_iso(content).to_bytes(8, "big")).decode()


@BOTH
@pytest.mark.parametrize("form", FORMATS)
def test_every_kind(form: str, fast: bool) -> None:
    """A listing says what tarfile says of the tar."""
    tar = pack(everything(form), FORMATS[form])
    assert read(tar_split(tar), fast) == (expected(tar), [], True)


@BOTH
def test_plain_members_only(fast: bool) -> None:
    """The same for layers as they mostly are, which the block reader must not hand on."""
    members = [member(f"usr/share/{n // 20}/f{n}", content=bytes(n * 7 % 1300), uid=n % 3) for n in range(300)]
    members += [member(f"usr/share/{n}", tarfile.DIRTYPE, mode=0o755) for n in range(20)]
    for form in FORMATS.values():
        tar = pack(members, form)
        assert read(tar_split(tar), fast) == (expected(tar), [], True)


def test_blocks_do_the_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, directories, symlinks, long names and PAX times are read without the line reader."""
    seen = []
    monkeypatch.setattr(tarsplit.Reader, "_file", lambda _, record: seen.append(record))
    members = [member(f"d{n}/f", content=b"1" * n, mtime=1_700_000_000 + n / 8) for n in range(99)]
    members += [member("d", tarfile.DIRTYPE), member("l", tarfile.SYMTYPE, linkname="x")]
    for form in ("gnu", "pax"):
        extra = [] if form == "pax" else [member(LONG + "/f", content=b"1")]
        batches_of(gzip.compress(tar_split(pack(members + extra, FORMATS[form])).encode()), True)
    assert seen == []


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from([*"/..ab\\\n", "\udcff"]), max_size=20
) | st.sampled_from(["./a", "/a", "a//b", "a/./b", "a/../b", "../a", ".wh.a", "a/.wh..wh..opq", "a/b/", LONG, "\\xff"])
MEMBERS = st.tuples(
    NAMES.filter(lambda name: name.strip("/") and not name.startswith("\ufeff")),
    st.sampled_from(list(KINDS)),
    st.binary(max_size=600) | st.sampled_from([bytes(511), bytes(512), bytes(2000)]),
    st.sampled_from([0, 1, 1_700_000_000, 1_700_000_000.5, 1_700_000_000.123456, -1, 2**33, 2**36, 9_999_999_999]),
    st.sampled_from([0, 1000, 2**21, 2**31]),
    st.sampled_from([None, "SCHILY.xattr.user.x", "comment", "GNU.sparse.major"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MEMBERS, max_size=12), st.sampled_from(["gnu", "pax"]))
def test_both_readers_agree(members: list[tuple[str, bytes, bytes, float, int, str | None]], form: str) -> None:
    """Whatever the members, the two readers give the same."""
    made = []
    for name, kind, content, mtime, uid, extra in members:
        link = "t/" + name[:50] if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
        when = int(mtime) if form == "gnu" else mtime
        info = member(name, kind, content if kind == tarfile.REGTYPE else b"", mtime=when, uid=uid, linkname=link)
        info[0].pax_headers = {extra: "1"} if extra and form == "pax" else {}
        made.append(info)
    lines = tar_split(pack(made, FORMATS[form])) if made else segment_line(0, bytes(1024))
    assert read(lines, True) == read(lines, False)


BASE = {
    form: tar_split(pack([member(f"d/f{n}", content=b"x" * n * 9, mtime=1.7e9 + n % 2 / 4) for n in range(6)], kind))
    for form, kind in (("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT))
}


@settings(max_examples=1000, deadline=None)
@given(st.data(), st.sampled_from(list(BASE)))
def test_both_readers_agree_on_damage(data: st.DataObject, form: str) -> None:
    """With bytes changed too."""
    text = bytearray(BASE[form].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.sampled_from(b'0179AZaz+/=,:{}n.\\" \n') | st.integers(0, 255))
    assert read(bytes(text), True) == read(bytes(text), False)


@settings(max_examples=1000, deadline=None)
@given(st.data(), st.sampled_from(list(BASE)))
def test_both_readers_agree_on_headers(data: st.DataObject, form: str) -> None:
    """With bytes of the headers changed, and the checksums mended or not."""
    lines = BASE[form].encode().splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) // 2 - 1)) * 2
        record = json.loads(lines[place])
        payload = bytearray(base64.b64decode(record["payload"]))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(-len(payload), -1))
            payload[at] = data.draw(st.sampled_from(b"\0 0179=\n.xLg25\x80\xff"))
        for start in range(len(payload) % 512, len(payload), 512) if data.draw(st.booleans()) else ():
            payload[start + 148 : start + 156] = b"        "
            payload[start + 148 : start + 156] = b"%06o\0 " % sum(payload[start : start + 512])
        record["payload"] = base64.b64encode(payload).decode()
        lines[place] = line(**record).encode()
    text = b"".join(lines)
    assert read(text, True) == read(text, False)


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(list(BASE)))
def test_both_readers_agree_on_lost_lines(data: st.DataObject, form: str) -> None:
    """With lines lost, doubled, torn, in another order, or of other kinds than they look."""
    lines = BASE[form].encode().splitlines(keepends=True)
    odd = [b"\n", b"{}\n", b'{"type":1,"name":"x","type":2,"payload":"AAAA","position":3}\n', lines[3][:-9] + b"\n"]
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(lines) - 1))
        new = data.draw(st.lists(st.sampled_from(lines + odd), max_size=2))
        lines[place : place + data.draw(st.integers(0, 2))] = new
    text = b"".join(lines)
    assert read(text, True) == read(text, False)


def test_a_line_that_is_not_what_it_looks_like() -> None:
    """Of two types in one line the last counts; a header that is then left over is nobody's."""
    lines = BASE["gnu"].replace('{"type":1,"name":"d/f1"', '{"type":1,"name":"d/f1","type":2')
    assert read(lines, True) == read(lines, False)


@BOTH
@pytest.mark.parametrize("lost", [2, 3])
def test_a_lost_line_gives_no_file_the_header_of_another(fast: bool, lost: int) -> None:
    """Where a line is lost, so is the file; the next one has its own header."""
    members = [member(f"f{n}", uid=n) for n in range(4)]
    lines = tar_split(pack(members, tarfile.GNU_FORMAT)).splitlines(keepends=True)
    for text in ("", "not JSON\n"):
        entries, problems, complete = read("".join([*lines[:lost], text, *lines[lost + 1 :]]), fast)
        assert [(entry.name, entry.uid) for entry in entries] == [("f0", 0), ("f2", 2), ("f3", 3)]
        assert problems
        assert not complete


@BOTH
@pytest.mark.parametrize("size", range(100))
def test_short_blocks(fast: bool, size: int) -> None:
    """A file of some bytes is as good as none."""
    for text in (b"\n" * size, b"x" * size, b"x" * size + b"\n", BASE["gnu"].encode()[:size] + b"\n"):
        assert read(text, fast)[0] == []


def header(name: bytes = b"f", **fields: bytes) -> bytearray:
    """A ustar header whose fields can be set byte by byte; the checksum follows."""
    block = bytearray(tarfile.TarInfo(name.decode()).tobuf(tarfile.GNU_FORMAT))
    places = {"mode": 100, "uid": 108, "gid": 116, "size": 124, "mtime": 136, "type": 156, "link": 157}
    for field, value in fields.items():
        block[places[field] : places[field] + len(value)] = value
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return block


def extension(records: bytes, flag: bytes = b"x") -> bytes:
    head = header(b"ext", type=flag, size=b"%011o\0" % len(records))
    return bytes(head) + records + bytes(-len(records) % 512)


def pax(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 2 if len(body) < 98 else len(body) + 3
    return b"%d" % length + body


def one(block: bytes | bytearray, name: bytes = b"f", content: bytes = b"", pad: int = 0) -> str:
    """Three good members around one that is as given."""
    good = bytes(header())
    lines = [segment_line(0, good), file_line(1, b"before", b""), segment_line(2, bytes(pad) + block)]
    lines += [
        file_line(3, name, content),
        segment_line(4, bytes(-len(content) % 512) + good),
        file_line(5, b"after", b""),
    ]
    return "".join(lines) + segment_line(6, bytes(1024))


def check(lines: str, fast: bool, complete: bool = True) -> tuple[Entry | None, list[str]]:
    entries, problems, whole = read(lines, fast)
    assert {"before", "after"} <= {entry.name for entry in entries}
    assert whole is complete
    rest = [entry for entry in entries if entry.name not in ("before", "after")]
    return (rest[0] if rest else None), [problem.code for problem in problems]


@BOTH
@pytest.mark.parametrize(
    ("block", "codes", "values"),
    [
        (header(uid=b"\x80" + b"\0" * 3 + b"\0\x10\0\0"), [], {"uid": 1 << 20}),
        (header(uid=b"\xff" * 8), ["tar-header-number"], {"uid": None}),
        (header(uid=b"12x4567\0"), ["tar-header-number"], {"uid": None}),
        (header(mtime=b"\xff" * 12), [], {"mtime": 0}),
        (header(mtime=b"\x80" + b"\x7f" * 11), ["tar-header-number"], {"mtime": None}),
        (header(mode=b" 100644 "), [], {"mode": 0o644}),
        (header(mode=b"0000000\0", gid=b"      0\0"), [], {"mode": 0, "gid": 0}),
        (header(size=b"00000000777\0"), ["tar-split-size"], {"size": 0}),
        (extension(pax(b"mtime", b"12.1234567899")) + header(), [], {"mtime": 12, "mtime_ns": 123456789}),
        (extension(pax(b"mtime", b"1700000000.5")) + header(), [], {"mtime": 1_700_000_000, "mtime_ns": 500_000_000}),
        (extension(pax(b"mtime", b"1700000000.")) + header(), [], {"mtime": 1_700_000_000, "mtime_ns": None}),
        (extension(pax(b"mtime", b"9999999999.9")) + header(), [], {"mtime": 0, "mtime_ns": None}),
        (extension(pax(b"mtime", b"now")) + header(), ["pax-value"], {"mtime": None}),
        (extension(pax(b"uid", b"-1")) + header(), ["pax-value"], {"uid": None}),
        (extension(pax(b"uid", b"70000")) + header(), [], {"uid": 70000}),
        (extension(pax(b"SCHILY.xattr.user.\xff", b"\0")) + header(), [], {"xattrs": '["user.\\\\xff"]'}),
        (extension(pax(b"GNU.sparse.major", b"1")) + header() + bytes(512), [], {"sparse": 1}),
        (extension(pax(b"comment", b"x"), b"g") + header(), [], {"mode": 0o644}),
        (extension(b"a/long/name\0", b"L") + header(), [], {"mode": 0o644}),
        (extension(b"t" * 300 + b"\0", b"K") + header(type=b"2"), [], {"link_target": "t" * 300, "size": 300}),
        (header(type=b"2", link=b"\xff/\\"), [], {"link_target": "\\xff/\\", "link_target_raw": b"\xff/\\"}),
        (header(type=b"2"), ["tar-link"], {"link_target": ""}),
        (header(type=b"1", link=b"../x"), ["tar-link"], {"link_target": "../x"}),
    ],
)  # fmt: skip
def test_odd_headers(block: bytes, codes: list[str], values: dict[str, object], fast: bool) -> None:
    """What a header or extension says is kept; what is absurd is a problem, and unknown."""
    for pad in (0, 1, 2, 511):
        entry, found = check(one(block, pad=pad), fast)
        assert found == codes
        assert {key: getattr(entry, key) for key in values} == values


@BOTH
@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (one(header()[:-1] + b"x"), "tar-header-checksum"),
        (one(b""), "tar-header-missing"),
        (one(header()[:300]), "tar-header-missing"),
        (one(header(type=b"?")), "tar-type"),
        (one(extension(b"99 mtime=1\n") + header()), "pax-record"),
        (one(extension(b"junk") + header()), "pax-record"),
        (one(header(type=b"x", size=b"77777777777\0")), "tar-header-size"),
        (one(header(type=b"L", size=b"\xff" * 12)), "tar-header-size"),
        (one(header(), name=b"../f"), "tar-name"),
        (one(header(), name=b"a\0b"), "tar-name"),
        (one(header(), name=b"a/.wh."), "tar-name"),
        (one(header()).replace('"payload":"Z', '"payload":"?', 3), "tar-split-payload"),
    ],
)  # fmt: skip
def test_lost_members(lines: str, code: str, fast: bool) -> None:
    """A member that cannot be read is a problem, and the rest is there."""
    if code == "tar-split-payload":
        assert {problem.code for problem in read(lines, fast)[1]} == {code}
        return
    entry, found = check(lines, fast, complete=False)
    assert (entry, found) == (None, [code])


@BOTH
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('"position":3', '"position":9', "tar-split-position"),
        ('"position":3', '"position":18446744073709551615', "tar-split-position"),
        ('{"type":1,"name":"f"', '{"type":1,"name":7', "tar-split-line"),
        ('{"type":1,"name":"f"', '{"type":"1","name":"f"', "tar-split-line"),
        ('{"type":1,"name":"f"', '{"type":3,"name":"f"', "tar-split-line"),
        ('{"type":1,"name":"f"', '["type",1,"name","f"', "tar-split-line"),
        ('{"type":1,"name":"f","payload":null,"position":3}', "[]", "tar-split-line"),
        ('"name":"f","payload":null', '"name":"f","size":-5,"payload":null', "tar-split-size"),
        ('"name":"f","payload":null', '"name":"f","size":1e99,"payload":null', "tar-split-size"),
        ('"name":"f","payload":null', '"name":"f","size":99999999999999999999,"payload":null', "tar-split-size"),
        ('"name":"f","payload":null', '"name":"f","payload":"AAAA"', "tar-split-crc"),
        ('"name":"f","payload":null', '"name":"f","payload":5', "tar-split-crc"),
    ],
)  # fmt: skip
def test_lines_that_lie(old: str, new: str, code: str, fast: bool) -> None:
    """A wrong line is a problem, and the lines around it count."""
    lines = one(header())
    assert old in lines
    entries, problems, _ = read(lines.replace(old, new, 1), fast)
    assert code in [problem.code for problem in problems]
    assert {"before", "after"} <= {entry.name for entry in entries}


@BOTH
def test_a_bad_line_takes_nothing_from_its_neighbours(fast: bool) -> None:
    """The header before a line that cannot be read is not the next file's, whose number is the one that is due."""
    lines = one(header(mode=b"0004711\0")).replace('{"type":1,"name":"f"', '{"type":1("name":"f"', 1)
    entries, problems, _ = read(lines, fast)
    assert {entry.name: entry.mode for entry in entries} == {"before": 0o644, "after": 0o644}
    assert [problem.code for problem in problems] == ["tar-split-line"]


@pytest.mark.parametrize("junk", [b'"', b"\\", b"\x01", b"\xff", b"!"])
def test_padding_that_is_no_text(junk: bytes) -> None:
    """What stands before a header and is not decoded may still be no JSON: both readers say so."""
    lines = one(header(), pad=400).encode()
    place = lines.index(b'"payload":"AAAA') + 20
    assert lines[place : place + 1] == b"A"
    damaged = lines[:place] + junk + lines[place + 1 :]
    assert read(damaged, fast=True) == read(damaged, fast=False)


@BOTH
def test_files_that_are_no_tar_split(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be read is kept; the listing is marked as not complete."""
    text = one(header()).encode()
    monkeypatch.setattr(gunzip, "FLOOR_BYTES", 64 << 20)
    monkeypatch.setattr(tarsplit, "BAD_LINES", 100)
    many = tar_split(pack([member(f"f{n}") for n in range(5000)], tarfile.GNU_FORMAT)).encode()
    cases = {
        b"": "tar-split-truncated",
        b"not gzip at all": "tar-split-gzip",
        gzip.compress(many)[:-2000]: "tar-split-truncated",
        gzip.compress(text)[:-8] + b"xxxxxxxx": "tar-split-gzip",
        gzip.compress(text[:-5]): "tar-split-truncated",
        gzip.compress(text) + b"this is no gzip member": "tar-split-gzip",
        gzip.compress(b"\n"): "tar-split-line",
        gzip.compress(bytes(1 << 29)): "tar-split-bomb",
        gzip.compress(b"\n" * 1000): "tar-split-noise",
        gzip.compress(text + b'{"type":2,"payload":"' + b"A" * (20 << 20) + b'"}\n'): "tar-split-line",
    }
    for data, code in cases.items():
        batches = batches_of(data, fast)
        assert code in [problem.code for batch in batches for problem in batch.problems], code
        assert not batches[-1].complete
    assert sum(len(batch.rows) + len(batch.columns) for batch in batches) > 0
    halves = gzip.compress(text[:900]) + gzip.compress(text[900:])
    assert [batch.complete for batch in batches_of(halves, fast)][-1]


@BOTH
def test_problems_are_bounded(fast: bool) -> None:
    """A hundred problems are kept of a listing, all are counted."""
    lines = "".join(segment_line(2 * n, b"") + file_line(2 * n + 1, b"f", b"") for n in range(1000))
    batches = batches_of(gzip.compress(lines.encode()), fast)
    assert sum(len(batch.problems) for batch in batches) == 100
    assert batches[-1].problem_count == 1000


@BOTH
def test_special_names(fast: bool) -> None:
    """Whiteouts are named for what they hide, opaque markers speak of their directory, aufs files are nothing."""
    names = ["d/.wh.gone", "d/.wh..wh..opq", ".wh..wh..opq", ".wh..wh.plnk/1", "d/.wh..wh.aufs", "d/x.wh.y"]
    tar = pack([member(name) for name in names], tarfile.GNU_FORMAT)
    entries, problems, _ = read(tar_split(tar), fast)
    assert {(entry.directory, entry.name, entry.type) for entry in entries} == {
        ("/d", "gone", "whiteout"), ("/", "d", "opaque"), ("/", "", "opaque"), ("/d", "x.wh.y", "file"),
    }  # fmt: skip
    assert problems == []


@BOTH
def test_global_header_has_a_line(fast: bool) -> None:
    """As tar-split writes it: a FileType of its own."""
    entry, codes = check(one(extension(pax(b"comment", b"x"), b"g"), name=b"pax_global_header"), fast)
    assert (entry, codes) == (None, [])


@given(st.binary(), st.binary())
def test_escape_is_injective(one_name: bytes, other: bytes) -> None:
    """Different names have different texts; the text of a name without a raw form is the name."""
    for name in (one_name, other):
        text, raw = escape(name)
        assert (raw if raw is not None else text.encode()) == name
        assert escape(text.encode())[0] != text or raw is None
    assert (escape(one_name)[0] == escape(other)[0]) == (one_name == other)


def test_line_makes_what_go_makes() -> None:
    """The test's own writer."""
    assert line(type=2, payload="", position=0) == '{"type":2,"payload":"","position":0}\n'
