"""What hostile input costs is bounded by its size: time, memory, and bytes of the database."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import pytest

from layerindex.listings import batches, blob, gunzip
from layerindex.listings.sparse import Holes
from layerindex.listings.tarheader import pax_records
from layerindex.problems import MORE, PER_FILE
from layerindex.standing import TOLD
from layerindex.stores.containerd.content import Descriptor, Manifest
from layerindex.stores.containerd.images import Images
from layerindex.stores.containerd.metadata import Metadata, Namespace, Target
from layerindex.stores.shared.configs import HISTORY, LAYERS
from tests.containerd_root import ContainerdRoot, Layer, digest
from tests.dataroot import DataRoot
from tests.packing import batches_of, member, pack, tar_split, widen
from tests.test_blob import batches as blob_batches
from tests.test_blob import codes, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerindex.problems import Damage

BOTH = pytest.mark.parametrize("fast", [False, True])


def growth(work: Callable[[int], object], size: int) -> float:
    """Return how many times the processor time of four times the size is that of the size: 4 is linear, 16 square."""

    def cost(size: int) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            work(size)
            times.append(time.process_time() - start)
        return min(times)

    return cost(4 * size) / cost(size)


def test_pax_records_cost_their_length() -> None:
    assert growth(lambda size: pax_records(b"6 a=b\n" * size), 40_000) < 9


def test_a_map_of_holes_costs_its_length_in_blocks_of_any_size() -> None:
    """Gzip members of few bytes each give blocks of few bytes each."""

    def read(size: int) -> None:
        holes = Holes(1 << 30, None)
        text = memoryview(b"99999\n" + b"1\n" * size)
        for place in range(0, len(text), 2):
            holes.crc(text[place : place + 2], 0)

    assert growth(read, 20_000) < 9


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """Give a listing little room, and take its batches early; returns how many rows are then too many."""
    monkeypatch.setattr(batches, "BATCH_ROWS", 100)
    monkeypatch.setattr(batches, "ROOM_RATIO", 1)
    monkeypatch.setattr(batches, "ROOM_FLOOR", 20_000)
    monkeypatch.setattr(gunzip, "BLOCK_BYTES", 100_000)
    return 20_000 // batches.ROW_BYTES


@pytest.mark.usefixtures("narrow")
def test_a_listing_takes_no_more_of_the_database_than_its_blob_can_need() -> None:
    """Names that differ in little are packed into next to nothing."""
    tar = pack([member("d" * 200 + f"{n:05}") for n in range(1000)], tarfile.GNU_FORMAT)
    packed = gzip.compress(tar, 9)
    assert codes(packed, tar) == ["blob-bomb"]
    names = sum(len(row.name) for row in widen(blob_batches(packed, tar)))
    assert names < max(20_000, len(packed)) + 101 * 300


@BOTH
def test_a_listing_takes_no_more_than_its_tar_split_can_need(fast: bool, narrow: int) -> None:
    lines = tar_split(pack([member(f"f{n}") for n in range(3000)], tarfile.GNU_FORMAT)).encode()
    packed = gzip.compress(lines, 9)
    found = batches_of(packed, fast)
    assert [problem.code for batch in found for problem in batch.problems] == ["tar-split-bomb"]
    assert not found[-1].complete
    assert narrow // 2 < len(widen(found)) < 2900


def test_headers_are_no_more_than_a_blob_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob, "HEADER_FLOOR", 1 << 20)
    tar = pack([member("f", pax_headers={"comment": "x" * 900_000}) for _ in range(5)], tarfile.PAX_FORMAT)
    assert codes(gzip.compress(tar), tar) == ["blob-bomb"]


def test_a_map_of_holes_does_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old form says in each block whether another follows."""
    monkeypatch.setattr(blob, "EXTENSION_BYTES", 1 << 16)
    info, _ = member("f")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[156:157], block[386:410], block[482] = b"S", b"00000000000\0" * 2, 1
    block[483:495], block[148:156] = b"00000000001\0", b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    more = b"00000000001\0" * 42 + b"\1" + bytes(7)
    tar = bytes(block) + more * (blob.EXTENSION_BYTES // 512 + 5)
    assert codes(gzip.compress(tar), tar) == ["tar-header-size"]


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (member("n" * 256), "tar-name"),
        (member("/".join(["n" * 200] * 21)), "tar-name"),
        (member("l", tarfile.SYMTYPE, linkname="t" * 4097), "tar-link"),
        (member("f", pax_headers={f"SCHILY.xattr.user.{n:0250}": "" for n in range(300)}), "pax-value"),
        (member("f", pax_headers={"SCHILY.xattr.security.capability": "x" * 70_000}), "pax-value"),
    ],
)
def test_texts_that_linux_would_not_take_are_not_stored(made: tuple[tarfile.TarInfo, bytes], code: str) -> None:
    entries, problems, _ = listed(pack([made, member("other")], tarfile.PAX_FORMAT))
    assert problems == [code]
    assert "other" in [entry.name for entry in entries]
    assert max(len(repr(entry)) for entry in entries) < 1000


