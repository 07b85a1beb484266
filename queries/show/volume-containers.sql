-- title = "The containers that mount a volume"
-- description = "One row for each place at which it is mounted."
-- first = ["container", "state", "destination", "read_write"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the volume's name" }
-- [columns]
-- container = "name of the container"
-- container_id = "the container"
-- state = "running, exited … as saved"
-- destination = "path inside the container, also where a bind reaches the volume by its path"
-- read_write = "1 when mounted for writing"
-- image = "the image as the user named it"

WITH mounted AS (
  SELECT v.container_id, v.destination, v.read_write FROM container_volumes AS v
  WHERE v.snapshot_id = :snapshot AND v.name = :id AND v.type = 'volume'
  UNION
  SELECT u.user, b.destination, b.read_write FROM recorded_uses AS u
  LEFT JOIN container_volumes AS b ON b.snapshot_id = :snapshot AND b.container_id = u.user AND b.type = 'bind'
    AND instr(b.source || '/', '/volumes/' || :id || '/') > 0
  WHERE u.snapshot_id = :snapshot AND u.used_kind = 'volume' AND u.used = :id AND u.user_kind = 'container'
)
SELECT coalesce(c.name, v.container_id) AS container, v.container_id, c.state, v.destination, v.read_write, c.image_ref AS image
FROM mounted AS v
LEFT JOIN containers AS c ON c.snapshot_id = :snapshot AND c.container_id = v.container_id
ORDER BY container, v.container_id, v.destination;
