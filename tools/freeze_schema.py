"""Write layerindex/schema.sql from layerindex/schema.py; with --first also the SQL of the first revision.

Only before the first release may --first be used: a revision that users have run is never changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from layerindex import schema

CHECKOUT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the files."""
    (CHECKOUT / "layerindex" / "schema.sql").write_text(schema.script(), encoding="utf-8")
    if "--first" in sys.argv:
        tables = [statement for statement in schema.statements() if statement.startswith("CREATE")][:-1]
        first = CHECKOUT / "migrations" / "versions" / "0001_initial.sql"
        first.write_text("".join(f"{statement};\n" for statement in tables), encoding="utf-8")


if __name__ == "__main__":
    main()
