"""`layerindex show`: every kind of thing and every form of a path, what is said of it, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from layerindex import catalog, database, query
from layerindex.cli import group
from layerindex.errors import UsageError
from layerindex.show import answers, paths, things
from tests.conftest import program
from tests.dataroot import Container, DataRoot, Image, Layer, Mount, OverlayDir, regular, symlink, whiteout
from tests.rewrite import changing, rewriting
from tests.test_file_queries import BASE, MIDDLE, TOP, ask, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    Row = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[1] / "queries" / "show"
FILES = sorted(path.stem for path in FOLDER.glob("*.sql"))
RECORD, PARENT = "k" * 24 + "1", "k" * 24 + "2"
MEGABYTE = 1 << 20


class Shop(NamedTuple):
    """The database of two hosts, and what is in the first."""

    db: str
    root: DataRoot
    base: Layer
    top: Layer
    web: Image
    redis: Image
    box: Container
    cache: OverlayDir
    orphan: OverlayDir
    doubted: OverlayDir
    mount: Mount
    blob: str

    @property
    def upper(self) -> str:
        """The directory of the container's writable layer."""
        return self.box.mount.mount_id


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Give a database with one of every kind of thing."""
    folder = tmp_path_factory.mktemp("show")
    db = str(folder / "show.db")
    root = DataRoot(folder / "one", seed=1, privileged=os.geteuid() == 0)
    files = {**BASE, "etc/link": symlink("passwd"), "srv/a b": b"space", os.fsdecode(b"caf\xe9"): b"1"}
    base = root.layer(files)
    top = root.layer({"srv/app": b"v2", "srv/old": whiteout()}, parent=base)
    web = root.image(top, ["acme/web:1.0", "acme/web:latest"])
    redis = root.image(base, ["redis:latest"])
    box = root.container(
        web, name="box", state="running", volumes=["data:/data:ro"], files={"tmp/miner": regular(b"xmr", mode=0o755)}
    )
    root.container(redis, name="redis", volumes=["lost:/lost"])
    blob = root.distribution(base)
    cache = root.buildkit_dir(parent=base)
    orphan = root.orphan(parent=base, files={"left": b"over"})
    doubted = root.orphan()
    mount = root.mount("container-debian_12", parent=base, init=False)
    scanned(db, root.path, "one")
    other = DataRoot(folder / "two", seed=2)
    other.image(other.layer(files), ["plain:1"])
    scanned(db, other.path, "two")
    with closing(sqlite3.connect(db)) as connection, connection:
        _add_by_hand(connection, root, cache, orphan, doubted)
    return Shop(db, root, base, top, web, redis, box, cache, orphan, doubted, mount, blob)


def _add_by_hand(
    connection: sqlite3.Connection, root: DataRoot, cache: OverlayDir, orphan: OverlayDir, doubted: OverlayDir
) -> None:
    """Write what a small data root cannot hold: BuildKit's records, and the roles that follow from them."""
    columns = "snapshot_id, record_id, cache_id, parent_record_id, description, record_type, deleting"
    record = f"INSERT INTO build_cache ({columns})"
    connection.execute(
        f"{record} VALUES (1, ?, ?, ?, 'mount / from exec make', 'regular', 0)", (RECORD, cache.cache_id, PARENT)
    )
    connection.execute(f"{record} VALUES (1, ?, NULL, ?, 'local source', 'source.local', 0)", (PARENT, RECORD))
    roles = ((cache, "build-cache", None), (orphan, "orphan", None), (doubted, "unknown", "buildkit/snapshots.db"))
    with rewriting(connection):
        for made, role, because in roles:
            connection.execute("DELETE FROM recorded_uses WHERE snapshot_id = 1 AND used = ?", (made.cache_id,))
            connection.execute(
                "UPDATE overlay_dirs SET role = ?, unknown_because = ? WHERE snapshot_id = 1 AND cache_id = ?",
                (role, because, made.cache_id),
            )
        use = "INSERT INTO recorded_uses VALUES (1, 'directory', ?, 'build-cache', ?, 'build cache')"
        connection.execute(use, (cache.cache_id, RECORD))
    connection.execute("DELETE FROM volumes WHERE name = 'lost'")
    connection.execute("UPDATE snapshots SET root = '/var/lib/docker' WHERE root = ?", (str(root.path),))


def run(shop: Shop, thing: str, *words: str, **options: Any) -> Result:  # noqa: ANN401 - CliRunner's own
    """Run show within this process."""
    return CliRunner().invoke(group, ["show", *words, "--db", shop.db, "--", thing], prog_name="layerindex", **options)


def shown(shop: Shop, thing: str, *words: str) -> list[Row]:
    """Return the answers about the first host, or that which the words choose."""
    result = run(shop, thing, "--format", "json", *(words or ("--host", "one")))
    assert (0, "") == (result.exit_code, result.stderr)
    found: list[Row] = json.loads(result.stdout)
    return found


def one(shop: Shop, thing: str) -> Row:
    """Return the only answer."""
    (answer,) = shown(shop, thing)
    return answer


# What a thing may be called ------------------------------------------------------------------------------------------


