-- title = "What removing images and containers frees, what blocks it"
-- description = "Each image and container by itself; of those that are named also all of them together, last. An image goes when no other tag, no container and no child image is left, and takes the untagged images below it along that only it kept. A layer goes when no image, container, mount or build-cache record that stays needs it, nor a layer on it. A running container stays. Containers also hold their writable layer and logs, volumes are not counted. An image that is named by one of several tags only loses that tag; by its id one with several goes from Docker and Podman only with --force. In containerd an image goes from each of its namespaces by itself, whatever containers there are, and what garbage collection then finds unused goes; Kubernetes removes all names of an image at once."
-- first = ["object", "kind", "exclusive_bytes", "disk_bytes", "container_bytes", "blocked_by"]
-- [params]
-- image = { type = "images", help = "an image, or several with commas between: names, ids or their beginnings" }
-- container = { type = "containers", help = "a container, or several with commas between: names, ids or their beginnings" }
-- [columns]
-- object = "tags of the image, name of the container, or all of these"
-- kind = "image, container, set, or unknown for a name that nothing has"
-- id = "the image or container"
-- exclusive_layers = "how many layers go"
-- exclusive_bytes = "sum of their sizes, of each copy of a layer that is mapped for other users too; NULL when one is unknown"
-- container_bytes = "apparent bytes of writable layers and logs that go; NULL when unknown"
-- disk_bytes = "bytes on disk of the directories, logs and containers' own folders that go, as du counts, and of blobs in blocks of 4 KiB; NULL when not walked"
-- content_bytes = "bytes of the blobs in containerd's content store that go; NULL in other stores, and where they are told with another snapshotter"
-- still_shared_bytes = "sum of the sizes of its layers that stay"
-- blocked_by = "what keeps it or its layers"
-- namespace = "in containerd the namespace that the image goes from; NULL in other stores"
-- host = "the host"

