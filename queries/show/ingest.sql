-- title = "A download or write of containerd that has not ended"
-- description = "What lies in its folder in ingest/, or what the database says."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "its folder, or ref where only the database knows it" }
-- [columns]
-- name = "its folder, or ref where only the database knows it"
-- namespace = "its namespace"
-- ref = "what is written, such as layer-sha256:…"
-- expected_digest = "the digest it shall have"
-- started_at = "when it began"
-- updated_at = "when it was last written"
-- total = "bytes it shall have"
-- size = "bytes it has"

SELECT i.name, i.namespace, i.ref, i.expected_digest, i.started_at, i.updated_at, i.total, i.size FROM ingests AS i
WHERE i.snapshot_id = :snapshot AND i.name = :id
ORDER BY i.name;
