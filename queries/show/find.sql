-- title = "What an id, name or path may mean"
-- description = "Every thing in the selected snapshots that the word names, or whose id begins with it; where something has exactly that name or id, only that. An id that is several things is the most specific of them."
-- [params]
-- word = { help = "a name or an id, with or without sha256:, or the beginning of an id; of a volume also a path below its place" }
-- kind = { help = "only this kind: container, image, build-cache, layer, directory, volume, folder, blob or ingest" }
-- root = { help = "only in stores with this root" }
-- driver = { help = "only in stores of this driver or snapshotter" }
-- folder = { help = "only in the store whose directories lie in this folder" }
-- shortest = { type = "integer", help = "fewest characters that are taken for the beginning of an id", default = 2 }
-- [columns]
-- kind = "container, image, build-cache, layer, directory, volume, folder, blob or ingest"
-- id = "its whole id or name"
-- matched = "the column that the word was found in"
-- found = "the whole id or name that was found there"
-- exact = "1 when the word is the whole of it, 0 when only its beginning"
-- directory = "its directory in the driver's folder"
-- chain_id = "its layer"
-- snapshot_id = "the snapshot"
-- host = "the host"

WITH asked AS (
  SELECT word, id, stem, word <> stem AS init, id NOT GLOB '*[^0-9a-f]*' AS hex,
    stem || CASE WHEN length(stem) >= coalesce(:shortest, 2) THEN char(127) ELSE '' END AS last
  FROM (SELECT :word AS word, CASE WHEN :word GLOB 'sha256:*' THEN substr(:word, 8) ELSE :word END AS id,
    CASE WHEN :word GLOB 'sha256:*' THEN substr(:word, 8) WHEN :word GLOB '*-init' THEN substr(:word, 1, length(:word) - 5)
      ELSE :word END AS stem)
),
spelt (ref) AS MATERIALIZED (SELECT head || :word || tail FROM spellings),
chosen AS MATERIALIZED (
  SELECT s.snapshot_id, coalesce(:kind, '') AS kind, a.* FROM selected_snapshots CROSS JOIN snapshots AS s USING (snapshot_id) CROSS JOIN asked AS a
  WHERE (:root IS NULL OR s.root = :root) AND (:driver IS NULL OR s.driver = :driver)
    AND (:folder IS NULL OR :folder IN (s.folder, s.root || '/' || s.folder)) AND a.word <> ''
),
digests AS MATERIALIZED (
  SELECT snapshot_id, kind, id, 'sha256:' || id AS first, 'sha256:' || id || substr(last, length(stem) + 1) AS last FROM chosen WHERE hex
),
-- A plus keeps SQLite from reading the whole snapshot where the other column's index answers.
named (rank, kind, matched, snapshot_id, id, found, exact, directory, chain_id) AS (
  SELECT 1, 'container', 'container name', c.snapshot_id, c.container_id, c.container_id, 1, c.mount_id, NULL
  FROM chosen AS a CROSS JOIN containers AS c
    ON a.kind IN ('', 'container') AND c.snapshot_id = a.snapshot_id AND c.name = a.word
  UNION ALL
  SELECT 1, 'container', 'container id', c.snapshot_id, c.container_id, c.container_id, c.container_id = a.id, c.mount_id, NULL
  FROM chosen AS a CROSS JOIN containers AS c
    ON a.kind IN ('', 'container') AND c.snapshot_id = a.snapshot_id AND c.container_id BETWEEN a.id AND a.last
  UNION ALL
  SELECT 2, 'image', 'image reference', r.snapshot_id, r.image_id, r.image_id, 1, NULL, NULL
  FROM chosen AS a CROSS JOIN image_refs AS r
    ON a.kind IN ('', 'image') AND r.snapshot_id = a.snapshot_id AND (r.ref IN spelt OR r.normalized IN spelt)
  UNION ALL
  SELECT 2, 'image', 'image id', i.snapshot_id, i.image_id, i.image_id, i.image_id = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN images AS i
    ON a.kind IN ('', 'image') AND i.snapshot_id = a.snapshot_id AND i.image_id BETWEEN a.first AND a.last
  UNION ALL
  -- An image that was removed and whose containers, tags or children still name it.
  SELECT 2, 'image', 'image id', c.snapshot_id, c.image_id, c.image_id, c.image_id = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN containers AS c
    ON a.kind IN ('', 'image') AND c.snapshot_id = a.snapshot_id AND c.image_id BETWEEN a.first AND a.last
  UNION ALL
  SELECT 2, 'image', 'image id', r.snapshot_id, r.image_id, r.image_id, r.image_id = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN image_refs AS r
    ON a.kind IN ('', 'image') AND r.snapshot_id = a.snapshot_id AND r.image_id BETWEEN a.first AND a.last
  UNION ALL
  SELECT 2, 'image', 'image id', i.snapshot_id, i.parent_image_id, i.parent_image_id, i.parent_image_id = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN images AS i
    ON a.kind IN ('', 'image') AND i.snapshot_id = a.snapshot_id AND i.parent_image_id BETWEEN a.first AND a.last
  UNION ALL
  SELECT 3, 'image', 'manifest digest', r.snapshot_id, r.image_id, r.digest, r.digest = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN image_refs AS r
    ON a.kind IN ('', 'image') AND r.snapshot_id = a.snapshot_id AND r.digest BETWEEN a.first AND a.last
  UNION ALL
  SELECT 3, 'image', 'manifest digest', m.snapshot_id, m.image_id, m.digest, m.digest = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN image_manifests AS m
    ON a.kind IN ('', 'image') AND m.snapshot_id = a.snapshot_id AND m.digest BETWEEN a.first AND a.last
  WHERE m.image_id <> ''
  UNION ALL
  SELECT 3, 'image', 'manifest list', m.snapshot_id, m.image_id, m.image_id, m.image_id = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN manifest_lists AS m
    ON a.kind IN ('', 'image') AND m.snapshot_id = a.snapshot_id AND m.image_id BETWEEN a.first AND a.last
  UNION ALL
  SELECT 3, 'image', 'storage id', u.snapshot_id, u.used, u.user, u.user = a.id, NULL, NULL
  FROM chosen AS a CROSS JOIN recorded_uses AS u ON a.kind IN ('', 'image') AND u.snapshot_id = a.snapshot_id
    AND u.used_kind = 'manifest list' AND u.user BETWEEN a.id AND a.last
  UNION ALL
  SELECT 3, 'image', 'index digest', r.snapshot_id, r.image_id, r.target_digest, r.target_digest = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN image_refs AS r
    ON a.kind IN ('', 'image') AND r.snapshot_id = a.snapshot_id AND r.target_digest BETWEEN a.first AND a.last
  WHERE r.target_digest <> r.image_id
  UNION ALL
  SELECT 4, 'build-cache', 'record id', b.snapshot_id, b.record_id, b.record_id, b.record_id = a.id, b.cache_id, b.chain_id
  FROM chosen AS a CROSS JOIN build_cache AS b
    ON a.kind IN ('', 'build-cache') AND b.snapshot_id = a.snapshot_id AND b.record_id BETWEEN a.id AND a.last
  UNION ALL
  SELECT 5, 'layer', 'chain_id', y.snapshot_id, y.chain_id, y.chain_id, y.chain_id = a.first, y.cache_id, y.chain_id
  FROM digests AS a CROSS JOIN layers AS y
    ON a.kind IN ('', 'layer') AND y.snapshot_id = a.snapshot_id AND y.chain_id BETWEEN a.first AND a.last
  UNION ALL
  SELECT 5, 'layer', 'chain_id', l.snapshot_id, l.chain_id, l.chain_id, l.chain_id = a.first, l.cache_id, l.chain_id
  FROM digests AS a CROSS JOIN placed_layers AS l
    ON a.kind IN ('', 'layer') AND +l.snapshot_id = a.snapshot_id AND l.chain_id BETWEEN a.first AND a.last
  UNION ALL
  SELECT 5, 'layer', 'chain_id', u.snapshot_id, u.chain_id, u.chain_id, u.chain_id = a.first,
    coalesce((SELECT y.cache_id FROM layers AS y WHERE y.snapshot_id = u.snapshot_id AND y.chain_id = u.chain_id), u.cache_id), u.chain_id
  FROM digests AS a CROSS JOIN unfinished_layers AS u
    ON a.kind IN ('', 'layer') AND u.snapshot_id = a.snapshot_id AND u.chain_id BETWEEN a.first AND a.last
  UNION ALL
  SELECT 6, 'layer', 'diff_id', y.snapshot_id, y.chain_id, y.diff_id, y.diff_id = a.first, y.cache_id, y.chain_id
  FROM digests AS a CROSS JOIN layers AS y
    ON a.kind IN ('', 'layer') AND y.diff_id BETWEEN a.first AND a.last AND +y.snapshot_id = a.snapshot_id
  UNION ALL
  SELECT 6, 'layer', 'diff_id', l.snapshot_id, l.chain_id, l.diff_id, l.diff_id = a.first, l.cache_id, l.chain_id
  FROM digests AS a CROSS JOIN placed_layers AS l
    ON a.kind IN ('', 'layer') AND l.diff_id BETWEEN a.first AND a.last AND +l.snapshot_id = a.snapshot_id
  UNION ALL
  SELECT 7, 'layer', 'blob digest', y.snapshot_id, y.chain_id, b.digest, b.digest = a.first, y.cache_id, y.chain_id
  FROM digests AS a CROSS JOIN layer_blobs AS b
    ON a.kind IN ('', 'layer') AND b.snapshot_id = a.snapshot_id AND b.digest BETWEEN a.first AND a.last
  CROSS JOIN layers AS y ON y.diff_id = b.diff_id AND +y.snapshot_id = b.snapshot_id
  UNION ALL
  SELECT 8, 'directory', 'directory', d.snapshot_id, d.cache_id, d.cache_id, d.cache_id = a.id, d.cache_id, NULL
  FROM chosen AS a CROSS JOIN overlay_dirs AS d
    ON a.kind IN ('', 'directory') AND d.snapshot_id = a.snapshot_id AND d.cache_id BETWEEN a.stem AND a.last
  WHERE (d.cache_id GLOB '*-init') = a.init OR d.cache_id = a.id
  UNION ALL
  -- Directories that are named and not there.
  SELECT 8, 'directory', 'cache-id', y.snapshot_id, y.cache_id, y.cache_id, y.cache_id = a.id, y.cache_id, NULL
  FROM chosen AS a CROSS JOIN layers AS y
    ON a.kind IN ('', 'directory') AND y.cache_id BETWEEN a.stem AND a.last AND +y.snapshot_id = a.snapshot_id
  WHERE (y.cache_id GLOB '*-init') = a.init OR y.cache_id = a.id
  UNION ALL
  SELECT 8, 'directory', 'mount id', m.snapshot_id, m.mount_id, m.mount_id, m.mount_id = a.id, m.mount_id, NULL
  FROM chosen AS a CROSS JOIN mounts AS m
    ON a.kind IN ('', 'directory') AND m.mount_id BETWEEN a.stem AND a.last AND +m.snapshot_id = a.snapshot_id
  WHERE NOT a.init
  UNION ALL
  SELECT 8, 'directory', 'init id', m.snapshot_id, m.init_id, m.init_id, m.init_id = a.id, m.init_id, NULL
  FROM chosen AS a CROSS JOIN mounts AS m
    ON a.kind IN ('', 'directory') AND m.snapshot_id = a.snapshot_id AND m.init_id BETWEEN a.stem AND a.last
  WHERE a.init
  UNION ALL
  SELECT 8, 'directory', 'build cache', b.snapshot_id, b.cache_id, b.cache_id, b.cache_id = a.id, b.cache_id, NULL
  FROM chosen AS a CROSS JOIN build_cache AS b
    ON a.kind IN ('', 'directory') AND b.cache_id BETWEEN a.stem AND a.last AND +b.snapshot_id = a.snapshot_id
  WHERE (b.cache_id GLOB '*-init') = a.init OR b.cache_id = a.id
  UNION ALL
  SELECT 9, 'directory', 'link', d.snapshot_id, d.cache_id, d.link, d.link = a.word, d.cache_id, NULL
  FROM chosen AS a CROSS JOIN overlay_dirs AS d
    ON a.kind IN ('', 'directory') AND d.link BETWEEN a.word AND a.last AND +d.snapshot_id = a.snapshot_id
  UNION ALL
  SELECT 9, 'directory', 'link', k.snapshot_id, k.cache_id, k.link, k.link = a.word, k.cache_id, NULL
  FROM chosen AS a CROSS JOIN links AS k
    ON a.kind IN ('', 'directory') AND length(a.word) < 64 AND k.snapshot_id = a.snapshot_id AND k.link BETWEEN a.word AND a.last
  WHERE k.cache_id IS NOT NULL
  UNION ALL
  SELECT 10, 'directory', 'mount name', m.snapshot_id, m.mount_id, m.name, m.name = a.word, m.mount_id, NULL
  FROM chosen AS a CROSS JOIN mounts AS m
    ON a.kind IN ('', 'directory') AND m.snapshot_id = a.snapshot_id AND m.name BETWEEN a.word AND a.last
  WHERE m.mount_id IS NOT NULL AND (m.name = a.word OR a.hex)
  UNION ALL
  SELECT 10, 'directory', 'unfinished layer', u.snapshot_id, u.cache_id, u.name, 1, u.cache_id, u.chain_id
  FROM chosen AS a CROSS JOIN unfinished_layers AS u
    ON a.kind IN ('', 'directory') AND u.snapshot_id = a.snapshot_id AND u.name = a.word
  WHERE u.cache_id IS NOT NULL
  UNION ALL
  SELECT 11, 'volume', 'volume name', v.snapshot_id, v.name, v.name, v.name = a.word, NULL, NULL
  FROM chosen AS a CROSS JOIN volumes AS v
    ON a.kind IN ('', 'volume') AND v.snapshot_id = a.snapshot_id AND v.name BETWEEN a.word AND a.last
  WHERE v.name = a.word OR (a.hex AND length(v.name) = 64)
  UNION ALL
  SELECT 11, 'volume', 'volume place', v.snapshot_id, v.name, v.name, 1, NULL, NULL
  FROM chosen AS a CROSS JOIN volumes AS v ON a.kind = 'volume' AND v.snapshot_id = a.snapshot_id
  WHERE v.place GLOB '/?*' AND substr(a.word || '/', 1, length(v.place) + 1) = v.place || '/'
  UNION ALL
  -- A volume that is gone and that a container still mounts.
  SELECT 11, 'volume', 'volume name', v.snapshot_id, v.name, v.name, v.name = a.word, NULL, NULL
  FROM chosen AS a CROSS JOIN container_volumes AS v
    ON a.kind IN ('', 'volume') AND v.snapshot_id = a.snapshot_id AND v.name BETWEEN a.word AND a.last
  WHERE v.type = 'volume' AND (v.name = a.word OR (a.hex AND length(v.name) = 64))
  UNION ALL
  SELECT 12, 'folder', 'plugin name', u.snapshot_id, 'plugins/' || u.used, u.user, 1, NULL, NULL
  FROM chosen AS a CROSS JOIN recorded_uses AS u ON a.kind IN ('', 'folder') AND u.snapshot_id = a.snapshot_id
    AND u.used_kind = 'plugin' AND u.user IN spelt
  UNION ALL
  SELECT 12, 'folder', 'plugin id', u.snapshot_id, 'plugins/' || u.used, u.used, u.used = a.id, NULL, NULL
  FROM chosen AS a CROSS JOIN recorded_uses AS u ON a.kind IN ('', 'folder') AND u.snapshot_id = a.snapshot_id
    AND u.used_kind = 'plugin' AND u.used BETWEEN a.id AND a.last
  UNION ALL
  -- Asked for each row, the view is not read where no folder is asked for.
  SELECT 12, 'folder', 'folder', a.snapshot_id, a.word, a.word, 1, NULL, NULL
  FROM chosen AS a
  WHERE a.kind = 'folder' AND EXISTS (SELECT 1 FROM disk_usage AS u WHERE u.snapshot_id = a.snapshot_id
    AND (u.category = a.word OR (u.category = 'other driver' AND u.owner IN (a.word, 'image/' || a.word))))
  UNION ALL
  SELECT 13, 'blob', 'blob digest', b.snapshot_id, b.digest, b.digest, b.digest = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN blobs AS b
    ON a.kind IN ('', 'blob') AND b.snapshot_id = a.snapshot_id AND b.digest BETWEEN a.first AND a.last
  WHERE length(a.id) >= 12
  UNION ALL
  SELECT 13, 'blob', 'manifest digest', m.snapshot_id, m.digest, m.digest, m.digest = a.first, NULL, NULL
  FROM digests AS a CROSS JOIN image_manifests AS m
    ON a.kind IN ('', 'blob') AND m.snapshot_id = a.snapshot_id AND m.digest BETWEEN a.first AND a.last
  WHERE length(a.id) >= 12
  UNION ALL
  SELECT 14, 'ingest', 'ingest', i.snapshot_id, i.name, i.name, i.name = a.id, NULL, NULL
  FROM chosen AS a CROSS JOIN ingests AS i
    ON a.kind IN ('', 'ingest') AND i.snapshot_id = a.snapshot_id AND i.name BETWEEN a.id AND a.last
  WHERE length(a.id) >= 12
),
kept AS (
  SELECT *, max(exact) OVER () AS best FROM named
),
specific AS (
  SELECT *, rank() OVER (PARTITION BY snapshot_id, found ORDER BY rank) AS place FROM kept WHERE exact = best
),
single AS (
  SELECT *, row_number() OVER (PARTITION BY snapshot_id, kind, id ORDER BY rank, matched, found, directory) AS turn
  FROM specific WHERE place = 1
)
SELECT f.kind, f.id, f.matched, f.found, f.exact, f.directory, f.chain_id, f.snapshot_id, h.host
FROM single AS f JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE f.turn = 1
ORDER BY f.rank, h.host, f.snapshot_id, f.id;
