"""Owners and bytes: build cache, logs, volumes in full, disk usage by owner, and how far a snapshot's scan read."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from layerindex.migrate import rebuild

revision = "0002"
down_revision = "0001"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = Path(__file__).with_name("0001_initial.sql")

KEPT: dict[str, dict[str, str]] = {
    "overlay_dirs": {},
    "overlay_dir_owners": {},
    "volumes": {"on_disk": "1"},
    # Nothing wrote to these two before.
    "build_cache": {},
    "disk_usage": {},
    # After overlay_dirs, which says how far a scan read.
    "snapshots": {
        "scope": "CASE WHEN EXISTS (SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = old.snapshot_id"
        " AND d.listing_id IS NOT NULL) THEN 'files' ELSE 'metadata' END"
    },
}
"""Tables that are filled from their old form, and what stands in new columns."""


def upgrade() -> None:
    rebuild(_SQL, KEPT)


def downgrade() -> None:
    """What the older form has no place for goes: of a category's bytes all rows but one, logs, parents of records."""
    for (view,) in op.get_bind().exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'view'").all():
        op.get_bind().exec_driver_sql(f"DROP VIEW {view}")
    for table in ("build_cache_parents", "container_logs"):
        op.get_bind().exec_driver_sql(f"DROP TABLE {table}")
    rebuild(_BELOW, {table: {} for table in KEPT}, or_ignore=True)
