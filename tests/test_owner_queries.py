"""The queries about who holds what, and what may go: rows worked out by hand over small stores."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import catalog, database, problems, query, scan, shipped, stores
from layerindex.errors import LayerindexError
from tests.dataroot import NOW, DataRoot, Image, directory, hardlink, opaque, regular, stamp, symlink, whiteout
from tests.rewrite import needed, rewriting
from tests.test_usage import du

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Row = tuple[Any, ...]
    Ask = Callable[..., list[Row]]

METADATA = scan.Options(files=False)
FILES = scan.Options(files=True, jobs=1)
WALK = scan.Options(files=True, walk=True, jobs=1)


def asker(root: DataRoot, options: scan.Options, *changes: str) -> Ask:
    """Scan a root, change its database, and return what asks a query for some columns."""
    path = str(root.path.parent / "asked.db")
    with database.writing(path, lambda _: None) as connection:
        for store in stores.open_stores(str(root.path)):
            scan.scan(connection, store, scan.Filing(scan.Host("one", None)), options)
    with ExitStack() as stack:
        changed = stack.enter_context(stack.enter_context(closing(sqlite3.connect(path))))
        if needed(changed, changes):
            stack.enter_context(rewriting(changed))
        for change in changes:
            changed.execute(change)

    def ask(query_name: str, columns: str, /, **params: str) -> list[Row]:
        canned = catalog.load(query_name)
        with database.reading(path) as connection:
            result = query.run(connection, canned.sql, dict.fromkeys(canned.params) | params)
            places = [result.columns.index(column) for column in columns.split()]
            return [tuple(row[place] for place in places) for row in result.rows]

    return ask


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    """Give an empty data root."""
    return DataRoot(tmp_path / "docker", privileged=os.geteuid() == 0)


# unreferenced-layers ------------------------------------------------------------------------------------------------


def test_layers_that_nothing_needs(root: DataRoot) -> None:
    """A layer without image, container and record above it is left; what one of them holds is not."""
    base = root.layer({"base": b"1"})
    lost = root.layer({"lost": b"22"}, parent=base)
    above = root.layer({"above": b"333"}, parent=lost)
    root.image(base, ["base:1"])
    held, cached = (root.layer({name: b"4"}) for name in ("held", "cached"))
    root.mount(parent=held)
    root.build_record(cached)
    ask = asker(root, WALK)

    expected = [(above.chain_id, 3, 0), (lost.chain_id, 2, 1)]
    assert expected == ask("unreferenced-layers", "chain_id size children")


# orphans ------------------------------------------------------------------------------------------------------------


def test_an_orphan_and_what_is_in_it(root: DataRoot) -> None:
    """A directory that nothing names is one for certain; its newest file tells when it was left."""
    root.image(root.layer({"a": b"1"}), ["a:1"])
    below = root.orphan(files={"old": regular(b"12", mtime=5), "new": regular(b"3", mtime=1_000_000_000)})
    above = root.orphan(parent=below)
    os.utime(root.content_dir(below.cache_id), (0, 0))
    ask = asker(root, FILES)

    found = dict.fromkeys(ask("orphans", "cache_id role confidence reason children lower_count files newest scope"))
    sure = ("orphan", "certain", "nothing names it, and every source that could was read")
    assert (below.cache_id, *sure, above.cache_id, 0, 3, "2001-09-09T01:46:40Z", "files") in found
    assert 2 == len(found)
    assert [(above.cache_id, None), (below.cache_id, above.cache_id)] == sorted(
        ask("orphans", "cache_id children", confidence="certain")
    )


def test_bytes_of_an_orphan(root: DataRoot) -> None:
    """They are those of the whole directory, where all was counted."""
    stray = root.orphan(files={"x": b"1" * 5000})
    assert [(du(root.overlay_dir(stray)),)] == asker(root, WALK)("orphans", "disk_bytes")
    (root.path.parent / "asked.db").unlink()
    assert [(du(root.content_dir(stray.cache_id)),)] == asker(root, FILES)("orphans", "disk_bytes")
    (root.path.parent / "asked.db").unlink()
    assert [(None,)] == asker(root, METADATA)("orphans", "disk_bytes")


def test_not_so_sure(root: DataRoot) -> None:
    """Half written and half removed is likely; with a source unread nothing is said, but which source it was."""
    removed = root.layer({"a": b"1"})
    name = root.removing(removed).name
    written = root.write_set(7, named=True)
    stray = root.orphan()
    (root.path / "buildkit" / "snapshots.db").write_bytes(b"torn")
    found = {
        row[0]: row[1:] for row in asker(root, METADATA)("orphans", "cache_id role confidence reason files newest")
    }

    begun = f"its removal was begun and not finished: {name}"
    assert ("removing", "likely", begun, None, None) == found[removed.cache_id]
    died = "it is being written, or was when the engine died: write-set-7"
    assert ("in-flight", "likely", died, None, None) == found[written.cache_id]
    role, confidence, reason, *_ = found[stray.cache_id]
    assert ("unknown", "unknown") == (role, confidence)
    assert "not every source was read whole" in reason
    assert "buildkit/snapshots.db" in reason


def test_named_in_a_lower(root: DataRoot) -> None:
    """What a live directory stands on is no orphan, and the reason names that directory."""
    stray = root.orphan()
    layer = root.layer({"a": b"1"})
    root.overlay_file(layer, "lower").write_text(f"l/{stray.link}")
    ask = asker(root, METADATA)

    reason = f"nothing owns it, but it is named in the lower of {layer.cache_id}"
    assert [(stray.cache_id, "unknown", reason)] == ask("orphans", "cache_id confidence reason")


# disk-usage ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(root: DataRoot) -> DataRoot:
    """Give a root with something of everything."""
    base = root.layer({"usr/bin/tool": b"x" * 9000, "etc/passwd": b"root"})
    image = root.image(base, ["app:1"])
    root.container(image, name="web", volumes=["data:/data"], log=b"y" * 5000, files={"etc/passwd": b"changed"})
    root.volume("data", {"table": b"z" * 4097})
    root.orphan(files={"lost": b"l" * 100})
    root.buildkit_dir()
    return root


def test_usage_adds_up(full: DataRoot) -> None:
    """After --walk all rows but the last add up to what du prints, unaccounted comes before the total and is 0."""
    # Writing the database beside it does not change the root.
    du = subprocess.run(["du", "-s", "-x", "--block-size=1", full.path], capture_output=True, text=True, check=True)
    size = int(du.stdout.split()[0])
    ask = asker(full, WALK)

    for params in ({}, {"by": "owner"}):
        *rows, rest, total = ask("disk-usage", "category disk_bytes", **params)
        assert ("unaccounted", 0) == rest
        assert ("total", size) == total
        assert size == sum(disk for _, disk in rows)
        assert [disk for _, disk in rows] == sorted((disk for _, disk in rows), reverse=True)
    percents = [percent for (percent,) in ask("disk-usage", "percent")]
    assert 100.0 == percents[-1]
    assert 99 < sum(percents[:-1]) < 101


def test_usage_by_owner(full: DataRoot) -> None:
    """A category's rows have the names of their holders, and what Docker counts of them."""
    ask = asker(full, FILES)

    assert ("image layer", 1, 1) in ask("disk-usage", "category items counted_by_docker")
    assert ("container logs", 1, 0) in ask("disk-usage", "category items counted_by_docker")
    (row, total) = ask("disk-usage", "name items apparent_bytes", category="container logs")
    assert ("web", 1, 5000) == row
    assert (None, 1, 5000) == total
    assert ("app:1",) in ask("disk-usage", "name", category="image layer")
    assert ("data",) in ask("disk-usage", "owner", category="volumes")
    assert [("web",), (None,)] == ask("disk-usage", "name", category="container init")


