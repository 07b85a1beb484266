-- title = "Which images block the removal of an image"
-- description = "Images that recorded this one as their parent, at any distance: docker rmi refuses an image with children. The classic builder and commit record parents; BuildKit, pulls and loads do not."
-- first = ["image", "child", "standing", "because", "containers"]
-- [params]
-- image = { type = "image", help = "the parent; all of them when left out" }
-- [columns]
-- image = "tags of the parent, or its id"
-- child = "tags of the child, or its id"
-- child_id = "the child"
-- relation = "child when it recorded the image itself, else descendant"
-- distance = "how many steps lie between"
-- standing = "used when a container, manifest list or another store needs the child, else unused or unknown"
-- because = "for unknown: what may need the child and was not read"
-- containers = "names of the containers made of the child"
-- host = "the host"

WITH RECURSIVE below (snapshot_id, image_id, child_id, distance) AS (
  SELECT i.snapshot_id, i.parent_image_id, i.image_id, 1
  FROM selected_snapshots JOIN images AS i USING (snapshot_id) WHERE i.parent_image_id IS NOT NULL
  UNION
  SELECT b.snapshot_id, b.image_id, i.image_id, b.distance + 1
  FROM below AS b JOIN images AS i ON i.snapshot_id = b.snapshot_id AND i.parent_image_id = b.child_id
  -- A chain of parents is never longer than the layers and empty steps of a build; a hostile circle ends here.
  WHERE b.distance < 1000 AND i.image_id <> b.image_id
)
SELECT coalesce((SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = b.snapshot_id AND n.image_id = b.image_id), b.image_id) AS image, nc.label AS child, b.child_id,
  CASE b.distance WHEN 1 THEN 'child' ELSE 'descendant' END AS relation,
  b.distance, t.standing, t.because,
  (SELECT group_concat(name, ', ') FROM (SELECT coalesce(c.name, c.container_id) AS name FROM containers AS c
     WHERE c.snapshot_id = b.snapshot_id AND c.image_id = b.child_id ORDER BY 1)) AS containers,
  h.host
FROM (SELECT snapshot_id, image_id, child_id, min(distance) AS distance FROM below GROUP BY 1, 2, 3) AS b
JOIN image_labels AS nc ON nc.snapshot_id = b.snapshot_id AND nc.image_id = b.child_id
JOIN image_standings AS t ON t.snapshot_id = b.snapshot_id AND t.image_id = b.child_id
JOIN snapshot_hosts AS h ON h.snapshot_id = b.snapshot_id
WHERE nullif(:image, '') IS NULL OR (b.snapshot_id, b.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY h.host, b.snapshot_id, 1, b.image_id, b.distance, nc.label, b.child_id;
