-- title = "What is mounted into a container"
-- description = "Its volumes, binds and other mounts."
-- first = ["destination", "type", "name", "source", "read_write"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the container_id" }
-- [columns]
-- destination = "path inside the container"
-- type = "volume, bind, tmpfs, image …"
-- name = "name of the volume"
-- source = "path on the original host"
-- read_write = "1 when mounted for writing"
-- on_disk = "1 when the volume's directory is there, 0 when not; NULL for what is no local volume"
-- disk_bytes = "bytes on disk of the volume; NULL when not measured"

SELECT v.destination, v.type, v.name, v.source, v.read_write,
  CASE WHEN v.type = 'volume' AND coalesce(v.driver, 'local') = 'local' THEN coalesce(o.on_disk, 0) END AS on_disk, o.disk_bytes
FROM container_volumes AS v
LEFT JOIN volumes AS o ON o.snapshot_id = v.snapshot_id AND o.name = v.name
WHERE v.snapshot_id = :snapshot AND v.container_id = :id
ORDER BY v.destination;
