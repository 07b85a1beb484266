"""Reads `volumes/`: the folder of each local volume, and the engine's own database of volumes, metadata.db.

Format: moby `daemon/volume/local/local.go` and `daemon/volume/service/{db,store}.go`: a bolt file whose bucket
`volumes` holds, for each name, JSON with Name, Driver, Labels and Options. Older engines wrote none.
"""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from layerindex.guard import reading
from layerindex.missing import going
from layerindex.names import from_os, on_disk
from layerindex.problems import Damage, Damages
from layerindex.records import ContainerVolume, Use, Volume
from layerindex.stores.disk import ids
from layerindex.stores.disk.files import JSON
from layerindex.stores.disk.salvage import salvage
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.overlay import PAUSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.disk.files import Folder

METADATA = "metadata.db"
BUCKET = b"volumes"
LOCAL = "local"
"""The only driver that keeps its volumes here."""


NOT_VOLUMES = (METADATA, "backingFsBlockDev")
"""Entries of volumes/ that are not volumes: the engine's own database, and its quota device."""
LOST_AND_FOUND = "lost+found"
"""What ext4 makes in volumes/ when that is a filesystem of its own; the engine lists it as a volume."""
ANY = re.compile(r"(?s).*")


HOLDS = {
    "the state of BuildKit": (
        ("runc-overlayfs", "snapshots"),
        ("runc-native", "snapshots"),
        ("runc-fuse-overlayfs", "snapshots"),
        ("buildkitd.lock",),
    ),
    "a data root of Docker": (
        ("image", "overlay2"),
        ("image", "fuse-overlayfs"),
        ("image", "vfs"),
        ("buildkit", "containerd-overlayfs"),
    ),
    "a root of containerd": (("io.containerd.metadata.v1.bolt",),),
    "a store of Podman": (("overlay-images",), ("vfs-images",)),
}
"""State of a builder or engine in a container that a volume may hold, recognised by paths that only these make."""

VOLUME_PATH = re.compile(r"/.*/volumes/([^/]+)(?:/.*)?", re.DOTALL)
"""The path of a volume, or of what is in it, wherever the data root was when the container was made."""


class EngineVolume(NamedTuple):
    """A volume in metadata.db."""

    driver: str
    labels: str | None
    options: str | None


def read_volumes(volumes: Folder) -> Iterator[Volume | Damage]:
    """Yield the volumes that exist, and those that only metadata.db has."""
    known: dict[str, EngineVolume] = {}
    try:
        known, damages = read_known(volumes)
        yield from damages
    except Damage as found:
        yield found
    yield from read_absent(volumes, known)
    if LOST_AND_FOUND in volumes and not volumes.exists(LOST_AND_FOUND, "_data"):
        where = volumes.where(LOST_AND_FOUND)
        yield Damage("unexpected-entry", where, "the filesystem's own folder, which the engine lists as a volume")
        volumes.keep(name for name in volumes.entries if name != LOST_AND_FOUND)
    volumes.keep(name for name in volumes.entries if name not in NOT_VOLUMES)
    yield from salvage(lambda below, name: read_volume(below, name, known), volumes, ANY)


def is_local(mount: ContainerVolume) -> bool:
    """Say whether a mount of a container is a volume that volumes/ must have."""
    return mount.type == "volume" and mount.driver in (None, "", LOCAL)


def reached_by_path(item: object, root: Folder) -> Use | None:
    """Return the use of a volume that a container reaches by its path; None for any other record."""
    if not isinstance(item, ContainerVolume) or item.type != "bind" or item.source is None:
        return None
    found = VOLUME_PATH.fullmatch(item.source)
    if found is None or not root.exists("volumes", on_disk(found[1])):
        return None
    return Use("volume", found[1], "container", item.container_id, "containers")


def going_volumes(root: Folder, named: set[tuple[str, str]], here: set[str], wait: float) -> Iterator[Use]:
    """Yield the absent volumes of containers that are gone so many seconds later: an engine removes volumes first.

    `named` are the volumes that must exist, each with a container that has it.
    """
    absent = sorted(use for use in named if use[0] not in here)
    if absent:
        time.sleep(wait)
    for name, container_id in absent:
        if not root.exists("containers", container_id):
            yield going("volume", name, container_id)


