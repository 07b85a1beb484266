-- title = "All reasons why a directory exists"
-- description = "One row for each, with what is known of the owner."
-- first = ["kind", "owner", "name"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory" }
-- [columns]
-- kind = "what kind of reason, as in overlay_dir_owners: layer, container, build-cache, lower …"
-- owner = "chain_id, image, container, mount, build-cache record, key, unfinished layer, or the directory whose lower names it"
-- name = "name of the container, tags of the image or of that which has the layer, what BuildKit says of the record, or the role of the directory whose lower names it"

SELECT o.kind, o.owner,
  CASE
    WHEN o.kind IN ('container', 'init', 'container-base') THEN (
      SELECT c.name FROM containers AS c WHERE c.snapshot_id = o.snapshot_id AND c.container_id = o.owner)
    WHEN o.kind = 'image' THEN (
      SELECT n.label FROM image_labels AS n WHERE n.snapshot_id = o.snapshot_id AND n.image_id = o.owner)
    WHEN o.kind = 'layer' THEN (
      SELECT CASE count(DISTINCT l.image_id) WHEN 1 THEN min(n.label) WHEN 0 THEN NULL
        ELSE count(DISTINCT l.image_id) || ' images' END
      FROM image_layers AS l JOIN listed_images USING (snapshot_id, image_id) JOIN image_labels AS n USING (snapshot_id, image_id)
      WHERE l.chain_id = o.owner AND l.snapshot_id = o.snapshot_id)
    WHEN o.kind IN ('build-cache', 'build-snapshot') THEN (
      SELECT b.description FROM build_cache AS b WHERE b.snapshot_id = o.snapshot_id AND b.record_id = o.owner)
    WHEN o.kind = 'lower' THEN (
      SELECT d.role FROM overlay_dirs AS d WHERE d.snapshot_id = o.snapshot_id AND d.cache_id = o.owner)
  END AS name
FROM overlay_dir_owners AS o
WHERE o.snapshot_id = :snapshot AND o.cache_id = :directory
ORDER BY CASE WHEN o.kind = 'lower' THEN 2 ELSE o.kind IN ('image', 'container-base', 'mount-base') END, o.kind DESC, o.owner;
