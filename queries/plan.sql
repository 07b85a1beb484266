-- title = "What can be freed, the safest first, and what it frees"
-- description = "One row for each thing; things that hold each other's bytes are of one step, and bytes are what goes when its step, and those before it, are done. layerindex plan makes the commands of it. Unused is what the standings say: an image without a container, a volume that no container names, a directory that nothing names. The build cache can always be made again; whether a build uses a record just now is in the engine's memory only, and the engine keeps that then. A container that does not run, and a volume, hold data that nothing else has. Rows of class unknown are no advice: because says why not."
-- first = ["step", "class", "kind", "name", "bytes", "because"]
-- [columns]
-- step = "number of the step in the snapshot, the safest first; NULL for unknown"
-- class = "nothing is lost, can be rebuilt or pulled again, log lines are lost, data: look first, the engine does not know of it, or unknown"
-- kind = "image, record, log, container, volume, directory, leftovers, aside (what a script of layerindex plan moved there), layer or mount"
-- id = "the thing: image id, record, container, name of the volume, directory, folder"
-- name = "what it is called"
-- refs = "of an image all that its names are, as a JSON list; of a log its path; of a directory its short name; of a container its state; of a volume its folder, if not in the root's volumes/"
-- target = "of an image what its engine shows for it in place of its id; NULL elsewhere"
-- namespace = "in containerd the namespace of the image; NULL in other stores"
-- bytes = "bytes on disk that go; NULL when not known"
-- measured = "1 when bytes are blocks on disk, 0 when one is the engine's own figure or a file's size"
-- because = "why it is thought unused, or what is not known"
-- at_most = "what was not read and may hold these bytes all the same; NULL for nothing"
-- snapshot_id = "the snapshot"
-- host = "the host"

