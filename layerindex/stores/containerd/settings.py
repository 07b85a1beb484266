"""containerd's settings: config.toml with the files that it imports (containerd `cmd/containerd/server/config`)."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.host import Settings

CONFIG = "/etc/containerd/config.toml"

FILES = 100
"""Most files that are read."""


def read_settings(settings: Settings, config: str = CONFIG) -> dict[str, Any]:
    """Return the merged settings of all files: the last file that has a setting, or a plugin, counts.

    A file is read before those that it imports; each file is read once.
    """
    found: dict[str, Any] = {}
    plugins: dict[str, Any] = {}
    waiting, seen = [config], {config}
    while waiting:
        path = waiting.pop(0)
        values = settings.toml(path)
        known = values.get("plugins")
        plugins |= known if isinstance(known, dict) else {}
        found |= {key: value for key, value in values.items() if value != ""}
        for imported in _imports(values.get("imports"), path):
            if imported not in seen and len(seen) < FILES:
                seen.add(imported)
                waiting.append(imported)
    return found | {"plugins": plugins}


def _imports(named: object, path: str) -> Iterator[str]:
    """Yield the files that a list of imports names, relative to the folder of the file it stands in."""
    for name in named if isinstance(named, list) else ():
        if isinstance(name, str) and "\0" not in name:
            whole = os.path.normpath(os.path.join(os.path.dirname(path), name))
            yield from sorted(glob.iglob(whole, include_hidden=True)) if "*" in whole else (whole,)
