-- title = "Every layer with its directory and who uses it"
-- description = "All layers that the store has, largest first, with how many images stand on each. A layer with no image and no writable layer above it is kept by the build cache, or by nothing."
-- first = ["chain_id", "cache_id", "size", "images"]
-- [params]
-- layer = { type = "layer", help = "only this chain_id, diff_id or cache-id" }
-- [columns]
-- chain_id = "the layer"
-- diff_id = "SHA-256 of its uncompressed tar"
-- parent_chain_id = "the layer below; NULL for a base"
-- cache_id = "its directory; NULL for a layer that is only a blob"
-- size = "its size"
-- images = "how many images have it, listed or not"
-- children = "how many layers stand right on it"
-- mounts = "how many writable layers stand right on it"
-- verified = "1 when the chain_id is the digest of parent and diff_id, 0 when not"
-- host = "the host"

SELECT y.chain_id, y.diff_id, y.parent_chain_id, y.cache_id, y.size,
  (SELECT count(DISTINCT image_id) FROM image_layers AS l
   WHERE l.snapshot_id = y.snapshot_id AND l.chain_id = y.chain_id) AS images,
  (SELECT count(*) FROM layers AS c
   WHERE c.snapshot_id = y.snapshot_id AND c.parent_chain_id = y.chain_id) AS children,
  (SELECT count(*) FROM mounts AS m
   WHERE m.snapshot_id = y.snapshot_id AND m.parent_chain_id = y.chain_id) AS mounts,
  y.verified,
  h.host
FROM selected_snapshots
JOIN layers AS y USING (snapshot_id)
JOIN snapshot_hosts AS h ON h.snapshot_id = y.snapshot_id
WHERE nullif(:layer, '') IS NULL OR :layer IN (y.chain_id, y.diff_id, y.cache_id)
ORDER BY y.size DESC, y.chain_id, y.snapshot_id;
