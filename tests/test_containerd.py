"""Roots of containerd: what their databases, blobs and directories say, and what is wrong with them."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from layerindex import catalog, database, scan, shipped
from layerindex.cli import group
from layerindex.query import resolve
from layerindex.stores import open_stores
from layerindex.stores.containerd import content
from tests.bolt_writer import bolt, mutations
from tests.conftest import HOST, codes, in_time, nobody_special, problems, scanned, serious, table
from tests.containerd_root import (
    CONTENT,
    CREATED_TEXT,
    INDEX,
    MANIFEST,
    META,
    ContainerdRoot,
    Image,
    anything,
    digest,
    moment,
    texts,
    varint,
)
from tests.dataroot import DataRoot
from tests.test_usage import du

if TYPE_CHECKING:
    from pathlib import Path

BASE = {"etc/conf": b"conf", "bin/sh": b"#!"}
TOP = {"app/run": b"run" * 99}
RECORD = "0123456789abcdefghijklmno"


@pytest.fixture
def root(tmp_path: Path) -> ContainerdRoot:
    """Give a root in the making."""
    return ContainerdRoot(tmp_path / "containerd")


def app(root: ContainerdRoot, name: str = "docker.io/library/app:1", **options: Any) -> Image:  # noqa: ANN401
    """Make an image of two layers."""
    return root.image(name, [root.layer(BASE), root.layer(TOP)], **options)


def files(
    root: Path, *, walk: bool = False, blobs: bool = True, into: sqlite3.Connection | None = None
) -> sqlite3.Connection:
    """Scan a root with its files."""
    connection = into or sqlite3.connect(":memory:", isolation_level=None)
    if into is None:
        database.create(connection)
    with in_time():
        for store in open_stores(str(root)):
            scan.scan(connection, store, scan.Filing(HOST), scan.Options(walk=walk, blobs=blobs))
    return connection


# What is there -------------------------------------------------------------------------------------------------------


def test_image(root: ContainerdRoot) -> None:
    """An image is told with its config's digest, its target, its names, layers, blobs and manifest."""
    image = app(root)
    root.name("docker.io/library/app:latest", image.target)
    connection = scanned(root.write().path)
    assert codes(connection) == set()
    facts = "image_id, target_digest, layer_count, size, architecture, last_updated_at"
    size = 4096 * (1 + len(BASE)) + 4096 * (1 + len(TOP))
    assert table(connection, facts, "images") == [(image.image_id, image.target, 2, size, "amd64", CREATED_TEXT)]
    found = table(connection, "ref, repository, tag, namespace, normalized, target_digest, image_id", "image_refs")
    assert found == [
        (f"docker.io/library/app:{tag}", "docker.io/library/app", tag, "default", f"docker.io/library/app:{tag}", *rest)
        for tag, rest in (("1", (image.target, image.image_id)), ("latest", (image.target, image.image_id)))
    ]
    layers = [(layer.diff_id, chain) for layer, chain in zip(image.layers, image.chains, strict=True)]
    assert table(connection, "diff_id, chain_id", "image_layers") == layers
    assert table(connection, "created_by, layer_position", "image_history") == [("step 0", 0), ("step 1", 1)]
    found = table(connection, "chain_id, diff_id, parent_chain_id, cache_id, verified", "layers ORDER BY cache_id")
    assert found == [
        (image.chains[0], image.layers[0].diff_id, None, "1", 1),
        (image.chains[1], image.layers[1].diff_id, image.chains[0], "2", 1),
    ]
    found = table(connection, "diff_id, digest", "layer_blobs ORDER BY diff_id")
    assert found == sorted((layer.diff_id, layer.digest) for layer in image.layers)
    assert table(connection, "digest, image_id, index_digest, kind, on_disk", "image_manifests") == [
        (image.target, image.image_id, "", "image", 1)
    ]
    found = table(connection, "count(*), sum(on_disk), sum(diff_id IS NOT NULL), sum(media_type IS NULL)", "blobs")
    assert found == [(4, 4, 2, 0)]
    assert table(connection, "store, driver", "snapshots") == [("containerd-overlayfs", "overlayfs")]


def test_names_of_an_image(root: ContainerdRoot) -> None:
    """An image is found by what Docker calls it, by id and by target; what Docker keeps untagged has no name."""
    image = app(root, "docker.io/library/app:latest")
    spare = root.image("moby-dangling@sha256:" + "1" * 64, [root.layer({"x": b"x"})])
    by_id = root.image(digest(b"cri"), [root.layer({"y": b"y"})], namespace="k8s.io")
    connection = scanned(root.write().path)
    names = {
        name for (name,) in connection.execute("SELECT name FROM image_names WHERE image_id = ?", (image.image_id,))
    }
    full = {"docker.io/library/app:latest", "docker.io/library/app", "library/app:latest", "library/app"}
    full |= {"app:latest", "app"}
    ids = {image.image_id, image.image_id[7:19], image.target, image.target[7:19]}
    assert names == full | ids
    assert table(connection, "ref", "image_refs WHERE image_id = '" + spare.image_id + "'") == []
    found = table(connection, "repository, tag, digest, normalized", "image_refs WHERE namespace = 'k8s.io'")
    assert found == [("", None, None, by_id.name)]


def test_platforms(root: ContainerdRoot) -> None:
    """Of an index, the platforms that are here are images; others, attestations and artifacts are rows alone."""
    layers = {name: [root.layer({name: b"x"})] for name in ("amd64", "arm64")}
    configs = {name: root.config(of, architecture=name) for name, of in layers.items()}
    manifests = {name: root.manifest(configs[name], of) for name, of in layers.items()}
    absent, other = digest(b"absent"), root.described(root.blob(b"{}"), "x/y")
    artifact = root.json({"schemaVersion": 2, "mediaType": MANIFEST, "config": other, "layers": []})
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": manifests["amd64"]}
    attestation = root.manifest(root.config([]), [], note="attestation")
    index = root.index(
        [
            *(
                root.described(named, MANIFEST, platform={"os": "linux", "architecture": name})
                for name, named in manifests.items()
            ),
            root.described(absent, MANIFEST, 99, platform={"os": "linux", "architecture": "arm", "variant": "v7"}),
            root.described(
                attestation, MANIFEST, annotations=about, platform={"os": "unknown", "architecture": "unknown"}
            ),
            root.described(artifact, MANIFEST),
        ]
    )
    root.name("ghcr.io/a/b:1", index, INDEX)
    connection = scanned(root.write().path)
    assert codes(connection) == set()
    assert dict(table(connection, "architecture, image_id", "images")) == configs
    assert table(connection, "DISTINCT target_digest", "images") == [(index,)]
    found = dict(table(connection, "image_id, target_digest", "image_refs WHERE ref = 'ghcr.io/a/b:1'"))
    assert found == dict.fromkeys(configs.values(), index)
    rows = table(
        connection, "digest, kind, on_disk, architecture, variant, subject_digest, index_digest", "image_manifests"
    )
    assert {row[0]: row[1:] for row in rows} == {
        index: ("index", 1, None, None, None, ""),
        manifests["amd64"]: ("image", 1, "amd64", None, None, index),
        manifests["arm64"]: ("image", 1, "arm64", None, None, index),
        absent: ("unknown", 0, "arm", "v7", None, index),
        attestation: ("attestation", 1, "unknown", None, manifests["amd64"], index),
        artifact: ("artifact", 1, None, None, None, index),
    }


