"""What `layerindex show` says of ids and lines that a real engine prints equals what the engine says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .program import Index, layerindex
from .store import APP, BASE, DEEP, DEEP_LAYERS, KIT_APP, VOLUME, Store

if TYPE_CHECKING:
    from .engine import Engine

    Row = dict[str, Any]

pytestmark = pytest.mark.engine

RUNNING = "runs"


def one(index: Index, thing: str) -> Row:
    """Return the only answer."""
    (answer,) = index.show(thing)
    return answer


def directories(data: dict[str, str]) -> list[str]:
    """Return the directories of a GraphDriver.Data, the upper first."""
    paths = [data["UpperDir"], *data.get("LowerDir", "").split(":")]
    return [Path(path).parent.name for path in paths if path]


@pytest.fixture(scope="session")
def inspected(engine: Engine, store: Store) -> Row:  # noqa: ARG001
    """Give `docker inspect` of the running container."""
    (found,) = engine.inspect(RUNNING, kind="container")
    return found


def test_the_mount_lines_of_a_container(engine: Engine, index: Index, inspected: Row) -> None:
    """Its lines of /proc/mounts and /proc/self/mountinfo show its directories, the writable one first."""
    data = inspected["GraphDriver"]["Data"]
    for table in ("/proc/mounts", "/proc/self/mountinfo"):
        lines = [line for line in Path(table).read_text().splitlines() if f" {data['MergedDir']} " in line]
        assert 1 == len(lines), (table, engine.root)
        found = index.show(lines[0])

        assert directories(data) == [row["id"] for row in found]
        assert "upper" == found[0]["part"]
        assert [RUNNING] == [c["container"] for c in found[0]["containers"]]
        assert [RUNNING in {c["container"] for c in row["containers"]} for row in found] == [True] * len(found)


def test_what_docker_inspect_prints(engine: Engine, index: Index, inspected: Row) -> None:
    """The whole of docker inspect, its GraphDriver, and each path in it."""
    data = inspected["GraphDriver"]["Data"]
    whole = engine.docker("inspect", RUNNING)
    for thing in (
        whole,
        json.dumps(inspected["GraphDriver"]),
        engine.docker("inspect", "-f", "{{.GraphDriver.Data}}", RUNNING),
    ):
        assert directories(data) == [row["id"] for row in index.show(thing)]
    assert directories(data)[1:] == [row["id"] for row in index.show(f"lowerdir={data['LowerDir']}")]
    for key in ("UpperDir", "MergedDir", "WorkDir"):
        assert [directories(data)[0]] == [row["id"] for row in index.show(data[key])]


def test_container(index: Index, inspected: Row) -> None:
    """A container by name, id and short id: state, image and directories are those of docker inspect."""
    for thing in (RUNNING, inspected["Id"], inspected["Id"][:12]):
        row = one(index, thing)
        box = row["container"]

        assert (inspected["Id"], "running", inspected["Image"]) == (box["container_id"], box["state"], box["image_id"])
        assert directories(inspected["GraphDriver"]["Data"]) == [y["directory"] for y in row["container_layers"]]
        assert {m["Destination"] for m in inspected["Mounts"]} <= {m["destination"] for m in row["container_mounts"]}


def test_every_directory_of_every_container(engine: Engine, index: Index, store: Store) -> None:  # noqa: ARG001
    """Each writable directory leads to its container, by the path that docker inspect prints."""
    ids = engine.docker("ps", "-aq", "--no-trunc").split()
    for container in engine.inspect(*ids, kind="container"):
        row = one(index, f"{container['GraphDriver']['Data']['UpperDir']}/etc/passwd")

        assert "container" == row["directory"]["role"]
        assert [container["Id"]] == [
            c["container_id"] for c in row["containers"] if c["uses_it_as"] == "writable layer"
        ]


@pytest.mark.parametrize("name", [*APP, BASE, DEEP, KIT_APP])
def test_image(engine: Engine, index: Index, name: str) -> None:
    """An image by each name: id, layers and directories are those of docker image inspect."""
    (image,) = engine.inspect(name)
    row = one(index, name)
    data = image["GraphDriver"]["Data"]

    assert image["Id"] == row["id"] == one(index, image["Id"][7:19])["id"]
    assert image["RootFS"]["Layers"] == [y["diff_id"] for y in row["image_layers"]]
    assert directories(data)[::-1] == [y["directory"] for y in row["image_layers"]]
    assert image["Size"] == row["image"]["size"]
    assert set(image["RepoTags"]) <= {n["reference"] for n in row["image_names"]}


def test_layers_of_an_image(engine: Engine, index: Index) -> None:
    """Each directory of a deep image leads to its diff_id, its place and the image."""
    (image,) = engine.inspect(DEEP)
    found = index.show(json.dumps(image))

    assert DEEP_LAYERS == len(found)
    assert image["RootFS"]["Layers"][::-1] == [row["layers"][0]["diff_id"] for row in found]
    assert [*range(DEEP_LAYERS)][::-1] == [row["layers"][0]["position"] for row in found]
    assert all(DEEP in {i["image"] for i in row["images"]} for row in found)


def test_files(engine: Engine, index: Index, inspected: Row) -> None:
    """What a running container shows through merged, and where that lies."""
    data = inspected["GraphDriver"]["Data"]
    merged = one(index, f"{data['MergedDir']}/srv/app")
    holder = next(file for file in merged["file"] if file["visible"])
    gone = one(index, f"{data['MergedDir']}/etc/passwd")
    said = engine.docker("exec", RUNNING, "/bin/busybox", "stat", "-c", "%s %a", "/srv/app").split()

    assert said == [str(holder["size"]), holder["mode"].lstrip("0")]
    assert (engine.root / "overlay2" / holder["directory"] / "diff/srv/app").is_file()
    assert 1 == next(s["visible"] for s in merged["shows"] if s["name"] == RUNNING)
    assert ["whiteout", "file"] == [file["type"] for file in gone["file"]]
    assert [0, 0] == [file["visible"] for file in gone["file"]]


def test_volume(engine: Engine, index: Index) -> None:
    """A volume by its name and by its mount point."""
    (volume,) = engine.inspect(VOLUME, kind="volume")
    for thing in (VOLUME, volume["Mountpoint"], f"{volume['Mountpoint']}/some/file"):
        row = one(index, thing)

        assert [(RUNNING, "/named")] == [(c["container"], c["destination"]) for c in row["volume_containers"]]
        assert volume["Mountpoint"] == row["volume"]["location"]


def test_build_cache(engine: Engine, index: Index) -> None:
    """Each record that the engine counts is found by its id, once the index has BuildKit's databases."""
    records = engine.get("/system/df")["BuildCache"] or []
    if not index.rows("SELECT 1 FROM build_cache LIMIT 1"):
        pytest.skip("the scan read no build-cache records")
    assert records
    for record in records:
        row = one(index, record["ID"])
        assert ("build-cache", record["Description"]) == (row["kind"], row["record"]["description"])


