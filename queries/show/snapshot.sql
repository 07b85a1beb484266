-- title = "Where and when a snapshot was taken"
-- description = "The store that an answer is about."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- [columns]
-- host = "the host"
-- store = "kind of store"
-- root = "root of the store where it was scanned"
-- snapshot_id = "number of the snapshot"
-- scanned_at = "when the scan began"
-- scope = "how far the scan read: metadata, files or walk"

SELECT h.name AS host, s.store, s.root, s.snapshot_id, s.started_at AS scanned_at, s.scope
FROM snapshots AS s JOIN hosts AS h USING (host_id)
WHERE s.snapshot_id = :snapshot
ORDER BY s.snapshot_id;
