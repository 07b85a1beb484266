"""Records of the build cache and the directories they hold, as `read_buildkit` finds them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from layerindex.problems import Damage
from layerindex.records import BuildCache, BuildCacheParent, Record, Use
from layerindex.stores.disk.files import Folder
from layerindex.stores.shared import buildkit as reader
from layerindex.stores.shared.buildkit import read_buildkit
from layerindex.stores.shared.claims import Claims
from layerindex.stores.shared.running import NEVER
from tests.bolt_writer import bolt, mutations
from tests.conftest import in_time
from tests.dataroot import DataRoot, Layer

if TYPE_CHECKING:
    from pathlib import Path

SNAPSHOTS = "buildkit/snapshots.db"
METADATA = "buildkit/metadata_v2.db"
CHAIN = f"sha256:{'c' * 64}"
ID = "a" * 25
OTHER = "b" * 25


class Found:
    """What was found in a root."""

    def __init__(self, root: DataRoot, *layers: Layer) -> None:
        self.claims = Claims()
        with Folder(str(root.path)) as folder, in_time():
            chains = {layer.chain_id: layer.cache_id for layer in layers}
            self.items: list[Record | Damage] = list(read_buildkit(folder, chains, self.claims))
        self.rows = {item.record_id: item for item in self.items if isinstance(item, BuildCache)}
        self.parents = [item for item in self.items if isinstance(item, BuildCacheParent)]
        self.problems = [item.problem for item in self.items if isinstance(item, Damage)]

    @property
    def codes(self) -> list[tuple[str, str | None]]:
        """The code and subject of each finding."""
        return [(problem.code, problem.subject) for problem in self.problems]

    @property
    def lost(self) -> list[str]:
        """The records that have lost their data."""
        return [item.user for item in self.items if isinstance(item, Use)]

    @property
    def doubted(self) -> list[str]:
        """The sources that may name more directories than could be read."""
        return [source.path for source in self.claims.sources if source.state not in ("read", "absent")]

    @property
    def owners(self) -> dict[str, set[tuple[str, str]]]:
        """The reasons for each directory."""
        return {cache_id: set(owners) for cache_id, owners in self.claims.owners.items()}


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Give a root without any build cache."""
    return DataRoot(tmp_path / "docker")


def record(**values: object) -> dict[str, bytes]:
    """Return a record's bucket."""
    return {name.replace("_", ".", 1): json.dumps({"value": value}).encode() for name, value in values.items()}


def write(root: DataRoot, snapshots: object, records: object) -> None:
    root.database(SNAPSHOTS, snapshots)  # type: ignore[arg-type] # trees of any shape
    root.database(METADATA, {"_main": records})


# Records -------------------------------------------------------------------------------------------------------------


def test_nothing(root: DataRoot) -> None:
    """A folder without databases is of an engine that never built: no doubt."""
    found = Found(root)
    assert [] == found.items
    assert [] == found.doubted
    (root.path / "buildkit").rmdir()
    assert ["missing"] == [problem.code for problem in Found(root).problems]


def test_fresh(root: DataRoot) -> None:
    """Nor do empty databases leave one."""
    root.database(SNAPSHOTS, {})
    root.database(METADATA, {})
    found = Found(root)
    assert [] == found.items
    assert [] == found.doubted


