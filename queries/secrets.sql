-- title = "Files and build steps that look like secrets, and whether a later layer hides them"
-- description = "Names that usually hold keys, passwords or tokens, in images, and build steps that pass one on the command line. Names prove nothing: look at each. A secret that a later layer removed can still be read by whoever has the image. Left out unless all is asked for, each with the reason in left_out: empty files, examples, public keys, documentation and the keys of libraries' own tests; of names that only contain password, secret, token or credentials also code, and what the operating system calls so."
-- first = ["what", "path", "pattern", "visible", "image"]
-- [params]
-- image = { type = "image", help = "the image; every listed image when left out" }
-- all = { values = ["yes"], help = "also what is left out as noise; left_out says why" }
-- [columns]
-- what = "file, or step for a build step"
-- path = "path of the file, or the command of the step"
-- pattern = "what it looks like"
-- size = "bytes of the file"
-- visible = "1 when the image shows the file, 0 when a later layer hides it"
-- position = "place of the layer that holds the file, or of the step in the history"
-- left_out = "why it is left out unless all is asked for: empty, example, public key, documentation, library test, operating system or code; NULL for what is not left out"
-- image = "tags of the image, or its id"
-- host = "the host"

WITH stack AS MATERIALIZED (
  SELECT s.* FROM selected_snapshots JOIN snapshots AS k USING (snapshot_id) JOIN stored_images AS i USING (snapshot_id)
  CROSS JOIN image_stacks AS s ON s.snapshot_id = i.snapshot_id AND s.image_id = i.image_id
  WHERE k.scope <> 'metadata' AND CASE WHEN nullif(:image, '') IS NULL THEN (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM listed_images)
    ELSE (i.snapshot_id, i.image_id) IN (SELECT snapshot_id, image_id FROM image_names WHERE name = :image) END
),
-- Names that say it; with a folder, only in one like that. Everything is compared in small letters.
names (pattern, name, folder) AS (
  VALUES ('private key', 'id_rsa', NULL), ('private key', 'id_dsa', NULL), ('private key', 'id_ecdsa', NULL), ('private key', 'id_ed25519', NULL),
    ('private key', 'id_ecdsa_sk', NULL), ('private key', 'id_ed25519_sk', NULL), ('private key', 'secring.gpg', NULL),
    ('environment file', '.env', NULL), ('environment file', '.envrc', NULL),
    ('password file', '.htpasswd', NULL), ('password file', '.pgpass', NULL), ('password file', '.my.cnf', NULL), ('password file', '.mylogin.cnf', NULL),
    ('password file', '.netrc', NULL), ('password file', '_netrc', NULL), ('password file', 'shadow', '*/etc/'), ('password file', 'wp-config.php', NULL),
    ('password file', 'settings.xml', '*/.m2/'), ('password file', 'settings-security.xml', '*/.m2/'), ('password file', 'gradle.properties', '*/.gradle/'),
    ('token file', '.npmrc', NULL), ('token file', '.pypirc', NULL), ('token file', '.git-credentials', NULL), ('token file', '.dockercfg', NULL),
    ('token file', 'config.json', '*/.docker/'), ('token file', 'auth.json', '*/containers/'), ('token file', 'auth.json', '*composer/'),
    ('token file', 'config.json', '*/helm/registry/'), ('token file', '.vault-token', NULL), ('token file', 'hosts.yml', '*/gh/'),
    ('token file', 'hub', '*/.config/'), ('token file', 'config.yml', '*/glab-cli/'), ('token file', 'credentials.tfrc.json', NULL),
    ('token file', '.terraformrc', NULL), ('token file', 'credentials.toml', '*/.cargo/'), ('token file', 'nuget.config', '*/.nuget/nuget/'),
    ('cloud credentials', 'credentials', NULL), ('cloud credentials', 'credentials.json', NULL), ('cloud credentials', 'kubeconfig', NULL),
    ('cloud credentials', 'config', '*/.kube/'), ('cloud credentials', 'admin.conf', '*/kubernetes/'), ('cloud credentials', 'super-admin.conf', '*/kubernetes/'),
    ('cloud credentials', 'kubelet.conf', '*/kubernetes/'), ('cloud credentials', 'k3s.yaml', NULL), ('cloud credentials', 'rke2.yaml', NULL),
    ('cloud credentials', 'application_default_credentials.json', NULL), ('cloud credentials', 'credentials.db', '*/gcloud/'),
    ('cloud credentials', 'access_tokens.db', '*/gcloud/'), ('cloud credentials', 'adc.json', '*/legacy_credentials/*'),
    ('cloud credentials', 'accesstokens.json', '*/.azure/'), ('cloud credentials', 'msal_token_cache.json', '*/.azure/'),
    ('cloud credentials', 'msal_token_cache.bin', '*/.azure/'), ('cloud credentials', 'service_principal_entries.json', '*/.azure/'), ('cloud credentials', '.boto', NULL), ('cloud credentials', '.s3cfg', NULL),
    ('cloud credentials', 'rclone.conf', NULL), ('cloud credentials', 'config.yaml', '*/doctl/')
),
-- Names like these; the loose ones are names of many other things too.
globs (pattern, glob, loose) AS (
  VALUES ('private key', '*.key', 0), ('private key', '*key.pem', 0), ('private key', 'priv*.pem', 0), ('private key', '*.ppk', 0),
    ('private key', 'ssh_host_*_key', 0), ('private key', '*_rsa', 0), ('private key', '*_ed25519', 0), ('private key', '*_ecdsa', 0),
    ('key store', '*.p12', 0), ('key store', '*.pfx', 0), ('key store', '*.jks', 0), ('key store', '*.keystore', 0), ('key store', '*.kdbx', 0),
    ('key store', '*.keytab', 0), ('environment file', '.env.*', 0), ('environment file', '*.env', 0), ('infrastructure state', '*.tfstate', 0),
    ('infrastructure state', '*.tfstate.*', 0), ('infrastructure state', '*.tfvars', 0), ('cloud credentials', 'service[-_]account*.json', 0),
    ('cloud credentials', '*credentials*.json', 1), ('password file', '*password*', 1), ('token file', '*token*.json', 1), ('token file', '*secret*', 1)
),
folders_of (kind, glob) AS (
  VALUES ('documentation', '*/share/doc/*'), ('documentation', '*/share/man/*'), ('documentation', '*/share/info/*'), ('documentation', '*/share/help/*'),
    ('documentation', '*/share/icons/*'), ('documentation', '*/share/locale/*'),
    ('library', '*/lib/python[0-9]*/*'), ('library', '*/site-packages/*'), ('library', '*/dist-packages/*'), ('library', '*/node_modules/*'),
    ('library', '*/go/src/*'), ('library', '/usr/*/go-[0-9]*/src/*'), ('library', '*/go/pkg/mod/*'), ('library', '*/gems/*'), ('library', '*/lib/ruby/*'),
    ('library', '*/perl5/*'), ('library', '*/perl/*'), ('library', '*/jvm/*'), ('library', '*/.cargo/registry/*'), ('library', '*/rustlib/*'),
    ('library', '*/google-cloud-sdk/*'), ('library', '*/third_party/*'),
    ('tests', '*/test/*'), ('tests', '*/tests/*'), ('tests', '*/testing/*'), ('tests', '*/testdata/*'), ('tests', '*/test[-_]*/*'), ('tests', '*/__tests__/*'),
    ('tests', '*/*_tests/*'), ('tests', '*/fixtures/*'), ('tests', '*/spec/*'), ('tests', '*/example*/*'), ('tests', '*/dummyserver/*'),
    ('public key', '*/keyrings/*'), ('public key', '*/rpm-gpg/*'), ('public key', '*/trusted.gpg.d/*'),
    ('dns', '*/dns/*'), ('dns', '*/unbound/*'), ('dns', '*/bind/*'),
    ('operating system', '/bin/*'), ('operating system', '/sbin/*'), ('operating system', '/lib/systemd/*'), ('operating system', '/usr/bin/*'),
    ('operating system', '/usr/sbin/*'), ('operating system', '/usr/lib/systemd/*'), ('operating system', '/usr/libexec/*'), ('operating system', '/usr/share/pam*/*'),
    ('operating system', '/usr/share/dbus-1/*'), ('operating system', '/usr/share/polkit-1/*'), ('operating system', '/usr/share/bash-completion/*'),
    ('operating system', '/etc/pam.d/*'), ('operating system', '/var/lib/pam/*'), ('operating system', '/var/lib/dpkg/*'), ('operating system', '/var/cache/apt/*')
),
endings (ending) AS (
  VALUES ('py'), ('pyc'), ('pyo'), ('pyi'), ('js'), ('mjs'), ('cjs'), ('jsx'), ('ts'), ('tsx'), ('map'), ('vue'), ('go'), ('rs'), ('c'), ('h'), ('cc'), ('cpp'),
    ('hpp'), ('cs'), ('java'), ('class'), ('jar'), ('kt'), ('scala'), ('rb'), ('pl'), ('pm'), ('php'), ('lua'), ('bc'), ('so'), ('a'), ('o'), ('dll'), ('html'), ('css'),
    ('scss'), ('md'), ('rst'), ('adoc'), ('proto'), ('xsd'), ('mo'), ('po'), ('pot'), ('png'), ('svg'), ('gif'), ('ico'), ('jpg'), ('deb'), ('rpm'), ('whl'),
    ('service'), ('socket'), ('path'), ('md5sums')
),
held AS MATERIALIZED (
  SELECT e.listing_id, e.directory_id, e.name, e.type, e.size
  FROM (SELECT DISTINCT listing_id FROM stack) CROSS JOIN entries AS e USING (listing_id)
  WHERE e.type IN ('file', 'hardlink')
    AND (lower(e.name) IN (SELECT name FROM names) OR EXISTS (SELECT 1 FROM globs AS g WHERE lower(e.name) GLOB g.glob))
),
-- A hard link is the file that it names.
sized AS (
  SELECT listing_id, directory_id, name, size FROM held WHERE type = 'file'
  UNION ALL
  SELECT w.listing_id, w.directory_id, w.name, k.size FROM held AS w
  CROSS JOIN hard_links AS k ON k.listing_id = w.listing_id AND k.directory_id = w.directory_id AND k.name = w.name
  WHERE w.type = 'hardlink' AND k.type = 'file'
),
placed AS (
  SELECT k.*, CASE d.path WHEN '/' THEN '/' ELSE d.path || '/' END AS folder, lower(k.name) AS small
  FROM sized AS k CROSS JOIN directories AS d USING (directory_id)
),
known AS (
  SELECT p.*, n.pattern, 0 AS loose FROM placed AS p JOIN names AS n ON n.name = p.small AND (n.folder IS NULL OR lower(p.folder) GLOB n.folder)
  UNION ALL
  SELECT p.*, g.pattern, g.loose FROM placed AS p JOIN globs AS g ON p.small GLOB g.glob
),
chosen AS (
  SELECT *, row_number() OVER (PARTITION BY listing_id, directory_id, name ORDER BY loose, pattern) AS number FROM known
),
told AS MATERIALIZED (
  SELECT c.*, (SELECT json_group_array(DISTINCT kind) FROM folders_of WHERE lower(c.folder) GLOB glob) AS kinds FROM chosen AS c WHERE number = 1
),
files AS MATERIALIZED (
  SELECT t.*,
    CASE
      WHEN t.size = 0 THEN 'empty'
      WHEN t.small GLOB '*[._-]example*' OR t.small GLOB '*[._-]sample*' OR t.small GLOB '*[._-]template*' OR t.small GLOB '*.dist' THEN 'example'
      WHEN t.pattern = 'private key' AND t.small NOT GLOB '*priv*' AND (t.small GLOB '*pub[-_.k]*' OR t.small GLOB '*public*'
        OR t.small = 'trusted-key.key' OR t.kinds GLOB '*"public key"*' OR t.small = 'root.key' AND t.kinds GLOB '*"dns"*') THEN 'public key'
      WHEN t.kinds GLOB '*"documentation"*' THEN 'documentation'
      WHEN t.kinds GLOB '*"library"*' AND t.kinds GLOB '*"tests"*' THEN 'library test'
      WHEN t.loose AND t.kinds GLOB '*"operating system"*' THEN 'operating system'
      WHEN t.loose AND t.small GLOB '*.*' AND replace(t.small, rtrim(t.small, replace(t.small, '.', '')), '') IN (SELECT ending FROM endings) THEN 'code'
    END AS left_out
  FROM told AS t
),
found AS (
  SELECT s.snapshot_id, s.image_id, 'file' AS what, k.folder || k.name AS path,
    k.pattern, k.size, s.position, k.left_out,
    NOT EXISTS (
      SELECT 1 FROM json_each(s.above) AS u
      WHERE EXISTS (SELECT 1 FROM entries AS e
          WHERE e.listing_id = u.value AND e.directory_id = k.directory_id AND e.name = k.name)
        OR EXISTS (SELECT 1 FROM folder_hiders AS w
          WHERE w.listing_id = u.value AND w.directory_id = k.directory_id)) AS visible
  FROM files AS k CROSS JOIN stack AS s USING (listing_id) WHERE k.left_out IS NULL OR :all = 'yes'
  UNION ALL
  SELECT i.snapshot_id, i.image_id, 'step', t.created_by, 'value on the command line', NULL, t.position, NULL, 1
  FROM (SELECT DISTINCT snapshot_id, image_id FROM stack) AS i JOIN image_history AS t USING (snapshot_id, image_id)
  WHERE lower(t.created_by) GLOB '*password=[^ $]*' OR lower(t.created_by) GLOB '*passwd=[^ $]*'
    OR lower(t.created_by) GLOB '*secret=[^ $]*' OR lower(t.created_by) GLOB '*token=[^ $]*'
    OR lower(t.created_by) GLOB '*api[_-]key=[^ $]*' OR lower(t.created_by) GLOB '*access[_-]key*=[^ $]*'
)
SELECT f.what, f.path, f.pattern, f.size, f.visible, f.position, f.left_out, n.label AS image, h.host
FROM found AS f JOIN image_labels AS n USING (snapshot_id, image_id) JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY h.host, f.snapshot_id, n.label, f.image_id, f.what, f.path, f.position;
