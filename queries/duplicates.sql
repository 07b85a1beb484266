-- title = "Equal content under any path, layer or image"
-- description = "Regular files of equal size and CRC-64, from the layers' tar-split: content that is stored more than once on a host. A hard link is not a copy. Files in containers' own layers are not compared, as a walk does not read content."
-- first = ["size", "copies", "reclaimable_bytes", "example"]
-- [params]
-- top = { type = "integer", default = 100, help = "how many sets to show; 0 for all" }
-- min_size = { type = "integer", default = 1, help = "only files of at least this many bytes" }
-- [columns]
-- crc64 = "CRC-64/GO-ISO of the content"
-- size = "bytes of one copy"
-- copies = "how many copies there are"
-- layers = "in how many layers"
-- reclaimable_bytes = "bytes of all copies but one"
-- example = "path of one copy"
-- host = "the host"

WITH held AS MATERIALIZED (
  -- A layer that lies in two directories is two copies.
  SELECT y.snapshot_id, y.chain_id, y.listing_id FROM selected_snapshots JOIN layers AS y USING (snapshot_id)
),
sets AS MATERIALIZED (
  SELECT h.snapshot_id, e.size, e.content_crc64, count(*) AS copies, count(DISTINCT h.chain_id) AS layers,
    min(h.listing_id * 1000000000000 + e.directory_id) AS place
  FROM held AS h CROSS JOIN entries AS e USING (listing_id)
  WHERE e.type = 'file' AND e.size >= coalesce(nullif(:min_size, ''), 1) AND e.content_crc64 IS NOT NULL
  GROUP BY h.snapshot_id, e.size, e.content_crc64 HAVING count(*) > 1
  ORDER BY (count(*) - 1) * e.size DESC, e.content_crc64, h.snapshot_id, e.size
  LIMIT CASE coalesce(nullif(:top, ''), 100) WHEN 0 THEN -1 ELSE coalesce(nullif(:top, ''), 100) END
)
SELECT printf('%016x', s.content_crc64) AS crc64, s.size, s.copies, s.layers, (s.copies - 1) * s.size AS reclaimable_bytes,
  (SELECT CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || min(e.name)
   FROM entries AS e JOIN directories AS d USING (directory_id)
   WHERE e.listing_id = s.place / 1000000000000 AND e.directory_id = s.place % 1000000000000
     AND e.size = s.size AND e.content_crc64 = s.content_crc64 AND e.type = 'file') AS example,
  h.host
FROM sets AS s JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY reclaimable_bytes DESC, s.content_crc64, s.snapshot_id, s.size;
