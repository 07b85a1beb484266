-- title = "What an image really shows at each path, and from which layer"
-- description = "The merged tree of an image, as a fresh container would see it: for each path the topmost layer that has it, less what whiteouts, opaque directories and files in place of folders hide. Where a later layer hides the first name of a hard link, the next name is the file, and the others are links to that one."
-- [params]
-- image = { type = "image", help = "the image; without it the answer is empty" }
-- under = { help = "only this path and what lies below it" }
-- [columns]
-- path = "path from the root of the image"
-- type = "file, dir, symlink, hardlink, char, block or fifo"
-- mode = "permission bits, octal"
-- uid = "owner"
-- gid = "group"
-- size = "bytes of its content"
-- modified_at = "modification time"
-- link_target = "where a link points"
-- crc64 = "CRC-64/GO-ISO of a file's content"
-- position = "place of the layer it comes from, 0 for the base"
-- chain_id = "that layer"
-- host = "the host"

WITH stack AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, l.position, y.chain_id, y.listing_id, i.layer_count
  FROM selected_snapshots JOIN images AS i USING (snapshot_id)
  JOIN image_layers AS l USING (snapshot_id, image_id) JOIN layers AS y USING (snapshot_id, chain_id)
  WHERE (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
),
-- What hides everything below a path in lower layers: a whiteout, an opaque directory, or a file where a folder was.
blockers AS MATERIALIZED (
  SELECT s.snapshot_id, s.image_id, s.position, e.directory_id, e.name, e.type,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name AS path
  FROM stack AS s CROSS JOIN entries AS e USING (listing_id) CROSS JOIN directories AS d USING (directory_id)
  WHERE s.layer_count > 1 AND (e.type = 'whiteout' OR e.opaque = 1
    OR (e.type <> 'dir' AND EXISTS (
      SELECT 1 FROM directories AS p WHERE p.path = CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name)))
),
-- A file where a later layer has a folder: its tar need not list that folder, only what lies below it.
covered AS MATERIALIZED (
  SELECT b.snapshot_id, b.image_id, b.position, b.directory_id, b.name, min(u.position) AS hidden_in
  FROM blockers AS b
  CROSS JOIN directories AS d ON d.path = b.path OR (d.path > b.path || '/' AND d.path < b.path || '0')
  CROSS JOIN stack AS u ON u.snapshot_id = b.snapshot_id AND u.image_id = b.image_id AND u.position > b.position
  WHERE b.type NOT IN ('dir', 'whiteout')
    AND EXISTS (SELECT 1 FROM entries AS e WHERE e.listing_id = u.listing_id AND e.directory_id = d.directory_id)
  GROUP BY b.snapshot_id, b.image_id, b.position, b.directory_id, b.name
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
ranked AS (
  SELECT s.snapshot_id, s.image_id, s.position, s.chain_id, e.*,
    row_number() OVER (PARTITION BY s.snapshot_id, s.image_id, e.directory_id, e.name ORDER BY s.position DESC) AS place
  FROM stack AS s CROSS JOIN entries AS e USING (listing_id)
),
shown AS MATERIALIZED (
  SELECT r.* FROM ranked AS r
  LEFT JOIN floors AS f ON f.snapshot_id = r.snapshot_id AND f.image_id = r.image_id AND f.directory_id = r.directory_id
  WHERE r.place = 1 AND r.type <> 'whiteout' AND r.position >= coalesce(f.floor, 0)
    AND (r.snapshot_id, r.image_id, r.position, r.directory_id, r.name) NOT IN (
      SELECT snapshot_id, image_id, position, directory_id, name FROM covered)
),
links AS MATERIALIZED (
  SELECT s.snapshot_id, s.image_id, s.position, s.listing_id, s.directory_id, s.name,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || s.name AS path, o.directory_id AS first_directory,
    substr(s.link_target, length(rtrim(s.link_target, replace(s.link_target, '/', ''))) + 1) AS first_name
  FROM shown AS s CROSS JOIN directories AS d USING (directory_id) CROSS JOIN directories AS o
    ON o.path = coalesce(nullif(rtrim(rtrim(s.link_target, replace(s.link_target, '/', '')), '/'), ''), '/')
  WHERE s.type = 'hardlink'
),
-- Hard links whose first name does not show.
heirs AS MATERIALIZED (
  SELECT l.snapshot_id, l.image_id, l.position, l.directory_id, l.name, l.path, e.type, e.size, e.link_target, e.content_crc64,
    first_value(l.path) OVER (
      PARTITION BY l.snapshot_id, l.image_id, l.position, l.first_directory, l.first_name ORDER BY l.path) AS first_path
  FROM links AS l CROSS JOIN entries AS e
    ON e.listing_id = l.listing_id AND e.directory_id = l.first_directory AND e.name = l.first_name
  WHERE (l.snapshot_id, l.image_id, l.position, l.first_directory, l.first_name) NOT IN (
    SELECT snapshot_id, image_id, position, directory_id, name FROM shown
    WHERE (snapshot_id, image_id, position, directory_id, name) IN (
      SELECT snapshot_id, image_id, position, first_directory, first_name FROM links))
)
SELECT CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || s.name AS path,
  CASE i.path WHEN i.first_path THEN i.type ELSE s.type END AS type, printf('%04o', s.mode) AS mode, s.uid, s.gid,
  CASE i.path WHEN i.first_path THEN i.size ELSE s.size END AS size,
  strftime('%Y-%m-%dT%H:%M:%SZ', s.mtime, 'unixepoch') AS modified_at,
  CASE i.path WHEN i.first_path THEN i.link_target ELSE coalesce(i.first_path, s.link_target) END AS link_target,
  CASE WHEN coalesce(s.content_crc64, i.content_crc64) IS NOT NULL AND i.path IS i.first_path THEN
    printf('%016x', coalesce(s.content_crc64, i.content_crc64)) END AS crc64,
  s.position, s.chain_id, h.host
FROM shown AS s
CROSS JOIN directories AS d USING (directory_id)
LEFT JOIN heirs AS i ON i.snapshot_id = s.snapshot_id AND i.image_id = s.image_id AND i.position = s.position
  AND i.directory_id = s.directory_id AND i.name = s.name
JOIN snapshot_hosts AS h ON h.snapshot_id = s.snapshot_id
WHERE :under IS NULL OR d.path = rtrim(:under, '/') OR d.path || '/' GLOB rtrim(:under, '/') || '/*'
  OR CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || s.name = rtrim(:under, '/')
ORDER BY path, h.host, s.snapshot_id, s.image_id;
