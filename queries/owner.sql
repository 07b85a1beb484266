-- title = "Who owns a directory: every reason why it exists"
-- description = "One row for each reason; a lower of a directory that has an owner itself is none, query dirs and table overlay_lowers have these. Without any reason the one row says by its role whether it is an orphan, or why that cannot be said; nothing here deletes. thing may be any path that names the directory, such as the one a scanner reports."
-- first = ["directory", "role", "kind", "owner", "images", "containers"]
-- [params]
-- thing = { type = "told directory", help = "the directory: a path with its name behind overlay2, overlay or snapshots, its name, link, chain_id, diff_id or mount id, or the beginning of one; all of them when left out" }
-- [columns]
-- directory = "name of the directory"
-- role = "layer, container, init, build-cache, removing, mount, in-flight, orphan or unknown"
-- kind = "what kind of reason this row is: layer, container, build-cache, lower …; NULL when there is none"
-- owner = "the owner: chain_id, image, container, build-cache record, the directory whose lower names it …"
-- chain_id = "chain_id of the layer in it"
-- diff_id = "diff_id of that layer"
-- position = "how many layers are below that layer"
-- images = "tags or ids of the listed images that need it"
-- containers = "names of the containers that need it"
-- cache_entry = "what BuildKit says of the cache record that keeps its data in it"
-- link = "its short name in l/; NULL where the driver gives none"
-- disk_bytes = "bytes on disk of its files, which lie in its diff folder; NULL when not walked"
-- host = "the host"

