-- title = "Containers: state, image, space and volumes"
-- description = "The state is the last one saved: a host that lost power still says running. rw_bytes and rw_files are known when file listings were indexed. Where a container's own files could not be read, its name, image and volumes are NULL because nothing says them."
-- first = ["name", "state", "image", "rw_bytes", "log_bytes"]
-- [params]
-- container = { type = "container", help = "only this container" }
-- state = { values = ["running", "paused", "restarting", "removing", "dead", "created", "exited", "unknown"], help = "only containers in this state" }
-- [columns]
-- container_id = "the container"
-- name = "its name"
-- image_ref = "its image as the user named it"
-- image_id = "the image it runs"
-- image = "tags of that image now, or its id; NULL when the image was removed"
-- state = "running, paused, restarting, removing, dead, created, exited or unknown"
-- created_at = "when it was created"
-- started_at = "when it last started"
-- finished_at = "when it last ended"
-- exit_code = "exit code of its last run"
-- rw_bytes = "apparent bytes of its writable layer"
-- rw_files = "files and folders of its writable layer, 1 for an empty one: the root folder is among them"
-- log_bytes = "bytes of its logs with rotations"
-- volumes = "names of its volumes"
-- mount_id = "directory of its writable layer"
-- because = "what of its own files was not read, so that what they say is not known; NULL for nothing"
-- host = "the host"

-- Docker on the host's containerd: its data root has the container and its volumes, containerd its image and files.
WITH twice AS MATERIALIZED (SELECT * FROM container_twins)
SELECT c.container_id, c.name, c.image_ref, c.image_id,
  (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = c.snapshot_id AND n.image_id = c.image_id) AS image, c.state, c.created_at, c.started_at,
  c.finished_at, c.exit_code,
  (SELECT d.apparent_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id) AS rw_bytes,
  (SELECT d.entry_count FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id) AS rw_files, c.log_bytes,
  (SELECT group_concat(name, ', ') FROM (SELECT v.name FROM container_volumes AS v
     WHERE v.snapshot_id IN (c.snapshot_id, o.snapshot_id) AND v.container_id = c.container_id AND v.type = 'volume'
     ORDER BY 1)) AS volumes,
  c.mount_id,
  (SELECT group_concat(said, '; ') FROM (SELECT u.path || ' (' || u.state || coalesce(': ' || u.detail, '') || ')' AS said
     FROM sources AS u WHERE u.snapshot_id = c.snapshot_id AND u.kind = 'containers' AND u.state NOT IN ('read', 'absent')
       AND instr(u.path || '/', 'containers/' || c.container_id || '/') > 0 ORDER BY 1)) AS because,
  h.host
FROM selected_snapshots
JOIN containers AS c USING (snapshot_id)
LEFT JOIN twice AS o ON o.other_id = c.snapshot_id AND o.container_id = c.container_id
JOIN snapshot_hosts AS h ON h.snapshot_id = c.snapshot_id
WHERE NOT EXISTS (SELECT 1 FROM twice AS x WHERE x.snapshot_id = c.snapshot_id AND x.container_id = c.container_id)
  AND (nullif(:container, '') IS NULL OR :container IN (c.container_id, c.name, substr(c.container_id, 1, 12)))
  AND (nullif(:state, '') IS NULL OR c.state = :state)
ORDER BY h.host, c.snapshot_id, rtrim(c.created_at, 'Z') DESC, c.container_id;