def test_a_part_that_is_unknown(full: DataRoot) -> None:
    """Of a sum whose part is unknown nothing is said, and of the whole neither, but how many there are."""
    full.layer_file(full.layer({"b": b"1"}), "size").unlink()
    ask = asker(full, METADATA)

    assert ("image layer", 2, None, None) in ask("disk-usage", "category items apparent_bytes disk_bytes")
    ((total, disk, percent, note),) = ask("disk-usage", "category disk_bytes percent note")[-1:]
    assert ("total", None, None) == (total, disk, percent)
    assert note == "only layers and logs were looked at: scan without --no-files, or with --walk"


def test_a_whole_of_which_not_all_was_looked_at(full: DataRoot) -> None:
    """What --no-files left out is in no total, so that there is none, though all the rows have their bytes."""
    *rows, total = asker(full, METADATA)("disk-usage", "category apparent_bytes files disk_bytes percent")

    assert {"image layer", "container logs"} == {category for category, apparent, *_ in rows if apparent}
    assert ("total", None, None, None, None) == total


# build-cache --------------------------------------------------------------------------------------------------------


def test_build_cache(root: DataRoot) -> None:
    """What an image has, and what that stands on, is shared; everything else can be had back."""
    top = root.layer({"b": b"22"}, parent=root.layer({"a": b"1"}))
    root.image(top, ["app:1"])
    only_cache = root.layer({"c": b"333"})
    lowest = root.build_record(None, cache_description="local source")
    shared = root.build_record(top, parent=lowest, snapshot_size=10, cache_usageCount=3)
    alone = root.build_record(only_cache, snapshot_size=20, cache_imageRefs=["docker.io/library/go:1", "alpine"])
    files = root.buildkit_dir(files={"go/x": b"1234"})
    mount = root.build_record(files, committed=False, cache_recordType="exec.cachemount", snapshot_size=30)
    ask = asker(root, WALK)

    found = ask("build-cache", "record_id size reclaimable shared images parents children cache_id usage_count")
    assert found == [
        (mount, 30, 30, 0, None, None, 0, files.cache_id, 0),
        (alone, 20, 20, 0, None, None, 0, only_cache.cache_id, 0),
        (shared, 10, 0, 1, "app:1", lowest, 0, top.cache_id, 3),
        (lowest, None, 0, 1, None, None, 1, None, 0),
    ]
    assert [("alpine, docker.io/library/go:1",)] == [row for row in ask("build-cache", "image_refs") if row[0]]
    ((record, disk),) = ask("build-cache", "record_id disk_bytes", type="exec.cachemount")
    assert record == mount
    assert disk > 0


