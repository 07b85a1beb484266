-- title = "The containers that need a directory or layer"
-- description = "One row for each container and the way in which it needs it."
-- first = ["container", "state", "uses_it_as", "image"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory" }
-- chain = { help = "a layer that is asked about itself" }
-- [columns]
-- container = "its name"
-- container_id = "the container"
-- state = "running, exited … as saved"
-- uses_it_as = "writable layer, init layer, or layer below"
-- image = "the image as the user named it"
-- writable = "directory of its writable layer"

WITH chains AS MATERIALIZED (
  SELECT chain_id FROM layers WHERE cache_id = :directory AND +snapshot_id = :snapshot
  UNION SELECT :chain WHERE :chain IS NOT NULL
),
users (container_id, rank) AS (
  SELECT m.container_id, 0 FROM mounts AS m WHERE m.mount_id = :directory AND +m.snapshot_id = :snapshot
  UNION ALL
  SELECT m.container_id, 1 FROM mounts AS m WHERE m.snapshot_id = :snapshot AND m.init_id = :directory
  UNION ALL
  -- Three witnesses, of which any may be torn: the chains of layers, the lower files, and the containers' configs.
  SELECT o.owner, 2 FROM overlay_dir_owners AS o
  WHERE o.snapshot_id = :snapshot AND o.cache_id = :directory AND o.kind = 'container-base'
  UNION ALL
  SELECT m.container_id, 2 FROM overlay_lowers AS o
  CROSS JOIN mounts AS m ON m.mount_id = o.cache_id AND m.snapshot_id = o.snapshot_id
  WHERE o.snapshot_id = :snapshot AND o.lower_cache_id = :directory
  UNION ALL
  SELECT c.container_id, 2 FROM chains AS a
  CROSS JOIN image_layers AS l ON l.chain_id = a.chain_id AND l.snapshot_id = :snapshot
  CROSS JOIN containers AS c ON c.snapshot_id = l.snapshot_id AND c.image_id = l.image_id
)
SELECT coalesce(c.name, c.container_id) AS container, c.container_id, c.state,
  CASE min(u.rank) WHEN 0 THEN 'writable layer' WHEN 1 THEN 'init layer' ELSE 'layer below' END AS uses_it_as,
  c.image_ref AS image, c.mount_id AS writable
FROM users AS u CROSS JOIN containers AS c ON c.snapshot_id = :snapshot AND c.container_id = u.container_id
GROUP BY c.container_id
ORDER BY min(u.rank), container, c.container_id;
