-- title = "The directories of a container, from the top down"
-- description = "Its writable layer, its init layer and the layers below, as overlayfs stacks them; where no lower list says that, as the chain of layers does."
-- first = ["part", "directory", "size", "created_by"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the container_id" }
-- [columns]
-- part = "writable, init or layer"
-- directory = "the directory"
-- role = "its role; missing when it is not there"
-- link = "its short name"
-- diff_id = "the layer's diff_id"
-- chain_id = "the layer's chain_id"
-- size = "bytes as the engine counts them; for a writable layer the sum of st_size"
-- created_by = "the build step that made it, or what BuildKit says of it"

WITH RECURSIVE mounted AS MATERIALIZED (
  SELECT m.mount_id, m.init_id, m.parent_chain_id FROM mounts AS m WHERE m.snapshot_id = :snapshot AND m.name = :id
),
parents (depth, chain_id, parent_chain_id, cache_id) AS (
  SELECT 0, y.chain_id, y.parent_chain_id, y.cache_id FROM mounted AS m
  CROSS JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = m.parent_chain_id
  UNION ALL
  SELECT p.depth + 1, y.chain_id, y.parent_chain_id, y.cache_id FROM parents AS p
  CROSS JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = p.parent_chain_id WHERE p.depth < 512
),
lowers AS MATERIALIZED (
  SELECT o.position, o.lower_cache_id, o.link FROM mounted AS m
  CROSS JOIN overlay_lowers AS o ON o.snapshot_id = :snapshot AND o.cache_id = m.mount_id
),
stack AS MATERIALIZED (
  SELECT -2 AS position, 'writable' AS part, m.mount_id AS cache_id, NULL AS link FROM mounted AS m WHERE m.mount_id IS NOT NULL
  UNION ALL
  SELECT -1, 'init', m.init_id, NULL FROM mounted AS m WHERE m.init_id IS NOT NULL
  UNION ALL
  SELECT o.position, 'layer', o.lower_cache_id, o.link FROM lowers AS o
  WHERE o.lower_cache_id IS NOT (SELECT init_id FROM mounted)
  UNION ALL
  SELECT p.depth, 'layer', p.cache_id, NULL FROM parents AS p WHERE NOT EXISTS (SELECT 1 FROM lowers)
),
there AS MATERIALIZED (
  SELECT d.cache_id, d.role, d.link, d.apparent_bytes FROM (SELECT DISTINCT cache_id FROM stack) AS s
  CROSS JOIN overlay_dirs AS d ON d.snapshot_id = :snapshot AND d.cache_id = s.cache_id
),
placed AS MATERIALIZED (
  SELECT y.cache_id, min(y.chain_id) AS chain_id, y.diff_id, y.size FROM (SELECT DISTINCT cache_id FROM stack WHERE part = 'layer') AS s
  CROSS JOIN layers AS y ON y.cache_id = s.cache_id AND +y.snapshot_id = :snapshot GROUP BY y.cache_id
)
SELECT s.part, s.cache_id AS directory, coalesce(d.role, 'missing') AS role, coalesce(d.link, s.link) AS link,
  y.diff_id, y.chain_id, CASE s.part WHEN 'layer' THEN y.size ELSE d.apparent_bytes END AS size,
  coalesce((SELECT h.created_by FROM image_layers AS l CROSS JOIN image_history AS h
      ON h.snapshot_id = l.snapshot_id AND h.image_id = l.image_id AND h.layer_position = l.position
    WHERE l.chain_id = y.chain_id AND l.snapshot_id = :snapshot
    ORDER BY l.image_id IS NOT (SELECT c.image_id FROM containers AS c WHERE c.snapshot_id = :snapshot AND c.container_id = :id),
      l.image_id, h.position LIMIT 1),
    (SELECT min(b.description) FROM build_cache AS b WHERE b.cache_id = s.cache_id AND +b.snapshot_id = :snapshot)) AS created_by
FROM stack AS s
LEFT JOIN there AS d ON d.cache_id = s.cache_id
LEFT JOIN placed AS y ON y.cache_id = s.cache_id AND s.part = 'layer'
ORDER BY s.position;