def test_a_record_whose_data_is_still_anothers(root: DataRoot) -> None:
    """Docker lists and counts the mutable record alone; when that is gone, the other counts for itself."""
    mutable = root.build_record(root.buildkit_dir(), committed=False, snapshot_size=5)
    final = root.build_record(None, equal_mutable=mutable, snapshot_size=5)
    orphaned = root.build_record(None, equal_mutable="9" * 25, snapshot_size=4)
    found = asker(root, METADATA)("build-cache", "record_id reclaimable same_as")

    assert {(mutable, 5, None), (final, 0, mutable), (orphaned, 4, None)} == set(found)


def test_parents_in_a_circle(root: DataRoot) -> None:
    """Records that are each other's parents end, shared all of them when one is."""
    layer = root.layer({"a": b"1"})
    root.image(layer, ["app:1"])
    one = root.build_record(layer, record_id="1" * 25, parent="2" * 25)
    two = root.build_record(None, record_id="2" * 25, parent=one)

    assert [(one, 1, 1), (two, 1, 1)] == asker(root, METADATA)("build-cache", "record_id shared children")


# volumes and logs ---------------------------------------------------------------------------------------------------


def test_volumes(root: DataRoot) -> None:
    """Used, unused and missing; whose name the engine made up; those of another driver are not missing."""
    image = root.image(root.layer({"a": b"1"}), ["a:1"])
    root.container(image, name="web", state="running", volumes=["data:/d", "gone:/g"])
    root.container(image, name="old", volumes=["data:/d"])
    root.volume("data", {"x": b"12345"})
    root.volume("f" * 64)
    shutil.rmtree(root.path / "volumes" / "gone")
    nfs = "UPDATE container_volumes SET name = 'nfs', driver = 'nfs' WHERE name = 'gone'"
    known = [
        ("data", "used", 2, "old (exited), web (running)", 1, 0),
        ("f" * 64, "unused", 0, None, 1, 1),
        ("gone", "missing", 1, "web (running)", 0, 0),
    ]
    columns = "name status refs containers on_disk anonymous"
    assert known == sorted(asker(root, METADATA)("volumes", columns))
    assert [("nfs", "used")] == [row for row in asker(root, METADATA, nfs)("volumes", "name status") if row[0] == "nfs"]


def test_volume_sizes(root: DataRoot) -> None:
    """The largest comes first; what was not measured is not 0."""
    root.volume("small", {"x": b"1"})
    root.volume("large", {"x": b"1" * 50_000})
    ask = asker(root, WALK)

    assert [("large", 2), ("small", 2)] == ask("volumes", "name files")
    assert all(size > 0 for (size,) in ask("volumes", "disk_bytes"))
    assert [None] * 2 == [size for (size,) in asker(root, METADATA)("volumes", "disk_bytes", status="unused")]


def test_files_of_what_is_empty(root: DataRoot) -> None:
    """What is counted is said: of a volume its _data and opts.json too, of a directory its diff folder."""
    root.volume("empty")
    root.volume("mounted", options={"type": "tmpfs", "device": "tmpfs"})
    root.orphan()
    ask = asker(root, WALK)

    assert [("empty", 1), ("mounted", 2)] == sorted(ask("volumes", "name files"))
    assert [(1,)] == ask("orphans", "files")


def test_logs(root: DataRoot) -> None:
    """Rotated files belong to their container; the one who fills the disk comes first."""
    image = root.image(root.layer({"a": b"1"}), ["a:1"])
    quiet = root.container(image, name="quiet", log=b"1")
    loud = root.container(image, name="loud", log=b"x" * 10_000)
    folder = root.path / "containers" / loud.container_id
    (folder / f"{loud.container_id}-json.log.1").write_bytes(b"y" * 10_000)
    ask = asker(root, METADATA)

    path = f"containers/{loud.container_id}/{loud.container_id}-json.log"
    assert ("loud", "json-file", 2, 20_000, path, "a:1") == ask("logs", "name driver files apparent_bytes path image")[
        0
    ]
    assert [(quiet.container_id, 1)] == ask("logs", "container_id files", container=quiet.container_id[:12])


