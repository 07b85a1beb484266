"""Views of stores whose engine collects garbage: what holds content and layers there, as containerd follows it.

Formats: containerd `core/metadata/gc.go`. They read the selected snapshots alone: what a snapshot of a store needs may
be recorded with another one of its root.
"""

from __future__ import annotations

from layerindex.schema.columns import View

VIEWS = (
    View(
        "gc_stores",
        "The selected snapshots of stores that collect garbage; content_id is the snapshot with the blobs of its root: "
        "what all snapshotters of a root share is recorded with the first.",
        """
SELECT s.snapshot_id, s.driver, s.started_at, s.guards_images, (
    SELECT o.snapshot_id FROM snapshots AS o JOIN selected_snapshots USING (snapshot_id)
    WHERE o.host_id = s.host_id AND o.root = s.root
      AND EXISTS (SELECT 1 FROM blobs AS b WHERE b.snapshot_id = o.snapshot_id)
    ORDER BY o.snapshot_id LIMIT 1) AS content_id
FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) WHERE s.collects_garbage""",
    ),
    View(
        "gc_names",
        "What leads to images where garbage is collected: names, and the targets of those that Docker keeps without; "
        "root is what gc_holds calls it.",
        """
SELECT c.snapshot_id, r.namespace, r.ref, r.normalized, r.image_id, r.target_digest,
  'name ' || r.namespace || ' ' || r.ref AS root
FROM gc_stores AS c CROSS JOIN image_refs AS r USING (snapshot_id)
UNION ALL
SELECT DISTINCT c.snapshot_id, b.namespace, i.image_id, i.image_id, i.image_id, i.target_digest,
  'name ' || b.namespace || ' ' || i.image_id
FROM gc_stores AS c CROSS JOIN images AS i USING (snapshot_id)
CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id AND b.digest = i.target_digest
WHERE (i.snapshot_id, i.image_id) NOT IN (SELECT snapshot_id, image_id FROM image_refs)""",
    ),
    View(
        "gc_holds",
        "Where garbage is collected: each root (a name, a container, a lease that has not ended, what a label makes "
        "one) and each snapshot and blob that it holds. What nothing holds goes.",
        """
WITH RECURSIVE stores AS MATERIALIZED (SELECT * FROM gc_stores),
-- References in the labels of blobs, and what a snapshot stands on.
edges AS MATERIALIZED (
  SELECT c.snapshot_id, b.namespace, b.digest AS node, j.value AS held, 0 AS below
  FROM stores AS c CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id CROSS JOIN json_each(b.labels) AS j
  WHERE j.key GLOB 'containerd.io/gc.ref.content*'
  UNION ALL
  SELECT c.snapshot_id, b.namespace, b.digest, s.name, 0
  FROM stores AS c CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id CROSS JOIN json_each(b.labels) AS j
  CROSS JOIN containerd_snapshots AS s ON s.chain_id = j.value AND s.snapshot_id = c.snapshot_id
    AND s.namespace = b.namespace AND s.snapshotter = c.driver AND s.snapshot_key = j.value
  WHERE j.key || '/' GLOB 'containerd.io/gc.ref.snapshot.' || c.driver || '/*'
  UNION ALL
  SELECT c.snapshot_id, s.namespace, s.name, s.parent_name, 1
  FROM stores AS c CROSS JOIN containerd_snapshots AS s USING (snapshot_id) WHERE s.parent_name IS NOT NULL
),
-- A flat lease holds what is below a snapshot, and nothing that labels name.
holds (snapshot_id, root, namespace, node) AS (
  SELECT * FROM (
    SELECT snapshot_id, root, namespace, target_digest FROM gc_names WHERE target_digest IS NOT NULL
    UNION ALL
    SELECT c.snapshot_id, 'container ' || k.container_id, s.namespace, s.name
    FROM stores AS c CROSS JOIN containers AS k USING (snapshot_id)
    CROSS JOIN containerd_snapshots AS s
      ON s.cache_id = k.mount_id AND s.snapshot_id = c.snapshot_id AND s.snapshotter = c.driver
    UNION ALL
    SELECT c.snapshot_id, CASE WHEN (c.snapshot_id, r.lease_id) IN (SELECT snapshot_id, container_id FROM containers)
        THEN 'container ' WHEN l.labels GLOB '*"containerd.io/gc.flat"*' THEN 'flat lease ' ELSE 'lease ' END
        || r.lease_id,
      r.namespace, coalesce(s.name, r.resource)
    FROM stores AS c CROSS JOIN leases AS l
      ON l.snapshot_id = c.content_id AND (l.expires_at IS NULL OR rtrim(l.expires_at, 'Z') >= rtrim(c.started_at, 'Z'))
    CROSS JOIN lease_resources AS r
      ON r.snapshot_id = l.snapshot_id AND r.namespace = l.namespace AND r.lease_id = l.lease_id
    LEFT JOIN containerd_snapshots AS s ON s.snapshot_id = c.snapshot_id AND s.snapshotter = c.driver
      AND s.namespace = r.namespace AND s.snapshot_key = r.resource AND r.type = 'snapshots/' || c.driver
    WHERE r.type IN ('content', 'snapshots/' || c.driver)
    UNION ALL
    SELECT c.snapshot_id, 'label ' || b.digest, b.namespace, b.digest
    FROM stores AS c CROSS JOIN blobs AS b ON b.snapshot_id = c.content_id
    WHERE b.labels GLOB '*"containerd.io/gc.root"*'
    UNION ALL
    SELECT c.snapshot_id, 'label ' || s.name, s.namespace, s.name
    FROM stores AS c CROSS JOIN containerd_snapshots AS s USING (snapshot_id)
    WHERE s.labels GLOB '*"containerd.io/gc.root"*')
  UNION
  SELECT h.snapshot_id, h.root, h.namespace, e.held
  FROM holds AS h JOIN edges AS e ON e.snapshot_id = h.snapshot_id AND e.namespace = h.namespace AND e.node = h.node
  WHERE e.below OR h.root NOT GLOB 'flat lease *'
)
SELECT snapshot_id, root, namespace, node FROM holds""",
    ),
)
