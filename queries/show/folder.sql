-- title = "A folder of the data root"
-- description = "What a folder of the data root holds that is not of an image, container or volume, and what frees it; bytes as in disk_usage."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the folder, by its path in the root" }
-- [columns]
-- folder = "its name"
-- what = "what lies in it"
-- name = "of a plugin: what it is called"
-- freed_by = "what frees it"
-- files = "files and folders; NULL when not counted"
-- apparent_bytes = "sum of st_size; NULL when not counted"
-- disk_bytes = "bytes on disk, as du counts; NULL when not measured"

WITH meanings (folder, what, freed_by) AS (VALUES
  ('tmp', 'downloads (GetImageBlob…) and build contexts (docker-builder…), which an interruption leaves', 'a restart of the engine'),
  ('plugins', 'managed plugins, each with a root filesystem of its own', 'docker plugin rm'),
  ('plugins/', 'a managed plugin, with a root filesystem of its own', 'docker plugin rm'),
  ('swarm', 'the raft log, secrets, configs and certificates of a swarm', 'docker swarm leave'),
  ('network', 'the database of networks', NULL),
  ('containerd', 'what the engine''s own containerd keeps', NULL),
  ('buildkit', 'the databases of the build cache; its data is in the driver''s folder', 'docker builder prune'),
  ('', 'what a storage driver keeps that is not read here', 'the engine, while it uses that driver; else nothing')
),
held AS MATERIALIZED (SELECT * FROM disk_usage WHERE snapshot_id = :snapshot)
SELECT :id AS folder, m.what, (SELECT u.user FROM recorded_uses AS u WHERE u.snapshot_id = :snapshot
    AND u.used_kind = 'plugin' AND u.used = substr(:id, 9) AND m.folder = 'plugins/') AS name, m.freed_by,
  CASE WHEN count(u.items) = count(*) THEN CAST(total(u.items) AS INTEGER) END AS files,
  CASE WHEN count(u.apparent_bytes) = count(*) THEN CAST(total(u.apparent_bytes) AS INTEGER) END AS apparent_bytes,
  CASE WHEN count(u.disk_bytes) = count(*) THEN CAST(total(u.disk_bytes) AS INTEGER) END AS disk_bytes
FROM meanings AS m LEFT JOIN held AS u ON u.snapshot_id = :snapshot
  AND CASE m.folder WHEN '' THEN u.category = 'other driver' AND u.owner IN (:id, 'image/' || :id)
    WHEN 'plugins/' THEN u.category = 'plugins' AND u.owner = substr(:id, 9) ELSE u.category = m.folder END
WHERE m.folder = CASE WHEN :id IN (SELECT folder FROM meanings) THEN :id WHEN :id GLOB 'plugins/*' THEN 'plugins/' ELSE '' END
GROUP BY m.folder
ORDER BY folder;
