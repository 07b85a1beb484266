"""The first schema: facts of a snapshot, and listings stored once.

Its SQL stands beside it, frozen as it was at this revision.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

_SQL = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    for statement in _SQL.read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            # Not op.execute: it takes a colon in a comment for a parameter.
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    objects = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name <> 'alembic_version'"
    found = op.get_bind().exec_driver_sql(f"{objects} ORDER BY type DESC, rowid DESC").all()
    for kind, name in found:
        op.get_bind().exec_driver_sql(f"DROP {kind} {name}")
