"""What alerts, logs and /proc say of a container, image or directory leads `show` to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner

from layerindex.cli import group
from tests import kinds
from tests.conftest import build_world, in_time, program
from tests.containerd_root import INDEX, MANIFEST, ContainerdRoot
from tests.dataroot import DataRoot
from tests.storageroot import StorageRoot

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.conftest import World

    Row = dict[str, Any]

POD = "pod1234abcd-12ab-34cd-56ef-1234567890ab"
KUBE = "c" * 64
"""The container of Kubernetes in `kinds.containerd`."""
NOWHERE = "9" * 64


class Two(NamedTuple):
    """A database of a Docker host and of a Kubernetes node."""

    db: str
    world: World

    @property
    def box(self) -> str:
        """The container of the Docker host."""
        return self.world.container.container_id

    @property
    def upper(self) -> str:
        """The directory of its writable layer."""
        return self.world.container.mount.mount_id


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """Scan a data root of Docker and a root of containerd."""
    folder = tmp_path_factory.mktemp("forms")
    world = build_world(folder / "docker")
    db = str(folder / "forms.db")
    world.root.tag(world.ancestor, "acme/base:1")
    for path, host in ((world.root.path, "web-1"), (kinds.containerd(folder / "node").path, "node-1")):
        assert program("scan", "-q", "--walk", "--db", db, "--host", host, str(path)).returncode == 0
    return Two(db, world)


def run(two: Two, *words: str, **options: Any) -> Result:  # noqa: ANN401 - CliRunner's own
    """Run show within this process."""
    return CliRunner().invoke(group, ["show", "--db", two.db, *words], prog_name="layerindex", **options)


def shown(two: Two, *words: str, status: int = 0, **options: Any) -> list[Row]:  # noqa: ANN401 - CliRunner's own
    """Return the answers about some words."""
    result = run(two, "--format", "json", "--", *words, **options)
    assert status == result.exit_code, (words, result.output)
    found: list[Row] = json.loads(result.stdout or "[]")
    return found


def said(rows: list[Row]) -> list[str]:
    """Return the kind and the id of each answer."""
    return [f"{row['kind']} {row['id']}" for row in rows]


def names(container: str) -> list[str]:
    """Return what kubelets, runtimes, control groups, units and logs call a container."""
    slice_ = f"kubepods-besteffort-{POD.replace('-', '_')}.slice"
    return [
        *(f"{scheme}://{container}" for scheme in ("docker", "containerd", "cri-o", "crio", "podman")),
        f"containerd://{container[:12]}",
        *(
            f"{unit}-{container}.scope"
            for unit in ("cri-containerd", "docker", "libpod", "libpod-conmon", "crio", "crio-conmon", "nerdctl")
        ),
        *(f"/docker/{container}", f"/system.slice/docker-{container}.scope", f"/../docker-{container}.scope"),
        *(f"/kubepods/burstable/{POD}/{container}", f"/kubepods/{POD}/{container}"),
        f"/kubepods.slice/kubepods-besteffort.slice/{slice_}/cri-containerd-{container}.scope",
        f"/kubepods.slice/{slice_}/crio-{container}.scope/container",
        f"/{slice_}:cri-containerd:{container}",
        f"/machine.slice/libpod-{container}.scope/container",
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{container}.scope",
        *(f"/sys/fs/cgroup/memory/docker/{container}/x", f"/sys/fs/cgroup/system.slice/docker-{container}.scope/x"),
        f"12:pids:/docker/{container}\n11:cpu,cpuacct:/docker/{container}\n1:name=systemd:/docker/{container}\n",
        f"9:memory:/kubepods/burstable/{POD}/{container}\n8:pids:/kubepods/burstable/{POD}/{container}\n0::/\n",
        f"0::/system.slice/docker-{container}.scope",
        f"0::/system.slice/docker-{container}.scope (deleted)\n",
        f"0::/kubepods.slice/{slice_}/cri-containerd-{container}.scope/a b\n",
        f"/proc/812/cgroup:0::/docker/{container}",
        f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{container}",
        f"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{container}/init.pid",
        f"/run/containerd/runc/k8s.io/{container}/state.json",
        f"/run/docker/runtime-runc/moby/{container}/state.json",
        f"/var/log/containers/n_default_c-{container}.log",
        f"/var/lib/kubelet/x/{container}/y",
        f'time="2026-11-29T13:00:00Z" level=error msg="collecting {container} failed" id={container}',
        f"OOM: oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/docker/{container},task_memcg=/docker/{container},pid=7",
        f"Error response from daemon: No such container: {container[:12]}",
        f"the container ({container}), as seen in the alert.",
        json.dumps({"level": "error", "container": {"containerID": f"docker://{container}"}}),
        json.dumps({"status": {"id": container, "imageRef": f"x@sha256:{NOWHERE}"}}, indent=1),
        f"[1234.5] cgroup /docker/{container}: oom\n[1234.6] killed",
    ]


def test_names_of_containers(two: Two) -> None:
    """Each name leads to the container and to nothing else."""
    for container in (two.box, KUBE):
        for name in names(container):
            assert said(shown(two, name)) == [f"container {container}"], name
            assert said(shown(two, "-", input=f"{name}\n")) == [f"container {container}"], name


@pytest.mark.parametrize("host", ["box", "kube"])
def test_file_in_a_running_container(two: Two, host: str) -> None:
    """A path in a bundle's root filesystem tells the file, and the layer that shows it."""
    container = two.box if host == "box" else KUBE
    path = "/bin/sh" if host == "box" else "/other"
    for folder in (
        f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{container}/rootfs",
        f"/run/containerd/io.containerd.runtime.v1.linux/moby/{container}/rootfs",
        f"/run/somewhere/{container}/rootfs",
        f"/var/lib/docker/rootfs/overlayfs/{container}",
    ):
        (row,) = shown(two, f"{folder}{path}")
        assert (row["kind"], row["id"], row["path"], row["merged"]) == ("container", container, path, True)
        assert [(file["path"], file["visible"]) for file in row["file"]] == [(path, 1)]
        assert row["file"][0]["directory"] != row["container"]["writable"]
        assert {"container", "image"} == {each["kind"] for each in row["shows"]}
        (row,) = shown(two, folder)
        assert (row["id"], row["path"]) == (container, None)
    text = run(two, f"/run/x/{two.box}/rootfs/etc/nothing").stdout
    assert "no such path in it or the directories below it when the store was scanned" in text


