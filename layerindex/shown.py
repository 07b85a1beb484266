# ruff: noqa: S608 - statements are put together from our own names alone
"""What images and containers show at each path: one rule for all, as views.

A layer hides what one below it has at a path if it has an entry at that path itself, whatever that is, or one on the
way there that is no folder, or an opaque folder. Layers between the two do not matter: an entry shows when no layer
above hides it. A whiteout hides and never shows. Where the first name of a hard link is hidden, the next name that
shows is the file, and the others are links to that.

SQLite hands a condition on an image down to the tables only through plain joins. So these views are joins, and what
must be known of a whole layer before its rows are read is worked out once for each layer: a list in JSON that the join
walks. They are put together as text: where a schema is not trusted, views may call json_each, but nothing else of JSON.
"""

from __future__ import annotations

from typing import NamedTuple

PARENT = "coalesce(nullif(rtrim(rtrim({0}, replace({0}, '/', '')), '/'), ''), '/')"
"""The folder that a path lies in."""

NAME = "substr({0}, length(rtrim({0}, replace({0}, '/', ''))) + 1)"
"""The last part of a path."""

PATH = "CASE {0}.path WHEN '/' THEN '/' ELSE {0}.path || '/' END || {1}.name"
"""The path of an entry, from its folder and itself."""

HIDING = "({0}type = 'whiteout' OR {0}opaque = 1)"
"""Of an index: the entries that are there to hide. The others that hide a folder are looked for from the folder."""

LINKS = "type = 'hardlink'"
"""Of an index: the names of a file after its first."""


class Column(NamedTuple):
    """A column of a view: an expression, its name and its sentence."""

    expression: str
    name: str
    comment: str


# What a listing hides -------------------------------------------------------------------------------------------------

_ABOVE = "substr(d.path, 1, a.value)"

FOLDER_WAYS = f"""
SELECT d.directory_id, {_ABOVE} AS path, p.directory_id AS parent_id, {NAME.format(_ABOVE)} AS name
FROM directories AS d
CROSS JOIN json_each((
  WITH RECURSIVE upwards (path) AS (
    SELECT d.path UNION ALL SELECT {PARENT.format("path")} FROM upwards WHERE path <> '/')
  SELECT '[' || group_concat(length(path)) || ']' FROM upwards)) AS a
CROSS JOIN directories AS p ON p.path = {PARENT.format(_ABOVE)}"""

HIDING_ENTRIES = "\nSELECT listing_id, directory_id, name, type FROM entries WHERE type <> 'dir' OR opaque = 1"

FOLDER_HIDERS = """
SELECT w.directory_id, b.listing_id, w.path, b.type
FROM folder_ways AS w CROSS JOIN hiding_entries AS b ON b.directory_id = w.parent_id AND b.name = w.name"""


def _hides(listing: str, directory: str) -> str:
    """Return the condition that a listing hides what lower ones have in a folder."""
    return f"""EXISTS (
      SELECT 1 FROM folder_hiders AS w WHERE w.listing_id = {listing} AND w.directory_id = {directory})"""


def _hidden(above: str, directory: str, name: str) -> str:
    """Return the condition that one of the listings above hides a name in a folder."""
    return f"""EXISTS (SELECT 1 FROM json_each({above}) AS u WHERE EXISTS (
      SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = {directory} AND o.name = {name})
    OR {_hides("u.value", directory)})"""


# Stacks ---------------------------------------------------------------------------------------------------------------


def _listings(rows: str, order: str) -> str:
    """Return a list of the listings that rows name, in an order; NULL where a layer has none."""
    return (
        f"(SELECT '[' || coalesce(group_concat(ifnull(listing_id, 'null')), '') || ']' FROM ({rows} ORDER BY {order}))"
    )


_OF_LAYER = """
     SELECT (SELECT u.listing_id FROM layer_facts AS u WHERE u.snapshot_id = t.snapshot_id AND u.chain_id = t.chain_id)
       AS listing_id
     FROM image_layers AS t WHERE t.snapshot_id = l.snapshot_id AND t.image_id = l.image_id AND t.position"""

IMAGE_STACKS = f"""
SELECT l.snapshot_id, l.image_id, l.position, l.diff_id, l.chain_id, y.cache_id, y.listing_id,
  {_listings(f"{_OF_LAYER} > l.position", "t.position")} AS above,
  {_listings(f"{_OF_LAYER} < l.position", "t.position DESC")} AS below
FROM image_layers AS l CROSS JOIN layers AS y ON y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id"""

_OF_LOWER = """
     SELECT (SELECT u.listing_id FROM overlay_dirs AS u
        WHERE u.snapshot_id = t.snapshot_id AND u.cache_id = t.lower_cache_id) AS listing_id, t.position
     FROM overlay_lowers AS t
     WHERE t.snapshot_id = m.snapshot_id AND t.cache_id = m.mount_id AND t.position"""
