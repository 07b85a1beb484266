"""Yields the rows of the content store: what namespaces know of blobs, and what is on disk."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, NamedTuple

from layerindex import shapes
from layerindex.problems import Damage, not_regular
from layerindex.records import Blob
from layerindex.stores.containerd import metadata as meta
from layerindex.stores.containerd.encoding import as_json
from layerindex.stores.containerd.images import UNCOMPRESSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.stores.containerd.images import Images
    from layerindex.stores.containerd.metadata import BlobRow, Metadata
    from layerindex.stores.disk.files import Folder

NOBODY = [("", meta.BlobRow(None, None, None, {}))]
"""The row of a blob that no namespace knows."""


class Lying(NamedTuple):
    """A blob on disk: the bytes of its file and of its blocks."""

    size: int
    disk_bytes: int


def read_blobs(folder: Folder, metadata: Metadata, images: Images) -> Iterator[Blob | Damage]:
    """Yield a row for each blob and namespace, and what is wrong with it; `folder` is blobs/sha256."""
    known: dict[str, list[tuple[str, BlobRow]]] = {}
    for namespace, found in sorted(metadata.namespaces.items()):
        for digest, row in found.blobs.items():
            known.setdefault(digest, []).append((namespace, row))
    for name in sorted(folder.entries):
        if not shapes.HEX.fullmatch(name):
            yield Damage("unexpected-entry", folder.where(name), "a name that does not belong here")
    on_disk = {f"sha256:{name}" for name in folder.entries if shapes.HEX.fullmatch(name)}
    for digest in sorted(on_disk | known.keys()):
        lying = _lying(folder, digest.removeprefix("sha256:"))
        for namespace, row in known.get(digest, NOBODY):
            yield from _check(folder, digest, namespace, row, lying)
            yield _blob(digest, namespace, row, lying, images)


def _check(folder: Folder, digest: str, namespace: str, row: BlobRow, lying: Lying | None) -> Iterator[Damage]:
    name = digest.removeprefix("sha256:")
    if lying is None and not folder.exists(name):
        yield Damage("missing-blob", folder.where(name), f"namespace {namespace} has it", digest)
    elif lying is None and name in folder:
        yield not_regular(folder.where(name), digest)
    elif lying is not None and row.size is not None and lying.size != row.size:
        yield Damage("blob-size", folder.where(name), f"{lying.size} bytes, {row.size} in {meta.NAME}", digest)


def _blob(digest: str, namespace: str, row: BlobRow, lying: Lying | None, images: Images) -> Blob:
    label = row.labels.get(UNCOMPRESSED)
    return Blob(
        digest,
        namespace,
        row.size if lying is None else lying.size,
        images.media_types.get(digest),
        images.diff_ids.get(digest) or (label if label and shapes.DIGEST.fullmatch(label) else None),
        row.created_at,
        row.updated_at,
        int(lying is not None),
        as_json(row.labels),
    )


def _lying(folder: Folder, name: str) -> Lying | None:
    entry = folder.entries.get(name)
    try:
        status = None if entry is None else entry.stat(follow_symlinks=False)
    except OSError:
        return None
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return Lying(status.st_size, 512 * status.st_blocks)