def names(shop: Shop) -> dict[str, list[str]]:
    """Return every way to name some things, by what is then shown."""
    base, top, box, cache = shop.base, shop.top, shop.box, shop.cache
    up, root = shop.upper, "/var/lib/docker"
    chain, blob = top.chain_id.removeprefix("sha256:"), shop.blob.removeprefix("sha256:")
    return {
        f"image {shop.web.image_id}": [
            *("acme/web:1.0", "acme/web", "docker.io/acme/web", shop.web.image_id, shop.web.image_id[7:]),
            *(shop.web.image_id[7:19], shop.web.image_id[:15]),
            f"{root}/image/overlay2/imagedb/content/sha256/{shop.web.image_id[7:]}",
            f"imagedb/metadata/sha256/{shop.web.image_id[7:]}/lastUpdated",
            json.dumps({"Id": shop.web.image_id, "RepoTags": []}),
        ],
        f"layer {top.chain_id}": [
            *(top.chain_id, chain, chain[:8], top.diff_id, top.diff_id[7:19]),
            f"{root}/image/overlay2/layerdb/sha256/{chain}/cache-id",
            f"image/overlay2/distribution/v2metadata-by-diffid/sha256/{top.diff_id[7:]}",
        ],
        f"layer {base.chain_id}": [
            *(base.chain_id, base.diff_id[7:], shop.blob, blob[:12]),
            f"image/overlay2/distribution/diffid-by-digest/sha256/{blob}",
        ],
        f"directory {top.cache_id}": [
            *(top.cache_id, top.cache_id[:10], top.link, top.link[:6]),
            *(f"overlay2/{top.cache_id}", f"{top.cache_id}/diff", f"../{top.cache_id}/diff", f"l/{top.link}"),
            *(
                f"{root}/overlay2/l/{top.link}",
                f"{root}/overlay2/l/{top.link}/srv/app",
                f"overlay2/l/../{top.cache_id}",
            ),
            *(
                f"{root}/overlay2/{top.cache_id}/diff/srv/app",
                f"/mnt/overlay2/2024/docker/overlay2/{top.cache_id}/link",
            ),
            *(f"/mnt/evidence/docker/overlay2/{top.cache_id[:12]}/merged", f'"{root}/overlay2/{top.cache_id}/diff",'),
            f"  {root}/overlay2/{top.cache_id}/work\n",
        ],
        f"directory {up}": [up, up[:12], box.mount.link, f"overlay {root}/overlay2/{up}/merged overlay rw 0 0"],
        f"directory {up}-init": [f"{up}-init", f"{up[:12]}-init", f"overlay2/{up}-init/diff/etc"],
        f"directory {shop.mount.mount_id}": [
            *("container-debian_12", f"{root}/image/overlay2/layerdb/mounts/container-debian_12/mount-id"),
        ],
        f"container {box.container_id}": [
            *("box", "/box", box.container_id, box.container_id[:12], f"containers/{box.container_id}"),
            *(
                f"{root}/containers/{box.container_id}/{box.container_id}-json.log",
                f"/backup/containers/{box.container_id}/x",
            ),
            f"shm {root}/containers/{box.container_id}/mounts/shm tmpfs rw,nosuid 0 0",
        ],
        f"build-cache {RECORD}": [RECORD],
        f"directory {cache.cache_id}": [cache.cache_id, cache.cache_id[:6], f"overlay2/{cache.cache_id}/diff"],
        "volume data": [
            "data",
            f"{root}/volumes/data/_data/file",
            json.dumps([{"Mountpoint": "/x/volumes/data/_data", "Name": "data"}]),
            "volumes/data",
            "/mnt/x/volumes/data",
        ],
        "volume lost": ["lost"],
    }


def test_every_name(shop: Shop) -> None:
    """Every way to name a thing leads to it and to nothing else."""
    expected = {word: what for what, words in names(shop).items() for word in words}
    found = {word: " and ".join(f"{row['kind']} {row['id']}" for row in shown(shop, word)) for word in expected}

    assert expected == found


def test_unfinished_layers(tmp_path: Path) -> None:
    """What moby left half written or half removed leads to its directory."""
    root = DataRoot(tmp_path / "docker")
    layer = root.layer({"a": b"1"})
    removing = root.removing(layer).name
    writing = root.write_set(7, named=True)
    db = str(tmp_path / "one.db")
    scanned(db, root.path)
    for thing, cache_id, role in (
        (f"image/overlay2/layerdb/sha256/{removing}", layer.cache_id, "removing"),
        (removing, layer.cache_id, "removing"),
        (layer.chain_id, layer.cache_id, "removing"),
        ("/x/layerdb/tmp/write-set-7/diff", writing.cache_id, "in-flight"),
    ):
        (row,) = json.loads(CliRunner().invoke(group, ["show", thing, "--db", db, "--format", "json"]).stdout)
        assert (cache_id, role) == (row["directory"]["directory"], row["directory"]["role"]), thing


def test_a_name_of_two_things_shows_both(shop: Shop) -> None:
    """An image and a container of one name are both answers, the container first, as in `docker inspect`."""
    found = [(row["kind"], row["matched"]) for row in shown(shop, "redis")]

    assert [("container", "container name"), ("image", "image reference")] == found


def test_hosts(shop: Shop) -> None:
    """What several hosts have is shown for each, with its name; a host can be chosen."""
    both = shown(shop, shop.base.diff_id, "--host", "one", "--host", "two")
    text = run(shop, shop.base.diff_id).stdout

    assert ["one", "two"] == [row["snapshot"]["host"] for row in both]
    assert [2] == [row["snapshot"]["snapshot_id"] for row in shown(shop, shop.base.diff_id, "--snapshot", "two")]
    assert " on one, /var/lib/docker as of " in text
    assert " on two, " in text


