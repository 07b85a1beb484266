"""${message}.

Revision ${up_revision} after ${down_revision | comma,n}.

Before you write one: tables are changed here and in layerindex/schema.py, layerindex/schema.sql is made anew from that, and
REVISION in layerindex/database.py moves. Write SQL as it stands at this revision: never import layerindex.schema, which
moves on. Views that name a changed table are dropped first and made again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
