-- title = "Writable layers without a container"
-- description = "Docker's entries of layerdb/mounts, and the writable layers of other stores, that are no container's: mounts of images, steps of a build, and what a crash left. They keep their directories and the layers below. An image mount is in use while its container is there; a build mount while the build runs; unknown may be a container whose folder was deleted by hand, whose files are still in the directory."
-- first = ["name", "standing", "because", "mount_id", "disk_bytes", "age_days"]
-- [columns]
-- name = "name of the entry: often the id of a container that is gone"
-- kind = "image mount, build mount or unknown"
-- container = "name of the container that mounts the image"
-- standing = "used by an image mount or a build, or unknown: a crash or a removal by hand leaves such"
-- because = "what may name its user, where that is unknown"
-- mount_id = "directory of the writable layer; NULL when the entry does not say"
-- init_id = "directory of the init layer below it"
-- on_disk = "1 when the directory of the writable layer is there, else 0; NULL for drivers whose directories are not read"
-- image = "tags or ids of the listed images whose top layer it stands on"
-- apparent_bytes = "sum of st_size in its directories; NULL when not indexed"
-- disk_bytes = "bytes on disk of its directories, as du counts, after scan --walk, else of their diff folders alone; NULL when not counted"
-- files = "files and folders of the writable layer, 1 for an empty one: the root folder is among them; NULL when not indexed"
-- newest = "latest modification time of files and folders of the writable layer; NULL when not indexed"
-- age_days = "whole days from then to the scan"
-- host = "the host"

WITH there AS MATERIALIZED (
  SELECT d.snapshot_id, d.cache_id, d.role, d.entry_count, d.apparent_bytes, d.listing_id FROM (
    SELECT snapshot_id, mount_id FROM selected_snapshots JOIN mounts USING (snapshot_id) WHERE container_id IS NULL
    UNION SELECT snapshot_id, init_id FROM selected_snapshots JOIN mounts USING (snapshot_id) WHERE container_id IS NULL) AS m
  CROSS JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = m.mount_id
),
stale AS MATERIALIZED (
  SELECT m.*, s.reads_directories, s.started_at, d.cache_id, d.entry_count,
    d.apparent_bytes + CASE WHEN i.cache_id IS NULL THEN 0 ELSE i.apparent_bytes END AS apparent_bytes,
    (SELECT u.disk_bytes FROM disk_usage AS u
     WHERE u.snapshot_id = d.snapshot_id AND u.category = d.role AND u.owner = d.cache_id)
    + CASE WHEN i.cache_id IS NULL THEN 0 ELSE (SELECT v.disk_bytes FROM disk_usage AS v
        WHERE v.snapshot_id = i.snapshot_id AND v.category = 'container init' AND v.owner = i.cache_id) END AS disk_bytes,
    (SELECT n.newest FROM newest_changes AS n WHERE n.listing_id = d.listing_id) AS newest,
    (SELECT min(o.kind) FROM overlay_dir_owners AS o
     WHERE o.snapshot_id = m.snapshot_id AND o.cache_id = m.mount_id AND o.owner = m.name
       AND o.kind IN ('image-mount', 'build-mount')) AS owner_kind
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN mounts AS m USING (snapshot_id)
  LEFT JOIN there AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = m.mount_id
  LEFT JOIN there AS i ON i.snapshot_id = m.snapshot_id AND i.cache_id = m.init_id
  WHERE m.container_id IS NULL
)
SELECT m.name,
  CASE m.owner_kind WHEN 'image-mount' THEN 'image mount' WHEN 'build-mount' THEN 'build mount' ELSE 'unknown' END AS kind,
  CASE m.owner_kind WHEN 'image-mount' THEN (
    SELECT min(coalesce(c.name, c.container_id)) FROM containers AS c
    WHERE c.snapshot_id = m.snapshot_id AND (c.container_id = substr(m.name, 1, 64) OR c.container_id IN (
      SELECT v.container_id FROM container_volumes AS v
      WHERE v.snapshot_id = m.snapshot_id AND v.type = 'image' AND instr(v.source, '/' || m.mount_id || '/') > 0)))
  END AS container,
  t.standing, t.because,
  m.mount_id, m.init_id,
  CASE WHEN m.reads_directories THEN m.cache_id IS NOT NULL END AS on_disk,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM image_layers AS l
     JOIN images AS i ON i.snapshot_id = l.snapshot_id AND i.image_id = l.image_id AND i.layer_count = l.position + 1
     JOIN listed_images AS k ON k.snapshot_id = i.snapshot_id AND k.image_id = i.image_id
     JOIN image_labels AS n ON n.snapshot_id = i.snapshot_id AND n.image_id = i.image_id
     WHERE l.chain_id = m.parent_chain_id AND l.snapshot_id = m.snapshot_id ORDER BY 1)) AS image,
  m.apparent_bytes, m.disk_bytes, m.entry_count AS files,
  m.newest,
  CAST(julianday(m.started_at) - julianday(m.newest) AS INTEGER) AS age_days,
  h.host
FROM stale AS m JOIN snapshot_hosts AS h USING (snapshot_id)
JOIN mount_standings AS t ON t.snapshot_id = m.snapshot_id AND t.name = m.name
ORDER BY h.host, m.snapshot_id, m.disk_bytes DESC, m.apparent_bytes DESC, m.name;
