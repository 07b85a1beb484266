-- title = "How an image is stacked, and where each layer lies on disk"
-- description = "The chain from image to directory: each layer with its diff_id, chain_id, cache-id and link, and the build step that made it."
-- first = ["image", "position", "cache_id", "size", "created_by"]
-- [params]
-- image = { type = "image", help = "the image; all of them when left out" }
-- [columns]
-- image = "tags of the image, or its id"
-- position = "0 for the base, counting up"
-- diff_id = "SHA-256 of the layer's uncompressed tar"
-- chain_id = "digest of this layer and all below it"
-- cache_id = "its directory; NULL when the store does not have the layer, or has it as a blob only"
-- link = "short name of the directory; NULL where the driver gives none"
-- size = "its size"
-- created_by = "the build step that made it"
-- shared_by = "how many listed images use the layer, this one included; in containerd those of the namespace"
-- namespace = "in containerd the namespace, which has directories of its own; NULL in other stores"
-- host = "the host"

WITH listed AS MATERIALIZED (
  SELECT snapshot_id, image_id FROM selected_snapshots JOIN listed_images USING (snapshot_id)
),
placed AS MATERIALIZED (
  SELECT l.*, sum((l.snapshot_id, l.image_id) IN listed) OVER (PARTITION BY l.snapshot_id, l.namespace, l.chain_id) AS shared_by
  FROM selected_snapshots CROSS JOIN image_layer_places AS l USING (snapshot_id)
)
SELECT n.label AS image, l.position, l.diff_id, l.chain_id, l.cache_id,
  (SELECT d.link FROM overlay_dirs AS d WHERE d.snapshot_id = l.snapshot_id AND d.cache_id = l.cache_id) AS link, l.size,
  (SELECT s.created_by FROM image_history AS s
   WHERE s.snapshot_id = l.snapshot_id AND s.image_id = l.image_id AND s.layer_position = l.position) AS created_by,
  l.shared_by, nullif(l.namespace, '') AS namespace,
  h.host
FROM placed AS l
JOIN image_namespaces AS n USING (snapshot_id, image_id, namespace)
JOIN snapshot_hosts AS h ON h.snapshot_id = l.snapshot_id
WHERE nullif(:image, '') IS NULL OR (l.snapshot_id, l.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY h.host, l.snapshot_id, n.label, l.image_id, l.namespace, l.position;