def test_every_value(root: DataRoot) -> None:
    """Each column is what the record says."""
    values = record(
        cache_description="mount / from exec /bin/sh -c make",
        cache_recordType="exec.cachemount",
        cache_createdAt=1700000000123456789,
        cache_lastUsedAt=1700000001000000000,
        cache_usageCount=3,
        cache_parent=OTHER,
        cache_imageRefs=["docker.io/library/alpine:3", "x"],
        cache_diffID=CHAIN,
        cache_chainID=CHAIN,
        cache_deleted=False,
        snapshot_size=1234,
        snapshot_committed=True,
    )
    values["cache-dir:/root/.cache"] = b'{"value":"cache-dir:/root/.cache","index":"cache-dir:/root/.cache"}'
    values["cache.equalMutable"] = b""
    values["local.sharedKey:x"] = b"not JSON"
    write(root, {ID: {"parent": b""}, OTHER: {"parent": b""}}, {ID: values, OTHER: record()})
    found = Found(root)
    assert [] == found.problems
    assert found.rows[ID] == BuildCache(
        record_id=ID,
        cache_id=ID,
        parent_record_id=OTHER,
        description="mount / from exec /bin/sh -c make",
        record_type="exec.cachemount",
        size=1234,
        created_at="2023-11-14T22:13:20.123456789Z",
        last_used_at="2023-11-14T22:13:21Z",
        usage_count=3,
        snapshot_key=ID,
        committed=1,
        equal_mutable=None,
        chain_id=CHAIN,
        diff_id=CHAIN,
        image_refs='["docker.io/library/alpine:3","x"]',
        cache_mount="/root/.cache",
        deleting=0,
    )
    assert found.rows[OTHER] == BuildCache(
        OTHER, OTHER, None, None, "regular", None, None, None, 0, OTHER, 0, None, None, None, None, None, 0
    )
    assert [BuildCacheParent(ID, 0, OTHER)] == found.parents


def test_cache_mount_of_newer_buildkit(root: DataRoot) -> None:
    """BuildKit 0.10 and later has one key for the id."""
    values = {"cache-dir": b'{"value":"/npm","index":"cache-dir:/npm"}'}
    write(root, {ID: {"parent": b""}}, {ID: values})
    assert "/npm" == Found(root).rows[ID].cache_mount


def test_size_not_measured(root: DataRoot) -> None:
    """-1 is no size; what can still be written to shares the size of its committed twin, as Docker prints it."""
    mutable = root.buildkit_dir()
    first = root.build_record(mutable, committed=False)
    second = root.build_record(mutable, equal_mutable=first, snapshot_size=77)
    found = Found(root)
    assert (77, 77) == (found.rows[first].size, found.rows[second].size)
    alone = root.build_record(root.buildkit_dir(), committed=False)
    assert None is Found(root).rows[alone].size


def test_parents(root: DataRoot) -> None:
    """A merge has several parents, a difference two."""
    merged = record(cache_mergeParents=[ID, OTHER, ID])
    apart = record(cache_lowerDiffParent=ID, cache_upperDiffParent=OTHER)
    records = {ID: record(), OTHER: record(), "m" * 25: merged, "d" * 25: apart}
    write(root, {key: {"parent": b""} for key in records}, records)
    assert [
        BuildCacheParent("d" * 25, 0, ID),
        BuildCacheParent("d" * 25, 1, OTHER),
        BuildCacheParent("m" * 25, 0, ID),
        BuildCacheParent("m" * 25, 1, OTHER),
    ] == Found(root).parents


@pytest.mark.parametrize("circle", [[ID], [ID, OTHER], [ID, OTHER, "c" * 25]])
def test_parents_in_a_circle(root: DataRoot, circle: list[str]) -> None:
    """Parents in a circle are a finding."""
    below = dict(zip(circle, [*circle[1:], circle[0]], strict=True))
    write(root, {key: {"parent": b""} for key in circle}, {key: record(cache_parent=below[key]) for key in circle})
    found = Found(root)
    assert ["parent-circle"] == [problem.code for problem in found.problems]
    assert set(circle) == set(found.rows)
    assert [] == found.doubted


# Directories ---------------------------------------------------------------------------------------------------------


def test_mutable(root: DataRoot) -> None:
    """What can still be written to is in the directory of its own name."""
    data = root.buildkit_dir()
    made = root.build_record(data, committed=False)
    found = Found(root)
    assert made == data.cache_id == found.rows[made].cache_id
    assert {made: {("build-cache", made)}} == found.owners


def test_committed(root: DataRoot) -> None:
    """What was committed is in the directory that was written to."""
    data = root.buildkit_dir()
    made = root.build_record(data)
    found = Found(root)
    assert data.cache_id == found.rows[made].cache_id
    assert {data.cache_id: {("build-cache", made)}} == found.owners