_OWN = """
     UNION ALL
     SELECT u.listing_id, -1 FROM overlay_dirs AS u
     WHERE k.value >= 0 AND u.snapshot_id = m.snapshot_id AND u.cache_id = m.mount_id"""
_LOWERS = "FROM overlay_lowers AS t WHERE t.snapshot_id = m.snapshot_id AND t.cache_id = m.mount_id"

CONTAINER_STACKS = f"""
SELECT m.snapshot_id, m.container_id, (SELECT count(*) {_LOWERS}) - 1 - k.value AS position, d.cache_id, d.role,
  d.listing_id, {_listings(f"{_OF_LOWER} < k.value {_OWN}", "position DESC")} AS above,
  {_listings(f"{_OF_LOWER} > k.value", "t.position")} AS below
FROM mounts AS m
-- -1 is its own; a join of two SELECTs would be made for all containers before one is asked for.
CROSS JOIN json_each((SELECT '[-1' || coalesce(',' || group_concat(t.position), '') || ']' {_LOWERS})) AS k
CROSS JOIN overlay_dirs AS d ON d.snapshot_id = m.snapshot_id AND d.cache_id = CASE k.value
  WHEN -1 THEN m.mount_id ELSE (SELECT t.lower_cache_id {_LOWERS} AND t.position = k.value) END
WHERE m.container_id IS NOT NULL"""

# All entries of a stack -----------------------------------------------------------------------------------------------

_MARKS = f"""
SELECT u.key AS place, {PATH.format("p", "b")} AS path
FROM json_each(up.value) AS u
CROSS JOIN entries AS b INDEXED BY entries_hiding ON b.listing_id = u.value AND {HIDING.format("b.")}
CROSS JOIN directories AS p ON p.directory_id = b.directory_id
UNION ALL
SELECT u.key, {PATH.format("p", "b")}
FROM entries AS f CROSS JOIN json_each(up.value) AS u
CROSS JOIN entries AS b ON b.listing_id = u.value AND b.directory_id = f.directory_id AND b.name = f.name
CROSS JOIN directories AS p ON p.directory_id = b.directory_id
WHERE up.value <> '[]' AND f.listing_id = s.listing_id AND f.type = 'dir' AND b.type NOT IN ('dir', 'whiteout')"""
"""What the layers above have that hides folders of a layer: how far above, and its path."""

_FOLDERS = f"""
SELECT '{{' || group_concat('"' || directory_id || '":' || ifnull(place, 'null')) || '}}' FROM (
  SELECT directory_id, min(place) AS place FROM (
    SELECT DISTINCT directory_id, NULL AS place, 1 AS own FROM entries WHERE listing_id = s.listing_id
    UNION ALL
    SELECT q.directory_id, h.place, 0 FROM ({_MARKS}) AS h
    CROSS JOIN directories AS q ON q.path >= h.path AND q.path < rtrim(h.path, '/') || '0'
    WHERE substr(q.path || '/', 1, length(rtrim(h.path, '/')) + 1) = rtrim(h.path, '/') || '/')
  GROUP BY directory_id HAVING max(own))"""
"""The folders of a layer, each with how far above the nearest layer is that hides all in it; NULL where none does."""

_MET = """
SELECT CASE WHEN count(met) THEN '["[' || group_concat(ifnull(met, 'null')) || ']"]' ELSE '[""]' END FROM (
  SELECT CASE WHEN EXISTS (
    SELECT 1 FROM entries AS o WHERE o.listing_id = u.value AND o.directory_id = d.directory_id) THEN u.value END AS met
  FROM json_each(up.value) AS u)"""
"""The layers above that have something in the same folder, the others NULL; empty where none has."""

_SAME = """
      FROM json_each(met.value) AS u CROSS JOIN entries AS o
        ON o.listing_id = u.value AND o.directory_id = d.directory_id AND o.name = e.name"""

_SHOWN = f"""CASE WHEN f.value IS NOT NULL OR e.type = 'whiteout' THEN 0 WHEN met.value = '' THEN 1
    ELSE NOT EXISTS (SELECT 1 {_SAME}) END"""


