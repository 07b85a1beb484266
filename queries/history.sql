-- title = "The build steps of an image, with the layer each made"
-- description = "What docker history shows, first step first. A step that made no layer has size 0 and no diff_id."
-- first = ["image", "position", "created_by", "size"]
-- [params]
-- image = { type = "image", help = "the image; all of them when left out" }
-- [columns]
-- image = "tags of the image, or its id"
-- position = "0 for the first step, counting up"
-- created_at = "when the step ran"
-- created_by = "its command"
-- comment = "its comment, such as buildkit.dockerfile.v0"
-- empty_layer = "1 when it made no layer, else 0"
-- size = "size of the layer it made"
-- diff_id = "SHA-256 of that layer's uncompressed tar"
-- chain_id = "that layer"
-- host = "the host"

SELECT n.label AS image, s.position, s.created_at, s.created_by, s.comment, s.empty_layer,
  CASE WHEN s.layer_position IS NULL THEN 0 ELSE (SELECT y.size FROM layers AS y WHERE y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id) END AS size,
  s.diff_id, s.chain_id,
  h.host
FROM (
  SELECT s.*,
    (SELECT l.diff_id FROM image_layers AS l
     WHERE l.snapshot_id = s.snapshot_id AND l.image_id = s.image_id AND l.position = s.layer_position) AS diff_id,
    (SELECT l.chain_id FROM image_layers AS l
     WHERE l.snapshot_id = s.snapshot_id AND l.image_id = s.image_id AND l.position = s.layer_position) AS chain_id
  FROM selected_snapshots JOIN image_history AS s USING (snapshot_id)) AS s
JOIN image_labels AS n USING (snapshot_id, image_id)
JOIN snapshot_hosts AS h ON h.snapshot_id = s.snapshot_id
WHERE nullif(:image, '') IS NULL OR (s.snapshot_id, s.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY h.host, s.snapshot_id, n.label, s.image_id, s.position;
