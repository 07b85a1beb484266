-- title = "The stores whose trees are shown"
-- description = "One row for each selected snapshot, with what was not read: images, names or containers may be missing in its trees."
-- [columns]
-- snapshot_id = "the snapshot"
-- host = "the host"
-- store = "the kind of store"
-- root = "its root"
-- driver = "its storage driver or snapshotter"
-- scanned_at = "when its scan began"
-- layers_unread = "what may name layers, images or containers and was not read; NULL for nothing"
-- names_unread = "what may name images and was not read; NULL for nothing"

SELECT s.snapshot_id, h.name AS host, s.store, s.root, s.driver, s.started_at AS scanned_at,
  (SELECT d.because FROM doubts AS d WHERE d.snapshot_id = s.snapshot_id AND d.thing = 'layer') AS layers_unread,
  (SELECT d.because FROM doubts AS d WHERE d.snapshot_id = s.snapshot_id AND d.thing = 'name') AS names_unread
FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN hosts AS h USING (host_id)
ORDER BY h.name, s.snapshot_id;
