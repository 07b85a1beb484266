-- title = "The log files of a container"
-- description = "The current log file and the rotated ones."
-- first = ["path", "apparent_bytes", "disk_bytes", "modified_at"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the container_id" }
-- [columns]
-- path = "path relative to the root"
-- driver = "json-file or local"
-- rotation = "0 for the current file, counting up for older ones"
-- apparent_bytes = "st_size"
-- disk_bytes = "bytes on disk"
-- modified_at = "when it was last written"

SELECT g.path, g.driver, g.rotation, g.apparent_bytes, g.disk_bytes, g.modified_at FROM container_logs AS g
WHERE g.snapshot_id = :snapshot AND g.container_id = :id
ORDER BY g.rotation IS NULL, g.rotation, g.path;
