-- title = "Where the inodes go"
-- description = "Files and folders of every directory of the driver. A hard link is a name, not an inode of its own. Folders that a layer only passes through may be on disk without being in its tar."
-- first = ["inodes", "role", "owner", "cache_id"]
-- [params]
-- top = { type = "integer", default = 50, help = "how many to show" }
-- [columns]
-- inodes = "entries less hard links"
-- files = "regular files"
-- dirs = "folders"
-- symlinks = "symbolic links"
-- hardlinks = "further names of a file"
-- others = "devices, fifos, sockets and whiteouts"
-- role = "role of the directory"
-- cache_id = "the directory"
-- owner = "tags or ids of its images, or the name of its container"
-- host = "the host"

WITH held AS MATERIALIZED (
  SELECT d.snapshot_id, d.cache_id, d.role, d.listing_id FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id)
),
counts AS MATERIALIZED (
  SELECT e.listing_id, count(*) FILTER (WHERE e.type <> 'hardlink') AS inodes,
    count(*) FILTER (WHERE e.type = 'file') AS files, count(*) FILTER (WHERE e.type = 'dir') AS dirs,
    count(*) FILTER (WHERE e.type = 'symlink') AS symlinks, count(*) FILTER (WHERE e.type = 'hardlink') AS hardlinks,
    count(*) FILTER (WHERE e.type NOT IN ('file', 'dir', 'symlink', 'hardlink')) AS others
  FROM (SELECT DISTINCT listing_id FROM held) CROSS JOIN entries AS e USING (listing_id) GROUP BY e.listing_id
),
biggest AS MATERIALIZED (
  SELECT * FROM held JOIN counts USING (listing_id) ORDER BY inodes DESC, cache_id, snapshot_id LIMIT coalesce(nullif(:top, ''), 50)
)
SELECT b.inodes, b.files, b.dirs, b.symlinks, b.hardlinks, b.others, b.role, b.cache_id,
  coalesce((SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM layers AS y
     JOIN image_layers AS l USING (snapshot_id, chain_id) JOIN listed_images USING (snapshot_id, image_id)
     JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE y.snapshot_id = b.snapshot_id AND y.cache_id = b.cache_id ORDER BY 1)),
    (SELECT min(coalesce(c.name, c.container_id)) FROM mounts AS m JOIN containers AS c USING (snapshot_id, container_id)
     WHERE m.snapshot_id = b.snapshot_id AND b.cache_id IN (m.mount_id, m.init_id))) AS owner,
  h.host
FROM biggest AS b JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY b.inodes DESC, b.cache_id, b.snapshot_id;
