-- title = "Tags whose images have other files, and how many"
-- description = "For each tag that names different layers in two snapshots: how many of its layers the other side's image lacks, and the files and bytes in them, hidden ones included. Which paths differ says layerindex compare --files TAG."
-- first = ["change", "tag", "a_layers", "b_layers", "a_entries", "b_entries", "a_size", "b_size"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "other image"
-- tag = "repository and tag"
-- a_layers = "layers of the image in a that the one in b lacks"
-- b_layers = "layers of the image in b that the one in a lacks"
-- a_entries = "files and folders in those layers; NULL when one of them is not indexed"
-- b_entries = "files and folders in those layers; NULL when one of them is not indexed"
-- a_size = "bytes of the files in them"
-- b_size = "bytes of the files in them"

WITH moved AS MATERIALIZED (
  SELECT DISTINCT a.ref, a.image_id AS a_image, b.image_id AS b_image
  FROM image_refs AS a JOIN image_refs AS b ON b.snapshot_id = :b AND b.normalized = a.normalized AND b.image_id <> a.image_id
  WHERE a.snapshot_id = :a AND a.tag IS NOT NULL
    AND NOT EXISTS (
      SELECT 1 FROM image_refs AS o WHERE o.snapshot_id = :b AND o.normalized = a.normalized AND o.image_id = a.image_id)
    AND NOT EXISTS (
      SELECT 1 FROM image_refs AS o WHERE o.snapshot_id = :a AND o.normalized = b.normalized AND o.image_id = b.image_id)
),
own AS MATERIALIZED (
  SELECT DISTINCT m.ref, 'a' AS side, l.diff_id, l.listing_id
  FROM moved AS m CROSS JOIN placed_layers AS l ON l.snapshot_id = :a AND l.image_id = m.a_image
  WHERE NOT EXISTS (SELECT 1 FROM image_layers AS o WHERE o.snapshot_id = :b AND o.image_id = m.b_image AND o.diff_id = l.diff_id)
  UNION
  SELECT DISTINCT m.ref, 'b', l.diff_id, l.listing_id
  FROM moved AS m CROSS JOIN placed_layers AS l ON l.snapshot_id = :b AND l.image_id = m.b_image
  WHERE NOT EXISTS (SELECT 1 FROM image_layers AS o WHERE o.snapshot_id = :a AND o.image_id = m.a_image AND o.diff_id = l.diff_id)
),
sums AS (
  SELECT w.ref, w.side, count(*) AS layers, CASE WHEN count(*) = count(i.listing_id) THEN sum(i.entry_count) END AS entries,
    CASE WHEN count(*) = count(i.listing_id) THEN sum(i.total_size) END AS size
  FROM own AS w LEFT JOIN listings AS i ON i.listing_id = w.listing_id GROUP BY w.ref, w.side
)
SELECT 'other image' AS change, ref AS tag,
  coalesce(max(layers) FILTER (WHERE side = 'a'), 0) AS a_layers, coalesce(max(layers) FILTER (WHERE side = 'b'), 0) AS b_layers,
  CASE WHEN sum(side = 'a') THEN max(entries) FILTER (WHERE side = 'a') ELSE 0 END AS a_entries,
  CASE WHEN sum(side = 'b') THEN max(entries) FILTER (WHERE side = 'b') ELSE 0 END AS b_entries,
  CASE WHEN sum(side = 'a') THEN max(size) FILTER (WHERE side = 'a') ELSE 0 END AS a_size,
  CASE WHEN sum(side = 'b') THEN max(size) FILTER (WHERE side = 'b') ELSE 0 END AS b_size
FROM sums GROUP BY ref
ORDER BY tag;
