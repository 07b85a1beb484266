"""Reads unfinished work in layerdb: layers that are being written or removed, or were when the engine ended."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerindex import standing
from layerindex.problems import Damage
from layerindex.stores.docker.layerdb import read_unfinished
from layerindex.stores.shared.running import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.records import Record
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims


def unfinished_layer(
    folder: Folder, name: str, state: str, claims: Claims, since: float | None
) -> Iterator[Record | Damage]:
    """Yield a layer that is `writing` or `removing`, and claim its directory.

    `since` is when the running engine started, as `running_since` returns it.
    """
    unfinished, damages = read_unfinished(folder, name, state)
    yield from damages
    claims.add(unfinished.cache_id, state, name)
    if state == "writing" and not _left_over(folder, name, since):
        # Until a pull ends, no file names its directory: any directory without owner may belong to this layer.
        claims.sources.note("layers", folder.where(name), standing.MOTION, "a layer is being written")
    yield unfinished
    code = "removing-layer" if state == "removing" else "write-set"
    directory = f"directory {unfinished.cache_id}" if unfinished.cache_id else "no directory"
    yield Damage(code, folder.where(name), f"it names {directory}", name)


def _left_over(folder: Folder, name: str, since: float | None) -> bool:
    """Say whether a write-set is older than the running engine, so that no engine will finish it."""
    if since is None or since == NEVER:
        return since is not None
    try:
        with folder.folder(name) as written:
            inside = [entry.stat(follow_symlinks=False) for entry in written.entries.values()]
            return since > max(status.st_mtime for status in (os.fstat(written.handle), *inside))
    except (Damage, OSError):
        return False
