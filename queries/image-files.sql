-- title = "What an image really shows at each path, and from which layer"
-- description = "The merged tree of an image, as a fresh container would see it: for each path the topmost layer that has it, less what whiteouts, opaque directories and files in place of folders hide. Where a later layer hides the first name of a hard link, the next name is the file, and the others are links to that one."
-- first = ["path", "type", "mode", "size", "position"]
-- [params]
-- image = { type = "image", required = true, help = "the image" }
-- under = { help = "only this path, as it stands, and what lies below it" }
-- [columns]
-- path = "path from the root of the image"
-- type = "file, dir, symlink, hardlink, char, block or fifo"
-- mode = "permission bits, octal; NULL where no layer says it"
-- uid = "owner"
-- gid = "group"
-- size = "bytes of its content"
-- modified_at = "modification time; NULL for a folder that the layer only implies"
-- link_target = "where a link points"
-- crc64 = "CRC-64/GO-ISO of a file's content"
-- position = "place of the layer it comes from, 0 for the base"
-- chain_id = "that layer"
-- host = "the host"

SELECT path, type, CASE WHEN mode IS NOT NULL THEN printf('%04o', mode) END AS mode, uid, gid, size, modified_at, link_target,
  CASE WHEN content_crc64 IS NOT NULL THEN printf('%016x', content_crc64) END AS crc64, position, chain_id, host
FROM image_files
WHERE image = :image
  AND (nullif(:under, '') IS NULL OR substr(path || '/', 1, length(rtrim(:under, '/')) + 1) = rtrim(:under, '/') || '/')
ORDER BY path, host, snapshot_id, image_id;
