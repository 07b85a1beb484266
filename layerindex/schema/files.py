"""Tables of what was wrong, of bytes, and of files."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table
from sqlalchemy import text as literal

from layerindex import shown
from layerindex.schema.columns import (
    blob,
    facts,
    feature,
    integer,
    key,
    metadata,
    number,
    numbered,
    part,
    reference,
    text,
)

facts(
    "problems",
    "What was missing, torn, odd or hostile in the store; the scan went on.",
    Column("problem_id", Integer, primary_key=True, nullable=False, comment="Number within the snapshot."),
    text("severity", "error: information is lost; warning: it is odd; info: good to know.", nullable=False),
    text("code", "Short name of the kind of problem; layerindex schema codes lists them all.", nullable=False),
    text("path", "Where, relative to the root, control characters escaped.", nullable=False),
    text("subject", "The id or name it concerns, where there is one."),
    text("detail", "What was found, in a sentence.", nullable=False),
)
facts(
    "stored_usage",
    "What a snapshot says of the bytes of the holders of each bucket.",
    integer("bucket", "The bucket, as part_names.bucket.", primary_key=True, nullable=False),
    reference("part_id", "parts.part_id", "The part with its rows in part_usage."),
    Index("stored_usage_part", "part_id", "snapshot_id"),
)
part(
    "part_usage",
    "Who holds how many bytes; view disk_usage has them, by name, for each snapshot.",
    number(
        "category",
        "What holds the bytes, such as image layer, container, build cache, logs, volumes, unaccounted.",
        primary_key=True,
    ),
    number(
        "owner",
        "Directory, container, volume or folder it is; empty where the category is one thing.",
        primary_key=True,
    ),
    integer("items", "How many files and folders they are, or of how many things; NULL when not counted."),
    integer("apparent_bytes", "Sum of st_size, each inode once; where disk_bytes is NULL as metadata says."),
    integer("disk_bytes", "512 * st_blocks, each inode once, as du counts; NULL when not measured."),
    integer("counted_by_docker", "1 when docker system df counts it, else 0.", nullable=False),
    number("note", "How the figure was found."),
    text(
        "place",
        "Where it lies if not on the root's own filesystem: the folder of the root on which another is mounted, or "
        "where a symlink leads; NULL for what du -s -x counts.",
    ),
    integer(
        "estimated_bytes", "Where disk_bytes is NULL: what its files take in blocks of 4 KiB; NULL when not listed."
    ),
)
facts(
    "drift",
    "Where a layer's directory differs from its tar-split (scan --walk).",
    key("cache_id", "The layer's directory."),
    key("path", "Path inside the layer."),
    text("kind", "added, removed or changed.", nullable=False),
    text("expected", "What tar-split says, as JSON of the fields that differ; NULL when added."),
    text("found", "What the directory says, as JSON of the fields that differ; NULL when removed."),
)
numbered(
    "listings",
    "The files of one layer or directory; a layer's listing is stored once for all snapshots and hosts.",
    integer("listing_id", "Number of the listing in this database.", primary_key=True),
    text("diff_id", "The layer it lists; NULL for a walked directory that is not a layer."),
    text(
        "source",
        "tar-split (the layer's tar headers), blob (its tar itself) or walk (the directory).",
        nullable=False,
    ),
    text("witness", "Identity and times of a walked directory's root, to know it again; NULL for others."),
    integer(
        "complete", "1 when everything was read, 0 when the source was damaged or unreadable in part.", nullable=False
    ),
    integer("entry_count", "How many entries it has.", nullable=False),
    integer("total_size", "Sum of the sizes of its regular files.", nullable=False),
    integer("apparent_bytes", "Sum of st_size of all but folders, each inode once, a symlink's length included."),
    integer(
        "disk_bytes",
        "512 * st_blocks, each inode once, where it was walked; of a tar an estimate: its files in blocks of 4 KiB, "
        "and one for each folder.",
    ),
    blob("digest", "SHA-256 of a layer's listing, made where it was compared with another's; NULL where not yet."),
    feature("imported", "1 when it came with an import: a scan reads the layer itself; else 0."),
    Index("listings_diff", "diff_id"),
    Index("listings_witness", "witness"),
)
numbered(
    "directories",
    "The dictionary of directory paths, shared by all listings.",
    integer("directory_id", "Number of the path in this database.", primary_key=True),
    text(
        "path",
        "Path from the layer's root, which is /; bytes that are not UTF-8 as \\xNN.",
        nullable=False,
        unique=True,
    ),
    blob("path_raw", "The path's bytes where path is an escaped form; NULL else."),
)
Table(
    "entries",
    metadata,
    reference("listing_id", "listings.listing_id", "The listing it belongs to.", primary_key=True),
    Column(
        "directory_id",
        Integer,
        ForeignKey("directories.directory_id"),
        primary_key=True,
        nullable=False,
        comment="The directory it lies in.",
    ),
    key("name", "Its name; a whiteout's is the name it hides; empty for the root; bytes that are not UTF-8 as \\xNN."),
    blob("name_raw", "The name's bytes where name is an escaped form; NULL else."),
    text("type", "file, dir, symlink, hardlink, char, block, fifo, socket or whiteout.", nullable=False),
    integer("mode", "Permission bits with setuid, setgid and sticky (st_mode & 07777); NULL when unknown."),
    integer("uid", "Owner: in tar-split as in the tar, in a walk as on disk."),
    integer("gid", "Group: in tar-split as in the tar, in a walk as on disk."),
    integer("size", "Bytes of content; for a symlink the length of its target; 0 for others."),
    integer("mtime", "Modification time in whole seconds since 1970, clamped as Docker clamps it."),
    integer("mtime_ns", "Nanoseconds beside mtime; NULL for 0."),
    text("link_target", "A symlink's target as it stands; a hard link's first name, as a path from the layer's root."),
    blob("link_target_raw", "The target's bytes where link_target is an escaped form; NULL else."),
    text("device", "major:minor of a device."),
    integer("content_crc64", "CRC-64/GO-ISO of a regular file's content as a signed integer; NULL when unknown."),
    integer("opaque", "A directory's: 1 when it hides all below it in lower layers, 0 when not, NULL when unknown."),
    text("xattrs", "Names of its extended attributes as a JSON list; NULL for none."),
    blob("capability", "Value of its security.capability attribute."),
    integer("sparse", "1 for a sparse tar member, whose content tar-split cannot rebuild."),
    Index("entries_name", "name"),
    Index("entries_hiding", "listing_id", "directory_id", "name", sqlite_where=literal(shown.HIDING.format(""))),
    Index("entries_links", "listing_id", "link_target", sqlite_where=literal(shown.LINKS)),
    comment="One file or folder of a listing.",
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
