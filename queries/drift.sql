-- title = "Where a layer's directory differs from its tar"
-- description = "What scan --walk found on disk that the layer's tar-split does not say, or the other way: files added, removed or changed by hand, by a damaged disk or by a copy that lost attributes. A layer is never meant to change."
-- first = ["kind", "path", "expected", "found", "cache_id"]
-- [params]
-- cache = { type = "directory", help = "only the directory of this name" }
-- [columns]
-- kind = "added, removed or changed"
-- path = "path from the root of the layer"
-- expected = "what tar-split says of the fields that differ"
-- found = "what the directory says of them"
-- cache_id = "the directory"
-- images = "tags or ids of the listed images that have the layer"
-- host = "the host"

SELECT x.kind, x.path, x.expected, x.found, x.cache_id,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM layers AS y
     JOIN image_layers AS l USING (snapshot_id, chain_id) JOIN listed_images USING (snapshot_id, image_id)
     JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE y.snapshot_id = x.snapshot_id AND y.cache_id = x.cache_id ORDER BY 1)) AS images,
  h.host
FROM selected_snapshots JOIN drift AS x USING (snapshot_id) JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:cache, '') IS NULL OR x.cache_id = :cache OR x.cache_id GLOB :cache || '*'
ORDER BY h.host, x.snapshot_id, x.cache_id, x.path, x.kind;
