"""Reads BuildKit's records whose data is in containerd: buildkit/containerd-<snapshotter>/metadata_v2.db."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.guard import each
from layerindex.problems import Damage
from layerindex.stores.shared.buildkit import FOLDER, METADATA, Cache, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layerindex.records import Record
    from layerindex.stores.containerd.view import ViewedSnapshot
    from layerindex.stores.disk.files import Folder
    from layerindex.stores.shared.claims import Claims


def read_builds(
    root: Folder, driver: str, contained: Mapping[str, ViewedSnapshot], claims: Claims
) -> Iterator[Record | Damage]:
    """Yield the records of the build cache below a Docker root, and note in `claims` which directories they hold.

    `contained` are the snapshots of containerd by key.
    """
    folder = f"containerd-{driver}"
    if FOLDER not in root:
        return
    try:
        if (kept := root.optional(FOLDER, folder)) is not None:
            with kept as opened:
                if METADATA in opened:
                    builds = _Builds(root, opened, contained, claims)
                    yield from each(builds.read, opened.where(METADATA))
    except Damage as found:
        claims.sources.damaged("build cache", found)
        yield found


class _Builds(Cache):
    """The records, with containerd's snapshots in place of BuildKit's own database of them."""

    def __init__(self, root: Folder, folder: Folder, contained: Mapping[str, ViewedSnapshot], claims: Claims) -> None:
        chains = {key: snapshot.number for key, snapshot in contained.items() if shapes.DIGEST.fullmatch(key)}
        super().__init__(root, folder, chains, claims)
        self.contained = contained

    def _read_snapshots(self) -> Iterator[Damage]:
        for key, snapshot in self.contained.items():
            chain_id = key if shapes.DIGEST.fullmatch(key) else None
            self.snapshots[key] = Snapshot(snapshot.number, None, chain_id, snapshot.row.parent)
        yield from ()

    def _claim_unnamed(self) -> None:
        """Do nothing: the databases of containerd say what other snapshots are."""
