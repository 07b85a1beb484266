-- title = "Bytes of layers stored over all hosts, against distinct bytes"
-- description = "The first row is the whole fleet, then one for each host. Layers are counted by content, by diff_id; where hosts know different sizes of one layer, the largest counts. Bytes are NULL where a size in them is not known."
-- first = ["host", "stored_bytes", "distinct_bytes", "unique_bytes"]
-- [params]
-- host = { type = "host", help = "only this host's row" }
-- [columns]
-- stored_layers = "layers at all places on all hosts"
-- distinct_layers = "different contents among them"
-- stored_bytes = "bytes of all of them"
-- distinct_bytes = "bytes of the different contents"
-- unique_layers = "contents that one host alone has"
-- unique_bytes = "bytes of these"
-- host = "the host; NULL for the fleet"

-- count(x) = count(*): a sum of which a part is unknown is unknown.
WITH held AS MATERIALIZED (
  SELECT y.diff_id, s.host_id, count(*) AS places,
    CASE WHEN count(y.size) = count(*) THEN CAST(total(y.size) AS INTEGER) END AS stored, max(y.size) AS size
  FROM selected_snapshots CROSS JOIN snapshots AS s USING (snapshot_id) CROSS JOIN numbered_layers AS y USING (snapshot_id)
  WHERE y.diff_id <> 0 GROUP BY y.diff_id, s.host_id
),
contents AS MATERIALIZED (SELECT diff_id, count(*) AS hosts, max(size) AS size FROM held GROUP BY diff_id),
sums AS (
  SELECT NULL AS host_id, (SELECT sum(places) FROM held) AS stored_layers, count(*) AS distinct_layers,
    (SELECT CASE WHEN count(stored) = count(*) THEN CAST(total(stored) AS INTEGER) END FROM held) AS stored_bytes,
    CASE WHEN count(size) = count(*) THEN CAST(total(size) AS INTEGER) END AS distinct_bytes, sum(hosts = 1) AS unique_layers,
    CASE WHEN count(size) FILTER (WHERE hosts = 1) = sum(hosts = 1)
      THEN CAST(total(size) FILTER (WHERE hosts = 1) AS INTEGER) END AS unique_bytes
  FROM contents
  UNION ALL
  SELECT x.host_id, sum(x.places), count(*), CASE WHEN count(x.stored) = count(*) THEN CAST(total(x.stored) AS INTEGER) END,
    CASE WHEN count(x.size) = count(*) THEN CAST(total(x.size) AS INTEGER) END, sum(c.hosts = 1),
    CASE WHEN count(x.size) FILTER (WHERE c.hosts = 1) = sum(c.hosts = 1)
      THEN CAST(total(x.size) FILTER (WHERE c.hosts = 1) AS INTEGER) END
  FROM held AS x JOIN contents AS c USING (diff_id) GROUP BY x.host_id
)
SELECT u.stored_layers, u.distinct_layers, u.stored_bytes, u.distinct_bytes, u.unique_layers, u.unique_bytes, h.name AS host
FROM sums AS u LEFT JOIN hosts AS h ON h.host_id = u.host_id
WHERE nullif(:host, '') IS NULL OR h.name = :host
ORDER BY host, u.host_id;
