-- title = "The layers of an image, with their directories"
-- description = "One row for each layer, the base first."
-- first = ["position", "directory", "size", "created_by"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the image_id" }
-- [columns]
-- position = "0 for the base, counting up"
-- diff_id = "SHA-256 of its uncompressed tar"
-- chain_id = "digest of it and all below it"
-- directory = "its directory; NULL when the store does not have the layer"
-- copies = "other directories of it: for other users' ids, or in other namespaces of containerd; NULL for none"
-- link = "short name of the directory"
-- size = "bytes as the engine counts them"
-- shared_by = "how many listed images have the layer"
-- created_by = "the build step that made it"

WITH chains AS MATERIALIZED (
  SELECT l.chain_id, y.cache_id FROM image_layers AS l JOIN layers AS y ON y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id
  WHERE l.snapshot_id = :snapshot AND l.image_id = :id
),
-- One look through all directories, not one for each layer.
others AS MATERIALIZED (
  SELECT c.chain_id, c.cache_id FROM layer_directories AS c CROSS JOIN chains USING (chain_id)
  WHERE c.snapshot_id = :snapshot AND c.cache_id <> chains.cache_id
)
SELECT l.position, l.diff_id, l.chain_id, l.cache_id AS directory,
  (SELECT group_concat(cache_id, ', ') FROM (SELECT DISTINCT o.cache_id FROM others AS o WHERE o.chain_id = l.chain_id ORDER BY 1)) AS copies,
  (SELECT d.link FROM overlay_dirs AS d WHERE d.snapshot_id = l.snapshot_id AND d.cache_id = l.cache_id) AS link, l.size,
  (SELECT count(DISTINCT o.image_id) FROM image_layers AS o CROSS JOIN listed_images AS k
     ON k.snapshot_id = o.snapshot_id AND k.image_id = o.image_id
   WHERE o.chain_id = l.chain_id AND o.snapshot_id = l.snapshot_id) AS shared_by,
  (SELECT h.created_by FROM image_history AS h
   WHERE h.snapshot_id = l.snapshot_id AND h.image_id = l.image_id AND h.layer_position = l.position
   ORDER BY h.position LIMIT 1) AS created_by
FROM placed_layers AS l
WHERE l.snapshot_id = :snapshot AND l.image_id = :id
ORDER BY l.position;
