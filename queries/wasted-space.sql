-- title = "Bytes an image carries that nobody sees"
-- description = "For each path of an image that several layers hold, or that is gone at the end: what its hidden copies cost. The copy that shows is not waste, so N copies waste N-1; a removed file wastes all of its copies. A copy that still shows under another name of a hard link is not waste."
-- [params]
-- image = { type = "image", help = "the image; every listed image when left out" }
-- [columns]
-- path = "path from the root of the image"
-- copies = "in how many layers it is a regular file"
-- total_bytes = "bytes of all copies"
-- wasted_bytes = "bytes of the copies that do not show"
-- shows = "1 when one copy shows, under this path or another name of a hard link, 0 when none does"
-- image = "tags of the image, or its id"
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
  SELECT s.snapshot_id, s.image_id, s.position, s.listing_id, e.directory_id, e.name, e.type, e.size,
    row_number() OVER (PARTITION BY s.snapshot_id, s.image_id, e.directory_id, e.name ORDER BY s.position DESC) AS place
  FROM stack AS s CROSS JOIN entries AS e USING (listing_id)
),
-- First names of hard links of which another still shows: what they name is not gone.
kept AS MATERIALIZED (
  SELECT r.snapshot_id, r.image_id, r.position, k.first_directory AS directory_id, k.first_name AS name
  FROM ranked AS r
  LEFT JOIN floors AS f ON f.snapshot_id = r.snapshot_id AND f.image_id = r.image_id AND f.directory_id = r.directory_id
  CROSS JOIN hard_links AS k ON k.listing_id = r.listing_id AND k.directory_id = r.directory_id AND k.name = r.name
  WHERE r.type = 'hardlink' AND r.place = 1 AND r.position >= coalesce(f.floor, 0)
),
held AS (
  SELECT r.*, (r.place = 1 AND r.position >= coalesce(f.floor, 0))
    OR (r.snapshot_id, r.image_id, r.position, r.directory_id, r.name) IN (
      SELECT snapshot_id, image_id, position, directory_id, name FROM kept) AS shows
  FROM ranked AS r
  LEFT JOIN floors AS f ON f.snapshot_id = r.snapshot_id AND f.image_id = r.image_id AND f.directory_id = r.directory_id
  WHERE r.type = 'file'
),
paths AS (
  SELECT snapshot_id, image_id, directory_id, name, count(*) AS copies, CAST(total(size) AS INTEGER) AS total_bytes,
    CAST(total(CASE WHEN shows THEN 0 ELSE size END) AS INTEGER) AS wasted_bytes, max(shows) AS shows
  FROM held
  GROUP BY snapshot_id, image_id, directory_id, name
  HAVING total(CASE WHEN shows THEN 0 ELSE size END) > 0
)
SELECT CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || p.name AS path, p.copies, p.total_bytes, p.wasted_bytes,
  p.shows, n.label AS image, h.host
FROM paths AS p
CROSS JOIN directories AS d USING (directory_id)
JOIN image_labels AS n ON n.snapshot_id = p.snapshot_id AND n.image_id = p.image_id
JOIN snapshot_hosts AS h ON h.snapshot_id = p.snapshot_id
ORDER BY p.wasted_bytes DESC, path, image, p.snapshot_id, p.image_id;
