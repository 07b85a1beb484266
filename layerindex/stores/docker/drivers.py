"""Finds which storage drivers left something under a data root."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.problems import Damage
from layerindex.stores.containerd.directories import FOLDER as SNAPSHOTS
from layerindex.stores.containerd.directories import SNAPSHOTTER

if TYPE_CHECKING:
    from layerindex.stores.disk.files import Folder

READABLE = ("overlay2", "fuse-overlayfs")
"""Drivers whose directories hold `link`, `lower` and `diff`."""

KNOWN = (*READABLE, "btrfs", "zfs", "vfs", "aufs", "overlay", "devicemapper", "windowsfilter")
"""Every driver Docker ever shipped, in the order in which the engine prefers them."""

CONTAINERD = "containerd"
DAEMON = "daemon"
"""The root of the containerd that dockerd runs, below a folder of that name."""
"""Used as driver name for the image store that Docker 29 uses by default."""

MODERN = (("rootfs", "overlayfs"), ("buildkit", "containerd-overlayfs"))
"""Files in the root of an engine that keeps images in a containerd, in any place."""

REMAPPED = re.compile(r"\d+\.\d+")
"""The folder name of a userns-remap root: the uid and gid on the host of root in a container."""


def drivers(root: Folder) -> list[str]:
    """Return the drivers that left something under a root, in the engine's order of preference.

    A folder with the name of a driver alone proves nothing: neither /etc/zfs nor image/overlay2.
    """
    found = [
        name
        for name in KNOWN
        if root.has_folder(name) and (root.has_folder("image") or (name in READABLE and root.exists(name, "l")))
    ]
    try:
        with root.folder("image") as image:
            found += [
                name
                for name in image.entries
                if shapes.CACHE_ID.fullmatch(name)
                and name not in found
                and (image.exists(name, "layerdb") or image.exists(name, "imagedb"))
            ]
    except Damage:
        pass  # A root without image/ is recognised by its other folders.
    if _has_snapshots(root) or any(root.exists(*names) for names in MODERN):
        found.append(CONTAINERD)
    return sorted(found, key=lambda name: (KNOWN.index(name) if name in KNOWN else len(KNOWN), name))


def _has_snapshots(root: Folder) -> bool:
    """Say whether the containerd that the engine runs itself keeps image layers.

    Its snapshots/ folders are empty where another driver keeps the layers. Its content store proves nothing: every pull
    leaves a manifest there.
    """
    try:
        with root.folder("containerd", "daemon") as daemon:
            for name in daemon.entries:
                if name.startswith(SNAPSHOTTER) and daemon.exists(name, SNAPSHOTS):
                    with daemon.folder(name, SNAPSHOTS) as snapshots:
                        if snapshots.entries:
                            return True
    except Damage:
        pass  # Unknown; the other drivers are found all the same.
    return False


def remapped_roots(root: Folder) -> list[str]:
    """Return the names of the userns-remap roots below a root."""
    return [name for name in sorted(root.entries) if REMAPPED.fullmatch(name) and root.has_folder(name)]
