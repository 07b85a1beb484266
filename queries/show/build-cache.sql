-- title = "The build-cache records of a directory or layer"
-- description = "Records that keep their data in the directory, and those that pin its layer."
-- first = ["record_id", "description", "holds", "size", "last_used_at"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory" }
-- chain = { help = "a layer that is asked about itself" }
-- [columns]
-- record_id = "the record"
-- record_type = "regular, internal, frontend, source.local, source.git.checkout or exec.cachemount"
-- description = "what BuildKit says it is"
-- holds = "data when the directory is the record's, layer when it only pins the layer"
-- size = "bytes as BuildKit measured them"
-- created_at = "when it was made"
-- last_used_at = "when it was last used"
-- usage_count = "how often it was used"
-- cache_mount = "id of the cache mount it holds"
-- parent_record_id = "the record it builds on"

WITH chains AS MATERIALIZED (
  SELECT chain_id FROM layers WHERE cache_id = :directory AND +snapshot_id = :snapshot
  UNION SELECT :chain WHERE :chain IS NOT NULL
)
SELECT b.record_id, b.record_type, b.description, CASE WHEN b.cache_id = :directory THEN 'data' ELSE 'layer' END AS holds,
  b.size, b.created_at, b.last_used_at, b.usage_count, b.cache_mount, b.parent_record_id
FROM build_cache AS b
WHERE b.snapshot_id = :snapshot AND (b.cache_id = :directory OR b.chain_id IN (SELECT chain_id FROM chains))
ORDER BY holds, b.record_id;
