"""What a store yields: one class for each table of facts; a record is bound to its INSERT without conversion.

Field names are the table's column names without `snapshot_id`; `layerindex.schema` says what each means, and a test
holds the two equal. Digests are `sha256:<64 hex>`, times ISO 8601 UTC text, sizes bytes, flags 0 or 1.
"""

from __future__ import annotations

from typing import NamedTuple


class Image(NamedTuple):
    """A row of `images`."""

    image_id: str
    created_at: str | None
    architecture: str | None
    os: str | None
    variant: str | None
    target_digest: str | None
    size: int | None
    layer_count: int
    parent_image_id: str | None
    last_updated_at: str | None
    verified: int
    config: str


class ImageRef(NamedTuple):
    """A row of `image_refs`."""

    ref: str
    repository: str
    tag: str | None
    digest: str | None
    image_id: str
    namespace: str
    normalized: str
    target_digest: str | None = None


class ImageManifest(NamedTuple):
    """A row of `image_manifests`."""

    digest: str
    image_id: str
    index_digest: str
    kind: str
    media_type: str | None = None
    size: int | None = None
    os: str | None = None
    architecture: str | None = None
    variant: str | None = None
    subject_digest: str | None = None
    on_disk: int | None = 1


class ImageLayer(NamedTuple):
    """A row of `image_layers`."""

    image_id: str
    position: int
    diff_id: str
    chain_id: str


class ImageHistory(NamedTuple):
    """A row of `image_history`."""

    image_id: str
    position: int
    created_at: str | None
    created_by: str | None
    author: str | None
    comment: str | None
    empty_layer: int
    layer_position: int | None


class Layer(NamedTuple):
    """A row of `layers`."""

    chain_id: str
    diff_id: str | None
    parent_chain_id: str | None
    cache_id: str | None
    size: int | None
    verified: int | None
    listing_id: int | None = None


class UnfinishedLayer(NamedTuple):
    """A row of `unfinished_layers`."""

    name: str
    state: str
    chain_id: str | None
    diff_id: str | None
    parent_chain_id: str | None
    cache_id: str | None
    size: int | None


class LayerBlob(NamedTuple):
    """A row of `layer_blobs`."""

    diff_id: str
    digest: str
    source_repository: str


class OverlayDir(NamedTuple):
    """A row of `overlay_dirs`."""

    cache_id: str
    role: str
    link: str | None
    lower_count: int | None
    has_diff: int
    has_work: int
    has_merged: int
    committed: int
    apparent_bytes: int | None = None
    disk_bytes: int | None = None
    entry_count: int | None = None
    listing_id: int | None = None
    unknown_because: str | None = None


class Use(NamedTuple):
    """A row of `recorded_uses`: a thing, and something that needs it."""

    used_kind: str
    used: str
    user_kind: str
    user: str
    source: str


class Source(NamedTuple):
    """A row of `sources`: a place that could name a user of something, and its state."""

    kind: str
    path: str
    state: str
    detail: str | None = None


class OverlayLower(NamedTuple):
    """A row of `overlay_lowers`."""

    cache_id: str
    position: int
    link: str | None
    lower_cache_id: str | None


class Link(NamedTuple):
    """A row of `links`."""

    link: str
    target: str | None
    cache_id: str | None


class Mount(NamedTuple):
    """A row of `mounts`."""

    name: str
    mount_id: str | None
    init_id: str | None
    parent_chain_id: str | None
    container_id: str | None


class Container(NamedTuple):
    """A row of `containers`."""

    container_id: str
    namespace: str
    name: str | None = None
    image_id: str | None = None
    target_digest: str | None = None
    image_ref: str | None = None
    state: str = "unknown"
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    driver: str | None = None
    mount_id: str | None = None
    log_driver: str | None = None
    log_path: str | None = None
    log_bytes: int | None = None
    sandbox_id: str | None = None


class ContainerVolume(NamedTuple):
    """A row of `container_volumes`."""

    container_id: str
    destination: str
    type: str | None
    name: str | None
    source: str | None
    driver: str | None
    read_write: int | None


class Volume(NamedTuple):
    """A row of `volumes`."""

    name: str
    driver: str
    options: str | None
    labels: str | None
    on_disk: int
    apparent_bytes: int | None = None
    disk_bytes: int | None = None
    entry_count: int | None = None
    place: str | None = None
    holds: str | None = None


class ContainerLog(NamedTuple):
    """A row of `container_logs`."""

    container_id: str
    path: str
    driver: str
    rotation: int | None
    apparent_bytes: int
    disk_bytes: int
    modified_at: str | None


