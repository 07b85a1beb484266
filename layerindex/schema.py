"""The database's tables and views: one sentence for each table and column, written here and nowhere else.

`layerindex/schema.sql` is this module compiled (`python -m tools.freeze_schema`): a new database is made from it, so
that a first scan does not wait for SQLAlchemy. `migrations/` carries older databases forward. What changes here needs a
revision there and the file made anew; tests hold all three equal.

Where the design was left, and why: `unfinished_layers` holds what moby left half written or half removed;
`container_volumes` has the columns the design only names; `entries.mtime` is whole seconds with `mtime_ns` beside, not
text, which sorts, compares and is a third of the bytes (view `files` has it as text, `modified_at`); the `*_raw`
columns keep the bytes of names that are not UTF-8; `disk_usage` has a row for each owner, not only each category;
`container_logs` and `build_cache_parents` are tables of their own; the views `snapshot_hosts`, `listed_images`,
`image_names` and `image_labels` say once what most queries need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from layerindex import missing, shown
from layerindex.database import APPLICATION_ID, REVISION
from layerindex.parts import KINDS, NOTHING, named
from layerindex.standing import CLEAR, FACTS, LOST, NAMED_BY, STATES, TOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerindex.parts import Kind

metadata = MetaData()


class View(NamedTuple):
    """A view: its name, the sentence that describes it and its SELECT."""

    name: str
    comment: str
    select: str

    @property
    def ddl(self) -> str:
        """The statement that creates it, with the sentence inside, where `.schema` shows it."""
        return f"CREATE VIEW {self.name} AS /* {self.comment} */\n{self.select.strip()}"


def _comment(text: str | None) -> str:
    """Return the sentence as SQL; Alembic's own table has none."""
    if text is None:
        return ""
    if "*/" in text:
        raise ValueError(f"a comment that would end itself: {text!r}")
    return f" /* {text} */"


