-- title = "Files that later layers hide but that still cost space"
-- description = "Regular files of an image's layers that nothing shows any more: overwritten by a later entry of the same path, removed by a whiteout, or below an opaque directory, a removed folder or a file in its place, and not shown under another name of a hard link. Whoever has the image can still read them."
-- [params]
-- image = { type = "image", help = "the image; every listed image when left out" }
-- [columns]
-- path = "path from the root of the image"
-- size = "bytes of its content"
-- how = "overwritten, whiteout, or folder (something above it was removed, replaced or made opaque)"
-- position = "place of the layer that holds it, 0 for the base"
-- hidden_in = "place of the lowest layer above that hides it"
-- created_by = "the build step that brought it"
-- image = "tags of the image, or its id"
-- chain_id = "the layer that holds it"
-- host = "the host"

WITH stack AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, l.position, y.chain_id, y.listing_id, i.layer_count
  FROM selected_snapshots JOIN images AS i USING (snapshot_id)
  JOIN image_layers AS l USING (snapshot_id, image_id) JOIN layers AS y USING (snapshot_id, chain_id)
  WHERE CASE WHEN nullif(:image, '') IS NULL THEN (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM listed_images)
    ELSE (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image) END
),
-- What hides everything below a path in lower layers: a whiteout, an opaque directory, or a file where a folder was.
blockers AS MATERIALIZED (
  SELECT s.snapshot_id, s.image_id, s.position, e.directory_id, e.name,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name AS path
  FROM stack AS s CROSS JOIN entries AS e USING (listing_id) CROSS JOIN directories AS d USING (directory_id)
  WHERE s.layer_count > 1 AND (e.type = 'whiteout' OR e.opaque = 1
    OR (e.type <> 'dir' AND EXISTS (
      SELECT 1 FROM directories AS p WHERE p.path = CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name)))
),
-- The lowest layer whose entries in a folder still show; every path below /a/b lies between /a/b/ and /a/b0.
floors AS MATERIALIZED (
  SELECT snapshot_id, image_id, directory_id, max(position) AS floor FROM (
    SELECT b.snapshot_id, b.image_id, d.directory_id, b.position
    FROM blockers AS b CROSS JOIN directories AS d ON d.path = b.path
    UNION ALL
    SELECT b.snapshot_id, b.image_id, d.directory_id, b.position
    FROM blockers AS b CROSS JOIN directories AS d
      ON d.path > rtrim(b.path, '/') || '/' AND d.path < rtrim(b.path, '/') || '0')
  GROUP BY snapshot_id, image_id, directory_id
),
ranked AS MATERIALIZED (
  SELECT s.snapshot_id, s.image_id, s.position, s.chain_id, s.listing_id, e.directory_id, e.name, e.type, e.size,
    lead(s.position) OVER (PARTITION BY s.snapshot_id, s.image_id, e.directory_id, e.name ORDER BY s.position) AS next_position,
    lead(e.type) OVER (PARTITION BY s.snapshot_id, s.image_id, e.directory_id, e.name ORDER BY s.position) AS next_type
  FROM stack AS s CROSS JOIN entries AS e USING (listing_id)
),
-- First names of hard links of which another still shows: what they name is not gone.
kept AS MATERIALIZED (
  SELECT r.snapshot_id, r.image_id, r.position, k.first_directory AS directory_id, k.first_name AS name
  FROM ranked AS r
  LEFT JOIN floors AS f ON f.snapshot_id = r.snapshot_id AND f.image_id = r.image_id AND f.directory_id = r.directory_id
  CROSS JOIN hard_links AS k ON k.listing_id = r.listing_id AND k.directory_id = r.directory_id AND k.name = r.name
  WHERE r.type = 'hardlink' AND r.next_position IS NULL AND r.position >= coalesce(f.floor, 0)
),
hidden AS (
  -- above: the lowest layer that hides the folder it lies in.
  SELECT r.*, CASE WHEN r.position < f.floor THEN (
      SELECT min(b.position) FROM blockers AS b
      WHERE b.snapshot_id = r.snapshot_id AND b.image_id = r.image_id AND b.position > r.position
        AND (b.path = d.path OR (d.path > rtrim(b.path, '/') || '/' AND d.path < rtrim(b.path, '/') || '0'))) END AS above,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || r.name AS path
  FROM ranked AS r
  CROSS JOIN directories AS d USING (directory_id)
  LEFT JOIN floors AS f ON f.snapshot_id = r.snapshot_id AND f.image_id = r.image_id AND f.directory_id = r.directory_id
  WHERE r.type = 'file' AND (r.next_position IS NOT NULL OR r.position < f.floor)
    AND (r.snapshot_id, r.image_id, r.position, r.directory_id, r.name) NOT IN (
      SELECT snapshot_id, image_id, position, directory_id, name FROM kept)
)
SELECT r.path, r.size,
  CASE WHEN r.above <= coalesce(r.next_position, r.above) THEN 'folder' WHEN r.next_type = 'whiteout' THEN 'whiteout'
    ELSE 'overwritten' END AS how,
  r.position, min(coalesce(r.next_position, r.above), coalesce(r.above, r.next_position)) AS hidden_in,
  (SELECT s.created_by FROM image_history AS s
   WHERE s.snapshot_id = r.snapshot_id AND s.image_id = r.image_id AND s.layer_position = r.position) AS created_by,
  n.label AS image, r.chain_id, h.host
FROM hidden AS r
JOIN image_labels AS n ON n.snapshot_id = r.snapshot_id AND n.image_id = r.image_id
JOIN snapshot_hosts AS h ON h.snapshot_id = r.snapshot_id
ORDER BY r.size DESC, r.path, image, r.position, r.snapshot_id, r.image_id;