def test_a_file_cannot_pass_for_a_container(two: Two) -> None:
    """What lies in a container's root filesystem, or a directory, is a path in it, whatever it is called."""
    inside = f"docker-{two.box}.scope/overlay2/{two.upper}/diff/{NOWHERE}"
    (row,) = shown(two, f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{KUBE}/rootfs/{inside}")
    assert (row["id"], row["path"]) == (KUBE, f"/{inside}")
    for name in (f"0::/docker/{two.box}", f"x\n0::/docker/{two.box}", f"docker://{two.box}", f"a {two.box} b"):
        (row,) = shown(two, f"/x/overlay2/{two.world.base.cache_id}/diff/{name}")
        assert (row["id"], row["path"]) == (two.world.base.cache_id, f"/{name}".replace("//", "/"))
    (row,) = shown(two, f"{two.world.root.path}/tmp/docker-builder1/overlay2/{two.upper}/diff/x")
    assert (row["kind"], row["id"]) == ("folder", "tmp")
    assert shown(two, f"/x/overlay2/{NOWHERE}/diff/docker/{two.box}", status=1) == []


def test_nested_groups(two: Two) -> None:
    """Of a container in a container both are shown, the outer one first; one that is not there is said."""
    group_ = f"0::/docker/{two.box}/kubepods.slice/{POD}/cri-containerd-{KUBE}.scope\n"
    assert said(shown(two, group_)) == [f"container {two.box}", f"container {KUBE}"]
    strange = group_.replace(KUBE, NOWHERE)
    assert said(shown(two, strange, status=1)) == [f"container {two.box}"]
    assert f"nothing is called '{NOWHERE}'" in run(two, strange).stderr


def test_group_without_a_name(two: Two) -> None:
    """A control group that names no container says where one can be read."""
    for text in ("0::/", "0::/../..", "12:pids:/\n0::/\n"):
        result = run(two, "-", input=text)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "inside of a container its control group has no name: read /proc/PID/cgroup on the host" in result.stderr
    assert "none of these 2 lines names a thing: no image" in run(two, "a b\nc d").stderr


def stack(two: Two) -> str:
    """Return the mount options of the container."""
    root, world = f"{two.world.root.path}/overlay2", two.world
    lower = ":".join(f"{root}/l/{layer.link}" for layer in (world.top, world.base))
    return f"rw,lowerdir={lower},upperdir={root}/{two.upper}/diff,workdir={root}/{two.upper}/work,xino=off"


def container_mounts(two: Two) -> str:
    """Return what the kernel says of the mounts of the container."""
    root = two.world.root.path
    return f"""\
715 577 0:51 / / rw,relatime master:215 - overlay overlay {stack(two)}
716 715 0:54 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
717 715 0:55 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
721 717 0:53 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
722 715 254:0 {root}/containers/{two.box}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw,discard
723 715 254:0 {root}/containers/{two.box}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw,discard
724 715 254:0 {root}/volumes/data/_data /var/lib/data rw,relatime - ext4 /dev/vda rw,discard
725 715 254:0 /srv/containers/web /x/overlay2/{two.world.other.layers[0].cache_id}/diff rw - ext4 /dev/vda rw
"""


def test_mounts_of_a_container(two: Two) -> None:
    """The whole of /proc/PID/mountinfo: its directories, the container and its volume; the rest is no error."""
    world = two.world
    expected = [
        *(f"directory {name}" for name in (two.upper, world.top.cache_id, world.base.cache_id)),
        *(f"container {two.box}", "volume data"),
    ]
    text = container_mounts(two)
    assert said(shown(two, text)) == said(shown(two, "-", input=text)) == expected
    parts = [row["part"] for row in shown(two, text)]
    assert parts == ["upper", "lower", "lower", None, None]
    for line in text.splitlines()[4:7]:
        assert said(shown(two, line)) == [expected[3 if "containers" in line else 4]]
    assert shown(two, text.splitlines()[1], status=1) == []


def test_mounts_of_a_host(two: Two) -> None:
    """Of many mounts one table says what each directory is, and of which images; from /proc/mounts as well."""
    root, world = two.world.root.path, two.world
    other = f"lowerdir={root}/overlay2/{world.other.layers[0].cache_id}/diff,upperdir={root}/overlay2/x/diff"
    spare = other.replace("/x/", f"/{world.other_container.mount.mount_id}/")
    lines = [
        "/dev/vda / ext4 rw,discard 0 0",
        f"overlay {root}/overlay2/{two.upper}/merged overlay {stack(two)} 0 0",
        f"overlay {root}/overlay2/x/merged overlay {spare} 0 0",
        f"shm {root}/containers/{two.box}/mounts/shm tmpfs rw 0 0",
        "proc /proc proc rw 0 0",
    ]
    page = "\n".join(lines)
    findmnt = "\n".join("{} on {} type {} ({})".format(*line.split()[:4]) for line in lines)
    ids = [two.upper, world.top.cache_id, world.base.cache_id, world.other_container.mount.mount_id]
    ids += [world.other.layers[0].cache_id, two.box]
    for page_ in (page, "\n".join(lines[1:]), findmnt):
        assert {row["id"] for row in shown(two, page_)} == set(ids)
    text = run(two, page).stdout
    table, images, *rest = text.split("\n\n")
    assert [line.split()[1] for line in table.splitlines()[2:]] == [name[:12] for name in ids[:5]]
    assert images.splitlines()[0] == "IMAGES OF THESE LAYERS"
    assert "container " in rest[0]
    assert "\nDIRECTORY\n" not in text


def test_a_megabyte_of_mounts(two: Two) -> None:
    """A page of a megabyte is answered, each directory once; what is not there is counted."""
    strange = "\n".join(f"overlay /x overlay rw,upperdir=/x/overlay2/{number:064}/diff 0 0" for number in range(200))
    page = container_mounts(two) * ((1 << 20) // len(container_mounts(two))) + strange
    with in_time():
        result = run(two, "-", "--format", "json", input=page)
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)) == 5
    assert len(result.stderr.splitlines()) == 21
    assert result.stderr.splitlines()[-1] == "and 180 more"
    many = "\n".join(f"{number:064}" for number in range(9000))
    assert "names more than 8192 things; give it in parts" in run(two, "-", input=many).stderr


