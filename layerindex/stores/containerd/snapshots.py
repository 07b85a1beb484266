"""Reads a snapshotter's own database, `metadata.db` (containerd `core/snapshots/storage/bolt.go`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex.problems import Damage, Damages
from layerindex.stores.containerd.encoding import moment, rows, signed, size, unsigned
from layerindex.stores.disk import ids
from layerindex.stores.disk.bolt import read_bolt

if TYPE_CHECKING:
    from layerindex.stores.disk.files import Folder

NAME = "metadata.db"
KINDS = {1: "view", 2: "active", 3: "committed"}


class Stored(NamedTuple):
    """What a snapshotter knows of a snapshot; its directory is snapshots/<number>."""

    number: str | None
    kind: str | None
    parent: str | None
    size: int | None
    inodes: int | None
    created_at: str | None
    updated_at: str | None
    labels: dict[str, str]


def read_snapshots(folder: Folder) -> tuple[dict[str, Stored], list[Damage]]:
    """Return all snapshots by the snapshotter's names; raises Damage when nothing can be read."""
    bolt = read_bolt(folder, NAME)
    damages: list[Damage] = Damages()
    version = bolt.root.bucket(b"v1")
    found: dict[str, Stored] = {}
    for name, row in rows(version.bucket(b"snapshots") if version is not None else None, bolt.where, damages):
        number = row.get("id", unsigned)
        if number is None:
            damages.append(Damage("bad-value", bolt.where, f"{ids.shorten(name)}: it has no directory", name))
        found[name] = Stored(
            None if number is None else f"{number}",
            row.get("kind", _kind),
            row.text("parent"),
            row.get("size", size),
            row.get("inodes", signed),
            row.get("createdat", moment),
            row.get("updatedat", moment),
            row.labels(),
        )
    return found, damages + bolt.damages


def parts(name: str) -> tuple[str, str]:
    """Return the namespace and key in a snapshotter's name: <namespace>/<number>/<key>."""
    namespace, _, rest = name.partition("/")
    return namespace, rest.partition("/")[2] or rest or name


def _kind(value: bytes) -> str:
    if len(value) != 1 or value[0] not in KINDS:
        raise ValueError(f"{value[:8].hex()} is no kind of snapshot")
    return KINDS[value[0]]
