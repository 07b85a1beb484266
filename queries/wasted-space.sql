-- title = "Bytes an image carries that nobody sees"
-- description = "For each path of an image that several layers hold, or that is gone at the end: what its hidden copies cost. The copy that shows is not waste, so N copies waste N-1; a removed file wastes all of its copies. A copy that still shows under another name of a hard link is not waste."
-- first = ["path", "wasted_bytes", "copies", "total_bytes", "image"]
-- [params]
-- image = { type = "image", help = "the image; every listed image when left out" }
-- [columns]
-- path = "path from the root of the image"
-- copies = "in how many layers it is a regular file"
-- total_bytes = "bytes of all copies"
-- wasted_bytes = "bytes of the copies that do not show"
-- shows = "1 when one copy shows, under this path or another name of a hard link, 0 when none does"
-- image = "tags of the image, or its id"
-- host = "the host"

WITH chosen AS MATERIALIZED (
  SELECT snapshot_id, image_id FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN stored_images USING (snapshot_id)
  WHERE s.scope <> 'metadata' AND CASE WHEN nullif(:image, '') IS NULL THEN (snapshot_id, image_id) IN (SELECT snapshot_id, image_id FROM listed_images)
    ELSE (snapshot_id, image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image) END
),
paths AS (
  SELECT e.snapshot_id, e.image_id, e.path, count(*) AS copies, CAST(total(e.size) AS INTEGER) AS total_bytes,
    CAST(total(iif(e.kept, 0, e.size)) AS INTEGER) AS wasted_bytes, max(e.kept) AS shows
  FROM chosen AS c CROSS JOIN image_entries AS e ON e.snapshot_id = c.snapshot_id AND e.image_id = c.image_id
  WHERE e.type = 'file'
  GROUP BY e.snapshot_id, e.image_id, e.path
  HAVING wasted_bytes > 0
)
SELECT p.path, p.copies, p.total_bytes, p.wasted_bytes, p.shows, n.label AS image, h.host
FROM paths AS p
JOIN image_labels AS n ON n.snapshot_id = p.snapshot_id AND n.image_id = p.image_id
JOIN snapshot_hosts AS h ON h.snapshot_id = p.snapshot_id
ORDER BY p.wasted_bytes DESC, p.path, image, p.snapshot_id, p.image_id;
