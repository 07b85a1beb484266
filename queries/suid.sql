-- title = "Files that run as their owner or group"
-- description = "Regular files with the setuid or setgid bit, in layers and containers; whether an image still shows one is what find-file says."
-- first = ["path", "mode", "uid", "gid", "images"]
-- [columns]
-- path = "path from the root of the layer"
-- mode = "permission bits, octal"
-- uid = "owner it runs as when setuid"
-- gid = "group it runs as when setgid"
-- size = "bytes of its content"
-- role = "role of the directory that holds it"
-- cache_id = "that directory"
-- images = "tags or ids of the listed images that have the layer"
-- host = "the host"

WITH found AS MATERIALIZED (
  SELECT d.snapshot_id, d.cache_id, d.role, e.directory_id, e.name, e.mode, e.uid, e.gid, e.type, e.size, e.listing_id
  FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id) CROSS JOIN entries AS e USING (listing_id)
  WHERE e.type IN ('file', 'hardlink') AND e.mode & 3072
),
-- A hard link is the file that it names.
files AS (
  SELECT snapshot_id, cache_id, role, directory_id, name, mode, uid, gid, size FROM found WHERE type = 'file'
  UNION ALL
  SELECT f.snapshot_id, f.cache_id, f.role, f.directory_id, f.name, f.mode, f.uid, f.gid, k.size FROM found AS f
  CROSS JOIN hard_links AS k ON k.listing_id = f.listing_id AND k.directory_id = f.directory_id AND k.name = f.name
  WHERE f.type = 'hardlink' AND k.type = 'file'
)
SELECT CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || f.name AS path, printf('%04o', f.mode) AS mode, f.uid, f.gid,
  f.size, f.role, f.cache_id,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM layers AS y
     JOIN image_layers AS l USING (snapshot_id, chain_id) JOIN listed_images USING (snapshot_id, image_id)
     JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE y.snapshot_id = f.snapshot_id AND y.cache_id = f.cache_id ORDER BY 1)) AS images,
  h.host
FROM files AS f JOIN directories AS d USING (directory_id) JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY path, h.host, f.snapshot_id, f.cache_id;