def test_times_sort_as_times(root: DataRoot) -> None:
    """A whole second comes before its parts, which as text it does not."""
    for name in ("first", "second"):
        root.image(root.layer({name: b"1"}), [f"{name}:1"])
    times = "UPDATE part_images SET created_at = (SELECT CASE ref WHEN 'first:1' THEN '{}' ELSE '{}' END {})"
    refs = "FROM image_refs AS r JOIN stored_images AS i USING (image_id) WHERE i.content_id = part_images.part_id"
    ask = asker(root, METADATA, times.format("2026-01-01T00:00:05Z", "2026-01-01T00:00:05.1Z", refs))

    assert [("second",), ("first",)] == ask("images", "repository")


def test_last_use_of_two_times(root: DataRoot) -> None:
    """The later of two times is the one that is later, not the text that is."""
    root.container(root.image(root.layer({"a": b"1"}), ["a:1"]), name="web")
    early = "UPDATE containers SET created_at = NULL, started_at = '2026-01-01T00:00:05Z'"
    late = "UPDATE containers SET finished_at = '2026-01-01T00:00:05.1Z'"
    ask = asker(root, METADATA, early, late, "UPDATE part_stored_images SET last_updated_at = NULL")

    assert [("2026-01-01T00:00:05.1Z",)] == ask("last-used", "last_used")


def test_lineage_of_what_differs_in_config_alone(root: DataRoot) -> None:
    """Of images with the same layers the one that was built on the other is nearer."""
    base = root.layer({"a": b"1"})
    first = root.image(base, ["first:1"])
    second = root.image(base, ["second:1"], parent=first)
    root.image(root.layer({"b": b"2"}, parent=base), ["third:1"], parent=second)
    found = asker(root, METADATA)("lineage", "image base depth")

    assert [("second:1", "first:1", 1), ("third:1", "second:1", 1), ("third:1", "first:1", 2)] == found


def test_bytes_of_a_record_and_its_twin(root: DataRoot) -> None:
    """What two records share is there once, in a comparison and in what a host held."""
    mutable = root.build_record(root.buildkit_dir(), committed=False, snapshot_size=5)
    root.build_record(None, equal_mutable=mutable, snapshot_size=5)
    ask = asker(root, METADATA)
    with database.reading(str(root.path.parent / "asked.db")) as connection:
        rows = list(query.run(connection, shipped.query("compare/totals"), {"a": 1, "b": 1}).rows)

    assert [(7, "build-cache", 2, 2, 5, 5)] == [row for row in rows if row[1] == "build-cache"]
    assert [(5,)] == ask("growth", "cache_bytes")


def test_growth_of_layers_without_a_size(root: DataRoot) -> None:
    """A sum of which a part is unknown is unknown."""
    root.layer({"a": b"1"})
    root.layer_file(root.layer({"b": b"1"}), "size").unlink()

    assert [(2, None)] == asker(root, METADATA)("growth", "layers layer_bytes")


def test_bytes_of_a_layer_at_several_places(root: DataRoot) -> None:
    """Where its size at one of them is unknown, that of all is, not what is known of it."""
    for name in "ab":
        root.image(root.layer({"x": b"12"}, parent=root.layer({name: b"1"})), [f"{name}:1"])
    sized = {row[0]: row[1:] for row in asker(root, METADATA)("layer-hosts", "diff_id places size")}
    (twice,) = (diff_id for diff_id, (places, _) in sized.items() if places == 2)
    assert sized[twice] == (2, 4)
    (root.path.parent / "asked.db").unlink()
    lost = "UPDATE layers SET size = NULL WHERE chain_id = (SELECT min(chain_id) FROM layers WHERE diff_id = '{}')"
    ask = asker(root, METADATA, lost.format(twice))
    assert ask("layer-hosts", "places size", layer=twice) == [(2, None)]
    with database.reading(str(root.path.parent / "asked.db")) as connection:
        rows = list(query.run(connection, shipped.query("compare/layers"), {"a": 1, "b": 0}).rows)
    assert [(row[3], row[4], *row[7:]) for row in rows if row[1] == twice] == [(2, 0, None, None)]


def test_a_directory_by_its_short_name_as_a_path(root: DataRoot) -> None:
    """`dirs` takes the short name of a mount option as `links` does."""
    layer = root.layer({"a": b"1"})
    root.layer({"b": b"1"}, parent=layer)

    assert [(layer.cache_id,)] == asker(root, METADATA)("dirs", "cache_id", dir=f"l/{layer.link}")


# reclaim ------------------------------------------------------------------------------------------------------------

RECLAIM = "object exclusive_layers exclusive_bytes still_shared_bytes blocked_by"


def sized(root: DataRoot, parent: Any, size: int, letter: str) -> Any:  # noqa: ANN401 - a Layer or None
    """Return a layer whose size is round."""
    return root.layer({letter: letter.encode()}, parent=parent, size=size)


