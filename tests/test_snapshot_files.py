"""File listings of whole snapshots: what is read, what is known from before, and what damage leaves."""

from __future__ import annotations

import gzip
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import database, scan, stores
from layerindex.indexing import snapshot
from layerindex.indexing.production import index_listings
from layerindex.indexing.snapshot import layer_source
from layerindex.listings import walk
from layerindex.listings.batches import SMALL_BYTES
from layerindex.stores.store import Listed
from tests.conftest import HOST
from tests.dataroot import DataRoot, regular, symlink, whiteout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = {"etc": None, "etc/passwd": b"root", "etc/link": symlink("passwd"), "bin/tool": regular(b"tool", mode=0o4755)}
ODD = [b"caf\xe9", "café".encode(), b"new\nline", b"\x1b[31m", b"x" * 255, b"back\\slash", b"lit\\xe9"]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Give an empty database in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        database.create(opened)
        yield opened


def into(
    connection: sqlite3.Connection,
    root: DataRoot,
    *,
    walk: bool = False,
    jobs: int = 1,
    files: bool = True,
    small: int = SMALL_BYTES,
) -> None:
    """Scan a root into a database, in a transaction as the program does."""
    [store] = stores.open_stores(str(root.path))
    connection.execute("BEGIN")
    scan.scan(connection, store, scan.Filing(HOST), scan.Options(files, walk, jobs, small=small))
    connection.execute("COMMIT")


