"""Yields the rows of snapshots and leases; garbage collection keeps what leases hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import shapes
from layerindex.records import ContainerdSnapshot, Lease, LeaseResource
from layerindex.stores.containerd import snapshots as stored
from layerindex.stores.containerd.encoding import as_json
from layerindex.stores.containerd.reachable import expires_at, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerindex.stores.containerd.metadata import Metadata, SnapshotRow
    from layerindex.stores.containerd.snapshots import Stored
    from layerindex.stores.containerd.view import View

EXTRACT = "extract-"
"""Prefix of the keys of snapshots that are being unpacked; the chain id comes last."""


def read_snapshots(view: View, wanted: Callable[[str], bool]) -> Iterator[ContainerdSnapshot]:
    """Yield what both databases know of snapshots, and what meta.db knows of those of other `wanted` snapshotters."""
    known: set[tuple[str, str]] = set()
    for namespace, found in sorted(view.metadata.namespaces.items()):
        held = reachable(found)
        for snapshotter, rows in sorted(found.snapshots.items()):
            if snapshotter != view.driver and not wanted(snapshotter):
                continue
            for key, row in sorted(rows.items()):
                if (snapshotter, row.name) in known:
                    continue  # damage: two keys of one snapshot
                known.add((snapshotter, row.name))
                behind = view.stored.get(row.name) if snapshotter == view.driver else None
                parent = rows[row.parent].name if row.parent in rows else row.parent
                is_held = int((f"snapshots/{snapshotter}", key) in held)
                labels = {**(behind.labels if behind else {}), **row.labels}
                yield _snapshot(snapshotter, row.name, namespace, key, behind, parent, row, 1, is_held, labels)
    for name, behind in sorted(view.stored.items()):
        if (view.driver, name) not in known:
            namespace, key = stored.parts(name)
            yield _snapshot(view.driver, name, namespace, key, behind, behind.parent, behind, 0, 0, behind.labels)


def read_leases(metadata: Metadata) -> Iterator[Lease | LeaseResource]:
    """Yield the leases and what each holds."""
    for namespace, found in sorted(metadata.namespaces.items()):
        for lease_id, lease in sorted(found.leases.items()):
            yield Lease(namespace, lease_id, lease.created_at, expires_at(lease.labels), as_json(lease.labels))
            for kind, key in dict.fromkeys(lease.resources):
                yield LeaseResource(namespace, lease_id, kind, key)


def _snapshot(  # noqa: PLR0913, PLR0917 - what two databases say, called in two places
    snapshotter: str,
    name: str,
    namespace: str,
    key: str,
    behind: Stored | None,
    parent: str | None,
    times: SnapshotRow | Stored,
    in_metadata: int,
    is_held: int,
    labels: dict[str, str],
) -> ContainerdSnapshot:
    chain_id = key.rpartition(" ")[2] if key.startswith(EXTRACT) else key
    return ContainerdSnapshot(
        snapshotter,
        name,
        namespace,
        key,
        behind.kind if behind else None,
        parent or None,
        behind.number if behind else None,
        chain_id if shapes.DIGEST.fullmatch(chain_id) else None,
        behind.size if behind and behind.kind == "committed" else None,
        behind.inodes if behind and behind.kind == "committed" else None,
        times.created_at,
        times.updated_at,
        in_metadata,
        is_held,
        as_json(labels),
    )
