"""What metadata names but the store does not have: one rule for the view `missing` and for `problems`.

A scan records what it read; the view finds references in it that lead nowhere, and at the end of the scan each of its
rows becomes a problem. Where a thing may be in something that was not read, `missing-data` names that. What was being
removed while it was read is not missing: a store says so with `going`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex.problems import Damage, Told
from layerindex.records import Use

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from layerindex.records import Problem
    from layerindex.stores.store import Store

GOING = "removing"
"""The kind of user that is being removed itself, so that what it needs is not missing."""

NO_DIRECTORY = """
  SELECT snapshot_id, 'layer' AS kind, chain_id AS object, cache_id AS missing, chain_id FROM layers
  UNION ALL
  -- Several layers of one chain, and those whose chain is not known.
  SELECT snapshot_id, 'layer', coalesce(chain_id, layer_id), layer_id, chain_id FROM storage_layers AS l
  WHERE state = 'complete' AND read_only = 0
    AND NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.cache_id = l.layer_id)
    AND NOT EXISTS (SELECT 1 FROM mounts AS m WHERE m.snapshot_id = l.snapshot_id AND m.mount_id = l.layer_id)
  UNION ALL
  SELECT snapshot_id, iif(chain_id = snapshot_key, 'layer', 'snapshot'), snapshot_key, cache_id,
    iif(chain_id = snapshot_key, chain_id, NULL)
  FROM containerd_snapshots AS c
  WHERE in_metadata = 1 AND snapshot_key NOT LIKE 'extract-%'
    AND NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = c.snapshot_id AND y.cache_id = c.cache_id)
    AND NOT EXISTS (SELECT 1 FROM mounts AS m
      WHERE m.snapshot_id = c.snapshot_id AND c.cache_id IN (m.mount_id, m.init_id))
  UNION ALL
  SELECT snapshot_id, 'mount', name, mount_id, NULL FROM mounts
  UNION ALL
  SELECT snapshot_id, 'mount', name, init_id, NULL FROM mounts
  UNION ALL
  SELECT snapshot_id, 'build cache', record_id, cache_id, chain_id FROM build_cache"""
"""What names a directory of the driver."""

SELECT = f"""
SELECT f.snapshot_id, f.kind, f.object, f.code, f.missing, f.chain_id,
  coalesce(d.because, (SELECT 'a reader failed: ' || min(p.detail) FROM problems AS p
    WHERE p.snapshot_id = f.snapshot_id AND p.code = 'reader-failed')) AS because
