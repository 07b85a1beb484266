-- title = "When each image was last used, longest ago first"
-- description = "No engine records when an image is used: last_used is the time of the latest trace. A container was created, started or ended; one that is running, as saved, counts as used when the scan was made. BuildKit used its top layer in a build; a tag was put on it, by a pull, build or tag. NULL when there is no such trace: it may have been used by containers that are gone. Traces go with the container or record that bears them."
-- first = ["image", "last_used", "days", "containers"]
-- [params]
-- image = { type = "image", help = "only this image" }
-- [columns]
-- image = "tags of the image, or its id"
-- image_id = "the image"
-- last_used = "the latest of the times that follow; the scan's own when a container runs"
-- containers = "how many containers were made of it, of those that could be read; unused-images says what was not"
-- running = "how many of them were running, paused or restarting when last saved"
-- last_created = "when the newest of them was created"
-- last_started = "when one of them last started"
-- last_finished = "when one of them last ended"
-- last_built_on = "when BuildKit last used its top layer"
-- last_updated_at = "when a tag was last put on it; NULL when not recorded"
-- created_at = "when the image was created, wherever that was"
-- days = "whole days from last_used to the scan"
-- host = "the host"

-- Without the Z at its end a time sorts as text: 05Z is after 05.1Z.
WITH containers_of AS MATERIALIZED (
  SELECT c.snapshot_id, c.image_id, count(*) AS containers,
    count(*) FILTER (WHERE c.state IN ('running', 'paused', 'restarting')) AS running, max(rtrim(c.created_at, 'Z')) || 'Z' AS last_created,
    max(rtrim(c.started_at, 'Z')) || 'Z' AS last_started, max(rtrim(c.finished_at, 'Z')) || 'Z' AS last_finished
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id) GROUP BY c.snapshot_id, c.image_id
),
builds AS MATERIALIZED (
  SELECT snapshot_id, chain_id, max(rtrim(b.last_used_at, 'Z')) || 'Z' AS last_used_at
  FROM selected_snapshots JOIN build_cache AS b USING (snapshot_id) WHERE b.chain_id IS NOT NULL
  GROUP BY snapshot_id, chain_id
),
traces AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, i.created_at, i.last_updated_at, s.started_at AS scanned_at,
    coalesce(c.containers, 0) AS containers, coalesce(c.running, 0) AS running, c.last_created, c.last_started,
    c.last_finished, b.last_used_at AS last_built_on
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id)
  JOIN listed_images AS k USING (snapshot_id)
  JOIN images AS i ON i.snapshot_id = k.snapshot_id AND i.image_id = k.image_id
  LEFT JOIN builds AS b ON b.snapshot_id = i.snapshot_id AND b.chain_id = (
    SELECT l.chain_id FROM image_layers AS l
    WHERE l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id AND l.position = i.layer_count - 1)
  LEFT JOIN containers_of AS c ON c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id
),
used AS (
  SELECT t.*, nullif(CASE WHEN t.running > 0 THEN t.scanned_at ELSE max(rtrim(coalesce(t.last_created, ''), 'Z'),
    rtrim(coalesce(t.last_started, ''), 'Z'), rtrim(coalesce(t.last_finished, ''), 'Z'),
    rtrim(coalesce(t.last_built_on, ''), 'Z'), rtrim(coalesce(t.last_updated_at, ''), 'Z')) || 'Z' END, 'Z') AS last_used
  FROM traces AS t
)
SELECT n.label AS image, u.image_id, u.last_used, u.containers, u.running, u.last_created, u.last_started,
  u.last_finished, u.last_built_on, u.last_updated_at, u.created_at,
  CAST(julianday(u.scanned_at) - julianday(u.last_used) AS INTEGER) AS days,
  h.host
FROM used AS u
JOIN image_labels AS n ON n.snapshot_id = u.snapshot_id AND n.image_id = u.image_id
JOIN snapshot_hosts AS h ON h.snapshot_id = u.snapshot_id
WHERE nullif(:image, '') IS NULL OR (u.snapshot_id, u.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY rtrim(u.last_used, 'Z'), rtrim(u.created_at, 'Z'), h.host, u.snapshot_id, u.image_id;
