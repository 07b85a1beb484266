-- title = "Files with capabilities"
-- description = "Files that carry a security.capability attribute, in layers and containers; the value is the raw attribute of the kernel (vfs_cap_data)."
-- first = ["path", "capability", "images"]
-- [columns]
-- path = "path from the root of the layer"
-- mode = "permission bits, octal"
-- capability = "the attribute, hex"
-- size = "bytes of its content"
-- role = "role of the directory that holds it"
-- cache_id = "that directory"
-- images = "tags or ids of the listed images that have the layer"
-- host = "the host"

WITH found AS MATERIALIZED (
  SELECT d.snapshot_id, d.cache_id, d.role, e.directory_id, e.name, e.mode, e.capability, coalesce((
      SELECT k.size FROM hard_links AS k
      WHERE k.listing_id = e.listing_id AND k.directory_id = e.directory_id AND k.name = e.name), e.size) AS size
  FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id) CROSS JOIN entries AS e USING (listing_id)
  WHERE e.capability IS NOT NULL
)
SELECT CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || f.name AS path, printf('%04o', f.mode) AS mode, lower(hex(f.capability)) AS capability,
  f.size, f.role, f.cache_id,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM layers AS y
     JOIN image_layers AS l USING (snapshot_id, chain_id) JOIN listed_images USING (snapshot_id, image_id)
     JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE y.snapshot_id = f.snapshot_id AND y.cache_id = f.cache_id ORDER BY 1)) AS images,
  h.host
FROM found AS f JOIN directories AS d USING (directory_id) JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY path, h.host, f.snapshot_id, f.cache_id;
