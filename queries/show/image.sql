-- title = "An image"
-- description = "What its config says, its sizes, and whether it is still there."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the image_id" }
-- [columns]
-- image_id = "the image"
-- in_store = "1 when its config, or it as a manifest list, is there, 0 when only containers, tags or children still name it"
-- created_at = "when it was created"
-- platform = "operating system, architecture and variant"
-- size = "sum of its layers"
-- shared_size = "bytes in layers that another listed image has too"
-- unique_size = "bytes in layers that only this image has"
-- layers = "how many layers it has"
-- parent_image_id = "the parent that the classic builder or commit recorded"
-- last_updated_at = "when a tag was last put on it"
-- verified = "1 when the SHA-256 of its config is the image_id"
-- standing = "used, unused or unknown; NULL for a manifest list and for what is not there"
-- because = "for unknown: what may name a user of it and was not read"

WITH there AS MATERIALIZED (SELECT * FROM images WHERE snapshot_id = :snapshot AND image_id = :id),
sums AS (
  SELECT CAST(total(size) FILTER (WHERE others > 0) AS INTEGER) AS shared_size,
    CAST(total(size) FILTER (WHERE others = 0) AS INTEGER) AS unique_size
  FROM (SELECT l.size, (
      SELECT count(*) FROM image_layers AS o CROSS JOIN listed_images AS k
        ON k.snapshot_id = o.snapshot_id AND k.image_id = o.image_id
      WHERE o.chain_id = l.chain_id AND o.snapshot_id = l.snapshot_id AND o.image_id <> l.image_id) AS others
    FROM placed_layers AS l
    WHERE l.snapshot_id = :snapshot AND l.image_id = :id)
)
SELECT :id AS image_id,
  i.image_id IS NOT NULL OR EXISTS (SELECT 1 FROM manifest_lists AS m WHERE m.snapshot_id = :snapshot AND m.image_id = :id) AS in_store,
  i.created_at,
  i.os || '/' || i.architecture || coalesce('/' || i.variant, '') AS platform, i.size,
  CASE WHEN i.size IS NOT NULL THEN u.shared_size END AS shared_size,
  CASE WHEN i.size IS NOT NULL THEN u.unique_size END AS unique_size,
  i.layer_count AS layers, i.parent_image_id, i.last_updated_at, i.verified, t.standing, t.because
FROM sums AS u LEFT JOIN there AS i ON i.image_id = :id
LEFT JOIN image_standings AS t ON t.snapshot_id = :snapshot AND t.image_id = :id
ORDER BY image_id;