def test_images_of_a_mount_line(two: Two) -> None:
    """A mount line names the images that its layers are of: those that are there as a whole first."""
    world = two.world
    text = run(two, f"overlay /x overlay {stack(two)} 0 0").stdout
    table, images, *_ = text.split("\n\n")
    rows = [line.split() for line in table.splitlines()]
    ancestor = world.ancestor.image_id[7:19]
    head = ["IMAGE", "IMAGE", "ID", "LAYERS", "HERE", "LAYERS", "HOST"]
    assert [line.split() for line in images.splitlines()[1:]] == [
        *(head, ["acme/web:1.0", world.image.image_id[7:19], "2", "2", "web-1"]),
        ["acme/base:1", ancestor, "1", "1", "web-1"],
    ]
    assert [row[0] for row in rows[2:]] == ["upper", "lower", "lower"]
    assert "web " in table.splitlines()[2]
    assert "acme/web:1.0 " in table.splitlines()[3]
    assert "CONTAINERS" in text


def test_several_things(two: Two) -> None:
    """Each thing is answered in turn; JSON says which of them a thing was asked by."""
    rows = shown(two, "web", f"docker://{KUBE}", container_mounts(two), "web")
    assert [row["asked"] for row in rows] == [1, 2, 3, 3, 3, 3, 3, 4]
    assert said(rows)[:2] == [f"container {two.box}", f"container {KUBE}"]
    text = run(two, "web", "data").stdout
    assert text.count("\ncontainer ") + text.startswith("container ") == 1
    assert "\n\nvolume data on web-1" in text
    listed = shown(two, "-", input=f"{two.box[:12]}\n\n {KUBE}\r\ndata\n")
    assert said(listed) == [f"container {two.box}", f"container {KUBE}", "volume data"]
    path = f"/x/overlay2/{two.upper}/diff/srv/app"
    (row,) = shown(two, "-", input=f"{path}\n{path}\n")
    assert (row["id"], row["path"]) == (two.upper, "/srv/app")


