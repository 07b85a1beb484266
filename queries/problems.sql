-- title = "What was missing, torn, odd or hostile in the store"
-- description = "Everything the scan could not read or found odd, worst first. `layerindex schema codes` explains each code. Things that are named but absent have the codes of query missing-data, with severity info where they may be in something that was not read."
-- first = ["severity", "code", "path", "subject", "detail"]
-- [params]
-- code = { help = "only this code" }
-- severity = { values = ["error", "warning", "info"], help = "only this severity" }
-- [columns]
-- severity = "error: information is lost; warning: it is odd; info: good to know"
-- code = "kind of problem"
-- path = "where, relative to the root"
-- subject = "the id or name it concerns"
-- detail = "what was found"
-- host = "the host"

SELECT p.severity, p.code, p.path, p.subject, p.detail, h.host
FROM selected_snapshots
JOIN problems AS p USING (snapshot_id)
JOIN snapshot_hosts AS h USING (snapshot_id)
WHERE (nullif(:code, '') IS NULL OR p.code = :code) AND (nullif(:severity, '') IS NULL OR p.severity = :severity)
ORDER BY CASE p.severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, p.code, h.host, p.snapshot_id, p.problem_id;
