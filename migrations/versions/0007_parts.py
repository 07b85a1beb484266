# ruff: noqa: S608 - statements are put together from names of our own
"""Parts: what snapshots share is stored once, whichever of them have it, behind views of the same names.

And what is so in a store, as columns of its snapshots.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from alembic import op

from layerindex.migrate import drop_views, rebuild, rename

if TYPE_CHECKING:
    from collections.abc import Mapping

revision = "0007"
down_revision = "0006"

_SQL = Path(__file__).with_suffix(".sql")
_BELOW = Path(__file__).with_name("0006_standing.sql")


class Rows(NamedTuple):
    """The rows of parts that a table held.

    Its columns, how many of them tell rows apart, the one that says of which part a row is, those that become numbers,
    and those that hold NULL where they say what follows from others.
    """

    table: str
    columns: tuple[str, ...]
    key: int = 1
    first: str = "image_id"
    named: tuple[str, ...] = ()
    usual: Mapping[str, str] = MappingProxyType({})


USE = ("used_kind", "used", "user_kind", "user")
TARGET = "'../' || cache_id || '/diff'"
IMAGES = {
    "part_images": Rows("images", ("created_at", "architecture", "os", "variant", "layer_count", "verified")),
    "part_image_configs": Rows("images", ("config",)),
    "part_image_layers": Rows("image_layers", ("position", "diff_id", "chain_id")),
    "part_image_history": Rows(
        "image_history",
        ("position", "created_at", "created_by", "author", "comment", "empty_layer", "layer_position"),
    ),
}
DIRECTORIES = {
    "part_lowers": Rows(
        "overlay_lowers",
        ("cache_id", "position", "link", "lower_cache_id"),
        2,
        "cache_id",
        ("cache_id", "link", "lower_cache_id"),
    ),
    "part_uses": Rows("recorded_uses", (*USE, "source"), 4, "used", (*USE, "source")),
    "part_links": Rows("links", ("link", "target", "cache_id"), 1, "link", ("link", "cache_id"), {"target": TARGET}),
}
NEW = "estimated_bytes"
"""What the older disk_usage does not have."""

USAGE = {
    "part_usage": Rows(
        "disk_usage",
        (
            *("category", "owner", "items", "apparent_bytes", "disk_bytes", "counted_by_docker", "note", "place"),
            NEW,
        ),
        2,
        "owner",
        ("category", "owner", "note"),
    ),
    "part_dirs": Rows(
        "overlay_dirs",
        (
            *("cache_id", "role", "link", "lower_count", "has_diff", "has_work", "has_merged", "committed"),
            *("apparent_bytes", "disk_bytes", "entry_count", "listing_id", "unknown_because"),
        ),
        1,
        "cache_id",
        ("cache_id", "role", "link", "unknown_because"),
    ),
}
LAYER = ("chain_id", "diff_id", "parent_chain_id", "cache_id")
LAYERS = {"part_layers": Rows("layers", (*LAYER, "size", "verified", "listing_id"), 1, "chain_id", LAYER)}
STORED = ("target_digest", "size", "parent_image_id", "last_updated_at")
"""What of an image is its store's alone."""

MOUNT = ("name", "mount_id", "init_id", "parent_chain_id", "container_id")
REFERENCE = ("ref", "repository", "tag", "digest", "image_id", "namespace", "normalized", "target_digest")
REFERENCES = {
    "part_stored_images": Rows(
        "stored_images",
        ("image_id", "content_id", *STORED),
        1,
        "image_id",
        ("image_id", "target_digest", "parent_image_id"),
    ),
    "part_refs": Rows("image_refs", REFERENCE, 1, "ref", REFERENCE),
    "part_mounts": Rows("mounts", MOUNT, 1, "name", MOUNT),
}
"""What parts hold of each table; in this order their rows are named."""

KINDS = {
    "image": ("part_stored_images", IMAGES),
    "directories": ("stored_directories", DIRECTORIES),
    "usage": ("stored_usage", USAGE),
    "layers": ("stored_layers", LAYERS),
    "references": ("stored_references", REFERENCES),
}
SCATTERED = {kind: held for kind, held in KINDS.items() if kind != "image"}
PARTS = IMAGES | DIRECTORIES | USAGE | LAYERS | REFERENCES
OLD = tuple(dict.fromkeys(rows.table for rows in PARTS.values() if rows.table != "stored_images"))
READS = """CASE WHEN store GLOB 'containerd-*' OR store GLOB 'docker-containerd-*'
  THEN driver IN ('overlayfs', 'native')
  WHEN store GLOB 'docker-*' THEN driver IN ('overlay2', 'fuse-overlayfs') ELSE driver = 'overlay' END"""