def test_reclaim_of_what_is_shared(root: DataRoot) -> None:
    """Alone each image frees its own layers; together they free what only they share."""
    base = sized(root, None, 1000, "a")
    root.image(sized(root, base, 10, "b"), ["b:1"])
    root.image(sized(root, base, 20, "c"), ["c:1"])
    ask = asker(root, METADATA)

    alone = [("c:1", 1, 20, 1000, None), ("b:1", 1, 10, 1000, None)]
    assert alone == ask("reclaim", RECLAIM)
    assert [*alone, ("all of these", 3, 1030, 0, None)] == ask("reclaim", RECLAIM, image=" b:1, c:1")
    assert [alone[0]] == ask("reclaim", RECLAIM, image="c:1")
    unknown = ("image d:1", None, None, None, "nothing of that name")
    assert [unknown, alone[0]] == ask("reclaim", RECLAIM, image="c:1,d:1")


def test_reclaim_by_one_of_several_tags(root: DataRoot) -> None:
    """An image that another tag names stays; by its id, or by all of its tags, it goes, and its digests with them."""
    image = root.image(sized(root, None, 10, "a"), ["a:1", "a:latest", "b:1"])
    root.tag(image, "a@sha256:" + "c" * 64)
    root.tag(image, "b@sha256:" + "c" * 64)
    ask = asker(root, METADATA)
    columns = "exclusive_layers exclusive_bytes still_shared_bytes blocked_by"

    assert [(0, 0, 10, "tag a:latest, tag b:1, tag b@sha256:" + "c" * 64)] == ask("reclaim", columns, image="a:1")
    free = [(1, 10, 0, None)]
    assert free == ask("reclaim", columns, image="a:1,a,b:1")
    refused = [(1, 10, 0, "rmi by id refuses without --force: it has 5 names")]
    assert refused == ask("reclaim", columns, image=image.image_id)
    assert refused == ask("reclaim", columns, image=image.image_id[7:19])
    assert free == ask("reclaim", columns)


def test_reclaim_of_images_with_containers(root: DataRoot) -> None:
    """A container holds the layers of its image until it goes too; a running one does not go."""
    image = root.image(sized(root, None, 10, "a"), ["a:1"])
    root.container(image, name="old", log=b"12345", files={"x": b"123"})
    held = root.image(sized(root, None, 20, "b"), ["b:1"])
    root.container(held, name="busy", state="running")
    ask = asker(root, WALK)

    assert [("a:1", 0, 0, 10, "container old (exited)")] == ask("reclaim", RECLAIM, image="a:1")
    assert [("old", 0, 0, 10, None)] == ask("reclaim", RECLAIM, container="old")
    both = ask("reclaim", f"{RECLAIM} container_bytes disk_bytes", image="a:1", container="old")[-1]
    assert ("all of these", 1, 10, 0, None) == both[:5]
    assert both[5] >= 8
    assert both[6] > 4096
    assert ("busy", 0, 0, 20, "it is running") in ask("reclaim", RECLAIM, container="busy")
    both = ask("reclaim", RECLAIM, image="b:1", container="busy")[-1]
    assert ("all of these", 0, 0, 20, "container busy (running), container busy is running") == both


def test_reclaim_after_a_forced_removal(root: DataRoot) -> None:
    """Layers of an image that is gone go with its last container; writable layers that were not read are unknown."""
    image = root.image(sized(root, None, 10, "a"), ["a:1"])
    root.container(image, name="one")
    root.container(image, name="two")
    root.remove_image(image)
    ask = asker(root, METADATA)

    assert [("one", 0, 0, 10, None), ("two", 0, 0, 10, None)] == ask("reclaim", RECLAIM)
    assert ("all of these", 1, 10, 0, None) == ask("reclaim", RECLAIM, container="one,two")[-1]
    assert {(None, None)} == set(ask("reclaim", "container_bytes disk_bytes"))


def test_reclaim_of_a_family(root: DataRoot) -> None:
    """Untagged parents go with the only child; a child that is named stands in its parent's way."""
    base = sized(root, None, 100, "a")
    step = root.image(base)
    middle = sized(root, base, 10, "b")
    parent = root.image(middle, ["parent:1"], parent=step)
    root.image(sized(root, middle, 1, "c"), ["child:1"], parent=parent)
    ask = asker(root, METADATA)

    blocked = ("parent:1", 0, 0, 110, "child image child:1")
    assert [("child:1", 1, 1, 110, None), blocked] == ask("reclaim", RECLAIM)
    together = ask("reclaim", RECLAIM, image="parent:1,child:1")[-1]
    assert ("all of these", 3, 111, 0, None) == together


def test_reclaim_keeps_what_an_unlisted_image_still_needs(root: DataRoot) -> None:
    """An untagged parent with another child, or with a container, stays."""
    base = sized(root, None, 100, "a")
    step = root.image(base)
    root.image(sized(root, base, 10, "b"), ["b:1"], parent=step)
    root.image(sized(root, base, 20, "c"), ["c:1"], parent=step)
    root.container(step, name="inside")
    ask = asker(root, METADATA)

    assert [("c:1", 1, 20, 100, None), ("b:1", 1, 10, 100, None), ("inside", 0, 0, 100, None)] == ask(
        "reclaim", RECLAIM
    )
    assert ("all of these", 2, 30, 100, None) == ask("reclaim", RECLAIM, image="b:1,c:1")[-1]
    everything = ask("reclaim", RECLAIM, image="b:1,c:1", container="inside")[-1]
    assert ("all of these", 3, 130, 0, None) == everything


