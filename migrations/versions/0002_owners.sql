CREATE TABLE directories ( /* The dictionary of directory paths, shared by all listings. */
	directory_id INTEGER NOT NULL /* Number of the path in this database. */, 
	path TEXT NOT NULL /* Path from the layer's root, which is /; bytes that are not UTF-8 as \xNN. */, 
	path_raw BLOB /* The path's bytes where path is an escaped form; NULL else. */, 
	PRIMARY KEY (directory_id), 
	UNIQUE (path)
)
 STRICT;
CREATE TABLE hosts ( /* A machine whose stores were scanned. */
	host_id INTEGER NOT NULL /* Number of the host in this database. */, 
	name TEXT NOT NULL /* Name given with --host, by default the machine's host name. */, 
	machine_id TEXT /* What /etc/machine-id says on the machine that ran the scan; NULL when it says nothing. */, 
	PRIMARY KEY (host_id)
)
 STRICT;
CREATE INDEX hosts_name ON hosts (name);
CREATE TABLE listings ( /* The files of one layer or directory; a layer's listing is stored once for all snapshots and hosts. */
	listing_id INTEGER NOT NULL /* Number of the listing in this database. */, 
	diff_id TEXT /* The layer it lists; NULL for a walked directory that is not a layer. */, 
	source TEXT NOT NULL /* tar-split (the layer's tar headers) or walk (the directory). */, 
	witness TEXT /* Identity and times of a walked directory's root, to know it again; NULL for tar-split. */, 
	complete INTEGER NOT NULL /* 1 when everything was read, 0 when the source was damaged or unreadable in part. */, 
	entry_count INTEGER NOT NULL /* How many entries it has. */, 
	total_size INTEGER NOT NULL /* Sum of the sizes of its regular files. */, 
	apparent_bytes INTEGER /* Sum of st_size of all but folders, each inode once, a symlink's length included. */, 
	disk_bytes INTEGER /* 512 * st_blocks, each inode once; NULL for tar-split. */, 
	PRIMARY KEY (listing_id)
)
 STRICT;
