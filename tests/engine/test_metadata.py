"""What the index says of a store equals what the engine that made the store says of it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .archives import ImageSource, Member, Step, archive, pack
from .program import Index, layerindex, scan
from .store import (
    APP,
    BASE,
    BUILDKIT,
    CLASSIC,
    DEEP,
    DEEP_LAYERS,
    EXIT_CODE,
    GONE,
    KIT_APP,
    KIT_SCRATCH,
    MOVED,
    NOTHING,
    STATES,
    TRAVELLED,
    VOLUME,
    Store,
    build,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .engine import Engine

pytestmark = pytest.mark.engine

ALLOWED_WHILE_BUILDING = {"vanished"}
"""Codes of severity `error` that a scan may record because the engine worked meanwhile."""
SCANS_WHILE_BUILDING = 10
ROUNDS_WHILE_SCANNING = 3
MOST_SCANS = 500
NEVER = "0001-01-01T00:00:00Z"
NONE = "<none>"


# What the engine says ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def images(engine: Engine, store: Store) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    """Give `image inspect` of every image, the intermediate ones of the classic builder too, by id."""
    ids = {image["Id"] for image in engine.get("/images/json?all=1")}
    return {image["Id"]: image for image in engine.inspect(*sorted(ids))}


@pytest.fixture(scope="session")
def containers(engine: Engine, store: Store) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    """Give `container inspect` of every container, by name."""
    ids = engine.docker("ps", "-aq", "--no-trunc").split()
    return {container["Name"][1:]: container for container in engine.inspect(*ids, kind="container")}


@pytest.fixture(scope="session")
def usage(engine: Engine, store: Store) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    """Give what `docker system df -v` is printed from, by image id: it leaves intermediate images out."""
    return {image["Id"]: image for image in engine.get("/system/df")["Images"]}


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """Compute chain ids as the OCI image specification says."""
    chains: list[str] = []
    for diff_id in diff_ids:
        text = f"{chains[-1]} {diff_id}" if chains else diff_id
        chains.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if chains else text)
    return chains


def layers_of(image: dict[str, Any]) -> list[str]:
    """Return an image's diff_ids; `inspect` leaves the list out where there are none."""
    return image["RootFS"].get("Layers") or []


def cache_ids(graph_driver: dict[str, Any], key: str) -> list[str]:
    """Return the directories under overlay2 that a path list of `inspect` names, in its order."""
    paths = (graph_driver["Data"] or {}).get(key, "")
    return [Path(path).parent.name for path in paths.split(":") if path]


def refs_of(image: dict[str, Any]) -> list[str]:
    """Return an image's references by tag and by digest."""
    return [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]


def by_name(rows: Iterable[Sequence[Any]]) -> dict[Any, Any]:
    """Key rows by their first column, which must not repeat."""
    listed = [tuple(row) for row in rows]
    assert [] == [key for key, times in Counter(row[0] for row in listed).items() if times > 1]
    return {row[0]: row[1:] for row in listed}


def seconds(when: str) -> int:
    """Return the Unix second of an ISO 8601 text, whatever its fraction."""
    return int(datetime.fromisoformat(when[:19]).replace(tzinfo=UTC).timestamp())


# The store is what it claims to be ---------------------------------------------------------------------------------


def test_store_holds_every_case(
    images: dict[str, dict[str, Any]], containers: dict[str, dict[str, Any]], store: Store
) -> None:
    """The store has each case that the tests are for, so that none of them passes on nothing."""
    refs = {ref: image for image in images.values() for ref in refs_of(image)}

    assert {BASE, *APP, MOVED, NOTHING, DEEP, KIT_SCRATCH, KIT_APP, TRAVELLED, store.pushed} == {
        ref for ref in refs if "@" not in ref
    }
    assert 1 == sum("@" in ref for ref in refs)
    assert 1 == len({refs[ref]["Id"] for ref in APP})
    assert [] == refs_of(images[store.dangling])
    assert [] == layers_of(refs[NOTHING])
    assert DEEP_LAYERS == len(layers_of(refs[DEEP]))
    assert DEEP_LAYERS - 1 == len(set(layers_of(refs[DEEP])))
    assert layers_of(refs[BASE])[0] == layers_of(refs[KIT_APP])[0] == layers_of(refs[TRAVELLED])[0]
    assert 25 == len(cache_ids(refs[KIT_APP]["GraphDriver"], "UpperDir")[0])
    assert "" != refs[APP[0]]["Parent"]
    assert "" == refs[TRAVELLED]["Parent"]
    assert store.gone not in images
    assert STATES == {name: container["State"]["Status"] for name, container in containers.items()}
    assert EXIT_CODE == containers["failed"]["State"]["ExitCode"]
    assert store.gone == containers["bereft"]["Image"]
    assert GONE == containers["bereft"]["Config"]["Image"]