def test_nothing_of_a_name_is_here(root: ContainerdRoot) -> None:
    """A name whose manifest or config is absent is a row that names the target, and a problem."""
    image = app(root)
    gone = root.image("docker.io/library/gone:1", [root.layer({"z": b"z"})])
    del root.blobs[gone.target]
    half = root.image("docker.io/library/half:1", [root.layer({"h": b"h"})])
    del root.blobs[half.image_id]
    connection = scanned(root.write().path)
    assert [row[0] for row in table(connection, "image_id", "images")] == [image.image_id]
    found = dict(table(connection, "ref, image_id", "image_refs"))
    assert found == {image.name: image.image_id, gone.name: gone.target, half.name: half.target}
    assert {subject for _, subject in problems(connection, "missing-image")} == {gone.name, half.name}
    assert {subject for _, subject in problems(connection, "missing-blob")} == {gone.target, half.image_id}


def test_one_image_in_two_namespaces(root: ContainerdRoot) -> None:
    """An image of two namespaces is one, its layers are unpacked twice, and both directories are known as theirs."""
    image = app(root)
    app(root, namespace="k8s.io")
    connection = scanned(root.write().path)
    assert codes(connection) == set()
    assert table(connection, "image_id", "images") == [(image.image_id,)]
    assert table(connection, "namespace, image_id", "image_refs") == [
        ("default", image.image_id),
        ("k8s.io", image.image_id),
    ]
    assert table(connection, "cache_id", "layers ORDER BY cache_id") == [("1",), ("2",)]
    owners = table(connection, "cache_id, owner", "overlay_dir_owners WHERE kind = 'layer' ORDER BY cache_id")
    assert owners == [("1", image.chains[0]), ("2", image.chains[1]), ("3", image.chains[0]), ("4", image.chains[1])]
    assert table(connection, "namespace, count(*)", "blobs GROUP BY namespace") == [("default", 4), ("k8s.io", 4)]


def test_not_unpacked(root: ContainerdRoot) -> None:
    """Layers that are not unpacked are known all the same, and listed from their blobs."""
    image = app(root, unpacked=False)
    bare = root.image("docker.io/library/bare:1", [root.layer({"gone": b"x"})], unpacked=False, kept=False)
    connection = files(root.write().path)
    assert codes(connection) == set()
    found = table(connection, "chain_id, cache_id, listing_id IS NOT NULL", "layers")
    assert sorted(found) == sorted([*((chain, None, 1) for chain in image.chains), (bare.chains[0], None, 0)])
    sources = table(connection, "source, diff_id, entry_count", "listings ORDER BY entry_count")
    assert sources == [("blob", image.layers[1].diff_id, 2), ("blob", image.layers[0].diff_id, 4)]
    paths = ["/app", "/app/run", "/bin", "/bin/sh", "/etc", "/etc/conf"]
    assert paths == [path for (path,) in table(connection, "path", "files ORDER BY path")]


def test_listings(root: ContainerdRoot) -> None:
    """Layers are listed from blobs, or walked where no blob is kept; with --walk the two do not differ."""
    kept, walked = app(root), root.image("docker.io/library/w:1", [root.layer({"w": b"w" * 5})], kept=False)
    root.container("c1", kept)
    root.files[root.numbers["default", "c1"]] = {"made": b"made"}
    for path in (root.write().path,):
        for name in path.rglob("fs/**/*"):
            os.utime(name, (1_700_000_000, 1_700_000_000))
            name.chmod(0o644 if name.is_file() else 0o755)
    connection = files(root.path, walk=True)
    assert codes(connection) <= {"opaque-unknown"}
    listed = "overlay_dirs JOIN listings USING (listing_id) ORDER BY cache_id"
    assert table(connection, "cache_id, role, source", listed) == [
        ("1", "layer", "blob"),
        ("2", "layer", "blob"),
        ("3", "layer", "walk"),
        ("4", "container", "walk"),
    ]
    # The tars name no folders; that is all that differs.
    assert {path for (path,) in table(connection, "path", "drift")} <= {"/", "/app", "/bin", "/etc"}
    [source] = table(
        connection, "source", f"layers JOIN listings USING (listing_id) WHERE chain_id = '{walked.chains[0]}'"
    )
    assert source == ("walk",)


def test_containers(root: ContainerdRoot) -> None:
    """Containers of ctr, nerdctl and Kubernetes, with what they stand on, their names and their sandbox."""
    image = app(root)
    pod = app(root, namespace="k8s.io")
    mounts: list[dict[str, object]] = [
        {"type": "bind", "source": "/srv", "destination": "/data", "options": ["rbind", "ro"]},
        {"type": "proc", "source": "proc", "destination": "/proc"},
        {"type": "bind", "source": 7, "destination": ["/no"]},
    ]
    root.container("plain", image, mounts=mounts)
    root.container("named", image, labels={"nerdctl/name": "web"})
    noted = {"Version": "v1", "Metadata": {"ID": "7", "Name": "n", "SandboxID": "s" * 64, "LogPath": "/var/log/p"}}
    key = "io.cri-containerd.container.metadata"
    extensions = {key: anything("x", json.dumps(noted).encode())}
    root.container("a" * 64, pod, "k8s.io", {"io.kubernetes.container.name": "web"}, extensions=extensions)
    root.container("plain", pod, "k8s.io")
    root.container("bare", None)
    connection = scanned(root.write().path)
    assert codes(connection) == set()
    columns = "container_id, namespace, name, image_id, target_digest, image_ref, state, sandbox_id, log_path"
    of_image = (image.image_id, image.target, image.name, "unknown")
    assert table(connection, columns, "containers") == [
        ("a" * 64, "k8s.io", "web", *of_image, "s" * 64, "/var/log/p"),
        ("bare", "default", None, None, None, None, "unknown", None, None),
        ("named", "default", "web", *of_image, None, None),
        ("plain", "default", None, *of_image, None, None),
        ("plain", "k8s.io", None, *of_image, None, None),
    ]
    # A client may choose any id.
    assert [resolve(connection, "container", word) for word in ("bare", "web", "aaa")] == ["bare", "web", "a" * 64]
    found = table(connection, "name, mount_id, parent_chain_id", "mounts")
    top = image.chains[1]
    numbers = {key: f"{number}" for key, number in root.numbers.items()}
    assert found == [
        ("a" * 64, numbers["k8s.io", "a" * 64], top),
        ("bare", numbers["default", "bare"], None),
        ("k8s.io/plain", numbers["k8s.io", "plain"], top),
        ("named", numbers["default", "named"], top),
        ("plain", numbers["default", "plain"], top),
    ]
    found = table(connection, "container_id, destination, source, read_write", "container_volumes")
    assert found == [("plain", "/data", "/srv", 0)]
    roles = dict(table(connection, "cache_id, role", "overlay_dirs"))
    assert {roles[number] for (_, key), number in numbers.items() if not key.startswith("sha256")} == {"container"}


