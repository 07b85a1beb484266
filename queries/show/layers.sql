-- title = "The layers that a directory holds"
-- description = "What the store says of them; for a chain_id also when the store does not have the layer and only an image names it."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory" }
-- chain = { help = "a layer that is asked about itself" }
-- [columns]
-- chain_id = "digest of the layer and all below it"
-- diff_id = "SHA-256 of its uncompressed tar"
-- position = "how many layers are below it"
-- size = "bytes as the engine counts them"
-- files = "how many entries its tar has; NULL when not indexed"
-- parent_chain_id = "the layer below; NULL for a base"
-- cache_id = "its directory; NULL when the engine does not say"
-- in_store = "1 when the store has it, 0 when only an image or what is left of a removal names it"
-- verified = "1 when the chain_id is the digest of parent and diff_id, 0 when not"
-- same_content = "how many other layers of this store have the same diff_id"
-- pulled_as = "digests of the compressed blobs it was pulled from or pushed to"

WITH RECURSIVE asked AS MATERIALIZED (
  SELECT chain_id FROM layers WHERE cache_id = :directory AND +snapshot_id = :snapshot
  UNION SELECT :chain WHERE :chain IS NOT NULL
),
below (chain_id, parent, depth) AS (
  SELECT a.chain_id, y.parent_chain_id, 0 FROM asked AS a
  JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = a.chain_id
  UNION ALL
  SELECT b.chain_id, y.parent_chain_id, b.depth + 1 FROM below AS b
  JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = b.parent WHERE b.depth < 512
),
placed AS MATERIALIZED (
  SELECT y.* FROM asked AS a CROSS JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = a.chain_id
),
told AS (
  SELECT a.chain_id, y.parent_chain_id, y.cache_id, y.size, y.verified, y.listing_id, y.chain_id IS NOT NULL AS in_store,
    coalesce(y.diff_id, (SELECT min(l.diff_id) FROM image_layers AS l
      WHERE l.chain_id = a.chain_id AND l.snapshot_id = :snapshot)) AS diff_id
  FROM asked AS a LEFT JOIN placed AS y USING (chain_id)
)
SELECT t.chain_id, t.diff_id,
  coalesce((SELECT min(l.position) FROM image_layers AS l WHERE l.chain_id = t.chain_id AND l.snapshot_id = :snapshot),
    (SELECT max(b.depth) FROM below AS b WHERE b.chain_id = t.chain_id)) AS position,
  t.size, (SELECT l.entry_count FROM listings AS l WHERE l.listing_id = t.listing_id) AS files,
  t.parent_chain_id, t.cache_id, t.in_store, t.verified,
  (SELECT count(*) FROM layers AS o WHERE o.diff_id = t.diff_id AND o.snapshot_id = :snapshot AND o.chain_id <> t.chain_id)
    AS same_content,
  (SELECT group_concat(digest, ', ') FROM (SELECT DISTINCT b.digest FROM layer_blobs AS b
     WHERE b.snapshot_id = :snapshot AND b.diff_id = t.diff_id ORDER BY 1)) AS pulled_as
FROM told AS t
ORDER BY t.chain_id;
