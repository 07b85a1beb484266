-- title = "Images with their size, what they share, and who uses them"
-- description = "One row for each image that docker images lists, in containerd for each of its namespaces, which share no directories; an image of several tags shows the first, and all of them under names. size is the sum of the image's layers; shared_size the part in layers that another listed image has too; unique_size the rest: all three as docker system df -v counts them, in containerd of what is unpacked. NULL where a layer is missing, or not unpacked. A manifest list of Podman has a row too, named or not: image_id is its digest, layers is NULL, and instances is how many images it names."
-- first = ["repository", "tag", "image_id", "size", "unique_size", "containers"]
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
-- containers = "how many containers were made of it, of those that could be read; unused-images says what was not"
-- dangling = "1 when it has no tag and no children, as docker images --filter dangling=true means it, else 0; NULL where what may name it was not read whole"
-- namespace = "in containerd the namespace that has it; NULL in other stores"
-- host = "the host"

WITH kinds AS MATERIALIZED (
  SELECT snapshot_id, collects_garbage AS apart FROM selected_snapshots JOIN snapshots USING (snapshot_id)
),
refs AS MATERIALIZED (
  SELECT r.snapshot_id, r.image_id, r.namespace, r.ref, r.repository, r.tag,
    row_number() OVER (PARTITION BY r.snapshot_id, r.image_id, r.namespace ORDER BY r.tag IS NULL, r.ref) AS place,
    row_number() OVER (PARTITION BY r.snapshot_id, r.image_id ORDER BY r.ref, r.namespace) AS first
  FROM selected_snapshots CROSS JOIN image_refs AS r USING (snapshot_id)
),
placed AS MATERIALIZED (
  SELECT snapshot_id, image_id, '' AS namespace, 0 AS apart FROM kinds JOIN listed_images USING (snapshot_id) WHERE NOT kinds.apart
  UNION ALL
  SELECT n.snapshot_id, n.image_id, n.namespace, 1 FROM kinds JOIN listed_images USING (snapshot_id)
  CROSS JOIN image_namespaces AS n USING (snapshot_id, image_id) WHERE kinds.apart
),
sums AS MATERIALIZED (
  SELECT snapshot_id, image_id, namespace, apart,
    CASE WHEN count(size) = count(chain_id) THEN CAST(total(size) AS INTEGER) END AS size,
    CAST(total(size) FILTER (WHERE times > 1) AS INTEGER) AS shared_size,
    CAST(total(size) FILTER (WHERE times = 1) AS INTEGER) AS unique_size
  FROM (
    SELECT p.snapshot_id, p.image_id, '' AS namespace, 0 AS apart, l.chain_id, l.size, count(*) OVER (PARTITION BY p.snapshot_id, l.chain_id) AS times
    FROM placed AS p CROSS JOIN placed_layers AS l ON l.snapshot_id = p.snapshot_id AND l.image_id = p.image_id WHERE NOT p.apart
    UNION ALL
    SELECT p.snapshot_id, p.image_id, p.namespace, 1, l.chain_id, l.size, count(*) OVER (PARTITION BY p.snapshot_id, p.namespace, l.chain_id)
    FROM placed AS p CROSS JOIN image_layer_places AS l USING (snapshot_id, image_id, namespace) WHERE p.apart
    UNION ALL SELECT snapshot_id, image_id, namespace, apart, NULL, NULL, 0 FROM placed)
  GROUP BY snapshot_id, image_id, namespace
),
listed AS (
  SELECT i.snapshot_id, r.repository, r.tag, CASE
      WHEN r.ref IS NULL THEN NULL
      WHEN n.apart THEN (SELECT p.label FROM image_namespaces AS p
        WHERE p.snapshot_id = i.snapshot_id AND p.image_id = i.image_id AND p.namespace = n.namespace)
      ELSE b.label END AS names, i.image_id, i.created_at,
    CASE WHEN n.apart THEN n.size ELSE i.size END AS size, n.shared_size, n.unique_size,
    i.layer_count AS layers, NULL AS instances,
    (SELECT count(*) FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id
       AND n.namespace IN ('', c.namespace)) AS containers,
    t.dangling,
    nullif(n.namespace, '') AS namespace
  FROM sums AS n
  CROSS JOIN images AS i USING (snapshot_id, image_id)
  JOIN image_labels AS b USING (snapshot_id, image_id)
  LEFT JOIN refs AS r ON r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = n.namespace AND r.place = 1
  JOIN image_danglings AS t ON t.snapshot_id = i.snapshot_id AND t.image_id = i.image_id
  UNION ALL
  SELECT m.snapshot_id, r.repository, r.tag,
    (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT o.ref FROM image_refs AS o
       WHERE o.snapshot_id = m.snapshot_id AND o.image_id = m.image_id ORDER BY o.ref)),
    m.image_id, NULL, NULL, NULL, NULL, NULL,
    (SELECT count(*) FROM image_manifests AS x WHERE x.snapshot_id = m.snapshot_id AND x.index_digest = m.image_id), 0,
    CASE WHEN r.ref IS NOT NULL THEN 0 WHEN d.because IS NULL THEN 1 END, NULL
  FROM selected_snapshots JOIN manifest_lists AS m USING (snapshot_id)
  LEFT JOIN refs AS r ON r.snapshot_id = m.snapshot_id AND r.image_id = m.image_id AND r.first = 1
  LEFT JOIN doubts AS d ON d.snapshot_id = m.snapshot_id AND d.thing = 'name'
)
SELECT i.repository, i.tag, i.names, i.image_id, i.created_at, i.size, CASE WHEN i.size IS NOT NULL THEN i.shared_size END AS shared_size,
  CASE WHEN i.size IS NOT NULL THEN i.unique_size END AS unique_size, i.layers, i.instances,
  i.containers, i.dangling, i.namespace, h.host
FROM listed AS i JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:image, '') IS NULL OR (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image)
ORDER BY h.host, i.snapshot_id, rtrim(i.created_at, 'Z') DESC, i.image_id, i.namespace;
