-- title = "Files of one image or container that differ between two snapshots"
-- description = "The merged tree of an image, or of a container, as each side shows it: files only in a, only in b, and those that differ in type, mode, owner, size, link or content. Modification times are shown, not compared. Content is compared by size and CRC-64; where a file's CRC-64 is not known, as in a container's own layer, and size and time do not tell, content unknown. A hard link is compared as the file that it names. The layers that both sides have at the bottom are read only where something above them matters."
-- first = ["change", "path", "a_type", "b_type", "a_mode", "b_mode", "a_owner", "b_owner", "a_size", "b_size"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- image = { help = "an image: a reference or an id" }
-- container = { help = "a container: its name or id" }
-- [columns]
-- change = "only a, only b, or what differs: type, mode, owner, size, link, content, content unknown"
-- path = "path from the root"
-- a_type = "what it is in a"
-- b_type = "what it is in b"
-- a_mode = "permission bits, octal"
-- b_mode = "permission bits, octal"
-- a_owner = "uid:gid"
-- b_owner = "uid:gid"
-- a_size = "bytes of its content"
-- b_size = "bytes of its content"
-- a_link = "where a link points, or a device's numbers"
-- b_link = "where a link points, or a device's numbers"
-- a_crc64 = "CRC-64/GO-ISO of its content"
-- b_crc64 = "CRC-64/GO-ISO of its content"
-- a_modified_at = "modification time"
-- b_modified_at = "modification time"
-- a_layer = "place of the layer it comes from, 0 for the base"
-- b_layer = "place of the layer it comes from, 0 for the base"

WITH sides AS MATERIALIZED (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b),
chosen AS MATERIALIZED (
  SELECT s.side, n.snapshot_id, n.image_id FROM sides AS s JOIN image_names AS n USING (snapshot_id)
  WHERE n.snapshot_id IN (:a, :b) AND n.name = :image
),
-- The layers of each side, 0 for the base.
stack AS MATERIALIZED (
  SELECT s.side, l.position, l.listing_id FROM chosen AS s JOIN placed_layers AS l USING (snapshot_id, image_id)
  UNION ALL
  SELECT s.side, d.lower_count - 1 - o.position,
    (SELECT u.listing_id FROM overlay_dirs AS u WHERE u.snapshot_id = o.snapshot_id AND u.cache_id = o.lower_cache_id)
  FROM sides AS s JOIN containers AS c USING (snapshot_id)
  JOIN overlay_dirs AS d ON d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id
  JOIN overlay_lowers AS o ON o.snapshot_id = d.snapshot_id AND o.cache_id = d.cache_id
  WHERE :container IN (c.name, c.container_id)
  UNION ALL
  SELECT s.side, d.lower_count, d.listing_id
  FROM sides AS s JOIN containers AS c USING (snapshot_id)
  JOIN overlay_dirs AS d ON d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id
  WHERE :container IN (c.name, c.container_id)
),
-- Where they part: all below is the same on both sides.
fork AS MATERIALIZED (
  SELECT coalesce(min(position), 1 << 40) AS fork FROM (
    SELECT position FROM stack GROUP BY position HAVING count(listing_id) < 2 OR min(listing_id) <> max(listing_id))
),
piles AS MATERIALIZED (SELECT DISTINCT position, listing_id FROM stack WHERE listing_id IS NOT NULL),
-- What hides everything below a path in lower layers, where that is a folder anywhere.
marks AS MATERIALIZED (
  SELECT p.position, p.listing_id, f.path
  FROM piles AS p CROSS JOIN hiding_entries AS e USING (listing_id) CROSS JOIN directories AS d USING (directory_id)
  CROSS JOIN directories AS f ON f.path = CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name
),
blockers AS MATERIALIZED (SELECT s.side, m.* FROM stack AS s JOIN marks AS m USING (position, listing_id)),
-- The lowest layer whose entries in a folder still show; every path below /a/b lies between /a/b/ and /a/b0.
floors AS MATERIALIZED (
  SELECT side, directory_id, max(position) AS floor FROM (
    SELECT b.side, d.directory_id, b.position FROM blockers AS b CROSS JOIN directories AS d ON d.path = b.path
    UNION ALL
    SELECT b.side, d.directory_id, b.position
    FROM blockers AS b CROSS JOIN directories AS d
      ON d.path > rtrim(b.path, '/') || '/' AND d.path < rtrim(b.path, '/') || '0')
  GROUP BY side, directory_id
),
shared AS MATERIALIZED (SELECT position, listing_id FROM stack CROSS JOIN fork WHERE side = 'a' AND position < fork),
-- What the layers above the fork list or hide; nothing else can differ.
touched AS MATERIALIZED (
  SELECT e.directory_id, e.name FROM piles AS p CROSS JOIN fork CROSS JOIN entries AS e USING (listing_id) WHERE p.position >= fork
  UNION
  SELECT e.directory_id, e.name
  FROM (SELECT DISTINCT directory_id FROM floors CROSS JOIN fork WHERE floor >= fork) AS f
  CROSS JOIN shared AS s CROSS JOIN entries AS e ON e.listing_id = s.listing_id AND e.directory_id = f.directory_id
),
-- The topmost layer of each path; twice its place, and one more where it is not a whiteout.
tops AS (
  SELECT side, directory_id, name, max(top) AS top FROM (
    SELECT s.side, e.directory_id, e.name, 2 * s.position + (e.type <> 'whiteout') AS top
    FROM stack AS s CROSS JOIN fork CROSS JOIN entries AS e USING (listing_id) WHERE s.position >= fork
    UNION ALL
    SELECT x.side, t.directory_id, t.name, 2 * s.position + (e.type <> 'whiteout')
    FROM touched AS t CROSS JOIN shared AS s
    CROSS JOIN entries AS e ON e.listing_id = s.listing_id AND e.directory_id = t.directory_id AND e.name = t.name
    CROSS JOIN sides AS x)
  GROUP BY side, directory_id, name
),
shown AS (
  SELECT t.side, t.directory_id, t.name, t.top / 2 AS position
  FROM tops AS t LEFT JOIN floors AS f ON f.side = t.side AND f.directory_id = t.directory_id
  WHERE t.top % 2 = 1 AND t.top / 2 >= coalesce(f.floor, 0)
),
pairs AS MATERIALIZED (
  SELECT directory_id, name, max(CASE side WHEN 'a' THEN position END) AS a_layer, max(CASE side WHEN 'b' THEN position END) AS b_layer
  FROM shown GROUP BY directory_id, name
),
found AS MATERIALIZED (
  SELECT p.directory_id, p.name, p.a_layer, p.b_layer, x.listing_id AS a_listing, y.listing_id AS b_listing
  FROM pairs AS p
  LEFT JOIN stack AS x ON x.side = 'a' AND x.position = p.a_layer LEFT JOIN stack AS y ON y.side = 'b' AND y.position = p.b_layer
  WHERE x.listing_id IS NOT y.listing_id
),
links AS MATERIALIZED (
  SELECT DISTINCT k.* FROM (
    SELECT a_listing AS listing_id, directory_id, name FROM found UNION SELECT b_listing, directory_id, name FROM found) AS f
  CROSS JOIN hard_links AS k ON k.listing_id = f.listing_id AND k.directory_id = f.directory_id AND k.name = f.name
),
facts AS (
  SELECT f.*, x.type AS a_type, y.type AS b_type, coalesce(xt.type, x.type) AS a_kind, coalesce(yt.type, y.type) AS b_kind, x.mode AS a_mode, y.mode AS b_mode, x.uid || ':' || x.gid AS a_owner,
    y.uid || ':' || y.gid AS b_owner,
    coalesce(iif(x.type = 'hardlink', xt.link_target, x.link_target), xt.device, x.device) AS a_link,
    coalesce(iif(y.type = 'hardlink', yt.link_target, y.link_target), yt.device, y.device) AS b_link,
    x.mtime AS a_mtime, y.mtime AS b_mtime, coalesce(x.mtime_ns, 0) AS a_ns, coalesce(y.mtime_ns, 0) AS b_ns,
    CASE x.type WHEN 'hardlink' THEN xt.size ELSE x.size END AS a_size, CASE y.type WHEN 'hardlink' THEN yt.size ELSE y.size END AS b_size,
    coalesce(xt.content_crc64, x.content_crc64) AS a_crc, coalesce(yt.content_crc64, y.content_crc64) AS b_crc
  FROM found AS f
  LEFT JOIN entries AS x ON x.listing_id = f.a_listing AND x.directory_id = f.directory_id AND x.name = f.name
  LEFT JOIN entries AS y ON y.listing_id = f.b_listing AND y.directory_id = f.directory_id AND y.name = f.name
  LEFT JOIN links AS xt ON xt.listing_id = f.a_listing AND xt.directory_id = f.directory_id AND xt.name = f.name
  LEFT JOIN links AS yt ON yt.listing_id = f.b_listing AND yt.directory_id = f.directory_id AND yt.name = f.name
),
compared AS (
  SELECT f.*, CASE WHEN b_type IS NULL THEN 'only a' WHEN a_type IS NULL THEN 'only b'
    WHEN a_kind <> b_kind THEN 'type' ELSE ltrim(
      CASE WHEN a_mode <> b_mode AND a_kind <> 'symlink' THEN ', mode' ELSE '' END
      || CASE WHEN a_owner <> b_owner THEN ', owner' ELSE '' END || CASE WHEN a_size IS NOT b_size THEN ', size' ELSE '' END
      || CASE WHEN a_link IS NOT b_link THEN ', link' ELSE '' END
      || CASE WHEN a_crc <> b_crc THEN ', content'
        WHEN a_kind = 'file' AND a_size = b_size AND a_size > 0 AND (a_crc IS NULL OR b_crc IS NULL)
          AND (a_mtime, a_ns) IS NOT (b_mtime, b_ns) THEN ', content unknown' ELSE '' END, ', ') END AS change
  FROM facts AS f
)
SELECT x.change, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || x.name AS path, x.a_type, x.b_type,
  CASE WHEN x.a_mode IS NOT NULL THEN printf('%04o', x.a_mode) END AS a_mode, CASE WHEN x.b_mode IS NOT NULL THEN printf('%04o', x.b_mode) END AS b_mode, x.a_owner, x.b_owner, x.a_size, x.b_size, x.a_link, x.b_link,
  CASE WHEN x.a_crc IS NOT NULL THEN printf('%016x', x.a_crc) END AS a_crc64,
  CASE WHEN x.b_crc IS NOT NULL THEN printf('%016x', x.b_crc) END AS b_crc64,
  strftime('%Y-%m-%dT%H:%M:%SZ', x.a_mtime, 'unixepoch') AS a_modified_at,
  strftime('%Y-%m-%dT%H:%M:%SZ', x.b_mtime, 'unixepoch') AS b_modified_at, x.a_layer, x.b_layer
FROM compared AS x CROSS JOIN directories AS d USING (directory_id)
WHERE x.change <> ''
ORDER BY path;