OVERLAY2 = "store GLOB 'docker-*' AND driver IN ('overlay2', 'fuse-overlayfs')"
FEATURES = {
    "engine": """CASE WHEN store GLOB 'docker-*' THEN 'docker' WHEN store GLOB 'containerd-*' THEN 'containerd'
      WHEN store GLOB 'containers-storage-*' THEN 'containers-storage' END""",
    "reads_directories": READS,
    "keeps_links": f"({OVERLAY2}) OR (store GLOB 'containers-storage-*' AND driver = 'overlay')",
    "mounts_inside": OVERLAY2,
    "guards_images": "store GLOB 'docker-*' OR store GLOB 'containers-storage-*'",
    "collects_garbage": "store GLOB 'containerd-*' OR store GLOB 'docker-containerd-*'",
}
"""What older snapshots tell by the names of their stores alone."""

BUCKETS = 64


def upgrade() -> None:
    """Give each group of rows the name that they make, and keep those of one name once."""
    run = op.get_bind().exec_driver_sql
    for name, function in (("sha256", _sha256), ("bucket", _bucket)):
        op.get_bind().connection.driver_connection.create_function(name, 1, function, deterministic=True)
    drop_views()
    for table in OLD:
        rename(table, f"old_{table}")
    run(f"ALTER TABLE old_disk_usage ADD COLUMN {NEW} INTEGER")
    rebuild(_SQL, {"snapshots": FEATURES, "listings": {"imported": "(SELECT count(*) > 1 FROM hosts)"}})
    for kind, (_, tables) in KINDS.items():
        _number(kind, tables)
        if kind == "image":
            run(f"""CREATE TEMP TABLE old_stored_images AS
                    SELECT i.snapshot_id, i.image_id, n.part_id AS content_id, {", ".join(STORED)} FROM old_images AS i
                    JOIN temp.named_image AS n ON n.snapshot_id = i.snapshot_id AND n.part_of = i.image_id
                    ORDER BY 1, 2""")
    for kind, (held, _) in SCATTERED.items():
        run(f"""INSERT INTO {held} (snapshot_id, bucket, part_id)
                SELECT snapshot_id, part_of, part_id FROM temp.named_{kind}""")
    for kind in KINDS:
        for table in ("spread", "named"):
            run(f"DROP TABLE temp.{table}_{kind}")
    for table in (*OLD, "stored_images"):
        run(f"DROP TABLE old_{table}")


def _number(kind: str, tables: dict[str, Rows]) -> None:
    """Make the parts of a kind; `named_` then tells the number of the part of each group."""
    run = op.get_bind().exec_driver_sql
    run(f"CREATE TEMP TABLE spread_{kind} (snapshot_id, part_of, name, PRIMARY KEY (snapshot_id, part_of, name))")
    for rows in tables.values() if kind != "image" else ():
        if rows.columns[0] != rows.first:  # by its key all rows of a snapshot would be read for each name
            run(f"CREATE INDEX old_{rows.table}_first ON old_{rows.table} (snapshot_id, {rows.first})")
    for rows in tables.values() if kind != "image" else [IMAGES["part_images"]]:
        part_of = {"image": rows.first, "references": "0"}.get(kind, _bucket_of(rows.first))
        found = f"SELECT snapshot_id, {part_of}, {rows.first} FROM old_{rows.table}"
        run(f"INSERT OR IGNORE INTO temp.spread_{kind} {found}")
    said = ", ".join(
        f"""(SELECT json_group_array(json_array({", ".join(_unusual(rows))})) FROM (SELECT t.* {_old(kind, rows)}
             WHERE s.snapshot_id = i.snapshot_id AND s.part_of = i.part_of
             ORDER BY {", ".join((rows.first, *rows.columns[: rows.key]))}))"""
        for rows in tables.values()
    )
    run(f"CREATE TEMP TABLE named_{kind} (snapshot_id, part_of, digest, part_id, PRIMARY KEY (snapshot_id, part_of))")
    run(f"""INSERT INTO temp.named_{kind} (snapshot_id, part_of, digest)
            SELECT snapshot_id, part_of, sha256(CAST(json_array('{kind}', {said}) AS BLOB))
            FROM (SELECT DISTINCT snapshot_id, part_of FROM temp.spread_{kind}) AS i""")
    run(f"INSERT OR IGNORE INTO parts (digest) SELECT digest FROM temp.named_{kind} ORDER BY rowid")
    run(f"UPDATE temp.named_{kind} AS n SET part_id = (SELECT p.part_id FROM parts AS p WHERE p.digest = n.digest)")
    for part, rows in tables.items():
        _fill(kind, part, rows)


