"""Fingerprints of plain files, and that nothing is lost where they spare a comparison."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from layerindex.indexing.production import index_listings
from layerindex.listings.batches import Entry, Source
from layerindex.listings.fingerprint import Fingerprint, Side, of_files, of_listing
from layerindex.listings.rules import Rules
from layerindex.listings.walk import Walk
from layerindex.witnesses.drift import drift
from tests.packing import batched
from tests.test_drift import database, entry, linked, store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

TIME = 1_700_000_000


def both(expected: Iterable[Entry], disk: Iterable[Entry]) -> tuple[sqlite3.Connection, bool]:
    """Store two listings, and say whether the second's plain files show the first's."""
    connection = database()
    store(connection, 1, expected, "tar-split")
    store(connection, 2, disk, "walk")
    return connection, of_listing(connection, Side(2)).shows(of_listing(connection, Side(1)))


def test_every_field_counts() -> None:
    """A file more, less, or of another name, directory, mode, owner, size or time is another fingerprint."""
    files = [entry("/d/a"), entry("/d/b", size=3)]
    others = [
        [],
        files[:1],
        [*files, entry("/c")],
        [files[0], entry("/d/c", size=3)],
        [files[0], entry("/e/b", size=3)],
    ]
    fields: list[dict[str, Any]] = [{"mode": 0o600}, {"uid": 1}, {"gid": 1}, {"size": 4}, {"mtime": 1}]
    others += [[files[0], entry("/d/b", **{"size": 3, **changed})] for changed in fields]
    assert both(files, reversed(files))[1]
    for other in others:
        assert not both(files, other)[1], other
        assert not both(other, files)[1], other


def test_fractions_of_seconds() -> None:
    """A tar without fractions says nothing about them; one with some says all."""
    whole, exact, other = (entry("/f", mtime=TIME, mtime_ns=rest) for rest in (None, 5, 6))
    shown = [both([tar], [disk])[1] for tar, disk in ((whole, exact), (exact, exact), (exact, other), (exact, whole))]
    assert [True, True, False, False] == shown


def test_files_that_are_not_plain_are_left_out() -> None:
    """Names of one file and files with attributes are compared by their rows, on either side."""
    plain = [entry("/p")]
    others = [*linked("/a", "/d/b"), entry("/x", xattrs='["user.x"]'), entry("/c", capability=b"1")]
    assert both(plain, [*plain, *others])[1]
    assert not both([entry("/a", size=5), *plain], [*plain, *others])[1]


def test_nothing_overflows() -> None:
    """Sums of many files stay within 64 bits, in whatever order they are put together."""
    names = [str(number) for number in range(1000)]
    same = [[0] * 1000] * 5
    whole = of_files([0] * 1000, (names, *same), [1] * 1000)
    half = [
        of_files([0] * 500, (part, *(each[:500] for each in same)), [1] * 500) for part in (names[:500], names[500:])
    ]
    assert whole == half[1].plus(half[0]) == Fingerprint().plus(whole)
    assert half[0] == whole.less(half[1])
    assert max(whole) < 1 << 64


NAMES = st.sampled_from(["/a", "/b", "/d/a", "/d/b", "/d/e/a", "/é\\\\"])
ROWS = st.one_of(
    st.builds(
        entry,
        NAMES,
        mode=st.sampled_from([0o644, 0o755]),
        size=st.sampled_from([0, 1, None]),
        mtime=st.sampled_from([TIME, 0, None]),
        mtime_ns=st.sampled_from([None, 5]),
        xattrs=st.sampled_from([None, None, '["user.x"]']),
        capability=st.sampled_from([None, None, b"1"]),
    ),
    st.builds(lambda path, target: entry(path, "hardlink", link_target=target), NAMES, NAMES),
    st.builds(lambda path: entry(path, "dir"), NAMES),
    st.builds(lambda path: entry(path, "symlink", link_target="x"), NAMES),
)
LISTINGS = st.lists(ROWS, max_size=7, unique_by=lambda row: (row.directory, row.name))


@settings(max_examples=300, deadline=None)
@given(LISTINGS, LISTINGS, st.booleans())
def test_what_fingerprints_spare_is_no_drift(expected: list[Entry], disk: list[Entry], same: bool) -> None:
    """Where plain files have equal fingerprints, the rest says all the drift there is, without their rows."""
    if same:  # by chance two lists hardly ever have the same files
        rest = [row for row in disk if row.type != "file"]
        taken = {(row.directory, row.name) for row in expected if row.type == "file"}
        disk = [row for row in expected if row.type == "file"]
        disk += [row for row in rest if (row.directory, row.name) not in taken]
    connection, shown = both(expected, disk)
    all_of_it = sorted(drift(connection, Side(1), Side(2)))
    if not shown:
        return
    firsts = {row.link_target for row in disk if row.type == "hardlink"}
    plain = {
        (row.directory, row.name)
        for row in disk
        if row.type == "file" and row.xattrs is None and row.capability is None
        and f"{row.directory.rstrip('/')}/{row.name}" not in firsts
    }  # fmt: skip
    store(connection, 3, [row for row in disk if (row.directory, row.name) not in plain], "walk")
    assert sorted(drift(connection, Side(1), Side(3), files=False)) == all_of_it


def test_writer_and_database_sum_up_the_same() -> None:
    """What is summed up as it is written is what is summed up of the stored rows; names that meet included."""
    rows = [entry("/f"), *linked("/a", "/b"), entry("/x", xattrs='["user.x"]'), entry("/g", mtime_ns=7)]
    for extra in ([], [entry("/f", size=9)]):
        connection = database()
        source = Source(None, "tar-split", 0, lambda _, extra=extra: batched([*rows, *extra]), summed=True)  # type: ignore[misc]
        (listing,) = index_listings(connection, [source], 1)
        assert listing.plain == of_listing(connection, Side(1))
        assert listing.plain.number == 2


def test_a_walk_sums_up_what_it_does_not_hand_over(tmp_path: Path) -> None:
    """Rows and fingerprint of a walk together are those of the whole walk; what it counts is the same."""
    (tmp_path / "d" / "é\\x").mkdir(parents=True)
    for number, name in enumerate(("a", "d/b", "d/é\\x/c", "d/old", "d/far", "d/link", "caf\udce9")):
        path = tmp_path / name
        path.write_bytes(b"x" * number)
        os.utime(path, ns=(0, TIME * 10**9 + number))
    os.utime(tmp_path / "d/old", ns=(0, -(10**9)))
    os.link(tmp_path / "d/link", tmp_path / "other")
    found = []
    for summed in (False, True):
        handle = os.open(tmp_path, os.O_RDONLY)
        walk = Walk(handle, Rules.of("overlay2"), trusted=True, summed=summed)
        source = Source(None, "walk", 0, lambda _, walk=walk: walk.batches())  # type: ignore[misc]
        connection = database()
        (listing,) = index_listings(connection, [source], 1)
        os.close(handle)
        connection.execute("UPDATE entries SET mtime = 0, mtime_ns = NULL WHERE mtime < 0")
        whole = listing.plain.plus(of_listing(connection, Side(1)))
        found.append(
            (whole, listing.apparent_bytes, listing.disk_bytes, walk.totals.entry_count, walk.totals.file_bytes)
        )
    assert found[0] == found[1]
    assert found[0][0].number == 6