# Whole stores, scanned in a process of little memory

MEMORY = 700 << 20
"""Bytes of address space that a scan is given: a small one takes some 150 MiB of it, most of that for the libraries."""


class Scanned(NamedTuple):
    """What became of a scan."""

    said: str
    database: Path

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what the database answers."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql).fetchall()


def scanned(root: Path, memory: int = MEMORY) -> Scanned:
    """Scan a store in a process with a limit on memory, which must do it."""
    target = root.parent / "bounds.db"
    limit = f"import resource, sys; resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))"
    code = f"{limit}; from layerindex.cli import main; sys.argv[0] = 'layerindex'; sys.exit(main())"
    command = [sys.executable, "-c", code, "scan", str(root), "--db", str(target), "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return Scanned(done.stderr, target)


def with_config(root: DataRoot, config: bytes) -> None:
    """Add an image of this config."""
    folder = root.path / "image/overlay2/imagedb/content/sha256"
    (folder / hashlib.sha256(config).hexdigest()).write_bytes(config)


@pytest.mark.parametrize("value", [b"1,", b"{},", b"[],", b'{"created":1},'])
@pytest.mark.parametrize("size", [1 << 20, (16 << 20) - 1000])
def test_one_config_makes_few_rows(tmp_path: Path, value: bytes, size: int) -> None:
    """Of build steps and problems without end as many are told as a real image could have."""
    root = DataRoot(tmp_path / "docker")
    layer = root.layer({"a": b"b"})
    root.image(layer, ["a:1"])
    steps = (value * (size // len(value)))[:-1]
    rootfs = b'{"rootfs":{"type":"layers","diff_ids":["' + layer.diff_id.encode() + b'"]},"history":['
    with_config(root, rootfs + steps + b"]}")
    found = scanned(root.path)
    [(problems,)] = found.rows("SELECT count(*) FROM problems")
    [(history,)] = found.rows("SELECT count(*) FROM image_history")
    assert 0 < problems <= HISTORY + 20
    assert history <= HISTORY + 1
    assert found.database.stat().st_size < 2 * size + (2 << 20)


def test_what_is_not_told_of_a_file_is_counted(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "docker")
    names = {f"a:{n}": "no digest" for n in range(PER_FILE + MORE + 77)}
    (root.path / "image/overlay2/repositories.json").write_text(json.dumps({"Repositories": {"a": names}}))
    found = scanned(root.path)
    told = "SELECT count(*) FROM problems WHERE path LIKE '%repositories.json' AND code = 'bad-value'"
    assert found.rows(told) == [(PER_FILE + MORE,)]
    assert found.rows("SELECT path, detail FROM problems WHERE code = 'more-problems'") == [
        ("image/overlay2/repositories.json", "77 more like these")
    ]


def test_an_image_of_more_layers_than_can_be_makes_no_orphan(tmp_path: Path) -> None:
    """It is not read, and said; its layers stand in layerdb, so that their directories have owners."""
    root = DataRoot(tmp_path / "docker")
    layer = root.layer({"a": b"b"})
    root.image(layer, ["a:1"])
    with_config(root, json.dumps({"rootfs": {"diff_ids": [layer.diff_id] * (LAYERS + 1)}}).encode())
    found = scanned(root.path)
    assert found.rows("SELECT count(*) FROM image_layers") == [(1,)]
    assert [detail for (detail,) in found.rows("SELECT detail FROM problems")] == [
        f"rootfs: {LAYERS + 1} layers, at most {LAYERS} are possible"
    ]
    assert found.rows("SELECT DISTINCT role FROM overlay_dirs") == [("layer",)]


def test_nested_folders_cost_no_square(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "docker")
    mount = root.container(root.image(root.layer({"a": b"b"}), ["a:1"])).mount
    handle = os.open(root.path / "overlay2" / mount.mount_id / "diff", os.O_RDONLY)
    for _ in range(6000):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    try:
        found = scanned(root.path)
    finally:
        subprocess.run(["rm", "-rf", root.path], check=True)  # deeper than what pytest can remove
    assert ("too-deep",) in found.rows("SELECT code FROM problems")
    assert found.database.stat().st_size < 20 << 20


def test_a_member_of_many_records_costs_its_length(tmp_path: Path) -> None:
    """A blob of some kilobytes once kept a scan busy for minutes."""
    info, _ = member("x", tarfile.XHDTYPE)
    body = b"6 a=b\n" * (1_000_000 // 6)
    info.size = len(body)
    extension = info.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)
    tar = extension + pack([member("f")], tarfile.USTAR_FORMAT)
    container = ContainerdRoot(tmp_path / "containerd")
    blob_ = gzip.compress(tar, 9, mtime=0)
    container.image("reg.example/app:1", [Layer({}, tar, blob_, digest(tar))])
    container.write()
    started = os.times().children_user
    found = scanned(tmp_path / "containerd")
    assert os.times().children_user - started < 30
    assert ("f",) in found.rows("SELECT name FROM entries")


def test_an_index_that_many_lead_to_is_followed_once() -> None:
    """Each of many indexes may name the same one that names many manifests."""
    many = 200
    below = [Descriptor(f"sha256:{n:064x}", None, 1) for n in range(many)]
    indexes = {f"sha256:{n:064x}": Manifest(None, 1, [], None, []) for n in range(many)}
    shared = f"sha256:{1:064x}".replace("00", "aa")
    indexes[shared] = Manifest(None, 1, below, None, [])
    tops = [f"sha256:{n:064x}".replace("00", "bb") for n in range(many)]
    indexes |= {top: Manifest(None, 1, [Descriptor(shared, None, 1)], None, []) for top in tops}
    asked = []

    class Stored:
        damages: ClassVar[list[Damage]] = []

        def manifest(self, digest: str) -> Manifest:
            asked.append(digest)
            return indexes[digest]

        def has(self, _: str) -> bool:
            return True

    targets = {f"name{n}": Target(top, None, None, None, None, {}) for n, top in enumerate(tops)}
    metadata = Metadata({"default": Namespace(targets, {}, {}, {}, {}, {})}, [])
    rows = list(Images(metadata, cast("Any", Stored()), cast("Any", SimpleNamespace(path="blobs"))).read())
    assert len(asked) < 10 * many
    assert len(rows) < 10 * many


def test_the_page_says_what_the_code_has() -> None:
    """Each row of docs/bounds.md names its constants, and their numbers in that order."""
    page = (Path(__file__).parents[1] / "docs/bounds.md").read_text()
    rows = [line.split("|")[2:4] for line in page.splitlines() if line.startswith("|") and "`" in line]
    assert len(rows) > 20
    for bound, constants in rows:
        names = re.findall(r"`([a-z_.]+)\.([A-Z_]+)`", constants)
        values = [getattr(importlib.import_module(f"layerindex.{module}"), name) for module, name in names]
        assert [int(number) for number in re.findall(r"\d+", bound)] == values


def test_a_long_repository_is_not_stored_for_each_of_its_references(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "docker")
    image = root.image(root.layer({"a": b"b"}), ["a:1"])
    names = {f"a:{n}": image.image_id for n in range(200)}
    repositories = {"Repositories": {"r" * 1_000_000: names}}
    (root.path / "image/overlay2/repositories.json").write_text(json.dumps(repositories))
    found = scanned(root.path)
    assert found.rows("SELECT count(*) FROM image_refs") == [(0,)]
    assert found.database.stat().st_size < 3 << 20


def test_many_doubts_are_not_all_said_of_each_directory(tmp_path: Path) -> None:
    """Each layer that cannot be read may own any directory that nothing owns."""
    root = DataRoot(tmp_path / "docker")
    root.image(root.layer({"a": b"b"}), ["a:1"])
    for number in range(300):
        (root.path / "image/overlay2/layerdb/sha256" / f"{number:064x}").mkdir()
        (root.path / "overlay2" / f"{number:064x}" / "diff").mkdir(parents=True)
    found = scanned(root.path)
    assert found.rows("SELECT role, count(*) FROM overlay_dirs GROUP BY role") == [("layer", 1), ("unknown", 300)]
    [(longest,)] = found.rows("SELECT max(length(because)) FROM standings")
    assert longest < (TOLD + 1) * 400
