"""Who needs what, and which places that could say so were read: `sources`, `recorded_uses` and the views on them."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from layerindex.migrate import drop_views, rebuild, rename

revision = "0006"
down_revision = "0005"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = Path(__file__).with_name("0005_order.sql")

FACT = """CASE kind WHEN 'layer' THEN 'layers' WHEN 'storage-layer' THEN 'layers' WHEN 'snapshot' THEN 'layers'
  WHEN 'removing' THEN 'layers' WHEN 'writing' THEN 'layers' WHEN 'build-cache' THEN 'build cache'
  WHEN 'build-snapshot' THEN 'build cache' WHEN 'image' THEN 'images' WHEN 'lower' THEN 'links' ELSE 'mounts' END"""
"""The kind of fact that says each kind of reason."""

OWNERS = f"""
INSERT INTO recorded_uses (snapshot_id, used_kind, used, user_kind, user, source)
SELECT snapshot_id, 'directory', cache_id, kind, owner, {FACT} FROM old_owners"""  # noqa: S608 - names of our own


UNSEEN = """
INSERT INTO sources (snapshot_id, kind, path, state, detail)
SELECT s.snapshot_id, f.column1, '', 'not looked at', 'an older version wrote this, and not all could be read'
FROM snapshots AS s CROSS JOIN (VALUES ('containers'), ('images'), ('names'), ('layers'), ('volumes')) AS f
WHERE EXISTS (SELECT 1 FROM problems AS p WHERE p.snapshot_id = s.snapshot_id AND p.severity = 'error')"""
"""An older snapshot does not say which sources were read whole: all of them, where nothing was wrong."""


def upgrade() -> None:
    """Carry the reasons for directories over, and leave in doubt what the older form did not tell."""
    run = op.get_bind().exec_driver_sql
    drop_views()
    rename("overlay_dir_owners", "old_owners")
    rebuild(_SQL, {"overlay_dirs": {}, "volumes": {}, "disk_usage": {}, "container_logs": {}})
    run(OWNERS)
    run(UNSEEN)
    run("DROP TABLE old_owners")


def downgrade() -> None:
    """What the older form has no place for goes: uses of other things than directories, and sources."""
    run = op.get_bind().exec_driver_sql
    drop_views()
    rename("recorded_uses", "old_uses")
    run("DROP TABLE sources")
    rebuild(_BELOW, {"overlay_dirs": {}, "volumes": {}, "disk_usage": {}, "container_logs": {}})
    run("""INSERT INTO overlay_dir_owners (snapshot_id, cache_id, kind, owner)
           SELECT snapshot_id, used, user_kind, user FROM old_uses WHERE used_kind = 'directory'""")
    run("DROP TABLE old_uses")
