-- title = "Layers that only one of two snapshots has, or has at other places"
-- description = "Layers are matched by diff_id, which is their content. Content that stands at several places of chains is stored once for each: other place means that both have it and that the chains are not the same."
-- first = ["change", "diff_id", "image", "a_places", "b_places", "a_size", "b_size"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a, only b or other place"
-- diff_id = "SHA-256 of the layer's uncompressed tar"
-- image = "an image that has it, the first by tag or id; NULL when none has"
-- a_places = "how many chains have it in a"
-- b_places = "how many chains have it in b"
-- a_chain_ids = "chain ids that only a has"
-- b_chain_ids = "chain ids that only b has"
-- a_size = "bytes it takes in a: its size at each place; NULL where one is unknown"
-- b_size = "bytes it takes in b"

-- total() and not sum(): sizes that a store claims may be more than 63 bits together, and sum() would fail.
WITH stored AS MATERIALIZED (
  SELECT s.side, s.snapshot_id, y.diff_id, y.chain_id, y.size
  FROM (SELECT 'a' AS side, :a AS snapshot_id UNION ALL SELECT 'b', :b) AS s
  JOIN layers AS y ON y.snapshot_id = s.snapshot_id WHERE y.diff_id IS NOT NULL
),
places AS MATERIALIZED (
  SELECT diff_id, chain_id, max(side = 'a') AS in_a, max(side = 'b') AS in_b,
    max(size) FILTER (WHERE side = 'a') AS a_size, max(size) FILTER (WHERE side = 'b') AS b_size
  FROM stored GROUP BY diff_id, chain_id
),
contents AS MATERIALIZED (
  SELECT diff_id, sum(in_a) AS a_places, sum(in_b) AS b_places, sum(in_a <> in_b) AS apart,
    CASE WHEN count(a_size) = nullif(sum(in_a), 0) THEN CAST(total(a_size) AS INTEGER) END AS a_size,
    CASE WHEN count(b_size) = nullif(sum(in_b), 0) THEN CAST(total(b_size) AS INTEGER) END AS b_size
  FROM places GROUP BY diff_id
)
SELECT CASE WHEN b_places = 0 THEN 'only a' WHEN a_places = 0 THEN 'only b' ELSE 'other place' END AS change, c.diff_id,
  (SELECT min(n.label) FROM image_layers AS l JOIN image_labels AS n USING (snapshot_id, image_id)
   WHERE l.diff_id = c.diff_id AND l.snapshot_id = CASE WHEN a_places > 0 THEN :a ELSE :b END) AS image,
  c.a_places, c.b_places,
  (SELECT group_concat(chain_id, ', ') FROM (
    SELECT p.chain_id FROM places AS p WHERE p.diff_id = c.diff_id AND p.in_a > p.in_b ORDER BY p.chain_id)) AS a_chain_ids,
  (SELECT group_concat(chain_id, ', ') FROM (
    SELECT p.chain_id FROM places AS p WHERE p.diff_id = c.diff_id AND p.in_b > p.in_a ORDER BY p.chain_id)) AS b_chain_ids,
  c.a_size, c.b_size
FROM contents AS c WHERE c.apart > 0
ORDER BY change, coalesce(c.a_size, c.b_size) DESC, c.diff_id;