# Tables ------------------------------------------------------------------------------------------------------------


def test_snapshot(index: Index, engine: Engine) -> None:
    """One scan is one snapshot of one store: the containerd that runs the containers holds no images.

    Its content store is not empty, though: the pull of `_push` kept the image's manifest there, as any pull does.
    """
    assert list((engine.root / "containerd/daemon/io.containerd.content.v1.content/blobs/sha256").iterdir())
    sql = "SELECT h.name, s.store, s.root, s.driver FROM snapshots s JOIN hosts h USING (host_id)"

    assert [("h1", "docker-overlay2", str(engine.root), "overlay2")] == index.rows(sql)


def test_healthy_store_has_no_errors(index: Index) -> None:
    """A store that an engine made and runs gives no problem of severity error."""
    assert [] == index.rows("SELECT * FROM problems WHERE severity = 'error'")


def test_images(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """Every image has the time, platform, size and parent of `image inspect`."""
    expected = {
        image["Id"]: (
            image["Created"],
            image["Architecture"],
            image["Os"],
            image["Size"],
            len(layers_of(image)),
            image["Parent"] or None,
        )
        for image in images.values()
    }
    sql = "SELECT image_id, created_at, architecture, os, size, layer_count, parent_image_id FROM images"

    assert expected == by_name(index.rows(sql))


def test_image_config_is_the_image(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """The stored config is the very text whose sha256 is the image's id."""
    configs = index.rows("SELECT image_id, config FROM images")

    assert {(image_id, image_id) for image_id in images} == {
        (image_id, f"sha256:{hashlib.sha256(config.encode()).hexdigest()}") for image_id, config in configs
    }


def test_references(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """Every tag and digest names its image, split at the tag and not at a registry's port."""
    expected = set()
    for image in images.values():
        for ref in image["RepoTags"] or []:
            repository, _, tag = ref.rpartition(":")
            expected.add((ref, repository, tag, None, image["Id"]))
        for ref in image["RepoDigests"] or []:
            repository, _, digest = ref.partition("@")
            expected.add((ref, repository, None, digest, image["Id"]))

    assert expected == set(index.rows("SELECT ref, repository, tag, digest, image_id FROM image_refs"))
    assert ("localhost:5000/team/app", "1") in {row[1:3] for row in expected}


def test_docker_images_digests(index: Index, engine: Engine, images: dict[str, dict[str, Any]]) -> None:
    """The references give the rows of `docker images --all --digests`."""
    tags: dict[tuple[str, str], list[str]] = {}
    digests: dict[tuple[str, str], list[str]] = {}
    for image_id, repository, tag, digest in index.rows("SELECT image_id, repository, tag, digest FROM image_refs"):
        tags.setdefault((image_id, repository), []).extend([tag] if tag else [])
        digests.setdefault((image_id, repository), []).extend([digest] if digest else [])
    built = {
        (key[1], tag, digest, key[0])
        for key in tags
        for tag in tags[key] or [NONE]
        for digest in digests[key] or [NONE]
    }
    built |= {(NONE, NONE, NONE, image_id) for image_id in images.keys() - {key[0] for key in tags}}
    listed = engine.rows("images", "--all", "--digests", "--no-trunc")

    assert {(row["Repository"], row["Tag"], row["Digest"], row["ID"]) for row in listed} == built


def test_image_layers(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """Every image's layers stand in order from the base, each with the chain id that the specification computes."""
    expected = [
        (image["Id"], position, diff_id, chain_id)
        for image in images.values()
        for position, (diff_id, chain_id) in enumerate(zip(layers_of(image), chain_ids(layers_of(image)), strict=True))
    ]
    sql = "SELECT image_id, position, diff_id, chain_id FROM image_layers ORDER BY image_id, position"

    assert sorted(expected) == index.rows(sql)


def test_layers(index: Index, engine: Engine, images: dict[str, dict[str, Any]], store: Store) -> None:
    """Every chain of the layer database is there, with its diff_id and the chain below it."""
    expected: dict[str, tuple[str, str | None]] = {}
    for diff_ids in (store.gone_layers, *map(layers_of, images.values())):
        chains = chain_ids(diff_ids)
        expected |= dict(zip(chains, zip(diff_ids, [None, *chains], strict=False), strict=True))
    on_disk = {f"sha256:{path.name}" for path in (engine.root / "image/overlay2/layerdb/sha256").iterdir()}
    rows = by_name(index.rows("SELECT chain_id, diff_id, parent_chain_id FROM layers"))

    assert on_disk == set(rows)
    assert expected == {chain: row for chain, row in rows.items() if chain in expected}


def test_image_size_is_the_sum_of_its_layers(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """The sizes of an image's layers add up to the size that the engine reports."""
    sql = """SELECT i.image_id, coalesce(sum(l.size), 0) FROM images i LEFT JOIN image_layers il USING (image_id)
             LEFT JOIN layers l USING (chain_id) GROUP BY i.image_id"""

    assert {image["Id"]: (image["Size"],) for image in images.values()} == by_name(index.rows(sql))


def test_layer_directories(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """Every image's directories, from the base up, are those of `GraphDriver`: its lowers reversed, then its upper."""
    sql = """SELECT l.cache_id FROM image_layers il JOIN layers l USING (chain_id)
             WHERE il.image_id = ? ORDER BY il.position"""
    expected = {}
    found = {}
    for image_id, image in images.items():
        driver = image["GraphDriver"]
        expected[image_id] = [*reversed(cache_ids(driver, "LowerDir")), *cache_ids(driver, "UpperDir")]
        found[image_id] = [cache_id for (cache_id,) in index.rows(sql, image_id)]

    assert expected == found
    assert DEEP_LAYERS in map(len, found.values())


def test_lowers(index: Index, images: dict[str, dict[str, Any]], containers: dict[str, dict[str, Any]]) -> None:
    """Every directory of an image's top layer or of a container has the lowers of `GraphDriver`, nearest first."""
    sql = "SELECT lower_cache_id, position FROM overlay_lowers WHERE cache_id = ? ORDER BY position"
    drivers = [item["GraphDriver"] for item in (*images.values(), *containers.values()) if item["GraphDriver"]["Data"]]
    expected = {
        cache_ids(driver, "UpperDir")[0]: [(lower, at) for at, lower in enumerate(cache_ids(driver, "LowerDir"))]
        for driver in drivers
    }

    assert expected == {cache_id: index.rows(sql, cache_id) for cache_id in expected}
    assert expected.keys() == {Path(driver["Data"]["WorkDir"]).parent.name for driver in drivers}
    assert expected.keys() == {Path(driver["Data"]["MergedDir"]).parent.name for driver in drivers}


def test_lower_links(index: Index, engine: Engine) -> None:
    """The lowers of every directory are, link by link, what its `lower` file says."""
    folder = engine.root / "overlay2"
    expected = [
        (path.parent.name, position, item.removeprefix("l/"), Path(os.readlink(folder / item)).parent.name)
        for path in folder.glob("*/lower")
        for position, item in enumerate(path.read_text().split(":"))
    ]
    sql = "SELECT cache_id, position, link, lower_cache_id FROM overlay_lowers ORDER BY cache_id, position"

    assert sorted(expected) == index.rows(sql)


def test_links(index: Index, engine: Engine) -> None:
    """Every short link has the target and the directory that it has on disk."""
    expected = {
        path.name: (os.readlink(path), Path(os.readlink(path)).parent.name)
        for path in (engine.root / "overlay2/l").iterdir()
    }

    assert expected == by_name(index.rows("SELECT link, target, cache_id FROM links"))


def test_overlay_directories(index: Index, engine: Engine) -> None:
    """Every directory of overlay2 is there with its link, its count of lowers and the parts that it has on disk."""
    expected = {}
    for path in (engine.root / "overlay2").iterdir():
        if path.name != "l":
            lower = path / "lower"
            expected[path.name] = (
                (path / "link").read_text(),
                len(lower.read_text().split(":")) if lower.exists() else 0,
                *((path / part).exists() for part in ("diff", "work", "merged", "committed")),
            )
    sql = "SELECT cache_id, link, lower_count, has_diff, has_work, has_merged, committed FROM overlay_dirs"

    assert expected == by_name(index.rows(sql))


def test_roles(index: Index, images: dict[str, dict[str, Any]], containers: dict[str, dict[str, Any]]) -> None:
    """A directory of an image is a layer, one of a container is the container's or its init, and none is an orphan."""
    expected: dict[str, tuple[str]] = {}
    for item in images.values():
        for key in ("LowerDir", "UpperDir"):
            expected |= dict.fromkeys(cache_ids(item["GraphDriver"], key), ("layer",))
    for item in containers.values():
        [mount_id] = cache_ids(item["GraphDriver"], "UpperDir")
        expected |= {mount_id: ("container",), f"{mount_id}-init": ("init",)}
    found = by_name(index.rows("SELECT cache_id, role FROM overlay_dirs"))

    assert expected == {cache_id: found[cache_id] for cache_id in expected}
    assert ("orphan",) not in found.values()


def test_history(index: Index, engine: Engine, images: dict[str, dict[str, Any]]) -> None:
    """Every step of `docker history` is there with its time, command, comment and size, oldest first."""
    sql = """SELECT h.created_at, h.created_by, coalesce(h.comment, ''), coalesce(l.size, 0)
             FROM image_history h
             LEFT JOIN image_layers il ON il.image_id = h.image_id AND il.position = h.layer_position
             LEFT JOIN layers l USING (chain_id)
             WHERE h.image_id = ? ORDER BY h.position"""
    for image_id, image in images.items():
        steps = reversed(engine.get(f"/images/{image_id}/history"))
        expected = [(step["Created"], step["CreatedBy"], step["Comment"], step["Size"]) for step in steps]
        found = [(seconds(row[0]), row[1] or "", *row[2:]) for row in index.rows(sql, image_id)]

        assert expected == found, refs_of(image)


def test_empty_steps(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """Steps without a layer have no position, the others number an image's layers from its base."""
    sql = "SELECT layer_position, empty_layer FROM image_history WHERE image_id = ? ORDER BY position"
    for image_id, image in images.items():
        rows = index.rows(sql, image_id)

        assert list(range(len(layers_of(image)))) == [at for at, _ in rows if at is not None], refs_of(image)
        assert [at is None for at, _ in rows] == [bool(empty) for _, empty in rows]


def test_pushed_digests(index: Index, store: Store) -> None:
    """The compressed layers that a push and a pull left behind have the digests of the registry's manifest."""
    repository = store.pushed.rpartition(":")[0]
    expected = {(diff_id, digest, repository) for diff_id, digest in store.blobs.items()}

    assert expected == set(index.rows("SELECT diff_id, digest, source_repository FROM layer_blobs"))


def test_containers(index: Index, containers: dict[str, dict[str, Any]]) -> None:
    """Every container has the name, image, state, times, exit code, directory and log of `inspect` and `ps`."""
    expected = {}
    for name, item in containers.items():
        state, log = item["State"], item["LogPath"]
        expected[item["Id"]] = (
            name,
            item["Image"],
            item["Config"]["Image"],
            state["Status"],
            item["Created"],
            None if state["StartedAt"] == NEVER else state["StartedAt"],
            None if state["FinishedAt"] == NEVER else state["FinishedAt"],
            state["ExitCode"],
            item["Driver"],
            *cache_ids(item["GraphDriver"], "UpperDir"),
            Path(log).stat().st_size if log else 0,
            log,
            item["HostConfig"]["LogConfig"]["Type"],
        )
    sql = """SELECT container_id, name, image_id, image_ref, state, created_at, started_at, finished_at, exit_code,
             driver, mount_id, coalesce(log_bytes, 0), coalesce(log_path, ''), log_driver FROM containers"""

    assert expected == by_name(index.rows(sql))
    assert 0 < expected[containers["runs"]["Id"]][10]


def test_ps(index: Index, engine: Engine, store: Store) -> None:  # noqa: ARG001
    """The index has the ids, names and states that `docker ps --all` lists."""
    listed = {(row["ID"], row["Names"], row["State"]) for row in engine.rows("ps", "--all", "--no-trunc")}

    assert listed == set(index.rows("SELECT container_id, name, state FROM containers"))


def test_mounts(
    index: Index, images: dict[str, dict[str, Any]], containers: dict[str, dict[str, Any]], store: Store
) -> None:
    """Every container's mount names its directory, its init directory and the chain of its image, removed or not."""
    diff_ids = {image_id: layers_of(image) for image_id, image in images.items()} | {store.gone: store.gone_layers}
    expected = {}
    for item in containers.values():
        [mount_id] = cache_ids(item["GraphDriver"], "UpperDir")
        init_id = cache_ids(item["GraphDriver"], "LowerDir")[0]
        chains = chain_ids(diff_ids[item["Image"]])
        expected[item["Id"]] = (mount_id, init_id, chains[-1] if chains else None, item["Id"])
    sql = "SELECT name, mount_id, init_id, parent_chain_id, container_id FROM mounts"

    assert expected == by_name(index.rows(sql))


def test_volumes_of_containers(index: Index, containers: dict[str, dict[str, Any]]) -> None:
    """Every volume and bind of a container is there as `inspect` lists it."""
    expected = {
        (item["Id"], mount["Destination"], mount["Type"], mount.get("Name", ""), mount["RW"], mount.get("Driver", ""))
        for item in containers.values()
        for mount in item["Mounts"]
    }
    sql = """SELECT container_id, destination, type, coalesce(name, ''), read_write, coalesce(driver, '')
             FROM container_volumes"""

    assert expected == set(index.rows(sql))
    assert (containers["runs"]["Id"], "/named", "volume", VOLUME, True, "local") in expected


def test_sources_of_volumes(index: Index, containers: dict[str, dict[str, Any]]) -> None:
    """A bind has its source on the host; a volume has its folder, where the engine wrote it down at all."""
    sources = {
        (item["Id"], mount["Destination"]): (mount["Type"], mount["Source"])
        for item in containers.values()
        for mount in item["Mounts"]
    }
    rows = index.rows("SELECT container_id, destination, source FROM container_volumes")

    assert sources.keys() == {row[:2] for row in rows}
    for container_id, destination, found in rows:
        kind, source = sources[container_id, destination]

        assert found in ({source} if kind == "bind" else {source, "", None}), destination


def test_volumes(index: Index, engine: Engine, store: Store) -> None:  # noqa: ARG001
    """The index has the volumes of `docker volume ls`."""
    listed = {(row["Name"], row["Driver"]) for row in engine.rows("volume", "ls")}

    assert listed == set(index.rows("SELECT name, driver FROM volumes"))
    assert (VOLUME, "local") in listed


# Canned queries ----------------------------------------------------------------------------------------------------


def test_query_images(index: Index, usage: dict[str, dict[str, Any]], store: Store) -> None:
    """`images` gives the size, shared and unique size and the count of containers of `docker system df -v`."""
    expected = {
        image_id: (
            image["Size"],
            image["SharedSize"],
            image["Size"] - image["SharedSize"],
            image["Containers"],
            image_id == store.dangling,
        )
        for image_id, image in usage.items()
    }
    columns = ("image_id", "size", "shared_size", "unique_size", "containers", "dangling")
    rows = {tuple(row[column] for column in columns) for row in index.query("images")}

    assert expected == by_name(rows)


def test_tree(index: Index, usage: dict[str, dict[str, Any]], engine: Engine) -> None:
    """A tree's layers that images have add up to the engine's LayersSize, and each image has its sizes."""
    (found,) = json.loads(layerindex("tree", "--db", index.path, "--format", "json").stdout)
    images = {image["image_id"]: image for node in found["nodes"] for image in node["images"] if image["listed"]}
    assert {image_id: (image["Size"], image["SharedSize"]) for image_id, image in usage.items()} == {
        image_id: (image["size"], image["shared_size"]) for image_id, image in images.items()
    }
    with_images = [node["size"] for node in found["nodes"] if node["standing"] is None]
    assert engine.get("/system/df")["LayersSize"] == sum(with_images)


def test_query_images_lists_what_docker_images_lists(index: Index, engine: Engine) -> None:
    """`images` has one row for each image of `docker images`, with all of its tags."""
    listed = {
        (row["ID"], "" if row["Tag"] == NONE else f"{row['Repository']}:{row['Tag']}")
        for row in engine.rows("images", "--no-trunc")
    }
    names = by_name((row["image_id"], row["names"] or "") for row in index.query("images"))

    assert listed == {(image_id, name) for image_id, (tags,) in names.items() for name in tags.split(", ")}


def test_query_shared_layers(index: Index, images: dict[str, dict[str, Any]], usage: dict[str, dict[str, Any]]) -> None:
    """`shared-layers` lists each layer of more than one image, its images, its directory and what sharing saves."""
    users: dict[str, list[str]] = {}
    diff_ids: dict[str, str] = {}
    for image_id in usage:
        layers = layers_of(images[image_id])
        for chain_id, diff_id in zip(chain_ids(layers), layers, strict=True):
            users.setdefault(chain_id, []).append(image_id)
            diff_ids[chain_id] = diff_id
    shared = {chain_id: ids for chain_id, ids in users.items() if len(ids) > 1}
    cache_sizes = by_name(index.rows("SELECT chain_id, cache_id, size FROM layers"))
    expected = {
        chain_id: (
            diff_ids[chain_id],
            cache_sizes[chain_id][0],
            cache_sizes[chain_id][1],
            len(ids),
            (len(ids) - 1) * cache_sizes[chain_id][1],
        )
        for chain_id, ids in shared.items()
    }
    columns = ("chain_id", "diff_id", "cache_id", "size", "images", "saved_bytes")
    rows = index.query("shared-layers")

    assert expected == by_name([[row[column] for column in columns] for row in rows])
    for row in rows:
        for image_id in shared[row["chain_id"]]:
            assert all(ref in row["image_names"] for ref in images[image_id]["RepoTags"] or [])


def test_query_image_layers(index: Index, engine: Engine, images: dict[str, dict[str, Any]]) -> None:
    """`image-layers` explains each layer of one image: position, ids, directory, link, size and command."""
    image = next(image for image in images.values() if APP[0] in refs_of(image))
    diff_ids = layers_of(image)
    driver = image["GraphDriver"]
    directories = [*reversed(cache_ids(driver, "LowerDir")), *cache_ids(driver, "UpperDir")]
    steps = [step for step in reversed(engine.get(f"/images/{image['Id']}/history")) if step["Size"]]
    expected = [
        (
            position,
            diff_id,
            chain_ids(diff_ids)[position],
            directories[position],
            (engine.root / "overlay2" / directories[position] / "link").read_text(),
            steps[position]["Size"],
            steps[position]["CreatedBy"],
        )
        for position, diff_id in enumerate(diff_ids)
    ]
    columns = ("position", "diff_id", "chain_id", "cache_id", "link", "size")
    for name in (APP[0], APP[2]):
        rows = index.query("image-layers", image=name)

        assert expected == [(*(row[column] for column in columns), row["created_by"] or "") for row in rows]


def test_query_history(index: Index, engine: Engine) -> None:
    """`history` has the commands and sizes of `docker history`, whichever end it begins with."""
    for name in (APP[0], DEEP, NOTHING, KIT_APP):
        expected = sorted((step["CreatedBy"], step["Size"]) for step in engine.get(f"/images/{name}/history"))
        rows = index.query("history", image=name)

        assert expected == sorted((row["created_by"] or "", row["size"] or 0) for row in rows), name


def test_query_dangling_images(index: Index, engine: Engine, store: Store) -> None:
    """`dangling-images` lists what `docker images --filter dangling=true` lists."""
    listed = engine.docker("images", "-q", "--no-trunc", "--filter", "dangling=true").split()

    assert [store.dangling] == listed
    assert listed == [row["image_id"] for row in index.query("dangling-images")]


def test_query_unused_images(index: Index, usage: dict[str, dict[str, Any]]) -> None:
    """`unused-images` lists the images of `docker system df -v` that no container was made of."""
    expected = {image_id for image_id, image in usage.items() if image["Containers"] == 0}

    assert expected == {row["image_id"] for row in index.query("unused-images")} & usage.keys()


def test_query_children(index: Index, images: dict[str, dict[str, Any]]) -> None:
    """`children` lists the images that the classic builder made on top of one, the intermediate ones too."""
    base = next(image_id for image_id, image in images.items() if BASE in refs_of(image))
    expected = {image_id for image_id, image in images.items() if image["Parent"] == base}
    rows = index.query("children", image=BASE)

    assert expected
    assert expected == {row["child_id"] for row in rows if row["relation"] == "child"}


def test_query_containers(index: Index, containers: dict[str, dict[str, Any]]) -> None:
    """`containers` lists each container with its name, state and image."""
    expected = {
        item["Id"]: (name, item["State"]["Status"], item["Config"]["Image"]) for name, item in containers.items()
    }
    columns = ("container_id", "name", "state", "image_ref")

    assert expected == by_name([[row[column] for column in columns] for row in index.query("containers")])


# The engine works meanwhile ----------------------------------------------------------------------------------------


def test_scan_writes_nothing_to_the_store(engine: Engine, index: Index, tmp_path: Path) -> None:
    """A scan leaves every file of the metadata with the mode, size and times that it had."""

    def state() -> dict[str, tuple[int, ...]]:
        return {
            str(path): (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            for folder in ("image", "overlay2/l", "containers", "volumes", "buildkit")
            for path in (engine.root / folder).rglob("*")
            for status in (path.lstat(),)
        }

    assert index.path.exists()
    before = state()
    scan(engine.root, tmp_path / "again.db")

    assert before == state()


def test_scan_while_the_engine_builds(idle_engine: Engine, tmp_path: Path) -> None:
    """Scans of a store in which builds, loads and removals go on all exit 0 and record no lasting error."""
    build(idle_engine, BASE, "FROM scratch\nCOPY app /app\n", {"app": b"base\n"}, CLASSIC)
    done = threading.Event()
    rounds: list[int] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            while not done.is_set():
                _change_the_store(idle_engine, len(rounds))
                rounds.append(len(rounds))
        except Exception as error:  # noqa: BLE001 (told by the test's thread)
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    scans = 0
    try:
        while worker.is_alive() and (scans < SCANS_WHILE_BUILDING or len(rounds) < ROUNDS_WHILE_SCANNING):
            # A database each, so that a failure keeps the snapshot which met the trouble.
            found = scan(idle_engine.root, tmp_path / f"{scans}.db")
            scans += 1
            problems = found.rows("SELECT code, path, subject, detail FROM problems WHERE severity = 'error'")

            assert [] == [problem for problem in problems if problem[0] not in ALLOWED_WHILE_BUILDING]
            assert scans < MOST_SCANS
    finally:
        done.set()
        worker.join()

    assert [] == failures


def _change_the_store(engine: Engine, number: int) -> None:
    """Build with both builders, load three layers, make a container, and remove it all."""
    content = {"app": f"{number}\n".encode()}
    layers = [pack([Member(f"round/{number}/{layer}", content["app"])]) for layer in range(3)]
    build(engine, "live:classic", f"FROM {BASE}\nCOPY app /live\nENV round={number}\n", content, CLASSIC)
    build(engine, "live:kit", f"FROM {BASE}\nCOPY app /kit\n", content, BUILDKIT)
    engine.docker("load", input=archive([ImageSource(["live:loaded"], [Step("ADD round", layer) for layer in layers])]))
    engine.docker("create", "--network", "none", "--name", "live", "live:classic", "/none")
    engine.docker("rm", "live")
    engine.docker("rmi", "live:classic", "live:kit", "live:loaded")


def test_scan_after_the_engine_stopped(idle_engine: Engine, tmp_path: Path) -> None:
    """A store whose engine has stopped reads the same as while it ran."""
    build(idle_engine, BASE, "FROM scratch\nCOPY app /app\n", {"app": b"base\n"}, CLASSIC)
    idle_engine.docker("create", "--network", "none", "--name", "waits", BASE, "/none")
    sql = "SELECT image_id, chain_id, cache_id FROM image_layers JOIN layers USING (chain_id) ORDER BY position"
    running = scan(idle_engine.root, tmp_path / "running.db").rows(sql)
    idle_engine.stop()
    stopped = scan(idle_engine.root, tmp_path / "stopped.db")

    assert 1 == len(running)
    assert running == stopped.rows(sql)
    assert [("waits", "created")] == stopped.rows("SELECT name, state FROM containers")
    assert [] == stopped.rows("SELECT * FROM problems WHERE severity = 'error'")
