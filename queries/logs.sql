-- title = "Container logs and their bytes"
-- description = "The log files that the json-file and local drivers keep in the container's folder, rotated ones included, largest first; docker system df does not count them. Of pods of this host those in the folders of pods. A container whose log goes elsewhere has no row; of a remote driver's, what the engine keeps beside it. files is 0 where the log file of a running container was removed, whose bytes are freed by a restart, or a symlink leads elsewhere."
-- first = ["name", "apparent_bytes", "disk_bytes", "newest"]
-- [params]
-- container = { type = "container", help = "only this container" }
-- [columns]
-- name = "name of the container; NULL when its config could not be read"
-- container_id = "the container"
-- state = "its state as saved"
-- driver = "json-file or local: what writes such files"
-- files = "how many files, rotated ones included"
-- apparent_bytes = "sum of st_size"
-- disk_bytes = "bytes on disk, as du counts"
-- newest = "when it was last written"
-- oldest = "when its oldest file was last written"
-- path = "its current file, or its first, relative to the root; a pod's whole"
-- image = "tags of the container's image, or as the user named it"
-- host = "the host"

-- total() and not sum(): sparse files may claim more than 63 bits together, and sum() would fail.
WITH sums AS MATERIALIZED (
  SELECT g.snapshot_id, g.container_id, g.driver, count(*) AS files, CAST(total(g.apparent_bytes) AS INTEGER) AS apparent_bytes,
    CAST(total(g.disk_bytes) AS INTEGER) AS disk_bytes, max(rtrim(g.modified_at, 'Z')) || 'Z' AS newest, min(rtrim(g.modified_at, 'Z')) || 'Z' AS oldest,
    coalesce(min(g.path) FILTER (WHERE g.rotation = 0), min(g.path)) AS path
  FROM selected_snapshots JOIN container_logs AS g USING (snapshot_id)
  GROUP BY g.snapshot_id, g.container_id, g.driver
  UNION ALL
  SELECT p.snapshot_id, p.subject, c.log_driver, 0, NULL, NULL, NULL, NULL, p.path
  FROM selected_snapshots JOIN problems AS p USING (snapshot_id)
  JOIN containers AS c ON c.snapshot_id = p.snapshot_id AND c.container_id = p.subject
  WHERE p.code = 'missing-log'
)
SELECT c.name, g.container_id, c.state, g.driver, g.files, g.apparent_bytes, g.disk_bytes, g.newest, g.oldest, g.path,
  coalesce((SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = c.snapshot_id AND n.image_id = c.image_id), c.image_ref) AS image,
  h.host
FROM sums AS g
LEFT JOIN containers AS c ON c.snapshot_id = g.snapshot_id AND c.container_id = g.container_id
JOIN snapshot_hosts AS h ON h.snapshot_id = g.snapshot_id
WHERE nullif(:container, '') IS NULL OR :container IN (g.container_id, c.name, substr(g.container_id, 1, 12))
ORDER BY g.disk_bytes DESC, g.apparent_bytes DESC, h.host, g.snapshot_id, g.container_id, g.driver;
