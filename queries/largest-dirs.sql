-- title = "The biggest subtrees"
-- description = "Bytes of regular files in and below each folder of each directory of the driver, down to a depth: in layers as their tar says, in containers as the disk says. A hard link counts once."
-- first = ["bytes", "path", "files", "images"]
-- [params]
-- top = { type = "integer", default = 20, help = "how many to show" }
-- depth = { type = "integer", default = 3, help = "deepest folder to add up, 0 for the root itself" }
-- [columns]
-- bytes = "bytes of the files in and below it"
-- files = "how many regular files that is"
-- path = "the folder"
-- role = "role of the directory that holds it"
-- cache_id = "that directory"
-- images = "tags or ids of the listed images that have the layer"
-- host = "the host"

WITH RECURSIVE sums AS MATERIALIZED (
  SELECT e.listing_id, e.directory_id, CAST(total(e.size) AS INTEGER) AS bytes, count(*) AS files
  FROM (SELECT DISTINCT listing_id FROM selected_snapshots JOIN overlay_dirs USING (snapshot_id)) CROSS JOIN entries AS e USING (listing_id)
  WHERE e.type = 'file' GROUP BY e.listing_id, e.directory_id
),
-- Each folder with all folders above it; a path has as many levels as slashes.
levels (directory_id, path) AS (
  SELECT directory_id, path FROM (SELECT DISTINCT directory_id FROM sums) CROSS JOIN directories USING (directory_id)
  UNION ALL
  SELECT directory_id, CASE rtrim(path, replace(path, '/', '')) WHEN '/' THEN '/'
    ELSE rtrim(rtrim(path, replace(path, '/', '')), '/') END
  FROM levels WHERE path <> '/'
),
trees AS MATERIALIZED (
  SELECT s.listing_id, l.path, CAST(total(s.bytes) AS INTEGER) AS bytes, sum(s.files) AS files
  FROM levels AS l CROSS JOIN sums AS s USING (directory_id)
  WHERE CASE l.path WHEN '/' THEN 0 ELSE length(l.path) - length(replace(l.path, '/', '')) END <= coalesce(nullif(:depth, ''), 3)
  GROUP BY s.listing_id, l.path
),
biggest AS MATERIALIZED (
  SELECT t.*, d.snapshot_id, d.cache_id, d.role
  FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id) JOIN trees AS t USING (listing_id)
  ORDER BY t.bytes DESC, t.path, d.cache_id, d.snapshot_id LIMIT coalesce(nullif(:top, ''), 20)
)
SELECT b.bytes, b.files, b.path, b.role, b.cache_id,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM layers AS y
     JOIN image_layers AS l USING (snapshot_id, chain_id) JOIN listed_images USING (snapshot_id, image_id)
     JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE y.snapshot_id = b.snapshot_id AND y.cache_id = b.cache_id ORDER BY 1)) AS images,
  h.host
FROM biggest AS b JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY b.bytes DESC, b.path, b.cache_id, b.snapshot_id;
