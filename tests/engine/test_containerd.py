"""Stores that containerd and a Docker of today wrote, against what `ctr` and `docker` say of them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import need, new_engine
from .containerd import BesideEngine, Containerd, ModernEngine, why_not
from .engine import BUSYBOX, Engine, EngineError
from .program import Index, layerindex, scan, scan_at_rest
from .store import BUILDKIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .programs import Programs

pytestmark = pytest.mark.engine

APP = "docker.io/li/app:1"
BASE = "docker.io/li/base:1"
SCANS = 25
SENT = 3_000_000


def made() -> bytes:
    """Return an archive of two images that both engines load."""
    shell = BUSYBOX.read_bytes()
    base = pack(
        [
            Member("bin/"),
            Member("bin/busybox", shell, mode=0o4755),
            Member("bin/sh", symlink="busybox"),
            Member("etc/"),
            Member("etc/conf", b"one"),
            Member("etc/same", hardlink="etc/conf"),
            Member("opt/"),
            Member("opt/a", b"a"),
        ]
    )
    top = pack(
        [
            Member("etc/"),
            Member("etc/.wh.conf"),
            Member("opt/"),
            Member("opt/.wh..wh..opq"),
            Member("opt/b", b"b" * 70_000, uid=1000),
            Member("sp ace/"),
            Member("sp ace/ü\n", b"x"),
        ]
    )
    command = {"Cmd": ["/bin/busybox", "sleep", "100000"]}
    steps = [Step("base", base), Step("env"), Step("top", top)]
    return archive([ImageSource([APP.removeprefix("docker.io/")], steps, command), ImageSource([BASE], steps[:1])])


class Store(NamedTuple):
    """A containerd with a store, and the index of it."""

    containerd: Containerd
    indexed: Index
    du: int


@pytest.fixture(scope="module")
def daemon(programs: Programs) -> Iterator[Containerd]:
    """Give a running containerd."""
    need(why_not(programs))
    with Containerd(programs) as containerd:
        yield containerd


@pytest.fixture(scope="module")
def store(daemon: Containerd, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Fill it: two namespaces, one unpacked; containers, snapshots, a lease and a write that does not end."""
    folder = tmp_path_factory.mktemp("containerd")
    (folder / "images.tar").write_bytes(made())
    daemon.ctr("images", "import", folder / "images.tar")
    daemon.ctr("images", "import", "--no-unpack", folder / "images.tar", namespace="k8s.io")
    daemon.ctr("run", "--detach", "--null-io", APP, "runs")
    daemon.ctr("tasks", "exec", "--exec-id", "e", "runs", "/bin/busybox", "touch", "/made")
    daemon.ctr("containers", "create", APP, "waits")
    layer = next(row[0] for row in daemon.rows("snapshots", "ls") if row[0].startswith("sha256:"))
    daemon.ctr("snapshots", "prepare", "own", layer)
    daemon.ctr("snapshots", "view", "seen", layer)
    daemon.ctr("leases", "create", "--id", "lease")
    with subprocess.Popen(
        daemon.command("content", "ingest", "unended"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as writing:
        if writing.stdin is None:
            raise EngineError("no pipe")
        writing.stdin.write(b"x" * SENT)
        writing.stdin.flush()
        deadline = time.monotonic() + 10
        while not daemon.rows("content", "active") and time.monotonic() < deadline:
            time.sleep(0.05)
        index = scan_at_rest(daemon.root, folder / "db", "--walk")
        said = subprocess.run(["du", "-s", "-x", "-B1", daemon.root], capture_output=True, text=True, check=True)
        writing.kill()
    return Store(daemon, index, int(said.stdout.split()[0]))


def test_nothing_is_wrong(store: Store) -> None:
    """A sound store has no problem, no orphan and no drift, and its bytes are du's."""
    assert store.indexed.rows("SELECT code, path, detail FROM problems") == []
    assert store.indexed.rows("SELECT * FROM overlay_dirs WHERE role IN ('orphan', 'unknown', 'removing')") == []
    assert store.indexed.rows("SELECT * FROM drift") == []
    assert store.indexed.rows("SELECT sum(disk_bytes) FROM disk_usage") == [(store.du,)]


@pytest.mark.parametrize("namespace", ["default", "k8s.io"])
def test_images(store: Store, namespace: str) -> None:
    """Names and targets are those that ctr lists."""
    said = {(row[0], row[2]) for row in store.containerd.rows("images", "ls", namespace=namespace)}
    found = store.indexed.rows("SELECT ref, target_digest FROM image_refs WHERE namespace = ?", namespace)
    assert set(found) == said
    assert len(said) == 2


@pytest.mark.parametrize("namespace", ["default", "k8s.io"])
def test_content(store: Store, namespace: str) -> None:
    """Blobs are those that ctr lists."""
    said = set(store.containerd.ctr("content", "ls", "-q", namespace=namespace).split())
    found = {digest for (digest,) in store.indexed.rows("SELECT digest FROM blobs WHERE namespace = ?", namespace)}
    assert found == said
    sizes = store.indexed.rows("SELECT digest, size FROM blobs WHERE namespace = ?", namespace)
    for digest, size in sizes:
        (path,) = (store.containerd.root / "io.containerd.content.v1.content/blobs/sha256").glob(digest[7:])
        assert path.stat().st_size == size


def test_snapshots(store: Store) -> None:
    """Snapshots, what they stand on and what they are is as ctr lists them; so is their size."""
    said = set()
    for row in store.containerd.rows("snapshots", "ls"):
        said.add((row[0], row[1] if len(row) == 3 else None, row[-1].lower()))
    sql = """SELECT s.snapshot_key, p.snapshot_key, s.kind FROM containerd_snapshots AS s
             LEFT JOIN containerd_snapshots AS p ON p.name = s.parent_name"""
    assert set(store.indexed.rows(sql)) == said
    usage = {row[0]: int(row[2]) for row in store.containerd.rows("snapshots", "usage", "-b") if len(row) == 3}
    sizes = store.indexed.rows("SELECT snapshot_key, size, inodes FROM containerd_snapshots WHERE size IS NOT NULL")
    assert sizes
    assert usage == {} or {key: inodes for key, _, inodes in sizes}.items() <= usage.items()


def test_tree(store: Store) -> None:
    """Each namespace has its own trees: unpacked layers with the sizes that ctr lists, others with none."""
    found = json.loads(layerindex("tree", "--db", store.indexed.path, "--format", "json").stdout)
    assert ["default", "k8s.io"] == [each["namespace"] for each in found]
    layers = [[layer for node in each["nodes"] for layer in node["layers"]] for each in found]
    usage = {row[0]: int(row[1]) for row in store.containerd.rows("snapshots", "usage", "-b") if len(row) == 3}
    assert {(layer["chain_id"], usage.get(layer["chain_id"], layer["size"])) for layer in layers[0]} == {
        (layer["chain_id"], layer["size"]) for layer in layers[0]
    }
    assert {None} == {layer["size"] for layer in layers[1]}
    below = [
        one["container_id"]
        for node in found[0]["nodes"]
        for image in node["images"]
        if APP in image["tags"]
        for one in image["containers"]
    ]
    assert sorted(below) == ["runs", "waits"]


def test_containers(store: Store) -> None:
    """Containers, their images and what they wrote are known."""
    said = {(row[0], row[1]) for row in store.containerd.rows("containers", "ls")}
    assert set(store.indexed.rows("SELECT container_id, image_ref FROM containers")) == said
    [(image_id,)] = store.indexed.rows("SELECT DISTINCT image_id FROM containers")
    assert image_id in {found for (found,) in store.indexed.rows("SELECT image_id FROM image_refs WHERE ref = ?", APP)}
    sql = (
        "SELECT path FROM mounts JOIN overlay_dirs ON cache_id = mount_id JOIN files USING (listing_id) WHERE name = ?"
    )
    changed = store.indexed.rows(sql.replace("WHERE name", "WHERE mounts.name"), "runs")
    assert ("/made",) in changed


def test_what_is_under_way(store: Store) -> None:
    """Leases and writes that have not ended are known."""
    assert store.indexed.rows("SELECT lease_id FROM leases WHERE lease_id = 'lease'") == [("lease",)]
    [(namespace, ref, size)] = store.indexed.rows("SELECT namespace, ref, size FROM ingests")
    assert (namespace, ref) == ("default", "unended")
    assert 0 <= size <= SENT


def same(one: Index, other: Index, image: str) -> None:
    """Make sure that an image is the same in two indexes: layers, files of layers, and the tree that it shows."""
    layers = """SELECT l.position, l.diff_id, l.chain_id FROM image_layers AS l
                JOIN image_names AS n USING (snapshot_id, image_id) WHERE n.name = ? ORDER BY 1"""
    files = """SELECT DISTINCT y.diff_id, f.path, f.type, f.mode, f.uid, f.gid, f.size, f.mtime, f.link_target,
                 f.content_crc64, f.opaque, f.xattrs
               FROM layers AS y JOIN files AS f USING (listing_id)
               WHERE (y.snapshot_id, y.chain_id) IN (SELECT l.snapshot_id, l.chain_id FROM image_layers AS l
                 JOIN image_names AS n USING (snapshot_id, image_id) WHERE n.name = ?) ORDER BY 1, 2"""
    assert one.rows("SELECT DISTINCT image_id FROM image_names WHERE name = ?", image) == other.rows(
        "SELECT DISTINCT image_id FROM image_names WHERE name = ?", image
    )
    for sql in (layers, files):
        assert one.rows(sql, image) == other.rows(sql, image) != []
    shown = [[{**row, "host": None} for row in index.query("image-files", image=image)] for index in (one, other)]
    assert shown[0] == shown[1] != []


def test_as_in_docker(store: Store, tmp_path: Path) -> None:
    """The same image in Docker 20.10 has the same id, layers and files, under each of its names."""
    with new_engine() as docker:
        docker.docker("load", input=made())
        docker.stop()
        index = scan(docker.root, tmp_path / "db")
        for name in ("li/app:1", "li/base:1", APP):
            same(store.indexed, index, name)
        answer = layerindex("compare", store.indexed.path, index.path, "--format", "json")
        [found] = json.loads(answer.stdout)
        counts = {row["section"]: (row["only_a"], row["only_b"], row["differing"]) for row in found["summary"]}
        assert [counts[name] for name in ("images", "tags", "layers", "files", "problems")] == [(0, 0, 0)] * 5


def test_while_it_works(daemon: Containerd, store: Store, tmp_path: Path) -> None:  # noqa: ARG001 - what fills it
    """While images are pulled, unpacked and removed, and containers made, no directory is called an orphan."""
    (tmp_path / "images.tar").write_bytes(made())
    stop = threading.Event()
    failures: list[str] = []

    def work() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            try:
                daemon.ctr("images", "import", tmp_path / "images.tar", namespace="busy")
                daemon.ctr("containers", "create", APP, f"c{turn}", namespace="busy")
                daemon.ctr("containers", "rm", f"c{turn}", namespace="busy")
                daemon.ctr("images", "rm", "--sync", APP, BASE, namespace="busy")
            except EngineError as error:
                failures.append(str(error))
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for turn in range(SCANS):
            index = scan(daemon.root, tmp_path / f"{turn}.db")
            assert index.rows("SELECT * FROM overlay_dirs WHERE role = 'orphan'") == []
            bad = "SELECT code, path, detail FROM problems WHERE severity = 'error' AND code <> 'vanished'"
            assert index.rows(bad) == []
    finally:
        stop.set()
        thread.join()
    assert failures == []


# Docker of today -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def modern(modern_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give a Docker that keeps its images in containerd, with images, containers, a volume and a build."""
    with ModernEngine(modern_root) as docker:
        docker.docker("load", input=made())
        docker.docker("run", "--detach", "--network", "host", "--name", "runs", "li/app:1")
        docker.docker("exec", "runs", "/bin/busybox", "touch", "/made")
        docker.docker("create", "--name", "waits", "--volume", "named:/data", "li/base:1", "/bin/busybox", "true")
        context = tmp_path_factory.mktemp("context")
        (context / "Dockerfile").write_text('FROM li/base:1\nCOPY f /f\nRUN ["/bin/busybox", "touch", "/built"]\n')
        (context / "f").write_text("f")
        docker.docker("build", "--network", "host", "--tag", "li/built:1", context, env=BUILDKIT)
        docker.docker("tag", "li/built:1", "gone:1")
        yield docker


@pytest.fixture(scope="module")
def modern_index(modern: Engine, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Give the index of its store."""
    return scan_at_rest(modern.root, tmp_path_factory.mktemp("modern") / "db", "--walk")


def test_modern_is_sound(modern_index: Index) -> None:
    """Its store is read as one, without a problem and without an orphan."""
    assert modern_index.rows("SELECT store, driver FROM snapshots") == [("docker-containerd-overlayfs", "overlayfs")]
    # To the engine, which has another root, its data root is at another path.
    assert modern_index.rows("SELECT code, path, detail FROM problems WHERE code <> 'moved-root'") == []
    assert modern_index.rows("SELECT cache_id FROM overlay_dirs WHERE role IN ('orphan', 'unknown', 'removing')") == []
    assert modern_index.rows("SELECT * FROM drift") == []


def test_modern_images(modern: Engine, modern_index: Index) -> None:
    """Images have the digest that Docker shows, and the layers that it inspects."""
    for row in modern.rows("images", "--no-trunc"):
        name = f"{row['Repository']}:{row['Tag']}"
        (said,) = modern.inspect(name)
        found = modern_index.rows(
            "SELECT DISTINCT i.target_digest, i.image_id FROM images AS i"
            " JOIN image_names USING (snapshot_id, image_id) WHERE name = ?",
            name,
        )
        assert [target for target, _ in found] == [row["ID"]] == [said["Id"]]
        layers = modern_index.rows("SELECT diff_id FROM image_layers WHERE image_id = ? ORDER BY position", found[0][1])
        assert [diff_id for (diff_id,) in layers] == said["RootFS"]["Layers"]


def test_modern_containers(modern: Engine, modern_index: Index) -> None:
    """Containers, their state, image and changes are as Docker says."""
    for row in modern.rows("ps", "--all", "--no-trunc"):
        (said,) = modern.inspect(row["ID"], kind="container")
        [found] = modern_index.rows(
            "SELECT name, state, target_digest FROM containers WHERE container_id = ?", row["ID"]
        )
        assert found == (said["Name"][1:], said["State"]["Status"], said["Image"])
    changes = {row["path"] for row in modern_index.query("container-changes", container="runs")}
    assert "/made" in changes
    assert modern_index.rows("SELECT name FROM volumes") == [("named",)]


def test_modern_mounts(modern: Engine, modern_index: Index) -> None:
    """What the kernel says of a container's mounts, and the path at which it mounts it, lead to the container."""
    (said,) = modern.inspect("runs", kind="container")

    found = modern_index.show(Path(f"/proc/{said['State']['Pid']}/mountinfo").read_text())
    upper, *lowers = (row for row in found if row["part"])
    assert [said["Id"]] == [row["container_id"] for row in upper["containers"]]
    assert lowers
    assert {said["Id"]} == {row["id"] for row in found if not row["part"]}
    groups = Path(f"/proc/{said['State']['Pid']}/cgroup").read_text()
    assert {said["Id"]} == {row["id"] for row in modern_index.show(groups)}
    (row,) = modern_index.show(f"/var/lib/docker/rootfs/overlayfs/{said['Id']}/made")
    assert (said["Id"], "/made") == (row["id"], row["path"])
    assert [(0, 1)] == [(file["position"], file["visible"]) for file in row["file"]]


def test_modern_build_cache(modern: Engine, modern_index: Index) -> None:
    """The build cache is what docker system df lists, and each record's directory is known."""
    said = {entry["ID"] for entry in modern.get("/system/df?type=build-cache")["BuildCache"]}
    found = dict(modern_index.rows("SELECT record_id, cache_id FROM build_cache"))
    assert said <= found.keys()
    assert None not in {found[record] for record in said}


def test_modern_is_as_containerd(store: Store, modern_index: Index) -> None:
    """The same images have the same ids, layers and files in both."""
    for name in ("li/app:1", "li/base:1"):
        same(store.indexed, modern_index, name)


def test_modern_sizes(modern: Engine, modern_index: Index) -> None:
    """What docker images shows as size is what is unpacked and the blobs."""
    sql = """SELECT i.size + (SELECT sum(size) FROM (SELECT DISTINCT b.digest, b.size FROM blobs AS b
               WHERE b.digest IN (i.target_digest, i.image_id) OR b.digest IN (
                 SELECT y.digest FROM layer_blobs AS y JOIN image_layers AS l USING (snapshot_id, diff_id)
                 WHERE l.image_id = i.image_id)))
             FROM images AS i WHERE i.target_digest = ?"""
    for image in modern.get("/images/json"):
        if "gone:1" not in (image["RepoTags"] or ()):
            assert modern_index.rows(sql, image["Id"]) == [(image["Size"],)], image


def test_modern_after_removal(modern: Engine, tmp_path: Path, modern_index: Index) -> None:  # noqa: ARG001 - comes first
    """After images and containers were removed, and after the engine stopped, nothing is a false orphan."""
    modern.docker("rm", "--force", "runs", "waits")
    modern.docker("rmi", "--force", "li/app:1")
    for turn in range(5):
        index = scan(modern.root, tmp_path / f"{turn}.db")
        assert index.rows("SELECT * FROM overlay_dirs WHERE role = 'orphan'") == []
        assert index.rows("SELECT code, path FROM problems WHERE severity = 'error'") == []
    modern.stop()
    index = scan(modern.root, tmp_path / "stopped.db")
    assert index.rows("SELECT * FROM overlay_dirs WHERE role = 'orphan'") == []
    assert index.rows("SELECT code, path FROM problems WHERE severity = 'error'") == []


# Docker of today on the host's containerd -----------------------------------------------------------------------------


def test_docker_beside_containerd(modern_root: Path, tmp_path: Path) -> None:
    """Docker as its packages set it up: containerd's root tells containers by name, and whose each directory is."""
    with BesideEngine(modern_root) as docker:
        docker.docker("load", input=made())
        docker.docker("run", "--detach", "--network", "host", "--name", "runs", "--volume", "named:/d", "li/app:1")
        docker.docker("exec", "runs", "/bin/busybox", "touch", "/made")
        docker.docker("create", "--name", "waits", "li/base:1", "/bin/busybox", "true")
        context = tmp_path / "context"
        context.mkdir()
        (context / "Dockerfile").write_text('FROM li/base:1\nRUN ["/bin/busybox", "touch", "/built"]\n')
        docker.docker("build", "--network", "host", "--tag", "li/built:1", context, env=BUILDKIT)
        said = {row["Name"].removeprefix("/"): row for row in docker.inspect("runs", "waits", kind="container")}
        db = tmp_path / "db"
        for root in (docker.root, docker.containerd):
            layerindex("scan", root, "--db", db, "--walk")
        index = Index(db)

        assert index.rows("SELECT store FROM snapshots ORDER BY snapshot_id") == [
            ("docker-containerd",),
            ("containerd-overlayfs",),
        ]
        assert index.rows("SELECT code, path FROM problems WHERE severity = 'error'") == []
        assert index.rows("SELECT cache_id FROM overlay_dirs WHERE role IN ('orphan', 'unknown')") == []
        here = index.rows("SELECT name, container_id, state FROM containers WHERE snapshot_id = 2 ORDER BY name")
        assert here == [(name, row["Id"], row["State"]["Status"]) for name, row in sorted(said.items())]
        listed = json.loads(layerindex("query", "containers", "--db", db, "--format", "json").stdout)
        assert {row["name"]: row["volumes"] for row in listed} == {"runs": "named", "waits": None}
        changed = layerindex(
            "query", "container-changes", "-p", "container=runs", "--db", db, "--format", "json"
        ).stdout
        assert ("A", "/made") in {(row["kind"], row["path"]) for row in json.loads(changed)}
        (mount,) = index.rows("SELECT mount_id FROM containers WHERE name = 'runs' AND snapshot_id = 2")
        path = f"/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/{mount[0]}/fs/made"
        owned = json.loads(layerindex("query", "owner", "-p", f"thing={path}", "--db", db, "--format", "json").stdout)
        assert [("container", "runs")] == [(row["kind"], row["containers"]) for row in owned]
        assert "runs" in layerindex("show", path, "--db", db).stdout
        records = {row["ID"] for row in docker.get("/system/df?type=build-cache")["BuildCache"]}
        assert records <= {record for (record,) in index.rows("SELECT record_id FROM build_cache")}
        docker.stop()
        for snapshot, root in ((3, docker.root), (4, docker.containerd)):
            layerindex("scan", root, "--db", db, "--walk")
            counted = index.rows(f"SELECT sum(disk_bytes) FROM disk_usage WHERE snapshot_id = {snapshot}")
            du = subprocess.run(["du", "-s", "-x", "--block-size=1", root], capture_output=True, check=True)
            assert counted == [(int(du.stdout.split()[0]),)]
