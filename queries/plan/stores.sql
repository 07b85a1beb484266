-- The selected snapshots, and how much is counted in each.
SELECT s.snapshot_id, h.name AS host, s.store, s.engine, s.root, s.driver, s.folder, s.engine_id, s.started_at AS scanned_at, s.scope,
  (SELECT CAST(total(coalesce(u.disk_bytes, u.estimated_bytes, u.apparent_bytes)) AS INTEGER) FROM disk_usage AS u
   WHERE u.snapshot_id = s.snapshot_id AND u.place IS NULL) AS bytes,
  EXISTS (SELECT 1 FROM problems AS p WHERE p.snapshot_id = s.snapshot_id AND p.code = 'moved-root') AS moved,
  EXISTS (SELECT 1 FROM containers AS c WHERE c.snapshot_id = s.snapshot_id AND c.sandbox_id IS NOT NULL AND c.name GLOB 'k8s_*') AS pods
FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN hosts AS h USING (host_id)
ORDER BY h.name, s.snapshot_id;
