"""Container stores on disk, read without the engine: each yields plain records and never raises for what it reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from layerindex.errors import NotAStoreError
from layerindex.guard import FAILED, reading
from layerindex.names import from_os, printable
from layerindex.problems import Damage
from layerindex.stores.containers_storage.settings import graph_roots, is_own
from layerindex.stores.host import Settings, is_below
from layerindex.stores.places import Place, default_root, usual_roots
from layerindex.stores.registry import FINDERS
from layerindex.stores.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerindex.records import Problem

__all__ = ["OfHost", "Store", "default_root", "host_stores", "open_stores"]

NEAR = ("docker", "var/lib/docker", "containerd", "var/lib/containerd", "daemon", "containerd/daemon")
"""Places below a folder where the store may be that the user meant."""


def find(root: str) -> list[Store]:
    """Return every store at a path, kind by kind; raises Damage when it cannot be opened.

    A file is refused by the kinds of stores in folders; that counts only where no other kind takes it.
    """
    found: list[Store] = []
    refused = None
    for finder in FINDERS:
        try:
            found += finder(root)
        except Damage as damage:
            if damage.problem.code != "not-a-folder":
                raise
            refused = damage
    if refused is not None and not found:
        raise refused
    return found


def open_stores(root: str) -> list[Store]:
    """Return every store at a path; raises NotAStoreError when there is none or it may not be read."""
    try:
        with reading(root):
            stores = find(os.path.realpath(root))
    except Damage as found:
        reason = {
            "permission-denied": "permission denied; run the scan as root",
            "missing": "no such folder; name the data root, such as /var/lib/docker",
            "not-a-folder": "not a folder; name the data root, such as /var/lib/docker",
        }
        raise NotAStoreError(root, reason.get(found.problem.code, found.problem.detail)) from found
    if not stores:
        raise NotAStoreError(root, _hint(os.path.realpath(root)))
    return stores


class OfHost(NamedTuple):
    """A store of this host, and the problems of the settings that name it."""

    store: Store
    said: list[Problem]


def host_stores(environment: Mapping[str, str], *, root: bool) -> Iterator[OfHost | NotAStoreError]:
    """Yield every store of this host at the places where engines keep them, and errors for those that cannot be read.

    A place without a store is skipped: few hosts have every engine. A place that a user's settings or home name must be
    the user's own: it may not give a store of the system, or of another user, a second name.
    """
    settings = Settings()
    places = list(usual_roots(environment, root=root, settings=settings))
    places += [Place(place.root, place.user) for place in graph_roots(settings=settings)]
    system = {os.path.realpath(place.path) for place in places if place.user is None}
    seen: set[str] = set()
    for place in places:
        path = os.path.realpath(place.path)
        if path in seen or not os.path.lexists(path):
            continue
        user = place.user
        if user is not None and (any(is_below(path, other) for other in system) or not is_own(path, user, user.home)):
            settings.note(path, f"it is not {user.name}'s, whose settings or home name it; not scanned", user)
            continue
        seen.add(path)
        name = user.name if user else None
        try:
            with reading(printable(from_os(path))):
                found = find(path)
        except Damage as damage:
            if damage.problem.code == "permission-denied":
                yield NotAStoreError(place.path, "permission denied; run the scan as root")
            elif damage.problem.code == FAILED:
                yield NotAStoreError(place.path, damage.problem.detail or "")
        else:
            said = [each.damage.problem for each in settings.said if each.user == name]
            yield from (OfHost(store, said) for store in found)
    for each in settings.said:
        yield NotAStoreError(each.damage.problem.path, each.damage.problem.detail or "")


def _hint(root: str) -> str:
    """Say why a folder is no store, and name a store near it."""
    for near in (os.path.dirname(root), *(f"{root}/{below}" for below in NEAR)):
        try:
            with reading(near):
                found = find(near)
            if found:
                return f"no container store; did you mean {near}?"
        except Damage:
            continue
    return "no container store: nothing of Docker, containerd or containers-storage is in it"