@pytest.mark.parametrize(
    ("said", "expected", "codes_"),
    [
        ({"CreatedAt": 10**18}, ("created", None, None, None), set()),
        (
            {"CreatedAt": 10**18, "StartedAt": 10**18 + 5},
            ("running", "2001-09-09T01:46:40.000000005Z", None, None),
            set(),
        ),
        (
            {"CreatedAt": 1, "StartedAt": 10**9, "FinishedAt": 2 * 10**9, "ExitCode": 3},
            ("exited", "1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z", 3),
            set(),
        ),
        ({}, ("unknown", None, None, None), set()),
        ({"CreatedAt": 1, "StartedAt": "now"}, ("created", None, None, None), {"bad-value"}),
        ([], ("unknown", None, None, None), {"bad-value"}),
        (None, ("unknown", None, None, None), set()),
    ],
)
def test_state_of_kubernetes_containers(
    root: ContainerdRoot, said: object, expected: tuple[object, ...], codes_: set[str]
) -> None:
    """What containerd's Kubernetes plugin wrote of a container's life is its state; of others nothing is known."""
    noted = anything("x", json.dumps({"Version": "v1", "Metadata": {"Name": "n"}}).encode())
    pod = app(root, namespace="k8s.io")
    for number, key in enumerate(("container", "sandbox")):
        extensions = {f"io.cri-containerd.{key}.metadata": noted}
        root.container(f"{number}" * 64, pod, "k8s.io", extensions=extensions)
    folder = root.write().path / "io.containerd.grpc.v1.cri" / "containers" / ("0" * 64)
    folder.mkdir(parents=True)
    if said is not None:
        (folder / "status").write_text(json.dumps(said))
    connection = scanned(root.path)
    assert codes(connection) == codes_
    columns = "state, started_at, finished_at, exit_code"
    assert table(connection, columns, "containers ORDER BY container_id") == [expected, ("unknown", None, None, None)]


def test_docker_elsewhere(root: ContainerdRoot) -> None:
    """In the system's containerd, Docker's stopped containers are known by their leases."""
    image = app(root, namespace="moby")
    container = "c" * 64
    root.snapshot(f"{container}-init", image.chains[-1], "committed", {"etc/hosts": b""}, "moby")
    root.snapshot(container, f"{container}-init", namespace="moby")
    root.lease(container, [f"{container}-init", container], namespace="moby")
    connection = scanned(root.write().path)
    owners = table(connection, "kind, owner", "overlay_dir_owners WHERE kind IN ('init', 'container')")
    assert sorted(owners) == [("container", container), ("init", container)]
    assert table(connection, "role", "overlay_dirs ORDER BY cache_id") == [
        ("layer",),
        ("layer",),
        ("init",),
        ("container",),
    ]


def test_snapshots_of_every_kind(root: ContainerdRoot) -> None:
    """Snapshots that are no layer and no container's are told by their keys, with what lies below them."""
    image = app(root)
    top = image.chains[1]
    root.snapshot(f"extract-123-abc {digest(b'next')}", top)
    root.snapshot("seen", top, "view")
    root.snapshot("kept", top, "committed")
    root.snapshot("0123456789abcdefghijklmno", "kept")
    connection = scanned(root.write().path)
    assert codes(connection) == set()
    found = table(connection, "cache_id, role, lower_count, committed", "overlay_dirs")
    assert found == [
        ("1", "layer", 0, 1),
        ("2", "layer", 1, 1),
        ("3", "in-flight", 2, 0),
        ("4", "mount", 2, 0),
        ("5", "snapshot", 2, 1),
        ("6", "build-cache", 3, 0),
    ]
    lowers = table(connection, "lower_cache_id", "overlay_lowers WHERE cache_id = '6' ORDER BY position")
    assert lowers == [("5",), ("2",), ("1",)]
    rows = table(connection, "kind, chain_id, parent_name, size IS NULL", "containerd_snapshots ORDER BY cache_id")
    base, second = f"default/1/{image.chains[0]}", f"default/2/{top}"
    assert rows == [
        ("committed", image.chains[0], None, 0),
        ("committed", top, base, 0),
        ("active", digest(b"next"), second, 1),
        ("view", None, second, 1),
        ("committed", None, second, 0),
        ("active", None, "default/5/kept", 1),
    ]


def test_reachable(root: ContainerdRoot) -> None:
    """What no image, container, lease or label holds is garbage; a flat lease holds what it names and what is below."""
    image = app(root)
    root.container("c", image)
    for key, labels in (
        ("garbage", None),
        ("rooted", {"containerd.io/gc.root": "1"}),
        ("leased", None),
        ("late", None),
    ):
        root.snapshot(f"{key}-parent", None, "committed")
        root.snapshot(key, f"{key}-parent", labels=labels)
    root.snapshot("flat-parent", None, "committed")
    root.snapshot("flat", "flat-parent")
    root.lease("one", ["leased"])
    root.lease("over", ["late"], labels={"containerd.io/gc.expire": "2020-01-01T00:00:00Z"})
    root.lease("flat", ["flat"], labels={"containerd.io/gc.flat": "1"})
    connection = scanned(root.write().path)
    held = {key for (key,) in table(connection, "snapshot_key", "containerd_snapshots WHERE reachable = 1")}
    assert held == {*image.chains, "c", "rooted", "rooted-parent", "leased", "leased-parent", "flat", "flat-parent"}
    assert table(connection, "lease_id, expires_at", "leases") == [
        ("flat", None),
        ("one", None),
        ("over", "2020-01-01T00:00:00Z"),
    ]
    found = table(connection, "lease_id, type, resource", "lease_resources")
    assert ("one", "snapshots/overlayfs", "leased") in found


