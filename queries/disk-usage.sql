-- title = "Where every byte of the data root is"
-- description = "One row for each kind of holder, then unaccounted, then the total. After scan --walk the disk_bytes without the total row add up to du -s -x --block-size=1, less folders that are bound into volumes; before, those of layers are estimated from the sizes of their files. What lies on a filesystem of its own, or behind a symlink, follows with a total of its own: place says where. A figure is NULL when any part of it is not known; note says how the figures were found. docker system df counts layers of images, writable layers, local volumes and build cache, and nothing else."
-- first = ["category", "owner", "name", "apparent_bytes", "disk_bytes", "percent"]
-- [params]
-- by = { values = ["owner"], help = "a row for each holder" }
-- category = { help = "only this category, a row for each holder" }
-- [columns]
-- category = "what holds the bytes; total for the sum of the rows above"
-- owner = "directory, container, volume or folder; NULL for all of the category"
-- name = "tags of the layer's images, name of the container, what BuildKit says of the record"
-- items = "how many holders"
-- files = "how many files and folders; NULL when not counted"
-- apparent_bytes = "sum of st_size, each inode once"
-- disk_bytes = "bytes on disk, as du counts, or estimated from its files where note says so; NULL when not known"
-- percent = "part of the disk_bytes of the whole data root"
-- counted_by_docker = "how many of the items docker system df counts; NULL where it counts nothing of the store, such as in those of other engines"
-- note = "how the figures were found"
-- place = "where it lies if not on the root's filesystem: the folder another is mounted on, or a symlink's target; NULL for the root's"
-- snapshot_id = "the snapshot; query snapshots has its root"
-- host = "the host"