def test_equal_mutable(root: DataRoot) -> None:
    """Until it is finalized, a record has no snapshot but that of the one it equals."""
    data = root.buildkit_dir()
    first = root.build_record(data, committed=False)
    second = root.build_record(data, equal_mutable=first)
    found = Found(root)
    assert [] == found.problems
    assert (data.cache_id, first, first) == (
        found.rows[second].cache_id,
        found.rows[second].equal_mutable,
        found.rows[second].snapshot_key,
    )
    assert {data.cache_id: {("build-cache", first), ("build-cache", second)}} == found.owners


def test_equal_mutable_that_is_gone(root: DataRoot) -> None:
    """A crash while it was finalized leaves a record that names a mutable one that is gone."""
    write(
        root,
        {ID: {"committed": OTHER.encode()}, OTHER: {"parent": b"", "iscommitted": b""}},
        {ID: record(cache_equalMutable=OTHER, snapshot_committed=True)},
    )
    assert OTHER == Found(root).rows[ID].cache_id
    write(root, {OTHER: {"parent": b""}}, {ID: record(cache_equalMutable=OTHER, snapshot_committed=True)})
    assert OTHER == Found(root).rows[ID].cache_id


def test_layer_of_an_image(root: DataRoot) -> None:
    """A record of an image's layer pins its directory, whatever becomes of the image."""
    layer = root.layer({"a": b"b"})
    made = root.build_record(layer, cache_chainID=layer.chain_id, cache_diffID=layer.diff_id)
    found = Found(root, layer)
    row = found.rows[made]
    assert (layer.cache_id, layer.chain_id, layer.chain_id) == (row.cache_id, row.chain_id, row.snapshot_key)
    assert {layer.cache_id: {("build-cache", made)}} == found.owners


def test_layer_made_of_a_snapshot(root: DataRoot) -> None:
    """What was exported as a layer is in its own directory, and pins the layer's where that is another."""
    layer = root.layer({"a": b"b"})
    data = root.buildkit_dir()
    snapshots = {
        ID: {"committed": data.cache_id.encode(), "chainid": layer.chain_id.encode()},
        data.cache_id: {"parent": b"", "iscommitted": b""},
    }
    write(root, snapshots, {ID: record(snapshot_committed=True)})
    found = Found(root, layer)
    assert (data.cache_id, layer.chain_id) == (found.rows[ID].cache_id, found.rows[ID].chain_id)
    assert {data.cache_id: {("build-cache", ID)}, layer.cache_id: {("build-cache", ID)}} == found.owners


def test_snapshots_without_record(root: DataRoot) -> None:
    """What a crash left is held all the same: BuildKit does not remove it."""
    layer, data = root.layer({"a": b"b"}), root.buildkit_dir()
    snapshots = {
        data.cache_id: {"parent": layer.chain_id.encode(), "iscommitted": b""},
        ID: {"committed": data.cache_id.encode()},
        layer.chain_id: {},
        "1700000000-lease": {"chainid": layer.chain_id.encode()},
    }
    write(root, snapshots, {})
    found = Found(root, layer)
    assert {
        data.cache_id: {("build-snapshot", ID), ("build-snapshot", data.cache_id)},
        layer.cache_id: {("build-snapshot", layer.chain_id), ("build-snapshot", "1700000000-lease")},
    } == found.owners
    assert ([], []) == (found.problems, found.doubted)


def test_only_a_blob(root: DataRoot) -> None:
    """A layer that was not unpacked has no directory, and none is missing."""
    write(root, {}, {ID: record(cache_blobonly=True, cache_snapshot=CHAIN, cache_chainID=CHAIN)})
    found = Found(root)
    assert [] == found.problems
    assert (None, CHAIN) == (found.rows[ID].cache_id, found.rows[ID].chain_id)


