-- title = "Files that differ between two images"
-- description = "The merged trees of two images side by side: files only in a, only in b, and those that differ in type, mode, owner, size, link or content. Modification times are shown, not compared. Content is compared by size and CRC-64. A hard link is compared as the file that it names. Where a name stands on several hosts, images of one snapshot are compared."
-- first = ["kind", "path", "size_a", "size_b"]
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

WITH sides AS MATERIALIZED (
  SELECT 'a' AS side, snapshot_id, image_id FROM image_names JOIN selected_snapshots USING (snapshot_id) WHERE name = :a
  UNION ALL SELECT 'b', snapshot_id, image_id FROM image_names JOIN selected_snapshots USING (snapshot_id) WHERE name = :b
),
shown AS (
  SELECT n.side, e.snapshot_id, e.directory_id, e.name, e.listing_id, e.chain_id
  FROM sides AS n CROSS JOIN image_entries AS e ON e.snapshot_id = n.snapshot_id AND e.image_id = n.image_id
  WHERE n.snapshot_id IN (SELECT snapshot_id FROM sides WHERE side = 'a')
    AND n.snapshot_id IN (SELECT snapshot_id FROM sides WHERE side = 'b') AND e.shown
),
pairs AS MATERIALIZED (
  SELECT snapshot_id, directory_id, name,
    max(listing_id) FILTER (WHERE side = 'a') AS listing_a, max(listing_id) FILTER (WHERE side = 'b') AS listing_b,
    max(chain_id) FILTER (WHERE side = 'a') AS layer_a, max(chain_id) FILTER (WHERE side = 'b') AS layer_b
  FROM shown GROUP BY snapshot_id, directory_id, name HAVING listing_a IS NOT listing_b
),
links AS MATERIALIZED (
  SELECT k.* FROM (
    SELECT listing_a AS listing_id, directory_id, name FROM pairs UNION SELECT listing_b, directory_id, name FROM pairs) AS p
  CROSS JOIN hard_links AS k ON k.listing_id = p.listing_id AND k.directory_id = p.directory_id AND k.name = p.name
),
-- A hard link is the file that it names.
facts AS (
  SELECT p.*, x.type AS type_a, y.type AS type_b, coalesce(xt.type, x.type) AS kind_a, coalesce(yt.type, y.type) AS kind_b,
    x.mode AS mode_a, y.mode AS mode_b, x.uid || ':' || x.gid AS owner_a, y.uid || ':' || y.gid AS owner_b,
    iif(x.type = 'hardlink', xt.size, x.size) AS size_a, iif(y.type = 'hardlink', yt.size, y.size) AS size_b,
    coalesce(iif(x.type = 'hardlink', xt.link_target, x.link_target), xt.device, x.device) AS link_a,
    coalesce(iif(y.type = 'hardlink', yt.link_target, y.link_target), yt.device, y.device) AS link_b,
    coalesce(xt.content_crc64, x.content_crc64) AS crc64_a, coalesce(yt.content_crc64, y.content_crc64) AS crc64_b,
    x.mtime AS mtime_a, y.mtime AS mtime_b
  FROM pairs AS p
  LEFT JOIN entries AS x ON x.listing_id = p.listing_a AND x.directory_id = p.directory_id AND x.name = p.name
  LEFT JOIN entries AS y ON y.listing_id = p.listing_b AND y.directory_id = p.directory_id AND y.name = p.name
  LEFT JOIN links AS xt ON xt.listing_id = p.listing_a AND xt.directory_id = p.directory_id AND xt.name = p.name
  LEFT JOIN links AS yt ON yt.listing_id = p.listing_b AND yt.directory_id = p.directory_id AND yt.name = p.name
),
differing AS (
  SELECT f.*, CASE WHEN type_b IS NULL THEN 'only a' WHEN type_a IS NULL THEN 'only b' WHEN kind_a <> kind_b THEN 'type'
    ELSE ltrim(CASE WHEN mode_a <> mode_b AND kind_a <> 'symlink' THEN ', mode' ELSE '' END || CASE WHEN owner_a <> owner_b THEN ', owner' ELSE '' END
      || CASE WHEN size_a IS NOT size_b THEN ', size' ELSE '' END || CASE WHEN link_a IS NOT link_b THEN ', link' ELSE '' END
      || CASE WHEN crc64_a IS NOT crc64_b THEN ', content' ELSE '' END, ', ') END AS kind
  FROM facts AS f
)
SELECT x.kind, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || x.name AS path, x.type_a, x.type_b, x.size_a, x.size_b,
  CASE WHEN x.crc64_a IS NOT NULL THEN printf('%016x', x.crc64_a) END AS crc64_a, CASE WHEN x.crc64_b IS NOT NULL THEN printf('%016x', x.crc64_b) END AS crc64_b,
  strftime('%Y-%m-%dT%H:%M:%SZ', x.mtime_a, 'unixepoch') AS modified_at_a,
  strftime('%Y-%m-%dT%H:%M:%SZ', x.mtime_b, 'unixepoch') AS modified_at_b, x.layer_a, x.layer_b, h.host
FROM differing AS x CROSS JOIN directories AS d USING (directory_id) JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE x.kind <> ''
ORDER BY h.host, x.snapshot_id, path;
