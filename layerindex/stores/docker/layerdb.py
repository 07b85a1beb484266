"""Readers of `image/<driver>/layerdb/`: layers, what is being written or removed, and writable layers.

Format: moby `daemon/internal/layer/{filestore,ro_layer,layer_store}.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.guard import reader
from layerindex.names import from_os
from layerindex.problems import Damage
from layerindex.records import Layer, Mount, UnfinishedLayer
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.disk.files import Folder

DEPTH = 32
"""Deepest nesting of names in layerdb/mounts: Docker 28 nests an image mount one folder for each slash of its name."""

MOUNT_FILES = ("mount-id", "init-id", "parent")
"""The files in the folder of a writable layer."""


def read_layer(layers: Folder, name: str) -> Iterator[Layer | Damage]:
    """Yield the layer `layerdb/sha256/<name>` and what is wrong with it.

    Only the folder names the chain, and its name must be the digest of parent and diff. A lost parent file makes a
    child look like a base layer; the check of the digest detects it.
    """
    damages: list[Damage] = []
    with layers.folder(name) as folder:
        diff_id = word(folder, "diff", shapes.DIGEST, damages)
        cache_id = word(folder, "cache-id", shapes.CACHE_ID, damages)
        parent = word(folder, "parent", shapes.DIGEST, damages) if "parent" in folder else None
        size = _size(folder, damages)
        parent_known = "parent" not in folder or parent is not None
    chain = f"sha256:{name}"
    verified = None
    if diff_id is not None and parent_known:
        found = ids.chain_id(parent, diff_id)
        verified = int(found == chain)
        if not verified:
            damages.append(Damage("chain-id-mismatch", layers.where(name), f"parent and diff give {found}", chain))
    yield Layer(chain, diff_id, parent, cache_id, size, verified)
    yield from damages


def _size(folder: Folder, damages: list[Damage]) -> int | None:
    """Return what the size file says: decimal digits, which moby reads without trimming."""
    try:
        text = folder.text("size")
    except Damage as found:
        damages.append(found)
        return None
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**63:
        return int(text)
    damages.append(Damage("bad-value", folder.where("size"), f"{ids.shorten(text)} is no size"))
    return None


def read_unfinished(parent: Folder, name: str, state: str) -> tuple[UnfinishedLayer, list[Damage]]:
    """Return `<chain>-<random>-removing` or `write-set-<n>`, whose files may be gone or to come, and its damages."""
    found: list[Damage] = []
    with parent.folder(name) as folder:
        unfinished = UnfinishedLayer(
            name,
            state,
            f"sha256:{match[1]}" if (match := shapes.REMOVING.fullmatch(name)) else None,
            word(folder, "diff", shapes.DIGEST, found),
            word(folder, "parent", shapes.DIGEST, found),
            word(folder, "cache-id", shapes.CACHE_ID, found),
            _size(folder, found),
        )
    return unfinished, [damage for damage in found if damage.problem.code not in ("missing", "vanished")]


@reader
def read_mounts(mounts: Folder, name: str, above: str = "") -> Iterator[Mount | Damage]:
    """Yield the writable layer `layerdb/mounts/<name>`, and those nested below it.

    The container is not known here: image mounts and builders make such layers too. `above` is the name's beginning,
    with a slash at its end, where it is nested.
    """
    damages: list[Damage] = []
    text = above + from_os(name)
    with mounts.folder(name) as folder:
        own = MOUNT_FILES if "mount-id" in folder else ()
        nested = [below for below in sorted(folder.entries) if below not in own and folder.has_folder(below)]
        if own or not nested:
            yield Mount(
                text,
                word(folder, "mount-id", shapes.MOUNT_ID, damages),
                word(folder, "init-id", shapes.MOUNT_ID, damages) if "init-id" in folder else None,
                word(folder, "parent", shapes.DIGEST, damages) if "parent" in folder else None,
                None,
            )
            yield from damages
        for below in nested:
            if text.count("/") >= DEPTH:
                yield Damage("unexpected-entry", folder.where(below), "names are not nested as deep as this; not read")
                continue
            try:
                yield from read_mounts(folder, below, f"{text}/")
            except Damage as found:
                yield found
