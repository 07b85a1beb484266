-- title = "The names of an image"
-- description = "Every reference that leads to it, as it is stored."
-- first = ["reference", "digest"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the image_id" }
-- [columns]
-- reference = "the whole reference"
-- tag = "its tag; NULL for a digest"
-- digest = "its manifest digest; NULL for a tag"

SELECT DISTINCT r.ref AS reference, r.tag, r.digest FROM image_refs AS r
WHERE r.snapshot_id = :snapshot AND r.image_id = :id
ORDER BY r.tag IS NULL, r.ref;
