-- title = "Where a file occurs: in which layer, image and build step, and whether it still shows"
-- description = "Every entry of that name or path in layers, containers and other directories. visible is 1 when nothing above hides it in that image or container: no later entry of the same path, and no whiteout, opaque directory or file in place of a folder above it."
-- first = ["path", "image", "container", "visible", "created_by", "size"]
-- [params]
-- name = { help = "the file's name, without folders; * ? [a-z] [!a-z] match as in a shell, and what is called just so is found too" }
-- path = { help = "its whole path; * ? [a-z] [!a-z] match as in a shell, * also across folders, and what is called just so is found too" }
-- type = { values = ["file", "dir", "symlink", "hardlink", "char", "block", "fifo", "socket", "whiteout"], help = "only entries of this type" }
-- min_size = { type = "integer", help = "only entries of at least this many bytes" }
-- max_size = { type = "integer", help = "only entries of at most this many bytes" }
-- image = { type = "image", help = "only in this image" }
-- container = { type = "container", help = "only in this container, its image's layers included" }
-- [columns]
-- path = "path from the root of the image"
-- type = "file, dir, symlink, hardlink, whiteout …"
-- size = "bytes of its content"
-- mode = "permission bits, octal; NULL for a folder of which a tar has only the contents"
-- modified_at = "modification time"
-- image = "tags or id of an image that has the layer; NULL for a container's own layer and for other directories"
-- container = "name of the container whose writable layer has it"
-- position = "the layer's place in the image, 0 for the base"
-- created_by = "the build step that brought it"
-- visible = "1 when the image or container shows it, 0 when something above hides it"
-- hidden_by = "place of the lowest layer above that hides it; container for its writable layer"
-- cache_id = "directory that holds it"
-- diff_id = "the layer; NULL for what is not a layer"
-- host = "the host"

