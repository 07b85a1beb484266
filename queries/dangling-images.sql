-- title = "Images that nothing names"
-- description = "Images without a tag or digest and without children, as docker images --filter dangling=true lists them: usually what a tag named before it moved."
-- [columns]
-- image_id = "the image"
-- created_at = "when it was created"
-- size = "sum of the sizes of its layers"
-- unique_size = "bytes in layers that no other listed image has"
-- parent_image_id = "the parent that was recorded for it"
-- last_created_by = "its last build step"
-- containers = "how many containers were made of it"
-- host = "the host"

WITH uses AS MATERIALIZED (
  SELECT snapshot_id, chain_id, count(*) AS times
  FROM selected_snapshots JOIN listed_images USING (snapshot_id) JOIN image_layers USING (snapshot_id, image_id)
  GROUP BY snapshot_id, chain_id
)
SELECT i.image_id, i.created_at, i.size,
  CASE WHEN i.size IS NOT NULL THEN coalesce((
    SELECT sum(y.size) FROM image_layers AS l
    JOIN uses AS u USING (snapshot_id, chain_id) JOIN layers AS y USING (snapshot_id, chain_id)
    WHERE l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id AND u.times = 1), 0) END AS unique_size,
  i.parent_image_id,
  (SELECT created_by FROM image_history AS s
   WHERE s.snapshot_id = i.snapshot_id AND s.image_id = i.image_id ORDER BY position DESC LIMIT 1) AS last_created_by,
  (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id) AS containers,
  h.host
FROM selected_snapshots
JOIN listed_images USING (snapshot_id)
JOIN images AS i USING (snapshot_id, image_id)
JOIN snapshot_hosts AS h ON h.snapshot_id = i.snapshot_id
WHERE NOT EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id)
ORDER BY h.host, i.snapshot_id, i.created_at DESC, i.image_id;
