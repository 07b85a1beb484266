"""The bolt reader: whole databases of every shape come back, damaged ones as far as they can be trusted."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from layerindex.problems import Damage
from layerindex.stores.disk import bolt as reader
from layerindex.stores.disk.bolt import DEPTH, Bolt, Bucket, read_bolt
from layerindex.stores.disk.files import Folder
from tests.bolt_writer import FIRST, bolt, fnv1a, mutations
from tests.conftest import in_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bolt_writer import Tree

PAGE = 4096
SIZES = [1024, PAGE, 16384, 65536]

MANY: Tree = {f"key {number:05}": f"value {number}".encode() for number in range(5000)}
SHAPES: dict[str, Tree] = {
    "nothing": {},
    "one bucket": {"volumes": {"data": b"{}", "empty": b""}},
    "empty bucket": {"empty": {}, "other": {"key": b"value"}},
    "nested": {"v1": {"default": {"images": {"a": {"target": {"digest": b"sha256:x"}, "created": b"1"}}, "x": b""}}},
    "many": {"bucket": MANY, "small": {"a": b"b"}},
    "large values": {"large": {"a": b"a" * 10_000, "b": b"b", "c": b"c" * 300_000}},
    "bytes": {"bytes": {b"\x00\xff": b"\xff\x00", b"\x80": b""}},
}


def plain(bucket: Bucket) -> dict[bytes, object]:
    """Return a bucket as nested mappings."""
    return {key: plain(value) if isinstance(value, Bucket) else value for key, value in bucket.items()}


def expected(tree: Tree) -> dict[bytes, object]:
    """Return what was written, with keys as they are read."""
    items = ((key.encode() if isinstance(key, str) else key, value) for key, value in tree.items())
    return {key: value if isinstance(value, bytes) else expected(value) for key, value in items}


def opened(content: bytes) -> Bolt:
    return Bolt(content, "x.db")


def details(database: Bolt) -> list[str]:
    """Read everything, and return what was wrong."""
    plain(database.root)
    return [found.problem.detail for found in database.damages]


def code(content: bytes) -> str:
    """Return the code of the damage that the whole file has."""
    with pytest.raises(Damage) as caught:
        opened(content)
    return caught.value.problem.code


def patched(content: bytes, offset: int, layout: str, *values: int) -> bytes:
    """Return the content with other numbers at a place."""
    new = struct.pack(layout, *values)
    return content[:offset] + new + content[offset + len(new) :]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("page_size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_whole(shape: str, page_size: int, order: str) -> None:
    """Every shape comes back in every page size and byte order."""
    tree = SHAPES[shape]
    for inline in (True, False):
        database = opened(bolt(tree, page_size=page_size, order=order, inline=inline))
        assert expected(tree) == plain(database.root)
        assert [] == database.damages


def test_branches() -> None:
    """Several levels of branches are read from left to right, and as often as one likes."""
    database = opened(bolt({"many": MANY}, fill=5))
    many = database.root.bucket(b"many")
    assert many is not None
    assert [key for key, _ in many.items()] == sorted(expected(MANY)) == [key for key, _ in many.items()]
    assert b"value 4711" == many.get(b"key 04711")
    assert None is many.get(b"key")
    assert None is database.root.bucket(b"none")
    assert None is many.bucket(b"key 04711")
    assert [] == database.damages


def test_newer_meta_counts() -> None:
    """Of two valid headers the one of the newer transaction counts; a torn one leaves the other."""
    tree: Tree = {"a": {"b": b"c"}}
    content = bolt(tree)
    old = patched(content, 16 + 16, "<Q", 2**40)  # page 0 is of transaction 6: torn, with a root that is not there
    assert expected(tree) == plain(opened(old).root)
    torn = patched(content, PAGE + 16 + 16, "<Q", 2**40)
    assert expected(tree) == plain(opened(torn).root)
    assert 6 == opened(torn).meta.transaction
    assert 7 == opened(content).meta.transaction


@pytest.mark.parametrize("page_size", SIZES)
def test_first_meta_torn(page_size: int) -> None:
    """The second header is found without the first, which is where the page size stands."""
    tree: Tree = {"a": {"b": b"c"}}
    content = bytes(page_size) + bolt(tree, page_size=page_size)[page_size:]
    assert expected(tree) == plain(opened(content).root)


def test_no_checksum() -> None:
    """Early boltdb wrote none; a header that has one counts for more."""
    tree: Tree = {"a": {"b": b"c"}}
    assert expected(tree) == plain(opened(bolt(tree, checksum=False)).root)
    first = bolt(tree, checksum=False, transaction=9)[:PAGE]
    assert 7 == opened(first + bolt(tree)[PAGE:]).meta.transaction


def test_preallocated() -> None:
    """A file may be longer than its tree."""
    tree: Tree = {"a": {"b": b"c"}}
    assert expected(tree) == plain(opened(bolt(tree) + bytes(10 * PAGE)).root)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"\0", "bad-bolt"),
        (bytes(4 * PAGE), "bad-bolt"),
        (b"SQLite format 3\0" * 1000, "bad-bolt"),
        (bolt({})[:70], "bad-bolt"),
        (patched(patched(bolt({}), 20, "<I", 3), PAGE + 20, "<I", 3), "bad-bolt"),
    ],
)
def test_no_database(content: bytes, found: str) -> None:
    """What is no database is one finding."""
    assert found == code(content)


# Damage in the page of the root bucket, which holds two inline buckets


ROOT = FIRST * PAGE
TREE: Tree = {"a": {"b": b"c"}, "d": {"e": b"f"}}


def _element(position: int) -> int:
    return ROOT + 16 + position * 16


def _inline(content: bytes) -> int:
    """Return where the first inline bucket begins."""
    return content.index(b"a" + bytes(16), ROOT) + 1


@pytest.mark.parametrize(
    ("detail", "damage"),
    [
        ("it says that it is page 9", lambda content: patched(content, ROOT, "<Q", 9)),
        ("it is of kind 16, neither branch nor leaf", lambda content: patched(content, ROOT + 8, "<H", 16)),
        ("it is of kind 3, neither branch nor leaf", lambda content: patched(content, ROOT + 8, "<H", 3)),
        ("it lies outside the file", lambda content: content[:ROOT]),
        ("it ends 1 bytes behind the end of the file", lambda content: content[:-1]),
        ("it ends 4096 bytes behind the end of the file", lambda content: patched(content, ROOT + 12, "<I", 1)),
        ("300 elements do not fit in it", lambda content: patched(content, ROOT + 10, "<H", 300)),
        ("a branch without any page below", lambda content: patched(content, ROOT + 8, "<HH", 1, 0)),
        ("element 0 lies outside it", lambda content: patched(content, _element(0) + 4, "<I", 2**32 - 1)),
        ("element 1 lies outside it", lambda content: patched(content, _element(1) + 4, "<I", 15)),
        ("element 1 lies outside it", lambda content: patched(content, _element(1) + 12, "<I", 5000)),
        ("its keys are not in order", lambda content: content.replace(b"d" + bytes(16), b"a" + bytes(16))),
        ("a bucket of too few bytes", lambda content: patched(content, _element(0) + 12, "<I", 15)),
        ("an inline bucket of too few bytes", lambda content: patched(content, _element(0) + 12, "<I", 31)),
        ("an inline bucket that is no leaf", lambda content: patched(content, _inline(content) + 24, "<H", 1)),
        ("9 elements do not fit in it", lambda content: patched(content, _inline(content) + 26, "<H", 9)),
        ("a bucket inside an inline bucket", lambda content: patched(content, _inline(content) + 32, "<I", 1)),
    ],
)
def test_damage(detail: str, damage: Callable[[bytes], bytes]) -> None:
    """Each check says what it found, and keeps from no other page."""
    content = bolt(TREE)
    assert [] == details(opened(content))
    database = opened(damage(content))
    assert [f"page {FIRST}: {detail}"] == details(database)
    assert [f"page {FIRST}: {detail}"] == details(database)
    assert {("bolt-page", "x.db")} == {(found.problem.code, found.problem.path) for found in database.damages}


def test_long_key() -> None:
    """A key may be as long as bolt lets it be."""
    assert [] == details(opened(bolt({"b": {"k" * 32768: b""}})))
    assert ["page 3: element 0 lies outside it"] == details(opened(bolt({"b": {"k" * 32769: b""}})))


def test_rest_stays_readable() -> None:
    """One torn page costs what it held, and no more."""
    content = bolt({"many": MANY}, fill=100)
    database = opened(patched(content, (FIRST + 3) * PAGE, "<Q", 0))
    many = database.root.bucket(b"many")
    assert many is not None
    assert 4900 == len(list(many.items()))
    assert 1 == len(database.damages)


@pytest.mark.parametrize("page", [FIRST, FIRST + 1])
def test_circle(page: int) -> None:
    """A page that leads to itself or back to one above is read once."""
    content = bolt({"bucket": {f"{number}": b"x" for number in range(8)}}, fill=4, inline=False)
    branch = FIRST + 2
    content = patched(content, branch * PAGE + 16 + 8, "<Q", branch if page == FIRST else page)
    found = details(opened(content))
    assert 1 == len(found)
    assert "another place already" in found[0]


def test_nested_too_deeply() -> None:
    """Buckets end at a depth, so that who walks them does not run out of stack."""
    tree: Tree = {"x": b"y"}
    for _ in range(DEPTH + 5):
        tree = {"below": tree}
    assert ["its buckets are nested too deeply"] == [text.partition(": ")[2] for text in details(opened(bolt(tree)))]


def test_branches_too_deep() -> None:
    """So do branches."""
    count = DEPTH + 5
    pages = [struct.pack("<QHHI", FIRST + n, 1, 1, 0) + struct.pack("<IIQ", 16, 0, FIRST + n + 1) for n in range(count)]
    content = bolt({})[: FIRST * PAGE] + b"".join(page.ljust(PAGE, b"\0") for page in pages)
    assert ["too many branches lie above it"] == [text.partition(": ")[2] for text in details(opened(content))]


def test_shared_bytes() -> None:
    """Elements that share their bytes would make much of little: a hundred values that all end with the page."""
    content = bolt({"b": {f"{number:03}": b"" for number in range(100)}}, inline=False)
    for position in range(100):
        start = ROOT + 16 + 100 * 16 + 3 * (position + 1)
        content = patched(content, _element(position) + 12, "<I", ROOT + PAGE - start)
    assert [f"page {FIRST}: element 1 lies outside it"] == details(opened(content))


# Reading a file


def test_read(tmp_path: Path) -> None:
    """A file is read through its folder; what is none is not opened."""
    (tmp_path / "good.db").write_bytes(bolt(TREE))
    (tmp_path / "empty.db").touch()
    (tmp_path / "link.db").symlink_to("good.db")
    os.mkfifo(tmp_path / "fifo.db")
    codes = {"empty.db": "empty", "link.db": "not-regular", "fifo.db": "not-regular", "none.db": "missing"}
    with Folder(str(tmp_path)) as folder, in_time():
        assert expected(TREE) == plain(read_bolt(folder, "good.db").root)
        for name, found in codes.items():
            with pytest.raises(Damage) as caught:
                read_bolt(folder, name)
            assert found == caught.value.problem.code


def test_written_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was written while it was read is read anew; one that always is, is read as it is and says so."""
    path = tmp_path / "busy.db"
    path.write_bytes(bolt(TREE, transaction=1))
    writes = 0

    def write_and_read(handle: int, size: int, offset: int) -> bytes:
        nonlocal writes
        writes += 1
        if writes < last:
            path.write_bytes(bolt(TREE, transaction=1 + writes))
        return os.pread(handle, size, offset)

    class System:
        pread = staticmethod(write_and_read)

    monkeypatch.setattr(reader, "os", System)
    monkeypatch.setattr(reader, "PAUSE", 0)
    for last, found in ((4, []), (1000, ["inconsistent"])):  # noqa: B007 - write_and_read uses it
        writes = 0
        with Folder(str(tmp_path)) as folder:
            database = read_bolt(folder, "busy.db")
        assert expected(TREE) == plain(database.root)
        assert found == [each.problem.code for each in database.damages]


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to what is read into memory."""
    (tmp_path / "large.db").write_bytes(bolt(TREE))
    monkeypatch.setattr(reader, "LIMIT", 100)
    with Folder(str(tmp_path)) as folder, pytest.raises(Damage) as caught:
        read_bolt(folder, "large.db")
    assert "too-large" == caught.value.problem.code


# Files that something flipped


def signed(content: bytes) -> bytes:
    """Return a file whose two headers are valid whatever stands in them."""
    for start in (0, PAGE):
        if len(content) >= start + 80:
            content = patched(content, start + 72, "<Q", fnv1a(content[start + 16 : start + 72]))
    return content


def test_fuzz() -> None:
    """Whatever a file holds, it ends in buckets and findings, with no more bytes than the file has."""
    tree: Tree = {
        "main": {f"record {number}": {"key": b"x" * 50, "b": b"{}"} for number in range(40)},
        "large": {"a": b"a" * 9000},
    }
    content = bolt(tree, fill=7)
    with in_time():
        for number, damaged in enumerate(mutations(content, 5000, seed=1)):
            try:
                database = opened(signed(damaged) if number % 2 else damaged)
            except Damage:
                continue
            assert sum(_sizes(database.root)) <= len(damaged)


def _sizes(bucket: Bucket) -> list[int]:
    sizes = []
    for key, value in bucket.items():
        sizes.append(len(key))
        sizes += _sizes(value) if isinstance(value, Bucket) else [len(value)]
    return sizes


def test_truncated() -> None:
    """A file that ends at any boundary between pages, or beside one, is read as far as it goes."""
    content = bolt({"many": MANY}, fill=200)
    for end in range(0, len(content), PAGE):
        for length in (end - 1, end, end + 1):
            if length < 96:  # the end of the first header is missing
                assert code(content[: max(length, 0)]) in ("empty", "bad-bolt")
            else:
                assert details(opened(content[:length]))
