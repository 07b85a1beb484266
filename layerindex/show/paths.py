"""Reads one word or path: which ids and names it may mean, without the database.

A path is read from left to right: the outermost folder that belongs to a store decides, so that a file inside a layer
cannot pass for another directory by its name.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes
from layerindex.errors import UsageError
from layerindex.names import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = 8192
"""Most characters of a path inside a layer: twice what a system call takes."""

READINGS = 8
"""Most readings of one path."""

IN_PATH = 12
"""Fewest characters of an id in a path, the length of Docker's short ids; a shorter name may be a folder of the
user."""

DRIVERS = ("overlay2", "fuse-overlayfs", "overlay", "windowsfilter")
OTHER_DRIVERS = {
    **dict.fromkeys((("vfs", "dir"), ("btrfs", "subvolumes"), ("zfs", "graph"), ("aufs", "mnt")), "merged"),
    ("aufs", "diff"): "diff",
    ("devicemapper", "mnt"): "rootfs",
    **dict.fromkeys((("aufs", "layers"), ("devicemapper", "metadata")), ""),
}
"""Folders of other drivers' directories, and what lies in one: all that it shows, only its own, that below a folder, or
no files of it."""
TAR_SPLIT = ".tar-split.gz"
PARTS = ("diff", "merged", "work")
HOLDS = {"diff": False, "upper": False, "Files": False, "merged": True, "root": True}
"""Folders of a directory with files, and whether those below it are in it too."""
BY_ID = {
    "containers": ((("containers",), "container"),),
    "volumes": ((("volumes",), "volume"),),
    "imagedb": ((("imagedb", "content", "sha256"), "image"), (("imagedb", "metadata", "sha256"), "image")),
    "layerdb": ((("layerdb", "sha256"), "layer"), (("layerdb", "tmp"), "directory")),
    "blobs": ((("blobs", "sha256"), None),),
    "ingest": ((("ingest",), "ingest"),),
    "overlay-containers": ((("overlay-containers",), "container"),),
    "diffid-by-digest": ((("diffid-by-digest", "sha256"), "layer"),),
    "v2metadata-by-diffid": ((("v2metadata-by-diffid", "sha256"), "layer"),),
}
"""Folders whose entries are named by an id, by their first component, and the kind of thing that an entry is."""

FOLDERS = frozenset(
    {
        *("tmp", "plugins", "swarm", "network", "containerd", "buildkit"),
        *("aufs", "btrfs", "devicemapper", "overlay", "vfs", "windowsfilter", "zfs"),
    }
)
"""Folders of a Docker data root that are explained as a whole: see `queries/show/folder.sql`."""

TMP = "tmp"
"""The folder in which users' own files may lie, whose paths say nothing."""

ROOTS = frozenset({"rootfs", "root", "fs", *PARTS})
"""Folders in which a container finds its `/`: what lies in them is called as those in it like."""

ID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?:-init)?(?![0-9A-Za-z])")

_STRICT = re.compile(f"{shapes.MOUNT_ID.pattern}|{shapes.BUILDKIT_ID.pattern}")
_SNAPSHOTTERS = "io.containerd.snapshotter.v1."
_SNAPSHOTTER = re.compile(rf"{re.escape(_SNAPSHOTTERS)}[a-z0-9-]+$")
_CONTAINER = re.compile(r"[0-9a-f]{12,64}")
_TASKS = re.compile(r"io\.containerd\.runtime\.v[12]\.[a-z]+$")
_KEY = re.compile(rb"(?:manifest-)?(sha256:[0-9a-f]{64})")
_REGISTRY = re.compile(r"(?:docker\.io|index\.docker\.io)/(?:library/)?")
_SCHEME = re.compile(r"(?:docker|docker-pullable|containerd|cri-o|crio|podman)://|docker-daemon:|containers-storage:")
"""What Kubernetes and the programs around images put before an id or a name."""


