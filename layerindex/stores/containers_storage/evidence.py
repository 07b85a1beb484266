"""Finds proof of containers that no list names: their folders, layers and Podman's own state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import shapes, standing
from layerindex.names import from_os
from layerindex.problems import KINDS, Damage
from layerindex.stores.containers_storage import containers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from layerindex.stores.containers_storage.containers import StoredContainer
    from layerindex.stores.containers_storage.layers import StoredLayer
    from layerindex.stores.containers_storage.libpod import PodmanState
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Sources

MOST = 20
"""Most containers that are named as proof; one is enough for doubt."""


def hides(found: Damage) -> bool:
    """Say whether a finding means that something may be unknown that should have been read."""
    return KINDS[found.problem.code].severity == "error" or found.problem.code == "vanished"


def writable(layers: Mapping[str, StoredLayer], used: Iterable[str]) -> Iterator[str]:
    """Yield the layers that only a container can have: without a digest, and with no layer above.

    `used` are the layers of the images and containers that are known.
    """
    taken = {layer.parent for layer in layers.values()} | set(used)
    for layer_id, layer in sorted(layers.items()):
        if layer.diff_id is None and not layer.incomplete and layer_id not in taken:
            yield layer_id


def folders(root: Folder, kind: str) -> Iterator[str]:
    """Yield the ids of containers that have a folder beside their list."""
    try:
        if root.has_folder(kind):
            with root.folder(kind) as folder:
                yield from (name for name in sorted(folder.entries) if shapes.HEX.fullmatch(name))
    except Damage:
        return  # reported when the list was read


def doubt_lists(sources: Sources, where: str, proofs: Iterable[str]) -> None:
    """Record that a list of containers is lost, once for each proof."""
    for _, proof in zip(range(MOST), proofs, strict=False):
        for fact in ("containers", "mounts"):
            sources.note(fact, where, standing.LOST, proof)


def doubt_state(
    sources: Sources, root: Folder, known: PodmanState, found: Mapping[str, StoredContainer], where: str
) -> None:
    """Record where Podman's state, the only source of containers' mounts, was not read or is lost."""
    for damage in known.damages:
        if hides(damage):
            sources.damaged("containers", damage)
            sources.damaged("volumes", damage)
    lost = [each for each in found.values() if containers.of_podman(each) and each.container_id not in known.containers]
    if lost:
        name = next((name for name in lost[0].names if name), lost[0].container_id)
        sources.note("containers", where, standing.LOST, f"container {from_os(name)} is in the storage")
    elif not known.found and _has_volumes(root):
        sources.note("containers", where, standing.LOST, "there are volumes, which Podman makes")
    elif known.found:
        sources.note("containers", where, standing.READ)


def _has_volumes(root: Folder) -> bool:
    try:
        if not root.has_folder("volumes"):
            return False
        with root.folder("volumes") as folder:
            return any(folder.has_folder(name) for name in folder.entries)
    except Damage:
        return False  # reported when the volumes are read