@pytest.mark.parametrize(
    ("labels", "marked", "standing", "user"),
    [
        ({}, False, "used", ("lease", "default kept")),
        ({"containerd.io/gc.expire": "2999-01-01T00:00:00Z"}, False, "used", ("lease", "default kept")),
        ({"containerd.io/gc.expire": "tomorrow"}, False, "used", ("lease", "default kept")),
        ({"containerd.io/gc.flat": "1"}, False, "used", ("lease", "default kept")),
        ({"containerd.io/gc.expire": "2020-01-01T00:00:00+02:00"}, False, "unused", None),
        ({"containerd.io/gc.expire": "2020-01-01T00:00:00Z"}, True, "used", ("label", "default {top}")),
    ],
)
def test_layers_that_a_lease_holds(
    root: ContainerdRoot, labels: dict[str, str], marked: bool, standing: str, user: tuple[str, str] | None
) -> None:
    """Layers of no image are kept by a lease until it ends, and by a label, with all that is below."""
    image = root.image("docker.io/acme/gone:1", [root.layer({"c": b"c"}), root.layer({"d": b"d"})])
    root.namespace()["images"].clear()
    root.lease("kept", image.chains[-1:], labels=labels)
    if marked:
        row = root.namespace()["snapshots"]["overlayfs"][image.chains[-1]]
        row["labels"] = texts({"containerd.io/gc.root": "1"})
    connection = scanned(root.write().path)
    found = [(chain, standing) for chain in sorted(image.chains)]
    assert sorted(table(connection, "chain_id, standing", "layer_standings")) == found
    rows = "uses WHERE used_kind = 'layer' AND user_kind IN ('lease', 'label')"
    users = [(user[0], user[1].format(top=image.chains[-1]))] if user else []
    expected = [(chain, *each) for chain in sorted(image.chains) for each in users]
    assert sorted(table(connection, "used, user_kind, user", rows)) == expected


def test_ingests(root: ContainerdRoot) -> None:
    """Downloads that have not ended are told with how far they are."""
    app(root)
    root.ingest("layer-sha256:" + "1" * 64, b"half", total=8)
    root.namespace()["content"]["ingests"]["soon"] = {"ref": b"default/9/soon", "expected": digest(b"e").encode()}
    connection = scanned(root.write().path)
    assert codes(connection) == set()
    found = table(connection, "namespace, ref, started_at, total, size, expected_digest", "ingests ORDER BY ref")
    assert found == [
        ("default", "layer-sha256:" + "1" * 64, CREATED_TEXT, 8, 4, None),
        ("default", "soon", None, None, None, digest(b"e")),
    ]


def test_disk_usage(root: ContainerdRoot) -> None:
    """Every byte has a holder: with --walk they add up to what du prints."""
    image = app(root)
    root.container("c1", image)
    root.ingest("x", b"x" * 5000)
    path = root.write().path
    root.file("io.containerd.snapshotter.v1.btrfs").mkdir()
    (root.file("tmpmounts") / "x").mkdir(parents=True)
    connection = files(path, walk=True)
    blocks = sum(each.lstat().st_blocks for each in [path, *path.rglob("*")])
    assert table(connection, "sum(disk_bytes)", "disk_usage") == [(blocks * 512,)]
    categories = {category for (category,) in table(connection, "category", "disk_usage")}
    assert categories >= {"image layer", "container writable", "content", "ingests", "containerd metadata", "data root"}
    assert not categories & {"unknown"}
    plain = files(path)
    found = table(plain, "disk_bytes, apparent_bytes", "disk_usage WHERE category = 'image layer'")
    assert sorted(found) == sorted([(4096 * (1 + len(BASE)), None), (4096 * (1 + len(TOP)), None)])


def test_native(tmp_path: Path) -> None:
    """The native snapshotter's directories are known; its trees are whole, so files are listed from blobs alone."""
    root = ContainerdRoot(tmp_path / "containerd", "native")
    image = app(root)
    root.container("c1", image)
    root.write()
    (root.directory("rm-7")).mkdir()
    connection = files(root.path, walk=True)
    assert table(connection, "store", "snapshots") == [("containerd-native",)]
    assert codes(connection) == {"leftover"}
    assert table(connection, "cache_id, role", "overlay_dirs") == [
        ("1", "layer"),
        ("2", "layer"),
        ("3", "container"),
        ("rm-7", "orphan"),
    ]
    assert table(connection, "DISTINCT source", "listings") == [("blob",)]


def test_two_snapshotters(tmp_path: Path) -> None:
    """Each snapshotter is a store; what is not unpacked, blobs and leases are told with the first, the others named."""
    root, native = ContainerdRoot(tmp_path / "containerd"), ContainerdRoot(tmp_path / "containerd", "native")
    first = app(root)
    second = native.image("docker.io/library/n:1", [native.layer({"n": b"n"})])
    root.blobs |= native.blobs
    root.meta["default"]["snapshots"] |= native.meta["default"]["snapshots"]
    root.meta["default"]["snapshots"]["stargz"] = {"k": {"name": b"default/1/k"}}
    for key in ("images",):
        root.meta["default"][key] |= native.meta["default"][key]
    root.meta["default"]["content"]["blob"] |= native.meta["default"]["content"]["blob"]
    native.write()
    connection = scanned(root.write().path)
    both = "images JOIN snapshots USING (snapshot_id) ORDER BY driver, image_id"
    images = sorted([("overlayfs", first.image_id), ("overlayfs", second.image_id), ("native", second.image_id)])
    assert table(connection, "driver, image_id", both) == images
    assert table(connection, "driver, count(*)", "blobs JOIN snapshots USING (snapshot_id)") == [("overlayfs", 7)]
    assert [subject for _, subject in problems(connection, "other-driver")] == ["stargz"]
    found = table(connection, "snapshotter, count(*)", "containerd_snapshots GROUP BY snapshotter")
    assert found == [("native", 1), ("overlayfs", 2), ("stargz", 1)]


