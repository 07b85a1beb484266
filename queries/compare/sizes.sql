-- title = "What holds how many bytes in two snapshots"
-- description = "By category, as disk_usage says it; sums of layers, logs and build cache where a snapshot of an older version has no such figures. Bytes on disk were measured by scan --walk, and in part without it. A category that one side has not measured is only on the other."
-- first = ["change", "category", "a_disk_bytes", "b_disk_bytes", "a_apparent_bytes", "b_apparent_bytes", "grown_bytes"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a, only b, grew or shrank: what b is against a"
-- category = "what holds the bytes"
-- a_items = "how many layers, containers, volumes …"
-- b_items = "how many layers, containers, volumes …"
-- a_apparent_bytes = "sum of st_size, or as metadata says"
-- b_apparent_bytes = "sum of st_size, or as metadata says"
-- a_disk_bytes = "bytes on disk; NULL when not all of it was measured"
-- b_disk_bytes = "bytes on disk; NULL when not all of it was measured"
-- grown_bytes = "b less a: on disk where both were measured, else apparent"

-- total() and not sum(): sizes that a store claims may be more than 63 bits together, and sum() would fail.
WITH sides AS (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b),
unmeasured AS (
  SELECT * FROM sides AS s WHERE NOT EXISTS (SELECT 1 FROM disk_usage AS u WHERE u.snapshot_id = s.snapshot_id)
),
totals AS MATERIALIZED (
  SELECT s.side, u.category, count(*) AS items, CASE WHEN count(u.apparent_bytes) = count(*) THEN CAST(total(u.apparent_bytes) AS INTEGER) END AS apparent,
    CASE WHEN count(*) = count(u.disk_bytes) THEN CAST(total(u.disk_bytes) AS INTEGER) END AS disk
  FROM sides AS s JOIN disk_usage AS u ON u.snapshot_id = s.snapshot_id GROUP BY s.side, u.category
  UNION ALL
  SELECT s.side, 'image layer', count(*), CASE WHEN count(y.size) = count(*) THEN CAST(total(y.size) AS INTEGER) END, NULL
  FROM unmeasured AS s JOIN layers AS y ON y.snapshot_id = s.snapshot_id GROUP BY s.side
  UNION ALL
  SELECT s.side, 'container logs', count(*), CAST(total(c.log_bytes) AS INTEGER), NULL
  FROM unmeasured AS s JOIN containers AS c ON c.snapshot_id = s.snapshot_id WHERE c.log_bytes IS NOT NULL GROUP BY s.side
  UNION ALL
  SELECT s.side, 'build cache', count(*), CASE WHEN count(r.size) = count(*) THEN CAST(total(r.size) AS INTEGER) END, NULL
  FROM unmeasured AS s JOIN build_cache AS r ON r.snapshot_id = s.snapshot_id
  WHERE NOT EXISTS (SELECT 1 FROM build_cache AS m WHERE m.snapshot_id = r.snapshot_id AND m.record_id = r.equal_mutable)
  GROUP BY s.side
),
compared AS (
  SELECT coalesce(a.category, b.category) AS category, a.items AS a_items, b.items AS b_items,
    a.apparent AS a_apparent_bytes, b.apparent AS b_apparent_bytes, a.disk AS a_disk_bytes, b.disk AS b_disk_bytes,
    coalesce(b.disk - a.disk, b.apparent - a.apparent) AS grown_bytes
  FROM (SELECT * FROM totals WHERE side = 'a') AS a
  FULL JOIN (SELECT * FROM totals WHERE side = 'b') AS b ON b.category = a.category
)
SELECT CASE WHEN b_items IS NULL THEN 'only a' WHEN a_items IS NULL THEN 'only b' WHEN grown_bytes > 0 THEN 'grew'
  ELSE 'shrank' END AS change, *
FROM compared WHERE a_items IS NULL OR b_items IS NULL OR grown_bytes <> 0
ORDER BY category;
