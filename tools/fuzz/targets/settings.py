"""Settings of engines, which any user of a host may have written: JSON, TOML, and the list of accounts."""

from __future__ import annotations

import os

from layerindex.stores import host, places
from layerindex.stores.containers_storage.settings import OWN, SYSTEM, graph_roots
from tools.fuzz import scratch
from tools.fuzz.target import Target, hold
from tools.fuzz.targets.docker import JSON_WORDS


def _placed(name: str, data: bytes) -> str:
    path = f"{scratch.folder('settings')}/{name}"
    if not os.path.isdir(os.path.dirname(path)):
        os.makedirs(os.path.dirname(path))
    scratch.write(path, data)
    return path


def _daemon(data: bytes) -> None:
    path = _placed("config/docker/daemon.json", data)
    environment = {"HOME": "/home/u", "XDG_CONFIG_HOME": path.removesuffix("/docker/daemon.json")}
    with scratch.confined():
        _path(places.default_root(environment, root=False))


def _containerd(data: bytes) -> None:
    path = _placed("config.toml", data)
    with scratch.confined():
        _path(places.containerd_root(path))
        found = places.snapshotter_roots(path)
    for each in found.values():
        _path(each)


def _storage(data: bytes) -> None:
    """Read storage.conf of the system and, behind NULs, that of a user and the accounts."""
    names = (SYSTEM[1], f"home/u/{OWN}", "etc/passwd")
    for name, content in zip(names, (*data.split(b"\0", 2), b"", PASSWD), strict=False):
        _placed(f"host/{name}", content)
    root = f"{scratch.folder('settings')}/host"
    with scratch.confined():
        found = graph_roots(root)
    hold(len(found) <= len(data) + 16, "more places than settings", found)
    for place in found:
        for path in (place.root, *place.additional):
            _path(path)


def _accounts(data: bytes) -> None:
    path = _placed("passwd", data)
    with scratch.confined():
        found = host.accounts(path)
    for each in found:
        _path(each.home)
    hold(len(found) <= len(data), "more homes than bytes", found)


def _path(path: str) -> None:
    """Hold that a path can be asked for: whoever looks there must not be surprised."""
    hold(os.path.isabs(path), "a path that is not absolute", path)
    hold("\0" not in path, "a path with a NUL", path)
    os.path.isdir(path)


PASSWD = b"root:x:0:0:root:/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n"
STORAGE = (
    b'[storage]\ndriver="overlay"\ngraphroot="/g"\nrootless_storage_path="$HOME/s/${UID}/$USER"\n'
    b'[storage.options]\nadditionalimagestores=["/a","$HOME/b"]\nimagestore="/i"\n'
)
CONTAINERD = b'version=2\nroot="/r"\n[plugins."io.containerd.snapshotter.v1.overlayfs"]\nroot_path="/o"\n'
WORDS = (b'="', b'"\n', b"[storage]\n", b"[storage.options]\n", b"$HOME", b"${UID}", b"\\u0000", b"\\U00110000", b"[[")

TARGETS = (
    Target(
        "settings-docker",
        "daemon.json gives a path that can be asked for, whatever it holds.",
        lambda: [b'{"data-root":"/d"}', b'{"graph":"/g"}'],
        _daemon,
        (*JSON_WORDS, b'"data-root":"/', b"\\u0000"),
        512,
    ),
    Target(
        "settings-containerd",
        "config.toml gives paths that can be asked for, whatever it holds.",
        lambda: [CONTAINERD],
        _containerd,
        (*WORDS, b"9" * 5000, b"1979-05-27T07:32:00Z"),
        6000,
    ),
    Target(
        "settings-storage",
        "storage.conf of the system and of users gives paths that can be asked for.",
        lambda: [STORAGE + b"\0" + STORAGE + b"\0" + PASSWD],
        _storage,
        (*WORDS, b"9" * 5000, b"\0"),
        6000,
    ),
    Target(
        "accounts",
        "The list of accounts gives homes that can be asked for, whatever it holds.",
        lambda: [PASSWD],
        _accounts,
        (b":", b":/", b"\xff"),
        512,
    ),
)