def read_known(volumes: Folder) -> tuple[dict[str, EngineVolume], list[Damage]]:
    """Return the volumes that metadata.db names, and what is wrong with it; raises Damage when it cannot be read."""
    known: dict[str, EngineVolume] = {}
    if METADATA not in volumes:
        return known, []
    with reading(volumes.where(METADATA)):
        return known, _read_known(volumes, known)


def _read_known(volumes: Folder, known: dict[str, EngineVolume]) -> list[Damage]:
    from layerindex.stores.disk.bolt import read_bolt  # noqa: PLC0415 - not for a store without volumes

    database = read_bolt(volumes, METADATA)
    bucket = database.root.bucket(BUCKET)
    where = volumes.where(METADATA)
    damages: list[Damage] = Damages()
    for key, value in bucket.items() if bucket is not None else ():
        name = os.fsdecode(key)
        if not isinstance(value, bytes) or not _is_name(key):
            damages.append(Damage("bad-id", where, f"{ids.shorten(name)} is no volume's name"))
            continue
        try:
            field = Fields(volumes.parsed(METADATA, value), where, from_os(name))
        except Damage as found:
            damages.append(found)
            continue
        known[name] = EngineVolume(
            field.get("Driver", ids.text) or LOCAL, _texts(field, "Labels"), _texts(field, "Options")
        )
        damages += field.damages
    # In this order: problems of its pages are found while they are read.
    return [*database.damages, *damages]


def _is_name(key: bytes) -> bool:
    return 0 < len(key) < 256 and b"/" not in key and b"\0" not in key and key not in (b".", b"..")


def _texts(field: Fields, key: str) -> str | None:
    """Return an object of texts as JSON; None for anything else."""
    values = field.get(key, _mapping_of_texts)
    return None if values is None else orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()


def _mapping_of_texts(value: Any) -> dict[str, str]:  # noqa: ANN401 - whatever JSON held
    values = ids.mapping(value)
    for text in values.values():
        if not isinstance(text, str):
            raise ValueError("a value in it is no text")  # noqa: TRY004 - what Fields takes
    return values


def read_volume(volumes: Folder, name: str, known: dict[str, EngineVolume]) -> Iterator[Volume | Damage]:
    """Yield the volume of one folder, what it was found to hold, and what is wrong with its opts.json."""
    options = holds = None
    found = known.get(name)
    try:
        with volumes.folder(name) as folder:
            if "opts.json" in folder:
                content = folder.read("opts.json", JSON)
                folder.parsed("opts.json", content)
                options = content.decode()
            seen = (what for what, paths in HOLDS.items() for path in paths if folder.shows("_data", *path))
            holds = next(seen, None)
    except Damage as damage:
        yield damage
        if damage.problem.code == "missing" or not volumes.has_folder(name):
            return
    driver, labels = (found.driver, found.labels) if found else (LOCAL, None)
    yield Volume(from_os(name), driver, options, labels, 1, holds=holds)


def read_absent(volumes: Folder, known: dict[str, EngineVolume]) -> Iterator[Volume | Damage]:
    """Yield the volumes without a folder: of other drivers, and local ones that were removed by hand.

    Where there is no opts.json, the options are those in metadata.db.
    """
    absent = sorted(name for name in known if not volumes.has_folder(name))
    if not absent:
        return
    if any(known[name].driver == LOCAL for name in absent):
        # An engine removes the folder before the name.
        time.sleep(PAUSE)
    try:
        now, _ = read_known(volumes)
    except Damage:  # said when it was read first, or being written
        now = known
    for name in absent:
        if name not in now:
            continue
        driver, labels, options = now[name]
        new = name not in volumes and volumes.exists(name)  # made since volumes/ was listed
        yield Volume(from_os(name), driver, None if options == "{}" else options, labels, int(new))
