-- title = "When each tag, image and layer was last seen"
-- description = "Over all snapshots of each store, whatever --host and --snapshot say. Tags are matched in full, so that debian:12 is docker.io/library/debian:12, and shown as that snapshot has them. A tag has a row for each image that it named; an image is there whether or not that tag names it; a layer is told by its diff_id."
-- first = ["kind", "name", "id", "seen_at", "host"]
-- [params]
-- image = { type = "told image", help = "only this image and its tags: a reference, or an id or its beginning" }
-- layer = { type = "told layer", help = "only this layer: a diff_id or its beginning" }
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

WITH
spelt (ref) AS MATERIALIZED (SELECT head || :image || tail FROM spellings),
-- CROSS JOIN: SQLite keeps this order, and looks into each snapshot by the key.
wanted AS MATERIALIZED (
  SELECT r.image_id FROM spelt AS p CROSS JOIN image_refs AS r ON r.ref = p.ref
  UNION SELECT r.image_id FROM spelt AS p CROSS JOIN image_refs AS r ON r.normalized = p.ref
),
asked AS MATERIALIZED (
  SELECT 'sha256:' || replace(:image, 'sha256:', '') AS image, 'sha256:' || replace(nullif(:layer, ''), 'sha256:', '') AS layer
),
-- A tag is the same however it is written; in containerd several namespaces may have it.
seen AS MATERIALIZED (
  SELECT 'tag' AS kind, r.normalized AS tag, min(r.ref) AS name, r.image_id AS id,
    s.snapshot_id, s.host_id, s.store, s.root, s.started_at, s.ordered_at, s.uid
  FROM snapshots AS s CROSS JOIN image_refs AS r USING (snapshot_id) CROSS JOIN asked AS a
  WHERE r.tag IS NOT NULL AND nullif(:layer, '') IS NULL AND (nullif(:image, '') IS NULL OR r.image_id BETWEEN a.image AND a.image || 'g'
    OR r.ref IN spelt OR r.normalized IN spelt)
  GROUP BY s.snapshot_id, r.normalized, r.image_id
  UNION ALL
  SELECT 'image', NULL, NULL, i.image_id, s.snapshot_id, s.host_id, s.store, s.root, s.started_at, s.ordered_at, s.uid
  FROM snapshots AS s CROSS JOIN images AS i USING (snapshot_id) CROSS JOIN asked AS a
  WHERE nullif(:layer, '') IS NULL AND (nullif(:image, '') IS NULL OR i.image_id BETWEEN a.image AND a.image || 'g'
    OR i.image_id IN (SELECT image_id FROM wanted))
  UNION ALL
  SELECT DISTINCT 'layer', NULL, NULL, y.diff_id, s.snapshot_id, s.host_id, s.store, s.root, s.started_at, s.ordered_at, s.uid
  FROM snapshots AS s CROSS JOIN layers AS y USING (snapshot_id)
  WHERE y.diff_id IS NOT NULL AND nullif(:image, '') IS NULL AND nullif(:layer, '') IS NULL
  UNION ALL
  SELECT DISTINCT 'layer', NULL, NULL, n.name, s.snapshot_id, s.host_id, s.store, s.root, s.started_at, s.ordered_at, s.uid
  FROM asked AS a CROSS JOIN part_names AS n ON n.name BETWEEN a.layer AND a.layer || 'g'
  CROSS JOIN numbered_layers AS y ON y.diff_id = n.name_id CROSS JOIN snapshots AS s USING (snapshot_id)
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY host_id, store, root, kind, tag, id ORDER BY ordered_at DESC, uid DESC) AS place,
    count(*) OVER (PARTITION BY host_id, store, root, kind, tag, id) AS snapshots
  FROM seen
)
SELECT r.kind, r.name, r.id, r.started_at AS seen_at, r.snapshot_id,
  (SELECT o.started_at FROM snapshots AS o
   WHERE o.host_id = r.host_id AND o.store = r.store AND o.root = r.root
     AND (o.ordered_at, o.uid) > (r.ordered_at, r.uid)
   ORDER BY o.ordered_at, o.uid LIMIT 1) AS gone_at,
  r.snapshots, r.root, h.host
FROM ranked AS r JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE r.place = 1
ORDER BY h.host, r.host_id, r.store, r.root, r.kind, r.ordered_at, r.name, r.id;