WITH chosen AS MATERIALIZED (
  SELECT u.snapshot_id, u.category, u.owner, u.items, u.apparent_bytes, coalesce(u.disk_bytes, u.estimated_bytes) AS disk_bytes,
    u.estimated_bytes, u.counted_by_docker, u.note, u.place, CASE WHEN (:by = 'owner' OR nullif(:category, '') IS NOT NULL) AND u.owner <> '' THEN u.owner END AS holder
  FROM selected_snapshots JOIN disk_usage AS u USING (snapshot_id)
  WHERE nullif(:category, '') IS NULL OR u.category = :category
),
-- Snapshots whose rows are not all that is there.
parts AS MATERIALIZED (
  SELECT snapshot_id FROM selected_snapshots JOIN snapshots USING (snapshot_id) WHERE scope = 'metadata' AND nullif(:category, '') IS NULL
),
-- count(x) = count(*): a sum of which a part is unknown is unknown.
-- total() and not sum(): sparse files may claim more than 63 bits together, and sum() would fail.
sums AS MATERIALIZED (
  SELECT snapshot_id, place, CASE category WHEN 'unaccounted' THEN 1 ELSE 0 END AS rank, category, holder, count(*) AS items,
    CASE WHEN count(items) = count(*) THEN CAST(total(items) AS INTEGER) END AS files,
    CASE WHEN count(apparent_bytes) = count(*) THEN CAST(total(apparent_bytes) AS INTEGER) END AS apparent_bytes,
    CASE WHEN count(disk_bytes) = count(*) THEN CAST(total(disk_bytes) AS INTEGER) END AS disk_bytes,
    CAST(total(counted_by_docker) AS INTEGER) AS counted_by_docker, count(*) - count(disk_bytes) AS unmeasured,
    CASE WHEN min(note) = max(note) THEN min(note) END AS only_note
  FROM chosen GROUP BY snapshot_id, place, category, holder
  UNION ALL
  SELECT c.snapshot_id, c.place, 2, 'total', NULL, count(*),
    CASE WHEN count(items) = count(*) AND p.snapshot_id IS NULL THEN CAST(total(items) AS INTEGER) END,
    CASE WHEN count(apparent_bytes) = count(*) AND p.snapshot_id IS NULL THEN CAST(total(apparent_bytes) AS INTEGER) END,
    CASE WHEN count(disk_bytes) = count(*) AND p.snapshot_id IS NULL THEN CAST(total(disk_bytes) AS INTEGER) END,
    CAST(total(counted_by_docker) AS INTEGER), count(*) - count(disk_bytes),
    CASE WHEN p.snapshot_id IS NOT NULL THEN 'only layers and logs were looked at: scan without --no-files, or with --walk' END
  FROM chosen AS c LEFT JOIN parts AS p USING (snapshot_id) GROUP BY c.snapshot_id, c.place
),
weighed AS MATERIALIZED (SELECT *, coalesce(disk_bytes, apparent_bytes) AS weight FROM sums),
whole AS MATERIALIZED (
  SELECT u.snapshot_id, u.place, s.scope, CASE WHEN count(coalesce(u.disk_bytes, u.estimated_bytes)) = count(*) AND s.scope <> 'metadata'
      THEN CAST(total(coalesce(u.disk_bytes, u.estimated_bytes)) AS INTEGER) END AS disk_bytes,
    count(u.estimated_bytes) AS estimated
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN disk_usage AS u USING (snapshot_id) GROUP BY u.snapshot_id, u.place
),
dockers AS MATERIALIZED (SELECT DISTINCT snapshot_id FROM selected_snapshots JOIN disk_usage USING (snapshot_id) WHERE counted_by_docker),
labels AS MATERIALIZED (
  SELECT l.snapshot_id, l.image_id, n.label
  FROM selected_snapshots JOIN listed_images AS l USING (snapshot_id) JOIN image_labels AS n USING (snapshot_id, image_id)
  WHERE :by = 'owner' OR nullif(:category, '') IS NOT NULL
),
layer_names AS MATERIALIZED (
  SELECT snapshot_id, cache_id, group_concat(label, '; ') AS names FROM (
    -- CROSS JOIN: SQLite keeps this order.
    SELECT DISTINCT n.snapshot_id, y.cache_id, n.label
    FROM labels AS n CROSS JOIN image_layers AS l ON l.snapshot_id = n.snapshot_id AND l.image_id = n.image_id
    CROSS JOIN layers AS y ON y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id
    ORDER BY n.snapshot_id, y.cache_id, n.label)
  GROUP BY snapshot_id, cache_id
)
SELECT u.category, u.holder AS owner,
  CASE
    WHEN u.holder IS NULL THEN NULL
    WHEN u.category = 'image layer' THEN k.names
    WHEN u.category = 'container init' THEN (
      SELECT min(coalesce(c.name, m.name)) FROM mounts AS m LEFT JOIN containers AS c USING (snapshot_id, container_id)
      WHERE m.snapshot_id = u.snapshot_id AND m.init_id = u.holder)
    WHEN u.category GLOB 'container *' THEN (
      SELECT c.name FROM containers AS c WHERE c.snapshot_id = u.snapshot_id AND c.container_id = u.holder)
    WHEN u.category = 'build cache' THEN (
      SELECT group_concat(description, '; ') FROM (SELECT DISTINCT b.description FROM build_cache AS b
        WHERE b.cache_id = u.holder AND b.snapshot_id = u.snapshot_id ORDER BY 1))
  END AS name,
  u.items, u.files, u.apparent_bytes, u.disk_bytes,
  round(100.0 * u.disk_bytes / nullif(w.disk_bytes, 0), 1) AS percent,
  CASE WHEN u.snapshot_id IN (SELECT snapshot_id FROM dockers) THEN u.counted_by_docker END AS counted_by_docker,
  CASE WHEN u.only_note IS NOT NULL THEN u.only_note
    WHEN u.rank < 2 THEN (
      SELECT group_concat(note, '; ') FROM (SELECT DISTINCT c.note FROM chosen AS c
        WHERE c.snapshot_id = u.snapshot_id AND c.category = u.category AND c.place IS u.place ORDER BY 1))
    WHEN u.unmeasured > 0 THEN 'the bytes on disk of ' || u.unmeasured || ' of them are not known'
      || CASE WHEN w.scope <> 'walk' THEN ': scan with --walk' ELSE '' END
    WHEN u.rank = 2 AND w.estimated > 0 THEN 'the bytes on disk of ' || w.estimated || ' layers are estimated, and of other directories those of their files: scan --walk measures all'
  END AS note,
  u.place, u.snapshot_id, h.host
FROM weighed AS u JOIN whole AS w ON w.snapshot_id = u.snapshot_id AND w.place IS u.place JOIN snapshot_hosts AS h ON h.snapshot_id = u.snapshot_id
LEFT JOIN layer_names AS k ON k.snapshot_id = u.snapshot_id AND k.cache_id = u.holder
ORDER BY h.host, u.snapshot_id, u.place, u.rank, u.weight DESC, u.category, u.holder;