def test_reclaim_of_what_the_build_cache_pins(root: DataRoot) -> None:
    """A record keeps its layer and those below, and so do layers that nothing uses."""
    base = sized(root, None, 100, "a")
    middle = sized(root, base, 10, "b")
    root.image(sized(root, middle, 1, "c"), ["a:1"])
    root.build_record(middle)
    lone = sized(root, None, 7, "d")
    root.image(lone, ["d:1"])
    sized(root, lone, 5, "e")
    root.image(sized(root, None, 3, "f"), ["f:1"])
    root.mount("5" * 64, parent=root.image(sized(root, None, 2, "g"), ["g:1"]).layers[-1], init=False)
    ask = asker(root, METADATA)

    assert ask("reclaim", RECLAIM) == [
        ("f:1", 1, 3, 0, None),
        ("a:1", 1, 1, 110, "build cache (2 layers)"),
        ("d:1", 0, 0, 7, "layers that nothing uses (1 layer)"),
        ("g:1", 0, 0, 2, f"mount {'5' * 64}"),
    ]


def test_reclaim_of_ids(root: DataRoot) -> None:
    """Ids are taken as everywhere: with or without sha256:, by any beginning; a name that nothing has is an error."""
    image = root.image(sized(root, None, 10, "a"), ["a:1"])
    container = root.container(root.image(sized(root, None, 20, "b"), ["b:1"]), name="web")
    asker(root, METADATA)
    canned = catalog.load("reclaim")
    digits = image.image_id.removeprefix("sha256:")
    with database.reading(str(root.path.parent / "asked.db")) as connection:

        def whole(**given: str) -> dict[str, str | int | None]:
            return query.resolved(connection, canned, catalog.values(canned, given))

        for word in (digits, digits[:5], image.image_id[:15], image.image_id):
            assert whole(image=f" {word},b:1 ") == {"image": f"{image.image_id},b:1", "container": None}
        assert whole(container=container.container_id[:7]) == {"image": None, "container": container.container_id}
        with pytest.raises(LayerindexError, match="no container 'none' in the selected snapshots") as caught:
            whole(container="web,none")
    assert caught.value.exit_status == 1


def test_reclaim_of_layers_that_a_pruned_cache_left_keys_of(root: DataRoot) -> None:
    """A key of snapshots.db without a record keeps no layer; where the records are torn, it may have one."""
    layer = sized(root, None, 10, "a")
    lone = sized(root, None, 5, "b")
    root.image(layer, ["a:1"])
    keys = {each.chain_id: {"chainid": each.chain_id.encode()} for each in (layer, lone)}
    root.database("buildkit/metadata_v2.db", {"_main": {}})
    root.database("buildkit/snapshots.db", keys)
    ask = asker(root, METADATA)
    assert [("a:1", 1, 10, 0, None)] == ask("reclaim", RECLAIM)
    assert [(lone.chain_id, "unused")] == ask("unreferenced-layers", "chain_id standing")

    (root.path.parent / "asked.db").unlink()
    (root.path / "buildkit" / "metadata_v2.db").write_bytes(b"torn")
    ask = asker(root, METADATA)
    ((_, layers, *_, blocked),) = ask("reclaim", RECLAIM)
    assert layers == 0
    assert "build cache (1 layer)" in blocked
    assert [] == ask("unreferenced-layers", "chain_id")


def test_sums_beyond_63_bits(root: DataRoot) -> None:
    """What a hostile store claims ends no query."""
    image = root.image(sized(root, sized(root, None, 10, "a"), 10, "b"), ["a:1"])
    root.container(image, name="web", log=b"1")
    most = 2**63 - 1
    copied = (
        "INSERT INTO container_logs SELECT snapshot_id, container_id, path || '.1', driver, 1, {0}, 0, NULL FROM {1}"
    )
    ask = asker(
        root,
        METADATA,
        f"UPDATE layers SET size = {most}",
        f"UPDATE disk_usage SET apparent_bytes = {most}",
        f"UPDATE container_logs SET apparent_bytes = {most}",
        copied.format(most, "container_logs"),
    )

    assert (most,) in ask("reclaim", "still_shared_bytes")
    assert (most,) in ask("disk-usage", "apparent_bytes")
    assert [(most,)] == ask("logs", "apparent_bytes")


# last-used ----------------------------------------------------------------------------------------------------------


