"""Views: what follows from the tables, each rule in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerindex import missing, shown
from layerindex.schema import collected
from layerindex.schema.columns import View, metadata
from layerindex.schema.of_parts import NUMBERED, SHOWN, numbered_rows, scattered, shared
from layerindex.schema.sentences import SENTENCES
from layerindex.standing import CLEAR, LOST, NAMED_BY, TOLD
from layerindex.writing.parts import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable


def _texts(words: Iterable[str]) -> str:
    """Return words of our own as a list of SQL texts."""
    return ", ".join(f"'{word}'" for word in words)


def _named_by() -> str:
    """Return as rows for each kind of thing the facts that could name a user of it."""
    pairs = ((thing, fact) for thing, facts in NAMED_BY.items() for fact in facts)
    return f"VALUES {', '.join(f'({_texts(pair)})' for pair in pairs)}"


def _standings(kind: str, comment: str, of: str, used: str) -> View:
    """Return the view that says of each thing of one kind: used, else unknown where a source is in doubt, else unused.

    `of` is its table with an alias and its key with that; `used` is the condition, or the columns, that say so.
    """
    table, alias, key = of.split()
    return View(
        f"{kind}_standings",
        comment,
        f"""
SELECT snapshot_id, {key},
  CASE WHEN used THEN 'used' WHEN doubt IS NOT NULL THEN 'unknown' ELSE 'unused' END AS standing,
  CASE WHEN NOT used THEN doubt END AS because
FROM (
  SELECT {alias}.snapshot_id, {alias}.{key}, {used} AS used, d.because AS doubt
  FROM {table} AS {alias} LEFT JOIN doubts AS d ON d.snapshot_id = {alias}.snapshot_id AND d.thing = '{kind}')""",  # noqa: S608 - words of our own
    )


_CURRENT = {
    "images": "Images of the selected snapshots, with their host.",
    "image_refs": "Tags and digests of the selected snapshots, with their host.",
    "image_manifests": "Manifests and indexes of the selected snapshots, with their host.",
    "image_layers": "Layers of images of the selected snapshots, with their host.",
    "image_history": "Build steps of the selected snapshots, with their host.",
    "layers": "Layers of the selected snapshots, with their host.",
    "overlay_dirs": "Directories of the selected snapshots, with their host.",
    "overlay_lowers": "Lower lists of the selected snapshots, with their host.",
    "links": "Short names of the selected snapshots, with their host.",
    "mounts": "Writable layers of the selected snapshots, with their host.",
    "containers": "Containers of the selected snapshots, with their host.",
    "container_volumes": "Container mounts of the selected snapshots, with their host.",
    "volumes": "Volumes of the selected snapshots, with their host.",
    "container_logs": "Log files of the selected snapshots, with their host.",
    "build_cache": "Build-cache records of the selected snapshots, with their host.",
    "blobs": "Blobs of containerd of the selected snapshots, with their host.",
    "containerd_snapshots": "Snapshots of containerd of the selected snapshots, with their host.",
    "leases": "Leases of containerd of the selected snapshots, with their host.",
    "ingests": "Unfinished writes of containerd of the selected snapshots, with their host.",
    "storage_layers": "Layers of containers-storage of the selected snapshots, with their host.",
    "overlay_dir_owners": "Reasons for directories of the selected snapshots, with their host.",
    "uses": "Things and who needs them, of the selected snapshots, with their host.",
    "sources": "Places that could name a user, of the selected snapshots, with their host.",
    "standings": "Used, unused or unknown, of the selected snapshots, with their host.",
    "missing": "What is named and not there, of the selected snapshots, with their host.",
    "disk_usage": "Bytes by owner of the selected snapshots, with their host.",
    "problems": "Problems of the selected snapshots, with their host.",
}


VIEW_COLUMNS = {
    "overlay_dir_owners": ("cache_id", "kind", "owner"),
    "uses": ("used_kind", "used", "user_kind", "user", "source"),
    "standings": ("kind", "id", "standing", "because"),
    "missing": ("kind", "object", "code", "missing", "chain_id", "because"),
}
VIEW_COLUMNS |= {view.name: tuple(column.partition(".")[2] for column in view.columns) for view in SHOWN}
VIEW_COLUMNS |= {
    rows.view: ("snapshot_id", *(column.name for column in metadata.tables[table].c if column.name != "part_id"))
    for kind in KINDS
    if kind.scattered
    for table, rows in kind.tables.items()
}
"""The columns of views that have a view of the selected snapshots; snapshot_id may be among them."""


def _current(table: str, comment: str) -> View:
    names = VIEW_COLUMNS.get(table) or [column.name for column in metadata.tables[table].c]
    columns = ", ".join(f"t.{name}" for name in names if name != "snapshot_id")
    return View(
        f"current_{table}",
        comment,
        f"SELECT s.snapshot_id, h.name AS host, s.store, s.root, {columns}\n"
        f"FROM selected_snapshots AS sel\n"
        f"JOIN snapshots AS s ON s.snapshot_id = sel.snapshot_id\n"
        f"JOIN hosts AS h ON h.host_id = s.host_id\n"
        f"JOIN {table} AS t ON t.snapshot_id = sel.snapshot_id",
    )


_VIEWS = (
    *(scattered(kind, table) for kind in KINDS if kind.scattered for table in kind.tables),
    *(shared(view) for view in SHOWN),
    *(numbered_rows(kind, table) for kind in KINDS for table in kind.tables if table in NUMBERED),
    View(
        "snapshot_ages",
        "Each complete snapshot, and how many of its host, store and root are newer.",
        """