def test_half_of_a_surrogate_pair(two: Two) -> None:
    """JSON may hold what is no character: it names nothing, and ends in a sentence."""
    result = run(two, '{"UpperDir":"/var/lib/docker/overlay2/\\ud800/diff"}')
    assert 1 == result.exit_code
    assert "nothing is called" in f"{result.output}{result.exception}"


def test_one_of_several_is_missing(two: Two) -> None:
    """What is there is shown; each that is not is said in a line; the status is 1, or 2 where one is ambiguous."""
    result = run(two, "nope", "data", "other:2", "f")
    assert (result.exit_code, result.stdout.count("\nVOLUME\n")) == (1, 1)
    first, second, third = result.stderr.splitlines()
    assert first == "Error: nothing is called 'nope'"
    assert second.startswith("Error: nothing is called 'other:2' (did you mean other:1")
    assert third.startswith("Error: nothing is called 'f': no image, layer")
    assert said(shown(two, "", "data", status=2)) == ["volume data"]
    many = run(two, "-", input="\n".join(f"nope{number}" for number in range(50)))
    assert (many.exit_code, many.stdout) == (1, "")
    assert many.stderr.splitlines()[20:] == ["and 30 more"]
    none = run(two, "nope", "--format", "json")
    assert (none.exit_code, none.stdout) == (1, "")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(("acme/web", "acme/web:1.0"), ("acme/wbe", "acme/web:1.0"), ("docker://acme/wbe:1.0", "acme/web:1.0")),
        *(("/wbe", "web"), ("dta", "data"), ("docker.io/acme/web", "acme/web:1.0")),
    ],
)
def test_nearly_right(two: Two, word: str, meant: str) -> None:
    """A name that is nearly right is answered with the right one."""
    error = run(two, word).stderr
    assert "(did you mean " in error
    assert meant in error.partition("?")[0]


