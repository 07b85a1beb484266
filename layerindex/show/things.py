"""Parses a THING into the ids, names and paths to look up, without the database.

A path is read from left to right: the outermost folder that belongs to a store decides, so that a file inside a layer
cannot pass for another directory by its name.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes
from layerindex.errors import UsageError
from layerindex.names import typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LIMIT = 1 << 20
"""Most characters of a THING: a page of mount options is 4 KiB, `docker inspect` of a container some 10 KiB."""

PATH = 8192
"""Most characters of a path inside a layer: twice what a system call takes."""

THINGS = 1100
"""Most directories in one THING: twice what containers-storage can stack."""

READINGS = 8
"""Most readings of one path."""

IN_PATH = 12
"""Fewest characters of an id in a path, the length of Docker's short ids; a shorter name may be a folder of the
user."""

DRIVERS = ("overlay2", "fuse-overlayfs", "overlay")
TAR_SPLIT = ".tar-split.gz"
PARTS = ("diff", "merged", "work")
BY_ID = {
    "containers": ((("containers",), "container"),),
    "volumes": ((("volumes",), "volume"),),
    "imagedb": ((("imagedb", "content", "sha256"), "image"), (("imagedb", "metadata", "sha256"), "image")),
    "layerdb": ((("layerdb", "sha256"), "layer"), (("layerdb", "tmp"), "directory")),
    "blobs": ((("blobs", "sha256"), None),),
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

_STRICT = re.compile(f"{shapes.MOUNT_ID.pattern}|{shapes.BUILDKIT_ID.pattern}")
_SNAPSHOTTERS = "io.containerd.snapshotter.v1."
_SNAPSHOTTER = re.compile(rf"{re.escape(_SNAPSHOTTERS)}[a-z0-9-]+$")
_OPTION = re.compile(r"(?:^|(?<=[\s,]))(upperdir|lowerdir|workdir)\+?=((?:\\.|[^\\,\s])*)")
_INSPECT = re.compile(r'"(UpperDir|LowerDir|WorkDir|MergedDir)"\s*:\s*("(?:\\.|[^"\\])*+")')
_GO = re.compile(r"(?:^|(?<=[\s\[]))(UpperDir|LowerDir|WorkDir|MergedDir):([^\s\]]*)")
_INSPECT_ID = re.compile(r'"(?:I[dD]|Mountpoint)"\s*:\s*"([^"\\]{1,4096})"')
_MOUNT = re.compile(r"(?:/dev/\S+|[^\s/]+) (/\S*) \S+ \S+ \d+ \d+")
_MOUNTINFO = re.compile(r"\d+ \d+ \d+:\d+ \S+ (/\S*) .* - \S+ \S+ \S+")
_OCTAL = re.compile(r"\\([0-7]{3})")
_QUOTED = re.compile(r"([\"'])(.*)\1,?", re.DOTALL)
_LISTED = re.compile(r"(?:.*/)?(?:l/[A-Z2-7]{26}|[0-9a-f]{64}(?:-init)?|[0-9a-z]{25})(?:/diff)?")
_A_PATH = re.compile(r"[^\s=:,\[\]{}\"]*/")
_KEY = re.compile(rb"(?:manifest-)?(sha256:[0-9a-f]{64})")
_REGISTRY = re.compile(r"(?:docker\.io|index\.docker\.io)/(?:library/)?")


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


class Thing(NamedTuple):
    """One thing to show: its text, and its readings, the best first; `part` is upper or lower in a stack."""

    text: str
    readings: tuple[Reading, ...]
    part: str | None = None


def things(text: str, roots: Sequence[str] = ()) -> list[Thing]:
    """Return the things that a user's text names, an upper directory before its lowers; raises UsageError.

    `roots` are the roots of the stores in the database, the longest first.
    """
    if len(text) > LIMIT:
        raise UsageError(f"THING has more than {LIMIT} characters")
    text = text.strip()
    quoted = _QUOTED.fullmatch(text)
    text = quoted[2].strip() if quoted else text
    if not text:
        raise UsageError("THING is empty; name an image, a container, an id or a path")
    found = list(_stacked(text, roots)) or [_single(text, roots)]
    unique: dict[tuple[Reading, ...], Thing] = {}
    for thing in found:
        unique.setdefault(thing.readings, thing)
    if len(unique) > THINGS:
        raise UsageError(f"THING names {len(unique)} directories; show takes {THINGS} at most")
    return list(unique.values())


# Stacks of directories ----------------------------------------------------------------------------------------------


def _stacked(text: str, roots: Sequence[str]) -> Iterator[Thing]:
    """Yield the directories named by mount options, by GraphDriver.Data of `docker inspect`, or by a list of lowers."""
    # A path is taken whole, whatever its file is called: a name like x,upperdir=/y must not lead elsewhere.
    named = () if _A_PATH.match(text) else _named(text)
    for group in _groups(named):
        for part, keys in (("upper", ("upper", "merged", "work")), ("lower", ("lower",))):
            for path in next((group[key] for key in keys if key in group), []):
                yield Thing(path, _readings(path, roots), part)
    paths = text.split(":")
    if len(paths) > 1 and not _OPTION.match(text) and all(map(_LISTED.fullmatch, paths)):
        for path in paths:
            yield Thing(path, _readings(path, roots), "lower")


def _named(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each named list of directories: upper, lower, work or merged, and its paths."""
    for match in _OPTION.finditer(text):
        # There a tab or a backslash is written in octal, and a backslash escapes a colon or a comma.
        paths = re.findall(r"(?:\\.|[^\\:])+", _octal(match[2]), re.DOTALL)
        yield match[1].removesuffix("dir"), [re.sub(r"\\(.)", r"\1", path, flags=re.DOTALL) for path in paths]
    for match in _INSPECT.finditer(text):
        yield match[1].removesuffix("Dir").lower(), _decoded(match[2]).split(":")
    for match in _GO.finditer(text):
        yield match[1].removesuffix("Dir").lower(), match[2].split(":")


