-- title = "Layers that serve more than one image"
-- description = "A layer is shared when it stands at the same place in more than one image that docker images lists: one directory serves them all. The same content at another place in a chain is another layer, with a directory of its own."
-- first = ["chain_id", "size", "images", "image_names", "saved_bytes"]
-- [params]
-- image = { type = "image", help = "only layers of this image" }
-- [columns]
-- chain_id = "the layer"
-- diff_id = "SHA-256 of its uncompressed tar"
-- cache_id = "its directory"
-- size = "its size"
-- images = "how many images use it"
-- image_names = "their tags, or ids where they have none"
-- saved_bytes = "what sharing saves: (images - 1) * size"
-- host = "the host"

WITH labels AS MATERIALIZED (
  SELECT l.snapshot_id, l.image_id, n.label
  FROM selected_snapshots JOIN listed_images AS l USING (snapshot_id) JOIN image_labels AS n USING (snapshot_id, image_id)
),
shared AS MATERIALIZED (
  SELECT snapshot_id, chain_id, count(*) AS images, group_concat(label, ', ') AS image_names
  -- CROSS JOIN: SQLite keeps this order.
  FROM (SELECT snapshot_id, l.chain_id, n.label FROM labels AS n CROSS JOIN image_layers AS l USING (snapshot_id, image_id)
        ORDER BY snapshot_id, l.chain_id, n.label)
  GROUP BY snapshot_id, chain_id HAVING count(*) > 1
),
placed AS (
  SELECT s.*, (SELECT y.diff_id FROM layers AS y WHERE y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id) AS diff_id,
    (SELECT y.cache_id FROM layers AS y WHERE y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id) AS cache_id,
    (SELECT y.size FROM layers AS y WHERE y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id) AS size
  FROM shared AS s
)
SELECT s.chain_id, s.diff_id, s.cache_id, s.size, s.images, s.image_names,
  (s.images - 1) * s.size AS saved_bytes,
  h.host
FROM placed AS s
CROSS JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:image, '') IS NULL OR (s.snapshot_id, s.chain_id) IN (
  SELECT snapshot_id, chain_id FROM image_layers JOIN image_names USING (snapshot_id, image_id) WHERE name = :image)
ORDER BY saved_bytes DESC, s.chain_id, s.snapshot_id;
