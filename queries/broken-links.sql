-- title = "Short names and lower lists that lead nowhere"
-- description = "Of overlay2 and of Podman's overlay: containerd has neither. A container whose lower list has one cannot be mounted. After a power cut, empty link and lower files are the usual cause."
-- first = ["object", "problem", "target", "repair"]
-- [columns]
-- object = "what is broken: the short name, or the directory whose file names it"
-- problem = "what is wrong"
-- link = "the short name"
-- target = "what the symlink says or, where it is lost, must say; or the directory that should have it"
-- repair = "the command, in the driver's folder, that makes a lost symlink again, a copy in its place being kept as LINK.copy; NULL where there is none"
-- host = "the host"

WITH broken AS (
  SELECT l.snapshot_id, 'l/' || l.link AS object,
    CASE WHEN l.target IS NULL THEN 'not a symlink'
      WHEN l.target GLOB '../*/diff' AND l.target NOT GLOB '../*/*/diff' THEN 'dangling'
      ELSE 'points elsewhere than to a directory' END AS problem,
    l.link,
    coalesce(l.target, (SELECT CASE WHEN count(*) = 1 THEN '../' || min(d.cache_id) || '/diff' END FROM overlay_dirs AS d
      WHERE d.snapshot_id = l.snapshot_id AND d.link = l.link AND d.role <> 'foreign')) AS target
  FROM selected_snapshots JOIN links AS l USING (snapshot_id) WHERE l.cache_id IS NULL
  UNION ALL
  SELECT d.snapshot_id, d.cache_id, 'its link file is missing or unreadable', NULL, NULL
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN overlay_dirs AS d USING (snapshot_id)
  WHERE d.link IS NULL AND s.keeps_links
  UNION ALL
  SELECT d.snapshot_id, d.cache_id, 'its link is not in l/', d.link,
    CASE WHEN d.role <> 'foreign' AND NOT EXISTS (
        SELECT 1 FROM overlay_dirs AS o
        WHERE o.snapshot_id = d.snapshot_id AND o.link = d.link AND o.cache_id <> d.cache_id)
      THEN '../' || d.cache_id || '/diff' END
  FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id)
  WHERE d.link IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM links AS l WHERE l.snapshot_id = d.snapshot_id AND l.link = d.link)
  UNION ALL
  SELECT d.snapshot_id, d.cache_id, 'its link leads to another directory', d.link, l.cache_id
  FROM selected_snapshots JOIN overlay_dirs AS d USING (snapshot_id)
  JOIN links AS l ON l.snapshot_id = d.snapshot_id AND l.link = d.link
  WHERE l.cache_id <> d.cache_id
  UNION ALL
  SELECT l.snapshot_id, 'l/' || l.link, 'another short name leads to the same directory', l.link, l.target
  FROM selected_snapshots JOIN links AS l USING (snapshot_id)
  JOIN overlay_dirs AS d ON d.snapshot_id = l.snapshot_id AND d.cache_id = l.cache_id
  WHERE d.link <> l.link
  UNION ALL
  SELECT o.snapshot_id, o.cache_id, 'lower ' || o.position || ' leads nowhere', o.link, NULL
  FROM selected_snapshots JOIN overlay_lowers AS o USING (snapshot_id) WHERE o.lower_cache_id IS NULL
  UNION ALL
  SELECT d.snapshot_id, d.cache_id, 'its lower file is unreadable', NULL, NULL
  FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN overlay_dirs AS d USING (snapshot_id)
  WHERE d.lower_count IS NULL AND s.keeps_links
)
SELECT b.object, b.problem, b.link, b.target,
  CASE b.problem WHEN 'its link is not in l/' THEN 'ln -s ' || b.target || ' l/' || b.link
    WHEN 'not a symlink' THEN 'mv l/' || b.link || ' ' || b.link || '.copy && ln -s ' || b.target || ' l/' || b.link
  END AS repair, h.host
FROM broken AS b JOIN snapshot_hosts AS h USING (snapshot_id)
ORDER BY h.host, b.snapshot_id, b.object, b.problem, b.link;
