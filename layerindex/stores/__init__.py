"""Container stores on disk, read without the engine: each yields plain records and never raises for what it reads."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from layerindex.errors import NotAStoreError
from layerindex.guard import FAILED, reading
from layerindex.names import listed, printable
from layerindex.problems import Damage
from layerindex.stores import containers_storage
from layerindex.stores.containerd import store as containerd
from layerindex.stores.containerd.docker import beside, on_containerd
from layerindex.stores.containers_storage.settings import is_own
from layerindex.stores.docker import CONTAINERD, find_stores
from layerindex.stores.host import Settings, is_below
from layerindex.stores.places import Place, containerd_root, default_root, snapshotter_roots, usual_roots
from layerindex.stores.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerindex.records import Problem
    from layerindex.stores.containerd.store import ContainerdStore

__all__ = ["OfHost", "Store", "default_root", "host_stores", "open_stores"]

NEAR = ("docker", "var/lib/docker", "containerd", "var/lib/containerd", "daemon", "containerd/daemon")
"""Where below a folder that is no store one may be that was meant."""


def find(root: str) -> list[Store]:
    """Return every store under a folder; raises Damage when it cannot be opened."""
    storage = containers_storage.find_stores(root)
    if storage:
        places = containers_storage.graph_roots()
        own = next((place for place in places if place.root == root), containers_storage.GraphRoot(root))
        borrowers = tuple(place for place in places if root in place.additional)
        storage = [
            store._replace(additional=own.additional, borrowers=borrowers, run_root=own.run_root) for store in storage
        ]
    found: list[Store] = [*_containerd(root), *storage]
    for docker in find_stores(root):
        found += (on_containerd(docker) if docker.driver == CONTAINERD else []) or [docker]
    return found


def _containerd(root: str) -> list[ContainerdStore]:
    """Return the stores of a containerd, with the Docker engine that keeps its images there, if any.

    Its data root lies beside, as on every host and in a copy of one; on this host its settings may say where, and
    containerd's may say where snapshotters are.
    """
    of_host = root == os.path.realpath(containerd_root())
    stores = containerd.find_stores(root, snapshotter_roots() if of_host else {})
    stores = [store._replace(of_host=of_host) for store in stores]
    places = [f"{os.path.dirname(root)}/docker", *([os.path.realpath(default_root({}, root=True))] if of_host else ())]
    for place in places if stores else ():
        with suppress(Damage):
            for docker in find_stores(place):
                if docker.driver == CONTAINERD and not on_containerd(docker):
                    return [store._replace(docker=partial(beside, docker)) for store in stores]
    return stores


def open_stores(root: str) -> list[Store]:
    """Return every store under a folder; raises NotAStoreError when there is none or it may not be read."""
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
    """A store of this host, and what is wrong with the settings that name it."""

    store: Store
    said: list[Problem]


def host_stores(environment: Mapping[str, str], *, root: bool) -> Iterator[OfHost | NotAStoreError]:
    """Yield every store of this host at the places where engines keep them, and what stands in the way of others.

    What is not there is passed over: few hosts have every engine. What a user's settings or home lead to counts where
    it is the user's: it may not give a store of the system, or another's, a second name.
    """
    settings = Settings()
    places = list(usual_roots(environment, root=root, settings=settings))
    places += [Place(place.root, place.user) for place in containers_storage.graph_roots(settings=settings)]
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
            with reading(printable(listed(path))):
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
    """Say why a folder is no store, and which one near it is."""
    for near in (os.path.dirname(root), *(f"{root}/{below}" for below in NEAR)):
        try:
            with reading(near):
                found = find(near)
            if found:
                return f"no container store; did you mean {near}?"
        except Damage:
            continue
    return "no container store: nothing of Docker, containerd or containers-storage is in it"
