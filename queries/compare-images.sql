-- title = "Files that differ between two images"
-- description = "The merged trees of two images side by side: files only in a, only in b, and those that differ in type, mode, owner, size, link or content. Modification times are shown, not compared. Content is compared by size and CRC-64. A hard link is compared as the file that it names. Where a name stands on several hosts, images of one snapshot are compared."
-- [params]
-- a = { type = "image", required = true, help = "one image" }
-- b = { type = "image", required = true, help = "the other image" }
-- [columns]
-- kind = "only a, only b, or what differs: type, mode, owner, size, link, content"
-- path = "path from the root of the image"
-- type_a = "what it is in a"
-- type_b = "what it is in b"
-- size_a = "its bytes in a"
-- size_b = "its bytes in b"
-- crc64_a = "CRC-64/GO-ISO of its content in a"
-- crc64_b = "CRC-64/GO-ISO of its content in b"
-- modified_at_a = "modification time in a"
-- modified_at_b = "modification time in b"
-- layer_a = "chain_id of the layer it comes from in a"
-- layer_b = "chain_id of the layer it comes from in b"
-- host = "the host"

WITH stack AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, l.position, y.chain_id, y.listing_id, i.layer_count
  FROM selected_snapshots JOIN images AS i USING (snapshot_id)
  JOIN image_layers AS l USING (snapshot_id, image_id) JOIN layers AS y USING (snapshot_id, chain_id)
  WHERE (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name IN (:a, :b))
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
  SELECT DISTINCT k.* FROM shown AS s
  CROSS JOIN hard_links AS k ON k.listing_id = s.listing_id AND k.directory_id = s.directory_id AND k.name = s.name
  WHERE s.type = 'hardlink'
),
-- A hard link is the file that it names.
sides AS (
  SELECT s.snapshot_id, s.image_id, s.chain_id, s.directory_id, s.name, s.type, coalesce(o.type, s.type) AS kind, s.mode, s.uid, s.gid,
    s.mtime, iif(s.type = 'hardlink', o.link_target, s.link_target) AS link_target, coalesce(o.device, s.device) AS device,
    CASE s.type WHEN 'hardlink' THEN o.size ELSE s.size END AS size,
    coalesce(o.content_crc64, s.content_crc64) AS content_crc64, n.side
  FROM shown AS s
  LEFT JOIN links AS o ON o.listing_id = s.listing_id AND o.directory_id = s.directory_id AND o.name = s.name
  JOIN (
    SELECT snapshot_id, image_id, 'a' AS side FROM image_names WHERE name = :a
    UNION SELECT snapshot_id, image_id, 'b' FROM image_names WHERE name = :b) AS n USING (snapshot_id, image_id)
),
pairs AS (
  SELECT snapshot_id, directory_id, name,
    max(type) FILTER (WHERE side = 'a') AS type_a, max(type) FILTER (WHERE side = 'b') AS type_b,
    max(kind) FILTER (WHERE side = 'a') AS kind_a, max(kind) FILTER (WHERE side = 'b') AS kind_b,
    max(mode) FILTER (WHERE side = 'a') AS mode_a, max(mode) FILTER (WHERE side = 'b') AS mode_b,
    max(uid || ':' || gid) FILTER (WHERE side = 'a') AS owner_a, max(uid || ':' || gid) FILTER (WHERE side = 'b') AS owner_b,
    max(size) FILTER (WHERE side = 'a') AS size_a, max(size) FILTER (WHERE side = 'b') AS size_b,
    max(coalesce(link_target, device)) FILTER (WHERE side = 'a') AS link_a, max(coalesce(link_target, device)) FILTER (WHERE side = 'b') AS link_b,
    max(content_crc64) FILTER (WHERE side = 'a') AS crc64_a, max(content_crc64) FILTER (WHERE side = 'b') AS crc64_b,
    max(mtime) FILTER (WHERE side = 'a') AS mtime_a, max(mtime) FILTER (WHERE side = 'b') AS mtime_b,
    max(chain_id) FILTER (WHERE side = 'a') AS layer_a, max(chain_id) FILTER (WHERE side = 'b') AS layer_b
  FROM sides GROUP BY snapshot_id, directory_id, name
),
differing AS (
  SELECT p.*, CASE WHEN type_b IS NULL THEN 'only a' WHEN type_a IS NULL THEN 'only b' WHEN kind_a <> kind_b THEN 'type'
    ELSE ltrim(CASE WHEN mode_a <> mode_b AND kind_a <> 'symlink' THEN ', mode' ELSE '' END || CASE WHEN owner_a <> owner_b THEN ', owner' ELSE '' END
      || CASE WHEN size_a IS NOT size_b THEN ', size' ELSE '' END || CASE WHEN link_a IS NOT link_b THEN ', link' ELSE '' END
      || CASE WHEN crc64_a IS NOT crc64_b THEN ', content' ELSE '' END, ', ') END AS kind
  FROM pairs AS p
  WHERE snapshot_id IN (SELECT snapshot_id FROM image_names WHERE name = :a)
    AND snapshot_id IN (SELECT snapshot_id FROM image_names WHERE name = :b)
)
SELECT x.kind, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || x.name AS path, x.type_a, x.type_b, x.size_a, x.size_b,
  CASE WHEN x.crc64_a IS NOT NULL THEN printf('%016x', x.crc64_a) END AS crc64_a, CASE WHEN x.crc64_b IS NOT NULL THEN printf('%016x', x.crc64_b) END AS crc64_b,
  strftime('%Y-%m-%dT%H:%M:%SZ', x.mtime_a, 'unixepoch') AS modified_at_a,
  strftime('%Y-%m-%dT%H:%M:%SZ', x.mtime_b, 'unixepoch') AS modified_at_b, x.layer_a, x.layer_b, h.host
FROM differing AS x CROSS JOIN directories AS d USING (directory_id) JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE x.kind <> ''
ORDER BY h.host, x.snapshot_id, path;