SELECT snapshot_id, host_id, ordered_at, row_number() OVER (
  PARTITION BY host_id, store, root ORDER BY ordered_at DESC, uid DESC
) - 1 AS age
FROM snapshots WHERE status = 'complete'""",
    ),
    View(
        "selected_snapshots",
        "The newest complete snapshot of each host, store and root; --host and --snapshot choose others.",
        "SELECT snapshot_id FROM snapshot_ages WHERE age = 0",
    ),
    View(
        "snapshot_hosts",
        "Each snapshot with the name of its host.",
        "SELECT s.snapshot_id, h.name AS host FROM snapshots AS s JOIN hosts AS h ON h.host_id = s.host_id",
    ),
    View(
        "image_names",
        "All an image may be called: references as stored, in full and as Docker and Podman shorten them, with and "
        "without :latest, its id and its 12-character id, and the digest by which Docker on containerd shows it.",
        """
SELECT DISTINCT snapshot_id, image_id, name FROM (
  -- One reading of the references, not twelve: SQLite would prepare each apart, in each query that asks for names.
  SELECT r.snapshot_id, r.image_id, CASE k.column1
    WHEN 1 THEN r.ref
    WHEN 2 THEN r.normalized
    WHEN 3 THEN r.target_digest
    WHEN 4 THEN substr(r.target_digest, 8, 12)
    WHEN 5 THEN iif(r.normalized LIKE 'docker.io/library/%', substr(r.normalized, 19), NULL)
    WHEN 6 THEN iif(r.normalized LIKE 'docker.io/%', substr(r.normalized, 11), NULL)
    WHEN 7 THEN iif(r.ref LIKE 'localhost/%', substr(r.ref, 11), NULL)
    WHEN 8 THEN iif(r.tag = 'latest', substr(r.ref, 1, length(r.ref) - 7), NULL)
    WHEN 9 THEN iif(r.tag = 'latest', substr(r.normalized, 1, length(r.normalized) - 7), NULL)
    WHEN 10 THEN iif(r.tag = 'latest' AND r.ref LIKE 'localhost/%', substr(r.ref, 11, length(r.ref) - 17), NULL)
    WHEN 11 THEN iif(r.tag = 'latest' AND r.normalized LIKE 'docker.io/%',
      substr(r.normalized, 11, length(r.normalized) - 17), NULL)
    ELSE iif(r.tag = 'latest' AND r.normalized LIKE 'docker.io/library/%',
      substr(r.normalized, 19, length(r.normalized) - 25), NULL) END AS name
  FROM image_refs AS r
  CROSS JOIN (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) AS k
  UNION ALL
  SELECT snapshot_id, image_id, iif(k.column1 = 1, image_id, substr(image_id, 8, 12))
  FROM stored_images CROSS JOIN (VALUES (1), (2)) AS k)
WHERE name IS NOT NULL""",
    ),
    View(
        "spellings",
        "What may stand before and behind a name where an engine stores it in full: debian:12 of one engine is "
        "docker.io/library/debian:12 of another, and debian is debian:latest.",
        """
