-- title = "Every snapshot in the database"
-- description = "All snapshots, newest first, whatever --host and --snapshot say; selected is 1 for those the other queries see."
-- first = ["snapshot_id", "host", "store", "root", "started_at"]
-- [params]
-- host = { type = "host", help = "only this host" }
-- [columns]
-- snapshot_id = "number to give to --snapshot"
-- host = "the host"
-- store = "kind of store"
-- root = "where it was scanned"
-- label = "the text given with --label"
-- scope = "how far it read: metadata, files or walk"
-- started_at = "when the scan began"
-- received_at = "when it was imported; NULL where it was scanned here"
-- images = "images found"
-- layers = "layers found"
-- containers = "containers found"
-- errors = "problems of severity error"
-- problems = "all problems"
-- selected = "1 when other queries see it, else 0"

SELECT s.snapshot_id, h.host, s.store, s.root, s.label, s.scope, s.started_at, s.received_at,
  (SELECT count(*) FROM images AS i WHERE i.snapshot_id = s.snapshot_id) AS images,
  (SELECT count(*) FROM layers AS y WHERE y.snapshot_id = s.snapshot_id) AS layers,
  (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = s.snapshot_id) AS containers,
  (SELECT count(*) FROM problems AS p WHERE p.snapshot_id = s.snapshot_id AND p.severity = 'error') AS errors,
  (SELECT count(*) FROM problems AS p WHERE p.snapshot_id = s.snapshot_id) AS problems,
  s.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots) AS selected
FROM snapshots AS s JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:host, '') IS NULL OR h.host = :host
ORDER BY s.ordered_at DESC, s.uid DESC;
