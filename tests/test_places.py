"""Where stores of a host may be, and what `scan` without ROOT and `scan --list` make of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex import stores
from layerindex.cli import group
from layerindex.errors import NotAStoreError
from layerindex.stores import places
from tests.conftest import nobody_special
from tests.containerd_root import ContainerdRoot
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ('version = 2\nroot = "/srv/containerd"\n', "/srv/containerd"),
        ('root = "relative"', "/var/lib/containerd"),
        ("root = 7", "/var/lib/containerd"),
        ("no toml", "/var/lib/containerd"),
        ("a = " + "[" * 100_000, "/var/lib/containerd"),
        ("a = " + "9" * 6000, "/var/lib/containerd"),
        ('root = "/r\\u0000"', "/var/lib/containerd"),
        ("", "/var/lib/containerd"),
    ],
)
def test_root_of_containerd(tmp_path: Path, text: str, root: str) -> None:
    """The root is what config.toml says, else the default."""
    (tmp_path / "config.toml").write_text(text)
    assert places.containerd_root(str(tmp_path / "config.toml")) == root
    assert places.containerd_root(str(tmp_path / "none")) == "/var/lib/containerd"


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        (
            '[plugins."io.containerd.snapshotter.v1.overlayfs"]\nroot_path = "/fast/o"',
            {"overlayfs": "/fast/o"},
        ),
        ('[plugins.overlayfs]\nroot_path = "/fast"\n[plugins.cri]\nsandbox_image = "x"', {"overlayfs": "/fast"}),
        ('[plugins.overlayfs]\nroot_path = "fast"\n[plugins.native]\nroot_path = ""', {}),
        ('[plugins.overlayfs]\nroot_path = "/r\\u0000"', {}),
        ("plugins = 7", {}),
        ("[plugins]\noverlayfs = 7", {}),
        ("", {}),
    ],
)
def test_roots_of_snapshotters(tmp_path: Path, text: str, moved: dict[str, str]) -> None:
    """Those are told that settings name, in the form of either version."""
    (tmp_path / "config.toml").write_text(text)
    assert places.snapshotter_roots(str(tmp_path / "config.toml")) == moved


def test_homes(tmp_path: Path) -> None:
    """The home of every user is a place for rootless stores, each once, whatever stands in the file."""
    lines = (
        "root:x:0:0::/root:/bin/sh\na:x:1:1::/home/a/:/bin/sh\nb:x:2:2::/home/a:\nbad\nc:x:3:3::home:\n"
        "n:x:5:5::/n\0:\nd:x:4:4::/:\n"
    )
    (tmp_path / "passwd").write_text(lines)
    assert places.homes(str(tmp_path / "passwd")) == ["/root", "/home/a"]
    assert places.homes(str(tmp_path / "none")) == []


def test_data_root_that_no_call_takes(tmp_path: Path) -> None:
    """A path with a NUL in daemon.json is none, and the next key counts."""
    settings = tmp_path / "docker" / "daemon.json"
    settings.parent.mkdir()
    environment = {"HOME": "/home/u", "XDG_CONFIG_HOME": str(tmp_path)}
    settings.write_text('{"data-root": "/a\\u0000b", "graph": "/g"}')
    assert places.default_root(environment, root=False) == "/g"


def test_settings_that_are_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifo that a user puts in the place of an engine's settings holds root's scan of the host not up."""
    (tmp_path / ".config/docker").mkdir(parents=True)
    os.mkfifo(tmp_path / ".config/docker/daemon.json")
    os.mkfifo(tmp_path / "config.toml")
    monkeypatch.setattr(places, "homes", lambda: [str(tmp_path)])
    assert f"{tmp_path}/.local/share/docker" in list(places.usual_roots({}, root=True))
    assert places.containerd_root(str(tmp_path / "config.toml")) == "/var/lib/containerd"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a host with a Docker root, a containerd root and a place where nothing is."""
    docker = DataRoot(tmp_path / "docker")
    docker.image(docker.layer())
    root = ContainerdRoot(tmp_path / "containerd")
    root.image("docker.io/library/app:1", [root.layer({"f": b"x"})])
    root.write()
    found = [str(tmp_path / name) for name in ("docker", "containerd", "none", "docker/../docker")]
    monkeypatch.setattr(stores, "usual_roots", lambda *_, **__: iter(found))
    monkeypatch.setattr(stores.containers_storage, "graph_roots", list)
    monkeypatch.delenv("LAYERINDEX_ROOT", raising=False)
    return tmp_path


def test_scan_of_the_host(host: Path) -> None:
    """Without ROOT every store of the host is a snapshot, each once."""
    result = CliRunner().invoke(group, ["scan", "--db", str(host / "db")])
    assert result.exit_code == 0
    assert f"{host}/docker (docker-overlay2): 1 image," in result.stderr
    assert f"{host}/containerd (containerd-overlayfs): 1 image," in result.stderr
    assert result.stderr.count("as snapshot") == 2


def test_list(host: Path) -> None:
    """--list says what would be scanned, and writes nothing."""
    result = CliRunner().invoke(group, ["scan", "--list", "--db", str(host / "db")])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:2] == ["STORE", "ROOT"]
    assert lines[1:] == [["docker-overlay2", f"{host}/docker"], ["containerd-overlayfs", f"{host}/containerd"]]
    assert not (host / "db").exists()
    result = CliRunner().invoke(group, ["scan", "--list", str(host / "containerd")])
    assert result.stdout.splitlines()[1:] == [f"containerd-overlayfs  {host}/containerd"]


def test_what_may_not_be_read(host: Path) -> None:
    """A store that may not be read is said, and the others are scanned; with no other it is the error."""
    (host / "docker").chmod(0)
    with nobody_special():
        found = list(stores.host_stores(os.environ, root=False))
    (host / "docker").chmod(0o700)
    assert [isinstance(each, NotAStoreError) for each in found] == [True, False]


def test_host_without_stores(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without stores is told so."""
    monkeypatch.setattr(stores, "usual_roots", lambda *_, **__: iter([str(host / "none")]))
    result = CliRunner().invoke(group, ["scan", "--db", str(host / "db")])
    assert result.exit_code == 1
    assert "no container store at the usual places" in f"{result.exception}{result.stderr}"
