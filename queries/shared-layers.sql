-- title = "Layers that serve more than one image"
-- description = "A layer is shared when it stands at the same place in more than one image that docker images lists: one directory serves them all. The same content at another place in a chain is another layer, with a directory of its own."
-- [params]
-- image = { type = "image", help = "only layers of this image" }
-- [columns]
-- chain_id = "the layer"
-- diff_id = "SHA-256 of its uncompressed tar"
-- cache_id = "its directory in overlay2"
-- size = "its size"
-- images = "how many images use it"
-- image_names = "their tags, or ids where they have none"
-- saved_bytes = "what sharing saves: (images - 1) * size"
-- host = "the host"

WITH users AS (
  SELECT DISTINCT l.snapshot_id, l.chain_id, l.image_id
  FROM selected_snapshots
  JOIN image_layers AS l USING (snapshot_id)
  JOIN listed_images USING (snapshot_id, image_id)
),
shared AS (
  SELECT snapshot_id, chain_id, count(*) AS images FROM users GROUP BY snapshot_id, chain_id HAVING count(*) > 1
),
labels AS MATERIALIZED (
  SELECT n.* FROM (SELECT DISTINCT snapshot_id, image_id FROM users) JOIN image_labels AS n USING (snapshot_id, image_id)
),
names AS (
  SELECT snapshot_id, chain_id, group_concat(label, ', ') AS image_names
  FROM (SELECT u.snapshot_id, u.chain_id, n.label FROM shared
        JOIN users AS u USING (snapshot_id, chain_id)
        JOIN labels AS n USING (snapshot_id, image_id)
        ORDER BY u.snapshot_id, u.chain_id, n.label)
  GROUP BY snapshot_id, chain_id
)
SELECT s.chain_id, y.diff_id, y.cache_id, y.size, s.images, n.image_names,
  (s.images - 1) * y.size AS saved_bytes,
  h.host
FROM shared AS s
JOIN names AS n USING (snapshot_id, chain_id)
LEFT JOIN layers AS y USING (snapshot_id, chain_id)
JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE :image IS NULL OR (s.snapshot_id, s.chain_id) IN (
  SELECT snapshot_id, chain_id FROM image_layers JOIN image_names USING (snapshot_id, image_id) WHERE name = :image)
ORDER BY saved_bytes DESC, s.chain_id, s.snapshot_id;
