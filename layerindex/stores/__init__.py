"""Container stores on disk, read without the engine: each yields plain records and never raises for what it reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson

from layerindex.errors import NotAStoreError
from layerindex.problems import Damage
from layerindex.stores.docker import DockerStore, find_stores

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DockerStore", "default_root", "open_stores"]


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
    try:
        with open(f"{config}/docker/daemon.json", "rb") as file:
            settings = orjson.loads(file.read(1024 * 1024))
    except (OSError, orjson.JSONDecodeError):
        settings = None
    for key in ("data-root", "graph"):
        if isinstance(settings, dict) and isinstance(settings.get(key), str) and os.path.isabs(settings[key]):
            return str(settings[key])
    return f"{data}/docker"


def open_stores(root: str) -> list[DockerStore]:
    """Return every store under a folder; raises NotAStoreError when there is none or it may not be read."""
    try:
        stores = find_stores(os.path.realpath(root))
    except Damage as found:
        reason = {
            "permission-denied": "permission denied; run the scan as root",
            "missing": "no such folder; name the data root, such as /var/lib/docker",
            "not-a-folder": "not a folder; name the data root, such as /var/lib/docker",
        }
        raise NotAStoreError(root, reason.get(found.problem.code, found.problem.detail)) from found
    if not stores:
        raise NotAStoreError(root, _hint(os.path.realpath(root)))
    return stores


def _hint(root: str) -> str:
    """Say why a folder is no store, and which one near it is."""
    for near in (os.path.dirname(root), f"{root}/docker", f"{root}/var/lib/docker"):
        try:
            if find_stores(near):
                return f"no container store; did you mean {near}?"
        except Damage:
            continue
    return "no container store: it has no image/<driver>, no overlay2 and no containerd store"