def test_last_used(root: DataRoot) -> None:
    """The latest trace counts; none is NULL and comes first; what runs is used now."""
    made = {
        name: root.image(root.layer({name: name.encode()}), [f"{name}:1"], created=stamp(number))
        for number, name in enumerate(("never", "running", "exited", "built", "tagged"))
    }
    root.metadata_file(made["tagged"], "lastUpdated").parent.mkdir(parents=True, exist_ok=True)
    root.metadata_file(made["tagged"], "lastUpdated").write_text("2020-01-01T00:00:00Z")
    root.container(made["exited"], name="old")
    root.container(made["running"], name="busy", state="running")
    moment = (NOW - 10 * 86400) * 1_000_000_000
    root.build_record(made["built"].layers[-1], cache_lastUsedAt=moment)
    ask = asker(root, METADATA, "UPDATE snapshots SET started_at = '2033-01-01T00:00:00Z'")

    rows = ask("last-used", "image last_used containers running last_built_on last_updated_at days")
    assert ["never:1", "tagged:1", "built:1", "exited:1", "running:1"] == [row[0] for row in rows]
    assert ("never:1", None, 0, 0, None, None, None) == rows[0]
    assert ("tagged:1", "2020-01-01T00:00:00Z", 0, 0, None, "2020-01-01T00:00:00Z", 4749) == rows[1]
    assert rows[2][1] == rows[2][4] == "2023-11-04T22:13:20Z"
    ((last_used, finished),) = ask("last-used", "last_used last_finished", image="exited:1")
    assert last_used == finished
    assert ("running:1", "2033-01-01T00:00:00Z", 1, 1, None, None, 0) == rows[4]


# stale-mounts and missing-data --------------------------------------------------------------------------------------


def test_stale_mounts(root: DataRoot) -> None:
    """Of whom a writable layer is that no container has, and how old."""
    image = root.image(root.layer({"a": b"1"}), ["a:1"])
    layer = image.layers[-1]
    container = root.container(image, name="web")
    build = root.mount("builder", parent=layer, init=False)
    crashed = root.mount("5" * 64, parent=layer, files={"x": regular(b"123", mtime=1_000_000_000)})
    mounted = root.mount(f"{container.container_id}-a:1", parent=layer, init=False)
    for mount in (build, crashed, mounted):
        os.utime(root.content_dir(mount.mount_id), (0, 0))
    ask = asker(root, WALK, "UPDATE snapshots SET started_at = '2001-09-19T01:46:40Z'")

    known = {
        (build.name, "build mount", None, build.mount_id, None, 1, "a:1", 1),
        (crashed.name, "unknown", None, crashed.mount_id, crashed.init_id, 1, "a:1", 2),
        (mounted.name, "image mount", "web", mounted.mount_id, None, 1, "a:1", 1),
    }
    assert known == set(ask("stale-mounts", "name kind container mount_id init_id on_disk image files"))
    lost = f"containers/{crashed.name} (lost: its writable layer in layerdb/mounts needs it)"
    standings = {(build.name, "used", None), (crashed.name, "unknown", lost), (mounted.name, "used", None)}
    assert standings == set(ask("stale-mounts", "name standing because"))
    whole = sum(du(root.overlay_dir(name)) for name in (crashed.mount_id, str(crashed.init_id)))
    first = ask("stale-mounts", "name newest age_days disk_bytes")[0]
    assert (crashed.name, "2001-09-09T01:46:40Z", 10, whole) == first


def test_stale_mount_without_directory(root: DataRoot) -> None:
    """Only its entry is left: nothing is known of its size, and missing-data has it too."""
    mount = root.mount("5" * 64)
    shutil.rmtree(root.overlay_dir(mount))
    ask = asker(root, WALK)

    assert [("unknown", 0, None, None, None)] == ask("stale-mounts", "kind on_disk apparent_bytes disk_bytes newest")
    missing = [("mount", mount.name, "missing-directory", mount.mount_id)]
    assert missing == ask("missing-data", "kind object code missing")


