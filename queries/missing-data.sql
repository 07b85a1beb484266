-- title = "What metadata names and the disk does not have"
-- description = "The opposite of orphans: layers, writable layers and build-cache records whose directory is gone, images and layers that miss a layer, containers and tags whose image is gone, containers without writable layer, local volumes whose directory is gone. Where because is not NULL, the place that would have it was not read whole, so that it may be there. query problems has each row under the same code. A container whose image was removed by force still runs."
-- first = ["kind", "object", "name", "missing", "because"]
-- [params]
-- code = { help = "only this code, such as missing-directory" }
-- [columns]
-- kind = "layer, snapshot (of containerd), mount, image, tag, container, build cache or volume"
-- object = "what misses something"
-- name = "name of the container, tags of the image, what BuildKit says of the record"
-- code = "code of the problem"
-- missing = "the directory, layer, image or volume that is not there; NULL when there is no name for it"
-- because = "what was not read and may have it; NULL when it is not there"
-- images = "tags or ids of the listed images that need the layer"
-- host = "the host"

SELECT f.kind, f.object,
  CASE f.kind
    WHEN 'container' THEN (SELECT min(c.name) FROM containers AS c
      WHERE c.snapshot_id = f.snapshot_id AND c.container_id = f.object)
    WHEN 'mount' THEN (SELECT min(c.name) FROM mounts AS m
      JOIN containers AS c ON c.snapshot_id = m.snapshot_id AND c.container_id = m.container_id
      WHERE m.snapshot_id = f.snapshot_id AND m.name = f.object)
    WHEN 'image' THEN (SELECT n.label FROM image_labels AS n
      WHERE n.snapshot_id = f.snapshot_id AND n.image_id = f.object)
    WHEN 'build cache' THEN (SELECT b.description FROM build_cache AS b
      WHERE b.snapshot_id = f.snapshot_id AND b.record_id = f.object)
  END AS name,
  f.code, f.missing, f.because,
  (SELECT group_concat(label, '; ') FROM (SELECT DISTINCT n.label FROM image_layers AS l
     JOIN listed_images USING (snapshot_id, image_id) JOIN image_labels AS n USING (snapshot_id, image_id)
     WHERE l.chain_id = f.chain_id AND l.snapshot_id = f.snapshot_id ORDER BY 1)) AS images,
  h.host
FROM selected_snapshots JOIN missing AS f USING (snapshot_id) JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE nullif(:code, '') IS NULL OR f.code = :code
ORDER BY h.host, f.snapshot_id, f.kind, f.object, f.code, f.missing;
