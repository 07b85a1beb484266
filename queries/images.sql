-- title = "Images with their size, what they share, and who uses them"
-- description = "One row for each image that docker images lists; an image of several tags shows the first, and all of them under names. size is the sum of the image's layers; shared_size the part in layers that another listed image has too; unique_size the rest: all three as docker system df -v counts them, in containerd of what is unpacked. NULL where a layer is missing, or not unpacked. A manifest list of Podman has a row too: image_id is its digest, layers is NULL, and instances is how many images it names."
-- [params]
-- image = { type = "image", help = "only this image" }
-- [columns]
-- repository = "repository of its first name; NULL when nothing names it"
-- tag = "first tag; NULL when it has none, or is known by digest only"
-- names = "all its tags, or its digests where it has no tag"
-- image_id = "the image"
-- created_at = "when it was created"
-- size = "sum of the sizes of its layers"
-- shared_size = "bytes in layers that other images have too"
-- unique_size = "bytes in layers that only this image has"
-- layers = "how many layers it has"
-- instances = "of a manifest list: how many images it names; NULL for an image"
-- containers = "how many containers were made of it"
-- dangling = "1 when it has no tag and no children, as docker images --filter dangling=true means it, else 0; NULL where what may name it was not read whole"
-- host = "the host"

WITH sums AS MATERIALIZED (
  SELECT snapshot_id, image_id,
    CAST(total(size) FILTER (WHERE times > 1) AS INTEGER) AS shared_size,
    CAST(total(size) FILTER (WHERE times = 1) AS INTEGER) AS unique_size
  FROM (
    SELECT i.snapshot_id, i.image_id, y.size, count(*) OVER (PARTITION BY i.snapshot_id, l.chain_id) AS times
    FROM selected_snapshots JOIN listed_images AS i USING (snapshot_id)
    JOIN image_layers AS l ON l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id
    LEFT JOIN layers AS y ON y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id
    UNION ALL SELECT snapshot_id, image_id, NULL, 0 FROM selected_snapshots JOIN listed_images USING (snapshot_id))
  GROUP BY snapshot_id, image_id
),
listed AS (
  SELECT i.snapshot_id, r.repository, r.tag, CASE WHEN r.ref IS NOT NULL THEN n.label END AS names, i.image_id, i.created_at, i.size,
    CASE WHEN i.size IS NOT NULL THEN u.shared_size END AS shared_size,
    CASE WHEN i.size IS NOT NULL THEN u.unique_size END AS unique_size,
    i.layer_count AS layers, NULL AS instances,
    (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id) AS containers,
    CASE WHEN t.standing = 'used' OR EXISTS (SELECT 1 FROM images AS c WHERE c.snapshot_id = i.snapshot_id AND c.parent_image_id = i.image_id) OR EXISTS (SELECT 1 FROM recorded_uses AS n
    WHERE n.snapshot_id = i.snapshot_id AND n.used_kind = 'image' AND n.used = i.image_id
      AND n.user_kind IN ('manifest list', 'store', 'child image')) THEN 0
    WHEN t.standing = 'unused' THEN 1 END AS dangling
  FROM sums AS u
  CROSS JOIN images AS i USING (snapshot_id, image_id)
  JOIN image_labels AS n USING (snapshot_id, image_id)
  LEFT JOIN image_refs AS r ON r.snapshot_id = i.snapshot_id AND (r.ref, r.image_id, r.namespace) = (
    SELECT ref, image_id, namespace FROM image_refs AS o WHERE o.snapshot_id = i.snapshot_id AND o.image_id = i.image_id
    ORDER BY o.tag IS NULL, ref, namespace LIMIT 1)
  JOIN name_standings AS t ON t.snapshot_id = i.snapshot_id AND t.image_id = i.image_id
  UNION ALL
  SELECT m.snapshot_id, r.repository, r.tag,
    (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT o.ref FROM image_refs AS o
       WHERE o.snapshot_id = m.snapshot_id AND o.image_id = m.image_id ORDER BY o.ref)),
    m.image_id, NULL, NULL, NULL, NULL, NULL,
    (SELECT count(*) FROM image_manifests AS x WHERE x.snapshot_id = m.snapshot_id AND x.index_digest = m.image_id), 0, 0
  FROM selected_snapshots JOIN manifest_lists AS m USING (snapshot_id)
  JOIN image_refs AS r ON r.snapshot_id = m.snapshot_id AND r.image_id = m.image_id
    AND r.ref = (SELECT min(ref) FROM image_refs AS o WHERE o.snapshot_id = m.snapshot_id AND o.image_id = m.image_id)
)
SELECT i.repository, i.tag, i.names, i.image_id, i.created_at, i.size, i.shared_size, i.unique_size, i.layers, i.instances,
  i.containers, i.dangling, h.host
FROM listed AS i JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:image, '') IS NULL OR (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY h.host, i.snapshot_id, rtrim(i.created_at, 'Z') DESC, i.image_id;
