-- title = "Images with their size, what they share, and who uses them"
-- description = "One row for each tag of the images that docker images lists. size is the sum of the image's layers; shared_size the part in layers that another listed image has too; unique_size the rest: all three as docker system df -v counts them. NULL where a layer is missing."
-- [params]
-- image = { type = "image", help = "only this image" }
-- [columns]
-- repository = "repository; NULL for a dangling image"
-- tag = "tag; NULL for a dangling image or one known by digest only"
-- image_id = "the image"
-- created_at = "when it was created"
-- size = "sum of the sizes of its layers"
-- shared_size = "bytes in layers that other images have too"
-- unique_size = "bytes in layers that only this image has"
-- layers = "how many layers it has"
-- containers = "how many containers were made of it"
-- dangling = "1 when nothing names it, else 0"
-- host = "the host"

WITH listed AS MATERIALIZED (
  SELECT l.snapshot_id, l.image_id FROM selected_snapshots JOIN listed_images AS l USING (snapshot_id)
),
uses AS MATERIALIZED (
  SELECT snapshot_id, chain_id, count(*) AS times
  FROM listed JOIN image_layers USING (snapshot_id, image_id) GROUP BY snapshot_id, chain_id
),
sums AS (
  SELECT snapshot_id, image_id, sum(CASE WHEN times > 1 THEN y.size ELSE 0 END) AS shared_size
  FROM listed
  JOIN image_layers USING (snapshot_id, image_id)
  JOIN uses USING (snapshot_id, chain_id)
  LEFT JOIN layers AS y USING (snapshot_id, chain_id)
  GROUP BY snapshot_id, image_id
)
SELECT r.repository, r.tag, i.image_id, i.created_at, i.size,
  CASE WHEN i.size IS NOT NULL THEN coalesce(s.shared_size, 0) END AS shared_size,
  i.size - coalesce(s.shared_size, 0) AS unique_size,
  i.layer_count AS layers,
  (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id) AS containers,
  r.ref IS NULL AS dangling,
  h.host
FROM listed
JOIN images AS i USING (snapshot_id, image_id)
LEFT JOIN sums AS s USING (snapshot_id, image_id)
-- A digest is shown only where its repository has no tag of the same image.
LEFT JOIN image_refs AS r ON r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND (r.tag IS NOT NULL OR NOT EXISTS (
  SELECT 1 FROM image_refs AS o WHERE o.snapshot_id = r.snapshot_id AND o.image_id = r.image_id
    AND o.repository = r.repository AND (o.tag IS NOT NULL OR o.ref < r.ref)))
JOIN snapshot_hosts AS h ON h.snapshot_id = i.snapshot_id
WHERE :image IS NULL OR (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY h.host, i.snapshot_id, i.created_at DESC, i.image_id, r.ref;