def rows(connection: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Return all rows."""
    return connection.execute(sql).fetchall()


def count(connection: sqlite3.Connection, table: str) -> int:
    """Return how many rows a table has."""
    return int(rows(connection, f"SELECT count(*) FROM {table}")[0][0])


def codes(connection: sqlite3.Connection) -> list[str]:
    """Return the codes of the newest snapshot's problems."""
    sql = "SELECT code FROM problems WHERE snapshot_id = (SELECT max(snapshot_id) FROM snapshots) ORDER BY problem_id"
    return [code for (code,) in rows(connection, sql)]


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Give a store of two layers, an image and a container that wrote a file."""
    made = DataRoot(tmp_path / "docker")
    base = made.layer(FILES)
    top = made.layer({"etc/.keep": b"", "etc/passwd": whiteout()}, parent=base)
    image = made.image([base, top], ["acme/web:1"])
    made.container(image, name="web", files={"var/log": None, "var/log/out": b"12345"})
    return made


def layer_tar_split(root: DataRoot, number: int = 0) -> Path:
    """Return the path of a layer's tar-split."""
    return sorted(root.file("image/overlay2/layerdb/sha256").glob("*/tar-split.json.gz"))[number]


def test_layers_and_directories_have_their_listing(connection: sqlite3.Connection, root: DataRoot) -> None:
    """Layers are listed from tar-splits, other directories from walks, and each says how much it is."""
    into(connection, root)
    sql = "SELECT d.role, l.source, d.entry_count = l.entry_count, d.apparent_bytes = l.apparent_bytes"
    found = rows(
        connection, f"{sql} FROM overlay_dirs AS d JOIN listings AS l USING (listing_id) ORDER BY d.role, d.cache_id"
    )

    expected = [
        ("container", "walk", 1, 1),
        ("init", "walk", 1, 1),
        ("layer", "tar-split", 1, 1),
        ("layer", "tar-split", 1, 1),
    ]
    assert expected == found
    assert [(14,)] == rows(connection, "SELECT max(apparent_bytes) FROM listings WHERE source = 'tar-split'")
    assert [("/var/log/out", 5)] == rows(connection, "SELECT path, size FROM files WHERE path = '/var/log/out'")


def test_second_scan_reads_no_tar_split(connection: sqlite3.Connection, root: DataRoot) -> None:
    """What is listed is not read again: not even a tar-split that is gone is missed."""
    into(connection, root)
    layers = rows(connection, "SELECT chain_id, listing_id FROM layers ORDER BY 1")
    before = rows(
        connection, "SELECT count(*) FROM entries JOIN listings USING (listing_id) WHERE source = 'tar-split'"
    )
    for path in root.file("image/overlay2/layerdb/sha256").glob("*/tar-split.json.gz"):
        path.unlink()
    into(connection, root)

    assert [] == [code for code in codes(connection) if code != "opaque-unknown"]
    assert layers == rows(connection, "SELECT chain_id, listing_id FROM layers WHERE snapshot_id = 2 ORDER BY 1")
    after = rows(connection, "SELECT count(*) FROM entries JOIN listings USING (listing_id) WHERE source = 'tar-split'")
    assert before == after


def test_another_host_with_the_same_layers_adds_no_entries(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """A layer's listing is stored once for all hosts, wherever the layer lies there."""
    for seed in (1, 2):
        root = DataRoot(tmp_path / f"host{seed}", seed=seed)
        root.image([root.layer(FILES)], ["acme/base:1"])
        into(connection, root)

    assert 1 == count(connection, "listings")
    assert [(2,)] == rows(connection, "SELECT count(DISTINCT cache_id) FROM layers")


def test_containers_are_walked_at_each_scan(connection: sqlite3.Connection, root: DataRoot) -> None:
    """A container's directory is listed anew, an init layer that is as it was is not."""
    into(connection, root)
    into(connection, root)
    sql = "SELECT role, count(DISTINCT listing_id) FROM overlay_dirs WHERE role <> 'layer' GROUP BY role ORDER BY role"

    assert [("container", 2), ("init", 1)] == rows(connection, sql)


def test_missing_tar_split_is_walked(connection: sqlite3.Connection, root: DataRoot) -> None:
    """Without its first witness a layer is listed from its directory."""
    layer_tar_split(root).unlink()
    into(connection, root)

    assert ["missing"] == [code for code in codes(connection) if code != "opaque-unknown"]
    assert 3 == rows(connection, "SELECT count(*) FROM listings WHERE source = 'walk'")[0][0]
    assert [] == rows(connection, "SELECT cache_id FROM overlay_dirs WHERE listing_id IS NULL")


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda raw: raw[: len(raw) // 2], "tar-split-truncated"),
        (lambda _: b"this is not gzip at all", "tar-split-gzip"),
        (lambda _: gzip.compress(b"\n" * 20_000), "tar-split-noise"),
        (lambda raw: gzip.compress(gzip.decompress(raw).replace(b'"type":2', b'"type":7', 1)), "tar-split-line"),
    ],
    ids=["truncated", "no gzip", "noise", "line"],
)
def test_damaged_tar_split(connection: sqlite3.Connection, root: DataRoot, damage: Any, code: str) -> None:  # noqa: ANN401
    """A damaged tar-split leaves a problem at its path, loses nothing of the rest, and is read again next time."""
    path = layer_tar_split(root)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    into(connection, root)

    assert code in codes(connection)
    where = rows(connection, f"SELECT DISTINCT substr(path, 1, 24) FROM problems WHERE code = '{code}'")
    assert [("image/overlay2/layerdb/s",)] == where
    assert [(1,)] == rows(connection, "SELECT count(*) FROM listings WHERE source = 'tar-split' AND complete = 1")
    path.write_bytes(whole)
    into(connection, root)
    assert code not in codes(connection)
    assert [(2,)] == rows(connection, "SELECT count(*) FROM listings WHERE source = 'tar-split' AND complete = 1")


def test_more_problems_than_are_kept(connection: sqlite3.Connection, root: DataRoot) -> None:
    """Of very many problems of one tar-split the first are rows and the others a number."""
    path = layer_tar_split(root)
    path.write_bytes(gzip.compress(b'{"type":9,"position":0}\n' * 300))
    into(connection, root)

    assert [("499 more like these",)] == rows(connection, "SELECT detail FROM problems WHERE code = 'more-problems'")


def test_tar_split_that_cannot_be_read(connection: sqlite3.Connection) -> None:
    """An error of the system while a tar-split is read is a problem of that layer."""
    source = layer_source("sha256:1", Listed("tar-split", "", 1, lambda: os.open("/", os.O_RDONLY)))
    connection.execute("BEGIN")
    [listing] = index_listings(connection, [source], 1)

    assert (False, "tar-split-read") == (listing.complete, listing.problems[0].code)


def test_layer_that_does_not_verify_is_not_listed_under_its_diff_id(
    connection: sqlite3.Connection, root: DataRoot
) -> None:
    """A layer whose name is not the digest of its diff cannot speak for that diff_id on other hosts."""
    diff = layer_tar_split(root).with_name("diff")
    diff.write_text("sha256:" + "0" * 64)
    into(connection, root)

    assert [] == rows(connection, f"SELECT 1 FROM listings WHERE diff_id = 'sha256:{'0' * 64}'")
    assert [(0, None)] == rows(connection, "SELECT verified, listing_id FROM layers WHERE verified = 0")


def test_no_files(connection: sqlite3.Connection, root: DataRoot) -> None:
    """Without listings everything else is there."""
    into(connection, root, files=False)

    assert (0, 0, 2) == (count(connection, "listings"), count(connection, "entries"), count(connection, "layers"))


@pytest.mark.parametrize("jobs", [2, 3])
def test_processes_give_the_same(root: DataRoot, jobs: int) -> None:
    """However many processes read, the rows are the same."""
    found = []
    for number in (1, jobs):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            database.create(connection)
            into(connection, root, jobs=number, walk=True, small=0)
            columns = "path, type, mode, uid, gid, size, mtime, link_target, content_crc64"
            sql = f"SELECT diff_id, {columns} FROM files JOIN listings USING (listing_id)"
            found.append(sorted(rows(connection, sql), key=repr))

    assert found[0] == found[1]


def test_names_survive(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Names of any bytes are distinct, and their bytes can be had back."""
    root = DataRoot(tmp_path / "docker")
    root.image([root.layer({os.fsdecode(b"d/" + name): b"1" for name in ODD})], ["odd:1"])
    into(connection, root, walk=True)
    stored = rows(connection, "SELECT name, name_raw FROM entries WHERE type = 'file'")

    assert sorted(ODD) == sorted(raw or name.encode() for name, raw in stored)
    assert 0 == count(connection, "drift")


def test_drift(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """--walk says nothing of a layer that nobody touched, and what was done to one that somebody did."""
    root = DataRoot(tmp_path / "docker", privileged=os.geteuid() == 0)
    layer = root.layer({f"etc/{name}": regular(b"1") for name in ("kept", "gone", "touched")})
    root.image([layer], ["acme/base:1"])
    into(connection, root, walk=True)
    assert 0 == count(connection, "drift")
    folder = root.content_dir(layer.cache_id) / "etc"
    (folder / "gone").unlink()
    (folder / "touched").write_bytes(b"22")
    (folder / "new").write_bytes(b"")
    into(connection, root, walk=True)

    found = rows(connection, "SELECT path, kind FROM drift WHERE path <> '/etc' ORDER BY path")
    assert [("/etc/gone", "removed"), ("/etc/new", "added"), ("/etc/touched", "changed")] == found
    assert [(1,)] == rows(connection, "SELECT count(*) FROM listings WHERE source = 'tar-split'")


def test_opaque_marks_that_may_not_be_read(
    connection: sqlite3.Connection, root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where trusted attributes are hidden from us, opaque is unknown, and a problem says so."""
    for module in (walk, snapshot):
        monkeypatch.setattr(module, "trusted_readable", lambda: False)
    monkeypatch.setattr("layerindex.stores.shared.id_maps.id_map_of", lambda *_: None)  # whoever runs this test
    into(connection, root)

    assert ["opaque-unknown"] == codes(connection)
    sql = "SELECT DISTINCT opaque FROM entries JOIN listings USING (listing_id) WHERE source = 'walk' AND type = 'dir'"
    assert [(None,)] == rows(connection, sql)


def give(path: Path, uid: int, gid: int) -> None:
    """Let all that lies below belong to others, as if the engine's root were another outside."""
    for each in [path, *path.rglob("*")]:
        status = each.lstat()
        os.lchown(each, status.st_uid + uid, status.st_gid + gid)
        if not each.is_symlink():
            each.chmod(status.st_mode & 0o7777)  # which the change of owner took


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", ["200000.300000", "docker"])
def test_owners_are_those_inside(connection: sqlite3.Connection, tmp_path: Path, place: str) -> None:
    """Under userns-remap, and of a user's own engine, files belong to whom a container says, and nothing drifts."""
    root = DataRoot(tmp_path / place)
    base = root.layer({"bin/sh": regular(b"#!", mode=0o4755), "etc": None, "etc/conf": b"conf"})
    root.container(root.image(base, ["app:1"]), files={"srv": None, "srv/new": b"n"})
    give(root.path, 200_000, 300_000)
    into(connection, root, walk=True)
    assert rows(connection, "SELECT path, kind, expected, found FROM drift") == []
    owners = "SELECT DISTINCT e.uid, e.gid FROM entries AS e JOIN overlay_dirs USING (listing_id)"
    assert rows(connection, owners) == [(0, 0)]