@pytest.mark.parametrize("walk", [False, True])
def test_snapshotter_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walk: bool) -> None:
    """Directories are read where the settings of the host's containerd have moved them."""
    root = ContainerdRoot(tmp_path / "containerd")
    image = app(root)
    root.container("web", image)
    root.write()
    moved = tmp_path / "fast/overlayfs"
    moved.parent.mkdir()
    shutil.move(root.directory(1).parents[1], moved)
    (moved / "snapshots/77/fs").mkdir(parents=True)
    monkeypatch.setattr("layerindex.stores.registry.containerd_root", lambda: str(root.path))
    monkeypatch.setattr("layerindex.stores.registry.snapshotter_roots", lambda: {"overlayfs": str(moved)})
    connection = files(root.path, walk=walk)
    assert codes(connection) <= {"opaque-unknown"}
    assert table(connection, "folder", "snapshots") == [(f"{moved}/snapshots",)]
    roles = dict(table(connection, "cache_id, role", "overlay_dirs"))
    assert roles == {"1": "layer", "2": "layer", "3": "container", "77": "orphan"}
    assert table(connection, "count(*)", "layers WHERE listing_id IS NOT NULL") == [(2,)]
    blocks = sum(each.lstat().st_blocks for each in [root.path, *root.path.rglob("*")])
    if walk:
        assert table(connection, "sum(disk_bytes)", "disk_usage") == [(blocks * 512,)]
    thing = f"{moved}/snapshots/3/fs/etc/conf"
    assert [row[:4] for row in connection.execute(catalog.load("owner").sql, {"thing": thing})] == [
        ("3", "container", "container", "web")
    ]
    where = connection.execute(shipped.query("show", "directory"), {"snapshot": 1, "directory": "3"}).fetchone()
    assert where[1] == f"{moved}/snapshots/3"
    (moved / "metadata.db").unlink()
    connection = files(root.path)
    assert ("missing", f"{moved}/metadata.db") in table(connection, "code, path", "problems")


@pytest.mark.parametrize("walk", [False, True])
def test_without_blobs(root: ContainerdRoot, walk: bool) -> None:
    """Layers can be listed by a walk instead, which is kept as long as nothing changes; blobs are read when wanted."""
    app(root)
    root.write()
    sources = "source, complete, count(*)", "layers JOIN listings USING (listing_id)"
    connection = files(root.path, blobs=False, walk=walk)
    assert table(connection, *sources) == [("walk", 1, 2)]
    assert table(connection, "path", "files WHERE type = 'file' ORDER BY 1") == [
        ("/app/run",),
        ("/bin/sh",),
        ("/etc/conf",),
    ]
    files(root.path, blobs=False, into=connection)
    assert table(connection, "count(*)", "listings") == [(2,)]
    files(root.path, into=connection)
    newest = "source, count(*)", "layers JOIN listings USING (listing_id) WHERE snapshot_id = 3"
    assert table(connection, *newest) == [("blob", 2)]
    assert codes(connection) <= {"opaque-unknown"}


# Docker on containerd ------------------------------------------------------------------------------------------------


def docker_root(tmp_path: Path) -> tuple[DataRoot, ContainerdRoot, Image, str]:
    """Make a data root whose engine keeps images in its own containerd, with one container."""
    docker = DataRoot(tmp_path / "docker")
    for name in ("image", "overlay2"):
        shutil.rmtree(docker.file(name))
    root = ContainerdRoot(docker.file("containerd/daemon"))
    image = app(root, namespace="moby")
    container = "d" * 64
    folder = docker.file(f"containers/{container}")
    folder.mkdir()
    state = {"Running": False, "StartedAt": CREATED_TEXT, "FinishedAt": CREATED_TEXT, "ExitCode": 3}
    config = {
        "ID": container,
        "Name": "/web",
        "Image": image.target,
        "ImageManifest": {"digest": image.target, "mediaType": MANIFEST, "size": 1},
        "Driver": "overlayfs",
        "Created": CREATED_TEXT,
        "Config": {"Image": "app:1"},
        "State": state,
    }
    (folder / "config.v2.json").write_text(json.dumps(config))
    (folder / "hostconfig.json").write_text("{}")
    root.snapshot(f"{container}-init", image.chains[-1], "committed", {"etc/hosts": b""}, "moby")
    root.snapshot(container, f"{container}-init", namespace="moby")
    root.lease(container, [container], namespace="moby")
    return docker, root, image, container


def built(docker: DataRoot, root: ContainerdRoot, image: Image) -> None:
    """Let BuildKit have a record, on the base of an image."""
    root.snapshot(RECORD, image.chains[0], "committed", {"made": b"x"}, "moby")
    folder = docker.file("buildkit/containerd-overlayfs")
    folder.mkdir(parents=True)
    values = {"cache.snapshot": RECORD, "cache.description": "a step", "snapshot.committed": True, "snapshot.size": 9}
    content = {key: json.dumps({"value": value}).encode() for key, value in values.items()}
    (folder / "metadata_v2.db").write_bytes(bolt({"_main": {RECORD: content}}))


def test_docker(tmp_path: Path) -> None:
    """Docker's containers are told with the image that containerd has for them; all is one store."""
    docker, root, image, container = docker_root(tmp_path)
    built(docker, root, image)
    root.write()
    connection = files(docker.path, walk=True)
    assert codes(connection) <= {"opaque-unknown"}
    assert table(connection, "store, driver, root", "snapshots") == [
        ("docker-containerd-overlayfs", "overlayfs", str(docker.path))
    ]
    columns = "container_id, namespace, name, image_id, target_digest, state, exit_code, mount_id"
    assert table(connection, columns, "containers") == [
        (container, "moby", "web", image.image_id, image.target, "exited", 3, "4")
    ]
    assert table(connection, "name, mount_id, init_id, parent_chain_id", "mounts") == [
        (container, "4", "3", image.chains[-1])
    ]
    assert table(connection, "record_id, cache_id, snapshot_key, size", "build_cache") == [(RECORD, "5", RECORD, 9)]
    assert table(connection, "cache_id, role", "overlay_dirs") == [
        ("1", "layer"),
        ("2", "layer"),
        ("3", "init"),
        ("4", "container"),
        ("5", "build-cache"),
    ]
    blocks = sum(each.lstat().st_blocks for each in [docker.path, *docker.path.rglob("*")])
    assert table(connection, "sum(disk_bytes)", "disk_usage") == [(blocks * 512,)]


def test_docker_whose_containerd_is_elsewhere(tmp_path: Path) -> None:
    """Where the system's containerd has the images, containers and volumes are told, and that there is more."""
    docker, root, image, container = docker_root(tmp_path)
    shutil.rmtree(root.path, ignore_errors=True)
    docker.file("rootfs/overlayfs").mkdir(parents=True)
    connection = scanned(docker.path)
    assert codes(connection) == {"other-store"}
    assert table(connection, "store", "snapshots") == [("docker-containerd",)]
    found = table(connection, "container_id, image_id, target_digest, namespace", "containers")
    assert found == [(container, None, image.target, "moby")]


