-- title = "Images without a container"
-- description = "Images that docker images lists and of which nothing was made: no container of this store, running or not, nor of another store of the host that was scanned with it, no manifest list names them, and Kubernetes does not keep them pinned. unknown: no user was found, but a source that may name a container was not read whole. unique_size is what no other image needs; the build cache may still hold it."
-- first = ["image", "standing", "because", "age_days", "unique_size"]
-- [columns]
-- image = "tags of the image, or its id"
-- image_id = "the image"
-- standing = "unused or unknown"
-- because = "for unknown: what may name a container and was not read"
-- created_at = "when it was created"
-- last_updated_at = "when a tag was last put on it"
-- age_days = "whole days from its creation to the scan"
-- size = "sum of the sizes of its layers"
-- unique_size = "bytes in layers that no other listed image has"
-- host = "the host"

WITH sums AS MATERIALIZED (
  SELECT snapshot_id, image_id,
    CAST(total(size) FILTER (WHERE times > 1) AS INTEGER) AS shared_size,
    CAST(total(size) FILTER (WHERE times = 1) AS INTEGER) AS unique_size
  FROM (
    SELECT i.snapshot_id, i.image_id, l.size, count(*) OVER (PARTITION BY i.snapshot_id, l.chain_id) AS times
    FROM selected_snapshots JOIN listed_images AS i USING (snapshot_id)
    JOIN placed_layers AS l ON l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id
    UNION ALL SELECT snapshot_id, image_id, NULL, 0 FROM selected_snapshots JOIN listed_images USING (snapshot_id))
  GROUP BY snapshot_id, image_id
)
SELECT n.label AS image, i.image_id, t.standing, t.because, i.created_at, i.last_updated_at,
  CAST(julianday(s.started_at) - julianday(i.created_at) AS INTEGER) AS age_days,
  i.size,
  CASE WHEN i.size IS NOT NULL THEN u.unique_size END AS unique_size,
  h.host
FROM sums AS u
CROSS JOIN images AS i USING (snapshot_id, image_id)
JOIN image_standings AS t USING (snapshot_id, image_id)
JOIN image_labels AS n USING (snapshot_id, image_id)
JOIN snapshots AS s ON s.snapshot_id = i.snapshot_id
JOIN snapshot_hosts AS h ON h.snapshot_id = i.snapshot_id
WHERE t.standing <> 'used'
ORDER BY unique_size DESC, h.host, i.snapshot_id, i.image_id;
