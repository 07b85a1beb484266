-- title = "Build-cache records and the directories they hold"
-- description = "BuildKit's cache, largest first. shared as docker system df says it: the record, or one that builds on it, is a layer of an image, so a prune of the cache frees nothing. disk_bytes are those of all files in the directory, in its diff folder, which several records may hold. Whether a build uses a record just now is in the engine's memory only."
-- first = ["record_id", "description", "size", "reclaimable", "last_used_at"]
-- [params]
-- type = { help = "only this record_type, such as exec.cachemount" }
-- [columns]
-- record_id = "the record"
-- record_type = "regular, internal, frontend, source.local, source.git.checkout or exec.cachemount"
-- description = "what BuildKit says it is"
-- size = "bytes as BuildKit measured them; where it did not, as the engine will: of its layer, or of the files in its directory; NULL when not known"
-- reclaimable = "bytes that docker system df calls reclaimable: 0 when shared or counted at same_as, else size"
-- shared = "1 when an image has its layer, or that of a record that builds on it, else 0"
-- images = "tags or ids of the listed images that have its layer"
-- created_at = "when it was made"
-- last_used_at = "when it was last used; NULL for never"
-- usage_count = "how often it was used"
-- cache_mount = "id of the cache mount it holds"
-- image_refs = "image references that led to it"
-- parents = "records it builds on"
-- children = "how many records build on it"
-- committed = "1 when it is immutable, 0 when it can still be written"
-- cache_id = "directory that holds its data; NULL when there is none or it cannot be told"
-- disk_bytes = "bytes on disk of the files of that directory; NULL when not walked"
-- same_as = "record that still holds its data, and that docker lists in its place"
-- chain_id = "chain_id of the layer it is, or pins"
-- deleting = "1 when its removal was begun and not finished"
-- host = "the host"

WITH RECURSIVE shared (snapshot_id, record_id) AS (
  SELECT b.snapshot_id, b.record_id FROM selected_snapshots JOIN build_cache AS b USING (snapshot_id)
  WHERE EXISTS (SELECT 1 FROM image_layers AS l WHERE l.chain_id = b.chain_id AND l.snapshot_id = b.snapshot_id)
  UNION
  SELECT p.snapshot_id, p.parent_record_id
  FROM shared AS s JOIN build_cache_parents AS p ON p.snapshot_id = s.snapshot_id AND p.record_id = s.record_id
),
children AS MATERIALIZED (
  SELECT snapshot_id, parent_record_id AS record_id, count(DISTINCT p.record_id) AS children
  FROM selected_snapshots JOIN build_cache_parents AS p USING (snapshot_id) GROUP BY snapshot_id, parent_record_id
),
labels AS MATERIALIZED (
  SELECT l.snapshot_id, l.image_id, n.label
  FROM selected_snapshots JOIN listed_images AS l USING (snapshot_id) JOIN image_labels AS n USING (snapshot_id, image_id)
),
layer_names AS MATERIALIZED (
  SELECT snapshot_id, chain_id, group_concat(label, '; ') AS names FROM (
    -- CROSS JOIN: SQLite keeps this order.
    SELECT DISTINCT n.snapshot_id, l.chain_id, n.label
    FROM labels AS n CROSS JOIN image_layers AS l ON l.snapshot_id = n.snapshot_id AND l.image_id = n.image_id
    WHERE (l.snapshot_id, l.chain_id) IN (SELECT snapshot_id, chain_id FROM build_cache)
    ORDER BY n.snapshot_id, l.chain_id, n.label)
  GROUP BY snapshot_id, chain_id
),
records AS MATERIALIZED (
  SELECT b.*, coalesce(b.size, (
      SELECT y.size FROM layers AS y
      WHERE y.snapshot_id = b.snapshot_id AND y.chain_id = b.chain_id AND y.cache_id = b.cache_id), (SELECT d.apparent_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = b.snapshot_id AND d.cache_id = b.cache_id)) AS bytes,
    (SELECT d.disk_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = b.snapshot_id AND d.cache_id = b.cache_id) AS disk_bytes, (b.snapshot_id, b.record_id) IN (SELECT snapshot_id, record_id FROM shared) AS shared, (
    SELECT o.record_id FROM build_cache AS o
    WHERE o.snapshot_id = b.snapshot_id AND o.record_id = b.equal_mutable) AS same_as
  -- The plus lets SQLite expect many records, and make an index of what is joined to them.
  FROM build_cache AS b
  WHERE +b.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots)
)
SELECT b.record_id, b.record_type, b.description, b.bytes AS size,
  CASE WHEN b.shared OR b.same_as IS NOT NULL THEN 0 ELSE b.bytes END AS reclaimable,
  b.shared, k.names AS images, b.created_at, b.last_used_at, b.usage_count, b.cache_mount,
  (SELECT group_concat(value, ', ') FROM (SELECT j.value
     FROM json_each(CASE WHEN json_valid(b.image_refs) THEN b.image_refs ELSE '[]' END) AS j ORDER BY 1)) AS image_refs,
  (SELECT group_concat(parent_record_id, ', ') FROM (SELECT p.parent_record_id FROM build_cache_parents AS p
     WHERE p.snapshot_id = b.snapshot_id AND p.record_id = b.record_id ORDER BY p.position)) AS parents,
  coalesce(c.children, 0) AS children,
  b.committed, b.cache_id, b.disk_bytes, b.same_as, b.chain_id, b.deleting,
  h.host
FROM records AS b
LEFT JOIN children AS c ON c.snapshot_id = b.snapshot_id AND c.record_id = b.record_id
LEFT JOIN layer_names AS k ON k.snapshot_id = b.snapshot_id AND k.chain_id = b.chain_id
JOIN snapshot_hosts AS h ON h.snapshot_id = b.snapshot_id
WHERE nullif(:type, '') IS NULL OR b.record_type = :type
ORDER BY b.bytes DESC, h.host, b.snapshot_id, b.record_id;
