-- Made by tools/freeze_schema.py from layerindex/schema/.
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
	source TEXT NOT NULL /* tar-split (the layer's tar headers), blob (its tar itself) or walk (the directory). */, 
	witness TEXT /* Identity and times of a walked directory's root, to know it again; NULL for others. */, 
	complete INTEGER NOT NULL /* 1 when everything was read, 0 when the source was damaged or unreadable in part. */, 
	entry_count INTEGER NOT NULL /* How many entries it has. */, 
	total_size INTEGER NOT NULL /* Sum of the sizes of its regular files. */, 
	apparent_bytes INTEGER /* Sum of st_size of all but folders, each inode once, a symlink's length included. */, 
	disk_bytes INTEGER /* 512 * st_blocks, each inode once, where it was walked; of a tar an estimate: its files in blocks of 4 KiB, and one for each folder. */, 
	digest BLOB /* SHA-256 of a layer's listing, made where it was compared with another's; NULL where not yet. */, 
	imported INTEGER DEFAULT 0 NOT NULL /* 1 when it came with an import: a scan reads the layer itself; else 0. */, 
	PRIMARY KEY (listing_id)
)
 STRICT;
CREATE INDEX listings_diff ON listings (diff_id);
CREATE INDEX listings_witness ON listings (witness);
CREATE TABLE part_names ( /* Names that stand in many rows of parts, which have their numbers: of directories, short names … */
	name_id INTEGER NOT NULL /* Number of the name in this database; 0 stands for NULL. */, 
	name TEXT /* The name; NULL for number 0 alone. */, 
	bucket INTEGER /* A number that is made from the name (layerindex.writing.parts), by which rows are parts. */, 
	PRIMARY KEY (name_id), 
	UNIQUE (name)
)
 STRICT;
