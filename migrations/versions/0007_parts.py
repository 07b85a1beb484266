# ruff: noqa: S608 - statements are put together from names of our own
"""Parts: what an image's config says is stored once, whichever snapshots have it, behind views of the same names.

And what is so in a store, as columns of its snapshots.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from alembic import op

from layerindex.migrate import drop_views, rebuild, rename

revision = "0007"
down_revision = "0006"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = Path(__file__).with_name("0006_standing.sql")

OLD = ("images", "image_layers", "image_history")
PARTS = {
    "part_images": ("images", ("created_at", "architecture", "os", "variant", "layer_count", "verified")),
    "part_image_configs": ("images", ("config",)),
    "part_image_layers": ("image_layers", ("position", "diff_id", "chain_id")),
    "part_image_history": (
        "image_history",
        ("position", "created_at", "created_by", "author", "comment", "empty_layer", "layer_position"),
    ),
}
"""What parts hold of each table; in this order their rows are named."""

READS = """CASE WHEN store GLOB 'containerd-*' OR store GLOB 'docker-containerd-*'
  THEN driver IN ('overlayfs', 'native')
  WHEN store GLOB 'docker-*' THEN driver IN ('overlay2', 'fuse-overlayfs') ELSE driver = 'overlay' END"""
OVERLAY2 = "store GLOB 'docker-*' AND driver IN ('overlay2', 'fuse-overlayfs')"
FEATURES = {
    "reads_directories": READS,
    "keeps_links": f"({OVERLAY2}) OR (store GLOB 'containers-storage-*' AND driver = 'overlay')",
    "mounts_inside": OVERLAY2,
    "guards_images": "store GLOB 'docker-*' OR store GLOB 'containers-storage-*'",
    "collects_garbage": "store GLOB 'containerd-*' OR store GLOB 'docker-containerd-*'",
}
"""What older snapshots tell by the names of their stores alone."""

STORED = ("target_digest", "size", "parent_image_id", "last_updated_at")
"""What of an image is its store's alone."""


def upgrade() -> None:
    """Give the rows of each image the name that they make, and keep those of one name once."""
    run = op.get_bind().exec_driver_sql
    op.get_bind().connection.driver_connection.create_function("sha256", 1, _sha256, deterministic=True)
    drop_views()
    for table in OLD:
        rename(table, f"old_{table}")
    rebuild(_SQL, {"snapshots": FEATURES})
    rows = ", ".join(
        f"""(SELECT json_group_array(json_array({", ".join(names)})) FROM (SELECT * FROM old_{table} AS t
             WHERE t.snapshot_id = i.snapshot_id AND t.image_id = i.image_id ORDER BY {names[0]}))"""
        for table, names in PARTS.values()
    )
    run("CREATE TEMP TABLE named (snapshot_id, image_id, digest, PRIMARY KEY (snapshot_id, image_id))")
    run(f"""INSERT INTO temp.named
            SELECT snapshot_id, image_id, sha256(CAST(json_array('image', {rows}) AS BLOB)) FROM old_images AS i""")
    run("INSERT OR IGNORE INTO parts (digest) SELECT digest FROM temp.named ORDER BY rowid")
    run(f"""INSERT INTO stored_images (snapshot_id, image_id, part_id, {", ".join(STORED)})
            SELECT snapshot_id, image_id, p.part_id, {", ".join(STORED)} FROM old_images AS i
            JOIN temp.named AS n USING (snapshot_id, image_id) JOIN parts AS p ON p.digest = n.digest""")
    for part, (table, names) in PARTS.items():
        run(f"""INSERT INTO {part} (part_id, {", ".join(names)})
                SELECT f.part_id, {", ".join(f"t.{name}" for name in names)}
                FROM (SELECT p.part_id, min(o.rowid) AS first FROM parts AS p JOIN temp.named AS o USING (digest)
                      GROUP BY 1) AS f
                JOIN temp.named AS n ON n.rowid = f.first
                JOIN old_{table} AS t ON t.snapshot_id = n.snapshot_id AND t.image_id = n.image_id ORDER BY 1, 2""")
    run("DROP TABLE temp.named")
    for table in OLD:
        run(f"DROP TABLE old_{table}")


def downgrade() -> None:
    """Write the rows of a part for each snapshot again."""
    run = op.get_bind().exec_driver_sql
    drop_views()
    new = ("parts", "stored_images", *PARTS)
    for table in new:
        rename(table, f"new_{table}")
    rebuild(_BELOW, {"snapshots": {}})
    for table in OLD:
        stored = STORED if table == "images" else ()
        held = {part: names for part, (old, names) in PARTS.items() if old == table}
        columns = ", ".join(name for names in (stored, *held.values()) for name in names)
        joined = " ".join(f"JOIN new_{part} USING (part_id)" for part in held)
        run(f"""INSERT INTO {table} (snapshot_id, image_id, {columns})
                SELECT snapshot_id, image_id, {columns} FROM new_stored_images {joined}""")
    for table in new:
        run(f"DROP TABLE new_{table}")


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
