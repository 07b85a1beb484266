"""Tables of snapshots and parts, images, their names and layers."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary

from layerindex.schema.columns import facts, feature, integer, key, number, numbered, part, position, reference, text

numbered(
    "hosts",
    "A machine whose stores were scanned.",
    integer("host_id", "Number of the host in this database.", primary_key=True),
    text("name", "Name given with --host, by default the machine's host name.", nullable=False),
    text("machine_id", "What /etc/machine-id says on the machine that ran the scan; NULL when it says nothing."),
    Index("hosts_name", "name"),
)
numbered(
    "snapshots",
    "One store, at one host, at one time; written in one transaction and never edited.",
    integer("snapshot_id", "Number of the snapshot in this database.", primary_key=True),
    text("uid", "Random hex that names the snapshot in every database it is copied to.", nullable=False, unique=True),
    reference("host_id", "hosts.host_id", "The host that holds the store."),
    text(
        "store",
        "Kind of store: docker-overlay2, docker-vfs, docker-containerd-overlayfs, containerd-overlayfs, "
        "containers-storage-overlay …",
        nullable=False,
    ),
    text(
        "engine", "Whose commands manage it: docker, containerd, or containers-storage for Podman, Buildah and CRI-O."
    ),
    text("root", "Absolute path of the store's root where it was scanned, symlinks resolved.", nullable=False),
    text("driver", "Storage driver as the engine names it, or containerd's snapshotter.", nullable=False),
    text(
        "folder",
        "Where the driver's directories lie: below root, such as overlay2, or an absolute path outside it.",
        nullable=False,
    ),
    text("engine_id", "What the root's engine-id file says (Docker 23 and later)."),
    text("label", "Text given with --label."),
    text("started_at", "When the scan of this store began.", nullable=False),
    text("finished_at", "When the scan of this store ended.", nullable=False),
    text(
        "ordered_at",
        "What says which snapshot of a host, store and root is newer: started_at, or 1 ms after the newest that was "
        "there where the clock had gone back, and when it came for one that is dated later; of equal ones the greater "
        "uid is newer.",
        nullable=False,
    ),
    text("received_at", "When it was imported, by the clock of who did; NULL where it was scanned here."),
    text("status", "complete: every place was tried; what could not be read is in problems.", nullable=False),
    text(
        "scope", "How far the scan read: metadata (--no-files), files, or walk (--walk: all of them).", nullable=False
    ),
    feature("reads_directories", "1 when its directories are in overlay_dirs, 0 for a driver whose are not read."),
    feature("keeps_links", "1 when its directories have short names, and lower lists by those, else 0."),
    feature("mounts_inside", "1 when a directory has merged/ only while something is mounted on it, else 0."),
    feature(
        "guards_images",
        "1 when its engine removes no image that a container needs, nor by id one that several repositories name.",
    ),
    feature("collects_garbage", "1 when layers and content go that no name, container or lease holds, else 0."),
    text("tool_version", "Version of layerindex that wrote the snapshot.", nullable=False),
    Index("snapshots_host", "host_id", "store", "root"),
)
numbered(
    "parts",
    "Rows that snapshots share, such as what an image's config says: stored once, under the digest of what they say.",
    integer("part_id", "Number of the part in this database.", primary_key=True),
    Column(
        "digest",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256 of its rows in one form (layerindex.writing.parts), by which equal rows are found; 32 bytes.",
    ),
)
numbered(
    "part_names",
    "Names that stand in many rows of parts, which have their numbers: of directories, short names …",
    integer("name_id", "Number of the name in this database; 0 stands for NULL.", primary_key=True),
    text("name", "The name; NULL for number 0 alone.", unique=True),
    integer("bucket", "A number that is made from the name (layerindex.writing.parts), by which rows are parts."),
)
part(
    "part_stored_images",
    "What only its store says of an image; view stored_images has it for each snapshot.",
    number(
        "image_id",
        "Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it.",
        primary_key=True,
    ),
    reference("content_id", "parts.part_id", "The part with its rows in part_images and the tables beside it."),
    number(
        "target_digest",
        "What Docker on containerd and ctr show for it: the digest of the manifest or index that its first name leads "
        "to; NULL elsewhere.",
    ),
    integer("size", "Sum of its layers' size, as docker images shows it without containerd; NULL when one is unknown."),
    number("parent_image_id", "Parent image that the classic builder or commit recorded in imagedb/metadata."),
    text("last_updated_at", "When a tag was last put on it (imagedb/metadata lastUpdated)."),
    Index("part_stored_images_parent", "parent_image_id", "part_id"),
    Index("part_stored_images_content", "content_id", "part_id"),
)
part(
    "part_images",
    "What an image's config says of it as a whole; view images has it for each snapshot.",
    text("created_at", "When the config says it was created; NULL when absent or Go's zero time."),
    text("architecture", "CPU architecture, such as amd64."),
    text("os", "Operating system, such as linux."),
    text("variant", "CPU variant, such as v8."),
    integer("layer_count", "How many layers it has.", nullable=False),
    integer("verified", "1 when the SHA-256 of the stored bytes is the image id, else 0.", nullable=False),
)
part(
    "part_image_configs",
    "The config of an image, apart from what is read of it: few questions need it, and it is most of the bytes.",
    text("config", "The config JSON as stored.", nullable=False),
)
part(
    "part_refs",
    "A name of an image; view image_refs has it for each snapshot.",
    number("ref", "The whole reference as stored, such as debian:12 or docker.io/library/debian:12.", primary_key=True),
    number("repository", "Its repository, such as debian or localhost:5000/team/app."),
    number("tag", "Its tag; NULL for a digest reference."),
    number("digest", "Its manifest digest; NULL for a tag."),
    number(
        "image_id",
        "The image it names, which may be missing; where only a manifest's digest is known, that.",
        primary_key=True,
    ),
    number("namespace", "The namespace of containerd it stands in; empty in other stores.", primary_key=True),
    number("normalized", "The reference in full, equal in every store: docker.io/library/debian:12 for debian:12."),
    number("target_digest", "In containerd the digest of the manifest or index that it leads to; NULL elsewhere."),
    Index("part_refs_image", "image_id", "part_id"),
    Index("part_refs_normalized", "normalized", "part_id"),
)
facts(
    "image_manifests",
    "A manifest or index that leads to images, or is listed by one that does; its blob may be absent.",
    key("digest", "Digest of the manifest or index."),
    key("image_id", "The image whose config it names; empty for an index, an attestation, or when it cannot be told."),
    key("index_digest", "The index that lists it; empty where a name leads to it, or when it is not known."),
    text(
        "kind",
        "image, index, attestation (of another manifest), artifact (something that is no image) or unknown.",
        nullable=False,
    ),
    text("media_type", "Its media type as its index, its name or it itself says."),
    integer("size", "Its bytes."),
    text("os", "Operating system, as the index says."),
    text("architecture", "CPU architecture, as the index says."),
    text("variant", "CPU variant, as the index says."),
    text("subject_digest", "Of an attestation: the manifest it speaks of."),
    integer("on_disk", "1 when its blob is in the store, 0 when absent, as of platforms that were not pulled."),
    Index("image_manifests_image", "snapshot_id", "image_id"),
)
part(
    "part_image_layers",
    "The layers of an image in order, as its config lists them; view image_layers has them for each snapshot.",
    position("0 for the base, counting up."),
    text("diff_id", "SHA-256 of the layer's uncompressed tar.", nullable=False),
    text("chain_id", "Digest of this layer and all below it: sha256(chain below + ' ' + diff_id).", nullable=False),
    Index("part_image_layers_chain", "chain_id"),
    Index("part_image_layers_diff", "diff_id"),
)
part(
    "part_image_history",
    "The build steps of an image, as its config lists them; view image_history has them for each snapshot.",
    position("0 for the first step, counting up."),
    text("created_at", "When the step ran."),
    text("created_by", "The command of the step."),
    text("author", "Author of the step."),
    text("comment", "Comment of the step, such as buildkit.dockerfile.v0 or Imported from -."),
    integer("empty_layer", "1 when the step made no layer, else 0.", nullable=False),
    integer("layer_position", "image_layers.position of the layer it made; NULL when it made none."),
)
facts(
    "stored_layers",
    "What a snapshot says of the layers of each bucket.",
    integer("bucket", "The bucket, as part_names.bucket.", primary_key=True, nullable=False),
    reference("part_id", "parts.part_id", "The part with its rows in part_layers."),
    Index("stored_layers_part", "part_id", "snapshot_id"),
)
part(
    "part_layers",
    "A layer that the store has; view layers has it, by name, for each snapshot.",
    number("chain_id", "Chain id: digest of this layer and all below it, the same in every store.", primary_key=True),
    number(
        "diff_id", "SHA-256 of the layer's uncompressed tar; NULL when the store does not say, or it is unreadable."
    ),
    number("parent_chain_id", "Chain id of the layer below; NULL for a base layer."),
    number("cache_id", "Name of its directory in the driver's folder; NULL when it is not unpacked, or not known."),
    integer(
        "size",
        "Bytes as the engine counted: in layerdb lstat sizes, BuildKit's tar payload; in containerd blocks on disk.",
    ),
    integer("verified", "1 when the chain id is the digest of parent and diff_id, 0 when not, NULL when unknown."),
    integer("listing_id", "The listing of its files; NULL when not indexed."),
    Index("part_layers_diff", "diff_id", "part_id"),
    Index("part_layers_cache", "cache_id", "part_id"),
    Index("part_layers_parent", "parent_chain_id", "part_id"),
)
facts(
    "unfinished_layers",
    "What moby left half done: layerdb/sha256/<chain>-<random>-removing and layerdb/tmp/write-set-<n>.",
    key("name", "Name of the directory."),
    text("state", "removing or writing.", nullable=False),
    text("chain_id", "Chain id of a layer being removed, from the directory's name."),
    text("diff_id", "SHA-256 of the layer's tar, if already or still there."),
    text("parent_chain_id", "Chain id of the layer below, if already or still there."),
    text("cache_id", "Name of its directory in the driver's folder, if already or still there."),
    integer("size", "Bytes as its size file says, if already or still there."),
)
facts(
    "layer_blobs",
    "Compressed blobs of a layer: in Docker as distribution/ remembers them, after rmi too; else as manifests say.",
    key("diff_id", "SHA-256 of the layer's uncompressed tar."),
    key("digest", "Digest of the compressed blob."),
    key("source_repository", "Repository it was seen in; empty when none is remembered."),
    Index("layer_blobs_digest", "digest"),
)