def beside(tmp_path: Path) -> tuple[DataRoot, Path, Image, str]:
    """Make a Docker data root and beside it the root of the host's containerd, as Docker's packages set them up."""
    docker, root, image, container = docker_root(tmp_path)
    built(docker, root, image)
    root.write()
    shutil.move(root.path, tmp_path / "containerd")
    docker.file("containerd").rmdir()
    docker.file("rootfs/overlayfs").mkdir(parents=True)
    return docker, tmp_path / "containerd", image, container


def test_docker_beside_containerd(tmp_path: Path) -> None:
    """Containers of a Docker on the host's containerd are told with their directories; so is its build cache."""
    docker, path, image, container = beside(tmp_path)
    connection = files(path)
    assert codes(connection) <= {"opaque-unknown"}
    columns = "container_id, name, image_id, state, exit_code, mount_id"
    assert table(connection, columns, "containers") == [(container, "web", image.image_id, "exited", 3, "4")]
    assert table(connection, "record_id, cache_id", "build_cache") == [(RECORD, "5")]
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database.create(connection)
    for each in (docker.path, path):
        for store in open_stores(str(each)):
            scan.scan(connection, store, scan.Filing(HOST))
    assert table(connection, "count(*)", "containers") == [(2,)]
    sql, values = catalog.load("containers").sql, catalog.values(catalog.load("containers"), {})
    cursor = connection.execute(sql, values)
    names = [column for column, *_ in cursor.description]
    (row,) = (dict(zip(names, row, strict=True)) for row in cursor)
    assert (row["name"], row["mount_id"], row["image"]) == ("web", "4", image.name)


@pytest.mark.parametrize("damage", ["another", "buildkit", "gone", "symlink"])
def test_docker_beside_containerd_that_cannot_be_read(tmp_path: Path, damage: str) -> None:
    """What lies beside and is not that engine's, or is broken, takes nothing from the store."""
    docker, path, _, container = beside(tmp_path)
    if damage == "another":  # an engine with containers that containerd does not have
        folder = docker.file(f"containers/{container}")
        config = (folder / "config.v2.json").read_text().replace(container, "f" * 64)
        (folder / "config.v2.json").write_text(config)
        folder.rename(folder.with_name("f" * 64))
    elif damage == "buildkit":
        docker.file("buildkit/containerd-overlayfs/metadata_v2.db").write_bytes(b"x" * 9000)
    elif damage == "gone":
        shutil.rmtree(docker.path)
    else:
        docker.path.rename(tmp_path / "elsewhere")
        docker.path.symlink_to("elsewhere")
    connection = files(path)
    if damage == "buildkit":
        ((code, where),) = table(connection, "code, path", "problems WHERE severity = 'error'")
        assert (code, where) == ("bad-bolt", f"{docker.path}/buildkit/containerd-overlayfs/metadata_v2.db")
    else:
        assert codes(connection) <= {"opaque-unknown"}
        assert table(connection, "name", "containers WHERE name = 'web'") == []
    assert "orphan" not in dict(table(connection, "role, count(*)", "overlay_dirs GROUP BY role"))


# Orphans -------------------------------------------------------------------------------------------------------------


def test_orphans(root: ContainerdRoot) -> None:
    """A directory without a row is nobody's; one whose row is in no namespace waits for its removal to end."""
    app(root)
    root.snapshot("removed")
    del root.meta["default"]["snapshots"]["overlayfs"]["removed"]
    root.write()
    for name in ("77", "new-123456"):
        (root.directory(name) / "fs").mkdir(parents=True)
    connection = scanned(root.path)
    roles = dict(table(connection, "cache_id, role", "overlay_dirs"))
    assert roles == {"1": "layer", "2": "layer", "3": "removing", "77": "orphan", "new-123456": "orphan"}
    assert codes(connection) == {"leftover"}
    found = table(connection, "snapshot_key, in_metadata, reachable", "containerd_snapshots WHERE in_metadata = 0")
    assert found == [("removed", 0, 0)]


@pytest.mark.parametrize("name", [META, "io.containerd.snapshotter.v1.overlayfs/metadata.db"])
@pytest.mark.parametrize("damage", ["gone", "empty", "garbage", "torn", "folder", "denied"])
def test_unknown_owners(root: ContainerdRoot, name: str, damage: str) -> None:
    """Where a database cannot be read whole, no directory is called an orphan."""
    app(root)
    root.write()
    (root.directory(77) / "fs").mkdir(parents=True)
    path = root.file(name)
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        torn = whole[:12288] + bytes(4096) + whole[16384:]
        path.write_bytes({"empty": b"", "garbage": b"x" * 9999, "torn": torn}.get(damage, whole))
    if damage == "denied":
        path.chmod(0)
        with nobody_special():
            connection = scanned(root.path)
    else:
        connection = scanned(root.path)
    roles = dict(table(connection, "cache_id, role", "overlay_dirs"))
    # What the snapshotter's own database says is known without containerd's.
    known = "layer" if name == META else "unknown"
    assert roles == {"1": known, "2": known, "77": "unknown"}
    [because] = table(connection, "because", "standings WHERE id = '77'")[0]
    assert name in because
    assert {path for (path,) in table(connection, "path", "problems WHERE severity = 'error'")} >= {name}


def test_metadata_lost(root: ContainerdRoot) -> None:
    """Without containerd's database, the layers of the snapshotter have their keys, and nothing is being removed."""
    image = app(root)
    root.snapshot("mine", image.chains[-1])
    root.write()
    shutil.rmtree(root.file(META).parent)
    connection = scanned(root.path)
    assert dict(table(connection, "cache_id, role", "overlay_dirs")) == {"1": "layer", "2": "layer", "3": "mount"}
    found = table(connection, "chain_id, parent_chain_id, cache_id", "layers ORDER BY cache_id")
    assert found == [(image.chains[0], None, "1"), (image.chains[1], image.chains[0], "2")]
    assert table(connection, "code, path", "problems") == [("missing", os.path.dirname(META))]


@pytest.mark.parametrize("kept", ["content.v1.content", "metadata.v1.bolt", "snapshotter.v1.overlayfs"])
def test_root_of_which_one_folder_is_left(root: ContainerdRoot, kept: str) -> None:
    """It is containerd's all the same."""
    app(root)
    root.write()
    for path in root.path.iterdir():
        if path.name != f"io.containerd.{kept}":
            shutil.rmtree(path)
    assert table(scanned(root.path), "store", "snapshots") == [("containerd-overlayfs",)]


