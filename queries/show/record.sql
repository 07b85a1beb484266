-- title = "A build-cache record"
-- description = "What BuildKit's databases say of it."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the record_id" }
-- [columns]
-- record_id = "the record"
-- record_type = "regular, internal, frontend, source.local, source.git.checkout or exec.cachemount"
-- description = "what BuildKit says it is"
-- directory = "directory that holds its data; NULL when there is none or it cannot be told"
-- size = "bytes as BuildKit measured them"
-- created_at = "when it was made"
-- last_used_at = "when it was last used; NULL for never"
-- usage_count = "how often it was used"
-- committed = "1 when it is immutable"
-- equal_mutable = "the mutable record that still holds its data"
-- chain_id = "the layer it is, or pins"
-- diff_id = "that layer's diff_id"
-- image_refs = "image references that led to it, as a JSON list"
-- cache_mount = "id of the cache mount it holds"
-- snapshot_key = "its key in snapshots.db"
-- deleting = "1 when its removal was begun and not finished"

SELECT b.record_id, b.record_type, b.description, b.cache_id AS directory, b.size, b.created_at, b.last_used_at, b.usage_count,
  b.committed, b.equal_mutable, b.chain_id, b.diff_id, b.image_refs, b.cache_mount, b.snapshot_key, b.deleting
FROM build_cache AS b
WHERE b.snapshot_id = :snapshot AND b.record_id = :id
ORDER BY b.record_id;
