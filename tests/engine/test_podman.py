"""The index of a graph root is what Podman says, and an image is the same there as in Docker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from layerindex import database, scan
from layerindex.stores.containers_storage import find_stores

from .archives import Member, pack
from .conftest import need, new_engine
from .engine import BUSYBOX, EngineError
from .podman import RUN, Podman, why_not
from .program import Index, layerindex
from .program import scan as scan_with_program
from .store import CLASSIC, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine import Engine
    from .programs import Programs

pytestmark = pytest.mark.engine

APPLETS = ("sh", "rm", "mkdir", "ln", "sleep", "chmod")
DOCKERFILE = """\
FROM base:1
RUN rm /w/gone && rm -r /w/remade && mkdir /w/remade && echo new > /w/remade/new
RUN chmod 4711 /links/b && echo again > /w/gone
LABEL which=both
COPY added /added
"""
MISSED = {"/etc", "/proc", "/dev", "/sys", "/run"}
"""What Podman makes in every container that has run, and does not tell."""


def index_of(root: Path, db: Path, *, walk: bool = False) -> Index:
    """Scan a graph root into a database."""
    with database.writing(str(db), print) as connection:
        for store in find_stores(str(root)):
            options = scan.Options(files=True, walk=walk, jobs=1)
            scan.scan(connection, store, scan.Filing(scan.Host("h1", None)), options)
    return Index(db)


def base_layer() -> bytes:
    """Return a tar with what layers are about: links, owners, modes, long and strange names."""
    busybox = BUSYBOX.read_bytes()
    links = [Member(f"bin/{name}", symlink="busybox") for name in APPLETS]
    long = "/".join(["d" * 60] * 5) + "/" + "f" * 120
    return pack(
        [
            Member("bin/"),
            Member("bin/busybox", busybox, mode=0o755),
            *links,
            Member("w/gone", b"gone"),
            Member("w/remade/old", b"old"),
            Member("links/a", b"shared"),
            Member("links/b", hardlink="links/a"),
            Member("owned", b"1", uid=1234, gid=5678),
            Member(long, b"long"),
            Member("newline\nname", b"n"),
        ]
    )


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """Give a Docker engine that holds images, and the folder where they are saved."""
    with new_engine() as engine:
        engine.docker("import", "-", "base:1", input=base_layer())
        build(engine, "app:1", DOCKERFILE, {"added": b"added"}, CLASSIC)
        folder = tmp_path_factory.mktemp("saved")
        for name in ("base", "app"):
            engine.docker("save", "-o", folder / f"{name}.tar", f"{name}:1")
        yield engine, folder


def filled(podman: Podman, saved: Path) -> None:
    """Fill a graph root with one of everything."""
    for name in ("base", "app"):
        podman("load", "-i", saved / f"{name}.tar")
    (podman.folder / "context").mkdir()
    (podman.folder / "context/y").write_bytes(b"y")
    (podman.folder / "context/Dockerfile").write_text("FROM localhost/base:1\nRUN rm /w/gone\nENV X=1\nCOPY y /y\n")
    words = ("--network", "host", "--isolation", "chroot", "--tag", "localhost/made:1", "--layers")
    podman("build", *words, podman.folder / "context")
    podman("tag", "localhost/made:1", "localhost:5000/team/made:2")
    podman("import", "-", "localhost/imported:1", input=pack([Member("only", b"1")]))
    podman("volume", "create", "named", "--label", "k=v")
    podman("create", *RUN, "--name", "waits", "--volume", "named:/data", "localhost/made:1", "sh")
    podman("commit", "waits", "localhost/committed:1")
    run = "rm /w/remade/new; echo z > /z; chmod 600 /owned; mkdir /w/sub; exit 3"
    try:
        podman("run", *RUN, "--name", "ended", "localhost/app:1", "/bin/sh", "-c", run)
    except EngineError as error:
        if "ended with 3" not in str(error):
            raise
    podman("run", *RUN, "--detach", "--name", "runs", "localhost/app:1", "/bin/sh", "-c", "sleep 100000")
    podman.buildah("from", "--name", "working", "localhost/made:1")
    podman("import", "-", "localhost/moved:1", input=pack([Member("one", b"1")]))
    podman("import", "-", "localhost/moved:1", input=pack([Member("two", b"2")]))
    podman("import", "-", "localhost/removed:1", input=pack([Member("three", b"3")]))
    podman("rmi", "localhost/removed:1")


@pytest.fixture(scope="module")
def podman(docker: tuple[Engine, Path], programs: Programs) -> Iterator[Podman]:
    """Give a filled graph root; tests only ask it."""
    need(why_not(programs))
    with Podman(programs=programs) as started:
        filled(started, docker[1])
        yield started


@pytest.fixture(scope="module")
def index(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Give the index of the graph root, scanned while a container runs."""
    return index_of(podman.root, tmp_path_factory.mktemp("index") / "podman.db")


