-- title = "Which hosts carry a layer, and in which images"
-- description = "Layers by content: by diff_id, at whatever places of chains. A layer without images may be held by a container or the build cache."
-- first = ["diff_id", "size", "image_names", "host"]
-- [params]
-- layer = { type = "layer", help = "diff_id, chain_id or cache-id of the layer; all layers when left out" }
-- [columns]
-- diff_id = "the layer"
-- places = "how many chains have it; each is stored for itself"
-- size = "bytes it takes at all of them; NULL where one of the sizes is unknown"
-- images = "how many images have it"
-- image_names = "their tags, or ids where they have none"
-- snapshot_id = "snapshot that says so"
-- host = "the host"

-- total() and not sum(): sizes that a store claims may be more than 63 bits together, and sum() would fail.
WITH wanted AS MATERIALIZED (
  SELECT :layer AS diff_id WHERE nullif(:layer, '') IS NOT NULL
  UNION
  -- CROSS JOIN: SQLite keeps this order, and looks the chain up once for each snapshot.
  SELECT y.diff_id FROM selected_snapshots CROSS JOIN layers AS y USING (snapshot_id) WHERE y.chain_id = :layer
  UNION
  SELECT y.diff_id FROM layers AS y WHERE y.cache_id = :layer AND y.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots)
  UNION
  SELECT y.diff_id FROM selected_snapshots CROSS JOIN layers AS y USING (snapshot_id) WHERE nullif(:layer, '') IS NULL
),
carried AS MATERIALIZED (
  SELECT y.snapshot_id, w.diff_id, count(*) AS places, CASE WHEN count(y.size) = count(*) THEN CAST(total(y.size) AS INTEGER) END AS size
  FROM wanted AS w CROSS JOIN part_names AS n ON n.name = w.diff_id CROSS JOIN numbered_layers AS y ON y.diff_id = n.name_id
  WHERE y.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots)
  GROUP BY y.snapshot_id, w.diff_id
),
users AS MATERIALIZED (
  SELECT snapshot_id, diff_id, count(*) AS images, group_concat(label, ', ') AS image_names FROM (
    SELECT u.snapshot_id, u.diff_id, (
        SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = u.snapshot_id AND n.image_id = u.image_id) AS label
    FROM (
      SELECT DISTINCT l.snapshot_id, c.diff_id, l.image_id
      FROM (SELECT DISTINCT diff_id FROM carried) AS c CROSS JOIN image_layers AS l ON l.diff_id = c.diff_id
      WHERE l.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots)) AS u
    ORDER BY u.snapshot_id, u.diff_id, label)
  GROUP BY snapshot_id, diff_id
)
SELECT c.diff_id, c.places, c.size, coalesce(u.images, 0) AS images, u.image_names, c.snapshot_id, h.host
FROM carried AS c JOIN snapshot_hosts AS h USING (snapshot_id)
LEFT JOIN users AS u ON u.snapshot_id = c.snapshot_id AND u.diff_id = c.diff_id
ORDER BY h.host, c.snapshot_id, c.diff_id;
