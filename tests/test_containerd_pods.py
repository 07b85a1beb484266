"""What Kubernetes keeps with containerd: pods that run, their logs, and images that are pinned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conftest import scanned, table
from tests.containerd_root import ContainerdRoot, Image, anything
from tests.test_containerd import app
from tests.test_doubt import standing
from tests.test_file_queries import ask

if TYPE_CHECKING:
    from pathlib import Path

POD, APP, SIDE = "b" * 64, "c" * 64, "d" * 64


def status(root: ContainerdRoot, container_id: str, **said: int) -> None:
    """Write what the plugin keeps of a container."""
    path = root.file(f"io.containerd.grpc.v1.cri/containers/{container_id}/status")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"CreatedAt": 1, **said}))


def member(root: ContainerdRoot, container_id: str, image: Image, kind: str, **noted: str) -> None:
    """Make a container, or the sandbox, of a pod."""
    extensions = {f"io.cri-containerd.{kind}.metadata": anything("x", json.dumps({"Metadata": noted}).encode())}
    root.container(container_id, image, "k8s.io", extensions=extensions)


@pytest.fixture
def root(tmp_path: Path) -> ContainerdRoot:
    """Give a root with a pod of one container, whose log was rotated; another's is beside it."""
    root = ContainerdRoot(tmp_path / "containerd")
    image = app(root, namespace="k8s.io")
    folder = tmp_path / "pods" / "app"
    folder.mkdir(parents=True)
    for name, size in (("0.log", 5), ("0.log.20240101-000000.gz", 7), ("1.log", 9)):
        (folder / name).write_bytes(b"x" * size)
    member(root, POD, image, "sandbox", ID=POD, Name="pod")
    member(root, APP, image, "container", ID=APP, SandboxID=POD, LogPath=f"{folder}/0.log")
    return root


@pytest.mark.parametrize(("said", "state"), [({"StartedAt": 2}, "running"), ({"FinishedAt": 3}, "unknown")])
def test_sandbox(root: ContainerdRoot, said: dict[str, int], state: str) -> None:
    """A sandbox runs while a container of it does; whether it does without one no file tells."""
    status(root, APP, **said)
    connection = scanned(root.write().path)
    assert table(connection, "state", f"containers WHERE container_id = '{POD}'") == [(state,)]


def test_logs(root: ContainerdRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of this host's pods are measured where they lie; of a copied root the paths are another host's."""
    assert table(scanned(root.write().path), "1", "container_logs") == []
    monkeypatch.setattr("layerindex.stores.registry.containerd_root", lambda: str(root.path))
    connection = scanned(root.path)
    folder = tmp_path / "pods/app"
    assert table(connection, "path, rotation, apparent_bytes", "container_logs ORDER BY path") == [
        (f"{folder}/0.log", 0, 5),
        (f"{folder}/0.log.20240101-000000.gz", None, 7),
    ]
    assert table(connection, "log_bytes", f"containers WHERE container_id = '{APP}'") == [(12,)]
    assert ask(connection, "logs", "files path") == [(2, f"{folder}/0.log")]
    assert table(connection, "1", "disk_usage WHERE category = 'container logs'") == []


@pytest.mark.parametrize(
    "path", ["", "0.log", "/0.log", "{pods}/../pods/app/0.log", "{pods}/link/0.log", "{pods}/none/0.log"]
)
def test_logs_that_are_not_followed(
    root: ContainerdRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A path that is none, leads through a symlink or to nothing is no log, and ends nothing."""
    pods = tmp_path / "pods"
    (pods / "link").symlink_to("app")
    image = app(root, "docker.io/library/side:1", namespace="k8s.io")
    root.namespace("k8s.io")["containers"].pop(APP)
    member(root, SIDE, image, "container", ID=SIDE, SandboxID=POD, LogPath=path.format(pods=pods))
    monkeypatch.setattr("layerindex.stores.registry.containerd_root", lambda: str(root.path))
    connection = scanned(root.write().path)
    assert table(connection, "log_bytes", f"containers WHERE container_id = '{SIDE}'") == [(None,)]
    assert table(connection, "1", "container_logs") == []


def test_one_id_in_two_namespaces(root: ContainerdRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container of that id logs and mounts is told once, also where neither has a snapshot."""
    other = root.namespace("other")
    spec = anything("x", json.dumps({"mounts": [{"type": "bind", "source": "/s", "destination": "/d"}]}).encode())
    mine = root.namespace("k8s.io")["containers"][APP]
    mine |= {"spec": spec, "snapshotKey": b"none"}
    other["containers"][APP] = dict(mine)
    monkeypatch.setattr("layerindex.stores.registry.containerd_root", lambda: str(root.path))
    connection = scanned(root.write().path)
    assert table(connection, "count(*)", "container_logs") == [(2,)]
    assert table(connection, "count(*)", "container_volumes") == [(1,)]
    assert table(connection, "count(*)", f"containers WHERE container_id = '{APP}'") == [(2,)]


def test_pinned(root: ContainerdRoot) -> None:
    """Kubernetes never removes a pinned image by itself: it is used, and reclaim says so."""
    pause = root.image("registry.k8s.io/pause:3.9", [root.layer({"pause": b"x"})], namespace="k8s.io")
    labels = {"io.cri-containerd.image": "managed", "io.cri-containerd.pinned": "pinned"}
    root.name(pause.name, pause.target, namespace="k8s.io", labels=labels)
    connection = scanned(root.write().path)
    assert standing(connection, "image", pause.image_id) == ("used", None)
    assert pause.name not in {image for (image,) in ask(connection, "unused-images", "image")}
    assert ask(connection, "reclaim", "blocked_by", image=pause.name) == [(f"pinned k8s.io {pause.name}",)]