def _fill(kind: str, part: str, rows: Rows) -> None:
    """Copy the rows of each part from the first group that has its name."""
    run = op.get_bind().exec_driver_sql
    for name in rows.named:
        run(f"""INSERT OR IGNORE INTO part_names (name, bucket) SELECT DISTINCT {name}, {_bucket_of(name)}
                FROM old_{rows.table} WHERE {name} IS NOT NULL""")
    taken = [
        f"(SELECT p.name_id FROM part_names AS p WHERE p.name IS t.{name})" if name in rows.named else value
        for name, value in zip(rows.columns, _unusual(rows), strict=True)
    ]
    run(f"""INSERT INTO {part} (part_id, {", ".join(rows.columns)})
            SELECT n.part_id, {", ".join(taken)} FROM temp.named_{kind} AS n
            {_old(kind, rows).replace("FROM", "CROSS JOIN")}
            WHERE s.snapshot_id = n.snapshot_id AND s.part_of = n.part_of
              AND n.rowid IN (SELECT min(rowid) FROM temp.named_{kind} GROUP BY part_id) ORDER BY 1""")


def _old(kind: str, rows: Rows) -> str:
    """Return from where the old rows `t` of a group come."""
    index = "" if kind == "image" or rows.columns[0] == rows.first else f"INDEXED BY old_{rows.table}_first"
    return f"""FROM temp.spread_{kind} AS s
               CROSS JOIN old_{rows.table} AS t {index} ON t.snapshot_id = s.snapshot_id AND t.{rows.first} = s.name"""


def _unusual(rows: Rows) -> list[str]:
    return [f"nullif({name}, {rows.usual[name]})" if name in rows.usual else name for name in rows.columns]


def _bucket_of(name: str) -> str:
    return f"bucket(CAST({name} AS BLOB))"


def downgrade() -> None:
    """Write the rows of a part for each snapshot again."""
    run = op.get_bind().exec_driver_sql
    drop_views()
    for index in ("entries_hiding", "entries_links"):
        run(f"DROP INDEX {index}")
    new = ("parts", "part_names", *(stored for stored, _ in SCATTERED.values()), *PARTS)
    for table in new:
        rename(table, f"new_{table}")
    rebuild(_BELOW, {"snapshots": {}, "listings": {}})
    run(f"""CREATE TEMP TABLE stored AS SELECT s.snapshot_id, r.content_id AS part_id,
            {_names(PARTS["part_stored_images"], ("image_id", *STORED))}
            FROM new_stored_references AS s JOIN new_part_stored_images AS r USING (part_id)""")
    for table in OLD:
        stored = STORED if table == "images" else ()
        held = {part: rows.columns for part, rows in IMAGES.items() if rows.table == table}
        columns = ", ".join(name for names in (stored, *held.values()) for name in names)
        joined = " ".join(f"JOIN new_{part} USING (part_id)" for part in held)
        if held:
            run(f"""INSERT INTO {table} (snapshot_id, image_id, {columns})
                    SELECT snapshot_id, image_id, {columns} FROM temp.stored {joined}""")
    for part, rows, stored in ((*each, held) for held, tables in SCATTERED.values() for each in tables.items()):
        if rows.table not in OLD:
            continue
        columns = tuple(name for name in rows.columns if name != NEW)
        run(f"""INSERT INTO {rows.table} (snapshot_id, {", ".join(columns)})
                SELECT s.snapshot_id, {_names(rows, columns)}
                FROM new_{stored} AS s JOIN new_{part} AS r USING (part_id)""")
        for name, usual in rows.usual.items():
            run(f"UPDATE {rows.table} SET {name} = {usual} WHERE {name} IS NULL")
    run("DROP TABLE temp.stored")
    for table in new:
        run(f"DROP TABLE new_{table}")


def _names(rows: Rows, columns: tuple[str, ...]) -> str:
    """Return the columns of rows `r` of a part, with names in the place of numbers."""
    return ", ".join(
        f"(SELECT n.name FROM new_part_names AS n WHERE n.name_id = r.{name}) AS {name}"
        if name in rows.named
        else f"r.{name}"
        for name in columns
    )


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _bucket(name: bytes) -> int:
    return _sha256(name)[0] % BUCKETS