WITH RECURSIVE parts (at, rest, name, parent, grand) AS (
  SELECT 0, :thing || '/', '', '', ''
  UNION ALL
  SELECT at + 1, substr(rest, instr(rest, '/') + 1),
    CASE instr(rest, '/') WHEN 1 THEN name ELSE substr(rest, 1, instr(rest, '/') - 1) END,
    CASE instr(rest, '/') WHEN 1 THEN parent ELSE name END,
    CASE instr(rest, '/') WHEN 1 THEN grand ELSE parent END
  FROM parts WHERE rest <> ''
),
-- Of a path what stands behind a driver's folder, or behind the folder of the short names; else the word itself.
words AS (
  SELECT at, name AS word, CASE WHEN grand GLOB 'io.containerd.snapshotter.v1.*' THEN substr(grand, 30) END AS driver,
    parent = 'snapshots' AND grand NOT GLOB 'io.containerd.snapshotter.v1.*' AS moved
  FROM parts
  WHERE instr(:thing, '/') > 0 AND name NOT IN ('', 'l') AND (parent IN ('overlay2', 'fuse-overlayfs', 'overlay', 'l')
    OR (parent = 'snapshots' AND (grand GLOB 'io.containerd.snapshotter.v1.*' OR rest GLOB 'fs/*')))
  UNION ALL
  SELECT 0, :thing, NULL, 0 WHERE instr(:thing, '/') = 0
),
-- A path below the root of a store is about that store. A folder's name in a path may be the user's own: it is whole,
-- or as long as Docker shortens an id.
asked AS MATERIALIZED (
  SELECT s.snapshot_id, w.at, w.id, w.id || w.more AS last, 'sha256:' || w.id AS digest, 'sha256:' || w.id || w.more AS last_digest
  FROM (SELECT at, id, driver, moved, CASE WHEN at = 0 OR length(id) >= 12 THEN char(127) ELSE '' END AS more
    FROM (SELECT at, driver, moved, CASE WHEN word GLOB 'sha256:*' THEN substr(word, 8) ELSE word END AS id FROM words)) AS w
  -- Numbers of directories are those of one snapshotter: its name says of which, or the folder that it was moved to.
  JOIN (SELECT snapshot_id, driver, folder, below, max(below) OVER () AS most
    FROM (SELECT s.snapshot_id, s.driver, s.folder, substr(:thing, 1, length(s.root) + 1) = s.root || '/' AS below
      FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id))) AS s
    ON s.below IS s.most AND s.driver = coalesce(w.driver, s.driver)
    AND (NOT w.moved OR substr(:thing, 1, length(s.folder) + 1) = s.folder || '/')
  WHERE w.id <> ''
),
-- A plus keeps SQLite from reading the whole snapshot where the other column's index answers.
named AS MATERIALIZED (
  SELECT d.snapshot_id, d.cache_id, a.at, d.cache_id IN (a.id, a.id || '-init') AS whole FROM asked AS a
  CROSS JOIN overlay_dirs AS d ON d.snapshot_id = a.snapshot_id AND d.cache_id BETWEEN a.id AND a.last
  UNION ALL
  SELECT d.snapshot_id, d.cache_id, a.at, d.link = a.id FROM asked AS a
  CROSS JOIN overlay_dirs AS d ON d.link BETWEEN a.id AND a.last AND +d.snapshot_id = a.snapshot_id
  UNION ALL
  SELECT k.snapshot_id, k.cache_id, a.at, k.link = a.id FROM asked AS a
  CROSS JOIN links AS k ON k.snapshot_id = a.snapshot_id AND k.link BETWEEN a.id AND a.last
  UNION ALL
  SELECT y.snapshot_id, y.cache_id, a.at, y.chain_id = a.digest FROM asked AS a
  CROSS JOIN layers AS y ON y.snapshot_id = a.snapshot_id AND y.chain_id BETWEEN a.digest AND a.last_digest AND a.at = 0
  UNION ALL
  SELECT y.snapshot_id, y.cache_id, a.at, y.diff_id = a.digest FROM asked AS a
  CROSS JOIN layers AS y ON y.diff_id BETWEEN a.digest AND a.last_digest AND +y.snapshot_id = a.snapshot_id AND a.at = 0
  UNION ALL
  SELECT m.snapshot_id, m.mount_id, a.at, 1 FROM asked AS a
  CROSS JOIN mounts AS m ON m.snapshot_id = a.snapshot_id AND m.name = a.id AND a.at = 0
),
-- The outermost folder decides, so that a file in a layer cannot pass for another directory; a whole name before a part.
wanted AS MATERIALIZED (
  SELECT snapshot_id, cache_id FROM selected_snapshots CROSS JOIN overlay_dirs USING (snapshot_id) WHERE nullif(:thing, '') IS NULL
  UNION
  SELECT snapshot_id, cache_id FROM (SELECT *, rank() OVER (ORDER BY at, whole DESC) AS place FROM named) WHERE place = 1
),
-- A directory of more than one layer is damage: the query then says the first.
held AS MATERIALIZED (
  SELECT w.snapshot_id, w.cache_id, (SELECT min(y.owner) FROM overlay_dir_owners AS y
    WHERE y.cache_id = w.cache_id AND y.snapshot_id = w.snapshot_id AND y.kind = 'layer') AS chain_id
  FROM wanted AS w
),
placed AS MATERIALIZED (
  SELECT y.snapshot_id, y.chain_id, y.diff_id FROM (SELECT DISTINCT snapshot_id, chain_id FROM held) AS w
  CROSS JOIN layers AS y ON y.snapshot_id = w.snapshot_id AND y.chain_id = w.chain_id
),
users AS MATERIALIZED (
  SELECT m.snapshot_id, w.cache_id, m.container_id FROM held AS w
  CROSS JOIN mounts AS m ON m.mount_id = w.cache_id AND m.snapshot_id = w.snapshot_id
  UNION
  SELECT m.snapshot_id, w.cache_id, m.container_id FROM mounts AS m
  JOIN held AS w ON w.snapshot_id = m.snapshot_id AND w.cache_id = m.init_id
  UNION
  SELECT m.snapshot_id, w.cache_id, m.container_id FROM held AS w
  CROSS JOIN overlay_lowers AS o ON o.snapshot_id = w.snapshot_id AND o.lower_cache_id = w.cache_id
  CROSS JOIN mounts AS m ON m.mount_id = o.cache_id AND m.snapshot_id = o.snapshot_id
),
reasons AS MATERIALIZED (
  SELECT w.snapshot_id, w.cache_id, o.kind, o.owner FROM held AS w CROSS JOIN overlay_dir_owners AS o USING (snapshot_id, cache_id)
),
inside AS MATERIALIZED (
  SELECT snapshot_id, cache_id, group_concat(name, ', ') AS containers FROM (
    SELECT DISTINCT u.snapshot_id, u.cache_id, coalesce(c.name, c.container_id) AS name
    FROM users AS u JOIN containers AS c USING (snapshot_id, container_id) ORDER BY 1, 2, 3)
  GROUP BY snapshot_id, cache_id
),
holders AS MATERIALIZED (
  SELECT w.snapshot_id, w.cache_id, l.image_id, min(l.position) AS position FROM held AS w
  CROSS JOIN image_layers AS l ON l.chain_id = w.chain_id AND +l.snapshot_id = w.snapshot_id
  GROUP BY w.snapshot_id, w.cache_id, l.image_id
),
labels AS MATERIALIZED (
  SELECT snapshot_id, image_id, n.label FROM (SELECT DISTINCT snapshot_id, image_id FROM holders)
  CROSS JOIN listed_images USING (snapshot_id, image_id) CROSS JOIN image_labels AS n USING (snapshot_id, image_id)
),
shown AS MATERIALIZED (
  SELECT snapshot_id, cache_id, group_concat(label, '; ') AS images FROM (
    SELECT DISTINCT h.snapshot_id, h.cache_id, n.label FROM holders AS h JOIN labels AS n USING (snapshot_id, image_id) ORDER BY 1, 2, 3)
  GROUP BY snapshot_id, cache_id
)
SELECT d.cache_id AS directory, d.role, o.kind, o.owner, y.chain_id, y.diff_id,
  (SELECT min(l.position) FROM holders AS l WHERE l.snapshot_id = y.snapshot_id AND l.cache_id = w.cache_id) AS position,
  i.images, n.containers,
  (SELECT group_concat(entry, '; ') FROM (SELECT b.record_id || coalesce(' ' || b.description, '') AS entry
     FROM build_cache AS b WHERE b.cache_id = d.cache_id AND b.snapshot_id = d.snapshot_id ORDER BY 1)) AS cache_entry,
  d.link, d.disk_bytes, h.host
FROM held AS w
CROSS JOIN overlay_dirs AS d USING (snapshot_id, cache_id)
LEFT JOIN reasons AS o USING (snapshot_id, cache_id)
LEFT JOIN placed AS y ON y.snapshot_id = w.snapshot_id AND y.chain_id = w.chain_id
LEFT JOIN shown AS i ON i.snapshot_id = w.snapshot_id AND i.cache_id = w.cache_id
LEFT JOIN inside AS n ON n.snapshot_id = w.snapshot_id AND n.cache_id = w.cache_id
JOIN snapshot_hosts AS h ON h.snapshot_id = d.snapshot_id
ORDER BY h.host, d.snapshot_id, d.cache_id, o.kind, o.owner;