def test_a_root_decides_between_stores(shop: Shop) -> None:
    """A path below the root of a scanned store is of that store; any other is of whichever has it."""
    path = f"{shop.root.path.parent}/two/overlay2/{shop.base.cache_id}"

    assert ["one"] == [row["snapshot"]["host"] for row in shown(shop, path, "--host", "one", "--host", "two")]
    assert 1 == len(shown(shop, "/var/lib/docker/volumes/data", "--host", "one", "--host", "two"))


def test_a_file_cannot_pass_for_another_directory(shop: Shop) -> None:
    """A path inside a layer that looks like a path of the store stays inside the layer."""
    row = one(shop, f"/x/overlay2/{shop.upper}/diff/overlay2/{shop.base.cache_id}/diff/srv/app")

    assert (shop.upper, f"/overlay2/{shop.base.cache_id}/diff/srv/app") == (row["id"], row["path"])


@pytest.mark.parametrize(
    "name",
    [
        *("x,upperdir=/x/overlay2/{}/diff", "x lowerdir=/x/overlay2/{}/diff", "x:/x/overlay2/{}/diff", "l/a:/{}/diff"),
        *('x "UpperDir": "/x/overlay2/{}/diff"', "x UpperDir:/x/overlay2/{}/diff", "x /x/overlay2/{}/diff a b 0 0"),
        *("1 1 1:1 / /x/overlay2/{}/diff a - overlay overlay rw", "a /x/overlay2/{}/diff", "../diff/{}/diff/x"),
    ],
)
def test_a_file_cannot_pass_for_mount_options(shop: Shop, name: str) -> None:
    """Whatever a file is called, its path leads to the directory it lies in."""
    for prefix in ("/var/lib/docker/", "/mnt/copy/", ""):
        row = one(shop, f"{prefix}overlay2/{shop.upper}/diff/tmp/{name.format(shop.base.cache_id)}")
        assert shop.upper == row["id"]
        assert shop.base.cache_id in row["path"]


# What is said -------------------------------------------------------------------------------------------------------


def test_directory_of_a_layer(shop: Shop) -> None:
    """The chain from a directory to images and containers."""
    row = one(shop, f"overlay2/{shop.base.cache_id}")
    directory = row["directory"]

    assert f"/var/lib/docker/overlay2/{shop.base.cache_id}" == directory["location"]
    assert ("layer", shop.base.link, 0) == (directory["role"], directory["link"], directory["lowers"])
    assert {"kind": "layer", "owner": shop.base.chain_id, "name": "2 images"} in row["owners"]
    assert [(shop.base.chain_id, shop.base.diff_id, 0, 1, shop.blob)] == [
        (y["chain_id"], y["diff_id"], y["position"], y["verified"], y["pulled_as"]) for y in row["layers"]
    ]
    assert [("acme/web:1.0, acme/web:latest", 0, 2, 1), ("redis:latest", 0, 1, 1)] == [
        (i["image"], i["position"], i["layers"], i["containers"]) for i in row["images"]
    ]
    assert "/bin/sh -c #(nop) COPY layer 0" == row["images"][0]["created_by"]
    assert [("box", "running", "layer below", shop.upper), ("redis", "exited", "layer below")] == [
        (c["container"], c["state"], c["uses_it_as"], c["writable"])[: 4 if c["container"] == "box" else 3]
        for c in row["containers"]
    ]


def test_directory_of_a_container(shop: Shop) -> None:
    """A writable layer leads to its container; its init layer too."""
    for name, used in ((shop.upper, "writable layer"), (f"{shop.upper}-init", "init layer")):
        row = one(shop, name)

        assert [("box", used)] == [(c["container"], c["uses_it_as"]) for c in row["containers"]]
        assert ["box"] == [owner["name"] for owner in row["owners"]]


def test_orphan(shop: Shop) -> None:
    """An orphan is called one, with the reason, and with the time of its newest, as the query `orphans` has it."""
    row = one(shop, shop.orphan.cache_id)
    text = run(shop, shop.orphan.cache_id).stdout

    assert ("orphan", []) == (row["directory"]["role"], row["owners"])
    assert row["directory"]["why"].startswith("nothing names it: no layer, container, mount or build-cache record")
    assert row["directory"]["why"].endswith("layerindex deletes nothing")
    with database.reading(shop.db) as connection:
        found: dict[str, str] = dict(ask(connection, "orphans", "cache_id newest"))
    assert found[shop.orphan.cache_id] == row["directory"]["newest"]
    assert {True} == {one(shop, name)["directory"]["newest"] == newest for name, newest in found.items()}
    assert "OWNERS\n  none\n" in text


def test_unknown(shop: Shop) -> None:
    """What cannot be known is not called an orphan, and the source that may know is named."""
    why = one(shop, shop.doubted.cache_id)["directory"]["why"]

    assert why.startswith("it cannot be said whether it is needed: nothing that could be read names it")
    assert "this may name it: buildkit/snapshots.db" in why


