"""The progress of a scan counts files as its result does, and knows how much is left."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from layerindex import database, scan, stores
from layerindex.indexing.tally import Progress, Tally
from layerindex.listings.batches import Source
from layerindex.progress import described
from tests import terminal
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from pathlib import Path

MANY = 3000
"""Files of a store that is more than a few batches."""


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Give a store with some layers, a container with files, and a directory that nothing names."""
    made = DataRoot(tmp_path / "docker", privileged=os.geteuid() == 0)
    base = made.layer({f"usr/f{number}": b"1" for number in range(MANY)})
    top = made.layer({f"srv/g{number}": b"22" for number in range(MANY // 3)}, parent=base)
    image = made.image(top, ["app:1"])
    made.container(image, name="c", files={"written": b"3", "more/of/it": b"4"})
    made.orphan(files={"lost": b"5"})
    return made


def scanned(root: DataRoot, options: scan.Options) -> tuple[list[Progress], scan.Summary]:
    """Scan a root into a database beside it; return what was reported, and the summary."""
    said: list[Progress] = []
    (store,) = stores.open_stores(str(root.path))
    with database.writing(str(root.path.parent / "db"), lambda _: None) as connection:
        summary = scan.scan(connection, store, scan.Filing(scan.Host("h", None)), options, said.append)
    return said, summary


@pytest.mark.parametrize("walk", [False, True])
@pytest.mark.parametrize("jobs", [1, 2])
def test_it_ends_with_the_files_of_the_result(root: DataRoot, walk: bool, jobs: int) -> None:
    """Also where layers are read twice, to be compared, and where earlier scans have listed most; it never falls."""
    options = scan.Options(walk=walk, jobs=jobs)
    for known in (0, MANY):
        said, summary = scanned(root, options)
        last = said[-1]
        assert (summary.rows["entries"], summary.rows["entries"], 1.0) == (last.files, last.of_files, last.share)
        assert last.listings == last.of_listings
        assert said[0].files >= known
        assert [one.share for one in said] == sorted(one.share for one in said)
        assert all(one.files <= one.of_files for one in said)
    assert last.read >= MANY * walk


def source(weight: int, *, kept: bool = True) -> Source:
    """Return a source of which nothing is read."""
    return Source(None, "walk", weight, lambda _: iter(()), kept=kept)


def test_a_tally() -> None:
    """What is left is estimated from what is done; walks that only compare are work, and no more files."""
    tally = Tally([source(200_000), source(100_000), source(100_000, kept=False)])
    assert Progress(0, 3, 0, 3000, 0, 0.0) == tally.progress()
    tally.add(0, 2000, 0)
    assert Progress(0, 3, 2000, 3000, 2000, 0.5) == tally.progress()
    tally.add(0, 2000, 0)  # more than was thought
    assert Progress(0, 3, 4000, 5000, 4000, 0.5) == tally.progress()
    tally.end(0, 4000)
    assert Progress(1, 3, 4000, 6000, 4000, 0.5) == tally.progress()
    tally.end(1, 500)
    tally.add(2, 500, 0)
    assert Progress(2, 3, 4500, 4500, 4500, 0.875) == tally.progress()
    tally.end(2, 4000)
    assert Progress(3, 3, 4600, 4600, 4500, 1.0) == tally.progress().beside(100)
    assert Progress(0, 0, 0, 0, 0, 1.0) == Tally([]).progress()


def test_what_is_said() -> None:
    """Files, of about how many, and the rate of what is read."""
    assert "1,234 of about 61,000 files" == described(Progress(1, 9, 1234, 61234, 1234, 0.1), 0.0)
    assert "12,345 of about 61,000 files, 2,469/s" == described(Progress(1, 9, 12345, 61234, 12345, 0.1), 5.0)
    assert "61,234 of 61,234 files, 100/s" == described(Progress(9, 9, 61234, 61234, 100, 1.0), 1.0)


def test_on_a_terminal(root: DataRoot) -> None:
    """It is drawn on a terminal and gone at the end, and the result counts the same."""
    done = terminal.run("scan", str(root.path), "--db", str(root.path.parent / "db"), "--jobs", "1", width=100)
    assert 0 == done.status
    assert "reading metadata" in done.text
    files = re.findall(r"(?<![\d,])(\d+) files?\b", done.text)
    assert [] != files
    assert int(files[-1]) > MANY
