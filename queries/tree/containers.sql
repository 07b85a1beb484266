-- title = "Each container, the image that it runs, and the layer that its writable one stands on"
-- description = "One row for each container; of one that two stores of a host know, as Docker's root and the host's containerd do, that of the store which has its files. What it stands on is what the store says, and may be another image than its name leads to by now."
-- [columns]
-- snapshot_id = "the snapshot"
-- namespace = "in containerd the namespace; empty in other stores"
-- container_id = "the container"
-- name = "its name; NULL when it has none, or it is not known"
-- state = "its state, as its engine last saved it"
-- image_id = "the image it runs, which may have been removed; NULL when not known"
-- image_ref = "its image as the user named it"
-- chain_id = "the layer below its writable one; NULL when not known, or its image has none"
-- rw_bytes = "apparent bytes of its writable layer; NULL when its files were not read"

SELECT c.snapshot_id, c.namespace, c.container_id, c.name, c.state, c.image_id, c.image_ref,
  (SELECT min(m.parent_chain_id) FROM mounts AS m
   WHERE m.snapshot_id = c.snapshot_id AND m.container_id = c.container_id AND m.mount_id = c.mount_id) AS chain_id,
  (SELECT d.apparent_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id) AS rw_bytes
FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
WHERE (c.snapshot_id, c.container_id) NOT IN (SELECT snapshot_id, container_id FROM container_twins)
ORDER BY c.snapshot_id, c.namespace, c.container_id;
