-- title = "Each image, its names, and the layer on which it ends"
-- description = "One row for each image whose config is there, in containerd for each namespace that has it."
-- [columns]
-- snapshot_id = "the snapshot"
-- namespace = "in containerd the namespace; empty in other stores"
-- image_id = "the image"
-- target_digest = "the id that its engine shows in place of image_id; NULL where it is image_id"
-- tags = "its tags, as a JSON list"
-- digests = "its names that have a digest in the place of a tag, as a JSON list"
-- lists = "names of the manifest lists that name it, as a JSON list"
-- named = "whether a tag names it: used, unused, or unknown where what may name it was not read"
-- created_at = "when it was created"
-- layers = "how many layers it has"
-- size = "sum of the sizes of its layers, as its engine counts it; NULL when one is not known"
-- chain_id = "its uppermost layer; NULL for an image without layers"
-- listed = "1 when docker images lists it, 0 for an untagged one that has children"

WITH placed AS MATERIALIZED (
  SELECT n.snapshot_id, n.image_id, n.namespace FROM selected_snapshots CROSS JOIN image_namespaces AS n USING (snapshot_id)
),
listed AS MATERIALIZED (SELECT snapshot_id, image_id FROM selected_snapshots CROSS JOIN listed_images USING (snapshot_id)),
lists AS MATERIALIZED (
  SELECT snapshot_id, image_id, json_group_array(ref) AS names
  FROM (
    SELECT DISTINCT m.snapshot_id, x.image_id, r.ref
    FROM selected_snapshots CROSS JOIN manifest_lists AS m USING (snapshot_id)
    CROSS JOIN image_manifests AS x ON x.snapshot_id = m.snapshot_id AND x.index_digest = m.image_id
    CROSS JOIN image_refs AS r ON r.snapshot_id = m.snapshot_id AND r.image_id = m.image_id
    WHERE x.image_id <> '' ORDER BY 3)
  GROUP BY snapshot_id, image_id
)
SELECT p.snapshot_id, p.namespace, p.image_id, i.target_digest,
  (SELECT json_group_array(ref) FROM (SELECT DISTINCT r.ref FROM image_refs AS r
     WHERE r.snapshot_id = p.snapshot_id AND r.image_id = p.image_id AND r.namespace = p.namespace AND r.tag IS NOT NULL
     ORDER BY r.ref)) AS tags,
  (SELECT json_group_array(ref) FROM (SELECT DISTINCT r.ref FROM image_refs AS r
     WHERE r.snapshot_id = p.snapshot_id AND r.image_id = p.image_id AND r.namespace = p.namespace AND r.tag IS NULL
     ORDER BY r.ref)) AS digests,
  coalesce(l.names, '[]') AS lists, t.standing AS named, i.created_at, i.layer_count AS layers, i.size,
  (SELECT y.chain_id FROM image_layers AS y WHERE y.snapshot_id = p.snapshot_id AND y.image_id = p.image_id
   ORDER BY y.position DESC LIMIT 1) AS chain_id,
  (p.snapshot_id, p.image_id) IN listed AS listed
FROM placed AS p
CROSS JOIN images AS i ON i.snapshot_id = p.snapshot_id AND i.image_id = p.image_id
CROSS JOIN name_standings AS t ON t.snapshot_id = p.snapshot_id AND t.image_id = p.image_id
LEFT JOIN lists AS l ON l.snapshot_id = p.snapshot_id AND l.image_id = p.image_id
ORDER BY p.snapshot_id, p.namespace, p.image_id;
