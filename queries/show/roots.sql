-- title = "The roots of the selected stores"
-- description = "What a path may begin with, the longest first."
-- [columns]
-- root = "root of a store where it was scanned"

SELECT DISTINCT s.root FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) ORDER BY length(s.root) DESC, s.root;
