-- title = "Every directory of the driver and why it exists"
-- description = "The way back from a directory: its role, who owns it, and the images and container behind that. unknown: no owner was found, but not every source that could name one was read, such as BuildKit's databases."
-- first = ["cache_id", "role", "owners"]
-- [params]
-- dir = { type = "directory", help = "only the directory of this name, link (also as l/NAME), or beginning of a name" }
-- role = { values = ["layer", "container", "init", "build-cache", "removing", "mount", "in-flight", "snapshot", "foreign", "orphan", "unknown"], help = "only this role" }
-- [columns]
-- cache_id = "name of the directory"
-- role = "layer, container, init, removing, mount, in-flight, orphan or unknown"
-- owners = "why it exists: chain_ids, containers and other names"
-- images = "tags or ids of the images that need it"
-- container = "name of the container it belongs to"
-- link = "its short name in l/; NULL where the driver gives none"
-- lower_count = "how many directories are below it"
-- size = "its layer's size; NULL for what is not a layer"
-- disk_bytes = "bytes on disk of its files, which lie in its diff folder; NULL when not walked"
-- host = "the host"

SELECT d.cache_id, d.role,
  (SELECT group_concat(owner, ', ') FROM (SELECT o.kind || ' ' || o.owner AS owner FROM overlay_dir_owners AS o
     WHERE o.snapshot_id = d.snapshot_id AND o.cache_id = d.cache_id ORDER BY 1)) AS owners,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM layers AS y
     JOIN image_layers AS l USING (snapshot_id, chain_id)
     JOIN listed_images USING (snapshot_id, image_id)
     JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE y.snapshot_id = d.snapshot_id AND y.cache_id = d.cache_id ORDER BY 1)) AS images,
  (SELECT min(coalesce(c.name, c.container_id)) FROM mounts AS m
     JOIN containers AS c ON c.snapshot_id = m.snapshot_id AND c.container_id = m.container_id
     WHERE m.snapshot_id = d.snapshot_id AND d.cache_id IN (m.mount_id, m.init_id)) AS container,
  d.link, d.lower_count,
  (SELECT max(y.size) FROM layers AS y WHERE y.snapshot_id = d.snapshot_id AND y.cache_id = d.cache_id) AS size,
  d.disk_bytes,
  h.host
FROM selected_snapshots
JOIN overlay_dirs AS d USING (snapshot_id)
JOIN snapshot_hosts AS h ON h.snapshot_id = d.snapshot_id
WHERE (nullif(:dir, '') IS NULL OR :dir IN (d.link, 'l/' || d.link) OR d.cache_id = :dir OR d.cache_id GLOB :dir || '*')
  AND (nullif(:role, '') IS NULL OR d.role = :role)
ORDER BY h.host, d.snapshot_id, d.cache_id;