@pytest.mark.parametrize("table", ["mountinfo", "mounts"])
def test_mounts_of_a_process(engine: Engine, index: Index, inspected: Row, table: str) -> None:
    """The whole of what the kernel says of its mounts names its directories, and by their folders also its volumes."""
    text = Path(f"/proc/{inspected['State']['Pid']}/{table}").read_text()
    stack = directories(inspected["GraphDriver"]["Data"])
    found = index.show(text)

    assert stack == [row["id"] for row in found if row["part"]]
    others = {row["id"] for row in found if not row["part"]}
    volumes = {mount["Name"] for mount in inspected["Mounts"] if mount["Type"] == "volume"}
    assert others == ({inspected["Id"], *volumes} if table == "mountinfo" else set())
    assert len(text.splitlines()) > 5
    printed = layerindex("show", "--db", index.path, "--", text).stdout
    stacked, images, *_ = printed.split("\n\n")
    (image,) = engine.inspect(inspected["Image"])
    whole = [line for line in images.splitlines()[2:] if image["Id"][7:19] in line]
    layers = str(len(image["RootFS"]["Layers"]))
    assert [layers, layers] == whole[0].split()[-3:-1]
    assert RUNNING in stacked


def test_group_of_a_process(engine: Engine, index: Index, inspected: Row) -> None:
    """The whole of its control groups leads to the container; so do the names that others give it."""
    text = Path(f"/proc/{inspected['State']['Pid']}/cgroup").read_text()
    container = inspected["Id"]

    assert container in text
    for thing in (
        text,
        f"docker://{container}",
        f"docker-{container}.scope",
        f"/docker/{container}",
        f"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{container}/init.pid",
        engine.docker("ps", "--no-trunc", "--filter", f"name={RUNNING}", "--format", "{{json .}}"),
        f'level=info msg="ignoring event" container={container} module=libcontainerd topic=/tasks/delete',
    ):
        assert {container} == {row["id"] for row in index.show(thing)}, thing


def test_lines_of_the_engines_log(engine: Engine, index: Index, store: Store) -> None:  # noqa: ARG001
    """What the engine logs of containers that are there leads to these, line by line."""
    ids = set(engine.docker("ps", "-aq", "--no-trunc").split())
    lines = [line for line in engine.log().splitlines() if any(each in line for each in ids)]
    assert lines
    for line in lines[:20]:
        found = index.show(line)
        assert {each for each in ids if each in line} == {row["id"] for row in found if row["kind"] == "container"}
