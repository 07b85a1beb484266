-- title = "Each layer, and the one that it stands on"
-- description = "One row for each layer that an image has or that the store has, in containerd for each namespace, which has directories of its own. What an image's config says of a layer below goes before what the store says."
-- [columns]
-- snapshot_id = "the snapshot"
-- namespace = "in containerd the namespace; empty in other stores"
-- chain_id = "the layer"
-- parent_chain_id = "the layer below, which need not be there; NULL for a base"
-- size = "its size, as the engine counts it; NULL when not known"
-- in_store = "1 when the store has the layer, in containerd unpacked in the namespace; else 0"
-- created_by = "the build step that made it, of a layer of the build cache what its record says"
-- image_id = "one of the images that have it; NULL for a layer that none has"
-- standing = "of a layer that no image has: used, unused or unknown; NULL for others"
-- because = "for unknown: what may need it and was not read"
-- needed_by = "of a layer that no image has: the kinds of things that need it; NULL for none"

WITH stores AS MATERIALIZED (
  SELECT s.snapshot_id, s.driver, s.collects_garbage AS apart FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id)
),
-- SQLite takes the other columns from the row with the least image.
named AS MATERIALIZED (
  SELECT l.snapshot_id, '' AS namespace, l.chain_id, l.position, min(l.image_id) AS image_id
  FROM stores AS s CROSS JOIN image_layers AS l USING (snapshot_id)
  WHERE NOT s.apart GROUP BY l.snapshot_id, l.chain_id
  UNION ALL
  SELECT l.snapshot_id, n.namespace, l.chain_id, l.position, min(l.image_id)
  FROM stores AS s CROSS JOIN image_namespaces AS n USING (snapshot_id)
  CROSS JOIN image_layers AS l ON l.snapshot_id = n.snapshot_id AND l.image_id = n.image_id
  WHERE s.apart GROUP BY l.snapshot_id, n.namespace, l.chain_id
),
-- What no image of its namespace has.
loose AS MATERIALIZED (
  SELECT y.snapshot_id, '' AS namespace, y.chain_id, y.parent_chain_id, y.size, y.cache_id, NULL AS reachable
  FROM stores AS s CROSS JOIN layers AS y USING (snapshot_id)
  WHERE NOT s.apart AND (y.snapshot_id, y.chain_id) NOT IN (SELECT snapshot_id, chain_id FROM named)
  UNION ALL
  SELECT k.snapshot_id, k.namespace, k.chain_id, y.parent_chain_id, k.size, k.cache_id, coalesce(k.reachable, -1)
  FROM stores AS s CROSS JOIN containerd_snapshots AS k ON k.snapshot_id = s.snapshot_id AND k.snapshotter = s.driver
  CROSS JOIN layers AS y ON y.snapshot_id = k.snapshot_id AND y.chain_id = k.chain_id
  WHERE s.apart AND k.snapshot_key = k.chain_id
    AND (k.snapshot_id, k.namespace, k.chain_id) NOT IN (SELECT snapshot_id, namespace, chain_id FROM named)
),
needs AS MATERIALIZED (
  SELECT o.snapshot_id, o.namespace, o.chain_id, group_concat(o.kind, ', ') AS needed_by
  FROM (
    SELECT DISTINCT l.snapshot_id, l.namespace, l.chain_id, replace(replace(u.user_kind, '-base', ''), '-', ' ') AS kind
    FROM loose AS l CROSS JOIN recorded_uses AS u ON u.snapshot_id = l.snapshot_id AND u.used_kind = 'directory' AND u.used = l.cache_id
    WHERE u.user_kind NOT IN ('layer', 'lower', 'build-snapshot')
    UNION
    SELECT l.snapshot_id, l.namespace, l.chain_id, replace(u.user_kind, '-', ' ')
    FROM loose AS l CROSS JOIN recorded_uses AS u ON u.snapshot_id = l.snapshot_id AND u.used_kind = 'layer' AND u.used = l.chain_id
    WHERE u.user_kind IN ('lease', 'label')
    ORDER BY 4) AS o
  GROUP BY o.snapshot_id, o.namespace, o.chain_id
),
records AS MATERIALIZED (
  SELECT l.snapshot_id, l.namespace, l.chain_id, min(b.description) AS created_by
  FROM loose AS l CROSS JOIN build_cache AS b ON b.snapshot_id = l.snapshot_id AND b.cache_id = l.cache_id
  GROUP BY l.snapshot_id, l.namespace, l.chain_id
)
SELECT n.snapshot_id, n.namespace, n.chain_id,
  (SELECT b.chain_id FROM image_layers AS b
   WHERE b.snapshot_id = n.snapshot_id AND b.image_id = n.image_id AND b.position = n.position - 1) AS parent_chain_id,
  CASE WHEN s.apart THEN k.size ELSE (SELECT y.size FROM layer_facts AS y WHERE y.snapshot_id = n.snapshot_id AND y.chain_id = n.chain_id) END AS size,
  CASE WHEN s.apart THEN k.cache_id IS NOT NULL
    ELSE EXISTS (SELECT 1 FROM layer_facts AS y WHERE y.snapshot_id = n.snapshot_id AND y.chain_id = n.chain_id) END AS in_store,
  (SELECT h.created_by FROM image_history AS h
   WHERE h.snapshot_id = n.snapshot_id AND h.image_id = n.image_id AND h.layer_position = n.position) AS created_by,
  n.image_id, NULL AS standing, NULL AS because, NULL AS needed_by
FROM named AS n CROSS JOIN stores AS s USING (snapshot_id)
LEFT JOIN containerd_snapshots AS k ON s.apart AND k.chain_id = n.chain_id AND k.snapshot_id = n.snapshot_id
  AND k.namespace = n.namespace AND k.snapshotter = s.driver AND k.snapshot_key = n.chain_id
UNION ALL
SELECT l.snapshot_id, l.namespace, l.chain_id, l.parent_chain_id, l.size, 1, r.created_by, NULL,
  CASE WHEN l.reachable IS NULL THEN t.standing WHEN l.reachable = 1 THEN 'used'
    WHEN l.reachable = 0 AND d.because IS NULL THEN 'unused' ELSE 'unknown' END,
  CASE WHEN l.reachable IS NULL THEN t.because WHEN l.reachable <> 1 THEN coalesce(d.because, iif(l.reachable, 'what holds it is not clear', NULL)) END,
  e.needed_by
FROM loose AS l
CROSS JOIN layer_standings AS t ON t.snapshot_id = l.snapshot_id AND t.chain_id = l.chain_id
LEFT JOIN doubts AS d ON d.snapshot_id = l.snapshot_id AND d.thing = 'layer'
LEFT JOIN needs AS e ON e.snapshot_id = l.snapshot_id AND e.namespace = l.namespace AND e.chain_id = l.chain_id
LEFT JOIN records AS r ON r.snapshot_id = l.snapshot_id AND r.namespace = l.namespace AND r.chain_id = l.chain_id
ORDER BY 1, 2, 3;