def test_record_without_snapshot(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that lost its data is a finding, unless an engine may be about to remove it."""
    records = {ID: record(snapshot_committed=True), OTHER: record(), "d" * 25: record(cache_deleted=True)}
    write(root, {}, records)
    for since, lost in ((NEVER, [ID, OTHER, "d" * 25]), (None, [ID]), (1700000000.0, [ID])):
        monkeypatch.setattr(reader, "running_since", lambda _, since=since: since)
        found = Found(root)
        assert sorted(lost) == sorted(found.lost)
        assert {name: {("removing", name)} for name in records} == found.owners
        assert {None} == {row.cache_id for row in found.rows.values()}
        assert 1 == found.rows["d" * 25].deleting
        assert [METADATA] == found.doubted  # whose directory is unknown, and may be there still


def test_layer_that_is_gone(root: DataRoot) -> None:
    """So is one whose layer layerdb no longer has; one that came after layerdb was read has not."""
    layer = root.layer({"a": b"b"})
    made = root.build_record(layer)
    assert [] == Found(root).problems
    write(root, {CHAIN: {}}, {ID: record(cache_snapshot=CHAIN, snapshot_committed=True)})
    found = Found(root, layer)
    assert [ID] == found.lost
    assert made not in found.rows


def test_old_databases(root: DataRoot) -> None:
    """Before Docker 20.10, metadata.db leaves to snapshots.db what is committed and what the parent is."""
    layer, data = root.layer({"a": b"b"}), root.buildkit_dir()
    snapshots = {
        layer.chain_id: {},
        ID: {"committed": data.cache_id.encode()},
        data.cache_id: {"parent": layer.chain_id.encode()},
        OTHER: {"parent": ID.encode()},
    }
    root.database(SNAPSHOTS, snapshots)
    records = {layer.chain_id: record(), ID: record(), OTHER: record()}
    root.database("buildkit/metadata.db", {"_main": records})
    found = Found(root, layer)
    assert [] == found.problems
    assert [1, 0, 1] == [found.rows[key].committed for key in (ID, OTHER, layer.chain_id)]
    assert [BuildCacheParent(ID, 0, layer.chain_id), BuildCacheParent(OTHER, 0, ID)] == found.parents
    assert [data.cache_id, OTHER, layer.cache_id] == [row.cache_id for row in found.rows.values()]
    root.database(METADATA, {})
    assert {} == Found(root, layer).rows  # the old file is stale beside the new one


# Damage --------------------------------------------------------------------------------------------------------------


def test_no_snapshots(root: DataRoot) -> None:
    """Without snapshots.db nobody knows what BuildKit holds."""
    made = root.build_record(root.buildkit_dir())
    root.file(SNAPSHOTS).unlink()
    found = Found(root)
    assert [SNAPSHOTS] == found.doubted
    assert [("missing", None)] == found.codes
    assert {} == found.owners
    assert None is found.rows[made].cache_id


def test_no_metadata(root: DataRoot) -> None:
    """Without metadata_v2.db it is known which directories are held, not for what."""
    data = root.buildkit_dir()
    made = root.build_record(data)
    root.file(METADATA).unlink()
    found = Found(root)
    assert ([], [("missing", None)]) == (found.doubted, found.codes)
    assert {data.cache_id: {("build-cache", made), ("build-cache", data.cache_id)}} == found.owners


@pytest.mark.parametrize("content", [b"", b"x" * 10000, bolt({})[:8192]])
@pytest.mark.parametrize("name", [SNAPSHOTS, METADATA])
def test_unreadable(root: DataRoot, name: str, content: bytes) -> None:
    """What cannot be read leaves a doubt, where it names directories."""
    root.build_record(root.buildkit_dir())
    root.file(name).write_bytes(content)
    found = Found(root)
    assert ([SNAPSHOTS] if name == SNAPSHOTS else []) == found.doubted
    assert {name} == {problem.path for problem in found.problems}
    assert "removing" not in {kind for owners in found.owners.values() for kind, _ in owners}


def test_folder_is_none(root: DataRoot) -> None:
    """A symlink is not followed."""
    root.file("buildkit").rmdir()
    os.symlink("/etc", root.file("buildkit"))
    found = Found(root)
    assert (["buildkit"], [("elsewhere", None)]) == (found.doubted, found.codes)


@pytest.mark.parametrize(
    ("snapshots", "found"),
    [
        ({"../../etc": {"parent": b""}}, ("bad-id", "../../etc")),
        ({"\x1b[2J": {"parent": b""}}, ("bad-id", "\\x1b[2J")),
        ({b"\xff": {"parent": b""}}, ("bad-id", "\\xff")),
        ({ID: {"committed": b"../../etc"}}, ("bad-id", ID)),
        ({ID: {"chainid": b"sha256:../../etc"}}, ("bad-id", ID)),
        ({ID: {"parent": b"nobody/../x"}}, ("bad-id", ID)),
        ({ID: b"bytes"}, ("bad-value", ID)),
    ],
)
def test_bad_snapshots(root: DataRoot, snapshots: object, found: tuple[str, str]) -> None:
    """An id that looks like none is never used, and leaves a doubt."""
    write(root, snapshots, {})
    seen = Found(root)
    assert ([found], [SNAPSHOTS]) == (seen.codes, seen.doubted)
    assert set(seen.owners) <= {ID}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"cache.description": b"{"}, "bad-json"),
        ({"cache.description": b"\xff"}, "bad-json"),
        ({"cache.description": b"[" * 100_000}, "bad-json"),
        ({"cache.description": b"[]"}, "bad-value"),
        (record(cache_description=1), "bad-value"),
        (record(cache_createdAt="yesterday"), "bad-value"),
        (record(cache_createdAt=2**63), "bad-value"),
        (record(cache_usageCount=True), "bad-value"),
        (record(snapshot_committed="yes"), "bad-value"),
        (record(cache_parent="../x"), "bad-value"),
        (record(cache_mergeParents="x"), "bad-value"),
        (record(cache_snapshot="../../etc"), "bad-value"),
        (record(cache_equalMutable="../../etc"), "bad-value"),
        (record(cache_chainID="sha256:x"), "bad-value"),
        (record(cache_imageRefs=[1]), "bad-value"),
    ],
)
def test_bad_values(root: DataRoot, values: dict[str, bytes], code: str) -> None:
    """A bad value costs its column, and no doubt about directories."""
    write(root, {ID: {"parent": b""}}, {ID: values})
    found = Found(root)
    assert [(code, ID)] == found.codes
    assert ID == found.rows[ID].cache_id
    assert [] == found.doubted


def test_bad_records(root: DataRoot) -> None:
    """A record must be a bucket, and have an id."""
    write(root, {}, {ID: b"bytes", "../x": record()})
    found = Found(root)
    assert [("bad-id", None), ("bad-value", ID)] == sorted(found.codes)
    assert {} == found.rows


@pytest.mark.parametrize("moment", [0, -(2**63), 2**63 - 1, 1_700_000_000_100_000_000])
def test_any_moment(root: DataRoot, moment: int) -> None:
    """Every moment that fits in the file has a text."""
    write(root, {ID: {"parent": b""}}, {ID: record(cache_createdAt=moment)})
    text = Found(root).rows[ID].created_at
    expected = {
        0: "1970-01-01T00:00:00Z",
        -(2**63): "1677-09-21T00:12:43.145224192Z",
        2**63 - 1: "2262-04-11T23:47:16.854775807Z",
    }
    assert expected.get(moment, "2023-11-14T22:13:20.1Z") == text


def test_fuzz(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in the files, it ends in rows and findings; what is torn in snapshots.db leaves a doubt."""
    monkeypatch.setattr(reader, "running_since", lambda _: NEVER)
    layer = root.layer({"a": b"b"})
    parent = root.build_record(layer)
    for number in range(2):
        data = root.buildkit_dir(parent=layer)
        mutable = root.build_record(data, committed=False, parent=parent, cache_description=f"step {number}" * 30)
        parent = root.build_record(data, parent=parent, equal_mutable=mutable)
        parent = root.build_record(root.buildkit_dir(), parent=parent, cache_imageRefs=["x"] * number)
    for name, seed in ((SNAPSHOTS, 1), (METADATA, 2)):
        whole = root.file(name).read_bytes()
        for content in mutations(whole, 2500, seed):
            root.file(name).write_bytes(content)
            found = Found(root, layer)
            torn = {problem.path for problem in found.problems if problem.code in ("bolt-page", "bad-bolt")}
            assert found.doubted or SNAPSHOTS not in torn
        for end in range(0, len(whole), 4096):
            root.file(name).write_bytes(whole[:end])
            assert Found(root, layer).problems
        root.file(name).write_bytes(whole)
    assert [] == Found(root, layer).problems
