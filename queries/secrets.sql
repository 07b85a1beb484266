-- title = "Files and build steps that look like secrets, and whether a later layer hides them"
-- description = "Names that usually hold keys, passwords or tokens, in images, and build steps that pass one on the command line. Names prove nothing: look at each. A secret that a later layer removed can still be read by whoever has the image."
-- first = ["what", "path", "pattern", "visible", "image"]
-- [params]
-- image = { type = "image", help = "the image; every listed image when left out" }
-- [columns]
-- what = "file, or step for a build step"
-- path = "path of the file, or the command of the step"
-- pattern = "what it looks like"
-- size = "bytes of the file"
-- visible = "1 when the image shows the file, 0 when a later layer hides it"
-- position = "place of the layer that holds the file, or of the step in the history"
-- image = "tags of the image, or its id"
-- host = "the host"

WITH stack AS MATERIALIZED (
  SELECT s.* FROM selected_snapshots JOIN snapshots AS k USING (snapshot_id) JOIN stored_images AS i USING (snapshot_id)
  CROSS JOIN image_stacks AS s ON s.snapshot_id = i.snapshot_id AND s.image_id = i.image_id
  WHERE k.scope <> 'metadata' AND CASE WHEN nullif(:image, '') IS NULL THEN (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM listed_images)
    ELSE (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image) END
),
patterns (pattern, glob) AS (
  VALUES ('private key', 'id_rsa'), ('private key', 'id_dsa'), ('private key', 'id_ecdsa'), ('private key', 'id_ed25519'),
    ('private key', '*.key'), ('private key', '*_key.pem'), ('private key', 'private*.pem'), ('key store', '*.p12'),
    ('key store', '*.pfx'), ('key store', '*.jks'), ('key store', '*.kdbx'), ('environment file', '.env'), ('environment file', '.env.*'),
    ('password file', '.htpasswd'), ('password file', '.pgpass'), ('password file', '.my.cnf'), ('password file', '.netrc'),
    ('password file', '*password*'), ('password file', 'shadow'), ('token file', '.npmrc'), ('token file', '.pypirc'),
    ('token file', '.git-credentials'), ('token file', '.dockercfg'), ('token file', '*token*.json'), ('token file', '*secret*'),
    ('cloud credentials', 'credentials'), ('cloud credentials', 'credentials.json'), ('cloud credentials', 'kubeconfig'),
    ('cloud credentials', 'service-account*.json')
),
held AS MATERIALIZED (
  SELECT e.listing_id, e.directory_id, e.name, e.type, e.size, (
    SELECT p.pattern FROM patterns AS p WHERE lower(e.name) GLOB p.glob ORDER BY p.pattern LIMIT 1) AS pattern
  FROM (SELECT DISTINCT listing_id FROM stack) CROSS JOIN entries AS e USING (listing_id)
  WHERE e.type IN ('file', 'hardlink') AND pattern IS NOT NULL
),
-- A hard link is the file that it names.
files AS (
  SELECT listing_id, directory_id, name, size, pattern FROM held WHERE type = 'file'
  UNION ALL
  SELECT w.listing_id, w.directory_id, w.name, k.size, w.pattern FROM held AS w
  CROSS JOIN hard_links AS k ON k.listing_id = w.listing_id AND k.directory_id = w.directory_id AND k.name = w.name
  WHERE w.type = 'hardlink' AND k.type = 'file'
),
found AS (
  SELECT s.snapshot_id, s.image_id, 'file' AS what, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END || k.name AS path,
    k.pattern, k.size, s.position,
    NOT EXISTS (
      SELECT 1 FROM json_each(s.above) AS u
      WHERE EXISTS (SELECT 1 FROM entries AS e
          WHERE e.listing_id = u.value AND e.directory_id = k.directory_id AND e.name = k.name)
        OR EXISTS (SELECT 1 FROM folder_hiders AS w
          WHERE w.listing_id = u.value AND w.directory_id = k.directory_id)) AS visible
  FROM files AS k CROSS JOIN stack AS s USING (listing_id) CROSS JOIN directories AS d USING (directory_id)
  UNION ALL
  SELECT i.snapshot_id, i.image_id, 'step', t.created_by, 'value on the command line', NULL, t.position, 1
  FROM (SELECT DISTINCT snapshot_id, image_id FROM stack) AS i JOIN image_history AS t USING (snapshot_id, image_id)
  WHERE lower(t.created_by) GLOB '*password=[^ $]*' OR lower(t.created_by) GLOB '*passwd=[^ $]*'
    OR lower(t.created_by) GLOB '*secret=[^ $]*' OR lower(t.created_by) GLOB '*token=[^ $]*'
    OR lower(t.created_by) GLOB '*api[_-]key=[^ $]*' OR lower(t.created_by) GLOB '*access[_-]key*=[^ $]*'
)
SELECT f.what, f.path, f.pattern, f.size, f.visible, f.position, n.label AS image, h.host
FROM found AS f JOIN image_labels AS n USING (snapshot_id, image_id) JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY h.host, f.snapshot_id, n.label, f.image_id, f.what, f.path, f.position;
