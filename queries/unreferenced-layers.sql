-- title = "Layers that no image, container, record or lease needs"
-- description = "An interrupted removal or pull leaves them. The engine takes them for existing layers: Docker's layerdb frees them only when an image that has them is pulled and removed again, containerd's garbage collection takes them, containers-storage keeps them. Not orphans, and not to be deleted by hand: while an image is pulled or loaded, its layers look like this until its config arrives. Scan again when nothing runs. Empty for stores whose directories are not read."
-- first = ["chain_id", "standing", "because", "cache_id", "size"]
-- [columns]
-- chain_id = "the layer"
-- standing = "unused or unknown"
-- because = "for unknown: what may need it and was not read"
-- diff_id = "SHA-256 of its uncompressed tar"
-- parent_chain_id = "the layer below; NULL for a base"
-- cache_id = "its directory"
-- size = "its size, as the engine counts it"
-- disk_bytes = "bytes of its files on disk, after scan --walk"
-- children = "how many layers stand right on it, none of them needed either"
-- digests = "compressed blobs that it was pulled from, as the store remembers them"
-- host = "the host"

WITH needless AS MATERIALIZED (
  SELECT t.* FROM selected_snapshots JOIN layer_standings AS t USING (snapshot_id) WHERE t.standing <> 'used'
)
SELECT y.chain_id, t.standing, t.because, y.diff_id, y.parent_chain_id, y.cache_id, y.size, d.disk_bytes,
  (SELECT count(*) FROM layers AS c
   WHERE c.snapshot_id = y.snapshot_id AND c.parent_chain_id = y.chain_id) AS children,
  (SELECT group_concat(digest, ', ') FROM (SELECT DISTINCT b.digest FROM layer_blobs AS b
     WHERE b.snapshot_id = y.snapshot_id AND b.diff_id = y.diff_id ORDER BY b.digest)) AS digests,
  h.host
FROM needless AS t
JOIN layers AS y USING (snapshot_id, chain_id)
JOIN overlay_dirs AS d ON d.snapshot_id = y.snapshot_id AND d.cache_id = y.cache_id
JOIN snapshot_hosts AS h ON h.snapshot_id = y.snapshot_id
ORDER BY y.size DESC, h.host, y.snapshot_id, y.chain_id;