SELECT head.column1 AS head, tail.column1 AS tail
FROM (VALUES (''), ('docker.io/'), ('docker.io/library/'), ('localhost/')) AS head
CROSS JOIN (VALUES (''), (':latest')) AS tail""",
    ),
    View(
        "manifest_lists",
        "Manifest lists of Podman, by digest: what a name leads to, or what names instances, one for each platform.",
        """
SELECT DISTINCT x.snapshot_id, x.digest AS image_id FROM image_manifests AS x
JOIN snapshots AS s ON s.snapshot_id = x.snapshot_id
WHERE x.kind = 'index' AND x.on_disk = 1 AND NOT s.collects_garbage
  AND (EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = x.snapshot_id AND r.image_id = x.digest)
    -- Of the list that an image was pulled by no instances are told.
    OR EXISTS (SELECT 1 FROM image_manifests AS i
      WHERE i.snapshot_id = x.snapshot_id AND i.index_digest = x.digest))""",
    ),
    View(
        "image_labels",
        "One text to show for an image: its tags in order, else its digests, else its id.",
        """
SELECT i.snapshot_id, i.image_id, coalesce(
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.tag IS NOT NULL ORDER BY ref)),
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id ORDER BY ref)),
  i.image_id) AS label
FROM stored_images AS i""",
    ),
    View(
        "image_namespaces",
        "Each image in each namespace of containerd that has it, with one text to show for what it is called there; in "
        "other stores once, with an empty namespace.",
        """
SELECT i.snapshot_id, i.image_id, coalesce(n.name, b.namespace, '') AS namespace, coalesce(
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = n.name
       AND r.tag IS NOT NULL ORDER BY ref)),
  (SELECT group_concat(ref, ', ') FROM (SELECT DISTINCT ref FROM image_refs AS r
     WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.namespace = n.name ORDER BY ref)),
  i.image_id) AS label
-- The namespaces of its names; of an image without one those that have what Docker keeps of it.
FROM stored_images AS i
LEFT JOIN stored_references AS s ON s.snapshot_id = i.snapshot_id
LEFT JOIN part_refs AS f ON f.part_id = s.part_id
  AND f.image_id = (SELECT p.name_id FROM part_names AS p WHERE p.name = i.image_id) AND NOT EXISTS (
    SELECT 1 FROM part_refs AS o WHERE o.part_id = f.part_id AND o.image_id = f.image_id
      AND o.namespace = f.namespace AND o.ref < f.ref)
LEFT JOIN part_names AS n ON n.name_id = f.namespace
LEFT JOIN blobs AS b ON f.image_id IS NULL AND b.snapshot_id = i.snapshot_id AND b.digest = i.target_digest""",
    ),
    View(
        "layer_facts",
        "What is known of a layer by its chain_id, where its other names are not asked for: view layers without them.",
        """
SELECT s.snapshot_id, n.name AS chain_id, r.size, r.verified, r.listing_id
FROM stored_layers AS s JOIN part_layers AS r ON r.part_id = s.part_id
JOIN part_names AS n ON n.name_id = r.chain_id AND s.bucket = +n.bucket""",
    ),
    View(
        "placed_layers",
        "The layers of images in order, with directory, size and listing where the store has the layer, else NULL.",
        """
SELECT l.snapshot_id, l.image_id, l.position, l.diff_id, l.chain_id,
  (SELECT y.cache_id FROM layers AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id) AS cache_id,
  (SELECT y.size FROM layer_facts AS y WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id) AS size,
  (SELECT y.listing_id FROM layer_facts AS y
   WHERE y.snapshot_id = l.snapshot_id AND y.chain_id = l.chain_id) AS listing_id
FROM image_layers AS l""",
    ),
    View(
        "image_layer_places",
        "Each layer of each image where it is: its directory and size, in containerd those of the namespace.",
        """
SELECT n.snapshot_id, n.image_id, n.namespace, l.position, l.diff_id, l.chain_id,
  CASE n.namespace WHEN '' THEN l.cache_id ELSE s.cache_id END AS cache_id,
  CASE n.namespace WHEN '' THEN l.size ELSE s.size END AS size
FROM image_namespaces AS n
CROSS JOIN placed_layers AS l ON l.snapshot_id = n.snapshot_id AND l.image_id = n.image_id
CROSS JOIN snapshots AS k ON k.snapshot_id = n.snapshot_id
LEFT JOIN containerd_snapshots AS s ON s.chain_id = l.chain_id AND s.snapshot_id = l.snapshot_id
  AND s.namespace = n.namespace AND s.snapshotter = k.driver AND s.snapshot_key = l.chain_id""",
    ),
    View(
        "listed_images",
        "Images as docker images lists them: all but untagged ones that have children, which the classic builder "
        "leaves.",
        """
