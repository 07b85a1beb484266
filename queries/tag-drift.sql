-- title = "Tags that name different images over the fleet"
-- description = "One row for each variant of a tag that has several: images of the same layers in the same order are one variant, whatever their ids. Tags are matched in full, so that debian:12 of one engine is docker.io/library/debian:12 of another, and shown as one of them stores it. A tag of several platforms that are here counts one variant for each."
-- first = ["tag", "variants", "image_id", "hosts", "of_hosts", "host"]
-- [params]
-- tag = { type = "tag", help = "only this tag; :latest may be left out" }
-- [columns]
-- tag = "repository and tag"
-- variants = "how many different images it names"
-- content = "the variant: chain_id of its last layer, or the image id where no layers are known"
-- images = "how many image ids the variant has"
-- image_id = "one of them"
-- created_at = "when that image was created"
-- hosts = "how many hosts have the variant under this tag"
-- of_hosts = "how many hosts have the tag"
-- host = "one host that has it, the first by name"

WITH
spelt (ref) AS MATERIALIZED (SELECT head || :tag || tail FROM spellings),
named AS MATERIALIZED (
  SELECT r.normalized AS ref, min(r.ref) AS label, r.image_id, s.host_id, min(r.snapshot_id) AS snapshot_id
  FROM selected_snapshots CROSS JOIN image_refs AS r USING (snapshot_id) CROSS JOIN snapshots AS s USING (snapshot_id)
  WHERE r.tag IS NOT NULL AND (nullif(:tag, '') IS NULL OR r.normalized IN (
    SELECT x.normalized FROM image_refs AS x WHERE x.ref IN spelt OR x.normalized IN spelt))
  GROUP BY r.normalized, r.image_id, s.host_id
),
moving AS MATERIALIZED (SELECT ref FROM named GROUP BY ref HAVING min(image_id) <> max(image_id)),
-- An image id says which layers: one look for each, on a host that has them.
contents AS MATERIALIZED (
  SELECT n.image_id, coalesce(max((
      SELECT l.chain_id FROM image_layers AS l WHERE l.snapshot_id = n.snapshot_id AND l.image_id = n.image_id
      ORDER BY l.position DESC LIMIT 1)), n.image_id) AS content
  FROM (
    SELECT image_id, min(snapshot_id) AS snapshot_id FROM named WHERE ref IN (SELECT ref FROM moving) GROUP BY image_id
    UNION SELECT image_id, max(snapshot_id) FROM named WHERE ref IN (SELECT ref FROM moving) GROUP BY image_id) AS n
  GROUP BY n.image_id
),
variants AS MATERIALIZED (
  SELECT n.ref, c.content, count(DISTINCT n.image_id) AS images, min(n.image_id) AS image_id, count(DISTINCT n.host_id) AS hosts,
    min(h.name) AS host, count(*) OVER (PARTITION BY n.ref) AS variants
  FROM moving AS m CROSS JOIN named AS n USING (ref) CROSS JOIN contents AS c USING (image_id) CROSS JOIN hosts AS h USING (host_id)
  GROUP BY n.ref, c.content
),
reach AS MATERIALIZED (
  SELECT ref, count(DISTINCT host_id) AS hosts FROM named WHERE ref IN (SELECT ref FROM moving) GROUP BY ref
)
SELECT (SELECT min(n.label) FROM named AS n WHERE n.ref = v.ref) AS tag, v.variants, v.content, v.images, v.image_id,
  (SELECT i.created_at FROM images AS i
   WHERE i.snapshot_id = (SELECT min(n.snapshot_id) FROM named AS n WHERE n.ref = v.ref AND n.image_id = v.image_id)
     AND i.image_id = v.image_id) AS created_at,
  v.hosts, r.hosts AS of_hosts, v.host
FROM variants AS v JOIN reach AS r ON r.ref = v.ref WHERE v.variants > 1
ORDER BY tag, v.hosts DESC, v.content;