FROM (
  SELECT n.snapshot_id, n.kind, n.object, 'missing-directory' AS code, 'directory' AS thing, n.missing, n.chain_id
  FROM ({NO_DIRECTORY}) AS n JOIN snapshots AS s USING (snapshot_id)
  WHERE n.missing IS NOT NULL
    -- The directories of other drivers are not read, so nothing can be said of them.
    AND s.reads_directories
    AND NOT EXISTS (SELECT 1 FROM overlay_dirs AS o WHERE o.snapshot_id = n.snapshot_id AND o.cache_id = n.missing)
    -- A driver's folder that could not be read is a problem of its own.
    AND (EXISTS (SELECT 1 FROM overlay_dirs AS o WHERE o.snapshot_id = n.snapshot_id) OR NOT EXISTS (
      SELECT 1 FROM problems AS p WHERE p.snapshot_id = s.snapshot_id AND p.path = s.folder AND p.severity = 'error'))
  UNION ALL
  SELECT snapshot_id, 'layer', chain_id, 'missing-parent', 'layer', parent_chain_id, chain_id FROM layers AS y
  WHERE parent_chain_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM layers AS b WHERE b.snapshot_id = y.snapshot_id AND b.chain_id = y.parent_chain_id)
  UNION ALL
  SELECT snapshot_id, 'layer', layer_id, 'missing-parent', 'layer', parent_layer_id, NULL FROM storage_layers AS l
  WHERE parent_layer_id IS NOT NULL AND chain_id IS NULL AND NOT EXISTS (
    SELECT 1 FROM storage_layers AS b WHERE b.snapshot_id = l.snapshot_id AND b.layer_id = l.parent_layer_id)
  UNION ALL
  SELECT snapshot_id, 'mount', name, 'missing-parent', 'layer', parent_chain_id, NULL FROM mounts AS m
  WHERE parent_chain_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM layers AS b WHERE b.snapshot_id = m.snapshot_id AND b.chain_id = m.parent_chain_id)
  UNION ALL
  SELECT snapshot_id, 'image', image_id, 'missing-layer', 'layer', chain_id, chain_id FROM image_layers AS l
  WHERE NOT EXISTS (SELECT 1 FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id)
  UNION ALL
  -- The list of Podman names the layer of an image by an id of its own.
  SELECT snapshot_id, 'image', user, 'missing-layer', 'layer', used, NULL FROM recorded_uses
  WHERE used_kind = 'layer' AND user_kind = 'image'
  UNION ALL
  SELECT DISTINCT snapshot_id, 'tag', ref, 'missing-image', 'image', image_id, NULL FROM image_refs AS r
  WHERE NOT EXISTS (SELECT 1 FROM stored_images AS i WHERE i.snapshot_id = r.snapshot_id AND i.image_id = r.image_id)
    -- A manifest list of Podman is an image name, and all of it is here; what is no image has none.
    AND NOT EXISTS (SELECT 1 FROM manifest_lists AS x WHERE x.snapshot_id = r.snapshot_id AND x.image_id = r.image_id)
    AND NOT EXISTS (SELECT 1 FROM image_manifests AS x WHERE x.snapshot_id = r.snapshot_id AND x.kind = 'artifact'
      AND x.on_disk = 1 AND r.target_digest IN (x.digest, x.index_digest))
  UNION ALL
  SELECT DISTINCT snapshot_id, 'container', container_id, 'missing-image', 'image', image_id, NULL FROM containers AS c
  WHERE image_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM stored_images AS i WHERE i.snapshot_id = c.snapshot_id AND i.image_id = c.image_id)
  UNION ALL
  SELECT DISTINCT c.snapshot_id, 'container', c.container_id, 'container-without-mount', 'mount', NULL, NULL
  FROM containers AS c JOIN snapshots AS s USING (snapshot_id)
  WHERE c.state <> 'dead'
    -- Of one whose config was not read the driver is not known.
    AND (c.driver = s.driver OR (c.driver IS NULL AND c.state = 'unknown' AND s.guards_images)) AND NOT EXISTS (
    SELECT 1 FROM mounts AS m WHERE m.snapshot_id = c.snapshot_id AND c.container_id IN (m.name, m.container_id))
  UNION ALL
  SELECT u.snapshot_id, 'build cache', u.user, 'missing-snapshot', 'snapshot', u.used, b.chain_id
  FROM recorded_uses AS u LEFT JOIN build_cache AS b ON b.snapshot_id = u.snapshot_id AND b.record_id = u.user
  WHERE u.used_kind = 'snapshot'
  UNION ALL
  SELECT snapshot_id, 'volume', name, 'missing-volume', 'volume', name, NULL FROM volumes
  WHERE on_disk = 0 AND driver = 'local'
  UNION ALL
  SELECT DISTINCT snapshot_id, 'container', container_id, 'missing-volume', 'volume', name, NULL
  FROM container_volumes AS v
  WHERE type = 'volume' AND name <> '' AND coalesce(nullif(driver, ''), 'local') = 'local' AND NOT EXISTS (
    SELECT 1 FROM volumes AS o WHERE o.snapshot_id = v.snapshot_id AND o.name = v.name AND o.on_disk = 1)
) AS f
LEFT JOIN doubts AS d ON d.snapshot_id = f.snapshot_id AND d.thing = 'missing ' || f.thing
-- What another store lends is there, and so is what must be a layer of an unknown chain; what goes needs nothing.
WHERE NOT EXISTS (SELECT 1 FROM recorded_uses AS u
  WHERE u.snapshot_id = f.snapshot_id AND u.used_kind = f.thing AND u.used = coalesce(f.missing, f.object)
    AND (u.user_kind IN ('borrowed', 'storage-layer') OR (u.user_kind = '{GOING}' AND u.user = f.object)))"""  # noqa: S608
"""The view `missing`."""

NO_MOUNT = "it has no writable layer; the engine cannot start it"

ROWS = """
SELECT kind, object, code, missing, because FROM missing WHERE snapshot_id = ? ORDER BY code, kind, object, missing"""


def going(thing: str, name: str, owner: str) -> Use:
    """Return the row saying that the user of a thing is being removed, so that the thing is not missing.

    `thing` is directory, layer, image, mount or volume; of a container without a mount `name` is its own.
    """
    return Use(thing, name, GOING, owner, "layers")


def missing_problems(connection: sqlite3.Connection, snapshot_id: int, store: Store) -> Iterator[Problem]:
    """Yield a problem for each row of `missing` of a snapshot; its severity is info where the thing may be unread."""
    told = Told()
    for kind, name, code, missing, because in connection.execute(ROWS, (snapshot_id,)):
        detail = NO_MOUNT if missing is None else f"{missing} is not there"
        found = Damage(code, store.recorded(kind, name), detail, name)
        if because is not None:
            found.problem = found.problem._replace(severity="info", detail=f"{detail}, or in what was not read")
        yield from told.take(found)
    yield from told.rest()
