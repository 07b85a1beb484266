"""${message}.

The tables are as layerindex/schema/ has them; the SQL beside this file is theirs at this revision, written by
`python -m tools.freeze_schema --revision` once REVISION in layerindex/genuine.py is ${up_revision}. Never import
layerindex.schema here: it moves on.
"""

from __future__ import annotations

from pathlib import Path

from layerindex.migrate import rebuild

revision = "${up_revision}"
down_revision = "${down_revision}"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = next(Path(__file__).parent.glob("${down_revision}_*.sql"))

TABLES: dict[str, dict[str, str]] = {}
"""Each table that changes, with what its new columns hold in rows that are there, as SQL over the old form."""


def upgrade() -> None:
    rebuild(_SQL, TABLES)


def downgrade() -> None:
    rebuild(_BELOW, {table: {} for table in TABLES})
