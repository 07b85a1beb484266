"""Reads the names of managed plugins (moby `plugin/v2/plugin.go`): each has a folder with a config."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.guard import each
from layerindex.names import printable
from layerindex.problems import Damage
from layerindex.records import Use
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.disk.files import Folder

FOLDER, CONFIG = "plugins", "config.json"

LONGEST = 4096
"""Most characters of a name: references have some hundred."""


def read_plugins(root: Folder) -> Iterator[Use | Damage]:
    """Yield the name of each plugin; one that is being installed or removed has no config."""
    with root.folder(FOLDER) as plugins:
        for plugin in sorted(filter(shapes.HEX.fullmatch, plugins.entries)):
            try:
                yield from each(partial(_names, plugins, plugin), plugins.where(plugin), plugin)
            except Damage as found:
                if found.problem.code not in ("missing", "vanished"):
                    yield found


def _names(plugins: Folder, plugin: str) -> Iterator[Use | Damage]:
    with plugins.folder(plugin) as folder:
        field = Fields(folder.json(CONFIG), folder.where(CONFIG), plugin)
    name = field.below("plugin").get("Name", ids.text)
    if name is not None and len(name) <= LONGEST:
        yield Use("plugin", plugin, "name", printable(name), "names")
    yield from field.damages
