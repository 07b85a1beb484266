-- title = "The images that a name means"
-- description = "The image of that name or id in each selected snapshot; of a manifest list those that it names."
-- [params]
-- name = { help = "a name or id, as the view image_names has it" }
-- [columns]
-- snapshot_id = "the snapshot"
-- image_id = "the image"

WITH found AS MATERIALIZED (
  SELECT snapshot_id, image_id FROM image_names WHERE snapshot_id IN (SELECT snapshot_id FROM selected_snapshots) AND name = :name
)
SELECT snapshot_id, image_id FROM found
UNION
SELECT f.snapshot_id, x.image_id
FROM found AS f CROSS JOIN image_manifests AS x ON x.snapshot_id = f.snapshot_id AND x.index_digest = f.image_id
WHERE x.image_id <> ''
ORDER BY 1, 2;
