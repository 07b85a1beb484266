-- title = "What an image really shows at each path, and from which layer"
-- description = "The merged tree of an image, as a fresh container would see it: for each path the topmost layer that has it, less what whiteouts, opaque directories and files in place of folders hide. Where a later layer hides the first name of a hard link, the next name is the file, and the others are links to that one."
-- [params]
-- image = { type = "image", required = true, help = "the image" }
-- under = { help = "only this path, as it stands, and what lies below it" }
-- [columns]
-- path = "path from the root of the image"
-- type = "file, dir, symlink, hardlink, char, block or fifo"
-- mode = "permission bits, octal; NULL where no layer says it"
-- uid = "owner"
-- gid = "group"
-- size = "bytes of its content"
-- modified_at = "modification time; NULL for a folder that the layer only implies"
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
ranked AS (
  SELECT s.snapshot_id, s.image_id, s.position, s.chain_id, e.*,
    row_number() OVER (PARTITION BY s.snapshot_id, s.image_id, e.directory_id, e.name ORDER BY s.position DESC) AS place
  FROM stack AS s CROSS JOIN entries AS e USING (listing_id)
),
shown AS MATERIALIZED (
  SELECT r.* FROM ranked AS r
  LEFT JOIN floors AS f ON f.snapshot_id = r.snapshot_id AND f.image_id = r.image_id AND f.directory_id = r.directory_id
  WHERE r.place = 1 AND r.type <> 'whiteout' AND r.position >= coalesce(f.floor, 0)
),
links AS MATERIALIZED (
  SELECT s.snapshot_id, s.image_id, s.position, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || s.name AS path, k.*
  FROM shown AS s CROSS JOIN directories AS d USING (directory_id)
  CROSS JOIN hard_links AS k ON k.listing_id = s.listing_id AND k.directory_id = s.directory_id AND k.name = s.name
  WHERE s.type = 'hardlink'
),
-- Hard links whose first name does not show.
heirs AS MATERIALIZED (
  SELECT l.*, first_value(l.path) OVER (
      PARTITION BY l.snapshot_id, l.image_id, l.position, l.first_directory, l.first_name ORDER BY l.path) AS first_path
  FROM links AS l
  WHERE (l.snapshot_id, l.image_id, l.position, l.first_directory, l.first_name) NOT IN (
    SELECT snapshot_id, image_id, position, directory_id, name FROM shown
    WHERE (snapshot_id, image_id, position, directory_id, name) IN (
      SELECT snapshot_id, image_id, position, first_directory, first_name FROM links))
),
-- A folder of which the layer's tar has only the contents, where the engine takes the rest from the layer below.
inherited AS MATERIALIZED (
  SELECT s.snapshot_id, s.image_id, s.directory_id, s.name, max(l.position) AS position, e.type, e.mode, e.uid, e.gid, e.mtime
  FROM shown AS s
  CROSS JOIN stack AS l ON l.snapshot_id = s.snapshot_id AND l.image_id = s.image_id AND l.position < s.position
  CROSS JOIN entries AS e ON e.listing_id = l.listing_id AND e.directory_id = s.directory_id AND e.name = s.name
  LEFT JOIN floors AS f ON f.snapshot_id = s.snapshot_id AND f.image_id = s.image_id AND f.directory_id = s.directory_id
  WHERE s.type = 'dir' AND s.mode IS NULL AND l.position >= coalesce(f.floor, 0) AND (e.type <> 'dir' OR e.mode IS NOT NULL)
  GROUP BY s.snapshot_id, s.image_id, s.directory_id, s.name
)
SELECT CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || s.name AS path,
  CASE i.path WHEN i.first_path THEN i.type ELSE s.type END AS type,
  CASE WHEN coalesce(s.mode, b.mode) IS NOT NULL THEN printf('%04o', coalesce(s.mode, b.mode)) END AS mode,
  coalesce(s.uid, b.uid) AS uid, coalesce(s.gid, b.gid) AS gid,
  CASE i.path WHEN i.first_path THEN i.size ELSE s.size END AS size,
  strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(s.mtime, b.mtime), 'unixepoch') AS modified_at,
  CASE i.path WHEN i.first_path THEN i.link_target ELSE coalesce(i.first_path, s.link_target) END AS link_target,
  CASE WHEN coalesce(s.content_crc64, i.content_crc64) IS NOT NULL AND i.path IS i.first_path THEN
    printf('%016x', coalesce(s.content_crc64, i.content_crc64)) END AS crc64,
  s.position, s.chain_id, h.host
FROM shown AS s
CROSS JOIN directories AS d USING (directory_id)
LEFT JOIN heirs AS i ON i.snapshot_id = s.snapshot_id AND i.image_id = s.image_id AND i.position = s.position
  AND i.directory_id = s.directory_id AND i.name = s.name
LEFT JOIN inherited AS b ON b.snapshot_id = s.snapshot_id AND b.image_id = s.image_id AND b.directory_id = s.directory_id
  AND b.name = s.name AND b.type = 'dir'
JOIN snapshot_hosts AS h ON h.snapshot_id = s.snapshot_id
WHERE nullif(:under, '') IS NULL OR substr(d.path || '/', 1, length(rtrim(:under, '/')) + 1) = rtrim(:under, '/') || '/'
  OR CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || s.name = rtrim(:under, '/')
ORDER BY path, h.host, s.snapshot_id, s.image_id;
