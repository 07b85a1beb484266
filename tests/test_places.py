"""Where stores of a host may be, and what `scan` without ROOT and `scan --list` make of it."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex import stores
from layerindex.cli import group
from layerindex.errors import NotAStoreError
from layerindex.stores import containers_storage, places
from layerindex.stores.containerd.settings import FILES
from layerindex.stores.containers_storage import settings as storage_settings
from layerindex.stores.host import Account, accounts
from tests.conftest import in_time, nobody_special
from tests.containerd_root import ContainerdRoot
from tests.dataroot import DataRoot
from tests.storageroot import StorageRoot

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


def test_imports_of_containerd(tmp_path: Path) -> None:
    """What imported files say counts over the file that names them; a circle, and what is no list, end nothing."""
    config = tmp_path / "config.toml"
    folder = tmp_path / "conf.d"
    folder.mkdir()
    config.write_text('root = "/first"\nimports = ["conf.d/*.toml", "conf.d/none.toml", 7, "a\\u0000"]\n')
    plugin = '[plugins."io.containerd.snapshotter.v1.overlayfs"]\n'
    (folder / "10.toml").write_text(f'root = "/second"\n{plugin}root_path = "/old"\n')
    (folder / "20.toml").write_text(f'root = ""\nimports = ["../config.toml"]\n{plugin}root_path = "/moved"\n')
    (folder / "30.toml").write_text("imports = 7\nplugins = 7\n")
    (folder / "40.txt").write_text('root = "/not imported"\n')
    assert places.containerd_root(str(config)) == "/second"
    assert places.snapshotter_roots(str(config)) == {"overlayfs": "/moved"}


def test_imports_without_end(tmp_path: Path) -> None:
    """However many files import one another, a bounded number is read."""
    for number in range(200):
        (tmp_path / f"{number}.toml").write_text(f'root = "/{number}"\nimports = ["{number + 1}.toml"]\n')
    assert places.containerd_root(str(tmp_path / "0.toml")) == f"/{FILES - 1}"


def test_accounts(tmp_path: Path) -> None:
    """The home of every user is a place for rootless stores, whatever stands in the file."""
    lines = (
        "root:x:0:0::/root:/bin/sh\na:x:1:1::/home/a/:/bin/sh\nb:x:2:2::/home/a:\nbad\nc:x:3:3::home:\n"
        "n:x:5:5::/n\0:\nd:x:4:4::/:\n"
    )
    (tmp_path / "passwd").write_text(lines + "e:x:5:5::/home/\0e:/bin/sh\n")
    assert accounts(str(tmp_path / "passwd")) == [
        Account("root", "0", "/root"),
        Account("a", "1", "/home/a"),
        Account("b", "2", "/home/a"),
    ]
    assert accounts(str(tmp_path / "none")) == []


def test_data_root_that_no_call_takes(tmp_path: Path) -> None:
    """A path with a NUL in daemon.json is none, and the next key counts."""
    settings = tmp_path / "docker" / "daemon.json"
    settings.parent.mkdir()
    environment = {"HOME": "/home/u", "XDG_CONFIG_HOME": str(tmp_path)}
    settings.write_text('{"data-root": "/a\\u0000b", "graph": "/g"}')
    assert places.default_root(environment, root=False) == "/g"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the home of the host's only user, who is nobody on this machine."""
    home = tmp_path / "home/u"
    (home / ".config/docker").mkdir(parents=True)
    (home / ".config/containers").mkdir(parents=True)
    (tmp_path / "passwd").write_text(f"u:x:54321:54321::{home}:/bin/sh\n")
    read = accounts(str(tmp_path / "passwd"))
    for module in (places, storage_settings):
        monkeypatch.setattr(module, "accounts", lambda _="": read)
    monkeypatch.setattr(places, "DISTRIBUTIONS", ())
    monkeypatch.delenv("LAYERINDEX_ROOT", raising=False)
    return home


def of_user(home: Path) -> tuple[list[str], list[str]]:
    """Return the stores below a home's parent that root's scan takes, and what it says of the user's settings."""
    found = list(stores.host_stores({}, root=True))
    roots = [each.store.root for each in found if isinstance(each, stores.OfHost)]
    said = [f"{each}" for each in found if isinstance(each, NotAStoreError)]
    top = str(home.parent.parent)
    return [root.removeprefix(top) for root in roots if root.startswith(top)], [each for each in said if top in each]


HOSTILE = {
    "toml": [
        b"\n" * 65 + b"a = " + b"[" * 1000,
        b"[storage]\na=" + b"9" * 6000,
        b"a = " + b"[" * 1000,
        b"a = " + b"{a=" * 300,
        b"secret-content",
        b"\xff",
        b"\0",
        b"a" + b".a" * 32000 + b"=1",
        b"#" * 100_000,
    ],
    "json": [b'{"data-root": "/a\\u0000b"}', b"secret-content", b"[" * 900, b"\xff", b"[]", b"7", b'{"data-root": 7}'],
}
PLACES = [
    *((".config/containers/storage.conf", content) for content in HOSTILE["toml"]),
    *((".config/docker/daemon.json", content) for content in HOSTILE["json"]),
]


@pytest.mark.parametrize("number", range(len(PLACES)))
def test_hostile_settings(home: Path, number: int) -> None:
    """They are said in one line, with nothing of what they hold; the store at the usual place is scanned."""
    where, content = PLACES[number]
    root = StorageRoot(home / ".local/share/containers/storage")
    root.image(root.layer({"f": b"1"}), ["app:1"])
    root.save()
    (home / where).write_bytes(content)
    with in_time():
        found, said = of_user(home)
    assert found == ["/home/u/.local/share/containers/storage"]
    assert len(said) == 1
    assert said[0].startswith(f"{home / where}: ")
    assert "secret" not in said[0]
    assert "999" not in said[0]
    assert said[0].isprintable()


