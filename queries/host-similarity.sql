-- title = "How much of their layers two hosts have in common"
-- description = "One row for each pair of hosts, in both directions; pairs without a layer in common are left out. Layers are compared by content. Bytes are NULL where a size in them is not known. The time grows with the square of the number of hosts: name a host where there are hundreds."
-- first = ["host", "other", "similarity", "shared_bytes", "own_bytes", "other_bytes"]
-- [params]
-- host = { type = "host", help = "only pairs of this host" }
-- [columns]
-- other = "the other host"
-- shared_layers = "contents that both have"
-- shared_bytes = "bytes of these"
-- own_bytes = "bytes of contents that the other host lacks"
-- other_bytes = "bytes of contents that only the other host has"
-- similarity = "shared bytes in percent of all that one of them has"
-- host = "the host"

WITH held AS MATERIALIZED (
  SELECT y.diff_id, s.host_id, max(y.size) AS size
  FROM selected_snapshots CROSS JOIN snapshots AS s USING (snapshot_id) CROSS JOIN numbered_layers AS y USING (snapshot_id)
  WHERE y.diff_id <> 0 GROUP BY y.diff_id, s.host_id
),
chosen AS MATERIALIZED (
  SELECT x.* FROM hosts AS h JOIN held AS x USING (host_id) WHERE nullif(:host, '') IS NULL OR h.name = :host
),
-- count(x) = count(*): a sum of which a part is unknown is unknown.
totals AS MATERIALIZED (
  SELECT host_id, CASE WHEN count(size) = count(*) THEN CAST(total(size) AS INTEGER) END AS bytes FROM held GROUP BY host_id
),
pairs AS MATERIALIZED (
  SELECT x.host_id, y.host_id AS other_id, count(*) AS layers,
    CASE WHEN count(coalesce(x.size, y.size)) = count(*)
      THEN CAST(total(coalesce(max(x.size, y.size), x.size, y.size)) AS INTEGER) END AS shared,
    CASE WHEN count(x.size) = count(*) THEN CAST(total(x.size) AS INTEGER) END AS mine,
    CASE WHEN count(y.size) = count(*) THEN CAST(total(y.size) AS INTEGER) END AS theirs
  -- CROSS JOIN: SQLite reads all once and looks into the few.
  FROM held AS y CROSS JOIN chosen AS x ON x.diff_id = y.diff_id AND x.host_id <> y.host_id
  GROUP BY x.host_id, y.host_id
)
SELECT o.name AS other, p.layers AS shared_layers, p.shared AS shared_bytes, t.bytes - p.mine AS own_bytes, u.bytes - p.theirs AS other_bytes,
  round(100.0 * p.shared / nullif(p.shared + t.bytes - p.mine + u.bytes - p.theirs, 0), 1) AS similarity, h.name AS host
FROM pairs AS p JOIN hosts AS h ON h.host_id = p.host_id JOIN hosts AS o ON o.host_id = p.other_id
JOIN totals AS t ON t.host_id = p.host_id JOIN totals AS u ON u.host_id = p.other_id
ORDER BY host, p.host_id, p.shared DESC, other, p.other_id;
