-- title = "Images without a tag"
-- description = "Images without a tag and without children, as docker images --filter dangling=true lists them and docker image prune removes them: usually what a tag named before it moved, also what was pulled by digest. unknown: the list of names was not read whole."
-- first = ["image_id", "standing", "because", "created_at", "unique_size"]
-- [columns]
-- image_id = "the image"
-- standing = "unused (no tag names it) or unknown"
-- because = "for unknown: what may name it and was not read"
-- created_at = "when it was created"
-- size = "sum of the sizes of its layers"
-- unique_size = "bytes in layers that no other listed image has"
-- parent_image_id = "the parent that was recorded for it"
-- last_created_by = "its last build step"
-- containers = "how many containers were made of it"
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
SELECT i.image_id, iif(t.dangling, 'unused', 'unknown') AS standing, t.because, i.created_at, i.size,
  CASE WHEN i.size IS NOT NULL THEN u.unique_size END AS unique_size,
  i.parent_image_id,
  (SELECT created_by FROM image_history AS s
   WHERE s.snapshot_id = i.snapshot_id AND s.image_id = i.image_id ORDER BY position DESC LIMIT 1) AS last_created_by,
  (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id) AS containers,
  h.host
FROM sums AS u
CROSS JOIN images AS i USING (snapshot_id, image_id)
JOIN image_danglings AS t ON t.snapshot_id = i.snapshot_id AND t.image_id = i.image_id
JOIN snapshot_hosts AS h ON h.snapshot_id = i.snapshot_id
WHERE t.dangling IS NOT 0
ORDER BY h.host, i.snapshot_id, rtrim(i.created_at, 'Z') DESC, i.image_id;