def test_databases_that_differ(root: ContainerdRoot) -> None:
    """A snapshot that its snapshotter does not know, and a directory that is not there, are said."""
    image = app(root)
    root.meta["default"]["snapshots"]["overlayfs"]["lost"] = {"name": b"default/99/lost"}
    root.write()
    shutil.rmtree(root.directory(1))
    connection = scanned(root.path)
    assert problems(connection, "unknown-snapshot") == [("io.containerd.snapshotter.v1.overlayfs/metadata.db", "lost")]
    where = "io.containerd.metadata.v1.bolt/meta.db"
    assert problems(connection, "missing-directory") == [(where, image.chains[0])]


@pytest.mark.parametrize("of_docker", [False, True])
def test_each_byte_of_two_snapshotters(tmp_path: Path, of_docker: bool) -> None:
    """Each byte of a root is told by one store, however many snapshotters, and Docker's own driver, are in it."""
    docker = DataRoot(tmp_path / "docker")
    path = docker.file("containerd/daemon") if of_docker else tmp_path / "containerd"
    for snapshotter in ("overlayfs", "native"):
        root = ContainerdRoot(path, snapshotter)
        app(root)
        root.write()
    (path / "io.containerd.snapshotter.v1.devmapper").mkdir()
    (path / "io.containerd.snapshotter.v1.devmapper/metadata.db").write_bytes(b"x" * 9999)
    if of_docker:
        layer = docker.layer({"a": b"a" * 5000})
        docker.image([layer])
        docker.file("image/containerd").mkdir()
    whole = docker.path if of_docker else path
    connection = files(whole, walk=True)
    assert table(connection, "sum(disk_bytes)", "disk_usage") == [(du(whole),)]
    counts = dict(
        table(connection, "driver, count(disk_bytes)", "disk_usage JOIN snapshots USING (snapshot_id) GROUP BY 1")
    )
    assert set(counts) == {"overlayfs", "native", *(["overlay2"] if of_docker else [])}
    assert min(counts.values()) > 1


# Bad input -----------------------------------------------------------------------------------------------------------


def test_wrong_digests(root: ContainerdRoot) -> None:
    """Blobs whose bytes are not what they are called are not believed: manifest, config and layer."""
    image = app(root)
    other = root.image("docker.io/library/other:1", [root.layer({"o": b"o"})])
    third = root.image("docker.io/library/third:1", [root.layer({"t": b"t"})], unpacked=False)
    root.write()
    for named in (image.target, other.image_id, third.layers[0].digest):
        path = root.blob_file(named)
        path.write_bytes(path.read_bytes() + b" ")
    connection = files(root.path)
    assert [subject for _, subject in problems(connection, "blob-digest")] == [image.target, third.layers[0].diff_id]
    assert [subject for _, subject in problems(connection, "image-id-mismatch")] == [other.image_id]
    assert table(connection, "image_id", "images") == [(third.image_id,)]
    assert third.layers[0].diff_id not in {diff_id for (diff_id,) in table(connection, "diff_id", "listings")}
    assert table(connection, "count(*)", "entries") == table(
        connection, "count(*)", "entries WHERE listing_id IN (SELECT listing_id FROM listings)"
    )


def test_false_blob_is_walked(root: ContainerdRoot) -> None:
    """A layer whose blob is damaged is listed from its directory."""
    image = app(root)
    root.write()
    root.blob_file(image.layers[0].digest).write_bytes(b"\x1f\x8bgarbage")
    connection = files(root.path)
    assert {"blob-digest", "blob-size"} <= codes(connection)
    found = table(connection, "cache_id, source", "overlay_dirs JOIN listings USING (listing_id) ORDER BY cache_id")
    assert found == [("1", "walk"), ("2", "blob")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (b"{", "bad-json"),
        (b"[" * 100_000, "bad-json"),
        (b"[]", "bad-value"),
        (b"\xff", "bad-text"),
        (b"{}", "unknown-media-type"),
        (
            b'{"schemaVersion": 1, "mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}',
            "unknown-media-type",
        ),
        (b'{"manifests": 7}', "bad-value"),
        (b'{"manifests": [7, {"digest": "sha256:../../etc"}]}', "bad-value"),
        (b'{"config": {"digest": 7}, "layers": "x"}', "bad-value"),
        (b'{"config": {"digest": "sha256:' + b"1" * 64 + b'"}, "layers": []}', "missing-image"),
        (b'{"manifests": [{"digest": "sha256:' + b"1" * 64 + b'", "platform": []}]}', "bad-value"),
    ],
)
def test_manifests_that_make_no_sense(root: ContainerdRoot, body: bytes, code: str) -> None:
    """Whatever a target holds, the scan goes on, and says what it is."""
    image = app(root)
    root.name("docker.io/library/odd:1", root.blob(body))
    connection = scanned(root.write().path)
    assert code in codes(connection)
    assert table(connection, "image_id", "images") == [(image.image_id,)]


@pytest.mark.parametrize(
    "config",
    [
        {"rootfs": None},
        {"rootfs": {"diff_ids": ["sha256:x"]}},
        {"rootfs": {"diff_ids": []}},
        {"history": 7},
        {"architecture": 7},
    ],
)
def test_configs_that_make_no_sense(root: ContainerdRoot, config: dict[str, Any]) -> None:
    """A config that is not one is said, and what stands in the manifest is not laid on what it says."""
    layers = [root.layer(BASE)]
    root.blob(layers[0].blob)
    root.name("docker.io/library/odd:1", root.manifest(root.config(layers, **config), layers))
    connection = scanned(root.write().path)
    assert codes(connection) & {"bad-value"}
    assert table(connection, "count(*)", "images")[0][0] <= 1


def test_indexes_without_end(root: ContainerdRoot) -> None:
    """Indexes are followed to a depth; one that lists much, or the same often, costs no more than it is long."""
    image = app(root)
    index = image.target
    for _ in range(12):
        index = root.index([root.described(index, INDEX)] * 3)
    root.name("docker.io/library/deep:1", index, INDEX)
    wide = root.index([root.described(image.target, MANIFEST)] * (content.LISTED + 1))
    root.name("docker.io/library/wide:1", wide, INDEX)
    connection = scanned(root.write().path)
    assert len(problems(connection, "manifest-depth")) == 1
    assert problems(connection, "bad-value") != []
    assert table(connection, "image_id", "images") == [(image.image_id,)]


