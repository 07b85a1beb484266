-- title = "The records that build on a build-cache record"
-- description = "Only records that build on it directly."
-- first = ["record_id", "description", "size"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the record_id" }
-- [columns]
-- record_id = "the record"
-- description = "what BuildKit says it is"
-- record_type = "its type"
-- directory = "directory that holds its data"
-- size = "bytes as BuildKit measured them"

SELECT b.record_id, b.description, b.record_type, b.cache_id AS directory, b.size FROM build_cache AS b
WHERE b.snapshot_id = :snapshot AND (b.parent_record_id = :id OR b.record_id IN (
  SELECT record_id FROM build_cache_parents WHERE snapshot_id = :snapshot AND parent_record_id = :id))
ORDER BY b.record_id;
