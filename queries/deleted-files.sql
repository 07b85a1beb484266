-- title = "Files that later layers hide but that still cost space"
-- description = "Regular files of an image's layers that nothing shows any more: overwritten by a later entry of the same path, removed by a whiteout, or below an opaque directory, a removed folder or a file in its place, and not shown under another name of a hard link. Whoever has the image can still read them."
-- first = ["path", "size", "how", "image"]
-- [params]
-- image = { type = "image", help = "the image; every listed image when left out" }
-- [columns]
-- path = "path from the root of the image"
-- size = "bytes of its content"
-- how = "overwritten, whiteout, or folder (something above it was removed, replaced or made opaque)"
-- position = "place of the layer that holds it, 0 for the base"
-- hidden_in = "place of the lowest layer above that hides it"
-- created_by = "the build step that brought it"
-- image = "tags of the image, or its id"
-- chain_id = "the layer that holds it"
-- host = "the host"

WITH chosen AS MATERIALIZED (
  SELECT snapshot_id, image_id FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN stored_images USING (snapshot_id)
  WHERE s.scope <> 'metadata' AND CASE WHEN nullif(:image, '') IS NULL THEN (snapshot_id, image_id) IN (SELECT snapshot_id, image_id FROM listed_images)
    ELSE (snapshot_id, image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image) END
),
hidden AS MATERIALIZED (
  SELECT e.snapshot_id, e.image_id, e.path, e.size, e.position, e.chain_id, e.replaced_in, e.replaced_by,
    e.folder_hidden_in
  FROM chosen AS c CROSS JOIN image_entries AS e ON e.snapshot_id = c.snapshot_id AND e.image_id = c.image_id
  WHERE e.type = 'file' AND NOT e.kept
)
SELECT r.path, r.size,
  CASE WHEN r.folder_hidden_in <= coalesce(r.replaced_in, r.folder_hidden_in) THEN 'folder'
    WHEN r.replaced_by = 'whiteout' THEN 'whiteout' ELSE 'overwritten' END AS how,
  r.position, min(coalesce(r.replaced_in, r.folder_hidden_in), coalesce(r.folder_hidden_in, r.replaced_in)) AS hidden_in,
  (SELECT s.created_by FROM image_history AS s
   WHERE s.snapshot_id = r.snapshot_id AND s.image_id = r.image_id AND s.layer_position = r.position) AS created_by,
  n.label AS image, r.chain_id, h.host
FROM hidden AS r
JOIN image_labels AS n ON n.snapshot_id = r.snapshot_id AND n.image_id = r.image_id
JOIN snapshot_hosts AS h ON h.snapshot_id = r.snapshot_id
ORDER BY r.size DESC, r.path, image, r.position, r.snapshot_id, r.image_id;
