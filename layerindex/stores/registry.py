"""The kinds of stores, one line for each, and how each finds its stores under a folder."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from layerindex.problems import Damage
from layerindex.stores import containers_storage
from layerindex.stores.containerd import store as containerd
from layerindex.stores.containerd.docker import beside, on_containerd
from layerindex.stores.docker import CONTAINERD, find_stores
from layerindex.stores.places import containerd_root, default_root, snapshotter_roots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layerindex.stores.store import Store


def of_containerd(root: str) -> Sequence[Store]:
    """Return the stores of a containerd, with the Docker engine that keeps its images there, if any.

    Docker's data root lies beside it by default, also in a copy of a host; on this host Docker's settings may name
    another place, and those of containerd may name places of snapshotters.
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


def of_storage(root: str) -> Sequence[Store]:
    """Return the stores of Podman, Buildah or CRI-O, each with the stores of this host that share images with it."""
    stores = containers_storage.find_stores(root)
    if not stores:
        return stores
    places = containers_storage.graph_roots()
    own = next((place for place in places if place.root == root), containers_storage.GraphRoot(root))
    borrowers = tuple(place for place in places if root in place.additional)
    return [store._replace(additional=own.additional, borrowers=borrowers, run_root=own.run_root) for store in stores]


def of_docker(root: str) -> Sequence[Store]:
    """Return the stores of a Docker engine; those that its own containerd keeps are read with that."""
    stores: list[Store] = []
    for docker in find_stores(root):
        stores += (on_containerd(docker) if docker.driver == CONTAINERD else []) or [docker]
    return stores


FINDERS: list[Callable[[str], Sequence[Store]]] = [of_containerd, of_storage, of_docker]
"""Each returns the stores of its kind at a path, or none; raises Damage where that cannot be read, or is a file and
stores of this kind are folders."""
