"""Where engines keep their stores on a host: what their settings say, else their defaults, for root and for users."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson

from layerindex.stores import host
from layerindex.stores.containerd.directories import SNAPSHOTTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


DISTRIBUTIONS = (
    "/var/snap/docker/common/var-lib-docker",
    "/var/lib/rancher/k3s/agent/containerd",
    "/var/lib/rancher/rke2/agent/containerd",
    "/var/lib/k0s/containerd",
    "/var/snap/microk8s/common/var/lib/containerd",
)
"""Where distributions of Docker and Kubernetes have their engine keep its store: Ubuntu's snaps, k3s, RKE2, k0s."""


def default_root(environment: Mapping[str, str], *, root: bool) -> str:
    """Return the data root that daemon.json names, else the engine's default, for root or a rootless engine's user.

    moby `daemon/config/config_linux.go`; `graph` is the key's name before Docker 17.05.
    """
    home = environment.get("HOME", "/")
    config, data = "/etc", "/var/lib"
    if not root:
        config = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
        data = environment.get("XDG_DATA_HOME") or f"{home}/.local/share"
        if not os.path.isdir(f"{data}/docker") and not os.path.isfile(f"{config}/docker/daemon.json"):
            config, data = "/etc", "/var/lib"
    return _docker_root(f"{config}/docker/daemon.json") or f"{data}/docker"


def usual_roots(environment: Mapping[str, str], *, root: bool) -> Iterator[str]:
    """Yield the places where the stores of this host may be; most are not there.

    Of the system, then of the user who asks, or for root of all users: those of rootless engines.
    """
    yield default_root(environment, root=True)
    yield containerd_root()
    yield from DISTRIBUTIONS
    if not root:
        yield default_root(environment, root=False)
        yield f"{_data_home(environment)}/containerd"
    for home in homes() if root else ():
        yield _docker_root(f"{home}/.config/docker/daemon.json") or f"{home}/.local/share/docker"
        yield f"{home}/.local/share/containerd"


def containerd_root(config: str = "/etc/containerd/config.toml") -> str:
    """Return the root that containerd's settings name, else its default."""
    settings = host.toml(config)
    return host.path(settings.get("root")) or "/var/lib/containerd"


def snapshotter_roots(config: str = "/etc/containerd/config.toml") -> dict[str, str]:
    """Return where containerd's settings say that snapshotters are, by name; not those that are in its root.

    containerd `plugins/snapshots/overlay/plugin`: `root_path`; in version 1 of the settings a plugin has a short name.
    """
    plugins = host.toml(config).get("plugins")
    found = {}
    for name, settings in plugins.items() if isinstance(plugins, dict) else ():
        path = host.path(settings.get("root_path")) if isinstance(settings, dict) else None
        if path is not None:
            found[name.removeprefix(SNAPSHOTTER)] = os.path.realpath(path)
    return found


def homes(passwd: str = "/etc/passwd") -> list[str]:  # noqa: S107 - a file of accounts, without passwords
    """Return the homes of this host's users, each once: those that may have stores of rootless engines."""
    fields = (each for each in host.accounts(passwd) if len(each) > 5)
    found = dict.fromkeys(each[5].rstrip("/") for each in fields if os.path.isabs(each[5]))
    return [home for home in found if home]


def _data_home(environment: Mapping[str, str]) -> str:
    return environment.get("XDG_DATA_HOME") or f"{environment.get('HOME', '/')}/.local/share"


def _docker_root(path: str) -> str | None:
    """Return the data root that a daemon.json names."""
    try:
        settings = orjson.loads(host.read(path))
    except orjson.JSONDecodeError:
        return None
    found = (host.path(settings.get(key)) for key in ("data-root", "graph") if isinstance(settings, dict))
    return next((each for each in found if each is not None), None)
