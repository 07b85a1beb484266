-- title = "Volumes: size, and which containers mount them"
-- description = "Every volume that is on disk, that the engine's database remembers or that a container names. unused: no container, running or not, names it by its name or path; its data may still be wanted. unknown: no container that could be read does, but a source that may name one was not read whole, as because says. missing: it should be on disk and is not. Volumes of other drivers than local, and local ones with options, keep their data elsewhere."
-- first = ["name", "status", "because", "containers", "disk_bytes"]
-- [params]
-- status = { values = ["used", "unused", "unknown", "missing"], help = "only volumes of this status" }
-- [columns]
-- name = "name of the volume"
-- status = "used, unused, unknown or missing"
-- because = "for unknown and missing: what may say otherwise and was not read; NULL when nothing is in doubt"
-- driver = "volume driver"
-- anonymous = "1 when the engine made its name up, else 0; docker volume prune removes only such, before Docker 23 named ones too"
-- refs = "how many containers mount it"
-- containers = "their names and states"
-- apparent_bytes = "sum of st_size below it; NULL when not measured"
-- disk_bytes = "bytes on disk, as du counts; NULL when not measured"
-- files = "files and folders in its folder, _data and opts.json among them, so that an empty volume has 1 or 2; NULL when not measured"
-- on_disk = "1 when volumes/ has its directory, or its place, else 0"
-- place = "where its folder is, if not in the root's volumes/"
-- options = "its options as JSON"
-- holds = "what was seen in it: the state of BuildKit, or a whole data root of an engine; NULL for neither"
-- labels = "its labels as JSON; NULL when the engine's database does not say"
-- host = "the host"

WITH named AS MATERIALIZED (
  SELECT v.snapshot_id, v.name, min(v.driver) AS driver, count(DISTINCT v.container_id) AS refs
  FROM (
    SELECT snapshot_id, container_id, name, driver FROM selected_snapshots JOIN container_volumes USING (snapshot_id)
    WHERE type = 'volume' AND name <> ''
    UNION ALL SELECT snapshot_id, user, used, NULL FROM selected_snapshots JOIN recorded_uses USING (snapshot_id)
    WHERE used_kind = 'volume' AND user_kind = 'container') AS v
  GROUP BY v.snapshot_id, v.name
),
named_or_there AS (
  SELECT v.snapshot_id, v.name, v.driver, v.on_disk, t.standing, t.because, v.apparent_bytes, v.disk_bytes, v.entry_count, v.place, v.options, v.holds, v.labels,
    coalesce(n.refs, 0) AS refs
  FROM selected_snapshots JOIN volumes AS v USING (snapshot_id)
  JOIN volume_standings AS t ON t.snapshot_id = v.snapshot_id AND t.name = v.name
  LEFT JOIN named AS n ON n.snapshot_id = v.snapshot_id AND n.name = v.name
  UNION ALL
  SELECT n.snapshot_id, n.name, n.driver, 0, 'used', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, n.refs FROM named AS n
  WHERE NOT EXISTS (SELECT 1 FROM volumes AS v WHERE v.snapshot_id = n.snapshot_id AND v.name = n.name)
),
judged AS (
  SELECT e.*, CASE WHEN e.on_disk = 1 OR coalesce(nullif(e.driver, ''), 'local') <> 'local' THEN e.standing
    WHEN d.because IS NULL THEN 'missing' ELSE 'unknown' END AS status,
    coalesce(e.because, CASE WHEN e.on_disk = 0 THEN d.because END) AS doubt
  FROM named_or_there AS e LEFT JOIN doubts AS d ON d.snapshot_id = e.snapshot_id AND d.thing = 'missing volume'
)
SELECT v.name, v.status, v.doubt AS because, v.driver,
  CASE WHEN (length(v.name) = 64 AND v.name NOT GLOB '*[^0-9a-f]*')
      OR instr(v.labels, '"com.docker.volume.anonymous"') > 0 THEN 1 ELSE 0 END AS anonymous,
  v.refs,
  (SELECT group_concat(name, ', ') FROM (
     SELECT DISTINCT coalesce(c.name, m.container_id) || coalesce(' (' || c.state || ')', '') AS name
     FROM (
       SELECT snapshot_id, container_id, name FROM container_volumes WHERE type = 'volume'
       UNION SELECT snapshot_id, user, used FROM recorded_uses WHERE used_kind = 'volume' AND user_kind = 'container') AS m
     LEFT JOIN containers AS c ON c.snapshot_id = m.snapshot_id AND c.container_id = m.container_id
     WHERE m.snapshot_id = v.snapshot_id AND m.name = v.name ORDER BY 1)) AS containers,
  v.apparent_bytes, v.disk_bytes, v.entry_count AS files, v.on_disk, v.place, v.options, v.holds, v.labels,
  h.host
FROM judged AS v JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:status, '') IS NULL OR v.status = :status
ORDER BY v.disk_bytes DESC, v.apparent_bytes DESC, h.host, v.snapshot_id, v.name;
