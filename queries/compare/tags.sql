-- title = "Tags that only one of two snapshots has, or that name different images"
-- description = "Tags are matched in full, so that debian:12 of one engine is docker.io/library/debian:12 of another, and shown as they are stored. same content: the images have the same layers in the same order and differ in their config only; other image: their layers differ, or one of them is missing."
-- first = ["change", "tag", "a_image_id", "b_image_id"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a, only b, other image or same content"
-- tag = "repository and tag"
-- a_image_id = "the image it names in a"
-- b_image_id = "the image it names in b"
-- a_created_at = "when that image was created"
-- b_created_at = "when that image was created"
-- a_size = "sum of the sizes of its layers"
-- b_size = "sum of the sizes of its layers"

WITH named AS MATERIALIZED (
  SELECT s.side, min(r.ref) AS ref, r.normalized, r.image_id,
    (SELECT i.created_at FROM images AS i WHERE i.snapshot_id = r.snapshot_id AND i.image_id = r.image_id) AS created_at,
    (SELECT i.size FROM images AS i WHERE i.snapshot_id = r.snapshot_id AND i.image_id = r.image_id) AS size,
    (SELECT l.chain_id FROM image_layers AS l WHERE l.snapshot_id = r.snapshot_id AND l.image_id = r.image_id
     ORDER BY l.position DESC LIMIT 1) AS content
  FROM (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b) AS s
  JOIN image_refs AS r ON r.snapshot_id = s.snapshot_id
  WHERE r.tag IS NOT NULL
  GROUP BY s.side, r.normalized, r.image_id
),
-- A name of several platforms differs only where one side has another one.
differing AS MATERIALIZED (
  SELECT n.* FROM named AS n
  WHERE NOT EXISTS (
    SELECT 1 FROM named AS o WHERE o.side <> n.side AND o.normalized = n.normalized AND o.image_id = n.image_id)
)
SELECT CASE WHEN b.ref IS NULL THEN 'only a' WHEN a.ref IS NULL THEN 'only b' WHEN a.content = b.content THEN 'same content'
    ELSE 'other image' END AS change,
  coalesce(a.ref, b.ref) AS tag, a.image_id AS a_image_id, b.image_id AS b_image_id,
  a.created_at AS a_created_at, b.created_at AS b_created_at, a.size AS a_size, b.size AS b_size
FROM (SELECT * FROM differing WHERE side = 'a') AS a
FULL JOIN (SELECT * FROM differing WHERE side = 'b') AS b ON b.normalized = a.normalized
ORDER BY change, tag, a_image_id, b_image_id;
