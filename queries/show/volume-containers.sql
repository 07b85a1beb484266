-- title = "The containers that mount a volume"
-- description = "One row for each place at which it is mounted."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the volume's name" }
-- [columns]
-- container = "name of the container"
-- container_id = "the container"
-- state = "running, exited … as saved"
-- destination = "path inside the container"
-- read_write = "1 when mounted for writing"
-- image = "the image as the user named it"

SELECT coalesce(c.name, v.container_id) AS container, v.container_id, c.state, v.destination, v.read_write, c.image_ref AS image
FROM container_volumes AS v
LEFT JOIN containers AS c ON c.snapshot_id = v.snapshot_id AND c.container_id = v.container_id
WHERE v.snapshot_id = :snapshot AND v.name = :id AND v.type = 'volume'
ORDER BY container, v.container_id, v.destination;
