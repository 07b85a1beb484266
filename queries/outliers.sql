-- title = "Hosts that lack what most hosts have"
-- description = "missing: the host does not have a tag that most have. other image: it has the tag, in one of its roots, for an image of other layers than most. Most is a percentage of all hosts; at least two of them must have it."
-- first = ["host", "kind", "tag", "have_it", "hosts"]
-- [params]
-- threshold = { type = "integer", help = "percentage of hosts that must have a thing", default = 80 }
-- [columns]
-- kind = "missing or other image"
-- tag = "the tag"
-- content = "what most hosts have under it: chain_id of the last layer; NULL where only the tag is common"
-- have_it = "how many hosts have that"
-- hosts = "how many hosts there are"
-- image_id = "the other image that this host has; NULL for missing"
-- host = "the host"

WITH chosen AS MATERIALIZED (
  SELECT DISTINCT s.host_id FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id)
),
fleet AS MATERIALIZED (
  SELECT count(*) AS hosts, max(2, (count(*) * coalesce(nullif(:threshold, ''), 80) + 99) / 100) AS most FROM chosen
),
named AS MATERIALIZED (
  SELECT r.normalized AS ref, r.ref AS label, s.host_id, r.image_id, min(r.snapshot_id) AS snapshot_id
  FROM selected_snapshots CROSS JOIN numbered_image_refs AS r USING (snapshot_id) CROSS JOIN snapshots AS s USING (snapshot_id)
  WHERE r.tag <> 0 GROUP BY r.normalized, s.host_id, r.image_id, r.ref
),
common AS MATERIALIZED (
  SELECT n.ref, count(DISTINCT n.host_id) AS have_it, min(n.image_id) <> max(n.image_id) AS drifts
  FROM named AS n CROSS JOIN fleet AS f GROUP BY n.ref HAVING count(DISTINCT n.host_id) >= min(f.most)
),
-- An image id says which layers: one look for each, on a host that has them.
contents AS MATERIALIZED (
  SELECT n.image_id, p.name AS image, coalesce((
      SELECT l.chain_id FROM image_layers AS l WHERE l.snapshot_id = n.snapshot_id AND l.image_id = p.name
      ORDER BY l.position DESC LIMIT 1), p.name) AS content
  FROM (
    SELECT n.image_id, min(n.snapshot_id) AS snapshot_id FROM common AS c CROSS JOIN named AS n USING (ref)
    WHERE c.drifts GROUP BY n.image_id) AS n JOIN part_names AS p ON p.name_id = n.image_id
),
variants AS MATERIALIZED (
  SELECT n.ref, x.content, count(DISTINCT n.host_id) AS have_it
  FROM common AS c CROSS JOIN named AS n USING (ref) CROSS JOIN contents AS x USING (image_id) CROSS JOIN fleet AS f
  WHERE c.drifts GROUP BY n.ref, x.content HAVING count(DISTINCT n.host_id) >= min(f.most)
),
odd AS (
  SELECT 'missing' AS kind, c.ref, NULL AS content, c.have_it, NULL AS image, p.host_id
  FROM common AS c CROSS JOIN fleet AS f CROSS JOIN chosen AS p
  WHERE c.have_it < f.hosts AND NOT EXISTS (SELECT 1 FROM named AS n WHERE n.ref = c.ref AND n.host_id = p.host_id)
  UNION ALL
  SELECT DISTINCT 'other image', v.ref, v.content, v.have_it, x.image, n.host_id
  FROM variants AS v CROSS JOIN named AS n USING (ref) CROSS JOIN contents AS x USING (image_id)
  -- Of several platforms under one tag each may be what most have.
  WHERE NOT EXISTS (SELECT 1 FROM variants AS o WHERE o.ref = v.ref AND o.content = x.content)
)
SELECT o.kind, (SELECT min(p.name) FROM (SELECT DISTINCT label FROM named AS n WHERE n.ref = o.ref) JOIN part_names AS p ON p.name_id = label) AS tag,
  o.content, o.have_it, f.hosts, o.image AS image_id, h.name AS host
FROM odd AS o CROSS JOIN fleet AS f JOIN hosts AS h USING (host_id)
ORDER BY host, o.host_id, o.kind, tag, o.content;