def test_missing_directory(shop: Shop, tmp_path: Path) -> None:
    """A directory that is named and gone says so, and still leads to its layer and images."""
    with closing(sqlite3.connect(shop.db)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        source.backup(copy)
        with rewriting(copy):
            copy.execute("DELETE FROM overlay_dirs WHERE cache_id = ?", (shop.top.cache_id,))
        copy.commit()
    row = one(shop._replace(db=str(tmp_path / "copy.db")), shop.top.cache_id)

    assert "missing" == row["directory"]["role"]
    assert "it is named and was not there when the store was scanned" == row["directory"]["why"]
    assert ["acme/web:1.0, acme/web:latest"] == [i["image"] for i in row["images"]]


def test_image(shop: Shop) -> None:
    """An image: names, layers with directories, sizes, containers, children."""
    row = one(shop, shop.redis.image_id)

    assert (1, "linux/amd64", 1) == (row["image"]["in_store"], row["image"]["platform"], row["image"]["layers"])
    assert (shop.base.size, 0) == (row["image"]["shared_size"], row["image"]["unique_size"])
    assert ["redis:latest"] == [name["reference"] for name in row["image_names"]]
    assert [(shop.base.diff_id, shop.base.cache_id, shop.base.link, 2)] == [
        (y["diff_id"], y["directory"], y["link"], y["shared_by"]) for y in row["image_layers"]
    ]
    assert [("redis", "exited")] == [(c["container"], c["state"]) for c in row["image_containers"]]
    assert [("acme/web:1.0, acme/web:latest", "layers", 1)] == [
        (c["image"], c["relation"], c["extra_layers"]) for c in row["image_children"]
    ]


def test_container(shop: Shop) -> None:
    """A container: image, directories from the top down, mounts, logs."""
    row = one(shop, "box")
    box = row["container"]

    assert ("running", shop.web.image_id, shop.upper) == (box["state"], box["image_id"], box["writable"])
    assert [
        *(("writable", shop.upper, "container"), ("init", f"{shop.upper}-init", "init")),
        *(("layer", shop.top.cache_id, "layer"), ("layer", shop.base.cache_id, "layer")),
    ] == [(y["part"], y["directory"], y["role"]) for y in row["container_layers"]]
    assert [None, None, shop.top.diff_id, shop.base.diff_id] == [y["diff_id"] for y in row["container_layers"]]
    assert "/bin/sh -c #(nop) COPY layer 1" == row["container_layers"][2]["created_by"]
    assert [("/data", "volume", "data", 0, 1)] == [
        (m["destination"], m["type"], m["name"], m["read_write"], m["on_disk"]) for m in row["container_mounts"]
    ]
    assert isinstance(row["container_logs"], list)


def test_volume(shop: Shop) -> None:
    """A volume: who mounts it where; also one that is gone."""
    data, lost = one(shop, "data"), one(shop, "lost")

    assert "/var/lib/docker/volumes/data/_data" == data["volume"]["location"]
    assert [("box", "/data", 0)] == [
        (c["container"], c["destination"], c["read_write"]) for c in data["volume_containers"]
    ]
    assert (0, None, 1) == (lost["volume"]["on_disk"], lost["volume"]["location"], lost["volume"]["containers"])


@pytest.mark.parametrize("word", ["tmp/GetImageBlob1", "{root}/tmp/docker-builder2/ctx", "tmp"])
def test_folder_of_the_root(tmp_path: Path, word: str) -> None:
    """What is no image's, container's or volume's is told as a folder: what lies in it, and what frees it."""
    root = DataRoot(tmp_path / "docker")
    root.image(root.layer({"a": b""}), ["a:1"])
    (root.file("tmp") / "GetImageBlob1").write_bytes(bytes(100_000))
    root.file("aufs/diff").mkdir(parents=True)
    path = tmp_path / "folders.db"
    assert program("scan", "-q", "--walk", "--db", str(path), str(root.path)).returncode == 0
    shown = program("show", "--db", str(path), word.format(root=root.path)).stdout
    assert "folder tmp on" in shown
    assert "a restart of the engine" in shown
    assert "100kB" in shown
    assert "a storage driver" in program("show", "--db", str(path), f"{root.path}/aufs/diff").stdout
    assert program("show", "--db", str(path), "zfs/x").returncode == 1


@pytest.mark.parametrize("option", ["--walk", "--no-files"])
def test_plugin(tmp_path: Path, option: str) -> None:
    """A managed plugin is found by its id, by the beginning of that, by its name, and by any path in it."""
    root = DataRoot(tmp_path / "docker")
    plugin = "c0ffee" + "0" * 58
    for name, content in (
        (plugin, json.dumps({"plugin": {"Id": plugin, "Name": "acme/volplug:latest"}})),
        ("d" * 64, "{"),
        ("e" * 64, json.dumps({"plugin": {"Name": 7}})),
        ("storage", ""),
    ):
        root.file(f"plugins/{name}").mkdir(parents=True)
        root.file(f"plugins/{name}/config.json").write_text(content)
    root.file("plugins/" + "f" * 64).mkdir()  # being installed
    path = tmp_path / "plugins.db"
    assert program("scan", "-q", option, "--db", str(path), str(root.path)).returncode == 0
    within = f"plugins/{plugin}/rootfs/payload"
    for word in ("acme/volplug", "acme/volplug:latest", plugin, "c0ffee", within, f"{root.path}/{within}"):
        (found,) = json.loads(program("show", "--db", str(path), word, "--format", "json").stdout)
        assert (found["kind"], found["id"]) == ("folder", f"plugins/{plugin}")
        folder = found["folder"]
        assert (folder["name"], folder["freed_by"]) == ("acme/volplug:latest", "docker plugin rm")
        assert (folder["apparent_bytes"] is None) == (option == "--no-files")
    shown = program("show", "--db", str(path), "acme/volplug").stdout
    assert "a managed plugin" in shown
    for other in ("plugins/storage/x", f"{root.path}/plugins/{'f' * 63}/x") if option == "--walk" else ():
        (found,) = json.loads(program("show", "--db", str(path), other, "--format", "json").stdout)
        assert found["id"] == "plugins"
    wrong = json.loads(program("query", "problems", "--db", str(path), "--format", "json").stdout)
    assert {row["code"] for row in wrong if row["path"].startswith("plugins/")} == {"bad-json", "bad-value"}


def test_build_cache(shop: Shop) -> None:
    """A record: its directory, what it builds on and what builds on it, also where that is a circle."""
    row = one(shop, RECORD)
    text = run(shop, RECORD).stdout

    assert (shop.cache.cache_id, "build-cache") == (row["record"]["directory"], row["directory"]["role"])
    assert [(1, PARENT), (2, RECORD)] == [(p["depth"], p["record_id"]) for p in row["record_parents"]]
    assert [PARENT] == [child["record_id"] for child in row["record_children"]]
    assert "BUILD-CACHE RECORD" not in text
    assert "BUILD CACHE RECORD\n" in text
    assert "mount / from exec make" in text


# Files --------------------------------------------------------------------------------------------------------------


def test_file(shop: Shop) -> None:
    """A file in a layer: what it is, and who still shows it."""
    row = one(shop, f"/srv/docker/overlay2/{shop.base.cache_id}/diff/srv/app")
    (file,) = row["file"]

    assert ("/srv/app", "file", "0644", 2, shop.base.cache_id, 1, "tar-split") == tuple(
        file[key] for key in ("path", "type", "mode", "size", "directory", "visible", "source")
    )
    assert 16 == len(file["content_crc64"])
    hidden = [(s["kind"], s["name"], s["visible"], s["hidden_by"]) for s in row["shows"]]
    assert [
        *(("image", "acme/web:1.0, acme/web:latest", 0, shop.top.cache_id), ("image", "redis:latest", 1, None)),
        *(("container", "box", 0, shop.top.cache_id), ("container", "redis", 1, None)),
    ] == hidden
    assert ["/bin/sh -c #(nop) COPY layer 1", None] * 2 == [s["hidden_in"] for s in row["shows"]]


@pytest.mark.parametrize(
    ("path", "type_", "target"),
    [
        ("etc/link", "symlink", "passwd"),
        ("link", "hardlink", "/copy1"),
        ("srv/a b", "file", None),
        ("./srv/../srv//a b/", "file", None),
        ("srv", "dir", None),
        (os.fsdecode(b"caf\xe9"), "file", None),
        ("caf\\xe9", "file", None),
    ],
)
def test_kinds_of_files(shop: Shop, path: str, type_: str, target: str | None) -> None:
    """Links with their targets; names with spaces and of bytes that are not UTF-8."""
    (file,) = one(shop, f"overlay2/{shop.base.cache_id}/diff/{path}")["file"]

    assert (type_, target) == (file["type"], file["link_target"])


def test_merged(shop: Shop) -> None:
    """Through merged a file is found in the layer that really holds it, and only that one shows."""
    row = one(shop, f"/var/lib/docker/overlay2/{shop.upper}/merged/srv/app")
    assert [(shop.top.cache_id, 2, 1), (shop.base.cache_id, 3, 0)] == [
        (file["directory"], file["position"], file["visible"]) for file in row["file"]
    ]
    assert {"acme/web:1.0, acme/web:latest": 1, "box": 1} == {s["name"]: s["visible"] for s in row["shows"]}

    own = one(shop, f"/var/lib/docker/overlay2/{shop.upper}/merged/tmp/miner")
    assert [("0755", shop.upper)] == [(file["mode"], file["directory"]) for file in own["file"]]
    assert [("container", "box", 1)] == [(s["kind"], s["name"], s["visible"]) for s in own["shows"]]


def test_whiteout(shop: Shop) -> None:
    """A whiteout shows nothing; through merged what it hides is named."""
    (file,) = one(shop, f"overlay2/{shop.top.cache_id}/diff/srv/old")["file"]
    merged = one(shop, f"overlay2/{shop.upper}/merged/srv/old")

    assert ("whiteout", 0) == (file["type"], file["visible"])
    assert [("whiteout", 0), ("file", 0)] == [(f["type"], f["visible"]) for f in merged["file"]]


def test_no_such_file(shop: Shop) -> None:
    """A path that the listing does not have says so; the directory is explained all the same."""
    thing = f"overlay2/{shop.upper}/diff/var/tmp/gone"
    row, text = one(shop, thing), run(shop, thing).stdout

    assert ([], [], shop.upper) == (row["file"], row["shows"], row["id"])
    assert "no such path in it when the store was scanned" in text
    assert "box" in text


def test_no_listing(shop: Shop, tmp_path: Path) -> None:
    """Without listings it says that, not that there is no such file."""
    with closing(sqlite3.connect(shop.db)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        source.backup(copy)
        with rewriting(copy):
            copy.execute("UPDATE overlay_dirs SET listing_id = NULL, entry_count = NULL")
            copy.execute("UPDATE layers SET listing_id = NULL")
        copy.commit()
    text = run(shop._replace(db=str(tmp_path / "copy.db")), f"overlay2/{shop.upper}/diff/x", "--host", "one").stdout

    assert "the files of this directory are not indexed; scan without --no-files" in text


def test_visible_as_find_file_says(tmp_path: Path) -> None:
    """For each file of each layer the images that show it are those that the query find-file names."""
    root = DataRoot(tmp_path / "docker")
    base = root.layer(BASE)
    middle = root.layer(MIDDLE, parent=base)
    top = root.layer({**TOP, "link/below": b"1", "root/.env": b"again"}, parent=middle)
    for number, layer in enumerate((base, middle, top)):
        root.image(layer, [f"i:{number}"])
    root.container(root.image(top, ["c:1"]), name="box", files={"srv/app": b"mine", "etc/passwd": b"mine"})
    db = str(tmp_path / "one.db")
    scanned(db, root.path)
    find, seen = catalog.load("find-file"), 0
    with database.reading(db) as connection:
        wanted: dict[tuple[str, str, str | None], int] = {}
        result = query.run(connection, find.sql, dict.fromkeys(find.params) | {"path": "/*"})
        for values in result.rows:
            row = dict(zip(result.columns, values, strict=True))
            if row["image"]:
                wanted[row["cache_id"], row["path"], row["image"]] = row["visible"]
        for (cache_id, path, image), visible in wanted.items():
            shows = answers.ask(connection, "shows", snapshot=1, directory=cache_id, path=path)
            assert {image: visible}.items() <= {s["name"]: s["visible"] for s in shows if s["kind"] == "image"}.items()
            seen += 1

    assert 80 < seen


# Stacks -------------------------------------------------------------------------------------------------------------


def stacks(shop: Shop) -> list[str]:
    """Return the same stack of a container's directories in every form."""
    root = "/var/lib/docker/overlay2"
    below = (f"{shop.upper}-init", shop.top.cache_id, shop.base.cache_id)
    lower = ":".join(f"{root}/{name}/diff" for name in below)
    upper, work, merged = (f"{root}/{shop.upper}/{part}" for part in ("diff", "work", "merged"))
    links = ":".join(
        ["l/" + shop.root.overlay_file(below[0], "link").read_text(), f"l/{shop.top.link}", f"l/{shop.base.link}"]
    )
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    data = {"LowerDir": lower, "MergedDir": merged, "UpperDir": upper, "WorkDir": work}
    inspected = json.dumps([{"Id": shop.box.container_id, "GraphDriver": {"Data": data, "Name": "overlay2"}}], indent=4)
    added = ",".join(f"lowerdir+={root}/{name}/diff" for name in below)
    return [
        options,
        f"lowerdir={links},upperdir={shop.upper}/diff,workdir={shop.upper}/work",
        f"overlay {merged} overlay rw,relatime,{options},nouserxattr 0 0",
        f"512 29 0:51 / {merged} rw,relatime shared:1 - overlay overlay rw,{options}",
        f"upperdir={upper},{added},workdir={work}",
        inspected,
        inspected[inspected.index('"Data"') :],
        f"map[LowerDir:{lower} MergedDir:{merged} UpperDir:{upper} WorkDir:{work}]",
        f"{upper}:{lower}",
    ]


def test_stacks(shop: Shop) -> None:
    """Mount options, mount lines and docker inspect's data show each directory once, the upper first."""
    expected = [shop.upper, f"{shop.upper}-init", shop.top.cache_id, shop.base.cache_id]
    for thing in stacks(shop):
        assert expected == [row["id"] for row in shown(shop, thing)], thing
    parts = [row["part"] for row in shown(shop, stacks(shop)[0])]
    assert ["upper", "lower", "lower", "lower"] == parts


def test_only_lowers(shop: Shop) -> None:
    """A lowerdir alone, and a list of directories alone, show each once and in order."""
    below = [shop.top.cache_id, shop.base.cache_id]
    paths = ":".join(f"/var/lib/docker/overlay2/{name}/diff" for name in below)
    for thing in (f"lowerdir={paths}", paths, f"l/{shop.top.link}:l/{shop.base.link}", ":".join(below)):
        assert [("lower", name) for name in below] == [(row["part"], row["id"]) for row in shown(shop, thing)]


def test_stack_as_text(shop: Shop) -> None:
    """People get one row for each directory and the details of the first."""
    text = run(shop, stacks(shop)[2], "--host", "one").stdout
    stack = text.partition("\n\n")[0].splitlines()

    assert "STACK" == stack[0]
    assert ["upper", "lower", "lower", "lower"] == [line.split()[0] for line in stack[2:]]
    assert 1 == text.count("\nDIRECTORY\n")


def test_stack_with_a_stranger(shop: Shop) -> None:
    """What is known is shown, what is not is named, and the status says so."""
    result = run(shop, f"lowerdir=/x/overlay2/{shop.top.cache_id}/diff:/var/lib/containerd/9/fs", "--format", "json")

    assert (1, [shop.top.cache_id]) == (result.exit_code, [row["id"] for row in json.loads(result.stdout)])
    assert "nothing is called '/var/lib/containerd/9/fs'" in result.stderr


def test_escapes_of_mount_options() -> None:
    """Octal of /proc/mounts, and backslashes before colons and commas, are read as the kernel writes them."""
    named = things.things(r"lowerdir=/a\040b/overlay2/x1\:y\,z:/c\134:d/overlay2/x2,upperdir=/u")

    assert ["/u", "/a b/overlay2/x1:y,z", "/c:d/overlay2/x2"] == [thing.text for thing in named]


# How it ends --------------------------------------------------------------------------------------------------------


def test_ambiguous(shop: Shop, tmp_path: Path) -> None:
    """A short id of several things is an error of usage that lists them."""
    with changing(shutil.copy(shop.db, tmp_path / "copy.db")) as copy:
        insert = "INSERT INTO images (snapshot_id, image_id, layer_count, verified, config) VALUES (1, ?, 0, 1, '{}')"
        copy.executemany(insert, [(f"sha256:{'5' * 60}{number:04}",) for number in range(15)])
    result = run(shop._replace(db=str(tmp_path / "copy.db")), "555")

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"'555' is ambiguous; it may be the image id sha256:{'5' * 60}0000, image id sha256:" in result.stderr
    assert "and 5 more" in result.stderr


@pytest.mark.parametrize(
    "thing", ["nothing", "/etc/passwd", "deadbeef" * 8, "overlay2/" + "0" * 64 + "/diff/x", "a:b:c"]
)
def test_not_found(shop: Shop, thing: str) -> None:
    """Nothing of that name: one sentence that says what was looked for and where, and status 1."""
    result = run(shop, thing)

    assert (1, "") == (result.exit_code, result.stdout)
    assert f"Error: nothing is called '{thing}': no image, layer (chain_id, diff_id, blob), directory," in result.stderr
    assert "build-cache record, volume, blob or folder of the data root in 2 snapshots" in result.stderr
    assert 1 == result.stderr.count("\n")


def test_empty(shop: Shop) -> None:
    """No thing is an error of usage."""
    for word in ("", "  ", "''"):
        result = run(shop, word)
        assert (2, "") == (result.exit_code, result.stdout)
        assert "THING is empty" in result.stderr


HOSTILE = [
    b"\x1b[31mred\x1b[0m",
    b"\x00",
    b"overlay2/\x00/diff/\x00",
    b"\xff\xfe",
    b"overlay2/\xff/diff/\xff",
    b"lowerdir=\nlowerdir=",
    b"lowerdir=:::,upperdir=,workdir=",
    b'"UpperDir": "\\ud800"',
    b'"UpperDir": "\\x"',
    b"../../..",
    b"/",
    b"//",
    b"'; DROP TABLE images; --",
    b"%*?[",
    b"a" * MEGABYTE,
    b"a/" * (MEGABYTE // 2),
    b"overlay2/" * (MEGABYTE // 9),
    b"lowerdir=" + b"l/" * (MEGABYTE // 3),
    b"[" * MEGABYTE,
    b"\\" * MEGABYTE,
    b"x\n" * (MEGABYTE // 2),
    b"0::/" + b"a/" * (MEGABYTE // 2),
    b"0::/\n" * (MEGABYTE // 5),
    b"1 1 1:1 / /x" + b" - a" * (MEGABYTE // 4),
    b"1 1 1:1 / /x rw - proc proc rw\n" * (MEGABYTE // 31),
    b"docker://" * (MEGABYTE // 9),
    b"/ " * (MEGABYTE // 2),
    b"/" + b"c" * (64 * 1000) + b"/rootfs/" + b"a/" * 9000,
    b"docker-" + b"9" * 64 + b".scope\x1b[31m\x00",
    b"io.containerd.runtime.v2.task/x/\xff/rootfs/\xff",
    "\u202e\u2066".encode(),
]


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile(shop: Shop, word: bytes) -> None:
    """Whatever comes in by standard input, a sentence comes out, without a control character."""
    result = run(shop, "-", input=word)

    assert result.exit_code in (1, 2), result.exception
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith(("Error: ", "Usage: "))
    assert len(result.stderr) < 1000
    assert result.stderr.replace("\n", "").isprintable()


def test_too_long(shop: Shop) -> None:
    """More than four megabytes, more directories than can be, and paths longer than any are errors of usage."""
    many = "lowerdir=" + ":".join(f"/{number}" for number in range(9000))
    for word, said in (
        ("a" * (4 * MEGABYTE + 1), "standard input has more than 4194304 bytes"),
        ("\u20ac" * 2 * MEGABYTE, "standard input has more than 4194304 bytes"),
        (many, "names more than 8192 things; give it in parts"),
        (f"overlay2/{shop.upper}/diff/" + "a/" * 5000, "longer than any file's"),
    ):
        result = run(shop, "-", input=word)
        assert (2, "") == (result.exit_code, result.stdout)
        assert said in result.stderr


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """No text makes the reading of it fail with anything but a sentence."""
    try:
        found = things.things(text, ["/var/lib/docker", "/"])
    except UsageError:
        return
    assert all(len(thing.readings) <= paths.READINGS + 1 for thing in found)


def test_standard_input(shop: Shop) -> None:
    """- reads the thing from standard input."""
    result = run(shop, "-", "--format", "json", input=f"{stacks(shop)[2]}\n")

    assert shop.upper == json.loads(result.stdout)[0]["id"]


def test_bytes_of_the_command_line(shop: Shop) -> None:
    """A word that is not UTF-8 is looked up, and printed, as it is."""
    command = [sys.executable.encode(), b"-m", b"layerindex", b"show", b"--db", shop.db.encode()]
    done = subprocess.run(
        [*command, f"overlay2/{shop.base.cache_id}/diff/".encode() + b"caf\xe9"], capture_output=True, check=False
    )

    assert (0, b"") == (done.returncode, done.stderr)
    assert rb"/caf\xe9" in done.stdout


def test_control_characters_of_the_store(shop: Shop, tmp_path: Path) -> None:
    """Names from a store cannot move the cursor, in text and in JSON."""
    with closing(sqlite3.connect(shop.db)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        source.backup(copy)
        copy.execute("UPDATE part_image_history SET created_by = 'RUN \x1b[2J\u202e\x9b'")
        copy.execute("UPDATE containers SET name = 'b\x1box' WHERE name = 'box'")
        copy.commit()
    evil = shop._replace(db=str(tmp_path / "copy.db"))
    for thing in (shop.upper, shop.top.cache_id, "b\x1box", "acme/web"):
        for options in ((), ("--format", "json"), ("--no-trunc",)):
            output = run(evil, thing, *options).stdout
            assert output
            assert output.replace("\n", "").isprintable()


def test_long_tables_are_cut(shop: Shop, tmp_path: Path) -> None:
    """A base of many containers is not many screens, unless that is asked for."""
    with closing(sqlite3.connect(shop.db)) as source, closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        source.backup(copy)
        insert = (
            "INSERT INTO containers (snapshot_id, container_id, namespace, name, image_id, state)"
            " VALUES (1, ?, '', ?, ?, 'exited')"
        )
        copy.executemany(insert, [(f"{number:064}", f"n{number}", shop.redis.image_id) for number in range(50)])
        copy.commit()
    many = shop._replace(db=str(tmp_path / "copy.db"))
    cut, whole = (run(many, shop.base.cache_id, "--host", "one", *words).stdout for words in ((), ("--no-trunc",)))

    assert "… and 32 more; --no-trunc shows all" in cut
    assert "n49" not in cut
    assert "n49" in whole
    assert 52 == len(one(many, shop.base.cache_id)["containers"])


def test_text_speaks_docker(shop: Shop) -> None:
    """12-character ids in tables, human sizes, upper-case heads; --no-trunc gives whole ids."""
    text = run(shop, "box", "--host", "one").stdout
    whole = run(shop, "box", "--host", "one", "--no-trunc").stdout

    assert f"container {shop.box.container_id} on one, /var/lib/docker as of " in text
    assert f"  layer     {shop.top.cache_id[:12]} " in text
    assert f"  layer     {shop.top.cache_id} " in whole
    assert "  name:" in text


def test_help() -> None:
    """The help says what a thing may be and what the status means."""
    text = " ".join(CliRunner().invoke(group, ["show", "--help"]).stdout.split())

    assert "cache-id, link or mount id" in text
    assert "Exit status 1: the database has nothing of that name; other things" in text


# The files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def connection(shop: Shop) -> Iterator[sqlite3.Connection]:
    """Give the database as show sees it."""
    with database.reading(shop.db) as opened:
        yield opened


class Asked(dict[str, None]):
    """Parameters that are all NULL and note who asked for them."""

    def __missing__(self, name: str) -> None:
        """Note a name."""
        self[name] = None


def test_json_keys(shop: Shop) -> None:
    """Each kind has its keys, whatever is known, and each section the columns that its file explains."""
    general = ["asked", "thing", "part", "kind", "id", "matched", "found", "path", "merged", "snapshot"]
    general += answers.FILES
    for thing in ("box", "acme/web", RECORD, shop.top.chain_id, shop.orphan.cache_id, "data"):
        row = one(shop, thing)
        sections = [name.replace("-", "_") for name in (*answers.SECTIONS[row["kind"]], "problems")]
        assert [*general, *sections] == list(row)
        for name in (*answers.SECTIONS[row["kind"]], "snapshot"):
            found = row[name.replace("-", "_")]
            for each in found if isinstance(found, list) else [found]:
                assert list(_header(name)["columns"]) == list(each)


def _header(name: str) -> Row:
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return tomllib.loads("\n".join(line.removeprefix("--").removeprefix(" ") for line in lines[:end]))


@pytest.mark.parametrize("name", FILES)
def test_files_are_explained(connection: sqlite3.Connection, name: str) -> None:
    """The header of each file names its parameters and columns; it runs with all parameters NULL, in one order."""
    header, asked = _header(name), Asked()
    sql = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    cursor = connection.execute(sql, asked)

    assert list(header["columns"]) == [column for column, *_ in cursor.description]
    assert set(header.get("params", {})) == set(asked)
    assert header["title"]
    assert header["description"].endswith(".")
    assert "\nORDER BY " in sql or " ORDER BY " in sql


def test_every_file_is_used() -> None:
    """No file lies there for nothing, and none is missing."""
    used = {"find", "roots", "snapshot", "problems", *answers.FILES}
    used |= {name for names in answers.SECTIONS.values() for name in names}

    assert used == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_order_is_the_files_own(shop: Shop, connection: sqlite3.Connection, name: str) -> None:
    """The same answer comes in the same order when SQLite reads its tables backwards."""
    params = {
        "word": shop.base.diff_id,
        **dict.fromkeys(("kind", "root", "driver", "folder", "shortest")),
        "snapshot": 1,
        "id": shop.box.container_id if name.startswith("container") else shop.redis.image_id,
        "directory": shop.base.cache_id,
        "chain": None,
        "path": "/srv/app",
        "merged": 1,
    }
    forwards = answers.ask(connection, name, **params)
    connection.execute("PRAGMA reverse_unordered_selects = ON")

    assert forwards == answers.ask(connection, name, **params)


def test_no_full_scan_of_entries(connection: sqlite3.Connection, shop: Shop) -> None:
    """Nothing reads the large table from one end to the other: a million entries cost no more than a thousand."""
    for name in FILES:
        params = dict.fromkeys(_header(name).get("params", {}), shop.base.cache_id)
        sql = "EXPLAIN QUERY PLAN " + (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
        plan = [detail for *_, detail in connection.execute(sql, params)]
        assert [] == [line for line in plan if line.startswith(("SCAN entries", "SCAN e ", "SCAN directories"))], name


def test_starts_fast() -> None:
    """Neither SQLAlchemy nor the readers of stores are imported: they cost more than the answer."""
    slow = ("sqlalchemy", "layerindex.stores", "tabulate")
    script = f"import sys, layerindex.cli.show; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
