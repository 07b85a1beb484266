"""The database's tables and views: one sentence for each table and column, written here and nowhere else.

`layerindex/schema.sql` is this package compiled (`python -m tools.freeze_schema`): a new database is made from it, so
that a first scan does not wait for SQLAlchemy. `migrations/` carries older databases forward. What changes here needs a
revision there and the file made anew; tests hold all three equal.

Where the design was left, and why: `unfinished_layers` holds what moby left half written or half removed;
`container_volumes` has the columns the design only names; `entries.mtime` is whole seconds with `mtime_ns` beside, not
text, which sorts, compares and is a third of the bytes (view `files` has it as text, `modified_at`); the `*_raw`
columns keep the bytes of names that are not UTF-8; `disk_usage` has a row for each owner, not only each category;
`container_logs` and `build_cache_parents` are tables of their own; the views `snapshot_hosts`, `listed_images`,
`image_names` and `image_labels` say once what most queries need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from layerindex.database import APPLICATION_ID, REVISION
from layerindex.writing.parts import NOTHING

# In this order the tables of a new database are made.
from layerindex.schema import images, stores, files  # isort: skip
from layerindex.schema.columns import View, metadata
from layerindex.schema.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["VIEWS", "View", "files", "images", "metadata", "script", "statements", "stores"]


def statements() -> Iterator[str]:
    """Yield the statements that make a new database, in order."""
    dialect = make_url("sqlite://").get_dialect()()
    for table in metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect)).strip()
        # A table's indexes are a set: in another order in each process.
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect)).strip()
    yield from (view.ddl for view in VIEWS)
    yield f"INSERT INTO part_names VALUES ({NOTHING}, NULL, NULL)"  # noqa: S608 - a constant of ours
    version = "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
    yield f"CREATE TABLE alembic_version ({version})"
    yield f"INSERT INTO alembic_version VALUES ('{REVISION}')"  # noqa: S608 - a constant of ours
    yield f"PRAGMA application_id = {APPLICATION_ID}"
    yield f"PRAGMA user_version = {int(REVISION)}"


def script() -> str:
    """Return the text of `schema.sql`."""
    return "-- Made by tools/freeze_schema.py from layerindex/schema/.\n" + "".join(
        f"{each};\n" for each in statements()
    )
