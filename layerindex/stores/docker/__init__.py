"""Docker's data root, read as one store for each storage driver that left something there."""

from __future__ import annotations

from layerindex.stores.docker.drivers import CONTAINERD
from layerindex.stores.docker.scan import read_clients
from layerindex.stores.docker.store import DockerStore, find_stores

__all__ = ["CONTAINERD", "DockerStore", "find_stores", "read_clients"]
