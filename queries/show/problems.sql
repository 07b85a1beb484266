-- title = "What is wrong with a thing"
-- description = "Problems of the store that concern it, its directory or its layer."
-- first = ["severity", "code", "path", "detail"]
-- [params]
-- snapshot = { type = "integer", help = "the snapshot" }
-- id = { help = "the thing" }
-- directory = { help = "its directory" }
-- chain = { help = "its layer" }
-- [columns]
-- severity = "error, warning or info"
-- code = "kind of problem; layerindex schema codes explains it"
-- path = "where, relative to the root"
-- detail = "what was found"

WITH subjects AS MATERIALIZED (
  SELECT :id AS subject UNION SELECT :directory UNION SELECT :chain
  UNION SELECT link FROM overlay_dirs WHERE snapshot_id = :snapshot AND cache_id = :directory
  UNION SELECT link FROM links WHERE snapshot_id = :snapshot AND cache_id = :directory
  UNION SELECT chain_id FROM layers WHERE cache_id = :directory AND +snapshot_id = :snapshot
)
SELECT p.severity, p.code, p.path, p.detail FROM problems AS p
WHERE p.snapshot_id = :snapshot AND p.subject IN (SELECT subject FROM subjects WHERE subject IS NOT NULL)
ORDER BY p.problem_id;
