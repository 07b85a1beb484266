"""Whose files are in a user's store: on disk they belong to the user, and to the ids that are set apart for the user.

Inside, the user is root and these are the others, from 1 on, in the order of the files. Format: subuid(5).
"""

from __future__ import annotations

import pwd
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from layerindex.listings.rules import IdMap, Rules
from layerindex.stores.host import read

if TYPE_CHECKING:
    import os


def rules_of(driver: str, root: os.stat_result) -> Rules:
    """Return a driver's rules in the store whose root has this status: of root's engine, or of a user's own."""
    id_map = id_map_of(root.st_uid, root.st_gid)
    return Rules.of(driver, rootless=id_map is not None)._replace(id_map=id_map)


@cache
def id_map_of(uid: int, gid: int, etc: str = "/etc") -> IdMap | None:
    """Return the map for the store of a user; None for root's, whose files are their own."""
    if uid == 0:
        return None
    names = {f"{uid}"}
    with suppress(KeyError):  # a store of another host's user
        names.add(pwd.getpwuid(uid).pw_name)
    return IdMap(_ranges(uid, f"{etc}/subuid", names), _ranges(gid, f"{etc}/subgid", names))


def _ranges(own: int, path: str, names: set[str]) -> tuple[tuple[int, int, int], ...]:
    found, first = [(own, 1, 0)], 1
    for line in read(path).decode(errors="replace").splitlines():
        name, *numbers = line.split(":")
        if name in names and len(numbers) == 2 and all(each.isdecimal() and len(each) < 11 for each in numbers):
            start, count = map(int, numbers)
            found.append((start, count, first))
            first += count
    return tuple(found)
