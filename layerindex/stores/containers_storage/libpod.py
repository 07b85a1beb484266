"""Reads Podman's own state beside its storage: containers, their states, and volumes.

Format: podman `libpod/boltdb_state_internal.go` (libpod/bolt_state.db, until 5) and `libpod/sqlite_state_internal.go`
(db.sql, since 4.8): JSON of `libpod/container_config.go`, `libpod/container.go` and `libpod/volume.go` in both. CRI-O
and Buildah have neither; without a database, states of Podman's containers are unknown.
"""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.guard import reading
from layerindex.names import as_text
from layerindex.problems import Damage
from layerindex.stores.containers_storage.lists import KEPT
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.overlay import PAUSE

if TYPE_CHECKING:
    from layerindex.stores.disk.files import Folder

BOLT = ("libpod", "bolt_state.db")
SQLITE = (("libpod", "db.sql"), ("db.sql",))
"""Where the newer database is: in the graph root, or the static folder in that."""

STATES = ("unknown", "created", "created", "running", "exited", "paused", "exited", "removing", "running")
"""What `podman ps` shows of each state, in Docker's words (`libpod/define/containerstate.go`)."""

TABLES = {
    "ContainerConfig": ("ID", "JSON"),
    "ContainerState": ("ID", "JSON"),
    "VolumeConfig": ("Name", "JSON"),
}


SETTINGS = {"graph-root": "GraphRoot"}
"""The settings that are read: their names in the older database, and in the newer one."""


class PodmanState(NamedTuple):
    """Podman's state: the config and state of each container, and the config of each volume."""

    containers: dict[str, Fields]
    states: dict[str, Fields]
    volumes: dict[str, Fields]
    settings: dict[str, str]
    """Its folders, by the names of `SETTINGS`."""
    damages: list[Damage]
    found: bool
    """Whether a database exists and could be read."""


def read_libpod(root: Folder, run: Folder | None = None) -> PodmanState:
    """Return the content of all databases; where both kinds exist, the newer one counts.

    `run` is the runroot, where a transient store has its database.
    """
    known = PodmanState({}, {}, {}, {}, [], found=False)
    for base, path in product((root, run), (BOLT, *SQLITE)):
        *folders, name = path
        if base is None or path[0] not in base:
            continue
        try:
            with base.folder(*folders) if folders else nullcontext(base) as folder:
                if name in folder:
                    with reading(folder.where(name)):
                        _Database(folder, name, known).read()
                    known = known._replace(found=True)
        except Damage as found:
            if found.problem not in {each.problem for each in known.damages}:  # one folder may hold both kinds
                known.damages.append(found)
    return known


def read_again(root: Folder, run: Folder | None = None) -> PodmanState:
    """Read the state again, a moment later."""
    time.sleep(PAUSE)
    return read_libpod(root, run)


class _Database:
    """Reads one database."""

    def __init__(self, folder: Folder, name: str, known: PodmanState) -> None:
        self.folder, self.name, self.known = folder, name, known

    def read(self) -> None:
        """Read it; raises Damage when nothing of it can be read."""
        if self.name == BOLT[-1]:
            self._bolt()
        else:
            self._sqlite()

    def _bolt(self) -> None:
        from layerindex.stores.disk.bolt import Bucket, read_bolt  # noqa: PLC0415 - not for a store without it

        database, known = read_bolt(self.folder, self.name), self.known
        parts = {(b"ctr", b"config"): known.containers, (b"ctr", b"state"): known.states}
        parts[b"vol", b"config"] = known.volumes
        for name in (b"ctr", b"vol"):
            things = database.root.bucket(name)
            for key, value in things.items() if things is not None else ():
                for part, content in value.items() if isinstance(value, Bucket) else ():
                    if (name, part) in parts and isinstance(content, bytes):
                        self._take(key, content, parts[name, part])
        settings = database.root.bucket(b"runtime-config")
        for key, path in settings.items() if settings is not None else ():
            if isinstance(path, bytes):
                self._set(os.fsdecode(key), path)
        known.damages.extend(database.damages)

    def _sqlite(self) -> None:
        from layerindex.stores.disk.sqlite import read_rows  # noqa: PLC0415 - not for a store without it

        into = dict(zip(TABLES, (self.known.containers, self.known.states, self.known.volumes), strict=True))
        for table, row in read_rows(self.folder, self.name, {**TABLES, "DBConfig": list(SETTINGS.values())}):
            if table in into:
                self._take(_bytes(row[0]), _bytes(row[1]), into[table])
            else:
                for name, value in zip(SETTINGS, row, strict=True):
                    self._set(name, _bytes(value))

    def _set(self, name: str, path: bytes) -> None:
        text = os.fsdecode(path)
        if name in SETTINGS and text.startswith("/") and "\0" not in text:
            self.known.settings[name] = text

    def _take(self, key: bytes, content: bytes, into: dict[str, Fields]) -> None:
        text, where = os.fsdecode(key), self.folder.where(self.name)
        volume = into is self.known.volumes
        if not (is_name(text) if volume else shapes.HEX.fullmatch(text)):
            thing = "volume's name" if volume else "container's id"
            self._note(Damage("bad-id", where, f"{ids.shorten(text)} is no {thing}"))
            return
        try:
            into[text] = Fields(self.folder.parsed(self.name, content), where, as_text(key))
        except Damage as found:
            self._note(found)

    def _note(self, found: Damage) -> None:
        if len(self.known.damages) < KEPT:
            self.known.damages.append(found)


def _bytes(value: Any) -> bytes:  # noqa: ANN401 - whatever the database held
    return value if isinstance(value, bytes) else f"{value}".encode("utf-8", "replace")


def is_name(name: str) -> bool:
    """Say whether a name is valid for a folder."""
    return 0 < len(os.fsencode(name)) < 256 and "/" not in name and "\0" not in name and name not in (".", "..")


def state(known: PodmanState, container_id: str) -> str:
    """Return the state of a container in the words that `containers.state` has."""
    found = known.states.get(container_id)
    number = None if found is None else found.get("state", ids.number)
    return STATES[number] if number is not None and 0 <= number < len(STATES) else "unknown"


def mounted(field: Fields) -> list[dict[str, Any]]:
    """Return the mounts that the user asked for, each with destination, type, name, source and options."""
    found = [
        {
            "destination": each.get("dest"),
            "type": "volume",
            "name": each.get("volumeName"),
            "options": each.get("options"),
        }
        for each in _objects(field, "namedVolumes")
    ]
    found += [
        {"destination": each.get("dest"), "type": "overlay", "source": each.get("source")}
        for each in _objects(field, "overlayVolumes")
    ]
    found += [
        {
            "destination": each.get("dest"),
            "type": "image",
            "source": each.get("source"),
            "options": [] if each.get("rw") is True else ["ro"],
        }
        for each in _objects(field, "imageVolumes")
    ]
    # The container's own list also has the mounts that every container gets.
    wanted = set(field.get("userVolumes", _texts) or [])
    wanted -= {each["destination"] for each in found if isinstance(each["destination"], str)}
    return found + [
        {key: each.get(key) for key in ("destination", "type", "source", "options")}
        for each in _objects(field.below("spec"), "mounts")
        if isinstance(each.get("destination"), str) and each["destination"] in wanted
    ]


def _objects(field: Fields, key: str) -> list[dict[str, Any]]:
    return [each for each in field.get(key, ids.sequence) or [] if isinstance(each, dict)]


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - whatever JSON held
    return [text for text in ids.sequence(value) if isinstance(text, str)]
