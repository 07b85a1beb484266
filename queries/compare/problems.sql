-- title = "Problems and orphans that only one of two snapshots has"
-- description = "Problems are matched by kind, path and subject; a directory that nothing owns counts as a problem of the kind orphan. Read as before and after: only a is gone, only b is new. Two hosts have few paths in common."
-- first = ["change", "severity", "code", "path", "subject", "detail"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a or only b"
-- severity = "error, warning or info"
-- code = "kind of problem; layerindex schema codes explains it"
-- path = "where, relative to the root"
-- subject = "the id or name it concerns"
-- detail = "what was found"
-- bytes = "bytes of an orphan"

WITH known AS MATERIALIZED (
  SELECT *, row_number() OVER (PARTITION BY side, code, path, subject ORDER BY detail) AS place FROM (
    SELECT s.side, p.severity, p.code, p.path, p.subject, p.detail, NULL AS bytes
    FROM (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b) AS s
    JOIN problems AS p ON p.snapshot_id = s.snapshot_id
    UNION ALL
    SELECT s.side, 'warning', 'orphan', h.folder || '/' || d.cache_id, d.cache_id, 'nothing owns this directory',
      coalesce(d.disk_bytes, d.apparent_bytes)
    FROM (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b) AS s
    JOIN snapshots AS h ON h.snapshot_id = s.snapshot_id
    JOIN overlay_dirs AS d ON d.snapshot_id = s.snapshot_id WHERE d.role = 'orphan')
)
SELECT CASE side WHEN 'a' THEN 'only a' ELSE 'only b' END AS change, k.severity, k.code, k.path, k.subject, k.detail, k.bytes
FROM known AS k
WHERE NOT EXISTS (
  SELECT 1 FROM known AS o WHERE o.side <> k.side AND o.code = k.code AND o.path = k.path AND o.subject IS k.subject
    AND o.place = k.place)
ORDER BY change, k.code, k.path, k.subject, k.place;
