-- title = "What each host held at each of its snapshots"
-- description = "All snapshots, oldest first for each store, whatever --host and --snapshot say. grown_bytes is against the snapshot before."
-- first = ["host", "started_at", "disk_bytes", "layer_bytes", "grown_bytes", "volume_bytes", "cache_bytes", "log_bytes"]
-- [params]
-- host = { type = "host", help = "only this host" }
-- [columns]
-- started_at = "when the scan began"
-- snapshot_id = "number of the snapshot"
-- label = "the text given with --label"
-- root = "root of the store"
-- images = "images found"
-- layers = "layers found"
-- layer_bytes = "sum of their sizes; NULL when one is unknown"
-- grown_bytes = "layer_bytes less those of the snapshot before; NULL for the first"
-- containers = "containers found"
-- log_bytes = "bytes of their logs: at least these, where one could not be read"
-- volume_bytes = "bytes of volumes, on disk where measured: at least these, where one was not"
-- cache_bytes = "bytes of the build cache, without records at same_as: at least these, where one was not measured"
-- disk_bytes = "bytes on disk below the root; NULL where the scan did not measure all of it"
-- problems = "problems found"
-- orphans = "directories that nothing owns"
-- host = "the host"

-- total() and not sum(): sizes that a store claims may be more than 63 bits together, and sum() would fail.
WITH totals AS MATERIALIZED (
  SELECT s.snapshot_id, s.host_id, s.store, s.root, s.started_at, s.ordered_at, s.uid, s.label,
    (SELECT count(*) FROM stored_images AS i WHERE i.snapshot_id = s.snapshot_id) AS images,
    (SELECT count(*) FROM numbered_layers AS y WHERE y.snapshot_id = s.snapshot_id) AS layers,
    (SELECT CASE WHEN count(y.size) = count(*) THEN CAST(total(y.size) AS INTEGER) END FROM numbered_layers AS y WHERE y.snapshot_id = s.snapshot_id) AS layer_bytes,
    (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = s.snapshot_id) AS containers,
    (SELECT CASE WHEN count(c.log_bytes) > 0 THEN CAST(total(c.log_bytes) AS INTEGER) END FROM containers AS c WHERE c.snapshot_id = s.snapshot_id) AS log_bytes,
    (SELECT CASE WHEN count(v.bytes) > 0 THEN CAST(total(v.bytes) AS INTEGER) END
     FROM (SELECT snapshot_id, coalesce(disk_bytes, apparent_bytes) AS bytes FROM volumes) AS v
     WHERE v.snapshot_id = s.snapshot_id) AS volume_bytes,
    (SELECT CASE WHEN count(b.size) > 0 THEN CAST(total(b.size) FILTER (WHERE m.record_id IS NULL) AS INTEGER) END FROM build_cache AS b
     LEFT JOIN build_cache AS m ON m.snapshot_id = b.snapshot_id AND m.record_id = b.equal_mutable
     WHERE b.snapshot_id = s.snapshot_id) AS cache_bytes,
    (SELECT CASE WHEN count(*) = count(u.disk_bytes) THEN CAST(total(u.disk_bytes) AS INTEGER) END FROM numbered_disk_usage AS u
     WHERE u.snapshot_id = s.snapshot_id) AS disk_bytes,
    (SELECT count(*) FROM problems AS p WHERE p.snapshot_id = s.snapshot_id) AS problems,
    (SELECT count(*) FROM numbered_overlay_dirs AS d
     WHERE d.snapshot_id = s.snapshot_id AND d.role = (SELECT name_id FROM part_names WHERE name = 'orphan')) AS orphans
  FROM snapshots AS s JOIN hosts AS n USING (host_id) WHERE nullif(:host, '') IS NULL OR n.name = :host
)
SELECT t.started_at, t.snapshot_id, t.label, t.root, t.images, t.layers, t.layer_bytes,
  t.layer_bytes - lag(t.layer_bytes) OVER (PARTITION BY t.host_id, t.store, t.root ORDER BY t.ordered_at, t.uid) AS grown_bytes,
  t.containers, t.log_bytes, t.volume_bytes, t.cache_bytes, t.disk_bytes, t.problems, t.orphans, h.host
FROM totals AS t JOIN snapshot_hosts AS h ON h.snapshot_id = t.snapshot_id
ORDER BY h.host, t.host_id, t.store, t.root, t.ordered_at, t.uid;