SELECT snapshot_id, image_id FROM stored_images AS i
WHERE EXISTS (SELECT 1 FROM image_refs AS r WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id)
  OR NOT EXISTS (SELECT 1 FROM stored_images AS c
    WHERE c.snapshot_id = i.snapshot_id AND c.parent_image_id = i.image_id)
    -- A child whose config is lost or damaged.
    AND NOT EXISTS (SELECT 1 FROM recorded_uses AS c WHERE c.snapshot_id = i.snapshot_id
      AND c.used_kind = 'image' AND c.used = i.image_id AND c.user_kind = 'child image')""",
    ),
    View(
        "overlay_dir_owners",
        "Every reason why a directory exists; one row for each.",
        """
SELECT snapshot_id, used AS cache_id, user_kind AS kind, user AS owner FROM recorded_uses
WHERE used_kind = 'directory'""",
    ),
    View(
        "layer_directories",
        "The directories of a layer: several where it is mapped for other users, or unpacked in several namespaces.",
        """
SELECT snapshot_id, user AS chain_id, used AS cache_id FROM recorded_uses
WHERE used_kind = 'directory' AND user_kind = 'layer'""",
    ),
    View(
        "uses",
        "Who needs what, for every kind of thing, and which kind of fact says so.",
        """
SELECT snapshot_id, used_kind, used, user_kind, user, source FROM recorded_uses
UNION ALL SELECT snapshot_id, 'image', image_id, 'name', ref, 'names' FROM image_refs
UNION ALL SELECT snapshot_id, 'image', parent_image_id, 'child image', image_id, 'images' FROM stored_images
  WHERE parent_image_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'image', image_id, 'container', container_id, 'containers' FROM containers
  WHERE image_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'volume', name, 'container', container_id, 'containers' FROM container_volumes
  WHERE type = 'volume' AND name <> ''
UNION ALL SELECT snapshot_id, 'layer', chain_id, 'image', image_id, 'images' FROM image_layers
UNION ALL SELECT snapshot_id, 'layer', parent_chain_id, 'layer', chain_id, 'layers' FROM layers
  WHERE parent_chain_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'layer', parent_chain_id, 'mount', name, 'mounts' FROM mounts
  WHERE parent_chain_id IS NOT NULL
UNION ALL SELECT snapshot_id, 'layer', chain_id, 'build-cache', record_id, 'build cache' FROM build_cache
  WHERE chain_id IS NOT NULL""",
    ),
    View(
        "doubts",
        "For each kind of thing the sources that may name a user of it and were not read: without one nothing is "
        "called unused.",
        f"""
SELECT snapshot_id, thing, group_concat(said, '; ')
  || CASE WHEN max(many) > {TOLD} THEN '; and ' || (max(many) - {TOLD}) || ' more' ELSE '' END AS because
FROM (
  SELECT s.snapshot_id, n.column1 AS thing, count(*) OVER (PARTITION BY s.snapshot_id, n.column1) AS many,
    row_number() OVER (PARTITION BY s.snapshot_id, n.column1 ORDER BY s.kind, s.path) AS rank,
    s.path || ' (' || s.state || coalesce(': ' || s.detail, '') || ')' AS said
  FROM sources AS s JOIN ({_named_by()}) AS n ON n.column2 = s.kind
  -- What is lost is missing itself, and may not be elsewhere.
  WHERE s.state NOT IN ({_texts(CLEAR)}) AND (s.state <> '{LOST}' OR n.column1 NOT LIKE 'missing %')
)
WHERE rank <= {TOLD} GROUP BY snapshot_id, thing""",  # noqa: S608 - words of our own
    ),
    View(
        "directory_standings",
        "Whether a directory is used, unused or unknown, and why.",
        """