class Reading(NamedTuple):
    """One interpretation of a word: what to look up, and the path that follows it."""

    word: str
    kind: str | None = None
    path: str | None = None
    merged: bool = False
    root: str | None = None
    driver: str | None = None
    """The snapshotter whose number it is: the same number of another snapshotter is another directory."""
    folder: str | None = None
    """The folder that it lies in, where only that says which snapshotter it is."""

    @property
    def shortest(self) -> int:
        """The fewest characters that count as the beginning of an id."""
        return 2 if self.kind is None else IN_PATH

    @property
    def sure(self) -> bool:
        """Whether it names a thing that is no folder of a user, whatever folder it lies in."""
        return (
            self.root is not None
            or self.driver is not None
            or bool(_STRICT.fullmatch(self.word.removeprefix("sha256:")))
        )


def within(text: str, roots: Sequence[str]) -> list[Reading]:
    """Return the readings of a path that leads into a store, the best first; none for any other text."""
    if "/" not in text or _SCHEME.match(text):
        return []
    found: list[Reading] = []
    folders: list[Reading] = []
    parts = _clean(text)
    whole = "/" + "/".join(parts)
    for root in roots:
        if parts and text.startswith("/") and whole.startswith(f"{root.rstrip('/')}/"):
            below = parts[root.rstrip("/").count("/") :]
            if below[0] == TMP:
                return [Reading(TMP, "folder", root=root)]
            found += [reading._replace(root=root) for reading in _path(below)]
            if below[0] in FOLDERS:
                folders.append(Reading(below[0], "folder", root=root))
    return list(dict.fromkeys([*found, *_path(parts)]))[: READINGS - 1] + folders[:1]


def named(text: str) -> list[Reading]:
    """Return the readings of a word as a name or an id, the best first."""
    if text.startswith("/"):
        parts = _clean(text)
        inspected = [Reading(parts[0], "container")] if len(parts) == 1 else []  # as `docker inspect` names it
        return [*inspected, Reading("/" + "/".join(parts), "volume")] if parts else []
    word = _SCHEME.sub("", text, count=1)
    found = [Reading(typed(each)) for each in (text, word) if each]
    if _REGISTRY.match(word):
        found.append(Reading(typed(_REGISTRY.sub("", word, count=1)), "image"))
    digest = word.rpartition("@")[2]
    if digest != word and shapes.DIGEST.fullmatch(digest):
        found.append(Reading(digest, "image"))
    if text.partition("/")[0] in FOLDERS:
        found.append(Reading(text.partition("/")[0], "folder"))
    return list(dict.fromkeys(found))


def beside(text: str) -> list[list[Reading]]:
    """Return the readings of each whole id in a word that is no path of a store, such as a control group's.

    What lies in a container's `/` was named by whoever filled it, and is a path in it.
    """
    found: list[list[Reading]] = []
    parts = text.split("/")
    for place, part in enumerate(parts):
        if found and part in ROOTS:
            break
        ids = ID.findall(part)
        if [part] == ids and parts[place + 1 : place + 2] == ["rootfs"]:
            found.append([_in_container(part, parts[place + 2 :])])
            break
        found += [[Reading(each)] for each in ids]
    return found


