"""Maps owners in a rootless store: on disk, files belong to the user and to the user's subordinate ids.

Inside, the user is root, and the subordinate ids are 1 and following, in the order of the files. Format: subuid(5).
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
    """Return the rules of a driver in a store whose root folder has this status: of root or of a user."""
    id_map = id_map_of(root.st_uid, root.st_gid)
    return Rules.of(driver, rootless=id_map is not None)._replace(id_map=id_map)


@cache
def id_map_of(uid: int, gid: int, etc: str = "/etc") -> IdMap | None:
    """Return the map for the store of a user; None for root, whose files need none."""
    if uid == 0:
        return None
    names = {f"{uid}"}
    with suppress(KeyError):  # a store of a user of another host
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