def test_more_manifests_than_are_kept(root: ContainerdRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many manifests there are, each is told once, and so is what is wrong with it."""
    monkeypatch.setattr(content, "KEPT", 2)
    images = [root.image(f"docker.io/library/n:{n}", [root.layer({f"{n}": b"x"})]) for n in range(6)]
    bad = root.blob(b'{"manifests": [7]}')
    for number in range(3):
        root.name(f"docker.io/library/z:{number}", bad, INDEX)
    connection = scanned(root.write().path)
    assert {row[0] for row in table(connection, "image_id", "images")} == {image.image_id for image in images}
    assert len(problems(connection, "bad-value")) == 1
    assert all(json.loads(text)["rootfs"] for (text,) in table(connection, "config", "images"))


def test_huge_manifest(root: ContainerdRoot) -> None:
    """A manifest beyond what registries take is not read; it is not missing for that."""
    root.name("docker.io/library/huge:1", root.blob(b"{" + b" " * content.MANIFEST + b"}"))
    connection = scanned(root.write().path)
    assert serious(connection) == {"too-large"}


def test_odd_files(root: ContainerdRoot) -> None:
    """Links, fifos and strange names where blobs, ingests and directories belong are named and not followed."""
    image = app(root)
    folder = root.ingest("odd", b"")
    root.write()
    for path in (root.blob_file(image.target), folder / "ref"):
        path.unlink()
        path.symlink_to("/etc/passwd")
    os.mkfifo(root.blob_file(digest(b"fifo")))
    root.blob_file("sha256:odd\n").touch()
    (folder.parent / "file").touch()
    root.directory("file").touch()
    root.directory("link").symlink_to("/etc")
    (root.directory("no number") / "fs").mkdir(parents=True)
    shutil.rmtree(root.directory(2) / "fs")
    (root.directory(2) / "fs").symlink_to("/etc")
    connection = files(root.path, walk=True)
    assert {"not-regular", "unexpected-entry", "not-a-folder", "missing"} & codes(connection)
    assert "root:" not in "".join(str(row) for row in table(connection, "*", "problems"))
    assert not [path for (path,) in table(connection, "path", "files") if path == "/passwd"]
    assert dict(table(connection, "cache_id, role", "overlay_dirs"))["no number"] == "foreign"


def test_values_that_make_no_sense(root: ContainerdRoot) -> None:
    """Numbers, times, ids and buckets that are none are named, and leave the rest as it is."""
    image = app(root)
    namespace = root.namespace()
    root.container("c1", image)
    namespace["images"]["bad:1"] = {"target": {"digest": b"sha256:../../x", "size": b"\xff" * 12}, "createdat": b"soon"}
    namespace["images"]["bad:2"] = b"no bucket"
    namespace["images"]["bad:3"] = {
        "target": {"digest": image.target.encode(), "size": varint(-5)},
        "createdat": b"\1" * 15,
    }
    namespace["content"]["blob"]["../../etc"] = {"size": varint(1)}
    namespace["containers"]["../c"] = {"image": b"x"}
    namespace["containers"]["c1"]["spec"] = anything("x", b"{no json")
    namespace["containers"]["c1"]["createdat"] = moment()[:9] + b"\xff" * 6
    namespace["snapshots"]["overlayfs"]["nameless"] = {"parent": b"x"}
    root.meta["\x1b[31m"] = {"images": {"red\n:1": {"target": {"digest": image.target.encode()}}}}
    root.stored["default/50/odd"] = {"id": b"", "kind": b"\x09"}
    root.stored["default/51/circle"] = {"id": b"\x33", "kind": b"\x02", "parent": b"default/51/circle"}
    (root.directory(51) / "fs").mkdir(parents=True)
    root.write()
    connection = files(root.path)
    assert {"bad-value", "bad-id"} <= codes(connection)
    assert table(connection, "image_id", "images") == [(image.image_id,)]
    everything = [str(value) for row in table(connection, "ref, namespace", "image_refs") for value in row]
    assert not any("\x1b" in value or "\n" in value for value in everything)
    assert table(connection, "lower_count", "overlay_dirs WHERE cache_id = '51'") == [(None,)]


def test_damaged_databases(root: ContainerdRoot) -> None:
    """Whatever is done to the databases, the scan comes to its end."""
    image = app(root)
    root.container("c1", image)
    root.lease("l", [image.chains[0]])
    root.write()
    stored = "io.containerd.snapshotter.v1.overlayfs/metadata.db"
    seed = random.Random(6).randrange(2**32)
    for name in (META, stored):
        whole = root.file(name).read_bytes()
        for damaged in mutations(whole, 150, seed):
            root.file(name).write_bytes(damaged)
            scanned(root.path)
        root.file(name).write_bytes(whole)


def test_half_a_root(root: ContainerdRoot) -> None:
    """A root of which only a part is left is told as far as it goes."""
    image = app(root)
    root.write()
    shutil.rmtree(root.file(CONTENT))
    connection = scanned(root.path)
    assert table(connection, "chain_id, diff_id IS NOT NULL, verified", "layers ORDER BY cache_id") == [
        (image.chains[0], 1, 1),
        (image.chains[1], 0, None),
    ]
    assert [path for path, _ in problems(connection, "missing")] == [CONTENT, CONTENT]
    shutil.rmtree(root.file("io.containerd.snapshotter.v1.overlayfs"))
    assert table(scanned(root.path), "count(*)", "images") == [(0,)]


def test_every_table_of_containerd_has_rows(root: ContainerdRoot) -> None:
    """No table that is containerd's stays empty."""
    image = app(root)
    root.lease("l", [image.chains[0]])
    root.ingest("ref", b"")
    connection = scanned(root.write().path)
    names = ("image_manifests", "blobs", "containerd_snapshots", "leases", "lease_resources", "ingests")
    assert [name for name in names if not table(connection, "1", name)] == []


# show ---------------------------------------------------------------------------------------------------------------


def test_show(tmp_path: Path) -> None:
    """A path of a snapshot is known as a path of a layer, and a directory is said to lie where it does."""
    root = ContainerdRoot(tmp_path / "containerd")
    layers = [root.layer({"etc/conf": b"a"}), root.layer({"srv/x": b"xx"})]
    root.container("c1", root.image("docker.io/library/base:1", layers))
    root.write()
    path = str(tmp_path / "db")
    with database.writing(path, lambda _: None) as connection:
        for store in open_stores(str(tmp_path / "containerd")):
            scan.scan(connection, store, scan.Filing(HOST))

    def shown(thing: str) -> dict[str, Any]:
        done = CliRunner().invoke(group, ["show", thing, "--db", path, "--format", "json"])
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found[0]

    folder = f"{tmp_path}/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
    file = shown(f"{folder}/1/fs/etc/conf")
    assert [("/etc/conf", 1)] == [(row["path"], row["size"]) for row in file["file"]]
    assert f"{folder}/1" == file["directory"]["location"]
    assert f"{folder}/3" == shown("c1")["container"]["location"]
