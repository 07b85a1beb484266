"""Finds where engines keep their stores on a host, from settings or defaults, for root and for users."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from layerindex.stores.containerd.directories import SNAPSHOTTER
from layerindex.stores.containerd.settings import CONFIG, read_settings
from layerindex.stores.host import Account, Settings, accounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


DISTRIBUTIONS = (
    "/var/snap/docker/common/var-lib-docker",
    "/var/lib/rancher/k3s/agent/containerd",
    "/var/lib/rancher/rke2/agent/containerd",
    "/var/lib/k0s/containerd",
    "/var/snap/microk8s/common/var/lib/containerd",
)
"""Stores of engines in distributions of Docker and Kubernetes: Ubuntu's snaps, k3s, RKE2, k0s."""


class Place(NamedTuple):
    """Where a store may be, and the user whose settings or home name it: None for the system."""

    path: str
    user: Account | None = None


def default_root(environment: Mapping[str, str], *, root: bool, settings: Settings | None = None) -> str:
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
    return _docker_root(f"{config}/docker/daemon.json", settings or Settings()) or f"{data}/docker"


def usual_roots(environment: Mapping[str, str], *, root: bool, settings: Settings) -> Iterator[Place]:
    """Yield the places where the stores of this host may be; most do not exist.

    First those of the system, then the rootless ones of this user, or for root those of all users.
    """
    yield Place(default_root(environment, root=True, settings=settings))
    yield Place(containerd_root(settings=settings))
    yield from map(Place, DISTRIBUTIONS)
    if not root:
        yield Place(default_root(environment, root=False, settings=settings))
        yield Place(f"{_data_home(environment)}/containerd")
    for user in accounts() if root else ():
        own = f"{user.home}/.config/docker/daemon.json"
        named = None if user.uid == "0" else _docker_root(own, settings, user)
        yield Place(named or f"{user.home}/.local/share/docker", user)
        yield Place(f"{user.home}/.local/share/containerd", user)


def containerd_root(config: str = CONFIG, settings: Settings | None = None) -> str:
    """Return the root that containerd's settings name, else its default."""
    settings = settings or Settings()
    found = settings.path(read_settings(settings, config), "root", config)
    return found if found is not None and os.path.isabs(found) else "/var/lib/containerd"


def snapshotter_roots(config: str = CONFIG) -> dict[str, str]:
    """Return the folders of snapshotters that containerd's settings name; not those in its root.

    containerd `plugins/snapshots/overlay/plugin`: `root_path`; in version 1 of the settings a plugin has a short name.
    """
    settings = Settings()
    plugins = read_settings(settings, config)["plugins"]
    found = {}
    for name, values in plugins.items():
        path = settings.path(values, "root_path", config) if isinstance(values, dict) else None
        if path is not None and os.path.isabs(path):
            found[name.removeprefix(SNAPSHOTTER)] = os.path.realpath(path)
    return found


def _data_home(environment: Mapping[str, str]) -> str:
    return environment.get("XDG_DATA_HOME") or f"{environment.get('HOME', '/')}/.local/share"


def _docker_root(path: str, settings: Settings, user: Account | None = None) -> str | None:
    """Return the data root that a daemon.json names."""
    values = settings.json(path, user, user.home if user else None)
    for key in ("data-root", "graph"):
        found = settings.path(values, key, path, user)
        if found is not None and os.path.isabs(found):
            return found
        if found is not None:
            settings.note(path, f"{key} is no absolute path", user)
    return None
