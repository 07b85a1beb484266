"""Doubt about pulls and builds in progress: layers are written first, and the image that needs them last."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING

from layerindex import standing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Sources

NEW = 600.0
"""Seconds that a layer may wait for its image, while larger layers of the image are still being pulled."""

FACT = "pulls"
"""The kind of fact that is then in motion."""


def doubt_records(sources: Sources, folder: Folder, names: Iterable[str]) -> None:
    """Record that layers without an image, each with a record in a folder, are new or being removed."""
    for name in names:
        try:
            made: float | None = os.stat(name, dir_fd=folder.handle, follow_symlinks=False).st_mtime
        except OSError:
            made = None
        doubt_new(sources, folder.where(name), made)


def moment(text: str | None) -> float:
    """Return a time of the database in seconds since 1970; 0 for none."""
    try:
        return 0.0 if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def doubt_new(sources: Sources, where: str, made: float | None) -> None:
    """Record that an image for a new layer may still come, or, without a time, that the layer was being removed."""
    if made is None:
        sources.note(FACT, where, standing.MOTION, "the layer went while it was read")
    elif 0 <= time.time() - made < NEW:
        sources.note(FACT, where, standing.MOTION, "the layer is new; what needs it is written after it")