SELECT d.snapshot_id, d.cache_id,
  CASE WHEN d.role = 'orphan' THEN 'unused'
    WHEN d.role IN ('unknown', 'foreign', 'removing', 'in-flight') THEN 'unknown' ELSE 'used' END AS standing,
  CASE d.role WHEN 'foreign' THEN 'the driver makes no directory of that name'
    WHEN 'removing' THEN 'its removal was begun'
    WHEN 'in-flight' THEN 'it is being written, or was when the engine died'
    WHEN 'unknown' THEN coalesce((
        SELECT 'in the lower of ' || min(user) || iif(count(*) > 1, ' and ' || (count(*) - 1) || ' more', '')
        FROM recorded_uses AS u WHERE u.snapshot_id = d.snapshot_id AND u.used_kind = 'directory'
          AND u.used = d.cache_id AND u.user_kind = 'lower' HAVING count(*) > 0),
      d.unknown_because || '; ' || t.because, d.unknown_because, t.because) END AS because
FROM overlay_dirs AS d
LEFT JOIN doubts AS t ON t.snapshot_id = d.snapshot_id AND t.thing = 'directory'""",
    ),
    _standings(
        "layer",
        "Whether a layer is used, unused or unknown, and why.",
        "layers y chain_id",
        # CASE: SQLite looks up all that other things need only for a layer that no image has.
        """CASE WHEN EXISTS (
      SELECT 1 FROM image_layers AS l WHERE l.chain_id = y.chain_id AND l.snapshot_id = y.snapshot_id)
    THEN 1 ELSE (y.snapshot_id, y.chain_id) IN (
      SELECT l.snapshot_id, l.user FROM recorded_uses AS o CROSS JOIN recorded_uses AS l
        ON l.snapshot_id = o.snapshot_id AND l.used_kind = 'directory' AND l.used = o.used AND l.user_kind = 'layer'
      WHERE o.used_kind = 'directory' AND o.user_kind NOT IN ('layer', 'lower', 'build-snapshot')
      UNION ALL SELECT snapshot_id, used FROM recorded_uses
      WHERE used_kind = 'layer' AND user_kind IN ('lease', 'label')) END""",
    ),
    _standings(
        "image",
        "Whether an image is used, unused or unknown, and why.",
        "stored_images i image_id",
        """EXISTS (SELECT 1 FROM containers AS c WHERE c.snapshot_id = i.snapshot_id AND c.image_id = i.image_id)
    OR EXISTS (SELECT 1 FROM recorded_uses AS u
      WHERE u.snapshot_id = i.snapshot_id AND u.used_kind = 'image' AND u.used = i.image_id)""",
    ),
    _standings(
        "name",
        "Whether a tag names an image: used, unused or unknown, and why.",
        "stored_images i image_id",
        """EXISTS (SELECT 1 FROM image_refs AS r
      WHERE r.snapshot_id = i.snapshot_id AND r.image_id = i.image_id AND r.tag IS NOT NULL)""",
    ),
    _standings(
        "volume",
        "Whether a volume is used, unused or unknown, and why.",
        "volumes v name",
        """EXISTS (SELECT 1 FROM container_volumes AS c
      WHERE c.snapshot_id = v.snapshot_id AND c.name = v.name AND c.type = 'volume' AND c.name <> '')
    OR EXISTS (SELECT 1 FROM recorded_uses AS u
      WHERE u.snapshot_id = v.snapshot_id AND u.used_kind = 'volume' AND u.used = v.name)""",
    ),
    View(
        "image_danglings",
        "Whether an image dangles, as docker images --filter dangling=true means it: 1 when it has no tag and no "
        "children, else 0; NULL where what may name it was not read whole, which because says.",
        """
SELECT t.snapshot_id, t.image_id, CASE
    WHEN t.standing = 'used'
      OR EXISTS (SELECT 1 FROM stored_images AS c
        WHERE c.snapshot_id = t.snapshot_id AND c.parent_image_id = t.image_id)
      OR EXISTS (SELECT 1 FROM recorded_uses AS u
        WHERE u.snapshot_id = t.snapshot_id AND u.used_kind = 'image' AND u.used = t.image_id
          AND u.user_kind IN ('manifest list', 'store', 'child image')) THEN 0
    WHEN t.standing = 'unused' THEN 1 END AS dangling, t.because
FROM name_standings AS t""",
    ),
    View(
        "mount_standings",
        "Whether a mount is used or unknown, and why.",
        """
SELECT m.snapshot_id, m.name,
  CASE WHEN m.container_id IS NOT NULL OR o.owner IS NOT NULL THEN 'used' ELSE 'unknown' END AS standing,
  CASE WHEN m.container_id IS NULL AND o.owner IS NULL THEN coalesce(d.because, 'no container has its name') END
    AS because
