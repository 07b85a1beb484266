-- title = "The short names in l/ and where they lead"
-- description = "Mount options name directories by these 26 characters; this turns a lowerdir= list back into directories. Of overlay2 and of Podman's overlay: containerd has none. A short name that l/ lost is told from the link file of its directory, with the command that makes it again."
-- first = ["link", "cache_id", "role"]
-- [params]
-- link = { type = "told link", help = "only this short name" }
-- [columns]
-- link = "the short name"
-- cache_id = "the directory it leads to; NULL when it leads nowhere"
-- target = "what the symlink says; NULL when there is none"
-- repair = "the command, in the driver's folder, that makes a symlink again which is lost; NULL where it is there"
-- role = "role of that directory"
-- lower_of = "how many directories name it in their lower"
-- host = "the host"

WITH told AS (
  SELECT snapshot_id, link, cache_id, target, NULL AS repair FROM selected_snapshots JOIN links USING (snapshot_id)
  UNION ALL
  SELECT d.snapshot_id, d.link, min(d.cache_id), NULL, 'ln -s ../' || min(d.cache_id) || '/diff l/' || d.link
  FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id)
  WHERE d.role <> 'foreign'
    AND NOT EXISTS (SELECT 1 FROM links AS l WHERE l.snapshot_id = d.snapshot_id AND l.link = d.link)
  GROUP BY d.snapshot_id, d.link HAVING d.link IS NOT NULL AND count(*) = 1
)
SELECT l.link, l.cache_id, l.target, l.repair, (SELECT d.role FROM overlay_dirs AS d WHERE d.snapshot_id = l.snapshot_id AND d.cache_id = l.cache_id) AS role,
  (SELECT count(*) FROM overlay_lowers AS o
   WHERE o.snapshot_id = l.snapshot_id AND o.lower_cache_id = l.cache_id) AS lower_of,
  h.host
FROM told AS l
JOIN snapshot_hosts AS h ON h.snapshot_id = l.snapshot_id
WHERE nullif(:link, '') IS NULL OR l.link = replace(:link, 'l/', '')
ORDER BY h.host, l.snapshot_id, l.link;
