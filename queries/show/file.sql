-- title = "A file in a directory of the store"
-- description = "The entry of that path in the directory's listing; for a path through merged also the entries in the directories below it, the nearest first, each with what hides it."
-- first = ["path", "type", "size", "mode", "directory", "visible"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory" }
-- path = { help = "path from the layer's root, which is /" }
-- merged = { type = "integer", help = "1: look into the directories below it too, as overlayfs does", default = 0 }
-- [columns]
-- path = "path from the layer's root"
-- type = "file, dir, symlink, hardlink, char, block, fifo, socket or whiteout"
-- mode = "permission bits, octal; NULL for a folder of which a tar has only the contents"
-- uid = "owner"
-- gid = "group"
-- size = "bytes of its content"
-- modified_at = "modification time"
-- link_target = "target of a symlink; a hard link's first name"
-- device = "major:minor of a device"
-- content_crc64 = "CRC-64/GO-ISO of its content, 16 hexadecimal digits"
-- opaque = "1 for a folder that hides all below it in lower layers"
-- xattrs = "names of its extended attributes as a JSON list"
-- capability = "value of its security.capability, hexadecimal"
-- directory = "the directory that holds it"
-- position = "0 for the directory asked about, then 1 for the nearest below"
-- visible = "1 when nothing between hides it, 0 when something does; NULL when the files of a directory between are not known"
-- source = "what listed it: tar-split or walk"

WITH RECURSIVE parents (depth, chain_id, parent_chain_id, cache_id) AS (
  SELECT 0, y.chain_id, y.parent_chain_id, y.cache_id FROM layers AS y
  WHERE y.cache_id = :directory AND +y.snapshot_id = :snapshot AND coalesce(:merged, 0) = 1
  UNION ALL
  SELECT 1, y.chain_id, y.parent_chain_id, y.cache_id FROM mounts AS m
  CROSS JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = m.parent_chain_id
  WHERE m.mount_id = :directory AND +m.snapshot_id = :snapshot AND coalesce(:merged, 0) = 1
  UNION ALL
  SELECT p.depth + 1, y.chain_id, y.parent_chain_id, y.cache_id FROM parents AS p
  CROSS JOIN layers AS y ON y.snapshot_id = :snapshot AND y.chain_id = p.parent_chain_id WHERE p.depth < 512
),
stack AS MATERIALIZED (
  SELECT k.position, k.cache_id, coalesce(
    (SELECT d.listing_id FROM overlay_dirs AS d WHERE d.snapshot_id = :snapshot AND d.cache_id = k.cache_id),
    (SELECT max(y.listing_id) FROM layers AS y WHERE y.cache_id = k.cache_id AND +y.snapshot_id = :snapshot)) AS listing_id
  FROM (
    SELECT 0 AS position, :directory AS cache_id
    UNION ALL
    SELECT position + 1, lower_cache_id FROM overlay_lowers
    WHERE snapshot_id = :snapshot AND cache_id = :directory AND coalesce(:merged, 0) = 1
    UNION ALL
    -- Other drivers have no lists of lowers: what a directory shows is what its chain of layers has.
    SELECT p.depth, p.cache_id FROM parents AS p
    WHERE p.depth > 0 AND NOT EXISTS (SELECT 1 FROM overlay_lowers WHERE snapshot_id = :snapshot AND cache_id = :directory)) AS k
),
place AS MATERIALIZED (
  SELECT d.directory_id, substr(:path, length(rtrim(:path, replace(:path, '/', ''))) + 1) AS name FROM directories AS d
  WHERE d.path = coalesce(nullif(rtrim(rtrim(:path, replace(:path, '/', '')), '/'), ''), '/')
),
told AS (
  SELECT s.position, s.cache_id, e.* FROM place AS p CROSS JOIN stack AS s
  CROSS JOIN entries AS e ON e.listing_id = s.listing_id AND e.directory_id = p.directory_id AND e.name = p.name
)
SELECT :path AS path, e.type, CASE WHEN e.mode IS NOT NULL THEN printf('%04o', e.mode) END AS mode, e.uid, e.gid, e.size,
  strftime('%Y-%m-%dT%H:%M:%SZ', e.mtime, 'unixepoch') AS modified_at, e.link_target, e.device,
  CASE WHEN e.content_crc64 IS NOT NULL THEN printf('%016x', e.content_crc64) END AS content_crc64, e.opaque, e.xattrs,
  CASE WHEN e.capability IS NOT NULL THEN lower(hex(e.capability)) END AS capability, e.cache_id AS directory, e.position,
  CASE WHEN e.type <> 'whiteout' AND NOT EXISTS (
    SELECT 1 FROM stack AS u WHERE u.position < e.position AND (
      u.listing_id IN (SELECT listing_id FROM told)
      OR EXISTS (SELECT 1 FROM folder_hiders AS h WHERE h.listing_id = u.listing_id AND h.directory_id = e.directory_id)))
    THEN CASE WHEN NOT EXISTS (SELECT 1 FROM stack AS u WHERE u.position < e.position AND u.listing_id IS NULL) THEN 1 END
    ELSE 0 END AS visible,
  l.source
FROM told AS e JOIN listings AS l USING (listing_id)
ORDER BY e.position;
