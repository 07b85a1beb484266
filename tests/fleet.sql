-- The rows of all hosts of tests/fleet.py; each statement writes a table in the order of its key.
INSERT INTO images
SELECT c.snapshot_id, c.image_id, '2024-0' || (w.version + 1) || '-01T00:00:00Z', 'amd64', 'linux', NULL, NULL, w.size, w.layer_count,
  NULL, NULL, 1, w.config
FROM chosen AS c CROSS JOIN world_images AS w USING (image_id) ORDER BY 1, 2;
INSERT INTO image_refs
SELECT c.snapshot_id, 'registry.example/team/app-' || c.app || ':latest', 'registry.example/team/app-' || c.app, 'latest', NULL, c.image_id,
  '', 'registry.example/team/app-' || c.app || ':latest', NULL
FROM chosen AS c ORDER BY 1, 2;
INSERT INTO image_layers
SELECT c.snapshot_id, c.image_id, p.position, p.diff_id, p.chain_id
FROM chosen AS c CROSS JOIN world_places AS p USING (image_id) ORDER BY 1, 2, 3;
INSERT INTO image_history
SELECT c.snapshot_id, c.image_id, h.key, h.value ->> 'created', h.value ->> 'created_by', NULL, NULL,
  coalesce(h.value ->> 'empty_layer', 0), CASE WHEN h.key >= :steps THEN h.key - :steps END
FROM (SELECT w.image_id, e.key, e.value FROM world_images AS w CROSS JOIN json_each(w.config, '$.history') AS e) AS h
JOIN chosen AS c USING (image_id) ORDER BY 1, 2, 3;
CREATE TEMP TABLE held AS
SELECT DISTINCT s.snapshot_id, s.host_id, y.chain_id, y.diff_id, y.parent, y.size, y.depth, y.listing_id,
  hex_of('cache ' || s.host_id || y.chain_id) AS cache_id
FROM chosen AS c CROSS JOIN snapshots AS s USING (snapshot_id) CROSS JOIN world_places AS p USING (image_id)
CROSS JOIN world_layers AS y USING (chain_id) ORDER BY 1, 3;
CREATE INDEX temp.held_chain ON held (snapshot_id, chain_id, cache_id);
INSERT INTO layers SELECT snapshot_id, chain_id, diff_id, parent, cache_id, size, 1, listing_id FROM held ORDER BY 1, 2;
INSERT INTO overlay_dirs
SELECT snapshot_id, cache_id, 'layer', substr(upper(cache_id), 1, 26), depth, 1, depth > 0, 0, 1, size, NULL, 100, listing_id, NULL
FROM held ORDER BY 1, 2;
INSERT INTO links SELECT snapshot_id, substr(upper(cache_id), 1, 26), '../' || cache_id || '/diff', cache_id FROM held ORDER BY 1, 2;
INSERT INTO overlay_lowers
SELECT h.snapshot_id, h.cache_id, b.position, substr(upper(o.cache_id), 1, 26), o.cache_id
FROM held AS h CROSS JOIN world_below AS b USING (chain_id)
CROSS JOIN held AS o ON o.snapshot_id = h.snapshot_id AND o.chain_id = b.below ORDER BY 1, 2, 3;
INSERT INTO disk_usage SELECT snapshot_id, 'image layer', cache_id, NULL, size, NULL, 1, 'apparent size as the engine counts it; bytes on disk estimated from its files', NULL, size / 4096 * 4096 + 40960 FROM held ORDER BY 1, 3;
CREATE TEMP TABLE running AS
SELECT s.snapshot_id, s.host_id, c.app, c.image_id, w.top, w.layer_count, hex_of('container ' || s.host_id || ' ' || c.app) AS id,
  hex_of('mount ' || s.host_id || ' ' || c.app) AS mount_id
FROM (SELECT *, row_number() OVER (PARTITION BY snapshot_id ORDER BY app) AS place FROM chosen) AS c
JOIN snapshots AS s USING (snapshot_id) JOIN world_images AS w USING (image_id) WHERE c.place <= :containers;
INSERT INTO containers
SELECT snapshot_id, id, '', 'app-' || app, image_id, NULL, 'registry.example/team/app-' || app || ':latest', 'running', '2024-02-01T00:00:00Z',
  '2024-02-01T00:00:00Z', NULL, 0, 'overlay2', mount_id, 'json-file', NULL, 1000 * snapshot_id, NULL
FROM running ORDER BY 1, 2;
INSERT INTO mounts SELECT snapshot_id, id, mount_id, mount_id || '-init', top, id FROM running ORDER BY 1, 2;
INSERT INTO overlay_dirs
SELECT snapshot_id, mount_id, 'container', substr(upper(mount_id), 1, 26), layer_count + 1, 1, 1, 1, 0, 5000, NULL, 10, NULL, NULL FROM running
UNION ALL
SELECT snapshot_id, mount_id || '-init', 'init', substr(upper(hex_of(mount_id)), 1, 26), layer_count, 1, 1, 0, 1, 0, NULL, 8, NULL, NULL
FROM running ORDER BY 1, 2;
INSERT INTO overlay_lowers
SELECT r.snapshot_id, r.mount_id || x.suffix, p.layer_count - 1 - l.position + (x.suffix = ''), substr(upper(h.cache_id), 1, 26), h.cache_id
FROM running AS r CROSS JOIN (SELECT '' AS suffix UNION ALL SELECT '-init') AS x CROSS JOIN world_images AS p USING (image_id)
CROSS JOIN world_places AS l USING (image_id) CROSS JOIN held AS h ON h.snapshot_id = r.snapshot_id AND h.chain_id = l.chain_id
UNION ALL
SELECT snapshot_id, mount_id, 0, substr(upper(hex_of(mount_id)), 1, 26), mount_id || '-init' FROM running ORDER BY 1, 2, 3;
INSERT INTO recorded_uses
SELECT snapshot_id, 'directory', cache_id, 'layer', chain_id, 'layers' FROM held
UNION ALL SELECT snapshot_id, 'directory', mount_id, 'container', id, 'mounts' FROM running
UNION ALL SELECT snapshot_id, 'directory', mount_id || '-init', 'init', id, 'mounts' FROM running
UNION ALL
SELECT c.snapshot_id, 'directory', h.cache_id, 'image', c.image_id, 'images'
FROM chosen AS c CROSS JOIN world_places AS p USING (image_id)
CROSS JOIN held AS h ON h.snapshot_id = c.snapshot_id AND h.chain_id = p.chain_id
UNION ALL
SELECT r.snapshot_id, 'directory', h.cache_id, 'container-base', r.id, 'mounts'
FROM running AS r CROSS JOIN world_places AS p USING (image_id)
CROSS JOIN held AS h ON h.snapshot_id = r.snapshot_id AND h.chain_id = p.chain_id
ORDER BY 1, 2, 3, 4, 5;
INSERT INTO problems
SELECT snapshot_id, 1, 'warning', 'stale-mount', 'image/overlay2/layerdb/mounts/' || uid, uid, 'made for the simulation' FROM snapshots WHERE snapshot_id IN (SELECT snapshot_id FROM chosen);
DROP TABLE temp.held;
DROP TABLE temp.running
