"""Views that have the rows of parts for each snapshot, under the names of the tables that they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layerindex.schema.columns import View, metadata, sentence
from layerindex.writing.parts import named

if TYPE_CHECKING:
    from layerindex.writing.parts import Kind


class Shown(NamedTuple):
    """A view that has the rows of parts for each snapshot, under the name and with the columns of a table of facts."""

    name: str
    comment: str
    columns: tuple[str, ...]
    """Each with the table that it comes from."""
    join: str
    other: str = ""
    """FROM and WHERE for a table that is not joined."""


STORED = "part_stored_images"
SHOWN = (
    Shown(
        "images",
        "An image whose config is in the store; its id, the same in every store, is the SHA-256 of the config's bytes.",
        (
            *("stored_images.snapshot_id", "stored_images.image_id", "part_images.created_at"),
            *("part_images.architecture", "part_images.os", "part_images.variant", "stored_images.target_digest"),
            *("stored_images.size", "part_images.layer_count", "stored_images.parent_image_id"),
            *("stored_images.last_updated_at", "part_images.verified", "part_image_configs.config"),
        ),
        "stored_images JOIN part_images ON part_images.part_id = stored_images.content_id",
        "FROM part_image_configs WHERE part_image_configs.part_id = stored_images.content_id",
    ),
    Shown(
        "image_layers",
        "The layers of an image in order, as its config lists them.",
        (
            *("stored_images.snapshot_id", "stored_images.image_id", "part_image_layers.position"),
            *("part_image_layers.diff_id", "part_image_layers.chain_id"),
        ),
        "stored_images JOIN part_image_layers ON part_image_layers.part_id = stored_images.content_id",
    ),
    Shown(
        "image_history",
        "The build steps of an image, as its config lists them.",
        (
            *("stored_images.snapshot_id", "stored_images.image_id", "part_image_history.position"),
            *("part_image_history.created_at", "part_image_history.created_by", "part_image_history.author"),
            *("part_image_history.comment", "part_image_history.empty_layer", "part_image_history.layer_position"),
        ),
        "stored_images JOIN part_image_history ON part_image_history.part_id = stored_images.content_id",
    ),
)


def shared(view: Shown) -> View:
    """Return such a view, with the sentence of each column where `.schema` and `layerindex schema` show it."""
    lines = []
    for place, column in enumerate(view.columns, 1):
        table, _, name = column.partition(".")
        comma = "," if place < len(view.columns) else ""
        # SQLite looks up a joined row even if no column of it is asked for, a subquery only if it is.
        shown = column if table in view.join else f"(SELECT {column} {view.other}) AS {name}"
        of = STORED if table == "stored_images" and name in metadata.tables[STORED].c else table
        said = metadata.tables[of if of in metadata.tables else "stored_references"].c[name]
        lines.append(f"  {shown}{comma}{sentence(said.info.get('said', said.comment))}")
    select = "SELECT\n" + "\n".join(lines) + f"\nFROM {view.join}"
    return View(view.name, view.comment, select)


USAGE = (
    "Who holds how many bytes below the root; after scan --walk those without a place add up to what du -s -x prints."
)
_SCATTERED = {
    "overlay_lowers": (
        "The directories below a directory, as its lower file lists them or containerd's snapshotter knows them.",
        ("link",),
    ),
    "recorded_uses": ("A thing and one that needs it, where no other table says so; view uses has all.", ("source",)),
    "links": ("A short name in l/, which keeps mount options under a page.", ()),
    "disk_usage": (USAGE, ("note",)),
    "overlay_dirs": (
        "A directory in the driver's folder: overlay2/<cache-id>, overlay/<layer id>, or snapshots/<n> of containerd.",
        ("role", "unknown_because"),
    ),
    "layers": ("A layer that the store has, unpacked or as a blob: a diff_id at one place in a chain.", ()),
    "stored_images": (
        "An image of a snapshot: what only its store says of it, and the part that holds what its config says.",
        ("target_digest",),
    ),
    "image_refs": (
        "A name of an image: a tag or a digest; in containerd one row for each of its platforms that is here.",
        ("repository", "tag", "digest", "namespace", "target_digest"),
    ),
    "mounts": (
        "A writable layer: of a container, an image mount or a builder; in Docker an entry of layerdb/mounts.",
        ("init_id", "container_id"),
    ),
}
"""The views of parts in buckets: what each shows, and its columns by which nothing is looked for."""


NUMBERED = ("part_layers", "part_dirs", "part_usage", "part_refs")
"""Tables that questions about all hosts read whole."""


def numbered_rows(kind: Kind, table: str) -> View:
    """Return the view that has the rows of parts in buckets for each snapshot as they are, with numbers of names."""
    view = kind.tables[table].view
    names = [column.name for column in metadata.tables[table].c if column.name != "part_id"]
    comment = f"View {view} with numbers of part_names in the place of names, 0 for NULL: much faster over many hosts."
    select = f"SELECT s.snapshot_id, {', '.join(f'r.{name}' for name in names)}"
    return View(
        f"numbered_{view}", comment, f"{select}\nFROM {kind.stored} AS s JOIN {table} AS r ON r.part_id = s.part_id"
    )


def scattered(kind: Kind, table: str) -> View:
    """Return the view that has the rows of parts in buckets for each snapshot, with names in the place of numbers.

    The plus keeps SQLite from looking for names by their bucket: a name tells its bucket, never the other way.
    """
    rows = kind.tables[table]
    comment, shown = _SCATTERED[rows.view]
    joins = [f"FROM {kind.stored} AS s JOIN {table} AS r ON r.part_id = s.part_id"]
    shows: dict[str, str] = {}
    columns = [("s.snapshot_id", metadata.tables[kind.stored].c.snapshot_id.comment)]
    for column in metadata.tables[table].c:
        name, value = column.name, f"r.{column.name}"
        if name == "part_id":
            continue
        if name in shown:
            value = f"{named(value)} AS {name}"
        elif name in rows.named:
            spread = name == rows.key[0] and kind.buckets > 1
            bucket = f" AND s.bucket = +n{len(joins)}.bucket" if spread else ""
            joins.append(f"JOIN part_names AS n{len(joins)} ON n{len(joins)}.name_id = {value}{bucket}")
            value = f"n{len(joins) - 1}.name AS {name}"
        columns.append((value, column.info.get("said", column.comment)))
        shows[name] = value.partition(" AS ")[0]
    for name, usual in rows.usual:
        place = list(shows).index(name) + 1
        columns[place] = (f"coalesce(r.{name}, {usual.format(**shows)}) AS {name}", columns[place][1])
    lines = [
        f"  {value}{',' if place < len(columns) else ''}{sentence(said)}"
        for place, (value, said) in enumerate(columns, 1)
    ]
    return View(rows.view, comment, "SELECT\n" + "\n".join(lines) + "\n" + "\n".join(joins))
