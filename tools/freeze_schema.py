"""Write layerindex/schema.sql from layerindex/schema/; with --revision also the SQL beside the newest revision.

Use --revision only until that revision is released: a revision that users have run must never change.
"""

from __future__ import annotations

import sys
from pathlib import Path

from layerindex import schema
from layerindex.database import REVISION

CHECKOUT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the files."""
    (CHECKOUT / "layerindex" / "schema.sql").write_text(schema.script(), encoding="utf-8")
    if "--revision" in sys.argv:
        made = ("CREATE", "INSERT INTO part_names")
        tables = [statement for statement in schema.statements() if statement.startswith(made)]
        tables = [statement for statement in tables if not statement.startswith("CREATE TABLE alembic_version")]
        (revision,) = (CHECKOUT / "migrations" / "versions").glob(f"{REVISION}_*.py")
        revision.with_suffix(".sql").write_text("".join(f"{each};\n" for each in tables), encoding="utf-8")


if __name__ == "__main__":
    main()
