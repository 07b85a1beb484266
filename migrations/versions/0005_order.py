"""What orders snapshots cannot go back: a column beside the clock's time, and one view that says which is newer."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from layerindex.migrate import rebuild

revision = "0005"
down_revision = "0004"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = Path(__file__).with_name("0003_stores.sql")  # and one view since

MOMENT = "coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', started_at), started_at)"
"""The time in the one form that later ones are counted on from.

Numbers of snapshots say nothing here: they are in the order in which snapshots were imported, not made.
"""


def upgrade() -> None:
    rebuild(_SQL, {"snapshots": {"ordered_at": MOMENT}})


def downgrade() -> None:
    run = op.get_bind().exec_driver_sql
    (links,) = run("SELECT sql FROM sqlite_schema WHERE name = 'hard_links'").one()
    rebuild(_BELOW, {"snapshots": {}})
    run(links)
