-- title = "Files that containers copied up, and what they cost"
-- description = "A container that changes anything of an image's file - a byte, the mode, the owner - gets a whole copy of it in its writable layer. One row for each regular file of the writable layer that the image shows as a file too. same and metadata: the content is the image's, by CRC-64; such copies cost their size for nothing or for a chmod or chown. Where a side has no CRC-64, as a container's own layer, size and modification time are all that can be compared: other content of the same size, written within the same second or with the time set back, looks so too."
-- first = ["container", "path", "change", "size"]
-- [params]
-- container = { type = "container", help = "the container; all of them when left out" }
-- [columns]
-- container = "name of the container"
-- path = "path in the container"
-- size = "bytes of the copy"
-- image_size = "bytes of the image's file"
-- change = "changed: size, time or content differ; metadata: the content is the same, but not mode, owner or capability; same: nothing differs; metadata, size and time agree; size and time agree: where the contents could not be compared"
-- mode = "permission bits of the copy, octal"
-- image_mode = "permission bits of the image's file, octal"
-- owner = "uid:gid of the copy"
-- image_owner = "uid:gid of the image's file"
-- modified_at = "modification time of the copy"
-- image_modified_at = "modification time of the image's file"
-- cache_id = "directory of the layer that has the image's file"
-- image = "tags of the container's image, or as the user named it"
-- host = "the host"

