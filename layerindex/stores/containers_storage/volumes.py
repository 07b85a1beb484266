"""Podman's volumes: a folder each in volumes/, with what Podman's own state says of it.

Format: podman `libpod/volume.go`, `libpod/runtime_volume_common.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from layerindex.names import listed
from layerindex.problems import Damage
from layerindex.records import Volume
from layerindex.stores import ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.stores.containers_storage.libpod import Known
    from layerindex.stores.files import Folder
    from layerindex.stores.values import Fields

NOT_VOLUMES = ("backingFsBlockDev",)
LOCAL = "local"


def read_volumes(root: Folder, known: Known, again: Callable[[], Known]) -> Iterator[Volume | Damage]:
    """Yield the volumes of volumes/, and those that only Podman's state knows.

    `again` reads that state anew: a folder is removed before the name.
    """
    folders: dict[str, int] = {}
    where = "volumes"
    if root.exists("volumes"):
        try:
            with root.folder("volumes") as folder:
                for name in sorted(folder.entries):
                    if folder.has_folder(name):
                        folders[name] = 1
                    elif name not in NOT_VOLUMES:
                        yield Damage("unexpected-entry", folder.where(name), "not a volume")
        except Damage as found:
            yield found
            return
    for name in folders:
        yield _volume(name, known.volumes.get(name), on_disk=1)
    absent = [name for name in known.volumes if name not in folders]
    now = again().volumes if absent else {}
    for name in sorted(absent):
        if name not in now:
            continue
        new = root.exists(where, name)
        volume = _volume(name, known.volumes[name], on_disk=int(new))
        yield volume
        if volume.driver == LOCAL and not new:
            yield Damage("missing-volume", f"{where}/{listed(name)}", "Podman's state names it", listed(name))


def _volume(name: str, field: Fields | None, *, on_disk: int) -> Volume:
    if field is None:
        return Volume(listed(name), LOCAL, None, None, on_disk)
    driver = field.get("volumeDriver", ids.text) or LOCAL
    return Volume(
        listed(name),
        driver.encode("utf-8", "replace").decode(),
        _texts(field, "volumeOptions"),
        _texts(field, "labels"),
        on_disk,
    )


def _texts(field: Fields, key: str) -> str | None:
    """Return an object of texts as JSON; None for an empty one and anything else."""
    values: dict[str, Any] = field.get(key, ids.mapping) or {}
    found = {name: text for name, text in values.items() if isinstance(text, str)}
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode() if found else None
