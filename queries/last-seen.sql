-- title = "When each tag, image and layer was last seen"
-- description = "Over all snapshots of each store, whatever --host and --snapshot say. A tag has a row for each image that it named; a layer is told by its diff_id."
-- [params]
-- image = { help = "only this image and its tags: a reference, or an id or its beginning" }
-- layer = { help = "only this layer: a diff_id or its beginning" }
-- [columns]
-- kind = "tag, image or layer"
-- name = "the tag; NULL for others"
-- id = "image id, or diff_id of the layer"
-- seen_at = "when the last snapshot that has it began"
-- snapshot_id = "that snapshot"
-- gone_at = "when the snapshot after it began, which lacks the thing; NULL when it is the newest of its store"
-- snapshots = "how many snapshots have it"
-- root = "root of the store"
-- host = "the host"

-- CROSS JOIN: SQLite keeps this order, and looks into each snapshot by the key.
WITH seen AS MATERIALIZED (
  SELECT 'tag' AS kind, r.ref AS name, r.image_id AS id, s.snapshot_id, s.host_id, s.store, s.root, s.started_at
  FROM snapshots AS s CROSS JOIN image_refs AS r USING (snapshot_id)
  WHERE r.tag IS NOT NULL AND :layer IS NULL AND (:image IS NULL OR r.ref IN (:image, :image || ':latest')
    OR r.image_id BETWEEN 'sha256:' || replace(:image, 'sha256:', '') AND 'sha256:' || replace(:image, 'sha256:', '') || 'g')
  UNION ALL
  SELECT 'image', NULL, i.image_id, s.snapshot_id, s.host_id, s.store, s.root, s.started_at
  FROM snapshots AS s CROSS JOIN images AS i USING (snapshot_id)
  WHERE :layer IS NULL AND (:image IS NULL
    OR i.image_id BETWEEN 'sha256:' || replace(:image, 'sha256:', '') AND 'sha256:' || replace(:image, 'sha256:', '') || 'g'
    OR i.image_id IN (SELECT r.image_id FROM image_refs AS r
      WHERE r.snapshot_id = s.snapshot_id AND r.ref IN (:image, :image || ':latest')))
  UNION ALL
  SELECT DISTINCT 'layer', NULL, y.diff_id, s.snapshot_id, s.host_id, s.store, s.root, s.started_at
  FROM snapshots AS s CROSS JOIN layers AS y USING (snapshot_id)
  WHERE y.diff_id IS NOT NULL AND :image IS NULL AND :layer IS NULL
  UNION ALL
  SELECT DISTINCT 'layer', NULL, y.diff_id, s.snapshot_id, s.host_id, s.store, s.root, s.started_at
  FROM layers AS y CROSS JOIN snapshots AS s USING (snapshot_id)
  WHERE y.diff_id BETWEEN 'sha256:' || replace(:layer, 'sha256:', '') AND 'sha256:' || replace(:layer, 'sha256:', '') || 'g'
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY host_id, store, root, kind, name, id ORDER BY started_at DESC, snapshot_id DESC) AS place,
    count(*) OVER (PARTITION BY host_id, store, root, kind, name, id) AS snapshots
  FROM seen
)
SELECT r.kind, r.name, r.id, r.started_at AS seen_at, r.snapshot_id,
  (SELECT min(o.started_at) FROM snapshots AS o
   WHERE o.host_id = r.host_id AND o.store = r.store AND o.root = r.root
     AND (o.started_at, o.snapshot_id) > (r.started_at, r.snapshot_id)) AS gone_at,
  r.snapshots, r.root, h.host
FROM ranked AS r JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE r.place = 1
ORDER BY h.host, r.host_id, r.store, r.root, r.kind, r.started_at, r.name, r.id;