def test_digests(two: Two) -> None:
    """A manifest's or index's digest leads to its image, alone, after a name, in a line and as a blob's path."""
    (image,) = {row["id"] for row in shown(two, "docker.io/library/app:1")}
    sql = "SELECT DISTINCT digest FROM current_image_manifests"
    listed = program("query", "--db", two.db, "--sql", sql, "--format", "json").stdout
    digests = [row["digest"] for row in json.loads(listed)]
    assert len(digests) == 3
    for digest in digests:
        for form in (
            *(digest, digest[7:], f"docker.io/library/other@{digest}", f"other:1@{digest}"),
            *(f"docker-pullable://other@{digest}", f'Failed to pull image "x/y@{digest}": not found'),
            f"/x/io.containerd.content.v1.content/blobs/sha256/{digest[7:]}",
            f"https://registry-1.docker.io/v2/library/other/manifests/{digest}",
        ):
            (row,) = shown(two, form)
            assert row["kind"] == "image"
            assert row["matched"] in ("manifest digest", "index digest")
    assert image in {shown(two, digest)[0]["id"] for digest in digests}


def test_volume_at_a_place_of_its_own(tmp_path: Path) -> None:
    """A path below a volume that lies elsewhere is of the volume."""
    root = StorageRoot(tmp_path / "storage")
    root.graph_root = root.path
    data = root.volume("kept", place=tmp_path / "else*where")
    root.volume("kept2", place=tmp_path / "else*where")
    root.save()
    db = str(tmp_path / "place.db")
    assert program("scan", "-q", "--db", db, str(root.path)).returncode == 0
    for path in (data, data / "a" / "b", data.parent, f"{data}/../_data"):
        (row,) = json.loads(program("show", "--db", db, "--format", "json", str(path)).stdout)
        assert (row["kind"], row["id"]) == ("volume", "kept")
    assert program("show", "--db", db, str(data.parents[1])).returncode == 1


OTHERS = {
    "aufs": (["aufs/diff/{}{}", "aufs/mnt/{}{}"], ["aufs/layers/{}"]),
    "btrfs": (["btrfs/subvolumes/{}{}"], ["btrfs/subvolumes/{}"]),
    "zfs": (["zfs/graph/{}{}"], []),
    "devicemapper": (["devicemapper/mnt/{}/rootfs{}"], ["devicemapper/metadata/{}", "devicemapper/mnt/{}/id"]),
    "vfs": (["vfs/dir/{}{}"], ["vfs/dir/{}"]),
    "overlay": (["overlay/{}/root{}"], ["overlay/{}"]),
    "windowsfilter": (["windowsfilter/{}/Files{}"], ["windowsfilter/{}/layerchain.json"]),
}
"""Paths of other drivers: of files in a directory, and of the directory itself."""


