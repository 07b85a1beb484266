-- title = "Which image is built on which"
-- description = "An image stands on another when all layers of the other are its own first layers, or when the classic builder or commit recorded the other as its parent, at any distance. Only images that docker images lists."
-- first = ["image", "base", "extra_layers", "extra_bytes"]
-- [params]
-- image = { type = "image", help = "the image that stands on others; all of them when left out" }
-- [columns]
-- image = "tags of the image, or its id"
-- base = "tags of the image it stands on, or its id"
-- depth = "1 for the nearest base, counting away"
-- extra_layers = "layers the image adds to the base"
-- extra_bytes = "bytes the image adds to the base"
-- evidence = "layers, parent, or layers+parent"
-- host = "the host"

WITH RECURSIVE listed AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, i.layer_count, i.size
  FROM selected_snapshots JOIN listed_images USING (snapshot_id) JOIN images AS i USING (snapshot_id, image_id)
),
ancestors (snapshot_id, image_id, base_id) AS (
  SELECT i.snapshot_id, i.image_id, i.parent_image_id FROM listed JOIN images AS i USING (snapshot_id, image_id)
  WHERE i.parent_image_id IS NOT NULL
  UNION
  SELECT a.snapshot_id, a.image_id, p.parent_image_id
  FROM ancestors AS a JOIN images AS p ON p.snapshot_id = a.snapshot_id AND p.image_id = a.base_id
  WHERE p.parent_image_id IS NOT NULL
),
tops AS MATERIALIZED (
  SELECT l.snapshot_id, l.image_id, l.chain_id, i.layer_count
  FROM listed AS i JOIN image_layers AS l USING (snapshot_id, image_id) WHERE l.position = i.layer_count - 1
),
pairs AS (
  SELECT i.snapshot_id, i.image_id, t.image_id AS base_id, 1 AS by_layers, 0 AS by_parent
  FROM tops AS t
  JOIN image_layers AS l ON l.snapshot_id = t.snapshot_id AND l.chain_id = t.chain_id
  JOIN listed AS i ON i.snapshot_id = l.snapshot_id AND i.image_id = l.image_id
  WHERE i.layer_count > t.layer_count
  UNION ALL
  SELECT a.snapshot_id, a.image_id, a.base_id, 0, 1
  FROM ancestors AS a JOIN listed AS b ON b.snapshot_id = a.snapshot_id AND b.image_id = a.base_id
  WHERE a.base_id <> a.image_id
),
-- Of images with the same layers that were built on each other, how many are below.
steps AS MATERIALIZED (
  SELECT a.snapshot_id, a.image_id, count(DISTINCT a.base_id) AS below
  FROM ancestors AS a JOIN listed AS i USING (snapshot_id, image_id)
  JOIN listed AS b ON b.snapshot_id = a.snapshot_id AND b.image_id = a.base_id AND b.layer_count = i.layer_count
  WHERE a.base_id <> a.image_id GROUP BY a.snapshot_id, a.image_id
),
bases AS (
  SELECT snapshot_id, image_id, base_id, max(by_layers) AS by_layers, max(by_parent) AS by_parent
  FROM pairs GROUP BY snapshot_id, image_id, base_id
)
SELECT ni.label AS image, nb.label AS base,
  dense_rank() OVER (PARTITION BY p.snapshot_id, p.image_id ORDER BY b.layer_count DESC, coalesce(t.below, 0) DESC) AS depth,
  i.layer_count - b.layer_count AS extra_layers,
  i.size - b.size AS extra_bytes,
  CASE WHEN by_layers AND by_parent THEN 'layers+parent' WHEN by_layers THEN 'layers' ELSE 'parent' END AS evidence,
  h.host
FROM bases AS p
JOIN listed AS i ON i.snapshot_id = p.snapshot_id AND i.image_id = p.image_id
JOIN listed AS b ON b.snapshot_id = p.snapshot_id AND b.image_id = p.base_id
LEFT JOIN steps AS t ON t.snapshot_id = p.snapshot_id AND t.image_id = p.base_id
JOIN image_labels AS ni ON ni.snapshot_id = p.snapshot_id AND ni.image_id = p.image_id
JOIN image_labels AS nb ON nb.snapshot_id = p.snapshot_id AND nb.image_id = p.base_id
JOIN snapshot_hosts AS h ON h.snapshot_id = p.snapshot_id
WHERE nullif(:image, '') IS NULL OR (p.snapshot_id, p.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY h.host, p.snapshot_id, ni.label, p.image_id, depth, nb.label, p.base_id;