FROM mounts AS m
LEFT JOIN (
  SELECT DISTINCT snapshot_id, user AS owner, used FROM recorded_uses
  WHERE used_kind = 'directory' AND user_kind IN ('image-mount', 'build-mount')) AS o
  ON o.snapshot_id = m.snapshot_id AND o.owner = m.name AND o.used = m.mount_id
LEFT JOIN doubts AS d ON d.snapshot_id = m.snapshot_id AND d.thing = 'mount'""",
    ),
    View(
        "standings",
        "Whether a directory, layer, image, volume or mount is used, unused or unknown, and why; of kind name: whether "
        "a tag names the image. The view of one kind answers sooner.",
        """
SELECT snapshot_id, 'directory' AS kind, cache_id AS id, standing, because FROM directory_standings
UNION ALL SELECT snapshot_id, 'image', image_id, standing, because FROM image_standings
UNION ALL SELECT snapshot_id, 'name', image_id, standing, because FROM name_standings
UNION ALL SELECT snapshot_id, 'volume', name, standing, because FROM volume_standings
UNION ALL SELECT snapshot_id, 'layer', chain_id, standing, because FROM layer_standings
UNION ALL SELECT snapshot_id, 'mount', name, standing, because FROM mount_standings""",
    ),
    View(
        "missing",
        "What metadata names and the store does not have, with the code of its problem; where because is not NULL, it "
        "may be in what was not read.",
        missing.SELECT,
    ),
    View(
        "files",
        "Every entry with its whole path and its time as text.",
        """
SELECT e.listing_id, CASE d.path WHEN '/' THEN '/' || e.name ELSE d.path || '/' || e.name END AS path,
  e.name, e.name_raw, e.type, e.mode, e.uid, e.gid, e.size, e.mtime, e.mtime_ns,
  strftime('%Y-%m-%dT%H:%M:%SZ', e.mtime, 'unixepoch') AS modified_at,
  e.link_target, e.link_target_raw, e.device, e.content_crc64, e.opaque, e.xattrs, e.capability, e.sparse,
  e.directory_id
FROM entries AS e JOIN directories AS d ON d.directory_id = e.directory_id""",
    ),
    View(
        "newest_changes",
        "Of each listing the latest modification time of its files and folders.",
        """
SELECT l.listing_id, (SELECT strftime('%Y-%m-%dT%H:%M:%SZ', max(e.mtime), 'unixepoch') FROM entries AS e
  WHERE e.listing_id = l.listing_id) AS newest FROM listings AS l""",
    ),
    View(
        "hard_links",
        "Each further name of a hard link, with what the file is that it names: its first name, type, size, content.",
        """
SELECT e.listing_id, e.directory_id, e.name, t.directory_id AS first_directory, t.name AS first_name, t.type, t.size,
  t.link_target, t.device, t.content_crc64
FROM entries AS e CROSS JOIN directories AS d
  ON d.path = coalesce(nullif(rtrim(rtrim(e.link_target, replace(e.link_target, '/', '')), '/'), ''), '/')
CROSS JOIN entries AS t ON t.listing_id = e.listing_id AND t.directory_id = d.directory_id
  AND t.name = substr(e.link_target, length(rtrim(e.link_target, replace(e.link_target, '/', ''))) + 1)
WHERE e.type = 'hardlink'""",
    ),
    View(
        "container_twins",
        "Containers that two stores of a host know, as Docker's root and the host's containerd do, in the selected "
        "snapshots: snapshot_id is of the store without its files, other_id of the one that has them.",
        """
SELECT c.snapshot_id, c.container_id, o.snapshot_id AS other_id
FROM selected_snapshots JOIN snapshots AS s USING (snapshot_id) JOIN containers AS c USING (snapshot_id)
JOIN snapshots AS t ON t.host_id = s.host_id AND t.snapshot_id IN (SELECT snapshot_id FROM selected_snapshots)
JOIN containers AS o ON o.snapshot_id = t.snapshot_id AND o.container_id = c.container_id
WHERE NOT s.reads_directories AND t.snapshot_id <> s.snapshot_id AND o.mount_id IS NOT NULL""",
    ),
    *collected.VIEWS,
    *(View(*view) for view in shown.VIEWS),
    *(_current(table, comment) for table, comment in _CURRENT.items()),
)
VIEWS = tuple(view._replace(columns=SENTENCES.get(view.name, {})) for view in _VIEWS)
