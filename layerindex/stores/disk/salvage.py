"""Reads a folder with an entry for each thing: a damaged entry does not affect the others."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from layerindex.guard import each
from layerindex.problems import Damage
from layerindex.stores.shared.overlay import PAUSE
from layerindex.stores.shared.passes import TEMPORARY, leftover, settled

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator

    from layerindex.stores.disk.files import Folder

T = TypeVar("T")


def salvage(read: Callable[[Folder, str], Iterable[T]], folder: Folder, shape: re.Pattern[str]) -> Iterator[T | Damage]:
    """Yield what `read` yields for each name of a shape in a folder, and the damage of entries that it cannot read.

    An entry that misses a file is read once more at the end: an engine may have been about to write it.
    """
    young = []
    for name in sorted(folder.entries):
        if name.startswith(TEMPORARY):
            yield leftover(folder, name)
        elif not shape.fullmatch(name):
            yield Damage("unexpected-entry", folder.where(name), "a name that does not belong here")
        else:
            items = _attempt(read, folder, name)
            if any(isinstance(item, Damage) and item.problem.code == "missing" for item in items):
                young.append(name)
            else:
                yield from items
    if young:
        time.sleep(PAUSE)
    for name in young:
        for item in _attempt(read, folder, name):
            yield settled(item, folder, name, wait=False) if isinstance(item, Damage) else item


def _attempt(read: Callable[[Folder, str], Iterable[T]], folder: Folder, name: str) -> list[T | Damage]:
    items: list[T | Damage] = []
    try:
        items.extend(each(partial(read, folder, name), partial(folder.where, name)))
    except Damage as found:
        items.append(found)
    return items
