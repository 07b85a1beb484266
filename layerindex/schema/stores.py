"""Tables of directories and who needs them, containers, volumes, build cache, and what each kind of store has alone."""

from __future__ import annotations

from sqlalchemy import Index

from layerindex.schema.columns import facts, integer, key, number, part, position, reference, text
from layerindex.standing import FACTS, STATES

part(
    "part_dirs",
    "A directory in the driver's folder; view overlay_dirs has it, by name, for each snapshot.",
    number("cache_id", "Name of the directory.", primary_key=True),
    number(
        "role",
        "layer, container, init, build-cache, removing, mount (of something not a container), in-flight, foreign (not "
        "of the driver's making), orphan, unknown.",
    ),
    number("link", "Short name in l/, from the directory's link file; NULL where the driver has none."),
    integer(
        "lower_count", "How many directories lie below it, as its lower file or the snapshotter says; 0 for a base."
    ),
    integer(
        "has_diff", "1 when the folder with its own files is there (diff/, containerd: fs/), else 0.", nullable=False
    ),
    integer("has_work", "1 when work/ is there, else 0.", nullable=False),
    integer("has_merged", "1 when merged/ is there, else 0; a running container is mounted on it.", nullable=False),
    integer(
        "committed",
        "1 when it is known to be committed (a child was made from it, a committed snapshot), else 0.",
        nullable=False,
    ),
    integer("apparent_bytes", "Sum of st_size below diff/, each inode once, as read from its listing; NULL if not."),
    integer("disk_bytes", "512 * st_blocks below diff/, each inode once, as du counts; NULL when not walked."),
    integer(
        "entry_count",
        "Entries of its listing; a walk has diff/ itself too: 1 for an empty one; NULL without one.",
    ),
    integer("listing_id", "The listing of its files; NULL when not indexed."),
    number(
        "unknown_because",
        "For role unknown: what it may be, by what it stands on; standings says what may name it.",
    ),
    Index("part_dirs_link", "link", "part_id"),
    Index("part_dirs_cache", "cache_id", "part_id"),
)
facts(
    "sources",
    "A place that could name a user of something: what it tells, and in which state it was.",
    key("kind", f"What it tells: {', '.join(FACTS)}."),
    key("path", "Where it is, relative to the root or absolute; control characters escaped."),
    text("state", f"{', '.join(STATES)}; layerindex schema states explains them.", nullable=False),
    text("detail", "What was found, or what needs it; NULL for nothing to say."),
)
facts(
    "stored_directories",
    "What a snapshot knows of the directories of each bucket: who needs them, and what is below them.",
    integer("bucket", "The bucket, as part_names.bucket.", primary_key=True, nullable=False),
    reference("part_id", "parts.part_id", "The part with its rows in part_lowers and the tables beside it."),
    Index("stored_directories_part", "part_id", "snapshot_id"),
)
part(
    "part_lowers",
    "The directories below a directory; view overlay_lowers has them, by name, for each snapshot.",
    number("cache_id", "Name of the directory.", primary_key=True),
    position("0 for the nearest parent, the base last."),
    number("link", "Short name as the lower file says it; NULL where there are no short names."),
    number("lower_cache_id", "The directory; NULL when the short name leads nowhere."),
    Index("part_lowers_lower", "lower_cache_id", "part_id"),
)
part(
    "part_uses",
    "A thing and one that needs it; view recorded_uses has them, by name, for each snapshot.",
    number(
        "used_kind",
        "What is needed: directory, layer, image, volume, mount (a writable layer) or snapshot (of BuildKit, lost).",
        primary_key=True,
    ),
    number(
        "used",
        "Name of the directory, chain id, image id, name of the volume or mount, or key of the snapshot.",
        primary_key=True,
    ),
    number(
        "user_kind",
        "Of a directory: layer, storage-layer, container, init, image-mount, build-mount, mount, mount-init, "
        "build-cache, build-snapshot, snapshot, removing, writing, lower (another directory's list names it); a "
        "layer's also image, container-base, mount-base. Of an image or volume: container, manifest list, store, "
        "pinned (by Kubernetes). Of what is not here: removing (the user goes, too), borrowed (another store of the "
        "host lends it), storage-layer (a layer of an unknown chain that it must be).",
        primary_key=True,
    ),
    number(
        "user",
        "Chain id, image id, container id, name in layerdb/mounts, build-cache record, key in snapshots.db, key "
        "or name of a snapshot of containerd, layer id, write-set, the directory whose lower names it, or another "
        "store of this host with what in it.",
        primary_key=True,
    ),
    number("source", "The kind of fact that says so, as sources.kind names it."),
)
part(
    "part_links",
    "A short name in l/; view links has them for each snapshot.",
    number("link", "The short name: 26 characters of base32.", primary_key=True),
    text("target", "What the symlink says, unfollowed; NULL when it is not a symlink."),
    number("cache_id", "Directory it leads to; NULL when the target is not ../<cache-id>/diff or that is gone."),
    Index("part_links_cache", "cache_id", "part_id"),
)
facts(
    "stored_references",
    "What a snapshot says of its images, their names and its writable layers.",
    integer("bucket", "0: they are one part.", primary_key=True, nullable=False),
    reference("part_id", "parts.part_id", "The part with its rows in part_refs and the tables beside it."),
    Index("stored_references_part", "part_id", "snapshot_id"),
)
part(
    "part_mounts",
    "A writable layer; view mounts has it, by name, for each snapshot.",
    number(
        "name",
        "Name of the entry: a container id, a snapshot's key, or what else asked for the layer.",
        primary_key=True,
    ),
    number("mount_id", "Directory of the writable layer; NULL when the file could not be read."),
    number("init_id", "Directory of the init layer below it; NULL when there is none."),
    number("parent_chain_id", "Chain id of the image layer below; NULL for an image without layers."),
    number("container_id", "The container of that name; NULL when there is none."),
    Index("part_mounts_mount", "mount_id", "part_id"),
    Index("part_mounts_parent", "parent_chain_id", "part_id"),
)
facts(
    "containers",
    "A container, as its engine last saved it.",
    key("container_id", "Container id."),
    key("namespace", "The namespace of containerd it is in: moby, k8s.io, default …; empty where there is none."),
    text("name", "Name without the leading slash."),
    text("image_id", "The image it runs, which may have been removed; NULL when only target_digest is known."),
    text("target_digest", "The digest of the manifest or index it was made from, where its engine says that instead."),
    text("image_ref", "The image as the user named it, which may name another image by now."),
    text(
        "state",
        "running, paused, restarting, removing, dead, created or exited, as saved; unknown if that is not on disk.",
    ),
    text("created_at", "When it was created."),
    text("started_at", "When it last started; NULL for never."),
    text("finished_at", "When it last ended; NULL for never."),
    integer("exit_code", "Exit code of its last run."),
    text("driver", "Storage driver it was made with."),
    text("mount_id", "Directory of its writable layer."),
    text("log_driver", "Logging driver, from hostconfig.json."),
    text("log_path", "Log file as the engine named it on the original host."),
    integer("log_bytes", "Bytes of its log files with rotations; NULL when they could not be read, or lie elsewhere."),
    text("sandbox_id", "The pod or sandbox it runs in; NULL for none."),
    Index("containers_image", "snapshot_id", "image_id"),
    Index("containers_name", "name"),
)
facts(
    "container_volumes",
    "What is mounted into a container: volumes, binds, tmpfs, images.",
    key("container_id", "The container."),
    key("destination", "Path inside the container."),
    text("type", "volume, bind, tmpfs, image … as saved."),
    text("name", "Name of the volume; NULL for a bind."),
    text("source", "Path on the original host."),
    text("driver", "Volume driver."),
    integer("read_write", "1 when mounted for writing, 0 when read-only."),
    Index("container_volumes_name", "snapshot_id", "name"),
)
facts(
    "volumes",
    "A volume: a directory in volumes/, or one that only the engine's own database of volumes remembers.",
    key("name", "Name of the volume."),
    text("driver", "Volume driver; only local keeps its volumes here.", nullable=False),
    text("options", "opts.json as stored, or what volumes/metadata.db says where there is none; NULL for neither."),
    text("labels", "Its labels as a JSON object, from volumes/metadata.db; NULL when that does not know it."),
    integer("on_disk", "1 when its directory is in volumes/, or at its place, else 0.", nullable=False),
    integer("apparent_bytes", "Sum of st_size below it, each inode once; NULL when not measured."),
    integer("disk_bytes", "512 * st_blocks below it, each inode once, as du counts; NULL when not measured."),
    integer("entry_count", "Files and folders in it, 0 for an empty one; NULL when not measured."),
    text(
        "place", "Absolute path of its folder where that is not in the root's volumes/; NULL for there, or not known."
    ),
    text("holds", "What was seen in it: the state of a builder, or a whole store of an engine; NULL for neither."),
)
facts(
    "container_logs",
    "A log file of a container, the current one or a rotated one.",
    key("container_id", "The container."),
    key("path", "Path relative to the root; whole for logs of pods, which lie elsewhere."),
    text("driver", "The logging driver that writes such files: json-file, local or k8s-file.", nullable=False),
    integer("rotation", "0 for the current file, counting up for older ones; NULL when the name does not say."),
    integer("apparent_bytes", "st_size.", nullable=False),
    integer("disk_bytes", "512 * st_blocks.", nullable=False),
    text("modified_at", "When it was last written."),
)
facts(
    "build_cache",
    "A record of BuildKit's cache, from metadata_v2.db and its snapshots.",
    key("record_id", "Id of the record."),
    text("cache_id", "Directory that holds its data; NULL when there is none or it cannot be told."),
    text("parent_record_id", "Record it builds on."),
    text("description", "What BuildKit says it is."),
    text("record_type", "regular, internal, frontend, source.local, source.git.checkout or exec.cachemount."),
    integer("size", "Bytes as BuildKit measured them; NULL when not measured."),
    text("created_at", "When it was made."),
    text("last_used_at", "When it was last used; NULL for never."),
    integer("usage_count", "How often it was used."),
    text("snapshot_key", "Key of its snapshot, through which the directory was found."),
    integer("committed", "1 when it is immutable, 0 when it can still be written."),
    text("equal_mutable", "The mutable record that still holds its data."),
    text("chain_id", "Chain id of the layer it is, or pins in layerdb."),
    text("diff_id", "SHA-256 of that layer's tar."),
    text("image_refs", "Image references that led to it, as a JSON list; NULL for none."),
    text("cache_mount", "Id of the cache mount it holds (RUN --mount=type=cache)."),
    integer("deleting", "1 when its removal was begun and not finished, else 0.", nullable=False),
    Index("build_cache_directory", "cache_id", "snapshot_id"),
    Index("build_cache_parent", "snapshot_id", "parent_record_id"),
)
facts(
    "build_cache_parents",
    "All records a build-cache record builds on; more than one after a merge.",
    key("record_id", "Id of the record."),
    position("0 for the first or only one."),
    text("parent_record_id", "Record it builds on, which may be gone.", nullable=False),
)
facts(
    "blobs",
    "A blob of containerd's content store, or what its database knows of one; a blob is shared by namespaces.",
    key("digest", "Digest of its bytes, the file's name."),
    key("namespace", "A namespace that knows it; empty when none does."),
    integer("size", "Its bytes on disk, or as the database says when it is not there."),
    text(
        "media_type",
        "What an image's name, index or manifest says it is; NULL when none of them names it.",
    ),
    text("diff_id", "Of a layer: SHA-256 of its uncompressed tar, as a label or an image says."),
    text("created_at", "When it was written."),
    text("updated_at", "When its labels last changed."),
    integer("on_disk", "1 when its file is there, else 0.", nullable=False),
    text("labels", "Its labels as a JSON object; NULL for none."),
)
facts(
    "containerd_snapshots",
    "A snapshot of containerd, as meta.db and its snapshotter's own database know it.",
    key("snapshotter", "The snapshotter: overlayfs, native …"),
    key("name", "The snapshotter's own name for it: <namespace>/<number>/<key>."),
    text("namespace", "Its namespace.", nullable=False),
    text(
        "snapshot_key",
        "Its key there: a chain id, a container, extract-… (being unpacked), or what a client chose.",
        nullable=False,
    ),
    text("kind", "view, active or committed; NULL when the snapshotter does not know it."),
    text("parent_name", "The snapshot it stands on; NULL for none."),
    text("cache_id", "Its directory: the number in snapshots/<n>; NULL when the snapshotter does not know it."),
    text("chain_id", "Chain id of the layer it is, or will be; NULL for others."),
    integer("size", "Bytes on disk as containerd counted when it was committed; NULL for others."),
    integer("inodes", "Files and folders as containerd counted; NULL for others."),
    text("created_at", "When it was made."),
    text("updated_at", "When it last changed."),
    integer(
        "in_metadata",
        "1 when meta.db knows it, 0 when only the snapshotter does, as until its removal ends.",
        nullable=False,
    ),
    integer(
        "reachable", "1 when an image, container, lease, label or child holds it, 0 when garbage; NULL if unclear."
    ),
    text("labels", "Its labels as a JSON object; NULL for none."),
    Index("containerd_snapshots_directory", "cache_id", "snapshot_id"),
    Index("containerd_snapshots_chain", "chain_id", "snapshot_id"),
)
facts(
    "leases",
    "A lease of containerd: what it names is kept while it lasts.",
    key("namespace", "Its namespace."),
    key("lease_id", "Its id: of Docker's containers the container's, of BuildKit the record's."),
    text("created_at", "When it was made."),
    text("expires_at", "When it ends; NULL for never."),
    text("labels", "Its labels as a JSON object; NULL for none."),
)
facts(
    "lease_resources",
    "What a lease holds.",
    key("namespace", "Namespace of the lease."),
    key("lease_id", "The lease."),
    key("type", "snapshots/<snapshotter>, content, ingests or images."),
    key("resource", "Key of the snapshot, digest, reference or name."),
)
facts(
    "ingests",
    "A download or write into containerd's content store that has not ended.",
    key("name", "Its folder in ingest/, or ref where only the database knows it."),
    text("namespace", "Its namespace; NULL when not known."),
    text("ref", "What is written, such as layer-sha256:…; NULL when it could not be read."),
    text("expected_digest", "The digest it shall have; NULL when not known."),
    text("started_at", "When it began."),
    text("updated_at", "When it was last written."),
    integer("total", "Bytes it shall have; NULL when not known."),
    integer("size", "Bytes it has; NULL when it has no file."),
)
facts(
    "storage_layers",
    "A layer in the list of containers-storage, also one that layers cannot hold: without diff_id, of a container …",
    key("layer_id", "Layer id, the name of its directory."),
    text("parent_layer_id", "Layer below; NULL for a base."),
    text("chain_id", "Chain id of the OCI layer it is; NULL when it is none, or a diff_id below is unknown."),
    text("diff_id", "SHA-256 of its uncompressed tar; NULL when the list does not say."),
    text("compressed_digest", "Digest of the blob it was pulled from."),
    text("toc_digest", "Digest of its table of contents, when pulled in part."),
    text("created_at", "When it was made."),
    integer("size", "Bytes of its tar."),
    integer("compressed_size", "Bytes of its blob."),
    text("names", "Its names as a JSON list; NULL for none."),
    text("state", "complete or incomplete.", nullable=False),
    integer("volatile", "1 when it is in volatile-layers.json, gone after a reboot, else 0.", nullable=False),
    integer("read_only", "1 when it is of an additional image store, else 0.", nullable=False),
    integer("live", "1 when an image or container needs it, else 0; NULL when that cannot be told."),
    Index("storage_layers_chain", "chain_id", "snapshot_id"),
)
