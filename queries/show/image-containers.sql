-- title = "The containers that were made of an image"
-- description = "One row for each container, running or not."
-- first = ["container", "container_id", "state", "image"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the image_id" }
-- [columns]
-- container = "its name"
-- container_id = "the container"
-- state = "running, exited … as saved"
-- image = "the image as the user named it"
-- writable = "directory of its writable layer"

SELECT coalesce(c.name, c.container_id) AS container, c.container_id, c.state, c.image_ref AS image, c.mount_id AS writable
FROM containers AS c
WHERE c.snapshot_id = :snapshot AND c.image_id = :id
ORDER BY container, c.container_id;
