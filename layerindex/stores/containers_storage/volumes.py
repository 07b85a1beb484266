"""Reads Podman's volumes: a folder each in volumes/, with its config in Podman's own state.

Format: podman `libpod/volume.go`, `libpod/runtime_volume_common.go`.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import orjson

from layerindex import standing
from layerindex.missing import going
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Volume
from layerindex.stores.containers_storage.libpod import is_name, mounted
from layerindex.stores.disk import ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.records import Use
    from layerindex.stores.containers_storage.libpod import PodmanState
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.disk.values import Fields
    from layerindex.stores.shared.claims import Sources

NOT_VOLUMES = ("backingFsBlockDev",)
LOCAL = "local"
DATA = "_data"


def read_volumes(
    root: Folder, path: str, known: PodmanState, again: Callable[[], PodmanState], sources: Sources
) -> Iterator[Volume | Damage]:
    """Yield the volumes in volumes/, and those that only Podman's state knows, which may be in another place.

    `path` is that of the root; `again` reads the state once more: a folder is removed before the name.
    """
    folders: set[str] = set()
    if root.exists("volumes"):
        try:
            with root.folder("volumes") as folder:
                for name in sorted(folder.entries):
                    if folder.has_folder(name):
                        folders.add(name)
                    elif name not in NOT_VOLUMES:
                        yield Damage("unexpected-entry", folder.where(name), "not a volume")
        except Damage as found:
            sources.damaged("volumes", found)
            yield found
            return
    for name in sorted(folders):
        yield _volume(name, known.volumes.get(name), on_disk=1)
    absent = sorted(known.volumes.keys() - folders)
    now = again().volumes if absent else {}
    for name in absent:
        if name in now:
            yield from _absent(name, root, path, known, sources)


def going_volumes(root: Folder, known: PodmanState, again: Callable[[], PodmanState]) -> Iterator[Use]:
    """Yield `going` for absent volumes of containers that are gone a moment later: volumes are removed first."""
    absent = [
        (name, container_id)
        for container_id, config in sorted(known.containers.items())
        for name in sorted({each["name"] for each in mounted(config) if _is_named(each)})
        if not root.exists("volumes", name)
    ]
    now = again().containers if absent else {}
    for name, container_id in absent:
        if container_id not in now:
            yield going("volume", from_os(name), container_id)


def _is_named(mount: dict[str, Any]) -> bool:
    return mount["type"] == "volume" and isinstance(mount["name"], str) and is_name(mount["name"])


def _absent(name: str, root: Folder, path: str, known: PodmanState, sources: Sources) -> Iterator[Volume | Damage]:
    """Yield a volume that is not in volumes/: it may be new, elsewhere, or missing."""
    field = known.volumes[name]
    elsewhere = _elsewhere(name, field, known)
    place = None if elsewhere is None else _on_this_host(elsewhere, path, known)
    there = root.exists("volumes", name) if elsewhere is None else place is not None and _is_ours(place, root)
    volume = _volume(name, field, on_disk=int(there), place=None if place is None or not there else from_os(place))
    yield volume
    if volume.driver != LOCAL or there:
        return
    if elsewhere is not None and (place is None or os.path.lexists(place)):
        where = from_os(elsewhere if place is None else place)
        sources.note("volumes", where, standing.UNSEEN, f"volume {from_os(name)} is there, as Podman's state says")


def _elsewhere(name: str, field: Fields, known: PodmanState) -> str | None:
    """Return the path of a volume on its host; None where that is in the root, or unknown."""
    point, graph = field.get("mountPoint", ids.text), known.settings.get("graph-root")
    if (field.get("volumeDriver", ids.text) or LOCAL) != LOCAL or not point or graph is None:
        return None
    folder = os.path.dirname(point) if os.path.basename(point) == DATA else point
    if not os.path.isabs(folder) or "\0" in folder or folder == f"{graph}/volumes/{name}":
        return None
    return folder


def _on_this_host(path: str, root: str, known: PodmanState) -> str | None:
    """Return where a path of the store's host is on this host, which may have the other's files below a folder.

    None where unknown, as the root is not where Podman had it.
    """
    graph = known.settings["graph-root"]
    if not root.endswith(graph):
        return None
    above = root.removesuffix(graph)
    real = os.path.realpath(f"{above}{path}")
    return real if real.startswith(f"{above}/") else None


def _is_ours(place: str, root: Folder) -> bool:
    """Say whether a folder exists that the owner of the root may name: the owner's own, or any if that is root."""
    try:
        status, owner = os.stat(place, follow_symlinks=False), os.fstat(root.handle).st_uid
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(status.st_mode) and owner in (0, status.st_uid)


def _volume(name: str, field: Fields | None, *, on_disk: int, place: str | None = None) -> Volume:
    if field is None:
        return Volume(from_os(name), LOCAL, None, None, on_disk)
    driver = field.get("volumeDriver", ids.text) or LOCAL
    return Volume(
        from_os(name),
        driver.encode("utf-8", "replace").decode(),
        _texts(field, "volumeOptions"),
        _texts(field, "labels"),
        on_disk,
        place=place,
    )


def _texts(field: Fields, key: str) -> str | None:
    """Return an object of texts as JSON; None for an empty one and anything else."""
    values: dict[str, Any] = field.get(key, ids.mapping) or {}
    found = {name: text for name, text in values.items() if isinstance(text, str)}
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() if found else None
