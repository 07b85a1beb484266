-- title = "The instances of a manifest list"
-- description = "One row for each image that it names; empty for what is no manifest list of Podman."
-- first = ["platform", "digest", "image_id", "size"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the digest of the list" }
-- [columns]
-- platform = "operating system, architecture and variant, as the list says"
-- digest = "digest of the instance's manifest"
-- image_id = "the image; NULL when it is not in this store"
-- size = "bytes of the manifest, as the list says"

SELECT x.os || '/' || x.architecture || coalesce('/' || x.variant, '') AS platform, x.digest,
  nullif(x.image_id, '') AS image_id, x.size
FROM manifest_lists AS m
JOIN image_manifests AS x ON x.snapshot_id = m.snapshot_id AND x.index_digest = m.image_id
WHERE m.snapshot_id = :snapshot AND m.image_id = :id
ORDER BY platform, x.digest;
