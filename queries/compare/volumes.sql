-- title = "Volumes that only one of two snapshots has, or that grew or shrank"
-- description = "Volumes are matched by name; those that Docker named itself have a random name. Sizes are compared where both were measured."
-- first = ["change", "volume", "a_driver", "b_driver", "a_disk_bytes", "b_disk_bytes", "a_apparent_bytes", "b_apparent_bytes"]
-- [params]
-- a = { type = "integer", help = "one snapshot" }
-- b = { type = "integer", help = "the other snapshot" }
-- [columns]
-- change = "only a, only b, driver, grew or shrank: what b is against a"
-- volume = "its name"
-- a_driver = "volume driver in a"
-- b_driver = "volume driver in b"
-- a_entries = "files and folders in a"
-- b_entries = "files and folders in b"
-- a_apparent_bytes = "sum of st_size in a; NULL when not measured"
-- b_apparent_bytes = "sum of st_size in b"
-- a_disk_bytes = "bytes on disk in a; NULL when not measured"
-- b_disk_bytes = "bytes on disk in b"

WITH compared AS (
  SELECT CASE WHEN b.name IS NULL THEN 'only a' WHEN a.name IS NULL THEN 'only b' WHEN a.driver <> b.driver THEN 'driver'
      WHEN a.apparent_bytes < b.apparent_bytes THEN 'grew' WHEN a.apparent_bytes > b.apparent_bytes THEN 'shrank'
      WHEN a.disk_bytes < b.disk_bytes THEN 'grew' WHEN a.disk_bytes > b.disk_bytes THEN 'shrank' END AS change,
    coalesce(a.name, b.name) AS volume, a.driver AS a_driver, b.driver AS b_driver, a.entry_count AS a_entries, b.entry_count AS b_entries,
    a.apparent_bytes AS a_apparent_bytes, b.apparent_bytes AS b_apparent_bytes, a.disk_bytes AS a_disk_bytes, b.disk_bytes AS b_disk_bytes
  FROM (SELECT * FROM volumes WHERE snapshot_id = :a) AS a FULL JOIN (SELECT * FROM volumes WHERE snapshot_id = :b) AS b ON b.name = a.name
)
SELECT * FROM compared WHERE change IS NOT NULL
ORDER BY change, volume;
