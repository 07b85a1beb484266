-- title = "The images that need a directory or layer"
-- description = "Images as docker images lists them, each with the place of the layer in it and the build step that made it."
-- first = ["image", "image_id", "position", "size", "containers", "created_by"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory" }
-- chain = { help = "a layer that is asked about itself" }
-- [columns]
-- image = "its tags, or its id"
-- image_id = "the image"
-- position = "place of the layer in it, 0 for the base"
-- layers = "how many layers it has"
-- size = "sum of its layers"
-- containers = "how many containers were made of it"
-- created_by = "the build step that made the layer"
-- created_at = "when that step ran"

WITH chains AS MATERIALIZED (
  SELECT chain_id FROM layers WHERE cache_id = :directory AND +snapshot_id = :snapshot
  UNION SELECT :chain WHERE :chain IS NOT NULL
)
SELECT n.label AS image, l.image_id, l.position, i.layer_count AS layers, i.size,
  (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = l.snapshot_id AND c.image_id = l.image_id) AS containers,
  (SELECT s.created_by FROM image_history AS s
   WHERE s.snapshot_id = l.snapshot_id AND s.image_id = l.image_id AND s.layer_position = l.position) AS created_by,
  (SELECT s.created_at FROM image_history AS s
   WHERE s.snapshot_id = l.snapshot_id AND s.image_id = l.image_id AND s.layer_position = l.position) AS created_at
FROM chains AS a CROSS JOIN image_layers AS l ON l.chain_id = a.chain_id AND l.snapshot_id = :snapshot
CROSS JOIN listed_images AS k ON k.snapshot_id = l.snapshot_id AND k.image_id = l.image_id
CROSS JOIN images AS i ON i.snapshot_id = l.snapshot_id AND i.image_id = l.image_id
CROSS JOIN image_labels AS n ON n.snapshot_id = l.snapshot_id AND n.image_id = l.image_id
ORDER BY n.label, l.image_id, l.position;