WITH RECURSIVE stores AS MATERIALIZED (
  SELECT s.snapshot_id, s.driver, s.started_at, s.collects_garbage, s.guards_images FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id)
),
listed AS MATERIALIZED (SELECT i.snapshot_id, i.image_id FROM stores JOIN listed_images AS i USING (snapshot_id)),
-- What holds layers has a level: 0 stays, 1 build cache, 2 images without a tag, 3 images with one.
judged AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, collects_garbage, i.standing, n.standing AS named, coalesce(i.because, n.because) AS because,
    CASE WHEN i.standing <> 'unused' OR n.standing = 'unknown' THEN 0 WHEN n.standing = 'used' THEN 3 ELSE 2 END AS level
  FROM stores CROSS JOIN image_standings AS i USING (snapshot_id)
  JOIN name_standings AS n ON n.snapshot_id = i.snapshot_id AND n.image_id = i.image_id
),
image_holds AS MATERIALIZED (
  SELECT j.snapshot_id, j.image_id, j.level, l.chain_id, l.position
  FROM judged AS j CROSS JOIN image_layers AS l ON l.snapshot_id = j.snapshot_id AND l.image_id = j.image_id
  WHERE NOT j.collects_garbage
),
records AS MATERIALIZED (
  SELECT b.snapshot_id, b.record_id, b.description, b.record_type, b.last_used_at, b.cache_id, coalesce(
    (SELECT y.chain_id FROM layers AS y WHERE y.snapshot_id = b.snapshot_id AND y.chain_id = b.chain_id),
    (SELECT min(y.chain_id) FROM layers AS y WHERE y.snapshot_id = b.snapshot_id AND y.cache_id = b.cache_id)) AS chain_id
  FROM stores CROSS JOIN build_cache AS b USING (snapshot_id)
  WHERE NOT collects_garbage
),
own_layers AS MATERIALIZED (
  SELECT snapshot_id, chain_id, min(record_id) AS record_id FROM records WHERE chain_id IS NOT NULL GROUP BY snapshot_id, chain_id
),
-- A record holds its layer and those below it, as far as another record's.
record_holds (snapshot_id, record_id, chain_id) AS (
  SELECT snapshot_id, record_id, chain_id FROM own_layers
  UNION
  SELECT r.snapshot_id, r.record_id, y.parent_chain_id
  FROM record_holds AS r CROSS JOIN layers AS y ON y.snapshot_id = r.snapshot_id AND y.chain_id = r.chain_id
  WHERE y.parent_chain_id IS NOT NULL
    AND (y.snapshot_id, y.parent_chain_id) NOT IN (SELECT snapshot_id, chain_id FROM own_layers)
),
-- Containers and other mounts keep their layers, and so do layers that no image and no record has.
stays (snapshot_id, chain_id) AS (
  SELECT m.snapshot_id, m.parent_chain_id FROM stores CROSS JOIN mounts AS m USING (snapshot_id)
  WHERE m.parent_chain_id IS NOT NULL AND NOT collects_garbage
  UNION
  SELECT y.snapshot_id, y.chain_id FROM stores CROSS JOIN layers AS y USING (snapshot_id)
  WHERE NOT collects_garbage AND (y.snapshot_id, y.chain_id) NOT IN (SELECT snapshot_id, chain_id FROM image_holds)
    AND (y.snapshot_id, y.chain_id) NOT IN (SELECT snapshot_id, chain_id FROM record_holds)
  UNION
  SELECT s.snapshot_id, y.parent_chain_id
  FROM stays AS s CROSS JOIN layers AS y ON y.snapshot_id = s.snapshot_id AND y.chain_id = s.chain_id
  WHERE y.parent_chain_id IS NOT NULL
),
holders AS (
  SELECT snapshot_id, chain_id, 0 AS level FROM stays
  UNION SELECT snapshot_id, chain_id, level FROM image_holds
  UNION SELECT snapshot_id, chain_id, 1 FROM record_holds
),
going AS MATERIALIZED (
  SELECT snapshot_id, chain_id, max(level) AS level, max(level = 1) AS cached FROM holders
  GROUP BY snapshot_id, chain_id HAVING min(level) > 0
),
-- What directories of layers take on disk: measured, or estimated from their files.
layer_bytes AS MATERIALIZED (
  SELECT snapshot_id, owner, disk_bytes, estimated_bytes FROM stores JOIN disk_usage USING (snapshot_id)
  WHERE category IN ('image layer', 'build cache')
),
copies AS MATERIALIZED (
  SELECT y.snapshot_id, y.chain_id, count(*) AS copies,
    CASE WHEN count(y.bytes) = count(*) THEN CAST(total(y.bytes) AS INTEGER) END AS bytes, min(y.measured) AS measured
  FROM (
    SELECT l.snapshot_id, l.chain_id, coalesce(u.disk_bytes, u.estimated_bytes) AS bytes, u.disk_bytes IS NOT NULL AS measured
    FROM stores CROSS JOIN layer_directories AS l USING (snapshot_id)
    LEFT JOIN layer_bytes AS u ON u.snapshot_id = l.snapshot_id AND u.owner = l.cache_id) AS y
  WHERE (y.snapshot_id, y.chain_id) IN (SELECT snapshot_id, chain_id FROM going)
  GROUP BY y.snapshot_id, y.chain_id
),
sized AS MATERIALIZED (
  SELECT g.*, coalesce(c.bytes, coalesce(c.copies, 1) * (
      SELECT y.size FROM layers AS y WHERE y.snapshot_id = g.snapshot_id AND y.chain_id = g.chain_id)) AS bytes,
    c.bytes IS NOT NULL AND c.measured AS measured
  FROM going AS g LEFT JOIN copies AS c ON c.snapshot_id = g.snapshot_id AND c.chain_id = g.chain_id
),
-- Images with a tag that share what goes stand on one lowest layer of that.
image_roots AS MATERIALIZED (
  SELECT snapshot_id, image_id, level, chain_id AS root FROM (
    SELECT h.snapshot_id, h.image_id, h.level, h.chain_id,
      row_number() OVER (PARTITION BY h.snapshot_id, h.image_id ORDER BY h.position) AS number
    FROM image_holds AS h JOIN going AS g ON g.snapshot_id = h.snapshot_id AND g.chain_id = h.chain_id AND g.level = 3)
  WHERE number = 1
),
layer_roots AS MATERIALIZED (
  SELECT h.snapshot_id, h.chain_id, min(r.root) AS root
  FROM image_roots AS r CROSS JOIN image_holds AS h ON h.snapshot_id = r.snapshot_id AND h.image_id = r.image_id
  JOIN going AS g ON g.snapshot_id = h.snapshot_id AND g.chain_id = h.chain_id AND g.level = 3
  GROUP BY h.snapshot_id, h.chain_id
),
-- Deeper images first: an engine keeps an image that another was built on.
ranked AS MATERIALIZED (
  SELECT h.snapshot_id, h.image_id, h.level,
    row_number() OVER (PARTITION BY h.snapshot_id ORDER BY count(*) DESC, h.image_id) AS rank
  FROM image_holds AS h WHERE h.level > 0 AND (h.snapshot_id, h.image_id) IN (SELECT snapshot_id, image_id FROM listed)
  GROUP BY h.snapshot_id, h.image_id, h.level
),
last_images AS MATERIALIZED (
  SELECT h.snapshot_id, h.chain_id, h.level, max(r.rank) AS rank
  FROM ranked AS r CROSS JOIN image_holds AS h ON h.snapshot_id = r.snapshot_id AND h.image_id = r.image_id
  GROUP BY h.snapshot_id, h.chain_id, h.level
),
-- Stores of containerd.
ctd AS MATERIALIZED (SELECT * FROM gc_stores),
ctd_names AS MATERIALIZED (SELECT * FROM gc_names),
ctd_holds AS MATERIALIZED (SELECT * FROM gc_holds),
-- BuildKit's leases are called as its records, for what it made of one besides with a word behind.
ctd_record_roots AS MATERIALIZED (
  SELECT snapshot_id, head.column1 || record_id || tail.column1 AS root, record_id
  FROM ctd CROSS JOIN build_cache AS b USING (snapshot_id)
  CROSS JOIN (VALUES ('lease '), ('flat lease ')) AS head CROSS JOIN (VALUES (''), ('-variants'), ('-view')) AS tail
),
-- The level of each root: that of its images, of a lease that of the build cache.
ctd_levels AS MATERIALIZED (
  SELECT n.snapshot_id, n.root, min(coalesce(j.level, 0)) AS level
  FROM ctd_names AS n LEFT JOIN judged AS j ON j.snapshot_id = n.snapshot_id AND j.image_id = n.image_id
  GROUP BY n.snapshot_id, n.root
  UNION ALL
  SELECT snapshot_id, root, 1 FROM ctd_record_roots
),
ctd_held AS MATERIALIZED (
  SELECT h.snapshot_id, h.root, h.node, coalesce(l.level, 0) AS level
  FROM ctd_holds AS h LEFT JOIN ctd_levels AS l ON l.snapshot_id = h.snapshot_id AND l.root = h.root
),
ctd_going AS MATERIALIZED (
  SELECT snapshot_id, node, max(level) AS level, max(level = 1) AS cached FROM ctd_held
  GROUP BY snapshot_id, node HAVING min(level) > 0
),
ctd_sized AS MATERIALIZED (
  SELECT g.snapshot_id, g.node, g.level, g.cached, coalesce(u.disk_bytes, u.estimated_bytes, s.size) AS bytes, u.disk_bytes IS NOT NULL AS measured
  FROM ctd_going AS g CROSS JOIN ctd AS c USING (snapshot_id)
  CROSS JOIN containerd_snapshots AS s ON s.snapshot_id = g.snapshot_id AND s.snapshotter = c.driver AND s.name = g.node
  LEFT JOIN layer_bytes AS u ON u.snapshot_id = s.snapshot_id AND u.owner = s.cache_id
  UNION ALL
  SELECT g.snapshot_id, g.node, g.level, g.cached, max((b.size + 4095) / 4096 * 4096), 1
  FROM ctd_going AS g CROSS JOIN ctd AS c ON c.snapshot_id = g.snapshot_id AND c.content_id = c.snapshot_id
  CROSS JOIN blobs AS b ON b.snapshot_id = g.snapshot_id AND b.digest = g.node
  WHERE b.on_disk GROUP BY g.snapshot_id, g.node, g.level, g.cached
),
ctd_images AS MATERIALIZED (
  SELECT n.snapshot_id, n.image_id, n.namespace, j.level
  FROM (SELECT DISTINCT snapshot_id, image_id, namespace FROM ctd_names) AS n
  JOIN judged AS j ON j.snapshot_id = n.snapshot_id AND j.image_id = n.image_id
  JOIN listed AS i ON i.snapshot_id = n.snapshot_id AND i.image_id = n.image_id
  WHERE j.level > 0
),
ctd_image_holds AS MATERIALIZED (
  SELECT DISTINCT i.snapshot_id, i.image_id, i.namespace, i.level, h.node
  FROM ctd_images AS i
  JOIN ctd_names AS n ON n.snapshot_id = i.snapshot_id AND n.image_id = i.image_id AND n.namespace = i.namespace
  JOIN ctd_held AS h ON h.snapshot_id = n.snapshot_id AND h.root = n.root
),
-- Images share what goes where the lowest snapshot of it is the same.
ctd_roots AS MATERIALIZED (
  SELECT snapshot_id, image_id, namespace, node FROM (
    SELECT i.snapshot_id, i.image_id, i.namespace, s.name AS node,
      row_number() OVER (PARTITION BY i.snapshot_id, i.image_id, i.namespace ORDER BY l.position) AS number
    FROM ctd_images AS i CROSS JOIN ctd AS c ON c.snapshot_id = i.snapshot_id
    CROSS JOIN image_layers AS l ON l.snapshot_id = i.snapshot_id AND l.image_id = i.image_id
    CROSS JOIN containerd_snapshots AS s ON s.chain_id = l.chain_id AND s.snapshot_id = l.snapshot_id
      AND s.namespace = i.namespace AND s.snapshotter = c.driver AND s.snapshot_key = l.chain_id
    WHERE i.level = 3 AND (s.snapshot_id, s.name) IN (SELECT snapshot_id, node FROM ctd_going WHERE level = 3))
  WHERE number = 1
),
ctd_parts AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, i.namespace, i.level, CASE i.level
      WHEN 2 THEN CASE WHEN i.snapshot_id IN (SELECT snapshot_id FROM ctd_going WHERE level = 2 AND cached)
        THEN '0 cache' ELSE '0 untagged' END
      ELSE '1 ' || coalesce(r.node, i.namespace || i.image_id) END AS part
  FROM ctd_images AS i
  LEFT JOIN ctd_roots AS r ON r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = i.namespace
),
-- Parts may have blobs in common, of which the last takes them along: the order is that of all that a part has.
ctd_weights AS MATERIALIZED (
  SELECT snapshot_id, part, CAST(total(bytes) AS INTEGER) AS weight FROM (
    SELECT DISTINCT p.snapshot_id, p.part, s.node, s.bytes
    FROM ctd_parts AS p JOIN ctd_image_holds AS h ON h.snapshot_id = p.snapshot_id AND h.image_id = p.image_id AND h.namespace = p.namespace
    JOIN ctd_sized AS s ON s.snapshot_id = h.snapshot_id AND s.node = h.node)
  GROUP BY snapshot_id, part
),
ctd_ranked AS MATERIALIZED (
  SELECT p.*, row_number() OVER (
    PARTITION BY p.snapshot_id ORDER BY p.level, w.weight DESC, p.part, p.namespace, p.image_id) AS rank
  FROM ctd_parts AS p JOIN ctd_weights AS w ON w.snapshot_id = p.snapshot_id AND w.part = p.part
),
ctd_last AS MATERIALIZED (
  SELECT h.snapshot_id, h.node, h.level, max(r.rank) AS rank
  FROM ctd_image_holds AS h
  JOIN ctd_ranked AS r ON r.snapshot_id = h.snapshot_id AND r.image_id = h.image_id AND r.namespace = h.namespace
  GROUP BY h.snapshot_id, h.node, h.level
),
ctd_records AS MATERIALIZED (
  SELECT DISTINCT h.snapshot_id, r.record_id, h.node, g.level
  FROM ctd_held AS h JOIN ctd_record_roots AS r ON r.snapshot_id = h.snapshot_id AND r.root = h.root
  JOIN ctd_going AS g ON g.snapshot_id = h.snapshot_id AND g.node = h.node
),
-- Who of a step is removed last takes a layer along.
freed AS MATERIALIZED (
  SELECT s.snapshot_id, 'record' AS kind, '' AS namespace, coalesce(o.record_id, (
      SELECT min(r.record_id) FROM record_holds AS r WHERE r.snapshot_id = s.snapshot_id AND r.chain_id = s.chain_id)) AS id,
    s.level, s.bytes, s.measured
  FROM sized AS s LEFT JOIN own_layers AS o ON o.snapshot_id = s.snapshot_id AND o.chain_id = s.chain_id
  WHERE s.cached AND (s.level < 3 OR o.record_id IS NOT NULL)
  UNION ALL
  SELECT s.snapshot_id, 'image', '', r.image_id, s.level, s.bytes, s.measured
  FROM sized AS s JOIN last_images AS l ON l.snapshot_id = s.snapshot_id AND l.chain_id = s.chain_id AND l.level = s.level
  JOIN ranked AS r ON r.snapshot_id = l.snapshot_id AND r.rank = l.rank
  WHERE NOT s.cached OR (s.level = 3 AND (s.snapshot_id, s.chain_id) NOT IN (SELECT snapshot_id, chain_id FROM own_layers))
  UNION ALL
  -- Directories of the cache that are no layers.
  SELECT snapshot_id, 'record', '', record_id, 1, coalesce(disk_bytes, estimated_bytes, apparent_bytes), disk_bytes IS NOT NULL FROM (
    SELECT r.snapshot_id, min(r.record_id) AS record_id, u.disk_bytes, u.estimated_bytes, u.apparent_bytes
    FROM records AS r JOIN disk_usage AS u ON u.snapshot_id = r.snapshot_id AND u.category = 'build cache' AND u.owner = r.cache_id
    WHERE r.chain_id IS NULL AND NOT EXISTS (SELECT 1 FROM overlay_dir_owners AS o
      WHERE o.snapshot_id = r.snapshot_id AND o.cache_id = r.cache_id AND o.kind NOT IN ('build-cache', 'build-snapshot', 'lower'))
    GROUP BY r.snapshot_id, r.cache_id)
  UNION ALL
  SELECT s.snapshot_id, 'record', '', (
      SELECT min(r.record_id) FROM ctd_records AS r WHERE r.snapshot_id = s.snapshot_id AND r.node = s.node), s.level, s.bytes, s.measured
  FROM ctd_sized AS s WHERE s.cached AND s.level < 3
  UNION ALL
  SELECT s.snapshot_id, 'image', i.namespace, i.image_id, s.level, s.bytes, s.measured
  FROM ctd_sized AS s JOIN ctd_last AS l ON l.snapshot_id = s.snapshot_id AND l.node = s.node AND l.level = s.level
  JOIN ctd_ranked AS i ON i.snapshot_id = l.snapshot_id AND i.rank = l.rank
  WHERE s.level = 3 OR NOT s.cached
),
freed_sums AS MATERIALIZED (
  SELECT snapshot_id, kind, namespace, id, CAST(total(bytes) AS INTEGER) AS bytes, min(measured) AS measured FROM freed
  GROUP BY snapshot_id, kind, namespace, id
),
-- Where a layer is held by both they are one step.
mixed AS MATERIALIZED (SELECT DISTINCT snapshot_id FROM going WHERE level = 2 AND cached),
untagged AS MATERIALIZED (
  SELECT DISTINCT h.snapshot_id, h.image_id
  FROM image_holds AS h JOIN going AS g ON g.snapshot_id = h.snapshot_id AND g.chain_id = h.chain_id
  WHERE h.level = 2 AND g.level = 2
),
image_parts AS MATERIALIZED (
  SELECT snapshot_id, image_id, CASE WHEN snapshot_id IN (SELECT snapshot_id FROM mixed) THEN '0 cache' ELSE '0 untagged' END AS part
  FROM untagged
  UNION ALL
  SELECT i.snapshot_id, i.image_id, '1 ' || k.root
  FROM image_roots AS i JOIN layer_roots AS k ON k.snapshot_id = i.snapshot_id AND k.chain_id = i.root
  WHERE (i.snapshot_id, i.image_id) NOT IN (SELECT snapshot_id, image_id FROM untagged)
),
removable AS MATERIALIZED (
  SELECT r.snapshot_id, 'image' AS kind, '' AS namespace, r.image_id AS id, r.rank AS place, r.level, i.part
  FROM ranked AS r JOIN image_parts AS i ON i.snapshot_id = r.snapshot_id AND i.image_id = r.image_id
  UNION ALL
  SELECT r.snapshot_id, 'record', '', r.record_id, NULL, 1,
    CASE WHEN r.chain_id IS NULL OR g.level < 3 THEN '0 cache' ELSE '1 ' || k.root END
  FROM records AS r
  LEFT JOIN going AS g ON g.snapshot_id = r.snapshot_id AND g.chain_id = r.chain_id
  LEFT JOIN layer_roots AS k ON k.snapshot_id = r.snapshot_id AND k.chain_id = r.chain_id
  WHERE r.chain_id IS NULL OR g.level IS NOT NULL
  UNION ALL
  SELECT snapshot_id, 'image', namespace, image_id, rank, level, part FROM ctd_ranked
  UNION ALL
  SELECT r.snapshot_id, 'record', '', r.record_id, NULL, 1, CASE WHEN min(r.level) < 3 THEN '0 cache' ELSE min(p.part) END
  FROM ctd_records AS r
  LEFT JOIN ctd_last AS l ON l.snapshot_id = r.snapshot_id AND l.node = r.node AND l.level = 3
  LEFT JOIN ctd_ranked AS p ON p.snapshot_id = l.snapshot_id AND p.rank = l.rank
  GROUP BY r.snapshot_id, r.record_id
),
-- Working containers of builds: what runs containers does not know them, all that tells of containers was read, and no
-- pod's, of which nothing but its own engine knows the state.
working AS MATERIALIZED (
  SELECT c.snapshot_id, c.container_id FROM stores JOIN containers AS c USING (snapshot_id)
  WHERE NOT collects_garbage AND coalesce(c.state, 'unknown') = 'unknown' AND c.sandbox_id IS NULL AND c.image_ref IS NULL
    AND c.snapshot_id NOT IN (SELECT snapshot_id FROM doubts WHERE thing = 'volume')
),
layer_doubts AS MATERIALIZED (SELECT d.snapshot_id, d.because FROM stores JOIN doubts AS d USING (snapshot_id) WHERE d.thing = 'layer'),
things AS MATERIALIZED (
  SELECT m.snapshot_id, 1 AS rank, 'can be rebuilt or pulled again' AS class, m.part, m.kind, m.id, m.place, m.namespace,
    coalesce(f.bytes, 0) AS bytes, coalesce(f.measured, 1) AS measured,
    CASE m.kind
      WHEN 'record' THEN (SELECT coalesce(r.record_type || ', ', '') || coalesce('last used ' || substr(r.last_used_at, 1, 10), 'not used since it was made')
        FROM build_cache AS r WHERE r.snapshot_id = m.snapshot_id AND r.record_id = m.id)
      ELSE 'no container is made of it'
        || CASE m.level WHEN 2 THEN ', no tag names it' ELSE '' END
        || CASE WHEN EXISTS (SELECT 1 FROM image_refs AS r
            WHERE r.snapshot_id = m.snapshot_id AND r.image_id = m.id AND r.digest IS NOT NULL)
          THEN '; it was pulled or pushed' ELSE '; no registry is known to have it' END END AS because,
    d.because AS at_most
  FROM removable AS m
  LEFT JOIN freed_sums AS f ON f.snapshot_id = m.snapshot_id AND f.kind = m.kind AND f.namespace = m.namespace AND f.id = m.id
  LEFT JOIN layer_doubts AS d ON d.snapshot_id = m.snapshot_id
  WHERE m.part IS NOT NULL
  UNION ALL
  SELECT u.snapshot_id, 0, 'nothing is lost', 'leftovers', 'leftovers', 'tmp', NULL, '',
    CASE WHEN count(u.disk_bytes) = count(*) THEN CAST(total(u.disk_bytes) AS INTEGER) ELSE CAST(total(u.apparent_bytes) AS INTEGER) END,
    count(u.disk_bytes) = count(*), 'downloads and build contexts, at work or interrupted: a restart of the engine removes them', NULL
  FROM stores JOIN disk_usage AS u USING (snapshot_id) WHERE u.category = 'tmp' AND u.items > 1 GROUP BY u.snapshot_id
  UNION ALL
  SELECT u.snapshot_id, 3, 'data: look first', 'aside', 'aside', 'layerindex-quarantine', NULL, '', coalesce(u.disk_bytes, u.apparent_bytes),
    u.disk_bytes IS NOT NULL, 'orphans that a script of layerindex plan moved there; moved.log in it has the way back', NULL
  FROM stores JOIN disk_usage AS u USING (snapshot_id)
  WHERE u.category = 'other' AND u.owner = 'layerindex-quarantine' AND u.items > 1
  UNION ALL
  SELECT g.snapshot_id, 2, 'log lines are lost', 'log ' || g.container_id || g.path, 'log', g.container_id, NULL, '',
    g.disk_bytes, 1, g.driver || ', last written ' || coalesce(substr(g.modified_at, 1, 10), 'some day')
      || coalesce('; the container is ' || (SELECT c.state FROM containers AS c
        WHERE c.snapshot_id = g.snapshot_id AND c.container_id = g.container_id), ''), NULL
  FROM stores JOIN container_logs AS g USING (snapshot_id)
  WHERE g.rotation = 0 AND g.driver IN ('json-file', 'k8s-file') AND g.disk_bytes > 0
  UNION ALL
  SELECT c.snapshot_id, 3, 'data: look first', 'container ' || c.container_id, 'container', c.container_id, NULL, '',
    w.bytes - coalesce((SELECT CAST(total(g.disk_bytes) AS INTEGER) FROM container_logs AS g
      WHERE g.snapshot_id = c.snapshot_id AND g.container_id = c.container_id AND g.rotation = 0
        AND g.driver IN ('json-file', 'k8s-file') AND g.path NOT GLOB '/*'), 0),
    w.measured, CASE coalesce(c.state, 'unknown') WHEN 'unknown' THEN 'what runs containers does not know it: a working container of a build, perhaps'
      ELSE c.state END || coalesce(', ended ' || substr(c.finished_at, 1, 10), ', made ' || substr(c.created_at, 1, 10), ''), NULL
  FROM stores JOIN containers AS c USING (snapshot_id)
  JOIN (
    SELECT u.snapshot_id, u.owner, CAST(total(coalesce(u.disk_bytes, u.apparent_bytes)) AS INTEGER) AS bytes,
      count(u.disk_bytes) = count(*) AS measured
    FROM (
      SELECT snapshot_id, owner, disk_bytes, apparent_bytes FROM stores JOIN disk_usage USING (snapshot_id)
      WHERE category IN ('container writable', 'container files', 'container logs')
      UNION ALL
      SELECT m.snapshot_id, m.container_id, i.disk_bytes, i.apparent_bytes FROM stores CROSS JOIN mounts AS m USING (snapshot_id)
      JOIN disk_usage AS i ON i.snapshot_id = m.snapshot_id AND i.category = 'container init' AND i.owner = m.init_id) AS u
    GROUP BY u.snapshot_id, u.owner) AS w ON w.snapshot_id = c.snapshot_id AND w.owner = c.container_id
  -- Kubernetes removes its own containers.
  WHERE c.state IN ('exited', 'created', 'dead') AND (guards_images OR NOT collects_garbage) AND NOT (c.sandbox_id IS NOT NULL AND c.name GLOB 'k8s_*')
    OR (c.snapshot_id, c.container_id) IN (SELECT snapshot_id, container_id FROM working)
  UNION ALL
  SELECT v.snapshot_id, 3, 'data: look first', 'volume ' || v.name, 'volume', v.name, NULL, '',
    coalesce(v.disk_bytes, v.apparent_bytes), v.disk_bytes IS NOT NULL,
    'no container names it' || coalesce('; it holds ' || v.holds, ''), NULL
  FROM stores JOIN volumes AS v USING (snapshot_id)
  JOIN volume_standings AS t ON t.snapshot_id = v.snapshot_id AND t.name = v.name
  WHERE t.standing = 'unused' AND v.on_disk = 1
  UNION ALL
  SELECT snapshot_id, CASE standing WHEN 'unused' THEN 4 ELSE 5 END,
    CASE standing WHEN 'unused' THEN 'the engine does not know of it' ELSE 'unknown' END,
    'directory ' || cache_id, 'directory', cache_id, NULL, '', coalesce(whole_bytes, disk_bytes, said_bytes, apparent_bytes),
    coalesce(whole_bytes, disk_bytes) IS NOT NULL,
    CASE WHEN standing = 'unused' THEN 'nothing names it, and every source that could was read'
      WHEN role = 'removing' THEN because || '; a restart of the engine finishes it' ELSE because END, NULL
  FROM (
    SELECT d.*, t.standing, t.because,
      (SELECT u.disk_bytes FROM disk_usage AS u
        WHERE u.snapshot_id = d.snapshot_id AND u.category = d.role AND u.owner = d.cache_id) AS whole_bytes,
      (SELECT u.apparent_bytes FROM disk_usage AS u
        WHERE u.snapshot_id = d.snapshot_id AND u.category = d.role AND u.owner = d.cache_id) AS said_bytes
    FROM stores CROSS JOIN directory_standings AS t USING (snapshot_id)
    JOIN overlay_dirs AS d ON d.snapshot_id = t.snapshot_id AND d.cache_id = t.cache_id
    WHERE t.standing <> 'used')
  UNION ALL
  SELECT j.snapshot_id, 5, 'unknown', 'image ' || j.image_id, 'image', j.image_id, NULL, '', NULL, 0, j.because, NULL
  FROM judged AS j JOIN listed USING (snapshot_id, image_id)
  WHERE j.standing <> 'used' AND j.level = 0
  UNION ALL
  SELECT t.snapshot_id, 5, 'unknown', 'volume ' || t.name, 'volume', t.name, NULL, '',
    (SELECT coalesce(v.disk_bytes, v.apparent_bytes) FROM volumes AS v WHERE v.snapshot_id = t.snapshot_id AND v.name = t.name),
    (SELECT v.disk_bytes IS NOT NULL FROM volumes AS v WHERE v.snapshot_id = t.snapshot_id AND v.name = t.name), t.because, NULL
  FROM stores CROSS JOIN volume_standings AS t USING (snapshot_id) WHERE t.standing = 'unknown'
  UNION ALL
  SELECT c.snapshot_id, 5, 'unknown', 'container ' || c.container_id, 'container', c.container_id, NULL, '', NULL, 0,
    'its state is not on disk', NULL
  FROM stores JOIN containers AS c USING (snapshot_id) WHERE coalesce(c.state, 'unknown') = 'unknown' AND NOT collects_garbage
    AND (c.snapshot_id, c.container_id) NOT IN (SELECT snapshot_id, container_id FROM working)
  UNION ALL
  SELECT t.snapshot_id, 5, 'unknown', 'mount ' || t.name, 'mount', t.name, NULL, '', NULL, 0, t.because, NULL
  FROM stores CROSS JOIN mount_standings AS t USING (snapshot_id) WHERE t.standing = 'unknown' AND NOT collects_garbage
  UNION ALL
  SELECT t.snapshot_id, 5, 'unknown', 'layer ' || t.chain_id, 'layer', t.chain_id, NULL, '',
    (SELECT y.size FROM layers AS y WHERE y.snapshot_id = t.snapshot_id AND y.chain_id = t.chain_id), 0,
    coalesce(t.because, 'no image, container or record needs it, and the engine has no command that frees it'), NULL
  FROM stores CROSS JOIN layer_standings AS t USING (snapshot_id) WHERE t.standing <> 'used' AND NOT collects_garbage
),
-- In one reading: SQLite prepares all above once for each place that names it.
weighed AS (
  SELECT *, total(bytes) OVER part AS together, max(kind = 'image' AND because GLOB '*; no registry *') OVER part AS nowhere
  FROM things WINDOW part AS (PARTITION BY snapshot_id, rank, part)
),
stepped AS MATERIALIZED (
  -- Images that a registry has come first.
  SELECT t.*, CASE WHEN t.rank < 5 THEN dense_rank() OVER (PARTITION BY t.snapshot_id
    ORDER BY t.rank, CASE WHEN t.part GLOB '[01] *' THEN substr(t.part, 1, 1) END,
      CASE WHEN w.weight IS NULL THEN t.nowhere END, coalesce(w.weight, t.together) DESC, t.part) END AS step
  FROM weighed AS t LEFT JOIN ctd_weights AS w ON w.snapshot_id = t.snapshot_id AND w.part = t.part
)
SELECT t.step, t.class, t.kind, t.id,
  CASE t.kind
    WHEN 'image' THEN (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = t.snapshot_id AND n.image_id = t.id)
    WHEN 'record' THEN (SELECT r.description FROM build_cache AS r WHERE r.snapshot_id = t.snapshot_id AND r.record_id = t.id)
    WHEN 'volume' THEN t.id
    WHEN 'directory' THEN (SELECT k.folder FROM snapshots AS k WHERE k.snapshot_id = t.snapshot_id) || '/' || t.id
    WHEN 'leftovers' THEN t.id
    WHEN 'aside' THEN t.id
    WHEN 'layer' THEN (SELECT y.cache_id FROM layers AS y WHERE y.snapshot_id = t.snapshot_id AND y.chain_id = t.id)
    WHEN 'mount' THEN t.id
    ELSE (SELECT c.name FROM containers AS c WHERE c.snapshot_id = t.snapshot_id AND c.container_id = t.id) END AS name,
  CASE t.kind
    WHEN 'image' THEN (SELECT json_group_array(ref) FROM (SELECT DISTINCT r.ref FROM image_refs AS r
      WHERE r.snapshot_id = t.snapshot_id AND r.image_id = t.id AND t.namespace = r.namespace
        AND (r.tag IS NOT NULL OR t.namespace <> '' OR NOT EXISTS (
          SELECT 1 FROM image_refs AS o WHERE o.snapshot_id = r.snapshot_id AND o.image_id = r.image_id
            AND o.repository = r.repository AND o.tag IS NOT NULL)) ORDER BY r.ref))
    WHEN 'log' THEN substr(t.part, 5 + length(t.id))
    WHEN 'volume' THEN (SELECT v.place FROM volumes AS v WHERE v.snapshot_id = t.snapshot_id AND v.name = t.id)
    WHEN 'container' THEN (SELECT c.state FROM containers AS c WHERE c.snapshot_id = t.snapshot_id AND c.container_id = t.id)
    WHEN 'directory' THEN (SELECT d.link FROM overlay_dirs AS d WHERE d.snapshot_id = t.snapshot_id AND d.cache_id = t.id)
    END AS refs,
  CASE t.kind WHEN 'image' THEN (SELECT i.target_digest FROM stored_images AS i
    WHERE i.snapshot_id = t.snapshot_id AND i.image_id = t.id) END AS target,
  nullif(t.namespace, '') AS namespace, t.bytes, t.measured, t.because, t.at_most, t.snapshot_id, h.host
FROM stepped AS t JOIN snapshot_hosts AS h ON h.snapshot_id = t.snapshot_id
ORDER BY h.host, t.snapshot_id, t.rank, t.step, t.kind, t.place, t.bytes DESC, t.id, t.part, t.namespace;
