"""Folders of the data root that are mounts, symlinks, not mounted or missing, and what metadata names in them.

An administrator who runs out of disk space may move `overlay2/` or `volumes/` and leave a symlink or a mount there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerindex.missing import going
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Container, ContainerVolume, Volume
from layerindex.stores.disk import ids
from layerindex.stores.docker.containers import CONFIG
from layerindex.stores.docker.drivers import remapped_roots
from layerindex.stores.docker.volumes import going_volumes, is_local, read_volumes
from layerindex.stores.shared.claims import NEED_DIRECTORY
from layerindex.stores.shared.overlay import LATE, PAUSE, directory_names, in_motion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layerindex.records import Record
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims

SHARED = ("buildkit", "containers", "image", "volumes")
"""Folders of the root that may be as large as that of the driver."""


def own_filesystems(root: Folder, names: tuple[str, ...]) -> Iterator[Damage]:
    """Yield the folders of the root that are mounted filesystems."""
    device = os.fstat(root.handle).st_dev
    for name in names:
        try:
            status = os.stat(name, dir_fd=root.handle, follow_symlinks=False)
        except OSError:
            continue  # Its reader reports it.
        if root.has_folder(name) and status.st_dev != device:
            yield Damage("own-filesystem", name, "another filesystem is mounted here; its bytes are counted apart")


def unopened_remaps(root: Folder) -> Iterator[Damage]:
    """Yield the userns-remap roots that cannot be opened; the others are stores of their own."""
    for name in remapped_roots(root):
        try:
            with root.folder(name):
                pass
        except Damage as found:
            yield found


def unstartable(found: Damage) -> Damage:
    """Return the finding about a driver's folder that cannot be opened, with its consequence."""
    problem = found.problem
    if problem.code != "elsewhere":
        return found
    detail = f"{problem.detail}; no container starts on it: runc refuses a root that is reached through a symlink"
    return Damage(problem.code, problem.path, detail)


def not_mounted(name: str, what: str) -> Damage:
    """Return the finding that a folder is empty although metadata names things in it."""
    return Damage("not-mounted", name, f"it is empty, and {what}: is its filesystem not mounted?")


def of_containerd(container: Container) -> Container:
    """Return a container whose image is in a containerd elsewhere: Docker names the target, not the image."""
    return container._replace(namespace="moby", image_id=None, target_digest=container.image_id)


def read_all_volumes(root: Folder, named: set[tuple[str, str]], wait: float) -> Iterator[Record | Damage]:
    """Yield the volumes; `named` are those that must exist, each with a container that has it.

    Absent ones are looked for again after so many seconds, as they may be being removed.
    """
    with root.folder("volumes") as folder:
        if not folder.entries and named:
            yield not_mounted("volumes", "containers name volumes of it")
        here: set[str] = set()
        for item in read_volumes(folder):
            if isinstance(item, Volume) and item.on_disk:
                here.add(item.name)
            yield item
    yield from going_volumes(root, named, here, wait)


def moved_mounts(items: Iterable[Record | Damage], root: str, folder: str, container_id: str) -> Iterator[Damage]:
    """Yield containers with mounts whose source is under another path of the root: it was moved, or is a copy.

    The engine keeps these paths; where they lead nowhere it says "error evaluating symlinks from mount source".
    """
    old = [
        (mount.source, mount.destination)
        for mount in items
        if isinstance(mount, ContainerVolume)
        and is_local(mount)
        and mount.source is not None
        and mount.source.endswith(end := f"/volumes/{mount.name}/_data")
        and mount.source != root + end
    ]
    if old:
        source, destination = (ids.shorten(text) for text in old[0])
        more = f" ({len(old)} such mounts)" if len(old) > 1 else ""
        detail = f"{destination} has the source {source}{more}; the engine refuses to start it unless that leads here"
        yield Damage("moved-root", f"{folder}/{CONFIG}", detail, container_id)


def check_directories(
    root: Folder, driver: str, claims: Claims, again: Callable[[float], Claims]
) -> Iterator[Record | Damage]:
    """Yield findings about directories that two layers name, and `going` for absent ones that are no longer named.

    Nothing counts as missing where the driver's folder is a symlink, or may only be not mounted.
    """
    missing = []
    for cache_id, owners in sorted(claims.owners.items()):
        layers = [owner for kind, owner in dict.fromkeys(owners) if kind == "layer"]
        if len(layers) > 1:
            yield Damage("shared-cache-id", f"{driver}/{cache_id}", f"named by {', '.join(layers[:3])}", cache_id)
        if not root.exists(driver, cache_id):
            missing += [(cache_id, kind, owner) for kind, owner in dict.fromkeys(owners) if kind in NEED_DIRECTORY]
    if not missing or root.is_symlink(driver):
        return
    if root.has_folder(driver) and not directory_names(root, driver):
        found = not_mounted(driver, f"metadata names {len({name for name, *_ in missing})} directories of it")
        claims.sources.damaged("directories", found)
        yield found
        return
    # A directory is removed just before the record that names it.
    later = again(LATE if in_motion(root, driver) else PAUSE)
    now = {cache_id: set(owners) for cache_id, owners in later.owners.items()}
    gone = [(cache_id, owner) for cache_id, kind, owner in missing if (kind, owner) not in now.get(cache_id, ())]
    for cache_id, owner in dict.fromkeys(gone):
        yield going("directory", from_os(cache_id), owner)
