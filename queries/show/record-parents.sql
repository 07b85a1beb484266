-- title = "The records that a build-cache record builds on"
-- description = "All records that it builds on, the nearest first; each once, however often it is named."
-- first = ["depth", "record_id", "description", "size"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the record_id" }
-- [columns]
-- depth = "1 for the nearest"
-- record_id = "the record"
-- description = "what BuildKit says it is; NULL when it is gone"
-- record_type = "its type"
-- directory = "directory that holds its data"
-- size = "bytes as BuildKit measured them"

WITH RECURSIVE links AS (
  SELECT record_id, parent_record_id FROM build_cache WHERE snapshot_id = :snapshot AND parent_record_id IS NOT NULL
  UNION SELECT record_id, parent_record_id FROM build_cache_parents WHERE snapshot_id = :snapshot
),
-- The nearest come first; the limit ends a circle.
parents (record_id, depth) AS (
  SELECT parent_record_id, 1 FROM links WHERE record_id = :id
  UNION
  SELECT l.parent_record_id, p.depth + 1 FROM parents AS p JOIN links AS l ON l.record_id = p.record_id LIMIT 1000
)
SELECT min(p.depth) AS depth, p.record_id, b.description, b.record_type, b.cache_id AS directory, b.size
FROM parents AS p LEFT JOIN build_cache AS b ON b.snapshot_id = :snapshot AND b.record_id = p.record_id
GROUP BY p.record_id
ORDER BY min(p.depth), p.record_id;
