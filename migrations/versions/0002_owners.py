# ruff: noqa: S608 - statements are put together from the schema's own names
"""Owners and bytes: build cache, logs, volumes in full, disk usage by owner, and how far a snapshot's scan read.

Tables that change are made anew and filled, so that their text, comments included, is what a new database has.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = Path(__file__).with_name("0001_initial.sql")

EMPTY = ("build_cache", "disk_usage")
"""Tables that no scan of the first revision wrote to."""

KEPT = {
    "snapshots": {
        "scope": "CASE WHEN EXISTS (SELECT 1 FROM overlay_dirs AS d WHERE d.snapshot_id = old.snapshot_id"
        " AND d.listing_id IS NOT NULL) THEN 'files' ELSE 'metadata' END"
    },
    "overlay_dirs": {},
    "overlay_dir_owners": {},
    "volumes": {"on_disk": "1"},
}
"""Tables that are filled from their old form, and what stands in new columns."""


def upgrade() -> None:
    _rebuild(_SQL, {**KEPT, **dict.fromkeys(EMPTY)})


def downgrade() -> None:
    for table in ("build_cache_parents", "container_logs"):
        op.get_bind().exec_driver_sql(f"DROP TABLE {table}")
    _rebuild(_BELOW, {**{table: {} for table in KEPT}, **dict.fromkeys(EMPTY)})


def _rebuild(script: Path, tables: dict[str, dict[str, str] | None]) -> None:
    """Make `tables`, all views and whatever is not there as `script` has them; None: without the rows."""
    run = op.get_bind().exec_driver_sql
    for (view,) in run("SELECT name FROM sqlite_schema WHERE type = 'view'").all():
        run(f"DROP VIEW {view}")
    for table in tables:
        indexes = f"SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL"
        for (index,) in run(indexes).all():
            run(f"DROP INDEX {index}")
        run("PRAGMA legacy_alter_table = ON")  # or foreign keys would follow the old table
        run(f"ALTER TABLE {table} RENAME TO old_{table}")
        run("PRAGMA legacy_alter_table = OFF")
    present = {name for (name,) in run("SELECT name FROM sqlite_schema").all()}
    for statement in script.read_text(encoding="utf-8").split(";\n"):
        words = statement.split()
        if words and _name(words) not in present:
            run(statement)
    for table, new in tables.items():
        if new is not None:
            old = [name for (name,) in run(f"SELECT name FROM pragma_table_info('old_{table}')").all()]
            now = [name for (name,) in run(f"SELECT name FROM pragma_table_info('{table}')").all()]
            values = {name: name for name in now if name in old} | new
            run(
                f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM old_{table} AS old"
            )
        run(f"DROP TABLE old_{table}")


def _name(words: list[str]) -> str:
    """Return what a CREATE statement makes."""
    return words[3] if words[1] == "UNIQUE" else words[2]