class BuildCache(NamedTuple):
    """A row of `build_cache`."""

    record_id: str
    cache_id: str | None
    parent_record_id: str | None
    description: str | None
    record_type: str | None
    size: int | None
    created_at: str | None
    last_used_at: str | None
    usage_count: int | None
    snapshot_key: str | None
    committed: int | None
    equal_mutable: str | None
    chain_id: str | None
    diff_id: str | None
    image_refs: str | None
    cache_mount: str | None
    deleting: int


class BuildCacheParent(NamedTuple):
    """A row of `build_cache_parents`."""

    record_id: str
    position: int
    parent_record_id: str


class Blob(NamedTuple):
    """A row of `blobs`."""

    digest: str
    namespace: str
    size: int | None
    media_type: str | None
    diff_id: str | None
    created_at: str | None
    updated_at: str | None
    on_disk: int
    labels: str | None


class ContainerdSnapshot(NamedTuple):
    """A row of `containerd_snapshots`."""

    snapshotter: str
    name: str
    namespace: str
    snapshot_key: str
    kind: str | None
    parent_name: str | None
    cache_id: str | None
    chain_id: str | None
    size: int | None
    inodes: int | None
    created_at: str | None
    updated_at: str | None
    in_metadata: int
    reachable: int | None
    labels: str | None


class Lease(NamedTuple):
    """A row of `leases`."""

    namespace: str
    lease_id: str
    created_at: str | None
    expires_at: str | None
    labels: str | None


class LeaseResource(NamedTuple):
    """A row of `lease_resources`."""

    namespace: str
    lease_id: str
    type: str
    resource: str


class Ingest(NamedTuple):
    """A row of `ingests`."""

    name: str
    namespace: str | None
    ref: str | None
    expected_digest: str | None
    started_at: str | None
    updated_at: str | None
    total: int | None
    size: int | None


class StorageLayer(NamedTuple):
    """A row of `storage_layers`."""

    layer_id: str
    parent_layer_id: str | None
    chain_id: str | None
    diff_id: str | None
    compressed_digest: str | None
    toc_digest: str | None
    created_at: str | None
    size: int | None
    compressed_size: int | None
    names: str | None
    state: str
    volatile: int
    read_only: int
    live: int | None


class DiskUsage(NamedTuple):
    """A row of `disk_usage`."""

    category: str
    owner: str
    items: int | None
    apparent_bytes: int | None
    disk_bytes: int | None
    counted_by_docker: int
    note: str | None
    place: str | None = None
    estimated_bytes: int | None = None


class Problem(NamedTuple):
    """A row of `problems`, numbered where it is written."""

    severity: str
    code: str
    path: str
    subject: str | None
    detail: str


Record = (
    Image
    | ImageRef
    | ImageManifest
    | ImageLayer
    | ImageHistory
    | Layer
    | UnfinishedLayer
    | LayerBlob
    | OverlayDir
    | Use
    | Source
    | OverlayLower
    | Link
    | Mount
    | Container
    | ContainerVolume
    | Volume
    | ContainerLog
    | BuildCache
    | BuildCacheParent
    | Blob
    | ContainerdSnapshot
    | Lease
    | LeaseResource
    | Ingest
    | StorageLayer
    | DiskUsage
    | Problem
)

TABLES: dict[type[Record], str] = {
    Image: "images",
    ImageRef: "image_refs",
    ImageManifest: "image_manifests",
    ImageLayer: "image_layers",
    ImageHistory: "image_history",
    Layer: "layers",
    UnfinishedLayer: "unfinished_layers",
    LayerBlob: "layer_blobs",
    OverlayDir: "overlay_dirs",
    Use: "recorded_uses",
    Source: "sources",
    OverlayLower: "overlay_lowers",
    Link: "links",
    Mount: "mounts",
    Container: "containers",
    ContainerVolume: "container_volumes",
    Volume: "volumes",
    ContainerLog: "container_logs",
    BuildCache: "build_cache",
    BuildCacheParent: "build_cache_parents",
    Blob: "blobs",
    ContainerdSnapshot: "containerd_snapshots",
    Lease: "leases",
    LeaseResource: "lease_resources",
    Ingest: "ingests",
    StorageLayer: "storage_layers",
    DiskUsage: "disk_usage",
    Problem: "problems",
}
"""The table of each class of records."""


class Features(NamedTuple):
    """The abilities of a store, which queries see as columns of `snapshots` of these names; 0 for no, 1 for yes."""

    reads_directories: int
    """Its directories are in `overlay_dirs`; where not, nothing can be said of them."""
    keeps_links: int
    """Its directories have short names, and `lower` lists of these."""
    mounts_inside: int
    """A directory has a folder `merged` exactly while it is mounted."""
    guards_images: int
    """Its engine refuses to remove an image that a container needs, or to remove by id an image with names in several
    repositories."""
    collects_garbage: int
    """Content and layers that no name, container or lease holds are removed by garbage collection."""
