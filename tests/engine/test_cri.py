"""Stores of containerd as Kubernetes and as an ordinary user have it, against what the CRI, `ctr` and root say."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from layerindex import database
from layerindex import scan as scanning
from layerindex.stores.containerd import store as containerd_store
from layerindex.stores.shared import id_maps

from .archives import ImageSource, Member, Step, archive, pack
from .conftest import need
from .containerd import Containerd, RootlessContainerd, why_not
from .cri import NAMESPACE, PAUSE, Cri
from .engine import BUSYBOX, EngineError
from .program import Index, layerindex, scan, scan_at_rest

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterator

    from .programs import Programs

pytestmark = pytest.mark.engine

APP = "docker.io/li/app:1"
MORE = ("docker.io/li/app:2", "docker.io/li/gone:1")
EXIT_CODE = 3
ROUNDS = 10
SHELL = ("/bin/busybox", "sh", "-c")
SLEEP = ("/bin/busybox", "sleep", "100000")


class Capable(Member):
    """A file with a capability, as `setcap cap_net_raw+p` gives it."""

    CAPABILITY = "0100000200200000000000000000000000000000"

    def header(self) -> tarfile.TarInfo:
        """Return the tar header."""
        info = super().header()
        info.pax_headers = {"SCHILY.xattr.security.capability": bytes.fromhex(self.CAPABILITY).decode()}
        return info


def made() -> bytes:
    """Return an archive of a pod's sandbox and of an image with many owners and all kinds of deletion."""
    base = pack(
        [
            Member("bin/"),
            Member("bin/busybox", BUSYBOX.read_bytes(), mode=0o755),
            Capable("bin/ping", b"ping"),
            Member("etc/", uid=7, gid=8),
            Member("etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
            Member("etc/conf", b"one", uid=1000, gid=2000, mode=0o640),
            Member("etc/same", hardlink="etc/conf", uid=1000, gid=2000, mode=0o640),
            Member("etc/link", symlink="conf", uid=9),
            Member("opt/"),
            Member("opt/a", b"a"),
            Member("opt/kept/"),
            Member("opt/kept/old", b"old"),
            Member("srv/"),
            Member("srv/file", b"file"),
        ]
    )
    top = pack(
        [
            Member("etc/", uid=7, gid=8),
            Member("etc/.wh.conf"),
            Member("opt/"),
            Member("opt/.wh..wh..opq"),
            Member("opt/kept/"),
            Member("opt/kept/new", b"new", uid=60_000, gid=60_001),
            Member("srv/"),
            Member("srv/.wh.never"),
        ]
    )
    steps = [Step("base", base), Step("env"), Step("top", top)]
    app = ImageSource([name.removeprefix("docker.io/") for name in (APP, *MORE)], steps, {"Cmd": [*SLEEP]})
    return archive([app, ImageSource([PAUSE.removeprefix("docker.io/")], steps[:1], {"Entrypoint": [*SLEEP]})])


def imported(containerd: Containerd, namespace: str) -> None:
    """Import the images, unpacked."""
    path = containerd.folder / "images.tar"
    path.write_bytes(made())
    containerd.ctr("images", "import", path, namespace=namespace)


def until(happened: Callable[[], bool]) -> None:
    """Wait for what the plugin does when it hears of it."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def blocks(root: Path) -> int:
    """Return what `du` counts."""
    said = subprocess.run(["du", "-s", "-x", "--block-size=1", root], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def settled(root: Path, index: Callable[[], Index]) -> tuple[Index, int]:
    """Scan until nothing was written meanwhile, as an engine may; return the index and what `du` counts."""
    for _ in range(8):
        before, found = blocks(root), index()
        if before == (after := blocks(root)):
            break
    return found, after


# Kubernetes ----------------------------------------------------------------------------------------------------------


class Node(NamedTuple):
    """A containerd with a pod, and the index of it."""

    cri: Cri
    pod: str
    containers: dict[str, str]
    """Ids by name."""
    indexed: Index
    du: int


@pytest.fixture(scope="module")
def node(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Give a node with a pod of one container that runs, one that ended after it wrote, and one that never started."""
    need(why_not(programs))
    with Cri(programs) as cri:
        imported(cri, NAMESPACE)
        cri.await_images(APP, *MORE, PAUSE)
        pod = cri.run_pod("web")
        script = f"echo new > /new; rm /srv/file; mkdir /opt/made; exit {EXIT_CODE}"
        commands = {"wrote": (*SHELL, script), "waits": SLEEP, "runs": SLEEP, "bare": SLEEP}
        containers = {
            name: cri.create(pod, name, APP, command, labelled=name != "bare") for name, command in commands.items()
        }
        for name in ("wrote", "runs"):
            cri.run(containers[name])
        # Images that go are told to the plugin as events.
        cri.ctr("images", "rm", "--sync", MORE[1], namespace=NAMESPACE)
        until(lambda: cri.state(containers["wrote"]) == "exited" and MORE[1] not in {tag for _, tag in images_of(cri)})
        folder = tmp_path_factory.mktemp("node")
        found = settled(cri.root, lambda: scan_at_rest(cri.root, folder / "db", "--walk"))
        yield Node(cri, pod, containers, *found)


def images_of(cri: Cri) -> set[tuple[str, str]]:
    """Return the id and tag of all images, as the CRI lists them."""
    return {(image.text(1), tag) for image in cri.call("Image", "ListImages").all(1) for tag in image.texts(2)}


def moment(nanoseconds: int) -> str | None:
    """Return a time of the CRI as the index has it."""
    if not nanoseconds:
        return None
    seconds, rest = divmod(nanoseconds, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    return (f"{whole}.{rest:09}".rstrip("0") if rest else whole) + "Z"


def test_node_is_sound(node: Node) -> None:
    """A node's store has no problem, no orphan and no drift, and its bytes are du's."""
    assert node.indexed.rows("SELECT code, path, detail FROM problems") == []
    assert node.indexed.rows("SELECT cache_id FROM overlay_dirs WHERE role NOT IN ('layer', 'container')") == []
    assert node.indexed.rows("SELECT * FROM drift") == []
    assert node.indexed.rows("SELECT sum(disk_bytes) FROM disk_usage") == [(node.du,)]
    assert node.indexed.rows("SELECT disk_bytes FROM disk_usage WHERE category = 'unaccounted'") == [(0,)]


def test_images_are_the_cris(node: Node) -> None:
    """Image ids and tags are those that the CRI lists, and an image's size is that of its blobs."""
    # The plugin names each image by its id too.
    sql = "SELECT image_id, ref FROM image_refs WHERE ref NOT LIKE 'sha256:%'"
    assert set(node.indexed.rows(sql)) == images_of(node.cri)
    assert {tag for _, tag in images_of(node.cri)} == {APP, MORE[0], PAUSE}
    size = """SELECT sum(size) FROM (SELECT DISTINCT digest, size FROM blobs WHERE digest IN (
                SELECT target_digest FROM images WHERE image_id = :id UNION SELECT :id UNION
                SELECT y.digest FROM layer_blobs AS y JOIN image_layers AS l USING (snapshot_id, diff_id)
                WHERE l.image_id = :id))"""
    for image in node.cri.call("Image", "ListImages").all(1):
        found = node.indexed.rows(size.replace(":id", f"'{image.text(1)}'"))
        assert found == [(image.number(4),)]


def test_containers_are_the_cris(node: Node) -> None:
    """A container's id, name, pod, image, state, times, exit code and log are what the CRI says."""
    said = []
    for row in node.cri.call("Runtime", "ListContainers").all(1):
        status = node.cri.status(row.text(1))
        said.append(
            (
                row.text(1),
                row.text(2),
                row.text(5),
                status.below(8).text(1),
                node.cri.state(row.text(1)),
                moment(status.number(5)),
                moment(status.number(6)),
                status.number(7) if status.number(6) else None,
                status.text(15),
            )
        )
    sql = """SELECT container_id, sandbox_id, image_id, image_ref, state, started_at, finished_at, exit_code, log_path
             FROM containers WHERE sandbox_id IS NOT NULL AND namespace = ?"""
    assert sorted(node.indexed.rows(sql, NAMESPACE)) == sorted(said)
    assert sorted(row[4] for row in said) == ["created", "created", "exited", "running"]
    # Without kubelet's labels, the name is what the plugin reserves: it ends in the pod's.
    names = {name if name != "bare" else "bare_web_tests_uid-web_0": each for name, each in node.containers.items()}
    found = node.indexed.rows("SELECT name, container_id FROM containers WHERE container_id <> ?", node.pod)
    assert dict(found) == names


def test_pods_are_the_cris(node: Node) -> None:
    """A pod's sandbox is a container with the pod's name, which runs as one of its containers does."""
    said = [
        (pod.text(1), "_".join((*(pod.below(2).text(field) for field in (1, 3, 2)), "0")), PAUSE, "running")
        for pod in node.cri.call("Runtime", "ListPodSandbox").all(1)
    ]
    sql = "SELECT container_id, name, image_ref, state FROM containers WHERE sandbox_id IS NULL"
    assert node.indexed.rows(sql) == said
    assert [row[0] for row in said] == [node.pod]


def test_ctr_says_the_same(node: Node) -> None:
    """Containers and snapshots are those that ctr lists."""
    said = {(row[0], row[1]) for row in node.cri.rows("containers", "ls", namespace=NAMESPACE)}
    assert set(node.indexed.rows("SELECT container_id, image_ref FROM containers")) == said
    snapshots = {
        (row[0], row[1] if len(row) == 3 else None, row[-1].lower())
        for row in node.cri.rows("snapshots", "ls", namespace=NAMESPACE)
    }
    sql = """SELECT s.snapshot_key, p.snapshot_key, s.kind FROM containerd_snapshots AS s
             LEFT JOIN containerd_snapshots AS p ON p.name = s.parent_name"""
    assert set(node.indexed.rows(sql)) == snapshots


def test_what_a_container_wrote(node: Node) -> None:
    """What a container wrote and removed before it ended is listed, by its name and by its id."""
    for name in ("wrote", node.containers["wrote"]):
        changes = {(row["kind"], row["path"]) for row in node.indexed.query("container-changes", container=name)}
        assert changes >= {("A", "/new"), ("D", "/srv/file"), ("A", "/opt/made")}
    assert node.indexed.query("container-changes", container="waits") == []


def test_containers_are_found(node: Node) -> None:
    """`show` and `owner` find a container by name, by id and by its directory, and a pod by its name."""
    places = dict(node.indexed.rows("SELECT container_id, mount_id FROM containers"))
    snapshots = node.cri.root / "io.containerd.snapshotter.v1.overlayfs/snapshots"
    for name, container in node.containers.items():
        path = f"{snapshots}/{places[container]}/fs"
        for thing in (container, container[:12], path):
            assert container[:12] in layerindex("show", thing, "--db", node.indexed.path).stdout, (name, thing)
        shown = name if name != "bare" else "bare_web_tests_uid-web_0"
        assert container[:12] in layerindex("show", shown, "--db", node.indexed.path).stdout
        (owner,) = node.indexed.query("owner", thing=path)
        assert (owner["kind"], owner["containers"]) == ("container", shown)
    assert node.pod[:12] in layerindex("show", "web_tests_uid-web_0", "--db", node.indexed.path).stdout


def test_what_the_system_says_of_a_container(node: Node) -> None:
    """Its mounts, its control groups and its bundle lead to it, to its directories and to the files that it shows."""
    container = node.containers["runs"]
    (pid,) = [row[1] for row in node.cri.rows("tasks", "ls", namespace=NAMESPACE) if row[0] == container]

    groups = Path(f"/proc/{pid}/cgroup").read_text()
    assert container in groups
    for thing in (groups, f"containerd://{container}", f"cri-containerd-{container}.scope"):
        assert {container} == {row["id"] for row in node.indexed.show(thing)}
    found = node.indexed.show(Path(f"/proc/{pid}/mountinfo").read_text())
    upper, *lowers = (row for row in found if row["part"])
    assert [container] == [row["container_id"] for row in upper["containers"]]
    assert 2 == len(lowers)
    assert all(APP in str([image["image"] for image in row["images"]]) for row in lowers)
    # Of the pod are the names of hosts and the shared memory, of the container its control groups of version 1.
    assert {node.pod, container} >= {row["id"] for row in found if not row["part"]}
    bundle = f"/run/containerd/io.containerd.runtime.v2.task/{NAMESPACE}/{container}"
    for path, held in (("/opt/kept/new", 1), ("/bin/ping", 2)):
        (row,) = node.indexed.show(f"{bundle}/rootfs{path}")
        assert (container, path) == (row["id"], row["path"])
        assert [(held, 1)] == [(file["position"], file["visible"]) for file in row["file"]]
    assert [container] == [row["id"] for row in node.indexed.show(bundle)]


def test_queries_answer_for_a_node(node: Node) -> None:
    """Every canned query runs, and `containers` tells how each fares."""
    node.indexed.every_query(APP)
    states = {row["name"]: row["state"] for row in node.indexed.query("containers")}
    assert states["wrote"] == "exited"
    assert states["runs"] == "running"
    assert states["waits"] == "created"


def test_while_pods_come_and_go(node: Node, tmp_path: Path) -> None:
    """While pods are made and removed no directory is called an orphan, and afterwards all is gone."""
    failures: list[str] = []

    def work() -> None:
        try:
            for turn in range(ROUNDS):
                pod = node.cri.run_pod(f"pod{turn}")
                container = node.cri.create(pod, f"c{turn}", APP, (*SHELL, "echo x > /x"))
                node.cri.run(container)
                node.cri.remove(pod)
        except EngineError as error:
            failures.append(f"{error}")

    thread = threading.Thread(target=work)
    thread.start()
    turn = 0
    try:
        while thread.is_alive():
            index = scan(node.cri.root, tmp_path / f"{turn}.db")
            assert index.rows("SELECT * FROM overlay_dirs WHERE role = 'orphan'") == []
            bad = "SELECT code, path, detail FROM problems WHERE severity = 'error' AND code <> 'vanished'"
            assert index.rows(bad) == []
            turn += 1
    finally:
        thread.join()
    assert failures == []
    assert turn > 1
    last = scan_at_rest(node.cri.root, tmp_path / "last.db")
    containers = "SELECT container_id FROM containers ORDER BY 1"
    assert last.rows(containers) == node.indexed.rows(containers)
    assert last.rows("SELECT code, path FROM problems") == []


# An ordinary user ----------------------------------------------------------------------------------------------------


class Both(NamedTuple):
    """The index of a user's containerd, and that of root's with the same images."""

    containerd: RootlessContainerd
    user: Index
    root: Index
    du: int


@pytest.fixture(scope="module")
def both(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Give both, the user's with a container's changes."""
    need(why_not(programs))
    folder = tmp_path_factory.mktemp("both")
    with Containerd(programs) as containerd:
        imported(containerd, "default")
        of_root = scan(containerd.root, folder / "root.db", "--walk")
    with RootlessContainerd(programs) as containerd:
        imported(containerd, "default")
        containerd.ctr("containers", "create", APP, "changed")
        point = containerd.folder / "m"
        point.mkdir()
        mount = containerd.ctr("snapshots", "mounts", point, "changed").strip()
        assert ",userxattr," in mount
        change = "rm -r opt && mkdir opt && echo n > opt/n && chown 5:6 opt/n && rm srv/file && touch etc/made"
        containerd.inside(f"{mount}; cd {point}; {change}; cd /; umount {point}")
        indexed, on_disk = settled(containerd.root, lambda: index_of_user(containerd, folder, walk=True))
        yield Both(containerd, indexed, of_root, on_disk)


def index_of_user(containerd: RootlessContainerd, folder: Path, **how: bool) -> Index:
    """Scan a user's store as root, with ids set apart for the user of which this machine's /etc knows nothing."""
    for name, first in (("subuid", containerd.UID), ("subgid", containerd.GID)):
        (folder / name).write_text(f"{containerd.user.pw_name}:{first}:{containerd.COUNT}\n")
    path = folder / "user.db"
    path.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch, database.writing(str(path), print) as connection:
        patch.setattr(id_maps, "id_map_of", partial(id_maps.id_map_of, etc=str(folder)))
        (store,) = containerd_store.find_stores(str(containerd.root), {})
        options = scanning.Options(files=True, jobs=1, **how)
        scanning.scan(connection, store, scanning.Filing(scanning.Host("h1", None)), options)
    return Index(path)


def test_store_of_a_user_is_sound(both: Both) -> None:
    """On disk all is the user's and the kernel marked deletions in its own way: no drift, no problem, du's bytes."""
    assert both.containerd.root.stat().st_uid == both.containerd.user.pw_uid
    assert both.user.rows("SELECT code, path, detail FROM problems") == []
    assert both.user.rows("SELECT cache_id FROM overlay_dirs WHERE role NOT IN ('layer', 'container')") == []
    assert both.user.rows("SELECT * FROM drift") == []
    assert both.root.rows("SELECT * FROM drift") == []
    assert both.user.rows("SELECT sum(disk_bytes) FROM disk_usage") == [(both.du,)]


def test_store_of_a_user_has_roots_files(both: Both) -> None:
    """Images, layers and files are those of root's containerd."""
    layers = "SELECT image_id, position, diff_id, chain_id FROM image_layers ORDER BY 1, 2"
    files = """SELECT DISTINCT l.diff_id, f.path, f.type, f.mode, f.uid, f.gid, f.size, f.mtime, f.link_target,
                 f.content_crc64, f.opaque, f.xattrs, hex(f.capability)
               FROM listings AS l JOIN files AS f USING (listing_id) WHERE l.diff_id IS NOT NULL ORDER BY 1, 2"""
    for sql in (layers, files):
        assert both.user.rows(sql) == both.root.rows(sql) != []
    owners = {(uid, gid) for _, _, _, _, uid, gid, *_ in both.user.rows(files)}
    assert owners >= {(1000, 2000), (7, 8), (60_000, 60_001), (0, 0)}
    assert (Capable.CAPABILITY.upper(),) in both.user.rows("SELECT hex(capability) FROM files")
    answer = layerindex("compare", both.user.path, both.root.path, "--format", "json")
    (found,) = json.loads(answer.stdout)
    counts = {row["section"]: (row["only_a"], row["only_b"], row["differing"]) for row in found["summary"]}
    assert [counts[name] for name in ("images", "tags", "layers", "files", "problems")] == [(0, 0, 0)] * 5


def test_disk_of_a_user_is_what_blobs_say(both: Both, tmp_path: Path) -> None:
    """Walked without blobs, files have the owners, modes and capabilities that they have inside."""
    by_disk = index_of_user(both.containerd, tmp_path, blobs=False)
    sql = """SELECT f.path, f.type, f.mode, f.uid, f.gid, hex(f.capability) FROM layers AS y
             JOIN listings AS l USING (listing_id) JOIN files AS f USING (listing_id)
             WHERE y.parent_chain_id IS NULL AND f.name <> '' ORDER BY 1"""
    plain = [row for row in both.root.rows(sql) if row[1] != "hardlink"]
    assert [row for row in by_disk.rows(sql) if row[1] != "hardlink"] == plain
    assert ("/bin/ping", "file", 0o644, 0, 0, Capable.CAPABILITY) in plain


def test_changes_in_a_users_container(both: Both) -> None:
    """A folder that a user's kernel marked as opaque hides what was below it; a new file has the owner inside."""
    changes = {(row["kind"], row["path"]) for row in both.user.query("container-changes", container="changed")}
    expected = {("A", "/opt/n"), ("D", "/opt/kept"), ("D", "/srv/file"), ("A", "/etc/made")}
    assert expected == {(kind, path) for kind, path in changes if kind != "C"}
    sql = """SELECT f.path, f.uid, f.gid, f.opaque FROM mounts JOIN overlay_dirs ON cache_id = mount_id
             JOIN files AS f USING (listing_id) WHERE f.path IN ('/opt', '/opt/n') ORDER BY 1"""
    assert both.user.rows(sql) == [("/opt", 0, 0, 1), ("/opt/n", 5, 6, None)]
