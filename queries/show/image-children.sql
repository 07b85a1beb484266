-- title = "The images that stand on an image"
-- description = "Images that recorded it as their parent, and those that have all its layers and more."
-- first = ["image", "image_id", "relation", "extra_layers"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the image_id" }
-- [columns]
-- image = "tags of the child, or its id"
-- image_id = "the child"
-- relation = "parent: recorded by the classic builder or commit; layers: it has all layers and more"
-- extra_layers = "how many layers it adds"

WITH own AS MATERIALIZED (
  SELECT max(l.position) AS top FROM image_layers AS l WHERE l.snapshot_id = :snapshot AND l.image_id = :id
),
children AS (
  SELECT i.image_id, 'parent' AS relation FROM images AS i WHERE i.snapshot_id = :snapshot AND i.parent_image_id = :id
  UNION ALL
  SELECT i.image_id, 'layers' FROM own AS w
  CROSS JOIN image_layers AS l ON l.snapshot_id = :snapshot AND l.image_id = :id AND l.position = w.top
  CROSS JOIN image_layers AS o ON o.chain_id = l.chain_id AND o.snapshot_id = l.snapshot_id
  CROSS JOIN images AS i ON i.snapshot_id = o.snapshot_id AND i.image_id = o.image_id AND i.layer_count > w.top + 1
  CROSS JOIN listed_images AS k ON k.snapshot_id = i.snapshot_id AND k.image_id = i.image_id
)
SELECT n.label AS image, c.image_id, max(c.relation) AS relation,
  i.layer_count - coalesce((SELECT top FROM own), -1) - 1 AS extra_layers
FROM children AS c
JOIN images AS i ON i.snapshot_id = :snapshot AND i.image_id = c.image_id
JOIN image_labels AS n ON n.snapshot_id = :snapshot AND n.image_id = c.image_id
GROUP BY c.image_id
ORDER BY relation DESC, n.label, c.image_id;