def entries(stacks: str, keys: str) -> str:
    """Return the view of all entries of the layers in stacks."""
    columns = (
        *("name_raw", "type", "mode", "uid", "gid", "size", "mtime", "mtime_ns", "link_target", "link_target_raw"),
        *("device", "content_crc64", "opaque", "xattrs", "capability", "sparse"),
    )
    return f"""
SELECT {keys}, s.position, s.cache_id, s.listing_id, d.directory_id, e.name, {PATH.format("d", "e")} AS path,
  {", ".join(f"e.{name}" for name in columns)},
  {_SHOWN} AS shown,
  CASE WHEN {_SHOWN} THEN 1 WHEN e.type = 'whiteout' THEN 0 ELSE EXISTS (
    SELECT 1 FROM entries AS k INDEXED BY entries_links
    WHERE k.listing_id = s.listing_id AND k.{LINKS} AND k.link_target = {PATH.format("d", "e")}
      AND NOT {_hidden("up.value", "k.directory_id", "k.name")}) END AS kept,
  CASE met.value WHEN '' THEN NULL ELSE s.position + 1 + (SELECT min(u.key) {_SAME}) END AS replaced_in,
  CASE met.value WHEN '' THEN NULL ELSE (SELECT o.type {_SAME} ORDER BY u.key LIMIT 1) END AS replaced_by,
  s.position + 1 + f.value AS folder_hidden_in, up.value AS above, s.below
FROM {stacks} AS s
CROSS JOIN json_each('["' || s.above || '"]') AS up
CROSS JOIN json_each(({_FOLDERS})) AS f
CROSS JOIN directories AS d ON d.directory_id = f.key
CROSS JOIN json_each(({_MET})) AS met
CROSS JOIN entries AS e ON e.listing_id = s.listing_id AND e.directory_id = d.directory_id"""


# What shows -----------------------------------------------------------------------------------------------------------

_HEIR = f"""
SELECT k.directory_id, k.name FROM (
  SELECT o.directory_id, o.name FROM entries AS o INDEXED BY entries_links
  CROSS JOIN directories AS p ON p.directory_id = o.directory_id
  WHERE o.listing_id = e.listing_id AND o.{LINKS} AND o.link_target = e.link_target
  ORDER BY {PATH.format("p", "o")} LIMIT -1) AS k
WHERE t.name IS NOT NULL AND {_hidden("e.above", "t.directory_id", "t.name")}
  AND NOT {_hidden("e.above", "k.directory_id", "k.name")} LIMIT 1"""
"""The name that is the file where the first name of a hard link is hidden."""

_DONOR = f"""
SELECT CASE WHEN NOT {_hides("e.listing_id", "e.directory_id")} AND NOT EXISTS (
    SELECT 1 FROM json_each(e.below) AS v WHERE v.key < u.key AND {_hides("v.value", "e.directory_id")})
  THEN u.value END
FROM json_each(e.below) AS u
CROSS JOIN entries AS o ON o.listing_id = u.value AND o.directory_id = e.directory_id AND o.name = e.name
WHERE o.type <> 'dir' OR o.mode IS NOT NULL
ORDER BY u.key LIMIT 1"""
"""The layer below whose folder gives mode and owner to one that a tar only leads through."""

_IS_HEIR = "(h.directory_id, h.name) = (e.directory_id, e.name)"


def _of_file(name: str) -> str:
    """Return a column that a hard link has once it is the file."""
    return f"CASE WHEN {_IS_HEIR} THEN t.{name} ELSE e.{name} END"


_FILE = (
    Column("e.path", "path", "Path from the root; bytes that are not UTF-8 as \\xNN."),
    Column(_of_file("type"), "type", "file, dir, symlink, hardlink, char, block, fifo or socket."),
    Column("coalesce(e.mode, b.mode)", "mode", "Permission bits with setuid, setgid and sticky; NULL when unknown."),
    Column("coalesce(e.uid, b.uid)", "uid", "Owner."),
    Column("coalesce(e.gid, b.gid)", "gid", "Group."),
    Column(_of_file("size"), "size", "Bytes of content; for a symlink the length of its target; 0 for others."),
    Column("coalesce(e.mtime, b.mtime)", "mtime", "Modification time in whole seconds since 1970."),
    Column("iif(e.mtime IS NULL, b.mtime_ns, e.mtime_ns)", "mtime_ns", "Nanoseconds beside mtime; NULL for 0."),
    Column(
        "strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(e.mtime, b.mtime), 'unixepoch')",
        "modified_at",
        "The same time as text; NULL for a folder that a tar only leads through.",
    ),
    Column(
        f"CASE WHEN {_IS_HEIR} THEN t.link_target WHEN h.name IS NOT NULL THEN {PATH.format('g', 'h')}"
        " ELSE e.link_target END",
        "link_target",
        "A symlink's target as it stands; of a hard link the path of the file.",
    ),
    Column(_of_file("device"), "device", "major:minor of a device."),
    Column(_of_file("content_crc64"), "content_crc64", "CRC-64/GO-ISO of a file's content; NULL when unknown."),
    Column("e.xattrs", "xattrs", "Names of its extended attributes as a JSON list; NULL for none."),
    Column("e.capability", "capability", "Value of its security.capability attribute."),
    Column("e.position", "position", "Place of the layer it comes from, 0 for the base."),
    Column("e.cache_id", "cache_id", "Directory of that layer."),
    Column("e.listing_id", "listing_id", "Listing of that layer."),
    Column("e.directory_id", "directory_id", "The folder it lies in."),
    Column("e.name", "name", "Its name there."),
)


