-- title = "Build-cache records that only one of two snapshots has, or that changed"
-- description = "Records are matched by id, which tells one host's records from day to day. What is left is matched by type and description, in the order of creation, as ids are random on each host. Use is compared for one and the same record."
-- first = ["change", "description", "a_record_id", "b_record_id", "a_size", "b_size"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a, only b, or what differs: content, size, used"
-- description = "what BuildKit says it is"
-- record_type = "regular, internal, source.local …"
-- a_record_id = "the record in a"
-- b_record_id = "the record in b"
-- a_usage_count = "how often it was used"
-- b_usage_count = "how often it was used"
-- a_size = "bytes as BuildKit measured them"
-- b_size = "bytes as BuildKit measured them"
-- a_counted = "bytes as docker counts them: 0 for a record whose data is still another one's, as its equal_mutable says"
-- b_counted = "bytes as docker counts them, likewise"

WITH known AS MATERIALIZED (
  SELECT s.side, r.* FROM (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b) AS s
  JOIN build_cache AS r ON r.snapshot_id = s.snapshot_id
),
matched AS MATERIALIZED (
  SELECT k.*, o.record_id AS other, CASE WHEN EXISTS (
      SELECT 1 FROM known AS m WHERE m.side = k.side AND m.record_id = k.equal_mutable) THEN 0 ELSE k.size END AS counted, row_number() OVER (
    PARTITION BY k.side, o.record_id IS NULL, k.record_type, k.description ORDER BY rtrim(k.created_at, 'Z'), k.record_id) AS place
  FROM known AS k LEFT JOIN known AS o ON o.record_id = k.record_id AND o.side <> k.side
),
compared AS (
  SELECT CASE WHEN b.record_id IS NULL THEN 'only a' WHEN a.record_id IS NULL THEN 'only b' ELSE ltrim(
      CASE WHEN a.diff_id <> b.diff_id THEN ', content' ELSE '' END || CASE WHEN a.size <> b.size THEN ', size' ELSE '' END
      || CASE WHEN a.record_id = b.record_id AND (a.usage_count IS NOT b.usage_count OR a.last_used_at IS NOT b.last_used_at)
        THEN ', used' ELSE '' END, ', ') END AS change,
    coalesce(a.description, b.description) AS description, coalesce(a.record_type, b.record_type) AS record_type,
    a.record_id AS a_record_id, b.record_id AS b_record_id, a.usage_count AS a_usage_count, b.usage_count AS b_usage_count,
    a.size AS a_size, b.size AS b_size, a.counted AS a_counted, b.counted AS b_counted
  FROM (SELECT * FROM matched WHERE side = 'a') AS a
  FULL JOIN (SELECT * FROM matched WHERE side = 'b') AS b ON CASE WHEN a.other IS NOT NULL THEN b.record_id = a.record_id
    ELSE b.other IS NULL AND b.record_type IS a.record_type AND b.description IS a.description AND b.place = a.place END
)
SELECT * FROM compared WHERE change <> ''
ORDER BY change, description, record_type, a_record_id, b_record_id;