WITH RECURSIVE asked (kind, word, rest) AS (
  SELECT column1, '', column2 || ',' FROM (VALUES ('image', :image), ('container', :container)) WHERE column2 IS NOT NULL
  UNION
  SELECT kind, trim(substr(rest, 1, instr(rest, ',') - 1)), substr(rest, instr(rest, ',') + 1) FROM asked WHERE rest <> ''
),
words AS MATERIALIZED (SELECT DISTINCT kind, word FROM asked WHERE word <> ''),
spelt (ref) AS MATERIALIZED (SELECT head || word || tail FROM words CROSS JOIN spellings WHERE kind = 'image'),
listed AS MATERIALIZED (SELECT snapshot_id, image_id FROM selected_snapshots JOIN listed_images USING (snapshot_id)),
named AS MATERIALIZED (
  SELECT n.snapshot_id, w.kind, n.image_id AS id, w.word
  FROM words AS w JOIN image_names AS n ON n.name = w.word JOIN selected_snapshots USING (snapshot_id)
  WHERE w.kind = 'image'
  UNION
  SELECT c.snapshot_id, w.kind, c.container_id, w.word
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
  JOIN words AS w ON w.kind = 'container' AND w.word IN (c.name, c.container_id, substr(c.container_id, 1, 12))
),
members AS MATERIALIZED (
  SELECT snapshot_id, kind, id FROM named
  UNION
  SELECT snapshot_id, 'image', image_id FROM listed WHERE nullif(:image, '') IS NULL AND nullif(:container, '') IS NULL
  UNION
  SELECT snapshot_id, 'container', container_id FROM selected_snapshots JOIN containers USING (snapshot_id)
  WHERE nullif(:image, '') IS NULL AND nullif(:container, '') IS NULL
),
-- Stores of containerd.
ctd AS MATERIALIZED (SELECT * FROM gc_stores),
ctd_names AS MATERIALIZED (SELECT * FROM gc_names),
-- Kubernetes names each image by its id too, and removes all names of an image together.
cri AS MATERIALIZED (SELECT DISTINCT snapshot_id, namespace, image_id FROM ctd_names WHERE ref = image_id AND namespace NOT GLOB 'moby*'),
sets AS MATERIALIZED (
  SELECT DISTINCT m.snapshot_id, m.kind || ' ' || m.id || coalesce(' ' || n.namespace, '') AS set_id, m.kind, m.id, n.namespace
  FROM members AS m
  LEFT JOIN ctd_names AS n ON m.kind = 'image' AND n.snapshot_id = m.snapshot_id AND n.image_id = m.id
  UNION ALL
  SELECT snapshot_id, 'set', kind, id, NULL FROM members
  WHERE (nullif(:image, '') IS NOT NULL OR nullif(:container, '') IS NOT NULL)
    AND snapshot_id IN (
      SELECT m.snapshot_id FROM members AS m LEFT JOIN (SELECT DISTINCT snapshot_id, namespace, image_id FROM ctd_names) AS n
        ON m.kind = 'image' AND n.snapshot_id = m.snapshot_id AND n.image_id = m.id
      GROUP BY m.snapshot_id HAVING count(*) > 1)
),
-- Names that stay when an image is named by others of its names; digests go with the last tag of their repository.
other_names AS MATERIALIZED (
  SELECT DISTINCT r.snapshot_id, r.image_id, r.ref, r.namespace
  FROM members AS m JOIN image_refs AS r ON r.snapshot_id = m.snapshot_id AND r.image_id = m.id
  WHERE (r.snapshot_id, r.namespace, r.image_id) NOT IN (SELECT snapshot_id, namespace, image_id FROM cri) AND m.kind = 'image' AND nullif(:image, '') IS NOT NULL
    AND (m.snapshot_id, m.id) NOT IN (
      SELECT snapshot_id, id FROM named WHERE kind = 'image' AND word IN (id, substr(id, 8, 12)))
    AND r.ref NOT IN spelt AND r.normalized NOT IN spelt
    AND (r.tag IS NOT NULL OR (r.snapshot_id, r.image_id, r.repository) NOT IN (
      SELECT o.snapshot_id, o.image_id, o.repository FROM image_refs AS o
      WHERE o.ref IN spelt OR o.normalized IN spelt))
),
-- What manifest lists and other stores of the host need, or Kubernetes keeps.
needed AS MATERIALIZED (
  SELECT snapshot_id, used AS image_id, user_kind || ' ' || user AS block
  FROM selected_snapshots JOIN recorded_uses USING (snapshot_id)
  WHERE used_kind = 'image' AND user_kind IN ('manifest list', 'store', 'pinned')
),
gone_containers AS MATERIALIZED (
  SELECT s.snapshot_id, s.set_id, s.id AS container_id
  FROM sets AS s JOIN containers AS c ON c.snapshot_id = s.snapshot_id AND c.container_id = s.id
  WHERE s.kind = 'container' AND coalesce(c.state, '') NOT IN ('running', 'paused', 'restarting')
),
children AS MATERIALIZED (
  SELECT snapshot_id, parent_image_id, image_id FROM selected_snapshots CROSS JOIN images USING (snapshot_id)
  WHERE parent_image_id IS NOT NULL
),
-- The images that may go: those of the set, and the unlisted ones that they recorded as parents.
candidates (snapshot_id, set_id, image_id) AS (
  SELECT snapshot_id, set_id, id FROM sets WHERE kind = 'image'
  UNION
  SELECT c.snapshot_id, c.set_id, p.image_id
  FROM candidates AS c
  CROSS JOIN children AS i ON i.snapshot_id = c.snapshot_id AND i.image_id = c.image_id
  CROSS JOIN images AS p ON p.snapshot_id = i.snapshot_id AND p.image_id = i.parent_image_id
  WHERE (p.snapshot_id, p.image_id) NOT IN (SELECT snapshot_id, image_id FROM listed)
),
kept (snapshot_id, set_id, image_id) AS (
  SELECT c.snapshot_id, c.set_id, c.image_id FROM candidates AS c JOIN other_names USING (snapshot_id, image_id)
  UNION
  SELECT c.snapshot_id, c.set_id, c.image_id
  FROM candidates AS c JOIN needed USING (snapshot_id, image_id)
  UNION
  SELECT c.snapshot_id, c.set_id, c.image_id
  FROM candidates AS c JOIN containers AS u ON u.snapshot_id = c.snapshot_id AND u.image_id = c.image_id
  WHERE (c.snapshot_id, c.set_id, u.container_id) NOT IN (SELECT snapshot_id, set_id, container_id FROM gone_containers)
  UNION
  SELECT c.snapshot_id, c.set_id, c.image_id
  FROM candidates AS c JOIN children AS i ON i.snapshot_id = c.snapshot_id AND i.parent_image_id = c.image_id
  WHERE (c.snapshot_id, c.set_id, i.image_id) NOT IN (SELECT snapshot_id, set_id, image_id FROM candidates)
  UNION
  SELECT k.snapshot_id, k.set_id, i.parent_image_id
  FROM kept AS k CROSS JOIN children AS i ON i.snapshot_id = k.snapshot_id AND i.image_id = k.image_id
  WHERE (k.snapshot_id, k.set_id, i.parent_image_id) IN (SELECT snapshot_id, set_id, image_id FROM candidates)
),
gone_images AS MATERIALIZED (SELECT * FROM candidates EXCEPT SELECT * FROM kept),
mount_layers (snapshot_id, name, container_id, chain_id) AS (
  SELECT m.snapshot_id, m.name, m.container_id, m.parent_chain_id FROM selected_snapshots JOIN mounts AS m USING (snapshot_id)
  WHERE m.parent_chain_id IS NOT NULL
  UNION
  SELECT m.snapshot_id, m.name, m.container_id, y.parent_chain_id
  FROM mount_layers AS m CROSS JOIN layers AS y USING (snapshot_id, chain_id) WHERE y.parent_chain_id IS NOT NULL
),
uses AS MATERIALIZED (
  SELECT snapshot_id, chain_id, count(*) AS users FROM (
    SELECT snapshot_id, chain_id FROM selected_snapshots JOIN image_layers USING (snapshot_id)
    UNION ALL SELECT snapshot_id, chain_id FROM mount_layers)
  GROUP BY snapshot_id, chain_id
),
-- What keeps a layer beside images and mounts, and with it all layers below.
pins (snapshot_id, chain_id, pin) AS (
  SELECT b.snapshot_id, b.chain_id, 'build cache' FROM selected_snapshots JOIN build_cache AS b USING (snapshot_id)
  WHERE b.chain_id IS NOT NULL
  UNION
  SELECT y.snapshot_id, y.chain_id, 'build cache'
  FROM selected_snapshots CROSS JOIN layers AS y USING (snapshot_id)
  CROSS JOIN overlay_dir_owners AS o ON o.snapshot_id = y.snapshot_id AND o.cache_id = y.cache_id
  -- A key of snapshots.db without a record holds nothing: a prune of the cache leaves such.
  WHERE o.kind = 'build-cache'
  UNION
  SELECT y.snapshot_id, y.chain_id, 'layers that nothing uses' FROM selected_snapshots JOIN layers AS y USING (snapshot_id)
  WHERE (y.snapshot_id, y.chain_id) NOT IN (SELECT snapshot_id, chain_id FROM uses)
  UNION
  SELECT p.snapshot_id, y.parent_chain_id, p.pin
  FROM pins AS p CROSS JOIN layers AS y USING (snapshot_id, chain_id) WHERE y.parent_chain_id IS NOT NULL
),
set_layers AS MATERIALIZED (
  SELECT s.snapshot_id, s.set_id, l.chain_id
  FROM sets AS s CROSS JOIN image_layers AS l ON l.snapshot_id = s.snapshot_id AND l.image_id = s.id WHERE s.kind = 'image'
  UNION
  SELECT s.snapshot_id, s.set_id, m.chain_id
  FROM sets AS s JOIN mount_layers AS m ON m.snapshot_id = s.snapshot_id AND m.container_id = s.id
  WHERE s.kind = 'container'
),
sized AS MATERIALIZED (
  SELECT s.snapshot_id, s.chain_id, (
    SELECT y.size FROM layers AS y WHERE y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id) AS size
  FROM (SELECT DISTINCT snapshot_id, chain_id FROM set_layers) AS s
  WHERE EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id)
),
gone_uses AS MATERIALIZED (
  SELECT snapshot_id, set_id, chain_id, count(*) AS users FROM (
    SELECT g.snapshot_id, g.set_id, l.chain_id
    FROM gone_images AS g CROSS JOIN image_layers AS l ON l.snapshot_id = g.snapshot_id AND l.image_id = g.image_id
    UNION ALL
    SELECT g.snapshot_id, g.set_id, m.chain_id
    FROM gone_containers AS g JOIN mount_layers AS m ON m.snapshot_id = g.snapshot_id AND m.container_id = g.container_id)
  GROUP BY snapshot_id, set_id, chain_id
),
copies AS MATERIALIZED (
  SELECT y.snapshot_id, y.chain_id, count(*) AS copies,
    CASE WHEN count(y.disk_bytes) = count(*) THEN CAST(total(y.disk_bytes) AS INTEGER) END AS disk_bytes
  FROM (SELECT l.*, (SELECT u.disk_bytes FROM disk_usage AS u WHERE u.snapshot_id = l.snapshot_id AND u.owner = l.cache_id
      AND u.category IN ('image layer', 'build cache')) AS disk_bytes
    FROM selected_snapshots CROSS JOIN layer_directories AS l USING (snapshot_id)) AS y
  -- Where nothing is named all layers are asked for.
  WHERE (nullif(:image, '') IS NULL AND nullif(:container, '') IS NULL)
    OR (y.snapshot_id, y.chain_id) IN (SELECT snapshot_id, chain_id FROM set_layers)
  GROUP BY y.snapshot_id, y.chain_id
),
judged AS MATERIALIZED (
  SELECT s.snapshot_id, s.set_id, s.chain_id, coalesce(d.copies, 1) * y.size AS size, d.disk_bytes, coalesce(g.users, 0) = u.users AS unused,
    coalesce(g.users, 0) = u.users
      AND (s.snapshot_id, s.chain_id) NOT IN (SELECT snapshot_id, chain_id FROM pins) AS gone
  FROM set_layers AS s
  CROSS JOIN sized AS y ON y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id
  CROSS JOIN uses AS u ON u.snapshot_id = s.snapshot_id AND u.chain_id = s.chain_id
  LEFT JOIN gone_uses AS g ON g.snapshot_id = s.snapshot_id AND g.set_id = s.set_id AND g.chain_id = s.chain_id
  LEFT JOIN copies AS d ON d.snapshot_id = y.snapshot_id AND d.chain_id = y.chain_id
),
ctd_holds AS MATERIALIZED (SELECT * FROM gc_holds),
ctd_gone AS MATERIALIZED (
  SELECT s.snapshot_id, s.set_id, n.root
  FROM sets AS s JOIN ctd AS c USING (snapshot_id)
  JOIN ctd_names AS n ON n.snapshot_id = s.snapshot_id AND n.image_id = s.id AND n.namespace = coalesce(s.namespace, n.namespace)
  WHERE s.kind = 'image' AND (n.snapshot_id, n.image_id, n.ref, n.namespace) NOT IN (
      SELECT snapshot_id, image_id, ref, namespace FROM other_names)
    AND (NOT c.guards_images OR (s.snapshot_id, s.set_id, s.id) IN (SELECT snapshot_id, set_id, image_id FROM gone_images))
  UNION
  SELECT g.snapshot_id, g.set_id, 'container ' || g.container_id FROM gone_containers AS g JOIN ctd USING (snapshot_id)
),
ctd_holders AS MATERIALIZED (SELECT snapshot_id, node, count(DISTINCT root) AS roots FROM ctd_holds GROUP BY snapshot_id, node),
ctd_judged AS MATERIALIZED (
  SELECT g.snapshot_id, g.set_id, g.node, g.roots = a.roots AS gone
  FROM (SELECT o.snapshot_id, o.set_id, h.node, count(DISTINCT h.root) AS roots
    FROM ctd_gone AS o JOIN ctd_holds AS h USING (snapshot_id, root) GROUP BY o.snapshot_id, o.set_id, h.node) AS g
  JOIN ctd_holders AS a USING (snapshot_id, node)
),
ctd_layers AS MATERIALIZED (
  SELECT j.snapshot_id, j.set_id, j.gone, s.size, (SELECT u.disk_bytes FROM disk_usage AS u
    WHERE u.snapshot_id = s.snapshot_id AND u.category IN ('image layer', 'build cache') AND u.owner = s.cache_id) AS disk_bytes
  FROM ctd_judged AS j
  CROSS JOIN ctd AS c USING (snapshot_id)
  CROSS JOIN containerd_snapshots AS s ON s.snapshot_id = j.snapshot_id AND s.snapshotter = c.driver AND s.name = j.node
  WHERE s.chain_id IS NOT NULL
),
contents AS MATERIALIZED (
  SELECT snapshot_id, set_id, CAST(total(size) AS INTEGER) AS bytes, CAST(total((size + 4095) / 4096 * 4096) AS INTEGER) AS disk_bytes
  FROM (
    SELECT DISTINCT j.snapshot_id, j.set_id, b.digest, b.size
    FROM ctd_judged AS j JOIN ctd AS c ON c.snapshot_id = j.snapshot_id AND c.content_id = c.snapshot_id
    JOIN blobs AS b ON b.snapshot_id = j.snapshot_id AND b.digest = j.node
    WHERE j.gone AND b.on_disk)
  GROUP BY snapshot_id, set_id
),
-- count(x) = count(*): a sum of which a part is unknown is unknown.
-- total() and not sum(): sizes that a store claims may be more than 63 bits together, and sum() would fail.
layer_sums AS MATERIALIZED (
  SELECT snapshot_id, set_id, sum(gone) AS layers,
    CASE WHEN count(size) FILTER (WHERE gone) = sum(gone) THEN CAST(total(size) FILTER (WHERE gone) AS INTEGER) END AS bytes,
    CASE WHEN count(disk_bytes) FILTER (WHERE gone) = sum(gone)
      THEN CAST(total(disk_bytes) FILTER (WHERE gone) AS INTEGER) END AS disk_bytes,
    CASE WHEN count(size) FILTER (WHERE NOT gone) = count(*) FILTER (WHERE NOT gone)
      THEN CAST(total(size) FILTER (WHERE NOT gone) AS INTEGER) END AS shared_bytes
  FROM (
    SELECT snapshot_id, set_id, gone, size, disk_bytes FROM judged WHERE snapshot_id NOT IN (SELECT snapshot_id FROM ctd)
    UNION ALL SELECT snapshot_id, set_id, gone, size, disk_bytes FROM ctd_layers)
  GROUP BY snapshot_id, set_id
),
gone_mounts AS MATERIALIZED (
  SELECT m.snapshot_id, m.name, m.mount_id, m.init_id FROM (SELECT DISTINCT snapshot_id, container_id FROM gone_containers) AS g
  CROSS JOIN mounts AS m ON m.snapshot_id = g.snapshot_id AND m.name = g.container_id
),
container_sums AS MATERIALIZED (
  SELECT snapshot_id, set_id, CASE WHEN count(bytes) = count(*) THEN CAST(total(bytes) AS INTEGER) END AS bytes,
    CASE WHEN count(disk_bytes) = count(*) THEN CAST(total(disk_bytes) AS INTEGER) END AS disk_bytes, 1 AS known
  FROM (
    SELECT g.snapshot_id, g.set_id,
      (SELECT d.apparent_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = m.mount_id)
        + CASE WHEN m.init_id IS NULL THEN 0 ELSE (SELECT d.apparent_bytes FROM overlay_dirs AS d WHERE d.snapshot_id = c.snapshot_id AND d.cache_id = m.init_id) END
        + c.log_bytes AS bytes,
      CASE WHEN m.init_id IS NULL THEN 0 ELSE (
          SELECT u.disk_bytes FROM disk_usage AS u
          WHERE u.snapshot_id = c.snapshot_id AND u.category = 'container init' AND u.owner = m.init_id) END
        + (SELECT CASE WHEN count(u.disk_bytes) = count(*) AND max(u.category = 'container writable')
            THEN CAST(total(u.disk_bytes) AS INTEGER) END FROM disk_usage AS u
          WHERE u.snapshot_id = c.snapshot_id AND u.owner = c.container_id
            AND u.category IN ('container writable', 'container files', 'container logs')) AS disk_bytes
    FROM gone_containers AS g
    JOIN containers AS c ON c.snapshot_id = g.snapshot_id AND c.container_id = g.container_id
    LEFT JOIN gone_mounts AS m ON m.snapshot_id = c.snapshot_id AND m.name = c.container_id)
  GROUP BY snapshot_id, set_id
),
strays AS MATERIALIZED (
  SELECT m.snapshot_id, m.name, l.image_id
  FROM (SELECT snapshot_id, name, parent_chain_id FROM selected_snapshots CROSS JOIN mounts USING (snapshot_id)
    WHERE container_id IS NULL) AS m
  CROSS JOIN image_layers AS l ON l.chain_id = m.parent_chain_id AND +l.snapshot_id = m.snapshot_id
  CROSS JOIN images AS i ON i.snapshot_id = l.snapshot_id AND i.image_id = l.image_id
  WHERE l.position = i.layer_count - 1
),
blocks AS MATERIALIZED (
  SELECT s.snapshot_id, s.set_id, n.block
  FROM sets AS s JOIN needed AS n ON n.snapshot_id = s.snapshot_id AND n.image_id = s.id WHERE s.kind = 'image'
  UNION
  SELECT s.snapshot_id, s.set_id, 'tag ' || o.ref AS block
  FROM sets AS s JOIN other_names AS o ON o.snapshot_id = s.snapshot_id AND o.image_id = s.id
  WHERE s.kind = 'image' AND o.namespace = coalesce(s.namespace, o.namespace)
  UNION
  -- isSingleReference of moby's image_delete.go; Podman refuses the same.
  SELECT s.snapshot_id, s.set_id, 'rmi by id refuses without --force: it has ' || count(DISTINCT r.ref) || ' names'
  FROM sets AS s
  JOIN snapshots AS k ON k.snapshot_id = s.snapshot_id AND k.guards_images
  JOIN named AS n ON n.snapshot_id = s.snapshot_id AND n.kind = 'image' AND n.id = s.id
    AND n.word IN (n.id, substr(n.id, 8, 12))
  JOIN image_refs AS r ON r.snapshot_id = s.snapshot_id AND r.image_id = s.id
  WHERE s.kind = 'image' GROUP BY s.snapshot_id, s.set_id, s.id
  HAVING count(DISTINCT CASE WHEN r.tag IS NOT NULL THEN r.ref END) > 1 OR count(DISTINCT r.repository) > 1
  UNION
  SELECT s.snapshot_id, s.set_id, 'container ' || coalesce(c.name, c.container_id) || ' (' || coalesce(c.state, 'unknown') || ')'
  FROM sets AS s JOIN containers AS c ON c.snapshot_id = s.snapshot_id AND c.image_id = s.id
  WHERE s.kind = 'image'
    AND (s.snapshot_id, s.set_id, c.container_id) NOT IN (SELECT snapshot_id, set_id, container_id FROM gone_containers)
  UNION
  SELECT s.snapshot_id, s.set_id,
    CASE s.set_id WHEN 'set' THEN 'container ' || coalesce(c.name, c.container_id) || ' is ' ELSE 'it is ' END || c.state
  FROM sets AS s JOIN containers AS c ON c.snapshot_id = s.snapshot_id AND c.container_id = s.id
  WHERE s.kind = 'container'
    AND (s.snapshot_id, s.set_id, c.container_id) NOT IN (SELECT snapshot_id, set_id, container_id FROM gone_containers)
  UNION
  SELECT s.snapshot_id, s.set_id, 'child image ' || n.label
  FROM sets AS s JOIN children AS i ON i.snapshot_id = s.snapshot_id AND i.parent_image_id = s.id
  CROSS JOIN image_labels AS n ON n.snapshot_id = i.snapshot_id AND n.image_id = i.image_id
  WHERE s.kind = 'image'
    AND (s.snapshot_id, s.set_id, i.image_id) NOT IN (SELECT snapshot_id, set_id, image_id FROM gone_images)
  UNION
  SELECT s.snapshot_id, s.set_id, 'mount ' || m.name
  FROM strays AS m JOIN sets AS s ON s.snapshot_id = m.snapshot_id AND s.id = m.image_id WHERE s.kind = 'image'
  UNION
  SELECT j.snapshot_id, j.set_id, p.pin || ' (' || count(*) || CASE count(*) WHEN 1 THEN ' layer)' ELSE ' layers)' END
  FROM judged AS j JOIN pins AS p ON p.snapshot_id = j.snapshot_id AND p.chain_id = j.chain_id
  WHERE j.unused GROUP BY j.snapshot_id, j.set_id, p.pin
  UNION
  -- What could not be read may need it too.
  SELECT s.snapshot_id, s.set_id, CASE d.thing WHEN 'name' THEN 'names' ELSE 'users' END || ' unknown: ' || d.because
  FROM sets AS s JOIN doubts AS d ON d.snapshot_id = s.snapshot_id
  WHERE d.thing = 'layer' OR (s.kind = 'image' AND (d.thing = 'name'
    OR (d.thing = 'image' AND d.snapshot_id NOT IN (SELECT snapshot_id FROM doubts WHERE thing = 'layer'))))
),
objects AS (
  SELECT DISTINCT snapshot_id, set_id, CASE set_id WHEN 'set' THEN 'set' ELSE kind END AS kind,
    CASE WHEN set_id <> 'set' THEN id END AS id, namespace, set_id = 'set' AS place, NULL AS word
  FROM sets
  UNION ALL
  SELECT NULL, NULL, 'unknown', NULL, NULL, 0, w.kind || ' ' || w.word FROM words AS w
  WHERE (w.kind, w.word) NOT IN (SELECT kind, word FROM named)
)
SELECT CASE o.kind
    WHEN 'image' THEN (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = o.snapshot_id AND n.image_id = o.id)
    WHEN 'container' THEN (
      SELECT coalesce(c.name, c.container_id) FROM containers AS c WHERE c.snapshot_id = o.snapshot_id AND c.container_id = o.id)
    WHEN 'set' THEN 'all of these' ELSE o.word END AS object,
  o.kind, o.id,
  CASE WHEN o.kind <> 'unknown' THEN coalesce(y.layers, 0) END AS exclusive_layers,
  CASE WHEN o.kind <> 'unknown' AND y.set_id IS NULL THEN 0 ELSE y.bytes END AS exclusive_bytes,
  CASE WHEN o.kind <> 'unknown' AND c.known IS NULL THEN 0 ELSE c.bytes END AS container_bytes,
  CASE WHEN o.kind <> 'unknown' AND y.set_id IS NULL THEN 0 ELSE y.disk_bytes END
    + CASE WHEN c.known IS NULL THEN 0 ELSE c.disk_bytes END + coalesce(b.disk_bytes, 0) AS disk_bytes,
  CASE WHEN o.snapshot_id IN (SELECT snapshot_id FROM ctd WHERE content_id = snapshot_id)
    THEN coalesce(b.bytes, 0) END AS content_bytes,
  CASE WHEN o.kind <> 'unknown' AND y.set_id IS NULL THEN 0 ELSE y.shared_bytes END AS still_shared_bytes,
  CASE o.kind WHEN 'unknown' THEN 'nothing of that name' ELSE (
    SELECT group_concat(block, ', ') FROM (SELECT b.block FROM blocks AS b
      WHERE b.snapshot_id = o.snapshot_id AND b.set_id = o.set_id ORDER BY 1)) END AS blocked_by,
  o.namespace, h.host
FROM objects AS o
LEFT JOIN layer_sums AS y ON y.snapshot_id = o.snapshot_id AND y.set_id = o.set_id
LEFT JOIN container_sums AS c ON c.snapshot_id = o.snapshot_id AND c.set_id = o.set_id
LEFT JOIN contents AS b ON b.snapshot_id = o.snapshot_id AND b.set_id = o.set_id
LEFT JOIN snapshot_hosts AS h ON h.snapshot_id = o.snapshot_id
ORDER BY h.host, o.snapshot_id, o.place, exclusive_bytes DESC, container_bytes DESC, o.kind, object, o.id, o.namespace;