def files(thing: str, names: str, columns: tuple[Column, ...]) -> str:
    """Return the view of what images or containers show in the selected snapshots; `names` are told apart as `n`."""
    lines = [f"  {column.expression} AS {column.name}" for column in (*columns, *_FILE)]
    comments = [column.comment for column in (*columns, *_FILE)]
    commas = [","] * (len(lines) - 1) + [""]
    shown = "\n".join(f"{line}{comma} /* {text} */" for line, comma, text in zip(lines, commas, comments, strict=True))
    return f"""
SELECT
{shown}
FROM {names} AS n
CROSS JOIN snapshots AS q ON q.snapshot_id = n.snapshot_id
CROSS JOIN hosts AS r ON r.host_id = q.host_id
CROSS JOIN {thing}_entries AS e ON e.snapshot_id = n.snapshot_id AND e.{thing}_id = n.{thing}_id
-- The first name of a hard link; where that is hidden, the name that is the file instead, and its folder.
LEFT JOIN entries AS t ON t.listing_id = CASE e.type WHEN 'hardlink' THEN e.listing_id END
  AND t.directory_id = (SELECT x.directory_id FROM directories AS x WHERE x.path = {PARENT.format("e.link_target")})
  AND t.name = {NAME.format("e.link_target")}
LEFT JOIN entries AS h ON h.listing_id = e.listing_id AND (h.directory_id, h.name) = ({_HEIR})
LEFT JOIN directories AS g ON g.directory_id = h.directory_id
LEFT JOIN entries AS b ON b.listing_id = CASE WHEN e.type = 'dir' AND e.mode IS NULL THEN ({_DONOR}) END
  AND b.directory_id = e.directory_id AND b.name = e.name AND b.type = 'dir'
WHERE e.shown AND n.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots)"""


IMAGE_FILES = files(
    "image",
    "image_names",
    (
        Column("n.snapshot_id", "snapshot_id", "The snapshot."),
        Column("r.name", "host", "Its host."),
        Column(
            "n.name", "image", "A name of the image: a reference, with or without its registry or :latest, or an id."
        ),
        Column("n.image_id", "image_id", "The image."),
        Column("e.chain_id", "chain_id", "The layer it comes from."),
    ),
)
CONTAINER_FILES = files(
    "container",
    "containers",
    (
        Column("n.snapshot_id", "snapshot_id", "The snapshot."),
        Column("r.name", "host", "Its host."),
        Column("coalesce(n.name, n.container_id)", "container", "Name of the container, or its id."),
        Column("n.container_id", "container_id", "The container."),
        Column("e.role", "role", "Role of the directory it comes from: container, init, layer …"),
    ),
)

VIEWS = (
    (
        "folder_ways",
        "Each folder with what is on the way to it: itself and the folders above it, in the folder that each lies in.",
        FOLDER_WAYS,
    ),
    (
        "hiding_entries",
        "Entries that hide all that lower layers have below their path: whatever is no folder, and opaque folders.",
        HIDING_ENTRIES,
    ),
    (
        "folder_hiders",
        (
            "What hides all that lower layers have in a folder: of each listing what it has there or on the way that "
            "is no folder, or an opaque one. Ask for one folder."
        ),
        FOLDER_HIDERS,
    ),
    (
        "image_stacks",
        "The layers of each image, and the listings of those above and below, the nearest first, as JSON lists.",
        IMAGE_STACKS,
    ),
    (
        "container_stacks",
        (
            "The directories of each container, its own on top, and the listings of those above and below, the nearest "
            "first, as JSON lists."
        ),
        CONTAINER_STACKS,
    ),
    (
        "image_entries",
        (
            "All entries of the layers of images, hidden ones too: whether each shows, whether its file shows under "
            "any name (kept), and the lowest layers above that have its path or hide its folder."
        ),
        entries("image_stacks", "s.snapshot_id, s.image_id, s.diff_id, s.chain_id"),
    ),
    (
        "container_entries",
        "All entries of the directories of containers, hidden ones too, as image_entries has those of images.",
        entries("container_stacks", "s.snapshot_id, s.container_id, s.role"),
    ),
    (
        "image_files",
        "What each image of the selected snapshots shows at each path. An image has several names: ask for one.",
        IMAGE_FILES,
    ),
    (
        "container_files",
        "What each container of the selected snapshots shows at each path.",
        CONTAINER_FILES,
    ),
)
"""Each with its name and the sentence that describes it."""
