-- title = "One path through all layers of an image"
-- description = "Every layer of an image that has the path, base first: what it was there, and which build step made it so. A whiteout removed it; an opaque directory above it, or the removal of a folder above it, is shown as a row of that folder."
-- first = ["image", "position", "path", "type", "size", "created_by"]
-- [params]
-- path = { required = true, help = "the whole path, such as /etc/passwd" }
-- image = { type = "image", help = "the image; every listed image when left out" }
-- [columns]
-- image = "tags of the image, or its id"
-- position = "the layer's place, 0 for the base"
-- path = "the path itself, or the folder above it that was removed, replaced or made opaque"
-- type = "what it is in this layer"
-- size = "bytes of its content"
-- mode = "permission bits, octal"
-- uid = "owner"
-- gid = "group"
-- modified_at = "modification time"
-- crc64 = "CRC-64/GO-ISO of a file's content"
-- created_by = "the build step that made the layer"
-- chain_id = "the layer"
-- host = "the host"

WITH folder AS MATERIALIZED (
  SELECT directory_id FROM directories
  WHERE path = coalesce(nullif(rtrim(rtrim(:path, replace(:path, '/', '')), '/'), ''), '/')
),
-- The path, and the folders above it, which count where they hide what lies below.
parts AS MATERIALIZED (
  SELECT directory_id, substr(:path, length(rtrim(:path, replace(:path, '/', ''))) + 1) AS name, :path AS path, 1 AS asked FROM folder
  UNION ALL
  SELECT w.parent_id, w.name, w.path, 0 FROM folder CROSS JOIN folder_ways AS w USING (directory_id) WHERE w.path <> :path
)
SELECT n.label AS image, l.position, p.path, e.type, e.size, CASE WHEN e.mode IS NOT NULL THEN printf('%04o', e.mode) END AS mode, e.uid, e.gid,
  strftime('%Y-%m-%dT%H:%M:%SZ', e.mtime, 'unixepoch') AS modified_at,
  CASE WHEN e.content_crc64 IS NOT NULL THEN printf('%016x', e.content_crc64) END AS crc64,
  (SELECT s.created_by FROM image_history AS s
   WHERE s.snapshot_id = i.snapshot_id AND s.image_id = i.image_id AND s.layer_position = l.position) AS created_by,
  l.chain_id, h.host
FROM selected_snapshots
JOIN images AS i USING (snapshot_id)
JOIN image_layers AS l USING (snapshot_id, image_id)
JOIN layers AS y USING (snapshot_id, chain_id)
CROSS JOIN parts AS p
JOIN entries AS e ON e.listing_id = y.listing_id AND e.directory_id = p.directory_id AND e.name = p.name
JOIN image_labels AS n ON n.snapshot_id = i.snapshot_id AND n.image_id = i.image_id
JOIN snapshot_hosts AS h ON h.snapshot_id = i.snapshot_id
WHERE (p.asked OR EXISTS (SELECT 1 FROM hiding_entries AS b
    WHERE b.listing_id = e.listing_id AND b.directory_id = e.directory_id AND b.name = e.name))
  AND CASE WHEN nullif(:image, '') IS NULL THEN (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM listed_images)
    ELSE (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image) END
ORDER BY h.host, i.snapshot_id, n.label, i.image_id, l.position, p.path;
