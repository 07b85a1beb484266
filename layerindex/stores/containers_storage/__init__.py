"""The store of Podman, Buildah and CRI-O: containers-storage, read without the engine."""

from __future__ import annotations

from layerindex.stores.containers_storage.settings import GraphRoot, graph_roots
from layerindex.stores.containers_storage.store import ContainersStore, find_stores

__all__ = ["ContainersStore", "GraphRoot", "find_stores", "graph_roots"]