WITH named AS MATERIALIZED (
  SELECT e.listing_id, e.directory_id, e.name, e.type, e.size, e.mode, e.mtime, d.path AS folder,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name AS path
  FROM entries AS e CROSS JOIN directories AS d USING (directory_id)
  WHERE e.name = nullif(:name, '')
  UNION ALL
  SELECT e.listing_id, e.directory_id, e.name, e.type, e.size, e.mode, e.mtime, d.path,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name
  FROM entries AS e CROSS JOIN directories AS d USING (directory_id)
  WHERE :name GLOB '*[*?[]*' AND e.name GLOB replace(:name, '[!', '[^') AND e.name <> :name
  UNION ALL
  -- A path as it stands is one lookup for each listing: its folder, then the name in it.
  SELECT e.listing_id, e.directory_id, e.name, e.type, e.size, e.mode, e.mtime, d.path,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name
  FROM directories AS d CROSS JOIN listings AS l CROSS JOIN entries AS e
    ON e.listing_id = l.listing_id AND e.directory_id = d.directory_id
  WHERE :path <> '' AND d.path = coalesce(nullif(rtrim(rtrim(:path, replace(:path, '/', '')), '/'), ''), '/')
    AND e.name = substr(:path, length(rtrim(:path, replace(:path, '/', ''))) + 1)
  UNION ALL
  SELECT e.listing_id, e.directory_id, e.name, e.type, e.size, e.mode, e.mtime, d.path,
    CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name
  FROM entries AS e CROSS JOIN directories AS d USING (directory_id)
  WHERE :path GLOB '*[*?[]*' AND CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name GLOB replace(:path, '[!', '[^') AND CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || e.name <> :path
),
kept AS MATERIALIZED (
  SELECT * FROM named
  WHERE (nullif(:type, '') IS NULL OR type = :type)
    AND (nullif(:min_size, '') IS NULL OR size >= :min_size) AND (nullif(:max_size, '') IS NULL OR size <= :max_size)
),
-- Layers by place: an image's from 0; a container's own above its init layer above those of its image.
stack AS MATERIALIZED (
  SELECT i.snapshot_id, i.image_id, NULL AS container_id, l.position, y.listing_id, y.cache_id, y.diff_id
  FROM selected_snapshots JOIN images AS i USING (snapshot_id)
  JOIN image_layers AS l USING (snapshot_id, image_id) JOIN layers AS y USING (snapshot_id, chain_id)
  WHERE nullif(:container, '') IS NULL
    AND CASE WHEN nullif(:image, '') IS NULL THEN (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM listed_images)
      ELSE (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image) END
  UNION ALL
  SELECT c.snapshot_id, NULL, c.container_id, l.position, y.listing_id, y.cache_id, y.diff_id
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
  JOIN image_layers AS l USING (snapshot_id, image_id) JOIN layers AS y USING (snapshot_id, chain_id)
  WHERE :container IN (c.container_id, c.name) AND nullif(:image, '') IS NULL
  UNION ALL
  SELECT c.snapshot_id, NULL, c.container_id, 1000 + (d.cache_id = m.mount_id), d.listing_id, d.cache_id, NULL
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
  JOIN mounts AS m USING (snapshot_id, container_id)
  JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id IN (m.mount_id, m.init_id)
  WHERE (nullif(:container, '') IS NULL OR :container IN (c.container_id, c.name)) AND nullif(:image, '') IS NULL
),
-- What stands above a found entry and hides all that lower layers have in its folder.
hiding AS MATERIALIZED (
  SELECT p.listing_id, p.directory_id
  FROM (
    SELECT DISTINCT u.listing_id, n.directory_id
    FROM (SELECT DISTINCT listing_id, directory_id FROM kept) AS n JOIN stack AS s USING (listing_id)
    JOIN stack AS u ON u.snapshot_id = s.snapshot_id AND u.image_id IS s.image_id AND u.container_id IS s.container_id
      AND u.position > s.position) AS p
  WHERE EXISTS (
    SELECT 1 FROM folder_hiders AS h WHERE h.listing_id = p.listing_id AND h.directory_id = p.directory_id)
),
placed AS MATERIALIZED (
  SELECT n.*, s.snapshot_id, s.image_id, s.container_id, s.position, s.cache_id, s.diff_id,
    (SELECT min(u.position) FROM stack AS u
     WHERE u.snapshot_id = s.snapshot_id AND u.image_id IS s.image_id AND u.container_id IS s.container_id
       AND u.position > s.position
       AND (EXISTS (SELECT 1 FROM entries AS e
              WHERE e.listing_id = u.listing_id AND e.directory_id = n.directory_id AND e.name = n.name)
         OR (u.listing_id, n.directory_id) IN (SELECT listing_id, directory_id FROM hiding))) AS hidden_by
  FROM kept AS n JOIN stack AS s USING (listing_id)
  UNION ALL
  -- Directories that no image and no container explains: build cache, leftovers, layers of no listed image.
  SELECT n.*, d.snapshot_id, NULL, NULL, NULL, d.cache_id, (
    SELECT max(y.diff_id) FROM layers AS y WHERE y.snapshot_id = d.snapshot_id AND y.cache_id = d.cache_id), NULL
  FROM kept AS n JOIN overlay_dirs AS d USING (listing_id) JOIN selected_snapshots USING (snapshot_id)
  WHERE nullif(:image, '') IS NULL AND nullif(:container, '') IS NULL
    AND NOT EXISTS (SELECT 1 FROM stack AS s WHERE s.snapshot_id = d.snapshot_id AND s.cache_id = d.cache_id)
)
SELECT p.path, p.type, p.size, CASE WHEN p.mode IS NOT NULL THEN printf('%04o', p.mode) END AS mode,
  strftime('%Y-%m-%dT%H:%M:%SZ', p.mtime, 'unixepoch') AS modified_at,

  (SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = p.snapshot_id AND n.image_id = p.image_id) AS image, coalesce(c.name, p.container_id) AS container,
  CASE WHEN p.position < 1000 THEN p.position END AS position,
  (SELECT s.created_by FROM image_history AS s WHERE s.snapshot_id = p.snapshot_id
   AND s.image_id = coalesce(p.image_id, c.image_id) AND s.layer_position = p.position) AS created_by,
  CASE WHEN p.image_id IS NULL AND p.container_id IS NULL THEN NULL ELSE p.hidden_by IS NULL AND p.type <> 'whiteout' END AS visible,
  CASE WHEN p.hidden_by >= 1000 THEN 'container' ELSE p.hidden_by END AS hidden_by,
  p.cache_id, p.diff_id, o.host
FROM placed AS p
JOIN snapshot_hosts AS o USING (snapshot_id)
LEFT JOIN containers AS c ON c.snapshot_id = p.snapshot_id AND c.container_id = p.container_id
ORDER BY p.path, o.host, p.snapshot_id, image, container, p.position, p.cache_id;
