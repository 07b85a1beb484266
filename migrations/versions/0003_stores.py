"""The stores of today: containerd and containers-storage, and names of images that compare between stores."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from layerindex.migrate import rebuild
from layerindex.stores.shared.references import normalized

revision = "0003"
down_revision = "0002"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = Path(__file__).with_name("0002_owners.sql")

NEW = (
    "image_manifests",
    "blobs",
    "containerd_snapshots",
    "leases",
    "lease_resources",
    "ingests",
    "storage_layers",
)

KEPT: dict[str, dict[str, str]] = {
    "snapshots": {"folder": "iif(driver = 'vfs', 'vfs/dir', driver)"},
    "images": {},
    "image_refs": {"namespace": "''", "normalized": "ref"},
    "layers": {},
    "layer_blobs": {},
    "overlay_dirs": {},
    "overlay_dir_owners": {},
    "overlay_lowers": {},
    "mounts": {},
    "containers": {"namespace": "''"},
    "container_logs": {},
    "build_cache": {},
    "listings": {},
}
"""Tables that are filled from their old form, and what stands in new columns."""


def upgrade() -> None:
    rebuild(_SQL, dict(KEPT))
    run = op.get_bind().exec_driver_sql
    for (ref,) in run("SELECT DISTINCT ref FROM image_refs").all():
        run("UPDATE image_refs SET normalized = ? WHERE ref = ?", (normalized(ref), ref))


def downgrade() -> None:
    """What the older form has no place for goes: of a name with several images all but one, blobs, leases and more."""
    run = op.get_bind().exec_driver_sql
    for (view,) in run("SELECT name FROM sqlite_schema WHERE type = 'view'").all():
        run(f"DROP VIEW {view}")
    for table in NEW:
        run(f"DROP TABLE {table}")
    older: dict[str, dict[str, str]] = {table: {} for table in KEPT}
    rebuild(_BELOW, {**older, "overlay_lowers": {"link": "coalesce(link, '')"}}, or_ignore=True)
