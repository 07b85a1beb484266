-- title = "Layers that are half written, half removed or damaged"
-- description = "What the engine skips silently at its start, with the layers above it: entries being removed or written, layers without directory, with unreadable files, whose id does not verify or whose parent is gone, and images that miss a layer."
-- first = ["object", "problem", "size", "images"]
-- [columns]
-- object = "the layer, image or entry of layerdb"
-- problem = "what is wrong"
-- cache_id = "the directory it names"
-- size = "its size"
-- images = "how many images need it"
-- host = "the host"

WITH found AS (
  SELECT u.snapshot_id, u.name AS object, u.state AS problem, u.cache_id, u.size, u.chain_id
  FROM selected_snapshots JOIN unfinished_layers AS u USING (snapshot_id)
  UNION ALL
  SELECT y.snapshot_id, y.chain_id, 'a file of it is missing or unreadable', y.cache_id, y.size, y.chain_id
  FROM selected_snapshots JOIN layers AS y USING (snapshot_id)
  WHERE (y.cache_id IS NULL OR y.diff_id IS NULL OR y.size IS NULL)
    -- In containerd a layer may be a blob alone, and no file of a layer says what it is.
    AND NOT EXISTS (SELECT 1 FROM blobs AS b WHERE b.snapshot_id = y.snapshot_id)
    AND NOT EXISTS (SELECT 1 FROM containerd_snapshots AS c WHERE c.snapshot_id = y.snapshot_id)
  UNION ALL
  SELECT y.snapshot_id, y.chain_id, 'the chain_id is not the digest of parent and diff_id', y.cache_id, y.size, y.chain_id
  FROM selected_snapshots JOIN layers AS y USING (snapshot_id) WHERE y.verified = 0
  UNION ALL
  SELECT y.snapshot_id, y.chain_id, 'its parent is not in the store', y.cache_id, y.size, y.chain_id
  FROM selected_snapshots JOIN layers AS y USING (snapshot_id)
  WHERE y.parent_chain_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM layers AS p WHERE p.snapshot_id = y.snapshot_id AND p.chain_id = y.parent_chain_id)
  UNION ALL
  SELECT y.snapshot_id, y.chain_id, 'its directory is not there', y.cache_id, y.size, y.chain_id
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN layers AS y USING (snapshot_id)
  -- The directories of other drivers are not read, so nothing can be said of them.
  WHERE s.reads_directories AND y.cache_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = y.snapshot_id AND d.cache_id = y.cache_id)
  UNION ALL
  SELECT l.snapshot_id, l.image_id, 'layer ' || l.position || ' of the image is not in the store', NULL, NULL, l.chain_id
  FROM selected_snapshots JOIN image_layers AS l USING (snapshot_id)
  WHERE NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id)
)
SELECT f.object, f.problem, f.cache_id, f.size,
  (SELECT count(DISTINCT image_id) FROM image_layers AS l
   WHERE l.snapshot_id = f.snapshot_id AND l.chain_id = f.chain_id) AS images,
  h.host
FROM found AS f JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY h.host, f.snapshot_id, f.object, f.problem, f.chain_id;