@compiles(CreateColumn, "sqlite")
def _column_with_comment(element: CreateColumn, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    ddl: str = compiler.visit_create_column(element, **options)
    return ddl + _comment(element.element.comment)


@compiles(CreateTable, "sqlite")
def _table_with_comment(element: CreateTable, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    ddl: str = compiler.visit_create_table(element, **options)
    return ddl.strip().replace(" (", " (" + _comment(element.element.comment), 1)


def _text(name: str, comment: str, **options: Any) -> Column[str]:  # noqa: ANN401 - Column's own options
    return Column(name, Text, comment=comment, **options)


def _integer(name: str, comment: str, **options: Any) -> Column[int]:  # noqa: ANN401 - Column's own options
    return Column(name, Integer, comment=comment, **options)


def _feature(name: str, comment: str) -> Column[int]:
    return _integer(name, comment, nullable=False, server_default=text("0"))


def _blob(name: str, comment: str) -> Column[bytes]:
    return Column(name, LargeBinary, comment=comment)


def _key(name: str, comment: str) -> Column[str]:
    return _text(name, comment, primary_key=True, nullable=False)


def _position(comment: str) -> Column[int]:
    return _integer("position", comment, primary_key=True, nullable=False)


def _reference(name: str, target: str, comment: str, **options: Any) -> Column[int]:  # noqa: ANN401
    cascade = ForeignKey(target, ondelete="CASCADE")
    return Column(name, Integer, cascade, comment=comment, nullable=False, **options)


def _number(name: str, comment: str, **options: Any) -> Column[int]:  # noqa: ANN401 - Column's own options
    """A column that holds the number of a name; a view has the name itself."""
    key = ForeignKey("part_names.name_id")
    said = f"{comment.removesuffix('.')} (its number in part_names, 0 for NULL)."
    return Column(name, Integer, key, comment=said, nullable=False, info={"said": comment}, **options)


def _texts(words: Iterable[str]) -> str:
    """Return words of our own as a list of SQL texts."""
    return ", ".join(f"'{word}'" for word in words)


def _named_by() -> str:
    """Return as rows for each kind of thing the facts that could name a user of it."""
    pairs = ((thing, fact) for thing, facts in NAMED_BY.items() for fact in facts)
    return f"VALUES {', '.join(f'({_texts(pair)})' for pair in pairs)}"


def _standings(kind: str, comment: str, of: str, used: str) -> View:
    """Return the view that says of each thing of one kind: used, else unknown where a source is in doubt, else unused.

    `of` is its table with an alias and its key with that; `used` is the condition, or the columns, that say so.
    """
    table, alias, key = of.split()
    return View(
        f"{kind}_standings",
        comment,
        f"""
SELECT snapshot_id, {key},
  CASE WHEN used THEN 'used' WHEN doubt IS NOT NULL THEN 'unknown' ELSE 'unused' END AS standing,
  CASE WHEN NOT used THEN doubt END AS because
FROM (
  SELECT {alias}.snapshot_id, {alias}.{key}, {used} AS used, d.because AS doubt
  FROM {table} AS {alias} LEFT JOIN doubts AS d ON d.snapshot_id = {alias}.snapshot_id AND d.thing = '{kind}')""",  # noqa: S608 - words of our own
    )


def _numbered(name: str, comment: str, *columns: Column[Any] | Index) -> Table:
    """A table whose rows this database numbers itself."""
    return Table(name, metadata, *columns, comment=comment, sqlite_strict=True)


def _facts(name: str, comment: str, *columns: Column[Any] | Index) -> Table:
    """A table of facts that belong to one snapshot and go with it."""
    snapshot = _reference(
        "snapshot_id", "snapshots.snapshot_id", "The snapshot this fact belongs to.", primary_key=True
    )
    return Table(name, metadata, snapshot, *columns, comment=comment, sqlite_strict=True, sqlite_with_rowid=False)


def _part(name: str, comment: str, *columns: Column[Any] | Index) -> Table:
    """A table of rows that belong to a part, and are in each snapshot that has it."""
    part = _reference("part_id", "parts.part_id", "The part these rows belong to.", primary_key=True)
    return Table(name, metadata, part, *columns, comment=comment, sqlite_strict=True, sqlite_with_rowid=False)


_numbered(
    "hosts",
    "A machine whose stores were scanned.",
    _integer("host_id", "Number of the host in this database.", primary_key=True),
    _text("name", "Name given with --host, by default the machine's host name.", nullable=False),
    _text("machine_id", "What /etc/machine-id says on the machine that ran the scan; NULL when it says nothing."),
    Index("hosts_name", "name"),
)
_numbered(
    "snapshots",
    "One store, at one host, at one time; written in one transaction and never edited.",
    _integer("snapshot_id", "Number of the snapshot in this database.", primary_key=True),
    _text("uid", "Random hex that names the snapshot in every database it is copied to.", nullable=False, unique=True),
    _reference("host_id", "hosts.host_id", "The host that holds the store."),
    _text(
        "store",
        "Kind of store: docker-overlay2, docker-vfs, docker-containerd-overlayfs, containerd-overlayfs, "
        "containers-storage-overlay …",
        nullable=False,
    ),
    _text("root", "Absolute path of the store's root where it was scanned, symlinks resolved.", nullable=False),
    _text("driver", "Storage driver as the engine names it, or containerd's snapshotter.", nullable=False),
    _text(
        "folder",
        "Where the driver's directories lie: below root, such as overlay2, or an absolute path outside it.",
        nullable=False,
    ),
    _text("engine_id", "What the root's engine-id file says (Docker 23 and later)."),
    _text("label", "Text given with --label."),
    _text("started_at", "When the scan of this store began.", nullable=False),
    _text("finished_at", "When the scan of this store ended.", nullable=False),
    _text(
        "ordered_at",
        "What says which snapshot of a host, store and root is newer: started_at, or 1 ms after the newest that was "
        "there where the clock had gone back, and when it came for one that is dated later; of equal ones the greater "
        "uid is newer.",
        nullable=False,
    ),
    _text("received_at", "When it was imported, by the clock of who did; NULL where it was scanned here."),
    _text("status", "complete: every place was tried; what could not be read is in problems.", nullable=False),
    _text(
        "scope", "How far the scan read: metadata (--no-files), files, or walk (--walk: all of them).", nullable=False
    ),
    _feature("reads_directories", "1 when its directories are in overlay_dirs, 0 for a driver whose are not read."),
    _feature("keeps_links", "1 when its directories have short names, and lower lists by those, else 0."),
    _feature("mounts_inside", "1 when a directory has merged/ only while something is mounted on it, else 0."),
    _feature(
        "guards_images",
        "1 when its engine removes no image that a container needs, nor by id one that several repositories name.",
    ),
    _feature("collects_garbage", "1 when layers and content go that no name, container or lease holds, else 0."),
    _text("tool_version", "Version of layerindex that wrote the snapshot.", nullable=False),
    Index("snapshots_host", "host_id", "store", "root"),
)
_numbered(
    "parts",
    "Rows that snapshots share, such as what an image's config says: stored once, under the digest of what they say.",
    _integer("part_id", "Number of the part in this database.", primary_key=True),
    Column(
        "digest",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256 of its rows in one form (layerindex.parts), by which equal rows are found; 32 bytes.",
    ),
)
_numbered(
    "part_names",
    "Names that stand in many rows of parts, which have their numbers: of directories, short names …",
    _integer("name_id", "Number of the name in this database; 0 stands for NULL.", primary_key=True),
    _text("name", "The name; NULL for number 0 alone.", unique=True),
    _integer("bucket", "A number that is made from the name (layerindex.parts), by which rows are parts."),
)
_facts(
    "stored_images",
    "An image of a snapshot: what only its store says of it, and the part that holds what its config says.",
    _key(
        "image_id",
        "Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it.",
    ),
    _reference("part_id", "parts.part_id", "The part with its rows in part_images and the tables beside it."),
    _text(
        "target_digest",
        "What Docker on containerd and ctr show for it: the digest of the manifest or index that its first name leads "
        "to; NULL elsewhere.",
    ),
    _integer(
        "size", "Sum of its layers' size, as docker images shows it without containerd; NULL when one is unknown."
    ),
    _text("parent_image_id", "Parent image that the classic builder or commit recorded in imagedb/metadata."),
    _text("last_updated_at", "When a tag was last put on it (imagedb/metadata lastUpdated)."),
    Index("stored_images_parent", "snapshot_id", "parent_image_id", "part_id"),
    Index("stored_images_part", "part_id", "snapshot_id"),
)
_part(
    "part_images",
    "What an image's config says of it as a whole; view images has it for each snapshot.",
    _text("created_at", "When the config says it was created; NULL when absent or Go's zero time."),
    _text("architecture", "CPU architecture, such as amd64."),
    _text("os", "Operating system, such as linux."),
    _text("variant", "CPU variant, such as v8."),
    _integer("layer_count", "How many layers it has.", nullable=False),
    _integer("verified", "1 when the SHA-256 of the stored bytes is the image id, else 0.", nullable=False),
)
_part(
    "part_image_configs",
    "The config of an image, apart from what is read of it: few questions need it, and it is most of the bytes.",
    _text("config", "The config JSON as stored.", nullable=False),
)
_facts(
    "image_refs",
    "A name of an image: a tag or a digest; in containerd one row for each of its platforms that is here.",
    _key("ref", "The whole reference as stored, such as debian:12 or docker.io/library/debian:12."),
    _text("repository", "Its repository, such as debian or localhost:5000/team/app.", nullable=False),
    _text("tag", "Its tag; NULL for a digest reference."),
    _text("digest", "Its manifest digest; NULL for a tag."),
    _key("image_id", "The image it names, which may be missing; where only a manifest's digest is known, that."),
    _key("namespace", "The namespace of containerd it stands in; empty in other stores."),
    _text(
        "normalized",
        "The reference in full, equal in every store: docker.io/library/debian:12 for debian:12.",
        nullable=False,
    ),
    _text("target_digest", "In containerd the digest of the manifest or index that it leads to; NULL elsewhere."),
    Index("image_refs_image", "snapshot_id", "image_id"),
    Index("image_refs_normalized", "normalized"),
)
_facts(
    "image_manifests",
    "A manifest or index that leads to images, or is listed by one that does; its blob may be absent.",
    _key("digest", "Digest of the manifest or index."),
    _key("image_id", "The image whose config it names; empty for an index, an attestation, or when it cannot be told."),
    _key("index_digest", "The index that lists it; empty where a name leads to it, or when it is not known."),
    _text(
        "kind",
        "image, index, attestation (of another manifest), artifact (something that is no image) or unknown.",
        nullable=False,
    ),
    _text("media_type", "Its media type as its index, its name or it itself says."),
    _integer("size", "Its bytes."),
    _text("os", "Operating system, as the index says."),
    _text("architecture", "CPU architecture, as the index says."),
    _text("variant", "CPU variant, as the index says."),
    _text("subject_digest", "Of an attestation: the manifest it speaks of."),
    _integer("on_disk", "1 when its blob is in the store, 0 when absent, as of platforms that were not pulled."),
    Index("image_manifests_image", "snapshot_id", "image_id"),
)
_part(
    "part_image_layers",
    "The layers of an image in order, as its config lists them; view image_layers has them for each snapshot.",
    _position("0 for the base, counting up."),
    _text("diff_id", "SHA-256 of the layer's uncompressed tar.", nullable=False),
    _text("chain_id", "Digest of this layer and all below it: sha256(chain below + ' ' + diff_id).", nullable=False),
    Index("part_image_layers_chain", "chain_id"),
    Index("part_image_layers_diff", "diff_id"),
)
_part(
    "part_image_history",
    "The build steps of an image, as its config lists them; view image_history has them for each snapshot.",
    _position("0 for the first step, counting up."),
    _text("created_at", "When the step ran."),
    _text("created_by", "The command of the step."),
    _text("author", "Author of the step."),
    _text("comment", "Comment of the step, such as buildkit.dockerfile.v0 or Imported from -."),
    _integer("empty_layer", "1 when the step made no layer, else 0.", nullable=False),
    _integer("layer_position", "image_layers.position of the layer it made; NULL when it made none."),
)
_facts(
    "layers",
    "A layer that the store has, unpacked or as a blob: a diff_id at one place in a chain.",
    _key("chain_id", "Chain id: digest of this layer and all below it, the same in every store."),
    _text("diff_id", "SHA-256 of the layer's uncompressed tar; NULL when the store does not say, or it is unreadable."),
    _text("parent_chain_id", "Chain id of the layer below; NULL for a base layer."),
    _text("cache_id", "Name of its directory in the driver's folder; NULL when it is not unpacked, or not known."),
    _integer(
        "size",
        "Bytes as the engine counted: in layerdb lstat sizes, BuildKit's tar payload; in containerd blocks on disk.",
    ),
    _integer("verified", "1 when the chain id is the digest of parent and diff_id, 0 when not, NULL when unknown."),
    _integer("listing_id", "The listing of its files; NULL when not indexed."),
    Index("layers_diff", "diff_id", "snapshot_id"),
    Index("layers_cache", "cache_id", "snapshot_id"),
    Index("layers_parent", "snapshot_id", "parent_chain_id"),
)
_facts(
    "unfinished_layers",
    "What moby left half done: layerdb/sha256/<chain>-<random>-removing and layerdb/tmp/write-set-<n>.",
    _key("name", "Name of the directory."),
    _text("state", "removing or writing.", nullable=False),
    _text("chain_id", "Chain id of a layer being removed, from the directory's name."),
    _text("diff_id", "SHA-256 of the layer's tar, if already or still there."),
    _text("parent_chain_id", "Chain id of the layer below, if already or still there."),
    _text("cache_id", "Name of its directory in the driver's folder, if already or still there."),
    _integer("size", "Bytes as its size file says, if already or still there."),
)
_facts(
    "layer_blobs",
    "Compressed blobs of a layer: in Docker as distribution/ remembers them, after rmi too; else as manifests say.",
    _key("diff_id", "SHA-256 of the layer's uncompressed tar."),
    _key("digest", "Digest of the compressed blob."),
    _key("source_repository", "Repository it was seen in; empty when none is remembered."),
    Index("layer_blobs_digest", "digest"),
)
_facts(
    "overlay_dirs",
    "A directory in the driver's folder: overlay2/<cache-id>, overlay/<layer id>, or snapshots/<n> of containerd.",
    _key("cache_id", "Name of the directory."),
    _text(
        "role",
        "layer, container, init, build-cache, removing, mount (of something not a container), in-flight, foreign (not "
        "of the driver's making), orphan, unknown.",
        nullable=False,
    ),
    _text("link", "Short name in l/, from the directory's link file; NULL where the driver has none."),
    _integer(
        "lower_count", "How many directories lie below it, as its lower file or the snapshotter says; 0 for a base."
    ),
    _integer(
        "has_diff", "1 when the folder with its own files is there (diff/, containerd: fs/), else 0.", nullable=False
    ),
    _integer("has_work", "1 when work/ is there, else 0.", nullable=False),
    _integer("has_merged", "1 when merged/ is there, else 0; a running container is mounted on it.", nullable=False),
    _integer(
        "committed",
        "1 when it is known to be committed (a child was made from it, a committed snapshot), else 0.",
        nullable=False,
    ),
    _integer("apparent_bytes", "Sum of st_size below diff/, each inode once, as read from its listing; NULL if not."),
    _integer("disk_bytes", "512 * st_blocks below diff/, each inode once, as du counts; NULL when not walked."),
    _integer(
        "entry_count",
        "Entries of its listing; a walk has diff/ itself too: 1 for an empty one; NULL without one.",
    ),
    _integer("listing_id", "The listing of its files; NULL when not indexed."),
    _text(
        "unknown_because",
        "For role unknown: what it may be, by what it stands on; standings says what may name it.",
    ),
    Index("overlay_dirs_link", "link", "snapshot_id"),
    Index("overlay_dirs_cache", "cache_id"),
)
_facts(
    "sources",
    "A place that could name a user of something: what it tells, and in which state it was.",
    _key("kind", f"What it tells: {', '.join(FACTS)}."),
    _key("path", "Where it is, relative to the root or absolute; control characters escaped."),
    _text("state", f"{', '.join(STATES)}; layerindex schema states explains them.", nullable=False),
    _text("detail", "What was found, or what needs it; NULL for nothing to say."),
)
_facts(
    "stored_directories",
    "What a snapshot knows of the directories of each bucket: who needs them, and what is below them.",
    _integer("bucket", "The bucket, as part_names.bucket.", primary_key=True, nullable=False),
    _reference("part_id", "parts.part_id", "The part with its rows in part_lowers and the tables beside it."),
    Index("stored_directories_part", "part_id", "snapshot_id"),
)
_part(
    "part_lowers",
    "The directories below a directory; view overlay_lowers has them, by name, for each snapshot.",
    _number("cache_id", "Name of the directory.", primary_key=True),
    _position("0 for the nearest parent, the base last."),
    _number("link", "Short name as the lower file says it; NULL where there are no short names."),
    _number("lower_cache_id", "The directory; NULL when the short name leads nowhere."),
    Index("part_lowers_lower", "lower_cache_id", "part_id"),
)
_part(
    "part_uses",
    "A thing and one that needs it; view recorded_uses has them, by name, for each snapshot.",
    _number(
        "used_kind",
        "What is needed: directory, layer, image, volume, mount (a writable layer) or snapshot (of BuildKit, lost).",
        primary_key=True,
    ),
    _number(
        "used",
        "Name of the directory, chain id, image id, name of the volume or mount, or key of the snapshot.",
        primary_key=True,
    ),
    _number(
        "user_kind",
        "Of a directory: layer, storage-layer, container, init, image-mount, build-mount, mount, mount-init, "
        "build-cache, build-snapshot, snapshot, removing, writing, lower (another directory's list names it); a "
        "layer's also image, container-base, mount-base. Of an image or volume: container, manifest list, store, "
        "pinned (by Kubernetes). Of what is not here: removing (the user goes, too), borrowed (another store of the "
        "host lends it), storage-layer (a layer of an unknown chain that it must be).",
        primary_key=True,
    ),
    _number(
        "user",
        "Chain id, image id, container id, name in layerdb/mounts, build-cache record, key in snapshots.db, key "
        "or name of a snapshot of containerd, layer id, write-set, the directory whose lower names it, or another "
        "store of this host with what in it.",
        primary_key=True,
    ),
    _number("source", "The kind of fact that says so, as sources.kind names it."),
)
_part(
    "part_links",
    "A short name in l/; view links has them for each snapshot.",
    _number("link", "The short name: 26 characters of base32.", primary_key=True),
    _text("target", "What the symlink says, unfollowed; NULL when it is not a symlink."),
    _number("cache_id", "Directory it leads to; NULL when the target is not ../<cache-id>/diff or that is gone."),
    Index("part_links_cache", "cache_id", "part_id"),
)
_facts(
    "mounts",
    "A writable layer: of a container, an image mount or a builder; in Docker an entry of layerdb/mounts.",
    _key("name", "Name of the entry: a container id, a snapshot's key, or what else asked for the layer."),
    _text("mount_id", "Directory of the writable layer; NULL when the file could not be read."),
    _text("init_id", "Directory of the init layer below it; NULL when there is none."),
    _text("parent_chain_id", "Chain id of the image layer below; NULL for an image without layers."),
    _text("container_id", "The container of that name; NULL when there is none."),
    Index("mounts_mount", "mount_id"),
    Index("mounts_parent", "snapshot_id", "parent_chain_id"),
)
_facts(
    "containers",
    "A container, as its engine last saved it.",
    _key("container_id", "Container id."),
    _key("namespace", "The namespace of containerd it is in: moby, k8s.io, default …; empty where there is none."),
    _text("name", "Name without the leading slash."),
    _text("image_id", "The image it runs, which may have been removed; NULL when only target_digest is known."),
    _text("target_digest", "The digest of the manifest or index it was made from, where its engine says that instead."),
    _text("image_ref", "The image as the user named it, which may name another image by now."),
    _text(
        "state",
        "running, paused, restarting, removing, dead, created or exited, as saved; unknown if that is not on disk.",
    ),
    _text("created_at", "When it was created."),
    _text("started_at", "When it last started; NULL for never."),
    _text("finished_at", "When it last ended; NULL for never."),
    _integer("exit_code", "Exit code of its last run."),
    _text("driver", "Storage driver it was made with."),
    _text("mount_id", "Directory of its writable layer."),
    _text("log_driver", "Logging driver, from hostconfig.json."),
    _text("log_path", "Log file as the engine named it on the original host."),
    _integer("log_bytes", "Bytes of its log files with rotations; NULL when they could not be read, or lie elsewhere."),
    _text("sandbox_id", "The pod or sandbox it runs in; NULL for none."),
    Index("containers_image", "snapshot_id", "image_id"),
    Index("containers_name", "name"),
)
_facts(
    "container_volumes",
    "What is mounted into a container: volumes, binds, tmpfs, images.",
    _key("container_id", "The container."),
    _key("destination", "Path inside the container."),
    _text("type", "volume, bind, tmpfs, image … as saved."),
    _text("name", "Name of the volume; NULL for a bind."),
    _text("source", "Path on the original host."),
    _text("driver", "Volume driver."),
    _integer("read_write", "1 when mounted for writing, 0 when read-only."),
    Index("container_volumes_name", "snapshot_id", "name"),
)
_facts(
    "volumes",
    "A volume: a directory in volumes/, or one that only the engine's own database of volumes remembers.",
    _key("name", "Name of the volume."),
    _text("driver", "Volume driver; only local keeps its volumes here.", nullable=False),
    _text("options", "opts.json as stored, or what volumes/metadata.db says where there is none; NULL for neither."),
    _text("labels", "Its labels as a JSON object, from volumes/metadata.db; NULL when that does not know it."),
    _integer("on_disk", "1 when its directory is in volumes/, or at its place, else 0.", nullable=False),
    _integer("apparent_bytes", "Sum of st_size below it, each inode once; NULL when not measured."),
    _integer("disk_bytes", "512 * st_blocks below it, each inode once, as du counts; NULL when not measured."),
    _integer("entry_count", "Files and folders in it, 0 for an empty one; NULL when not measured."),
    _text(
        "place", "Absolute path of its folder where that is not in the root's volumes/; NULL for there, or not known."
    ),
    _text("holds", "What was seen in it: the state of a builder, or a whole store of an engine; NULL for neither."),
)
_facts(
    "container_logs",
    "A log file of a container, the current one or a rotated one.",
    _key("container_id", "The container."),
    _key("path", "Path relative to the root; whole for logs of pods, which lie elsewhere."),
    _text("driver", "The logging driver that writes such files: json-file, local or k8s-file.", nullable=False),
    _integer("rotation", "0 for the current file, counting up for older ones; NULL when the name does not say."),
    _integer("apparent_bytes", "st_size.", nullable=False),
    _integer("disk_bytes", "512 * st_blocks.", nullable=False),
    _text("modified_at", "When it was last written."),
)
_facts(
    "build_cache",
    "A record of BuildKit's cache, from metadata_v2.db and its snapshots.",
    _key("record_id", "Id of the record."),
    _text("cache_id", "Directory that holds its data; NULL when there is none or it cannot be told."),
    _text("parent_record_id", "Record it builds on."),
    _text("description", "What BuildKit says it is."),
    _text("record_type", "regular, internal, frontend, source.local, source.git.checkout or exec.cachemount."),
    _integer("size", "Bytes as BuildKit measured them; NULL when not measured."),
    _text("created_at", "When it was made."),
    _text("last_used_at", "When it was last used; NULL for never."),
    _integer("usage_count", "How often it was used."),
    _text("snapshot_key", "Key of its snapshot, through which the directory was found."),
    _integer("committed", "1 when it is immutable, 0 when it can still be written."),
    _text("equal_mutable", "The mutable record that still holds its data."),
    _text("chain_id", "Chain id of the layer it is, or pins in layerdb."),
    _text("diff_id", "SHA-256 of that layer's tar."),
    _text("image_refs", "Image references that led to it, as a JSON list; NULL for none."),
    _text("cache_mount", "Id of the cache mount it holds (RUN --mount=type=cache)."),
    _integer("deleting", "1 when its removal was begun and not finished, else 0.", nullable=False),
    Index("build_cache_directory", "cache_id", "snapshot_id"),
    Index("build_cache_parent", "snapshot_id", "parent_record_id"),
)
_facts(
    "build_cache_parents",
    "All records a build-cache record builds on; more than one after a merge.",
    _key("record_id", "Id of the record."),
    _position("0 for the first or only one."),
    _text("parent_record_id", "Record it builds on, which may be gone.", nullable=False),
)
_facts(
    "blobs",
    "A blob of containerd's content store, or what its database knows of one; a blob is shared by namespaces.",
    _key("digest", "Digest of its bytes, the file's name."),
    _key("namespace", "A namespace that knows it; empty when none does."),
    _integer("size", "Its bytes on disk, or as the database says when it is not there."),
    _text(
        "media_type",
        "What an image's name, index or manifest says it is; NULL when none of them names it.",
    ),
    _text("diff_id", "Of a layer: SHA-256 of its uncompressed tar, as a label or an image says."),
    _text("created_at", "When it was written."),
    _text("updated_at", "When its labels last changed."),
    _integer("on_disk", "1 when its file is there, else 0.", nullable=False),
    _text("labels", "Its labels as a JSON object; NULL for none."),
)
_facts(
    "containerd_snapshots",
    "A snapshot of containerd, as meta.db and its snapshotter's own database know it.",
    _key("snapshotter", "The snapshotter: overlayfs, native …"),
    _key("name", "The snapshotter's own name for it: <namespace>/<number>/<key>."),
    _text("namespace", "Its namespace.", nullable=False),
    _text(
        "snapshot_key",
        "Its key there: a chain id, a container, extract-… (being unpacked), or what a client chose.",
        nullable=False,
    ),
    _text("kind", "view, active or committed; NULL when the snapshotter does not know it."),
    _text("parent_name", "The snapshot it stands on; NULL for none."),
    _text("cache_id", "Its directory: the number in snapshots/<n>; NULL when the snapshotter does not know it."),
    _text("chain_id", "Chain id of the layer it is, or will be; NULL for others."),
    _integer("size", "Bytes on disk as containerd counted when it was committed; NULL for others."),
    _integer("inodes", "Files and folders as containerd counted; NULL for others."),
    _text("created_at", "When it was made."),
    _text("updated_at", "When it last changed."),
    _integer(
        "in_metadata",
        "1 when meta.db knows it, 0 when only the snapshotter does, as until its removal ends.",
        nullable=False,
    ),
    _integer(
        "reachable", "1 when an image, container, lease, label or child holds it, 0 when garbage; NULL if unclear."
    ),
    _text("labels", "Its labels as a JSON object; NULL for none."),
    Index("containerd_snapshots_directory", "cache_id", "snapshot_id"),
    Index("containerd_snapshots_chain", "chain_id", "snapshot_id"),
)
_facts(
    "leases",
    "A lease of containerd: what it names is kept while it lasts.",
    _key("namespace", "Its namespace."),
    _key("lease_id", "Its id: of Docker's containers the container's, of BuildKit the record's."),
    _text("created_at", "When it was made."),
    _text("expires_at", "When it ends; NULL for never."),
    _text("labels", "Its labels as a JSON object; NULL for none."),
)
_facts(
    "lease_resources",
    "What a lease holds.",
    _key("namespace", "Namespace of the lease."),
    _key("lease_id", "The lease."),
    _key("type", "snapshots/<snapshotter>, content, ingests or images."),
    _key("resource", "Key of the snapshot, digest, reference or name."),
)
_facts(
    "ingests",
    "A download or write into containerd's content store that has not ended.",
    _key("name", "Its folder in ingest/, or ref where only the database knows it."),
    _text("namespace", "Its namespace; NULL when not known."),
    _text("ref", "What is written, such as layer-sha256:…; NULL when it could not be read."),
    _text("expected_digest", "The digest it shall have; NULL when not known."),
    _text("started_at", "When it began."),
    _text("updated_at", "When it was last written."),
    _integer("total", "Bytes it shall have; NULL when not known."),
    _integer("size", "Bytes it has; NULL when it has no file."),
)
_facts(
    "storage_layers",
    "A layer in the list of containers-storage, also one that layers cannot hold: without diff_id, of a container …",
    _key("layer_id", "Layer id, the name of its directory."),
    _text("parent_layer_id", "Layer below; NULL for a base."),
    _text("chain_id", "Chain id of the OCI layer it is; NULL when it is none, or a diff_id below is unknown."),
    _text("diff_id", "SHA-256 of its uncompressed tar; NULL when the list does not say."),
    _text("compressed_digest", "Digest of the blob it was pulled from."),
    _text("toc_digest", "Digest of its table of contents, when pulled in part."),
    _text("created_at", "When it was made."),
    _integer("size", "Bytes of its tar."),
    _integer("compressed_size", "Bytes of its blob."),
    _text("names", "Its names as a JSON list; NULL for none."),
    _text("state", "complete or incomplete.", nullable=False),
    _integer("volatile", "1 when it is in volatile-layers.json, gone after a reboot, else 0.", nullable=False),
    _integer("read_only", "1 when it is of an additional image store, else 0.", nullable=False),
    _integer("live", "1 when an image or container needs it, else 0; NULL when that cannot be told."),
    Index("storage_layers_chain", "chain_id", "snapshot_id"),
)
_facts(
    "problems",
    "What was missing, torn, odd or hostile in the store; the scan went on.",
    Column("problem_id", Integer, primary_key=True, nullable=False, comment="Number within the snapshot."),
    _text("severity", "error: information is lost; warning: it is odd; info: good to know.", nullable=False),
    _text("code", "Short name of the kind of problem; layerindex schema codes lists them all.", nullable=False),
    _text("path", "Where, relative to the root, control characters escaped.", nullable=False),
    _text("subject", "The id or name it concerns, where there is one."),
    _text("detail", "What was found, in a sentence.", nullable=False),
)
_facts(
    "stored_usage",
    "What a snapshot says of the bytes of the holders of each bucket.",
    _integer("bucket", "The bucket, as part_names.bucket.", primary_key=True, nullable=False),
    _reference("part_id", "parts.part_id", "The part with its rows in part_usage."),
    Index("stored_usage_part", "part_id", "snapshot_id"),
)
_part(
    "part_usage",
    "Who holds how many bytes; view disk_usage has them, by name, for each snapshot.",
    _number(
        "category",
        "What holds the bytes, such as image layer, container, build cache, logs, volumes, unaccounted.",
        primary_key=True,
    ),
    _number(
        "owner",
        "Directory, container, volume or folder it is; empty where the category is one thing.",
        primary_key=True,
    ),
    _integer("items", "How many files and folders they are, or of how many things; NULL when not counted."),
    _integer("apparent_bytes", "Sum of st_size, each inode once; where disk_bytes is NULL as metadata says."),
    _integer("disk_bytes", "512 * st_blocks, each inode once, as du counts; NULL when not measured."),
    _integer("counted_by_docker", "1 when docker system df counts it, else 0.", nullable=False),
    _number("note", "How the figure was found."),
    _text(
        "place",
        "Where it lies if not on the root's own filesystem: the folder of the root on which another is mounted, or "
        "where a symlink leads; NULL for what du -s -x counts.",
    ),
)
_facts(
    "drift",
    "Where a layer's directory differs from its tar-split (scan --walk).",
    _key("cache_id", "The layer's directory."),
    _key("path", "Path inside the layer."),
    _text("kind", "added, removed or changed.", nullable=False),
    _text("expected", "What tar-split says, as JSON of the fields that differ; NULL when added."),
    _text("found", "What the directory says, as JSON of the fields that differ; NULL when removed."),
)
_numbered(
    "listings",
    "The files of one layer or directory; a layer's listing is stored once for all snapshots and hosts.",
    _integer("listing_id", "Number of the listing in this database.", primary_key=True),
    _text("diff_id", "The layer it lists; NULL for a walked directory that is not a layer."),
    _text(
        "source",
        "tar-split (the layer's tar headers), blob (its tar itself) or walk (the directory).",
        nullable=False,
    ),
    _text("witness", "Identity and times of a walked directory's root, to know it again; NULL for others."),
    _integer(
        "complete", "1 when everything was read, 0 when the source was damaged or unreadable in part.", nullable=False
    ),
    _integer("entry_count", "How many entries it has.", nullable=False),
    _integer("total_size", "Sum of the sizes of its regular files.", nullable=False),
    _integer("apparent_bytes", "Sum of st_size of all but folders, each inode once, a symlink's length included."),
    _integer("disk_bytes", "512 * st_blocks, each inode once; NULL unless walked."),
    _blob("digest", "SHA-256 of a layer's listing, made where it was compared with another's; NULL where not yet."),
    _feature("imported", "1 when it came with an import: a scan reads the layer itself; else 0."),
    Index("listings_diff", "diff_id"),
    Index("listings_witness", "witness"),
)
_numbered(
    "directories",
    "The dictionary of directory paths, shared by all listings.",
    _integer("directory_id", "Number of the path in this database.", primary_key=True),
    _text(
        "path",
        "Path from the layer's root, which is /; bytes that are not UTF-8 as \\xNN.",
        nullable=False,
        unique=True,
    ),
    _blob("path_raw", "The path's bytes where path is an escaped form; NULL else."),
)
Table(
    "entries",
    metadata,
    _reference("listing_id", "listings.listing_id", "The listing it belongs to.", primary_key=True),
    Column(
        "directory_id",
        Integer,
        ForeignKey("directories.directory_id"),
        primary_key=True,
        nullable=False,
        comment="The directory it lies in.",
    ),
    _key("name", "Its name; a whiteout's is the name it hides; empty for the root; bytes that are not UTF-8 as \\xNN."),
    _blob("name_raw", "The name's bytes where name is an escaped form; NULL else."),
    _text("type", "file, dir, symlink, hardlink, char, block, fifo, socket or whiteout.", nullable=False),
    _integer("mode", "Permission bits with setuid, setgid and sticky (st_mode & 07777); NULL when unknown."),
    _integer("uid", "Owner: in tar-split as in the tar, in a walk as on disk."),
    _integer("gid", "Group: in tar-split as in the tar, in a walk as on disk."),
    _integer("size", "Bytes of content; for a symlink the length of its target; 0 for others."),
    _integer("mtime", "Modification time in whole seconds since 1970, clamped as Docker clamps it."),
    _integer("mtime_ns", "Nanoseconds beside mtime; NULL for 0."),
    _text("link_target", "A symlink's target as it stands; a hard link's first name, as a path from the layer's root."),
    _blob("link_target_raw", "The target's bytes where link_target is an escaped form; NULL else."),
    _text("device", "major:minor of a device."),
    _integer("content_crc64", "CRC-64/GO-ISO of a regular file's content as a signed integer; NULL when unknown."),
    _integer("opaque", "A directory's: 1 when it hides all below it in lower layers, 0 when not, NULL when unknown."),
    _text("xattrs", "Names of its extended attributes as a JSON list; NULL for none."),
    _blob("capability", "Value of its security.capability attribute."),
    _integer("sparse", "1 for a sparse tar member, whose content tar-split cannot rebuild."),
    Index("entries_name", "name"),
    Index("entries_hiding", "listing_id", "directory_id", "name", sqlite_where=text(shown.HIDING.format(""))),
    Index("entries_links", "listing_id", "link_target", sqlite_where=text(shown.LINKS)),
    comment="One file or folder of a listing.",
    sqlite_strict=True,
    sqlite_with_rowid=False,
)


class Shown(NamedTuple):
    """A view that has the rows of parts for each snapshot, under the name and with the columns of a table of facts."""

    name: str
    comment: str
    columns: tuple[str, ...]
    """Each with the table that it comes from."""
    join: str
    other: str = ""
    """FROM and WHERE for a table that is not joined."""


_SHOWN = (
    Shown(
        "images",
        "An image whose config is in the store; its id, the same in every store, is the SHA-256 of the config's bytes.",
        (
            *("stored_images.snapshot_id", "stored_images.image_id", "part_images.created_at"),
            *("part_images.architecture", "part_images.os", "part_images.variant", "stored_images.target_digest"),
            *("stored_images.size", "part_images.layer_count", "stored_images.parent_image_id"),
            *("stored_images.last_updated_at", "part_images.verified", "part_image_configs.config"),
        ),
        "stored_images JOIN part_images ON part_images.part_id = stored_images.part_id",
        "FROM part_image_configs WHERE part_image_configs.part_id = stored_images.part_id",
    ),
    Shown(
        "image_layers",
        "The layers of an image in order, as its config lists them.",
        (
            *("stored_images.snapshot_id", "stored_images.image_id", "part_image_layers.position"),
            *("part_image_layers.diff_id", "part_image_layers.chain_id"),
        ),
        "stored_images JOIN part_image_layers ON part_image_layers.part_id = stored_images.part_id",
    ),
    Shown(
        "image_history",
        "The build steps of an image, as its config lists them.",
        (
            *("stored_images.snapshot_id", "stored_images.image_id", "part_image_history.position"),
            *("part_image_history.created_at", "part_image_history.created_by", "part_image_history.author"),
            *("part_image_history.comment", "part_image_history.empty_layer", "part_image_history.layer_position"),
        ),
        "stored_images JOIN part_image_history ON part_image_history.part_id = stored_images.part_id",
    ),
)


def _shown(view: Shown) -> View:
    """Return such a view, with the sentence of each column where `.schema` and `layerindex schema` show it."""
    lines = []
    for place, column in enumerate(view.columns, 1):
        table, _, name = column.partition(".")
        comma = "," if place < len(view.columns) else ""
        # What is joined is looked for whether it is asked for or not.
        shown = column if table in view.join else f"(SELECT {column} {view.other}) AS {name}"
        lines.append(f"  {shown}{comma}{_comment(metadata.tables[table].c[name].comment)}")
    select = "SELECT\n" + "\n".join(lines) + f"\nFROM {view.join}"
    return View(view.name, view.comment, select)


USAGE = (
    "Who holds how many bytes below the root; after scan --walk those without a place add up to what du -s -x prints."
)
_SCATTERED = {
    "overlay_lowers": (
        "The directories below a directory, as its lower file lists them or containerd's snapshotter knows them.",
        ("link",),
    ),
    "recorded_uses": ("A thing and one that needs it, where no other table says so; view uses has all.", ("source",)),
    "links": ("A short name in l/, which keeps mount options under a page.", ()),
    "disk_usage": (USAGE, ("note",)),
}
"""The views of parts in buckets: what each shows, and its columns by which nothing is looked for."""


def _scattered(kind: Kind, table: str) -> View:
    """Return the view that has the rows of parts in buckets for each snapshot, with names in the place of numbers."""
    rows = kind.tables[table]
    comment, shown = _SCATTERED[rows.view]
    joins = [f"FROM {kind.stored} AS s JOIN {table} AS r ON r.part_id = s.part_id"]
    shows: dict[str, str] = {}
    columns = [("s.snapshot_id", metadata.tables[kind.stored].c.snapshot_id.comment)]
    for column in metadata.tables[table].c:
        name, value = column.name, f"r.{column.name}"
        if name == "part_id":
            continue
        if name in shown:
            value = f"{named(value)} AS {name}"
        elif name in rows.named:
            bucket = f" AND n{len(joins)}.bucket = s.bucket" if name == rows.key[0] else ""
            joins.append(f"JOIN part_names AS n{len(joins)} ON n{len(joins)}.name_id = {value}{bucket}")
            value = f"n{len(joins) - 1}.name AS {name}"
        columns.append((value, column.info.get("said", column.comment)))
        shows[name] = value.partition(" AS ")[0]
    for name, usual in rows.usual:
        place = list(shows).index(name) + 1
        columns[place] = (f"coalesce(r.{name}, {usual.format(**shows)}) AS {name}", columns[place][1])
    lines = [
        f"  {value}{',' if place < len(columns) else ''}{_comment(said)}"
        for place, (value, said) in enumerate(columns, 1)
    ]
    return View(rows.view, comment, "SELECT\n" + "\n".join(lines) + "\n" + "\n".join(joins))


_CURRENT = {
    "images": "Images of the selected snapshots, with their host.",
    "image_refs": "Tags and digests of the selected snapshots, with their host.",
    "image_manifests": "Manifests and indexes of the selected snapshots, with their host.",
    "image_layers": "Layers of images of the selected snapshots, with their host.",
    "image_history": "Build steps of the selected snapshots, with their host.",
    "layers": "Layers of the selected snapshots, with their host.",
    "overlay_dirs": "Directories of the selected snapshots, with their host.",
    "overlay_lowers": "Lower lists of the selected snapshots, with their host.",
    "links": "Short names of the selected snapshots, with their host.",
    "mounts": "Writable layers of the selected snapshots, with their host.",
    "containers": "Containers of the selected snapshots, with their host.",
    "container_volumes": "Container mounts of the selected snapshots, with their host.",
    "volumes": "Volumes of the selected snapshots, with their host.",
    "container_logs": "Log files of the selected snapshots, with their host.",
    "build_cache": "Build-cache records of the selected snapshots, with their host.",
    "blobs": "Blobs of containerd of the selected snapshots, with their host.",
    "containerd_snapshots": "Snapshots of containerd of the selected snapshots, with their host.",
    "leases": "Leases of containerd of the selected snapshots, with their host.",
    "ingests": "Unfinished writes of containerd of the selected snapshots, with their host.",
    "storage_layers": "Layers of containers-storage of the selected snapshots, with their host.",
    "overlay_dir_owners": "Reasons for directories of the selected snapshots, with their host.",
    "uses": "Things and who needs them, of the selected snapshots, with their host.",
    "sources": "Places that could name a user, of the selected snapshots, with their host.",
    "standings": "Used, unused or unknown, of the selected snapshots, with their host.",
    "missing": "What is named and not there, of the selected snapshots, with their host.",
    "disk_usage": "Bytes by owner of the selected snapshots, with their host.",
    "problems": "Problems of the selected snapshots, with their host.",
}


VIEW_COLUMNS = {
    "overlay_dir_owners": ("cache_id", "kind", "owner"),
    "uses": ("used_kind", "used", "user_kind", "user", "source"),
    "standings": ("kind", "id", "standing", "because"),
    "missing": ("kind", "object", "code", "missing", "chain_id", "because"),
}
VIEW_COLUMNS |= {view.name: tuple(column.partition(".")[2] for column in view.columns) for view in _SHOWN}
VIEW_COLUMNS |= {
    rows.view: ("snapshot_id", *(column.name for column in metadata.tables[table].c if column.name != "part_id"))
    for kind in KINDS
    if kind.scattered
    for table, rows in kind.tables.items()
}
"""The columns of views that have a view of the selected snapshots; snapshot_id may be among them."""


def _current(table: str, comment: str) -> View:
    names = VIEW_COLUMNS.get(table) or [column.name for column in metadata.tables[table].c]
    columns = ", ".join(f"t.{name}" for name in names if name != "snapshot_id")
    return View(
        f"current_{table}",
        comment,
        f"SELECT s.snapshot_id, h.name AS host, s.store, s.root, {columns}\n"
        f"FROM selected_snapshots AS sel\n"
        f"JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id\n"
        f"JOIN hosts AS h ON h.host_id = s.host_id\n"
        f"JOIN {table} AS t ON t.snapshot_id = sel.snapshot_id",
    )


VIEWS = (
    *(_shown(view) for view in _SHOWN),
    *(_scattered(kind, table) for kind in KINDS if kind.scattered for table in kind.tables),
    View(
        "snapshot_ages",
        "Each complete snapshot, and how many of its host, store and root are newer.",
        """
SELECT snapshot_id, host_id, ordered_at, row_number() OVER (
  PARTITION BY host_id, store, root ORDER BY ordered_at DESC, uid DESC
) - 1 AS age
FROM snapshots WHERE status = 'complete'""",
    ),
    View(
        "selected_snapshots",
        "The newest complete snapshot of each host, store and root; --host and --snapshot choose others.",
        "SELECT snapshot_id FROM snapshot_ages WHERE age = 0",
    ),
    View(
        "snapshot_hosts",
        "Each snapshot with the name of its host.",
        "SELECT s.snapshot_id, h.name AS host FROM snapshots AS s JOIN hosts AS h ON h.host_id = s.host_id",
    ),
    View(
        "image_names",
        "All an image may be called: references as stored, in full and as Docker and Podman shorten them, with and "
        "without :latest, its id and its 12-character id, and the digest by which Docker on containerd shows it.",
        """
SELECT snapshot_id, image_id, ref AS name FROM image_refs
UNION SELECT snapshot_id, image_id, normalized FROM image_refs
UNION SELECT snapshot_id, image_id, substr(normalized, 19) FROM image_refs WHERE normalized LIKE 'docker.io/library/%'
UNION SELECT snapshot_id, image_id, substr(normalized, 11) FROM image_refs WHERE normalized LIKE 'docker.io/%'
UNION SELECT snapshot_id, image_id, substr(ref, 11) FROM image_refs WHERE ref LIKE 'localhost/%'
UNION SELECT snapshot_id, image_id, substr(ref, 11, length(ref) - 17)
  FROM image_refs WHERE tag = 'latest' AND ref LIKE 'localhost/%'
UNION SELECT snapshot_id, image_id, substr(ref, 1, length(ref) - 7) FROM image_refs WHERE tag = 'latest'
UNION SELECT snapshot_id, image_id, substr(normalized, 1, length(normalized) - 7) FROM image_refs WHERE tag = 'latest'
UNION SELECT snapshot_id, image_id, substr(normalized, 11, length(normalized) - 17)
  FROM image_refs WHERE tag = 'latest' AND normalized LIKE 'docker.io/%'
UNION SELECT snapshot_id, image_id, substr(normalized, 19, length(normalized) - 25)
  FROM image_refs WHERE tag = 'latest' AND normalized LIKE 'docker.io/library/%'
UNION SELECT snapshot_id, image_id, image_id FROM stored_images
UNION SELECT snapshot_id, image_id, substr(image_id, 8, 12) FROM stored_images
UNION SELECT snapshot_id, image_id, target_digest FROM image_refs WHERE target_digest IS NOT NULL
UNION SELECT snapshot_id, image_id, substr(target_digest, 8, 12) FROM image_refs WHERE target_digest IS NOT NULL""",
    ),
    View(
        "spellings",
        "What may stand before and behind a name where an engine stores it in full: debian:12 of one engine is "
        "docker.io/library/debian:12 of another, and debian is debian:latest.",
        """
SELECT head.column1 AS head, tail.column1 AS tail
FROM (VALUES (''), ('docker.io/'), ('docker.io/library/'), ('localhost/')) AS head
CROSS JOIN (VALUES (''), (':latest')) AS tail""",
    ),
    View(
        "manifest_lists",
        "Manifest lists of Podman, by digest: what a name leads to, or what names instances, one for each platform.",
        """
SELECT DISTINCT x.snapshot_id, x.digest AS image_id FROM image_manifests AS x
JOIN snapshots AS s ON s.snapshot_id = x.snapshot_id
WHERE x.kind = 'index' AND x.on_disk = 1 AND NOT s.collects_garbage
  AND (EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = x.snapshot_id AND r.image_id = x.digest)
    -- Of the list that an image was pulled by no instances are told.
    OR EXISTS (SELECT 1 FROM image_manifests AS i
      WHERE i.snapshot_id = x.snapshot_id AND i.index_digest = x.digest))""",
    ),
    View(
        "image_labels",
        "One text to show for an image: its tags in order, else its digests, else its id.",
        """
SELECT i.snapshot_id, i.image_id, coalesce(
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.tag IS NOT NULL ORDER BY ref)),
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id ORDER BY ref)),
  i.image_id) AS label
FROM stored_images AS i""",
    ),
    View(
        "image_namespaces",
        "Each image in each namespace of containerd that has it, with one text to show for what it is called there; in "
        "other stores once, with an empty namespace.",
        """
SELECT i.snapshot_id, i.image_id, coalesce(f.namespace, b.namespace, '') AS namespace, coalesce(
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = f.namespace
       AND r.tag IS NOT NULL ORDER BY ref)),
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = f.namespace ORDER BY ref)),
  i.image_id) AS label
-- Of each namespace the first name; of images without one the namespaces that have what Docker keeps of them.
FROM stored_images AS i
LEFT JOIN image_refs AS f ON f.snapshot_id = i.snapshot_id AND f.image_id = i.image_id AND NOT EXISTS (
  SELECT 1 FROM image_refs AS o WHERE o.snapshot_id = f.snapshot_id AND o.image_id = f.image_id
    AND o.namespace = f.namespace AND o.ref < f.ref)
LEFT JOIN blobs AS b ON f.image_id IS NULL AND b.snapshot_id = i.snapshot_id AND b.digest = i.target_digest""",
    ),
    View(
        "image_layer_places",
        "Each layer of each image where it is: its directory and size, in containerd those of the namespace.",
        """
SELECT n.snapshot_id, n.image_id, n.namespace, l.position, l.diff_id, l.chain_id,
  CASE n.namespace WHEN '' THEN y.cache_id ELSE s.cache_id END AS cache_id,
  CASE n.namespace WHEN '' THEN y.size ELSE s.size END AS size
FROM image_namespaces AS n
CROSS JOIN image_layers AS l ON l.snapshot_id = n.snapshot_id AND l.image_id = n.image_id
CROSS JOIN snapshots AS k ON k.snapshot_id = n.snapshot_id
LEFT JOIN layers AS y ON y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id
LEFT JOIN containerd_snapshots AS s ON s.chain_id = l.chain_id AND s.snapshot_id = l.snapshot_id
  AND s.namespace = n.namespace AND s.snapshotter = k.driver AND s.snapshot_key = l.chain_id""",
    ),
    View(
        "listed_images",
        "Images as docker images lists them: all but untagged ones that have children, which the classic builder "
        "leaves.",
        """
SELECT snapshot_id, image_id FROM stored_images AS i
WHERE EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id)
  OR NOT EXISTS (SELECT 1 FROM stored_images AS c
    WHERE c.snapshot_id = i.snapshot_id AND c.parent_image_id = i.image_id)
    -- A child whose config is lost or damaged.
    AND NOT EXISTS (SELECT 1 FROM recorded_uses AS c WHERE c.snapshot_id = i.snapshot_id
      AND c.used_kind = 'image' AND c.used = i.image_id AND c.user_kind = 'child image')""",
    ),
    View(
        "overlay_dir_owners",
        "Every reason why a directory exists; one row for each.",
        """
SELECT snapshot_id, used AS cache_id, user_kind AS kind, user AS owner FROM recorded_uses
WHERE used_kind = 'directory'""",
    ),
    View(
        "layer_directories",
        "The directories of a layer: several where it is mapped for other users, or unpacked in several namespaces.",
        """
SELECT snapshot_id, user AS chain_id, used AS cache_id FROM recorded_uses
WHERE used_kind = 'directory' AND user_kind = 'layer'""",
    ),
    View(
        "uses",
        "Who needs what, for every kind of thing, and which kind of fact says so.",
        """
SELECT snapshot_id, used_kind, used, user_kind, user, source FROM recorded_uses
UNION ALL SELECT snapshot_id, 'image', image_id, 'name', ref, 'names' FROM image_refs
UNION ALL SELECT snapshot_id, 'image', parent_image_id, 'child image', image_id, 'images' FROM stored_images
  WHERE parent_image_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'image', image_id, 'container', container_id, 'containers' FROM containers
  WHERE image_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'volume', name, 'container', container_id, 'containers' FROM container_volumes
  WHERE type = 'volume' AND name <> ''
UNION ALL SELECT snapshot_id, 'layer', chain_id, 'image', image_id, 'images' FROM image_layers
UNION ALL SELECT snapshot_id, 'layer', parent_chain_id, 'layer', chain_id, 'layers' FROM layers
  WHERE parent_chain_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'layer', parent_chain_id, 'mount', name, 'mounts' FROM mounts
  WHERE parent_chain_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'layer', chain_id, 'build-cache', record_id, 'build cache' FROM build_cache
  WHERE chain_id IS NOT NULL""",
    ),
    View(
        "doubts",
        "For each kind of thing the sources that may name a user of it and were not read: without one nothing is "
        "called unused.",
        f"""
SELECT snapshot_id, thing, group_concat(said, '; ')
  || CASE WHEN max(many) > {TOLD} THEN '; and ' || (max(many) - {TOLD}) || ' more' ELSE '' END AS because
FROM (
  SELECT s.snapshot_id, n.column1 AS thing, count(*) OVER (PARTITION BY s.snapshot_id, n.column1) AS many,
    row_number() OVER (PARTITION BY s.snapshot_id, n.column1 ORDER BY s.kind, s.path) AS rank,
    s.path || ' (' || s.state || coalesce(': ' || s.detail, '') || ')' AS said
  FROM sources AS s JOIN ({_named_by()}) AS n ON n.column2 = s.kind
  -- What is lost is missing itself, and may not be elsewhere.
  WHERE s.state NOT IN ({_texts(CLEAR)}) AND (s.state <> '{LOST}' OR n.column1 NOT LIKE 'missing %')
)
WHERE rank <= {TOLD} GROUP BY snapshot_id, thing""",  # noqa: S608 - words of our own
    ),
    View(
        "directory_standings",
        "Whether a directory is used, unused or unknown, and why.",
        """
SELECT d.snapshot_id, d.cache_id,
  CASE WHEN d.role = 'orphan' THEN 'unused'
    WHEN d.role IN ('unknown', 'foreign', 'removing', 'in-flight') THEN 'unknown' ELSE 'used' END AS standing,
  CASE d.role WHEN 'foreign' THEN 'the driver makes no directory of that name'
    WHEN 'removing' THEN 'its removal was begun'
    WHEN 'in-flight' THEN 'it is being written, or was when the engine died'
    WHEN 'unknown' THEN coalesce((
        SELECT 'in the lower of ' || min(user) || iif(count(*) > 1, ' and ' || (count(*) - 1) || ' more', '')
        FROM recorded_uses AS u WHERE u.snapshot_id = d.snapshot_id AND u.used_kind = 'directory'
          AND u.used = d.cache_id AND u.user_kind = 'lower' HAVING count(*) > 0),
      d.unknown_because || '; ' || t.because, d.unknown_because, t.because) END AS because
FROM overlay_dirs AS d
LEFT JOIN doubts AS t ON t.snapshot_id = d.snapshot_id AND t.thing = 'directory'""",
    ),
    _standings(
        "layer",
        "Whether a layer is used, unused or unknown, and why.",
        "layers y chain_id",
        # CASE: SQLite looks up all that other things need only for a layer that no image has.
        """CASE WHEN EXISTS (
      SELECT 1 FROM image_layers AS l WHERE l.chain_id = y.chain_id AND l.snapshot_id = y.snapshot_id)
    THEN 1 ELSE (y.snapshot_id, y.chain_id) IN (
      SELECT l.snapshot_id, l.user FROM recorded_uses AS o CROSS JOIN recorded_uses AS l
        ON l.snapshot_id = o.snapshot_id AND l.used_kind = 'directory' AND l.used = o.used AND l.user_kind = 'layer'
      WHERE o.used_kind = 'directory' AND o.user_kind NOT IN ('layer', 'lower', 'build-snapshot')
      UNION ALL SELECT snapshot_id, used FROM recorded_uses
      WHERE used_kind = 'layer' AND user_kind IN ('lease', 'label')) END""",
    ),
    _standings(
        "image",
        "Whether an image is used, unused or unknown, and why.",
        "stored_images i image_id",
        """EXISTS (SELECT 1 FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id)
    OR EXISTS (SELECT 1 FROM recorded_uses AS u
      WHERE u.snapshot_id = i.snapshot_id AND u.used_kind = 'image' AND u.used = i.image_id)""",
    ),
    _standings(
        "name",
        "Whether a tag names an image: used, unused or unknown, and why.",
        "stored_images i image_id",
        """EXISTS (SELECT 1 FROM image_refs AS r
      WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.tag IS NOT NULL)""",
    ),
    _standings(
        "volume",
        "Whether a volume is used, unused or unknown, and why.",
        "volumes v name",
        """EXISTS (SELECT 1 FROM container_volumes AS c
      WHERE c.snapshot_id = v.snapshot_id AND c.name = v.name AND c.type = 'volume' AND c.name <> '')
    OR EXISTS (SELECT 1 FROM recorded_uses AS u
      WHERE u.snapshot_id = v.snapshot_id AND u.used_kind = 'volume' AND u.used = v.name)""",
    ),
    View(
        "mount_standings",
        "Whether a mount is used or unknown, and why.",
        """
SELECT m.snapshot_id, m.name,
  CASE WHEN m.container_id IS NOT NULL OR o.owner IS NOT NULL THEN 'used' ELSE 'unknown' END AS standing,
  CASE WHEN m.container_id IS NULL AND o.owner IS NULL THEN coalesce(d.because, 'no container has its name') END
    AS because
FROM mounts AS m
LEFT JOIN (
  SELECT DISTINCT snapshot_id, user AS owner, used FROM recorded_uses
  WHERE used_kind = 'directory' AND user_kind IN ('image-mount', 'build-mount')) AS o
  ON o.snapshot_id = m.snapshot_id AND o.owner = m.name AND o.used = m.mount_id
LEFT JOIN doubts AS d ON d.snapshot_id = m.snapshot_id AND d.thing = 'mount'""",
    ),
    View(
        "standings",
        "Whether a directory, layer, image, volume or mount is used, unused or unknown, and why; of kind name: whether "
        "a tag names the image. The view of one kind answers sooner.",
        """
SELECT snapshot_id, 'directory' AS kind, cache_id AS id, standing, because FROM directory_standings
UNION ALL SELECT snapshot_id, 'image', image_id, standing, because FROM image_standings
UNION ALL SELECT snapshot_id, 'name', image_id, standing, because FROM name_standings
UNION ALL SELECT snapshot_id, 'volume', name, standing, because FROM volume_standings
UNION ALL SELECT snapshot_id, 'layer', chain_id, standing, because FROM layer_standings
UNION ALL SELECT snapshot_id, 'mount', name, standing, because FROM mount_standings""",
    ),
    View(
        "missing",
        "What metadata names and the store does not have, with the code of its problem; where because is not NULL, it "
        "may be in what was not read.",
        missing.SELECT,
    ),
    View(
        "files",
        "Every entry with its whole path and its time as text.",
        """
SELECT e.listing_id, CASE d.path WHEN '/' THEN '/' || e.name ELSE d.path || '/' || e.name END AS path,
  e.name, e.name_raw, e.type, e.mode, e.uid, e.gid, e.size, e.mtime, e.mtime_ns,
  strftime('%Y-%m-%dT%H:%M:%SZ', e.mtime, 'unixepoch') AS modified_at,
  e.link_target, e.link_target_raw, e.device, e.content_crc64, e.opaque, e.xattrs, e.capability, e.sparse,
  e.directory_id
FROM entries AS e JOIN directories AS d ON d.directory_id = e.directory_id""",
    ),
    View(
        "hard_links",
        "Each further name of a hard link, with what the file is that it names: its first name, type, size, content.",
        """
SELECT e.listing_id, e.directory_id, e.name, t.directory_id AS first_directory, t.name AS first_name, t.type, t.size,
  t.link_target, t.device, t.content_crc64
FROM entries AS e CROSS JOIN directories AS d
  ON d.path = coalesce(nullif(rtrim(rtrim(e.link_target, replace(e.link_target, '/', '')), '/'), ''), '/')
CROSS JOIN entries AS t ON t.listing_id = e.listing_id AND t.directory_id = d.directory_id
  AND t.name = substr(e.link_target, length(rtrim(e.link_target, replace(e.link_target, '/', ''))) + 1)
WHERE e.type = 'hardlink'""",
    ),
    *(View(*view) for view in shown.VIEWS),
    *(_current(table, comment) for table, comment in _CURRENT.items()),
)


def statements() -> Iterator[str]:
    """Yield the statements that make a new database, in order."""
    dialect = make_url("sqlite://").get_dialect()()
    for table in metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect)).strip()
        # A table's indexes are a set: in another order in each process.
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect)).strip()
    yield from (view.ddl for view in VIEWS)
    yield f"INSERT INTO part_names VALUES ({NOTHING}, NULL, NULL)"  # noqa: S608 - a constant of ours
    version = "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
    yield f"CREATE TABLE alembic_version ({version})"
    yield f"INSERT INTO alembic_version VALUES ('{REVISION}')"  # noqa: S608 - a constant of ours
    yield f"PRAGMA application_id = {APPLICATION_ID}"
    yield f"PRAGMA user_version = {int(REVISION)}"


def script() -> str:
    """Return the text of `schema.sql`."""
    return "-- Made by tools/freeze_schema.py from layerindex/schema.py.\n" + "".join(
        f"{each};\n" for each in statements()
    )
