-- title = "The short names in l/ and where they lead"
-- description = "Mount options name directories by these 26 characters; this turns a lowerdir= list back into directories. Of overlay2 and of Podman's overlay: containerd has none."
-- [params]
-- link = { help = "only this short name" }
-- [columns]
-- link = "the short name"
-- cache_id = "the directory it leads to; NULL when it leads nowhere"
-- target = "what the symlink says"
-- role = "role of that directory"
-- lower_of = "how many directories name it in their lower"
-- host = "the host"

SELECT l.link, l.cache_id, l.target, d.role,
  (SELECT count(*) FROM overlay_lowers AS o
   WHERE o.snapshot_id = l.snapshot_id AND o.lower_cache_id = l.cache_id) AS lower_of,
  h.host
FROM selected_snapshots
JOIN links AS l USING (snapshot_id)
LEFT JOIN overlay_dirs AS d ON d.snapshot_id = l.snapshot_id AND d.cache_id = l.cache_id
JOIN snapshot_hosts AS h ON h.snapshot_id = l.snapshot_id
WHERE :link IS NULL OR l.link = replace(:link, 'l/', '')
ORDER BY h.host, l.snapshot_id, l.link;
