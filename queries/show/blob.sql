-- title = "A blob of containerd, or a manifest that is no image"
-- description = "What the content store and its database know of it, and what indexes and manifests say it is; for what is not of an image or layer, such as an attestation, or a blob that nothing names."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the digest" }
-- [columns]
-- digest = "the digest of its bytes"
-- what = "image, index, attestation, artifact or unknown, of a manifest; layer of a layer's tar; NULL when nothing says"
-- media_type = "its media type, as what names it says"
-- platform = "of a manifest: operating system, architecture and variant, as its index says"
-- subject = "of an attestation: the manifest it speaks of"
-- listed_by = "the indexes that list it"
-- size = "its bytes"
-- on_disk = "1 when its file is there, else 0"
-- namespaces = "the namespaces that know it"
-- created_at = "when it was written"

WITH named AS MATERIALIZED (SELECT * FROM image_manifests WHERE snapshot_id = :snapshot AND digest = :id),
kept AS MATERIALIZED (SELECT * FROM blobs WHERE snapshot_id = :snapshot AND digest = :id)
SELECT :id AS digest,
  coalesce((SELECT min(kind) FROM named), (SELECT 'layer' FROM kept WHERE diff_id IS NOT NULL)) AS what,
  coalesce((SELECT min(media_type) FROM kept), (SELECT min(media_type) FROM named)) AS media_type,
  (SELECT min(os || '/' || architecture || coalesce('/' || variant, '')) FROM named) AS platform,
  (SELECT min(subject_digest) FROM named) AS subject,
  (SELECT group_concat(index_digest, ', ') FROM (SELECT DISTINCT index_digest FROM named WHERE index_digest <> '' ORDER BY 1)) AS listed_by,
  coalesce((SELECT min(size) FROM kept), (SELECT min(size) FROM named)) AS size,
  coalesce((SELECT max(on_disk) FROM kept), (SELECT max(on_disk) FROM named)) AS on_disk,
  (SELECT group_concat(namespace, ', ') FROM (SELECT DISTINCT namespace FROM kept WHERE namespace <> '' ORDER BY 1)) AS namespaces,
  (SELECT min(created_at) FROM kept) AS created_at
ORDER BY digest;
