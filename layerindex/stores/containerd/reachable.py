"""Computes what containerd's garbage collection keeps (`core/metadata/gc.go`); its next run removes the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from layerindex.stores.disk import ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from layerindex.stores.containerd.metadata import Namespace

Node = tuple[str, str]
"""A resource: its type - content, images, snapshots/<snapshotter> - and its key."""

GC = "containerd.io/gc."
CONTENT, SNAPSHOT, ROOT, EXPIRE, FLAT = "ref.content", "ref.snapshot.", "root", "expire", "flat"


def reachable(namespace: Namespace) -> set[Node]:
    """Return what the roots of a namespace reach: its images, containers, leases and resources labelled as root."""
    found: dict[Node, str] = {}
    _follow(namespace, _roots(namespace), "", found)
    return found.keys() | leased(namespace).keys()


def leased(namespace: Namespace) -> dict[Node, str]:
    """Return what unexpired leases and labels hold, each with the first of its holders."""
    found: dict[Node, str] = {}
    live = sorted((name, row) for name, row in namespace.leases.items() if not expired(row.labels))
    # A flat lease keeps a resource and its parents only, so other leases, which keep everything reachable, go first.
    for flat in (False, True):
        for name, row in live:
            if (f"{GC}{FLAT}" in row.labels) == flat:
                _follow(namespace, row.resources, f"lease {name}", found, flat=flat)
        if not flat:
            for node in _labelled_roots(namespace):
                _follow(namespace, (node,), f"label {node[1]}", found)
    return found


def _follow(
    namespace: Namespace, nodes: Iterable[Node], who: str, found: dict[Node, str], *, flat: bool = False
) -> None:
    """Record the holder of some resources and of everything they lead to that has no holder yet."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found[node] = who
            waiting.extend(_held(namespace, node, flat=flat))


def expired(labels: Mapping[str, str]) -> bool:
    """Say whether a lease, or a resource labelled as root, has expired."""
    return (end := expires_at(labels)) is not None and end < datetime.now(UTC).isoformat()


def expires_at(labels: Mapping[str, str]) -> str | None:
    """Return when a lease expires; None for never, and, as in containerd, for invalid times."""
    try:
        return ids.timestamp(labels.get(f"{GC}{EXPIRE}"))
    except ValueError:
        return None


def _roots(namespace: Namespace) -> Iterator[Node]:
    yield from (("images", name) for name in namespace.images)
    for container in namespace.containers.values():
        if container.snapshotter and container.snapshot_key:
            yield f"snapshots/{container.snapshotter}", container.snapshot_key
        yield from _labelled(container.labels)


def _labelled_roots(namespace: Namespace) -> Iterator[Node]:
    root = f"{GC}{ROOT}"
    yield from (("content", digest) for digest, blob in namespace.blobs.items() if root in blob.labels)
    for snapshotter, rows in namespace.snapshots.items():
        yield from ((f"snapshots/{snapshotter}", key) for key, row in rows.items() if root in row.labels)


def _held(namespace: Namespace, node: Node, *, flat: bool) -> Iterator[Node]:
    """Yield the resources that a resource leads to; `flat`: without those that its labels name."""
    kind, key = node
    labels: Mapping[str, str] = {}
    if kind == "images" and key in namespace.images:
        image = namespace.images[key]
        yield "content", image.digest
        labels = image.labels
    elif kind == "content" and key in namespace.blobs:
        labels = namespace.blobs[key].labels
    elif kind.startswith("snapshots/"):
        row = namespace.snapshots.get(kind.removeprefix("snapshots/"), {}).get(key)
        if row is not None:
            if row.parent:
                yield kind, row.parent
            labels = row.labels
    yield from () if flat else _labelled(labels)


def _labelled(labels: Mapping[str, str]) -> Iterator[Node]:
    for label, value in labels.items():
        name = label.removeprefix(GC)
        if name == label:
            continue
        if name == CONTENT or name.startswith((f"{CONTENT}.", f"{CONTENT}/")):
            yield "content", value
        elif name.startswith(SNAPSHOT):
            # A suffix behind a slash distinguishes several labels of one snapshotter.
            yield f"snapshots/{name.removeprefix(SNAPSHOT).partition('/')[0]}", value