@pytest.mark.parametrize("kind", ["fifo", "folder", "link out", "link to a device", "link in", "loop"])
def test_what_stands_for_settings(home: Path, kind: str) -> None:
    """What is no file of the home is not opened; a link within the home is what dotfiles are made of."""
    path = home / ".config/containers/storage.conf"
    (home.parent / "secret").write_text('[storage]\ngraphroot = "/secret"\n')
    (home / "dotfile").write_text(f'[storage]\ngraphroot = "{home}/mine"\n')
    target = {
        "link out": "../../../secret",
        "link in": "../../dotfile",
        "link to a device": "/dev/zero",
        "loop": path.name,
    }
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(target[kind])
    root = StorageRoot(home / "mine")
    root.image(root.layer({"f": b"1"}), ["app:1"])
    root.save()
    with in_time():
        found, said = of_user(home)
    assert (found, len(said)) == ((["/home/u/mine"], 0) if kind == "link in" else ([], 1))
    assert "/secret" not in "".join(said)


@pytest.mark.parametrize("how", ["data-root", "graphroot", "additional", "home", "slash"])
def test_what_is_not_the_users(home: Path, how: str) -> None:
    """A user cannot have root scan what is another's under the user's name, in whatever way it is named."""
    theirs = StorageRoot(home.parent / "other/storage")
    theirs.image(theirs.layer({"f": b"1"}), ["app:1"])
    theirs.save()
    for path in (theirs.path, theirs.path.parent):
        if os.geteuid() == 0:
            os.chown(path, 54322, 54322)
    if how in ("data-root", "slash"):
        named = "/" if how == "slash" else str(theirs.path)
        (home / ".config/docker/daemon.json").write_text(json.dumps({"data-root": named}))
    elif how == "home":
        (home / ".local/share/containers").mkdir(parents=True)
        (home / ".local/share/containers/storage").symlink_to(theirs.path)
    else:
        line = f'graphroot = "{theirs.path}"' if how == "graphroot" else f'imagestore = "{theirs.path}"'
        (home / ".config/containers/storage.conf").write_text(f"[storage]\n{line}\n")
    found = list(stores.host_stores({}, root=True))
    assert str(theirs.path) not in [each.store.root for each in found if isinstance(each, stores.OfHost)]
    assert [each for each in found if isinstance(each, NotAStoreError) and "it is not u's" in f"{each}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give a folder to another user")
def test_what_is_the_users_elsewhere(home: Path) -> None:
    """A store outside of the home that belongs to the user is the user's."""
    mine = StorageRoot(home.parent / "scratch")
    mine.image(mine.layer({"f": b"1"}), ["app:1"])
    mine.save()
    os.chown(mine.path, 54321, 54321)
    (home / ".config/containers/storage.conf").write_text(f'[storage]\ngraphroot = "{mine.path}"\n')
    assert of_user(home) == (["/home/scratch"], [])


def test_settings_are_told_with_the_store(home: Path, tmp_path: Path) -> None:
    """What is wrong with the settings of whose store it is, is a problem of the snapshot, and of --strict."""
    root = StorageRoot(home / ".local/share/containers/storage")
    root.image(root.layer({"f": b"1"}), ["app:1"])
    root.save()
    (home / ".config/containers/storage.conf").write_bytes(b"bad")
    db = str(tmp_path / "db")
    result = CliRunner().invoke(group, ["scan", "--strict", "--db", db], env={"HOME": str(home)})
    if os.geteuid() != 0:
        pytest.skip("only root looks into all homes")
    assert result.exit_code == 3
    assert result.stderr.count("storage.conf: it is no TOML: TOMLDecodeError") == 1
    with closing(sqlite3.connect(db)) as connection:
        sql = "SELECT root, code, path FROM problems JOIN snapshots USING (snapshot_id) WHERE code = 'bad-settings'"
        assert connection.execute(sql).fetchall() == [
            (str(root.path), "bad-settings", str(home / ".config/containers/storage.conf"))
        ]


def test_a_finder_that_fails(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the look for a store raises is said, and the others are scanned."""
    find = stores.find

    def failing(root: str) -> list[stores.Store]:
        if root.endswith("docker"):
            raise MemoryError
        return find(root)

    monkeypatch.setattr(stores, "find", failing)
    result = CliRunner().invoke(group, ["scan", "--db", str(host / "db")])
    assert result.exit_code == 0
    assert f"{host}/docker: MemoryError\n" in result.stderr
    assert result.stderr.count("as snapshot") == 1


def test_settings_of_containerd_that_are_no_file(tmp_path: Path) -> None:
    """A fifo in their place holds nothing up."""
    os.mkfifo(tmp_path / "config.toml")
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
    monkeypatch.setattr(stores, "usual_roots", lambda *_, **__: map(places.Place, found))
    monkeypatch.setattr(stores, "graph_roots", lambda *_, **__: [])
    monkeypatch.setattr(containers_storage, "graph_roots", lambda *_, **__: [])
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
    monkeypatch.setattr(stores, "usual_roots", lambda *_, **__: iter([places.Place(str(host / "none"))]))
    result = CliRunner().invoke(group, ["scan", "--db", str(host / "db")])
    assert result.exit_code == 1
    assert "no container store at the usual places" in f"{result.exception}{result.stderr}"
