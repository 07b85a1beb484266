-- title = "Which images and containers still show a file of a directory"
-- description = "One row for each image and container that stands on the directory: whether anything above it hides the path. The rules are those of find-file."
-- first = ["kind", "name", "visible", "hidden_in"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory that holds the file" }
-- path = { help = "path from the layer's root" }
-- [columns]
-- kind = "image or container"
-- name = "tags of the image, or name of the container"
-- id = "the image or container"
-- visible = "1 when it shows the file, 0 when something above hides it"
-- hidden_by = "the lowest directory above that hides it"
-- hidden_in = "the build step that made that directory; for a container's own layer: container"

WITH place AS MATERIALIZED (
  SELECT d.directory_id, substr(:path, length(rtrim(:path, replace(:path, '/', ''))) + 1) AS name FROM directories AS d
  WHERE d.path = coalesce(nullif(rtrim(rtrim(:path, replace(:path, '/', '')), '/'), ''), '/')
),
chains AS MATERIALIZED (
  SELECT chain_id, listing_id FROM layers WHERE cache_id = :directory AND +snapshot_id = :snapshot
),
here AS MATERIALIZED (
  SELECT coalesce((SELECT d.listing_id FROM overlay_dirs AS d WHERE d.snapshot_id = :snapshot AND d.cache_id = :directory),
    (SELECT max(listing_id) FROM chains)) AS listing_id
),
entry AS MATERIALIZED (
  SELECT (SELECT e.type FROM entries AS e WHERE e.listing_id = (SELECT listing_id FROM here)
    AND e.directory_id = p.directory_id AND e.name = p.name) AS type
  FROM place AS p
),
tops AS MATERIALIZED (
  SELECT m.container_id, m.mount_id, -1 AS position FROM mounts AS m
  WHERE m.mount_id = :directory AND +m.snapshot_id = :snapshot AND m.container_id IS NOT NULL
  UNION ALL
  SELECT m.container_id, m.mount_id, o.position
  FROM overlay_lowers AS o CROSS JOIN mounts AS m ON m.mount_id = o.cache_id AND m.snapshot_id = o.snapshot_id
  WHERE o.snapshot_id = :snapshot AND o.lower_cache_id = :directory AND m.container_id IS NOT NULL
),
-- What stands on the directory, and each directory between: rank counts up from it.
stack AS MATERIALIZED (
  SELECT 'image' AS kind, l.image_id AS id, u.position - l.position AS rank, u.cache_id, u.listing_id, u.position
  FROM chains AS c CROSS JOIN image_layers AS l ON l.chain_id = c.chain_id AND l.snapshot_id = :snapshot
  CROSS JOIN listed_images AS i ON i.snapshot_id = l.snapshot_id AND i.image_id = l.image_id
  CROSS JOIN placed_layers AS u ON u.snapshot_id = l.snapshot_id AND u.image_id = l.image_id AND u.position >= l.position
  UNION ALL
  SELECT 'container', t.container_id, t.position + 1, d.cache_id, d.listing_id, NULL
  FROM tops AS t CROSS JOIN overlay_dirs AS d ON d.snapshot_id = :snapshot AND d.cache_id = t.mount_id
  UNION ALL
  SELECT 'container', t.container_id, t.position - o.position, d.cache_id, d.listing_id, NULL
  FROM tops AS t CROSS JOIN overlay_lowers AS o ON o.snapshot_id = :snapshot AND o.cache_id = t.mount_id
    AND o.position < t.position
  CROSS JOIN overlay_dirs AS d ON d.snapshot_id = o.snapshot_id AND d.cache_id = o.lower_cache_id
),
listings_above AS MATERIALIZED (
  SELECT DISTINCT listing_id FROM stack WHERE rank > 0 AND listing_id IS NOT NULL
),
hiding AS MATERIALIZED (
  SELECT s.listing_id FROM listings_above AS s CROSS JOIN place AS p
  WHERE EXISTS (SELECT 1 FROM entries AS e
      WHERE e.listing_id = s.listing_id AND e.directory_id = p.directory_id AND e.name = p.name)
    OR EXISTS (SELECT 1 FROM folder_hiders AS h WHERE h.listing_id = s.listing_id AND h.directory_id = p.directory_id)
),
users AS (
  SELECT kind, id, min(rank) FILTER (WHERE rank > 0 AND listing_id IN (SELECT listing_id FROM hiding)) AS hidden
  FROM stack GROUP BY kind, id
)
SELECT u.kind, CASE u.kind WHEN 'image' THEN (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = :snapshot AND n.image_id = u.id) ELSE coalesce(c.name, u.id) END AS name, u.id,
  u.hidden IS NULL AND (SELECT type FROM entry) <> 'whiteout' AS visible,
  min(s.cache_id) AS hidden_by,
  CASE u.kind WHEN 'image' THEN (
      SELECT h.created_by FROM image_history AS h
      WHERE h.snapshot_id = :snapshot AND h.image_id = u.id AND h.layer_position = s.position ORDER BY h.position LIMIT 1)
    ELSE coalesce((SELECT 'container' FROM tops AS t WHERE t.container_id = u.id AND t.mount_id = s.cache_id), (
      SELECT h.created_by FROM containers AS k
      CROSS JOIN layers AS y ON y.cache_id = s.cache_id AND +y.snapshot_id = :snapshot
      CROSS JOIN image_layers AS l ON l.snapshot_id = :snapshot AND l.image_id = k.image_id AND l.chain_id = y.chain_id
      CROSS JOIN image_history AS h
        ON h.snapshot_id = :snapshot AND h.image_id = l.image_id AND h.layer_position = l.position
      WHERE k.snapshot_id = :snapshot AND k.container_id = u.id ORDER BY h.position LIMIT 1)) END AS hidden_in
FROM users AS u
LEFT JOIN stack AS s ON s.kind = u.kind AND s.id = u.id AND s.rank = u.hidden
LEFT JOIN containers AS c ON c.snapshot_id = :snapshot AND c.container_id = u.id AND u.kind = 'container'
GROUP BY u.kind, u.id
ORDER BY u.kind DESC, name, u.id;