def _groups(named: Iterable[tuple[str, list[str]]]) -> Iterator[dict[str, list[str]]]:
    """Yield the lists of each mount: a repeated name begins a new mount, except lowerdir+=, which appends."""
    group: dict[str, list[str]] = {}
    last = ""
    for key, paths in named:
        kept = [path for path in paths if path]
        if key == "lower" == last:
            group[key] = group.get(key, []) + kept
        elif key in group:
            yield group
            group = {key: kept}
        elif kept:
            group[key] = kept
        last = key
    yield group


def _decoded(quoted: str) -> str:
    try:
        text: str = json.loads(quoted, strict=False)
    except ValueError:
        return quoted.strip('"')
    return text


def _octal(text: str) -> str:
    """Return text of /proc/mounts with its octal escapes decoded."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8) & 0x7F), text)


# One thing ----------------------------------------------------------------------------------------------------------


def _single(text: str, roots: Sequence[str]) -> Thing:
    mount = _MOUNT.fullmatch(text) or _MOUNTINFO.fullmatch(text)
    if mount:
        return Thing(_octal(mount[1]), _readings(_octal(mount[1]), roots))
    inspected = _INSPECT_ID.search(text)
    word = inspected[1] if inspected and text[0] in '{["' else text
    return Thing(word, _readings(word, roots))


def _readings(text: str, roots: Sequence[str]) -> tuple[Reading, ...]:
    """Return the readings of a word or path, the best first."""
    readings: list[Reading] = []
    folder = None if text.startswith("/") else Reading(text.partition("/")[0], "folder")
    if "/" in text:
        parts = _clean(text)
        whole = "/" + "/".join(parts)
        for root in roots:
            if text.startswith("/") and whole.startswith(f"{root.rstrip('/')}/"):
                below = parts[root.rstrip("/").count("/") :]
                readings += [reading._replace(root=root) for reading in _path(below)]
                folder = folder or (Reading(below[0], "folder", root=root) if below else None)
        readings += _path(parts)
        if text.startswith("/") and len(parts) == 1:
            readings.append(Reading(parts[0], "container"))  # as `docker inspect` names it
    readings = readings[: READINGS - 1]
    if not text.startswith("/"):
        readings += [Reading(typed(text))]
        if _REGISTRY.match(text):
            readings.append(Reading(typed(_REGISTRY.sub("", text, count=1)), "image"))
    if folder is not None and folder.word in FOLDERS:
        readings.append(folder)
    return tuple(dict.fromkeys(readings))


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
        case ["vfs", "dir", cache_id, *_]:
            return _inside(cache_id, ["diff", *parts[place + 3 :]])
        case [cache_id, part, *_] if part in PARTS and _STRICT.fullmatch(cache_id):
            return _inside(cache_id, parts[place + 1 :])
        case ["layerdb", "mounts", _, *_]:
            # A name may contain slashes; files inside the entry are not part of it.
            return Reading(re.sub(r"/(mount-id|init-id|parent)$", "", "/".join(parts[place + 2 :])), "directory")
    return _beside(head) or _named_by_id(head)


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
            return Reading(name, "directory" if shapes.REMOVING.fullmatch(name) else kind)
    return None


def _inside(cache_id: str, rest: Sequence[str]) -> Reading:
    """Return the reading of a directory in the driver's folder, with the path inside it."""
    if rest and rest[0] in ("diff", "merged") and len(rest) > 1:
        path = "/" + "/".join(rest[1:])
        if len(path) > PATH:
            raise UsageError(f"a path of {len(path)} characters is longer than any file's")
        return Reading(cache_id, "directory", path, rest[0] == "merged")
    return Reading(cache_id, "directory")
