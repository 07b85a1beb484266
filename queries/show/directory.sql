-- title = "A directory of the driver's folder"
-- description = "What is known of the directory itself, and in a sentence why it is there or may be there for nothing."
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- directory = { help = "the directory" }
-- [columns]
-- directory = "its name"
-- location = "where it was on the host that was scanned"
-- role = "layer, container, init, build-cache, removing, mount, in-flight, orphan, unknown, missing for one that is named and not there, or unread for one of a driver whose directories are not read"
-- why = "the role in a sentence"
-- link = "its short name in l/"
-- lowers = "how many directories are below it"
-- standing_on_it = "how many directories name it as a lower"
-- apparent_bytes = "sum of st_size below diff/, each inode once"
-- disk_bytes = "bytes on disk of the files below diff/; NULL when not walked"
-- entries = "files and folders below diff/; NULL when not indexed"
-- newest = "latest modification time of its files and folders; only for what has no owner"
-- committed = "1 when a child was made from it"
-- mounted = "1 when merged/ is there: something was mounted on it; NULL where that does not tell"

WITH asked AS (
  SELECT s.snapshot_id, s.mounts_inside, iif(s.reads_directories, 'missing', 'unread') AS otherwise, iif(s.folder GLOB '/*', s.folder, s.root || '/' || s.folder) || '/' AS folder
  FROM snapshots AS s WHERE s.snapshot_id = :snapshot AND :directory IS NOT NULL
),
there AS MATERIALIZED (SELECT * FROM overlay_dirs WHERE snapshot_id = :snapshot AND cache_id = :directory)
SELECT :directory AS directory, a.folder || :directory AS location, coalesce(d.role, a.otherwise) AS role,
  CASE coalesce(d.role, a.otherwise)
    WHEN 'layer' THEN 'a layer is kept in it'
    WHEN 'container' THEN 'the writable layer of a container'
    WHEN 'init' THEN 'the init layer below a writable layer'
    WHEN 'mount' THEN 'a writable layer that something other than a container asked for'
    WHEN 'build-cache' THEN 'BuildKit''s cache keeps data in it'
    WHEN 'removing' THEN 'its layer was being removed; the engine finishes that when it starts'
    WHEN 'in-flight' THEN 'it was being written when the scan ran, such as by a pull or a build; scan again'
    WHEN 'orphan' THEN 'nothing names it: no layer, container, mount or build-cache record, and no directory that one of '
      || 'these needs. All sources could be read, and it was there before and after. layerindex deletes nothing'
    WHEN 'unknown' THEN 'it cannot be said whether it is needed: '
      || CASE WHEN EXISTS (SELECT 1 FROM overlay_dir_owners AS o WHERE o.snapshot_id = :snapshot AND o.cache_id = :directory)
           THEN 'only other directories name it' ELSE 'nothing that could be read names it' END
      || coalesce((SELECT ', and this may name it: ' || t.because FROM directory_standings AS t
           WHERE t.snapshot_id = :snapshot AND t.cache_id = :directory), '')
      || '. It is not called an orphan; layerindex deletes nothing'
    WHEN 'missing' THEN 'it is named and was not there when the store was scanned'
    WHEN 'unread' THEN 'it is named; the directories of this driver are not read'
  END AS why,
  coalesce(d.link, (SELECT min(k.link) FROM links AS k WHERE k.snapshot_id = :snapshot AND k.cache_id = :directory)) AS link,
  d.lower_count AS lowers,
  (SELECT count(DISTINCT o.cache_id) FROM overlay_lowers AS o
   WHERE o.snapshot_id = :snapshot AND o.lower_cache_id = :directory) AS standing_on_it,
  d.apparent_bytes, d.disk_bytes, d.entry_count AS entries,
  CASE WHEN d.role IN ('orphan', 'unknown', 'in-flight') THEN (
    SELECT n.newest FROM newest_changes AS n WHERE n.listing_id = d.listing_id) END AS newest,
  d.committed, CASE WHEN a.mounts_inside THEN d.has_merged END AS mounted
FROM asked AS a LEFT JOIN there AS d ON d.snapshot_id = a.snapshot_id
ORDER BY a.snapshot_id;