@pytest.mark.parametrize("driver", OTHERS)
def test_paths_of_other_drivers(tmp_path: Path, driver: str) -> None:
    """They lead to the layer, its images and its files; what is not read is not called missing."""
    root = DataRoot(tmp_path / "docker", driver=driver)
    base = root.layer({"a": b"1", "both": b"1"})
    top = root.layer({"b": b"1", "both": b"22"}, parent=base)
    box = root.container(root.image(top, ["a:1"]), name="box")
    db = str(tmp_path / "other.db")
    assert program("scan", "-q", "--walk", "--db", db, str(root.path)).returncode == 0

    def show(path: str) -> Row:
        (row,) = json.loads(program("show", "--db", db, "--format", "json", path).stdout)
        assert isinstance(row, dict)
        return row

    files, folders = OTHERS[driver]
    for place in (str(root.path), "/mnt/copy"):
        for form in [*files, *folders]:
            row = show(f"{place}/{form.format(top.cache_id, '')}")
            assert (row["kind"], row["id"], row["directory"]["role"]) == ("directory", top.cache_id, "unread")
            assert row["directory"]["why"] == "it is named; the directories of this driver are not read"
            assert [image["image"] for image in row["images"]] == ["a:1"]
            (used,) = show(f"{place}/{form.format(box.mount.mount_id, '')}")["containers"]
            assert (used["container"], used["uses_it_as"]) == ("box", "writable layer")
        for form in files:
            whole = driver != "windowsfilter" and "diff" not in form
            held = [
                (file["size"], file["visible"])
                for file in show(f"{place}/{form.format(top.cache_id, '/both')}")["file"]
            ]
            assert held == ([(2, 1), (1, 0)] if whole else [(2, 1)])
            below = show(f"{place}/{form.format(top.cache_id, '/a')}")["file"]
            assert [(file["directory"], file["position"]) for file in below] == ([(base.cache_id, 1)] if whole else [])
            # Whether the container changed it is not known: its directory is not read.
            mine = show(f"{place}/{form.format(box.mount.mount_id, '/both')}")["file"]
            assert [file["visible"] for file in mine] == ([None, 0] if whole else [])
    assert show(f"{root.path}/{driver}")["id"] == driver


def test_blobs_of_no_image(tmp_path: Path) -> None:
    """An attestation, an artifact, a platform that was not pulled, a stray blob and a download are what they are."""
    root = ContainerdRoot(tmp_path / "containerd")
    layers = [root.layer({"a": b"1"})]
    image = root.manifest(root.config(layers), layers)
    root.blob(layers[0].blob)
    statement = root.json({"statement": 1})
    config = root.described(statement, "application/vnd.example+json")
    artifact = root.json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []})
    attestation = root.manifest(root.config([]), [], note="attestation")
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image}
    elsewhere = f"sha256:{NOWHERE}"
    index = root.index(
        [
            root.described(image, MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
            root.described(elsewhere, MANIFEST, 7, platform={"os": "linux", "architecture": "arm64"}),
            root.described(attestation, MANIFEST, annotations=about),
            root.described(artifact, MANIFEST),
        ]
    )
    root.name("docker.io/library/app:1", index, INDEX)
    stray = root.blob(b"stray")
    download = root.ingest("layer-1", b"abc", total=7)
    root.write()
    db = str(tmp_path / "blobs.db")
    assert program("scan", "-q", "--db", db, str(root.path)).returncode == 0

    def show(thing: str) -> Row:
        (row,) = json.loads(program("show", "--db", db, "--format", "json", thing).stdout)
        assert isinstance(row, dict)
        return row

    expected = {
        attestation: ("attestation", image, index, 1),
        artifact: ("artifact", None, index, 1),
        elsewhere: ("unknown", None, index, 0),
        stray: (None, None, None, 1),
        statement: (None, None, None, 1),
    }
    for digest, said in expected.items():
        for thing in (digest, digest[:19], f"{root.path}/io.containerd.content.v1.content/blobs/sha256/{digest[7:]}"):
            row = show(thing)
            blob = row["blob"]
            assert (row["kind"], row["id"]) == ("blob", digest)
            assert (blob["what"], blob["subject"], blob["listed_by"], blob["on_disk"]) == said
    assert (show(stray)["blob"]["size"], show(stray)["blob"]["namespaces"]) == (5, "default")
    assert show(elsewhere)["blob"]["platform"] == "linux/arm64"
    assert show(index)["kind"] == show(image)["kind"] == "image"
    for thing in (download.name, str(download / "data"), f"/x/io.containerd.content.v1.content/ingest/{download.name}"):
        row = show(thing)
        assert (row["kind"], row["ingest"]["ref"], row["ingest"]["size"]) == ("ingest", "layer-1", 3)
    text = program("show", "--db", db, attestation).stdout
    assert "\nBLOB\n" in text
    assert "on disk:     yes" in text
