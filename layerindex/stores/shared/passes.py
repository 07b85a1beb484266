"""What every pass over a store does: it goes on after unreadable parts, and reports left temporary files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from layerindex.guard import FAILED, each
from layerindex.problems import Damage, Told, vanished
from layerindex.stores.disk.files import Folder
from layerindex.stores.shared.overlay import PAUSE, in_motion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layerindex.records import Record

TEMPORARY = ".tmp-"
"""Prefix of temporary files of atomic writes (moby and containers/storage `pkg/ioutils/fswriters.go`)."""


def part(
    read: Callable[[], Iterable[Record | Damage]], where: str, doubt: Callable[[Damage], object]
) -> Iterator[Record | Damage]:
    """Yield the items of one part of a pass; whatever ends it early is yielded as the last item.

    `where` is what the part reads. Where a reader failed, `doubt` is called, as it is unknown what is named there.
    """
    try:
        yield from each(read, where)
    except Damage as found:
        if found.problem.code == FAILED:
            doubt(found)
        yield found


def told(root: str, items: Callable[[Folder], Iterable[Record | Damage]]) -> Iterator[Record]:
    """Open a root and yield what a pass over it yields, with a Problem in place of each Damage.

    Where a file has too many findings, one Problem says how many more there are.
    """
    problems = Told()

    def found() -> Iterator[Record | Damage]:
        with Folder(root) as opened:
            yield from items(opened)

    try:
        for item in each(found, ""):
            if isinstance(item, Damage):
                yield from problems.take(item)
            else:
                yield item
    except Damage as damage:
        yield from problems.take(damage)
    yield from problems.rest()


def settled(found: Damage, folder: Folder, *names: str, wait: bool = True) -> Damage:
    """Return the finding that a folder below lacks something, or that it was removed meanwhile by an engine.

    Engines remove its content first: `wait` for the rest where something was removed a moment ago.
    """
    if found.problem.code != "missing":
        return found
    if wait and in_motion(folder, *names):
        time.sleep(PAUSE)
    return found if folder.exists(*names) else vanished(found.problem.path)


def leftover(folder: Folder, name: str) -> Damage:
    """Return the finding that a temporary file of an atomic write was left."""
    return Damage("leftover", folder.where(name), "left by a write that did not finish")