def test_missing_data(root: DataRoot) -> None:
    """Each thing that metadata names and the disk lacks, under the codes that the scan gave."""
    lost = root.layer({"a": b"1"})
    root.image(lost, ["lost:1"])
    shutil.rmtree(root.layer_dir(lost))
    gone = root.layer({"b": b"1"})
    root.image(gone, ["gone:1"])
    shutil.rmtree(root.overlay_dir(gone))
    parent = root.layer({"c": b"1"})
    child = root.layer({"d": b"1"}, parent=parent)
    shutil.rmtree(root.layer_dir(parent))
    image = root.image(root.layer({"e": b"1"}), ["removed:1"])
    survivor = root.container(image, name="survivor", volumes=["data:/d"])
    root.remove_image(image)
    shutil.rmtree(root.path / "volumes" / "data")
    bare = root.container(Image(image.image_id, image.layers, (), None, b""), name="bare")
    shutil.rmtree(root.mount_file(bare.mount, "mount-id").parent)
    on_lost = root.mount("6" * 64, parent=parent, init=False)
    root.tag("sha256:" + "f" * 64, "ghost:1")
    record = root.build_record(None)
    root.database("volumes/metadata.db", {"volumes": {"old": json.dumps({"Name": "old", "Driver": "local"}).encode()}})
    ask = asker(root, METADATA)
    found = ask("missing-data", "kind object name code missing images")

    assert set(found) == {
        ("layer", gone.chain_id, None, "missing-directory", gone.cache_id, "gone:1"),
        ("layer", child.chain_id, None, "missing-parent", parent.chain_id, None),
        ("mount", on_lost.name, None, "missing-parent", parent.chain_id, None),
        (
            "image",
            ask("last-used", "image_id", image="lost:1")[0][0],
            "lost:1",
            "missing-layer",
            lost.chain_id,
            "lost:1",
        ),
        ("container", survivor.container_id, "survivor", "missing-image", image.image_id, None),
        ("container", bare.container_id, "bare", "missing-image", image.image_id, None),
        ("container", bare.container_id, "bare", "container-without-mount", None, None),
        ("container", survivor.container_id, "survivor", "missing-volume", "data", None),
        ("tag", "ghost:1", None, "missing-image", "sha256:" + "f" * 64, None),
        ("build cache", record, None, "missing-snapshot", record, None),
        ("volume", "old", None, "missing-volume", "old", None),
    }
    assert len(found) == len(set(found))
    assert {row[3] for row in found} <= set(problems.KINDS)
    told = {code for (code,) in ask("problems", "code")}
    assert {row[3] for row in found} <= told


def test_nothing_is_missing(full: DataRoot) -> None:
    """A store in order has no row, nor has one of a driver whose directories are not read."""
    assert [] == asker(full, METADATA)("missing-data", "object")
    root = DataRoot(full.path.parent / "vfs", driver="vfs")
    root.container(root.image(root.layer({"a": b"1"}), ["a:1"]), name="web")
    assert [] == asker(root, METADATA)("missing-data", "object")


# copied-up ----------------------------------------------------------------------------------------------------------


def test_copied_up(root: DataRoot) -> None:
    """What the image shows at the same path, and whether the content can be another."""
    base = root.layer({
        "bin/tool": regular(b"tool", mode=0o755),
        "bin/second": hardlink("bin/tool"),
        "etc/conf": b"old",
        "etc/deleted": b"1",
        "etc/folder/x": b"1",
        "etc/link": symlink("conf"),
        "etc/touched": b"same",
        "opened": b"same",
        "var/lib/db": b"data",
        "work/a": b"1",
    })  # fmt: skip
    top = root.layer(
        {"etc/conf": b"newer", "etc/deleted": whiteout(), "etc/folder": whiteout(), "work": opaque()}, parent=base
    )
    image = root.image(top, ["a:1"])
    root.container(image, name="web", files={
        "added": b"new",
        "bin/second": regular(b"tool", mode=0o700),
        "bin/tool": regular(b"tool", mode=0o700, uid=5 if root.privileged else 0),
        "etc/conf": b"NEWER!!",
        "etc/deleted": b"back",
        "etc/folder/x": b"back",
        "etc/link": b"a file now",
        "etc/touched": regular(b"same", mtime=NOW + 1),
        "opened": b"same",
        "var/lib": directory(),
        "work/a": b"back",
    })  # fmt: skip
    ask = asker(root, FILES)

    assert ask("copied-up", "path size image_size change mode image_mode") == [
        ("/etc/conf", 7, 5, "changed", "0644", "0644"),
        ("/bin/second", 4, 4, "metadata, size and time agree", "0700", "0755"),
        ("/bin/tool", 4, 4, "metadata, size and time agree", "0700", "0755"),
        ("/etc/touched", 4, 4, "changed", "0644", "0644"),
        ("/opened", 4, 4, "size and time agree", "0644", "0644"),
    ]
    layers = {"/etc/conf": top.cache_id, "/opened": base.cache_id}
    assert layers == {path: found for path, found in ask("copied-up", "path cache_id") if path in layers}


def test_copied_up_of_one_container(root: DataRoot) -> None:
    """Each container has its own copies; the init layer's files are not the image's."""
    image = root.image(root.layer({"a": b"12"}), ["a:1"])
    root.container(image, name="one", files={"a": b"123", "etc/hosts": b"x"})
    two = root.container(image, name="two", files={"a": b"1234"})
    ask = asker(root, FILES)

    assert [("two", "/a", 4), ("one", "/a", 3)] == ask("copied-up", "container path size")
    assert [("two",)] == ask("copied-up", "container", container=two.container_id)


def test_a_new_folder_copies_nothing(root: DataRoot) -> None:
    """What lies in a folder that hides the image's was not copied from there."""
    if not root.privileged:
        pytest.skip("opaque folders need root")
    image = root.image(root.layer({"srv/a": b"1", "srv/deep/b": b"1"}), ["a:1"])
    root.container(image, name="web", files={"srv": opaque(), "srv/a": b"2", "srv/deep/b": b"2"})

    assert [] == asker(root, FILES)("copied-up", "path")
