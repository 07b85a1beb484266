-- title = "A container"
-- description = "What its config says, as it was last saved."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the container_id" }
-- [columns]
-- name = "its name"
-- container_id = "the container"
-- state = "running, exited … as saved"
-- exit_code = "exit code of its last run"
-- image = "the image as the user named it"
-- image_id = "the image it runs"
-- image_names = "what that image is called now; NULL when it was removed"
-- created_at = "when it was created"
-- started_at = "when it last started"
-- finished_at = "when it last ended"
-- writable = "directory of its writable layer"
-- location = "where that directory was on the host that was scanned"
-- init = "directory of its init layer"
-- writable_bytes = "bytes on disk of the writable layer; NULL when not walked"
-- writable_size = "sum of st_size of the writable layer"
-- log_driver = "logging driver"
-- log_bytes = "bytes of its log files"
-- log_path = "log file as the engine named it"

WITH mounted AS MATERIALIZED (SELECT name, mount_id, init_id FROM mounts WHERE snapshot_id = :snapshot AND name = :id),
there AS MATERIALIZED (
  SELECT d.cache_id, d.disk_bytes, d.apparent_bytes FROM (
    SELECT mount_id FROM mounted UNION SELECT mount_id FROM containers WHERE snapshot_id = :snapshot AND container_id = :id) AS m
  CROSS JOIN overlay_dirs AS d ON d.snapshot_id = :snapshot AND d.cache_id = m.mount_id
)
SELECT c.name, c.container_id, c.state, c.exit_code, c.image_ref AS image, c.image_id,
  (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = c.snapshot_id AND n.image_id = c.image_id) AS image_names,
  c.created_at, c.started_at, c.finished_at, coalesce(m.mount_id, c.mount_id) AS writable,
  iif(s.folder GLOB '/*', s.folder, s.root || '/' || s.folder) || '/' || coalesce(m.mount_id, c.mount_id) AS location,
  m.init_id AS init,
  d.disk_bytes AS writable_bytes, d.apparent_bytes AS writable_size, c.log_driver, c.log_bytes, c.log_path
FROM containers AS c
JOIN snapshots AS s ON s.snapshot_id = c.snapshot_id
LEFT JOIN mounted AS m ON m.name = c.container_id
LEFT JOIN there AS d ON d.cache_id = coalesce(m.mount_id, c.mount_id)
WHERE c.snapshot_id = :snapshot AND c.container_id = :id
ORDER BY c.container_id;
