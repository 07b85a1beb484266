-- title = "Layers of which two databases say different things"
-- description = "A diff_id is the digest of a layer's tar, so its content is unique: where two complete listings of it differ, one of them is false, or was made by a version that read layers in another way. Each snapshot answers by the listing that came with it. Listings that a damaged source left incomplete are not compared."
-- first = ["diff_id", "listing_id", "digest", "files", "total_size", "host"]
-- [columns]
-- diff_id = "the layer"
-- listing_id = "one of its listings"
-- digest = "SHA-256 of what it says; NULL where it was never compared"
-- files = "how many entries it has"
-- total_size = "sum of the sizes of its regular files"
-- imported = "1 when it came with an import"
-- snapshots = "in how many snapshots of the host it is the layer's listing"
-- host = "a host that has the layer with this listing"

WITH told AS MATERIALIZED (
  SELECT DISTINCT l.listing_id, l.diff_id, l.digest, l.entry_count AS files, l.total_size, l.imported
  FROM listings AS l WHERE l.source IN ('tar-split', 'blob') AND l.complete = 1 AND l.diff_id IN (
    SELECT diff_id FROM listings WHERE source IN ('tar-split', 'blob') AND complete = 1 GROUP BY diff_id HAVING count(*) > 1)
)
SELECT t.diff_id, t.listing_id, CASE WHEN t.digest IS NOT NULL THEN lower(hex(t.digest)) END AS digest, t.files, t.total_size, t.imported,
  count(DISTINCT y.snapshot_id) AS snapshots, h.host
FROM told AS t CROSS JOIN layers AS y ON y.listing_id = t.listing_id JOIN snapshot_hosts AS h ON h.snapshot_id = y.snapshot_id
WHERE EXISTS (SELECT 1 FROM told AS o WHERE o.diff_id = t.diff_id AND o.listing_id <> t.listing_id
  AND (o.digest <> t.digest OR o.files <> t.files OR o.total_size <> t.total_size))
GROUP BY t.listing_id, h.host
ORDER BY t.diff_id, t.listing_id, h.host;
