-- title = "Directories that nothing needs, and how sure that is"
-- description = "certain: nothing names it - no layer, container, mount, build-cache record, unfinished layer or lower of a live directory - every source that could name it was read, and it existed before and after that. likely: half written or half removed, so a leftover unless an engine is still working on it. unknown: no owner was found, but a source that may name one was not read completely. Writable layers without a container are in stale-mounts. Nothing here deletes anything. Check first: scan again as root while no engine works, ask query owner and /proc/mounts for the directory, look at newest; then try docker system prune and docker builder prune, or restart the engine, which finishes removals."
-- first = ["cache_id", "confidence", "reason", "disk_bytes", "newest"]
-- [params]
-- confidence = { values = ["certain", "likely", "unknown"], help = "only directories with this confidence" }
-- [columns]
-- cache_id = "name of the directory"
-- role = "orphan, removing, in-flight, foreign or unknown"
-- confidence = "certain, likely or unknown that nothing needs it"
-- reason = "why we think so"
-- link = "its short name in l/"
-- lower_count = "how many directories are below it"
-- children = "directories whose lower names it"
-- apparent_bytes = "sum of st_size; NULL when its files were not indexed"
-- disk_bytes = "bytes on disk of all of it, as du counts, after scan --walk, else of its diff folder alone; NULL when not counted"
-- files = "files and folders of its diff folder, 1 for an empty one: that itself is among them; NULL when not indexed"
-- newest = "latest modification time of its files and folders; NULL when not indexed"
-- scope = "how far the scan read: metadata, files or walk"
-- scanned_at = "when the scan began"
-- host = "the host"

WITH found AS (
  SELECT d.*, (SELECT u.disk_bytes FROM disk_usage AS u
      WHERE u.snapshot_id = d.snapshot_id AND u.category = d.role AND u.owner = d.cache_id) AS whole_bytes, t.because, s.scope, s.started_at, (
    SELECT group_concat(owner, ', ') FROM (SELECT o.owner FROM overlay_dir_owners AS o
      WHERE o.snapshot_id = d.snapshot_id AND o.cache_id = d.cache_id AND o.kind IN ('removing', 'writing') ORDER BY 1)) AS named
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN overlay_dirs AS d USING (snapshot_id)
  JOIN directory_standings AS t ON t.snapshot_id = d.snapshot_id AND t.cache_id = d.cache_id
  WHERE d.role IN ('orphan', 'removing', 'in-flight', 'foreign', 'unknown')
),
judged AS (
  SELECT f.*,
    CASE WHEN f.role = 'orphan' THEN 'certain' WHEN f.named IS NOT NULL AND f.role <> 'unknown' THEN 'likely' ELSE 'unknown' END
      AS confidence,
    CASE
      WHEN f.role = 'orphan' THEN 'nothing names it, and every source that could was read'
      WHEN f.role = 'foreign' THEN 'the driver makes no directory of that name: somebody put it there'
      WHEN f.role = 'removing' THEN 'its removal was begun and not finished' || coalesce(': ' || f.named, '')
      WHEN f.named IS NOT NULL THEN 'it is being written, or was when the engine died: ' || f.named
      WHEN f.role = 'in-flight' THEN 'it came while the scan read'
      WHEN f.because GLOB 'in the lower of *' THEN 'nothing owns it, but it is named ' || f.because
      ELSE 'no owner was found, but not every source was read whole' || coalesce(': ' || f.because, '')
    END AS reason
  FROM found AS f
)
SELECT j.cache_id, j.role, j.confidence, j.reason, j.link, j.lower_count,
  (SELECT group_concat(cache_id, ', ') FROM (SELECT DISTINCT o.cache_id FROM overlay_lowers AS o
     WHERE o.snapshot_id = j.snapshot_id AND o.lower_cache_id = j.cache_id ORDER BY 1)) AS children,
  j.apparent_bytes, j.whole_bytes AS disk_bytes, j.entry_count AS files,
  (SELECT n.newest FROM newest_changes AS n WHERE n.listing_id = j.listing_id) AS newest,
  j.scope, j.started_at AS scanned_at,
  h.host
FROM judged AS j JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:confidence, '') IS NULL OR j.confidence = :confidence
ORDER BY h.host, j.snapshot_id, j.confidence, j.whole_bytes DESC, j.apparent_bytes DESC, j.cache_id;
