-- title = "A volume"
-- description = "What is known of it, also when it is gone and a container still names it."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the volume's name" }
-- [columns]
-- name = "its name"
-- location = "where it was on the host that was scanned; NULL when its directory is not there"
-- driver = "volume driver"
-- on_disk = "1 when its directory is there, else 0"
-- options = "opts.json as stored"
-- labels = "its labels as a JSON object"
-- holds = "what was seen in it: the state of BuildKit, or a whole data root of an engine"
-- apparent_bytes = "sum of st_size below it"
-- disk_bytes = "bytes on disk, as du counts; NULL when not measured"
-- entries = "files and folders below it"
-- containers = "how many containers mount it"
-- status = "used, unused, unknown or missing"
-- because = "for unknown and missing: what may say otherwise and was not read"

WITH named AS (
  SELECT c.container_id, c.driver FROM container_volumes AS c
  WHERE c.snapshot_id = :snapshot AND c.name = :id AND c.type = 'volume'
  UNION ALL SELECT u.user, NULL FROM recorded_uses AS u
  WHERE u.snapshot_id = :snapshot AND u.used_kind = 'volume' AND u.used = :id AND u.user_kind = 'container'
)
SELECT :id AS name, CASE WHEN v.on_disk THEN coalesce(v.place, s.root || '/volumes/' || v.name) || '/_data' END AS location, v.driver,
  coalesce(v.on_disk, 0) AS on_disk, v.options, v.labels, v.holds, v.apparent_bytes, v.disk_bytes, v.entry_count AS entries,
  (SELECT count(DISTINCT container_id) FROM named) AS containers,
  CASE WHEN v.on_disk = 1 OR coalesce(nullif(coalesce(v.driver, (SELECT min(driver) FROM named)), ''), 'local') <> 'local'
      THEN coalesce(t.standing, 'used')
    WHEN d.because IS NULL THEN 'missing' ELSE 'unknown' END AS status,
  coalesce(t.because, CASE WHEN coalesce(v.on_disk, 0) = 0 THEN d.because END) AS because
FROM snapshots AS s LEFT JOIN volumes AS v ON v.snapshot_id = s.snapshot_id AND v.name = :id
LEFT JOIN volume_standings AS t ON t.snapshot_id = s.snapshot_id AND t.name = :id
LEFT JOIN doubts AS d ON d.snapshot_id = s.snapshot_id AND d.thing = 'missing volume'
WHERE s.snapshot_id = :snapshot
ORDER BY name;
