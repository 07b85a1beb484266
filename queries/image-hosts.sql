-- title = "Which hosts have an image"
-- description = "One row for each image of each host. content is equal for images of the same layers in the same order, whatever their ids."
-- first = ["image", "image_id", "host", "containers"]
-- [params]
-- image = { type = "image", help = "a reference, which may name another image on each host, or an id; all images when left out" }
-- [columns]
-- image = "its tags, or its id"
-- image_id = "the image"
-- content = "chain_id of its last layer; NULL when it has none"
-- created_at = "when it was created"
-- size = "sum of the sizes of its layers"
-- containers = "how many containers were made of it"
-- snapshot_id = "snapshot that says so"
-- host = "the host"

WITH
spelt (ref) AS MATERIALIZED (SELECT head || :image || tail FROM spellings),
wanted AS MATERIALIZED (
  SELECT r.snapshot_id, r.image_id FROM selected_snapshots CROSS JOIN image_refs AS r USING (snapshot_id)
  WHERE r.ref IN spelt OR r.normalized IN spelt
  UNION
  SELECT i.snapshot_id, i.image_id FROM selected_snapshots CROSS JOIN images AS i USING (snapshot_id) WHERE i.image_id = :image
  UNION
  SELECT i.snapshot_id, i.image_id FROM selected_snapshots CROSS JOIN images AS i USING (snapshot_id)
  WHERE length(:image) = 12 AND i.image_id BETWEEN 'sha256:' || :image AND 'sha256:' || :image || 'g'
  UNION
  SELECT i.snapshot_id, i.image_id FROM selected_snapshots CROSS JOIN images AS i USING (snapshot_id) WHERE nullif(:image, '') IS NULL
)
SELECT n.label AS image, i.image_id,
  (SELECT l.chain_id FROM image_layers AS l WHERE l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id
   ORDER BY l.position DESC LIMIT 1) AS content,
  i.created_at, i.size,
  (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id) AS containers,
  i.snapshot_id, h.host
FROM wanted AS w CROSS JOIN images AS i USING (snapshot_id, image_id)
JOIN image_labels AS n USING (snapshot_id, image_id) JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY h.host, i.snapshot_id, image, i.image_id;
