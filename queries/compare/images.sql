-- title = "Images that only one of two snapshots has"
-- description = "Images as docker images lists them, matched by id. What has no counterpart is matched by content: an image of the same layers in the same order is the same content, built or configured another time. Images without layers are matched by id only."
-- first = ["change", "image", "a_image_id", "b_image_id", "a_size", "b_size"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a, only b, or same content: the layers are equal, the ids are not"
-- image = "tags of the image, or its id; of same content those in a"
-- a_image_id = "the image in a"
-- b_image_id = "the image in b"
-- a_created_at = "when it was created"
-- b_created_at = "when it was created"
-- a_size = "sum of the sizes of its layers"
-- b_size = "sum of the sizes of its layers"

WITH known AS MATERIALIZED (
  SELECT s.side, i.image_id, i.created_at, i.size, n.label,
    -- The chain id of the last layer says which layers there are, and in which order.
    (SELECT l.chain_id FROM image_layers AS l WHERE l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id
     ORDER BY l.position DESC LIMIT 1) AS content
  FROM (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b) AS s
  JOIN images AS i ON i.snapshot_id = s.snapshot_id
  JOIN listed_images AS l ON l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id
  JOIN image_labels AS n ON n.snapshot_id = i.snapshot_id AND n.image_id = i.image_id
),
alone AS MATERIALIZED (
  SELECT k.*, row_number() OVER (PARTITION BY k.side, k.content ORDER BY k.label, k.image_id) AS place
  FROM known AS k WHERE NOT EXISTS (SELECT 1 FROM known AS o WHERE o.image_id = k.image_id AND o.side <> k.side)
)
SELECT CASE WHEN b.image_id IS NULL THEN 'only a' WHEN a.image_id IS NULL THEN 'only b' ELSE 'same content' END AS change,
  coalesce(a.label, b.label) AS image, a.image_id AS a_image_id, b.image_id AS b_image_id,
  a.created_at AS a_created_at, b.created_at AS b_created_at, a.size AS a_size, b.size AS b_size
FROM (SELECT * FROM alone WHERE side = 'a') AS a
FULL JOIN (SELECT * FROM alone WHERE side = 'b') AS b ON b.content = a.content AND b.place = a.place
ORDER BY change, image, a.image_id, b.image_id;
