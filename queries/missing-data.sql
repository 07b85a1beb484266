-- title = "What metadata names and the disk does not have"
-- description = "The opposite of orphans: layers, writable layers and build-cache records whose directory is gone, images and layers that miss a layer, containers and tags whose image is gone, containers without writable layer, local volumes whose directory is gone. Where because is not NULL, the place that would have it was not read whole, so that it may be there. code is the code under which query problems tells the rest. A container whose image was removed by force still runs."
-- [params]
-- code = { help = "only this code, such as missing-directory" }
-- [columns]
-- kind = "layer, mount, image, tag, container, build cache or volume"
-- object = "what misses something"
-- name = "name of the container, tags of the image, what BuildKit says of the record"
-- code = "code of the problem"
-- missing = "the directory, layer, image or volume that is not there; NULL when there is no name for it"
-- because = "what was not read and may have it; NULL when it is not there"
-- images = "tags or ids of the listed images that need the layer"
-- host = "the host"

WITH overlays AS MATERIALIZED (
  -- The directories of other drivers are not read, so nothing can be said of them.
  SELECT snapshot_id FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id)
  WHERE s.driver IN ('overlay2', 'fuse-overlayfs', 'overlay', 'overlayfs', 'native')
    -- A driver's folder that could not be read is a problem of its own.
    AND (EXISTS (SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = s.snapshot_id) OR NOT EXISTS (
      SELECT 1 FROM problems AS p WHERE p.snapshot_id = s.snapshot_id AND p.path = s.folder AND p.severity = 'error'))
),
found AS (
  SELECT y.snapshot_id, 'layer' AS kind, y.chain_id AS object, NULL AS name, 'missing-directory' AS code, y.cache_id AS missing,
    y.chain_id
  FROM overlays JOIN layers AS y USING (snapshot_id)
  WHERE y.cache_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = y.snapshot_id AND d.cache_id = y.cache_id)
  UNION
  SELECT y.snapshot_id, 'layer', y.chain_id, NULL, 'missing-parent', y.parent_chain_id, y.chain_id
  FROM selected_snapshots JOIN layers AS y USING (snapshot_id)
  WHERE y.parent_chain_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM layers AS p WHERE p.snapshot_id = y.snapshot_id AND p.chain_id = y.parent_chain_id)
  UNION
  SELECT m.snapshot_id, 'mount', m.name, c.name, 'missing-directory', x.cache_id, NULL
  FROM overlays JOIN (
    SELECT snapshot_id, name, mount_id AS cache_id FROM mounts UNION SELECT snapshot_id, name, init_id FROM mounts) AS x
    USING (snapshot_id)
  JOIN mounts AS m ON m.snapshot_id = x.snapshot_id AND m.name = x.name
  LEFT JOIN containers AS c ON c.snapshot_id = m.snapshot_id AND c.container_id = m.container_id
  WHERE x.cache_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = x.snapshot_id AND d.cache_id = x.cache_id)
  UNION
  SELECT m.snapshot_id, 'mount', m.name, c.name, 'missing-parent', m.parent_chain_id, NULL
  FROM selected_snapshots JOIN mounts AS m USING (snapshot_id)
  LEFT JOIN containers AS c ON c.snapshot_id = m.snapshot_id AND c.container_id = m.container_id
  WHERE m.parent_chain_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM layers AS p WHERE p.snapshot_id = m.snapshot_id AND p.chain_id = m.parent_chain_id)
  UNION
  SELECT l.snapshot_id, 'image', l.image_id, n.label, 'missing-layer', l.chain_id, l.chain_id
  FROM selected_snapshots JOIN image_layers AS l USING (snapshot_id)
  LEFT JOIN image_labels AS n ON n.snapshot_id = l.snapshot_id AND n.image_id = l.image_id
  WHERE NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id)
  UNION
  SELECT r.snapshot_id, 'tag', r.ref, NULL, 'missing-image', r.image_id, NULL
  FROM selected_snapshots JOIN image_refs AS r USING (snapshot_id)
  WHERE NOT EXISTS (SELECT 1 FROM images AS i WHERE i.snapshot_id = r.snapshot_id AND i.image_id = r.image_id)
    -- A manifest list of Podman is an image name, and all of it is here.
    AND NOT EXISTS (SELECT 1 FROM manifest_lists AS x WHERE x.snapshot_id = r.snapshot_id AND x.image_id = r.image_id)
  UNION
  SELECT c.snapshot_id, 'container', c.container_id, c.name, 'missing-image', c.image_id, NULL
  FROM selected_snapshots JOIN containers AS c USING (snapshot_id)
  WHERE c.image_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM images AS i WHERE i.snapshot_id = c.snapshot_id AND i.image_id = c.image_id)
  UNION
  SELECT c.snapshot_id, 'container', c.container_id, c.name, 'container-without-mount', NULL, NULL
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN containers AS c USING (snapshot_id)
  WHERE (c.driver IS NULL OR c.driver = s.driver) AND NOT EXISTS (
    SELECT 1 FROM mounts AS m WHERE m.snapshot_id = c.snapshot_id AND m.name = c.container_id)
  UNION
  SELECT b.snapshot_id, 'build cache', b.record_id, b.description, 'missing-directory', b.cache_id, b.chain_id
  FROM overlays JOIN build_cache AS b USING (snapshot_id)
  WHERE b.cache_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = b.snapshot_id AND d.cache_id = b.cache_id)
  UNION
  SELECT b.snapshot_id, 'build cache', b.record_id, b.description, 'missing-snapshot',
    CASE WHEN EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = b.snapshot_id AND y.chain_id = b.chain_id)
      THEN b.snapshot_key ELSE coalesce(b.chain_id, b.snapshot_key) END, b.chain_id
  FROM selected_snapshots JOIN problems AS p USING (snapshot_id)
  JOIN build_cache AS b ON b.snapshot_id = p.snapshot_id AND b.record_id = p.subject
  WHERE p.code = 'missing-snapshot'
    AND (b.cache_id IS NULL OR EXISTS (
      SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = b.snapshot_id AND d.cache_id = b.cache_id))
  UNION
  SELECT v.snapshot_id, 'volume', v.name, NULL, 'missing-volume', v.name, NULL
  FROM selected_snapshots JOIN volumes AS v USING (snapshot_id) WHERE v.on_disk = 0 AND v.driver = 'local'
  UNION
  SELECT v.snapshot_id, 'container', v.container_id, c.name, 'missing-volume', v.name, NULL
  FROM selected_snapshots JOIN container_volumes AS v USING (snapshot_id)
  LEFT JOIN containers AS c ON c.snapshot_id = v.snapshot_id AND c.container_id = v.container_id
  WHERE v.type = 'volume' AND v.name <> '' AND coalesce(nullif(v.driver, ''), 'local') = 'local' AND NOT EXISTS (
    SELECT 1 FROM volumes AS o WHERE o.snapshot_id = v.snapshot_id AND o.name = v.name AND o.on_disk = 1)
)
SELECT f.kind, f.object, f.name, f.code, f.missing, d.because,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM image_layers AS l
     JOIN listed_images USING (snapshot_id, image_id) JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE l.chain_id = f.chain_id AND l.snapshot_id = f.snapshot_id ORDER BY 1)) AS images,
  h.host
FROM found AS f JOIN snapshot_hosts AS h USING (snapshot_id)
LEFT JOIN doubts AS d ON d.snapshot_id = f.snapshot_id AND d.thing = CASE f.code
  WHEN 'missing-parent' THEN 'missing layer' WHEN 'missing-layer' THEN 'missing layer' WHEN 'missing-image' THEN 'missing image'
  WHEN 'missing-volume' THEN 'missing volume' WHEN 'container-without-mount' THEN 'missing mount'
  WHEN 'missing-snapshot' THEN 'missing snapshot' ELSE 'missing directory' END
WHERE (nullif(:code, '') IS NULL OR f.code = :code)
  -- What another store of the host lends is there.
  AND NOT EXISTS (SELECT 1 FROM recorded_uses AS u
    WHERE u.snapshot_id = f.snapshot_id AND u.user_kind = 'borrowed' AND u.used = f.missing)
ORDER BY h.host, f.snapshot_id, f.kind, f.object, f.code, f.missing;
