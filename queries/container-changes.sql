-- title = "What a container changed in its image"
-- description = "A added, C changed, D deleted, as docker diff says it: from the container's writable layer against every layer below. Directories that only lead to a change count as changed."
-- [params]
-- container = { type = "container", help = "the container; all of them when left out" }
-- [columns]
-- container = "name of the container"
-- kind = "A, C or D"
-- path = "path in the container"
-- type = "what it is now; whiteout for a deleted one"
-- size = "bytes of its content"
-- mode = "permission bits, octal"
-- modified_at = "modification time"
-- host = "the host"

WITH chosen AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, c.image_id, coalesce(c.name, c.container_id) AS container,
    d.listing_id
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
  JOIN mounts AS m USING (snapshot_id, container_id)
  JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = m.mount_id
  WHERE :container IS NULL OR :container IN (c.container_id, c.name)
),
below AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, o.position, d.listing_id
  FROM chosen AS c JOIN mounts AS m USING (snapshot_id, container_id)
  JOIN overlay_lowers AS o ON o.snapshot_id = m.snapshot_id AND o.cache_id = m.mount_id
  JOIN overlay_dirs AS d ON d.snapshot_id = o.snapshot_id AND d.cache_id = o.lower_cache_id
),
own AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, c.container, e.directory_id, e.name, e.type, e.size, e.mode, e.mtime, e.mtime_ns, e.opaque,
    (SELECT min(b.position) FROM below AS b JOIN entries AS l USING (listing_id)
     WHERE b.snapshot_id = c.snapshot_id AND b.container_id = c.container_id
       AND l.directory_id = e.directory_id AND l.name = e.name) IS NOT NULL
    -- A layer's tar need not list a folder, only what lies below it.
    OR (e.type = 'dir' AND EXISTS (
      SELECT 1 FROM directories AS f CROSS JOIN directories AS d CROSS JOIN below AS b CROSS JOIN entries AS l
      WHERE f.directory_id = e.directory_id AND b.snapshot_id = c.snapshot_id AND b.container_id = c.container_id
        AND (d.path = rtrim(f.path, '/') || '/' || e.name
          OR (d.path > rtrim(f.path, '/') || '/' || e.name || '/' AND d.path < rtrim(f.path, '/') || '/' || e.name || '0'))
        AND l.listing_id = b.listing_id AND l.directory_id = d.directory_id)) AS is_below
  FROM chosen AS c CROSS JOIN entries AS e USING (listing_id)
  WHERE e.name <> ''
),
changes AS (
  SELECT o.*, CASE WHEN o.type = 'whiteout' OR (o.opaque = 1 AND o.is_below) THEN 'D'
    WHEN NOT o.is_below THEN 'A' ELSE 'C' END AS kind
  FROM own AS o
)
SELECT c.container, c.kind, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || c.name AS path, c.type, c.size,
  printf('%04o', c.mode) AS mode, strftime('%Y-%m-%dT%H:%M:%SZ', c.mtime, 'unixepoch') AS modified_at, h.host
FROM changes AS c
CROSS JOIN directories AS d USING (directory_id)
JOIN snapshot_hosts AS h ON h.snapshot_id = c.snapshot_id
ORDER BY h.host, c.snapshot_id, c.container, c.container_id, path;