@pytest.fixture(scope="module")
def docker_index(docker: tuple[Engine, Path], tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Give the index of Docker's store."""
    return scan_with_program(docker[0].root, tmp_path_factory.mktemp("index") / "docker.db")


def images(podman: Podman) -> dict[str, dict[str, Any]]:
    """Return what Podman says of each image."""
    ids = list(dict.fromkeys(row["Id"] for row in podman.rows("images", "--all")))
    return {f"sha256:{image['Id']}": image for image in podman.inspect("image", *ids)}


def test_no_problems(index: Index) -> None:
    """In a healthy store nothing is wrong, and no directory is an orphan."""
    assert [] == index.rows("SELECT code, path, detail FROM problems")
    assert [] == index.rows("SELECT cache_id FROM overlay_dirs WHERE role NOT IN ('layer', 'container')")


def test_images(index: Index, podman: Podman) -> None:
    """Images are those of `podman images --all`, with names, parents and history."""
    expected = images(podman)
    found = {row[0]: row[1:] for row in index.rows("SELECT image_id, parent_image_id, architecture, os FROM images")}
    assert expected.keys() == found.keys()
    parents = {each: f"sha256:{image['Parent']}" if image["Parent"] else None for each, image in expected.items()}
    assert parents == {each: row[0] for each, row in found.items()}
    assert any(parents.values())
    names = {(name, each) for each, image in expected.items() for name in image["RepoTags"]}
    assert names == set(index.rows("SELECT ref, image_id FROM image_refs"))
    for each, image in expected.items():
        rows = index.rows("SELECT created_by FROM image_history WHERE image_id = ? ORDER BY position", each)
        assert [step.get("created_by") for step in image["History"]] == [step for (step,) in rows]


def test_listed_images(index: Index, podman: Podman) -> None:
    """Images without a name that have children are not listed, as `podman images` leaves them out."""
    expected = {f"sha256:{row['Id']}" for row in podman.rows("images")}
    assert expected == {image for (image,) in index.rows("SELECT image_id FROM listed_images")}
    assert len(expected) < len(images(podman))


def test_layers(index: Index, podman: Podman) -> None:
    """An image has the layers that Podman says, in directories that exist."""
    for image_id, image in images(podman).items():
        sql = """SELECT i.diff_id, y.cache_id FROM image_layers AS i JOIN layers AS y USING (snapshot_id, chain_id)
                 WHERE i.image_id = ? ORDER BY position"""
        rows = index.rows(sql, image_id)
        assert image["RootFS"]["Layers"] == [diff_id for diff_id, _ in rows]
        assert all((podman.root / "overlay" / cache_id / "diff").is_dir() for _, cache_id in rows)
        upper = image["GraphDriver"]["Data"]["UpperDir"]
        assert upper == f"{podman.root}/overlay/{rows[-1][1]}/diff"


def test_image_sizes(index: Index, podman: Podman) -> None:
    """An image's size is Podman's, less what Podman keeps beside the layers: config and manifests."""
    for image_id, image in images(podman).items():
        ((size,),) = index.rows("SELECT size FROM images WHERE image_id = ?", image_id)
        folder = podman.root / "overlay-images" / image_id.removeprefix("sha256:")
        assert image["Size"] == size + sum(file.stat().st_size for file in folder.iterdir())


def test_containers(index: Index, podman: Podman) -> None:
    """Containers are those of `podman ps --all --external`."""
    listed = {row["Id"]: row for row in podman.rows("ps", "--all", "--external")}
    sql = """SELECT container_id, name, image_id, image_ref, state, exit_code, mount_id FROM containers"""
    found = {row[0]: row[1:] for row in index.rows(sql)}
    assert listed.keys() == found.keys()
    for each, row in listed.items():
        name, image_id, ref, state, _, mount_id = found[each]
        assert row["Names"] == [name]
        assert (podman.root / "overlay" / mount_id / "diff").is_dir()
        if name != "working":
            assert (row["Image"], f"sha256:{row['ImageID']}") == (ref, image_id)
            assert row["State"] == state
    states = {row[0]: (row[3], row[4]) for row in found.values()}
    assert states["ended"] == ("exited", 3)
    assert states["runs"][0] == "running"
    assert states["waits"][0] == "created"
    assert states["working"][0] == "unknown"
    for container in podman.inspect("container", "ended", "runs", "waits"):
        assert container["GraphDriver"]["Data"]["UpperDir"].split("/")[-2] == found[container["Id"]][5]


def test_tree(index: Index, podman: Podman) -> None:
    """A tree has each layer once, the images of podman images, and below each the containers that run from it."""
    (found,) = json.loads(layerindex("tree", "--db", index.path, "--format", "json").stdout)
    shown = [image for node in found["nodes"] for image in node["images"]]
    assert {f"sha256:{row['Id']}" for row in podman.rows("images")} <= {image["image_id"] for image in shown}
    below = {container["container_id"]: image["image_id"] for image in shown for container in image["containers"]}
    assert below == {row["Id"]: f"sha256:{row['ImageID']}" for row in podman.rows("ps", "--all", "--external")}
    assert [(sum(node["size"] for node in found["nodes"]),)] == index.rows("SELECT sum(size) FROM layers")


def test_volumes_and_mounts(index: Index, podman: Podman) -> None:
    """Volumes are those of `podman volume inspect`, and containers mount them where Podman says."""
    expected = {
        each["Name"]: json.dumps(each["Labels"], separators=(",", ":")) for each in podman.inspect("volume", "named")
    }
    assert expected == dict(index.rows("SELECT name, labels FROM volumes"))
    (container,) = podman.inspect("container", "waits")
    mounts = {(each["Destination"], each["Name"], each["Source"], int(each["RW"])) for each in container["Mounts"]}
    assert mounts == set(index.rows("SELECT destination, name, source, read_write FROM container_volumes"))


def test_logs(index: Index, podman: Podman) -> None:
    """Log files are those that Podman names."""
    for container in podman.inspect("container", "ended", "runs"):
        path = container["HostConfig"]["LogConfig"]["Path"]
        sql = """SELECT c.log_path, l.apparent_bytes FROM containers AS c JOIN container_logs AS l USING (container_id)
                 WHERE container_id = ?"""
        assert [(path, os.path.getsize(path))] == index.rows(sql, container["Id"])


def test_container_sizes(index: Index, podman: Podman, programs: Programs) -> None:
    """A container's directory has the bytes that `podman ps --size` says."""
    said = {row["Id"]: row["Size"]["rwSize"] for row in podman.rows("ps", "--all", "--size")}
    # Podman 5 adds what it keeps of a container beside the directory.
    expected = {each: size - kept_beside(podman, each) * programs.today for each, size in said.items()}
    sql = """SELECT container_id, apparent_bytes FROM mounts JOIN overlay_dirs AS d ON d.cache_id = mounts.mount_id
             JOIN containers USING (container_id) WHERE state != 'unknown'"""
    assert expected == dict(index.rows(sql))
    assert any(expected.values())


def kept_beside(podman: Podman, container: str) -> int:
    """Return the bytes of a container's settings, pid files and log."""
    folders = [podman.folder / base / "overlay-containers" / container / "userdata" for base in ("root", "run")]
    files = [path for folder in folders for path in folder.rglob("*")]
    return sum(path.stat().st_size for path in files if path.is_file() and not path.is_symlink())


def test_container_changes(index: Index, podman: Podman) -> None:
    """`container-changes` has what `podman diff` has, and what that leaves out."""
    expected = {(line[0], line[2:]) for line in podman("diff", "ended").splitlines()}
    rows = {(row["kind"], row["path"]) for row in index.query("container-changes", container="ended")}
    made = {(kind, path) for kind, path in rows if f"/{path.split('/')[1]}" in MISSED}
    assert expected - made == rows - made
    assert {"A", "C", "D"} <= {kind for kind, _ in expected}


def test_same_image_in_docker(index: Index, docker_index: Index) -> None:
    """An image that Docker saved has the same id, layers, chains, history and files in both."""
    ((image_id,),) = docker_index.rows("SELECT image_id FROM image_refs WHERE ref = 'app:1'")
    assert [(image_id,)] == index.rows("SELECT image_id FROM image_refs WHERE normalized = 'localhost/app:1'")
    for columns, table in (
        ("position, diff_id, chain_id", "image_layers"),
        ("position, created_at, created_by, comment, empty_layer, layer_position", "image_history"),
        ("config, layer_count, created_at, architecture, verified", "images"),
    ):
        sql = f"SELECT {columns} FROM {table} WHERE image_id = ? ORDER BY 1"
        assert docker_index.rows(sql, image_id) == index.rows(sql, image_id)
    layers = """SELECT y.chain_id, y.diff_id, y.parent_chain_id, l.source, l.entry_count, l.total_size
                FROM image_layers AS i JOIN layers AS y USING (chain_id) JOIN listings AS l USING (listing_id)
                WHERE i.image_id = ? ORDER BY position"""
    assert docker_index.rows(layers, image_id) == index.rows(layers, image_id)
    assert len(index.rows(layers, image_id)) == 4
    # The tar's own order is not a listing's: an entry is known by its path.
    entries = """SELECT l.diff_id, f.path, f.name_raw, f.type, f.mode, f.uid, f.gid, f.size, f.mtime, f.mtime_ns,
                   f.link_target, f.device, f.content_crc64, f.opaque, f.xattrs, f.capability
                 FROM listings AS l JOIN files AS f USING (listing_id)
                 WHERE l.diff_id IN (SELECT diff_id FROM image_layers WHERE image_id = ?) ORDER BY 1, 2"""
    assert docker_index.rows(entries, image_id) == index.rows(entries, image_id)
    assert len(index.rows(entries, image_id)) > 20
    shown = [
        [
            {key: value for key, value in row.items() if key != "host"}
            for row in each.query("image-files", image=image_id)
        ]
        for each in (docker_index, index)
    ]
    assert shown[0] == shown[1]
    assert shown[0]


def test_every_query_answers(index: Index) -> None:
    """Every canned query runs on this store, and `show` knows an image, a container, a directory and a short name."""
    index.every_query("localhost/app:1")
    ((directory, link),) = index.rows("SELECT cache_id, link FROM overlay_dirs ORDER BY 1 LIMIT 1")
    for thing in ("localhost/app:1", "ended", directory, link, "named"):
        assert layerindex("show", thing, "--db", index.path).stdout


def test_what_the_system_says_of_a_container(podman: Podman, index: Index) -> None:
    """The mounts, the control groups and the names that others give a container lead to it."""
    (said,) = podman.inspect("container", "runs")
    process = Path(f"/proc/{said['State']['Pid']}")

    groups = (process / "cgroup").read_text()
    names = [f"podman://{said['Id']}", f"libpod-{said['Id']}.scope", f"libpod-conmon-{said['Id']}.scope"]
    for thing in [*names, groups] if said["Id"] in groups else names:
        assert {said["Id"]} == {row["id"] for row in index.show(thing)}
    found = index.show((process / "mountinfo").read_text())
    upper, *lowers = (row for row in found if row["part"])
    assert [said["Id"]] == [row["container_id"] for row in upper["containers"]]
    assert lowers
    assert all("localhost/app:1" in str([image["image"] for image in row["images"]]) for row in lowers)
    assert {said["Id"]} >= {row["id"] for row in found if not row["part"]}


def test_compared_with_docker(docker: tuple[Engine, Path], programs: Programs, tmp_path: Path) -> None:
    """With the same images Docker's store and Podman's have the same layers and files."""
    need(why_not(programs))
    engine, saved = docker
    db = tmp_path / "both.db"
    with Podman(programs=programs) as podman:
        for name in ("base", "app"):
            podman("load", "-i", saved / f"{name}.tar")
        layerindex("scan", engine.root, "--db", db, "--host", "docker", "-q")
        layerindex("scan", podman.root, "--db", db, "--host", "podman", "-q")
    (answer,) = json.loads(layerindex("compare", "docker", "podman", "--db", db, "--format", "json").stdout)
    sections = {row["section"]: row for row in answer["summary"]}
    for section, same in (("images", 2), ("layers", 4), ("files", 0), ("containers", 0), ("problems", 0)):
        row = sections[section]
        assert (row["only_a"], row["only_b"], row["differing"], row["same"]) == (0, 0, 0, same), section
    index = Index(db)
    images = "SELECT image_id, config FROM images WHERE snapshot_id = ? ORDER BY 1"
    # What Docker's builder made on the way is not saved.
    assert set(index.rows(images, 1)) > set(index.rows(images, 2))
    layers = "SELECT chain_id, diff_id, parent_chain_id, listing_id FROM layers WHERE snapshot_id = ? ORDER BY 1"
    assert index.rows(layers, 1) == index.rows(layers, 2)


def test_walk_agrees_with_tar_split(podman: Podman, tmp_path: Path) -> None:
    """What is on disk is what the tar-splits say, and all blocks are somebody's."""
    walked = index_of(podman.root, tmp_path / "walked.db", walk=True)
    assert [] == walked.rows("SELECT * FROM drift")
    (said,) = subprocess.run(
        ["du", "-s", "-x", "--block-size=1", podman.root], check=True, capture_output=True, text=True, timeout=60
    ).stdout.splitlines()
    assert [(int(said.split()[0]),)] == walked.rows("SELECT sum(disk_bytes) FROM disk_usage")
    assert [(0,)] == walked.rows("SELECT disk_bytes FROM disk_usage WHERE category = 'unaccounted'")


def test_orphans_and_dangling_layers(docker: tuple[Engine, Path], programs: Programs, tmp_path: Path) -> None:
    """What nothing names is an orphan, and a layer that lost its image dangles; the rest is as it was."""
    need(why_not(programs))
    with Podman(programs=programs) as podman:
        podman("load", "-i", docker[1] / "app.tar")
        podman("import", "-", "localhost/lost:1", input=pack([Member("only", b"1")]))
        lost = podman.inspect("image", "localhost/lost:1")[0]
        orphan = podman.root / "overlay" / ("0" * 64)
        (orphan / "diff").mkdir(parents=True)
        (orphan / "diff/file").write_bytes(b"1")
        path = podman.root / "overlay-images/images.json"
        kept = [image for image in json.loads(path.read_text()) if image["id"] != lost["Id"]]
        path.write_text(json.dumps(kept))
        index = index_of(podman.root, tmp_path / "index.db")
        assert [(orphan.name,)] == index.rows("SELECT cache_id FROM overlay_dirs WHERE role = 'orphan'")
        layer = lost["RootFS"]["Layers"][0].removeprefix("sha256:")
        assert [("dangling-layer", layer)] == index.rows("SELECT code, subject FROM problems WHERE code LIKE 'dangl%'")
        assert [(layer,)] == index.rows("SELECT layer_id FROM storage_layers WHERE live = 0")


def test_store_of_a_user(docker: tuple[Engine, Path], docker_index: Index, programs: Programs, tmp_path: Path) -> None:
    """A user's store holds the same files, though on disk they are all the user's; and so are a container's changes."""
    need(why_not(programs))
    with Podman("nobody", programs=programs) as podman:
        shutil.copy(docker[1] / "app.tar", podman.folder / "app.tar")
        shutil.chown(podman.folder / "app.tar", "nobody")
        try:
            # Without ids set apart for the user, another owner than root cannot be had.
            podman("--storage-opt", "overlay.ignore_chown_errors=true", "load", "-i", podman.folder / "app.tar")
        except EngineError as error:
            pytest.skip(f"no rootless Podman here: {error}")
        podman("create", "--network", "none", "--name", "c", "localhost/app:1", "sh")
        change = "rm -r $m/w/remade && mkdir $m/w/remade && echo n > $m/w/remade/other && rm $m/added"
        (podman.folder / "change").write_text(f'm=$("$@" mount c) && {change}\n')
        podman("unshare", "sh", podman.folder / "change", *podman.inner())
        assert (podman.root / "overlay").stat().st_uid != 0
        index = index_of(podman.root, tmp_path / "user.db", walk=True)
        assert [] == index.rows("SELECT code, path FROM problems")
        # /owned is another's in the image, which a user without more ids cannot have.
        assert {"/owned"} >= {path for (path,) in index.rows("SELECT path FROM drift")}
        changes = {(row["kind"], row["path"]) for row in index.query("container-changes", container="c")}
        expected = {("A", "/w/remade/other"), ("D", "/w/remade/new"), ("D", "/added")}
        assert expected == {(kind, path) for kind, path in changes if kind != "C"}
        sql = "SELECT position, diff_id, chain_id FROM image_layers WHERE image_id = ? ORDER BY 1"
        ((image_id,),) = index.rows("SELECT image_id FROM images")
        assert docker_index.rows(sql, image_id) == index.rows(sql, image_id)


def test_additional_image_store(
    docker: tuple[Engine, Path], docker_index: Index, programs: Programs, tmp_path: Path
) -> None:
    """What stands on images that another store lends has their layers below it, in the right chains."""
    need(why_not(programs))
    with Podman(programs=programs) as lender:
        lender("load", "-i", docker[1] / "app.tar")
        lent = lender.inspect("image", "localhost/app:1")[0]["RootFS"]["Layers"]
        with Podman(options=("--storage-opt", f"overlay.imagestore={lender.root}"), programs=programs) as podman:
            podman("create", *RUN, "--name", "c", "localhost/app:1", "sh")
            podman("commit", "c", "localhost/own:1")
            (store,) = find_stores(str(podman.root), [str(lender.root)])
            path = tmp_path / "index.db"
            with database.writing(str(path), print) as connection:
                scan.scan(connection, store, scan.Filing(scan.Host("h1", None)), scan.Options(files=True, jobs=1))
            index = Index(path)
            assert [] == index.rows("SELECT code, path, detail FROM problems")
            ((chain,),) = docker_index.rows(
                "SELECT chain_id FROM image_layers WHERE diff_id = ? ORDER BY position DESC LIMIT 1", lent[-1]
            )
            assert [(chain,)] == index.rows("SELECT parent_chain_id FROM layers")
            assert [(chain,)] == index.rows("SELECT parent_chain_id FROM mounts")
            sql = "SELECT count(*) FROM overlay_lowers WHERE lower_cache_id IS NULL"
            assert [(0,)] == index.rows(sql)


def test_scan_while_podman_works(docker: tuple[Engine, Path], programs: Programs, tmp_path: Path) -> None:
    """While images come and go, nothing is called an orphan, and nothing is said to be broken."""
    need(why_not(programs))
    with Podman(programs=programs) as podman:
        podman("load", "-i", docker[1] / "app.tar")
        comes = '"$@" import "$0/t$((i % 3)).tar" localhost/x$((i % 2)):1'
        goes = '"$@" rmi -f localhost/x$(((i + 1) % 2)):1'
        # It goes on until the scans are made, however fast the machine is.
        script = f"i=0; while [ ! -e $0/enough ]; do i=$((i+1)); {comes}; {goes}; echo >> $0/rounds; done"
        # An image whose name was read, and which went before it was, is said to be missing or not read.
        broken = "code != 'vanished' AND severity != 'info'"
        for number in range(3):
            (podman.folder / f"t{number}.tar").write_bytes(pack([Member(f"f{number}", b"x" * 100000)]))
        rounds = podman.folder / "rounds"
        rounds.touch()
        work = subprocess.Popen(
            ["sh", "-c", script, str(podman.folder), *podman.command()],
            env=podman.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        number, found = 0, []
        try:
            while (number < 10 or rounds.stat().st_size < 4) and work.poll() is None:
                index = index_of(podman.root, tmp_path / f"{number}.db")
                number += 1
                found += index.rows(f"SELECT code, path, detail FROM problems WHERE {broken}")
                found += index.rows("SELECT role, cache_id, '' FROM overlay_dirs WHERE role = 'orphan'")
        finally:
            (podman.folder / "enough").touch()
            work.wait(60)
        assert work.returncode == 0
        # A layer is there before its image.
        transient = ("incomplete-layer", "removing-layer", "write-set", "dangling-layer")
        assert [] == [row for row in found if row[0] not in transient]
