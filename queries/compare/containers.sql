-- title = "Containers that only one of two snapshots has, or that differ"
-- description = "Containers are matched by name. The image differs by content: by its layers; image config: the layers are the same. The writable layer differs when a file or folder in it does, by type, mode, owner, size, target of a link or content; of one and the same container also by time. Logs are compared for one and the same container. Recreated: one host has the name for another container than before."
-- first = ["change", "container", "a_image", "b_image", "a_state", "b_state", "a_apparent_bytes", "b_apparent_bytes"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a, only b, or what differs: recreated, image, image config, state, writable layer, log"
-- container = "its name, or its id where it has none"
-- a_container_id = "the container in a"
-- b_container_id = "the container in b"
-- a_image = "its image in a as the user named it"
-- b_image = "its image in b as the user named it"
-- a_image_id = "that image"
-- b_image_id = "that image"
-- a_state = "running, exited …"
-- b_state = "running, exited …"
-- a_entries = "files and folders in its writable layer"
-- b_entries = "files and folders in its writable layer"
-- a_apparent_bytes = "bytes in its writable layer"
-- b_apparent_bytes = "bytes in its writable layer"
-- a_log_bytes = "bytes of its log files"
-- b_log_bytes = "bytes of its log files"

WITH known AS MATERIALIZED (
  SELECT s.side, h.host_id, c.container_id, coalesce(c.name, c.container_id) AS name, c.image_ref, c.image_id, c.state, c.log_bytes,
    (SELECT d.entry_count FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id) AS entry_count,
    (SELECT d.apparent_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id) AS apparent_bytes,
    (SELECT d.listing_id FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id) AS listing_id,
    row_number() OVER (PARTITION BY s.side, coalesce(c.name, c.container_id) ORDER BY c.container_id) AS place,
    (SELECT l.chain_id FROM image_layers AS l WHERE l.snapshot_id = c.snapshot_id AND l.image_id = c.image_id
     ORDER BY l.position DESC LIMIT 1) AS content
  FROM (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b) AS s
  JOIN snapshots AS h ON h.snapshot_id = s.snapshot_id
  JOIN containers AS c ON c.snapshot_id = s.snapshot_id
),
pairs AS MATERIALIZED (
  SELECT coalesce(a.name, b.name) AS name, a.container_id AS a_id, b.container_id AS b_id, a.host_id AS a_host, b.host_id AS b_host,
    a.image_ref AS a_image, b.image_ref AS b_image, a.image_id AS a_image_id, b.image_id AS b_image_id,
    a.content AS a_content, b.content AS b_content, a.state AS a_state, b.state AS b_state,
    a.entry_count AS a_entries, b.entry_count AS b_entries, a.apparent_bytes AS a_bytes, b.apparent_bytes AS b_bytes,
    a.listing_id AS a_listing, b.listing_id AS b_listing, a.log_bytes AS a_log, b.log_bytes AS b_log
  FROM (SELECT * FROM known WHERE side = 'a') AS a
  FULL JOIN (SELECT * FROM known WHERE side = 'b') AS b ON b.name = a.name AND b.place = a.place
),
compared AS (
  SELECT p.*, CASE WHEN b_id IS NULL THEN 'only a' WHEN a_id IS NULL THEN 'only b' ELSE ltrim(
    CASE WHEN a_id <> b_id AND a_host = b_host THEN ', recreated' ELSE '' END
    || CASE WHEN a_image_id IS b_image_id THEN '' WHEN a_content = b_content THEN ', image config' ELSE ', image' END
    || CASE WHEN a_state IS NOT b_state THEN ', state' ELSE '' END
    || CASE WHEN a_entries <> b_entries OR (a_listing <> b_listing AND (
        EXISTS (
          SELECT directory_id, name, type, mode, uid, gid, size, link_target, device, content_crc64,
            CASE WHEN a_id = b_id THEN mtime END, CASE WHEN a_id = b_id THEN mtime_ns END
          FROM entries WHERE listing_id = a_listing
          EXCEPT
          SELECT directory_id, name, type, mode, uid, gid, size, link_target, device, content_crc64,
            CASE WHEN a_id = b_id THEN mtime END, CASE WHEN a_id = b_id THEN mtime_ns END
          FROM entries WHERE listing_id = b_listing)
        OR EXISTS (
          SELECT directory_id, name FROM entries WHERE listing_id = b_listing
          EXCEPT SELECT directory_id, name FROM entries WHERE listing_id = a_listing)))
      THEN ', writable layer' ELSE '' END
    || CASE WHEN a_id = b_id AND a_log IS NOT b_log THEN ', log' ELSE '' END, ', ') END AS change
  FROM pairs AS p
)
SELECT change, name AS container, a_id AS a_container_id, b_id AS b_container_id, a_image, b_image, a_image_id, b_image_id,
  a_state, b_state, a_entries, b_entries, a_bytes AS a_apparent_bytes, b_bytes AS b_apparent_bytes,
  a_log AS a_log_bytes, b_log AS b_log_bytes
FROM compared WHERE change <> ''
ORDER BY container, a_id, b_id;
