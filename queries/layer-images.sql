-- title = "Which images and containers use a layer"
-- description = "Every image that has the layer, listed or not, with the containers made of it. A layer without images may still be held by a container or by the build cache."
-- first = ["chain_id", "image", "position", "containers"]
-- [params]
-- layer = { type = "layer", help = "chain_id, diff_id or cache-id; all layers when left out" }
-- [columns]
-- chain_id = "the layer"
-- cache_id = "its directory in overlay2"
-- image_id = "an image that has it; NULL when none has"
-- image = "tags of that image, or its id"
-- position = "the layer's place in the image, 0 for the base"
-- is_top = "1 when it is the image's last layer, else 0"
-- containers = "names of the containers made of the image"
-- host = "the host"

WITH asked AS MATERIALIZED (
  SELECT y.snapshot_id, y.chain_id, y.cache_id FROM selected_snapshots JOIN layers AS y USING (snapshot_id)
  WHERE nullif(:layer, '') IS NULL OR :layer IN (y.chain_id, y.diff_id, y.cache_id)
),
placed AS (
  SELECT y.*, l.image_id, l.position, l.position = i.layer_count - 1 AS is_top
  FROM asked AS y CROSS JOIN image_layers AS l USING (snapshot_id, chain_id) CROSS JOIN images AS i USING (snapshot_id, image_id)
  UNION ALL
  SELECT y.*, NULL, NULL, NULL FROM asked AS y
  WHERE NOT EXISTS (SELECT 1 FROM image_layers AS l WHERE l.snapshot_id = y.snapshot_id AND l.chain_id = y.chain_id)
)
SELECT l.chain_id, l.cache_id, l.image_id,
  (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = l.snapshot_id AND n.image_id = l.image_id) AS image, l.position, l.is_top,
  (SELECT group_concat(name, ', ') FROM (SELECT coalesce(c.name, c.container_id) AS name FROM containers AS c
     WHERE c.snapshot_id = l.snapshot_id AND c.image_id = l.image_id ORDER BY 1)) AS containers,
  h.host
FROM placed AS l
JOIN snapshot_hosts AS h ON h.snapshot_id = l.snapshot_id
ORDER BY h.host, l.snapshot_id, l.chain_id, image, l.image_id, l.position;
