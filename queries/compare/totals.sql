-- title = "How much there is to compare in two snapshots"
-- description = "For each section of layerindex compare how many things each side has, and their bytes. Things that both have and that differ in nothing are those of a side less the rows of the section's own query about it."
-- first = ["section", "a_things", "b_things", "a_bytes", "b_bytes"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- position = "order of the sections"
-- section = "the section"
-- a_things = "images as docker images lists them, tags, layers by content, containers, volumes, tags that both have, records, problems and orphans, categories"
-- b_things = "the same in b"
-- a_bytes = "bytes of layers at all places, writable layers, volumes, records, orphans, categories; NULL where they would count twice or are unknown"
-- b_bytes = "the same in b"

-- total() and not sum(): sizes that a store claims may be more than 63 bits together, and sum() would fail.
WITH sides AS (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b),
counted (position, section, side, things, bytes) AS (
  SELECT 1, 'images', s.side, (SELECT count(*) FROM listed_images AS i WHERE i.snapshot_id = s.snapshot_id), NULL FROM sides AS s
  UNION ALL
  SELECT 2, 'tags', s.side, (
    SELECT count(DISTINCT r.normalized) FROM image_refs AS r WHERE r.snapshot_id = s.snapshot_id AND r.tag IS NOT NULL), NULL
  FROM sides AS s
  UNION ALL
  SELECT 3, 'layers', y.side, count(DISTINCT y.diff_id), CASE WHEN count(y.size) FILTER (WHERE y.diff_id IS NOT NULL) = nullif(count(y.diff_id), 0)
    THEN CAST(total(y.size) FILTER (WHERE y.diff_id IS NOT NULL) AS INTEGER) END
  FROM (SELECT s.side, y.diff_id, y.size FROM sides AS s CROSS JOIN layers AS y USING (snapshot_id)
    UNION ALL SELECT side, NULL, NULL FROM sides) AS y GROUP BY y.side
  UNION ALL
  SELECT 4, 'containers', c.side, count(c.container_id), CASE WHEN count(c.apparent_bytes) = nullif(count(c.container_id), 0)
    THEN CAST(total(c.apparent_bytes) AS INTEGER) END
  FROM (SELECT s.side, c.container_id,
      (SELECT d.apparent_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = c.mount_id) AS apparent_bytes
    FROM sides AS s LEFT JOIN containers AS c USING (snapshot_id)) AS c GROUP BY c.side
  UNION ALL
  SELECT 5, 'volumes', s.side, count(v.name), CASE WHEN count(coalesce(v.disk_bytes, v.apparent_bytes)) = nullif(count(v.name), 0)
    THEN CAST(total(coalesce(v.disk_bytes, v.apparent_bytes)) AS INTEGER) END
  FROM sides AS s LEFT JOIN volumes AS v USING (snapshot_id) GROUP BY s.side
  UNION ALL
  SELECT 6, 'files', s.side, (
    SELECT count(DISTINCT x.normalized) FROM image_refs AS x
    JOIN image_refs AS y ON y.snapshot_id = :b AND y.normalized = x.normalized
    WHERE x.snapshot_id = :a AND x.tag IS NOT NULL), NULL
  FROM sides AS s
  UNION ALL
  SELECT 7, 'build-cache', s.side, count(r.record_id), CASE WHEN count(r.size) FILTER (WHERE m.record_id IS NULL) = nullif(count(r.record_id) FILTER (WHERE m.record_id IS NULL), 0)
    THEN CAST(total(r.size) FILTER (WHERE m.record_id IS NULL) AS INTEGER) END
  FROM sides AS s LEFT JOIN build_cache AS r USING (snapshot_id)
  -- A record whose data is still a mutable one's: docker counts the mutable one alone.
  LEFT JOIN build_cache AS m ON m.snapshot_id = r.snapshot_id AND m.record_id = r.equal_mutable GROUP BY s.side
  UNION ALL
  SELECT 8, 'problems', d.side, (SELECT count(*) FROM problems AS p WHERE p.snapshot_id = d.snapshot_id) + count(d.cache_id),
    CASE WHEN count(coalesce(d.disk_bytes, d.apparent_bytes)) = nullif(count(d.cache_id), 0)
    THEN CAST(total(coalesce(d.disk_bytes, d.apparent_bytes)) AS INTEGER) END
  FROM (SELECT s.side, s.snapshot_id, d.cache_id, d.disk_bytes, d.apparent_bytes
      FROM sides AS s CROSS JOIN overlay_dirs AS d USING (snapshot_id) WHERE d.role = 'orphan'
    UNION ALL SELECT side, snapshot_id, NULL, NULL, NULL FROM sides) AS d GROUP BY d.side, d.snapshot_id
  UNION ALL
  SELECT 9, 'sizes', s.side,
    CASE WHEN count(s.category) > 0 THEN count(DISTINCT s.category) ELSE
      EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = s.snapshot_id)
      + EXISTS (SELECT 1 FROM containers AS c WHERE c.snapshot_id = s.snapshot_id AND c.log_bytes IS NOT NULL)
      + EXISTS (SELECT 1 FROM build_cache AS r WHERE r.snapshot_id = s.snapshot_id) END,
    CASE WHEN count(s.category) = count(s.disk_bytes) THEN CAST(total(s.disk_bytes) AS INTEGER) END
  FROM (
    SELECT s.side, s.snapshot_id, u.category, u.disk_bytes FROM sides AS s JOIN disk_usage AS u USING (snapshot_id)
    UNION ALL SELECT side, snapshot_id, NULL, NULL FROM sides
  ) AS s GROUP BY s.side, s.snapshot_id
)
SELECT position, section, max(things) FILTER (WHERE side = 'a') AS a_things, max(things) FILTER (WHERE side = 'b') AS b_things,
  max(bytes) FILTER (WHERE side = 'a') AS a_bytes, max(bytes) FILTER (WHERE side = 'b') AS b_bytes
FROM counted GROUP BY position, section
ORDER BY position;
