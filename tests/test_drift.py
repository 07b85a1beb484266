"""Drift between two listings made by hand."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from layerindex.database import create
from layerindex.indexing.production import index_listings
from layerindex.listings.batches import Entry, Source
from layerindex.witnesses.drift import Side, drift
from tests.packing import batched

if TYPE_CHECKING:
    from collections.abc import Iterable


def database() -> sqlite3.Connection:
    """Return an empty database of ours in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create(connection)
    return connection


def store(connection: sqlite3.Connection, listing_id: int, entries: Iterable[Entry], source: str) -> None:
    """Write a listing."""
    kept = list(entries)
    (listing,) = index_listings(connection, [Source(None, source, 0, lambda _: batched(kept))], 1)
    assert listing.listing_id == listing_id


def entry(path: str, type_: str = "file", **fields: Any) -> Entry:  # noqa: ANN401
    """An entry like all others but for what is said."""
    head, _, name = path.rpartition("/")
    known: dict[str, Any] = {"mode": 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": 1_700_000_000}
    if type_ == "dir":
        known["opaque"] = 0
    return Entry(head or "/", None, name, None, type_, **{**known, **fields})


def found(
    expected: Iterable[Entry], disk: Iterable[Entry], *, mounted: bool = False
) -> list[tuple[str, str, Any, Any]]:
    """Drift, sorted, its JSON read."""
    connection = database()
    store(connection, 1, expected, "tar-split")
    store(connection, 2, disk, "walk")
    rows = sorted(drift(connection, Side(1), Side(2), mounted=mounted))
    assert not connection.execute("SELECT name FROM sqlite_temp_schema WHERE type = 'table'").fetchall()
    return [(row.path, row.kind, _loaded(row.expected), _loaded(row.found)) for row in rows]


def _loaded(text: str | None) -> Any:  # noqa: ANN401 - JSON
    return None if text is None else json.loads(text)


def linked(first: str, *others: str, **fields: Any) -> list[Entry]:  # noqa: ANN401
    """A file with several names."""
    return [entry(first, size=5, **fields), *(entry(name, "hardlink", link_target=first, **fields) for name in others)]


def test_added_removed_changed() -> None:
    base = [
        entry("/etc", "dir", mode=0o755),
        entry("/etc/a", size=3),
        entry("/etc/b"),
        entry("/etc/s", "symlink", link_target="a"),
    ]
    disk = [
        entry("/etc", "dir", mode=0o755), entry("/etc/a", size=4, mode=0o600, mtime=5), entry("/etc/c"),
        entry("/etc/s", "symlink", link_target="b"),
    ]  # fmt: skip
    assert found(base, base) == []
    changed = {"mode": 0o644, "mtime": 1_700_000_000, "size": 3}
    file = {"type": "file", "mode": 0o644, "uid": 0, "gid": 0, "size": 0, "mtime": 1_700_000_000}
    assert found(base, disk) == [
        ("/etc/a", "changed", changed, {"mode": 0o600, "mtime": 5, "size": 4}),
        ("/etc/b", "removed", file, None),
        ("/etc/c", "added", None, file),
        ("/etc/s", "changed", {"link_target": "a"}, {"link_target": "b"}),
    ]


@pytest.mark.parametrize(
    ("expected", "disk"),
    [
        pytest.param({"mtime": 0}, {"mtime": -5, "mtime_ns": 3}, id="before 1970"),
        pytest.param({"mtime": 0}, {"mtime": 9_300_000_000}, id="after 2262"),
        pytest.param({}, {"mtime_ns": 7}, id="a tar without a fraction"),
        pytest.param({"mode": None, "uid": None, "gid": None, "size": None, "mtime": None}, {}, id="a damaged header"),
        pytest.param({}, {"xattrs": '["user.note"]'}, id="an attribute moby does not pack"),
        pytest.param({"xattrs": '["security.selinux"]'}, {}, id="the host's attribute"),
        pytest.param({"content_crc64": 5}, {}, id="no fingerprint in a walk"),
    ],
)
def test_what_an_engine_makes_of_a_tar_is_no_drift(expected: dict[str, Any], disk: dict[str, Any]) -> None:
    assert found([entry("/f", **expected)], [entry("/f", **disk)]) == []


@pytest.mark.parametrize(
    ("expected", "disk", "fields"),
    [
        ({"mtime_ns": 5}, {"mtime_ns": 6}, {"mtime_ns"}),
        ({"mtime_ns": 5}, {}, {"mtime_ns"}),
        ({"uid": 3}, {"uid": 4}, {"uid"}),
        ({"xattrs": '["user.a"]'}, {"xattrs": '["user.b"]'}, {"xattrs"}),
        ({"capability": b"1"}, {"capability": None}, {"capability"}),
        ({}, {"capability": b"1", "xattrs": '["security.capability"]'}, {"capability"}),
    ],
)
def test_each_field(expected: dict[str, Any], disk: dict[str, Any], fields: set[str]) -> None:
    [(_, kind, before, after)] = found([entry("/f", **expected)], [entry("/f", **disk)])
    assert (kind, set(before), set(after)) == ("changed", fields, fields)


def test_types() -> None:
    base = [
        entry("/gone", "whiteout", mode=0o600),
        entry("/zero", "char", device="0:0"),
        entry("/a"),
        entry("/d", "dir"),
    ]
    disk = [
        entry("/gone", "whiteout", mode=0, mtime=1),
        entry("/zero", "whiteout"),
        entry("/a", "symlink", link_target="x"),
        entry("/d", "dir", opaque=1),
    ]
    assert [(path, set(before)) for path, _, before, _ in found(base, disk)] == [
        ("/a", {"type", "size", "link_target", "device"}),
        ("/d", {"opaque"}),
    ]
    assert found([entry("/d", "dir", opaque=1)], [entry("/d", "dir", opaque=None)]) == []


def test_directories_that_the_tar_only_implies() -> None:
    names = ["/a-b/x/y/file", "/a/b/c/file", "/a/b.d", "/q/gone", "/r/.wh"]
    base = [entry(name) for name in names]
    made = ["/a-b", "/a-b/x", "/a-b/x/y", "/a", "/a/b", "/a/b/c", "/q", "/r"]
    disk = [*base, *(entry(name, "dir") for name in made), entry("", "dir", mode=0o700)]
    assert found(base, disk) == []
    extra = [entry("/a/b/empty", "dir"), entry("/new", "dir"), entry("/new/f"), entry("/a/socket", "socket")]
    assert [row[:2] for row in found(base, [*disk, *extra])] == [
        ("/a/b/empty", "added"), ("/new", "added"), ("/new/f", "added"),
    ]  # fmt: skip


def test_a_ring_of_hard_links_is_left() -> None:
    """No engine unpacks one; it ends neither the scan nor the comparison."""
    ring = [entry(f"/{name}", "hardlink", link_target=f"/{first}") for name, first in ("ab", "bc", "ca")]
    assert {kind for _, kind, _, _ in found(ring, ring)} <= {"changed"}


def test_hard_links_are_sets() -> None:
    assert found(linked("/a", "/b", "/c/d"), [entry("/c", "dir"), *linked("/c/d", "/b", "/a")]) == []
    chain = [entry("/a", size=5), entry("/b", "hardlink", link_target="/a"), entry("/c", "hardlink", link_target="/b")]
    assert found(chain, linked("/c", "/b", "/a")) == []
    broken = found(linked("/a", "/b"), [entry("/a", size=5), entry("/b", size=5)])
    assert broken == [("/b", "changed", {"same_file_as": "/a"}, {"same_file_as": None})]
    crossed = found([*linked("/a", "/b"), *linked("/c", "/d")], [*linked("/a", "/d"), *linked("/c", "/b")])
    assert [row[0] for row in crossed] == ["/b", "/c", "/d"]
    parted = found(linked("/x", "/a", "/y"), [*linked("/a", "/y"), entry("/x", size=5)])
    assert parted == [("/x", "changed", {"same_file_as": "/a"}, {"same_file_as": None})]
    joined = found([*linked("/a", "/y"), entry("/x", size=5)], linked("/x", "/a", "/y"))
    assert joined == [("/x", "changed", {"same_file_as": None}, {"same_file_as": "/a"})]
    assert [row[:2] for row in found(linked("/a", "/b"), [entry("/b", size=5)])] == [("/a", "removed")]
    assert [row[:2] for row in found(linked("/a", "/b"), linked("/c", "/b", "/a"))] == [("/c", "added")]


def test_any_header_of_a_hard_link_may_show() -> None:
    base = [entry("/a", size=5, mode=0o600), entry("/b", "hardlink", link_target="/a", mode=0o755, mtime=9)]
    assert found(base, linked("/a", "/b", mode=0o755, mtime=9)) == []
    assert found(base, linked("/b", "/a", mode=0o600)) == []
    mixed = found(base, linked("/a", "/b", mode=0o755))
    assert [row[0] for row in mixed] == ["/a", "/b"]


def test_links_that_lead_nowhere_or_round_end() -> None:
    ring = [entry("/a", "hardlink", link_target="/b"), entry("/b", "hardlink", link_target="/a")]
    lost = [entry("/c", "hardlink", link_target="/none")]
    assert {row[0] for row in found([*ring, *lost], [entry("/a"), entry("/b"), entry("/c")])} >= {"/c"}


def test_through_a_mount_the_kernel_marks_deletions() -> None:
    base = [
        entry("/d", "dir", opaque=1),
        entry("/d/e", "dir"),
        entry("/d/e/f"),
        entry("/never", "whiteout"),
        entry("/o", "dir"),
    ]
    disk = [
        entry("/d", "dir"),
        entry("/d/a", "whiteout"),
        entry("/d/e", "dir", opaque=1),
        entry("/d/e/f"),
        entry("/o", "dir"),
        entry("/o/a", "whiteout"),
    ]
    assert [row[:2] for row in found(base, disk, mounted=True)] == [("/o/a", "added")]
    assert [row[:2] for row in found(base, disk)] == [
        ("/d", "changed"),
        ("/d/a", "added"),
        ("/d/e", "changed"),
        ("/never", "removed"),
        ("/o/a", "added"),
    ]
    emptied = [
        Entry("/", None, "", None, "dir", mode=0o755, uid=0, gid=0, size=0, mtime=0, opaque=1),
        entry("/o", "dir"),
    ]
    hidden = [emptied[0]._replace(opaque=0), *disk[4:]]
    assert found(emptied, hidden, mounted=True) == []


def test_plain_files_need_not_be_there_when_their_fingerprints_are_equal() -> None:
    plain, others = (
        [entry("/d/f"), entry("/d/g", size=3)],
        [entry("/d", "dir"), *linked("/a", "/b"), entry("/x", "fifo")],
    )
    connection = database()
    store(connection, 1, [*plain, *others], "tar-split")
    store(connection, 2, [entry("/d", "dir", mode=0o700), *linked("/b", "/a")], "walk")
    rows = {row[:2] for row in drift(connection, Side(1), Side(2), files=False)}
    assert rows == {("/d", "changed"), ("/x", "removed")}
