-- title = "The largest files anywhere"
-- description = "Files of layers, containers and other directories by size, each once however many images share the layer."
-- first = ["size", "path", "images"]
-- [params]
-- top = { type = "integer", default = 20, help = "how many to show" }
-- [columns]
-- size = "bytes of its content"
-- path = "path from the root of the layer"
-- role = "role of the directory that holds it"
-- cache_id = "that directory"
-- diff_id = "the layer; NULL for what is not a layer"
-- images = "how many listed images have the layer"
-- host = "the host"

WITH biggest AS MATERIALIZED (
  SELECT d.snapshot_id, d.cache_id, d.role, e.listing_id, e.directory_id, e.name, e.size
  FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id) CROSS JOIN entries AS e USING (listing_id)
  WHERE e.type = 'file'
  ORDER BY e.size DESC, e.directory_id, e.name, d.snapshot_id, d.cache_id LIMIT coalesce(nullif(:top, ''), 20)
),
placed AS MATERIALIZED (
  SELECT y.snapshot_id, y.cache_id, y.chain_id, y.diff_id
  FROM (SELECT DISTINCT snapshot_id, cache_id FROM biggest) AS b
  CROSS JOIN layers AS y ON y.cache_id = b.cache_id AND +y.snapshot_id = b.snapshot_id
)
SELECT b.size, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || b.name AS path, b.role, b.cache_id, y.diff_id,
  (SELECT count(*) FROM image_layers AS l JOIN listed_images USING (snapshot_id, image_id)
   WHERE l.snapshot_id = b.snapshot_id AND l.chain_id = y.chain_id) AS images,
  h.host
FROM biggest AS b
JOIN directories AS d USING (directory_id)
LEFT JOIN placed AS y ON y.snapshot_id = b.snapshot_id AND y.cache_id = b.cache_id
JOIN snapshot_hosts AS h ON h.snapshot_id = b.snapshot_id
ORDER BY b.size DESC, path, b.cache_id, b.snapshot_id, y.chain_id;