CREATE INDEX listings_diff ON listings (diff_id);
CREATE INDEX listings_witness ON listings (witness);
CREATE TABLE entries ( /* One file or folder of a listing. */
	listing_id INTEGER NOT NULL /* The listing it belongs to. */, 
	directory_id INTEGER NOT NULL /* The directory it lies in. */, 
	name TEXT NOT NULL /* Its name; a whiteout's is the name it hides; empty for the root; bytes that are not UTF-8 as \xNN. */, 
	name_raw BLOB /* The name's bytes where name is an escaped form; NULL else. */, 
	type TEXT NOT NULL /* file, dir, symlink, hardlink, char, block, fifo, socket or whiteout. */, 
	mode INTEGER /* Permission bits with setuid, setgid and sticky (st_mode & 07777); NULL when unknown. */, 
	uid INTEGER /* Owner: in tar-split as in the tar, in a walk as on disk. */, 
	gid INTEGER /* Group: in tar-split as in the tar, in a walk as on disk. */, 
	size INTEGER /* Bytes of content; for a symlink the length of its target; 0 for others. */, 
	mtime INTEGER /* Modification time in whole seconds since 1970, clamped as Docker clamps it. */, 
	mtime_ns INTEGER /* Nanoseconds beside mtime; NULL for 0. */, 
	link_target TEXT /* A symlink's target as it stands; a hard link's first name, as a path from the layer's root. */, 
	link_target_raw BLOB /* The target's bytes where link_target is an escaped form; NULL else. */, 
	device TEXT /* major:minor of a device. */, 
	content_crc64 INTEGER /* CRC-64/GO-ISO of a regular file's content as a signed integer; NULL when unknown. */, 
	opaque INTEGER /* A directory's: 1 when it hides all below it in lower layers, 0 when not, NULL when unknown. */, 
	xattrs TEXT /* Names of its extended attributes as a JSON list; NULL for none. */, 
	capability BLOB /* Value of its security.capability attribute. */, 
	sparse INTEGER /* 1 for a sparse tar member, whose content tar-split cannot rebuild. */, 
	PRIMARY KEY (listing_id, directory_id, name), 
	FOREIGN KEY(listing_id) REFERENCES listings (listing_id) ON DELETE CASCADE, 
	FOREIGN KEY(directory_id) REFERENCES directories (directory_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX entries_name ON entries (name);
CREATE TABLE snapshots ( /* One store, at one host, at one time; written in one transaction and never edited. */
	snapshot_id INTEGER NOT NULL /* Number of the snapshot in this database. */, 
	uid TEXT NOT NULL /* Random hex that names the snapshot in every database it is copied to. */, 
	host_id INTEGER NOT NULL /* The host that holds the store. */, 
	store TEXT NOT NULL /* Kind of store: docker-overlay2, docker-fuse-overlayfs, docker-vfs … */, 
	root TEXT NOT NULL /* Absolute path of the store's root where it was scanned, symlinks resolved. */, 
	driver TEXT NOT NULL /* Storage driver as image/<driver>/ names it. */, 
	engine_id TEXT /* What the root's engine-id file says (Docker 23 and later). */, 
	label TEXT /* Text given with --label. */, 
	started_at TEXT NOT NULL /* When the scan of this store began. */, 
	finished_at TEXT NOT NULL /* When the scan of this store ended. */, 
	status TEXT NOT NULL /* complete: every place was tried; what could not be read is in problems. */, 
	scope TEXT NOT NULL /* How far the scan read: metadata (--no-files), files, or walk (--walk: all of them). */, 
	tool_version TEXT NOT NULL /* Version of layerindex that wrote the snapshot. */, 
	PRIMARY KEY (snapshot_id), 
	UNIQUE (uid), 
	FOREIGN KEY(host_id) REFERENCES hosts (host_id) ON DELETE CASCADE
)
 STRICT;
CREATE INDEX snapshots_host ON snapshots (host_id, store, root);
CREATE TABLE build_cache ( /* A record of BuildKit's cache, from buildkit/metadata_v2.db and snapshots.db. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	record_id TEXT NOT NULL /* Id of the record. */, 
	cache_id TEXT /* Directory that holds its data; NULL when there is none or it cannot be told. */, 
	parent_record_id TEXT /* Record it builds on. */, 
	description TEXT /* What BuildKit says it is. */, 
	record_type TEXT /* regular, internal, frontend, source.local, source.git.checkout or exec.cachemount. */, 
	size INTEGER /* Bytes as BuildKit measured them; NULL when not measured. */, 
	created_at TEXT /* When it was made. */, 
	last_used_at TEXT /* When it was last used; NULL for never. */, 
	usage_count INTEGER /* How often it was used. */, 
	snapshot_key TEXT /* Its key in snapshots.db, through which the directory was found. */, 
	committed INTEGER /* 1 when it is immutable, 0 when it can still be written. */, 
	equal_mutable TEXT /* The mutable record that still holds its data. */, 
	chain_id TEXT /* Chain id of the layer it is, or pins in layerdb. */, 
	diff_id TEXT /* SHA-256 of that layer's tar. */, 
	image_refs TEXT /* Image references that led to it, as a JSON list; NULL for none. */, 
	cache_mount TEXT /* Id of the cache mount it holds (RUN --mount=type=cache). */, 
	deleting INTEGER NOT NULL /* 1 when its removal was begun and not finished, else 0. */, 
	PRIMARY KEY (snapshot_id, record_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX build_cache_directory ON build_cache (cache_id, snapshot_id);
CREATE INDEX build_cache_parent ON build_cache (snapshot_id, parent_record_id);
CREATE TABLE build_cache_parents ( /* All records a build-cache record builds on; more than one after a merge. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	record_id TEXT NOT NULL /* Id of the record. */, 
	position INTEGER NOT NULL /* 0 for the first or only one. */, 
	parent_record_id TEXT NOT NULL /* Record it builds on, which may be gone. */, 
	PRIMARY KEY (snapshot_id, record_id, position), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE container_logs ( /* A log file of a container: of the json-file or local driver, the current one or a rotated one. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	container_id TEXT NOT NULL /* The container. */, 
	path TEXT NOT NULL /* Path relative to the root. */, 
	driver TEXT NOT NULL /* json-file or local: the logging driver that writes such files. */, 
	rotation INTEGER /* 0 for the current file, counting up for older ones; NULL when the name does not say. */, 
	apparent_bytes INTEGER NOT NULL /* st_size. */, 
	disk_bytes INTEGER NOT NULL /* 512 * st_blocks. */, 
	modified_at TEXT /* When it was last written. */, 
	PRIMARY KEY (snapshot_id, container_id, path), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE container_volumes ( /* What is mounted into a container: volumes, binds, tmpfs, images. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	container_id TEXT NOT NULL /* The container. */, 
	destination TEXT NOT NULL /* Path inside the container. */, 
	type TEXT /* volume, bind, tmpfs, image … as saved. */, 
	name TEXT /* Name of the volume; NULL for a bind. */, 
	source TEXT /* Path on the original host. */, 
	driver TEXT /* Volume driver. */, 
	read_write INTEGER /* 1 when mounted for writing, 0 when read-only. */, 
	PRIMARY KEY (snapshot_id, container_id, destination), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX container_volumes_name ON container_volumes (snapshot_id, name);
CREATE TABLE containers ( /* A container, as its config.v2.json was last saved. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	container_id TEXT NOT NULL /* Container id, the directory's name. */, 
	name TEXT /* Name without the leading slash. */, 
	image_id TEXT /* The image it runs, which may have been removed. */, 
	image_ref TEXT /* The image as the user named it, which may name another image by now. */, 
	state TEXT /* running, paused, restarting, removing, dead, created or exited, as saved; unknown if unreadable. */, 
	created_at TEXT /* When it was created. */, 
	started_at TEXT /* When it last started; NULL for never. */, 
	finished_at TEXT /* When it last ended; NULL for never. */, 
	exit_code INTEGER /* Exit code of its last run. */, 
	driver TEXT /* Storage driver it was made with. */, 
	mount_id TEXT /* Directory of its writable layer, from layerdb/mounts. */, 
	log_driver TEXT /* Logging driver, from hostconfig.json. */, 
	log_path TEXT /* Log file as the engine named it on the original host. */, 
	log_bytes INTEGER /* Bytes of its log files with rotations; NULL when they could not be read. */, 
	PRIMARY KEY (snapshot_id, container_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX containers_image ON containers (snapshot_id, image_id);
CREATE INDEX containers_name ON containers (name);
CREATE TABLE disk_usage ( /* Who holds how many bytes below the root; after scan --walk the disk_bytes add up to du -s -x. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	category TEXT NOT NULL /* What holds the bytes, such as image layer, container, build cache, logs, volumes, unaccounted. */, 
	owner TEXT NOT NULL /* Directory, container, volume or folder it is; empty where the category is one thing. */, 
	items INTEGER /* How many files and folders they are, or of how many things; NULL when not counted. */, 
	apparent_bytes INTEGER /* Sum of st_size, each inode once; where disk_bytes is NULL as metadata says. */, 
	disk_bytes INTEGER /* 512 * st_blocks, each inode once, as du counts; NULL when not measured. */, 
	counted_by_docker INTEGER NOT NULL /* 1 when docker system df counts it, else 0. */, 
	note TEXT /* How the figure was found. */, 
	PRIMARY KEY (snapshot_id, category, owner), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE drift ( /* Where a layer's directory differs from its tar-split (scan --walk). */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	cache_id TEXT NOT NULL /* The layer's directory. */, 
	path TEXT NOT NULL /* Path inside the layer. */, 
	kind TEXT NOT NULL /* added, removed or changed. */, 
	expected TEXT /* What tar-split says, as JSON of the fields that differ; NULL when added. */, 
	found TEXT /* What the directory says, as JSON of the fields that differ; NULL when removed. */, 
	PRIMARY KEY (snapshot_id, cache_id, path), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE image_history ( /* The build steps of an image, as its config lists them. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	image_id TEXT NOT NULL /* The image. */, 
	position INTEGER NOT NULL /* 0 for the first step, counting up. */, 
	created_at TEXT /* When the step ran. */, 
	created_by TEXT /* The command of the step. */, 
	author TEXT /* Author of the step. */, 
	comment TEXT /* Comment of the step, such as buildkit.dockerfile.v0 or Imported from -. */, 
	empty_layer INTEGER NOT NULL /* 1 when the step made no layer, else 0. */, 
	layer_position INTEGER /* image_layers.position of the layer it made; NULL when it made none. */, 
	PRIMARY KEY (snapshot_id, image_id, position), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE image_layers ( /* The layers of an image in order, as its config lists them. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	image_id TEXT NOT NULL /* The image. */, 
	position INTEGER NOT NULL /* 0 for the base, counting up. */, 
	diff_id TEXT NOT NULL /* SHA-256 of the layer's uncompressed tar. */, 
	chain_id TEXT NOT NULL /* Digest of this layer and all below it: sha256(chain below + ' ' + diff_id). */, 
	PRIMARY KEY (snapshot_id, image_id, position), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX image_layers_chain ON image_layers (chain_id, snapshot_id);
CREATE INDEX image_layers_diff ON image_layers (diff_id, snapshot_id);
CREATE TABLE image_refs ( /* A name in repositories.json: a tag or a digest of an image. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	ref TEXT NOT NULL /* The whole reference as stored, such as debian:12 or debian@sha256:… */, 
	repository TEXT NOT NULL /* Its repository, such as debian or localhost:5000/team/app. */, 
	tag TEXT /* Its tag; NULL for a digest reference. */, 
	digest TEXT /* Its manifest digest; NULL for a tag. */, 
	image_id TEXT NOT NULL /* The image it names, which may be missing from imagedb. */, 
	PRIMARY KEY (snapshot_id, ref), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX image_refs_image ON image_refs (snapshot_id, image_id);
CREATE TABLE images ( /* An image config found in imagedb/content; its name is the SHA-256 of its bytes. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	image_id TEXT NOT NULL /* Image id (sha256:…), the file's name. */, 
	created_at TEXT /* When the config says it was created; NULL when absent or Go's zero time. */, 
	architecture TEXT /* CPU architecture, such as amd64. */, 
	os TEXT /* Operating system, such as linux. */, 
	variant TEXT /* CPU variant, such as v8. */, 
	size INTEGER /* Sum of the sizes of its layers, as docker images shows it; NULL when a layer's size is unknown. */, 
	layer_count INTEGER NOT NULL /* How many layers it has. */, 
	parent_image_id TEXT /* Parent image that the classic builder or commit recorded in imagedb/metadata. */, 
	last_updated_at TEXT /* When a tag was last put on it (imagedb/metadata lastUpdated). */, 
	verified INTEGER NOT NULL /* 1 when the SHA-256 of the stored bytes is the image id, else 0. */, 
	config TEXT NOT NULL /* The config JSON as stored. */, 
	PRIMARY KEY (snapshot_id, image_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX images_parent ON images (snapshot_id, parent_image_id);
CREATE TABLE layer_blobs ( /* Compressed blobs a layer was pulled from or pushed to, as distribution/ remembers them, also after rmi. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	diff_id TEXT NOT NULL /* SHA-256 of the layer's uncompressed tar. */, 
	digest TEXT NOT NULL /* Digest of the compressed blob. */, 
	source_repository TEXT NOT NULL /* Repository it was seen in; empty when only diffid-by-digest knows the blob. */, 
	PRIMARY KEY (snapshot_id, diff_id, digest, source_repository), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX layer_blobs_digest ON layer_blobs (digest);
CREATE TABLE layers ( /* A layer registered in layerdb: a diff_id at one place in a chain. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	chain_id TEXT NOT NULL /* Chain id, the name of its layerdb directory. */, 
	diff_id TEXT /* SHA-256 of the layer's uncompressed tar; NULL when the diff file could not be read. */, 
	parent_chain_id TEXT /* Chain id of the layer below; NULL for a base layer. */, 
	cache_id TEXT /* Name of its directory in the driver's folder; NULL when the cache-id file could not be read. */, 
	size INTEGER /* Bytes as layerdb's size file says: for pulled layers lstat sizes, for BuildKit's tar payload. */, 
	verified INTEGER /* 1 when the chain id is the digest of parent and diff_id, 0 when not, NULL when unknown. */, 
	listing_id INTEGER /* The listing of its files; NULL when not indexed. */, 
	PRIMARY KEY (snapshot_id, chain_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX layers_cache ON layers (cache_id, snapshot_id);
CREATE INDEX layers_diff ON layers (diff_id, snapshot_id);
CREATE INDEX layers_parent ON layers (snapshot_id, parent_chain_id);
CREATE TABLE links ( /* A short name in l/, which keeps mount options under a page. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	link TEXT NOT NULL /* The short name: 26 characters of base32. */, 
	target TEXT /* What the symlink says, unfollowed; NULL when it is not a symlink. */, 
	cache_id TEXT /* Directory it leads to; NULL when the target is not ../<cache-id>/diff or that is gone. */, 
	PRIMARY KEY (snapshot_id, link), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX links_cache ON links (snapshot_id, cache_id);
CREATE TABLE mounts ( /* A writable layer in layerdb/mounts: of a container, an image mount or a builder. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	name TEXT NOT NULL /* Name of the entry: a container id, or what else asked for the layer. */, 
	mount_id TEXT /* Directory of the writable layer; NULL when the file could not be read. */, 
	init_id TEXT /* Directory of the init layer below it; NULL when there is none. */, 
	parent_chain_id TEXT /* Chain id of the image layer below; NULL for an image without layers. */, 
	container_id TEXT /* The container of that name; NULL when there is none. */, 
	PRIMARY KEY (snapshot_id, name), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX mounts_mount ON mounts (mount_id);
CREATE INDEX mounts_parent ON mounts (snapshot_id, parent_chain_id);
CREATE TABLE overlay_dir_owners ( /* Every reason why a directory exists; one row for each. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	cache_id TEXT NOT NULL /* Name of the directory. */, 
	kind TEXT NOT NULL /* layer, container, init, image-mount, build-mount, mount, mount-init, build-cache, build-snapshot, removing, writing, lower (another directory's list names it); a layer's also image, container-base, mount-base. */, 
	owner TEXT NOT NULL /* Chain id, image id, container id, name in layerdb/mounts, build-cache record, key in snapshots.db, write-set, or the directory whose lower names it. */, 
	PRIMARY KEY (snapshot_id, cache_id, kind, owner), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE overlay_dirs ( /* A directory in the driver's folder, such as overlay2/<cache-id>. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	cache_id TEXT NOT NULL /* Name of the directory. */, 
	role TEXT NOT NULL /* layer, container, init, build-cache, removing, mount (of something not a container), in-flight, orphan, unknown. */, 
	link TEXT /* Short name in l/, from the directory's link file. */, 
	lower_count INTEGER /* How many directories its lower file names; 0 for a base. */, 
	has_diff INTEGER NOT NULL /* 1 when diff/ is there, else 0. */, 
	has_work INTEGER NOT NULL /* 1 when work/ is there, else 0. */, 
	has_merged INTEGER NOT NULL /* 1 when merged/ is there, else 0; a running container is mounted on it. */, 
	committed INTEGER NOT NULL /* 1 when the committed marker is there: a child was made from it. */, 
	apparent_bytes INTEGER /* Sum of st_size below diff/, each inode once, as read from its listing; NULL if not. */, 
	disk_bytes INTEGER /* 512 * st_blocks below diff/, each inode once, as du counts; NULL when not walked. */, 
	entry_count INTEGER /* Files and folders below diff/; NULL when not indexed. */, 
	listing_id INTEGER /* The listing of its files; NULL when not indexed. */, 
	unknown_because TEXT /* For role unknown: what could not be read, or was in motion, and may name it. */, 
	PRIMARY KEY (snapshot_id, cache_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX overlay_dirs_cache ON overlay_dirs (cache_id);
CREATE INDEX overlay_dirs_link ON overlay_dirs (link, snapshot_id);
CREATE TABLE overlay_lowers ( /* The directories below a directory, as its lower file lists them. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	cache_id TEXT NOT NULL /* Name of the directory. */, 
	position INTEGER NOT NULL /* 0 for the nearest parent, the base last. */, 
	link TEXT NOT NULL /* Short name as the lower file says it. */, 
	lower_cache_id TEXT /* Directory the short name leads to; NULL when it leads nowhere. */, 
	PRIMARY KEY (snapshot_id, cache_id, position), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX overlay_lowers_lower ON overlay_lowers (snapshot_id, lower_cache_id);
CREATE TABLE problems ( /* What was missing, torn, odd or hostile in the store; the scan went on. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	problem_id INTEGER NOT NULL /* Number within the snapshot. */, 
	severity TEXT NOT NULL /* error: information is lost; warning: it is odd; info: good to know. */, 
	code TEXT NOT NULL /* Short name of the kind of problem; layerindex schema codes lists them all. */, 
	path TEXT NOT NULL /* Where, relative to the root, control characters escaped. */, 
	subject TEXT /* The id or name it concerns, where there is one. */, 
	detail TEXT NOT NULL /* What was found, in a sentence. */, 
	PRIMARY KEY (snapshot_id, problem_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE unfinished_layers ( /* What moby left half done: layerdb/sha256/<chain>-<random>-removing and layerdb/tmp/write-set-<n>. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	name TEXT NOT NULL /* Name of the directory. */, 
	state TEXT NOT NULL /* removing or writing. */, 
	chain_id TEXT /* Chain id of a layer being removed, from the directory's name. */, 
	diff_id TEXT /* SHA-256 of the layer's tar, if already or still there. */, 
	parent_chain_id TEXT /* Chain id of the layer below, if already or still there. */, 
	cache_id TEXT /* Name of its directory in the driver's folder, if already or still there. */, 
	size INTEGER /* Bytes as its size file says, if already or still there. */, 
	PRIMARY KEY (snapshot_id, name), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE volumes ( /* A volume: a directory in volumes/, or one that only the engine's own database of volumes remembers. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	name TEXT NOT NULL /* Name of the volume. */, 
	driver TEXT NOT NULL /* Volume driver; only local keeps its volumes here. */, 
	options TEXT /* opts.json as stored, or what volumes/metadata.db says where there is none; NULL for neither. */, 
	labels TEXT /* Its labels as a JSON object, from volumes/metadata.db; NULL when that does not know it. */, 
	on_disk INTEGER NOT NULL /* 1 when volumes/ has its directory, else 0. */, 
	apparent_bytes INTEGER /* Sum of st_size below it, each inode once; NULL when not measured. */, 
	disk_bytes INTEGER /* 512 * st_blocks below it, each inode once, as du counts; NULL when not measured. */, 
	entry_count INTEGER /* Files and folders below it; NULL when not measured. */, 
	PRIMARY KEY (snapshot_id, name), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE VIEW selected_snapshots AS /* The newest complete snapshot of each host, store and root; --host and --snapshot choose others. */
SELECT snapshot_id FROM (
  SELECT snapshot_id, row_number() OVER (
    PARTITION BY host_id, store, root ORDER BY started_at DESC, snapshot_id DESC
  ) AS age
  FROM snapshots WHERE status = 'complete'
) WHERE age = 1;
CREATE VIEW snapshot_hosts AS /* Each snapshot with the name of its host. */
SELECT s.snapshot_id, h.name AS host FROM snapshots AS s JOIN hosts AS h ON h.host_id = s.host_id;
CREATE VIEW image_names AS /* Everything an image may be called: references, with and without :latest, its id and its 12-character id. */
SELECT snapshot_id, image_id, ref AS name FROM image_refs
UNION ALL SELECT snapshot_id, image_id, substr(ref, 1, length(ref) - 7) FROM image_refs WHERE tag = 'latest'
UNION ALL SELECT snapshot_id, image_id, image_id FROM images
UNION ALL SELECT snapshot_id, image_id, substr(image_id, 8, 12) FROM images;
CREATE VIEW image_labels AS /* One text to show for an image: its tags in order, else its digests, else its id. */
SELECT i.snapshot_id, i.image_id, coalesce(
  (SELECT group_concat(ref, ', ') FROM (SELECT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.tag IS NOT NULL ORDER BY ref)),
  (SELECT group_concat(ref, ', ') FROM (SELECT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id ORDER BY ref)),
  i.image_id) AS label
FROM images AS i;
CREATE VIEW listed_images AS /* Images as docker images lists them: all but untagged ones that have children, which the classic builder leaves. */
SELECT snapshot_id, image_id FROM images AS i
WHERE EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id)
  OR NOT EXISTS (SELECT 1 FROM images AS c WHERE c.snapshot_id = i.snapshot_id AND c.parent_image_id = i.image_id);
CREATE VIEW files AS /* Every entry with its whole path and its time as text. */
SELECT e.listing_id, CASE d.path WHEN '/' THEN '/' || e.name ELSE d.path || '/' || e.name END AS path,
  e.name, e.name_raw, e.type, e.mode, e.uid, e.gid, e.size, e.mtime, e.mtime_ns,
  strftime('%Y-%m-%dT%H:%M:%SZ', e.mtime, 'unixepoch') AS modified_at,
  e.link_target, e.link_target_raw, e.device, e.content_crc64, e.opaque, e.xattrs, e.capability, e.sparse,
  e.directory_id
FROM entries AS e JOIN directories AS d ON d.directory_id = e.directory_id;
CREATE VIEW current_images AS /* Images of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.image_id, t.created_at, t.architecture, t.os, t.variant, t.size, t.layer_count, t.parent_image_id, t.last_updated_at, t.verified, t.config
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN images AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_image_refs AS /* Tags and digests of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.ref, t.repository, t.tag, t.digest, t.image_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN image_refs AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_image_layers AS /* Layers of images of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.image_id, t.position, t.diff_id, t.chain_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN image_layers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_image_history AS /* Build steps of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.image_id, t.position, t.created_at, t.created_by, t.author, t.comment, t.empty_layer, t.layer_position
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN image_history AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_layers AS /* Layers of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.chain_id, t.diff_id, t.parent_chain_id, t.cache_id, t.size, t.verified, t.listing_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN layers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_overlay_dirs AS /* Directories of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.cache_id, t.role, t.link, t.lower_count, t.has_diff, t.has_work, t.has_merged, t.committed, t.apparent_bytes, t.disk_bytes, t.entry_count, t.listing_id, t.unknown_because
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN overlay_dirs AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_overlay_lowers AS /* Lower lists of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.cache_id, t.position, t.link, t.lower_cache_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN overlay_lowers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_links AS /* Short names of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.link, t.target, t.cache_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN links AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_mounts AS /* Writable layers of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.name, t.mount_id, t.init_id, t.parent_chain_id, t.container_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN mounts AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_containers AS /* Containers of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.container_id, t.name, t.image_id, t.image_ref, t.state, t.created_at, t.started_at, t.finished_at, t.exit_code, t.driver, t.mount_id, t.log_driver, t.log_path, t.log_bytes
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN containers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_container_volumes AS /* Container mounts of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.container_id, t.destination, t.type, t.name, t.source, t.driver, t.read_write
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN container_volumes AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_volumes AS /* Volumes of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.name, t.driver, t.options, t.labels, t.on_disk, t.apparent_bytes, t.disk_bytes, t.entry_count
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN volumes AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_container_logs AS /* Log files of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.container_id, t.path, t.driver, t.rotation, t.apparent_bytes, t.disk_bytes, t.modified_at
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN container_logs AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_build_cache AS /* Build-cache records of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.record_id, t.cache_id, t.parent_record_id, t.description, t.record_type, t.size, t.created_at, t.last_used_at, t.usage_count, t.snapshot_key, t.committed, t.equal_mutable, t.chain_id, t.diff_id, t.image_refs, t.cache_mount, t.deleting
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN build_cache AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_overlay_dir_owners AS /* Reasons for directories of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.cache_id, t.kind, t.owner
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN overlay_dir_owners AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_disk_usage AS /* Bytes by owner of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.category, t.owner, t.items, t.apparent_bytes, t.disk_bytes, t.counted_by_docker, t.note
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN disk_usage AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_problems AS /* Problems of the selected snapshots, with their host. */
SELECT h.name AS host, s.store, s.root, t.problem_id, t.severity, t.code, t.path, t.subject, t.detail
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN problems AS t ON t.snapshot_id = sel.snapshot_id;
