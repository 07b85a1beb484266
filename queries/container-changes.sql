-- title = "What a container changed in its image"
-- description = "A added, C changed, D deleted, as docker diff says it: what the container shows against what its image and init layer show. A folder counts as changed when its mode or owner did or when something below it changed; of a deleted folder only the folder is listed. Files that were opened for writing and left as they were are not listed."
-- first = ["container", "kind", "path", "size"]
-- [params]
-- container = { type = "container", help = "the container; all of them when left out" }
-- [columns]
-- container = "name of the container"
-- kind = "A, C or D"
-- path = "path in the container"
-- type = "what it is now; NULL for a deleted one"
-- size = "bytes of its content"
-- mode = "permission bits, octal"
-- modified_at = "modification time"
-- host = "the host"

WITH RECURSIVE chosen AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, coalesce(c.name, c.container_id) AS container, m.mount_id, d.listing_id
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
  JOIN mounts AS m USING (snapshot_id, container_id)
  JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = m.mount_id
  WHERE nullif(:container, '') IS NULL OR :container IN (c.container_id, c.name)
),
-- The layers below, 0 the nearest.
below AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, o.position, d.listing_id
  FROM chosen AS c
  JOIN overlay_lowers AS o ON o.snapshot_id = c.snapshot_id AND o.cache_id = c.mount_id
  JOIN overlay_dirs AS d ON d.snapshot_id = o.snapshot_id AND d.cache_id = o.lower_cache_id
),
own AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, e.*, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name AS path,
    (SELECT k.type FROM hard_links AS k
     WHERE k.listing_id = e.listing_id AND k.directory_id = e.directory_id AND k.name = e.name) AS linked
  FROM chosen AS c CROSS JOIN entries AS e USING (listing_id) CROSS JOIN directories AS d USING (directory_id)
  WHERE e.name <> ''
),
-- Folders that show nothing of the image's: opaque ones, and each folder below such a one.
hiding AS MATERIALIZED (
  SELECT o.snapshot_id, o.container_id, o.path FROM own AS o
  WHERE o.opaque = 1
  UNION
  SELECT o.snapshot_id, o.container_id, o.path FROM own AS o JOIN own AS h USING (snapshot_id, container_id)
  WHERE o.type = 'dir' AND h.opaque = 1 AND o.path > h.path || '/' AND o.path < h.path || '0'
),
touched AS MATERIALIZED (
  SELECT snapshot_id, container_id, directory_id FROM own
  UNION
  SELECT h.snapshot_id, h.container_id, d.directory_id FROM hiding AS h CROSS JOIN directories AS d USING (path)
),
ways AS MATERIALIZED (
  SELECT w.* FROM (SELECT DISTINCT directory_id FROM touched) AS t
  CROSS JOIN folder_ways AS w ON w.directory_id = t.directory_id
),
-- The nearest layer that hides a touched folder of the layers behind it.
cuts AS MATERIALIZED (
  SELECT t.snapshot_id, t.container_id, t.directory_id, min(b.position) AS position
  FROM touched AS t CROSS JOIN ways AS w ON w.directory_id = t.directory_id
  CROSS JOIN below AS b ON b.snapshot_id = t.snapshot_id AND b.container_id = t.container_id
  CROSS JOIN hiding_entries AS e ON e.listing_id = b.listing_id AND e.directory_id = w.parent_id AND e.name = w.name
  GROUP BY t.snapshot_id, t.container_id, t.directory_id
),
nearest AS (
  SELECT t.snapshot_id, t.container_id, b.position, e.*,
    row_number() OVER (PARTITION BY t.snapshot_id, t.container_id, e.directory_id, e.name ORDER BY b.position) AS place
  FROM touched AS t
  CROSS JOIN below AS b ON b.snapshot_id = t.snapshot_id AND b.container_id = t.container_id
  CROSS JOIN entries AS e ON e.listing_id = b.listing_id AND e.directory_id = t.directory_id
  WHERE e.name <> ''
),
lower AS MATERIALIZED (
  SELECT n.*, (
    SELECT k.type FROM hard_links AS k
    WHERE k.listing_id = n.listing_id AND k.directory_id = n.directory_id AND k.name = n.name) AS linked
  FROM nearest AS n
  LEFT JOIN cuts AS c
    ON c.snapshot_id = n.snapshot_id AND c.container_id = n.container_id AND c.directory_id = n.directory_id
  WHERE n.place = 1 AND n.type <> 'whiteout' AND n.position <= coalesce(c.position, n.position)
),
-- What the container has beside what is below: as neighbours in one order, for SQLite would join them row by row.
sides AS (
  SELECT snapshot_id, container_id, directory_id, name, path, 1 AS own, type, coalesce(linked, type) AS thing, mode, uid, gid, size, mtime, mtime_ns,
    device, capability
  FROM own
  UNION ALL
  SELECT snapshot_id, container_id, directory_id, name, NULL, 0, type, coalesce(linked, type), mode, uid, gid, size, mtime, mtime_ns,
    device, capability
  FROM lower
),
pairs AS MATERIALIZED (
  SELECT * FROM (
    SELECT s.*, lag(name) OVER beside AS lower_name, lag(type) OVER beside AS lower_type, lag(thing) OVER beside AS lower_thing,
      lag(mode) OVER beside AS lower_mode, lag(uid) OVER beside AS lower_uid, lag(gid) OVER beside AS lower_gid,
      lag(size) OVER beside AS lower_size, lag(mtime) OVER beside AS lower_mtime,
      lag(mtime_ns) OVER beside AS lower_mtime_ns, lag(device) OVER beside AS lower_device,
      lag(capability) OVER beside AS lower_capability
    FROM sides AS s
    WINDOW beside AS (PARTITION BY snapshot_id, container_id, directory_id, name ORDER BY own)
  )
  WHERE own = 1
),
direct AS MATERIALIZED (
  SELECT snapshot_id, container_id, path,
    CASE WHEN type = 'whiteout' THEN 'D' WHEN lower_name IS NULL THEN 'A' ELSE 'C' END AS kind
  FROM pairs
  WHERE CASE WHEN type = 'whiteout' THEN lower_name IS NOT NULL WHEN lower_name IS NULL THEN 1
    ELSE thing <> lower_thing OR (mode <> lower_mode AND thing <> 'symlink') OR uid <> lower_uid OR gid <> lower_gid
      OR device IS NOT lower_device OR capability IS NOT lower_capability
      OR (type <> 'dir' AND (mtime <> lower_mtime OR mtime_ns <> lower_mtime_ns
        OR (size <> lower_size AND type <> 'hardlink' AND lower_type <> 'hardlink'))) END
  UNION
  SELECT l.snapshot_id, l.container_id, h.path || '/' || l.name, 'D'
  FROM hiding AS h CROSS JOIN directories AS d USING (path)
  JOIN lower AS l ON l.snapshot_id = h.snapshot_id AND l.container_id = h.container_id AND l.directory_id = d.directory_id
  WHERE NOT EXISTS (
    SELECT 1 FROM own AS o WHERE o.snapshot_id = l.snapshot_id AND o.container_id = l.container_id
      AND o.directory_id = l.directory_id AND o.name = l.name AND o.type <> 'whiteout')
),
-- Folders that lead to a change.
parents (snapshot_id, container_id, path) AS (
  SELECT snapshot_id, container_id, rtrim(rtrim(path, replace(path, '/', '')), '/') FROM direct
  UNION
  SELECT snapshot_id, container_id, rtrim(rtrim(path, replace(path, '/', '')), '/') FROM parents WHERE path <> ''
),
changes AS (
  SELECT * FROM direct
  UNION ALL
  SELECT p.snapshot_id, p.container_id, p.path, 'C' FROM parents AS p
  WHERE p.path <> '' AND NOT EXISTS (
    SELECT 1 FROM direct AS x
    WHERE x.snapshot_id = p.snapshot_id AND x.container_id = p.container_id AND x.path = p.path)
)
SELECT c.container, x.kind, x.path, CASE x.kind WHEN 'D' THEN NULL ELSE o.type END AS type,
  CASE x.kind WHEN 'D' THEN NULL ELSE o.size END AS size,
  CASE WHEN x.kind <> 'D' AND o.mode IS NOT NULL THEN printf('%04o', o.mode) END AS mode,
  CASE x.kind WHEN 'D' THEN NULL ELSE strftime('%Y-%m-%dT%H:%M:%SZ', o.mtime, 'unixepoch') END AS modified_at,
  h.host
FROM changes AS x
JOIN chosen AS c USING (snapshot_id, container_id)
LEFT JOIN own AS o ON o.snapshot_id = x.snapshot_id AND o.container_id = x.container_id AND o.path = x.path
JOIN snapshot_hosts AS h ON h.snapshot_id = x.snapshot_id
ORDER BY h.host, x.snapshot_id, c.container, x.container_id, x.path, x.kind;