WITH chosen AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, coalesce(c.name, c.container_id) AS container, c.image_id, c.image_ref, m.mount_id,
    d.listing_id
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
  JOIN mounts AS m USING (snapshot_id, container_id)
  JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = m.mount_id
  WHERE nullif(:container, '') IS NULL OR :container IN (c.container_id, c.name, substr(c.container_id, 1, 12))
),
-- The layers below, 0 the nearest.
below AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, o.position, d.cache_id, d.role, d.listing_id
  FROM chosen AS c
  CROSS JOIN overlay_lowers AS o ON o.snapshot_id = c.snapshot_id AND o.cache_id = c.mount_id
  CROSS JOIN overlay_dirs AS d ON d.snapshot_id = o.snapshot_id AND d.cache_id = o.lower_cache_id
),
-- Folders of the container that show nothing of the image's: opaque ones, and all below them.
hiding AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id, CASE p.path WHEN '/' THEN '/' ELSE p.path || '/' END || e.name AS path
  FROM chosen AS c CROSS JOIN entries AS e USING (listing_id) CROSS JOIN directories AS p USING (directory_id)
  WHERE e.opaque = 1
),
hidden AS MATERIALIZED (
  SELECT h.snapshot_id, h.container_id, d.directory_id FROM hiding AS h CROSS JOIN directories AS d ON d.path = h.path
  UNION
  SELECT h.snapshot_id, h.container_id, d.directory_id
  FROM hiding AS h CROSS JOIN directories AS d ON d.path > rtrim(h.path, '/') || '/' AND d.path < rtrim(h.path, '/') || '0'
),
linked AS MATERIALIZED (
  SELECT k.* FROM (SELECT DISTINCT listing_id FROM chosen) CROSS JOIN hard_links AS k USING (listing_id)
),
own AS MATERIALIZED (
  SELECT w.snapshot_id, w.container_id, w.directory_id, w.name, coalesce(k.size, w.size) AS size, w.mode, w.uid, w.gid, w.mtime,
    w.mtime_ns, w.capability, coalesce(k.content_crc64, w.content_crc64) AS content_crc64
  FROM (
    SELECT c.snapshot_id, c.container_id, e.* FROM chosen AS c CROSS JOIN entries AS e USING (listing_id)
    WHERE e.type IN ('file', 'hardlink')) AS w
  -- Which of two names is the file is the disk's order.
  LEFT JOIN linked AS k ON k.listing_id = w.listing_id AND k.directory_id = w.directory_id AND k.name = w.name
  WHERE coalesce(k.type, w.type) = 'file' AND (w.snapshot_id, w.container_id, w.directory_id) NOT IN (
    SELECT snapshot_id, container_id, directory_id FROM hidden)
),
-- What the layers have at each of these paths, the nearest of them, beside what the container has.
nearest AS (
  SELECT o.snapshot_id, o.container_id, b.position, b.cache_id, b.role, e.*, o.size AS own_size, o.mode AS own_mode,
    o.uid AS own_uid, o.gid AS own_gid, o.mtime AS own_mtime, o.mtime_ns AS own_mtime_ns,
    o.capability AS own_capability, o.content_crc64 AS own_crc64,
    row_number() OVER (PARTITION BY o.snapshot_id, o.container_id, e.directory_id, e.name ORDER BY b.position) AS place
  FROM own AS o
  CROSS JOIN below AS b ON b.snapshot_id = o.snapshot_id AND b.container_id = o.container_id
  CROSS JOIN entries AS e ON e.listing_id = b.listing_id AND e.directory_id = o.directory_id AND e.name = o.name
),
lower AS MATERIALIZED (
  SELECT n.position, n.cache_id, n.mode, n.uid, n.gid, n.mtime, n.mtime_ns, n.capability, n.snapshot_id, n.container_id,
    n.directory_id, n.name, n.own_size, n.own_mode, n.own_uid, n.own_gid, n.own_mtime, n.own_mtime_ns, n.own_capability,
    n.own_crc64, n.size, n.content_crc64
  FROM nearest AS n WHERE n.place = 1 AND n.type = 'file' AND n.role <> 'init'
  UNION ALL
  -- The size and content of a hard link are told at its first name.
  SELECT n.position, n.cache_id, n.mode, n.uid, n.gid, n.mtime, n.mtime_ns, n.capability, n.snapshot_id, n.container_id,
    n.directory_id, n.name, n.own_size, n.own_mode, n.own_uid, n.own_gid, n.own_mtime, n.own_mtime_ns, n.own_capability,
    n.own_crc64, k.size, k.content_crc64
  FROM nearest AS n
  CROSS JOIN hard_links AS k ON k.listing_id = n.listing_id AND k.directory_id = n.directory_id AND k.name = n.name
  WHERE n.place = 1 AND n.type = 'hardlink' AND k.type = 'file' AND n.role <> 'init'
),
touched AS MATERIALIZED (SELECT DISTINCT snapshot_id, container_id, directory_id FROM lower),
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
pairs AS (
  SELECT l.snapshot_id, l.container_id, l.directory_id, l.name, l.own_size AS size, l.own_mode AS mode,
    l.own_uid AS uid, l.own_gid AS gid, l.own_mtime AS mtime, l.own_mtime_ns AS mtime_ns,
    l.own_capability AS capability, l.own_crc64 AS content_crc64, l.cache_id, l.mode AS lower_mode,
    l.uid AS lower_uid, l.gid AS lower_gid, l.mtime AS lower_mtime, l.mtime_ns AS lower_mtime_ns,
    l.capability AS lower_capability, l.size AS lower_size, l.content_crc64 AS lower_crc64
  FROM lower AS l
  LEFT JOIN cuts AS c
    ON c.snapshot_id = l.snapshot_id AND c.container_id = l.container_id AND c.directory_id = l.directory_id
  WHERE l.position <= coalesce(c.position, l.position)
)
SELECT c.container, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || p.name AS path, p.size,
  p.lower_size AS image_size,
  CASE
    WHEN p.size <> p.lower_size OR p.mtime <> p.lower_mtime OR p.mtime_ns <> p.lower_mtime_ns
      OR p.content_crc64 <> p.lower_crc64 THEN 'changed'
    ELSE coalesce(nullif(ltrim(
      CASE WHEN p.mode <> p.lower_mode OR p.uid <> p.lower_uid OR p.gid <> p.lower_gid OR p.capability IS NOT p.lower_capability
        THEN 'metadata' ELSE '' END
      || CASE WHEN p.content_crc64 = p.lower_crc64 OR p.size = 0 THEN '' ELSE ', size and time agree' END, ', '), ''), 'same')
  END AS change,
  printf('%04o', p.mode) AS mode, printf('%04o', p.lower_mode) AS image_mode,
  p.uid || ':' || p.gid AS owner, p.lower_uid || ':' || p.lower_gid AS image_owner,
  strftime('%Y-%m-%dT%H:%M:%SZ', p.mtime, 'unixepoch') AS modified_at,
  strftime('%Y-%m-%dT%H:%M:%SZ', p.lower_mtime, 'unixepoch') AS image_modified_at,
  p.cache_id, coalesce(
    (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = c.snapshot_id AND n.image_id = c.image_id), c.image_ref) AS image, h.host
FROM pairs AS p
CROSS JOIN chosen AS c ON c.snapshot_id = p.snapshot_id AND c.container_id = p.container_id
CROSS JOIN directories AS d ON d.directory_id = p.directory_id
JOIN snapshot_hosts AS h ON h.snapshot_id = p.snapshot_id
ORDER BY p.size DESC, h.host, p.snapshot_id, c.container, p.container_id, path;