def _clean(path: str) -> list[str]:
    """Return the components of a path as in the database; purely lexical, as no link can be read."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(typed(part))
    return kept


def _path(parts: Sequence[str]) -> list[Reading]:
    """Return the readings of a path, the outermost folder first."""
    found: list[Reading] = []
    for place in range(len(parts)):
        reading = _at(parts[place : place + 4], parts, place)
        if reading is not None:
            found.append(reading)
            if len(found) == READINGS:
                break
    return found


def _at(head: Sequence[str], parts: Sequence[str], place: int) -> Reading | None:  # noqa: PLR0911 - one for each kind of folder
    """Return the reading that begins at one component of a path, if that is a folder of a store."""
    match head:
        case ["l", link, *_] if shapes.LINK.fullmatch(link):
            return _inside(link, ["diff", *parts[place + 2 :]])
        case [driver, cache_id, *_] if driver in DRIVERS and cache_id != "l" and shapes.CACHE_ID.fullmatch(cache_id):
            return _inside(cache_id, parts[place + 2 :])
        case [snapshotter, "snapshots", number, *_] if _SNAPSHOTTER.match(snapshotter) and number.isdecimal():
            rest = parts[place + 3 :]
            inside = _inside(number, ["diff", *rest[1:]] if rest[:1] == ["fs"] else [])
            return inside._replace(driver=snapshotter.removeprefix(_SNAPSHOTTERS))
        case ["snapshots", number, "fs", *_] if number.isdecimal():  # of a snapshotter that was moved by settings
            inside = _inside(number, ["diff", *parts[place + 3 :]])
            return inside._replace(folder="/" + "/".join(parts[: place + 1]))
        case [driver, kept, cache_id, *_] if (driver, kept) in OTHER_DRIVERS and shapes.CACHE_ID.fullmatch(cache_id):
            return _elsewhere(cache_id, OTHER_DRIVERS[driver, kept], parts[place + 3 :])
        case [cache_id, part, *_] if part in PARTS and _STRICT.fullmatch(cache_id):
            return _inside(cache_id, parts[place + 1 :])
        case ["layerdb", "mounts", _, *_]:
            # A name may contain slashes; files inside the entry are not part of it.
            return Reading(re.sub(r"/(mount-id|init-id|parent)$", "", "/".join(parts[place + 2 :])), "directory")
    return _running(head, parts, place) or _beside(head) or _named_by_id(head)


def _running(head: Sequence[str], parts: Sequence[str], place: int) -> Reading | None:
    """Return the container that a folder of containerd's or Docker's runtime is of, with the path inside it."""
    match head:
        case [tasks, _, container, *rest] if _TASKS.fullmatch(tasks):
            return _in_container(container, parts[place + 4 :] if rest == ["rootfs"] else [])
        case ["rootfs", _, container, *_] if shapes.HEX.fullmatch(container):
            return _in_container(container, parts[place + 3 :])
    return None


def _beside(head: Sequence[str]) -> Reading | None:
    """Return the image or layer of Podman, or plugin of Docker, that a file beside an engine's directories is of."""
    match head:
        case ["plugins", plugin, *_] if shapes.HEX.fullmatch(plugin):
            return Reading(plugin, "folder")
        case [folder, storage_id, *rest] if folder.endswith("-images") and shapes.HEX.fullmatch(storage_id):
            return Reading(_big_data(rest) or storage_id, "image")
        case [folder, name, *_] if folder.endswith("-layers") and name.endswith(TAR_SPLIT):
            return Reading(name.removesuffix(TAR_SPLIT), "directory")
    return None


def _big_data(rest: Sequence[str]) -> str | None:
    """Return the digest in the base64 name of a file beside a Podman image, alone or after a word."""
    try:
        key = base64.b64decode(rest[0].removeprefix("="), validate=True) if rest and rest[0].startswith("=") else b""
    except ValueError:
        return None
    found = _KEY.fullmatch(key)
    return found and found[1].decode()


def _named_by_id(head: Sequence[str]) -> Reading | None:
    """Return the reading that begins at one component of a path, if that is a folder whose entries are named by ids."""
    for folder, kind in BY_ID.get(head[0], ()):
        if len(head) > len(folder) and tuple(head[: len(folder)]) == folder:
            name = head[len(folder)]
            if kind == "container" and not _CONTAINER.fullmatch(name):
                return None
            return Reading(name, "directory" if shapes.REMOVING.fullmatch(name) else kind)
    return None


def _in_container(container: str, rest: Sequence[str]) -> Reading:
    """Return the reading of a container, with the path inside it."""
    return _inside(container, ["merged", *_clean("/".join(rest))])._replace(kind="container")


def _elsewhere(cache_id: str, holds: str, rest: Sequence[str]) -> Reading:
    """Return the reading of another driver's directory, with the path inside it."""
    if holds == "rootfs":
        return _inside(cache_id, ["merged", *rest[1:]] if rest[:1] == ["rootfs"] else [])
    return _inside(cache_id, [holds, *rest])


def _inside(cache_id: str, rest: Sequence[str]) -> Reading:
    """Return the reading of a directory in the driver's folder, with the path inside it."""
    if rest and rest[0] in HOLDS and len(rest) > 1:
        path = "/" + "/".join(rest[1:])
        if len(path) > PATH:
            raise UsageError(f"a path of {len(path)} characters is longer than any file's")
        return Reading(cache_id, "directory", path, HOLDS[rest[0]])
    return Reading(cache_id, "directory")