CREATE TABLE parts ( /* Rows that snapshots share, such as what an image's config says: stored once, under the digest of what they say. */
	part_id INTEGER NOT NULL /* Number of the part in this database. */, 
	digest BLOB NOT NULL /* SHA-256 of its rows in one form (layerindex.writing.parts), by which equal rows are found; 32 bytes. */, 
	PRIMARY KEY (part_id), 
	UNIQUE (digest)
)
 STRICT;
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
CREATE INDEX entries_hiding ON entries (listing_id, directory_id, name) WHERE (type = 'whiteout' OR opaque = 1);
CREATE INDEX entries_links ON entries (listing_id, link_target) WHERE type = 'hardlink';
CREATE INDEX entries_name ON entries (name);
CREATE TABLE part_dirs ( /* A directory in the driver's folder; view overlay_dirs has it, by name, for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	cache_id INTEGER NOT NULL /* Name of the directory (its number in part_names, 0 for NULL). */, 
	role INTEGER NOT NULL /* layer, container, init, build-cache, removing, mount (of something not a container), in-flight, foreign (not of the driver's making), orphan, unknown (its number in part_names, 0 for NULL). */, 
	link INTEGER NOT NULL /* Short name in l/, from the directory's link file; NULL where the driver has none (its number in part_names, 0 for NULL). */, 
	lower_count INTEGER /* How many directories lie below it, as its lower file or the snapshotter says; 0 for a base. */, 
	has_diff INTEGER NOT NULL /* 1 when the folder with its own files is there (diff/, containerd: fs/), else 0. */, 
	has_work INTEGER NOT NULL /* 1 when work/ is there, else 0. */, 
	has_merged INTEGER NOT NULL /* 1 when merged/ is there, else 0; a running container is mounted on it. */, 
	committed INTEGER NOT NULL /* 1 when it is known to be committed (a child was made from it, a committed snapshot), else 0. */, 
	apparent_bytes INTEGER /* Sum of st_size below diff/, each inode once, as read from its listing; NULL if not. */, 
	disk_bytes INTEGER /* 512 * st_blocks below diff/, each inode once, as du counts; NULL when not walked. */, 
	entry_count INTEGER /* Entries of its listing; a walk has diff/ itself too: 1 for an empty one; NULL without one. */, 
	listing_id INTEGER /* The listing of its files; NULL when not indexed. */, 
	unknown_because INTEGER NOT NULL /* For role unknown: what it may be, by what it stands on; standings says what may name it (its number in part_names, 0 for NULL). */, 
	PRIMARY KEY (part_id, cache_id), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(cache_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(role) REFERENCES part_names (name_id), 
	FOREIGN KEY(link) REFERENCES part_names (name_id), 
	FOREIGN KEY(unknown_because) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_dirs_cache ON part_dirs (cache_id, part_id);
CREATE INDEX part_dirs_link ON part_dirs (link, part_id);
CREATE TABLE part_image_configs ( /* The config of an image, apart from what is read of it: few questions need it, and it is most of the bytes. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	config TEXT NOT NULL /* The config JSON as stored. */, 
	PRIMARY KEY (part_id), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE part_image_history ( /* The build steps of an image, as its config lists them; view image_history has them for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	position INTEGER NOT NULL /* 0 for the first step, counting up. */, 
	created_at TEXT /* When the step ran. */, 
	created_by TEXT /* The command of the step. */, 
	author TEXT /* Author of the step. */, 
	comment TEXT /* Comment of the step, such as buildkit.dockerfile.v0 or Imported from -. */, 
	empty_layer INTEGER NOT NULL /* 1 when the step made no layer, else 0. */, 
	layer_position INTEGER /* image_layers.position of the layer it made; NULL when it made none. */, 
	PRIMARY KEY (part_id, position), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE part_image_layers ( /* The layers of an image in order, as its config lists them; view image_layers has them for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	position INTEGER NOT NULL /* 0 for the base, counting up. */, 
	diff_id TEXT NOT NULL /* SHA-256 of the layer's uncompressed tar. */, 
	chain_id TEXT NOT NULL /* Digest of this layer and all below it: sha256(chain below + ' ' + diff_id). */, 
	PRIMARY KEY (part_id, position), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_image_layers_chain ON part_image_layers (chain_id);
CREATE INDEX part_image_layers_diff ON part_image_layers (diff_id);
CREATE TABLE part_images ( /* What an image's config says of it as a whole; view images has it for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	created_at TEXT /* When the config says it was created; NULL when absent or Go's zero time. */, 
	architecture TEXT /* CPU architecture, such as amd64. */, 
	os TEXT /* Operating system, such as linux. */, 
	variant TEXT /* CPU variant, such as v8. */, 
	layer_count INTEGER NOT NULL /* How many layers it has. */, 
	verified INTEGER NOT NULL /* 1 when the SHA-256 of the stored bytes is the image id, else 0. */, 
	PRIMARY KEY (part_id), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE part_layers ( /* A layer that the store has; view layers has it, by name, for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	chain_id INTEGER NOT NULL /* Chain id: digest of this layer and all below it, the same in every store (its number in part_names, 0 for NULL). */, 
	diff_id INTEGER NOT NULL /* SHA-256 of the layer's uncompressed tar; NULL when the store does not say, or it is unreadable (its number in part_names, 0 for NULL). */, 
	parent_chain_id INTEGER NOT NULL /* Chain id of the layer below; NULL for a base layer (its number in part_names, 0 for NULL). */, 
	cache_id INTEGER NOT NULL /* Name of its directory in the driver's folder; NULL when it is not unpacked, or not known (its number in part_names, 0 for NULL). */, 
	size INTEGER /* Bytes as the engine counted: in layerdb lstat sizes, BuildKit's tar payload; in containerd blocks on disk. */, 
	verified INTEGER /* 1 when the chain id is the digest of parent and diff_id, 0 when not, NULL when unknown. */, 
	listing_id INTEGER /* The listing of its files; NULL when not indexed. */, 
	PRIMARY KEY (part_id, chain_id), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(chain_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(diff_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(parent_chain_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(cache_id) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_layers_cache ON part_layers (cache_id, part_id);
CREATE INDEX part_layers_diff ON part_layers (diff_id, part_id);
CREATE INDEX part_layers_parent ON part_layers (parent_chain_id, part_id);
CREATE TABLE part_links ( /* A short name in l/; view links has them for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	link INTEGER NOT NULL /* The short name: 26 characters of base32 (its number in part_names, 0 for NULL). */, 
	target TEXT /* What the symlink says, unfollowed; NULL when it is not a symlink. */, 
	cache_id INTEGER NOT NULL /* Directory it leads to; NULL when the target is not ../<cache-id>/diff or that is gone (its number in part_names, 0 for NULL). */, 
	PRIMARY KEY (part_id, link), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(link) REFERENCES part_names (name_id), 
	FOREIGN KEY(cache_id) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_links_cache ON part_links (cache_id, part_id);
CREATE TABLE part_lowers ( /* The directories below a directory; view overlay_lowers has them, by name, for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	cache_id INTEGER NOT NULL /* Name of the directory (its number in part_names, 0 for NULL). */, 
	position INTEGER NOT NULL /* 0 for the nearest parent, the base last. */, 
	link INTEGER NOT NULL /* Short name as the lower file says it; NULL where there are no short names (its number in part_names, 0 for NULL). */, 
	lower_cache_id INTEGER NOT NULL /* The directory; NULL when the short name leads nowhere (its number in part_names, 0 for NULL). */, 
	PRIMARY KEY (part_id, cache_id, position), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(cache_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(link) REFERENCES part_names (name_id), 
	FOREIGN KEY(lower_cache_id) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_lowers_lower ON part_lowers (lower_cache_id, part_id);
CREATE TABLE part_mounts ( /* A writable layer; view mounts has it, by name, for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	name INTEGER NOT NULL /* Name of the entry: a container id, a snapshot's key, or what else asked for the layer (its number in part_names, 0 for NULL). */, 
	mount_id INTEGER NOT NULL /* Directory of the writable layer; NULL when the file could not be read (its number in part_names, 0 for NULL). */, 
	init_id INTEGER NOT NULL /* Directory of the init layer below it; NULL when there is none (its number in part_names, 0 for NULL). */, 
	parent_chain_id INTEGER NOT NULL /* Chain id of the image layer below; NULL for an image without layers (its number in part_names, 0 for NULL). */, 
	container_id INTEGER NOT NULL /* The container of that name; NULL when there is none (its number in part_names, 0 for NULL). */, 
	PRIMARY KEY (part_id, name), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(name) REFERENCES part_names (name_id), 
	FOREIGN KEY(mount_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(init_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(parent_chain_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(container_id) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_mounts_mount ON part_mounts (mount_id, part_id);
CREATE INDEX part_mounts_parent ON part_mounts (parent_chain_id, part_id);
CREATE TABLE part_refs ( /* A name of an image; view image_refs has it for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	ref INTEGER NOT NULL /* The whole reference as stored, such as debian:12 or docker.io/library/debian:12 (its number in part_names, 0 for NULL). */, 
	repository INTEGER NOT NULL /* Its repository, such as debian or localhost:5000/team/app (its number in part_names, 0 for NULL). */, 
	tag INTEGER NOT NULL /* Its tag; NULL for a digest reference (its number in part_names, 0 for NULL). */, 
	digest INTEGER NOT NULL /* Its manifest digest; NULL for a tag (its number in part_names, 0 for NULL). */, 
	image_id INTEGER NOT NULL /* The image it names, which may be missing; where only a manifest's digest is known, that (its number in part_names, 0 for NULL). */, 
	namespace INTEGER NOT NULL /* The namespace of containerd it stands in; empty in other stores (its number in part_names, 0 for NULL). */, 
	normalized INTEGER NOT NULL /* The reference in full, equal in every store: docker.io/library/debian:12 for debian:12 (its number in part_names, 0 for NULL). */, 
	target_digest INTEGER NOT NULL /* In containerd the digest of the manifest or index that it leads to; NULL elsewhere (its number in part_names, 0 for NULL). */, 
	PRIMARY KEY (part_id, ref, image_id, namespace), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(ref) REFERENCES part_names (name_id), 
	FOREIGN KEY(repository) REFERENCES part_names (name_id), 
	FOREIGN KEY(tag) REFERENCES part_names (name_id), 
	FOREIGN KEY(digest) REFERENCES part_names (name_id), 
	FOREIGN KEY(image_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(namespace) REFERENCES part_names (name_id), 
	FOREIGN KEY(normalized) REFERENCES part_names (name_id), 
	FOREIGN KEY(target_digest) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_refs_image ON part_refs (image_id, part_id);
CREATE INDEX part_refs_normalized ON part_refs (normalized, part_id);
CREATE TABLE part_stored_images ( /* What only its store says of an image; view stored_images has it for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	image_id INTEGER NOT NULL /* Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it (its number in part_names, 0 for NULL). */, 
	content_id INTEGER NOT NULL /* The part with its rows in part_images and the tables beside it. */, 
	target_digest INTEGER NOT NULL /* What Docker on containerd and ctr show for it: the digest of the manifest or index that its first name leads to; NULL elsewhere (its number in part_names, 0 for NULL). */, 
	size INTEGER /* Sum of its layers' size, as docker images shows it without containerd; NULL when one is unknown. */, 
	parent_image_id INTEGER NOT NULL /* Parent image that the classic builder or commit recorded in imagedb/metadata (its number in part_names, 0 for NULL). */, 
	last_updated_at TEXT /* When a tag was last put on it (imagedb/metadata lastUpdated). */, 
	PRIMARY KEY (part_id, image_id), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(image_id) REFERENCES part_names (name_id), 
	FOREIGN KEY(content_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(target_digest) REFERENCES part_names (name_id), 
	FOREIGN KEY(parent_image_id) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX part_stored_images_content ON part_stored_images (content_id, part_id);
CREATE INDEX part_stored_images_parent ON part_stored_images (parent_image_id, part_id);
CREATE TABLE part_usage ( /* Who holds how many bytes; view disk_usage has them, by name, for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	category INTEGER NOT NULL /* What holds the bytes, such as image layer, container, build cache, logs, volumes, unaccounted (its number in part_names, 0 for NULL). */, 
	owner INTEGER NOT NULL /* Directory, container, volume or folder it is; empty where the category is one thing (its number in part_names, 0 for NULL). */, 
	items INTEGER /* How many files and folders they are, or of how many things; NULL when not counted. */, 
	apparent_bytes INTEGER /* Sum of st_size, each inode once; where disk_bytes is NULL as metadata says. */, 
	disk_bytes INTEGER /* 512 * st_blocks, each inode once, as du counts; NULL when not measured. */, 
	counted_by_docker INTEGER NOT NULL /* 1 when docker system df counts it, else 0. */, 
	note INTEGER NOT NULL /* How the figure was found (its number in part_names, 0 for NULL). */, 
	place TEXT /* Where it lies if not on the root's own filesystem: the folder of the root on which another is mounted, or where a symlink leads; NULL for what du -s -x counts. */, 
	estimated_bytes INTEGER /* Where disk_bytes is NULL: what its files take in blocks of 4 KiB; NULL when not listed. */, 
	PRIMARY KEY (part_id, category, owner), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(category) REFERENCES part_names (name_id), 
	FOREIGN KEY(owner) REFERENCES part_names (name_id), 
	FOREIGN KEY(note) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE part_uses ( /* A thing and one that needs it; view recorded_uses has them, by name, for each snapshot. */
	part_id INTEGER NOT NULL /* The part these rows belong to. */, 
	used_kind INTEGER NOT NULL /* What is needed: directory, layer, image, volume, mount (a writable layer) or snapshot (of BuildKit, lost) (its number in part_names, 0 for NULL). */, 
	used INTEGER NOT NULL /* Name of the directory, chain id, image id, name of the volume or mount, or key of the snapshot (its number in part_names, 0 for NULL). */, 
	user_kind INTEGER NOT NULL /* Of a directory: layer, storage-layer, container, init, image-mount, build-mount, mount, mount-init, build-cache, build-snapshot, snapshot, removing, writing, lower (another directory's list names it); a layer's also image, container-base, mount-base. Of an image or volume: container, manifest list, store, pinned (by Kubernetes). Of what is not here: removing (the user goes, too), borrowed (another store of the host lends it), storage-layer (a layer of an unknown chain that it must be) (its number in part_names, 0 for NULL). */, 
	user INTEGER NOT NULL /* Chain id, image id, container id, name in layerdb/mounts, build-cache record, key in snapshots.db, key or name of a snapshot of containerd, layer id, write-set, the directory whose lower names it, or another store of this host with what in it (its number in part_names, 0 for NULL). */, 
	source INTEGER NOT NULL /* The kind of fact that says so, as sources.kind names it (its number in part_names, 0 for NULL). */, 
	PRIMARY KEY (part_id, used_kind, used, user_kind, user), 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE, 
	FOREIGN KEY(used_kind) REFERENCES part_names (name_id), 
	FOREIGN KEY(used) REFERENCES part_names (name_id), 
	FOREIGN KEY(user_kind) REFERENCES part_names (name_id), 
	FOREIGN KEY(user) REFERENCES part_names (name_id), 
	FOREIGN KEY(source) REFERENCES part_names (name_id)
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE snapshots ( /* One store, at one host, at one time; written in one transaction and never edited. */
	snapshot_id INTEGER NOT NULL /* Number of the snapshot in this database. */, 
	uid TEXT NOT NULL /* Random hex that names the snapshot in every database it is copied to. */, 
	host_id INTEGER NOT NULL /* The host that holds the store. */, 
	store TEXT NOT NULL /* Kind of store: docker-overlay2, docker-vfs, docker-containerd-overlayfs, containerd-overlayfs, containers-storage-overlay … */, 
	engine TEXT /* Whose commands manage it: docker, containerd, or containers-storage for Podman, Buildah and CRI-O. */, 
	root TEXT NOT NULL /* Absolute path of the store's root where it was scanned, symlinks resolved. */, 
	driver TEXT NOT NULL /* Storage driver as the engine names it, or containerd's snapshotter. */, 
	folder TEXT NOT NULL /* Where the driver's directories lie: below root, such as overlay2, or an absolute path outside it. */, 
	engine_id TEXT /* What the root's engine-id file says (Docker 23 and later). */, 
	label TEXT /* Text given with --label. */, 
	started_at TEXT NOT NULL /* When the scan of this store began. */, 
	finished_at TEXT NOT NULL /* When the scan of this store ended. */, 
	ordered_at TEXT NOT NULL /* What says which snapshot of a host, store and root is newer: started_at, or 1 ms after the newest that was there where the clock had gone back, and when it came for one that is dated later; of equal ones the greater uid is newer. */, 
	received_at TEXT /* When it was imported, by the clock of who did; NULL where it was scanned here. */, 
	status TEXT NOT NULL /* complete: every place was tried; what could not be read is in problems. */, 
	scope TEXT NOT NULL /* How far the scan read: metadata (--no-files), files, or walk (--walk: all of them). */, 
	reads_directories INTEGER DEFAULT 0 NOT NULL /* 1 when its directories are in overlay_dirs, 0 for a driver whose are not read. */, 
	keeps_links INTEGER DEFAULT 0 NOT NULL /* 1 when its directories have short names, and lower lists by those, else 0. */, 
	mounts_inside INTEGER DEFAULT 0 NOT NULL /* 1 when a directory has merged/ only while something is mounted on it, else 0. */, 
	guards_images INTEGER DEFAULT 0 NOT NULL /* 1 when its engine removes no image that a container needs, nor by id one that several repositories name. */, 
	collects_garbage INTEGER DEFAULT 0 NOT NULL /* 1 when layers and content go that no name, container or lease holds, else 0. */, 
	tool_version TEXT NOT NULL /* Version of layerindex that wrote the snapshot. */, 
	PRIMARY KEY (snapshot_id), 
	UNIQUE (uid), 
	FOREIGN KEY(host_id) REFERENCES hosts (host_id) ON DELETE CASCADE
)
 STRICT;
CREATE INDEX snapshots_host ON snapshots (host_id, store, root);
CREATE TABLE blobs ( /* A blob of containerd's content store, or what its database knows of one; a blob is shared by namespaces. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	digest TEXT NOT NULL /* Digest of its bytes, the file's name. */, 
	namespace TEXT NOT NULL /* A namespace that knows it; empty when none does. */, 
	size INTEGER /* Its bytes on disk, or as the database says when it is not there. */, 
	media_type TEXT /* What an image's name, index or manifest says it is; NULL when none of them names it. */, 
	diff_id TEXT /* Of a layer: SHA-256 of its uncompressed tar, as a label or an image says. */, 
	created_at TEXT /* When it was written. */, 
	updated_at TEXT /* When its labels last changed. */, 
	on_disk INTEGER NOT NULL /* 1 when its file is there, else 0. */, 
	labels TEXT /* Its labels as a JSON object; NULL for none. */, 
	PRIMARY KEY (snapshot_id, digest, namespace), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE build_cache ( /* A record of BuildKit's cache, from metadata_v2.db and its snapshots. */
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
	snapshot_key TEXT /* Key of its snapshot, through which the directory was found. */, 
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
CREATE TABLE container_logs ( /* A log file of a container, the current one or a rotated one. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	container_id TEXT NOT NULL /* The container. */, 
	path TEXT NOT NULL /* Path relative to the root; whole for logs of pods, which lie elsewhere. */, 
	driver TEXT NOT NULL /* The logging driver that writes such files: json-file, local or k8s-file. */, 
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
CREATE TABLE containerd_snapshots ( /* A snapshot of containerd, as meta.db and its snapshotter's own database know it. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	snapshotter TEXT NOT NULL /* The snapshotter: overlayfs, native … */, 
	name TEXT NOT NULL /* The snapshotter's own name for it: <namespace>/<number>/<key>. */, 
	namespace TEXT NOT NULL /* Its namespace. */, 
	snapshot_key TEXT NOT NULL /* Its key there: a chain id, a container, extract-… (being unpacked), or what a client chose. */, 
	kind TEXT /* view, active or committed; NULL when the snapshotter does not know it. */, 
	parent_name TEXT /* The snapshot it stands on; NULL for none. */, 
	cache_id TEXT /* Its directory: the number in snapshots/<n>; NULL when the snapshotter does not know it. */, 
	chain_id TEXT /* Chain id of the layer it is, or will be; NULL for others. */, 
	size INTEGER /* Bytes on disk as containerd counted when it was committed; NULL for others. */, 
	inodes INTEGER /* Files and folders as containerd counted; NULL for others. */, 
	created_at TEXT /* When it was made. */, 
	updated_at TEXT /* When it last changed. */, 
	in_metadata INTEGER NOT NULL /* 1 when meta.db knows it, 0 when only the snapshotter does, as until its removal ends. */, 
	reachable INTEGER /* 1 when an image, container, lease, label or child holds it, 0 when garbage; NULL if unclear. */, 
	labels TEXT /* Its labels as a JSON object; NULL for none. */, 
	PRIMARY KEY (snapshot_id, snapshotter, name), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX containerd_snapshots_chain ON containerd_snapshots (chain_id, snapshot_id);
CREATE INDEX containerd_snapshots_directory ON containerd_snapshots (cache_id, snapshot_id);
CREATE TABLE containers ( /* A container, as its engine last saved it. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	container_id TEXT NOT NULL /* Container id. */, 
	namespace TEXT NOT NULL /* The namespace of containerd it is in: moby, k8s.io, default …; empty where there is none. */, 
	name TEXT /* Name without the leading slash. */, 
	image_id TEXT /* The image it runs, which may have been removed; NULL when only target_digest is known. */, 
	target_digest TEXT /* The digest of the manifest or index it was made from, where its engine says that instead. */, 
	image_ref TEXT /* The image as the user named it, which may name another image by now. */, 
	state TEXT /* running, paused, restarting, removing, dead, created or exited, as saved; unknown if that is not on disk. */, 
	created_at TEXT /* When it was created. */, 
	started_at TEXT /* When it last started; NULL for never. */, 
	finished_at TEXT /* When it last ended; NULL for never. */, 
	exit_code INTEGER /* Exit code of its last run. */, 
	driver TEXT /* Storage driver it was made with. */, 
	mount_id TEXT /* Directory of its writable layer. */, 
	log_driver TEXT /* Logging driver, from hostconfig.json. */, 
	log_path TEXT /* Log file as the engine named it on the original host. */, 
	log_bytes INTEGER /* Bytes of its log files with rotations; NULL when they could not be read, or lie elsewhere. */, 
	sandbox_id TEXT /* The pod or sandbox it runs in; NULL for none. */, 
	PRIMARY KEY (snapshot_id, container_id, namespace), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX containers_image ON containers (snapshot_id, image_id);
CREATE INDEX containers_name ON containers (name);
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
CREATE TABLE image_manifests ( /* A manifest or index that leads to images, or is listed by one that does; its blob may be absent. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	digest TEXT NOT NULL /* Digest of the manifest or index. */, 
	image_id TEXT NOT NULL /* The image whose config it names; empty for an index, an attestation, or when it cannot be told. */, 
	index_digest TEXT NOT NULL /* The index that lists it; empty where a name leads to it, or when it is not known. */, 
	kind TEXT NOT NULL /* image, index, attestation (of another manifest), artifact (something that is no image) or unknown. */, 
	media_type TEXT /* Its media type as its index, its name or it itself says. */, 
	size INTEGER /* Its bytes. */, 
	os TEXT /* Operating system, as the index says. */, 
	architecture TEXT /* CPU architecture, as the index says. */, 
	variant TEXT /* CPU variant, as the index says. */, 
	subject_digest TEXT /* Of an attestation: the manifest it speaks of. */, 
	on_disk INTEGER /* 1 when its blob is in the store, 0 when absent, as of platforms that were not pulled. */, 
	PRIMARY KEY (snapshot_id, digest, image_id, index_digest), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX image_manifests_image ON image_manifests (snapshot_id, image_id);
CREATE TABLE ingests ( /* A download or write into containerd's content store that has not ended. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	name TEXT NOT NULL /* Its folder in ingest/, or ref where only the database knows it. */, 
	namespace TEXT /* Its namespace; NULL when not known. */, 
	ref TEXT /* What is written, such as layer-sha256:…; NULL when it could not be read. */, 
	expected_digest TEXT /* The digest it shall have; NULL when not known. */, 
	started_at TEXT /* When it began. */, 
	updated_at TEXT /* When it was last written. */, 
	total INTEGER /* Bytes it shall have; NULL when not known. */, 
	size INTEGER /* Bytes it has; NULL when it has no file. */, 
	PRIMARY KEY (snapshot_id, name), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE layer_blobs ( /* Compressed blobs of a layer: in Docker as distribution/ remembers them, after rmi too; else as manifests say. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	diff_id TEXT NOT NULL /* SHA-256 of the layer's uncompressed tar. */, 
	digest TEXT NOT NULL /* Digest of the compressed blob. */, 
	source_repository TEXT NOT NULL /* Repository it was seen in; empty when none is remembered. */, 
	PRIMARY KEY (snapshot_id, diff_id, digest, source_repository), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX layer_blobs_digest ON layer_blobs (digest);
CREATE TABLE lease_resources ( /* What a lease holds. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	namespace TEXT NOT NULL /* Namespace of the lease. */, 
	lease_id TEXT NOT NULL /* The lease. */, 
	type TEXT NOT NULL /* snapshots/<snapshotter>, content, ingests or images. */, 
	resource TEXT NOT NULL /* Key of the snapshot, digest, reference or name. */, 
	PRIMARY KEY (snapshot_id, namespace, lease_id, type, resource), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE leases ( /* A lease of containerd: what it names is kept while it lasts. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	namespace TEXT NOT NULL /* Its namespace. */, 
	lease_id TEXT NOT NULL /* Its id: of Docker's containers the container's, of BuildKit the record's. */, 
	created_at TEXT /* When it was made. */, 
	expires_at TEXT /* When it ends; NULL for never. */, 
	labels TEXT /* Its labels as a JSON object; NULL for none. */, 
	PRIMARY KEY (snapshot_id, namespace, lease_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
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
CREATE TABLE sources ( /* A place that could name a user of something: what it tells, and in which state it was. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	kind TEXT NOT NULL /* What it tells: layers, mounts, containers, images, manifests, names, build cache, volumes, links, directories, pulls, borrowers. */, 
	path TEXT NOT NULL /* Where it is, relative to the root or absolute; control characters escaped. */, 
	state TEXT NOT NULL /* read, absent, lost, damaged, denied, elsewhere, not looked at, in motion; layerindex schema states explains them. */, 
	detail TEXT /* What was found, or what needs it; NULL for nothing to say. */, 
	PRIMARY KEY (snapshot_id, kind, path), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE TABLE storage_layers ( /* A layer in the list of containers-storage, also one that layers cannot hold: without diff_id, of a container … */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	layer_id TEXT NOT NULL /* Layer id, the name of its directory. */, 
	parent_layer_id TEXT /* Layer below; NULL for a base. */, 
	chain_id TEXT /* Chain id of the OCI layer it is; NULL when it is none, or a diff_id below is unknown. */, 
	diff_id TEXT /* SHA-256 of its uncompressed tar; NULL when the list does not say. */, 
	compressed_digest TEXT /* Digest of the blob it was pulled from. */, 
	toc_digest TEXT /* Digest of its table of contents, when pulled in part. */, 
	created_at TEXT /* When it was made. */, 
	size INTEGER /* Bytes of its tar. */, 
	compressed_size INTEGER /* Bytes of its blob. */, 
	names TEXT /* Its names as a JSON list; NULL for none. */, 
	state TEXT NOT NULL /* complete or incomplete. */, 
	volatile INTEGER NOT NULL /* 1 when it is in volatile-layers.json, gone after a reboot, else 0. */, 
	read_only INTEGER NOT NULL /* 1 when it is of an additional image store, else 0. */, 
	live INTEGER /* 1 when an image or container needs it, else 0; NULL when that cannot be told. */, 
	PRIMARY KEY (snapshot_id, layer_id), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX storage_layers_chain ON storage_layers (chain_id, snapshot_id);
CREATE TABLE stored_directories ( /* What a snapshot knows of the directories of each bucket: who needs them, and what is below them. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	bucket INTEGER NOT NULL /* The bucket, as part_names.bucket. */, 
	part_id INTEGER NOT NULL /* The part with its rows in part_lowers and the tables beside it. */, 
	PRIMARY KEY (snapshot_id, bucket), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE, 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX stored_directories_part ON stored_directories (part_id, snapshot_id);
CREATE TABLE stored_layers ( /* What a snapshot says of the layers of each bucket. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	bucket INTEGER NOT NULL /* The bucket, as part_names.bucket. */, 
	part_id INTEGER NOT NULL /* The part with its rows in part_layers. */, 
	PRIMARY KEY (snapshot_id, bucket), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE, 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX stored_layers_part ON stored_layers (part_id, snapshot_id);
CREATE TABLE stored_references ( /* What a snapshot says of its images, their names and its writable layers. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	bucket INTEGER NOT NULL /* 0: they are one part. */, 
	part_id INTEGER NOT NULL /* The part with its rows in part_refs and the tables beside it. */, 
	PRIMARY KEY (snapshot_id, bucket), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE, 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX stored_references_part ON stored_references (part_id, snapshot_id);
CREATE TABLE stored_usage ( /* What a snapshot says of the bytes of the holders of each bucket. */
	snapshot_id INTEGER NOT NULL /* The snapshot this fact belongs to. */, 
	bucket INTEGER NOT NULL /* The bucket, as part_names.bucket. */, 
	part_id INTEGER NOT NULL /* The part with its rows in part_usage. */, 
	PRIMARY KEY (snapshot_id, bucket), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE, 
	FOREIGN KEY(part_id) REFERENCES parts (part_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE INDEX stored_usage_part ON stored_usage (part_id, snapshot_id);
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
	on_disk INTEGER NOT NULL /* 1 when its directory is in volumes/, or at its place, else 0. */, 
	apparent_bytes INTEGER /* Sum of st_size below it, each inode once; NULL when not measured. */, 
	disk_bytes INTEGER /* 512 * st_blocks below it, each inode once, as du counts; NULL when not measured. */, 
	entry_count INTEGER /* Files and folders in it, 0 for an empty one; NULL when not measured. */, 
	place TEXT /* Absolute path of its folder where that is not in the root's volumes/; NULL for there, or not known. */, 
	holds TEXT /* What was seen in it: the state of a builder, or a whole store of an engine; NULL for neither. */, 
	PRIMARY KEY (snapshot_id, name), 
	FOREIGN KEY(snapshot_id) REFERENCES snapshots (snapshot_id) ON DELETE CASCADE
)
 WITHOUT ROWID,
 STRICT;
CREATE VIEW overlay_lowers AS /* The directories below a directory, as its lower file lists them or containerd's snapshotter knows them. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS cache_id, /* Name of the directory. */
  r.position, /* 0 for the nearest parent, the base last. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.link) AS link, /* Short name as the lower file says it; NULL where there are no short names. */
  n2.name AS lower_cache_id /* The directory; NULL when the short name leads nowhere. */
FROM stored_directories AS s JOIN part_lowers AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.cache_id AND s.bucket = +n1.bucket
JOIN part_names AS n2 ON n2.name_id = r.lower_cache_id;
CREATE VIEW recorded_uses AS /* A thing and one that needs it, where no other table says so; view uses has all. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS used_kind, /* What is needed: directory, layer, image, volume, mount (a writable layer) or snapshot (of BuildKit, lost). */
  n2.name AS used, /* Name of the directory, chain id, image id, name of the volume or mount, or key of the snapshot. */
  n3.name AS user_kind, /* Of a directory: layer, storage-layer, container, init, image-mount, build-mount, mount, mount-init, build-cache, build-snapshot, snapshot, removing, writing, lower (another directory's list names it); a layer's also image, container-base, mount-base. Of an image or volume: container, manifest list, store, pinned (by Kubernetes). Of what is not here: removing (the user goes, too), borrowed (another store of the host lends it), storage-layer (a layer of an unknown chain that it must be). */
  n4.name AS user, /* Chain id, image id, container id, name in layerdb/mounts, build-cache record, key in snapshots.db, key or name of a snapshot of containerd, layer id, write-set, the directory whose lower names it, or another store of this host with what in it. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.source) AS source /* The kind of fact that says so, as sources.kind names it. */
FROM stored_directories AS s JOIN part_uses AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.used_kind
JOIN part_names AS n2 ON n2.name_id = r.used AND s.bucket = +n2.bucket
JOIN part_names AS n3 ON n3.name_id = r.user_kind
JOIN part_names AS n4 ON n4.name_id = r.user;
CREATE VIEW links AS /* A short name in l/, which keeps mount options under a page. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS link, /* The short name: 26 characters of base32. */
  coalesce(r.target, '../' || n2.name || '/diff') AS target, /* What the symlink says, unfollowed; NULL when it is not a symlink. */
  n2.name AS cache_id /* Directory it leads to; NULL when the target is not ../<cache-id>/diff or that is gone. */
FROM stored_directories AS s JOIN part_links AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.link AND s.bucket = +n1.bucket
JOIN part_names AS n2 ON n2.name_id = r.cache_id;
CREATE VIEW disk_usage AS /* Who holds how many bytes below the root; after scan --walk those without a place add up to what du -s -x prints. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS category, /* What holds the bytes, such as image layer, container, build cache, logs, volumes, unaccounted. */
  n2.name AS owner, /* Directory, container, volume or folder it is; empty where the category is one thing. */
  r.items, /* How many files and folders they are, or of how many things; NULL when not counted. */
  r.apparent_bytes, /* Sum of st_size, each inode once; where disk_bytes is NULL as metadata says. */
  r.disk_bytes, /* 512 * st_blocks, each inode once, as du counts; NULL when not measured. */
  r.counted_by_docker, /* 1 when docker system df counts it, else 0. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.note) AS note, /* How the figure was found. */
  r.place, /* Where it lies if not on the root's own filesystem: the folder of the root on which another is mounted, or where a symlink leads; NULL for what du -s -x counts. */
  r.estimated_bytes /* Where disk_bytes is NULL: what its files take in blocks of 4 KiB; NULL when not listed. */
FROM stored_usage AS s JOIN part_usage AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.category
JOIN part_names AS n2 ON n2.name_id = r.owner AND s.bucket = +n2.bucket;
CREATE VIEW overlay_dirs AS /* A directory in the driver's folder: overlay2/<cache-id>, overlay/<layer id>, or snapshots/<n> of containerd. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS cache_id, /* Name of the directory. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.role) AS role, /* layer, container, init, build-cache, removing, mount (of something not a container), in-flight, foreign (not of the driver's making), orphan, unknown. */
  n2.name AS link, /* Short name in l/, from the directory's link file; NULL where the driver has none. */
  r.lower_count, /* How many directories lie below it, as its lower file or the snapshotter says; 0 for a base. */
  r.has_diff, /* 1 when the folder with its own files is there (diff/, containerd: fs/), else 0. */
  r.has_work, /* 1 when work/ is there, else 0. */
  r.has_merged, /* 1 when merged/ is there, else 0; a running container is mounted on it. */
  r.committed, /* 1 when it is known to be committed (a child was made from it, a committed snapshot), else 0. */
  r.apparent_bytes, /* Sum of st_size below diff/, each inode once, as read from its listing; NULL if not. */
  r.disk_bytes, /* 512 * st_blocks below diff/, each inode once, as du counts; NULL when not walked. */
  r.entry_count, /* Entries of its listing; a walk has diff/ itself too: 1 for an empty one; NULL without one. */
  r.listing_id, /* The listing of its files; NULL when not indexed. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.unknown_because) AS unknown_because /* For role unknown: what it may be, by what it stands on; standings says what may name it. */
FROM stored_usage AS s JOIN part_dirs AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.cache_id AND s.bucket = +n1.bucket
JOIN part_names AS n2 ON n2.name_id = r.link;
CREATE VIEW layers AS /* A layer that the store has, unpacked or as a blob: a diff_id at one place in a chain. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS chain_id, /* Chain id: digest of this layer and all below it, the same in every store. */
  n2.name AS diff_id, /* SHA-256 of the layer's uncompressed tar; NULL when the store does not say, or it is unreadable. */
  n3.name AS parent_chain_id, /* Chain id of the layer below; NULL for a base layer. */
  n4.name AS cache_id, /* Name of its directory in the driver's folder; NULL when it is not unpacked, or not known. */
  r.size, /* Bytes as the engine counted: in layerdb lstat sizes, BuildKit's tar payload; in containerd blocks on disk. */
  r.verified, /* 1 when the chain id is the digest of parent and diff_id, 0 when not, NULL when unknown. */
  r.listing_id /* The listing of its files; NULL when not indexed. */
FROM stored_layers AS s JOIN part_layers AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.chain_id AND s.bucket = +n1.bucket
JOIN part_names AS n2 ON n2.name_id = r.diff_id
JOIN part_names AS n3 ON n3.name_id = r.parent_chain_id
JOIN part_names AS n4 ON n4.name_id = r.cache_id;
CREATE VIEW stored_images AS /* An image of a snapshot: what only its store says of it, and the part that holds what its config says. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS image_id, /* Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
  r.content_id, /* The part with its rows in part_images and the tables beside it. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.target_digest) AS target_digest, /* What Docker on containerd and ctr show for it: the digest of the manifest or index that its first name leads to; NULL elsewhere. */
  r.size, /* Sum of its layers' size, as docker images shows it without containerd; NULL when one is unknown. */
  n2.name AS parent_image_id, /* Parent image that the classic builder or commit recorded in imagedb/metadata. */
  r.last_updated_at /* When a tag was last put on it (imagedb/metadata lastUpdated). */
FROM stored_references AS s JOIN part_stored_images AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.image_id
JOIN part_names AS n2 ON n2.name_id = r.parent_image_id;
CREATE VIEW image_refs AS /* A name of an image: a tag or a digest; in containerd one row for each of its platforms that is here. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS ref, /* The whole reference as stored, such as debian:12 or docker.io/library/debian:12. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.repository) AS repository, /* Its repository, such as debian or localhost:5000/team/app. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.tag) AS tag, /* Its tag; NULL for a digest reference. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.digest) AS digest, /* Its manifest digest; NULL for a tag. */
  n2.name AS image_id, /* The image it names, which may be missing; where only a manifest's digest is known, that. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.namespace) AS namespace, /* The namespace of containerd it stands in; empty in other stores. */
  n3.name AS normalized, /* The reference in full, equal in every store: docker.io/library/debian:12 for debian:12. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.target_digest) AS target_digest /* In containerd the digest of the manifest or index that it leads to; NULL elsewhere. */
FROM stored_references AS s JOIN part_refs AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.ref
JOIN part_names AS n2 ON n2.name_id = r.image_id
JOIN part_names AS n3 ON n3.name_id = r.normalized;
CREATE VIEW mounts AS /* A writable layer: of a container, an image mount or a builder; in Docker an entry of layerdb/mounts. */
SELECT
  s.snapshot_id, /* The snapshot this fact belongs to. */
  n1.name AS name, /* Name of the entry: a container id, a snapshot's key, or what else asked for the layer. */
  n2.name AS mount_id, /* Directory of the writable layer; NULL when the file could not be read. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.init_id) AS init_id, /* Directory of the init layer below it; NULL when there is none. */
  n3.name AS parent_chain_id, /* Chain id of the image layer below; NULL for an image without layers. */
  (SELECT n.name FROM part_names AS n WHERE n.name_id = r.container_id) AS container_id /* The container of that name; NULL when there is none. */
FROM stored_references AS s JOIN part_mounts AS r ON r.part_id = s.part_id
JOIN part_names AS n1 ON n1.name_id = r.name
JOIN part_names AS n2 ON n2.name_id = r.mount_id
JOIN part_names AS n3 ON n3.name_id = r.parent_chain_id;
CREATE VIEW images AS /* An image whose config is in the store; its id, the same in every store, is the SHA-256 of the config's bytes. */
SELECT
  stored_images.snapshot_id, /* The snapshot this fact belongs to. */
  stored_images.image_id, /* Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
  part_images.created_at, /* When the config says it was created; NULL when absent or Go's zero time. */
  part_images.architecture, /* CPU architecture, such as amd64. */
  part_images.os, /* Operating system, such as linux. */
  part_images.variant, /* CPU variant, such as v8. */
  stored_images.target_digest, /* What Docker on containerd and ctr show for it: the digest of the manifest or index that its first name leads to; NULL elsewhere. */
  stored_images.size, /* Sum of its layers' size, as docker images shows it without containerd; NULL when one is unknown. */
  part_images.layer_count, /* How many layers it has. */
  stored_images.parent_image_id, /* Parent image that the classic builder or commit recorded in imagedb/metadata. */
  stored_images.last_updated_at, /* When a tag was last put on it (imagedb/metadata lastUpdated). */
  part_images.verified, /* 1 when the SHA-256 of the stored bytes is the image id, else 0. */
  (SELECT part_image_configs.config FROM part_image_configs WHERE part_image_configs.part_id = stored_images.content_id) AS config /* The config JSON as stored. */
FROM stored_images JOIN part_images ON part_images.part_id = stored_images.content_id;
CREATE VIEW image_layers AS /* The layers of an image in order, as its config lists them. */
SELECT
  stored_images.snapshot_id, /* The snapshot this fact belongs to. */
  stored_images.image_id, /* Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
  part_image_layers.position, /* 0 for the base, counting up. */
  part_image_layers.diff_id, /* SHA-256 of the layer's uncompressed tar. */
  part_image_layers.chain_id /* Digest of this layer and all below it: sha256(chain below + ' ' + diff_id). */
FROM stored_images JOIN part_image_layers ON part_image_layers.part_id = stored_images.content_id;
CREATE VIEW image_history AS /* The build steps of an image, as its config lists them. */
SELECT
  stored_images.snapshot_id, /* The snapshot this fact belongs to. */
  stored_images.image_id, /* Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
  part_image_history.position, /* 0 for the first step, counting up. */
  part_image_history.created_at, /* When the step ran. */
  part_image_history.created_by, /* The command of the step. */
  part_image_history.author, /* Author of the step. */
  part_image_history.comment, /* Comment of the step, such as buildkit.dockerfile.v0 or Imported from -. */
  part_image_history.empty_layer, /* 1 when the step made no layer, else 0. */
  part_image_history.layer_position /* image_layers.position of the layer it made; NULL when it made none. */
FROM stored_images JOIN part_image_history ON part_image_history.part_id = stored_images.content_id;
CREATE VIEW numbered_disk_usage AS /* View disk_usage with numbers of part_names in the place of names, 0 for NULL: much faster over many hosts. */
SELECT s.snapshot_id, r.category, r.owner, r.items, r.apparent_bytes, r.disk_bytes, r.counted_by_docker, r.note, r.place, r.estimated_bytes
FROM stored_usage AS s JOIN part_usage AS r ON r.part_id = s.part_id;
CREATE VIEW numbered_overlay_dirs AS /* View overlay_dirs with numbers of part_names in the place of names, 0 for NULL: much faster over many hosts. */
SELECT s.snapshot_id, r.cache_id, r.role, r.link, r.lower_count, r.has_diff, r.has_work, r.has_merged, r.committed, r.apparent_bytes, r.disk_bytes, r.entry_count, r.listing_id, r.unknown_because
FROM stored_usage AS s JOIN part_dirs AS r ON r.part_id = s.part_id;
CREATE VIEW numbered_layers AS /* View layers with numbers of part_names in the place of names, 0 for NULL: much faster over many hosts. */
SELECT s.snapshot_id, r.chain_id, r.diff_id, r.parent_chain_id, r.cache_id, r.size, r.verified, r.listing_id
FROM stored_layers AS s JOIN part_layers AS r ON r.part_id = s.part_id;
CREATE VIEW numbered_image_refs AS /* View image_refs with numbers of part_names in the place of names, 0 for NULL: much faster over many hosts. */
SELECT s.snapshot_id, r.ref, r.repository, r.tag, r.digest, r.image_id, r.namespace, r.normalized, r.target_digest
FROM stored_references AS s JOIN part_refs AS r ON r.part_id = s.part_id;
CREATE VIEW snapshot_ages AS /* Each complete snapshot, and how many of its host, store and root are newer. */
/* age: How many snapshots of its host, store and root are newer; 0 for the newest. */
SELECT snapshot_id, host_id, ordered_at, row_number() OVER (
  PARTITION BY host_id, store, root ORDER BY ordered_at DESC, uid DESC
) - 1 AS age
FROM snapshots WHERE status = 'complete';
CREATE VIEW selected_snapshots AS /* The newest complete snapshot of each host, store and root; --host and --snapshot choose others. */
SELECT snapshot_id FROM snapshot_ages WHERE age = 0;
CREATE VIEW snapshot_hosts AS /* Each snapshot with the name of its host. */
SELECT s.snapshot_id, h.name AS host FROM snapshots AS s JOIN hosts AS h ON h.host_id = s.host_id;
CREATE VIEW image_names AS /* All an image may be called: references as stored, in full and as Docker and Podman shorten them, with and without :latest, its id and its 12-character id, and the digest by which Docker on containerd shows it. */
/* snapshot_id: The snapshot this fact belongs to. */
/* image_id: Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
/* name: One of the names that it may be called by. */
SELECT DISTINCT snapshot_id, image_id, name FROM (
  -- One reading of the references, not twelve: SQLite would prepare each apart, in each query that asks for names.
  SELECT r.snapshot_id, r.image_id, CASE k.column1
    WHEN 1 THEN r.ref
    WHEN 2 THEN r.normalized
    WHEN 3 THEN r.target_digest
    WHEN 4 THEN substr(r.target_digest, 8, 12)
    WHEN 5 THEN iif(r.normalized LIKE 'docker.io/library/%', substr(r.normalized, 19), NULL)
    WHEN 6 THEN iif(r.normalized LIKE 'docker.io/%', substr(r.normalized, 11), NULL)
    WHEN 7 THEN iif(r.ref LIKE 'localhost/%', substr(r.ref, 11), NULL)
    WHEN 8 THEN iif(r.tag = 'latest', substr(r.ref, 1, length(r.ref) - 7), NULL)
    WHEN 9 THEN iif(r.tag = 'latest', substr(r.normalized, 1, length(r.normalized) - 7), NULL)
    WHEN 10 THEN iif(r.tag = 'latest' AND r.ref LIKE 'localhost/%', substr(r.ref, 11, length(r.ref) - 17), NULL)
    WHEN 11 THEN iif(r.tag = 'latest' AND r.normalized LIKE 'docker.io/%',
      substr(r.normalized, 11, length(r.normalized) - 17), NULL)
    ELSE iif(r.tag = 'latest' AND r.normalized LIKE 'docker.io/library/%',
      substr(r.normalized, 19, length(r.normalized) - 25), NULL) END AS name
  FROM image_refs AS r
  CROSS JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) AS k
  UNION ALL
  SELECT snapshot_id, image_id, iif(k.column1 = 1, image_id, substr(image_id, 8, 12))
  FROM stored_images CROSS JOIN (VALUES (1), (2)) AS k)
WHERE name IS NOT NULL;
CREATE VIEW spellings AS /* What may stand before and behind a name where an engine stores it in full: debian:12 of one engine is docker.io/library/debian:12 of another, and debian is debian:latest. */
/* head: What may stand before a name: a registry with its slash, or nothing. */
/* tail: What may stand behind it: :latest, or nothing. */
SELECT head.column1 AS head, tail.column1 AS tail
FROM (VALUES (''), ('docker.io/'), ('docker.io/library/'), ('localhost/')) AS head
CROSS JOIN (VALUES (''), (':latest')) AS tail;
CREATE VIEW manifest_lists AS /* Manifest lists of Podman, by digest: what a name leads to, or what names instances, one for each platform. */
/* snapshot_id: The snapshot this fact belongs to. */
/* image_id: Digest of the list, which stands for an image id where a name does. */
SELECT DISTINCT x.snapshot_id, x.digest AS image_id FROM image_manifests AS x
JOIN snapshots AS s ON s.snapshot_id = x.snapshot_id
WHERE x.kind = 'index' AND x.on_disk = 1 AND NOT s.collects_garbage
  AND (EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = x.snapshot_id AND r.image_id = x.digest)
    -- Of the list that an image was pulled by no instances are told.
    OR EXISTS (SELECT 1 FROM image_manifests AS i
      WHERE i.snapshot_id = x.snapshot_id AND i.index_digest = x.digest));
CREATE VIEW image_labels AS /* One text to show for an image: its tags in order, else its digests, else its id. */
/* label: Its tags in order with commas between, else its digests, else its id. */
SELECT i.snapshot_id, i.image_id, coalesce(
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.tag IS NOT NULL ORDER BY ref)),
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id ORDER BY ref)),
  i.image_id) AS label
FROM stored_images AS i;
CREATE VIEW image_namespaces AS /* Each image in each namespace of containerd that has it, with one text to show for what it is called there; in other stores once, with an empty namespace. */
/* namespace: A namespace of containerd that has it; empty in other stores. */
/* label: Its tags there in order with commas between, else its digests, else its id. */
SELECT i.snapshot_id, i.image_id, coalesce(n.name, b.namespace, '') AS namespace, coalesce(
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = n.name
       AND r.tag IS NOT NULL ORDER BY ref)),
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = n.name ORDER BY ref)),
  i.image_id) AS label
-- The namespaces of its names; of an image without one those that have what Docker keeps of it.
FROM stored_images AS i
LEFT JOIN stored_references AS s ON s.snapshot_id = i.snapshot_id
LEFT JOIN part_refs AS f ON f.part_id = s.part_id
  AND f.image_id = (SELECT p.name_id FROM part_names AS p WHERE p.name = i.image_id) AND NOT EXISTS (
    SELECT 1 FROM part_refs AS o WHERE o.part_id = f.part_id AND o.image_id = f.image_id
      AND o.namespace = f.namespace AND o.ref < f.ref)
LEFT JOIN part_names AS n ON n.name_id = f.namespace
LEFT JOIN blobs AS b ON f.image_id IS NULL AND b.snapshot_id = i.snapshot_id AND b.digest = i.target_digest;
CREATE VIEW layer_facts AS /* What is known of a layer by its chain_id, where its other names are not asked for: view layers without them. */
SELECT s.snapshot_id, n.name AS chain_id, r.size, r.verified, r.listing_id
FROM stored_layers AS s JOIN part_layers AS r ON r.part_id = s.part_id
JOIN part_names AS n ON n.name_id = r.chain_id AND s.bucket = +n.bucket;
CREATE VIEW placed_layers AS /* The layers of images in order, with directory, size and listing where the store has the layer, else NULL. */
/* cache_id: Name of its directory in the driver's folder; NULL when it is not unpacked, not there, or not known. */
/* size: Its bytes, as view layers has them; NULL when it is not there, or not known. */
/* listing_id: The listing of its files; NULL when not indexed, or it is not there. */
SELECT l.snapshot_id, l.image_id, l.position, l.diff_id, l.chain_id,
  (SELECT y.cache_id FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id) AS cache_id,
  (SELECT y.size FROM layer_facts AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id) AS size,
  (SELECT y.listing_id FROM layer_facts AS y
   WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id) AS listing_id
FROM image_layers AS l;
CREATE VIEW image_layer_places AS /* Each layer of each image where it is: its directory and size, in containerd those of the namespace. */
/* cache_id: Name of its directory in the driver's folder; NULL when it is not unpacked, not there, or not known. */
/* size: Its bytes, as view layers has them; NULL when it is not there, or not known. */
/* namespace: The namespace of containerd in which it is there; empty in other stores. */
SELECT n.snapshot_id, n.image_id, n.namespace, l.position, l.diff_id, l.chain_id,
  CASE n.namespace WHEN '' THEN l.cache_id ELSE s.cache_id END AS cache_id,
  CASE n.namespace WHEN '' THEN l.size ELSE s.size END AS size
FROM image_namespaces AS n
CROSS JOIN placed_layers AS l ON l.snapshot_id = n.snapshot_id AND l.image_id = n.image_id
CROSS JOIN snapshots AS k ON k.snapshot_id = n.snapshot_id
LEFT JOIN containerd_snapshots AS s ON s.chain_id = l.chain_id AND s.snapshot_id = l.snapshot_id
  AND s.namespace = n.namespace AND s.snapshotter = k.driver AND s.snapshot_key = l.chain_id;
CREATE VIEW listed_images AS /* Images as docker images lists them: all but untagged ones that have children, which the classic builder leaves. */
SELECT snapshot_id, image_id FROM stored_images AS i
WHERE EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id)
  OR NOT EXISTS (SELECT 1 FROM stored_images AS c
    WHERE c.snapshot_id = i.snapshot_id AND c.parent_image_id = i.image_id)
    -- A child whose config is lost or damaged.
    AND NOT EXISTS (SELECT 1 FROM recorded_uses AS c WHERE c.snapshot_id = i.snapshot_id
      AND c.used_kind = 'image' AND c.used = i.image_id AND c.user_kind = 'child image');
CREATE VIEW overlay_dir_owners AS /* Every reason why a directory exists; one row for each. */
/* cache_id: Name of the directory. */
/* kind: What needs it, as recorded_uses.user_kind. */
/* owner: Which one that is, as recorded_uses.user. */
SELECT snapshot_id, used AS cache_id, user_kind AS kind, user AS owner FROM recorded_uses
WHERE used_kind = 'directory';
CREATE VIEW layer_directories AS /* The directories of a layer: several where it is mapped for other users, or unpacked in several namespaces. */
/* chain_id: Chain id of the layer. */
/* cache_id: Name of one of its directories. */
SELECT snapshot_id, user AS chain_id, used AS cache_id FROM recorded_uses
WHERE used_kind = 'directory' AND user_kind = 'layer';
CREATE VIEW uses AS /* Who needs what, for every kind of thing, and which kind of fact says so. */
/* snapshot_id: The snapshot this fact belongs to. */
/* used_kind: What is needed: directory, layer, image, volume, mount (a writable layer) or snapshot (of BuildKit, lost). */
/* used: Name of the directory, chain id, image id, name of the volume or mount, or key of the snapshot. */
/* user_kind: What needs it: one of recorded_uses.user_kind; of an image also name, child image, container; of a layer also image, layer, mount, build-cache; of a volume also container. */
/* user: Which one that is, as recorded_uses.user; a reference where a name needs an image. */
/* source: The kind of fact that says so, as sources.kind names it. */
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
  WHERE chain_id IS NOT NULL;
CREATE VIEW doubts AS /* For each kind of thing the sources that may name a user of it and were not read: without one nothing is called unused. */
/* snapshot_id: The snapshot this fact belongs to. */
/* thing: directory, layer, image, volume, mount, name (of an image), or missing and what kind of thing is. */
/* because: The places that may name a user of it and were not read whole, each with its state; at most three. */
SELECT snapshot_id, thing, group_concat(said, '; ')
  || CASE WHEN max(many) > 3 THEN '; and ' || (max(many) - 3) || ' more' ELSE '' END AS because
FROM (
  SELECT s.snapshot_id, n.column1 AS thing, count(*) OVER (PARTITION BY s.snapshot_id, n.column1) AS many,
    row_number() OVER (PARTITION BY s.snapshot_id, n.column1 ORDER BY s.kind, s.path) AS rank,
    s.path || ' (' || s.state || coalesce(': ' || s.detail, '') || ')' AS said
  FROM sources AS s JOIN (VALUES ('directory', 'layers'), ('directory', 'mounts'), ('directory', 'containers'), ('directory', 'images'), ('directory', 'build cache'), ('directory', 'links'), ('layer', 'layers'), ('layer', 'mounts'), ('layer', 'containers'), ('layer', 'images'), ('layer', 'build cache'), ('layer', 'borrowers'), ('layer', 'pulls'), ('image', 'containers'), ('image', 'manifests'), ('image', 'borrowers'), ('volume', 'containers'), ('mount', 'containers'), ('name', 'names'), ('missing directory', 'directories'), ('missing layer', 'layers'), ('missing image', 'images'), ('missing mount', 'mounts'), ('missing mount', 'layers'), ('missing mount', 'containers'), ('missing snapshot', 'directories'), ('missing snapshot', 'layers'), ('missing snapshot', 'build cache'), ('missing volume', 'volumes')) AS n ON n.column2 = s.kind
  -- What is lost is missing itself, and may not be elsewhere.
  WHERE s.state NOT IN ('read', 'absent') AND (s.state <> 'lost' OR n.column1 NOT LIKE 'missing %')
)
WHERE rank <= 3 GROUP BY snapshot_id, thing;
CREATE VIEW directory_standings AS /* Whether a directory is used, unused or unknown, and why. */
/* standing: used; unknown where what may name a user of it was not read whole; else unused. */
/* because: Of what is unknown: why, such as the places that were not read; NULL for others. */
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
LEFT JOIN doubts AS t ON t.snapshot_id = d.snapshot_id AND t.thing = 'directory';
CREATE VIEW layer_standings AS /* Whether a layer is used, unused or unknown, and why. */
/* snapshot_id: The snapshot this fact belongs to. */
/* chain_id: Chain id: digest of this layer and all below it, the same in every store. */
/* standing: used; unknown where what may name a user of it was not read whole; else unused. */
/* because: Of what is unknown: why, such as the places that were not read; NULL for others. */
SELECT snapshot_id, chain_id,
  CASE WHEN used THEN 'used' WHEN doubt IS NOT NULL THEN 'unknown' ELSE 'unused' END AS standing,
  CASE WHEN NOT used THEN doubt END AS because
FROM (
  SELECT y.snapshot_id, y.chain_id, CASE WHEN EXISTS (
      SELECT 1 FROM image_layers AS l WHERE l.chain_id = y.chain_id AND l.snapshot_id = y.snapshot_id)
    THEN 1 ELSE (y.snapshot_id, y.chain_id) IN (
      SELECT l.snapshot_id, l.user FROM recorded_uses AS o CROSS JOIN recorded_uses AS l
        ON l.snapshot_id = o.snapshot_id AND l.used_kind = 'directory' AND l.used = o.used AND l.user_kind = 'layer'
      WHERE o.used_kind = 'directory' AND o.user_kind NOT IN ('layer', 'lower', 'build-snapshot')
      UNION ALL SELECT snapshot_id, used FROM recorded_uses
      WHERE used_kind = 'layer' AND user_kind IN ('lease', 'label')) END AS used, d.because AS doubt
  FROM layers AS y LEFT JOIN doubts AS d ON d.snapshot_id = y.snapshot_id AND d.thing = 'layer');
CREATE VIEW image_standings AS /* Whether an image is used, unused or unknown, and why. */
/* snapshot_id: The snapshot this fact belongs to. */
/* image_id: Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
/* standing: used; unknown where what may name a user of it was not read whole; else unused. */
/* because: Of what is unknown: why, such as the places that were not read; NULL for others. */
SELECT snapshot_id, image_id,
  CASE WHEN used THEN 'used' WHEN doubt IS NOT NULL THEN 'unknown' ELSE 'unused' END AS standing,
  CASE WHEN NOT used THEN doubt END AS because
FROM (
  SELECT i.snapshot_id, i.image_id, EXISTS (SELECT 1 FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id)
    OR EXISTS (SELECT 1 FROM recorded_uses AS u
      WHERE u.snapshot_id = i.snapshot_id AND u.used_kind = 'image' AND u.used = i.image_id) AS used, d.because AS doubt
  FROM stored_images AS i LEFT JOIN doubts AS d ON d.snapshot_id = i.snapshot_id AND d.thing = 'image');
CREATE VIEW name_standings AS /* Whether a tag names an image: used, unused or unknown, and why. */
/* snapshot_id: The snapshot this fact belongs to. */
/* image_id: Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
/* standing: used when a tag names it; unknown where what holds names was not read whole; else unused. */
/* because: Of what is unknown: why, such as the places that were not read; NULL for others. */
SELECT snapshot_id, image_id,
  CASE WHEN used THEN 'used' WHEN doubt IS NOT NULL THEN 'unknown' ELSE 'unused' END AS standing,
  CASE WHEN NOT used THEN doubt END AS because
FROM (
  SELECT i.snapshot_id, i.image_id, EXISTS (SELECT 1 FROM image_refs AS r
      WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.tag IS NOT NULL) AS used, d.because AS doubt
  FROM stored_images AS i LEFT JOIN doubts AS d ON d.snapshot_id = i.snapshot_id AND d.thing = 'name');
CREATE VIEW volume_standings AS /* Whether a volume is used, unused or unknown, and why. */
/* snapshot_id: The snapshot this fact belongs to. */
/* name: The volume's name. */
/* standing: used; unknown where what may name a user of it was not read whole; else unused. */
/* because: Of what is unknown: why, such as the places that were not read; NULL for others. */
SELECT snapshot_id, name,
  CASE WHEN used THEN 'used' WHEN doubt IS NOT NULL THEN 'unknown' ELSE 'unused' END AS standing,
  CASE WHEN NOT used THEN doubt END AS because
FROM (
  SELECT v.snapshot_id, v.name, EXISTS (SELECT 1 FROM container_volumes AS c
      WHERE c.snapshot_id = v.snapshot_id AND c.name = v.name AND c.type = 'volume' AND c.name <> '')
    OR EXISTS (SELECT 1 FROM recorded_uses AS u
      WHERE u.snapshot_id = v.snapshot_id AND u.used_kind = 'volume' AND u.used = v.name) AS used, d.because AS doubt
  FROM volumes AS v LEFT JOIN doubts AS d ON d.snapshot_id = v.snapshot_id AND d.thing = 'volume');
CREATE VIEW image_danglings AS /* Whether an image dangles, as docker images --filter dangling=true means it: 1 when it has no tag and no children, else 0; NULL where what may name it was not read whole, which because says. */
/* snapshot_id: The snapshot this fact belongs to. */
/* image_id: Image id (sha256:…): the digest of its config, as Docker without containerd, Podman and CRI show it. */
/* dangling: 1 when it has no tag and no children, else 0; NULL where that is not known. */
/* because: What may name it and was not read whole; NULL where all was. */
SELECT t.snapshot_id, t.image_id, CASE
    WHEN t.standing = 'used'
      OR EXISTS (SELECT 1 FROM stored_images AS c
        WHERE c.snapshot_id = t.snapshot_id AND c.parent_image_id = t.image_id)
      OR EXISTS (SELECT 1 FROM recorded_uses AS u
        WHERE u.snapshot_id = t.snapshot_id AND u.used_kind = 'image' AND u.used = t.image_id
          AND u.user_kind IN ('manifest list', 'store', 'child image')) THEN 0
    WHEN t.standing = 'unused' THEN 1 END AS dangling, t.because
FROM name_standings AS t;
CREATE VIEW mount_standings AS /* Whether a mount is used or unknown, and why. */
/* standing: used, or unknown where no container, image mount or build of its name was found. */
/* because: Of what is unknown: why, such as the places that were not read; NULL for others. */
SELECT m.snapshot_id, m.name,
  CASE WHEN m.container_id IS NOT NULL OR o.owner IS NOT NULL THEN 'used' ELSE 'unknown' END AS standing,
  CASE WHEN m.container_id IS NULL AND o.owner IS NULL THEN coalesce(d.because, 'no container has its name') END
    AS because
FROM mounts AS m
LEFT JOIN (
  SELECT DISTINCT snapshot_id, user AS owner, used FROM recorded_uses
  WHERE used_kind = 'directory' AND user_kind IN ('image-mount', 'build-mount')) AS o
  ON o.snapshot_id = m.snapshot_id AND o.owner = m.name AND o.used = m.mount_id
LEFT JOIN doubts AS d ON d.snapshot_id = m.snapshot_id AND d.thing = 'mount';
CREATE VIEW standings AS /* Whether a directory, layer, image, volume or mount is used, unused or unknown, and why; of kind name: whether a tag names the image. The view of one kind answers sooner. */
/* snapshot_id: The snapshot this fact belongs to. */
/* kind: directory, image, name (whether a tag names the image), volume, layer or mount. */
/* id: Name of the directory, volume or mount, image id, or chain id. */
/* standing: used; unknown where what may name a user of it was not read whole; else unused. */
/* because: Of what is unknown: why, such as the places that were not read; NULL for others. */
SELECT snapshot_id, 'directory' AS kind, cache_id AS id, standing, because FROM directory_standings
UNION ALL SELECT snapshot_id, 'image', image_id, standing, because FROM image_standings
UNION ALL SELECT snapshot_id, 'name', image_id, standing, because FROM name_standings
UNION ALL SELECT snapshot_id, 'volume', name, standing, because FROM volume_standings
UNION ALL SELECT snapshot_id, 'layer', chain_id, standing, because FROM layer_standings
UNION ALL SELECT snapshot_id, 'mount', name, standing, because FROM mount_standings;
CREATE VIEW missing AS /* What metadata names and the store does not have, with the code of its problem; where because is not NULL, it may be in what was not read. */
/* snapshot_id: The snapshot this fact belongs to. */
/* kind: What names it: layer, snapshot, mount, build cache, image, tag, container or volume. */
/* object: Which one that is: a chain id, key, name, record, image id, reference or container id. */
/* code: Code of its problem, such as missing-layer; layerindex schema codes explains them. */
/* missing: Name or id of what is not there; NULL for a container's writable layer. */
/* chain_id: Chain id of the layer that it is of or that it is; NULL for none. */
/* because: What was not read and may have it; NULL where it is not there. */
SELECT f.snapshot_id, f.kind, f.object, f.code, f.missing, f.chain_id,
  coalesce(d.because, (SELECT 'a reader failed: ' || min(p.detail) FROM problems AS p
    WHERE p.snapshot_id = f.snapshot_id AND p.code = 'reader-failed')) AS because
FROM (
  SELECT n.snapshot_id, n.kind, n.object, 'missing-directory' AS code, 'directory' AS thing, n.missing, n.chain_id
  FROM (
  SELECT snapshot_id, 'layer' AS kind, chain_id AS object, cache_id AS missing, chain_id FROM layers
  UNION ALL
  -- Several layers of one chain, and those whose chain is not known.
  SELECT snapshot_id, 'layer', coalesce(chain_id, layer_id), layer_id, chain_id FROM storage_layers AS l
  WHERE state = 'complete' AND read_only = 0
    AND NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.cache_id = l.layer_id)
    AND NOT EXISTS (SELECT 1 FROM mounts AS m WHERE m.snapshot_id = l.snapshot_id AND m.mount_id = l.layer_id)
  UNION ALL
  SELECT snapshot_id, iif(chain_id = snapshot_key, 'layer', 'snapshot'), snapshot_key, cache_id,
    iif(chain_id = snapshot_key, chain_id, NULL)
  FROM containerd_snapshots AS c
  WHERE in_metadata = 1 AND snapshot_key NOT LIKE 'extract-%'
    AND NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = c.snapshot_id AND y.cache_id = c.cache_id)
    AND NOT EXISTS (SELECT 1 FROM mounts AS m
      WHERE m.snapshot_id = c.snapshot_id AND c.cache_id IN (m.mount_id, m.init_id))
  UNION ALL
  SELECT snapshot_id, 'mount', name, mount_id, NULL FROM mounts
  UNION ALL
  SELECT snapshot_id, 'mount', name, init_id, NULL FROM mounts
  UNION ALL
  SELECT snapshot_id, 'build cache', record_id, cache_id, chain_id FROM build_cache) AS n JOIN snapshots AS s USING (snapshot_id)
  WHERE n.missing IS NOT NULL
    -- The directories of other drivers are not read, so nothing can be said of them.
    AND s.reads_directories
    AND NOT EXISTS (SELECT 1 FROM overlay_dirs AS o WHERE o.snapshot_id = n.snapshot_id AND o.cache_id = n.missing)
    -- A driver's folder that could not be read is a problem of its own.
    AND (EXISTS (SELECT 1 FROM overlay_dirs AS o WHERE o.snapshot_id = n.snapshot_id) OR NOT EXISTS (
      SELECT 1 FROM problems AS p WHERE p.snapshot_id = s.snapshot_id AND p.path = s.folder AND p.severity = 'error'))
  UNION ALL
  SELECT snapshot_id, 'layer', chain_id, 'missing-parent', 'layer', parent_chain_id, chain_id FROM layers AS y
  WHERE parent_chain_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM layers AS b WHERE b.snapshot_id = y.snapshot_id AND b.chain_id = y.parent_chain_id)
  UNION ALL
  SELECT snapshot_id, 'layer', layer_id, 'missing-parent', 'layer', parent_layer_id, NULL FROM storage_layers AS l
  WHERE parent_layer_id IS NOT NULL AND chain_id IS NULL AND NOT EXISTS (
    SELECT 1 FROM storage_layers AS b WHERE b.snapshot_id = l.snapshot_id AND b.layer_id = l.parent_layer_id)
  UNION ALL
  SELECT snapshot_id, 'mount', name, 'missing-parent', 'layer', parent_chain_id, NULL FROM mounts AS m
  WHERE parent_chain_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM layers AS b WHERE b.snapshot_id = m.snapshot_id AND b.chain_id = m.parent_chain_id)
  UNION ALL
  SELECT snapshot_id, 'image', image_id, 'missing-layer', 'layer', chain_id, chain_id FROM image_layers AS l
  WHERE NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id)
  UNION ALL
  -- The list of Podman names the layer of an image by an id of its own.
  SELECT snapshot_id, 'image', user, 'missing-layer', 'layer', used, NULL FROM recorded_uses
  WHERE used_kind = 'layer' AND user_kind = 'image'
  UNION ALL
  SELECT DISTINCT snapshot_id, 'tag', ref, 'missing-image', 'image', image_id, NULL FROM image_refs AS r
  WHERE NOT EXISTS (SELECT 1 FROM stored_images AS i WHERE i.snapshot_id = r.snapshot_id AND i.image_id = r.image_id)
    -- A manifest list of Podman is an image name, and all of it is here; what is no image has none.
    AND NOT EXISTS (SELECT 1 FROM manifest_lists AS x WHERE x.snapshot_id = r.snapshot_id AND x.image_id = r.image_id)
    AND NOT EXISTS (SELECT 1 FROM image_manifests AS x WHERE x.snapshot_id = r.snapshot_id AND x.kind = 'artifact'
      AND x.on_disk = 1 AND r.target_digest IN (x.digest, x.index_digest))
  UNION ALL
  SELECT DISTINCT snapshot_id, 'container', container_id, 'missing-image', 'image', image_id, NULL FROM containers AS c
  WHERE image_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM stored_images AS i WHERE i.snapshot_id = c.snapshot_id AND i.image_id = c.image_id)
  UNION ALL
  SELECT DISTINCT c.snapshot_id, 'container', c.container_id, 'container-without-mount', 'mount', NULL, NULL
  FROM containers AS c JOIN snapshots AS s USING (snapshot_id)
  WHERE c.state <> 'dead'
    -- Of one whose config was not read the driver is not known.
    AND (c.driver = s.driver OR (c.driver IS NULL AND c.state = 'unknown' AND s.guards_images)) AND NOT EXISTS (
    SELECT 1 FROM mounts AS m WHERE m.snapshot_id = c.snapshot_id AND c.container_id IN (m.name, m.container_id))
  UNION ALL
  SELECT u.snapshot_id, 'build cache', u.user, 'missing-snapshot', 'snapshot', u.used, b.chain_id
  FROM recorded_uses AS u LEFT JOIN build_cache AS b ON b.snapshot_id = u.snapshot_id AND b.record_id = u.user
  WHERE u.used_kind = 'snapshot'
  UNION ALL
  SELECT snapshot_id, 'volume', name, 'missing-volume', 'volume', name, NULL FROM volumes
  WHERE on_disk = 0 AND driver = 'local'
  UNION ALL
  SELECT DISTINCT snapshot_id, 'container', container_id, 'missing-volume', 'volume', name, NULL
  FROM container_volumes AS v
  WHERE type = 'volume' AND name <> '' AND coalesce(nullif(driver, ''), 'local') = 'local' AND NOT EXISTS (
    SELECT 1 FROM volumes AS o WHERE o.snapshot_id = v.snapshot_id AND o.name = v.name AND o.on_disk = 1)
) AS f
LEFT JOIN doubts AS d ON d.snapshot_id = f.snapshot_id AND d.thing = 'missing ' || f.thing
-- What another store lends is there, and so is what must be a layer of an unknown chain; what goes needs nothing.
WHERE NOT EXISTS (SELECT 1 FROM recorded_uses AS u
  WHERE u.snapshot_id = f.snapshot_id AND u.used_kind = f.thing AND u.used = coalesce(f.missing, f.object)
    AND (u.user_kind IN ('borrowed', 'storage-layer') OR (u.user_kind = 'removing' AND u.user = f.object)));
CREATE VIEW files AS /* Every entry with its whole path and its time as text. */
/* path: Its path from the layer's root. */
/* modified_at: Modification time in UTC as text, in whole seconds; NULL when unknown. */
SELECT e.listing_id, CASE d.path WHEN '/' THEN '/' || e.name ELSE d.path || '/' || e.name END AS path,
  e.name, e.name_raw, e.type, e.mode, e.uid, e.gid, e.size, e.mtime, e.mtime_ns,
  strftime('%Y-%m-%dT%H:%M:%SZ', e.mtime, 'unixepoch') AS modified_at,
  e.link_target, e.link_target_raw, e.device, e.content_crc64, e.opaque, e.xattrs, e.capability, e.sparse,
  e.directory_id
FROM entries AS e JOIN directories AS d ON d.directory_id = e.directory_id;
CREATE VIEW newest_changes AS /* Of each listing the latest modification time of its files and folders. */
/* newest: The latest of its files' and folders' times. Modification time in UTC as text, in whole seconds; NULL when unknown. */
SELECT l.listing_id, (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(e.mtime), 'unixepoch') FROM entries AS e
  WHERE e.listing_id = l.listing_id) AS newest FROM listings AS l;
CREATE VIEW hard_links AS /* Each further name of a hard link, with what the file is that it names: its first name, type, size, content. */
/* name: The further name. */
/* first_directory: The directory that the file's first name lies in. */
/* first_name: The file's first name there. */
SELECT e.listing_id, e.directory_id, e.name, t.directory_id AS first_directory, t.name AS first_name, t.type, t.size,
  t.link_target, t.device, t.content_crc64
FROM entries AS e CROSS JOIN directories AS d
  ON d.path = coalesce(nullif(rtrim(rtrim(e.link_target, replace(e.link_target, '/', '')), '/'), ''), '/')
CROSS JOIN entries AS t ON t.listing_id = e.listing_id AND t.directory_id = d.directory_id
  AND t.name = substr(e.link_target, length(rtrim(e.link_target, replace(e.link_target, '/', ''))) + 1)
WHERE e.type = 'hardlink';
CREATE VIEW container_twins AS /* Containers that two stores of a host know, as Docker's root and the host's containerd do, in the selected snapshots: snapshot_id is of the store without its files, other_id of the one that has them. */
/* other_id: The snapshot of the store that has its files. */
SELECT c.snapshot_id, c.container_id, o.snapshot_id AS other_id
FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN containers AS c USING (snapshot_id)
JOIN snapshots AS t ON t.host_id = s.host_id AND t.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots)
JOIN containers AS o ON o.snapshot_id = t.snapshot_id AND o.container_id = c.container_id
WHERE NOT s.reads_directories AND t.snapshot_id <> s.snapshot_id AND o.mount_id IS NOT NULL;
CREATE VIEW gc_stores AS /* The selected snapshots of stores that collect garbage; content_id is the snapshot with the blobs of its root: what all snapshotters of a root share is recorded with the first. */
/* content_id: The snapshot that has the blobs of its root; NULL where none is selected. */
SELECT s.snapshot_id, s.driver, s.started_at, s.guards_images, (
    SELECT o.snapshot_id FROM snapshots AS o JOIN selected_snapshots USING (snapshot_id)
    WHERE o.host_id = s.host_id AND o.root = s.root
      AND EXISTS (SELECT 1 FROM blobs AS b WHERE b.snapshot_id = o.snapshot_id)
    ORDER BY o.snapshot_id LIMIT 1) AS content_id
FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) WHERE s.collects_garbage;
CREATE VIEW gc_names AS /* What leads to images where garbage is collected: names, and the targets of those that Docker keeps without; root is what gc_holds calls it. */
/* snapshot_id: The snapshot this fact belongs to. */
/* namespace: The namespace that has the name. */
/* ref: The reference as stored; the image id where Docker keeps one without a name. */
/* normalized: The reference in full; the image id where there is none. */
/* image_id: The image that it leads to. */
/* target_digest: Digest of the manifest or index that it leads to. */
/* root: What gc_holds calls it. */
SELECT c.snapshot_id, r.namespace, r.ref, r.normalized, r.image_id, r.target_digest,
  'name ' || r.namespace || ' ' || r.ref AS root
FROM gc_stores AS c CROSS JOIN image_refs AS r USING (snapshot_id)
UNION ALL
SELECT DISTINCT c.snapshot_id, b.namespace, i.image_id, i.image_id, i.image_id, i.target_digest,
  'name ' || b.namespace || ' ' || i.image_id
FROM gc_stores AS c CROSS JOIN images AS i USING (snapshot_id)
CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id AND b.digest = i.target_digest
WHERE (i.snapshot_id, i.image_id) NOT IN (SELECT snapshot_id, image_id FROM image_refs);
CREATE VIEW gc_holds AS /* Where garbage is collected: each root (a name, a container, a lease that has not ended, what a label makes one) and each snapshot and blob that it holds. What nothing holds goes. */
/* snapshot_id: The snapshot this fact belongs to. */
/* root: What holds it: the word name, container, lease, flat lease or label, and which one that is. */
/* namespace: The namespace in which it holds it. */
/* node: The blob's digest, or the snapshotter's own name of the snapshot. */
WITH RECURSIVE stores AS MATERIALIZED (SELECT * FROM gc_stores),
-- References in the labels of blobs, and what a snapshot stands on.
edges AS MATERIALIZED (
  SELECT c.snapshot_id, b.namespace, b.digest AS node, j.value AS held, 0 AS below
  FROM stores AS c CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id CROSS JOIN json_each(b.labels) AS j
  WHERE j.key GLOB 'containerd.io/gc.ref.content*'
  UNION ALL
  SELECT c.snapshot_id, b.namespace, b.digest, s.name, 0
  FROM stores AS c CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id CROSS JOIN json_each(b.labels) AS j
  CROSS JOIN containerd_snapshots AS s ON s.chain_id = j.value AND s.snapshot_id = c.snapshot_id
    AND s.namespace = b.namespace AND s.snapshotter = c.driver AND s.snapshot_key = j.value
  WHERE j.key || '/' GLOB 'containerd.io/gc.ref.snapshot.' || c.driver || '/*'
  UNION ALL
  SELECT c.snapshot_id, s.namespace, s.name, s.parent_name, 1
  FROM stores AS c CROSS JOIN containerd_snapshots AS s USING (snapshot_id) WHERE s.parent_name IS NOT NULL
),
-- A flat lease holds what is below a snapshot, and nothing that labels name.
holds (snapshot_id, root, namespace, node) AS (
  SELECT * FROM (
    SELECT snapshot_id, root, namespace, target_digest FROM gc_names WHERE target_digest IS NOT NULL
    UNION ALL
    SELECT c.snapshot_id, 'container ' || k.container_id, s.namespace, s.name
    FROM stores AS c CROSS JOIN containers AS k USING (snapshot_id)
    CROSS JOIN containerd_snapshots AS s
      ON s.cache_id = k.mount_id AND s.snapshot_id = c.snapshot_id AND s.snapshotter = c.driver
    UNION ALL
    SELECT c.snapshot_id, CASE WHEN (c.snapshot_id, r.lease_id) IN (SELECT snapshot_id, container_id FROM containers)
        THEN 'container ' WHEN l.labels GLOB '*"containerd.io/gc.flat"*' THEN 'flat lease ' ELSE 'lease ' END
        || r.lease_id,
      r.namespace, coalesce(s.name, r.resource)
    FROM stores AS c CROSS JOIN leases AS l
      ON l.snapshot_id = c.content_id AND (l.expires_at IS NULL OR rtrim(l.expires_at, 'Z') >= rtrim(c.started_at, 'Z'))
    CROSS JOIN lease_resources AS r
      ON r.snapshot_id = l.snapshot_id AND r.namespace = l.namespace AND r.lease_id = l.lease_id
    LEFT JOIN containerd_snapshots AS s ON s.snapshot_id = c.snapshot_id AND s.snapshotter = c.driver
      AND s.namespace = r.namespace AND s.snapshot_key = r.resource AND r.type = 'snapshots/' || c.driver
    WHERE r.type IN ('content', 'snapshots/' || c.driver)
    UNION ALL
    SELECT c.snapshot_id, 'label ' || b.digest, b.namespace, b.digest
    FROM stores AS c CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id
    WHERE b.labels GLOB '*"containerd.io/gc.root"*'
    UNION ALL
    SELECT c.snapshot_id, 'label ' || s.name, s.namespace, s.name
    FROM stores AS c CROSS JOIN containerd_snapshots AS s USING (snapshot_id)
    WHERE s.labels GLOB '*"containerd.io/gc.root"*')
  UNION
  SELECT h.snapshot_id, h.root, h.namespace, e.held
  FROM holds AS h JOIN edges AS e ON e.snapshot_id = h.snapshot_id AND e.namespace = h.namespace AND e.node = h.node
  WHERE e.below OR h.root NOT GLOB 'flat lease *'
)
SELECT snapshot_id, root, namespace, node FROM holds;
CREATE VIEW folder_ways AS /* Each folder with what is on the way to it: itself and the folders above it, in the folder that each lies in. */
/* directory_id: The folder. */
/* path: Path of the folder itself or of one above it. */
/* parent_id: The folder that this one lies in. */
/* name: Its name there; empty for the root. */
SELECT d.directory_id, substr(d.path, 1, a.value) AS path, p.directory_id AS parent_id, substr(substr(d.path, 1, a.value), length(rtrim(substr(d.path, 1, a.value), replace(substr(d.path, 1, a.value), '/', ''))) + 1) AS name
FROM directories AS d
CROSS JOIN json_each((
  WITH RECURSIVE upwards (path) AS (
    SELECT d.path UNION ALL SELECT coalesce(nullif(rtrim(rtrim(path, replace(path, '/', '')), '/'), ''), '/') FROM upwards WHERE path <> '/')
  SELECT '[' || group_concat(length(path)) || ']' FROM upwards)) AS a
CROSS JOIN directories AS p ON p.path = coalesce(nullif(rtrim(rtrim(substr(d.path, 1, a.value), replace(substr(d.path, 1, a.value), '/', '')), '/'), ''), '/');
CREATE VIEW hiding_entries AS /* Entries that hide all that lower layers have below their path: whatever is no folder, and opaque folders. */
SELECT listing_id, directory_id, name, type FROM entries WHERE type <> 'dir' OR opaque = 1;
CREATE VIEW folder_hiders AS /* What hides all that lower layers have in a folder: of each listing what it has there or on the way that is no folder, or an opaque one. Ask for one folder. */
/* directory_id: The folder whose lower content is hidden. */
/* listing_id: The listing that hides it. */
/* path: Path of what hides it: the folder itself or one above it. */
/* type: What stands there: dir for an opaque folder, else what is no folder. */
SELECT w.directory_id, b.listing_id, w.path, b.type
FROM folder_ways AS w CROSS JOIN hiding_entries AS b ON b.directory_id = w.parent_id AND b.name = w.name;
CREATE VIEW image_stacks AS /* The layers of each image, and the listings of those above and below, the nearest first, as JSON lists. */
/* above: Listings of the layers above, the nearest first, as a JSON list; null in it for one that has none. */
/* below: Listings of the layers below, the nearest first, as a JSON list; null in it for one that has none. */
SELECT l.snapshot_id, l.image_id, l.position, l.diff_id, l.chain_id, y.cache_id, y.listing_id,
  (SELECT '[' || coalesce(group_concat(ifnull(listing_id, 'null')), '') || ']' FROM (
     SELECT (SELECT u.listing_id FROM layer_facts AS u WHERE u.snapshot_id = t.snapshot_id AND u.chain_id = t.chain_id)
       AS listing_id
     FROM image_layers AS t WHERE t.snapshot_id = l.snapshot_id AND t.image_id = l.image_id AND t.position > l.position ORDER BY t.position)) AS above,
  (SELECT '[' || coalesce(group_concat(ifnull(listing_id, 'null')), '') || ']' FROM (
     SELECT (SELECT u.listing_id FROM layer_facts AS u WHERE u.snapshot_id = t.snapshot_id AND u.chain_id = t.chain_id)
       AS listing_id
     FROM image_layers AS t WHERE t.snapshot_id = l.snapshot_id AND t.image_id = l.image_id AND t.position < l.position ORDER BY t.position DESC)) AS below
FROM image_layers AS l CROSS JOIN layers AS y ON y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id;
CREATE VIEW container_stacks AS /* The directories of each container, its own on top, and the listings of those above and below, the nearest first, as JSON lists. */
/* position: 0 for the lowest, counting up; the container's own directory has the highest. */
/* above: Listings of the layers above, the nearest first, as a JSON list; null in it for one that has none. */
/* below: Listings of the layers below, the nearest first, as a JSON list; null in it for one that has none. */
SELECT m.snapshot_id, m.container_id, (SELECT count(*) FROM overlay_lowers AS t WHERE t.snapshot_id = m.snapshot_id AND t.cache_id = m.mount_id) - 1 - k.value AS position, d.cache_id, d.role,
  d.listing_id, (SELECT '[' || coalesce(group_concat(ifnull(listing_id, 'null')), '') || ']' FROM (
     SELECT (SELECT u.listing_id FROM overlay_dirs AS u
        WHERE u.snapshot_id = t.snapshot_id AND u.cache_id = t.lower_cache_id) AS listing_id, t.position
     FROM overlay_lowers AS t
     WHERE t.snapshot_id = m.snapshot_id AND t.cache_id = m.mount_id AND t.position < k.value 
     UNION ALL
     SELECT u.listing_id, -1 FROM overlay_dirs AS u
     WHERE k.value >= 0 AND u.snapshot_id = m.snapshot_id AND u.cache_id = m.mount_id ORDER BY position DESC)) AS above,
  (SELECT '[' || coalesce(group_concat(ifnull(listing_id, 'null')), '') || ']' FROM (
     SELECT (SELECT u.listing_id FROM overlay_dirs AS u
        WHERE u.snapshot_id = t.snapshot_id AND u.cache_id = t.lower_cache_id) AS listing_id, t.position
     FROM overlay_lowers AS t
     WHERE t.snapshot_id = m.snapshot_id AND t.cache_id = m.mount_id AND t.position > k.value ORDER BY t.position)) AS below
FROM mounts AS m
-- -1 is its own; a join of two SELECTs would be made for all containers before one is asked for.
CROSS JOIN json_each((SELECT '[-1' || coalesce(',' || group_concat(t.position), '') || ']' FROM overlay_lowers AS t WHERE t.snapshot_id = m.snapshot_id AND t.cache_id = m.mount_id)) AS k
CROSS JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = CASE k.value
  WHEN -1 THEN m.mount_id ELSE (SELECT t.lower_cache_id FROM overlay_lowers AS t WHERE t.snapshot_id = m.snapshot_id AND t.cache_id = m.mount_id AND t.position = k.value) END
WHERE m.container_id IS NOT NULL;
CREATE VIEW image_entries AS /* All entries of the layers of images, hidden ones too: whether each shows, whether its file shows under any name (kept), and the lowest layers above that have its path or hide its folder. */
/* directory_id: The directory it lies in. */
/* path: Its path from the root. */
/* shown: 1 when no layer above hides it, else 0; a whiteout never shows. */
/* kept: 1 when its file shows, if only under another of its names, else 0. */
/* replaced_in: Position of the lowest layer above that has its path; NULL for none. */
/* replaced_by: Type of the entry there; NULL for none. */
/* folder_hidden_in: Position of the lowest layer above that hides all in its folder; NULL for none. */
/* above: Listings of the layers above, the nearest first, as a JSON list; null in it for one that has none. */
SELECT s.snapshot_id, s.image_id, s.diff_id, s.chain_id, s.position, s.cache_id, s.listing_id, d.directory_id, e.name, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name AS path,
  e.name_raw, e.type, e.mode, e.uid, e.gid, e.size, e.mtime, e.mtime_ns, e.link_target, e.link_target_raw, e.device, e.content_crc64, e.opaque, e.xattrs, e.capability, e.sparse,
  CASE WHEN f.value IS NOT NULL OR e.type = 'whiteout' THEN 0 WHEN met.value = '' THEN 1
    ELSE NOT EXISTS (SELECT 1 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name) END AS shown,
  CASE WHEN CASE WHEN f.value IS NOT NULL OR e.type = 'whiteout' THEN 0 WHEN met.value = '' THEN 1
    ELSE NOT EXISTS (SELECT 1 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name) END THEN 1 WHEN e.type = 'whiteout' THEN 0 ELSE EXISTS (
    SELECT 1 FROM entries AS k INDEXED BY entries_links
    WHERE k.listing_id = s.listing_id AND k.type = 'hardlink' AND k.link_target = CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name
      AND NOT EXISTS (SELECT 1 FROM json_each(up.value) AS u WHERE EXISTS (
      SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = k.directory_id AND o.name = k.name)
    OR EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = u.value AND w.directory_id = k.directory_id))) END AS kept,
  CASE met.value WHEN '' THEN NULL ELSE s.position + 1 + (SELECT min(u.key) 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name) END AS replaced_in,
  CASE met.value WHEN '' THEN NULL ELSE (SELECT o.type 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name ORDER BY u.key LIMIT 1) END AS replaced_by,
  s.position + 1 + f.value AS folder_hidden_in, up.value AS above, s.below
FROM image_stacks AS s
CROSS JOIN json_each('["' || s.above || '"]') AS up
CROSS JOIN json_each((
SELECT '{' || group_concat('"' || directory_id || '":' || ifnull(place, 'null')) || '}' FROM (
  SELECT directory_id, min(place) AS place FROM (
    SELECT DISTINCT directory_id, NULL AS place, 1 AS own FROM entries WHERE listing_id = s.listing_id
    UNION ALL
    SELECT q.directory_id, h.place, 0 FROM (
SELECT u.key AS place, CASE p.path WHEN '/' THEN '/' ELSE p.path || '/' END || b.name AS path
FROM json_each(up.value) AS u
CROSS JOIN entries AS b INDEXED BY entries_hiding ON b.listing_id = u.value AND (b.type = 'whiteout' OR b.opaque = 1)
CROSS JOIN directories AS p ON p.directory_id = b.directory_id
UNION ALL
SELECT u.key, CASE p.path WHEN '/' THEN '/' ELSE p.path || '/' END || b.name
FROM entries AS f CROSS JOIN json_each(up.value) AS u
CROSS JOIN entries AS b ON b.listing_id = u.value AND b.directory_id = f.directory_id AND b.name = f.name
CROSS JOIN directories AS p ON p.directory_id = b.directory_id
WHERE up.value <> '[]' AND f.listing_id = s.listing_id AND f.type = 'dir' AND b.type NOT IN ('dir', 'whiteout')) AS h
    CROSS JOIN directories AS q ON q.path >= h.path AND q.path < rtrim(h.path, '/') || '0'
    WHERE substr(q.path || '/', 1, length(rtrim(h.path, '/')) + 1) = rtrim(h.path, '/') || '/')
  GROUP BY directory_id HAVING max(own)))) AS f
CROSS JOIN directories AS d ON d.directory_id = f.key
CROSS JOIN json_each((
SELECT CASE WHEN count(met) THEN '["[' || group_concat(ifnull(met, 'null')) || ']"]' ELSE '[""]' END FROM (
  SELECT CASE WHEN EXISTS (
    SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = d.directory_id) THEN u.value END AS met
  FROM json_each(up.value) AS u))) AS met
CROSS JOIN entries AS e ON e.listing_id = s.listing_id AND e.directory_id = d.directory_id;
CREATE VIEW container_entries AS /* All entries of the directories of containers, hidden ones too, as image_entries has those of images. */
/* directory_id: The directory it lies in. */
/* path: Its path from the root. */
/* shown: 1 when no layer above hides it, else 0; a whiteout never shows. */
/* kept: 1 when its file shows, if only under another of its names, else 0. */
/* replaced_in: Position of the lowest layer above that has its path; NULL for none. */
/* replaced_by: Type of the entry there; NULL for none. */
/* folder_hidden_in: Position of the lowest layer above that hides all in its folder; NULL for none. */
/* above: Listings of the layers above, the nearest first, as a JSON list; null in it for one that has none. */
SELECT s.snapshot_id, s.container_id, s.role, s.position, s.cache_id, s.listing_id, d.directory_id, e.name, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name AS path,
  e.name_raw, e.type, e.mode, e.uid, e.gid, e.size, e.mtime, e.mtime_ns, e.link_target, e.link_target_raw, e.device, e.content_crc64, e.opaque, e.xattrs, e.capability, e.sparse,
  CASE WHEN f.value IS NOT NULL OR e.type = 'whiteout' THEN 0 WHEN met.value = '' THEN 1
    ELSE NOT EXISTS (SELECT 1 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name) END AS shown,
  CASE WHEN CASE WHEN f.value IS NOT NULL OR e.type = 'whiteout' THEN 0 WHEN met.value = '' THEN 1
    ELSE NOT EXISTS (SELECT 1 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name) END THEN 1 WHEN e.type = 'whiteout' THEN 0 ELSE EXISTS (
    SELECT 1 FROM entries AS k INDEXED BY entries_links
    WHERE k.listing_id = s.listing_id AND k.type = 'hardlink' AND k.link_target = CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name
      AND NOT EXISTS (SELECT 1 FROM json_each(up.value) AS u WHERE EXISTS (
      SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = k.directory_id AND o.name = k.name)
    OR EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = u.value AND w.directory_id = k.directory_id))) END AS kept,
  CASE met.value WHEN '' THEN NULL ELSE s.position + 1 + (SELECT min(u.key) 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name) END AS replaced_in,
  CASE met.value WHEN '' THEN NULL ELSE (SELECT o.type 
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name ORDER BY u.key LIMIT 1) END AS replaced_by,
  s.position + 1 + f.value AS folder_hidden_in, up.value AS above, s.below
FROM container_stacks AS s
CROSS JOIN json_each('["' || s.above || '"]') AS up
CROSS JOIN json_each((
SELECT '{' || group_concat('"' || directory_id || '":' || ifnull(place, 'null')) || '}' FROM (
  SELECT directory_id, min(place) AS place FROM (
    SELECT DISTINCT directory_id, NULL AS place, 1 AS own FROM entries WHERE listing_id = s.listing_id
    UNION ALL
    SELECT q.directory_id, h.place, 0 FROM (
SELECT u.key AS place, CASE p.path WHEN '/' THEN '/' ELSE p.path || '/' END || b.name AS path
FROM json_each(up.value) AS u
CROSS JOIN entries AS b INDEXED BY entries_hiding ON b.listing_id = u.value AND (b.type = 'whiteout' OR b.opaque = 1)
CROSS JOIN directories AS p ON p.directory_id = b.directory_id
UNION ALL
SELECT u.key, CASE p.path WHEN '/' THEN '/' ELSE p.path || '/' END || b.name
FROM entries AS f CROSS JOIN json_each(up.value) AS u
CROSS JOIN entries AS b ON b.listing_id = u.value AND b.directory_id = f.directory_id AND b.name = f.name
CROSS JOIN directories AS p ON p.directory_id = b.directory_id
WHERE up.value <> '[]' AND f.listing_id = s.listing_id AND f.type = 'dir' AND b.type NOT IN ('dir', 'whiteout')) AS h
    CROSS JOIN directories AS q ON q.path >= h.path AND q.path < rtrim(h.path, '/') || '0'
    WHERE substr(q.path || '/', 1, length(rtrim(h.path, '/')) + 1) = rtrim(h.path, '/') || '/')
  GROUP BY directory_id HAVING max(own)))) AS f
CROSS JOIN directories AS d ON d.directory_id = f.key
CROSS JOIN json_each((
SELECT CASE WHEN count(met) THEN '["[' || group_concat(ifnull(met, 'null')) || ']"]' ELSE '[""]' END FROM (
  SELECT CASE WHEN EXISTS (
    SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = d.directory_id) THEN u.value END AS met
  FROM json_each(up.value) AS u))) AS met
CROSS JOIN entries AS e ON e.listing_id = s.listing_id AND e.directory_id = d.directory_id;
CREATE VIEW image_files AS /* What each image of the selected snapshots shows at each path. An image has several names: ask for one. */
SELECT
  n.snapshot_id AS snapshot_id, /* The snapshot. */
  r.name AS host, /* Its host. */
  n.name AS image, /* A name of the image: a reference, with or without its registry or :latest, or an id. */
  n.image_id AS image_id, /* The image. */
  e.chain_id AS chain_id, /* The layer it comes from. */
  e.path AS path, /* Path from the root; bytes that are not UTF-8 as \xNN. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.type ELSE e.type END AS type, /* file, dir, symlink, hardlink, char, block, fifo or socket. */
  coalesce(e.mode, b.mode) AS mode, /* Permission bits with setuid, setgid and sticky; NULL when unknown. */
  coalesce(e.uid, b.uid) AS uid, /* Owner. */
  coalesce(e.gid, b.gid) AS gid, /* Group. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.size ELSE e.size END AS size, /* Bytes of content; for a symlink the length of its target; 0 for others. */
  coalesce(e.mtime, b.mtime) AS mtime, /* Modification time in whole seconds since 1970. */
  iif(e.mtime IS NULL, b.mtime_ns, e.mtime_ns) AS mtime_ns, /* Nanoseconds beside mtime; NULL for 0. */
  strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(e.mtime, b.mtime), 'unixepoch') AS modified_at, /* The same time as text; NULL for a folder that a tar only leads through. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.link_target WHEN h.name IS NOT NULL THEN CASE g.path WHEN '/' THEN '/' ELSE g.path || '/' END || h.name ELSE e.link_target END AS link_target, /* A symlink's target as it stands; of a hard link the path of the file. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.device ELSE e.device END AS device, /* major:minor of a device. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.content_crc64 ELSE e.content_crc64 END AS content_crc64, /* CRC-64/GO-ISO of a file's content; NULL when unknown. */
  e.xattrs AS xattrs, /* Names of its extended attributes as a JSON list; NULL for none. */
  e.capability AS capability, /* Value of its security.capability attribute. */
  e.position AS position, /* Place of the layer it comes from, 0 for the base. */
  e.cache_id AS cache_id, /* Directory of that layer. */
  e.listing_id AS listing_id, /* Listing of that layer. */
  e.directory_id AS directory_id, /* The folder it lies in. */
  e.name AS name /* Its name there. */
FROM image_names AS n
CROSS JOIN snapshots AS q ON q.snapshot_id = n.snapshot_id
CROSS JOIN hosts AS r ON r.host_id = q.host_id
CROSS JOIN image_entries AS e ON e.snapshot_id = n.snapshot_id AND e.image_id = n.image_id
-- The first name of a hard link; where that is hidden, the name that is the file instead, and its folder.
LEFT JOIN entries AS t ON t.listing_id = CASE e.type WHEN 'hardlink' THEN e.listing_id END
  AND t.directory_id = (SELECT x.directory_id FROM directories AS x WHERE x.path = coalesce(nullif(rtrim(rtrim(e.link_target, replace(e.link_target, '/', '')), '/'), ''), '/'))
  AND t.name = substr(e.link_target, length(rtrim(e.link_target, replace(e.link_target, '/', ''))) + 1)
LEFT JOIN entries AS h ON h.listing_id = e.listing_id AND (h.directory_id, h.name) = (
SELECT k.directory_id, k.name FROM (
  SELECT o.directory_id, o.name FROM entries AS o INDEXED BY entries_links
  CROSS JOIN directories AS p ON p.directory_id = o.directory_id
  WHERE o.listing_id = e.listing_id AND o.type = 'hardlink' AND o.link_target = e.link_target
  ORDER BY CASE p.path WHEN '/' THEN '/' ELSE p.path || '/' END || o.name LIMIT -1) AS k
WHERE t.name IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(e.above) AS u WHERE EXISTS (
      SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = t.directory_id AND o.name = t.name)
    OR EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = u.value AND w.directory_id = t.directory_id))
  AND NOT EXISTS (SELECT 1 FROM json_each(e.above) AS u WHERE EXISTS (
      SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = k.directory_id AND o.name = k.name)
    OR EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = u.value AND w.directory_id = k.directory_id)) LIMIT 1)
LEFT JOIN directories AS g ON g.directory_id = h.directory_id
LEFT JOIN entries AS b ON b.listing_id = CASE WHEN e.type = 'dir' AND e.mode IS NULL THEN (
SELECT CASE WHEN NOT EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = e.listing_id AND w.directory_id = e.directory_id) AND NOT EXISTS (
    SELECT 1 FROM json_each(e.below) AS v WHERE v.key < u.key AND EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = v.value AND w.directory_id = e.directory_id))
  THEN u.value END
FROM json_each(e.below) AS u
CROSS JOIN entries AS o ON o.listing_id = u.value AND o.directory_id = e.directory_id AND o.name = e.name
WHERE o.type <> 'dir' OR o.mode IS NOT NULL
ORDER BY u.key LIMIT 1) END
  AND b.directory_id = e.directory_id AND b.name = e.name AND b.type = 'dir'
WHERE e.shown AND n.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots);
CREATE VIEW container_files AS /* What each container of the selected snapshots shows at each path. */
SELECT
  n.snapshot_id AS snapshot_id, /* The snapshot. */
  r.name AS host, /* Its host. */
  coalesce(n.name, n.container_id) AS container, /* Name of the container, or its id. */
  n.container_id AS container_id, /* The container. */
  e.role AS role, /* Role of the directory it comes from: container, init, layer … */
  e.path AS path, /* Path from the root; bytes that are not UTF-8 as \xNN. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.type ELSE e.type END AS type, /* file, dir, symlink, hardlink, char, block, fifo or socket. */
  coalesce(e.mode, b.mode) AS mode, /* Permission bits with setuid, setgid and sticky; NULL when unknown. */
  coalesce(e.uid, b.uid) AS uid, /* Owner. */
  coalesce(e.gid, b.gid) AS gid, /* Group. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.size ELSE e.size END AS size, /* Bytes of content; for a symlink the length of its target; 0 for others. */
  coalesce(e.mtime, b.mtime) AS mtime, /* Modification time in whole seconds since 1970. */
  iif(e.mtime IS NULL, b.mtime_ns, e.mtime_ns) AS mtime_ns, /* Nanoseconds beside mtime; NULL for 0. */
  strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(e.mtime, b.mtime), 'unixepoch') AS modified_at, /* The same time as text; NULL for a folder that a tar only leads through. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.link_target WHEN h.name IS NOT NULL THEN CASE g.path WHEN '/' THEN '/' ELSE g.path || '/' END || h.name ELSE e.link_target END AS link_target, /* A symlink's target as it stands; of a hard link the path of the file. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.device ELSE e.device END AS device, /* major:minor of a device. */
  CASE WHEN (h.directory_id, h.name) = (e.directory_id, e.name) THEN t.content_crc64 ELSE e.content_crc64 END AS content_crc64, /* CRC-64/GO-ISO of a file's content; NULL when unknown. */
  e.xattrs AS xattrs, /* Names of its extended attributes as a JSON list; NULL for none. */
  e.capability AS capability, /* Value of its security.capability attribute. */
  e.position AS position, /* Place of the layer it comes from, 0 for the base. */
  e.cache_id AS cache_id, /* Directory of that layer. */
  e.listing_id AS listing_id, /* Listing of that layer. */
  e.directory_id AS directory_id, /* The folder it lies in. */
  e.name AS name /* Its name there. */
FROM containers AS n
CROSS JOIN snapshots AS q ON q.snapshot_id = n.snapshot_id
CROSS JOIN hosts AS r ON r.host_id = q.host_id
CROSS JOIN container_entries AS e ON e.snapshot_id = n.snapshot_id AND e.container_id = n.container_id
-- The first name of a hard link; where that is hidden, the name that is the file instead, and its folder.
LEFT JOIN entries AS t ON t.listing_id = CASE e.type WHEN 'hardlink' THEN e.listing_id END
  AND t.directory_id = (SELECT x.directory_id FROM directories AS x WHERE x.path = coalesce(nullif(rtrim(rtrim(e.link_target, replace(e.link_target, '/', '')), '/'), ''), '/'))
  AND t.name = substr(e.link_target, length(rtrim(e.link_target, replace(e.link_target, '/', ''))) + 1)
LEFT JOIN entries AS h ON h.listing_id = e.listing_id AND (h.directory_id, h.name) = (
SELECT k.directory_id, k.name FROM (
  SELECT o.directory_id, o.name FROM entries AS o INDEXED BY entries_links
  CROSS JOIN directories AS p ON p.directory_id = o.directory_id
  WHERE o.listing_id = e.listing_id AND o.type = 'hardlink' AND o.link_target = e.link_target
  ORDER BY CASE p.path WHEN '/' THEN '/' ELSE p.path || '/' END || o.name LIMIT -1) AS k
WHERE t.name IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(e.above) AS u WHERE EXISTS (
      SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = t.directory_id AND o.name = t.name)
    OR EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = u.value AND w.directory_id = t.directory_id))
  AND NOT EXISTS (SELECT 1 FROM json_each(e.above) AS u WHERE EXISTS (
      SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = k.directory_id AND o.name = k.name)
    OR EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = u.value AND w.directory_id = k.directory_id)) LIMIT 1)
LEFT JOIN directories AS g ON g.directory_id = h.directory_id
LEFT JOIN entries AS b ON b.listing_id = CASE WHEN e.type = 'dir' AND e.mode IS NULL THEN (
SELECT CASE WHEN NOT EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = e.listing_id AND w.directory_id = e.directory_id) AND NOT EXISTS (
    SELECT 1 FROM json_each(e.below) AS v WHERE v.key < u.key AND EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = v.value AND w.directory_id = e.directory_id))
  THEN u.value END
FROM json_each(e.below) AS u
CROSS JOIN entries AS o ON o.listing_id = u.value AND o.directory_id = e.directory_id AND o.name = e.name
WHERE o.type <> 'dir' OR o.mode IS NOT NULL
ORDER BY u.key LIMIT 1) END
  AND b.directory_id = e.directory_id AND b.name = e.name AND b.type = 'dir'
WHERE e.shown AND n.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots);
CREATE VIEW current_images AS /* Images of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.image_id, t.created_at, t.architecture, t.os, t.variant, t.target_digest, t.size, t.layer_count, t.parent_image_id, t.last_updated_at, t.verified, t.config
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN images AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_image_refs AS /* Tags and digests of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.ref, t.repository, t.tag, t.digest, t.image_id, t.namespace, t.normalized, t.target_digest
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN image_refs AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_image_manifests AS /* Manifests and indexes of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.digest, t.image_id, t.index_digest, t.kind, t.media_type, t.size, t.os, t.architecture, t.variant, t.subject_digest, t.on_disk
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN image_manifests AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_image_layers AS /* Layers of images of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.image_id, t.position, t.diff_id, t.chain_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN image_layers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_image_history AS /* Build steps of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.image_id, t.position, t.created_at, t.created_by, t.author, t.comment, t.empty_layer, t.layer_position
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN image_history AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_layers AS /* Layers of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.chain_id, t.diff_id, t.parent_chain_id, t.cache_id, t.size, t.verified, t.listing_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN layers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_overlay_dirs AS /* Directories of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.cache_id, t.role, t.link, t.lower_count, t.has_diff, t.has_work, t.has_merged, t.committed, t.apparent_bytes, t.disk_bytes, t.entry_count, t.listing_id, t.unknown_because
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN overlay_dirs AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_overlay_lowers AS /* Lower lists of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.cache_id, t.position, t.link, t.lower_cache_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN overlay_lowers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_links AS /* Short names of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.link, t.target, t.cache_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN links AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_mounts AS /* Writable layers of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.name, t.mount_id, t.init_id, t.parent_chain_id, t.container_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN mounts AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_containers AS /* Containers of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.container_id, t.namespace, t.name, t.image_id, t.target_digest, t.image_ref, t.state, t.created_at, t.started_at, t.finished_at, t.exit_code, t.driver, t.mount_id, t.log_driver, t.log_path, t.log_bytes, t.sandbox_id
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN containers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_container_volumes AS /* Container mounts of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.container_id, t.destination, t.type, t.name, t.source, t.driver, t.read_write
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN container_volumes AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_volumes AS /* Volumes of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.name, t.driver, t.options, t.labels, t.on_disk, t.apparent_bytes, t.disk_bytes, t.entry_count, t.place, t.holds
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN volumes AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_container_logs AS /* Log files of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.container_id, t.path, t.driver, t.rotation, t.apparent_bytes, t.disk_bytes, t.modified_at
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN container_logs AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_build_cache AS /* Build-cache records of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.record_id, t.cache_id, t.parent_record_id, t.description, t.record_type, t.size, t.created_at, t.last_used_at, t.usage_count, t.snapshot_key, t.committed, t.equal_mutable, t.chain_id, t.diff_id, t.image_refs, t.cache_mount, t.deleting
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN build_cache AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_blobs AS /* Blobs of containerd of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.digest, t.namespace, t.size, t.media_type, t.diff_id, t.created_at, t.updated_at, t.on_disk, t.labels
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN blobs AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_containerd_snapshots AS /* Snapshots of containerd of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.snapshotter, t.name, t.namespace, t.snapshot_key, t.kind, t.parent_name, t.cache_id, t.chain_id, t.size, t.inodes, t.created_at, t.updated_at, t.in_metadata, t.reachable, t.labels
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN containerd_snapshots AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_leases AS /* Leases of containerd of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.namespace, t.lease_id, t.created_at, t.expires_at, t.labels
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN leases AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_ingests AS /* Unfinished writes of containerd of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.name, t.namespace, t.ref, t.expected_digest, t.started_at, t.updated_at, t.total, t.size
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN ingests AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_storage_layers AS /* Layers of containers-storage of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.layer_id, t.parent_layer_id, t.chain_id, t.diff_id, t.compressed_digest, t.toc_digest, t.created_at, t.size, t.compressed_size, t.names, t.state, t.volatile, t.read_only, t.live
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN storage_layers AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_overlay_dir_owners AS /* Reasons for directories of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.cache_id, t.kind, t.owner
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN overlay_dir_owners AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_uses AS /* Things and who needs them, of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.used_kind, t.used, t.user_kind, t.user, t.source
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN uses AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_sources AS /* Places that could name a user, of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.kind, t.path, t.state, t.detail
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN sources AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_standings AS /* Used, unused or unknown, of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.kind, t.id, t.standing, t.because
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN standings AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_missing AS /* What is named and not there, of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.kind, t.object, t.code, t.missing, t.chain_id, t.because
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN missing AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_disk_usage AS /* Bytes by owner of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.category, t.owner, t.items, t.apparent_bytes, t.disk_bytes, t.counted_by_docker, t.note, t.place, t.estimated_bytes
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN disk_usage AS t ON t.snapshot_id = sel.snapshot_id;
CREATE VIEW current_problems AS /* Problems of the selected snapshots, with their host. */
SELECT s.snapshot_id, h.name AS host, s.store, s.root, t.problem_id, t.severity, t.code, t.path, t.subject, t.detail
FROM selected_snapshots AS sel
JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id
JOIN hosts AS h ON h.host_id = s.host_id
JOIN problems AS t ON t.snapshot_id = sel.snapshot_id;
INSERT INTO part_names VALUES (0, NULL, NULL);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('0007');
PRAGMA application_id = 1279870040;
PRAGMA user_version = 7;
